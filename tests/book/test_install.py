"""What an installation brings, and what it needs for more."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import plotly
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from plotly.offline import get_plotlyjs_version

from alod import cli

ROOT = Path(__file__).parents[2]


def test_the_package_is_found_from_beside_a_clone(tmp_path):
    (tmp_path / "alod").mkdir()
    command = [sys.executable, "-c", "import alod; alod.AlodError"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_plotly_js_of_the_book_is_that_of_the_package():
    if f"plotly=={plotly.__version__}\n" not in (ROOT / "requirements.lock").read_text():
        pytest.skip("the book is built with the lock's plotly, this is another")
    folder = ROOT / "_ext" / "plotly"
    version = get_plotlyjs_version()
    mend = f"set plotly.js to {version} in _ext/plotly/package.json and run 'make plotly'"
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]["plotly.js"]
    assert wanted == version, mend
    assert f'version="{version}"' in (folder / "plotly.min.js").read_text(), mend


def test_the_machinery_imports_no_torch():
    heavy = "{'torch', 'papermill', 'plotly'} & {*sys.modules}"
    code = f"import sys, alod_book.build; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_lock_pins_what_the_project_asks_for():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    locked = {canonicalize_name(pin.name): next(iter(pin.specifier)) for pin in pins}
    assert all(pin.operator == "==" for pin in locked.values())
    assert not any(name.startswith(("nvidia-", "cuda-", "triton")) for name in locked)
    for asked in (*requirements(), *requirements("dev")):
        pin = locked[canonicalize_name(asked.name)]
        assert asked.specifier.contains(pin.version), asked


def requirements(*extras: str) -> set[Requirement]:
    """What an installation asks for: of the library, or of some extras and those that they name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    if not extras:
        return {Requirement(line) for line in project["dependencies"]}
    asked = {Requirement(line) for e in extras for line in project["optional-dependencies"][e]}
    own = {each for each in asked if each.name == "alod"}
    return asked - own | {part for each in own for part in requirements(*each.extras)}


def test_the_library_brings_nothing_that_draws():
    names = {each.name for each in requirements()}
    drawing = {"plotly", "umap-learn", "openTSNE"}
    assert not names & {*drawing, "papermill", "nbformat", "jupyter-book", "anywidget"}
    assert {each.name for each in requirements("chapters")} == drawing
    assert {*drawing, "papermill", "jupyter-book", "anywidget"} <= {
        each.name for each in requirements("book")
    }


WITHOUT_WHAT_DRAWS = """
import sys
drawing = ["plotly", "umap", "openTSNE", "papermill", "ipykernel", "nbformat"]
sys.modules.update(dict.fromkeys(drawing))
from alod.cli import main
for line in sys.argv[1:]:
    print("\\f" + line)
    try:
        main(line.split())
    except SystemExit as stop:
        if stop.code:
            raise
"""


def test_the_command_line_works_without_what_draws():
    lines = ["--help", "run --help", "data", "sweep --help", "query --help", "book --help"]
    command = [sys.executable, "-c", WITHOUT_WHAT_DRAWS, *lines]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = [part.partition("\n") for part in done.stdout.split("\f")[1:]]
    assert [line for line, _, _ in told] == lines
    assert all(text.strip() for _, _, text in told)


@pytest.mark.parametrize(
    ("masked", "told"),
    [
        (["umap", "papermill"], "umap-learn, papermill"),
        (["plotly"], "plotly"),
        (["openTSNE"], "openTSNE"),
    ],
)
def test_a_chapter_says_which_extra_is_missing(masked, told, monkeypatch, capsys):
    for name in masked:
        monkeypatch.setitem(sys.modules, name, None)  # as in an environment that lacks it
    with pytest.raises(SystemExit) as stop:
        cli.main(["book", "run", "mnist"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"alod: a chapter needs {told}: pip install -e '.[book]'\n"
