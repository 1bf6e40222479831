"""Many image files as one array on disk: read once, memory-mapped ever after.

`cache` is a folder of this module's own, which may be deleted at any time; an array of `images` is
one that :func:`alod.data.arrays.from_arrays` takes, (N, H, W) or (N, C, H, W).

>>> from PIL import Image
>>> Path("photos").mkdir()
>>> Image.new("L", (40, 30)).save("photos/1.png")
>>> _ = Path("photos/2.png").write_text("no image")
>>> pool = read_folder(Path("photos"), Path("pool"), side=28)
>>> pool.files, list(pool.broken), pool.images.shape
(('1.png',), ['2.png'], (1, 1, 28, 28))
"""

import csv
import io
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from alod.data.arrays import from_arrays
from alod.data.files import (
    Stamp,
    has_pages,
    left_out,
    list_images,
    open_upright,
    read_square,
    refuse_unread,
)
from alod.data.names import nfc
from alod.errors import AlodError
from alod.files import refusing, sync, write_atomically
from alod.pool import Span, as_images, common_span, span_of

Listing = dict[str, Stamp]
# Of an image, by name: its row, and its levels if they are more than 8 bits, scaled by a span.
Reader = Callable[[str, Span | None], tuple[npt.NDArray[np.uint8], Span | None]]


@dataclass(frozen=True)
class Pool:
    """Images of one size, uint8 (N, C, H, W), read-only; C is 1 if all are grey, otherwise 3.

    `files`: the name of each, its path below the folder with forward slashes, or its row number;
    `broken`: those left out, and why; `span`: the levels that became 0 and 255, None if no image
    holds more than 8 bits; `stamps`: one for each of the files. `features`, float32 (N, D), are
    what an encoder makes of the images; they stand for these where only features were given.
    """

    images: np.memmap
    files: tuple[str, ...]
    broken: dict[str, str]
    span: Span | None = None
    stamps: tuple[Stamp, ...] = ()
    features: np.memmap | None = None


def read_folder(
    folder: Path, cache: Path, side: int, fit: str = "crop", fixed: Span | None = None
) -> Pool:
    """Read the image files below a `folder`, of those known only what has changed.

    Taken, scaled, brought to squares of `side` pixels, by `fit`, as
    :func:`alod.data.folder.from_folder` does, nested as deep as one likes, sorted by name; where
    levels beyond those known come in, all images of more than 8 bits are read again, unless their
    span is `fixed`. Files that cannot be read are in ``broken``, never fatal; a folder without a
    readable one is refused.
    """
    listing, problems, others = list_images(folder)
    if others and not cache.exists():
        warnings.warn(f"{folder}: {left_out({}, 0, others)}", stacklevel=2)

    paged: set[str] = set()

    def read(name: str, span: Span | None) -> tuple[npt.NDArray[np.uint8], Span | None]:
        if name in problems:
            raise ValueError(problems[name])
        square, levels = read_square(folder / name, side, fixed or span, fit)
        if has_pages(folder / name):
            paged.add(name)
        return square.transpose(2, 0, 1), None if fixed else levels

    pool = _refresh(listing, read, cache, (3, side, side))
    if not pool.files:
        refuse_unread(folder, pool.broken, len(listing))
    if paged:
        warnings.warn(f"{folder}: {left_out({}, 0, paged=paged)}", stacklevel=2)
    return pool


def read_array(images: npt.ArrayLike, cache: Path) -> Pool:
    """Copy an array of `images` to disk, in its order, so that a run can go on without it."""
    rows, span = from_arrays(images).images.numpy(), span_of(images)
    listing = {str(i): (row.nbytes, zlib.crc32(row)) for i, row in enumerate(rows)}
    return _refresh(listing, lambda name, _: (rows[int(name)], span), cache, rows.shape[1:])


def cached(cache: Path) -> Pool | None:
    """Return what was read earlier, as it is on disk; None if anything of it is amiss."""
    found = _load(cache)
    return None if found is None else found[0]


