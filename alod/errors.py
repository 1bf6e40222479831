"""Refusals: what was given, what was expected, and the mend, on one line."""

from collections.abc import Iterable
from difflib import get_close_matches


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


def check_count(name: str, value: object, low: int, high: int | None = None, why: str = "") -> None:
    """Refuse a whole number outside its range.

    Parameters
    ----------
    name : str
        The parameter's name.
    value : object
        The value as given; an ``int`` (not a ``bool``) is expected.
    low, high : int
        The range, both ends included; no upper end when `high` is None.
    why : str, optional
        Why the range is what it is, added to the message.

    Raises
    ------
    AlodError
        If `value` is not a whole number in the range.

    Examples
    --------
    >>> check_count("rounds", 3, low=0)
    >>> check_count("rounds", -1, low=0)
    Traceback (most recent call last):
        ...
    alod.errors.AlodError: ...
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and low <= value and (high is None or value <= high):  # type: ignore[operator]
        return
    expected = f"at least {low}" if high is None else f"from {low} to {high}"
    because = f" ({why})" if why else ""
    raise AlodError(f"{name}={value!r}: expected a whole number {expected}{because}")
