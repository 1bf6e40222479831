"""What pages, chapters and front pages promise their readers."""

import json
import re
import sys
from pathlib import Path

import pytest
import typer

import alod
from alod.cli import command_line
from alod_book import chapters
from alod_book.parameters import check_parameters, parameters_of

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))
import pin  # noqa: E402


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


def test_what_is_installed_and_downloaded_is_pinned_in_one_place():
    branch = re.search(r"^ +branch: (\S+)$", (ROOT / "_config.yml").read_text(), re.M)[1]
    for path in pin.files():
        text = path.read_text()
        assert pin.pinned(text, chapters.repository(), branch) == text, f"scripts/pin.py {branch}"
    one = "".join(path.read_text() for path in pin.files())
    tagged = pin.pinned(one, chapters.repository(), "v0.1.0")
    assert tagged.count("/alod@v0.1.0") == tagged.count("git+https://") >= len(chapters.notebooks())
    assert "/alod/v0.1.0" in tagged and "/blob/main/" not in tagged
    assert pin.pinned(tagged, chapters.repository(), "main") == one


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


# The front page has doors instead; the two others' exercises are one command each.
# The playground asks to predict on its own.
UNTAUGHT = {"intro", "messy_pools", "playground", "strategy_comparison"}


@pytest.mark.parametrize("name", sorted({*chapters.notebooks()} - UNTAUGHT))
def test_a_chapter_says_its_goals_and_ends_with_solved_exercises_and_answered_questions(name):
    cells = json.loads(chapters.notebooks()[name].read_text())["cells"]
    first, last = ("".join(cells[place]["source"]) for place in (0, -1))
    for told in (":::{admonition} Goals", "**Afterwards you can** ", "**You need** "):
        assert first.count(told) == 1
    start = next(i for i, c in enumerate(cells) if "## Exercises\n" in c["source"])
    asked, solved = cells[start:-1:2], cells[start + 1 : -1 : 2]
    assert len(asked) == len(solved) >= 2
    for number, (text, cell) in enumerate(zip(asked, solved, strict=True), 1):
        assert f"**{number} ·** " in "".join(text["source"])
        # Folded in the book, in JupyterLab and in Colab; run wherever the chapter is.
        assert cell["metadata"]["tags"] == ["hide-cell", "solution"]
        assert cell["metadata"]["jupyter"]["source_hidden"]
        assert cell["metadata"]["cellView"] == "form"
        assert cell["source"][0] == f"# @title Solution {number}\n"
        # Colab has no checkout.
        assert "alod book run" not in "".join([*text["source"], *cell["source"]])
    assert "In a checkout" in last and "`alod book run " in re.sub(r"\s+", " ", last)
    questions = re.findall(
        r"<details><summary>[^<]+\?</summary>\n\n[^<]{10,}\n\n</details>",
        last.partition("## Five")[2],
    )
    assert len(questions) == 5 == last.count("<details>")


@pytest.mark.parametrize(
    "name", sorted({*chapters.notebooks()} & UNTAUGHT - {"intro", "playground"})
)
def test_the_others_end_with_exercises_that_are_one_command(name):
    last = "".join(json.loads(chapters.notebooks()[name].read_text())["cells"][-1]["source"])
    assert ":::{admonition} Exercises" in last
    assert "`alod book run " in last


def test_recorded_results_can_be_downloaded_where_they_are_drawn():
    for path in chapters.notebooks().values():
        text = path.read_text()
        for stem in set(re.findall(r"evaluation\.recorded\(\\\"(\w+)", text)):
            assert f"<results/{stem}.csv>`" in text, path
            assert (ROOT / "book" / "results" / f"{stem}.csv").is_file(), path
