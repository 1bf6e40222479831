"""What many runs say of first sets, training, inliers and stopping, in figures and tables."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from pandas.io.formats.style import Styler

from alod import stopping
from alod.experiments import evaluation
from alod_book import figures
from alod_book.figures import spelled

# Of how a round trains: the default, and how a change is called.
_LEVERS: dict[str, tuple[object, str]] = {
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


def first_sets(curves: pd.DataFrame) -> go.Figure:
    """Draw the accuracy of classifiers that learned one first set, against its size.

    Parameters
    ----------
    curves : DataFrame
        Tidy rows of one data set, classifier and kind of features, round 0 of each run:
        ``dataset, initial, seed, n_labeled, test_accuracy``.

    Returns
    -------
    plotly.graph_objects.Figure
        Its title says what the best method gains over random at the smallest size that all have.

    Examples
    --------
    >>> rows = evaluation.recorded("initial").query("round == 0 and dataset == 'mnist'")
    >>> first_sets(rows[rows["features"] == "pixels"]).layout.meta["alt"].partition(":")[0]
    'MNIST'
    """
    (dataset,) = curves["dataset"].unique()
    methods = curves.groupby("n_labeled")["initial"].nunique()
    n = methods[methods == methods.max()].index.min()
    own = _over_random(curves[curves["n_labeled"] == n])
    return figures.learning_curves(
        curves,
        by="initial",
        title=f"{spelled(dataset)}: {n} labels chosen by {own.index[0]} are worth "
        f"{_points(own.iloc[0])} random ones",
    )


def lasting(curves: pd.DataFrame) -> go.Figure:
    """Draw the learning curves of runs that differ in their first set only.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one setting, with the same budgets: ``dataset, initial, seed, n_labeled,
        test_accuracy``.

    Returns
    -------
    plotly.graph_objects.Figure
        Its title says what the best first set gains over a random one at first and in the end.

    Examples
    --------
    >>> rows = evaluation.recorded("initial").query("rounds > 0 and dataset == 'mnist'")
    >>> lasting(rows).layout.meta["alt"].partition(":")[0]
    'MNIST'
    """
    (dataset,) = curves["dataset"].unique()
    start, end = curves["n_labeled"].min(), curves["n_labeled"].max()
    at_first, at_last = (_over_random(curves[curves["n_labeled"] == n]) for n in (start, end))
    best = at_first.index[0]
    return figures.learning_curves(
        curves,
        by="initial",
        title=f"{spelled(dataset)}: what {best} gains shrinks from {at_first[best]:.1f} points "
        f"at {start} labels to {at_last[best]:.1f} at {end}"
        if at_last[best] < at_first[best]
        else f"{spelled(dataset)}: what {best} gains grows from {at_first[best]:.1f} points at "
        f"{start} labels to {at_last[best]:.1f} at {end}",
    )


def standing_for(curves: pd.DataFrame) -> go.Figure:
    """Draw how well first sets of one size stand for the pool.

    Parameters
    ----------
    curves : DataFrame
        Tidy rows of one data set and size, round 0 of each run: ``dataset, initial, seed,
        n_labeled, mmd2_percentile, energy_percentile``; means over seeds are drawn.

    Returns
    -------
    plotly.graph_objects.Figure
        Its title says how many methods match the pool better than random sets do.

    Examples
    --------
    >>> rows = evaluation.recorded("initial").query("round == 0 and n_labeled == 20")
    >>> rows = rows[(rows["dataset"] == "mnist") & (rows["features"] == "pixels")]
    >>> standing_for(rows).layout.meta["alt"].partition(":")[0]
    'MNIST, 20 labels'
    """
    (dataset,), (n,) = curves["dataset"].unique(), curves["n_labeled"].unique()
    names = {"mmd2_percentile": "MMD²", "energy_percentile": "energy distance"}
    means = curves.groupby("initial", sort=False)[list(names)].mean().rename(columns=names)
    chosen = means.drop("random", errors="ignore")
    closer = int((chosen < 50).all(axis=1).sum())
    seeds = curves["seed"].nunique()
    return figures.distribution_match(
        means.reset_index().melt("initial", var_name="measure", value_name="percentile"),
        title=f"{spelled(dataset)}, {n} labels: {closer} of {len(chosen)} methods match "
        "the pool better than random",
        note="One seed." if seeds == 1 else f"Mean of {seeds} seeds.",
    )


def by_features(curves: pd.DataFrame, caption: str = "") -> Styler:
    """Show the accuracy after first sets of one size by method and kind of features.

    Parameters
    ----------
    curves : DataFrame
        Tidy rows of one data set and size, round 0 of each run: ``initial, features, seed,
        test_accuracy``.
    caption : str
        What is seen, n and units.

    Returns
    -------
    pandas.io.formats.style.Styler
        Percent, mean over the seeds that every kind has; ``random`` looks at no features.

    Examples
    --------
    >>> rows = evaluation.recorded("initial").query("round == 0 and n_labeled == 20")
    >>> by_features(rows[rows["dataset"] == "mnist"]).data.loc["random", "self supervised"]
    '–'
    """
    kinds = curves.groupby("seed")["features"].nunique()
    paired = curves[curves["seed"].isin(kinds.index[kinds == kinds.max()])]
    means = paired.pivot_table(
        index="initial", columns="features", values="test_accuracy", sort=False
    )
    told = (100 * means).map("{:.1f}".format).where(means.notna(), "–")
    return figures.table(told.rename(columns=spelled), caption=caption)


def training_modes(curves: pd.DataFrame, metric: str = "auc") -> go.Figure:
    """Draw the learning curves of training modes in one setting.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one setting: ``dataset, model, training_mode, seed, n_labeled,
        test_accuracy``.
    metric : str
        In :data:`alod.experiments.evaluation.METRICS`; sums up a curve.

    Returns
    -------
    plotly.graph_objects.Figure
        Its title says which mode is best, by how much, and over which.

    Examples
    --------
    >>> rows = evaluation.recorded("incremental").query("dataset == 'mnist'")
    >>> training_modes(rows).layout.meta["alt"].partition(":")[0]
    'MNIST'
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
    """Show what a round changes, by training mode.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one setting, of runs with ``diagnose=True``: ``training_mode, seed,
        n_labeled, test_accuracy, agreement, lost, forgotten, same_scores``.
    caption : str
        What is seen, n and units.

    Returns
    -------
    pandas.io.formats.style.Styler
        In percent, means over seeds, and over rounds but for the final accuracy; the best first.

    Examples
    --------
    >>> rows = evaluation.recorded("incremental").query("dataset == 'mnist'")
    >>> sorted(changes(rows).data.index)
    ['average', 'distill', 'scratch', 'shrink perturb', 'warm']
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


def for_free(curves: pd.DataFrame) -> go.Figure:
    """Draw what it gives to learn the pool's inliers beside the labels, in one setting.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one setting: ``dataset, model, inlier_passes, seed, n_labeled,
        test_accuracy``; 0 passes and one other number.

    Returns
    -------
    plotly.graph_objects.Figure
        Its title says by how much the accuracy differs with the fewest labels and with the most.

    Examples
    --------
    >>> rows = evaluation.recorded("few_labels").query("model == 'lenet5'")
    >>> fig = for_free(rows[rows["dataset"] == "mnist"])
    >>> [trace.name for trace in fig.data if trace.name]
    ['labels only', 'labels and inliers']
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

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one setting, of runs with inliers: ``n_labeled, test_accuracy, n_inliers,
        inlier_error``.
    caption : str
        What is seen, n and units.

    Returns
    -------
    pandas.io.formats.style.Styler
        Means over seeds, of the accuracy with its standard deviation; a row for each budget.

    Examples
    --------
    >>> rows = evaluation.recorded("few_labels").query("dataset == 'mnist' and model == 'lenet5'")
    >>> list(inlier_errors(rows.query("inlier_passes > 0")).data)
    ['inliers', 'of these wrong, %', 'test accuracy, %']
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


