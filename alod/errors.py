"""Refusals: what was given, what was expected, and the mend, on one line.

A check returns what it was given, as Python's own, or raises :class:`AlodError`; `name`, `kind` and
`names` are what the message calls it, or what is checked.

>>> check_count("rounds", 3, low=0)
3
>>> check_name("color", "gren", ["red", "green"])
Traceback (most recent call last):
    ...
alod.errors.AlodError: unknown color 'gren': expected one of red, green; did you mean 'green'?
"""

import operator
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, SupportsIndex, cast


class AlodError(ValueError):
    """Bad input, refused before any compute is spent; the command line exits with 2."""


def one_line(error: BaseException) -> str:
    """Return what an `error`, be it anybody's, says, without its line breaks."""
    return " ".join(str(error).split())


def check_name(kind: str, name: object, allowed: Iterable[str]) -> None:
    """Refuse a `name` that is not among those `allowed`; tell the closest one."""
    names = list(allowed)
    if name in names:
        return
    close = get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise AlodError(f"unknown {kind} {name!r}: expected one of {', '.join(names)}{hint}")


def check_count(name: str, value: object, low: int, high: int | None = None, why: str = "") -> int:
    """Refuse a `value` that is no whole number from `low` to `high`, both included; and tell `why`.

    An ``int``, or what NumPy, pandas and torch hand out for one, but no truth value; without `high`
    there is no upper end. Return it as Python's own, which every file can hold.
    """
    try:
        # The truth values of Python, NumPy and torch have an index, too, some with a warning.
        whole = "bool" not in str(getattr(value, "dtype", type(value)))
        number = operator.index(cast(SupportsIndex, value)) if whole else low - 1
        if low <= number and (high is None or number <= high):
            return number
    except TypeError:
        pass
    expected = f"at least {low}" if high is None else f"from {low} to {high}"
    because = f" ({why})" if why else ""
    raise AlodError(f"{name}={value!r}: expected a whole number {expected}{because}")


def plain(value: Any) -> Any:
    """Return a number of NumPy, pandas or torch, or those in a dict `value`, as Python's own."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    is_single = getattr(value, "ndim", None) == 0 and hasattr(value, "item")
    return value.item() if is_single else value


def check_names(kind: str, names: object) -> tuple[str, ...]:
    """Refuse what is no sequence of names, ``kind=names`` in the message; a set has no order."""
    ordered = isinstance(names, Iterable) and not isinstance(names, str | set | frozenset)
    given = tuple(cast(Iterable[object], names)) if ordered else (None,)
    if not all(isinstance(name, str) for name in given):
        raise AlodError(f"{kind}={names!r}: expected a list of names, such as ['cat', 'dog']")
    return tuple(map(str, given))
