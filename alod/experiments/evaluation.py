"""Learning curves as numbers: areas, labels to a target, paired tests.

Nothing here trains, draws or imports torch. Bad tables are refused in one line: columns or values
missing, two rows for one run and budget, runs of a setting without a range of budgets in common,
seeds or settings that one strategy has and another lacks.

- `curves`, a table: one row per run and round, the columns in `setting` (or `by`), `compare`,
  ``seed, n_labeled, test_accuracy``.
- `n_labeled`, `accuracy`, (R,), one curve: labels paid for, strictly increasing from above 0, and
  test accuracy at each, in [0, 1].
- `metric`: what a run is summed up by, in [0, 1], one of :data:`METRICS`.
- `compare`: the column whose values are compared, ``"strategy"``, or what an ablation varies;
  `reference`: the value of it that the others are measured against.
- `setting`: the columns that make a setting, by default a data set with a classifier; with
  ``"n_query", "budgets"`` (text, in recorded tables) those of other batches are others.
- `by`: the columns that distinguish the curves that are averaged over seeds.

>>> round(area_under_curve([50, 100, 200], [0.7, 0.8, 0.9]), 3)
0.8
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import ArrayLike, NDArray
from pandas import DataFrame

from alod.errors import AlodError, check_name

Columns = Sequence[str]
SETTING = ("dataset", "model")
METRICS = {
    "auc": "area under the curve over log-labels",
    "auc_linear": "area under the curve over labels",
    "final": "accuracy at the largest common budget",
}


def area_under_curve(
    n_labeled: ArrayLike,
    accuracy: ArrayLike,
    log: bool = True,
    upto: float | None = None,
    start: float | None = None,
) -> float:
    """Return the mean height of a learning curve between two budgets, in [0, 1].

    The curve is linear between its points, over the logarithm of the labels (`log`; each doubling
    of the budget counts the same) or over labels, and integrated by the trapezoidal rule from
    `start` to `upto`, by default from end to end; the area is divided by its width.
    """
    labels, heights = _check_curve(n_labeled, accuracy)
    first, last = labels[0] if start is None else start, labels[-1] if upto is None else upto
    if not labels[0] <= first < last <= labels[-1]:
        covered = f"the curve covers {labels[0]:g} to {labels[-1]:g}"
        mend = "choose start < upto inside that, or run more rounds"
        raise AlodError(f"area from {first:g} to {last:g} labels: {covered}; {mend}")
    positions, ends = (np.log(labels), np.log([first, last])) if log else (labels, [first, last])
    inside = (positions > ends[0]) & (positions < ends[1])
    x = np.concatenate([ends[:1], positions[inside], ends[1:]])
    return float(np.trapezoid(np.interp(x, positions, heights), x) / (x[-1] - x[0]))


def labels_to_target(n_labeled: ArrayLike, accuracy: ArrayLike, target: float) -> float:
    """Return the first budget at which a learning curve reaches the accuracy `target`.

    Interpolated linearly between two rounds; the first budget when the curve starts there or above;
    NaN when it never gets there.
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


def summarize(curves: DataFrame, by: Columns = (*SETTING, "strategy")) -> DataFrame:
    """Average learning curves over seeds, in the order in which they first appear.

    One row for each curve and budget: the columns in `by`, ``n_labeled, n_seeds, accuracy_mean,
    accuracy_std`` (sample standard deviation), ``accuracy_se`` (standard error of the mean; both
    NaN where one seed ran), ``accuracy_min, accuracy_max``.
    """
    keys = [*by, "n_labeled"]
    _check_curves(curves, [*keys, "seed"])
    # Rows are sorted within a curve first, so that grouping can keep the curves' own order.
    ordered = curves.sort_values("n_labeled", kind="stable")
    summary = ordered.groupby(keys, sort=False, observed=True)["test_accuracy"].agg(
        n_seeds="count",
        accuracy_mean="mean",
        accuracy_std="std",
        accuracy_se="sem",
        accuracy_min="min",
        accuracy_max="max",
    )
    order = curves[list(by)].drop_duplicates()
    return order.merge(summary.reset_index(), on=list(by), how="left").reset_index(drop=True)


