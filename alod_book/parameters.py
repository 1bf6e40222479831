"""A chapter's parameters: what its cell tagged ``parameters`` sets, and what may be given instead.

Papermill only warns of a name that the chapter does not have, and knows neither unions nor the
values that a comment lists.

Parameters
----------
notebook : Path
    The chapter, an ``.ipynb`` file.

Examples
--------
>>> from alod_book.chapters import notebooks
>>> parameters_of(notebooks()["mnist"])["model"].choices
('cnn', 'lenet5', 'resnet18')
>>> check_parameters(notebooks()["mnist"], {"rounds": "2", "model": "lenet5"})
{'rounds': 2, 'model': 'lenet5'}
"""

import ast
import io
import json
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alod.errors import AlodError, check_name

_TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
_SWITCH = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}


@dataclass(frozen=True)
class Parameter:
    """One assignment in a chapter's cell tagged ``parameters``.

    Attributes
    ----------
    default : object
        Its value in the notebook.
    types : tuple of type
        What may be given: of ``str``, ``int``, ``float``, ``bool``, ``NoneType``.
    choices : tuple of str
        The only values allowed, from a comment ``# cnn | lenet5 | resnet18``; empty for any.
    """

    default: object
    types: tuple[type, ...]
    choices: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return what is expected, for a message."""
        if self.choices:
            return " | ".join(self.choices)
        return " or ".join("none" if kind is type(None) else kind.__name__ for kind in self.types)


def parameters_of(notebook: Path) -> dict[str, Parameter]:
    """Read a chapter's parameters, in the cell's order; what is no literal is left out."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AlodError(f"{notebook}: expected a Jupyter notebook ({error})") from error
    for cell in cells:
        if "parameters" in cell.get("metadata", {}).get("tags", []):
            return _parse_parameters("".join(cell["source"]))
    raise AlodError(f"{notebook}: no cell is tagged 'parameters', so nothing can be set in it")


def check_parameters(notebook: Path, parameters: Mapping[str, object]) -> dict[str, Any]:
    """Return `parameters` converted to their types, or refuse what the chapter does not have.

    Strings, as from a command line, are converted where nothing is lost: 2 is a float, 2.5 no int.
    An unknown name, another type or a value that is not among the cell's choices is refused.
    """
    known = parameters_of(notebook)
    checked: dict[str, Any] = {}
    for name, value in parameters.items():
        check_name(f"parameter of {notebook.stem}", name, known)
        checked[name] = _convert(name, value, known[name])
    return checked


def _parse_parameters(source: str) -> dict[str, Parameter]:
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found = {}
    for node in ast.parse(source).body:
        target: ast.expr
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value, annotation = node.target, node.value, ast.unparse(node.annotation)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value, annotation = node.targets[0], node.value, ""
        else:
            continue
        try:
            default = ast.literal_eval(value)
        except ValueError:
            continue
        named = [_TYPES[part] for part in re.findall(r"\w+", annotation) if part in _TYPES]
        kinds = named or [type(default)]
        if "None" in annotation:
            kinds.append(type(None))
        listed = re.match(r"[\w.+-]+(?: \| [\w.+-]+)+", comments.get(node.end_lineno or 0, ""))
        choices = tuple(listed[0].split(" | ")) if listed else ()
        if isinstance(target, ast.Name):
            found[target.id] = Parameter(default, tuple(kinds), choices)
    return found


def _convert(name: str, value: object, parameter: Parameter) -> object:
    for kind in parameter.types:
        try:
            converted = _as(kind, value)
        except (KeyError, TypeError, ValueError):
            continue
        if not parameter.choices or str(converted) in parameter.choices:
            return converted
    raise AlodError(f"parameter {name}={value!r}: expected {parameter.describe()}")


def _as(kind: type, value: object) -> object:
    """Convert `value` to `kind` where nothing is lost: 2 is a float, 2.5 no int, True no number."""
    if isinstance(value, str) and kind is not str:
        if kind is bool:
            return _SWITCH[value.lower()]
        if kind is type(None):
            return {"none": None}[value.lower()]
        return kind(value) if kind in (int, float) else ast.literal_eval(value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError
    return value
