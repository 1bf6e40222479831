"""What the chapters on one data set, digits and clothing, draw of their three runs.

Parameters
----------
data : Dataset
    What the runs ran on.
run, twin, full : Run
    Finished: of the chapter's strategy, with ``keep_embeddings=True``; of the same first set and
    weights with random labels; of all labels, with ``keep_embeddings=True``.

Examples
--------
>>> import alod
>>> data = alod.load_dataset("mnist_mini")
>>> table = match_table(data, {"the first ten": np.arange(10)})
>>> list(table.data)
['closer random sets, %', 'classes missing']
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from pandas.io.formats.style import Styler
from sklearn.metrics import confusion_matrix

from alod import encoders
from alod.experiments import first_sets
from alod_book import figures, results
from alod_book.one_run import pixels

if TYPE_CHECKING:
    from alod.data.arrays import Dataset
    from alod.experiments.run import Run


def match_table(data: "Dataset", sets: Mapping[str, NDArray[np.integer]]) -> Styler:
    """Show how well first sets of one size stand for the pool, and what classes they lack.

    Parameters
    ----------
    sets : mapping of str to ndarray of int (n,)
        Positions in the data set, by how they were chosen.
    """
    features = encoders.features(data.images)
    match = {m: first_sets.distribution_match(features, chosen) for m, chosen in sets.items()}
    balance = {m: first_sets.class_balance(data.targets[chosen], 10) for m, chosen in sets.items()}
    measures = pd.concat([pd.DataFrame(match).T, pd.DataFrame(balance).T], axis=1)
    measures["missing_classes"] = measures["missing_classes"].astype(int)
    columns = {"mmd2_percentile": "closer random sets, %", "missing_classes": "classes missing"}
    n = len(next(iter(sets.values())))
    return figures.table(
        measures[list(columns)].rename(columns=columns),
        caption=f"Sets of {n} images. Closer random sets: how many of 200 random sets of that "
        "size match the pool's distribution better.",
    )


def first_images(run: "Run", data: "Dataset") -> go.Figure:
    """Draw the first set of a run."""
    first = run.asked(0)
    return figures.image_grid(
        pixels(data, first),
        [figures.short(data.classes[t]) for t in data.targets[first]],
        title=f"The first {len(first)} images, chosen by k-means before any label was known",
    )


def beside_twin(run: "Run", twin: "Run", full: "Run", data: "Dataset") -> go.Figure:
    """Draw the curves of a run and its random twin, with the level of all labels."""
    level = full.history["test_accuracy"].iloc[-1]
    end = run.history["test_accuracy"].iloc[-1]
    n, n_images = run.config.n_labels, len(data.images)
    return figures.learning_curves(
        pd.concat([run.curve, twin.curve], ignore_index=True),
        baseline={f"all {n_images:,} labels": level},
        title=f"{figures.spelled(run.config.model)}: {n} labels ({n / n_images:.1%} of the pool) "
        f"reach {end:.1%}, all labels {level:.1%}",
    )


def gained(run: "Run", twin: "Run") -> str:
    """Say, in Markdown, what the rounds gained, beside the twin and the published figures."""
    published = _of_setting(results.published_curves(), run)
    early, late = published.iloc[0], published.iloc[-1]
    first, end = run.history["test_accuracy"].iloc[[0, -1]]
    at_random = twin.history["test_accuracy"].iloc[-1]
    return (
        f"The {run.config.rounds} rounds gained **{end - first:.1%}** of the test images; the "
        f"random twin ended at {at_random:.1%}. For comparison, the work that this book grew out "
        f"of reports {early['test_accuracy']:.1%} with this classifier at "
        f"{early['n_labeled']:,} labels and {late['test_accuracy']:.1%} at {late['n_labeled']:,}."
    )


def last_images(run: "Run", data: "Dataset") -> go.Figure:
    """Draw the last query of a run, with the score of each image to hover."""
    images = run.asked(run.config.rounds)
    scores = run.queries["score"].iloc[-len(images) :]
    answers = [data.classes[t] for t in data.targets[images]]
    return figures.image_grid(
        pixels(data, images),
        [figures.short(answer) for answer in answers],
        title=f"The last query: {len(images)} images, mean score {scores.mean():.2f}",
        hover=[f"score {s:.2f}, {a}" for s, a in zip(scores, answers, strict=True)],
        note="captions: the answers; hover for the score",
    )


def class_gaps(run: "Run", full: "Run", data: "Dataset") -> go.Figure:
    """Draw the accuracy of each class with the labels asked for, and with all of them."""
    recalls = {}
    for labels, own in {f"{run.config.n_labels} asked for": run, "all": full}.items():
        counts = _confusion(own, data)
        recalls[labels] = counts.diagonal() / counts.sum(axis=1)
    asked, everything = recalls.values()
    table = pd.concat(
        pd.DataFrame({"labels": labels, "test_accuracy": recall, "class": data.classes})
        for labels, recall in recalls.items()
    )
    return figures.per_class_accuracy(
        table,
        by="labels",
        title="The gap to full-set training is widest for "
        f"{data.classes[(everything - asked).argmax()]}",
        note=f"n = {len(data.test_targets):,} test images, one seed",
    )


def worst_confusion(run: "Run", data: "Dataset") -> go.Figure:
    """Draw which classes are taken for which at the end of a run; the title names the worst."""
    counts = _confusion(run, data)
    wrong = counts - np.diag(counts.diagonal())
    true, taken = np.unravel_index(wrong.argmax(), wrong.shape)
    return figures.confusion_matrix(
        counts,
        data.classes,
        title=f"The most frequent error: {data.classes[true]} taken for {data.classes[taken]} "
        f"({wrong.max()} of {counts[true].sum()})",
    )


def where_time_goes(run: "Run") -> go.Figure:
    """Draw the seconds of each round of a run."""
    total = _seconds(run)
    machine = run.provenance["machine"]["processor"]
    return figures.seconds_per_round(
        run.history,
        title=f"{figures.spelled(run.config.model)}: {total.sum():.0f} s for "
        f"{run.config.rounds + 1} rounds, {total['query_seconds']:.1f} s of them to choose",
        note=f"one run; {machine}, {run.provenance['device']}, "
        f"{run.provenance['threads']} thread(s), beside another chapter",
    )


def training_share(run: "Run") -> str:
    """Say, in Markdown, what share of a run's time was training, here and as recorded."""
    fit = run.history["fit_seconds"]
    alike = _of_setting(results.table("strategies"), run)
    recorded = alike.groupby("round")["fit_seconds"].median()
    return (
        f"Training took {fit.sum() / _seconds(run).sum():.0%} of this run's time, {fit.min():.1f} "
        f"to {fit.max():.1f} s a round; in the recorded runs, the medians of the rounds are "
        f"{recorded.min():.1f} to {recorded.max():.1f} s."
    )


def _of_setting(curves: pd.DataFrame, run: "Run") -> pd.DataFrame:
    dataset = run.config.dataset.removesuffix("_mini")
    return curves[(curves["dataset"] == dataset) & (curves["model"] == run.config.model)]


def _confusion(run: "Run", data: "Dataset") -> NDArray[np.int64]:
    return confusion_matrix(data.test_targets.numpy(), run.embeddings["test_predictions"])


def _seconds(run: "Run") -> pd.Series:
    return run.history[["fit_seconds", "infer_seconds", "query_seconds"]].sum()
