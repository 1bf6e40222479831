"""What several chapters say of many runs, in figures and tables.

What one chapter says alone is in the module of its name. A title says what the table says: who
leads, by how much.

Parameters
----------
curves : DataFrame
    Tidy curves, a row for each round of each run: ``dataset, model, strategy, seed, n_labeled,
    test_accuracy`` and what else a function names.
metric : str
    What sums up a curve: in :data:`alod.experiments.evaluation.METRICS`.
caption : str
    What is seen, n and units, where a table is returned.

Examples
--------
>>> recorded = results.table("strategies").query("strategy in ['outlier', 'random']")
>>> sorted(ranks(recorded).data.index)
['outlier', 'random']
>>> how_sure(recorded.query("seed < 3"))
'*Recorded with 3 seeds: enough to see large differences, too few to believe small ones.*'
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from pandas.io.formats.style import Styler

from alod.experiments import evaluation
from alod_book import figures, results
from alod_book.figures import spelled
from alod_book.figures.layout import span
from alod_book.results import ceiling, each_setting, in_order

# What a curve is summed up by, short enough for a column.
SUMMARIES = {"auc": "over log-labels", "auc_linear": "over labels", "final": "at the end"}

# Of labels that reach a level which no measured budget need have.
INTERPOLATED = "interpolated between the measured budgets"


def how_sure(curves: pd.DataFrame) -> str:
    """Say, in Markdown, how many seeds `curves` have, and what that allows to believe."""
    n = curves["seed"].nunique()
    told = f"Recorded with {n} seed{'s' if n > 1 else ''}"
    few = ": enough to see large differences, too few to believe small ones" if n < 5 else ""
    return f"*{told}{few}.*"


def variants(curves: pd.DataFrame) -> pd.Series:
    """Name what was run: the strategy, and what its parameters change from the default.

    ``outlier`` or ``margin, two sided``, for each row of `curves`, where ``strategy_params`` holds
    JSON.
    """
    if "strategy_params" not in curves:
        return curves["strategy"]
    known = {text: _in_words(json.loads(text)) for text in curves["strategy_params"].unique()}
    return curves["strategy"] + curves["strategy_params"].map(known)


def _in_words(params: Mapping[str, object]) -> str:
    words = {True: "", False: "not "}
    told = []
    for name, value in params.items():
        if isinstance(value, bool):
            told.append(f", {words[value]}{spelled(name)}")
        else:
            number = f"{value:g}" if isinstance(value, float) else value
            told.append(f", {spelled(name)} {number}")
    return "".join(told)


def learning(curves: pd.DataFrame, strategies: Sequence[str]) -> go.Figure:
    """Draw the learning curves of some strategies of one setting, in the order given.

    The title says what the last and the first of `strategies` reach at the end.
    """
    (dataset,) = curves["dataset"].unique()
    shown = curves[curves["strategy"].isin(strategies)]
    end = shown[shown["n_labeled"] == shown["n_labeled"].max()]
    mean = end.groupby("strategy")["test_accuracy"].mean()
    first, last = strategies[0], strategies[-1]
    return figures.learning_curves(
        shown.sort_values("strategy", key=lambda own: own.map(list(strategies).index)),
        title=f"{spelled(dataset)}: {mean[last]:.1%} with {end['n_labeled'].iloc[0]:,} labels by "
        f"{spelled(last)}, {mean[first]:.1%} by {spelled(first)}",
    )


def waste(curves: pd.DataFrame, rival: str = "margin") -> go.Figure:
    """Draw what share of the labels so far went to foreign images, by strategy, on one pool.

    The title says how many labels ``outlier``, with its filter, and `rival` have spent on them at
    the end (``n_foreign``).
    """
    (dataset,) = curves["dataset"].unique()
    upto = curves["n_labeled"].max()
    spent = curves[curves["n_labeled"] == upto].groupby("strategy")["n_foreign"].mean()
    return figures.learning_curves(
        curves.assign(test_accuracy=curves["n_foreign"] / curves["n_labeled"]),
        title=f"{spelled(dataset)}: of {upto:,} labels {spelled(rival)} spends {spent[rival]:.0f} "
        f"on foreign images, outlier with its filter {spent['outlier']:.0f}",
        share="labels spent on foreign images",
    )


def ranks(curves: pd.DataFrame, metric: str = "auc", caption: str = "") -> Styler:
    """Show the mean rank of each strategy by every summary, and its accuracy in each setting.

    Accuracies are of `metric`, which orders the rows; a strategy that is missing in a setting is
    left out.
    """
    everywhere = curves.groupby("strategy")[list(evaluation.SETTING)].apply(
        lambda own: len(own.drop_duplicates())
    )
    kept = curves[curves["strategy"].map(everywhere) == everywhere.max()]
    order = evaluation.mean_ranks(kept, metric)["strategy"]
    means = evaluation.areas(kept, metric).pivot_table(
        index="strategy", columns=list(evaluation.SETTING), values=metric, sort=False
    )
    pairs = in_order(kept)
    table = 100 * means.loc[order, pairs]
    # Two rows of names, which fit the page.
    table.columns = pd.MultiIndex.from_tuples([(spelled(d), spelled(m)) for d, m in pairs])
    for place, (summary, told) in enumerate(SUMMARIES.items()):
        ranked = evaluation.mean_ranks(kept, summary).set_index("strategy")
        table.insert(place, ("mean rank", told), ranked["mean_rank"])
    return figures.table(table.rename(index=spelled), caption=caption)


def beside_original(curves: pd.DataFrame, full: pd.DataFrame) -> Styler:
    """Show how many labels it takes to be as good as the original work reports to be.

    A row for each setting: the best of the original's published curve with its labels, ours for as
    much; its accuracy with all labels, ours for as much, both interpolated between the measured
    budgets; where ours end, and what ours reach with all labels.

    Parameters
    ----------
    curves, full : DataFrame
        Of pools of 60,000 images, ``min_epochs`` and ``views`` where they differ; `full` of runs
        that learned all labels with our recipe, predicting from as many views.
    """
    published = results.published_curves()
    rows = {}
    settings = list(each_setting(curves))
    for (dataset, model), name, own in settings:
        theirs = published[(published["dataset"] == dataset) & (published["model"] == model)]
        best = theirs.iloc[theirs["test_accuracy"].argmax()]
        everything = results.PUBLISHED_FULL_SET[dataset, model]
        found = evaluation.targets(own, [best["test_accuracy"], everything]).to_dict("records")
        end = own[own["n_labeled"] == own["n_labeled"].max()]
        rows[name] = {
            ("the original's curve", "best %"): f"{100 * best['test_accuracy']:.1f}",
            ("the original's curve", "labels"): f"{best['n_labeled']:,}",
            ("the original's curve", "ours need"): labels_told(found[0]),
            ("the original, all labels", "%"): f"{100 * everything:.1f}",
            ("the original, all labels", "ours need"): labels_told(found[1]),
            ("ours", "labels"): f"{end['n_labeled'].iloc[0]:,}",
            ("ours", "%"): _percent(end),
            ("ours", "% with all"): f"{100 * ceiling(full, own)['test_accuracy'].mean():.1f}",
        }
    seeds = span(pd.Series([own["seed"].nunique() for _, _, own in settings]))
    all_seeds = span(pd.Series([len(ceiling(full, own)) for _, _, own in settings]))
    caption = (
        "Recorded: pools of 60,000 images, test accuracy. The original's figures as reported, each "
        f"beside the labels that ours need for as much (median, {INTERPOLATED}; in brackets how "
        "many seeds get there if not all); where ours end (mean ± standard deviation) and what "
        f"they reach with all labels (mean). Seeds: {seeds}; with all labels: {all_seeds}."
    )
    return figures.table(pd.DataFrame.from_dict(rows, orient="index"), caption=caption)


def _percent(runs: pd.DataFrame) -> str:
    """Return mean and standard deviation of the accuracy of some runs, which no line breaks."""
    accuracy = 100 * runs["test_accuracy"]
    spread = "" if len(runs) == 1 else f" ± {accuracy.std():.1f}"
    return f"{accuracy.mean():.1f}{spread}".replace(" ", "\N{NO-BREAK SPACE}")


def p_told(value: float) -> str:
    """Return the p-value `value` as tables have it: ``.042``, ``< .001``."""
    return "<\u00a0.001" if value < 0.001 else f"{value:.3f}".lstrip("0")


def labels_told(row: Mapping[Any, Any]) -> str:
    """Return the median of labels that reach a level, and how many seeds do if not all.

    `row` is one of :func:`alod.experiments.evaluation.targets`.
    """
    everyone = row["n_reached"] == row["n_seeds"]
    seeds = "" if everyone else f" ({row['n_reached']:.0f} of {row['n_seeds']:.0f})"
    median = row["labels_median"]
    return ("not reached" if np.isnan(median) else f"{median:,.0f}") + seeds


def behind_and_ahead(tests: pd.DataFrame) -> tuple[int, int]:
    """Count who is measurably behind the reference of some `tests`, and who ahead of it."""
    sure = tests[tests["p_holm"] < 0.05]["mean_difference"]
    return int((sure < 0).sum()), int((sure > 0).sum())
