"""The command line: ``alod run``, ``sweep``, ``query``, ``teach``, ``book`` and the rest."""

import io
import shlex
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alod.errors import AlodError
from alod.experiments import commands
from alod.files import UNWRITABLE, write_atomically
from alod.labeling.tables import ANSWERS

if TYPE_CHECKING:
    from pandas import DataFrame

    from alod.labeling.run import LabelingRun

app = typer.Typer(
    help="Active learning by outlier detection: pick the images worth labeling.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
book_app = typer.Typer(help="Run the book's chapters.", no_args_is_help=True)
app.add_typer(book_app, name="book")

for command in (commands.run, commands.sweep, commands.compare, commands.data):
    app.command()(command)

RunOption = Annotated[Path, typer.Option("--run", help="The run's own folder.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


@app.command()
def query(
    run: RunOption,
    k: Annotated[int, typer.Option("-k", help="Images to ask for.")] = 100,
    out: Annotated[Path | None, typer.Option(help="CSV to write; batch.csv in the run.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of images; the first time, or once it has moved.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Class names, separated by commas; the first time.")
    ] = None,
    folders_are_classes: Annotated[
        bool, typer.Option("--folders-are-classes", help="Images in folders are labeled by them.")
    ] = False,
    image_size: Annotated[int | None, typer.Option(help="Pixels of a side; 32.")] = None,
    model: Annotated[str | None, typer.Option(help="cnn, lenet5 or resnet18.")] = None,
    strategy: Annotated[str | None, typer.Option(help="outlier, margin, random, …")] = None,
    audit: Annotated[
        int | None, typer.Option(help="Random images that only measure accuracy; 0.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Gradient steps of each fit; 300.")] = None,
    augment: Annotated[str | None, typer.Option(help="none, digits or clothing.")] = None,
    seed: Annotated[int | None, typer.Option(help="Everything random depends on it.")] = None,
    device: DeviceOption = "auto",
) -> None:
    """Ask which images to label: writes a CSV file with the columns file and label."""
    given = {
        "images": images,
        "classes": None if classes is None else classes.split(","),
        "folders_are_classes": folders_are_classes or None,
        "image_size": image_size,
        "model": model,
        "strategy": strategy,
        "audit": audit,
        "steps": steps,
        "augment": augment,
        "seed": seed,
    }
    opened = _open_run(run, device, **{n: v for n, v in given.items() if v is not None})
    path = out if out is not None else run / "batch.csv"
    opened.check_taught(path)
    _catch_up(opened)
    asked = opened.query(k)
    if out is not None:
        opened.write_batch(asked, out)
    print(
        f"{path}: {k} images of {opened.root or 'the array'} to be labeled in the column 'label':"
    )
    print(f"  {', '.join(opened.classes)}; or: {', '.join(ANSWERS)}")
    print("then:", shlex.join(["alod", "teach", "--run", str(run), str(path)]))


@app.command()
def teach(
    run: RunOption,
    file: Annotated[Path, typer.Argument(help="CSV with the columns file and label.")],
    device: DeviceOption = "auto",
) -> None:
    """Take labels from a CSV file, learn from them, and tell how far the labeling has come."""
    opened = _open_run(run, device)
    counts = opened.teach_file(file)
    told = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    print(f"{file}: answers taken and on disk: {told}", flush=True)
    _catch_up(opened)
    print(opened.report())


@app.command()
def predict(
    run: RunOption,
    out: Annotated[Path, typer.Option(help="CSV to write: file, label, confidence.")],
    device: DeviceOption = "auto",
) -> None:
    """Classify every image of a run; images that a person has labeled keep that label."""
    opened = _open_run(run, device)
    _catch_up(opened)
    _write_table(out, opened.predicted())
    print(f"{out}: {len(opened.files)} images classified")


@app.command()
def review(
    run: RunOption,
    out: Annotated[Path, typer.Option(help="CSV to write; correct its labels, then teach it.")],
    n: Annotated[int, typer.Option("-n", help="Images to name at most.")] = 20,
    device: DeviceOption = "auto",
) -> None:
    """List the labels that look wrong: outliers within their own class."""
    opened = _open_run(run, device)
    opened.check_taught(out)  # corrections typed there would be lost
    found = opened.suspects(n)
    _write_table(out, found)
    print(f"{out}: {len(found)} labels to look at; correct the column 'label', then")
    print(" ", shlex.join(["alod", "teach", "--run", str(run), str(out)]))


def _write_table(out: Path, table: "DataFrame") -> None:
    write_atomically(out, table.to_csv(index=False), UNWRITABLE)


def _open_run(folder: Path, device: str, **given: Any) -> "LabelingRun":
    from alod.labeling.opening import open_run

    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", UserWarning)
        opened = open_run(folder, device=device, **given)
    for note in notes:
        print(f"alod: {note.message}", file=sys.stderr)
    return opened


def _catch_up(opened: "LabelingRun") -> None:
    if len(opened.labeled) and not opened.up_to_date:
        print(f"learning from {len(opened.labeled)} labels", flush=True)
        opened.fit()


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
    from alod_book import build as book

    pairs = dict(_pair(text) for text in parameter or [])
    try:
        print(book.run_chapter(chapter, pairs, out))
    except book.ChapterFailed as failure:
        print(failure, file=sys.stderr)
        raise SystemExit(1) from None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise AlodError(f"-p {text!r}: expected NAME=VALUE")
    return name, value


def _join_pairs(arguments: list[str]) -> list[str]:
    """Turn papermill's ``-p NAME VALUE`` into ``-p NAME=VALUE``, so that both can be written."""
    joined: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        joined.append(argument)
        if argument in ("-p", "--parameters"):
            name = next(rest, "")
            joined[-1] = "-p"
            joined.append(name if "=" in name else f"{name}={next(rest, '')}")
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
        code = app(given, standalone_mode=False)
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


if __name__ == "__main__":
    main()
