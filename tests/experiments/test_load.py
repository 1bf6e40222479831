"""Experiment files: what one stands for, and what is refused."""

import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from alod import AlodError
from alod.experiments.load import load_configs

ROOT = Path(__file__).parents[2]

EXPANSIONS = {
    "plain fields are one config": ("rounds: 2", [{"rounds": 2, "seed": 0}]),
    "lists are crossed, seeds slowest": (
        "model: [cnn, lenet5]\nstrategy: [random, margin]\nseeds: 2",
        [
            {"model": m, "strategy": s, "seed": i}
            for i in (0, 1)
            for m in ("cnn", "lenet5")
            for s in ("random", "margin")
        ],
    ),
    "seeds as a list": ("seeds: [7, 3]", [{"seed": 3}, {"seed": 7}]),
    "one list of budgets": ("budgets: [10, 30]", [{"budgets": [10, 30], "rounds": 1}]),
    "lists of budgets": (
        "budgets: [[10, 30], [20]]",
        [{"budgets": [10, 30]}, {"budgets": [20], "n_initial": 20}],
    ),
    "blocks": (
        "- {model: cnn, strategy: [random, margin], seeds: 2}\n- {model: lenet5}",
        [
            {"model": "cnn", "strategy": "random", "seed": 0},
            {"model": "cnn", "strategy": "margin", "seed": 0},
            {"model": "lenet5", "seed": 0},
            {"model": "cnn", "strategy": "random", "seed": 1},
            {"model": "cnn", "strategy": "margin", "seed": 1},
        ],
    ),
    "strategies with their own parameters": (
        "strategy: [random, {strategy: outlier, strategy_params: {detector: lof}}]",
        [
            {"strategy": "random", "strategy_params": {}},
            {"strategy": "outlier", "strategy_params": {"detector": "lof"}},
        ],
    ),
    "a list of parameters": (
        "strategy: outlier_topk\nstrategy_params: [{detector: lof}, {}]",
        [{"strategy_params": {"detector": "lof"}}, {"strategy_params": {}}],
    ),
    "a model with other rounds and seeds": (
        "rounds: 9\nseeds: 2\nmodel: [cnn, {model: resnet18, rounds: 4, seeds: 1}]",
        [
            {"model": "cnn", "rounds": 9, "seed": 0},
            {"model": "resnet18", "rounds": 4, "seed": 0},
            {"model": "cnn", "rounds": 9, "seed": 1},
        ],
    ),
    "two lists with mappings": (
        "model: [cnn, {model: lenet5, rounds: 1}]\n"
        "strategy: [margin, {strategy: outlier, strategy_params: {focus: 3}}]",
        [
            {"model": "cnn", "rounds": 9, "strategy": "margin"},
            {"model": "cnn", "rounds": 9, "strategy_params": {"focus": 3}},
            {"model": "lenet5", "rounds": 1, "strategy": "margin"},
            {"model": "lenet5", "rounds": 1, "strategy_params": {"focus": 3}},
        ],
    ),
    "powers of ten": (
        "learning_rate: [1e-3, 1E-2, .5e-1, 1.0e-3]\nsteps: 3e2\nmin_epochs: 1_0",
        [{"learning_rate": r, "steps": 300, "min_epochs": 10} for r in (0.001, 0.01, 0.05)],
    ),
    "yes for a truth value": ("\ufeffdiagnose: yes\r\n", [{"diagnose": True}]),
    "what is written twice runs once": (
        "rounds: [1, 2]\nmodel: [cnn, {model: lenet5, rounds: 4}, cnn]",
        [
            {"model": "cnn", "rounds": 1},
            {"model": "lenet5", "rounds": 4},
            {"model": "cnn", "rounds": 2},
        ],
    ),
}


