"""Where the known data sets lie: with the package, or as raw files that are verified by MD5."""

import gzip
import hashlib
import http.client
import socket
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alod.errors import AlodError

_MINI = Path(__file__).parent / "_mini"
_RAW_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_REPAIR = "delete it, to have it downloaded again, or put a whole copy in its place"


@dataclass(frozen=True)
class Source:
    """A known data set: four files of torchvision's layout and what is true of them."""

    title: str  # torchvision's class, and the folder that it makes
    classes: tuple[str, ...]
    augment: str
    md5: tuple[str, str, str, str]  # of the uncompressed _RAW_FILES, in their order
    packaged: tuple[Path, ...] = ()  # where a system package puts the same files


SOURCES = {
    "mnist": Source(
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
    "fashion_mnist": Source(
        title="FashionMNIST",
        classes=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
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


def read(name: str, root: Path) -> list[npt.NDArray[np.generic]]:
    """Return images, targets, test images and test targets, downloaded if they are nowhere."""
    if name.endswith("_mini"):
        with np.load(_MINI / f"{name}.npz") as stored:
            return [stored[key] for key in ("images", "targets", "test_images", "test_targets")]
    found = _find(name, root)
    contents = _downloaded(name, root) if found is None else found[1]
    return [_parse_idx(contents[file]) for file in _RAW_FILES]


def describe(name: str, root: Path) -> dict[str, object]:
    """Return a row of :func:`alod.data.inventory`."""
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
    """List the folders that may hold the raw files, the user's own first."""
    source = SOURCES[name]
    return (root / source.title / "raw", *source.packaged)


def _find(name: str, root: Path) -> tuple[Path, dict[str, bytes]] | None:
    """Return the first place that holds all four raw files, and their verified content."""
    for place in _places(name, root):
        # A damaged file is refused here, so that a good copy elsewhere never hides it.
        contents = _read_verified(name, place)
        if len(contents) == len(_RAW_FILES):
            return place, contents
    return None


def _read_verified(name: str, place: Path) -> dict[str, bytes]:
    """Return the content of those raw files that lie in `place`; refuse a damaged one."""
    contents = {}
    for file, expected in zip(_RAW_FILES, SOURCES[name].md5, strict=True):
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


def _stored(place: Path, file: str) -> Path | None:
    """Return where a raw file lies in `place`, plain before compressed; None if it does not."""
    return next((path for path in (place / file, place / f"{file}.gz") if path.exists()), None)


def _downloaded(name: str, root: Path) -> dict[str, bytes]:
    """Download the raw files, or tell where they were looked for and what to do."""
    try:
        return _download(name, root)
    except (AlodError, OSError, RuntimeError, http.client.HTTPException) as error:
        title = SOURCES[name].title
        looked = " or ".join(map(str, _places(name, root)))
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise AlodError(
            f"{title} is not in {looked}, and downloading it failed ({reason}): set ALOD_DATA to a "
            f'folder that holds {title}/raw, or use "{name}_mini", which needs no network'
        ) from error


def _download(name: str, root: Path) -> dict[str, bytes]:
    """Download the raw files through torchvision, which shows progress, and put them in `root`.

    They arrive in a folder of their own and are moved once verified: an interrupted download leaves
    nothing that could be taken for data, and no file that was there is replaced.
    """
    from torchvision import datasets

    title = SOURCES[name].title
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
