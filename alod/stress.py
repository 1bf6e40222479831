"""Stress pools: what a pool looks like when nobody has cleaned it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from alod.data import UNKNOWN, Dataset, load_dataset
from alod.errors import AlodError, check_name

COPIES, NOISE = 3, 16
IMBALANCE = 50
# Where the images that are not of the task come from.
STRANGERS = {
    "mnist": "fashion_mnist",
    "fashion_mnist": "mnist",
    "mnist_mini": "fashion_mnist_mini",
    "fashion_mnist_mini": "mnist_mini",
}


def _duplicates(data: Dataset, rng: Generator) -> Dataset:
    """Take a third of the images, each three times with its own noise of spread 16 of 255."""
    rows = np.tile(rng.permutation(len(data.images))[: len(data.images) // COPIES], COPIES)
    images = data.images[rows].numpy()
    for start in range(0, len(images), 4096):  # noise for all at once would be eight times the pool
        block = images[start : start + 4096]
        noisy = block + rng.normal(0, NOISE, block.shape).round()
        images[start : start + 4096] = noisy.clip(0, 255).astype(np.uint8)
    return replace(data, images=torch.from_numpy(images), targets=data.targets[rows])


def _long_tail(data: Dataset, rng: Generator) -> Dataset:
    """Thin out the classes, geometrically and in random order, until the rarest has a fiftieth."""
    n_classes = len(data.classes)
    shares = IMBALANCE ** (-rng.permutation(n_classes) / (n_classes - 1))
    counts = np.bincount(data.targets, minlength=n_classes).min() * shares
    rows = [
        rng.permutation(np.flatnonzero(data.targets == c))[: max(1, round(counts[c]))]
        for c in range(n_classes)
    ]
    return _rows(data, rng.permutation(np.concatenate(rows)))


def _foreign(data: Dataset, rng: Generator, percent: int) -> Dataset:
    """Put `percent` % of images of the other data set (digits among clothes) in place of as many.

    Their target is -1, which is what the oracle answers.
    """
    strangers = load_dataset(STRANGERS[data.name]).images
    return _mixed(data, strangers, percent, rng)


def _foreign_hard(data: Dataset, rng: Generator, percent: int) -> Dataset:
    """Put `percent` % of broken images of the same kind in place of as many.

    Half of them are images whose four quadrants have changed places, half are the brighter of two
    images of different classes laid over each other, pixel by pixel.
    """
    n = round(len(data.images) * percent / 100)
    first, second = rng.permutation(len(data.images))[: 2 * n].reshape(2, -1)
    differ = data.targets[first] != data.targets[second]
    pairs = np.stack([first, second])[:, differ.numpy()][:, : n // 2]
    overlaid = torch.maximum(data.images[pairs[0]], data.images[pairs[1]])
    shuffled = _quadrants_shuffled(data.images[first[: n - n // 2]], rng)
    return _mixed(data, torch.cat([overlaid, shuffled]), percent, rng)


POOLS: dict[str, Callable[[Dataset, Generator], Dataset]] = {
    "duplicates": _duplicates,
    "long_tail": _long_tail,
    "foreign_5": partial(_foreign, percent=5),
    "foreign_20": partial(_foreign, percent=20),
    "foreign_40": partial(_foreign, percent=40),
    "foreign_hard_20": partial(_foreign_hard, percent=20),
}
NAMES = ("clean", *POOLS)


def make(data: Dataset, name: str, seed: int = 0) -> Dataset:
    """Turn a clean data set's pool into a stress pool; its test set stays as it is.

    Parameters
    ----------
    data : Dataset
        Every target known; for ``foreign_5``, ``foreign_20`` and ``foreign_40`` one of the four
        data sets that :func:`alod.data.load_dataset` knows.
    name : str
        ``clean``; ``duplicates``: a third of the images, each three times with noise;
        ``long_tail``: the rarest class has a fiftieth of the images of the commonest;
        ``foreign_5``, ``foreign_20``, ``foreign_40``: so many percent of the pool come from the
        other data set; ``foreign_hard_20``: are broken images of the same kind, half of them with
        their quadrants in other places, half two images laid over each other.
    seed : int
        Same seed, same pool.

    Returns
    -------
    Dataset
        ``targets`` are -1 for foreign images.

    Raises
    ------
    AlodError
        If there is no such pool, or no other data set to take foreign images from.

    Examples
    --------
    >>> import alod
    >>> pool = make(alod.load_dataset("mnist_mini"), "foreign_20")
    >>> len(pool.images), int((pool.targets == -1).sum())
    (6000, 1200)
    """
    check_name("pool", name, NAMES)
    if name == "clean":
        return data
    if name.startswith("foreign") and "hard" not in name and data.name not in STRANGERS:
        raise AlodError(
            f"pool={name!r}: no images foreign to {data.name!r} are known; expected one of "
            f"{', '.join(STRANGERS)}, or add your own with target -1"
        )
    return POOLS[name](data, np.random.default_rng([seed, NAMES.index(name)]))


def _rows(data: Dataset, rows: np.ndarray) -> Dataset:
    return replace(data, images=data.images[rows], targets=data.targets[rows])


def _mixed(data: Dataset, strangers: Tensor, percent: int, rng: Generator) -> Dataset:
    """Replace a share of the pool by strangers, and shuffle."""
    n = len(data.images)
    n_foreign = round(n * percent / 100)
    kept = rng.permutation(n)[n_foreign:]
    added = strangers[rng.permutation(len(strangers))[:n_foreign]]
    order = rng.permutation(n)
    images = torch.cat([data.images[kept], added])[order]
    unknown = torch.full((n_foreign,), UNKNOWN)
    return replace(data, images=images, targets=torch.cat([data.targets[kept], unknown])[order])


def _quadrants_shuffled(images: Tensor, rng: Generator) -> Tensor:
    """Rotate the four quadrants' places by one, two or three."""
    half_h, half_w = images.shape[-2] // 2, images.shape[-1] // 2
    top, bottom = images[..., :half_h, :], images[..., half_h : 2 * half_h, :]
    # Clockwise, so that each neighbor moves on.
    quadrants = torch.stack(
        [
            top[..., :half_w],
            top[..., half_w : 2 * half_w],
            bottom[..., half_w : 2 * half_w],
            bottom[..., :half_w],
        ]
    )
    turn = torch.as_tensor(rng.integers(1, 4, size=len(images)))
    places = (torch.arange(4)[:, None] + turn) % 4
    moved = quadrants[places, torch.arange(len(images))]
    result = images.clone()
    result[..., :half_h, :half_w] = moved[0]
    result[..., :half_h, half_w : 2 * half_w] = moved[1]
    result[..., half_h : 2 * half_h, half_w : 2 * half_w] = moved[2]
    result[..., half_h : 2 * half_h, :half_w] = moved[3]
    return result
