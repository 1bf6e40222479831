"""What the chapter on the first set draws.

Parameters
----------
curves : DataFrame
    Tidy curves, a row for each round of each run: ``dataset, initial, features, seed, n_labeled,
    test_accuracy``; of one data set, round 0 of each run if nothing else is said.

Examples
--------
>>> from alod.experiments import evaluation
>>> from alod_book import results
>>> rows = results.table("initial").query("round == 0 and dataset == 'mnist'")
>>> first_sets(rows[rows["features"] == "pixels"]).layout.meta["alt"].partition(":")[0]
'MNIST'
"""

import pandas as pd
import plotly.graph_objects as go
from pandas.io.formats.style import Styler

from alod_book import figures
from alod_book.figures import spelled


def first_sets(curves: pd.DataFrame) -> go.Figure:
    """Draw the accuracy of classifiers that learned one first set, against its size.

    `curves` are of one classifier and kind of features. The title says what the best method gains
    over random at the smallest size that all have.
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

    `curves` are of one setting, with the same budgets. The title says what the best first set gains
    over a random one at first and in the end.
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


def in_the_end(curves: pd.DataFrame, method: str = "kmeans") -> str:
    """Say, in Markdown, where a `method` stands beside random at the largest size.

    `curves` are of one classifier and kind of features, of all data sets.
    """
    n = curves["n_labeled"].max()
    shares = curves[curves["n_labeled"] == n].pivot_table(
        index="dataset", columns="initial", values="test_accuracy", sort=False
    )
    behind = (shares[method] < shares["random"]).sum()
    told = "; ".join(
        f"{spelled(name)}: {own[method]:.1%} and {own['random']:.1%}"
        for name, own in shares.iterrows()
    )
    return (
        f"With {n} labels, `{method}`, the default, is **below** random on {behind} of "
        f"{len(shares)} data sets ({told}): a first set is meant to be small."
    )


def standing_for(curves: pd.DataFrame) -> go.Figure:
    """Draw how well first sets of one size stand for the pool, means over seeds.

    `curves` have ``mmd2_percentile, energy_percentile``. The title says how many methods match the
    pool better than random sets do.
    """
    (dataset,), (n,) = curves["dataset"].unique(), curves["n_labeled"].unique()
    names = {"mmd2_percentile": "MMD²", "energy_percentile": "energy distance"}
    means = curves.groupby("initial", sort=False)[list(names)].mean().rename(columns=names)
    chosen = means.drop("random", errors="ignore")
    closer = int((chosen < 50).all(axis=1).sum())
    seeds = curves["seed"].nunique()
    return figures.match_percentiles(
        means.reset_index().melt("initial", var_name="measure", value_name="percentile"),
        title=f"{spelled(dataset)}, {n} labels: {closer} of {len(chosen)} methods match "
        "the pool better than random",
        note="One seed." if seeds == 1 else f"Mean of {seeds} seeds.",
    )


def by_features(curves: pd.DataFrame, caption: str = "") -> Styler:
    """Show the accuracy after first sets of one size by method and kind of features.

    Percent, mean over the seeds that every kind has; ``random`` looks at no features. `caption`
    says what is seen, n and units.
    """
    kinds = curves.groupby("seed")["features"].nunique()
    paired = curves[curves["seed"].isin(kinds.index[kinds == kinds.max()])]
    means = paired.pivot_table(
        index="initial", columns="features", values="test_accuracy", sort=False
    )
    told = (100 * means).map("{:.1f}".format).where(means.notna(), "–")
    return figures.table(told.rename(columns=spelled), caption=caption)


def _over_random(rows: pd.DataFrame) -> pd.Series:
    """Return the points of accuracy that each method gains over random, the best first."""
    means = 100 * rows.groupby("initial")["test_accuracy"].mean()
    return (means - means["random"]).drop("random").sort_values(ascending=False)


def _points(gain: float) -> str:
    return f"{abs(gain):.1f} points {'more' if gain >= 0 else 'less'} than"
