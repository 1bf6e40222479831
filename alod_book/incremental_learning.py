"""What the chapter on learning on draws: training modes, recipes, inliers, stopping.

Parameters
----------
curves : DataFrame
    Tidy curves, a row for each round of each run: ``dataset, model, seed, n_labeled,
    test_accuracy`` and what a function names; of one setting if nothing else is said.
metric : str
    What sums up a curve: in :data:`alod.experiments.evaluation.METRICS`.
caption : str
    What is seen, n and units, where a table is returned.

Examples
--------
>>> from alod_book import results
>>> rows = results.table("incremental").query("dataset == 'mnist'")
>>> sorted(changes(rows).data.index)
['average', 'distill', 'scratch', 'shrink perturb', 'warm']
"""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from pandas.io.formats.style import Styler

from alod import stopping
from alod.experiments import evaluation
from alod_book import figures
from alod_book.figures import spelled

# Of how a round trains: the default, and how a change is called.
_RECIPE: dict[str, tuple[object, str]] = {
    "steps": (300, "{:,} steps"),
    "learning_rate": (3e-3, "learning rate {:g}"),
    "batch_size": (64, "batch size {}"),
    "augment": ("auto", "no distortion"),
    "label_smoothing": (0.0, "label smoothing {:g}"),
    "weight_decay": (0.01, "weight decay {:g}"),
    "dropout": (0.25, "dropout {:g}"),
    "schedule": ("onecycle", "{} learning rate"),
    "norm": ("labels", "batch norm of the {}"),
}


def training_modes(curves: pd.DataFrame, metric: str = "auc") -> go.Figure:
    """Draw the learning curves of each ``training_mode``.

    The title says which mode is best, by how much, and over which.
    """
    (dataset,) = curves["dataset"].unique()
    areas = evaluation.areas(curves, metric, compare="training_mode")
    order = 100 * areas.groupby("training_mode")[metric].mean().sort_values(ascending=False)
    return figures.learning_curves(
        curves,
        by="training_mode",
        title=f"{spelled(dataset)}: {spelled(order.index[0])} leads, "
        f"{order.iloc[0] - order.iloc[-1]:.1f} points above {spelled(order.index[-1])}",
    )


def changes(curves: pd.DataFrame, caption: str = "") -> Styler:
    """Show what a round changes, by ``training_mode``, of runs with ``diagnose=True``.

    In percent, means over seeds, and over rounds but for the final accuracy; the best first.
    """
    shares = ["agreement", "lost", "forgotten", "same_scores"]
    end = curves[curves["n_labeled"] == curves["n_labeled"].max()]
    table = (
        end.groupby("training_mode")[["test_accuracy"]]
        .mean()
        .join(curves.groupby("training_mode")[shares].mean())
    )
    names = (
        "final accuracy",
        "same answer",
        "right before, wrong now",
        "labeled ones forgotten",
        "scores alike",
    )
    told = (100 * table).sort_values("test_accuracy", ascending=False)
    return figures.table(
        told.set_axis(names, axis=1).map("{:.2f}".format).rename(index=spelled), caption=caption
    )


def recipe_changes(curves: pd.DataFrame, metric: str = "auc") -> go.Figure:
    """Draw what each change of how a round trains gains over the default, with one strategy.

    `curves` have what was changed, one thing at a time, of ``steps, learning_rate, batch_size,
    augment, label_smoothing, weight_decay, dropout, schedule, norm``; with the default. The title
    says which change costs most and which gives most.
    """
    names = pd.Series("the default", index=curves.index)
    for field, (default, words) in _RECIPE.items():
        if field in curves:
            names = names.where(curves[field] == default, curves[field].map(words.format))
    table = evaluation.gains(curves.assign(recipe=names), "the default", metric, "recipe")
    points = 100 * table.set_index("recipe")["mean_difference"]
    (dataset,), (model,) = table["dataset"].unique(), table["model"].unique()
    return figures.gain_intervals(
        table,
        by="recipe",
        title=f"{spelled(dataset)}, {spelled(model)}: {points.min():+.1f} points with "
        f"{points.idxmin()}, {points.max():+.1f} with {points.idxmax()}",
        reference="the default",
        summary=evaluation.METRICS[metric],
    )