def areas(
    curves: DataFrame, metric: str = "auc", compare: str = "strategy", setting: Columns = SETTING
) -> DataFrame:
    """Sum up each run in one number, over the budgets that all runs of its setting cover.

    One row per run: the columns in `setting`, `compare`, ``seed, start, upto`` (labels) and
    `metric`; between two budgets it is interpolated.
    """
    check_name("metric", metric, METRICS)
    run_keys = [*setting, compare, "seed"]
    _check_curves(curves, [*run_keys, "n_labeled"])
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
    return DataFrame(rows, columns=[*run_keys, "start", "upto", metric])


def compare_strategies(
    curves: DataFrame, metric: str = "auc", compare: str = "strategy", setting: Columns = SETTING
) -> DataFrame:
    """Test every pair of strategies within each setting, paired by seed.

    Two-sided paired t-test (Student 1908, "The probable error of a mean") on the runs' summaries;
    all of a setting must have run with the same two or more seeds. One row per setting and pair:
    the columns in `setting`, ``first, second, n_seeds, mean_difference`` (first minus second, in
    units of the metric), ``low, high`` (95 % interval, not corrected), ``p_value, p_holm``
    (corrected by :func:`holm` over all pairs of the setting).
    """
    tests = []
    for values, scores in _per_setting(curves, metric, compare, setting, sort=False):
        _check_paired(scores, " ".join(map(str, values.values())))
        pairs = [values | _paired_test(scores, *pair) for pair in combinations(scores, 2)]
        tests.append(DataFrame(pairs).assign(p_holm=lambda rows: holm(rows["p_value"])))
    return pd.concat(tests, ignore_index=True)


def gains(
    curves: DataFrame,
    reference: str = "random",
    metric: str = "auc",
    compare: str = "strategy",
    setting: Columns = SETTING,
) -> DataFrame:
    """Measure what each strategy gains over one of them within each setting, paired by seed.

    Each pair is compared on the seeds that both have, two or more, as in `compare_strategies`. One
    row per setting and strategy but the reference, best first within a setting: the columns in
    `setting`, `compare`, ``n_seeds, mean_difference, low, high, p_value, p_holm`` (corrected over
    the strategies of the setting).
    """
    results = []
    for values, scores in _per_setting(curves, metric, compare, setting, sort=True):
        found = _over_reference(scores, reference, " ".join(map(str, values.values())))
        found = found.rename_axis(compare).reset_index()
        results.append(found.assign(**values)[[*setting, *found]])
    return pd.concat(results, ignore_index=True)


def overall_gains(
    curves: DataFrame,
    reference: str = "random",
    metric: str = "auc",
    compare: str = "strategy",
    setting: Columns = SETTING,
) -> DataFrame:
    """Measure what each strategy gains over one of them in the mean over settings, paired by seed.

    A seed is one observation: its differences are averaged over the settings before they are
    tested, so that no setting counts as evidence of its own. A strategy is compared on the seeds
    that it and the reference have in every setting; one that is missing in a setting is left out.
    One row per strategy but the reference, best first: the columns of `gains` without those in
    `setting`, and ``n_settings``.
    """
    table = areas(curves, metric, compare, setting)
    n_settings = len(table[list(setting)].drop_duplicates())
    runs = table.groupby([compare, "seed"], observed=True)[metric].agg(["mean", "count"])
    complete = runs[runs["count"] == n_settings]
    everywhere = complete.pivot_table("mean", "seed", compare, observed=True)
    found = _over_reference(everywhere, reference, f"{n_settings} settings")
    return found.rename_axis(compare).reset_index().assign(n_settings=n_settings)


