"""Many runs, computed side by side, here or on a cluster; a sweep that was cut off goes on.

>>> few = {"model": "lenet5", "n_initial": 20, "n_query": 10, "rounds": 1, "steps": 5}
>>> report = run_sweep([ExperimentConfig(seed=seed, **few) for seed in (0, 1)], "runs", jobs=1)
>>> len(report.finished), report.failed, report.table["n_labeled"].tolist()
(2, {}, [20, 30, 20, 30])
"""

import sys
from collections.abc import Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import joblib
import pandas as pd
from joblib.externals.loky import BrokenProcessPool
from tqdm import tqdm

from alod.data.known import load_dataset
from alod.errors import AlodError, check_count, one_line
from alod.experiments.cluster import check_workers, connect
from alod.experiments.config import ExperimentConfig
from alod.experiments.record import tidy
from alod.experiments.run import check_data, is_finished, run_experiment
from alod.files import refusing
from alod.training import resolve_device

TRIES = 3
"""How often the process of a run may die under it; one less than Dask allows a task."""

_dataset = lru_cache(maxsize=2)(load_dataset)  # a worker process computes many runs


@dataclass(frozen=True)
class SweepReport:
    """Folders of `finished` runs, in the order of their configs; of `failed` ones, why."""

    finished: list[Path]
    failed: dict[Path, str]

    @property
    def table(self) -> pd.DataFrame:
        """The finished runs, as :func:`alod.experiments.record.tidy` stacks them."""
        return tidy(self.finished)


def run_sweep(
    configs: Iterable[ExperimentConfig],
    out: str | Path,
    jobs: int | None = None,
    dask: str | None = None,
) -> SweepReport:
    """Compute many runs side by side, each in the folder ``out/<hash of its config>``.

    Finished runs are skipped and cut-off ones go on, so the same call resumes a sweep. A run that
    fails leaves the others alone. A run whose process died is tried again, up to :data:`TRIES`
    times, on one machine apart from other such runs: any of them may have been the cause. What
    cannot be run is refused before anything is computed or written.

    `configs`: at least one; what occurs twice runs once. `out` is made if it is not there; on a
    cluster, all machines share it. `jobs`: processes, 1 up; by default one for each core, at most
    one for each config. Each computes with cores // `jobs` threads, or as many as
    ``OMP_NUM_THREADS`` says, which can change the last digits of floating-point sums: a run's
    provenance tells it. `dask`: the address of a Dask scheduler, ``tcp://host:8786``, whose
    workers, started with one thread each, compute in place of processes of this machine.
    """
    out = Path(out).absolute()
    runs = {out / config.hash(): config for config in configs}
    check_count("configs", len(runs), 1)
    if dask is not None and jobs is not None:
        raise AlodError(f"jobs={jobs}: the workers at {dask} decide how many; leave it out")
    jobs = min(joblib.cpu_count(), len(runs)) if jobs is None else jobs
    check_count("jobs", jobs, 1)
    for config in runs.values():
        # Loaded here first, so that no two workers download it at the same time.
        check_data(config, _dataset(config.dataset))
        if dask is None:
            resolve_device(config.device)
    client = None if dask is None else connect(dask)
    backend = {"backend": "loky", "n_jobs": jobs}
    with nullcontext() if client is None else client:
        with refusing(out, "choose another folder"):
            out.mkdir(parents=True, exist_ok=True)
        if client is not None:
            check_workers(client, out)
            backend = {"backend": "dask", "n_jobs": -1, "client": client}
        with joblib.parallel_config(**backend):
            # A cluster gets all at once: workers may join it. Here no more than can run, so that an
            # interruption leaves nothing waiting.
            failed = _compute(runs, at_once="n_jobs" if client is None else "all")
    return SweepReport([folder for folder in runs if folder not in failed], failed)


def _compute(runs: Mapping[Path, ExperimentConfig], at_once: str) -> dict[Path, str]:
    """Finish all runs that can be finished; return why the others cannot."""
    left = {folder: config for folder, config in runs.items() if not is_finished(folder)}
    for folder in runs:
        with suppress(OSError):  # finished runs can be read from a disk that cannot be written
            _tries(folder).unlink()
    failed: dict[Path, str] = {}
    deaths_idle, done = 0, len(runs) - len(left)
    path = [str(Path(place).absolute()) for place in sys.path]
    # The mean over all runs so far: they differ too much for the last few to tell the time left.
    with tqdm(total=len(runs), initial=done, desc="sweep", unit="run", smoothing=0) as bar:
        while left:
            tries = {folder: _n_tries(folder) for folder in left}
            fresh = [folder for folder in left if not tries[folder]]
            # Who was running when a process died waits till the end, then runs with none beside.
            tasks = [joblib.delayed(_attempt)(left[f], f, path) for f in fresh or left]
            order = {"pre_dispatch": at_once if fresh else "1", "return_as": "generator_unordered"}
            parallel = joblib.Parallel(batch_size=1, **order)
            try:
                for folder, problem in parallel(tasks):
                    del left[folder]
                    if problem is not None:
                        failed[folder] = problem
                        bar.set_postfix_str(f"{len(failed)} failed")
                    bar.update()
            except BrokenProcessPool:
                # Where processes die before a run begins, trying again could go on for ever.
                deaths_idle += all(_n_tries(folder) == tries[folder] for folder in left)
                if deaths_idle == TRIES:
                    raise
    return failed


def _attempt(config: ExperimentConfig, folder: Path, path: list[str]) -> tuple[Path, str | None]:
    """Do one run in a worker, leaving a mark that only the death of the process leaves behind."""
    if ":" in config.strategy + config.dataset:
        # The user's own: found where the sweep's process finds it, which the worker may not know.
        sys.path += [place for place in path if place not in sys.path]
    if _n_tries(folder) >= TRIES:
        # joblib 1.6 waits for ever for a task that Dask has given up; so it never comes to that.
        return folder, f"its process died {TRIES} times, perhaps out of memory; try fewer at a time"
    mark = _tries(folder)
    with refusing(mark, "free space or access, then sweep again"), mark.open("ab") as file:
        file.write(b".")
    try:
        run_experiment(config, folder, data=_dataset(config.dataset), on_round=lambda row: None)
    except Exception as error:
        kind = "" if isinstance(error, AlodError) else f"{type(error).__name__}: "
        return folder, kind + one_line(error)
    finally:
        mark.unlink(missing_ok=True)
    return folder, None


def _tries(folder: Path) -> Path:
    """Beside a run's folder, a byte for each time that it began and neither ended nor failed."""
    return folder.with_suffix(".tries")


def _n_tries(folder: Path) -> int:
    return _tries(folder).stat().st_size if _tries(folder).exists() else 0
