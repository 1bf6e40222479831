"""The status page tells what was computed."""

import json
import sys
from pathlib import Path

import pandas as pd
from toy_notebooks import PARAMETERS, write_notebook

from alod_book import chapters
from alod_book.status import status_page

ROOT = Path(__file__).parents[2]


def test_status_tells_parameters_and_seconds(tmp_path):
    path = write_notebook(tmp_path / "toy.ipynb", PARAMETERS)
    content = json.loads(path.read_text())
    content["metadata"]["papermill"] = {"parameters": {"scale": "full"}, "duration": 41.6}
    path.write_text(json.dumps(content))
    page = status_page(tmp_path, "full")
    (row,) = [line for line in page.splitlines() if line.startswith("| [toy](toy.ipynb)")]
    assert "`rounds=2`" in row
    assert "`scale=full`" in row
    assert row.startswith("| [toy](toy.ipynb) | 42 | – |")
    assert f"| python | {sys.version.split()[0]} |" in page


UNTIMED = {
    "active_learning",
    "own_strategy",
    "photographs",
    "playground",
    "strategy_cards",
}  # newer than scripts/time_chapters.py's last run


def test_every_chapter_has_been_timed_with_a_gpu_or_is_said_not_to_be(tmp_path):
    for name in chapters.notebooks():
        content = json.loads(chapters.notebooks()[name].read_text())
        content["metadata"]["papermill"] = {"parameters": {}, "duration": 10.0}
        (tmp_path / f"{name}.ipynb").write_text(json.dumps(content))
    recorded = pd.read_csv(ROOT / "book" / "results" / "gpu_seconds.csv", index_col="chapter")
    page = status_page(tmp_path, "quick")
    assert set(chapters.notebooks()) == {*recorded.index, *UNTIMED}
    for name in chapters.notebooks():
        seconds = "–" if name in UNTIMED else f"{recorded.seconds[name]:.0f}"
        assert f"| [{name}]({name}.ipynb) | 10 | {seconds} |" in page
