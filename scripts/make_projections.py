"""Map the full pools: ALOD_DATA=DIR python scripts/make_projections.py runs/projections.

Runs ``book/experiments/projections.yaml`` into the folder given, or goes on with it; projects the
embeddings of all images of each pool by UMAP and t-SNE, before learning and after the last round.
Writes ``book/results/projections.csv`` (how far each map can be trusted, and what lies where
classes touch), ``.json`` (where it comes from) and ``book/results/projections/*.npz``.
"""

import argparse
import json
import os
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from make_mini import PER_CLASS, SEED, archive, draw

import alod
from alod.experiments.load import load_configs
from alod.experiments.provenance import provenance
from alod.experiments.run import load_run
from alod.experiments.sweep import run_sweep
from alod.files import write_atomically
from alod_book import positions, projection
from alod_book.embeddings import groups_at
from alod_book.one_run import asked_rounds, pixels, scores_when_asked

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENT = ROOT / "book" / "experiments" / "projections.yaml"
RESULTS = ROOT / "book" / "results"
STAGES = ("last", "before")
# A map is a few hundred pixels wide; more would double the files and show nothing.
STEPS = 1023


def packed(coordinates: np.ndarray) -> np.ndarray:
    """Return coordinates (N, 2) as whole numbers (2, N) from 0 to `STEPS`, their aspect kept."""
    from_zero = coordinates - coordinates.min(axis=0)
    return (from_zero * (STEPS / from_zero.max())).round().astype(np.uint16).T.copy()


def shares(space: np.ndarray, data: alod.Dataset, groups: np.ndarray) -> dict[str, float]:
    """Return, for each group, how many of its images have another class among ten neighbors."""
    return {
        f"border_{name}": round(
            positions.border_share(space, data.targets, np.flatnonzero(groups == name)), 4
        )
        for name in ("pool", "initial", "core", "outlier")
    }


def record(
    run: alod.Run, data: alod.Dataset, mini: np.ndarray, cache: Path
) -> tuple[dict[str, np.ndarray], list[dict[str, object]]]:
    """Return one setting's arrays, and a row for each of its maps."""
    shown = np.concatenate([mini, np.setdiff1d(run.asked(), mini)]).astype(np.int32)
    groups = groups_at(run, data, "last")
    # Sixteen greys, as the book's pages show; the images of the mini set are in the package.
    others = pixels(data, shown[len(mini) :]).astype(int)
    arrays = {
        "shown": shown,
        "round": asked_rounds(run, len(data.images))[shown].astype(np.int8),
        "score": scores_when_asked(run, data)[shown].astype(np.float16),
        "core": np.flatnonzero(groups == "core").astype(np.int32),
        "images": ((others * 15 + 127) // 255).astype(np.uint8),
    }
    # Of the pool, the images of the mini set stand for all: a matrix product for each is enough.
    counted = np.where(np.isin(np.arange(len(groups)), shown), groups, "")
    rows: list[dict[str, object]] = []
    kept = run.embeddings
    for stage, method in product(STAGES, projection.LIBRARIES):
        space = kept[stage]
        coordinates = projection.project(space, method, seed=run.config.seed, cache=cache)
        arrays[f"{method}_{stage}"] = packed(coordinates)
        rows.append(
            {
                "dataset": run.config.dataset,
                "model": run.config.model,
                "stage": stage,
                "method": method,
                "n_images": len(space),
                "trustworthiness": round(projection.trustworthiness(space, coordinates), 4),
                **shares(space, data, counted),
            }
        )
        print(*list(rows[-1].values())[:6], flush=True)
    return arrays, rows


def main() -> None:
    """Run, project, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, help="folder of the runs, made if it is not there")
    given = parser.parse_args()
    configs = load_configs(EXPERIMENT)
    failed = run_sweep(configs, given.runs).failed
    if failed:
        raise SystemExit(f"error: {failed}")
    origin = provenance()  # before the checkout holds what is written below
    (RESULTS / "projections").mkdir(parents=True, exist_ok=True)
    table, sources = [], []
    for config in configs:
        run = load_run(given.runs / config.hash())
        data = alod.load_dataset(config.dataset)
        targets = data.targets.numpy()
        mini = draw(targets, PER_CLASS["train"], np.random.default_rng(SEED))
        arrays, rows = record(run, data, mini, given.runs / "projected")
        end = run.history.iloc[-1][["n_labeled", "test_accuracy"]].to_dict()
        table += [row | end for row in rows]
        sources.append(run.provenance)
        pool = {"targets": targets.astype(np.uint8), "mini": mini.astype(np.int32)}
        for name, content in (
            (config.dataset, archive(pool)),
            (f"{config.dataset}_{config.model}", archive(arrays)),
        ):
            write_atomically(RESULTS / "projections" / f"{name}.npz", content)
            print(f"{name}.npz: {len(content):,} bytes", flush=True)
    origin |= {"threads": os.environ.get("OMP_NUM_THREADS"), "runs": sources}
    libraries = {name: version(name) for name in projection.LIBRARIES.values()}
    origin["versions"] = {**origin["versions"], **libraries}
    write_atomically(RESULTS / "projections.csv", pd.DataFrame(table).to_csv(index=False))
    write_atomically(RESULTS / "projections.json", json.dumps(origin, indent=1) + "\n")


if __name__ == "__main__":
    main()
