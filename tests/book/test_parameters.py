"""A chapter's parameters are checked before anything runs."""

import re

import pytest
from toy_notebooks import PARAMETERS, write_notebook

from alod import AlodError
from alod_book.parameters import check_parameters


@pytest.fixture
def notebook(tmp_path):
    return write_notebook(tmp_path / "toy.ipynb", PARAMETERS)


def test_strings_become_what_the_cell_says(notebook):
    given = {
        "model": "resnet18",
        "rounds": "3",
        "rate": "1",
        "seed": "7",
        "augment": "false",
        "stop": "none",
    }
    checked = check_parameters(notebook, given)
    assert checked == {
        "model": "resnet18",
        "rounds": 3,
        "rate": 1.0,
        "seed": 7,
        "augment": False,
        "stop": None,
    }
    assert type(checked["rate"]) is float
    assert check_parameters(notebook, {"stop": "5"}) == {"stop": 5}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"round": 2}, "rounds"),
        ({"rounds": "many"}, "int"),
        ({"rounds": 2.5}, "int"),
        ({"rounds": True}, "int"),
        ({"rate": "fast"}, "float"),
        ({"augment": "maybe"}, "bool"),
        ({"stop": "soon"}, "int or none"),
        ({"model": "vgg"}, "cnn | lenet5 | resnet18"),
        ({"model": 3}, "cnn | lenet5 | resnet18"),
        ({"scale": "huge"}, "quick | full"),
    ],
)
def test_wrong_parameters_are_refused_in_one_line(notebook, given, told):
    with pytest.raises(AlodError, match=re.escape(told)) as refusal:
        check_parameters(notebook, given)
    assert "\n" not in str(refusal.value)
    assert str(next(iter(given.values()))) in str(refusal.value) or "round" in str(refusal.value)


def test_a_notebook_without_parameters_cell_is_refused(tmp_path):
    untagged = write_notebook(tmp_path / "toy.ipynb", PARAMETERS, tags=())
    with pytest.raises(AlodError, match="no cell is tagged"):
        check_parameters(untagged, {})
    (tmp_path / "broken.ipynb").write_text("{")
    with pytest.raises(AlodError, match="expected a Jupyter notebook"):
        check_parameters(tmp_path / "broken.ipynb", {})