def recipe(curves: pd.DataFrame, metric: str = "auc") -> go.Figure:
    """Draw what each change of how a round trains gains over the default, in one setting.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one setting and strategy: ``seed, n_labeled, test_accuracy`` and what was
        changed, one thing at a time, of ``steps, learning_rate, batch_size, augment,
        label_smoothing, weight_decay, dropout, schedule, norm``; with the default.
    metric : str
        In :data:`alod.experiments.evaluation.METRICS`.

    Returns
    -------
    plotly.graph_objects.Figure
        Its title says which change costs most and which gives most.

    Examples
    --------
    >>> recipe(evaluation.recorded("recipe").query("model == 'cnn'")).layout.xaxis.title.text
    'points above the default'
    """
    names = pd.Series("the default", index=curves.index)
    for field, (default, words) in _LEVERS.items():
        if field in curves:
            names = names.where(curves[field] == default, curves[field].map(words.format))
    table = evaluation.gains(curves.assign(recipe=names), "the default", metric, "recipe")
    points = 100 * table.set_index("recipe")["mean_difference"]
    (dataset,), (model,) = table["dataset"].unique(), table["model"].unique()
    return figures.gains(
        table,
        by="recipe",
        title=f"{spelled(dataset)}, {spelled(model)}: {points.min():+.1f} points with "
        f"{points.idxmin()}, {points.max():+.1f} with {points.idxmax()}",
        reference="the default",
        summary=evaluation.METRICS[metric],
    )


