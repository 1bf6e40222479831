"""A folder of image files as a data set: what its folders say, and how its images look.

>>> from PIL import Image
>>> for name in ("cat/1.png", "dog/1.png"):
...     Path("photos", name).parent.mkdir(parents=True)
...     Image.new("L", (40, 30)).save(Path("photos", name))
>>> data = from_folder("photos", image_size=28)
>>> data.images.shape, data.classes
(torch.Size([2, 1, 28, 28]), ('cat', 'dog'))
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from alod.data.arrays import UNKNOWN, Dataset
from alod.data.files import (
    FITS,
    has_pages,
    left_out,
    list_images,
    parts_of,
    read_square,
    refuse_unread,
)
from alod.data.names import nfc
from alod.errors import AlodError, check_count, check_name
from alod.pool import Span, common_span, darkness

_Row = tuple[str, str | None, bool]  # file, class, whether it is a test image


def from_folder(
    folder: Path | str,
    image_size: int = 28,
    test_fraction: float = 0.0,
    seed: int = 0,
    fit: str = "crop",
) -> Dataset:
    """Make a data set of the image files in a folder, in the order of their sorted paths.

    Each folder directly inside `folder` that holds images, however deep, is a class; images that
    lie in `folder` itself are unlabeled. Where those folders are ``train``, ``test`` and the like,
    the classes are one level below: the test images come from ``test``, else from ``val``, and the
    pool from the rest. Links are followed; hidden files and folders, and the system's own, are
    passed over. Files that cannot be read are left out with one warning that counts and names them.

    Every kind of file that Pillow reads counts, of several pages the first. Photos are turned
    upright and resized with antialiasing to `image_size` pixels, 8 to 1024, a side; by `fit`,
    ``"crop"`` is their central square, ``"pad"`` all of them on white. Transparent pixels become
    white, too, and more than 8 bits are scaled as ``alod.pool.common_span`` says. C is 1 if all
    images are grey, otherwise 3.

    `test_fraction`, from 0 to below 1, is the share of the labeled images of every class that is
    drawn by `seed` and set aside for testing. It is refused where it sets none aside, or where
    there is a folder of test images already, as is a folder that holds no readable image.
    """
    check_count("image_size", image_size, 8, 1024)
    check_count("seed", seed, 0)
    check_name("fit", fit, FITS)
    if not isinstance(test_fraction, int | float) or not 0 <= test_fraction < 1:
        raise AlodError(f"test_fraction={test_fraction!r}: expected a number from 0 to below 1")
    root = Path(folder).expanduser()
    listing, problems, others = list_images(root)
    paths = sorted((n for n in listing if n not in problems), key=lambda name: name.split("/"))
    rows, note = _folder_rows(root, paths, test_fraction)

    squares: list[npt.NDArray[np.uint8]] = []
    levels: dict[int, Span] = {}
    read: list[_Row] = []
    for row in rows:
        try:
            square, span = read_square(root / row[0], image_size, fit=fit)
        except Exception as error:  # decoders raise whatever they please on a damaged file
            problems[row[0]] = str(error)
            continue
        if span is not None:
            levels[len(read)] = span
        squares.append(square)
        read.append(row)
    if not squares:
        refuse_unread(root, problems, len(listing))
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
            squares[i] = read_square(root / read[i][0], image_size, span, fit)[0]
    images_NHWC = np.stack(squares)
    if (images_NHWC == images_NHWC[..., :1]).all():
        images_NHWC = images_NHWC[..., :1]
    images_NCHW = np.ascontiguousarray(images_NHWC.transpose(0, 3, 1, 2))
    paged = [name for name, *_ in read if has_pages(root / name)]
    told = (note, left_out(problems, len(listing), others, paged), darkness(images_NCHW, span))
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


def _folder_rows(root: Path, paths: Sequence[str], test_fraction: float) -> tuple[list[_Row], str]:
    """Tell class and use of each image file by its folders, and what is to be told of that."""
    parts = parts_of({path.split("/")[0] for path in paths if "/" in path})
    depth = 1 if parts else 0
    rows = []
    for path in paths:
        folders = path.split("/")[:-1]
        kind = parts.get(folders[0], "train") if folders else "train"
        rows.append((path, nfc(folders[depth]) if len(folders) > depth else None, kind))
    if not parts:
        return [(path, word, False) for path, word, _ in rows], ""
    labeled = {kind for _, word, kind in rows if word is not None}
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
        told = f"{root} has test images of its own ({names})"
        raise AlodError(f"test_fraction={test_fraction!r}: {told}; leave it out")
    kept = [(path, w, kind == test) for path, w, kind in rows if w or kind not in ("test", test)]
    n_test = sum(is_test for _, _, is_test in kept)
    used = f"{len(kept) - n_test} images to learn from, {n_test} to test on"
    note = f"{names} taken for parts of one data set: {used}"
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