def falls(curves: pd.DataFrame, mode: str = "scratch") -> str:
    """Say, in Markdown, on which data sets a training `mode` loses accuracy with its last labels.

    `curves` are of one classifier.
    """
    own = curves[curves["training_mode"] == mode]
    told = []
    for name, rows in own.groupby("dataset", sort=False):
        means = rows.groupby("n_labeled")["test_accuracy"].mean()
        if means.idxmax() < means.index[-1]:
            told.append(
                f"On {spelled(name)} `{mode}` **falls**, from {means.max():.1%} with "
                f"{means.idxmax():,} labels to {means.iloc[-1]:.1%} with {means.index[-1]:,}."
            )
    return " ".join(told)


def times_as_long(*tables: pd.DataFrame) -> str:
    """Say how many times as long rounds with inliers train: medians, least and most of `tables`."""
    ratios = []
    for table in tables:
        rows = table[table["round"] > 0]
        seconds = (
            rows.assign(inliers=rows["inlier_passes"] > 0)
            .pivot_table(
                index=["dataset", "model", "strategy"],
                columns="inliers",
                values="fit_seconds",
                aggfunc="median",
            )
            .dropna()
        )
        ratios += list(seconds[True] / seconds[False])
    return f"{min(ratios):.0f} to {max(ratios):.0f} times as long (medians)"


def for_free(curves: pd.DataFrame) -> go.Figure:
    """Draw what it gives to learn the pool's inliers beside the labels.

    `curves` have 0 ``inlier_passes`` and one other number. The title says by how much the accuracy
    differs with the fewest labels and with the most.
    """
    (dataset,) = curves["dataset"].unique()
    names = np.where(curves["inlier_passes"] > 0, "labels and inliers", "labels only")
    named = curves.assign(learned=names).sort_values("inlier_passes", kind="stable")
    mean = named.pivot_table(index="n_labeled", columns="learned", values="test_accuracy")
    gain = 100 * (mean["labels and inliers"] - mean["labels only"])
    (few, first), (many, last) = gain.iloc[[0, -1]].items()
    verb, again = ("give" if points >= 0 else "cost" for points in (first, last))
    told = f"{verb} {abs(first):.1f} points with {few:,} labels, "
    told += f"{'' if again == verb else again + ' '}{abs(last):.1f} with {many:,}"
    return figures.learning_curves(named, by="learned", title=f"{spelled(dataset)}: inliers {told}")


def inlier_errors(curves: pd.DataFrame, caption: str = "") -> Styler:
    """Show by labels how many inliers there are, how many of these are wrong, and the accuracy.

    Of runs with inliers (``n_inliers, inlier_error``); means over seeds, of the accuracy with its
    standard deviation; a row for each budget.
    """
    by_labels = curves.groupby("n_labeled")
    means = by_labels[["n_inliers", "inlier_error"]].mean()
    accuracy = (100 * by_labels["test_accuracy"].agg(["mean", "std"])).map("{:.1f}".format)
    told = {
        "inliers": means["n_inliers"].map("{:,.0f}".format),
        "of these wrong, %": (100 * means["inlier_error"]).map("{:.1f}".format),
        "test accuracy, %": accuracy["mean"] + " ± " + accuracy["std"],
    }
    table = pd.DataFrame(told)
    table.index = [f"{n:,}\N{NO-BREAK SPACE}labels" for n in table.index]
    return figures.table(table, caption=caption)