def equivalence(
    curves: DataFrame,
    reference: str = "random",
    margin: float = 0.005,
    metric: str = "auc",
    compare: str = "strategy",
    setting: Columns = SETTING,
    overall: bool = False,
) -> DataFrame:
    """Test whether each strategy is level with one of them, paired by seed.

    Two one-sided tests (Schuirmann 1987, "A comparison of the two one-sided tests procedure and the
    power approach for assessing the equivalence of average bioavailability"): the mean difference
    is within ± `margin`, in units of the metric, above 0. Within each setting as in `gains`, or
    `overall` in the mean over settings as in `overall_gains`; rows and order are theirs. In place
    of what they test: ``low, high`` (90 % interval, not corrected; in ± `margin` where p < .05),
    ``p_tost, p_holm`` (corrected over the strategies, of the setting or overall), ``level``
    (``p_holm`` below .05, bool). Not level does not mean different.
    """
    if not margin > 0:
        raise AlodError(f"margin={margin!r}: expected a number above 0, such as 0.005")
    found = (overall_gains if overall else gains)(curves, reference, metric, compare, setting)
    freedom, mean = found["n_seeds"] - 1, found["mean_difference"]
    error = (found["high"] - found["low"]) / 2 / scipy.stats.t.ppf(0.975, freedom)
    half = error * scipy.stats.t.ppf(0.95, freedom)
    # Without spread it is certain.
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.divide(margin - mean.abs(), error)
    found["low"], found["high"] = mean - half, mean + half
    found["p_value"] = np.where(
        error > 0, scipy.stats.t.sf(statistic, freedom), mean.abs() >= margin
    )
    own = [np.zeros(len(found))] if overall else list(setting)
    found["p_holm"] = found.groupby(own, sort=False)["p_value"].transform(holm)
    found = found.rename(columns={"p_value": "p_tost"})
    return found.assign(level=found["p_holm"] < 0.05)


def wins_and_losses(
    curves: DataFrame, metric: str = "auc", compare: str = "strategy", setting: Columns = SETTING
) -> DataFrame:
    """Count in how many settings each strategy is measurably ahead of each other, and behind.

    By `compare_strategies`, at .05. One row per ordered pair: ``first, second, wins, ties, losses``
    of the first; a tie is a test that does not tell the two apart, which need not be level.
    """
    tests = compare_strategies(curves, metric, compare, setting)
    ahead = np.sign(tests["mean_difference"]).where(tests["p_holm"] < 0.05, 0)
    pairs = tests[["first", "second"]].assign(wins=ahead > 0, ties=ahead == 0, losses=ahead < 0)
    turned = {"first": "second", "second": "first", "wins": "losses", "losses": "wins"}
    both = pd.concat([pairs, pairs.rename(columns=turned)])
    return both.groupby(["first", "second"], sort=False, as_index=False).sum()


