"""What the command line does for labeling: ``alod query``, ``teach``, ``predict`` and the rest."""

import shlex
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alod.cli.options import given, with_settings
from alod.errors import AlodError, one_line
from alod.files import UNWRITABLE, refusing, write_atomically
from alod.labeling.label_studio import LOCAL_FILES, interface

if TYPE_CHECKING:  # seconds, which no help should take
    import numpy as np

    from alod.labeling.run import LabelingRun

Run = Annotated[Path, typer.Option("--run", help="The run's own folder.")]
_IMAGES = "Folder of images; the first time, or once it has moved."
Images = Annotated[Path | None, typer.Option(help=_IMAGES)]
_PREFIX = "What addresses of images begin with, in tasks for Label Studio."
Prefix = Annotated[str, typer.Option(help=_PREFIX)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


@with_settings("alod.labeling.settings:Settings")
def query(
    run: Run,
    k: Annotated[int, typer.Option("-k", help="Images to ask for.")] = 100,
    out: Annotated[
        Path | None, typer.Option(help="CSV to write, or .json: Label Studio's; batch.csv.")
    ] = None,
    images: Images = None,
    files: Annotated[
        Path | None, typer.Option(help="With --features a.npy: a text file, a name in each line.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="A rare class, to ask for it alone.")] = None,
    skip_duplicates: Annotated[
        bool, typer.Option("--skip-duplicates", help="Ask for one of each near-duplicates only.")
    ] = False,
    prefix: Prefix = LOCAL_FILES,
    **settings: Any,
) -> None:
    """Ask which images to label: writes a CSV file with the columns file and label.

    Of images below a folder, or of features of your own: --features a.npy --files names.txt.
    """
    from alod.labeling.monitoring import looking_for
    from alod.labeling.settings import Settings
    from alod.labeling.tables import ANSWERS

    source: Any = images
    if (settings.get("features") or "").endswith(".npy"):
        source = _read_features(Path(settings.pop("features")))
    names = None if files is None else _lines(files)
    opened = _opened(run, images=source, files=names, **given(Settings, settings))
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
        opened.write_batch(asked, out, prefix)
    where, told, back = opened.root or "the array", "the column 'label'", str(path)
    answers = f"{', '.join(opened.classes)}; or: {', '.join(ANSWERS)}"
    if path.suffix.lower() == ".json":
        told, back = "Label Studio, by this interface", "export.json"
        answers = interface([*opened.classes, *ANSWERS[:2]])
    print(f"{path}: {k} images of {where} to be labeled in {told}:")
    print(f"  {answers}")
    print("then:", shlex.join(["alod", "teach", "--run", str(run), back]))


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
    file: Annotated[
        Path, typer.Argument(help="CSV with the columns file and label; or Label Studio's export.")
    ],
    annotator: Annotated[str, typer.Option(help="Who labeled, if the file does not say.")] = "",
    device: Device = "auto",
) -> None:
    """Take labels from a CSV file, learn from them, and tell how far the labeling has come."""
    opened = _opened(run, device=device)
    opened.annotator = annotator
    counts = opened.teach_file(file)
    told = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    print(f"{file}: answers taken and on disk: {told}", flush=True)
    _catch_up(opened)
    print(opened.report())


def predict(
    run: Run,
    out: Annotated[
        Path | None, typer.Option(help="CSV to write: file, label, confidence; or .json.")
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="A column more for each class.")
    ] = False,
    sort_into: Annotated[
        Path | None, typer.Option(help="Folder to fill with a folder for each class.")
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Sort copies, not links.")] = False,
    images: Annotated[
        Path | None, typer.Option(help="Classify those below this folder, not the run's.")
    ] = None,
    prefix: Prefix = LOCAL_FILES,
    device: Device = "auto",
) -> None:
    """Classify every image of a run; images that a person has labeled keep that label."""
    if out is None and sort_into is None:
        raise AlodError("nothing to write: give --out all.csv, --sort-into sorted/, or both")
    if images is not None and (out is None or out.suffix.lower() == ".json" or sort_into):
        raise AlodError(f"--images {images}: other images are written as --out new.csv only")
    import numpy as np

    opened = _opened(run, device=device)
    _catch_up(opened)
    if images is not None and out is not None:
        with _telling():
            table = opened.predict_folder(images, probabilities)
        write_atomically(out, table.to_csv(index=False), UNWRITABLE)
        print(f"{out}: {len(table)} images classified")
        return
    if out is not None and out.suffix.lower() == ".json":
        opened.write_batch(np.arange(len(opened.files)), out, prefix)
    elif out is not None:
        write_atomically(out, opened.predicted(probabilities).to_csv(index=False), UNWRITABLE)
    if sort_into is not None:
        with _telling():
            opened.sort_into(sort_into, copy)
    for written in filter(None, (out, sort_into)):
        print(f"{written}: {len(opened.files)} images classified")


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


def _read_features(path: Path) -> "np.ndarray":
    import numpy as np

    try:
        return np.asanyarray(np.load(path, mmap_mode="r"))
    except (OSError, ValueError) as error:
        mend = "expected an array (N, D), as alod encode writes it"
        raise AlodError(f"--features {path}: {one_line(error)}; {mend}") from None


def _lines(path: Path) -> list[str]:
    with refusing(path, "expected a text file, a name in each line"):
        content = path.read_bytes()
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise AlodError(f"--files {path}: is no UTF-8 text; save it as UTF-8") from None


def _opened(folder: Path, **settings: Any) -> "LabelingRun":
    from alod.labeling.opening import open_run

    with _telling():
        return open_run(folder, **settings)


@contextmanager
def _telling() -> Iterator[None]:
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", UserWarning)
        yield
    for note in notes:
        print(f"alod: {note.message}", file=sys.stderr)


def _catch_up(opened: "LabelingRun") -> None:
    if len(opened.labeled) and not opened.up_to_date:
        print(f"learning from {len(opened.labeled)} labels", flush=True)
        opened.fit()
