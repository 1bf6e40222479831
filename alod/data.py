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
import platformdirs
import torch
from PIL import Image, ImageOps

from alod.errors import AlodError, check_count, check_name, check_names

UNKNOWN = -1
"""The target of an image whose class is not known."""

DATASETS = ("mnist", "fashion_mnist", "mnist_mini", "fashion_mnist_mini")
"""The names that `load_dataset` knows."""

IMAGE_SUFFIXES = (
    *(".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm"),
    *(".png", ".ppm", ".tif", ".tiff", ".webp"),
)
"""The files that `from_folder` takes for images, in any letter case."""

MAX_CLASSES = 10_000
"""More classes than this without names are no classes but identifiers."""

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
        (N, H, W) grey or (N, C, H, W), N at least 1. uint8, or floating point from 0 to 1, which
        is rounded to the nearest of 256 levels. Contiguous writable uint8 arrays are not copied, so
        that a memory-mapped pool (``numpy.load(path, mmap_mode="c")``) stays on disk.
    targets : array or torch.Tensor, optional
        Whole numbers (N,), counted from 0; -1 (unknown) where there is no label, and everywhere by
        default.
    test_images, test_targets : array or torch.Tensor, optional
        As above with M for N, both or neither; every test target is known.
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
    images_NCHW = as_images("images", images)
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
        test_MCHW = as_images("test_images", test_images)
    if test_MCHW.shape[1:] != shape:
        raise AlodError(
            f"test_images have shape {test_MCHW.shape[1:]} (channels, height, width): "
            f"expected that of images, {shape}"
        )
    labels_N = _as_targets("targets", targets, len(images_NCHW), lowest=UNKNOWN)
    labels_M = _as_targets("test_targets", test_targets, len(test_MCHW), lowest=0)
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
    lie in `folder` itself are unlabeled, so a folder of images alone is an unlabeled pool. Hidden
    files and folders are passed over. Photos are turned upright, cropped to the central square
    and resized with antialiasing; transparent pixels become white. The images stay grey (C = 1)
    if every one of them is, otherwise all are RGB (C = 3). Files that cannot be read are left out
    with one warning that counts and names them.

    Parameters
    ----------
    folder : Path or str
        Files with a suffix of `IMAGE_SUFFIXES` count.
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
        `test_fraction` sets no image aside.

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
    paths = _image_paths(root)
    if not paths:
        formats = ", ".join(sorted(IMAGE_SUFFIXES))
        raise AlodError(f"image folder {root} holds no image: expected files ending in {formats}")
    classes = sorted({path.parts[0] for path in paths if len(path.parts) > 1})

    squares, targets, broken = [], [], []
    for path in paths:
        try:
            squares.append(read_square(root / path, image_size))
        except Exception:  # decoders raise whatever they please on a damaged file
            broken.append(path.as_posix())
            continue
        targets.append(classes.index(path.parts[0]) if len(path.parts) > 1 else UNKNOWN)
    if not squares:
        raise AlodError(f"image folder {root}: none of its {len(paths)} image files can be read")
    if broken:
        names = ", ".join(broken[:3]) + (", ..." if len(broken) > 3 else "")
        warnings.warn(
            f"{root}: left out {len(broken)} of {len(paths)} image files that cannot be read: "
            f"{names}",
            stacklevel=2,
        )
    images_NHWC = np.stack(squares)
    if (images_NHWC == images_NHWC[..., :1]).all():
        images_NHWC = images_NHWC[..., :1]
    images = torch.from_numpy(np.ascontiguousarray(images_NHWC.transpose(0, 3, 1, 2)))
    labels = np.array(targets, np.int64)
    test = _stratified(labels, test_fraction, np.random.default_rng(seed))
    if test_fraction > 0 and not test.any():
        raise AlodError(
            f"test_fraction={test_fraction!r} sets none of {root}'s images aside: "
            "expected more labeled images (one folder for each class), or 0"
        )
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


def as_images(name: str, values: npt.ArrayLike | torch.Tensor) -> npt.NDArray[np.uint8]:
    """Return images as contiguous, writable uint8 (N, C, H, W), or refuse them.

    Parameters
    ----------
    name : str
        What a message calls them.
    values : array or torch.Tensor
        As in :func:`from_arrays`, but there may be none.

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
    if not np.issubdtype(images.dtype, np.floating):
        raise AlodError(
            f"{name} are {images.dtype}: expected uint8 (0 to 255) or floating point (0 to 1)"
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
        raise AlodError(
            f"{name} are {targets.dtype}: expected whole numbers counted from 0, for instance "
            f"from numpy.unique({name}, return_inverse=True)"
        )
    # As Python integers, since uint64 may not fit int64.
    smallest, largest = int(targets.min()), int(targets.max())
    if smallest < lowest or largest > np.iinfo(np.int64).max:
        unknown = " (-1 for unknown)" if lowest == UNKNOWN else " (every test target is known)"
        raise AlodError(
            f"{name} run from {smallest} to {largest}: expected {lowest} or more{unknown}"
        )
    return targets.astype(np.int64)


def _as_classes(
    classes: Sequence[str] | None, targets: dict[str, npt.NDArray[np.int64]]
) -> tuple[str, ...]:
    """Return a name for every class in the targets, or refuse the names."""
    used = {name: int(labels.max(initial=UNKNOWN)) + 1 for name, labels in targets.items()}
    if classes is None:
        n_classes = max(used.values())
        if n_classes > MAX_CLASSES:
            raise AlodError(
                f"targets run to {n_classes - 1}: expected classes counted from 0, at most "
                f"{MAX_CLASSES:,}, for instance from numpy.unique(targets, return_inverse=True)"
            )
        return tuple(map(str, range(n_classes)))
    classes = check_names("classes", classes)
    if len(set(classes)) < len(classes):
        raise AlodError(f"classes={tuple(classes)!r}: expected names that are all different")
    for name, n_used in used.items():
        if n_used > len(classes):
            raise AlodError(
                f"classes={tuple(classes)!r} name {len(classes)}, but {name} run to {n_used - 1}: "
                f"expected {n_used} names or more"
            )
    return tuple(classes)


# Image files


def _image_paths(root: Path) -> list[Path]:
    """List the image files under `root`, relative to it and sorted; nothing hidden."""
    paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(
        path
        for path in paths
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not any(part.startswith(".") for part in path.parts)
    )


def read_square(path: Path, side: int) -> npt.NDArray[np.uint8]:
    """Read an image file: upright, on white, its central square.

    Parameters
    ----------
    path : Path
        Of any kind that Pillow reads.
    side : int
        Height and width wanted.

    Returns
    -------
    numpy.ndarray
        uint8 (side, side, 3).

    Raises
    ------
    Exception
        Whatever the decoder raises on a file that is no image or a damaged one.

    Examples
    --------
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> Image.new("L", (40, 30)).save("photo.png")
    >>> read_square(Path("photo.png"), 28).shape
    (28, 28, 3)
    """
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened)
    if image.mode.startswith("I;16"):
        # Pillow would clip 16 bits at 255, which leaves a white image.
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("32-bit levels: their range is not known")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.asarray(ImageOps.fit(image.convert("RGB"), (side, side)))


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