def offered(curves: pd.DataFrame, caption: str = "") -> Styler:
    """Show what inliers change for each strategy: accuracy, calibration, and the next query.

    Of runs with ``diagnose=True``, 0 ``inlier_passes`` and one other number. In percent, means over
    seeds, without and with inliers: the accuracy with each budget, the calibration error at the
    last, and how alike the outlier scores of the pool are before and after a round, over all
    rounds.
    """
    named = curves.assign(learned=curves["inlier_passes"] > 0)
    by = ["strategy", "learned"]
    accuracy = named.pivot_table(index=by, columns="n_labeled", values="test_accuracy")
    accuracy.columns = [f"{n:,} labels" for n in accuracy.columns]
    end = named[named["n_labeled"] == named["n_labeled"].max()].groupby(by)
    wide = accuracy.assign(
        **{
            "calibration error": end["calibration_error"].mean(),
            "scores alike": named.groupby(by)["same_scores"].mean(),
        }
    )
    told = (100 * wide).map("{:.1f}".format).reset_index()
    before, after = (
        told[told["learned"] == learned].set_index("strategy").drop(columns="learned")
        for learned in (False, True)
    )
    table = before + " → " + after
    return figures.table(table.rename(index=spelled), caption=caption)


def stability(curves: pd.DataFrame) -> go.Figure:
    """Draw how far the predictions of successive classifiers agree, against labels.

    Of runs of one classifier and strategy with ``diagnose=True``: a line for each data set, and the
    level at which predictions count as stable; the title says how many runs reach it.
    """
    stops = _stops(curves)
    shown = curves.dropna(subset=["kappa"])
    return figures.learning_curves(
        # No better than chance, below 0, is drawn as 0.
        shown.assign(test_accuracy=shown["kappa"].clip(lower=0)),
        by="dataset",
        baseline={"stable": stopping.STABLE_KAPPA},
        title=f"Predictions become stable in {stops['n_labeled'].notna().sum()} of {len(stops)} "
        f"runs, with {_labels_told(stops['n_labeled'])}",
        share="agreement (kappa)",
    )


def when_to_stop(curves: pd.DataFrame, caption: str = "") -> Styler:
    """Show where stable predictions would have ended each data set's runs, and what that costs.

    Of the runs that stop (:func:`alod.stopping.is_stable`): labels, accuracy there and at the end
    of the budget, means in percent.
    """
    rows = {}
    for dataset, own in _stops(curves).groupby("dataset", sort=False):
        stopped = own.dropna(subset=["n_labeled"])
        rows[spelled(dataset)] = {
            "runs that stop": f"{len(stopped)} of {len(own)}",
            "with labels": _labels_told(own["n_labeled"]) if len(stopped) else "–",
            "accuracy there": _share(stopped["accuracy"]),
            "at the end": f"{_share(own['end'])} with {own['upto'].max():,}",
            "still to gain": _share(stopped["end"] - stopped["accuracy"], " points"),
        }
    return figures.table(pd.DataFrame.from_dict(rows, orient="index"), caption=caption)


def _labels_told(labels: pd.Series) -> str:
    if labels.isna().all():
        return "no budget reached"
    low, high = (f"{n:,.0f}" for n in (labels.min(), labels.max()))
    return f"{low} labels" if low == high else f"{low} to {high} labels"


def _share(values: pd.Series, unit: str = " %") -> str:
    return f"{100 * values.mean():.1f}{unit}" if len(values) else "–"


def _stops(curves: pd.DataFrame) -> pd.DataFrame:
    """Return for each run the labels with which its predictions were stable, NaN if never."""
    rows = []
    for (dataset, seed), run in curves.groupby(["dataset", "seed"], sort=False):
        run = run.sort_values("n_labeled").reset_index(drop=True)
        stable = [i for i in range(len(run)) if stopping.is_stable(run.iloc[: i + 1])]
        at = run.iloc[stable[0]] if stable else None
        rows.append(
            {
                "dataset": dataset,
                "seed": seed,
                "n_labeled": np.nan if at is None else at["n_labeled"],
                "accuracy": np.nan if at is None else at["test_accuracy"],
                "end": run["test_accuracy"].iloc[-1],
                "upto": run["n_labeled"].iloc[-1],
            }
        )
    return pd.DataFrame(rows)
