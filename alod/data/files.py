"""Image files below a folder: which there are, and how one looks, upright and in 8 bits."""

import mimetypes
import os
import re
import stat
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from alod.data.names import breaks_line, nfc
from alod.errors import AlodError
from alod.files import refusing
from alod.pool import Span, common_span, levels_of, to_bytes

Stamp = tuple[int, int]
"""What tells that an image has changed, bytes and time of its file or bytes and checksum."""

FITS = ("crop", "pad")
"""How an image becomes a square: its central one, or the whole image on white."""

LEFT_OUT = (-1, -1)  # the stamp of a file that is left out unread
DAMAGED = "is damaged, or no image"

# What systems put among images, in lower case.
_SYSTEM = {
    *("@eadir", "@recycle", "#recycle", "#snapshot", "$recycle.bin", "recycler", "lost+found"),
    *("system volume information", "__macosx", "__pycache__", "_thumbs"),
    *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"),
}

# Formats that Pillow registers but reads by other programs only, if at all, or that are no images.
_NO_IMAGES = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"}

# Formats that are known by their first bytes, for files whose suffix says nothing.
_MARKED = (
    *("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "PSD", "QOI"),
    *("HEIF", "JXL"),  # by packages that the user has registered
)

_PACKAGES = {
    "pillow-heif": ".heic .heif .hif",
    "pydicom": ".dcm .dicom",
    "rawpy": ".3fr .arw .cr2 .cr3 .crw .dng .iiq .nef .nrw .orf .pef .raf .raw .rw2 .sr2 .srw .x3f",
    "pillow-jxl-plugin": ".jxl",
    "cairosvg": ".svg",
    "OpenEXR": ".exr",
    "nibabel": ".nii",
    "pillow-avif-plugin": ".avif .avifs",  # where Pillow was built without
    "imagecodecs": ".jp2 .j2k .j2c .jpc .jpf .jpx",
    "bioio": ".czi .lif .nd2 .oib .oif .svs .lsm .vsi",
}
_PACKAGE_OF = {suffix: name for name, suffixes in _PACKAGES.items() for suffix in suffixes.split()}

_PART = re.compile(
    r"(train(ing)?|(test)(ing)?|val(id(ation)?)?|dev|eval)[-_ ]?(set|data|images?)?[-_ ]?\d*"
)


def is_passed_over(name: str) -> bool:
    """Tell whether a file or folder is hidden or the system's own."""
    return name.startswith(".") or name.lower() in _SYSTEM


def parts_of(folders: Iterable[str]) -> dict[str, str]:
    """Return ``"train"``, ``"test"`` or ``"validation"`` for each folder of a split data set.

    Empty if they are classes: one that is no part, or no training part, or one folder alone.
    """
    kinds = {}
    for name in folders:
        part = _PART.fullmatch(name.lower())
        if part is None:
            return {}
        kinds[name] = "train" if part[1].startswith("train") else part[3] or "validation"
    return kinds if len(kinds) > 1 and "train" in kinds.values() else {}


def list_images(folder: Path) -> tuple[dict[str, Stamp], dict[str, str], Counter[str]]:
    """List the image files below a folder, however deep; links are followed, circles cut.

    A file counts by its suffix if Pillow knows it, else by its first bytes. Return the stamps of
    all, by paths below the folder with forward slashes, spelled as on disk, sorted as in NFC; why
    some of them, whose stamp is `LEFT_OUT`, are left out; and how many files of each suffix are no
    images. A folder that cannot be listed or holds no image is refused.
    """
    if not folder.is_dir():
        raise AlodError(f"image folder {folder} is not there: expected a folder with image files")
    Image.init()
    stamps: dict[str, Stamp] = {}
    problems: dict[str, str] = {}
    others: Counter[str] = Counter()

    def visit(place: str, below: str, above: tuple[Path, ...]) -> None:
        with os.scandir(place) as found:
            entries = [entry for entry in found if not is_passed_over(entry.name)]
        for entry in entries:
            name = below + entry.name
            try:
                if not entry.is_dir():
                    take(name, entry)
                    continue
                real = Path(entry.path).resolve()
                if not any(one.is_relative_to(real) for one in above):
                    visit(entry.path, f"{name}/", (*above, real))
            except OSError as error:
                problems[name] = (error.strerror or type(error).__name__).lower()

    def take(name: str, entry: os.DirEntry[str]) -> None:
        suffix = Path(entry.name).suffix.lower()
        known = Image.EXTENSION.get(suffix, "PDF")
        is_image = known in Image.OPEN and known not in _NO_IMAGES
        if not is_image and _is_other(suffix):
            others[suffix] += 1
            return
        try:
            found = entry.stat()
        except FileNotFoundError:
            problems[name] = f"a link to {Path(entry.path).readlink()}, which is not there"
            return
        if not stat.S_ISREG(found.st_mode):
            return
        if is_image or _is_marked(entry.path, suffix):
            stamps[name] = found.st_size, int(found.st_mtime)
        elif reason := _package_reason(entry.path, suffix):
            problems[name] = reason
        else:
            others[suffix or "no suffix"] += 1

    with refusing(folder, "let its files be listed"):
        visit(str(folder), "", (folder.resolve(),))
    spellings: dict[str, str] = {}
    for name in sorted({*stamps, *problems}):
        if breaks_line(name):
            stamps.pop(name, None)
            problems.pop(name, None)
            problems[ascii(name)] = "its name holds a line break or is no text; rename it"
        elif spellings.setdefault(nfc(name), name) != name:
            problems[name] = "another name is the same in another Unicode form; rename it"
    stamps |= dict.fromkeys(problems, LEFT_OUT)
    if not stamps:
        told = f"; {left_out({}, 0, others)}" if others else ""
        raise AlodError(
            f"image folder {folder} holds no image: expected files such as .jpg and .png{told}"
        )
    return dict(sorted(stamps.items(), key=lambda pair: nfc(pair[0]))), problems, others


def refuse_unread(folder: Path, problems: dict[str, str], n_files: int) -> None:
    """Refuse a folder none of whose files, so many, can be read; tell the first of the problems."""
    name, reason = next(iter(problems.items()))
    raise AlodError(
        f"image folder {folder}: none of its {n_files} image files can be read; {name!r}: {reason}"
    )


def left_out(
    problems: dict[str, str],
    n_files: int,
    others: Counter[str] | None = None,
    paged: Collection[str] = (),
) -> str:
    """Tell in one line what was left out, and why if not for damage; empty if nothing was.

    Of `n_files` images those in `problems` cannot be read, and of those `paged` only the first page
    was; `others` are no images, by suffix.
    """
    told = []
    if problems:
        few = _few(problems)
        told.append(f"left out {len(problems)} of {n_files} image files that cannot be read: {few}")
        reasons = Counter(why for why in problems.values() if not why.startswith(DAMAGED))
        told += [f"{n} × {why}" for why, n in reasons.most_common(3)]
    if paged:
        told.append(f"took the first page of {len(paged)} files that hold several: {_few(paged)}")
    if others:
        kinds = ", ".join(suffix for suffix, _ in others.most_common(4))
        told.append(f"passed over {others.total()} files that are no images ({kinds})")
    return "; ".join(told)


def _few(names: Iterable[str]) -> str:
    first = sorted(names)
    return ", ".join(first[:3]) + (", ..." if len(first) > 3 else "")


def has_pages(path: Path) -> bool:
    """Tell whether a TIFF, GIF or WebP file, by its suffix, holds several pages or frames."""
    if Image.EXTENSION.get(path.suffix.lower()) in ("TIFF", "GIF", "WEBP"):
        with suppress(Exception), Image.open(path) as opened:
            return bool(getattr(opened, "is_animated", False))
    return False


def open_upright(
    path: Path, span: Span | None = None, draft: int | None = None
) -> tuple[Image.Image, Span | None]:
    """Open an image file as everybody is to see it: upright, on white, RGB of 8 bits.

    Return its :func:`alod.pool.levels_of`, too, if it holds more than 8 bits: those of the `span`
    become 0 and 255, by default its own. A `draft` of so many pixels a side at least spares most of
    the time that a large JPEG takes. Of several pages it is the first. What is damaged or of no
    kind that Pillow reads is a ValueError; whatever else is raised, is raised.
    """
    try:
        with Image.open(path) as opened:
            # Of 16 bits in each color Pillow reads the upper 8.
            upper = opened.mode == "RGB" and "RGB;16" in str(opened.tile)
            if draft:
                opened.draft("RGB", (draft, draft))
            image = ImageOps.exif_transpose(opened)
    except Exception as error:  # decoders raise whatever they please on a damaged file
        lacking = "not available" in str(error)  # a decoder that Pillow was built without
        reason = _package_reason(str(path), path.suffix.lower() if lacking else "")
        raise ValueError(reason or f"{DAMAGED} ({type(error).__name__})") from error
    levels = None
    if upper or image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image).astype(np.int64) * 257 if upper else np.asarray(image)
        if not np.isfinite(values).all():
            raise ValueError("it holds NaN or infinite levels")
        levels = levels_of(values)
        image = Image.fromarray(to_bytes(values, span or common_span([levels]) or levels))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB"), levels


