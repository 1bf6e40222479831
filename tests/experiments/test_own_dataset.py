"""A data set of one's own, "sets:toy", in configs, sweeps and tables."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

import alod
from alod import AlodError, cli
from alod.data import encoded
from alod.experiments.record import find_runs
from alod.experiments.run import check_data
from alod.experiments.sweep import run_sweep

SETS = """
from dataclasses import replace
from pathlib import Path

import numpy as np

import alod

HERE = Path(__file__).parent
CALLED = HERE / "called"


def toy(first=0):
    mini = alod.load_dataset("mnist_mini")
    chosen = slice(first, first + 300)
    test = mini.test_images[:100], mini.test_targets[:100]
    made = alod.from_arrays(mini.images[chosen], mini.targets[chosen], *test, mini.classes)
    return replace(made, augment="digits")


def with_strangers():
    data = toy()
    data.targets[::3] = -1
    return data


def on_disk():
    np.save(HERE / "pool.npy", toy().images.numpy())
    kept = np.load(HERE / "pool.npy", mmap_mode="c")
    return alod.from_arrays(kept, toy().targets, toy().test_images, toy().test_targets)


def images():
    return toy().images


def torn():
    return replace(toy(), targets=toy().targets[:9])


def broken():
    raise OSError("no such\\ndisk")


def missing():
    raise alod.AlodError("toys are not there; get them")


def __getattr__(name):
    if name.startswith("toy_from_"):
        return lambda: toy(int(name.removeprefix("toy_from_")))
    raise AttributeError(name)
"""
FILE = """
dataset: ["sets:toy", "sets:toy_from_300", "sets:with_strangers"]
model: linear
encoder: random_conv
strategy: random
budgets: [20, 40]
device: cpu
"""
SETTINGS = {"model": "linear", "encoder": "random_conv", "budgets": [20, 40], "device": "cpu"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with sets.py and file.yaml, where we are."""
    (tmp_path / "sets.py").write_text(SETS)
    (tmp_path / "file.yaml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("ALOD_DATA", str(tmp_path / "data"))
    yield tmp_path
    sys.modules.pop("sets", None)


def config(name, **more):
    return alod.ExperimentConfig(dataset=name, **SETTINGS | more)


def test_a_name_made_when_asked_for_runs_as_the_data_set_given_does():
    made = alod.load_dataset("sets:toy_from_300")
    mini = alod.load_dataset("mnist_mini")
    assert made.images.equal(mini.images[300:600]) and made.targets.equal(mini.targets[300:600])
    assert (made.name, made.augment, made.classes) == ("sets:toy_from_300", "digits", mini.classes)
    run = alod.run_experiment(config(made.name), "named", on_round=lambda row: None)
    given = alod.run_experiment(config("mnist_mini"), "given", made, on_round=lambda row: None)
    assert run.queries.equals(given.queries)
    assert run.history["test_accuracy"].equals(given.history["test_accuracy"])


def test_swept_and_compared_where_processes_are_older_than_it():
    joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(number) for number in range(2))
    cli.main(["sweep", "file.yaml", "--out", "runs", "--jobs", "2"])
    cli.main(["compare", "runs", "--out", "table.csv"])
    foreign = pd.read_csv("table.csv").query("n_labeled == 40").set_index("dataset")["n_foreign"]
    run = next(run for run in find_runs(["runs"])[0] if run.config.dataset == "sets:with_strangers")
    expected = {"sets:toy": 0, "sets:toy_from_300": 0}
    assert foreign.to_dict() == {**expected, run.config.dataset: (run.asked() % 3 == 0).sum()}


def test_features_are_kept_once_also_of_images_on_disk():
    runs = [
        alod.run_experiment(config(f"sets:{name}", seed=seed), f"{name}{seed}")
        for name in ("toy", "on_disk")
        for seed in (0, 1)
    ]
    assert len(list(Path("data/encoded").glob("*.npz"))) == 1  # the same images
    assert runs[0].queries.equals(runs[2].queries)


def test_who_encodes_at_the_same_time_waits_for_the_first(monkeypatch):
    made = []

    def slow(*arguments):
        made.append(arguments)
        time.sleep(0.3)
        return make(*arguments)

    make = encoded.make
    monkeypatch.setattr(encoded, "make", slow)
    data = alod.load_dataset("sets:toy")
    with ThreadPoolExecutor(2) as pool:  # each opens the lock anew, as a process does
        one, other = pool.map(lambda _: encoded.encoded(data, "random_conv"), range(2))
    assert len(made) == 1
    assert one.images.equal(other.images)


@pytest.mark.parametrize("pool", ["duplicates", "long_tail", "foreign_hard_20"])
def test_stress_pools_are_made_of_it_where_no_other_data_set_is_needed(pool):
    run = alod.run_experiment(config("sets:toy", pool=pool), "run", on_round=lambda row: None)
    assert run.history["n_labeled"].tolist() == [20, 40]


@pytest.mark.parametrize(
    ("name", "pool", "told"),
    [
        ("sets:toy", "foreign_20", "no images foreign to 'sets:toy' are known"),
        ("sets:with_strangers", "long_tail", "has images without target; give pool='clean'"),
        ("sets:images", "clean", "'sets:images': expected what alod.from_arrays returns, is <"),
        ("sets:torn", "clean", r"'sets:torn': targets have shape \(9,\): expected \(300,\)"),
        ("sets:broken", "clean", "'sets:broken': OSError: no such disk"),
        ("sets:missing", "clean", "'sets:missing': toys are not there; get them"),
        ("sets:absent", "clean", "'sets:absent': expected 'module:function', importable from"),
        ("sets:HERE", "clean", "'sets:HERE': expected 'module:function', importable from"),
        ("absent:toy", "clean", "ModuleNotFoundError: No module named 'absent'"),
    ],
)
def test_what_it_is_not_is_one_line_before_anything_is_made(name, pool, told, folder):
    before = {path for path in folder.iterdir() if path.name != "__pycache__"}
    for attempt in (
        lambda: run_sweep([config(name, pool=pool)], "runs", jobs=1),
        lambda: alod.run_experiment(config(name, pool=pool), "run"),
    ):
        with pytest.raises(AlodError, match=told) as refused:
            attempt()
        assert "\n" not in str(refused.value)
    assert {path for path in folder.iterdir() if path.name != "__pycache__"} == before


def test_a_file_that_names_what_is_not_there_is_refused(capsys):
    Path("file.yaml").write_text(FILE.replace("sets:toy_from_300", "sets:toyy"))
    with pytest.raises(SystemExit):
        cli.main(["sweep", "file.yaml", "--out", "runs"])
    told = capsys.readouterr().err
    assert told.startswith("alod: file.yaml: dataset='sets:toyy': data set 'sets:toyy': expected")
    assert told.count("\n") == 1


def test_missing_targets_of_data_that_are_given_are_no_strangers():
    with pytest.raises(AlodError, match="an experiment needs them all"):
        check_data(config("mnist_mini"), alod.load_dataset("sets:with_strangers"))
    assert np.sum(alod.load_dataset("sets:with_strangers").targets.numpy() < 0) == 100
