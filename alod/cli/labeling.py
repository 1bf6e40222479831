"""What the command line does for labeling: ``alod query``, ``teach``, ``predict`` and the rest."""

import shlex
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alod.cli.options import given, with_settings
from alod.files import UNWRITABLE, write_atomically

if TYPE_CHECKING:  # seconds, which no help should take
    from alod.labeling.run import LabelingRun

Run = Annotated[Path, typer.Option("--run", help="The run's own folder.")]
_IMAGES = "Folder of images; the first time, or once it has moved."
Images = Annotated[Path | None, typer.Option(help=_IMAGES)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


@with_settings("alod.labeling.settings:Settings")
def query(
    run: Run,
    k: Annotated[int, typer.Option("-k", help="Images to ask for.")] = 100,
    out: Annotated[Path | None, typer.Option(help="CSV to write; batch.csv in the run.")] = None,
    images: Images = None,
    target: Annotated[str | None, typer.Option(help="A rare class, to ask for it alone.")] = None,
    skip_duplicates: Annotated[
        bool, typer.Option("--skip-duplicates", help="Ask for one of each near-duplicates only.")
    ] = False,
    **settings: Any,
) -> None:
    """Ask which images to label: writes a CSV file with the columns file and label."""
    from alod.labeling.monitoring import looking_for
    from alod.labeling.settings import Settings
    from alod.labeling.tables import ANSWERS

    opened = _opened(run, images=images, **given(Settings, settings))
    path = out or run / "batch.csv"
    opened.check_taught(path)
    if target:  # refused before anything is learned
        looking_for(opened.learner, opened.classes, target)
    _catch_up(opened)
    if skip_duplicates:
        spared = opened.duplicates(spare=True)
        print(
            f"near-duplicates: {len(spared)} files, one of each {spared['group'].nunique()} asked"
        )
    asked = opened.query(k, target)
    if out is not None:
        opened.write_batch(asked, out)
    source = opened.root or "the array"
    print(f"{path}: {k} images of {source} to be labeled in the column 'label':")
    print(f"  {', '.join(opened.classes)}; or: {', '.join(ANSWERS)}")
    print("then:", shlex.join(["alod", "teach", "--run", str(run), str(path)]))


@with_settings("alod.labeling.settings:Settings")
def duplicates(
    run: Run,
    out: Annotated[Path, typer.Option(help="CSV to write: group, file.")],
    images: Images = None,
    **settings: Any,
) -> None:
    """List the images of a run that are nearly the same, before anyone labels."""
    from alod.labeling.settings import Settings

    found = _opened(run, images=images, **given(Settings, settings)).duplicates()
    write_atomically(out, found.to_csv(index=False), UNWRITABLE)
    print(f"{out}: {len(found)} files in {found['group'].nunique()} groups of near-duplicates")


def teach(
    run: Run,
    file: Annotated[Path, typer.Argument(help="CSV with the columns file and label.")],
    device: Device = "auto",
) -> None:
    """Take labels from a CSV file, learn from them, and tell how far the labeling has come."""
    opened = _opened(run, device=device)
    counts = opened.teach_file(file)
    told = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    print(f"{file}: answers taken and on disk: {told}", flush=True)
    _catch_up(opened)
    print(opened.report())


def predict(
    run: Run,
    out: Annotated[Path, typer.Option(help="CSV to write: file, label, confidence.")],
    device: Device = "auto",
) -> None:
    """Classify every image of a run; images that a person has labeled keep that label."""
    opened = _opened(run, device=device)
    _catch_up(opened)
    write_atomically(out, opened.predicted().to_csv(index=False), UNWRITABLE)
    print(f"{out}: {len(opened.files)} images classified")


def review(
    run: Run,
    out: Annotated[Path, typer.Option(help="CSV to write; correct its labels, then teach it.")],
    n: Annotated[int, typer.Option("-n", help="Images to name at most.")] = 20,
    device: Device = "auto",
) -> None:
    """List the labels that look wrong: outliers within their own class."""
    opened = _opened(run, device=device)
    opened.check_taught(out)  # corrections typed there would be lost
    found = opened.suspects(n)
    write_atomically(out, found.to_csv(index=False), UNWRITABLE)
    print(f"{out}: {len(found)} labels to look at; correct the column 'label', then")
    print(" ", shlex.join(["alod", "teach", "--run", str(run), str(out)]))


def _opened(folder: Path, **settings: Any) -> "LabelingRun":
    from alod.labeling.opening import open_run

    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", UserWarning)
        opened = open_run(folder, **settings)
    for note in notes:
        print(f"alod: {note.message}", file=sys.stderr)
    return opened


def _catch_up(opened: "LabelingRun") -> None:
    if len(opened.labeled) and not opened.up_to_date:
        print(f"learning from {len(opened.labeled)} labels", flush=True)
        opened.fit()