def offered(curves: pd.DataFrame, caption: str = "") -> Styler:
    """Show what inliers change for each strategy: accuracy, calibration, and the next query.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one setting, of runs with ``diagnose=True``: ``strategy, inlier_passes, seed,
        n_labeled, test_accuracy, calibration_error, same_scores``; 0 passes and one other number.
    caption : str
        What is seen, n and units.

    Returns
    -------
    pandas.io.formats.style.Styler
        In percent, means over seeds, without and with inliers: the accuracy with each budget, the
        calibration error at the last, and how alike the outlier scores of the pool are before and
        after a round, over all rounds.

    Examples
    --------
    >>> table = offered(evaluation.recorded("inliers"))
    >>> list(table.data.columns)[0]
    '20 labels'
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

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one classifier and strategy, of runs with ``diagnose=True``: ``dataset, seed,
        n_labeled, kappa``.

    Returns
    -------
    plotly.graph_objects.Figure
        A line for each data set, and the level at which predictions count as stable; its title
        says how many runs reach it.

    Examples
    --------
    >>> stability(evaluation.recorded("stopping")).layout.yaxis.title.text
    'agreement (kappa)'
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


def _labels_told(labels: pd.Series) -> str:
    if labels.isna().all():
        return "no budget reached"
    low, high = (f"{n:,.0f}" for n in (labels.min(), labels.max()))
    return f"{low} labels" if low == high else f"{low} to {high} labels"


def when_to_stop(curves: pd.DataFrame, caption: str = "") -> Styler:
    """Show where stable predictions would have ended each data set's runs, and what that costs.

    Parameters
    ----------
    curves : DataFrame
        As for `stability`, with ``test_accuracy``.
    caption : str
        What is seen, n and units.

    Returns
    -------
    pandas.io.formats.style.Styler
        Of the runs that stop (:func:`alod.stopping.is_stable`): labels, accuracy there and at the
        end of the budget, means in percent.

    Examples
    --------
    >>> list(when_to_stop(evaluation.recorded("stopping")).data.columns)[0]
    'runs that stop'
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


def _over_random(rows: pd.DataFrame) -> pd.Series:
    """Return the points of accuracy that each method gains over random, the best first."""
    means = 100 * rows.groupby("initial")["test_accuracy"].mean()
    return (means - means["random"]).drop("random").sort_values(ascending=False)


def _points(gain: float) -> str:
    return f"{abs(gain):.1f} points {'more' if gain >= 0 else 'less'} than"
