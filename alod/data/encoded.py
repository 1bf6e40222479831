"""Images described once, by an encoder, and kept on disk.

An `encoder` is a name: one that is fitted to the pool (:func:`alod.encoders.fit`) or a frozen one
(:mod:`alod.data.pretrained`); or the user's own function or module. The `device` is where a network
runs.

>>> import alod
>>> images = alod.load_dataset("mnist_mini").images[:100]
>>> make("random_conv", images)(images).shape
torch.Size([100, 50])
"""

import csv
import hashlib
import io
import json
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from tqdm import tqdm

from alod import encoders
from alod.data import pretrained
from alod.data.arrays import Dataset
from alod.data.files import Stamp
from alod.data.known import data_folder
from alod.encoders import Encode, checksum
from alod.errors import AlodError
from alod.files import refusing, sync, write_atomically
from alod.heads import is_head
from alod.recipe import Recipe
from alod.training import Images

PIECE = 256  # images that are read, encoded and kept together: what a kill may lose
Read = Callable[[str], np.ndarray]
_MEND = "give a folder that can be written"


def check_encoder(name: str, encoder: Any) -> Any:
    """Refuse what is no `encoder`, ``"none"`` besides; whether it can be had is asked later.

    Any setting's `name` will do: what is refused is called the encoder.
    """
    if not isinstance(encoder, str):
        if not callable(encoder):
            raise AlodError(f"encoder={encoder!r}: expected a name, a module or a function")
    elif is_fitted(encoder):
        encoders.steps_of(encoder)
    elif encoder != "none":
        pretrained.check(encoder)
    return encoder


def check_recipe(encoder: Any, recipe: Recipe) -> None:
    """Refuse a `recipe` that does not learn from the features of an `encoder`."""
    if encoder == "none":
        return
    if not is_head(recipe.model):
        model = recipe.model if isinstance(recipe.model, str) else type(recipe.model).__name__
        mend = "give model='linear', or encoder='none'"
        raise AlodError(f"encoder={encoder!r}: model={model!r} learns from images; {mend}")
    for name, plain in (("augment", (None, "none", "auto")), ("views", (0,))):
        if (value := getattr(recipe, name)) not in plain:
            raise AlodError(f"{name}={value!r}: features cannot be distorted; leave it out")


def is_fitted(encoder: Any) -> bool:
    """Tell whether an `encoder` is fitted to the pool, so that it needs its images."""
    return isinstance(encoder, str) and encoder.partition(":")[0] in encoders.FEATURES


def make(encoder: Any, pool: Images, device: str | torch.device = "auto") -> Encode:
    """Return what encodes images, fitted to the `pool` (N, C, H, W) if it is of that kind."""
    if is_fitted(encoder):
        return encoders.fit(encoder, pool, device=device)
    return pretrained.load(encoder, device)


def identity(encoder: Any, pool: Images) -> str:
    """Name an `encoder`, its make, and the `pool` (N, …) if it is fitted to that."""
    if is_fitted(encoder):
        return f"{encoder} {encoders.steps_of(encoder)} {checksum(pool):08x}"
    name = encoder if isinstance(encoder, str) else "given"
    return f"{name} {pretrained.version(encoder)}"


def encoded(data: Dataset, encoder: str, device: str = "auto") -> Dataset:
    """Return a data set, `data` with features (N, D) for its images, test images, too.

    Kept below :func:`alod.data.known.data_folder`, so that other seeds and strategies find them;
    of several processes, one encodes and the others wait.
    """
    told = [identity(encoder, data.images), checksum(data.images), checksum(data.test_images)]
    name = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
    path = data_folder() / "encoded" / f"{name}.npz"
    lock = FileLock(path.with_suffix(".lock"))
    with suppress(OSError, NotImplementedError):  # nowhere to keep it: encoded anew the next time
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        with np.load(path) as kept:
            pool, test = kept["pool"], kept["test"]
    except Exception:  # not there, or whatever a damaged file raises
        encode = make(encoder, data.images, device)
        pool, test = encode(data.images).numpy(), encode(data.test_images).numpy()
        content = io.BytesIO()
        np.savez(content, pool=pool, test=test)
        with suppress(AlodError):
            write_atomically(path, content.getvalue())
    finally:
        lock.release()
    features, test_features = torch.from_numpy(pool), torch.from_numpy(test)
    return replace(data, images=features, test_images=test_features, augment="none")


