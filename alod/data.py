"""Image classification data as tensors: known sets by name, or the user's own arrays and folders.

A data set is whole: every image in one uint8 tensor, indexed from then on. Nothing that is read is
changed, and nothing damaged is used: raw files are verified by MD5, arrays are checked at the door.
"""

import gzip
import hashlib
import http.client
import os
import socket
import tempfile
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import platformdirs
import torch

from alod.errors import AlodError, check_count, check_name, check_names
from alod.files import refusing
from alod.imagefiles import (
    Span,
    common_span,
    darkness,
    left_out,
    list_images,
    no_image,
    parts_of,
    read_square,
    to_bytes,
)
from alod.names import nfc

UNKNOWN = -1
"""The target of an image whose class is not known."""

DATASETS = ("mnist", "fashion_mnist", "mnist_mini", "fashion_mnist_mini")
"""The names that `load_dataset` knows."""

MAX_CLASSES = 10_000
"""More classes than this without names are no classes but identifiers."""

# How pandas and NumPy write a missing value once it is text.
_MISSING = ("nan", "NaN", "NaT", "<NA>")

_MINI = Path(__file__).parent / "_mini"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images to learn from and images to test on.

    Attributes
    ----------
    name : str
        What figures and tables call it.
    images : torch.Tensor
        uint8 (N, C, H, W), the pool; N is at least 1.
    targets : torch.Tensor
        int64 (N,), 0 to ``len(classes) - 1``; -1 where unknown.
    test_images : torch.Tensor
        uint8 (M, C, H, W); M may be 0.
    test_targets : torch.Tensor
        int64 (M,), 0 to ``len(classes) - 1``.
    classes : tuple of str
        Class names in the order of the targets; empty when no class is known.
    augment : str
        The distortions that leave the class what it is: ``"digits"`` (small affine),
        ``"clothing"`` (flip and shift) or ``"none"``.

    Examples
    --------
    >>> data = load_dataset("fashion_mnist_mini")
    >>> len(data.images), len(data.test_images), data.classes[9]
    (6000, 1000, 'Ankle boot')
    """

    name: str
    images: torch.Tensor
    targets: torch.Tensor
    test_images: torch.Tensor
    test_targets: torch.Tensor
    classes: tuple[str, ...]
    augment: str = "none"


@dataclass(frozen=True)
class _Source:
    """A known data set: four files of torchvision's layout and what is true of them."""

    title: str  # torchvision's class, and the folder that it makes
    classes: tuple[str, ...]
    augment: str
    md5: tuple[str, str, str, str]  # of the uncompressed _RAW_FILES, in their order
    packaged: tuple[Path, ...] = ()  # where a system package puts the same files


_RAW_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

_SOURCES = {
    "mnist": _Source(
        title="MNIST",
        classes=tuple("0123456789"),
        augment="digits",
        md5=(
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        ),
    ),
    "fashion_mnist": _Source(
        title="FashionMNIST",
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        augment="clothing",
        md5=(
            "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "9018921c3c673c538a1fc5bad174d6f9",
            "8181f5470baa50b63fa0f6fddb340f0a",
            "15d484375f8d13e6eb1aabb0c3f46965",
        ),
        packaged=(Path("/usr/share/datasets/fashion-mnist"),),  # Debian's dataset-fashion-mnist
    ),
}


