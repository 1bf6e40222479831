"""Pictures of one run or learner: its maps, its batches, its images, handed to the figures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from pandas.io.formats.style import Styler

from alod.errors import check_name
from alod.experiments import evaluation
from alod_book import figures, projection
from alod_book.figures import spelled

if TYPE_CHECKING:
    from alod.data import Dataset
    from alod.experiments.run import Run
    from alod.learner import ActiveLearner

STAGES = ("before", "first", "last")
METHODS = {"umap": "UMAP", "tsne": "t-SNE"}


def pixels(data: "Dataset", indices: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return images as figures take them, channels last.

    Parameters
    ----------
    data : Dataset
        Holds images (N, C, H, W).
    indices : ndarray of int (n,)
        Which of them.

    Returns
    -------
    ndarray of uint8 (n, H, W) or (n, H, W, 3)

    Examples
    --------
    >>> import alod
    >>> pixels(alod.load_dataset("mnist_mini"), [3, 1]).shape
    (2, 28, 28)
    """
    images = data.images[indices].numpy()
    return images[:, 0] if images.shape[1] == 1 else np.moveaxis(images, 1, -1)


def asked_rounds(run: "Run", n_images: int) -> NDArray[np.int64]:
    """Return the round in which each image was asked for.

    Parameters
    ----------
    run : Run
        A finished run.
    n_images : int
        Images in its data set, N.

    Returns
    -------
    ndarray of int64 (N,)
        0 for the initial set, -1 where an image never was.

    Examples
    --------
    >>> import alod
    >>> data = alod.load_dataset("mnist_mini")
    >>> config = alod.ExperimentConfig(
    ...     model="lenet5", n_initial=20, n_query=10, rounds=1, steps=5
    ... )
    >>> run = alod.run_experiment(config, "run", data, on_round=lambda row: None)
    >>> rounds = asked_rounds(run, len(data.images))
    >>> [int((rounds == number).sum()) for number in (0, 1, -1)]
    [20, 10, 5970]
    """
    rounds = np.full(n_images, -1, dtype=np.int64)
    rounds[run.queries["index"]] = run.queries["round"]
    return rounds


def outlier_scores(run: "Run", data: "Dataset") -> NDArray[np.float64]:
    """Return how outlying each image was to the classifier: when asked for, else at first.

    Parameters
    ----------
    run : Run
        Finished, with ``keep_embeddings=True``.
    data : Dataset
        What it ran on, N images.

    Returns
    -------
    ndarray of float (N,)
        Contrast of the distances to the two nearest classes, in [0, 1]: as the first query saw it
        for what was never asked for; the query's own score for what was; NaN for the initial set.

    Examples
    --------
    >>> import alod
    >>> data = alod.load_dataset("mnist_mini")
    >>> config = alod.ExperimentConfig(
    ...     model="lenet5", n_initial=20, n_query=10, rounds=1, steps=5, keep_embeddings=True
    ... )
    >>> run = alod.run_experiment(config, "run", data, on_round=lambda row: None)
    >>> scores = outlier_scores(run, data)
    >>> scores.shape, bool(np.isnan(scores[run.asked(0)]).all())
    ((6000,), True)
    """
    import torch

    from alod import outliers

    embeddings, first = torch.as_tensor(run.embeddings["first"]), run.asked(0)
    scores, _ = outliers.class_contrast(embeddings[first], data.targets[first], embeddings)
    scores[run.queries["index"]] = run.queries["score"]
    return scores


