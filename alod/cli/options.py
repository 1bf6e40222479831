"""Options of the command line, made of the settings of a recipe."""

import csv
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import Field, fields
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, get_origin

import typer

from alod.errors import AlodError

if TYPE_CHECKING:
    from alod.recipe import Recipe

Command = Callable[..., None]


def with_settings(recipe: str) -> Callable[[Command], Command]:
    """Let a command of ``**settings`` take those of a `recipe`, ``module:Class``; its own so far.

    To import a recipe takes seconds: only a command that is asked for goes on :func:`with_options`.
    """

    def decorated(command: Command) -> Command:
        command.recipe = recipe  # type: ignore[attr-defined]
        own = [p for p in inspect.signature(command).parameters.values() if p.kind != p.VAR_KEYWORD]
        return _signed(command, own)

    return decorated


def with_options(command: Command) -> Command:
    """Give a `command` an option, None by default, for each setting of its recipe."""
    if not hasattr(command, "recipe"):
        return command
    from alod.recipe import Recipe

    module, _, name = command.recipe.partition(":")
    every = fields(getattr(import_module(module), name))
    shared, names = {f.name for f in fields(Recipe)}, {f.name for f in every}
    # Those of this recipe alone come first.
    ordered = sorted(every, key=lambda f: f.name in shared)
    own = [p for p in inspect.signature(command).parameters.values() if p.name not in names]
    return _signed(command, [*own, *map(_option_of, ordered)])


def _signed(command: Command, options: list[inspect.Parameter]) -> Command:
    command.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    command.__annotations__ = {o.name: o.annotation for o in options}
    return command


def _option_of(setting: Field[Any]) -> inspect.Parameter:
    known, told = setting.default, setting.metadata["told"]
    kind = type(known) if isinstance(known, bool | int | float) else str
    flag = ["--" + setting.name.replace("_", "-")] if kind is bool else []
    if kind is not bool and isinstance(known, int | float | str):
        told = f"{told.removesuffix('.')} ({known})."
    annotation = Annotated[kind | None, typer.Option(*flag, help=told, show_default=False)]  # type: ignore[valid-type]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(setting.name, keyword, default=None, annotation=annotation)


def given(recipe: "type[Recipe]", settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those `settings` of a `recipe` that were typed, read as what they are."""
    read = {}
    for f in fields(recipe):
        value = settings.get(f.name)
        if value is not None:
            reader = _READERS.get(get_origin(f.type) or f.type)
            read[f.name] = reader(f"--{f.name.replace('_', '-')}", value) if reader else value
    return read


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise AlodError(f"{option} {text!r}: expected numbers such as 20,50,100") from None


def _json_object(option: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise AlodError(f'{option} {text!r}: expected a JSON object such as {{"focus": 4}}')
    return value


def _row(option: str, text: str) -> list[str]:
    try:
        return next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error:
        raise AlodError(f'{option} {text!r}: expected names such as cat,"dog, small"') from None


_READERS: dict[Any, Callable[[str, str], Any]]
_READERS = {tuple: _row, list: _numbers, Mapping: _json_object}
