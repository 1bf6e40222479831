"""Many runs: a file of settings × seeds, computed side by side, gathered into one table."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import yaml
from joblib.externals.loky import BrokenProcessPool
from tqdm import tqdm

from alod.errors import AlodError, check_count, check_name, one_line
from alod.experiments import evaluation
from alod.experiments.run import (
    SETTINGS,
    ExperimentConfig,
    Run,
    check_data,
    is_finished,
    later_defaults,
    load_run,
    run_experiment,
)
from alod.files import UNWRITABLE, refusing, write_atomically
from alod.images.known import DATASETS, load_dataset
from alod.training import resolve_device

FIELDS = [f.name for f in fields(ExperimentConfig)]
# What of a run's provenance a recorded result tells.
SOURCES = ("versions", "git_commit", "machine", "device", "threads")
TRIES = 3
"""How often the process of a run may die under it; one less than Dask allows a task."""
CONNECT_SECONDS = 10

_dataset = lru_cache(maxsize=2)(load_dataset)  # a worker process computes many runs


def load_configs(path: str | Path) -> list[ExperimentConfig]:
    """Read an experiment file: the fields of :class:`ExperimentConfig` as YAML.

    - A field given as a list takes each value in turn; all lists are crossed with each other.
    - A list's entry may be a mapping, which sets its own field and others beside it. It wins over
      what the file says of those.
    - ``seeds`` takes the place of ``seed``: a number n stands for 0 to n - 1, a list for itself.
    - The file may be a list of such blocks.

    Parameters
    ----------
    path : str or Path
        Such as ``book/experiments/example.yaml``.

    Returns
    -------
    list of ExperimentConfig
        All of the lowest seed first, so that a sweep that is cut off has something to compare;
        those in the order of the file, the first field varying slowest; each once.

    Raises
    ------
    AlodError
        If the file cannot be read, or a config is not valid: the message names its entries.

    Examples
    --------
    Two data sets × three strategies (two of them outlier queries) × ten seeds, ResNet18 with fewer
    rounds and five seeds::

        dataset: [mnist_mini, fashion_mnist_mini]
        model:
          - lenet5
          - {model: resnet18, rounds: 4, seeds: 5}
        strategy:
          - random
          - outlier
          - {strategy: outlier, strategy_params: {detector: lof}}
        rounds: 9
        seeds: 10

    >>> _ = Path("two.yaml").write_text("{model: lenet5, strategy: [random, outlier], seeds: 3}")
    >>> len(load_configs("two.yaml"))
    6
    """
    path = Path(path)
    try:
        return _expand(yaml.load(path.read_bytes(), _Loader))
    except AlodError as error:
        raise AlodError(f"{path}: {error}") from None
    except OSError as error:
        raise AlodError(f"{path}: {error.strerror}; give an experiment file") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that there is not
        raise AlodError(
            f"{path}: not YAML ({one_line(error)}); mend it there, with spaces for tabs"
        ) from None


class _Loader(yaml.SafeLoader):
    """YAML 1.1, but a field is given once, and what it reads otherwise than meant is refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        for name, value in zip(names, (value for _, value in node.value), strict=True):
            if names.count(name) > 1:
                raise AlodError(f"{name}: is given twice; keep one of them")
            nodes = [value]
            for entry in nodes:
                if isinstance(entry, yaml.SequenceNode):
                    nodes += (n for n in entry.value if n not in nodes)
                elif isinstance(entry, yaml.ScalarNode) and entry.style is None:
                    _check_scalar(name, entry)
        return super().construct_mapping(node, deep)

    def construct_power(self, node: yaml.ScalarNode) -> float:
        """Read 1e-3 and 3e2 as numbers; to YAML 1.1 they are words."""
        value = float(node.value)
        return int(value) if value.is_integer() and "." not in node.value else value


_Loader.add_implicit_resolver(
    "!power", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)
_Loader.add_constructor("!power", _Loader.construct_power)
_TRAPS = {
    r"[-+]?0[\d_]+": "a number in base 8; write it without the 0 in front",
    r"[-+]?\d+(:\d+)+": "a number in base 60; write it in base 10",
    r"\d{1,3}(,\d{3})+": "a word; write the number without commas",
    r".*\$[{(\w].*": "a word, and fills in no variable; write the value",
}
_WORDS = {f.name for f in fields(ExperimentConfig) if isinstance(f.default, str)}


