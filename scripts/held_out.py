"""Compare recipes on training images held out: python scripts/held_out.py longer OUT.csv.

Chose without the test set how long rounds are (``longer``: ``book/experiments/longer.yaml``) and
from how many distorted copies is predicted (``views``): a pool of the first 50,000 training images,
labels asked at random, accuracy on the last 10,000. A GPU does the first in ten minutes, a core of
a CPU the second in 90 minutes. The book's are ``book/results/held_out.csv`` and ``views.csv``.
"""

import argparse
import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import alod
from alod import training
from alod.experiments.provenance import provenance
from alod.files import write_atomically

POOL = 50_000
# Classifiers by data set, labels after each round, what is compared, seeds.
DIGITS = [
    (
        "mnist",
        model,
        (20, 100),
        {"steps": steps, "inlier_passes": passes, "initial": "kmeans"},
        seed,
    )
    for model, steps, passes, seed in product(("cnn", "resnet18"), (600, 2000), (2, 4, 6), (0, 1))
    if (steps, passes) in ((600, 2), (600, 6), (2000, 2), (2000, 4))
]
CLOTHING = [
    (
        "fashion_mnist",
        "resnet18",
        (8000,),
        {"steps": 600, "inlier_passes": 2, "min_epochs": epochs, "initial": "random"},
        seed,
    )
    for epochs, seed in product((30, 60), (0, 1, 2))
]
# Data set, classifier, labels after each round, seed; and copies.
VIEWED = [
    (dataset, model, (20, 100) if dataset == "mnist" else (100, 1000), seed)
    for seed, dataset, model in product((0, 1, 2), ("mnist", "fashion_mnist"), ("lenet5", "cnn"))
]
VIEWS = (0, 1, 2, 4, 8, 16)


def rows(
    dataset: str, model: str, budgets: tuple[int, ...], settings: dict[str, object], seed: int
) -> list[dict[str, object]]:
    """Return a row for each budget of one run."""
    kept = {"dataset": dataset, "model": model, "min_epochs": 0, **settings, "seed": seed}
    return [
        {
            **kept,
            "n_labeled": budget,
            "held_out_accuracy": accuracy(learner.predict(images), targets),
        }
        for budget, learner, images, targets in rounds(dataset, model, budgets, settings, seed)
    ]


def view_rows(
    dataset: str, model: str, budgets: tuple[int, ...], seed: int
) -> list[dict[str, object]]:
    """Return a row for each budget of one run and each number of copies."""
    settings = {"steps": 600, "inlier_passes": 2, "initial": "kmeans"}
    kept = {"dataset": dataset, "model": model, **settings, "seed": seed}
    found = []
    for budget, learner, images, targets in rounds(dataset, model, budgets, settings, seed):
        augment = alod.load_dataset(dataset).augment
        for n in VIEWS:
            if n:
                shares = training.infer_views(learner.model, images, augment, n)
            else:
                shares = training.infer(learner.model, images)[1]
            right = accuracy(shares.argmax(1).numpy(), targets)
            found.append({**kept, "n_labeled": budget, "views": n, "held_out_accuracy": right})
    return found


def rounds(
    dataset: str, model: str, budgets: tuple[int, ...], settings: dict[str, object], seed: int
) -> Iterator[tuple[int, alod.ActiveLearner, torch.Tensor, np.ndarray]]:
    """Yield labels bought, the learner then, and the images and targets held out."""
    data = alod.load_dataset(dataset)
    learner = alod.ActiveLearner(
        data.images[:POOL], 10, model, "random", augment=data.augment, seed=seed, **settings
    )
    bought = 0
    for budget in budgets:
        learner.step(budget - bought, lambda indices: data.targets[indices].numpy())
        bought = budget
        yield budget, learner, data.images[POOL:], data.targets[POOL:].numpy()


def accuracy(predicted: np.ndarray, targets: np.ndarray) -> float:
    """Return the share of right predictions, to four digits."""
    return round(float((predicted == targets).mean()), 4)


def main() -> None:
    """Run all, write the table as it grows and where it comes from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("longer", "views"))
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    function, runs = {"longer": (rows, DIGITS + CLOTHING), "views": (view_rows, VIEWED)}[given.what]
    found: list[dict[str, object]] = []
    for run in runs:
        found += function(*run)
        write_atomically(given.out, pd.DataFrame(found).to_csv(index=False))
    told = json.dumps(provenance(), indent=1) + "\n"
    write_atomically(given.out.with_suffix(".json"), told)


if __name__ == "__main__":
    main()
