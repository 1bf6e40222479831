"""Time what is done with features: encoding, and a round of queries in a large pool.

``python benchmarks/bench_features.py`` takes two minutes and prints a line for each: encoding
against a plain batched loop of the same network, in turn; a round (head fit, scores, a query of 100
by ``outlier``) of 60,000 × 128; and of a million, memory-mapped (512 MB in a temporary folder),
with the memory that it took beside them.
"""

import resource
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

import alod
from alod.data import pretrained

CLASSES, WIDTH = 10, 128


def seconds(function: Callable[[], object]) -> float:
    """Return how long one call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def encoding(n: int = 128, times: int = 5) -> None:
    """Compare our encoder with a plain loop over batches of 32, in float32 as it is written."""
    encoder = pretrained.load("efficientnet_lite0", "cpu")
    network = encoder.module
    images = torch.randint(0, 256, (n, 3, 224, 224), dtype=torch.uint8)

    @torch.no_grad()
    def plain() -> None:
        torch.cat([network(batch.float() / 255) for batch in images.split(32)])

    pairs = [(seconds(plain), seconds(lambda: encoder(images))) for _ in range(times)]
    ratio, ours = median(a / b for a, b in pairs), median(b for _, b in pairs)
    print(f"encoding {n} images: {ours:.2f} s, {ratio:.2f} times as fast as a plain loop")


def fill(features: np.ndarray, targets: np.ndarray) -> None:
    """Fill features (N, D) with ten classes that overlap."""
    rng = np.random.default_rng(0)
    centers = 1.2 * rng.normal(size=(CLASSES, WIDTH))
    for start in range(0, len(features), 50_000):
        rows = slice(start, start + 50_000)
        noise = rng.normal(size=(len(targets[rows]), WIDTH))
        features[rows] = centers[targets[rows]] + noise


def rounds(features: np.ndarray, targets: np.ndarray, initial: str, times: int = 6) -> None:
    """Print how long a round takes, and the memory above what was there."""
    peak, there = [0], memory()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            peak[0] = max(peak[0], memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    learner = alod.ActiveLearner(features, CLASSES, model="linear", initial=initial)
    learner.step(100, lambda rows: targets[rows])
    took = [seconds(lambda: learner.step(100, lambda rows: targets[rows])) for _ in range(times)]
    stop.set()
    watcher.join()
    n = len(features)
    print(
        f"round of {n:,} × {WIDTH}: {median(took):.2f} s ({min(took):.2f} to {max(took):.2f}), "
        f"{(peak[0] - there) / 1e9:.2f} GB"
    )


def memory() -> int:
    """Return bytes of this process that lie in no file."""
    status = Path("/proc/self/status")
    if not status.exists():  # not Linux: the most there ever was, files included
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    (line,) = (text for text in status.read_text().splitlines() if text.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


def main() -> None:
    """Measure all."""
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    encoding()
    for n in (60_000, 1_000_000):
        targets = np.random.default_rng(1).integers(CLASSES, size=n)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "features.npy")
            shape = (n, WIDTH)
            features = np.lib.format.open_memmap(path, "w+", np.float32, shape)
            fill(features, targets)
            features.flush()
            if n <= 100_000:
                rounds(np.array(features), targets, "kmeans")
            else:
                rounds(np.load(path, mmap_mode="r"), targets, "random")


if __name__ == "__main__":
    main()
