"""Learning curves as numbers: areas, labels to a target, paired tests, ranks.

A table of *curves* is a tidy DataFrame with one row per run and round and at least the columns
``dataset, model, strategy, seed, n_labeled, test_accuracy``; a *setting* is a data set with a
classifier. Nothing here trains, draws or imports torch.
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from alod.errors import AlodError, check_count, check_name

SETTING = ("dataset", "model")
REPOSITORY = "https://raw.githubusercontent.com/alod-book/alod/main"
METRICS = {
    "auc": "area under the curve over log-labels",
    "auc_linear": "area under the curve over labels",
    "final": "accuracy at the largest common budget",
}

# Test accuracy after training on the full set, as reported by the original's repository
# (AyaMigdadi, 2023, "Active-learning-using-outlier-detection", github.com/AyaMigdadi).
PUBLISHED_FULL_SET = {
    ("mnist", "cnn"): 0.9911,
    ("mnist", "lenet5"): 0.9831,
    ("mnist", "resnet18"): 0.9911,
    ("fashion_mnist", "cnn"): 0.9073,
    ("fashion_mnist", "lenet5"): 0.8703,
    ("fashion_mnist", "resnet18"): 0.9124,
}


def area_under_curve(
    n_labeled: ArrayLike,
    accuracy: ArrayLike,
    log: bool = True,
    upto: float | None = None,
    start: float | None = None,
) -> float:
    """Return the mean height of a learning curve between two budgets.

    The curve is linear between its points, over log-labels or labels, and integrated by the
    trapezoidal rule; the area is divided by the width of the range, so it is an accuracy.

    Parameters
    ----------
    n_labeled : array-like of int (R,)
        Labels paid for, positive and strictly increasing.
    accuracy : array-like of float (R,)
        Test accuracy at each budget, in [0, 1].
    log : bool
        Integrate over the logarithm of the labels, so that each doubling of the budget counts
        the same; over the labels themselves when False.
    upto, start : float, optional
        The budgets between which to integrate; the curve's own ends by default. Between two
        points of the curve the height is interpolated.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    AlodError
        If the curve is malformed or does not cover the range.

    Examples
    --------
    >>> round(area_under_curve([50, 100, 200], [0.7, 0.8, 0.9]), 3)
    0.8
    """
    labels, heights = _check_curve(n_labeled, accuracy)
    first = float(labels[0]) if start is None else float(start)
    last = float(labels[-1]) if upto is None else float(upto)
    if not labels[0] <= first < last <= labels[-1]:
        raise AlodError(
            f"area from {first:g} to {last:g} labels: the curve covers {labels[0]:g} to "
            f"{labels[-1]:g}; choose start < upto inside that, or run more rounds"
        )
    positions, ends = (np.log(labels), np.log([first, last])) if log else (labels, [first, last])
    inside = (positions > ends[0]) & (positions < ends[1])
    x = np.concatenate([ends[:1], positions[inside], ends[1:]])
    y = np.interp(x, positions, heights)
    return float(np.trapezoid(y, x) / (x[-1] - x[0]))


def labels_to_target(n_labeled: ArrayLike, accuracy: ArrayLike, target: float) -> float:
    """Return the first budget at which a learning curve reaches an accuracy.

    Parameters
    ----------
    n_labeled : array-like of int (R,)
        Labels paid for, positive and strictly increasing.
    accuracy : array-like of float (R,)
        Test accuracy at each budget, in [0, 1]; it need not increase: the first crossing counts.
    target : float
        Accuracy to reach, in [0, 1].

    Returns
    -------
    float
        Labels, interpolated linearly between two rounds; the first budget when the curve starts
        at the target or above; NaN when it never gets there.

    Raises
    ------
    AlodError
        If the curve is malformed or the target is not an accuracy.

    Examples
    --------
    >>> round(labels_to_target([50, 100, 200], [0.7, 0.8, 0.9], target=0.85))
    150
    >>> labels_to_target([50, 100, 200], [0.7, 0.8, 0.9], target=0.95)
    nan
    """
    labels, heights = _check_curve(n_labeled, accuracy, points=1)
    if not 0 <= target <= 1:
        raise AlodError(f"target={target!r}: expected an accuracy from 0 to 1, such as 0.95")
    reached = np.flatnonzero(heights >= target)
    if reached.size == 0:
        return float("nan")
    after = int(reached[0])
    if after == 0:
        return float(labels[0])
    before = after - 1
    share = (target - heights[before]) / (heights[after] - heights[before])
    return float(labels[before] + share * (labels[after] - labels[before]))


def summarize(curves: pd.DataFrame, by: Sequence[str] = (*SETTING, "strategy")) -> pd.DataFrame:
    """Average learning curves over seeds.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves: the columns in `by`, ``seed, n_labeled, test_accuracy``.
    by : sequence of str
        What distinguishes the curves; each seed may occur once at each budget of a curve.

    Returns
    -------
    DataFrame
        One row for each curve and budget, in the order in which the curves first appear: the
        columns in `by`, ``n_labeled, n_seeds, accuracy_mean, accuracy_std`` (sample standard
        deviation), ``accuracy_se`` (standard error of the mean), ``accuracy_min, accuracy_max``.
        Spreads are NaN where one seed ran.

    Raises
    ------
    AlodError
        If columns are missing or one seed has two rows at one budget of a curve.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [
    ...     ("mnist", "cnn", strategy, seed, n, accuracy * (1 + seed / 100))
    ...     for strategy, ends in {"random": (0.7, 0.8), "outlier": (0.7, 0.9)}.items()
    ...     for seed in (0, 1, 2)
    ...     for n, accuracy in zip((50, 100), ends)
    ... ]
    >>> names = ["dataset", "model", "strategy", "seed", "n_labeled", "test_accuracy"]
    >>> curves = pd.DataFrame(rows, columns=names)
    >>> last = summarize(curves).iloc[-1]
    >>> last["strategy"], int(last["n_labeled"]), round(float(last["accuracy_mean"]), 2)
    ('outlier', 100, 0.91)
    """
    keys = [*by, "n_labeled"]
    _check_columns(curves, [*keys, "seed", "test_accuracy"])
    _check_one_row_each(curves, [*keys, "seed"])
    # Rows are sorted within a curve first, so that grouping can keep the curves' own order.
    ordered = curves.sort_values("n_labeled", kind="stable")
    summary = (
        ordered.groupby(keys, sort=False, observed=True)["test_accuracy"]
        .agg(
            n_seeds="count",
            accuracy_mean="mean",
            accuracy_std="std",
            accuracy_se="sem",
            accuracy_min="min",
            accuracy_max="max",
        )
        .reset_index()
    )
    order = curves[list(by)].drop_duplicates()
    return order.merge(summary, on=list(by), how="left").reset_index(drop=True)


def areas(
    curves: pd.DataFrame,
    metric: str = "auc",
    compare: str = "strategy",
    setting: Sequence[str] = SETTING,
) -> pd.DataFrame:
    """Sum up each run in one number, over the budgets that all runs of its setting cover.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves: the columns in `setting`, `compare`, ``seed, n_labeled, test_accuracy``.
    metric : str
        ``"auc"``, the area over log-labels; ``"auc_linear"``, over labels; ``"final"``, the
        accuracy at the largest budget common to the runs of the setting, interpolated over
        log-labels.
    compare : str
        The column whose values are compared: ``"strategy"``, or what an ablation varies.
    setting : sequence of str
        Columns that make a setting.

    Returns
    -------
    DataFrame
        One row per run: the columns in `setting`, `compare`, ``seed, start, upto`` (labels) and
        `metric`, in [0, 1].

    Raises
    ------
    AlodError
        If columns are missing, a run has two rows at one budget, or the runs of a setting have
        no range of budgets in common.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [
    ...     ("mnist", "cnn", strategy, seed, n, accuracy * (1 + seed / 100))
    ...     for strategy, ends in {"random": (0.7, 0.8), "outlier": (0.7, 0.9)}.items()
    ...     for seed in (0, 1, 2)
    ...     for n, accuracy in zip((50, 100), ends)
    ... ]
    >>> names = ["dataset", "model", "strategy", "seed", "n_labeled", "test_accuracy"]
    >>> curves = pd.DataFrame(rows, columns=names)
    >>> areas(curves).groupby("strategy")["auc"].mean().round(2).to_dict()
    {'outlier': 0.81, 'random': 0.76}
    """
    check_name("metric", metric, METRICS)
    run_keys = [*setting, compare, "seed"]
    _check_columns(curves, [*run_keys, "n_labeled", "test_accuracy"])
    _check_one_row_each(curves, [*run_keys, "n_labeled"])
    rows = []
    for _, of_setting in curves.groupby(list(setting), sort=False, observed=True):
        budgets = of_setting.groupby([compare, "seed"], observed=True)["n_labeled"]
        start, upto = budgets.min().max(), budgets.max().min()
        for _, run in of_setting.groupby([compare, "seed"], sort=False, observed=True):
            run = run.sort_values("n_labeled")
            labels, heights = run["n_labeled"].to_numpy(), run["test_accuracy"].to_numpy()
            if metric == "final":
                value = float(np.interp(np.log(upto), np.log(labels), heights))
            else:
                value = area_under_curve(labels, heights, metric == "auc", upto, start)
            rows.append((*run.iloc[0][run_keys], start, upto, value))
    return pd.DataFrame(rows, columns=[*run_keys, "start", "upto", metric])


def compare_strategies(
    curves: pd.DataFrame,
    metric: str = "auc",
    compare: str = "strategy",
    setting: Sequence[str] = SETTING,
) -> pd.DataFrame:
    """Test every pair of strategies within each setting, paired by seed.

    Two-sided paired t-test (Student 1908, "The probable error of a mean") on the runs' summaries;
    p-values are corrected over all pairs of a setting (Holm 1979, "A simple sequentially rejective
    multiple test procedure"). The 95 % interval of the difference is the t-test's own and is not
    corrected.

    Parameters
    ----------
    curves, metric, compare, setting
        As in `areas`. Every strategy of a setting must have run with the same two or more seeds.

    Returns
    -------
    DataFrame
        One row per setting and pair: the columns in `setting`, ``first, second, n_seeds,
        mean_difference`` (first minus second, in units of the metric), ``low, high`` (95 %
        interval), ``p_value, p_holm``.

    Raises
    ------
    AlodError
        If a strategy lacks a seed that another of its setting has (they are listed), or fewer than
        two seeds or strategies ran.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [
    ...     ("mnist", "cnn", strategy, seed, n, accuracy * (1 + seed / 100))
    ...     for strategy, ends in {"random": (0.7, 0.8), "outlier": (0.7, 0.9)}.items()
    ...     for seed in (0, 1, 2)
    ...     for n, accuracy in zip((50, 100), ends)
    ... ]
    >>> names = ["dataset", "model", "strategy", "seed", "n_labeled", "test_accuracy"]
    >>> curves = pd.DataFrame(rows, columns=names)
    >>> compare_strategies(curves)[["first", "second", "n_seeds"]].to_dict("records")
    [{'first': 'random', 'second': 'outlier', 'n_seeds': 3}]
    """
    table = areas(curves, metric, compare, setting)
    tests = []
    for _, of_setting in table.groupby(list(setting), sort=False, observed=True):
        scores = of_setting.pivot_table(
            index="seed", columns=compare, values=metric, sort=False, observed=True
        )
        values = of_setting[list(setting)].iloc[0].to_dict()
        _check_paired(scores, " ".join(map(str, values.values())))
        rows = [
            values | _paired_test(scores, first, second)
            for first, second in combinations(scores, 2)
        ]
        tests.append(pd.DataFrame(rows).assign(p_holm=lambda rows: holm(rows["p_value"])))
    return pd.concat(tests, ignore_index=True)


def rank_strategies(
    curves: pd.DataFrame,
    metric: str = "auc",
    compare: str = "strategy",
    setting: Sequence[str] = SETTING,
) -> pd.DataFrame:
    """Rank strategies in each setting by their mean over seeds, then average the ranks.

    Parameters
    ----------
    curves, metric, compare, setting
        As in `areas`.

    Returns
    -------
    DataFrame
        One row per strategy, best first: `compare`, ``mean_rank`` (1 is best, ties share their
        mean rank), ``n_settings`` and the mean of `metric` over settings.

    Raises
    ------
    AlodError
        If a strategy is missing in a setting: ranks among different rivals do not compare.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [
    ...     ("mnist", "cnn", strategy, seed, n, accuracy * (1 + seed / 100))
    ...     for strategy, ends in {"random": (0.7, 0.8), "outlier": (0.7, 0.9)}.items()
    ...     for seed in (0, 1, 2)
    ...     for n, accuracy in zip((50, 100), ends)
    ... ]
    >>> names = ["dataset", "model", "strategy", "seed", "n_labeled", "test_accuracy"]
    >>> curves = pd.DataFrame(rows, columns=names)
    >>> rank_strategies(curves)[["strategy", "mean_rank"]].to_dict("list")
    {'strategy': ['outlier', 'random'], 'mean_rank': [1.0, 2.0]}
    """
    table = areas(curves, metric, compare, setting)
    means = table.pivot_table(
        index=list(setting), columns=compare, values=metric, sort=False, observed=True
    )
    settings = means.index.to_frame().astype(str).agg(" ".join, axis="columns")
    gaps = [
        f"{name} in {where}"
        for where, missing in zip(settings, means.isna().to_numpy(), strict=True)
        for name in means.columns[missing]
    ]
    if gaps:
        raise AlodError(
            f"no runs of {', '.join(gaps)}: expected every {compare} in every setting; run these "
            f"or leave out that {compare} or setting"
        )
    ranks = means.rank(axis="columns", ascending=False)
    result = pd.DataFrame(
        {"mean_rank": ranks.mean(), "n_settings": len(means), metric: means.mean()}
    )
    return result.sort_values("mean_rank", kind="stable").rename_axis(compare).reset_index()


def gains(
    curves: pd.DataFrame,
    reference: str = "random",
    metric: str = "auc",
    compare: str = "strategy",
    setting: Sequence[str] = SETTING,
) -> pd.DataFrame:
    """Measure what each strategy gains over one of them within each setting, paired by seed.

    Parameters
    ----------
    curves, metric, compare, setting
        As in `areas`. Each pair is compared on the seeds that both have, over the budgets that all
        runs of the setting cover.
    reference : str
        The value of `compare` that the others are measured against.

    Returns
    -------
    DataFrame
        One row per setting and strategy but the reference, best first within a setting: the columns
        in `setting`, `compare`, ``n_seeds, mean_difference`` (in units of the metric), ``low,
        high`` (95 % interval of the paired t-test, not corrected), ``p_value, p_holm`` (corrected
        over the strategies of the setting).

    Raises
    ------
    AlodError
        If the reference is missing in a setting or shares fewer than two seeds with another.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [
    ...     ("mnist", "cnn", strategy, seed, n, accuracy * (1 + seed / 100))
    ...     for strategy, ends in {"random": (0.7, 0.8), "outlier": (0.7, 0.9)}.items()
    ...     for seed in (0, 1, 2)
    ...     for n, accuracy in zip((50, 100), ends)
    ... ]
    >>> names = ["dataset", "model", "strategy", "seed", "n_labeled", "test_accuracy"]
    >>> curves = pd.DataFrame(rows, columns=names)
    >>> row = gains(curves).iloc[0]
    >>> row["strategy"], round(float(row["mean_difference"]), 2)
    ('outlier', 0.05)
    """
    table = areas(curves, metric, compare, setting)
    results = []
    for _, of_setting in table.groupby(list(setting), sort=False, observed=True):
        scores = of_setting.pivot_table(index="seed", columns=compare, values=metric, observed=True)
        values = of_setting[list(setting)].iloc[0]
        found = _over_reference(scores, reference, " ".join(map(str, values)))
        found = found.rename_axis(compare).reset_index()
        for place, name in enumerate(setting):
            found.insert(place, name, values[name])
        results.append(found)
    return pd.concat(results, ignore_index=True)


def overall_gains(
    curves: pd.DataFrame,
    reference: str = "random",
    metric: str = "auc",
    compare: str = "strategy",
    setting: Sequence[str] = SETTING,
) -> pd.DataFrame:
    """Measure what each strategy gains over one of them in the mean over settings, paired by seed.

    A seed is one observation: its differences are averaged over the settings before they are
    tested, so that no setting counts as evidence of its own.

    Parameters
    ----------
    curves, reference, metric, compare, setting
        As in `gains`. A strategy is compared on the seeds that it and the reference have in every
        setting; one that is missing in a setting is left out.

    Returns
    -------
    DataFrame
        One row per strategy but the reference, best first: the columns of `gains` without those in
        `setting`, and ``n_settings``.

    Raises
    ------
    AlodError
        If the reference is missing in a setting or shares fewer than two seeds with another.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [
    ...     (dataset, "cnn", strategy, seed, n, accuracy * (1 + seed / 100))
    ...     for dataset in ("mnist", "fashion_mnist")
    ...     for strategy, ends in {"random": (0.7, 0.8), "outlier": (0.7, 0.9)}.items()
    ...     for seed in (0, 1, 2)
    ...     for n, accuracy in zip((50, 100), ends)
    ... ]
    >>> names = ["dataset", "model", "strategy", "seed", "n_labeled", "test_accuracy"]
    >>> row = overall_gains(pd.DataFrame(rows, columns=names)).iloc[0]
    >>> row["strategy"], round(float(row["mean_difference"]), 2), int(row["n_settings"])
    ('outlier', 0.05, 2)
    """
    table = areas(curves, metric, compare, setting)
    n_settings = len(table[list(setting)].drop_duplicates())
    runs = table.groupby([compare, "seed"], observed=True)[metric].agg(["mean", "count"])
    everywhere = runs[runs["count"] == n_settings].pivot_table(
        index="seed", columns=compare, values="mean", observed=True
    )
    found = _over_reference(everywhere, reference, f"{n_settings} settings")
    return found.rename_axis(compare).reset_index().assign(n_settings=n_settings)


def _over_reference(scores: pd.DataFrame, reference: str, where: str) -> pd.DataFrame:
    """Test every column of seeds × strategies against one of them; the best first."""
    if reference not in scores:
        raise AlodError(f"no runs of {reference} in {where}: run it or take another reference")
    rows = {}
    for name in scores.columns.drop(reference):
        pair = scores[[name, reference]].dropna()
        _check_paired(pair, where)
        rows[name] = _paired_test(pair, name, reference)
    found = pd.DataFrame.from_dict(rows, orient="index").drop(columns=["first", "second"])
    found["p_holm"] = holm(found["p_value"])
    return found.sort_values("mean_difference", ascending=False, kind="stable")


def common_seeds(
    curves: pd.DataFrame, compare: str = "strategy", setting: Sequence[str] = SETTING
) -> pd.DataFrame:
    """Keep the runs whose seed every strategy of their setting has, so that all are paired.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves: the columns in `setting`, `compare` and ``seed``.
    compare, setting
        As in `areas`.

    Returns
    -------
    DataFrame
        The rows kept, in their order.

    Raises
    ------
    AlodError
        If columns are missing, or a setting has no seed in common.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [
    ...     ("mnist", "cnn", strategy, seed, n, accuracy * (1 + seed / 100))
    ...     for strategy, ends in {"random": (0.7, 0.8), "outlier": (0.7, 0.9)}.items()
    ...     for seed in (0, 1, 2)
    ...     for n, accuracy in zip((50, 100), ends)
    ... ]
    >>> names = ["dataset", "model", "strategy", "seed", "n_labeled", "test_accuracy"]
    >>> curves = pd.DataFrame(rows, columns=names)
    >>> missing = curves.query("strategy == 'random' or seed < 2")
    >>> sorted(common_seeds(missing)["seed"].unique().tolist())
    [0, 1]
    """
    _check_columns(curves, [*setting, compare, "seed"])
    by = list(setting)
    everyone = curves.groupby(by, observed=True)[compare].transform("nunique")
    present = curves.groupby([*by, "seed"], observed=True)[compare].transform("nunique")
    kept = curves[present == everyone]
    settings, left = (len(table[by].drop_duplicates()) for table in (curves, kept))
    if left < settings:
        raise AlodError(
            f"{settings - left} of {settings} settings have no seed that every {compare} has; run "
            "the missing ones"
        )
    return kept


def targets(
    curves: pd.DataFrame,
    accuracies: Sequence[float],
    by: Sequence[str] = (*SETTING, "strategy"),
) -> pd.DataFrame:
    """Measure how many labels each strategy needs for some accuracies.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves: the columns in `by`, ``seed, n_labeled, test_accuracy``.
    accuracies : sequence of float
        Test accuracies to reach, in [0, 1].
    by : sequence of str
        What distinguishes the strategies.

    Returns
    -------
    DataFrame
        One row for each strategy and accuracy: the columns in `by`, ``accuracy, n_seeds,
        n_reached`` (seeds that got there), ``labels_median`` (a seed that did not get there counts
        as more than any that did; NaN where half or more did not), ``labels_low, labels_high`` (the
        range of those that did); labels are interpolated between the measured budgets, as by
        `labels_to_target`.

    Raises
    ------
    AlodError
        If columns are missing, a curve is malformed, or a target is not an accuracy.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [
    ...     ("mnist", "cnn", strategy, seed, n, accuracy * (1 + seed / 100))
    ...     for strategy, ends in {"random": (0.7, 0.8), "outlier": (0.7, 0.9)}.items()
    ...     for seed in (0, 1, 2)
    ...     for n, accuracy in zip((50, 100), ends)
    ... ]
    >>> names = ["dataset", "model", "strategy", "seed", "n_labeled", "test_accuracy"]
    >>> curves = pd.DataFrame(rows, columns=names)
    >>> targets(curves, [0.8])[["strategy", "n_reached"]].to_dict("list")
    {'strategy': ['random', 'outlier'], 'n_reached': [3, 3]}
    """
    _check_columns(curves, [*by, "seed", "n_labeled", "test_accuracy"])
    _check_one_row_each(curves, [*by, "seed", "n_labeled"])
    rows = []
    for key, own in curves.groupby(list(by), sort=False, observed=True):
        runs = [run.sort_values("n_labeled") for _, run in own.groupby("seed")]
        for accuracy in accuracies:
            needed = np.array(
                [labels_to_target(r["n_labeled"], r["test_accuracy"], accuracy) for r in runs]
            )
            there = needed[np.isfinite(needed)]
            # Sorted, what never got there comes last.
            middle = float(np.median(np.nan_to_num(needed, nan=np.inf)))
            rows.append(
                (
                    *key,
                    accuracy,
                    len(runs),
                    len(there),
                    middle if np.isfinite(middle) else float("nan"),
                    there.min() if len(there) else float("nan"),
                    there.max() if len(there) else float("nan"),
                )
            )
    told = ["accuracy", "n_seeds", "n_reached", "labels_median", "labels_low", "labels_high"]
    return pd.DataFrame(rows, columns=[*by, *told])


def border_share(
    embeddings: ArrayLike, targets: ArrayLike, indices: ArrayLike, n_neighbors: int = 10
) -> float:
    """Measure how many images lie where classes touch; looks at labels, so for evaluation only.

    Parameters
    ----------
    embeddings : array-like of float (N, D)
        Of the whole pool; compared by angle, as the detectors do.
    targets : array-like of int (N,)
        Their classes.
    indices : array-like of int (k,)
        The images in question, k at least 1.
    n_neighbors : int
        Neighbors looked at, from 1 to N - 1.

    Returns
    -------
    float
        Share, in [0, 1], of the images in question that have an image of another class among their
        nearest neighbors in the pool.

    Examples
    --------
    >>> import numpy as np
    >>> angles = np.array([0.0, 0.1, 0.2, 1.3, 1.4, 1.5])
    >>> embeddings = np.column_stack([np.cos(angles), np.sin(angles)])
    >>> border_share(embeddings, [0, 0, 1, 1, 1, 1], indices=[0, 5], n_neighbors=2)
    0.5
    """
    from sklearn.neighbors import NearestNeighbors

    points, classes = np.asarray(embeddings), np.asarray(targets)
    chosen = np.asarray(indices)
    check_count("n_neighbors", n_neighbors, 1, len(points) - 1, "the size of the pool")
    search = NearestNeighbors(n_neighbors=n_neighbors + 1, metric="cosine").fit(points)
    near = search.kneighbors(points[chosen], return_distance=False)
    return float((classes[near] != classes[chosen, None]).any(axis=1).mean())


def remoteness(embeddings: ArrayLike, indices: ArrayLike, n_neighbors: int = 10) -> float:
    """Measure how far from their neighbors some images lie: how little they stand for others.

    Parameters
    ----------
    embeddings : array-like of float (N, D)
        Of the whole pool; compared by direction, as the detectors do.
    indices : array-like of int (k,)
        The images in question, k at least 1.
    n_neighbors : int
        Neighbors looked at, from 1 to N - 1.

    Returns
    -------
    float
        Mean distance of the images in question to their nearest neighbors in the pool, divided by
        the same mean over all images: 1 is as usual, 2 twice as far.

    Examples
    --------
    >>> import numpy as np
    >>> angles = np.array([0.0, 0.1, 0.2, 0.3, 1.5])
    >>> embeddings = np.column_stack([np.cos(angles), np.sin(angles)])
    >>> inside, outside = (remoteness(embeddings, [row], n_neighbors=2) for row in (1, 4))
    >>> bool(inside < outside)
    True
    """
    from sklearn.neighbors import NearestNeighbors

    points = np.asarray(embeddings, dtype=float)
    check_count("n_neighbors", n_neighbors, 1, len(points) - 1, "the size of the pool")
    unit = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    distances, _ = NearestNeighbors(n_neighbors=n_neighbors).fit(unit).kneighbors()
    return float(distances[np.asarray(indices)].mean() / distances.mean())


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Correct p-values for multiple testing by Holm's step-down procedure.

    Holm 1979, "A simple sequentially rejective multiple test procedure": the i-th smallest of m
    p-values is multiplied by m - i + 1, never falls below a smaller one's and is cut at 1.

    Parameters
    ----------
    p_values : array-like of float (M,)
        In [0, 1].

    Returns
    -------
    ndarray of float (M,)
        Corrected p-values, in the order given.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def published_curves() -> pd.DataFrame:
    """Return the original's learning curves, as its repository reports them.

    They are cited, not ours: accuracy on the test set, on which its runs also stopped, by nominal
    labels, of which about half of each later batch had been bought before (AyaMigdadi, 2023,
    "Active-learning-using-outlier-detection").

    Returns
    -------
    DataFrame
        ``dataset`` (``mnist, fashion_mnist``), ``model`` (``cnn, lenet5, resnet18``),
        ``n_labeled`` int64, ``test_accuracy`` float64 in [0, 1].

    Examples
    --------
    >>> published = published_curves()
    >>> sorted(published["model"].unique())
    ['cnn', 'lenet5', 'resnet18']
    """
    return pd.read_csv(Path(__file__).with_name("_published.csv"))


def _check_curve(
    n_labeled: ArrayLike, accuracy: ArrayLike, points: int = 2
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    labels, heights = np.asarray(n_labeled, dtype=float), np.asarray(accuracy, dtype=float)
    if labels.ndim != 1 or labels.shape != heights.shape or labels.size < points:
        raise AlodError(
            f"learning curve of shapes {labels.shape} and {heights.shape}: expected as many "
            f"accuracies as budgets, at least {points} of each, in one dimension"
        )
    if not (labels[0] > 0 and bool(np.all(np.diff(labels) > 0)) and np.isfinite(labels[-1])):
        raise AlodError(
            f"n_labeled={labels.tolist()!r}: expected positive budgets that increase; sort the rows"
            " by n_labeled and keep one run's"
        )
    if not bool(np.all((heights >= 0) & (heights <= 1))):
        raise AlodError(
            f"accuracy={heights.tolist()!r}: expected accuracies from 0 to 1; divide percentages"
            " by 100"
        )
    return labels, heights


def _check_columns(table: pd.DataFrame, columns: Sequence[str]) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise AlodError(
            f"table without {', '.join(missing)}: expected the columns {', '.join(columns)}; it has"
            f" {', '.join(map(str, table.columns))}"
        )
    if table.empty:
        raise AlodError("table without rows: expected one row per run and round")


def _check_one_row_each(curves: pd.DataFrame, keys: Sequence[str]) -> None:
    doubled = curves.duplicated(list(keys))
    if doubled.any():
        row = curves.loc[doubled, list(keys)].iloc[0]
        where = ", ".join(f"{name} {value}" for name, value in row.items())
        raise AlodError(
            f"two rows for {where}: expected one; select one value of whatever else varies, or "
            "compare by it"
        )


def _check_paired(scores: pd.DataFrame, setting: str) -> None:
    gaps = [
        f"{name} lacks {', '.join(map(str, scores.index[scores[name].isna()]))}"
        for name in scores
        if scores[name].isna().any()
    ]
    if gaps:
        raise AlodError(
            f"seeds of {setting} are not paired: {'; '.join(gaps)}; run the missing seeds or leave "
            "them out everywhere"
        )
    if len(scores) < 2 or scores.shape[1] < 2:
        raise AlodError(
            f"{setting} has {scores.shape[1]} to compare and {len(scores)} seeds: expected at least"
            " two of each; run more"
        )


def _paired_test(scores: pd.DataFrame, first: Any, second: Any) -> dict[str, Any]:
    differences = (scores[first] - scores[second]).to_numpy()
    if np.ptp(differences) == 0:
        # Without spread the t statistic is 0/0 or infinite: identical runs, or a certain effect.
        low = high = float(differences[0])
        p_value = 1.0 if low == 0 else 0.0
    else:
        test = stats.ttest_rel(scores[first], scores[second])
        low, high = test.confidence_interval(0.95)
        p_value = float(test.pvalue)
    return {
        "first": first,
        "second": second,
        "n_seeds": len(differences),
        "mean_difference": float(differences.mean()),
        "low": float(low),
        "high": float(high),
        "p_value": p_value,
    }


def calibration_error(probabilities: ArrayLike, targets: ArrayLike, n_bins: int = 15) -> float:
    """Measure how far a classifier's confidence lies from how often it is right.

    The expected calibration error: images are sorted into bins of equal width by the probability of
    their likeliest class; the gaps between its mean and the accuracy are averaged over the images.
    Source: Guo, Pleiss, Sun & Weinberger 2017, "On calibration of modern neural networks".

    Parameters
    ----------
    probabilities : array
        float (N, C), in [0, 1]; rows sum to 1.
    targets : array
        int (N,), the true classes.
    n_bins : int
        At least 1.

    Returns
    -------
    float
        In [0, 1], 0 for a classifier that is right as often as it believes. NaN of no images.

    Examples
    --------
    >>> round(calibration_error([[0.9, 0.1], [0.9, 0.1]], [0, 1]), 3)
    0.4
    """
    check_count("n_bins", n_bins, 1)
    shares, classes = np.asarray(probabilities, dtype=float), np.asarray(targets)
    if shares.ndim != 2 or classes.shape != shares.shape[:1]:
        raise AlodError(
            f"probabilities {shares.shape} and targets {classes.shape}: expected (N, C) and (N,)"
        )
    if not len(shares):
        return float("nan")
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == classes
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, weights=confidence - right)
    return float(np.abs(gaps).sum() / len(shares))


def recorded(stem: str) -> pd.DataFrame:
    """Load a recorded result: what ``alod sweep`` and ``alod compare`` made of an experiment file.

    Parameters
    ----------
    stem : str
        Of ``book/experiments/<stem>.yaml`` and ``book/results/<stem>.csv``. Read from the checkout
        that this package lies in, or else from the book's repository.

    Returns
    -------
    DataFrame
        Tidy curves, see :func:`alod.experiments.sweep.tidy`.

    Raises
    ------
    AlodError
        If there is no such result.

    Examples
    --------
    >>> curves = recorded("strategies")
    >>> {"dataset", "model", "strategy", "seed", "n_labeled", "test_accuracy"} <= {*curves}
    True
    """
    file = f"book/results/{stem}.csv"
    checkout = Path(__file__).parents[2] / file
    place = str(checkout) if checkout.exists() else f"{REPOSITORY}/{file}"
    try:
        return pd.read_csv(place)
    except OSError as error:
        raise AlodError(f"{place}: {error}; is there an experiment file {stem}.yaml?") from None
