"""The known data sets: with the package, or as raw files, verified by MD5, that are downloaded.

>>> data = load_dataset("fashion_mnist_mini")
>>> data.images.shape, data.images.dtype, len(data.test_images), data.classes[9]
(torch.Size([6000, 1, 28, 28]), torch.uint8, 1000, 'Ankle boot')
"""

import gzip
import hashlib
import http.client
import os
import socket
import tempfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import platformdirs

from alod.errors import AlodError, check_name, one_line

if TYPE_CHECKING:  # `alod data` lists files, without torch
    from alod.data.arrays import Dataset

_MINI = Path(__file__).parents[1] / "_mini"
_RAW_FILES = (
    *("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    *("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)
_REPAIR = "delete it, to have it downloaded again, or put a whole copy in its place"


@dataclass(frozen=True)
class _Source:
    """A known data set: four files of torchvision's layout and what is true of them."""

    title: str  # torchvision's class, and the folder that it makes
    classes: tuple[str, ...]
    augment: str
    md5: tuple[str, ...]  # of the uncompressed _RAW_FILES, in their order
    packaged: tuple[Path, ...] = ()  # where a system package puts the same files


_SOURCES = {
    "mnist": _Source(
        title="MNIST",
        classes=tuple("0123456789"),
        augment="digits",
        md5=(
            *("6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624"),
            *("2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"),
        ),
    ),
    "fashion_mnist": _Source(
        title="FashionMNIST",
        classes=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        augment="clothing",
        md5=(
            *("f4a8712d7a061bf5bd6d2ca38dc4d50a", "9018921c3c673c538a1fc5bad174d6f9"),
            *("8181f5470baa50b63fa0f6fddb340f0a", "15d484375f8d13e6eb1aabb0c3f46965"),
        ),
        packaged=(Path("/usr/share/datasets/fashion-mnist"),),  # Debian's dataset-fashion-mnist
    ),
}
DATASETS = (*_SOURCES, *(f"{name}_mini" for name in _SOURCES))
"""The names that `load_dataset` knows."""


def load_dataset(name: str, folder: Path | str | None = None) -> "Dataset":
    """Load one of `DATASETS` by `name`: train images as the pool, all targets known.

    ``mnist`` and ``fashion_mnist`` (60,000 + 10,000 images, 28 × 28, grey) are read from raw files,
    plain or ``.gz``, in torchvision's layout (``MNIST/raw``, ``FashionMNIST/raw``) below `folder`,
    by default :func:`data_folder`, and verified by MD5; Fashion-MNIST also from where Debian's
    package ``dataset-fashion-mnist`` puts it. What is not there is downloaded through torchvision;
    what is damaged is refused, and left as it is. ``mnist_mini`` and ``fashion_mnist_mini`` (6,000
    + 1,000, equally many of each class) come with this package. ``module:function`` is one of your
    own: what the function, called without arguments, returns, checked as by
    :func:`alod.data.arrays.from_arrays`.

    Sources: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document
    recognition"; Xiao, Rasul & Vollgraf 2017, "Fashion-MNIST: a novel image dataset for
    benchmarking machine learning algorithms".
    """
    import torch

    from alod.data.arrays import Dataset

    check_dataset(name)
    if ":" in name:
        return _own(name)
    source = _SOURCES[name.removesuffix("_mini")]
    arrays = _read(name, data_folder(folder))
    images, targets, test_images, test_targets = map(torch.from_numpy, arrays)
    return Dataset(
        name=name,
        images=images.unsqueeze(1),
        targets=targets.long(),
        test_images=test_images.unsqueeze(1),
        test_targets=test_targets.long(),
        classes=source.classes,
        augment=source.augment,
    )


def check_dataset(name: str) -> None:
    """Refuse a `name` that is neither one of `DATASETS` nor an importable ``module:function``."""
    if not isinstance(name, str) or ":" not in name:
        check_name("data set", name, DATASETS)
        return
    from alod.strategies import imported

    imported("data set", name)


def _own(name: str) -> "Dataset":
    from alod.data.arrays import Dataset, from_arrays
    from alod.strategies import imported

    try:
        made = imported("data set", name)()
        if isinstance(made, Dataset) and made.images.ndim == 2:  # features: a learner checks them
            return replace(made, name=name)
        if isinstance(made, Dataset):
            arrays = made.images, made.targets, made.test_images, made.test_targets
            return replace(from_arrays(*arrays, made.classes, name), augment=made.augment)
    except Exception as error:  # whatever the user's function raises
        kind = "" if isinstance(error, AlodError) else f"{type(error).__name__}: "
        raise AlodError(f"data set {name!r}: {kind}{one_line(error)}") from error
    raise AlodError(f"data set {name!r}: expected what alod.from_arrays returns, is {type(made)!r}")


def data_folder(folder: Path | str | None = None) -> Path:
    """Return where raw data lie: `folder`, else the environment's ``ALOD_DATA``, else a cache."""
    given = folder or os.environ.get("ALOD_DATA") or platformdirs.user_cache_dir("alod")
    return Path(given).expanduser()


def inventory(folder: Path | str | None = None) -> list[dict[str, object]]:
    """List the known data sets: what is there, where, and whether it is whole. Downloads nothing.

    A dict for each of `DATASETS`, looked for in `folder` as `load_dataset` does: ``name``;
    ``state`` (``"embedded"``, ``"verified"``, ``"refused"`` or ``"missing"``); ``where`` (Path:
    where it is, or would be downloaded to); ``megabytes`` (float, on disk; 0 when missing);
    ``note`` (one line: what was verified, why it is refused, or what will happen).
    """
    return [_row(name, data_folder(folder)) for name in DATASETS]


def _read(name: str, root: Path) -> list[npt.NDArray[np.generic]]:
    if name.endswith("_mini"):
        with np.load(_MINI / f"{name}.npz") as stored:
            return [stored[key] for key in ("images", "targets", "test_images", "test_targets")]
    found = _find(name, root)
    try:
        contents = _download(name, root) if found is None else found[1]
    except (AlodError, OSError, RuntimeError, http.client.HTTPException) as error:
        title = _SOURCES[name].title
        looked = " or ".join(map(str, _places(name, root)))
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise AlodError(
            f"{title} is not in {looked}, and downloading it failed ({reason}): set ALOD_DATA to a "
            f'folder that holds {title}/raw, or use "{name}_mini", which needs no network'
        ) from error
    return [_parse_idx(contents[file]) for file in _RAW_FILES]


def _row(name: str, root: Path) -> dict[str, object]:
    files: list[Path | None] = []
    if name.endswith("_mini"):
        state, note, where = "embedded", "comes with the package", _MINI / f"{name}.npz"
        files = [where]
    else:
        where = _places(name, root)[0]
        try:
            found = _find(name, root)
        except AlodError as error:
            state, note = "refused", str(error)
        else:
            state, note = "missing", "will be downloaded when first used"
            if found is not None:
                state, note, where = "verified", "MD5 of all four files is right", found[0]
                files = [_stored(where, file) for file in _RAW_FILES]
    megabytes = sum(path.stat().st_size for path in files if path is not None) / 1e6
    return {"name": name, "state": state, "where": where, "megabytes": megabytes, "note": note}


def _places(name: str, root: Path) -> tuple[Path, ...]:
    return (root / _SOURCES[name].title / "raw", *_SOURCES[name].packaged)


def _find(name: str, root: Path) -> tuple[Path, dict[str, bytes]] | None:
    for place in _places(name, root):
        # A damaged file is refused here, so that a good copy elsewhere never hides it.
        contents = _read_verified(name, place)
        if len(contents) == len(_RAW_FILES):
            return place, contents
    return None


def _read_verified(name: str, place: Path) -> dict[str, bytes]:
    contents = {}
    for file, expected in zip(_RAW_FILES, _SOURCES[name].md5, strict=True):
        try:
            path = _stored(place, file)
            if path is None:
                continue
            content = path.read_bytes()
            if path.suffix == ".gz":
                content = gzip.decompress(content)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise AlodError(f"{path} is damaged ({error}): {_REPAIR}") from error
        except OSError as error:
            told = f"{error.filename} cannot be read ({error.strerror}): {_REPAIR}"
            raise AlodError(told) from error
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != expected:
            told = f"MD5 {found}, expected {expected}, {len(content):,} bytes"
            raise AlodError(f"{path} is damaged ({told}): {_REPAIR}")
        contents[file] = content
    return contents


def _stored(place: Path, file: str) -> Path | None:
    return next((path for path in (place / file, place / f"{file}.gz") if path.exists()), None)


def _download(name: str, root: Path) -> dict[str, bytes]:
    # They arrive in a folder of their own and are moved once verified: an interrupted download
    # leaves nothing that could be taken for data, and no file that was there is replaced.
    from torchvision import datasets

    title = _SOURCES[name].title
    place = root / title / "raw"
    root.mkdir(parents=True, exist_ok=True)
    patience = socket.getdefaulttimeout()
    with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as arrivals:
        # torchvision sets no timeout: behind a firewall that swallows packets it waits for ever.
        socket.setdefaulttimeout(30)
        try:
            getattr(datasets, title)(arrivals, download=True)
        finally:
            socket.setdefaulttimeout(patience)
        arrived = Path(arrivals) / title / "raw"
        contents = _read_verified(name, arrived)
        place.mkdir(parents=True, exist_ok=True)
        for file in _RAW_FILES:
            if _stored(place, file) is None:
                (arrived / file).replace(place / file)
    return contents


def _parse_idx(content: bytes) -> npt.NDArray[np.uint8]:
    """Return the array in an idx file of bytes (LeCun's format), as a copy that can be written."""
    n_axes = content[3]
    shape = np.frombuffer(content, ">i4", count=n_axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * n_axes).reshape(shape).copy()