def groups_at(run: "Run", data: "Dataset", stage: str) -> NDArray[np.str_]:
    """Return what each image is to the learner at one moment of a run.

    Parameters
    ----------
    run : Run
        Finished, with ``keep_embeddings=True``.
    data : Dataset
        What it ran on, N images.
    stage : {"before", "first", "last"}
        Before learning; after the initial set, about to ask; at the end.

    Returns
    -------
    ndarray of str (N,)
        ``initial``; ``core``, the core set of what is labeled by then; ``outlier``, what was asked
        for next or, at the end, in all rounds; ``pool``.

    Examples
    --------
    >>> import alod
    >>> data = alod.load_dataset("mnist_mini")
    >>> config = alod.ExperimentConfig(
    ...     model="lenet5", n_initial=20, n_query=10, rounds=1, steps=5, keep_embeddings=True
    ... )
    >>> run = alod.run_experiment(config, "run", data, on_round=lambda row: None)
    >>> groups = groups_at(run, data, "before")
    >>> int((groups == "initial").sum()), int((groups == "pool").sum())
    (20, 5980)
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
    run : Run
        Finished, with ``keep_embeddings=True``.
    data : Dataset
        What it ran on.
    stage : {"before", "first", "last"}
        As in `groups_at`.
    shown : ndarray of int (n,)
        Which images of the data set to draw.
    titles : sequence of str (K,)
        What each map shows, in one sentence.
    color_by : {"group", "class"}
        What colors mean.
    seed : int
        Of the projections.
    methods : sequence of str (K,)
        Names in `METHODS`.

    Returns
    -------
    list of plotly.graph_objects.Figure
        K maps; their notes tell method, n and trustworthiness.

    Examples
    --------
    >>> import alod
    >>> data = alod.load_dataset("mnist_mini")
    >>> config = alod.ExperimentConfig(
    ...     model="lenet5", n_initial=20, n_query=10, rounds=1, steps=5, keep_embeddings=True
    ... )
    >>> run = alod.run_experiment(config, "run", data, on_round=lambda row: None)
    >>> shown = np.concatenate([run.asked(), np.setdiff1d(np.arange(6000), run.asked())[:70]])
    >>> (fig,) = stage_maps(run, data, "first", shown, ["About to ask"], methods=["tsne"])
    >>> fig.layout.meta["alt"].partition(": ")[0]
    'About to ask. Map of image embeddings'
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
                note=f"{METHODS[method]}; n = {len(shown):,} images; trustworthiness {trust:.2f}",
                images=pixels(data, shown),
                asked_round=asked_rounds(run, len(data.images))[shown],
                scores=outlier_scores(run, data)[shown],
            )
        )
    return maps


def recorded_maps(
    dataset: str, model: str, titles: Sequence[str], n_images: int = 2000, seed: int = 0
) -> list[go.Figure]:
    """Draw a full pool after its last round, as recorded, by UMAP and by t-SNE.

    Parameters
    ----------
    dataset : {"mnist", "fashion_mnist"}
        The pool.
    model : {"cnn", "lenet5", "resnet18"}
        The classifier.
    titles : sequence of str (2,)
        What each map shows, in one sentence.
    n_images : int
        Images of the pool that can be looked at, beside those asked for, at most 6,000; the others
        are points in the background.
    seed : int
        Draws them.

    Returns
    -------
    list of plotly.graph_objects.Figure
        Two maps; their notes tell method, n and trustworthiness.

    Examples
    --------
    >>> umap, tsne = recorded_maps("mnist", "lenet5", ["By UMAP", "By t-SNE"], n_images=100)
    >>> umap.layout.meta["alt"].partition(": ")[0]
    'By UMAP. Map of image embeddings'
    """
    from alod.images.known import load_dataset

    kept, mini = projection.recorded(dataset, model), load_dataset(f"{dataset}_mini")
    trust = evaluation.recorded("projections").query(
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
    for method, title in zip(METHODS, titles, strict=True):
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
                note=f"{METHODS[method]}; n = {len(xy):,} images, {len(pointed):,} of them to be "
                f"pointed at; trustworthiness {told:.2f}",
                images=images[pointed],
                asked_round=kept["round"][pointed],
                scores=kept["score"][pointed].astype(float),
                crowd=np.delete(xy, row, axis=0),
            )
        )
    return maps


def recorded_settings(stage: str, title: str) -> go.Figure:
    """Draw the full pools of all settings at one moment, as recorded, by UMAP.

    Parameters
    ----------
    stage : {"before", "last"}
        Before learning, or after the last round.
    title : str
        What is seen, in one sentence.

    Returns
    -------
    plotly.graph_objects.Figure
        A small map for each setting, with its trustworthiness.

    Examples
    --------
    >>> fig = recorded_settings("last", "Classes have come apart")
    >>> "MNIST, CNN (60,000 images)" in fig.layout.meta["alt"]
    True
    """
    from alod.images.known import load_dataset

    check_name("stage", stage, ("before", "last"))
    table = evaluation.recorded("projections").query("method == 'umap' and stage == @stage")
    names = {data: load_dataset(f"{data}_mini").classes for data in table["dataset"].unique()}
    panels, classes = {}, {}
    for dataset, model in sorted(zip(table["dataset"], table["model"], strict=True), key=_in_order):
        kept = projection.recorded(dataset, model)
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

    Parameters
    ----------
    caption : str
        What is seen, n and units.

    Returns
    -------
    pandas.io.formats.style.Styler
        A row for each setting.

    Examples
    --------
    >>> len(trust_table("Six settings.").data)
    6
    """
    table = evaluation.recorded("projections")
    table["setting"] = [
        f"{spelled(dataset)} {spelled(model)}"
        for dataset, model in table[["dataset", "model"]].itertuples(index=False)
    ]
    accuracy = table.groupby("setting", sort=False)["test_accuracy"].first()
    shown = pd.DataFrame({"test accuracy": accuracy.map("{:.1%}".format)})
    for stage, told in {"before": "before", "last": "after"}.items():
        own = table[table["stage"] == stage].set_index("setting")
        umap, tsne = (own[own["method"] == method] for method in METHODS)
        for name, first, second, digits in (
            ("trust", umap["trustworthiness"], tsne["trustworthiness"], ".2f"),
            ("touching", umap["border_pool"], umap["border_outlier"], ".0%"),
        ):
            write = f"{{:{digits}}}".format
            shown[f"{name} {told}"] = first.map(write) + " / " + second.map(write)
    return figures.table(shown, caption=caption)