def _check_scalar(name: str, node: yaml.ScalarNode) -> None:
    """Refuse a value that YAML reads otherwise than it looks."""
    reads = next((why for trap, why in _TRAPS.items() if re.fullmatch(trap, node.value)), "")
    if name in _WORDS and node.tag.endswith(":bool"):
        reads = "true or false; write it in quotes if it is a name"
    if reads:
        raise AlodError(f"{name}: {node.value}: YAML reads it as {reads}")


def _expand(spec: object) -> list[ExperimentConfig]:
    """Return the configs that an experiment file stands for."""
    blocks = spec if isinstance(spec, list) and spec else [spec]
    configs = {config.hash(): config for block in blocks for config in _expand_block(block)}
    return sorted(configs.values(), key=lambda config: config.seed)


def _expand_block(spec: object) -> list[ExperimentConfig]:
    if not isinstance(spec, dict) or not spec:
        raise AlodError("expected fields of a config, such as 'strategy: [random, outlier]'")
    lists = [_choices(name, value) for name, value in spec.items()]
    configs = []
    for choices in product(*lists):
        told = {k: v for c, of in zip(choices, lists, strict=True) if len(of) > 1 for k, v in c}
        try:
            settings = _merged(choices)
            for seed in _seeds(settings.pop("seeds", 1)):
                config = ExperimentConfig(**settings, seed=seed)
                check_name("data set", config.dataset, DATASETS)
                configs.append(config)
        except AlodError as error:
            where = ", ".join(f"{name}={value!r}" for name, value in told.items())
            raise AlodError(f"{where}: {error}" if told else str(error)) from None
    return configs


Choice = tuple[tuple[str, Any], ...]


def _choices(name: str, value: object) -> list[Choice]:
    """Return what a field may be: for each choice, the fields that it sets and their values."""
    known = [*(field for field in FIELDS if field != "seed"), "seeds"]
    check_name("field", name, known)
    # One list of budgets is a value; several are a list of lists.
    if not isinstance(value, list) or name == "seeds" or (name == "budgets" and _is_flat(value)):
        return [((name, value),)]
    if not value:
        raise AlodError(f"{name}: []: expected at least one value")
    choices: list[Choice] = []
    for entry in value:
        # The values of strategy_params are mappings themselves.
        if not isinstance(entry, dict) or name == "strategy_params":
            choices.append(((name, entry),))
            continue
        for key in entry:
            check_name("field", key, known)
        if name not in entry:
            raise AlodError(f"{name}: {entry!r}: expected {name!r} among its fields")
        choices.append(tuple(entry.items()))
    return choices


def _is_flat(value: list[object]) -> bool:
    return all(isinstance(entry, int) for entry in value)


def _merged(choices: Iterable[Choice]) -> dict[str, Any]:
    """Join one choice for every field; those that set several fields win over the others."""
    alone = {name: value for choice in choices if len(choice) == 1 for name, value in choice}
    together: dict[str, Any] = {}
    for choice in choices:
        for name, value in choice if len(choice) > 1 else ():
            if together.setdefault(name, value) != value:
                raise AlodError(
                    f"{name} is set to {together[name]!r} and to {value!r}; set it in one entry"
                )
    return alone | together


def _seeds(seeds: object) -> Iterable[int]:
    if isinstance(seeds, list) and seeds:
        return seeds
    if isinstance(seeds, list):
        raise AlodError("seeds: []: expected at least one seed")
    check_count("seeds", seeds, 1)
    return range(seeds)  # type: ignore[call-overload]


