"""The command line: ``alod run``, ``sweep``, ``query``, ``teach``, ``book`` and the rest."""

import inspect
import io
import json
import shlex
import sys
import warnings
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alod.errors import AlodError
from alod.experiments.run import ExperimentConfig, run_experiment
from alod.experiments.sweep import find_runs, load_configs, record, run_sweep, summarize
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

HELP = {
    "dataset": "mnist, fashion_mnist, mnist_mini or fashion_mnist_mini.",
    "model": "cnn, lenet5 or resnet18.",
    "strategy": "How to choose what to ask: outlier, margin, random, …",
    "strategy_params": "The strategy's own parameters, a JSON object.",
    "initial": "The first set: kmeans, herding, maxherding, typiclust, kcenter or random.",
    "features": "What the first set is chosen by: pixels, random_conv or self_supervised.",
    "n_initial": "Labels in the first set.",
    "n_query": "Labels bought in each round.",
    "rounds": "Rounds after the first set.",
    "budgets": "In place of these three: labels after each round, such as 20,50,100.",
    "pool": "clean, duplicates, long_tail, foreign_5, foreign_20, foreign_40 or foreign_hard_20.",
    "training_mode": "Where each round sets out: shrink_perturb, warm or scratch.",
    "steps": "Gradient steps in each round.",
    "batch_size": "Images in each step.",
    "learning_rate": "Peak learning rate.",
    "min_epochs": "Passes over the labels that a round takes at least, whatever the steps.",
    "inlier_passes": "Passes in each round that learn inliers with their predicted class.",
    "views": "Distorted copies of each test image whose predictions are averaged.",
    "augment": "Distortions: auto, none, digits or clothing.",
    "seed": "Everything random depends on it.",
    "device": "auto, cpu, cuda or mps.",
    "keep_embeddings": "Write embeddings.npz.",
    "diagnose": "Add to history.csv how good the first set is and what each round changed.",
}
COLUMNS = ("round", "labels", "classes", "accuracy", "fit s", "infer s", "query s")


def run(out: Path, **options: Any) -> None:
    """Run one experiment into its own folder; a run that was cut off goes on."""
    options["strategy_params"] = _json_object("--strategy-params", options["strategy_params"])
    options["budgets"] = _numbers("--budgets", options["budgets"])
    config = ExperimentConfig(**options)
    print("".join(f"{name:>10}" for name in COLUMNS), flush=True)
    finished = run_experiment(config, out, on_round=_print_row)
    last = finished.history.iloc[-1]
    print(
        f"{out}: finished, {last.test_accuracy:.4f} test accuracy with {last.n_labeled:.0f} labels "
        f"in {finished.provenance['wall_seconds']:.0f} s"
    )


def _print_row(row: dict[str, float]) -> None:
    print(
        f"{row['round']:>10}{row['n_labeled']:>10}{row['n_classes_seen']:>10}"
        f"{row['test_accuracy']:>10.4f}"
        + "".join(f"{row[f'{part}_seconds']:>10.2f}" for part in ("fit", "infer", "query")),
        flush=True,
    )


def _options_from_config(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each field of ExperimentConfig, with its default."""
    options = [
        inspect.Parameter(
            "out",
            inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[Path, typer.Option(help="The run's own folder.")],
        )
    ]
    for f in fields(ExperimentConfig):
        plain = f.default is not MISSING
        annotation = Annotated[f.type if plain else str, typer.Option(help=HELP[f.name])]  # type: ignore[valid-type]
        default = f.default if plain else {"strategy_params": "{}", "budgets": ""}[f.name]
        options.append(
            inspect.Parameter(
                f.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
            )
        )
    command.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    command.__annotations__ = {o.name: o.annotation for o in options}
    return command


app.command()(_options_from_config(run))


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(help="An experiment file, YAML.")],
    out: Annotated[Path, typer.Option(help="Folder of all run folders.")],
    jobs: Annotated[
        int | None, typer.Option(help="Processes; one for each core if not given.")
    ] = None,
    dask: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, to compute on its workers.")
    ] = None,
) -> None:
    """Run many experiments side by side; what is finished is skipped, what was cut off goes on."""
    report = run_sweep(load_configs(file), out, jobs=jobs, dask=dask)
    for folder, problem in report.failed.items():
        print(f"alod: {folder}: {problem}", file=sys.stderr)
    print(f"{out}: {len(report.finished)} runs finished, {len(report.failed)} failed")
    if report.failed:
        raise SystemExit(1)


@app.command()
def compare(
    folders: Annotated[list[Path], typer.Argument(help="Folders that hold runs.")],
    out: Annotated[Path, typer.Option(help="The CSV file to write; a .json comes beside it.")],
    add: Annotated[bool, typer.Option("--add", help="Keep the runs that the file holds.")] = False,
) -> None:
    """Gather all finished runs in or below some folders into one tidy table."""
    runs, unfinished = find_runs(folders)
    summary = summarize(record(runs, out, add))
    summary = summary.rename(columns={"accuracy_mean": "accuracy", "accuracy_std": "sd"})
    print(summary.to_string(index=False, float_format="{:.4f}".format, na_rep="-"))
    print(f"{out}: {len(runs)} finished runs; {len(unfinished)} unfinished")


@app.command()
def data(
    names: Annotated[
        list[str] | None, typer.Argument(help="Data sets to fetch; none lists what is there.")
    ] = None,
) -> None:
    """List the data sets and where they lie, or fetch and verify some."""
    from alod.data import inventory, load_dataset

    for name in names or []:
        loaded = load_dataset(name)
        print(f"{name}: {len(loaded.images)} images and {len(loaded.test_images)} test images")
    if not names:
        for row in inventory():
            print(
                f"{row['name']:<20}{row['state']:<10}{row['megabytes']:>6.1f} MB  {row['where']}"
                f"  {row['note']}"
            )


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
    from alod_book.chapters import ChapterFailed, run_chapter

    pairs = dict(_pair(text) for text in parameter or [])
    try:
        print(run_chapter(chapter, pairs, out))
    except ChapterFailed as failure:
        print(failure, file=sys.stderr)
        raise SystemExit(1) from None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise AlodError(f"-p {text!r}: expected NAME=VALUE")
    return name, value


def _json_object(option: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise AlodError(f'{option} {text!r}: expected a JSON object such as {{"focus": 4}}')
    return value


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise AlodError(f"{option} {text!r}: expected numbers such as 20,50,100") from None


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
