"""Time every chapter on this machine's GPU: python scripts/time_chapters.py [NAME ...].

Each runs alone in a folder of its own, as for a reader on Colab, on two cores of the processor, as
many as Colab's free machine has; several run at a time where there are more cores. Writes
``book/results/gpu_seconds.csv`` and ``.json``, which the status page reads.
"""

import argparse
import json
import os
import queue
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import torch

from alod.experiments.provenance import provenance
from alod.files import write_atomically
from alod_book.chapters import notebooks, run_chapter

RESULTS = Path(__file__).resolve().parent.parent / "book" / "results"


def main() -> None:
    """Run, time, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="chapters, all by default")
    names = parser.parse_args().names or list(notebooks())
    if not torch.cuda.is_available():
        raise SystemExit("error: no GPU on this machine; choose one that has one")
    # The share of it that a limit such as CUDA_MPS_ACTIVE_THREAD_PERCENTAGE leaves.
    gpu = torch.cuda.get_device_properties(0)
    cores = sorted(os.sched_getaffinity(0))
    pairs: queue.Queue[set[int]] = queue.Queue()
    for first in range(0, len(cores) - 1, 2):
        pairs.put({cores[first], cores[first + 1]})

    def seconds(name: str) -> float:
        pair = pairs.get()
        os.sched_setaffinity(0, pair)  # of this thread, and of the processes that it starts
        with tempfile.TemporaryDirectory() as folder:
            out, alone = Path(folder, "out.ipynb"), {"ALOD_RUNS": str(Path(folder, "runs"))}
            start = time.perf_counter()
            run_chapter(name, out=out, cwd=Path(folder), environment=alone, progress=False)
            took = time.perf_counter() - start
        pairs.put(pair)
        print(f"{name:<24}{took:7.1f} s", flush=True)
        return took

    with ThreadPoolExecutor(pairs.qsize()) as pool:
        took = list(pool.map(seconds, names))
    table = pd.DataFrame({"chapter": names, "seconds": [round(s, 1) for s in took]})
    origin = provenance() | {
        "gpu": gpu.name,
        "multiprocessors": gpu.multi_processor_count,
        "cores_each": 2,
        "at_a_time": min(pairs.qsize(), len(names)),
    }
    write_atomically(RESULTS / "gpu_seconds.csv", table.to_csv(index=False))
    write_atomically(RESULTS / "gpu_seconds.json", json.dumps(origin, indent=1) + "\n")


if __name__ == "__main__":
    main()