def mean_ranks(
    curves: DataFrame, metric: str = "auc", compare: str = "strategy", setting: Columns = SETTING
) -> DataFrame:
    """Rank strategies in each setting by their mean over seeds, and test their mean ranks.

    Every strategy must have run in every setting: ranks among different rivals do not compare. One
    row per strategy, best first: `compare`, ``mean_rank`` (1 is best, ties share their mean rank),
    ``n_settings``, the mean of `metric` over them, and, the same for all, ``p_friedman`` (Friedman
    1937, "The use of ranks to avoid the assumption of normality", corrected for ties),
    ``p_iman_davenport`` (1980, "Approximations of the critical region of the Friedman statistic";
    NaN for one setting) and ``critical_difference``: who is farther apart differs at .05 (Nemenyi
    1963, "Distribution-free multiple comparisons", as in Demšar 2006, "Statistical comparisons of
    classifiers over multiple data sets"). Settings are taken to be independent of each other, which
    those of one data set are not.
    """
    means = areas(curves, metric, compare, setting).pivot_table(
        metric, list(setting), compare, sort=False, observed=True
    )
    gaps = [
        f"{name} in {' '.join(map(str, where))}"
        for where, lacks in zip(
            means.index.to_frame().to_numpy(), means.isna().to_numpy(), strict=True
        )
        for name in means.columns[lacks]
    ]
    if gaps:
        told = "expected every strategy in every setting"
        mend = "run these or leave out that strategy or setting"
        raise AlodError(f"no runs of {', '.join(gaps)}: {told}; {mend}")
    ranks = means.rank(axis="columns", ascending=False)
    n, k = ranks.shape
    off = ranks - (k + 1) / 2
    spread = float(np.square(off.to_numpy()).sum())
    # Of ties alone there is no spread; where all settings agree, nothing is left to divide by.
    chi2 = (k - 1) * float(np.square(off.sum()).sum()) / spread if spread else 0.0
    left = n * (k - 1) - chi2
    f = (n - 1) * chi2 / left if left > 1e-9 else np.inf
    table = {"mean_rank": ranks.mean(), "n_settings": n, metric: means.mean()}
    table["p_friedman"] = float(scipy.stats.chi2.sf(chi2, k - 1))
    table["p_iman_davenport"] = float(scipy.stats.f.sf(f, k - 1, (k - 1) * (n - 1)))
    q = float(scipy.stats.studentized_range.ppf(0.95, k, np.inf)) / np.sqrt(2)
    table["critical_difference"] = q * np.sqrt(k * (k + 1) / (6 * n))
    ordered = DataFrame(table).sort_values("mean_rank", kind="stable")
    return ordered.rename_axis(compare).reset_index()


def targets(
    curves: DataFrame, accuracies: Sequence[float], by: Columns = (*SETTING, "strategy")
) -> DataFrame:
    """Measure how many labels each strategy needs for some `accuracies`, by `labels_to_target`.

    One row for each strategy and accuracy: the columns in `by`, ``accuracy, n_seeds, n_reached``
    (seeds that got there), ``labels_median`` (who did not get there counts as more than any that
    did; NaN where half or more did not), ``labels_low, labels_high`` (the range of those that did).
    """
    _check_curves(curves, [*by, "seed", "n_labeled"])
    rows = []
    for key, own in curves.groupby(list(by), sort=False, observed=True):
        runs = [run.sort_values("n_labeled") for _, run in own.groupby("seed")]
        for accuracy in accuracies:
            each = (labels_to_target(r["n_labeled"], r["test_accuracy"], accuracy) for r in runs)
            needed = pd.Series(each)
            # Sorted, what never got there comes last.
            middle = needed.fillna(np.inf).median()
            median = middle if np.isfinite(middle) else np.nan
            ends = median, needed.min(), needed.max()  # NaN where nobody got there
            rows.append((*key, accuracy, len(runs), needed.count(), *ends))
    told = ["accuracy", "n_seeds", "n_reached", "labels_median", "labels_low", "labels_high"]
    return DataFrame(rows, columns=[*by, *told])


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Correct `p_values`, float (M,), for multiple testing by a step-down procedure.

    Holm 1979, "A simple sequentially rejective multiple test procedure": the i-th smallest of M is
    multiplied by M - i + 1, never falls below a smaller one's and is cut at 1. In the order given.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return np.minimum(stepped, 1)[np.argsort(order)]


def _per_setting(
    curves: DataFrame, metric: str, compare: str, setting: Columns, sort: bool
) -> Iterator[tuple[dict[Any, Any], DataFrame]]:
    """Yield each setting's values, and its runs' summaries: seeds × strategies, by name or not."""
    table = areas(curves, metric, compare, setting)
    for _, own in table.groupby(list(setting), sort=False, observed=True):
        scores = own.pivot_table(metric, "seed", compare, sort=sort, observed=True)
        yield own[list(setting)].iloc[0].to_dict(), scores


