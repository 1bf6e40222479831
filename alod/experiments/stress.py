"""Stress pools: what a pool looks like when nobody has cleaned it.

>>> import alod
>>> pool = make(alod.load_dataset("mnist_mini"), "foreign_20")
>>> len(pool.images), int((pool.targets == -1).sum())
(6000, 1200)
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import permutations

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from alod.data.arrays import UNKNOWN, Dataset
from alod.data.known import load_dataset
from alod.errors import AlodError, check_name

COPIES, NOISE = 3, 16  # the spread of the noise, of 255
IMBALANCE = 50  # of the commonest class and the rarest; those between are thinned geometrically
# Where the images that are not of the task come from.
STRANGERS = {"mnist": "fashion_mnist", "fashion_mnist": "mnist"}
STRANGERS |= {f"{own}_mini": f"{other}_mini" for own, other in STRANGERS.items()}


def _duplicates(data: Dataset, rng: Generator) -> Dataset:
    rows = np.tile(rng.permutation(len(data.images))[: len(data.images) // COPIES], COPIES)
    images = data.images[rows].numpy()
    for start in range(0, len(images), 4096):  # noise for all at once would be eight times the pool
        block = images[start : start + 4096]
        noisy = block + rng.normal(0, NOISE, block.shape).round()
        images[start : start + 4096] = noisy.clip(0, 255).astype(np.uint8)
    return replace(data, images=torch.from_numpy(images), targets=data.targets[rows])


def _long_tail(data: Dataset, rng: Generator) -> Dataset:
    n_classes = len(data.classes)
    shares = IMBALANCE ** (-rng.permutation(n_classes) / (n_classes - 1))
    counts = np.bincount(data.targets, minlength=n_classes).min() * shares
    members = [rng.permutation(np.flatnonzero(data.targets == c)) for c in range(n_classes)]
    rows = [own[: max(1, round(n))] for own, n in zip(members, counts, strict=True)]
    chosen = rng.permutation(np.concatenate(rows))
    return replace(data, images=data.images[chosen], targets=data.targets[chosen])


def _foreign(data: Dataset, rng: Generator, percent: int) -> Dataset:
    return _mixed(data, load_dataset(STRANGERS[data.name]).images, percent, rng)


def _foreign_hard(data: Dataset, rng: Generator, percent: int) -> Dataset:
    n = round(len(data.images) * percent / 100)
    first, second = rng.permutation(len(data.images))[: 2 * n].reshape(2, -1)
    differ = data.targets[first] != data.targets[second]
    pairs = np.stack([first, second])[:, differ.numpy()][:, : n // 2]
    overlaid = torch.maximum(data.images[pairs[0]], data.images[pairs[1]])
    shuffled = _quadrants_shuffled(data.images[first[: n - len(overlaid)]], rng)
    return _mixed(data, torch.cat([overlaid, shuffled]), percent, rng)


POOLS: dict[str, Callable[[Dataset, Generator], Dataset]] = {
    "duplicates": _duplicates,
    "long_tail": _long_tail,
    **{f"foreign_{percent}": partial(_foreign, percent=percent) for percent in (5, 20, 40)},
    "foreign_hard_20": partial(_foreign_hard, percent=20),
}
NAMES = ("clean", *POOLS)


def make(data: Dataset, name: str, seed: int = 0) -> Dataset:
    """Turn the pool of clean `data` into a stress pool, drawn by `seed`; the test set stays.

    By `name`: ``clean``; ``duplicates``, a third of the images, each three times with noise;
    ``long_tail``, the rarest class has a fiftieth of the images of the commonest; ``foreign_5``,
    ``foreign_20``, ``foreign_40``, so many percent come from the other data set, digits among
    clothes, known of what :func:`alod.data.known.load_dataset` loads; ``foreign_hard_20``, are
    broken images, half of them with their quadrants in other places, half two of different classes
    laid over each other (fewer where nearly all are of one class). Their target is -1, which is
    what the oracle answers.
    """
    check_name("pool", name, NAMES)
    check(name, data)
    if name == "clean":
        return data
    return POOLS[name](data, np.random.default_rng([seed, NAMES.index(name)]))


def check(name: str, data: Dataset) -> None:
    """Refuse a stress pool, by its `name`, that cannot be made of `data`."""
    if name.startswith("foreign") and "hard" not in name and data.name not in STRANGERS:
        expected = f"expected one of {', '.join(STRANGERS)}, or add your own with target -1"
        raise AlodError(f"pool={name!r}: no images foreign to {data.name!r} are known; {expected}")
    if name != "clean" and (data.targets == UNKNOWN).any():
        raise AlodError(f"pool={name!r}: {data.name} has images without target; give pool='clean'")


def _mixed(data: Dataset, strangers: Tensor, percent: int, rng: Generator) -> Dataset:
    """Replace a share of the pool by strangers, and shuffle."""
    n, n_foreign = len(data.images), round(len(data.images) * percent / 100)
    kept = rng.permutation(n)[n_foreign:]
    added = strangers[rng.permutation(len(strangers))[:n_foreign]]
    order = rng.permutation(n)
    images = torch.cat([data.images[kept], added])[order]
    unknown = torch.full((n_foreign,), UNKNOWN)
    return replace(data, images=images, targets=torch.cat([data.targets[kept], unknown])[order])


def _quadrants_shuffled(images: Tensor, rng: Generator) -> Tensor:
    """Put the four quadrants into other places, for each image in an order of its own."""
    n, channels, height, width = images.shape
    h, w = height // 2, width // 2
    whole = images[..., : 2 * h, : 2 * w].reshape(n, channels, 2, h, 2, w)
    quadrants = whole.permute(0, 2, 4, 1, 3, 5).reshape(n, 4, channels, h, w)
    others = np.array(list(permutations(range(4)))[1:])  # the first leaves all where they are
    places = others[rng.integers(len(others), size=n)]
    moved = quadrants[np.arange(n)[:, None], places].reshape(n, 2, 2, channels, h, w)
    result = images.clone()
    result[..., : 2 * h, : 2 * w] = moved.permute(0, 3, 1, 4, 2, 5).reshape(n, channels, 2 * h, -1)
    return result
