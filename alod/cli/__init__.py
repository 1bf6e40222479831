"""The command line: ``alod run``, ``sweep``, ``query``, ``teach``, ``book`` and the rest."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from alod.cli import encoding, experiments, labeling
from alod.cli.options import with_options
from alod.errors import AlodError

COMMANDS = (
    *(experiments.run, experiments.sweep, experiments.compare, experiments.data),
    *(encoding.encode, labeling.query, labeling.teach, labeling.predict, labeling.review),
    labeling.duplicates,
)
book_app = typer.Typer(help="Run the book's chapters.", no_args_is_help=True)


def command_line(arguments: Sequence[str]) -> typer.Typer:
    """Make the command line; of its commands, those among the `arguments` with all options."""
    app = typer.Typer(
        help="Active learning by outlier detection: pick the images worth labeling.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.add_typer(book_app, name="book")
    for command in COMMANDS:
        app.command()(with_options(command) if command.__name__ in arguments else command)
    return app


@book_app.command("run")
def book_run(
    chapter: Annotated[str, typer.Argument(help="A chapter's name, such as mnist.")],
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", help="NAME=VALUE, or NAME VALUE as papermill takes it; repeatable."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write the executed notebook.")] = None,
) -> None:
    """Execute a chapter with parameters, after checking their names and types."""
    from alod_book.chapters import ChapterFailed, run_chapter

    pairs = {}
    for text in parameter or []:
        name, equals, value = text.partition("=")
        if not equals:
            raise AlodError(f"-p {text!r}: expected NAME=VALUE")
        pairs[name] = value
    try:
        print(run_chapter(chapter, pairs, out))
    except ChapterFailed as failure:
        print(failure, file=sys.stderr)
        raise SystemExit(1) from None


def _join_pairs(arguments: list[str]) -> list[str]:
    """Turn papermill's ``-p NAME VALUE`` into ``-p NAME=VALUE``, so that both can be written."""
    joined: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument in ("-p", "--parameters"):
            name = next(rest, "")
            joined += ["-p", name if "=" in name else f"{name}={next(rest, '')}"]
        else:
            joined.append(argument)
    return joined


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; bad input is one line and exit code 2, Ctrl-C is 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A console or pipe that cannot print a name is no reason to stop.
            stream.reconfigure(errors="backslashreplace")
    if "" not in sys.path:
        # A strategy of one's own, "mine:query", is mine.py here; it hides nothing installed.
        sys.path.append("")
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:2] == ["book", "run"]:
        given = _join_pairs(given)
    try:
        code = command_line(given)(given, standalone_mode=False)
    except Exception as error:
        # Typer's own refusals know their message; its class has moved between releases.
        typer_message = getattr(error, "format_message", None)
        if typer_message is None and not isinstance(error, AlodError | OSError):
            raise
        message = typer_message() if typer_message else str(error)
        if message:  # none where Typer has printed the help already
            print(f"alod: {message}", file=sys.stderr)
        raise SystemExit(2) from None
    if code:
        # Typer returns 130 after Ctrl-C, where an exception would be expected.
        print("alod: interrupted; the same command goes on from there", file=sys.stderr)
        raise SystemExit(code)
