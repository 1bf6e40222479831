"""Peak memory and seconds of a round on a memory-mapped pool of images that is larger than memory.

``python benchmarks/bench_memory.py FOLDER`` writes random images of 5 GB into FOLDER, asks for an
initial set and one batch with the CNN, prints the peak of resident memory and the seconds, for the
pool and for half of it, and deletes the file.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import alod

SHAPE, GIGABYTES = (3, 64, 64), 5.0


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gigabytes", type=float, default=GIGABYTES)
    arguments = parser.parse_args()
    n = int(arguments.gigabytes * 1e9 / np.prod(SHAPE))
    path = arguments.folder / "pool.uint8"
    try:
        write_pool(path, n)
        print("| images | GB | initial set | fit | infer | query | peak resident |")
        print("|---|---|---|---|---|---|---|")
        for count in (n // 2, n):
            print(round_row(np.memmap(path, np.uint8, "r", shape=(count, *SHAPE))), flush=True)
    finally:
        path.unlink(missing_ok=True)


def write_pool(path: Path, n: int) -> None:
    """Write blurred noise in ten brightnesses, block by block."""
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for start in range(0, n, 4096):
            count = min(4096, n - start)
            level = rng.integers(0, 10, size=(count, 1, 1, 1)) * 20
            noise = rng.integers(0, 56, size=(count, *SHAPE))
            file.write((level + noise).astype(np.uint8).tobytes())


def round_row(images: np.memmap) -> str:
    """Do one round and return its row of the table."""
    before = reset_peak()
    learner = alod.ActiveLearner(images, n_classes=10, model="cnn", steps=50)
    started = time.perf_counter()
    asked = learner.query(100)
    first = time.perf_counter() - started
    learner.teach(asked, np.minimum(images[asked].mean(axis=(1, 2, 3)) // 20, 9).astype(int))
    learner.fit()
    learner.query(100)
    seconds = learner.seconds
    times = [first, seconds["fit"], seconds["infer"], seconds["query"]]
    peak = peak_memory()
    told = " | ".join(f"{value:.1f} s" for value in times)
    return (
        f"| {len(images):,} | {images.nbytes / 1e9:.1f} | {told} | {peak:.2f} GB, "
        f"{before:.2f} before |"
    )


def reset_peak() -> float:
    """Forget the peak so far; return what is resident now, in GB."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_memory()


def peak_memory() -> float:
    """GB resident at the most since :func:`reset_peak`."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1e6


if __name__ == "__main__":
    main()
