"""A strategy of one's own, "mine:query", in configs, sweeps and tables."""

import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

import alod
from alod import AlodError, cli
from alod.experiments.load import load_configs
from alod.experiments.run import load_run
from alod.experiments.sweep import run_sweep

MINE = '''
import numpy as np


def query(view, k, rng, last: bool = False):
    """Ask for the first images of the pool, or the last."""
    n_pool = len(view.pool_logits)
    return np.arange(n_pool - k, n_pool) if last else np.arange(k), np.zeros(k)
'''
FILE = """
model: lenet5
strategy: [random, "mine:query", {strategy: "mine:query", strategy_params: {last: true}}]
initial: random
n_initial: 20
n_query: 10
rounds: 1
steps: 2
"""
SETTINGS = {"model": "lenet5", "n_initial": 20, "n_query": 10, "rounds": 2, "steps": 2}


@pytest.fixture
def old_workers():
    """Processes that are older than the module, and do not know its folder.

    They have imported the library: one that grows later joblib takes for leaking, and replaces.
    """
    joblib.Parallel(n_jobs=2)(joblib.delayed(callable)(run_sweep) for _ in range(2))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with mine.py and file.yaml, where we are."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "file.yaml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("mine", None)


def asks_for_the_pools_ends(runs):
    for run in runs:
        pool = np.setdiff1d(np.arange(6000), run.asked(0))
        expected = pool[-10:] if run.config.strategy_params else pool[:10]
        if run.config.strategy == "mine:query":
            assert run.asked(1).tolist() == expected.tolist()
    return len(runs)


def test_a_run_asks_by_it_and_goes_on_where_it_was(folder, mini):
    def stop(row):
        raise KeyboardInterrupt

    config = alod.ExperimentConfig(strategy="mine:query", **SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        alod.run_experiment(config, "run", data=mini, on_round=stop)
    run = alod.run_experiment(config, "run", data=mini)
    pool = np.setdiff1d(np.arange(600), run.asked(0))
    assert np.concatenate([run.asked(1), run.asked(2)]).tolist() == pool[:20].tolist()
    assert load_run("run").config == config


def test_a_config_is_named_by_what_is_written(folder):
    config = alod.ExperimentConfig(strategy="mine:query", **SETTINGS)
    assert config.hash() == "13a3dd7b1536"


def test_swept_by_processes_that_are_older_than_it(old_workers, folder):
    report = run_sweep(load_configs("file.yaml"), "runs", jobs=2)
    assert report.failed == {}
    assert asks_for_the_pools_ends([load_run(path) for path in report.finished]) == 3
    cli.main(["compare", "runs", "--out", "table.csv"])
    table = pd.read_csv("table.csv")
    assert set(table["strategy"]) == {"random", "mine:query"}
    assert set(table["strategy_params"]) == {"{}", '{"last": true}'}


def test_swept_by_a_cluster_that_is_older_than_it(cluster, folder):
    report = run_sweep(load_configs("file.yaml"), "runs", dask=cluster.scheduler_address)
    assert report.failed == {}
    assert asks_for_the_pools_ends([load_run(path) for path in report.finished]) == 3


def test_the_command_line_finds_it_where_it_is_run(folder, monkeypatch):
    # As Python starts the command, and unlike `python -m`: without the current folder.
    monkeypatch.setattr(
        sys, "path", [place for place in sys.path if place not in ("", str(folder))]
    )
    for line in ("sweep file.yaml --out runs --jobs 1", "compare runs --out table.csv"):
        cli.main(line.split())
    assert set(pd.read_csv("table.csv")["strategy"]) == {"random", "mine:query"}


@pytest.mark.parametrize("strategy", ["absent:query", "mine:absent", "mine:np"])
def test_what_is_not_there_is_refused_before_anything_is_made(strategy, folder, capsys):
    Path("file.yaml").write_text(FILE.replace("mine:query", strategy))
    before = set(folder.iterdir())
    with pytest.raises(SystemExit) as stop:
        cli.main(["sweep", "file.yaml", "--out", "runs"])
    told = capsys.readouterr().err
    assert stop.value.code == 2
    assert told.startswith("alod: ") and told.count("\n") == 1
    assert strategy in told
    assert {path for path in folder.iterdir() if path.name != "__pycache__"} == before
    with pytest.raises(AlodError, match=strategy):
        alod.ExperimentConfig(strategy=strategy)
