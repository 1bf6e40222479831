"""Recorded results, as chapters and scripts read them: tables, published curves, maps of pools.

Parameters
----------
curves : DataFrame
    Tidy curves: ``dataset, model, seed, n_labeled, test_accuracy`` and, where they differ,
    ``min_epochs`` and ``views``.

Examples
--------
>>> kept = maps("mnist", "cnn")
>>> kept["umap_last"].shape, kept["targets"].shape
((2, 60000), (60000,))
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alod.errors import AlodError
from alod.experiments.evaluation import SETTING
from alod_book.figures import DATASET_NAMES, MODEL_NAMES, spelled

REPOSITORY = "https://raw.githubusercontent.com/alod-book/alod/main"
# Test accuracy after training on the full set, as reported by the original's repository
# (AyaMigdadi, 2023, "Active-learning-using-outlier-detection", github.com/AyaMigdadi).
PUBLISHED_FULL_SET = {
    ("mnist", "cnn"): 0.9911,
    ("mnist", "lenet5"): 0.9831,
    ("mnist", "resnet18"): 0.9911,
    ("fashion_mnist", "cnn"): 0.9073,
    ("fashion_mnist", "lenet5"): 0.8703,
    ("fashion_mnist", "resnet18"): 0.9124,
}


def table(stem: str) -> pd.DataFrame:
    """Load the curves that ``alod sweep`` and ``alod compare`` made of an experiment file.

    Of ``book/experiments/<stem>.yaml`` and ``book/results/<stem>.csv`` by their `stem`, from the
    checkout of this package or the book's repository; see :func:`alod.experiments.record.tidy`.
    """
    file = f"book/results/{stem}.csv"
    checkout = Path(__file__).parents[1] / file
    place = str(checkout) if checkout.exists() else f"{REPOSITORY}/{file}"
    try:
        return pd.read_csv(place)
    except OSError as error:
        raise AlodError(f"{place}: {error}; is there an experiment file {stem}.yaml?") from None


def published_curves() -> pd.DataFrame:
    """Return the original's learning curves, as its repository reports them.

    They are cited, not ours: accuracy on the test set, on which its runs also stopped, by nominal
    labels, of which about half of each later batch had been bought before (AyaMigdadi, 2023,
    "Active-learning-using-outlier-detection"). Columns ``dataset`` (``mnist, fashion_mnist``),
    ``model`` (``cnn, lenet5, resnet18``), ``n_labeled`` int64, ``test_accuracy`` in [0, 1].
    """
    return pd.read_csv(Path(__file__).with_name("published.csv"))


def maps(dataset: str, model: str) -> dict[str, NDArray[Any]]:
    """Load the recorded maps of a full pool of N images, of which S are shown with their image.

    Made by ``scripts/make_projections.py``; how far each map can be trusted is in the table
    ``table("projections")``. `dataset` is ``mnist`` or
    ``fashion_mnist``, `model` the classifier.

    Returns
    -------
    dict of str to ndarray
        ``umap_before``, ``umap_last``, ``tsne_before``, ``tsne_last`` uint16 (2, N): coordinates
        from 0 to 1023 before learning and after the last round. ``shown`` int32 (S,): positions in
        the pool, those of the embedded mini set first and in its order; for each of them ``round``
        int8 (S,), -1 where it was never asked for, and ``score`` float16 (S,), its outlier score.
        ``core`` int32 (K,): the core set's positions. ``images`` uint8 (A, 28, 28): those of
        `shown` that the mini set lacks, in greys from 0 to 15. ``targets`` uint8 (N,): classes.
        ``mini`` int32 (6000,): the mini set's positions.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name in (dataset, f"{dataset}_{model}"):
        file = f"book/results/projections/{name}.npz"
        # Beside this package in a checkout, else from the book's repository.
        checkout = Path(__file__).parents[1] / file
        try:
            if checkout.exists():
                content = checkout.read_bytes()
            else:
                with urlopen(f"{REPOSITORY}/{file}", timeout=60) as answer:
                    content = answer.read()
        except OSError as error:
            raise AlodError(
                f"{file}: {error}; scripts/make_projections.py makes it of the full data set"
            ) from None
        with np.load(io.BytesIO(content), allow_pickle=False) as kept:
            arrays |= dict(kept)
    return arrays


def in_order(curves: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the pairs of data set and classifier, in the order in which the book has them."""
    known = (list(DATASET_NAMES), list(MODEL_NAMES))
    pairs = curves[list(SETTING)].drop_duplicates().itertuples(index=False, name=None)
    return sorted(pairs, key=lambda pair: (known[0].index(pair[0]), known[1].index(pair[1])))


def each_setting(curves: pd.DataFrame) -> Iterator[tuple[tuple[str, str], str, pd.DataFrame]]:
    """Yield data set and classifier, their name, and their rows, for each recipe apart."""
    curves = _with_recipe(curves)
    for dataset, model in in_order(curves):
        own = curves[(curves["dataset"] == dataset) & (curves["model"] == model)]
        for (views, n), rows in own.groupby(["views", "min_epochs"]):
            longer = f", {n} epochs" if n else ""
            seen = f", {views} views" if views else ""
            yield (dataset, model), f"{spelled(dataset)}, {spelled(model)}{longer}{seen}", rows


def ceiling(full: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `full` that belong to the setting of the rows `own`.

    `full` has rows like `curves`, of runs that learned all labels.
    """
    keys = [*SETTING, "views"]
    return _with_recipe(full).merge(own[keys].drop_duplicates(), on=keys)


def _with_recipe(curves: pd.DataFrame) -> pd.DataFrame:
    """Add what no run of a table differs in, at its default."""
    return curves.assign(**{name: 0 for name in ("min_epochs", "views") if name not in curves})