def load_dataset(name: str, folder: Path | str | None = None) -> Dataset:
    """Load a known data set.

    ``mnist`` and ``fashion_mnist`` (60,000 + 10,000 images, 28 × 28, grey) are read from raw files,
    plain or ``.gz``, in torchvision's layout (``MNIST/raw``, ``FashionMNIST/raw``) and verified by
    MD5; Fashion-MNIST also from where Debian's package ``dataset-fashion-mnist`` puts it. What is
    not there is downloaded through torchvision. ``mnist_mini`` and ``fashion_mnist_mini`` (6,000 +
    1,000, equally many of each class) come with this package and need neither folder nor network.

    Sources: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document
    recognition"; Xiao, Rasul & Vollgraf 2017, "Fashion-MNIST: a novel image dataset for
    benchmarking machine learning algorithms".

    Parameters
    ----------
    name : str
        One of `DATASETS`.
    folder : Path or str, optional
        The folder that holds ``MNIST/raw`` or ``FashionMNIST/raw``, or will hold the download.
        By default `data_folder`; the mini sets do not use it.

    Returns
    -------
    Dataset
        Train images as the pool, all targets known.

    Raises
    ------
    AlodError
        If the name is unknown; if a raw file is damaged (it is named, and left as it is); if the
        data are neither there nor to be downloaded.

    Examples
    --------
    >>> data = load_dataset("mnist_mini")
    >>> data.images.shape, data.images.dtype, data.test_images.shape
    (torch.Size([6000, 1, 28, 28]), torch.uint8, torch.Size([1000, 1, 28, 28]))
    >>> data.classes[3], int(data.targets[0]) in range(10)
    ('3', True)
    """
    check_name("data set", name, DATASETS)
    source = _SOURCES[name.removesuffix("_mini")]
    if name.endswith("_mini"):
        with np.load(_MINI / f"{name}.npz") as stored:
            images, targets, test_images, test_targets = (
                stored[key] for key in ("images", "targets", "test_images", "test_targets")
            )
    else:
        contents = _raw_contents(name, data_folder(folder))
        images, targets, test_images, test_targets = (
            _parse_idx(contents[file]) for file in _RAW_FILES
        )
    return Dataset(
        name=name,
        images=torch.from_numpy(images).unsqueeze(1),
        targets=torch.from_numpy(targets.astype(np.int64)),
        test_images=torch.from_numpy(test_images).unsqueeze(1),
        test_targets=torch.from_numpy(test_targets.astype(np.int64)),
        classes=source.classes,
        augment=source.augment,
    )


def data_folder(folder: Path | str | None = None) -> Path:
    """Return where raw data are looked for first, and downloaded to.

    Parameters
    ----------
    folder : Path or str, optional
        Taken as it is when given.

    Returns
    -------
    Path
        `folder`, else the environment variable ``ALOD_DATA``, else the user's cache directory.

    Examples
    --------
    >>> data_folder("data").name
    'data'
    """
    given = folder or os.environ.get("ALOD_DATA") or platformdirs.user_cache_dir("alod")
    return Path(given).expanduser()


def inventory(folder: Path | str | None = None) -> list[dict[str, object]]:
    """List the known data sets: what is there, where, and whether it is whole. Downloads nothing.

    Parameters
    ----------
    folder : Path or str, optional
        As for `load_dataset`.

    Returns
    -------
    list of dict
        One for each name in `DATASETS`, with the keys ``name``; ``state`` (``"embedded"``,
        ``"verified"``, ``"refused"`` or ``"missing"``); ``where`` (Path: where it is, or where it
        would be downloaded to); ``megabytes`` (float, on disk; 0 when missing); ``note`` (one
        line: what was verified, why it is refused, or what will happen).

    Examples
    --------
    >>> [row["name"] for row in inventory() if row["state"] == "embedded"]
    ['mnist_mini', 'fashion_mnist_mini']
    """
    return [
        _mini_row(name) if name.endswith("_mini") else _raw_row(name, data_folder(folder))
        for name in DATASETS
    ]