@dataclass(frozen=True)
class SweepReport:
    """What became of the runs of a sweep.

    Parameters
    ----------
    finished : list of Path
        Folders of finished runs, in the order of their configs.
    failed : dict
        Folder of a run that failed -> why, on one line.

    Examples
    --------
    >>> from pathlib import Path
    >>> SweepReport(finished=[Path("runs/a")], failed={Path("runs/b"): "no space left"}).failed
    {...Path('runs/b'): 'no space left'}
    """

    finished: list[Path]
    failed: dict[Path, str]

    @property
    def table(self) -> pd.DataFrame:
        """The finished runs, as :func:`tidy` stacks them."""
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
    times, on one machine apart from other such runs: any of them may have been the cause.

    Parameters
    ----------
    configs : iterable of ExperimentConfig
        What to run, at least one; what occurs twice runs once.
    out : str or Path
        Folder of all run folders, made if it is not there. On a cluster, all machines share it.
    jobs : int, optional
        Processes, 1 up; by default one for each core, at most one for each config. Each computes
        with cores // `jobs` threads, or as many as ``OMP_NUM_THREADS`` says. The number of threads
        can change the last digits of floating-point sums: a run's provenance tells it.
    dask : str, optional
        Address of a Dask scheduler, ``tcp://host:8786``, whose workers compute in place of
        processes of this machine. Start them with one thread each.

    Returns
    -------
    SweepReport
        Finished and failed runs.

    Raises
    ------
    AlodError
        If an argument is not of these, a config asks for more labels than there are images, data
        cannot be had, or the cluster cannot be used; before anything is computed or written.

    Examples
    --------
    >>> from alod.experiments.run import ExperimentConfig
    >>> few = {"model": "lenet5", "n_initial": 20, "n_query": 10, "rounds": 1, "steps": 5}
    >>> report = run_sweep([ExperimentConfig(seed=seed, **few) for seed in (0, 1)], "runs", jobs=1)
    >>> len(report.finished), report.failed
    (2, {})
    >>> sorted(tidy(["runs"])["n_labeled"].unique().tolist())
    [20, 30]
    """
    out = Path(out).absolute()
    runs = {out / config.hash(): config for config in configs}
    check_count("configs", len(runs), 1)
    if dask is not None and jobs is not None:
        raise AlodError(f"jobs={jobs}: the workers at {dask} decide how many; leave it out")
    jobs = min(joblib.cpu_count(), len(runs)) if jobs is None else jobs
    check_count("jobs", jobs, 1)
    for config in runs.values():
        check_name("data set", config.dataset, DATASETS)
        # Loaded here first, so that no two workers download it at the same time.
        check_data(config, _dataset(config.dataset))
        if dask is None:
            resolve_device(config.device)
    client = None if dask is None else _connect(dask)
    with nullcontext() if client is None else client:
        with refusing(out, "choose another folder"):
            out.mkdir(parents=True, exist_ok=True)
        if client is None:
            backend = {"backend": "loky", "n_jobs": jobs}
        else:
            _check_workers(client, out)
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
    deaths_idle = 0
    done = len(runs) - len(left)
    # The mean over all runs so far: they differ too much for the last few to tell the time left.
    with tqdm(total=len(runs), initial=done, desc="sweep", unit="run", smoothing=0) as bar:
        while left:
            tries = {folder: _n_tries(folder) for folder in left}
            fresh = [folder for folder in left if not tries[folder]]
            # Who was running when a process died waits till the end, then runs with none beside.
            batch = {folder: left[folder] for folder in fresh or left}
            try:
                for folder, problem in _parallel(batch, at_once if fresh else "1"):
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


def _parallel(
    runs: Mapping[Path, ExperimentConfig], at_once: str
) -> Iterator[tuple[Path, str | None]]:
    """Yield each run's folder and what went wrong, as they end."""
    parallel = joblib.Parallel(batch_size=1, pre_dispatch=at_once, return_as="generator_unordered")
    return parallel(joblib.delayed(_attempt)(config, folder) for folder, config in runs.items())


def _attempt(config: ExperimentConfig, folder: Path) -> tuple[Path, str | None]:
    """Do one run in a worker, leaving a mark that only the death of the process leaves behind."""
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


def _connect(address: str) -> Any:
    """Return a Dask client."""
    try:
        from distributed import Client
    except ImportError:
        raise AlodError(
            f"dask={address!r}: needs the package distributed; pip install 'alod[cluster]'"
        ) from None
    try:
        return Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise AlodError(
            f"dask={address!r}: no scheduler there ({one_line(error)}); start one: dask scheduler"
        ) from None