def same_images(pool: Pool, images: npt.ArrayLike) -> bool:
    """Tell whether an array holds the `images` of a `pool`, in its order."""
    # Scaled as they were: an earlier version may have taken other levels for 0 and 255.
    rows = as_images("images", images, pool.span)
    here = pool.images.shape
    if len(rows) != here[0] or rows.shape[2:] != here[2:] or here[1] not in (1, rows.shape[1]):
        return False
    starts = range(0, len(rows), 1024)
    return all((rows[i : i + 1024] == pool.images[i : i + 1024]).all() for i in starts)


def as_png(image: Image.Image | npt.NDArray[np.uint8]) -> bytes:
    """Return an `image`, Pillow's or uint8 (C, H, W), as PNG; of odd channels the mean."""
    if isinstance(image, np.ndarray):
        plane = image[0] if len(image) == 1 else image.mean(axis=0).astype(np.uint8)
        image = Image.fromarray(image.transpose(1, 2, 0).copy() if len(image) == 3 else plane)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def picture(
    file: Path | None, row: npt.NDArray[np.generic], span: Span | None, side: int = 256
) -> bytes:
    """Return an image as PNG, no longer than `side`, as a person wants to see it.

    From its `file`, if there, else from `row`, uint8 (C, H, W); of features a grey tile is shown.
    `span` is the pool's.
    """
    if file is not None:
        # Gone or damaged since it was read: show what is learned from.
        with suppress(Exception):
            image, _ = open_upright(file, span, side)
            image.thumbnail((side, side))
            return as_png(image)
    return as_png(np.asarray(row) if row.ndim == 3 else np.full((1, 64, 64), 200, np.uint8))


def _refresh(listing: Listing, read: Reader, cache: Path, shape: tuple[int, ...]) -> Pool:
    """Return the pool that is listed, reading what the cache lacks."""
    old = _load(cache)
    if old is not None and old[1] == listing and old[0].images.shape[2:] == shape[1:]:
        return old[0]
    # What has the same stamp is copied, in channels as many as are asked for.
    known: dict[str, np.ndarray] = {}
    broken: dict[str, str] = {}
    levels: dict[str, Span] = {}
    span = None
    if old is not None and old[0].images.shape[1:] in (shape, (1, *shape[1:])):
        pool, stamps, old_levels = old
        # By today's spelling: another system may have written the list.
        now = {nfc(name): name for name in listing}
        same = {n: now[nfc(n)] for n in stamps if nfc(n) in now}
        same = {n: name for n, name in same.items() if stamps[n] == listing[name]}
        rows = zip(pool.files, pool.images, strict=True)
        known = {same[n]: row for n, row in rows if n in same}
        broken = {same[n]: why for n, why in pool.broken.items() if n in same}
        levels = {same[n]: found for n, found in old_levels.items() if n in same}
        span = pool.span

    def row_of(name: str) -> np.ndarray | str:
        if name in known:
            return np.broadcast_to(known[name], shape)
        try:
            row, found = read(name, span)
            if found is not None:
                levels[name] = found
            return np.broadcast_to(row, shape)
        except Exception as error:  # decoders raise whatever they please on a damaged file
            return (str(error) or type(error).__name__).splitlines()[0]

    with refusing(cache, "free space or access, then open the run again"):
        cache.mkdir(parents=True, exist_ok=True)
        temporary = cache / ".reading"
        grey, n_read = _write_rows(temporary, listing, broken, row_of)
        while common_span(levels.values()) != span:
            # What was read was scaled by other levels than the pool has.
            span = common_span(levels.values())
            known = {name: row for name, row in known.items() if name not in levels}
            grey, n_read = _write_rows(temporary, listing, broken, row_of)
        if not n_read:
            return Pool(np.zeros((0, *shape), np.uint8), (), broken)  # type: ignore[arg-type]
        if grey and shape[0] == 3:
            shape = (1, *shape[1:])
            _keep_first_channel(temporary, (n_read, 3, *shape[1:]))
        _store(temporary, listing, broken, levels, shape)
    found = _load(cache)
    if found is None:
        raise AlodError(f"{cache}: what was written cannot be read back; is the disk damaged?")
    return found[0]


