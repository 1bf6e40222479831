"""What is typed on the command line is read as the setting that it is."""

import pytest

from alod import AlodError
from alod.cli.options import given, with_options, with_settings
from alod.experiments.run import ExperimentConfig


def test_only_what_was_typed_is_given():
    typed = {"strategy_params": '{"focus": 3}', "budgets": "20,50", "steps": 0, "seed": None}
    read = {"strategy_params": {"focus": 3}, "budgets": [20, 50], "steps": 0}
    assert given(ExperimentConfig, typed) == read


@pytest.mark.parametrize(
    ("name", "text"), [("budgets", "20,many"), ("strategy_params", "{"), ("strategy_params", "3")]
)
def test_what_cannot_be_read_is_refused_by_its_option(name, text):
    with pytest.raises(AlodError, match=f"--{name.replace('_', '-')} '.*': expected"):
        given(ExperimentConfig, {name: text})


def test_a_command_has_its_own_options_and_those_of_a_recipe():
    @with_settings("alod.experiments.config:ExperimentConfig")
    def command(out: str, **settings: object) -> None: ...

    assert list(command.__annotations__) == ["out"]
    names = list(with_options(command).__annotations__)
    assert names[0] == "out"
    assert set(names) == {"out", *ExperimentConfig.__dataclass_fields__}