@pytest.mark.parametrize("case", EXPANSIONS, ids=list(EXPANSIONS))
def test_file_stands_for(case, tmp_path):
    text, expected = EXPANSIONS[case]
    path = tmp_path / "file.yaml"
    path.write_bytes(text.encode())
    configs = load_configs(path)
    shown = [{k: asdict(c)[k] for k in e} for c, e in zip(configs, expected, strict=True)]
    assert shown == expected


REFUSALS = {
    "empty": ("", "expected fields"),
    "a list": ("- random", "expected fields"),
    "not YAML": ("model: [cnn", "not YAML"),
    "not text": ("\x00", "not YAML"),
    "a date that there is not": ("seeds: 2026-99-99", "not YAML"),
    "unknown field": ("modle: cnn", "unknown field 'modle'.*did you mean 'model'"),
    "seed in place of seeds": ("seed: 3", "did you mean 'seeds'"),
    "unknown field in an entry": ("model: [{model: cnn, round: 2}]", "did you mean 'rounds'"),
    "entry without its own field": ("model: [{rounds: 2}]", "expected 'model' among"),
    "no value": ("model: []", "at least one value"),
    "no seed": ("seeds: []", "at least one seed"),
    "seeds zero": ("seeds: 0", "seeds=0"),
    "a seed in words": ("seeds: [one]", "seed='one'"),
    "unknown data set": ("dataset: [mnist_mini, minst]", "dataset='minst': unknown data set"),
    "one entry of many": (
        "model: [cnn, lenet5]\nstrategy: [random, {strategy: outlier, strategy_params: {k: 3}}]",
        "model='cnn', strategy='outlier', strategy_params={'k': 3}: unknown parameter",
    ),
    "two entries at odds": (
        "model: [{model: cnn, rounds: 1}]\nstrategy: [{strategy: random, rounds: 2}]",
        "rounds is set to 1 and to 2",
    ),
    "a mapping that is no entry": ("model: {model: cnn}", "unknown model"),
    "a field twice": ("strategy: random\nstrategy: outlier", "strategy: is given twice"),
    "a field twice in an entry": ("model: [{model: cnn, rounds: 1, rounds: 2}]", "rounds: is give"),
    "base 8": ("steps: [200, 010]", "steps: 010: YAML reads it as a number in base 8"),
    "base 8 that is none": ("steps: 080", "steps: 080: .* without the 0"),
    "base 60": ("steps: 1:30", "steps: 1:30: .* base 60"),
    "commas in a number": ("steps: 1,000", "steps: 1,000: .* without commas"),
    "a variable": ("model: ${MODEL}", r"model: \$\{MODEL\}: .* no variable"),
    "no for a name": ("strategy: [random, no]", "strategy: no: YAML reads it as true or false"),
    "a number for yes": ("diagnose: 1", "diagnose=1: expected True or False"),
    "a tab": ("strategy:\trandom", "spaces for tabs"),
    "capitals": ("strategy: Random", "unknown strategy 'Random'.*did you mean 'random'"),
    "a blank behind": ("strategy: 'random '", "'random '.*did you mean 'random'"),
}


@pytest.mark.parametrize("case", REFUSALS, ids=list(REFUSALS))
def test_file_is_refused_in_one_line_that_names_it(case, tmp_path):
    text, told = REFUSALS[case]
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(AlodError, match=told) as refusal:
        load_configs(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)


def test_page_shows_the_example_as_it_is():
    example = (ROOT / "book" / "experiments" / "example.yaml").read_text()
    assert f"```yaml\n{example}```" in (ROOT / "book" / "reproduce.md").read_text()


EXPERIMENTS = ROOT / "book" / "experiments"


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_experiment_file_of_the_book_can_be_read(path, monkeypatch):
    # From its folder, as it says: what it names lies beside it, and is not to stay.
    monkeypatch.syspath_prepend(str(EXPERIMENTS))
    before = set(sys.modules)
    try:
        assert load_configs(path)
    finally:
        for module in {*sys.modules} - before:
            if module in ("candidates", "open_rivals", "rivals", "sets"):
                del sys.modules[module]
