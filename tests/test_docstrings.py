"""Every public name says what it takes and returns; what its examples show is so."""

import doctest
import inspect
import re
from collections.abc import Iterator
from importlib import import_module

import pytest

import alod
from alod import initial, strategies

MODULES = sorted(f"alod.{name}" for name in {*alod._MODULES, "errors"})
# An array by its annotation; a function or a mapping of arrays is not one.
ARRAY = re.compile(r"(?:typing\.Union\[)?[\w.|' ]*(?:NDArray|ndarray|ArrayLike|_array_like|Tensor)")
SHAPE = re.compile(r"\([A-Za-z0-9_]+,[^)]*\)|[Aa]s (?:above|in|for|given|:func:)")

# What a family shares is told once, there: at Strategy for strategies.
FAMILY = {f"alod.strategies.{name}" for name in (*strategies.STRATEGIES, "top_k")}

# One idea in one line, with parameters that are told where the list of them is.
TOLD_ELSEWHERE = {
    **dict.fromkeys(
        (f"alod.initial.{method.__name__}" for method in initial.METHODS.values()),
        "alod.initial.select",
    ),
    **dict.fromkeys(
        (f"alod.models.{m}.forward" for m in ("CNN", "LeNet5", "ResNet18")), "alod.models.build"
    ),
    "alod.outliers.Detector.fit": "alod.outliers.KNN",
    "alod.outliers.Detector.decision_function": "alod.outliers.KNN",
    "alod.encoders.Encoder.forward": "alod.encoders.Encoder",
    "alod.models.Normalize.forward": "alod.models.Normalize",
    "alod.models.AverageTo.forward": "alod.models.average_to",
    "alod.models.average_to": "alod.models.LeNet5",
    "alod.view.PoolView.mc_logits": "alod.view.PoolView",
    "alod.training.as_tensor": "alod.training.infer",
    "alod.training.parameter_count": "alod.training.fit",
    "alod.training.to_float": "alod.training.fit",
    "alod.models.FromTorchvision.forward": "alod.models.FromTorchvision",
    # They do what the learner's do, and write it down.
    **{
        f"alod.labeling.run.LabelingRun.{name}": f"alod.learner.ActiveLearner.{name}"
        for name in ("teach", "skip", "undo", "load")
    },
    # Its images are those that the learner was made of.
    "alod.learner.ActiveLearner.load": "alod.learner.ActiveLearner",
}


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
    """Return what a docstring says of a parameter: its line and what is indented below it."""
    line = rf"^(?:[\w*]+, )*\*{{0,2}}{name}(?:, [\w*]+)*(?: :.*)?\n(?: {{4}}.*\n?|\n)*"
    found = re.search(line, docstring + "\n", re.M)
    return found[0] if found else ""


def faults(thing: object) -> Iterator[str]:
    """Yield what the docstring of a function leaves out."""
    docstring = inspect.getdoc(thing) or ""
    signature = inspect.signature(thing)
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        told = entry(docstring.partition("Parameters\n")[2], parameter.name)
        if not told:
            yield f"says nothing of {parameter.name}"
        elif ARRAY.match(inspect.formatannotation(parameter.annotation)) and not SHAPE.search(told):
            yield f"does not tell the shape of {parameter.name}"
    if ARRAY.match(inspect.formatannotation(signature.return_annotation)):
        returned = re.search(r"^Returns\n-+\n((?:.+\n?)+)", docstring, re.M)
        if not SHAPE.search(returned[1] if returned else docstring):
            yield "does not tell the shape it returns"


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_tells_what_it_takes_and_returns(name):
    docstring = inspect.getdoc(PUBLIC[name])
    if name == "alod.view.PoolView.mc_logits":  # A field that holds a function.
        docstring = inspect.getdoc(PUBLIC["alod.view.PoolView"])
    assert docstring
    if inspect.isfunction(PUBLIC[name]):
        told = list(faults(PUBLIC[name]))
        if name in FAMILY:
            assert told, "is whole: it need not be of the family"
        elif name in TOLD_ELSEWHERE:
            assert told, "is whole: take it off the list"
            assert TOLD_ELSEWHERE[name] in PUBLIC
        else:
            assert not told


@pytest.mark.parametrize("name", strategies.STRATEGIES)
def test_a_strategy_tells_its_source_and_where_it_fails_on_one_screen(name):
    docstring = inspect.getdoc(strategies.STRATEGIES[name])
    assert len(docstring.splitlines()) <= 12
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


# What builds the book and runs notebooks takes minutes, or means nothing alone.
TOO_LONG = {
    *(f"alod_book.grid.{name}" for name in ("main", "run_batch")),
    *(
        f"alod_book.build.{name}"
        for name in ("ChapterFailed", "PlotlyRenderer", "build", "main", "run_chapter", "status")
    ),
}


def test_every_function_and_class_is_shown_at_work():
    shown = {".".join(name.split(".")[:3]) for name in EXAMPLES}
    names = {name for name in PUBLIC if name.count(".") == 2} - TOO_LONG - FAMILY
    assert not names - shown
