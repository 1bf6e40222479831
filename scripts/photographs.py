"""What real photographs cost: python scripts/photographs.py OUT.csv [--folder STAMPS] [--jobs ...].

Photographs in nine classes with cartoons among them, which are not of the task, as Debian's package
``tuxpaint-stamps-default`` puts them: labeled by features of a frozen network with every strategy,
and by networks trained from scratch at three sizes. Accuracy is that on the photographs of the
classes that nobody has labeled yet. Rows that OUT holds are not computed again. The book's is
``book/results/photographs.csv``; the frozen ways take two minutes, the others hours of a core.
"""

import argparse
import json
import time
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import alod
from alod.data.arrays import Dataset
from alod.data.encoded import make
from alod.experiments.provenance import provenance
from alod.files import write_atomically
from alod.labeling.images import read_folder

FOLDER = Path("/usr/share/tuxpaint/stamps")
CLASSES = (
    *("animals", "food", "plants", "household", "town", "vehicles", "clothes", "space"),
    "hobbies",
)
BUDGETS = (30, 50, 100, 150, 200)
STRATEGIES = ("random", "margin", "entropy", "badge", "kcenter", "typiclust", "uherding", "outlier")
ENCODER = "efficientnet_lite0"
# Model, pixels of a side, strategy, seeds: as many as two cores do in a night.
FROZEN = [("linear", 224, strategy, 10) for strategy in STRATEGIES]
SCRATCH = [
    ("cnn", 28, "outlier", 10),
    ("cnn", 64, "outlier", 5),
    ("cnn", 128, "outlier", 1),
    ("resnet18", 28, "outlier", 5),
    ("resnet18", 64, "outlier", 1),
    ("resnet18", 128, "outlier", 1),
]


def photographs(folder: Path, side: int, cache: Path) -> Dataset:
    """Return the photographs of the classes and the cartoons, of which the target is -1."""
    pool = read_folder(folder, cache / str(side), side)
    targets = []
    for name in pool.files:
        parts = name.split("/")
        cartoon = "cartoon" in parts
        targets.append(-1 if cartoon else CLASSES.index(parts[0]) if parts[0] in CLASSES else -2)
    rows = np.flatnonzero(np.array(targets) > -2)
    return alod.from_arrays(np.array(pool.images)[rows], np.array(targets)[rows], classes=CLASSES)


def careful(features: np.ndarray, targets: np.ndarray, labeled: np.ndarray) -> np.ndarray:
    """Predict as a careful user of scikit-learn would."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000))
    return np.asarray(model.fit(features[labeled], targets[labeled]).predict(features))


def rows(
    data: Dataset, features: torch.Tensor | None, model: str, side: int, strategy: str, seed: int
) -> list[dict[str, object]]:
    """Return a row for each budget of one run."""
    targets, pool = data.targets.numpy(), data.images if features is None else features
    more = {} if model == "linear" else {"augment": "clothing"}  # flips and shifts
    learner = alod.ActiveLearner(
        pool, len(CLASSES), model=model, strategy=strategy, seed=seed, device="cpu", **more
    )
    told = []
    for k in np.diff((0, *BUDGETS)):
        started = time.perf_counter()
        learner.step(int(k), lambda indices: targets[indices])
        seconds = time.perf_counter() - started
        left = np.intersect1d(learner.pool, np.flatnonzero(targets >= 0))
        right = learner.outputs()[1].argmax(1).numpy()[left] == targets[left]
        row = {"n_labeled": len(learner.labeled) + len(learner.foreign)}
        row |= {"n_foreign": len(learner.foreign), "accuracy": right.mean(), "seconds": seconds}
        if features is not None:
            by_hand = careful(features.numpy(), targets, learner.labeled)
            row["careful"] = (by_hand[left] == targets[left]).mean()
        told.append(row)
    key = {"model": model, "side": side, "strategy": strategy, "seed": seed}
    return [{**key, **row} for row in told]


def main() -> None:
    """Compute what OUT lacks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--cache", type=Path, default=Path("runs/photographs"))
    parser.add_argument("--models", nargs="*", default=["linear", "cnn", "resnet18"])
    arguments = parser.parse_args()
    done = pd.read_csv(arguments.out) if arguments.out.exists() else pd.DataFrame()
    seen = (
        set()
        if done.empty
        else set(zip(done.model, done.side, done.strategy, done.seed, strict=True))
    )
    jobs = [
        (model, side, strategy, seed)
        for seed, (model, side, strategy, seeds) in product(range(10), FROZEN + SCRATCH)
        if seed < seeds and model in arguments.models
    ]
    features: dict[int, torch.Tensor] = {}
    for job in jobs:
        if job in seen:
            continue
        model, side = job[:2]
        data = photographs(arguments.folder, side, arguments.cache)
        if model == "linear" and not features:
            started = time.perf_counter()
            features[side] = make(ENCODER, data.images, "cpu")(data.images)
            print(f"{len(data.images)} images encoded in {time.perf_counter() - started:.1f} s")
        found = rows(data, features[side] if model == "linear" else None, *job)
        # As it is on disk now: another process may have added to it.
        there = [pd.read_csv(arguments.out)] if arguments.out.exists() else []
        table = pd.concat([*there, pd.DataFrame(found)], ignore_index=True)
        write_atomically(arguments.out, table.to_csv(index=False))
        print(*job, [f"{row['accuracy']:.3f}" for row in found], flush=True)
    told = provenance() | {"encoder": ENCODER, "budgets": BUDGETS, "classes": CLASSES}
    write_atomically(arguments.out.with_suffix(".json"), json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
