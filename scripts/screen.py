"""How well each detector tells where the classifier errs: python scripts/screen.py OUT.csv.

A screen that needs no active learning run: of the first 50,000 training images, described by the
``self_supervised`` encoder, so many are labeled at random, a linear head learns from them, and each
detector scores 10,000 of the others. The table has the area under the ROC curve of "the head is
wrong here", by one detector of all that is labeled and by the contrast of one for each class,
beside the head's own margin and entropy, and the trial's Gaussians that the pool helps to fit. The
book's is ``book/results/screen.csv``; an hour of a core.
"""

import argparse
import json
import sys
import time
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score

import alod
from alod import outliers
from alod.data.encoded import encoded
from alod.experiments.provenance import provenance
from alod.files import write_atomically
from alod.heads import Head
from alod.view import PoolView

sys.path.insert(0, str(Path(__file__).parents[1] / "book/experiments"))
import candidates

POOL, SCORED = 50_000, 10_000
LABELS, SEEDS = (20, 100, 400), 2
# Those of one detector that take minutes here, and learn nothing of a class of two images.
SLOW = {"autoencoder", "deepsvdd"}
DETECTORS = [name for name in outliers.DETECTORS if name not in SLOW]


def rows(dataset: str, features: torch.Tensor, targets: np.ndarray, n: int, seed: int) -> list:
    """Return a row for each score, of one draw of `n` labels."""
    rng = np.random.default_rng([seed, n])
    order = rng.permutation(POOL)
    labeled, scored = np.sort(order[:n]), np.sort(order[n : n + SCORED])
    head = Head("linear", features[:POOL], 10)
    head.learn(features[labeled], torch.from_numpy(targets[labeled]), seed)
    embeddings, logits = head.infer(features)
    shares = logits[scored].double().softmax(1)
    wrong = shares.argmax(1).numpy() != targets[scored]
    best = shares.sort(dim=1, descending=True)[0]
    entropy = torch.special.entr(shares).sum(1)
    found = {("margin", "head"): 1 - (best[:, 0] - best[:, 1]), ("entropy", "head"): entropy}
    found |= {("least_confidence", "head"): 1 - best[:, 0]}
    known, pool = (torch.nn.functional.normalize(embeddings[r]) for r in (labeled, scored))
    told = torch.from_numpy(targets[labeled])
    seconds = {}
    started = time.perf_counter()
    view = PoolView(embeddings[labeled], told, embeddings[scored], logits[scored])
    found["gaussian", "pool"] = outliers.contrast(candidates.gaussian_distances(view))
    seconds["gaussian", "pool"] = time.perf_counter() - started
    for name in DETECTORS:
        for kind in ("all", "class"):
            started = time.perf_counter()
            with warnings.catch_warnings(record=True) as notes:
                warnings.simplefilter("always")
                if kind == "all":
                    scores = outliers.outlier_scores(name, known, pool, seed)
                else:
                    scores, _ = outliers.class_contrast(known, told, pool, name, seed=seed)
            if not any("kNN takes its place" in str(note.message) for note in notes):
                found[name, kind] = scores
                seconds[name, kind] = time.perf_counter() - started
    key = {"dataset": dataset, "n_labeled": n, "seed": seed, "error": wrong.mean()}
    return [
        {
            **key,
            "score": name,
            "of": kind,
            "auroc": roc_auc_score(wrong, np.asarray(score)),
            "seconds": round(seconds.get((name, kind), 0.0), 3),
        }
        for (name, kind), score in found.items()
    ]


def main() -> None:
    """Compute what OUT lacks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    done = pd.read_csv(out) if out.exists() else pd.DataFrame(columns=["dataset", "seed"])
    sets = {}
    # All of a seed first: what is cut off has both data sets.
    for seed, dataset, n in product(range(SEEDS), ("mnist", "fashion_mnist"), LABELS):
        old = (done["dataset"] == dataset) & (done["seed"] == seed)
        if len(done) and (old & (done["n_labeled"] == n)).any():
            continue
        if dataset not in sets:
            data = alod.load_dataset(dataset)
            sets[dataset] = encoded(data, "self_supervised").images[:POOL], data.targets[:POOL]
        features, targets = sets[dataset]
        more = pd.DataFrame(rows(dataset, features, targets.numpy(), n, seed))
        done = more if done.empty else pd.concat([done, more], ignore_index=True)
        write_atomically(out, done.to_csv(index=False))
        print(dataset, n, seed, more.set_index(["score", "of"])["auroc"].round(3).to_dict())
    told = provenance() | {"labels": LABELS, "seeds": SEEDS, "encoder": "self_supervised"}
    write_atomically(out.with_suffix(".json"), json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
