"""What the book's machinery promises: checked parameters, whole files, pages without a network."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pandas as pd
import plotly
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from plotly.offline import get_plotlyjs_version

import alod
from alod import AlodError
from alod_book import build as book
from alod_book import grid

ROOT = Path(__file__).parents[2]
PARAMETERS = """\
model: str = "cnn"  # cnn | lenet5 | resnet18: the classifier
rounds: int = 2  # queries after the initial set
rate: float = 0.1
seed = 0
augment: bool = True
stop: int | None = None
scale: str = "quick"  # quick | full
"""


def write_notebook(path: Path, *sources: str, tags: tuple[str, ...] = ("parameters",)) -> Path:
    cells = [new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = list(tags)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


@pytest.fixture
def notebook(tmp_path):
    return write_notebook(tmp_path / "toy.ipynb", PARAMETERS)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with one chapter, found in place of the real one."""
    (tmp_path / "book").mkdir()
    (tmp_path / "_toc.yml").write_text("format: jb-book\n")
    monkeypatch.setattr(book, "__file__", str(tmp_path / "alod" / "book.py"))
    return tmp_path


def test_strings_become_what_the_cell_says(notebook):
    given = {
        "model": "resnet18",
        "rounds": "3",
        "rate": "1",
        "seed": "7",
        "augment": "false",
        "stop": "none",
    }
    checked = book.check_parameters(notebook, given)
    assert checked == {
        "model": "resnet18",
        "rounds": 3,
        "rate": 1.0,
        "seed": 7,
        "augment": False,
        "stop": None,
    }
    assert type(checked["rate"]) is float
    assert book.check_parameters(notebook, {"stop": "5"}) == {"stop": 5}


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
        book.check_parameters(notebook, given)
    assert "\n" not in str(refusal.value)
    assert str(next(iter(given.values()))) in str(refusal.value) or "round" in str(refusal.value)


def test_a_notebook_without_parameters_cell_is_refused(tmp_path):
    untagged = write_notebook(tmp_path / "toy.ipynb", PARAMETERS, tags=())
    with pytest.raises(AlodError, match="no cell is tagged"):
        book.check_parameters(untagged, {})
    (tmp_path / "broken.ipynb").write_text("{")
    with pytest.raises(AlodError, match="expected a Jupyter notebook"):
        book.check_parameters(tmp_path / "broken.ipynb", {})