def _write_rows(
    path: Path, listing: Listing, broken: dict[str, str], row_of: Callable[[str], np.ndarray | str]
) -> tuple[bool, int]:
    """Write the rows of a pool; return whether all are grey, and how many there are."""
    grey, n_read = True, 0
    names = [name for name in listing if name not in broken]
    with path.open("wb") as file, ThreadPoolExecutor() as threads:
        # Streamed in pieces: a million images need not fit in memory.
        starts = range(0, len(names), 256)
        for start in tqdm(starts, "reading images", disable=len(names) < 5000):
            piece = names[start : start + 256]
            for name, row in zip(piece, threads.map(row_of, piece), strict=True):
                if isinstance(row, str):
                    broken[name] = row
                    continue
                grey = grey and bool((row == row[:1]).all())
                file.write(np.ascontiguousarray(row).data)
                n_read += 1
        file.flush()
        sync(file.fileno())
    return grey, n_read


def _keep_first_channel(path: Path, shape: tuple[int, ...]) -> None:
    colors = np.memmap(path, np.uint8, "r", shape=shape)
    thin = path.with_name(".grey")
    with thin.open("wb") as file:
        for start in range(0, len(colors), 1024):
            file.write(np.ascontiguousarray(colors[start : start + 1024, :1]).data)
        file.flush()
        sync(file.fileno())
    thin.replace(path)


def _store(
    rows: Path,
    listing: Listing,
    broken: dict[str, str],
    levels: dict[str, Span],
    shape: tuple[int, ...],
) -> None:
    """Put rows and their list in place; the list names its rows, so both are of one reading."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("file", "bytes", "stamp", "problem", *(("lowest", "highest") * bool(levels))))
    for name, stamp in listing.items():
        found = levels.get(name, ("", "") if levels else ())
        table.writerow((name, *stamp, broken.get(name, ""), *found))
    content = text.getvalue()
    path = rows.with_name(_rows_name(content, shape))
    rows.replace(path)
    write_atomically(path.with_name("files.csv"), content)
    for stale in path.parent.glob("images-*.u8"):
        if stale != path:
            stale.unlink()


def _rows_name(content: str, shape: tuple[int, ...]) -> str:
    digest = sha256(content.encode()).hexdigest()[:16]
    return f"images-{digest}-{'x'.join(map(str, shape))}.u8"


def _load(cache: Path) -> tuple[Pool, Listing, dict[str, Span]] | None:
    """Return pool, list and levels in the cache; None if anything is not as it was left."""
    try:
        content = (cache / "files.csv").read_text(encoding="utf-8")
        table = list(csv.DictReader(io.StringIO(content)))
        (path,) = cache.glob(_rows_name(content, ("*",)))  # type: ignore[arg-type]
        shape = tuple(int(part) for part in path.stem.split("-")[-1].split("x"))
        files = tuple(row["file"] for row in table if not row["problem"])
        broken = {row["file"]: row["problem"] for row in table if row["problem"]}
        listing = {row["file"]: (int(row["bytes"]), int(row["stamp"])) for row in table}
        deep = [row for row in table if row.get("lowest")]
        levels = {row["file"]: (float(row["lowest"]), float(row["highest"])) for row in deep}
        leaving = any(name.startswith("/") or ".." in Path(name).parts for name in files)
        if leaving or not files or path.stat().st_size != len(files) * int(np.prod(shape)):
            return None
        images = np.memmap(path, np.uint8, "r", shape=(len(files), *shape))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    stamps = tuple(listing[name] for name in files)
    return Pool(images, files, broken, common_span(levels.values()), stamps), listing, levels
