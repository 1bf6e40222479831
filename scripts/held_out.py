"""Compare longer rounds on training images held out: python scripts/held_out.py OUT.csv.

Chose the recipe of ``book/experiments/longer.yaml`` without the test set: a pool of the first
50,000 training images, labels asked at random, accuracy on the last 10,000. A GPU does it in ten
minutes. The book's is ``book/results/held_out.csv``.
"""

import argparse
import json
from itertools import product
from pathlib import Path

import pandas as pd

import alod
from alod.files import write_atomically
from alod.provenance import provenance

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


def rows(
    dataset: str, model: str, budgets: tuple[int, ...], settings: dict[str, object], seed: int
) -> list[dict[str, object]]:
    """Return a row for each budget of one run."""
    data = alod.load_dataset(dataset)
    learner = alod.ActiveLearner(
        data.images[:POOL], 10, model, "random", augment=data.augment, seed=seed, **settings
    )
    kept = {"dataset": dataset, "model": model, "min_epochs": 0, **settings, "seed": seed}
    found, bought = [], 0
    for budget in budgets:
        learner.step(budget - bought, lambda indices: data.targets[indices].numpy())
        bought = budget
        right = learner.predict(data.images[POOL:]) == data.targets[POOL:].numpy()
        found.append({**kept, "n_labeled": budget, "held_out_accuracy": round(right.mean(), 4)})
    return found


def main() -> None:
    """Run all, write the table and where it comes from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    table = pd.DataFrame([row for run in DIGITS + CLOTHING for row in rows(*run)])
    write_atomically(out, table.to_csv(index=False))
    write_atomically(out.with_suffix(".json"), json.dumps(provenance(), indent=1) + "\n")


if __name__ == "__main__":
    main()
