"""Finished runs, gathered: one tidy table, recorded with where its numbers come from.

`folders` are run folders, or hold some at any depth; `runs` are finished ones, as
:func:`find_runs` returns them; a `table` is as :func:`tidy` returns it.

>>> from alod.experiments.run import ExperimentConfig, run_experiment
>>> few = {"model": "lenet5", "n_initial": 20, "n_query": 10, "rounds": 1, "steps": 5}
>>> _ = run_experiment(ExperimentConfig(**few), "runs/a", on_round=lambda row: None)
>>> runs, unfinished = find_runs(["runs"])
>>> table = record(runs, "results/few.csv")
>>> table[["strategy", "round", "n_labeled"]].to_dict("list")
{'strategy': ['outlier', 'outlier'], 'round': [0, 1], 'n_labeled': [20, 30]}
>>> Path("results/few.json").exists(), len(at_the_end(table))
(True, 1)
"""

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from alod.errors import AlodError
from alod.experiments import evaluation
from alod.experiments.config import FIELDS, SETTINGS, later_defaults
from alod.experiments.run import Run, is_finished, load_run
from alod.files import UNWRITABLE, refusing, write_atomically

# What of a run's provenance a recorded result tells, each once; and what of all together.
SOURCES = ("versions", "git_commit", "machine", "device", "threads")
ORIGIN = (*SOURCES, "wall_seconds", "time")


def find_runs(folders: Iterable[str | Path]) -> tuple[list[Run], list[Path]]:
    """Return the finished runs in or below some folders, and the folders of unfinished ones.

    In the order of `folders`, then of their paths. Two runs of the same config are refused: they
    would count as two seeds.
    """
    places: dict[Path, bool] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise AlodError(f"{folder}: no such folder; give one that holds runs")
        found = (path.parent.resolve() for path in sorted(folder.rglob("config.json")))
        places |= {place: is_finished(place) for place in found}
    runs: dict[str, Run] = {}
    for run in (load_run(place) for place, finished in places.items() if finished):
        same = runs.setdefault(run.config.hash(), run)
        if same is not run:
            raise AlodError(f"{run.folder}: same config as {same.folder}; compare one of them")
    return list(runs.values()), [place for place, finished in places.items() if not finished]


def tidy(folders: Iterable[str | Path]) -> pd.DataFrame:
    """Stack the curves of all finished runs in or below some folders, at least one.

    One row per run and round, sorted: the columns :data:`alod.experiments.config.SETTINGS`, each
    other field in which the configs of one data set and model differ (``strategy_params`` and
    ``budgets`` as JSON), ``encoder`` where there is one, ``seed``, and those of ``Run.history``.
    """
    return _stack(find_runs(folders)[0])


def _stack(runs: list[Run], also: Collection[str] = ()) -> pd.DataFrame:
    """Stack curves; `also` names fields to tell even if they do not differ."""
    if not runs:
        raise AlodError("no finished run: expected at least one; run or resume the sweep first")
    others = (name for name in FIELDS if name not in (*SETTINGS, "seed"))
    configs = [run.config for run in runs]
    n_kinds = len({(c.dataset, c.model) for c in configs})
    if any(config.encoder != "none" for config in configs):
        also = {*also, "encoder"}  # part of the model, though each data set may have its own

    def varies(name: str) -> bool:
        return len(_distinct([c.dataset, c.model, getattr(c, name)] for c in configs)) > n_kinds

    varied = [name for name in others if name in also or varies(name)]
    cells = [{name: _in_a_cell(getattr(run.config, name)) for name in varied} for run in runs]
    curves = [run.curve.assign(**told) for run, told in zip(runs, cells, strict=True)]
    return _sorted(pd.concat(curves), [*SETTINGS, *varied, "seed", "round"])


