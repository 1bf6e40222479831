"""Data sets of the trial, for experiment files: ``dataset: "sets:animals"``, run from this folder.

``animals``, ``digits``, ``stamps``, ``elpv``: what comes without a test set has a third of each
class held out, always the same. ``emoji``: drawn by two hands, tested on a third's;
``emoji_same``: tested on other emoji of the same two hands.

With strangers, whose target is -1, in pools of at most 10,000 images; the test set holds the task:
``stamps_with_cartoons``; ``mnist_known_3_split_7``, likewise of ``fashion_mnist`` and ``emoji``: 3
classes known, drawn by seed 7, the others strange; ``clothing_near``: shirts and coats among
pullovers and dresses; ``mnist_among_clothing_20``: a fifth of the pool are digits among clothes;
``clothing_among_mnist_60``. ``mnist_features_known_3_split_7``: described once for all splits, by
``self_supervised``, emoji by ``efficientnet_lite0``; a head learns from it without an encoder.

What is not there is got by ``python scripts/trial_data.py``.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial

import numpy as np
import torch
from numpy.random import default_rng
from sklearn.datasets import load_digits

import alod
from alod.data.arrays import Dataset
from alod.data.encoded import encoded
from alod.data.known import data_folder

SEED = 2025  # of what is held out
LARGEST = 10_000  # images of a pool with strangers
CLOTHING = {"clothing": "fashion_mnist", "mnist": "mnist"}
ANIMALS = ("bear", "bird", "cat", "cow", "dog", "elephant", "giraffe", "horse", "sheep", "zebra")
STAMPS = (
    *("animals", "food", "plants", "household", "town", "vehicles", "clothes", "space"),
    "hobbies",
)
_known = cache(alod.load_dataset)  # one process makes many data sets of it


def animals() -> Dataset:
    """Silhouettes, 28 × 28, grey: Mohammadi 2025, PyPI's animal-mnist."""
    return _held_out(**_kept("animals"), classes=ANIMALS, augment="clothing")


def digits() -> Dataset:
    """Digits, 8 × 8, grey: Alpaydin & Kaynak 1998, as scikit-learn has them."""
    found = load_digits()
    images = (found.images * (255 / 16)).astype(np.uint8)
    return _held_out(images, found.target, tuple("0123456789"), "digits")


def stamps() -> Dataset:
    """Photographs, 224 × 224: Debian's tuxpaint-stamps-default."""
    kept = _kept("stamps")
    rows = kept["targets"] >= 0
    return _held_out(kept["images"][rows], kept["targets"][rows], STAMPS, "photos")


def stamps_with_cartoons() -> Dataset:
    """Return the same with drawings among them."""
    return _held_out(**_kept("stamps"), classes=STAMPS, augment="photos")


def elpv() -> Dataset:
    """Solar cells by how likely they are defect: Buerhop-Lutz et al. 2018, PyPI's elpv-dataset."""
    return _held_out(**_kept("elpv"), classes=("0", "1/3", "2/3", "1"), augment="clothing")


def emoji() -> Dataset:
    """Emoji in eight classes, 64 × 64: npm's emoji-datasource, the third hand is the test's."""
    kept = _kept("emoji")
    third = kept["hands"] == "twitter"
    return _emoji(kept, ~third, third)


def emoji_same() -> Dataset:
    """Return the first two hands' with a third of the emoji, whoever drew them, held out."""
    kept = _kept("emoji")
    names, first = np.unique(kept["emoji"], return_index=True)
    test = np.isin(kept["emoji"], names[_a_third(kept["categories"][first])])
    two = kept["hands"] != "twitter"
    return _emoji(kept, two & ~test, two & test)


def known(name: str, features: str | None, n_known: str, split: str) -> Dataset:
    """Make strangers of all but `n_known` classes of a data set, drawn by the seed `split`."""
    whole = emoji if name == "emoji" else partial(_known, name)
    data = _described(name) if features else whole()
    rng = default_rng([int(split), int(n_known)])
    task = np.sort(rng.permutation(len(data.classes))[: int(n_known)])
    return _with_strangers(data, task, range(len(data.classes)), int(split))