def _check_workers(client: Any, out: Path) -> None:
    """Refuse a cluster without workers, or with some that cannot do their part."""
    address = client.scheduler.address
    try:
        seen = client.run(Path.is_dir, out)
        client.run(_n_tries, out)
    except Exception as error:
        raise AlodError(
            f"dask={address!r}: a worker cannot import alod ({one_line(error)}); install it there"
        ) from None
    if sum(client.nthreads().values()) < 2:
        # With one, joblib computes in this process and leaves the cluster idle.
        raise AlodError(
            f"dask={address!r}: has {len(seen)} workers; start at least two: dask worker {address}"
        )
    blind = [worker for worker, sees in seen.items() if not sees]
    if blind:
        raise AlodError(
            f"out={str(out)!r}: {blind[0]} does not see it; choose a folder that all machines share"
        )


def find_runs(folders: Iterable[str | Path]) -> tuple[list[Run], list[Path]]:
    """Read the finished runs in or below some folders.

    Parameters
    ----------
    folders : iterable of str or Path
        Run folders, or folders that hold some at any depth.

    Returns
    -------
    finished : list of Run
        In the order of `folders`, then of their paths.
    unfinished : list of Path
        Folders of runs that are not finished.

    Raises
    ------
    AlodError
        If a folder is not there, a run cannot be read, or two runs have the same config: they would
        count as two seeds.

    Examples
    --------
    >>> from alod.experiments.run import ExperimentConfig, run_experiment
    >>> few = {"model": "lenet5", "n_initial": 20, "n_query": 10, "rounds": 1, "steps": 5}
    >>> _ = run_experiment(ExperimentConfig(**few), "runs/a", on_round=lambda row: None)
    >>> finished, unfinished = find_runs(["runs"])
    >>> len(finished), unfinished
    (1, [])
    """
    finished: dict[str, Run] = {}
    unfinished: list[Path] = []
    places: dict[Path, None] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise AlodError(f"{folder}: no such folder; give one that holds runs")
        places |= dict.fromkeys(p.parent.resolve() for p in sorted(folder.rglob("config.json")))
    for place in places:
        if not is_finished(place):
            unfinished.append(place)
            continue
        run = load_run(place)
        same = finished.setdefault(run.config.hash(), run)
        if same is not run:
            raise AlodError(f"{place}: same config as {same.folder}; compare one of them")
    return list(finished.values()), unfinished


def tidy(folders: Iterable[str | Path]) -> pd.DataFrame:
    """Stack the curves of all finished runs in or below some folders.

    Parameters
    ----------
    folders : iterable of str or Path
        Run folders, or folders that hold some at any depth.

    Returns
    -------
    DataFrame
        One row per run and round, sorted: the columns
        :data:`alod.experiments.run.SETTINGS`, each other field in which the configs of one data set
        and model differ (``strategy_params`` and ``budgets`` as JSON), ``seed``, and those of
        ``Run.history``.

    Raises
    ------
    AlodError
        As :func:`find_runs` does, or if no run is finished.

    Examples
    --------
    >>> from alod.experiments.run import ExperimentConfig, run_experiment
    >>> few = {"model": "lenet5", "n_initial": 20, "n_query": 10, "rounds": 1, "steps": 5}
    >>> _ = run_experiment(ExperimentConfig(**few), "runs/a", on_round=lambda row: None)
    >>> tidy(["runs"])[["strategy", "round", "n_labeled"]].to_dict("list")
    {'strategy': ['outlier', 'outlier'], 'round': [0, 1], 'n_labeled': [20, 30]}
    """
    return _stack(find_runs(folders)[0])


def _stack(runs: list[Run], also: Collection[str] = ()) -> pd.DataFrame:
    """Stack curves; `also` names fields to tell even if they do not differ."""
    if not runs:
        raise AlodError("no finished run: expected at least one; run or resume the sweep first")
    others = (name for name in FIELDS if name not in (*SETTINGS, "seed"))
    varied = [name for name in others if name in also or _varies(name, runs)]
    curves = [run.curve.assign(**{name: _told(run)[name] for name in varied}) for run in runs]
    keys = [*SETTINGS, *varied, "seed", "round"]
    table = pd.concat(curves, ignore_index=True)
    rest = [column for column in table if column not in keys]
    return table[[*keys, *rest]].sort_values(keys, ignore_index=True)