def kept(
    cache: Path,
    about: str,
    names: Sequence[str],
    stamps: Sequence[Stamp],
    read: Read,
    make: Callable[[], Encode],
) -> np.memmap:
    """Encode images that `read` gives by their `names`, those known by their `stamps` from `cache`.

    The folder `cache` holds what an encoder, and all that decides what it makes of a file, told by
    `about`, has made so far: rows are added piece by piece, and a kill loses a piece at most.
    `read` is called from threads; `make` only where something is to be encoded. Returns features
    float32 (N, D), on disk.
    """
    wanted = list(zip(names, stamps, strict=True))
    with refusing(cache, _MEND):
        cache.mkdir(parents=True, exist_ok=True)
        number, width, known = _known(cache, about)
        if number and not known:
            warnings.warn(f"{cache}: held what another encoder made; encoding anew", stacklevel=2)
        there = set(known)
        missing = [entry for entry in wanted if entry not in there]
        if missing:
            width = _add(cache, about, number, missing, read, make())
            known += missing
        if known != wanted:
            rows = {entry: row for row, entry in enumerate(known)}
            old = _rows(cache, number, len(known), width)
            order = np.array([rows[entry] for entry in wanted])
            number = _reorder(cache, about, number, old, order, wanted)
    return _rows(cache, number, len(wanted), width)


def listed(cache: Path, about: str) -> list[tuple[str, Stamp]]:
    """Return names and stamps of the images that `cache` holds features of by `about`."""
    return _known(cache, about)[2]


def _rows(cache: Path, number: int, n: int, width: int) -> np.memmap:
    return np.memmap(cache / f"rows-{number}.f32", np.float32, "r", shape=(n, width))


def _known(cache: Path, about: str) -> tuple[int, int, list[tuple[str, Stamp]]]:
    """Return which rows are there, of what width; of another encoder, none."""
    try:
        told = json.loads((cache / "about.json").read_text())
        number, width = int(told["number"]), int(told["width"])
        with (cache / f"rows-{number}.csv").open(newline="", encoding="utf-8") as file:
            whole = file.read().rpartition("\n")[0]
        entries = [(n, (int(a), int(b))) for n, a, b in csv.reader(io.StringIO(whole))]
        size = (cache / f"rows-{number}.f32").stat().st_size
    except (OSError, ValueError, KeyError):
        return 0, 0, []
    if told["encoder"] != about or size < len(entries) * width * 4:
        return number + 1, 0, []
    return number, width, entries


def _add(
    cache: Path,
    about: str,
    number: int,
    missing: Sequence[tuple[str, Stamp]],
    read: Read,
    encode: Encode,
) -> int:
    """Encode what is missing and add it, rows before their names; return the width."""
    pieces = [missing[i : i + PIECE] for i in range(0, len(missing), PIECE)]
    data, table = (cache / f"rows-{number}.{kind}" for kind in ("f32", "csv"))
    _, width, known = _known(cache, about)
    if known:
        with table.open("r+b") as listed, data.open("r+b") as rows:  # a torn tail goes
            listed.truncate(_table(known).tell())
            rows.truncate(len(known) * width * 4)
    else:
        data.unlink(missing_ok=True)
        table.unlink(missing_ok=True)
    bar = tqdm(total=len(missing), desc="encoding images", disable=len(missing) < 1000)
    with ThreadPoolExecutor() as threads, data.open("ab") as rows, table.open("ab") as listed, bar:
        # The next piece is read while the network is at this one.
        coming = threads.map(read, [name for name, _ in pieces[0]])
        for piece, later in zip(pieces, [*pieces[1:], []], strict=True):
            images = np.stack(list(coming))
            coming = threads.map(read, [name for name, _ in later])
            features = encode(images).numpy()
            if not np.isfinite(features).all():
                raise AlodError(f"encoder {about}: made NaN or infinite features of {piece[0][0]}")
            if not width:
                width = features.shape[1]
                _tell(cache, about, number, width)
            if features.shape != (len(piece), width):
                made = f"made features {features.shape} of {len(piece)} images"
                raise AlodError(f"encoder {about}: {made}, where earlier ones have {width} columns")
            for file, content in ((rows, features.tobytes()), (listed, _table(piece).getvalue())):
                file.write(content)
                file.flush()
                sync(file.fileno())
            bar.update(len(piece))
    return width


def _reorder(
    cache: Path,
    about: str,
    number: int,
    old: np.memmap,
    order: np.ndarray,
    entries: Sequence[tuple[str, Stamp]],
) -> int:
    """Put rows into the `order` of the images that there are now; return the new number."""
    with (cache / f"rows-{number + 1}.f32").open("wb") as file:
        for start in range(0, len(order), PIECE):
            file.write(np.ascontiguousarray(old[order[start : start + PIECE]]).data)
        file.flush()
        sync(file.fileno())
    write_atomically(cache / f"rows-{number + 1}.csv", _table(entries).getvalue())
    _tell(cache, about, number + 1, old.shape[1])
    return number + 1


def _tell(cache: Path, about: str, number: int, width: int) -> None:
    told = {"encoder": about, "number": number, "width": width}
    write_atomically(cache / "about.json", json.dumps(told) + "\n")
    for stale in cache.glob("rows-*"):
        if stale.stem != f"rows-{number}":
            stale.unlink()


def _table(entries: Sequence[tuple[str, Stamp]]) -> io.BytesIO:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows((name, *stamp) for name, stamp in entries)
    table = io.BytesIO()
    table.write(text.getvalue().encode())
    return table
