"""What any score could gain: python scripts/ceiling.py OUT.csv, with the full data sets.

Two oracles that know every target, beside queries that do not, on features of the first 50,000
training images; accuracy is on the last 10,000, no test image. ``coverage, all mistakes``: the
greedy coverage of `outlier`, each image that the head gets wrong weighing a thousand times what
others weigh: the ceiling of a score in that coverage. ``greedy oracle``: each image is the one of
CANDIDATES drawn ones after which a head is right most often on 2,000 of the pool; to 100 labels
only. Rows that OUT holds are not computed again. The book's is ``book/results/ceiling.csv``; half
an hour of a core.
"""

import argparse
import json
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.random import Generator

import alod
from alod import strategies
from alod.data.encoded import encoded
from alod.experiments.provenance import provenance
from alod.files import write_atomically
from alod.heads import Head
from alod.strategies import Strategy
from alod.view import PoolView, Selection

sys.path.insert(0, str(Path(__file__).parents[1] / "book/experiments"))
import candidates
import rivals

POOL, BUDGETS, GREEDY_TO = 50_000, (20, 50, 100, 200, 400), 100
DATASETS, SEEDS = ("mnist", "fashion_mnist"), 5
CANDIDATES, JUDGES = 25, 2_000
QUERIES: dict[str, Strategy] = {
    "random": strategies.random,
    "plain coverage": rivals.plain_coverage,
    "margin coverage": rivals.margin_coverage,
    "uherding": strategies.uherding,
    "outlier": strategies.outlier,
    "agreement": candidates.agreement,
}


def mistakes(learner: list[alod.ActiveLearner], targets: np.ndarray) -> Strategy:
    """Make the query that covers what the learner, the last of a list, gets wrong."""

    def query(view: PoolView, k: int, rng: Generator) -> Selection:
        wrong = view.pool_logits.argmax(1).numpy() != targets[learner[-1].pool]
        scores = np.where(wrong, 1.0, 1e-3)
        chosen = strategies._cover(view, scores, k, rng)
        return Selection(chosen, scores[chosen])

    return query


def greedy(learner: list[alod.ActiveLearner], targets: np.ndarray) -> Strategy:
    """Make the query that tries each candidate with its answer, and takes what helps most."""

    def query(view: PoolView, k: int, rng: Generator) -> Selection:
        pool, points, known = learner[-1].pool, view.pool_embeddings, view.labeled_embeddings
        told, answers = view.labeled_targets, torch.from_numpy(targets[pool])
        judges = rng.choice(len(pool), JUDGES, replace=False)
        left, chosen = np.setdiff1d(np.arange(len(pool)), judges), []
        gains = []
        for _ in range(k):
            tried = rng.choice(np.setdiff1d(left, chosen), CANDIDATES, replace=False)
            right = []
            for i in tried:
                head = Head("linear", points, view.pool_logits.shape[1])
                head.learn(torch.cat([known, points[[i]]]), torch.cat([told, answers[[i]]]), 0)
                found = head.logits(points[judges]).argmax(1)
                right.append(float((found == answers[judges]).float().mean()))
            best = int(tried[np.argmax(right)])
            known, told = torch.cat([known, points[[best]]]), torch.cat([told, answers[[best]]])
            chosen.append(best)
            gains.append(max(right))
        return Selection(np.array(chosen), np.array(gains))

    return query


ORACLES = {"coverage, all mistakes": mistakes, "greedy oracle": greedy}


def rows(name: str, features: torch.Tensor, targets: np.ndarray, seed: int) -> list[dict]:
    """Return a row for each budget of one run."""
    there: list[alod.ActiveLearner] = []
    query = QUERIES[name] if name in QUERIES else ORACLES[name](there, targets)
    learner = alod.ActiveLearner(features[:POOL], 10, model="linear", strategy=query, seed=seed)
    there.append(learner)
    told, last = [], 0
    for n in BUDGETS if name != "greedy oracle" else BUDGETS[: BUDGETS.index(GREEDY_TO) + 1]:
        learner.step(n - last, lambda indices: targets[indices])
        right = learner.predict(features[POOL:]) == targets[POOL:]
        told.append({"n_labeled": n, "held_out_accuracy": right.mean()})
        last = n
    return told


def main() -> None:
    """Compute what OUT lacks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    torch.set_num_threads(1)
    done = pd.read_csv(out) if out.exists() else pd.DataFrame(columns=["dataset", "query", "seed"])
    seen = set(zip(done["dataset"], done["query"], done["seed"], strict=True))
    sets = {}
    for seed, dataset, name in product(range(SEEDS), DATASETS, (*QUERIES, *ORACLES)):
        if (dataset, name, seed) in seen:
            continue
        if dataset not in sets:
            data = alod.load_dataset(dataset)
            pool = encoded(data, "self_supervised").images
            sets[dataset] = pool, data.targets.numpy()
        key = {"dataset": dataset, "query": name, "seed": seed}
        found = pd.DataFrame([key | row for row in rows(name, *sets[dataset], seed)])
        done = found if done.empty else pd.concat([done, found], ignore_index=True)
        write_atomically(out, done.to_csv(index=False))
        print(*key.values(), found["held_out_accuracy"].round(4).tolist(), flush=True)
    told = provenance() | {"budgets": BUDGETS, "candidates": CANDIDATES, "judges": JUDGES}
    told |= {"encoder": "self_supervised", "pool": POOL}
    write_atomically(out.with_suffix(".json"), json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