def _varies(name: str, runs: list[Run]) -> bool:
    """Tell whether a field differs among the runs of one data set and model."""
    kinds = _distinct([run.config.dataset, run.config.model] for run in runs)
    told = _distinct([run.config.dataset, run.config.model, _told(run)[name]] for run in runs)
    return len(told) > len(kinds)


def _setting_columns(table: pd.DataFrame) -> list[str]:
    return list(table.columns)[: list(table.columns).index("seed")]


def _told(run: Run) -> dict[str, Any]:
    """Return a run's config as it stands in a table's columns."""
    return {name: _in_a_cell(value) for name, value in asdict(run.config).items()}


def _in_a_cell(value: Any) -> Any:
    """Return a field's value as a table holds it."""
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value


def _distinct(values: Iterable[Any]) -> list[Any]:
    """Return what differs, in order of appearance; values need not be hashable."""
    return list({json.dumps(value, sort_keys=True): value for value in values}.values())


def summarize(table: pd.DataFrame) -> pd.DataFrame:
    """Average the accuracy at the end of each setting's budget over its seeds.

    Parameters
    ----------
    table : DataFrame
        As :func:`tidy` returns it.

    Returns
    -------
    DataFrame
        One row per setting: ``dataset, model, strategy``, other columns only where they vary, then
        ``n_labeled, n_seeds, accuracy_mean, accuracy_std`` (sample standard deviation; NaN for one
        seed). Within a data set and model, the best first.

    Examples
    --------
    >>> import pandas as pd
    >>> setting = {"dataset": "mnist", "model": "cnn", "strategy": "outlier"}
    >>> table = pd.DataFrame(setting | {"seed": [0, 1], "test_accuracy": [0.90, 0.92]})
    >>> table = table.assign(round=1, n_labeled=100)
    >>> summarize(table)["accuracy_mean"].round(2).tolist()
    [0.91]
    """
    always = ["dataset", "model", "strategy"]
    columns = _setting_columns(table)
    by = [*always, *(c for c in columns if c not in always and len(table[c].unique()) > 1)]
    ends = evaluation.summarize(table, by).groupby(by, sort=False).tail(1)
    shown = [*by, "n_labeled", "n_seeds", "accuracy_mean", "accuracy_std"]
    order = ["dataset", "model", "accuracy_mean"]
    return ends.sort_values(order, ascending=[True, True, False], ignore_index=True)[shown]


def record(runs: list[Run], path: str | Path, add: bool = False) -> pd.DataFrame:
    """Write runs as one recorded result: a tidy CSV, and beside it where the numbers come from.

    Parameters
    ----------
    runs : list of Run
        Finished runs, as :func:`find_runs` returns them.
    path : str or Path
        The CSV file to write, its folder made if it is not there. The JSON file beside it, with the
        same stem, tells the configs (each field's value, or a list where it varies), versions, git
        commits, machines, devices, threads, wall seconds in all, and how many runs and seeds.
    add : bool
        Keep the runs that `path` holds already, such as another machine's; one that is in both must
        not be there twice.

    Returns
    -------
    DataFrame
        The table, as :func:`tidy` returns it.

    Raises
    ------
    AlodError
        If there is no run or the file cannot be written.

    Examples
    --------
    >>> from alod.experiments.run import ExperimentConfig, run_experiment
    >>> few = {"model": "lenet5", "n_initial": 20, "n_query": 10, "rounds": 1, "steps": 5}
    >>> _ = run_experiment(ExperimentConfig(**few), "runs/a", on_round=lambda row: None)
    >>> table = record(find_runs(["runs"])[0], "results/few.csv")
    >>> len(table), Path("results/few.json").exists()
    (2, True)
    """
    path = Path(path)
    if path.suffix != ".csv" or path.is_dir():
        raise AlodError(f"{path}: expected the name of a .csv file; a .json is written beside it")
    adding = add and path.exists()
    there, source = _recorded(path) if adding else (pd.DataFrame(), {})
    table = _stack(runs, also=[*there.columns, *_newly_differing(there, source, runs)])
    runs = sorted(runs, key=lambda run: run.config.seed)
    sources = [run.provenance for run in runs]
    origin: dict[str, Any] = {
        "config": {name: [getattr(run.config, name) for run in runs] for name in FIELDS},
        **{name: [source.get(name) for source in sources] for name in SOURCES},
        "wall_seconds": sum(source["wall_seconds"] for source in sources),
        "time": max(source["time"] for source in sources),
    }
    if adding:
        table, origin = _added(path, there, source, table, origin)
    keys = _setting_columns(table)
    seeds = table.groupby(keys)["seed"].nunique()
    origin = {
        "config": {name: _one_or_all(values) for name, values in origin["config"].items()},
        "n_runs": len(table[[*keys, "seed"]].drop_duplicates()),
        "n_seeds": _one_or_all(sorted(seeds.tolist())),
        **{name: _one_or_all(origin[name]) for name in SOURCES},
        "wall_seconds": round(origin["wall_seconds"], 2),
        "time": origin["time"],
    }
    with refusing(path, UNWRITABLE):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, table.to_csv(index=False), UNWRITABLE)
    write_atomically(path.with_suffix(".json"), json.dumps(origin, indent=1) + "\n", UNWRITABLE)
    return table


