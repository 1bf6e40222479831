"""What the chapter on three classifiers draws: shares of labels, costs, published curves.

Parameters
----------
curves : DataFrame
    Tidy curves, a row for each round of each run: ``dataset, model, seed, round, n_labeled,
    test_accuracy``.
ceilings : mapping to float
    Accuracy after training on every label, in [0, 1], of each classifier.
caption : str
    What is seen, n and units, where a table is returned.

Examples
--------
>>> history = {"round": [0, 1], "n_labeled": [50, 100], "test_accuracy": [0.7, 0.8]}
>>> curves = pd.DataFrame({"dataset": "mnist_mini", "model": "cnn", "seed": 0, **history})
>>> share_of_full_set(curves, {"cnn": 0.96}, 6000).layout.meta["alt"].partition(". ")[0]
'MNIST: the CNN has 83% of its full-set accuracy with 1.7% of the labels'
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from pandas.io.formats.style import Styler

from alod.experiments import evaluation
from alod_book import figures, results
from alod_book.comparisons import INTERPOLATED
from alod_book.figures import spelled
from alod_book.results import ceiling, each_setting

if TYPE_CHECKING:
    from alod.experiments.run import Run


def share_of_full_set(
    curves: pd.DataFrame, ceilings: Mapping[str, float], n_images: int
) -> go.Figure:
    """Draw the classifiers of one data set against the share of labels, with full-set levels.

    The title says what share of its full-set accuracy the first classifier has. `n_images` is the
    size of the pool before anything was labeled.
    """
    (dataset,) = curves["dataset"].unique()
    end = curves[curves["round"] == curves["round"].max()]
    reached = end.groupby("model")["test_accuracy"].mean()
    model = curves["model"].iloc[0]
    return figures.accuracy_against_share(
        curves,
        n_pool=n_images,
        baseline=dict(ceilings),
        title=f"{spelled(dataset)}: the {spelled(model)} has "
        f"{reached[model] / ceilings[model]:.0%} of its full-set accuracy with "
        f"{curves['n_labeled'].max() / n_images:.1%} of the labels",
    )


def cost_table(
    runs: Sequence["Run"], ceilings: Mapping[tuple[str, str], float], caption: str = ""
) -> Styler:
    """Show what each classifier costs and gets: parameters, labels, seconds.

    Parameters
    ----------
    runs : sequence of Run
        One of each data set and classifier.
    ceilings : mapping of (str, str) to float
        Full-set accuracy by data set and classifier, in [0, 1].
    """
    from alod import models

    rows = []
    for run in runs:
        seconds = run.history[["fit_seconds", "infer_seconds", "query_seconds"]].iloc[1:]
        level = ceilings[run.config.dataset, run.config.model]
        accuracy = run.history["test_accuracy"]
        needed = evaluation.labels_to_target(run.history["n_labeled"], accuracy, 0.9 * level)
        network = models.build(run.config.model)
        rows.append(
            {
                "data": spelled(run.config.dataset),
                "classifier": figures.MODEL_NAMES[run.config.model],
                "parameters": f"{sum(p.numel() for p in network.parameters()):,}",
                "accuracy": f"{accuracy.iloc[-1]:.1%} of {level:.1%}",
                "labels for 90 % of it": "not reached" if np.isnan(needed) else f"{needed:.0f}",
                "seconds a round": f"{seconds.mean().sum():.1f}",
            }
        )
    told = f"{caption} Labels for 90 % of it: {INTERPOLATED}.".strip()
    return figures.table(pd.DataFrame(rows).set_index("data"), caption=told)


def beside_published(
    curves: pd.DataFrame, model: str = "cnn", ceilings: Mapping[str, float] | None = None
) -> go.Figure:
    """Draw the classifiers of one data set beside the curves that the original work reports.

    The title compares `model`; `ceilings` are of our recipe.
    """
    (dataset,) = curves["dataset"].unique()
    published = results.published_curves()
    published = published[
        (published["dataset"] == dataset.removesuffix("_mini"))
        & published["model"].isin(curves["model"])
    ]
    theirs = published[published["model"] == model]
    ours = curves[curves["model"] == model].groupby("n_labeled")["test_accuracy"].mean()
    early, late = theirs.iloc[0], theirs.iloc[-1]
    return figures.learning_curves(
        curves,
        by="model",
        published=published,
        baseline=None if ceilings is None else dict(ceilings),
        title=f"{spelled(dataset)}: our {spelled(model)} has {ours.iloc[-1]:.1%} at "
        f"{ours.index[-1]:,} labels; reported for the original {early['test_accuracy']:.1%} at "
        f"{early['n_labeled']:,} and {late['test_accuracy']:.1%} at {late['n_labeled']:,}",
    )


def what_it_took(curves: pd.DataFrame, full: pd.DataFrame, caption: str = "") -> Styler:
    """Show what share of labels and of full-set accuracy recorded runs end with, and their time.

    A row for each setting. Seconds are medians over seeds, all of a round's work together.

    Parameters
    ----------
    curves, full : DataFrame
        With ``fit_seconds, infer_seconds, query_seconds`` and, where they differ, ``min_epochs``
        and ``views``; `full` of runs that learned all labels, predicting from as many views.
    """
    rows = []
    for _, name, own in each_setting(curves):
        all_labels = ceiling(full, own)
        n = own["n_labeled"].max()
        reached = own.loc[own["n_labeled"] == n, "test_accuracy"].mean()
        level = all_labels["test_accuracy"].mean()
        seconds = own[["fit_seconds", "infer_seconds", "query_seconds"]].sum(axis=1)
        of_runs = seconds.groupby(own["seed"])
        rows.append(
            {
                "": name,
                "labels": f"{n:,}",
                "of all labels": f"{100 * n / all_labels['n_labeled'].max():.1f} %",
                "of full-set accuracy": f"{100 * reached / level:.1f} %",
                "rounds": of_runs.size().max(),
                "seconds a round": f"{of_runs.mean().median():.0f}",
                "minutes in all": f"{of_runs.sum().median() / 60:.1f}",
            }
        )
    return figures.table(pd.DataFrame(rows).set_index(""), caption=caption)