def from_arrays(
    images: npt.ArrayLike | torch.Tensor,
    targets: npt.ArrayLike | torch.Tensor | None = None,
    test_images: npt.ArrayLike | torch.Tensor | None = None,
    test_targets: npt.ArrayLike | torch.Tensor | None = None,
    classes: Sequence[str] | None = None,
    name: str = "arrays",
) -> Dataset:
    """Make a data set of arrays.

    Parameters
    ----------
    images : array or torch.Tensor
        (N, H, W) grey or (N, C, H, W), N at least 1. uint8; floating point from 0 to 1, which is
        rounded to the nearest of 256 levels; or whole numbers of 16 bits, scaled as :func:`span_of`
        says. Contiguous writable uint8 arrays are not copied, so that a memory-mapped pool
        (``numpy.load(path, mmap_mode="c")``) stays on disk.
    targets : array or torch.Tensor, optional
        Whole numbers (N,), counted from 0; -1 (unknown) where there is no label, and everywhere by
        default.
    test_images, test_targets : array or torch.Tensor, optional
        As above with M for N, both or neither; every test target is known, and 16 bits are scaled
        as those of the pool.
    classes : sequence of str, optional
        Class names, all different; ``"0"``, ``"1"``, ... up to the largest target by default.
    name : str
        What figures and tables call it.

    Returns
    -------
    Dataset
        On the CPU, with ``augment="none"``.

    Raises
    ------
    AlodError
        If shape, type, range or length of anything is not as above; if a float is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> data = from_arrays(np.zeros((4, 28, 28), np.uint8), [0, 1, 1, 0], classes=["cat", "dog"])
    >>> data.images.shape, data.targets.tolist(), data.classes
    (torch.Size([4, 1, 28, 28]), [0, 1, 1, 0], ('cat', 'dog'))
    """
    span = span_of(images)
    images_NCHW = as_images("images", images, span)
    if len(images_NCHW) == 0:
        raise AlodError("images hold no image: expected at least one")
    if (test_images is None) != (test_targets is None):
        given, absent = (
            ("test_images", "test_targets")
            if test_targets is None
            else ("test_targets", "test_images")
        )
        raise AlodError(f"{given} without {absent}: give both or neither")
    shape = images_NCHW.shape[1:]
    if test_images is None:
        test_MCHW = np.zeros((0, *shape), np.uint8)
    else:
        test_MCHW = as_images("test_images", test_images, span)
    if test_MCHW.shape[1:] != shape:
        raise AlodError(
            f"test_images have shape {test_MCHW.shape[1:]} (channels, height, width): "
            f"expected that of images, {shape}"
        )
    labels_N = _as_targets("targets", targets, len(images_NCHW), lowest=UNKNOWN)
    labels_M = _as_targets("test_targets", test_targets, len(test_MCHW), lowest=0)
    if told := darkness(images_NCHW, span):
        warnings.warn(f"{name}: {told}", stacklevel=2)
    return Dataset(
        name=name,
        images=torch.from_numpy(images_NCHW),
        targets=torch.from_numpy(labels_N),
        test_images=torch.from_numpy(test_MCHW),
        test_targets=torch.from_numpy(labels_M),
        classes=_as_classes(classes, {"targets": labels_N, "test_targets": labels_M}),
    )


def from_folder(
    folder: Path | str, image_size: int = 28, test_fraction: float = 0.0, seed: int = 0
) -> Dataset:
    """Make a data set of the image files in a folder.

    Each folder directly inside `folder` that holds images, however deep, is a class; images that
    lie in `folder` itself are unlabeled, so a folder of images alone is an unlabeled pool. Where
    those folders are ``train``, ``test`` and the like, the classes are one level below: the test
    images come from ``test``, else from ``val``, and the pool from the rest. Links are followed;
    hidden files and folders, and the system's own, are passed over. Photos are turned upright,
    cropped to the central square and resized with antialiasing; transparent pixels become white.
    The images stay grey (C = 1) if every one of them is, otherwise all are RGB (C = 3). Files that
    cannot be read are left out with one warning that counts and names them.

    Parameters
    ----------
    folder : Path or str
        Files of every kind that Pillow reads count. More than 8 bits are scaled by what the pool
        holds, as :func:`span_of` says for arrays.
    image_size : int
        Height and width in pixels, 8 to 1024.
    test_fraction : float
        Share of the labeled images of every class that is set aside for testing, 0 <= f < 1.
    seed : int
        Which images those are, 0 or more.

    Returns
    -------
    Dataset
        Named as the folder, images in the order of their sorted paths.

    Raises
    ------
    AlodError
        If the folder is missing or holds no readable image; if a number is out of range; if
        `test_fraction` sets no image aside, or there is a folder of test images already.

    Examples
    --------
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> for name in ("cat/1.png", "dog/1.png"):
    ...     Path("photos", name).parent.mkdir(parents=True)
    ...     Image.new("L", (40, 30)).save(Path("photos", name))
    >>> data = from_folder("photos", image_size=28)
    >>> data.images.shape, data.classes
    (torch.Size([2, 1, 28, 28]), ('cat', 'dog'))
    """
    check_count("image_size", image_size, 8, 1024)
    check_count("seed", seed, 0)
    if not isinstance(test_fraction, int | float) or not 0 <= test_fraction < 1:
        raise AlodError(f"test_fraction={test_fraction!r}: expected a number from 0 to below 1")
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise AlodError(f"image folder {root} is not there: expected a folder with image files")
    with refusing(root, "let its files be listed"):
        listing, problems, others = list_images(root)
    if not listing:
        raise AlodError(no_image(root, others))
    paths = sorted((n for n in listing if n not in problems), key=lambda name: name.split("/"))
    rows, note = _folder_rows(root, paths, test_fraction)

    squares: list[npt.NDArray[np.uint8]] = []
    levels: dict[int, Span] = {}
    read: list[_Row] = []
    for row in rows:
        try:
            square, span = read_square(root / row[0], image_size)
        except Exception as error:  # decoders raise whatever they please on a damaged file
            problems[row[0]] = str(error)
            continue
        if span is not None:
            levels[len(read)] = span
        squares.append(square)
        read.append(row)
    if not squares:
        name, reason = next(iter(problems.items()))
        raise AlodError(
            f"image folder {root}: none of its {len(listing)} image files can be read; {name!r}: "
            f"{reason}"
        )
    classes = sorted({word for _, word, _ in read if word is not None})
    labels = np.array([UNKNOWN if w is None else classes.index(w) for _, w, _ in read], np.int64)
    test = np.array([is_test for _, _, is_test in read])
    if test_fraction > 0:
        test = _stratified(labels, test_fraction, np.random.default_rng(seed))
        if not test.any():
            raise AlodError(
                f"test_fraction={test_fraction!r} sets none of {root}'s images aside: "
                "expected more labeled images (one folder for each class), or 0"
            )
    span = common_span(found for i, found in levels.items() if not test[i])
    if span is not None:
        for i in levels:
            squares[i] = read_square(root / read[i][0], image_size, span)[0]
    images_NHWC = np.stack(squares)
    if (images_NHWC == images_NHWC[..., :1]).all():
        images_NHWC = images_NHWC[..., :1]
    images_NCHW = np.ascontiguousarray(images_NHWC.transpose(0, 3, 1, 2))
    told = (note, left_out(problems, len(listing), others), darkness(images_NCHW, span))
    if any(told):
        warnings.warn(f"{root}: {'; '.join(filter(None, told))}", stacklevel=2)
    images = torch.from_numpy(images_NCHW)
    return Dataset(
        name=root.resolve().name,
        images=images[~test],
        targets=torch.from_numpy(labels[~test]),
        test_images=images[test],
        test_targets=torch.from_numpy(labels[test]),
        classes=tuple(classes),
    )