def clothing_near() -> Dataset:
    """Shirts and coats, strangers are pullovers and dresses."""
    data = _known("fashion_mnist")
    named = [data.classes.index(name) for name in ("Shirt", "Coat", "Pullover", "Dress")]
    return _with_strangers(data, named[:2], named, SEED)


def among(strange: str, task: str, percent: str) -> Dataset:
    """Put images of another data set, so many percent of the pool, among those of a `task`."""
    data, others = _known(CLOTHING[task]), _known(CLOTHING[strange])
    rng = default_rng([SEED, int(percent)])
    n = round(LARGEST * int(percent) / 100)
    ours = rng.permutation(len(data.images))[: LARGEST - n]
    theirs = rng.permutation(len(others.images))[:n]
    images = np.concatenate([data.images[ours], others.images[theirs]])
    targets = np.concatenate([data.targets[ours], np.full(n, -1)])
    order = rng.permutation(LARGEST)
    test = data.test_images, data.test_targets
    return _made(images[order], targets[order], *test, data.classes, data.augment)


FAMILIES = {
    r"(mnist|fashion_mnist|emoji)(_features)?_known_([2346])_split_(\d+)": known,
    r"(mnist|clothing)_among_(?!\1)(mnist|clothing)_(20|40|60)": among,
}


def __getattr__(name: str) -> Callable[[], Dataset]:
    for pattern, make in FAMILIES.items():
        if found := re.fullmatch(pattern, name):
            return partial(make, *found.groups())
    raise AttributeError(f"no data set {name!r}")


@cache
def _described(name: str) -> Dataset:
    if name == "emoji":
        return encoded(emoji(), "efficientnet_lite0")
    return encoded(_known(name), "self_supervised")


def _kept(name: str) -> dict[str, np.ndarray]:
    path = data_folder() / "trial" / f"{name}.npz"
    if not path.exists():
        raise alod.AlodError(f"{path}: is not there; get it with python scripts/trial_data.py")
    with np.load(path) as kept:
        return dict(kept)


def _emoji(kept: dict[str, np.ndarray], pool: np.ndarray, test: np.ndarray) -> Dataset:
    classes, targets = np.unique(kept["categories"], return_inverse=True)
    images, classes = kept["images"], tuple(map(str, classes))
    return _made(images[pool], targets[pool], images[test], targets[test], classes, "photos")


def _a_third(targets: np.ndarray) -> np.ndarray:
    """Draw rows (M,), a third of those of each class in `targets` (N,)."""
    rng = default_rng(SEED)
    members = [rng.permutation(np.flatnonzero(targets == c)) for c in np.unique(targets)]
    return np.sort(np.concatenate([rows[: len(rows) // 3] for rows in members]))


def _held_out(
    images: np.ndarray, targets: np.ndarray, classes: Sequence[str], augment: str
) -> Dataset:
    """Hold out a third of each class; strangers are all in the pool."""
    of_class = np.flatnonzero(targets >= 0)
    test = of_class[_a_third(targets[of_class])]
    pool = np.setdiff1d(np.arange(len(targets)), test)
    return _made(images[pool], targets[pool], images[test], targets[test], classes, augment)


def _with_strangers(data: Dataset, task: Sequence[int], pool: Sequence[int], split: int) -> Dataset:
    """Count the classes of the `task` anew; others of the `pool` are strangers, the rest goes."""
    number = np.full(len(data.classes), -1)
    number[task] = np.arange(len(task))
    rows = np.flatnonzero(np.isin(data.targets, pool))
    rows = default_rng(split).permutation(rows)[:LARGEST]
    test = np.isin(data.test_targets, task)
    return _made(
        data.images[rows],
        number[data.targets[rows]],
        data.test_images[test],
        number[data.test_targets[test]],
        [data.classes[c] for c in task],
        data.augment,
    )


def _made(
    images: np.ndarray,
    targets: np.ndarray,
    test_images: np.ndarray,
    test_targets: np.ndarray,
    classes: Sequence[str],
    augment: str,
) -> Dataset:
    if images.ndim == 2:  # features
        told = torch.as_tensor(targets), torch.as_tensor(test_targets)
        return Dataset("features", images, told[0], test_images, told[1], tuple(classes))
    made = alod.from_arrays(images, targets, test_images, test_targets, classes)
    return replace(made, augment=augment)