def read_square(
    path: Path, side: int, span: Span | None = None, fit: str = "crop"
) -> tuple[npt.NDArray[np.uint8], Span | None]:
    """Read an image, made a square by `fit`: uint8 (side, side, 3), and levels as above."""
    # Twice the side: what a JPEG's decoder averages, and not the resizing, is too fine to be seen.
    image, levels = open_upright(path, span, 2 * side)
    if fit == "crop":
        return np.asarray(ImageOps.fit(image, (side, side))), levels
    image.thumbnail((side, side), reducing_gap=3)  # pad would make nothing of a line of pixels
    return np.asarray(ImageOps.pad(image, (side, side), color="white")), levels


@lru_cache(1024)
def _is_other(suffix: str) -> bool:
    """Tell whether a suffix is that of something else than images."""
    kind, packed = mimetypes.guess_type(f"x{suffix}")
    is_image = packed is None and (kind or "image/").startswith("image/")
    return not is_image and suffix not in _PACKAGE_OF


def _is_marked(path: str, suffix: str) -> bool:
    """Tell by the first bytes whether Pillow takes a file for an image."""
    # Photographs kept raw look like TIFF, and Pillow finds the thumbnail.
    formats = [f for f in _MARKED if f in Image.OPEN and (f != "TIFF" or suffix not in _PACKAGE_OF)]
    try:
        with Image.open(path, formats=formats):
            return True
    except Exception:  # decoders raise whatever they please
        return False


def _package_reason(path: str, suffix: str) -> str:
    """Tell which package reads an image file that Pillow does not; empty if none is known."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 -- a path of os.scandir
            head = file.read(132)
    except OSError as error:
        return (error.strerror or type(error).__name__).lower()
    package = _PACKAGE_OF.get(suffix, "")
    if head[128:] == b"DICM":
        package = "pydicom"
    elif head[4:8] == b"ftyp" and head[8:11] in (b"hei", b"hev", b"mif", b"msf"):
        package = "pillow-heif"
    return f"not read by Pillow but by the package {package}: save it as PNG" if package else ""
