"""Near-duplicates of a pool: found without labels, so that one of each is asked for.

Images are compared by thumbnails, 16 × 16 pixels in grey, 8 × 8 in color, less their mean, of
length 1: two are `alike` by the correlation of their pixels, from 0 to 1, whatever their light and
contrast. Features are compared less the pool's mean, instead.

>>> import alod
>>> images = alod.load_dataset("mnist_mini").images[:5]
>>> near_duplicates(torch.cat([images, images[1:3] // 2])).tolist()
[0, 1, 2, 3, 4, 1, 2]
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from alod import geometry
from alod.errors import AlodError
from alod.training import Images, as_tensor, to_float

ALIKE = 0.99
BATCH = 4096  # images that are brought to thumbnails at a time
SIDE = 2048  # of a block of the matrix of all pairs: half and twice as many are slower


def near_duplicates(images: Images, alike: float = ALIKE) -> npt.NDArray[np.int64]:
    """Group what is nearly the same, `images` (N, C, H, W) or features (N, D).

    In the order of the pool each joins the group of the one before it that is most like it, if by
    `alike` or more, in (0, 1]. Return int64 (N,), the position of the first of each one's group:
    its own where there is none before. 100,000 take half a minute on two cores.

    At 0.99, all but 2 of 100 stamps of Tux Paint were found again as JPEG of quality 50 or at half
    their size, 4 of 5 moved by one of some hundred pixels, half of them after 2 % were cut off.
    Mirror images are not, nor digits of 28 pixels that are moved by one. Of MNIST's images 2.7 %
    are as like one before them, of FashionMNIST's 9.2 %: of its class all, and 95 of 100.
    """
    if not 0 < alike <= 1:
        raise AlodError(f"alike={alike!r}: expected a correlation, above 0 and at most 1")
    points = _compared(images)
    first = np.arange(len(points))
    for start in range(0, len(points), SIDE):
        block = points[start : start + SIDE]
        most, before = torch.full((len(block),), alike - 1e-6), torch.full((len(block),), -1)
        for left in range(0, start + 1, SIDE):
            likeness = block @ points[left : left + SIDE].T
            if left == start:
                likeness.tril_(-1)  # with itself, and with later ones
            best, where = likeness.max(1)
            better = best > most
            most[better], before[better] = best[better], left + where[better]
        for i in torch.nonzero(before >= 0)[:, 0].tolist():
            first[start + i] = first[before[i]]
    return first


def _compared(images: Images) -> Tensor:
    if images.ndim == 2:
        points = as_tensor(images).float()
        return geometry.normalize(points - points.mean(0))
    side = 16 if images.shape[1] == 1 else 8
    points = torch.empty(len(images), images.shape[1] * side * side)
    for start in range(0, len(images), BATCH):
        batch = to_float(as_tensor(images[start : start + BATCH]).cpu())
        small = functional.adaptive_avg_pool2d(batch, side).flatten(1)
        points[start : start + BATCH] = small - small.mean(1, keepdim=True)
    return geometry.normalize(points)


def listed(first: npt.NDArray[np.int64], files: Sequence[object]) -> pd.DataFrame:
    """Return a row for each of the `files` that is not alone: columns ``group``, from 0; ``file``.

    `first`, int64 (N,), is what :func:`near_duplicates` returns.
    """
    rows = np.flatnonzero(np.bincount(first, minlength=len(first))[first] > 1)
    rows = rows[np.argsort(first[rows], kind="stable")]
    group = np.unique(first[rows], return_inverse=True)[1]
    return pd.DataFrame({"group": group, "file": [files[i] for i in rows.tolist()]})


def spared(first: npt.NDArray[np.int64], known: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Tell which images need not be asked for, since another of their group is, or was.

    `first`, int64 (N,), is what :func:`near_duplicates` returns; `known`, bool (N,), what has an
    answer, waits for one or is of the audit set. Return bool (N,): all of a group but those known,
    or, where none is, but its first.
    """
    order = np.lexsort((~known, first))
    asked = known.copy()
    asked[order[np.unique(first[order], return_index=True)[1]]] = True
    return ~asked