def batch_grid(
    learner: "ActiveLearner", data: "Dataset", name: str, batch: NDArray[np.integer]
) -> go.Figure:
    """Draw a batch that a strategy asked for, with the classes that the images have.

    Parameters
    ----------
    learner : ActiveLearner
        Fitted; what was asked.
    data : Dataset
        What it learns from.
    name : str
        The strategy.
    batch : ndarray of int (k,)
        Positions in the data set.

    Returns
    -------
    plotly.graph_objects.Figure
        Its title says how many of them the classifier gets wrong.

    Examples
    --------
    >>> import alod
    >>> data = alod.load_dataset("mnist_mini")
    >>> learner = alod.ActiveLearner(data.images, n_classes=10, model="lenet5", steps=5)
    >>> _ = learner.step(20, lambda indices: data.targets[indices].numpy())
    >>> fig = batch_grid(learner, data, "random", learner.pool[:10])
    >>> len(fig.data[0].text)
    10
    """
    guesses = learner.outputs()[1][batch].argmax(1).numpy()
    targets = data.targets[batch].numpy()
    wrong = int((guesses != targets).sum())
    told = [
        (data.classes[target], data.classes[guess])
        for target, guess in zip(targets, guesses, strict=True)
    ]
    return figures.image_grid(
        pixels(data, batch),
        [target[:6] if target == guess else f"{target[:3]}≠{guess[:3]}" for target, guess in told],
        title=f"{spelled(name)}: {wrong} of {len(batch)} are taken for something else",
        hover=[f"a {target}, taken for {guess}" for target, guess in told],
        note="captions: what it is; after ≠ what it is taken for",
    )


