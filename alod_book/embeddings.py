"""What the chapter on the embedding space draws: maps of one run, and of recorded full pools.

Parameters
----------
run : Run
    Finished, with ``keep_embeddings=True``.
data : Dataset
    What it ran on, N images.
titles : sequence of str (K,)
    What each of K maps shows, in one sentence; their notes tell method, n and trustworthiness.
seed : int
    Of the projections, or of the images drawn.

Examples
--------
>>> umap, tsne = recorded_maps("mnist", "lenet5", ["By UMAP", "By t-SNE"], n_images=100)
>>> umap.layout.meta["alt"].partition(": ")[0]
'By UMAP. Map of image embeddings'
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from pandas.io.formats.style import Styler

from alod.errors import check_name
from alod_book import figures, projection, results
from alod_book.figures import PROJECTION_NAMES, spelled
from alod_book.one_run import asked_rounds, pixels, scores_when_asked

if TYPE_CHECKING:
    from alod.data.arrays import Dataset
    from alod.experiments.run import Run

STAGES = ("before", "first", "last")


def groups_at(run: "Run", data: "Dataset", stage: str) -> NDArray[np.str_]:
    """Return what each image is to the learner at one moment of a run, as str (N,).

    ``initial``; ``core``, the core set of what is labeled by then; ``outlier``, what was asked for
    next or, at the end, in all rounds; ``pool``. `stage` is ``before`` learning; ``first``, after
    the initial set, about to ask; ``last``, at the end.
    """
    check_name("stage", stage, STAGES)
    groups = np.full(len(data.images), "pool", dtype="<U8")
    initial = run.asked(0)
    groups[initial] = "initial"
    if stage == "before":
        return groups
    asked = np.setdiff1d(run.asked(), initial) if stage == "last" else run.asked(1)
    groups[asked] = "outlier"
    groups[_core(run, data, stage, run.asked() if stage == "last" else initial)] = "core"
    return groups


def _core(run: "Run", data: "Dataset", stage: str, labeled: NDArray[np.int64]) -> NDArray[np.int64]:
    import torch

    from alod.outliers import core_set

    kept = run.embeddings
    predictions = kept["predictions" if stage == "last" else "first_predictions"]
    chosen = core_set(
        torch.as_tensor(kept[stage][labeled]),
        data.targets[labeled],
        torch.as_tensor(predictions[labeled]),
        n_per_class=2,
    )
    core: NDArray[np.int64] = labeled[chosen]
    return core


def stage_maps(
    run: "Run",
    data: "Dataset",
    stage: str,
    shown: NDArray[np.integer],
    titles: Sequence[str],
    color_by: str = "group",
    seed: int = 0,
    methods: Sequence[str] = ("umap", "tsne"),
) -> list[go.Figure]:
    """Draw one moment of a run by UMAP and by t-SNE, with the images themselves.

    Parameters
    ----------
    stage : {"before", "first", "last"}
        As in `groups_at`.
    shown : ndarray of int (n,)
        Which images of the data set to draw.
    color_by : {"group", "class"}
        What colors mean.
    methods : sequence of str (K,)
        Of ``umap, tsne``.
    """
    space = run.embeddings[stage][shown]
    maps = []
    for method, title in zip(methods, titles, strict=True):
        coordinates = projection.project(space, method=method, seed=seed)
        trust = projection.trustworthiness(space, coordinates)
        maps.append(
            figures.embedding_map(
                coordinates,
                groups_at(run, data, stage)[shown],
                title=title,
                classes=data.classes,
                targets=data.targets[shown],
                indices=shown,
                color_by=color_by,
                note=f"{PROJECTION_NAMES[method]}; n = {len(shown):,} images; "
                f"trustworthiness {trust:.2f}",
                images=pixels(data, shown),
                asked_round=asked_rounds(run, len(data.images))[shown],
                scores=scores_when_asked(run, data)[shown],
            )
        )
    return maps


def recorded_maps(
    dataset: str, model: str, titles: Sequence[str], n_images: int = 2000, seed: int = 0
) -> list[go.Figure]:
    """Draw a full pool after its last round, as recorded, by UMAP and by t-SNE.

    `dataset` and `model` are as for `alod_book.results.maps`.

    Parameters
    ----------
    n_images : int
        Images of the pool that can be looked at, beside those asked for, at most 6,000; the others
        are points in the background.
    """
    from alod.data.known import load_dataset

    kept, mini = results.maps(dataset, model), load_dataset(f"{dataset}_mini")
    trust = results.table("projections").query(
        "dataset == @dataset and model == @model and stage == 'last'"
    )
    images = np.concatenate([mini.images[:, 0].numpy(), kept["images"] * 17])
    groups = np.select([kept["round"] == 0, kept["round"] > 0], ["initial", "outlier"], "pool")
    groups[np.isin(kept["shown"], kept["core"])] = "core"
    never = np.flatnonzero(kept["round"] < 0)
    few = np.random.default_rng(seed).choice(never, min(n_images, len(never)), replace=False)
    pointed = np.sort(np.concatenate([few, np.flatnonzero(kept["round"] >= 0)]))
    row = kept["shown"][pointed]
    maps = []
    for method, title in zip(PROJECTION_NAMES, titles, strict=True):
        xy = kept[f"{method}_last"].T
        told = trust[trust["method"] == method]["trustworthiness"].item()
        maps.append(
            figures.embedding_map(
                xy[row],
                groups[pointed],
                title=title,
                classes=mini.classes,
                targets=kept["targets"][row],
                indices=row,
                note=f"{PROJECTION_NAMES[method]}; n = {len(xy):,} images, {len(pointed):,} of "
                f"them to be pointed at; trustworthiness {told:.2f}",
                images=images[pointed],
                asked_round=kept["round"][pointed],
                scores=kept["score"][pointed].astype(float),
                crowd=np.delete(xy, row, axis=0),
            )
        )
    return maps


def recorded_settings(stage: str, title: str) -> go.Figure:
    """Draw the full pools of all settings at one moment, as recorded, by UMAP.

    A small map for each, with its trustworthiness. `stage` is ``before`` learning or ``last``,
    after the last round; `title` what is seen.
    """
    from alod.data.known import load_dataset

    check_name("stage", stage, ("before", "last"))
    table = results.table("projections").query("method == 'umap' and stage == @stage")
    names = {data: load_dataset(f"{data}_mini").classes for data in table["dataset"].unique()}
    panels, classes = {}, {}
    for dataset, model in sorted(zip(table["dataset"], table["model"], strict=True), key=_in_order):
        kept = results.maps(dataset, model)
        caption = f"{spelled(dataset)}, {spelled(model)}"
        panels[caption] = kept[f"umap_{stage}"], kept["targets"]
        classes[caption] = names[dataset]
    least, most = (f"{table['trustworthiness'].agg(f):.2f}" for f in ("min", "max"))
    trust = least if least == most else f"{least} to {most}"
    return figures.class_maps(
        panels,
        classes,
        title=title,
        note=f"UMAP; n = {table['n_images'].iloc[0]:,} images each; trustworthiness {trust}",
    )


def _in_order(setting: tuple[str, str]) -> tuple[int, int]:
    dataset, model = setting
    return list(figures.MODEL_NAMES).index(model), list(figures.DATASET_NAMES).index(dataset)


def trust_table(caption: str = "") -> Styler:
    """Show how far each recorded map can be trusted, and what lies where classes touch.

    A row for each setting; `caption` says what is seen, n and units.
    """
    table = results.table("projections")
    table["setting"] = [
        f"{spelled(dataset)} {spelled(model)}"
        for dataset, model in table[["dataset", "model"]].itertuples(index=False)
    ]
    accuracy = table.groupby("setting", sort=False)["test_accuracy"].first()
    shown = pd.DataFrame({"test accuracy": accuracy.map("{:.1%}".format)})
    for stage, told in {"before": "before", "last": "after"}.items():
        own = table[table["stage"] == stage].set_index("setting")
        umap, tsne = (own[own["method"] == method] for method in PROJECTION_NAMES)
        for name, first, second, digits in (
            ("trust", umap["trustworthiness"], tsne["trustworthiness"], ".2f"),
            ("touching", umap["border_pool"], umap["border_outlier"], ".0%"),
        ):
            write = f"{{:{digits}}}".format
            shown[f"{name} {told}"] = first.map(write) + " / " + second.map(write)
    return figures.table(shown, caption=caption)
