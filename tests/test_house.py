"""The house stays small, and its rooms know only those below them (see CONTRIBUTING)."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = {
    str(path.relative_to(ROOT)): path
    for package in ("alod", "alod_book")
    for path in sorted((ROOT / package).rglob("*.py"))
}
WINGS = ("alod/cli/", "alod/data/", "alod/experiments/", "alod/labeling/", "alod_book/")
CORE = [name for name in FILES if not name.startswith(WINGS)]
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# What draws, and what runs notebooks: an installed alod brings none of it.
DRAWING = {"plotly", "umap", "openTSNE", "papermill", "nbformat", "matplotlib", "alod_book"}


def code_lines(source: str) -> set[int]:
    """Return the numbers of the lines that are neither docstring nor comment nor blank."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.string.strip() and token.type != tokenize.COMMENT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            lines.difference_update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return lines


def imports(tree: ast.AST) -> set[str]:
    """Return the modules that a module imports, wherever in it, but for its types alone."""
    found = set()
    for node in list(ast.walk(tree)):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []  # before the walk below: one under way has its children already
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def test_lines_of_code_are_those_that_do_something():
    source = (
        '"""Doc."""\n\n# Why\ndef f(x):\n    """Say.\n\n    More.\n    """\n'
        "    return (\n        x\n    )\n"
    )
    assert code_lines(source) == {4, 9, 10, 11}


def test_the_core_and_the_package_are_no_larger_than_they_should_be():
    code = sum(len(code_lines(FILES[name].read_text())) for name in CORE)
    lines = sum(len(FILES[name].read_text().splitlines()) for name in CORE)
    packaged = [name for name in FILES if name.startswith("alod/")]
    whole = sum(len(FILES[name].read_text().splitlines()) for name in packaged)
    assert (code <= 2_750, lines <= 4_700, whole <= 10_900) == (True, True, True), (
        code,
        lines,
        whole,
    )


@pytest.mark.parametrize("name", FILES)
def test_modules_classes_and_functions_fit_on_a_few_screens(name):
    source = FILES[name].read_text()
    code = code_lines(source)
    assert len(code) <= 350
    limits = {ast.ClassDef: 220, ast.FunctionDef: 70}
    for node in ast.walk(ast.parse(source)):
        if limit := limits.get(type(node)):
            assert len(code & set(range(node.lineno, node.end_lineno + 1))) <= limit, node.name


@pytest.mark.parametrize("name", FILES)
def test_no_room_knows_one_above_it(name):
    known = imports(ast.parse(FILES[name].read_text()))
    # The command line alone knows the book, and says so where its packages are not there.
    if name.startswith("alod/") and not name.startswith("alod/cli/"):
        assert not {module for module in known if module.split(".")[0] in DRAWING}
    above = {
        "alod/data/": "experiments|labeling|cli",
        "alod/experiments/": "labeling|cli",
        "alod/labeling/": "experiments|cli",
    }
    if name in CORE and name != "alod/__init__.py":  # which knows where the public names live
        above["alod/"] = "data|experiments|labeling|cli"
    for room, others in above.items():
        if name.startswith(room):
            assert not {module for module in known if re.match(rf"alod\.({others})\b", module)}


def test_no_circle():
    names = {
        name[:-3].replace("/", ".").removesuffix(".__init__"): path for name, path in FILES.items()
    }
    below = {
        name: imports(ast.parse(path.read_text())) & set(names) - {name}
        for name, path in names.items()
        if name != "alod"
    }
    while below:
        free = [name for name, needs in below.items() if not needs & set(below)]
        assert free, f"a circle among {sorted(below)}"
        for name in free:
            del below[name]
