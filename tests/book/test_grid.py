"""A chapter over a grid of parameters runs each combination once."""

import pytest
from toy_notebooks import PARAMETERS, write_notebook

from alod_book import grid


def test_a_batch_runs_every_combination_once_and_lists_what_they_found(checkout, tmp_path, capsys):
    draw = (
        "import plotly.graph_objects as go\n"
        "1 / (rounds - 3)\n"
        "go.Figure(layout={'title': {'text': f'{model} <b>&</b> {rounds}<br><span>n</span>'}})"
    )
    write_notebook(checkout / "book" / "toy.ipynb", PARAMETERS, draw)
    out = tmp_path / "batch"
    arguments = ["toy", "-p", "rounds", "2,3", "-p", "model", "lenet5", "--out", str(out)]
    with pytest.raises(SystemExit) as left:
        grid.main(arguments)
    assert left.value.code == 1
    page = (out / "index.html").read_text()
    assert "<td>2</td><td>lenet5</td>" in page
    assert "<li>lenet5 &lt;b&gt;&amp;&lt;/b&gt; 2</li>" in page
    assert "failed: ZeroDivisionError: division by zero" in page
    kept = out / "toy_rounds-2_model-lenet5.ipynb"
    assert f'href="{kept.name}"' in page
    assert [path.name for path in out.glob("*.ipynb")] == [kept.name]
    before = kept.read_bytes()
    assert grid.run_batch("toy", {"rounds": [2, 4], "model": ["lenet5"]}, out) == {}
    assert kept.read_bytes() == before
    assert len(list(out.glob("*.ipynb"))) == 2


def test_a_bad_batch_is_refused_before_anything_runs(checkout, tmp_path, capsys):
    write_notebook(checkout / "book" / "toy.ipynb", PARAMETERS)
    for pair, told in (
        ("model vgg", "cnn | lenet5"),
        ("round 1", "rounds"),
        ("rounds 1,1", "once"),
    ):
        with pytest.raises(SystemExit) as left:
            grid.main(["toy", "-p", *pair.split(), "--out", str(tmp_path / "batch")])
        assert left.value.code == 2 and told in capsys.readouterr().err
    assert not (tmp_path / "batch").exists()
