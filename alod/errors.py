"""Refusals: what was given, what was expected, and the mend, on one line."""

import operator
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, SupportsIndex, cast


class AlodError(ValueError):
    """Bad input, refused before any compute is spent.

    The message is one line that names the value, what was expected and how to mend it. The command
    line prints it and exits with 2.

    Examples
    --------
    >>> import alod
    >>> try:
    ...     alod.load_dataset("mnits")
    ... except AlodError as error:
    ...     print("did you mean" in str(error))
    True
    """


def one_line(error: BaseException) -> str:
    """Return what an error says, without its line breaks.

    Parameters
    ----------
    error : BaseException
        Anybody's.

    Examples
    --------
    >>> one_line(ValueError("a line" + chr(10) + "and more"))
    'a line and more'
    """
    return " ".join(str(error).split())


def check_name(kind: str, name: object, allowed: Iterable[str]) -> None:
    """Refuse a name that is not among those allowed.

    Parameters
    ----------
    kind : str
        What the name is for, as the message calls it: ``"model"``, ``"strategy"``.
    name : object
        The name as given.
    allowed : iterable of str
        The names that exist.

    Raises
    ------
    AlodError
        If `name` is not in `allowed`; the message lists them and the closest one.

    Examples
    --------
    >>> check_name("color", "red", ["red", "green"])
    >>> check_name("color", "gren", ["red", "green"])
    Traceback (most recent call last):
        ...
    alod.errors.AlodError: ...
    """
    names = list(allowed)
    if name in names:
        return
    close = get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise AlodError(f"unknown {kind} {name!r}: expected one of {', '.join(names)}{hint}")


def check_count(name: str, value: object, low: int, high: int | None = None, why: str = "") -> int:
    """Refuse a whole number outside its range.

    Parameters
    ----------
    name : str
        The parameter's name.
    value : object
        The value as given: an ``int``, or what NumPy, pandas and torch hand out for one; no truth
        value.
    low, high : int
        The range, both ends included; no upper end when `high` is None.
    why : str, optional
        Why the range is what it is, added to the message.

    Returns
    -------
    int
        The number as Python's own, which every file can hold.

    Raises
    ------
    AlodError
        If `value` is not a whole number in the range.

    Examples
    --------
    >>> check_count("rounds", 3, low=0)
    3
    >>> check_count("rounds", -1, low=0)
    Traceback (most recent call last):
        ...
    alod.errors.AlodError: ...
    """
    try:
        number = operator.index(cast(SupportsIndex, value))
        # The truth values of Python and torch have an index, too.
        whole = "bool" not in str(getattr(value, "dtype", type(value)))
        if whole and low <= number and (high is None or number <= high):
            return number
    except TypeError:
        pass
    expected = f"at least {low}" if high is None else f"from {low} to {high}"
    because = f" ({why})" if why else ""
    raise AlodError(f"{name}={value!r}: expected a whole number {expected}{because}")


def plain(value: Any) -> Any:
    """Return a single number of NumPy, pandas or torch as Python's own, which files can hold.

    Parameters
    ----------
    value : object
        As given by the user.

    Returns
    -------
    object
        Python's number; a dict with such values; anything else as it is.

    Examples
    --------
    >>> import numpy as np
    >>> plain(np.float64(0.5)), plain({"focus": np.int64(2)}), plain("knn")
    (0.5, {'focus': 2}, 'knn')
    """
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    is_single = getattr(value, "ndim", None) == 0 and hasattr(value, "item")
    return value.item() if is_single else value


def check_names(kind: str, names: object) -> tuple[str, ...]:
    """Refuse what is no sequence of names.

    Parameters
    ----------
    kind : str
        What they are for, as the message calls it.
    names : object
        As given: a list, an array, a pandas index; no set, which has no order.

    Returns
    -------
    tuple of str

    Raises
    ------
    AlodError
        If it is one string, has no order or holds what is no string.

    Examples
    --------
    >>> import numpy as np
    >>> check_names("classes", np.array(["cat", "dog"]))
    ('cat', 'dog')
    """
    ordered = isinstance(names, Iterable) and not isinstance(names, str | set | frozenset)
    given = tuple(cast(Iterable[object], names)) if ordered else (None,)
    if not all(isinstance(name, str) for name in given):
        raise AlodError(f"{kind}={names!r}: expected a list of names, such as ['cat', 'dog']")
    return tuple(map(str, given))
