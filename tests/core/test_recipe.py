"""A setting is declared once, and refused by name wherever it is given."""

import inspect
from dataclasses import fields
from functools import partial

import numpy as np
import pytest

import alod
from alod import AlodError, strategies
from alod.recipe import Recipe

WRONG = {
    "model": "cnm",
    "strategy": "margn",
    "strategy_params": 3,
    "initial": "k-means",
    "training_mode": "cold",
    "steps": 0,
    "batch_size": 1,
    "learning_rate": -1,
    "augment": "letters",
    "inlier_passes": -1,
    "seed": 0.5,
    "device": "tpu",
    "features": "sift",
    "min_epochs": None,
    "views": True,
    "body_rate": 1.5,
}


def own(view, k, rng, width: float = 1.0):
    return strategies.random(view, k, rng)


def test_every_setting_has_a_wrong_value_here():
    assert WRONG.keys() == {f.name for f in fields(Recipe)}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("taker", ["learner", "experiment", "run"])
def test_a_wrong_setting_is_refused_by_name_wherever_it_is_given(name, taker, tmp_path, mini):
    takers = {
        "learner": lambda **given: alod.ActiveLearner(mini.images, 10, **given),
        "experiment": lambda **given: alod.ExperimentConfig(**given),
        "run": lambda **given: alod.open_run(
            tmp_path / "run", mini.images, list(mini.classes), **given
        ),
    }
    with pytest.raises(AlodError) as refused:
        takers[taker](**{name: WRONG[name]})
    told = str(refused.value)
    assert name.replace("_", " ").removesuffix(" params") in told.replace("_", " ")
    assert repr(WRONG[name]) in told
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("taker", [alod.ActiveLearner, alod.ExperimentConfig, alod.open_run])
def test_signatures_show_every_setting_with_its_default(taker):
    shown = inspect.signature(taker).parameters
    for f in fields(Recipe):
        assert f.name in shown
    assert shown["steps"].default == 300


@pytest.mark.parametrize("taker", ["learner", "run"])
def test_a_setting_that_there_is_not_is_named_with_the_nearest(taker, tmp_path, mini):
    with pytest.raises(AlodError, match=r"setting 'stepz'.*steps"):
        if taker == "learner":
            alod.ActiveLearner(mini.images, 10, stepz=3)
        else:
            alod.open_run(tmp_path / "run", mini.images, list(mini.classes), stepz=3)


def test_a_strategy_of_ones_own_is_found_by_module_and_function(mini, tmp_path, monkeypatch):
    (tmp_path / "mine_here.py").write_text(
        "def query(view, k, rng, odd: bool = False):\n    return range(k), [0.0] * k\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    learner = alod.ActiveLearner(
        mini.images, 10, "lenet5", "mine_here:query", steps=2, strategy_params={"odd": True}
    )
    first = learner.query(20)
    learner.teach(first, mini.targets[first])
    learner.fit()
    assert learner.query(5).tolist() == learner.pool[:5].tolist()
    # Who opens a file shall not import what it names.
    learner.save(tmp_path / "learner.pt")
    with pytest.raises(AlodError, match="does not hold its strategy"):
        alod.ActiveLearner.load(tmp_path / "learner.pt")
    again = alod.ActiveLearner.load(tmp_path / "learner.pt", strategy="mine_here:query")
    assert np.array_equal(again.waiting, learner.waiting)


@pytest.mark.parametrize("name", ["no_such_module:query", "math:no_such", "math:pi", ":query"])
def test_what_cannot_be_imported_is_refused_in_one_line(name):
    with pytest.raises(AlodError, match="'module:function', importable from here") as refused:
        Recipe(strategy=name)
    assert "\n" not in str(refused.value)


def test_a_config_names_a_function_so_that_processes_find_it():
    assert alod.ExperimentConfig(strategy=own).strategy == f"{__name__}:own"
    by_name = alod.ExperimentConfig(strategy="margin")
    assert alod.ExperimentConfig(strategy=strategies.margin).hash() == by_name.hash()
    for lost in (lambda view, k, rng: None, partial(own, width=2.0), (0, 1).index):
        with pytest.raises(AlodError, match="cannot be imported by another process; define it"):
            alod.ExperimentConfig(strategy=lost)


def test_no_strategy_is_no_name_of_one():
    with pytest.raises(AlodError, match="unknown strategy None: expected one of random"):
        alod.ExperimentConfig(strategy=None)
