"""Chapters run whole or not at all, from anywhere, and lie where they are told to."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from toy_notebooks import PARAMETERS, write_notebook

from alod import AlodError
from alod_book import chapters
from alod_book.build import build

ROOT = Path(__file__).parents[2]


def test_a_chapter_runs_with_this_interpreter_and_its_parameters(checkout, tmp_path, monkeypatch):
    wrong = tmp_path / "jupyter" / "kernels" / "python3"
    wrong.mkdir(parents=True)
    spec = {"argv": ["false"], "display_name": "broken", "language": "python"}
    (wrong / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    write_notebook(
        checkout / "book" / "toy.ipynb", PARAMETERS, "import sys; sys.executable, rounds"
    )
    out = chapters.run_chapter("toy", {"rounds": "5"}, tmp_path / "out.ipynb", progress=False)
    last = nbformat.read(out, as_version=4).cells[-1]
    assert last.outputs[0].data["text/plain"] == repr((sys.executable, 5))


def test_a_failing_chapter_shows_its_error_and_leaves_no_file(checkout, tmp_path):
    write_notebook(checkout / "book" / "toy.ipynb", PARAMETERS, "1 / 0")
    with pytest.raises(chapters.ChapterFailed, match="ZeroDivisionError"):
        chapters.run_chapter("toy", {}, tmp_path / "out.ipynb", progress=False)
    assert not (tmp_path / "out.ipynb").exists()


def test_papermill_alone_runs_a_chapter_from_another_directory(tmp_path):
    chapter = ROOT / "book" / "active_learning.ipynb"
    command = [sys.executable, "-m", "papermill", str(chapter), "out.ipynb", "--no-progress-bar"]
    command += ["-k", "python3", "-p", "strategy", "entropy", "-p", "rounds", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    # A chapter leaves nothing behind in the reader's folder.
    assert [path.name for path in tmp_path.iterdir()] == ["out.ipynb"]
    figures = (tmp_path / "out.ipynb").read_text().count('"application/vnd.plotly.v1+json"')
    assert figures == 3


def test_bad_runs_are_refused_before_anything_runs(checkout, tmp_path):
    source = write_notebook(checkout / "book" / "toy.ipynb", PARAMETERS)
    before = source.read_bytes()
    with pytest.raises(AlodError, match=r"unknown chapter 'top'.*did you mean 'toy'"):
        chapters.run_chapter("top")
    with pytest.raises(AlodError, match="another file than the chapter"):
        chapters.run_chapter("toy", out=source)
    with pytest.raises(AlodError, match="folder that exists"):
        chapters.run_chapter("toy", out=tmp_path / "nowhere" / "out.ipynb")
    with pytest.raises(AlodError, match="unknown scale 'huge'"):
        build("huge")
    with pytest.raises(AlodError, match="jobs=0"):
        build(jobs=0)
    with pytest.raises(AlodError, match="expected a folder that exists"):
        build(data=tmp_path / "nowhere")
    assert source.read_bytes() == before
    assert not (checkout / "_build").exists()


def test_outside_a_checkout_the_mend_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(
        chapters, "__file__", str(tmp_path / "site-packages" / "alod_book" / "chapters.py")
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AlodError, match="clone it"):
        chapters.book_folder()
    monkeypatch.chdir(ROOT / "tests")
    assert chapters.book_folder() == ROOT / "book"


def test_runs_are_kept_where_told(tmp_path, monkeypatch):
    monkeypatch.setenv("ALOD_RUNS", str(tmp_path))
    assert chapters.run_folder("mnist_0") == tmp_path / "mnist_0"
    monkeypatch.delenv("ALOD_RUNS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert chapters.run_folder("mnist_0").is_absolute()
    for name in ("", "../up", "a/b", ".hidden"):
        with pytest.raises(AlodError, match="run name"):
            chapters.run_folder(name)
