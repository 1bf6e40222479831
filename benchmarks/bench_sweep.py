"""Throughput of runs side by side against one single-threaded run after another.

``python benchmarks/bench_sweep.py`` prints one line for each model; the machine must be idle.
Worker processes are started before the clock is, as in a long sweep.
"""

import os

# Before torch is loaded: the run beside which nothing runs has one thread, too.
os.environ["OMP_NUM_THREADS"] = "1"

import tempfile
import time
from dataclasses import replace

import joblib

from alod import ExperimentConfig
from alod.experiments.sweep import run_sweep

RUNS_A_JOB = 3


def seconds(configs, jobs):
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        assert not run_sweep(configs, folder, jobs=jobs).failed
        return time.perf_counter() - start


def main():
    cores = joblib.cpu_count()
    for model in ("lenet5", "cnn"):
        config = ExperimentConfig(model=model, rounds=1, steps=150)
        warm_up = [replace(config, rounds=0, steps=1, seed=i) for i in range(2 * cores)]
        runs = [replace(config, seed=i) for i in range(RUNS_A_JOB * cores)]
        for jobs in (1, cores):
            seconds(warm_up, jobs)
        alone, beside = seconds(runs[:RUNS_A_JOB], 1), seconds(runs, cores)
        print(
            f"{model}: one run {alone / RUNS_A_JOB:.2f} s; {len(runs)} runs in {cores} processes "
            f"{beside:.2f} s, {cores * alone / beside:.2f} times the throughput"
        )


if __name__ == "__main__":
    main()