def _recorded(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a recorded result, with what fields younger than it meant then."""
    source = json.loads(path.with_suffix(".json").read_text())
    return pd.read_csv(path), source | {"config": later_defaults() | source["config"]}


def _newly_differing(there: pd.DataFrame, source: dict[str, Any], runs: list[Run]) -> list[str]:
    """Return the fields in which the new runs, all alike, differ from the recorded, all alike."""
    kinds = {(run.config.dataset, run.config.model) for run in runs}
    if there.empty or not kinds & set(zip(there["dataset"], there["model"], strict=True)):
        return []
    found = []
    for name in FIELDS:
        old = _distinct(_all(source["config"].get(name), name))
        new = _distinct(getattr(run.config, name) for run in runs)
        if len(old) == len(new) == 1 and old != new:
            found.append(name)
    return found


def _added(
    path: Path,
    there: pd.DataFrame,
    source: dict[str, Any],
    table: pd.DataFrame,
    origin: dict[str, Any],
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Put new runs to those of a recorded result, and say of both where they come from."""
    known = source["config"]
    for name in [name for name in FIELDS if name in table and name not in there]:
        values = _distinct(_all(known.get(name), name))
        if len(values) != 1:
            raise AlodError(
                f"{path}: does not tell which of its runs have which {name} of {values}, but these "
                "differ in it; write another file"
            )
        there[name] = _in_a_cell(values[0])
    # What is measured may have become more since; the older runs have none of it.
    both = pd.concat([there, table], ignore_index=True)
    keys = [*_setting_columns(table), "seed", "round"]
    both = both[[*keys, *(column for column in both if column not in keys)]]
    doubled = both[both.duplicated(keys)]
    if len(doubled):
        told = " ".join(map(str, doubled[keys[:-1]].to_numpy()[0]))
        raise AlodError(f"{path}: holds a run of {told} already; leave it out")
    fields = {
        name: [*_all(known.get(name), name), *values] for name, values in origin["config"].items()
    }
    joined = {name: [*_all(source.get(name)), *origin[name]] for name in SOURCES}
    joined["wall_seconds"] = source["wall_seconds"] + origin["wall_seconds"]
    joined["time"] = max(source["time"], origin["time"])
    return both.sort_values(keys, ignore_index=True), {"config": fields, **joined}


def _one_or_all(values: Iterable[Any]) -> Any:
    """Return the value that all share, or the list of those that differ."""
    distinct = _distinct(values)
    return distinct[0] if len(distinct) == 1 else distinct


def _all(told: Any, field: str = "") -> list[Any]:
    """Undo :func:`_one_or_all`."""
    several = isinstance(told, list)
    if field == "budgets":  # one value is a list itself
        several = bool(told) and isinstance(told[0], list)
    return list(told) if several else [told]