# Raw files: found, verified, downloaded


def _places(name: str, root: Path) -> tuple[Path, ...]:
    """List the folders that may hold the raw files, the user's own first."""
    source = _SOURCES[name]
    return (root / source.title / "raw", *source.packaged)


def _find(name: str, root: Path) -> tuple[Path, dict[str, bytes]] | None:
    """Return the first place that holds all four raw files, and their verified content."""
    for place in _places(name, root):
        # A damaged file is refused here, so that a good copy elsewhere never hides it.
        contents = _read_verified(name, place)
        if len(contents) == len(_RAW_FILES):
            return place, contents
    return None


def _raw_contents(name: str, root: Path) -> dict[str, bytes]:
    """Return the verified content of the four raw files, downloaded if they are nowhere."""
    found = _find(name, root)
    if found is not None:
        return found[1]
    try:
        return _download(name, root)
    except (AlodError, OSError, RuntimeError, http.client.HTTPException) as error:
        title = _SOURCES[name].title
        looked = " or ".join(map(str, _places(name, root)))
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise AlodError(
            f"{title} is not in {looked}, and downloading it failed ({reason}): set ALOD_DATA to a "
            f'folder that holds {title}/raw, or use "{name}_mini", which needs no network'
        ) from error


def _raw_row(name: str, root: Path) -> dict[str, object]:
    where, megabytes = _places(name, root)[0], 0.0
    try:
        found = _find(name, root)
    except AlodError as error:
        state, note = "refused", str(error)
    else:
        if found is None:
            state, note = "missing", "will be downloaded when first used"
        else:
            state, note, where = "verified", "MD5 of all four files is right", found[0]
            megabytes = _megabytes(*(_stored(where, file) for file in _RAW_FILES))
    return {"name": name, "state": state, "where": where, "megabytes": megabytes, "note": note}


def _mini_row(name: str) -> dict[str, object]:
    where = _MINI / f"{name}.npz"
    note = "comes with the package"
    size = _megabytes(where)
    return {"name": name, "state": "embedded", "where": where, "megabytes": size, "note": note}


