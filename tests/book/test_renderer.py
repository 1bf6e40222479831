"""Figures become HTML in this book, and in no other."""

import json
import re
import subprocess
import sys
from importlib.metadata import entry_points

import nbformat
import plotly.graph_objects as go
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from alod_book.renderer import figure_html, figures_as_html

PLOTLY = "application/vnd.plotly.v1+json"
FIGURE = go.Figure(go.Scatter(y=[1, 3]), layout={"title": {"text": "<b>More</b> & better"}})


def notebook(data):
    cell = new_code_cell("fig", outputs=[new_output("execute_result", data=data)])
    return nbformat.writes(new_notebook(cells=[cell]))


def test_figures_become_html_without_a_script_of_their_own():
    drawn = json.loads(figures_as_html(notebook({PLOTLY: json.loads(FIGURE.to_json())})))
    (output,) = drawn["cells"][0]["outputs"]
    assert list(output["data"]) == ["text/html"]
    html = output["data"]["text/html"]
    (kept,) = re.findall(r'<script type="application/json">(.*)</script>', html)
    assert json.loads(kept)["layout"]["title"]["text"] == "<b>More</b> & better"
    assert "<" not in kept  # Or a title could end the script.
    assert 'aria-label="More  &amp; better"' in html
    assert "src=" not in html
    assert len(html) < 20_000  # plotly.js alone has 4.8 MB


def test_title_and_note_are_written_by_the_page_and_the_plot_keeps_its_height():
    given = {"title": "More & better", "note": "n = 3", "px": 63}
    figure = go.Figure(FIGURE).update_layout(height=400, meta={"alt": "Both", "head": given})
    html = figure_html(json.loads(figure.to_json()))
    assert '<p class="alod-title">More &amp; better</p><p class="alod-note">n = 3</p>' in html
    assert 'style="height:337px"' in html


def test_what_is_no_figure_stays_as_it_is():
    plain = notebook({"text/plain": "3", "text/html": "<b>3</b>"})
    assert json.loads(figures_as_html(plain)) == json.loads(plain)


def test_an_installed_alod_changes_nothing_in_the_books_of_others(tmp_path):
    pytest.importorskip("jupyter_book")
    for group in ("myst_nb.mime_renderers", "myst_nb.renderers"):
        assert not [point for point in entry_points(group=group) if point.value.startswith("alod")]
    # As Plotly writes a figure for pages: its JSON, and HTML that brings plotly.js along.
    stored = {PLOTLY: json.loads(FIGURE.to_json()), "text/html": "<div>with its own script</div>"}
    (tmp_path / "theirs.ipynb").write_text(notebook(stored))
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: theirs\n")
    (tmp_path / "_config.yml").write_text('title: Theirs\nexecute:\n  execute_notebooks: "off"\n')
    build = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", build, "build", str(tmp_path), "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # MyST-NB's own answer to Plotly's JSON, which takes the HTML.
    assert f"skipping unknown output mime type: {PLOTLY}" in done.stderr
    page = (tmp_path / "_build" / "html" / "theirs.html").read_text()
    assert "<div>with its own script</div>" in page
    assert "alod" not in page and "plotly-graph-div" not in page