def _sorted(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Sort the rows by the keys, and put these before the other columns."""
    rest = [column for column in table if column not in keys]
    return table[[*keys, *rest]].sort_values(keys, ignore_index=True)


def _setting_columns(table: pd.DataFrame) -> list[str]:
    return list(table.columns)[: list(table.columns).index("seed")]


def _in_a_cell(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value


def _distinct(values: Iterable[Any]) -> list[Any]:
    """Return what differs, in order of appearance; values need not be hashable."""
    return list({json.dumps(value, sort_keys=True): value for value in values}.values())


def at_the_end(table: pd.DataFrame) -> pd.DataFrame:
    """Average the accuracy at the end of each setting's budget over its seeds.

    One row per setting: ``dataset, model, strategy``, other columns only where they vary, then
    ``n_labeled, n_seeds, accuracy_mean, accuracy_std`` (sample standard deviation; NaN for one
    seed). Within a data set and model, the best first.
    """
    always = ["dataset", "model", "strategy"]
    columns = _setting_columns(table)
    by = [*always, *(c for c in columns if c not in always and len(table[c].unique()) > 1)]
    ends = evaluation.summarize(table, by).groupby(by, sort=False).tail(1)
    shown = [*by, "n_labeled", "n_seeds", "accuracy_mean", "accuracy_std"]
    order = ["dataset", "model", "accuracy_mean"]
    return ends.sort_values(order, ascending=[True, True, False], ignore_index=True)[shown]


def record(runs: list[Run], path: str | Path, add: bool = False) -> pd.DataFrame:
    """Write runs as one recorded result, and return its table.

    At `path` a tidy CSV, its folder made if it is not there; beside it, with the same stem, a JSON
    file that tells the configs (each field's value, or a list where it varies), provenance, wall
    seconds in all, and how many runs and seeds. `add` keeps the runs that `path` holds already,
    such as another machine's; one that is in both is refused.
    """
    path = Path(path)
    if path.suffix != ".csv" or path.is_dir():
        raise AlodError(f"{path}: expected the name of a .csv file; a .json is written beside it")
    adding = add and path.exists()
    there, known = _recorded(path) if adding else (pd.DataFrame(), {})
    table = _stack(runs, also=[*there.columns, *_newly_differing(there, known, runs)])
    origin = _origin(runs)
    if adding:
        table = _added(path, there, known, table)
        for name, old in known.pop("config").items():
            origin["config"][name] = old + origin["config"][name]
        origin |= {name: old + origin[name] for name, old in known.items()}
    keys = _setting_columns(table)
    seeds = table.groupby(keys)["seed"].nunique()
    told = {
        "config": {name: _one_or_all(values) for name, values in origin["config"].items()},
        "n_runs": len(table[[*keys, "seed"]].drop_duplicates()),
        "n_seeds": _one_or_all(sorted(seeds.tolist())),
        **{name: _one_or_all(origin[name]) for name in SOURCES},
        "wall_seconds": round(sum(origin["wall_seconds"]), 2),
        "time": max(origin["time"]),
    }
    with refusing(path, UNWRITABLE):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, table.to_csv(index=False), UNWRITABLE)
    write_atomically(path.with_suffix(".json"), json.dumps(told, indent=1) + "\n", UNWRITABLE)
    return table


def _origin(runs: list[Run]) -> dict[str, Any]:
    """Return where runs come from: of each field and source, a list of what the runs tell."""
    runs = sorted(runs, key=lambda run: run.config.seed)
    config = {name: [getattr(run.config, name) for run in runs] for name in FIELDS}
    return {"config": config} | {n: [run.provenance.get(n) for run in runs] for n in ORIGIN}


def _recorded(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a recorded result, with what fields younger than it meant then, as `_origin` tells."""
    told = json.loads(path.with_suffix(".json").read_text())
    config = later_defaults() | told["config"]
    origin: dict[str, Any] = {"config": {name: _all(config.get(name), name) for name in FIELDS}}
    return pd.read_csv(path), origin | {name: _all(told.get(name)) for name in ORIGIN}


def _newly_differing(there: pd.DataFrame, known: dict[str, Any], runs: list[Run]) -> list[str]:
    """Return the fields in which the new runs, all alike, differ from the recorded, all alike."""
    kinds = {(run.config.dataset, run.config.model) for run in runs}
    if there.empty or not kinds & set(zip(there["dataset"], there["model"], strict=True)):
        return []
    old = {name: _distinct(known["config"][name]) for name in FIELDS}
    new = {name: _distinct(getattr(run.config, name) for run in runs) for name in FIELDS}
    return [n for n in FIELDS if len(old[n]) == len(new[n]) == 1 and old[n] != new[n]]


def _added(
    path: Path, there: pd.DataFrame, known: dict[str, Any], table: pd.DataFrame
) -> pd.DataFrame:
    for name in [name for name in FIELDS if name in table and name not in there]:
        values = _distinct(known["config"][name])
        if len(values) != 1:
            told = f"does not tell which of its runs have which {name} of {values}"
            raise AlodError(f"{path}: {told}, but these differ in it; write another file")
        there[name] = _in_a_cell(values[0])
    # What is measured may have become more since; the older runs have none of it.
    both = pd.concat([there, table], ignore_index=True)
    keys = [*_setting_columns(table), "seed", "round"]
    doubled = both[both.duplicated(keys)]
    if len(doubled):
        told = " ".join(map(str, doubled[keys[:-1]].to_numpy()[0]))
        raise AlodError(f"{path}: holds a run of {told} already; leave it out")
    return _sorted(both, keys)


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