def _megabytes(*paths: Path | None) -> float:
    return sum(path.stat().st_size for path in paths if path is not None) / 1e6


def _read_verified(name: str, place: Path) -> dict[str, bytes]:
    """Return the content of those raw files that lie in `place`; refuse a damaged one."""
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
            raise AlodError(
                f"{error.filename} cannot be read ({error.strerror}): {_REPAIR}"
            ) from error
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != expected:
            raise AlodError(
                f"{path} is damaged (MD5 {found}, expected {expected}, {len(content):,} bytes): "
                f"{_REPAIR}"
            )
        contents[file] = content
    return contents


_REPAIR = "delete it, to have it downloaded again, or put a whole copy in its place"


def _stored(place: Path, file: str) -> Path | None:
    """Return where a raw file lies in `place`, plain before compressed; None if it does not."""
    return next((path for path in (place / file, place / f"{file}.gz") if path.exists()), None)


def _download(name: str, root: Path) -> dict[str, bytes]:
    """Download the raw files through torchvision, which shows progress, and put them in `root`.

    They arrive in a folder of their own and are moved once verified: an interrupted download leaves
    nothing that could be taken for data, and no file that was there is replaced.
    """
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


# Arrays at the door


def _as_numpy(name: str, values: npt.ArrayLike | torch.Tensor) -> npt.NDArray[np.generic]:
    if np.ma.is_masked(values):
        raise AlodError(f"{name} hold masked values: expected an array without, as filled() gives")
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        # numpy has no bfloat16
        return (values.float() if values.is_floating_point() else values).numpy()
    try:
        return np.asarray(values)
    except ValueError as error:
        raise AlodError(f"{name} are no array ({error}): expected equal shapes") from error