def test_a_chapter_runs_with_this_interpreter_and_its_parameters(checkout, tmp_path, monkeypatch):
    wrong = tmp_path / "jupyter" / "kernels" / "python3"
    wrong.mkdir(parents=True)
    spec = {"argv": ["false"], "display_name": "broken", "language": "python"}
    (wrong / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    write_notebook(
        checkout / "book" / "toy.ipynb", PARAMETERS, "import sys; sys.executable, rounds"
    )
    out = book.run_chapter("toy", {"rounds": "5"}, tmp_path / "out.ipynb", progress=False)
    last = nbformat.read(out, as_version=4).cells[-1]
    assert last.outputs[0].data["text/plain"] == repr((sys.executable, 5))


def test_a_failing_chapter_shows_its_error_and_leaves_no_file(checkout, tmp_path):
    write_notebook(checkout / "book" / "toy.ipynb", PARAMETERS, "1 / 0")
    with pytest.raises(book.ChapterFailed, match="ZeroDivisionError"):
        book.run_chapter("toy", {}, tmp_path / "out.ipynb", progress=False)
    assert not (tmp_path / "out.ipynb").exists()


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


def commands_in(path: Path) -> list[str]:
    """The command lines that a page shows: in blocks, in backticks, in a notebook's text."""
    text = path.read_text()
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    # A command in backticks may be broken over two lines.
    inline = [re.sub(r"\s+", " ", code) for code in re.findall(r"`([^`]+)`", text)]
    return [line.partition("#")[0].strip() for line in [*text.splitlines(), *inline]]


RECIPES = [
    (path.name, command)
    for path in [ROOT / "README.md", *sorted((ROOT / "book").glob("*.[mi][dp]*"))]
    for command in commands_in(path)
    if re.match(r"(papermill|alod book run|python -m alod_book.grid) ", command)
]


def test_papermill_alone_runs_a_chapter_from_another_directory(tmp_path):
    chapter = ROOT / "book" / "how_it_works.ipynb"
    command = [sys.executable, "-m", "papermill", str(chapter), "out.ipynb", "--no-progress-bar"]
    command += [
        "-k",
        "python3",
        "-p",
        "model",
        "lenet5",
        "-p",
        "rounds",
        "1",
        "-p",
        "n_query",
        "20",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    # A chapter leaves nothing behind in the reader's folder.
    assert [path.name for path in tmp_path.iterdir()] == ["out.ipynb"]
    figures = (tmp_path / "out.ipynb").read_text().count('"application/vnd.plotly.v1+json"')
    assert figures == 4


def test_the_package_is_found_from_beside_a_clone(tmp_path):
    (tmp_path / "alod").mkdir()
    command = [sys.executable, "-c", "import alod; alod.AlodError"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_there_are_recipes():
    tools = {" ".join(command.split()[:1]) for _, command in RECIPES}
    assert tools == {"papermill", "alod", "python"} and len(RECIPES) > 10


@pytest.mark.parametrize(("page", "command"), dict.fromkeys(RECIPES))
def test_every_recipe_names_a_chapter_and_parameters_that_it_has(page, command):
    words = command.split()
    chapter = Path(words[1]).stem if words[0] == "papermill" else words[3]
    notebook = book.chapters()[chapter]
    pairs = [(words[i + 1], words[i + 2]) for i, word in enumerate(words) if word == "-p"]
    for name, values in pairs:
        for value in values.split(","):
            book.check_parameters(notebook, {name: value})


def test_bad_runs_are_refused_before_anything_runs(checkout, tmp_path):
    source = write_notebook(checkout / "book" / "toy.ipynb", PARAMETERS)
    before = source.read_bytes()
    with pytest.raises(AlodError, match=r"unknown chapter 'top'.*did you mean 'toy'"):
        book.run_chapter("top")
    with pytest.raises(AlodError, match="another file than the chapter"):
        book.run_chapter("toy", out=source)
    with pytest.raises(AlodError, match="folder that exists"):
        book.run_chapter("toy", out=tmp_path / "nowhere" / "out.ipynb")
    with pytest.raises(AlodError, match="unknown scale 'huge'"):
        book.build("huge")
    with pytest.raises(AlodError, match="jobs=0"):
        book.build(jobs=0)
    with pytest.raises(AlodError, match="expected a folder that exists"):
        book.build(data=tmp_path / "nowhere")
    assert source.read_bytes() == before
    assert not (checkout / "_build").exists()


def test_outside_a_checkout_the_mend_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(book, "__file__", str(tmp_path / "site-packages" / "alod" / "book.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AlodError, match="clone it"):
        book.book_folder()
    monkeypatch.chdir(ROOT / "tests")
    assert book.book_folder() == ROOT / "book"


def test_runs_are_kept_where_told(tmp_path, monkeypatch):
    monkeypatch.setenv("ALOD_RUNS", str(tmp_path))
    assert book.run_folder("mnist_0") == tmp_path / "mnist_0"
    monkeypatch.delenv("ALOD_RUNS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert book.run_folder("mnist_0").is_absolute()
    for name in ("", "../up", "a/b", ".hidden"):
        with pytest.raises(AlodError, match="run name"):
            book.run_folder(name)


def test_plotly_js_of_the_book_is_that_of_the_package():
    if f"plotly=={plotly.__version__}\n" not in (ROOT / "requirements.lock").read_text():
        pytest.skip("the book is built with the lock's plotly, this is another")
    folder = ROOT / "_ext" / "plotly"
    version = get_plotlyjs_version()
    mend = f"set plotly.js to {version} in _ext/plotly/package.json and run 'make plotly'"
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]["plotly.js"]
    assert wanted == version, mend
    assert f'version="{version}"' in (folder / "plotly.min.js").read_text(), mend


def test_status_tells_parameters_and_seconds(tmp_path):
    path = write_notebook(tmp_path / "toy.ipynb", PARAMETERS)
    content = json.loads(path.read_text())
    content["metadata"]["papermill"] = {"parameters": {"scale": "full"}, "duration": 41.6}
    path.write_text(json.dumps(content))
    page = book.status(tmp_path, "full")
    (row,) = [line for line in page.splitlines() if line.startswith("| [toy](toy.ipynb)")]
    assert "`rounds=2`" in row
    assert "`scale=full`" in row
    assert row.startswith("| [toy](toy.ipynb) | 42 | – |")
    assert f"| python | {sys.version.split()[0]} |" in page


def test_every_chapter_has_been_timed_with_a_gpu(tmp_path):
    for name in book.chapters():
        content = json.loads(book.chapters()[name].read_text())
        content["metadata"]["papermill"] = {"parameters": {}, "duration": 10.0}
        (tmp_path / f"{name}.ipynb").write_text(json.dumps(content))
    recorded = pd.read_csv(ROOT / "book" / "results" / "gpu_seconds.csv", index_col="chapter")
    page = book.status(tmp_path, "quick")
    for name in book.chapters():
        assert f"| [{name}]({name}.ipynb) | 10 | {recorded.seconds[name]:.0f} |" in page


def test_the_machinery_imports_no_torch():
    code = (
        "import sys, alod_book.build;sys.exit('torch' in sys.modules or 'papermill' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_mention_of_the_repository_agrees_with_the_config():
    owner_name = book.repository()
    files = [ROOT / "README.md", ROOT / "CITATION.cff", ROOT / "_config.yml"]
    files += [ROOT / "CONTRIBUTING.md"]
    for folder, pattern in (("book", "*.ipynb"), ("book", "*.md"), (".github", "**/*.yml")):
        files += (ROOT / folder).glob(pattern)
    for path in files:
        for mention in re.findall(r"github\.com/([\w.-]+/alod)\b", path.read_text()):
            assert mention == owner_name, path
    assert f"git+https://github.com/{owner_name}" in (ROOT / "README.md").read_text()


def test_what_the_front_page_shows_is_there():
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
            assert target.startswith("https://") or (ROOT / target).exists(), (page, target)
    version = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.M)
    assert version and version[1] == alod.__version__


def test_every_chapter_can_be_run_by_papermill_and_colab():
    for path in book.chapters().values():
        assert book.parameters_of(path), path
        content = json.loads(path.read_text())
        assert content["metadata"]["kernelspec"]["name"] == "python3", path
        code = ["".join(c["source"]) for c in content["cells"] if c["cell_type"] == "code"]
        assert any(f"git+https://github.com/{book.repository()}" in cell for cell in code), path


def test_no_chapter_takes_more_than_fifteen_minutes_to_read():
    for path in [*book.chapters().values(), *(ROOT / "book").glob("*.md")]:
        text = path.read_text()
        if path.suffix == ".ipynb":
            cells = [c for c in json.loads(text)["cells"] if c["cell_type"] == "markdown"]
            text = "\n".join("".join(cell["source"]) for cell in cells)
        # Two hundred words a minute, which is slow, for there are figures to look at.
        assert len(text.split()) / 200 <= 15, path


def test_every_chapter_ends_with_exercises_that_are_one_command():
    for path in book.chapters().values():
        if path.stem == "intro":  # The front page has doors instead.
            continue
        last = "".join(json.loads(path.read_text())["cells"][-1]["source"])
        assert ":::{admonition} Exercises" in last, path
        assert "`alod book run " in last, path


def test_recorded_results_can_be_downloaded_where_they_are_drawn():
    for path in book.chapters().values():
        text = path.read_text()
        for stem in set(re.findall(r"evaluation\.recorded\(\\\"(\w+)", text)):
            assert f"<results/{stem}.csv>`" in text, path
            assert (ROOT / "book" / "results" / f"{stem}.csv").is_file(), path


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


# Each stands for an environment that lacks it.
MASKED = """
import sys
sys.modules.update(dict.fromkeys({}))
from alod.cli import main
main({})
"""


@pytest.mark.parametrize(
    "line", ["--help", "run --help", "data", "sweep --help", "query --help", "book --help"]
)
def test_the_command_line_works_without_what_draws(line):
    masked = ["plotly", "umap", "openTSNE", "papermill", "ipykernel", "nbformat"]
    code = MASKED.format(masked, line.split())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize(
    ("masked", "told"),
    [
        (["umap", "papermill"], "umap-learn, papermill"),
        (["plotly"], "plotly"),
        (["openTSNE"], "openTSNE"),
    ],
)
def test_a_chapter_says_which_extra_is_missing(masked, told, tmp_path):
    code = MASKED.format(masked, ["book", "run", "mnist"])
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr == f"alod: a chapter needs {told}: pip install -e '.[book]'\n"
    assert not list(tmp_path.iterdir())
