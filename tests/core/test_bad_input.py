"""Every kind of bad input: one clear line, before any compute, nothing half-written."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import alod
from alod import AlodError, cli, initial, models, outliers, training
from alod.errors import check_count
from alod.experiments.run import run_experiment

GREY = np.zeros((20, 28, 28), dtype=np.uint8)


def learner(images=GREY, **changes):
    return alod.ActiveLearner(images, **({"n_classes": 10, "model": "lenet5"} | changes))


def run(**changes):
    return run_experiment(alod.ExperimentConfig(model="lenet5", **changes), "never-written")


def truncated():
    """A data folder whose first file was cut off."""
    raw = Path(tempfile.mkdtemp(), "MNIST", "raw")
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte").write_bytes(bytes(1000))
    return raw.parents[1]


def teach(labels):
    asking = learner()
    asking.teach(asking.query(2), np.array(labels))


PYTHON = {
    "unknown data set": lambda: alod.load_dataset("minst"),
    "unknown data set in a run": lambda: run(dataset="minst"),
    "unknown model": lambda: models.build("vgg"),
    "unknown model in a config": lambda: run_config(model="vgg"),
    "unknown strategy": lambda: run_config(strategy="outliers"),
    "unknown strategy of a learner": lambda: learner(strategy="outliers"),
    "unknown detector": lambda: outliers.make("forest"),
    "unknown detector in a config": lambda: run_config(strategy_params={"detector": "forest"}),
    "unknown strategy parameter": lambda: run_config(strategy_params={"depth": 3}),
    "strategy parameters no dict": lambda: run_config(strategy_params=3),
    "strategy parameter no plain value": lambda: run_config(
        strategy_params={"detector": outliers.KNN()}
    ),
    "unknown initial method": lambda: run_config(initial="kmean"),
    "unknown training mode": lambda: run_config(training_mode="cold"),
    "unknown augmentation": lambda: run_config(augment="flip"),
    "unknown device": lambda: run_config(device="gpu"),
    "device that is not there": lambda: training.resolve_device("cuda:63"),
    "n_query larger than the pool": lambda: run(n_query=6000),
    "n_query zero": lambda: run_config(n_query=0),
    "n_query a fraction": lambda: run_config(n_query=0.5),
    "rounds negative": lambda: run_config(rounds=-1),
    "seed negative": lambda: run_config(seed=-1),
    "learning rate of zero": lambda: run_config(learning_rate=0),
    "query larger than the pool": lambda: learner().query(21),
    "initial set larger than the pool": lambda: initial.select(GREY[:, None], 21),
    "images of wrong shape": lambda: learner(np.zeros((20, 28), dtype=np.uint8)),
    "images of wrong dtype": lambda: learner(np.zeros((20, 28, 28), dtype=np.int64)),
    "images with NaN": lambda: learner(np.full((20, 28, 28), np.nan, dtype=np.float32)),
    "images out of range": lambda: learner(np.full((20, 28, 28), 3.0, dtype=np.float32)),
    "no images": lambda: learner(GREY[:0]),
    "one class": lambda: learner(n_classes=1),
    "targets out of range": lambda: alod.from_arrays(GREY, np.full(20, 11), classes=list("ab")),
    "model without embedding": lambda: learner(
        model=torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    ),
    "fit without labels": lambda: learner().fit(),
    "labels that were not asked for": lambda: learner().teach(np.array([0]), np.array([1])),
    "label out of range": lambda: teach([3, 10]),
    "label below foreign": lambda: teach([3, -2]),
    "labels of the wrong type": lambda: teach([3.0, 1.0]),
    "corrupt data file": lambda: alod.load_dataset("mnist", truncated()),
    "folder that is not there": lambda: alod.from_folder("no/such/folder"),
    "learner file that is not there": lambda: alod.ActiveLearner.load("no/such/file"),
}


def run_config(**changes):
    return alod.ExperimentConfig(**changes)


@pytest.mark.parametrize("case", PYTHON, ids=list(PYTHON))
def test_python_refuses_in_one_line(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AlodError) as refusal:
        PYTHON[case]()
    message = str(refusal.value)
    assert "\n" not in message
    assert len(message) > 20
    assert list(tmp_path.iterdir()) == []


COMMAND_LINE = {
    "unknown model": "run --out OUT --model vgg",
    "unknown strategy": "run --out OUT --strategy outliers",
    "unknown detector": """run --out OUT --strategy-params {"detector":"forest"}""",
    "strategy parameters not JSON": "run --out OUT --strategy-params detector=knn",
    "unknown data set": "run --out OUT --dataset minst",
    "unknown device": "run --out OUT --device gpu",
    "too many labels": "run --out OUT --rounds 100",
    "not a number": "run --out OUT --rounds many",
    "unknown option": "run --out OUT --round 3",
    "no output folder": "run",
    "output under a file": "run --out FILE/run",
    "output is a file": "run --out FILE",
    "output folder with other files": "run --out .",
    "unknown command": "runs",
    "unknown data set to fetch": "data minst",
    "unknown chapter": "book run chapter_99",
    "unknown chapter parameter": "book run mnist -p modle cnn",
    "chapter parameter of the wrong type": "book run mnist -p rounds few",
    "chapter parameter without value": "book run mnist -p =3",
}


@pytest.mark.parametrize("case", COMMAND_LINE, ids=list(COMMAND_LINE))
def test_command_line_exits_2_with_one_line(case, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    line = COMMAND_LINE[case].replace("OUT", "out").replace("FILE", "file")
    with pytest.raises(SystemExit) as stop:
        cli.main(line.split())
    told = capsys.readouterr().err
    assert stop.value.code == 2
    assert told.startswith("alod: ")
    assert told.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_folder_of_another_config_is_refused_and_left_alone(tmp_path, mini):
    config = alod.ExperimentConfig(model="lenet5", n_initial=20, rounds=0, steps=1)
    run_experiment(config, tmp_path / "run", data=mini)
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()}
    other = alod.ExperimentConfig(model="cnn", n_initial=20, rounds=0, steps=1)
    with pytest.raises(AlodError, match="model='lenet5' there, 'cnn' asked"):
        run_experiment(other, tmp_path / "run", data=mini)
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before


def test_installed_command_refuses_too(tmp_path):
    command = [sys.executable, "-m", "alod.cli", "run", "--model", "vgg", "--out", "out"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("alod: unknown model 'vgg'")
    assert list(tmp_path.iterdir()) == []


NUMBERS = {
    "NumPy": np.int64,
    "NumPy, 8 bits": np.uint8,
    "NumPy, an array without axes": np.array,
    "pandas": lambda number: pd.Series([number]).max(),
    "torch": torch.tensor,
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_whole_numbers_are_taken_from_whoever_hands_them_out(kind, tmp_path, mini):
    whole = NUMBERS[kind]
    given = {"n_classes": whole(3), "seed": whole(1), "steps": whole(2), "views": whole(0)}
    images = mini.images[:30]
    asking = alod.ActiveLearner(images, model="lenet5", **given)
    plain = alod.ActiveLearner(images, 3, model="lenet5", seed=1, steps=2)
    np.testing.assert_array_equal(asking.query(whole(4)), plain.query(4))
    asking.save(tmp_path / "learner.pt")
    assert alod.ActiveLearner.load(tmp_path / "learner.pt").n_classes == 3
    folder = tmp_path / "labels"
    alod.open_run(folder, images, ["a", "b"], seed=whole(3), audit=whole(2), model="lenet5")
    assert alod.open_run(folder).settings.seed == 3


def test_numbers_of_numpy_and_torch_leave_the_hash_of_a_config_alone():
    plain = alod.ExperimentConfig(
        seed=3, n_query=7, learning_rate=0.25, strategy_params={"focus": 2.0}
    )
    numpys = alod.ExperimentConfig(
        seed=np.int64(3),
        n_query=torch.tensor(7),
        learning_rate=np.float32(0.25),
        strategy_params={"focus": torch.tensor(2.0)},
    )
    assert numpys.hash() == plain.hash()


@pytest.mark.parametrize("value", [True, np.True_, torch.tensor(True), 2.0, np.float64(2), "2"])
def test_what_is_no_whole_number_is_none_of_any_library(value):
    with pytest.raises(AlodError, match="expected a whole number at least 1"):
        check_count("steps", value, 1)


@pytest.mark.parametrize("kind", [list, tuple, iter, np.array, pd.Index, pd.Series])
def test_class_names_are_taken_from_any_sequence(kind, tmp_path):
    data = alod.from_arrays(GREY, np.arange(20) % 2, classes=kind(["cat", "dog"]))
    run = alod.open_run(tmp_path / "labels", GREY, kind(["cat", "dog"]), model="lenet5")
    assert data.classes == run.classes == ("cat", "dog")
    assert {type(name) for name in data.classes + run.classes} == {str}


@pytest.mark.parametrize("classes", [{"cat", "dog"}, "catdog", 2, ["cat", 3], np.array([1, 2])])
def test_what_is_no_sequence_of_names_is_refused(classes, tmp_path):
    with pytest.raises(AlodError, match="expected a list of names"):
        alod.from_arrays(GREY, np.arange(20) % 2, classes=classes)
    with pytest.raises(AlodError, match="expected a list of names"):
        alod.open_run(tmp_path / "labels", GREY, classes, model="lenet5")
    assert not (tmp_path / "labels").exists()
