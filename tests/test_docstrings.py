"""Every public name says what it takes and returns; what its examples show is so."""

import ast
import doctest
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from alod import strategies

# Public is what an API page shows.
PAGES = sorted((Path(__file__).parents[1] / "book").glob("api_*.md"))
MODULES = sorted({m for page in PAGES for m in re.findall(r"automodule:: (.+)", page.read_text())})
# An array by its annotation; a function or a mapping of arrays is not one.
ARRAY = re.compile(r"(?:typing\.Union\[)?[\w.|' ]*(?:NDArray|ndarray|ArrayLike|_array_like|Tensor)")
SHAPE = re.compile(r"\([A-Za-z0-9_]+,[^)]*\)|[Aa]s (?:above|in|for|given|:func:)")
LONGEST = 25


def own(module_name: str) -> Iterator[tuple[str, object]]:
    """Yield the functions, classes and methods that a module makes, by name."""
    for name, thing in vars(import_module(module_name)).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module_name:
            continue
        if inspect.isfunction(thing) or inspect.isclass(thing):
            yield f"{module_name}.{name}", thing
        if inspect.isclass(thing):
            for method, function in vars(thing).items():
                function = inspect.unwrap(getattr(function, "__func__", function))
                if not method.startswith("_") and inspect.isfunction(function):
                    yield f"{module_name}.{name}.{method}", function


PUBLIC = dict(pair for module in MODULES for pair in own(module))


def entry(docstring: str, name: str) -> str:
    """Return what a docstring says of a parameter: its line and what is indented below it.

    Where prose names it between backticks, that is the whole docstring.
    """
    line = rf"^(?:[\w*]+, )*\*{{0,2}}{name}(?:, [\w*]+)*(?: :.*)?\n(?: {{4}}.*\n?|\n)*"
    found = re.search(line, docstring.partition("Parameters\n")[2] + "\n", re.M)
    if found:
        return found[0]
    return docstring if re.search(rf"`{name}`", docstring) else ""


def families(name: str) -> Iterator[str]:
    """Yield the docstrings that may tell what a function takes: its own, its class's, its module's.

    What a family shares is told once: in its class, its module, or where the module tells what a
    name stands for, as :data:`alod.strategies.Strategy`.
    """
    module = import_module(max((m for m in MODULES if name.startswith(f"{m}.")), key=len))
    yield inspect.getdoc(getattr(module, name.split(".")[-2], None)) or ""
    yield inspect.getdoc(module) or ""
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield inspect.cleandoc(str(node.value.value))


def faults(thing: object, shared: str = "") -> Iterator[str]:
    """Yield what the docstring of a function, and those it shares, leave out."""
    docstring = inspect.getdoc(thing) or ""
    signature = inspect.signature(thing)
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        told = entry(docstring, parameter.name) + entry(shared, parameter.name)
        if not told:
            yield f"says nothing of {parameter.name}"
        elif ARRAY.match(inspect.formatannotation(parameter.annotation)) and not SHAPE.search(told):
            yield f"does not tell the shape of {parameter.name}"
    if ARRAY.match(inspect.formatannotation(signature.return_annotation)):
        returned = re.search(r"^Returns\n-+\n((?:.+\n?)+)", docstring, re.M)
        told = returned[1] if returned else docstring + shared.partition("Returns\n")[2]
        if not SHAPE.search(told):
            yield "does not tell the shape it returns"


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_tells_what_it_takes_and_returns(name):
    docstring = inspect.getdoc(PUBLIC[name])
    assert docstring
    assert len(docstring.splitlines()) <= LONGEST
    if inspect.isfunction(PUBLIC[name]):
        assert not list(faults(PUBLIC[name], "\n".join(families(name))))


@pytest.mark.parametrize("name", strategies.STRATEGIES)
def test_a_strategy_tells_its_source_and_where_it_fails_on_one_screen(name):
    docstring = inspect.getdoc(strategies.STRATEGIES[name])
    assert len(docstring.splitlines()) <= 8
    assert "score" in docstring.lower() or ":" in docstring.splitlines()[0]
    if name not in ("random", "outlier"):  # which come from nowhere else
        assert re.search(r"\b(19|20)\d\d\b", docstring)


def test_a_docstring_without_shape_or_parameter_is_noticed():
    def scale(points: "np.ndarray", factor: float) -> "np.ndarray":  # noqa: F821
        """Multiply.

        Parameters
        ----------
        points : ndarray
            The points.
        """

    assert list(faults(scale)) == [
        "does not tell the shape of points",
        "says nothing of factor",
        "does not tell the shape it returns",
    ]


EXAMPLES = {
    test.name: test
    for module in MODULES
    for test in doctest.DocTestFinder().find(import_module(module), module)
    if test.examples
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_show_what_comes_out(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS).run(
        EXAMPLES[name]
    )
    assert result.attempted and not result.failed


@pytest.mark.parametrize("module", MODULES)
def test_a_family_is_shown_at_work(module):
    if any(name.startswith(f"{module}.") for name in PUBLIC):
        assert any(name == module or name.startswith(f"{module}.") for name in EXAMPLES)
