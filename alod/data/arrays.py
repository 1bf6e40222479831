"""Image classification data as tensors, from the user's own arrays.

A data set is whole: every image in one uint8 tensor, indexed from then on. Nothing that is read is
changed. Data sets that lie on disk are read by the modules beside it.

>>> data = from_arrays(np.zeros((4, 28, 28), np.uint8), [0, 1, 1, 0], classes=["cat", "dog"])
>>> data.images.shape, data.targets.tolist(), data.classes
(torch.Size([4, 1, 28, 28]), [0, 1, 1, 0], ('cat', 'dog'))
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import normalize

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from alod.errors import AlodError, check_names
from alod.pool import as_images, as_numpy, in_memory

UNKNOWN = -1
"""The target of an image whose class is not known."""

MAX_CLASSES = 10_000
"""More classes than this without names are no classes but identifiers."""

# How pandas and NumPy write a missing value once it is text.
_MISSING = ("nan", "NaN", "NaT", "<NA>")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images to learn from and images to test on; tables and figures call them by `name`.

    The pool: `images` uint8 (N, C, H, W), N at least 1, and `targets` int64 (N,), 0 to
    ``len(classes) - 1``, -1 where unknown. `test_images` and `test_targets` are likewise (M, C, H,
    W) and (M,); M may be 0, and every test target is known. `classes` are names in the order of the
    targets, none when no class is known. `augment` is how images may be distorted and stay what
    they are: ``"digits"`` (small affine), ``"clothing"`` (flip and shift), ``"photos"`` (crop, flip
    and colors) or ``"none"``.
    """

    name: str
    images: torch.Tensor
    targets: torch.Tensor
    test_images: torch.Tensor
    test_targets: torch.Tensor
    classes: tuple[str, ...]
    augment: str = "none"


def from_arrays(
    images: npt.ArrayLike | torch.Tensor,
    targets: npt.ArrayLike | torch.Tensor | None = None,
    test_images: npt.ArrayLike | torch.Tensor | None = None,
    test_targets: npt.ArrayLike | torch.Tensor | None = None,
    classes: Sequence[str] | None = None,
    name: str = "arrays",
) -> Dataset:
    """Make a :class:`Dataset`, on the CPU and with ``augment="none"``, or refuse the arrays.

    `images` (N, H, W), grey, or (N, C, H, W) are uint8; floating point from 0 to 1, which is
    rounded to the nearest of 256 levels; or whole numbers of 16 bits, scaled by
    ``alod.pool.common_span``. Contiguous writable uint8 arrays are not copied, so that a
    memory-mapped pool (``numpy.load(path, mmap_mode="c")``) stays on disk. `targets` (N,) are whole
    numbers counted from 0; -1 (unknown) where there is no label, and everywhere by default.
    `test_images` and `test_targets`, both or neither, are likewise, but every target is known, and
    16 bits are scaled as those of the pool. `classes` are names, all different; ``"0"``, ``"1"``,
    ... up to the largest target by default. It is called by `name`.
    """
    pool, span = in_memory(images, name)
    if test_targets is None and test_images is not None:
        raise AlodError("test_images without test_targets: give both or neither")
    if test_images is None and test_targets is not None:
        raise AlodError("test_targets without test_images: give both or neither")
    shape = tuple(pool.shape[1:])
    none = np.zeros((0, *shape), np.uint8)
    test_MCHW = as_images("test_images", none if test_images is None else test_images, span)
    if test_MCHW.shape[1:] != shape:
        raise AlodError(
            f"test_images have shape {test_MCHW.shape[1:]} (channels, height, width): "
            f"expected that of images, {shape}"
        )
    labels_N = _as_targets("targets", targets, len(pool), lowest=UNKNOWN)
    labels_M = _as_targets("test_targets", test_targets, len(test_MCHW), lowest=0)
    return Dataset(
        name=name,
        images=pool,
        targets=torch.from_numpy(labels_N),
        test_images=torch.from_numpy(test_MCHW),
        test_targets=torch.from_numpy(labels_M),
        classes=_as_classes(classes, {"targets": labels_N, "test_targets": labels_M}),
    )


def _as_targets(
    name: str, values: npt.ArrayLike | torch.Tensor | None, n: int, lowest: int
) -> npt.NDArray[np.int64]:
    if values is None:
        return np.full(n, UNKNOWN, np.int64)
    targets = as_numpy(name, values)
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
    # In one Unicode form: systems spell "é" in two ways.
    classes = tuple(normalize("NFC", word) for word in check_names("classes", classes))
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
