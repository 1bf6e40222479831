"""Record what the chapter "Play with it" plays with: python scripts/make_playground.py.

Writes ``book/results/playground/{choose,strategies,score}.json`` from the embedded mini set, each
with where its numbers come from, in a few minutes on one core; a name alone makes that one. Runs
that are finished are kept in ``runs/playground``. The messy pool plays a table as it is.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

import alod
from alod import heads, outliers, strategies
from alod.data.encoded import encoded
from alod.experiments.provenance import provenance
from alod.files import write_atomically
from alod.view import PoolView
from alod_book import results
from alod_book.figures.cards import make_cards
from alod_book.one_run import pixels

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "book" / "results" / "playground"
RUNS = ROOT / "runs" / "playground"
ENCODER = "random_conv"
# Digits that look alike, and how often nine tiles are dealt.
DIGITS, DEALS = (3, 5, 8), 12
SHOWN = ("random", "margin", "badge", "typiclust", "uherding", "outlier", "outlier_topk")
CURVES = alod.ExperimentConfig(
    model="linear",
    encoder=ENCODER,
    budgets=list(range(20, 201, 20)),
    initial="kmeans",
    inlier_passes=0,
)
SEEDS = 10
SHEET = ("sheet", "columns", "size", "numbers")


def choose() -> tuple[dict[str, Any], dict[str, Any]]:
    """Deal nine tiles, and learn from each three of them and one labeled image of each digit."""
    data = alod.load_dataset("mnist_mini")
    features = encoded(data, ENCODER)
    wanted = {"pool": data.targets, "test": data.test_targets}
    rows, test = (np.flatnonzero(np.isin(t, DIGITS)) for t in wanted.values())
    targets, truth = (
        np.searchsorted(DIGITS, t[r]) for t, r in zip(wanted.values(), (rows, test), strict=True)
    )
    head = heads.Head("linear", features.images[rows], len(DIGITS))

    def right(labeled: np.ndarray) -> int:
        head.learn(features.images[rows[labeled]], torch.from_numpy(targets[labeled]), seed=0)
        predicted = head.logits(features.test_images[test]).argmax(1).numpy()
        return int((predicted == truth).sum())

    deals, images = [], []
    for seed in range(DEALS):
        rng = np.random.default_rng(seed)
        known = np.array([rng.choice(np.flatnonzero(targets == c)) for c in range(len(DIGITS))])
        tiles = rng.choice(np.setdiff1d(np.arange(len(rows)), known), 9, replace=False)
        triples = [
            right(np.concatenate([known, tiles[list(triple)]]))
            for triple in combinations(range(9), 3)
        ]
        before = right(known)  # last, so that the head knows these three
        labeled, pool = (head.embed(features.images[rows[r]]) for r in (known, tiles))
        logits = head.logits(features.images[rows[tiles]])
        view = PoolView(labeled, torch.from_numpy(targets[known]), pool, logits)
        picks = {
            name: sorted(strategies.STRATEGIES[name](view, 3, rng).indices.tolist())
            for name in ("random", "margin", "outlier")
        }
        images += [*known, *tiles]
        answers = [DIGITS[t] for t in targets[tiles]]
        deals.append({"before": before, "right": triples, "picks": picks, "answers": answers})
    numbers = rows[images]
    cards = make_cards(pixels(data, numbers), numbers, [""] * len(numbers))
    config = {"dataset": data.name, "model": "linear", "encoder": ENCODER, "seeds": DEALS}
    return config, {
        **{name: cards[name] for name in SHEET},
        "digits": DIGITS,
        "n_test": len(test),
        "deals": deals,
    }


def any_strategy() -> tuple[dict[str, Any], dict[str, Any]]:
    """Run every strategy; where its first run's batches lie on one map, and all runs' curves."""
    data = alod.load_dataset("mnist_mini")
    maps = results.maps("mnist", "cnn")
    x, y = maps["tsne_before"][:, maps["mini"]].tolist()
    batches: dict[str, list[list[int]]] = {}
    accuracy: dict[str, list[list[float]]] = {}
    for strategy in SHOWN:
        runs = [run(replace(CURVES, strategy=strategy, seed=seed)) for seed in range(SEEDS)]
        batches[strategy] = [runs[0].asked(r).tolist() for r in range(len(CURVES.budgets))]
        accuracy[strategy] = [r.history["test_accuracy"].round(4).tolist() for r in runs]
    asked = np.unique([i for rounds in batches.values() for batch in rounds for i in batch])
    cards = make_cards(pixels(data, asked), asked, [""] * len(asked))
    return {**told(CURVES), "strategy": SHOWN, "seed": list(range(SEEDS))}, {
        **{name: cards[name] for name in SHEET},
        "x": x,
        "y": y,
        "targets": "".join(map(str, data.targets.tolist())),
        "budgets": CURVES.budgets,
        "batches": batches,
        "accuracy": accuracy,
    }


def score() -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw a toy pool of three classes in the plane, with the score of each of its points."""
    rng = np.random.default_rng(4)
    centers = np.array([[25, 30], [72, 26], [52, 66]])
    labeled = np.concatenate([rng.normal(c, 9, (4, 2)) for c in centers])
    pool = np.concatenate([rng.normal(c, 13, (40, 2)) for c in centers])
    labeled, pool = (p.clip((3, 3), (97, 87)).round(1) for p in (labeled, pool))
    targets = np.repeat(range(3), 4)
    away = outliers.class_scores(
        "knn", torch.from_numpy(labeled), torch.from_numpy(targets), torch.from_numpy(pool)
    )
    return {"seed": 4, "detector": "knn", "contrast": "ratio"}, {
        "size": [100, 90],
        "labeled": labeled.tolist(),
        "targets": targets.tolist(),
        "pool": pool.tolist(),
        "ratio": outliers.contrast(away).round(4).tolist(),
        "distance": away.min(1).round(2).tolist(),
    }


def run(config: alod.ExperimentConfig) -> Any:
    """Return a finished run, of now or before."""
    return alod.run_experiment(config, RUNS / config.hash(), on_round=lambda row: None)


def told(config: alod.ExperimentConfig) -> dict[str, Any]:
    """Return what decides a run, in short."""
    names = ("dataset", "model", "encoder", "initial", "budgets", "inlier_passes")
    return {name: getattr(config, name) for name in names}


MADE: dict[str, Callable[[], tuple[dict[str, Any], dict[str, Any]]]] = {
    "choose": choose,
    "strategies": any_strategy,
    "score": score,
}


def main() -> None:
    """Make what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(MADE))
    given = parser.parse_args()
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    origin = provenance()  # before the checkout holds what is written below
    for name in given.names or MADE:
        config, played = MADE[name]()
        content = {"config": config, **origin, "play": played}
        path = OUT / f"{name}.json"
        write_atomically(path, json.dumps(content, separators=(",", ":")) + "\n")
        print(f"{path}: {path.stat().st_size:,} bytes", flush=True)


if __name__ == "__main__":
    main()