def fingerprint(images: torch.Tensor | npt.NDArray[np.generic]) -> str:
    """Describe a pool by its shape and a checksum of about 64 of its images.

    Parameters
    ----------
    images : torch.Tensor or numpy.ndarray
        (N, C, H, W); of a memory-mapped pool, no more is read.

    Returns
    -------
    str
        The same for the same images, and hardly ever for others.

    Examples
    --------
    >>> import numpy as np
    >>> fingerprint(np.zeros((2, 1, 28, 28), np.uint8))
    '(2, 1, 28, 28) 1966e863'
    """
    few = np.ascontiguousarray(images[:: max(1, len(images) // 64)])
    return f"{tuple(images.shape)} {zlib.crc32(few.tobytes()):08x}"


def span_of(images: npt.ArrayLike | torch.Tensor) -> Span | None:
    """Return which levels of a pool become 0 and 255, where it holds whole numbers of 16 bits.

    Parameters
    ----------
    images : array or torch.Tensor
        (N, ...), the whole pool.

    Returns
    -------
    (float, float) or None
        0 and 65,535 if half of that is in use, else the lowest and highest level: cameras and
        microscopes keep ten or twelve bits in sixteen. None for other types.

    Examples
    --------
    >>> import numpy as np
    >>> span_of(np.array([[200, 4000]], np.uint16)), span_of(np.array([[0.5]]))
    ((200.0, 4000.0), None)
    """
    levels = _as_numpy("images", images)
    if levels.dtype.kind not in "iu" or levels.dtype.itemsize != 2 or not levels.size:
        return None
    return common_span([(float(levels.min()), float(levels.max()))])


def as_images(
    name: str, values: npt.ArrayLike | torch.Tensor, span: Span | None = None
) -> npt.NDArray[np.uint8]:
    """Return images as contiguous, writable uint8 (N, C, H, W), or refuse them.

    Parameters
    ----------
    name : str
        What a message calls them.
    values : array or torch.Tensor
        As in :func:`from_arrays`, but there may be none.
    span : (float, float), optional
        Of their pool, by :func:`span_of`; without it 16 bits are refused.

    Returns
    -------
    ndarray of uint8 (N, C, H, W)
        Not copied where it need not be.

    Raises
    ------
    AlodError
        If shape, type or range is not as there.

    Examples
    --------
    >>> import numpy as np
    >>> as_images("images", np.ones((2, 28, 28))).max()
    np.uint8(255)
    """
    images = _as_numpy(name, values)
    shape = images.shape
    if images.ndim == 3:
        images = images[:, np.newaxis]
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise AlodError(f"{name} have shape {shape}: expected (N, H, W) or (N, C, H, W)")
    if images.shape[3] <= 4 < images.shape[1]:
        raise AlodError(
            f"{name} have shape {shape}, channels last: expected (N, C, H, W), "
            f"so give {name}.transpose(0, 3, 1, 2)"
        )
    if images.dtype == np.uint8:
        # torch cannot hold read-only memory safely, hence the copy there.
        return np.require(images, np.uint8, ("C_CONTIGUOUS", "WRITEABLE"))
    if span is not None and images.dtype.kind in "iu" and images.dtype.itemsize == 2:
        scaled = np.empty(images.shape, np.uint8)
        for row, image in zip(scaled, images, strict=True):
            row[:] = to_bytes(image, span)
        return scaled
    if not np.issubdtype(images.dtype, np.floating):
        raise AlodError(
            f"{name} are {images.dtype}: expected uint8 (0 to 255), floating point (0 to 1), or 16 "
            "bits (int16, uint16) if the pool has them"
        )
    if images.size:
        lowest, highest = float(images.min()), float(images.max())
        if not np.isfinite([lowest, highest]).all():
            raise AlodError(f"{name} hold NaN or infinite values: expected 0 to 1, all finite")
        if lowest < 0 or highest > 1:
            raise AlodError(
                f"{name} run from {lowest} to {highest}: floating point is expected from 0 to "
                "1 (divide by 255, or undo the normalization)"
            )
    return np.rint(images.astype(np.float32) * 255).astype(np.uint8)


def alike(
    images: npt.ArrayLike | torch.Tensor, pool: torch.Tensor | np.memmap, span: Span | None
) -> torch.Tensor | np.memmap:
    """Return `images` of the pool's kind, (N, C, H, W), of its bit depth's `span`, or refuse them.

    The `pool` is (M, C, H, W); a memory-mapped array stays on disk.
    """
    if not isinstance(images, np.memmap):
        images = torch.from_numpy(as_images("images", images, span))
    if images.shape[1:] != pool.shape[1:]:
        raise AlodError(
            f"images of shape {tuple(images.shape[1:])} (channels, height, width): expected "
            f"{tuple(pool.shape[1:])}, as in the pool"
        )
    return images


def _as_targets(
    name: str, values: npt.ArrayLike | torch.Tensor | None, n: int, lowest: int
) -> npt.NDArray[np.int64]:
    """Return n targets as int64, all unknown when there are none, or refuse them."""
    if values is None:
        return np.full(n, UNKNOWN, np.int64)
    targets = _as_numpy(name, values)
    if targets.shape != (n,):
        raise AlodError(
            f"{name} have shape {targets.shape}: expected ({n},), one for each of the {n} images"
        )
    if n == 0:
        return np.zeros(0, np.int64)
    if not np.issubdtype(targets.dtype, np.integer):
        raise AlodError(f"{name} {_no_numbers(name, targets, lowest)}")
    # As Python integers, since uint64 may not fit int64.
    smallest, largest = int(targets.min()), int(targets.max())
    if smallest < lowest or largest > np.iinfo(np.int64).max:
        unknown = " (-1 for unknown)" if lowest == UNKNOWN else " (every test target is known)"
        raise AlodError(
            f"{name} run from {smallest} to {largest}: expected {lowest} or more{unknown}"
        )
    return targets.astype(np.int64)


def _no_numbers(name: str, targets: npt.NDArray[np.generic], lowest: int) -> str:
    """Tell what is wrong with targets that are no whole numbers, and a mend that works."""
    missing = pd.isna(targets)
    if targets.dtype.kind in "OU":  # NumPy makes text of a missing value among words
        missing |= np.isin(targets.astype(str), _MISSING)
    if missing.any():
        row = int(missing.argmax())
        of_pandas = f" (pandas.Categorical({name}).codes)" if targets.dtype.kind != "U" else ""
        return (
            f"hold {missing.sum()} missing values, the first in row {row} ({targets[row]!s}): "
            + (f"give -1 there, for unknown{of_pandas}, or " if lowest == UNKNOWN else "")
            + "leave those rows and their images out"
        )
    if targets.dtype.kind == "f":
        how = f"; numpy.asarray({name}).astype(int)" if (targets % 1 == 0).all() else ""
        return f"are {targets.dtype}: expected whole numbers counted from 0{how}"
    several = {type(value).__name__ for value in targets} if targets.dtype.kind == "O" else set()
    if len(several) > 1:
        return f"hold {' and '.join(sorted(several))}: expected whole numbers counted from 0"
    return (
        f"are {targets.dtype}: expected whole numbers counted from 0; words = "
        f"numpy.unique({name}, return_inverse=True) gives them as words[1], and "
        "classes=[str(word) for word in words[0]]"
    )


def _as_classes(
    classes: Sequence[str] | None, targets: dict[str, npt.NDArray[np.int64]]
) -> tuple[str, ...]:
    """Return a name for every class in the targets, or refuse the names."""
    used = {name: int(labels.max(initial=UNKNOWN)) + 1 for name, labels in targets.items()}
    if classes is None:
        n_classes = max(used.values())
        known = targets["targets"][targets["targets"] != UNKNOWN]
        if known.min(initial=MAX_CLASSES) == 1:
            warnings.warn(
                f"targets run from 1 to {known.max()}: class 0 has no image; count from 0",
                stacklevel=3,
            )
        if n_classes > MAX_CLASSES:
            raise AlodError(
                f"targets run to {n_classes - 1}: expected classes counted from 0, at most "
                f"{MAX_CLASSES:,}, for instance from numpy.unique(targets, return_inverse=True)"
            )
        return tuple(map(str, range(n_classes)))
    classes = tuple(map(nfc, check_names("classes", classes)))
    if len(set(classes)) < len(classes):
        raise AlodError(f"classes={classes!r}: expected names that are all different")
    if missing := set(classes) & set(_MISSING):
        raise AlodError(
            f"classes={classes!r}: {min(missing)!r} is how a missing label is written, no class; "
            "give -1 as the target there, for unknown, or leave those images out"
        )
    for name, n_used in used.items():
        if n_used > len(classes):
            raise AlodError(
                f"classes={classes!r} name {len(classes)}, but {name} run to {n_used - 1}: "
                f"expected {n_used} names or more"
            )
    return classes


_Row = tuple[str, str | None, bool]  # file, class, whether it is a test image


def _folder_rows(root: Path, paths: Sequence[str], test_fraction: float) -> tuple[list[_Row], str]:
    """Tell class and use of each image file by its folders, and what is to be told of that."""
    parts = parts_of({path.split("/")[0] for path in paths if "/" in path})
    depth = 1 if parts else 0
    rows = []
    for path in paths:
        folders = path.split("/")[:-1]
        kind = parts.get(folders[0], "train") if folders else "train"
        rows.append((path, nfc(folders[depth]) if len(folders) > depth else None, kind))
    labeled = {kind for _, word, kind in rows if word is not None}
    if not parts:
        return [(path, word, False) for path, word, _ in rows], ""
    names = ", ".join(sorted(parts))
    if "train" not in labeled:
        part = min(name for name, kind in parts.items() if kind == "train")
        raise AlodError(
            f"image folder {root}: {names} look like the parts of one data set, not like classes; "
            f"give one, from_folder({str(root / part)!r}), or put a folder for each class in it; "
            "if they are classes, rename one"
        )
    test = next((kind for kind in ("test", "validation") if kind in labeled), "")
    if test and test_fraction:
        raise AlodError(
            f"test_fraction={test_fraction!r}: {root} has test images of its own ({names}); leave "
            "it out"
        )
    kept = [(path, w, kind == test) for path, w, kind in rows if w or kind not in ("test", test)]
    n_test = sum(is_test for _, _, is_test in kept)
    note = f"{names} taken for parts of one data set: {len(kept) - n_test} images to learn from, "
    note += f"{n_test} to test on"
    if len(kept) < len(rows):
        note += f", {len(rows) - len(kept)} test images left out that lie in no class folder"
    return kept, note


def _stratified(
    targets_N: npt.NDArray[np.int64], fraction: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Draw `fraction` of every known class, leaving at least one of each; a mask (N,)."""
    drawn = np.zeros(len(targets_N), bool)
    for target in np.unique(targets_N[targets_N != UNKNOWN]):
        members = np.flatnonzero(targets_N == target)
        n_drawn = min(round(fraction * len(members)), len(members) - 1)
        drawn[rng.choice(members, n_drawn, replace=False)] = True
    return drawn