def batch_maps(
    learner: "ActiveLearner",
    data: "Dataset",
    asked: Mapping[str, NDArray[np.integer]],
    n_pool: int = 1500,
    seed: int = 0,
) -> list[go.Figure]:
    """Draw on one map of the embeddings where each strategy's batch lies.

    Parameters
    ----------
    learner : ActiveLearner
        Fitted; what was asked.
    data : Dataset
        What it learns from.
    asked : mapping of str to ndarray of int (k,)
        Positions in the data set, by strategy.
    n_pool : int
        Images of the pool drawn beside them.
    seed : int
        Of the map and of what is drawn.

    Returns
    -------
    list of plotly.graph_objects.Figure
        A t-SNE map for each strategy. Its title says how far the images of the batch lie from their
        neighbors in the pool.

    Examples
    --------
    >>> import alod
    >>> data = alod.load_dataset("mnist_mini")
    >>> learner = alod.ActiveLearner(data.images, n_classes=10, model="lenet5", steps=5)
    >>> _ = learner.step(20, lambda indices: data.targets[indices].numpy())
    >>> (fig,) = batch_maps(learner, data, {"random": learner.pool[:10]}, n_pool=100)
    >>> "10 outliers" in fig.layout.meta["alt"]
    True
    """
    rng = np.random.default_rng(seed)
    space = learner.outputs()[0].numpy()
    few = rng.choice(learner.pool, min(n_pool, len(learner.pool)), replace=False)
    shown = np.unique(np.concatenate([few, learner.labeled, *asked.values()]))
    coordinates = projection.project(space[shown], method="tsne", seed=seed)
    trust = projection.trustworthiness(space[shown], coordinates)
    maps = []
    for name, batch in asked.items():
        remote = evaluation.remoteness(space, batch)
        groups = np.where(np.isin(shown, learner.labeled), "labeled", "pool").astype("<U8")
        groups[np.isin(shown, batch)] = "outlier"
        maps.append(
            figures.embedding_map(
                coordinates,
                groups,
                title=f"{spelled(name)}: these images lie {remote:.1f} times as far from their "
                "neighbors as is usual in the pool",
                classes=data.classes,
                targets=data.targets[shown],
                indices=shown,
                note=f"t-SNE; n = {len(shown):,} images; trustworthiness {trust:.2f}; outliers: "
                f"the {len(batch)} asked for",
                images=pixels(data, shown),
            )
        )
    return maps


def batches(
    learner: "ActiveLearner", names: Sequence[str], k: int, seed: int = 0
) -> dict[str, NDArray[np.int64]]:
    """Ask several strategies what they want of the same learner, without answering.

    Parameters
    ----------
    learner : ActiveLearner
        Fitted.
    names : sequence of str
        In :data:`alod.strategies.STRATEGIES`.
    k : int
        Images that each may ask for.
    seed : int
        Of what they draw.

    Returns
    -------
    dict of str to ndarray of int64 (k,)
        Positions in the learner's images.

    Examples
    --------
    >>> import alod
    >>> data = alod.load_dataset("mnist_mini")
    >>> learner = alod.ActiveLearner(data.images, n_classes=10, model="lenet5", steps=5)
    >>> _ = learner.step(20, lambda indices: data.targets[indices].numpy())
    >>> asked = batches(learner, ["random", "outlier"], k=10)
    >>> {name: len(batch) for name, batch in asked.items()}
    {'random': 10, 'outlier': 10}
    """
    from alod import strategies

    view, pool = learner.view(), learner.pool
    return {
        name: pool[strategies.STRATEGIES[name](view, k, np.random.default_rng(seed))[0]]
        for name in names
    }


def last_query(run: "Run", data: "Dataset", n: int = 20) -> go.Figure:
    """Draw the first images of a run's last query, and mark the foreign ones.

    Parameters
    ----------
    run : Run
        Finished.
    data : Dataset
        What it ran on: of a stress pool, as :func:`alod.experiments.stress.make` returns it.
    n : int
        At most so many images.

    Returns
    -------
    plotly.graph_objects.Figure
        Its title says how many of the whole query are foreign.

    Examples
    --------
    >>> import alod
    >>> data = alod.load_dataset("mnist_mini")
    >>> config = alod.ExperimentConfig(model="lenet5", n_initial=20, n_query=10, rounds=1, steps=5)
    >>> run = alod.run_experiment(config, "run", data, on_round=lambda row: None)
    >>> last_query(run, data).layout.meta["alt"].partition(". ")[0]
    'outlier: 0 of the last 10 asked for are foreign'
    """
    asked = run.asked(run.config.rounds)
    names = [data.classes[t] if t >= 0 else "foreign" for t in data.targets[asked]]
    foreign = names.count("foreign")
    return figures.image_grid(
        pixels(data, asked[:n]),
        ["×" if name == "foreign" else name[:6] for name in names[:n]],
        title=f"{spelled(run.config.strategy)}: {foreign} of the last {len(asked)} asked for are "
        "foreign",
        hover=names[:n],
        note="captions: the answers; × is foreign",
    )