def _over_reference(scores: DataFrame, reference: str, where: str) -> DataFrame:
    """Test every column of seeds × strategies against one of them; the best first."""
    if reference not in scores:
        raise AlodError(f"no runs of {reference} in {where}: run it or take another reference")
    rows = {}
    for name in scores.columns.drop(reference):
        pair = scores[[name, reference]].dropna()
        _check_paired(pair, where)
        rows[name] = _paired_test(pair, name, reference)
    found = DataFrame.from_dict(rows, orient="index").drop(columns=["first", "second"])
    found["p_holm"] = holm(found["p_value"])
    return found.sort_values("mean_difference", ascending=False, kind="stable")


def _paired_test(scores: DataFrame, first: Any, second: Any) -> dict[str, Any]:
    differences = (scores[first] - scores[second]).to_numpy()
    if np.ptp(differences) == 0:
        # Without spread the t statistic is 0/0 or infinite: identical runs, or a certain effect.
        low = high = float(differences[0])
        p_value = 1.0 if low == 0 else 0.0
    else:
        test = scipy.stats.ttest_rel(scores[first], scores[second])
        low, high = test.confidence_interval(0.95)
        p_value = float(test.pvalue)
    told = {"first": first, "second": second, "n_seeds": len(differences)}
    told["mean_difference"] = float(differences.mean())
    return told | {"low": float(low), "high": float(high), "p_value": p_value}


def _check_curve(
    n_labeled: ArrayLike, accuracy: ArrayLike, points: int = 2
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    labels, heights = np.asarray(n_labeled, dtype=float), np.asarray(accuracy, dtype=float)
    if labels.ndim != 1 or labels.shape != heights.shape or labels.size < points:
        raise AlodError(
            f"learning curve of shapes {labels.shape} and {heights.shape}: expected as many "
            f"accuracies as budgets, at least {points} of each, in one dimension"
        )
    if not (labels[0] > 0 and (np.diff(labels) > 0).all() and np.isfinite(labels[-1])):
        mend = "sort the rows by n_labeled and keep one run's"
        told = f"n_labeled={labels.tolist()!r}: expected positive budgets that increase"
        raise AlodError(f"{told}; {mend}")
    if not ((heights >= 0) & (heights <= 1)).all():
        told = "expected accuracies from 0 to 1; divide percentages by 100"
        raise AlodError(f"accuracy={heights.tolist()!r}: {told}")
    return labels, heights


def _check_curves(curves: DataFrame, keys: list[str]) -> None:
    """Refuse curves without these columns, or with two rows for the same keys."""
    check_columns(curves, [*keys, "test_accuracy"])
    unknown = [name for name in keys if curves[name].isna().any()]
    if unknown:  # which grouping would leave out without a word
        mend = "fill them in or leave these rows out"
        raise AlodError(f"rows without {', '.join(unknown)}: expected a value in each; {mend}")
    doubled = curves.loc[curves.duplicated(keys), keys]
    if len(doubled):
        where = ", ".join(f"{name} {value}" for name, value in doubled.iloc[0].items())
        mend = "select one value of whatever else varies, or compare by it"
        raise AlodError(f"two rows for {where}: expected one; {mend}")


def check_columns(table: DataFrame, columns: Columns) -> None:
    """Refuse a `table` without rows, or without one of the `columns`."""
    missing = ", ".join(column for column in columns if column not in table)
    if missing:
        told = f"the columns {', '.join(columns)}; it has {', '.join(map(str, table.columns))}"
        raise AlodError(f"table without {missing}: expected {told}")
    if table.empty:
        raise AlodError("table without rows: expected one row per run and round")


def _check_paired(scores: DataFrame, setting: str) -> None:
    lacking = {name: scores.index[scores[name].isna()] for name in scores}
    gaps = [f"{n} lacks {', '.join(map(str, seeds))}" for n, seeds in lacking.items() if len(seeds)]
    if gaps:
        mend = "run the missing seeds or leave them out everywhere"
        raise AlodError(f"seeds of {setting} are not paired: {'; '.join(gaps)}; {mend}")
    if len(scores) < 2 or scores.shape[1] < 2:
        there = f"{scores.shape[1]} to compare and {len(scores)} seeds"
        raise AlodError(f"{setting} has {there}: expected at least two of each; run more")
