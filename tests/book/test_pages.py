"""What pages, chapters and front pages promise their readers."""

import json
import re
from pathlib import Path

import pytest
import typer

import alod
from alod.cli import command_line
from alod_book import chapters
from alod_book.parameters import check_parameters, parameters_of

ROOT = Path(__file__).parents[2]


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


def test_there_are_recipes():
    tools = {" ".join(command.split()[:1]) for _, command in RECIPES}
    assert tools == {"papermill", "alod", "python"} and len(RECIPES) > 10


@pytest.mark.parametrize(("page", "command"), dict.fromkeys(RECIPES))
def test_every_recipe_names_a_chapter_and_parameters_that_it_has(page, command):
    words = command.split()
    chapter = Path(words[1]).stem if words[0] == "papermill" else words[3]
    notebook = chapters.notebooks()[chapter]
    pairs = [(words[i + 1], words[i + 2]) for i, word in enumerate(words) if word == "-p"]
    for name, values in pairs:
        for value in values.split(","):
            check_parameters(notebook, {name: value})


COMMANDS = [
    (path.name, command)
    for path in [ROOT / "README.md", *sorted((ROOT / "book").glob("*.[mi][dp]*"))]
    for command in commands_in(path)
    if re.match(r"alod (?!book)[a-z]+ .*--", command)
]


@pytest.mark.parametrize(("page", "command"), dict.fromkeys(COMMANDS))
def test_every_command_has_the_options_that_a_page_gives_it(page, command):
    known = (
        typer.main.get_command(command_line(command.split())).commands[command.split()[1]].params
    )
    options = {option for parameter in known for option in parameter.opts}
    assert {word for word in command.split() if re.match("--?[a-z]", word)} <= options


def test_every_mention_of_the_repository_agrees_with_the_config():
    owner_name = chapters.repository()
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
    for path in chapters.notebooks().values():
        assert parameters_of(path), path
        content = json.loads(path.read_text())
        assert content["metadata"]["kernelspec"]["name"] == "python3", path
        code = ["".join(c["source"]) for c in content["cells"] if c["cell_type"] == "code"]
        assert any(f"git+https://github.com/{chapters.repository()}" in cell for cell in code), path


def test_no_chapter_takes_more_than_fifteen_minutes_to_read():
    for path in [*chapters.notebooks().values(), *(ROOT / "book").glob("*.md")]:
        text = path.read_text()
        if path.suffix == ".ipynb":
            cells = [c for c in json.loads(text)["cells"] if c["cell_type"] == "markdown"]
            text = "\n".join("".join(cell["source"]) for cell in cells)
        # Two hundred words a minute, which is slow, for there are figures to look at.
        assert len(text.split()) / 200 <= 15, path


def test_every_chapter_ends_with_exercises_that_are_one_command():
    for path in chapters.notebooks().values():
        if path.stem == "intro":  # The front page has doors instead.
            continue
        last = "".join(json.loads(path.read_text())["cells"][-1]["source"])
        assert ":::{admonition} Exercises" in last, path
        assert "`alod book run " in last, path


def test_recorded_results_can_be_downloaded_where_they_are_drawn():
    for path in chapters.notebooks().values():
        text = path.read_text()
        for stem in set(re.findall(r"evaluation\.recorded\(\\\"(\w+)", text)):
            assert f"<results/{stem}.csv>`" in text, path
            assert (ROOT / "book" / "results" / f"{stem}.csv").is_file(), path
