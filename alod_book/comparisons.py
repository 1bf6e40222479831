"""What many runs say of classifiers, strategies and pools, in figures and tables."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from pandas.io.formats.style import Styler

from alod.experiments import evaluation
from alod_book import figures
from alod_book.figures import spelled

if TYPE_CHECKING:
    from alod.experiments.run import Run

POOL_NAMES = {
    "clean": "clean",
    "foreign_5": "5 % foreign",
    "foreign_20": "20 % foreign",
    "foreign_40": "40 % foreign",
    "foreign_hard_20": "20 % broken",
    "duplicates": "three copies each",
    "long_tail": "long tail",
}

# What a curve is summed up by, short enough for a column.
SUMMARIES = {"auc": "over log-labels", "auc_linear": "over labels", "final": "at the end"}

# Of labels that reach a level which no measured budget need have.
INTERPOLATED = "interpolated between the measured budgets"

# --- comparisons of classifiers ---------------------------------------------------------------


def share_of_full_set(
    curves: pd.DataFrame, ceilings: Mapping[str, float], n_images: int
) -> go.Figure:
    """Draw the classifiers of one data set against the share of labels, with full-set levels.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one data set: ``dataset, model, seed, round, n_labeled, test_accuracy``.
    ceilings : mapping of str to float
        Accuracy of each classifier after training on every label, in [0, 1].
    n_images : int
        Images in the pool before anything was labeled.

    Returns
    -------
    plotly.graph_objects.Figure
        Its title says what share of the full-set accuracy the first classifier has.

    Examples
    --------
    >>> history = {"round": [0, 1], "n_labeled": [50, 100], "test_accuracy": [0.7, 0.8]}
    >>> curves = pd.DataFrame({"dataset": "mnist_mini", "model": "cnn", "seed": 0, **history})
    >>> share_of_full_set(curves, {"cnn": 0.96}, 6000).layout.meta["alt"].partition(". ")[0]
    'MNIST: the CNN has 83% of its full-set accuracy with 1.7% of the labels'
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
    caption : str
        What is seen, n and units.

    Returns
    -------
    pandas.io.formats.style.Styler

    Examples
    --------
    >>> import alod
    >>> data = alod.load_dataset("mnist_mini")
    >>> config = alod.ExperimentConfig(
    ...     model="lenet5", n_initial=20, n_query=10, rounds=1, steps=5, keep_embeddings=True
    ... )
    >>> run = alod.run_experiment(config, "run", data, on_round=lambda row: None)
    >>> table = cost_table([run], {("mnist_mini", "lenet5"): 0.97}, caption="One seed.")
    >>> table.data["parameters"].tolist()
    ['61,706']
    """
    from alod import models, training

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
                "parameters": f"{training.parameter_count(network):,}",
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

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one data set, as for `share_of_full_set`.
    model : str
        The classifier that the title compares.
    ceilings : mapping of str to float, optional
        Accuracy of each classifier after training on every label with our recipe, in [0, 1].

    Returns
    -------
    plotly.graph_objects.Figure

    Examples
    --------
    >>> history = {"round": [0, 1], "n_labeled": [50, 100], "test_accuracy": [0.7, 0.8]}
    >>> curves = pd.DataFrame({"dataset": "mnist_mini", "model": "cnn", "seed": 0, **history})
    >>> beside_published(curves).layout.meta["alt"].partition(";")[0]
    'MNIST: our CNN has 80.0% at 100 labels'
    """
    (dataset,) = curves["dataset"].unique()
    published = evaluation.published_curves()
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


def beside_original(curves: pd.DataFrame, full: pd.DataFrame) -> Styler:
    """Show how many labels it takes to be as good as the original work reports to be.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves on pools of 60,000 images: ``dataset, model, seed, n_labeled, test_accuracy``
        and, where they differ, ``min_epochs`` and ``views``.
    full : DataFrame
        Such rows of runs that learned all labels with our recipe, predicting from as many views.

    Returns
    -------
    pandas.io.formats.style.Styler
        A row for each setting: the best of the original's published curve with its labels, ours for
        as much; its accuracy with all labels, ours for as much, both interpolated between the
        measured budgets; where ours end, and what ours reach with all labels.

    Examples
    --------
    >>> curves = evaluation.recorded("few_labels").query("inlier_passes > 0")
    >>> beside_original(curves, evaluation.recorded("full_set")).data["ours", "labels"].iloc[0]
    '500'
    """
    published = evaluation.published_curves()
    rows = {}
    settings = list(_settings(curves))
    for (dataset, model), name, own in settings:
        theirs = published[(published["dataset"] == dataset) & (published["model"] == model)]
        best = theirs.iloc[theirs["test_accuracy"].argmax()]
        everything = evaluation.PUBLISHED_FULL_SET[dataset, model]
        found = evaluation.targets(own, [best["test_accuracy"], everything]).to_dict("records")
        end = own[own["n_labeled"] == own["n_labeled"].max()]
        rows[name] = {
            ("the original's curve", "best %"): f"{100 * best['test_accuracy']:.1f}",
            ("the original's curve", "labels"): f"{best['n_labeled']:,}",
            ("the original's curve", "ours need"): _labels(found[0]),
            ("the original, all labels", "%"): f"{100 * everything:.1f}",
            ("the original, all labels", "ours need"): _labels(found[1]),
            ("ours", "labels"): f"{end['n_labeled'].iloc[0]:,}",
            ("ours", "%"): _percent(end),
            ("ours", "% with all"): f"{100 * _ceiling(full, own)['test_accuracy'].mean():.1f}",
        }
    seeds = _span(pd.Series([own["seed"].nunique() for _, _, own in settings]))
    all_seeds = _span(pd.Series([len(_ceiling(full, own)) for _, _, own in settings]))
    caption = (
        "Recorded: pools of 60,000 images, test accuracy. The original's figures as reported, each "
        f"beside the labels that ours need for as much (median, {INTERPOLATED}; in brackets how "
        "many seeds get there if not all); where ours end (mean ± standard deviation) and what "
        f"they reach with all labels (mean). Seeds: {seeds}; with all labels: {all_seeds}."
    )
    return figures.table(pd.DataFrame.from_dict(rows, orient="index"), caption=caption)


def what_it_took(curves: pd.DataFrame, full: pd.DataFrame, caption: str = "") -> Styler:
    """Show what share of labels and of full-set accuracy recorded runs end with, and their time.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves: ``dataset, model, seed, n_labeled, test_accuracy, fit_seconds, infer_seconds,
        query_seconds`` and, where they differ, ``min_epochs`` and ``views``; a row for each round.
    full : DataFrame
        Such rows of runs that learned all labels, predicting from as many views.
    caption : str
        What is seen; on which machine the seconds were taken.

    Returns
    -------
    pandas.io.formats.style.Styler
        A row for each setting. Seconds are medians over seeds, all of a round's work together.

    Examples
    --------
    >>> curves = evaluation.recorded("few_labels").query("inlier_passes > 0")
    >>> what_it_took(curves, evaluation.recorded("full_set")).data["of all labels"].iloc[0]
    '0.8 %'
    """
    rows = []
    for _, name, own in _settings(curves):
        all_labels = _ceiling(full, own)
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


def _in_order(curves: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the pairs of data set and classifier, in the order in which the book has them."""
    known = (list(figures.DATASET_NAMES), list(figures.MODEL_NAMES))
    pairs = curves[list(evaluation.SETTING)].drop_duplicates().itertuples(index=False, name=None)
    return sorted(pairs, key=lambda pair: (known[0].index(pair[0]), known[1].index(pair[1])))


def _settings(curves: pd.DataFrame) -> Iterator[tuple[tuple[str, str], str, pd.DataFrame]]:
    """Yield data set and classifier, their name, and their rows, for each recipe apart."""
    curves = _with_recipe(curves)
    for dataset, model in _in_order(curves):
        own = curves[(curves["dataset"] == dataset) & (curves["model"] == model)]
        for (views, n), rows in own.groupby(["views", "min_epochs"]):
            longer = f", {n} epochs" if n else ""
            seen = f", {views} views" if views else ""
            yield (dataset, model), f"{spelled(dataset)}, {spelled(model)}{longer}{seen}", rows


def _ceiling(full: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with all labels that belong to the rows of one of the settings."""
    keys = [*evaluation.SETTING, "views"]
    return _with_recipe(full).merge(own[keys].drop_duplicates(), on=keys)


def _with_recipe(curves: pd.DataFrame) -> pd.DataFrame:
    """Add what no run of a table differs in, at its default."""
    return curves.assign(**{name: 0 for name in ("min_epochs", "views") if name not in curves})


def _percent(runs: pd.DataFrame) -> str:
    """Return mean and standard deviation of the accuracy of some runs, which no line breaks."""
    accuracy = 100 * runs["test_accuracy"]
    spread = "" if len(runs) == 1 else f" ± {accuracy.std():.1f}"
    return f"{accuracy.mean():.1f}{spread}".replace(" ", "\N{NO-BREAK SPACE}")


def _span(counts: pd.Series) -> str:
    low, high = counts.min(), counts.max()
    return f"{low}" if low == high else f"{low} to {high}"


# --- comparisons of strategies ----------------------------------------------------------------


def variants(curves: pd.DataFrame) -> pd.Series:
    """Name what was run: the strategy, and what its parameters change from the default.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves: ``strategy`` and, where it varies, ``strategy_params`` as JSON.

    Returns
    -------
    Series of str
        One for each row, such as ``outlier`` or ``margin, two sided``.

    Examples
    --------
    >>> curves = pd.DataFrame({"strategy": ["outlier"], "strategy_params": ['{"focus": 4}']})
    >>> list(variants(curves))
    ['outlier, focus 4']
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


def race(curves: pd.DataFrame, metric: str = "auc", reference: str = "random") -> go.Figure:
    """Draw what each strategy of one setting gains over a reference.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one setting.
    metric : str
        In :data:`alod.experiments.evaluation.METRICS`.
    reference : str
        The strategy that the others are measured against.

    Returns
    -------
    plotly.graph_objects.Figure
        Its title says what the three that gain most gain, and what ``outlier`` gains.

    Examples
    --------
    >>> curves = evaluation.recorded("strategies").query("dataset == 'mnist' and model == 'lenet5'")
    >>> race(curves).layout.xaxis.title.text
    'points above random'
    """
    table = evaluation.gains(curves, reference, metric)
    (dataset,) = table["dataset"].unique()
    points = table.set_index("strategy")["mean_difference"] * 100
    # Three, not a winner: the best are often too close for a test to tell apart.
    named = points[points.index.isin([*points.index[:3], "outlier"])]
    told = ", ".join(f"{spelled(name)} {gain:+.1f}" for name, gain in named.items())
    return figures.gains(
        table,
        title=f"{spelled(dataset)}, points above {spelled(reference)}: {told}",
        reference=reference,
        summary=evaluation.METRICS[metric],
    )


def verdicts(
    curves: pd.DataFrame, strategies: Sequence[str], metric: str = "auc", level: float = 0.05
) -> go.Figure:
    """Draw the paired tests between some strategies of one setting, on the seeds that all have.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one setting.
    strategies : sequence of str
        Which to compare, in this order.
    metric : str
        In :data:`alod.experiments.evaluation.METRICS`.
    level : float
        Of the tests, corrected by Holm's procedure.

    Returns
    -------
    plotly.graph_objects.Figure
        Its title says how many of its rivals ``outlier`` beats, and how many beat it.

    Examples
    --------
    >>> curves = evaluation.recorded("strategies").query("dataset == 'mnist' and model == 'lenet5'")
    >>> verdicts(curves, ["outlier", "margin", "random"]).data[0].y
    ('outlier', 'margin', 'random')
    """
    shown = curves[curves["strategy"].isin(strategies)]
    ordered = shown.sort_values("strategy", key=lambda own: own.map(list(strategies).index))
    tests = evaluation.compare_strategies(evaluation.common_seeds(ordered), metric)
    (dataset,) = tests["dataset"].unique()
    sure = tests[tests["p_holm"] < level]
    winners = np.where(sure["mean_difference"] > 0, sure["first"], sure["second"])
    ours = (sure["first"] == "outlier") | (sure["second"] == "outlier")
    won = int((winners[ours] == "outlier").sum())
    lost = int(ours.sum()) - won
    rivals = shown["strategy"].nunique() - 1
    return figures.pairwise_matrix(
        tests,
        title=f"{spelled(dataset)}: outlier beats {won} of {rivals} rivals, "
        f"{lost or 'none'} beat{'s' if lost == 1 else ''} it",
        level=level,
    )


def ranks(curves: pd.DataFrame, metric: str = "auc", caption: str = "") -> Styler:
    """Show the mean rank of each strategy by every summary, and its accuracy in each setting.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves; strategies that are missing in a setting are left out.
    metric : str
        In :data:`alod.experiments.evaluation.METRICS`: of the accuracies, and the rows' order.
    caption : str
        What is seen, n and units.

    Returns
    -------
    pandas.io.formats.style.Styler

    Examples
    --------
    >>> recorded = evaluation.recorded("strategies").query("strategy in ['outlier', 'random']")
    >>> sorted(ranks(recorded).data.index)
    ['outlier', 'random']
    """
    everywhere = curves.groupby("strategy")[list(evaluation.SETTING)].apply(
        lambda own: len(own.drop_duplicates())
    )
    kept = curves[curves["strategy"].map(everywhere) == everywhere.max()]
    order = evaluation.rank_strategies(kept, metric)["strategy"]
    means = evaluation.areas(kept, metric).pivot_table(
        index="strategy", columns=list(evaluation.SETTING), values=metric, sort=False
    )
    pairs = _in_order(kept)
    table = 100 * means.loc[order, pairs]
    # Two rows of names, which fit the page.
    table.columns = pd.MultiIndex.from_tuples([(spelled(d), spelled(m)) for d, m in pairs])
    for place, (summary, told) in enumerate(SUMMARIES.items()):
        ranked = evaluation.rank_strategies(kept, summary).set_index("strategy")
        table.insert(place, ("mean rank", told), ranked["mean_rank"])
    return figures.table(table.rename(index=spelled), caption=caption)


def overall(curves: pd.DataFrame, metric: str = "auc", reference: str = "outlier") -> go.Figure:
    """Draw what each strategy gains over a reference in the mean over several settings.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of several settings.
    metric : str
        In :data:`alod.experiments.evaluation.METRICS`.
    reference : str
        The strategy that the others are measured against.

    Returns
    -------
    plotly.graph_objects.Figure
        Its title says by which summary, and how many strategies are measurably behind the
        reference and ahead of it.

    Examples
    --------
    >>> recorded = evaluation.recorded("strategies").query("strategy in ['outlier', 'random']")
    >>> overall(recorded).layout.xaxis.title.text
    'points above outlier'
    """
    table = evaluation.overall_gains(curves, reference, metric)
    behind, ahead = (count or "none" for count in _behind_and_ahead(table))
    title = (
        f"{evaluation.METRICS[metric].capitalize()}, mean of {table['n_settings'].iloc[0]} "
        f"settings: of {len(table)} rivals of "
        f"{spelled(reference)}, {behind} {'is' if behind in (1, 'none') else 'are'} measurably "
        f"behind it and {ahead} ahead"
    )
    summary = evaluation.METRICS[metric]
    return figures.gains(table, title=title, reference=reference, summary=summary)


def by_batch(curves: pd.DataFrame, metric: str = "auc", caption: str = "") -> Styler:
    """Show what strategies gain over random by how many labels they are given at once.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one data set and classifier, runs with several ``n_query``.
    metric : str
        In :data:`alod.experiments.evaluation.METRICS`.
    caption : str
        What is seen, n and units.

    Returns
    -------
    pandas.io.formats.style.Styler
        In points of the metric, up to the last budget of that batch size; a star where the paired
        test, corrected by Holm's procedure within a column, has p < .05. The best with the smallest
        batches first.

    Examples
    --------
    >>> table = by_batch(evaluation.recorded("batch_size"))
    >>> table.data.columns[0]
    '10 at once, to 300'
    """
    setting = (*evaluation.SETTING, "n_query")
    table = evaluation.gains(curves, "random", metric, setting=setting)
    points = (100 * table["mean_difference"]).map("{:+.1f}".format)
    ends = curves.groupby("n_query")["n_labeled"].max()
    told = table.assign(
        told=points + np.where(table["p_holm"] < 0.05, " *", ""),
        batch=table["n_query"].map(lambda n: f"{n} at once, to {ends[n]:,}"),
    ).sort_values(["n_query", "mean_difference"], ascending=[True, False])
    wide = told.pivot_table(
        index="strategy", columns="batch", values="told", aggfunc="first", sort=False
    )
    return figures.table(wide.rename(index=spelled), caption=caption)


def learning(curves: pd.DataFrame, strategies: Sequence[str]) -> go.Figure:
    """Draw the learning curves of some strategies of one setting.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one setting.
    strategies : sequence of str
        Which to draw.

    Returns
    -------
    plotly.graph_objects.Figure
        Its title says what each of the first and last strategies reach at the end.

    Examples
    --------
    >>> curves = evaluation.recorded("strategies").query("dataset == 'mnist' and model == 'lenet5'")
    >>> fig = learning(curves, ["random", "outlier"])
    >>> [trace.name for trace in fig.data if trace.name]
    ['random', 'outlier']
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


def as_meant(curves: pd.DataFrame, model: str) -> go.Figure:
    """Draw the original's query as published and as meant, the literal one, and random.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one setting.
    model : str
        The classifier.

    Returns
    -------
    plotly.graph_objects.Figure
        Its title says what the original's query, sorted right, gains over random at the end.

    Examples
    --------
    >>> curves = evaluation.recorded("strategies").query("dataset == 'mnist' and model == 'lenet5'")
    >>> fig = as_meant(curves, "lenet5")
    >>> fig.layout.xaxis.title.text, "as published" in {trace.name for trace in fig.data}
    ('labels', True)
    """
    (dataset,) = curves["dataset"].unique()
    shown = curves[curves["strategy"].isin(["random", "outlier_topk", "original_meant"])]
    upto = shown["n_labeled"].max()
    mean = shown[shown["n_labeled"] == upto].groupby("strategy")["test_accuracy"].mean()
    gain = 100 * (mean["original_meant"] - mean["random"])
    published = evaluation.published_curves()
    theirs = published[(published["dataset"] == dataset) & (published["model"] == model)]
    return figures.learning_curves(
        shown,
        title=f"{spelled(dataset)}: sorted right, the original's query is {abs(gain):.1f} points "
        f"{'above' if gain > 0 else 'below'} random at {upto:,} labels",
        published=theirs[theirs["n_labeled"] <= 2 * upto][["n_labeled", "test_accuracy"]],
    )


def headline(
    curves: pd.DataFrame, strategies: Sequence[str], targets: Mapping[str, float]
) -> Styler:
    """Show what strategies reach at the end of the budget, and how many labels a target takes.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one classifier.
    strategies : sequence of str
        Which to show, in this order.
    targets : mapping of str to float
        For each data set, the test accuracy to reach, in [0, 1].

    Returns
    -------
    pandas.io.formats.style.Styler

    Examples
    --------
    >>> recorded = evaluation.recorded("strategies").query("model == 'lenet5'")
    >>> list(headline(recorded, ["random", "outlier"], {"mnist": 0.95}).data.index)
    ['random', 'outlier']
    """
    shown = curves[curves["strategy"].isin(strategies)]
    columns = {}
    for dataset, target in targets.items():
        own = shown[shown["dataset"] == dataset]
        upto = own["n_labeled"].max()
        end = own[own["n_labeled"] == upto].groupby("strategy")["test_accuracy"]
        found = evaluation.targets(own, [target], by=("strategy",)).set_index("strategy")
        columns[f"{spelled(dataset)}, {upto:,} labels"] = (100 * end.mean()).map(
            "{:.1f} %".format
        ) + (100 * end.std()).map(" ± {:.1f}".format)
        columns[f"labels for {target:.0%}"] = pd.Series(
            {name: _labels(row) for name, row in found.to_dict("index").items()}
        )
    table = pd.DataFrame(columns).loc[list(strategies)].rename(index=spelled)
    spread = _span(shown.groupby(["dataset", "strategy"])["seed"].nunique())
    (model,) = shown["model"].unique()
    return figures.table(
        table,
        caption=f"Recorded: {spelled(model)}, pools of 60,000 images, 10,000 test "
        f"images; accuracy: mean ± standard deviation of {spread} seeds; labels: median, "
        f"{INTERPOLATED}.",
    )


def labels_needed(curves: pd.DataFrame, accuracies: Sequence[float], caption: str = "") -> Styler:
    """Show how many labels each strategy of one setting needs for some accuracies.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one setting: ``strategy, seed, n_labeled, test_accuracy``.
    accuracies : sequence of float
        Test accuracies to reach, in [0, 1].
    caption : str
        What is seen; how the labels were counted is added.

    Returns
    -------
    pandas.io.formats.style.Styler
        Medians over seeds, interpolated between the measured budgets, with how many of them got
        there where not all did; the fewest labels for the last accuracy first.

    Examples
    --------
    >>> curves = evaluation.recorded("strategies").query("dataset == 'mnist' and model == 'lenet5'")
    >>> list(labels_needed(curves, [0.9, 0.95]).data.columns)
    ['90%', '95%']
    """
    found = evaluation.targets(curves, accuracies, by=("strategy",))
    order = found[found["accuracy"] == accuracies[-1]].sort_values(
        ["labels_median", "n_reached"], ascending=[True, False], na_position="last"
    )
    found["told"] = [_labels(row) for row in found.to_dict("records")]
    table = found.pivot_table(
        index="strategy", columns="accuracy", values="told", aggfunc="first", sort=False
    )
    table.columns = [f"{accuracy:.0%}" for accuracy in table.columns]
    told = (
        f"{caption} Median over seeds, {INTERPOLATED}; in brackets how many seeds get "
        "there if not all."
    ).strip()
    return figures.table(table.loc[order["strategy"]].rename(index=spelled), caption=told)


def _labels(row: Mapping[Any, Any]) -> str:
    everyone = row["n_reached"] == row["n_seeds"]
    seeds = "" if everyone else f" ({row['n_reached']:.0f} of {row['n_seeds']:.0f})"
    median = row["labels_median"]
    return ("not reached" if np.isnan(median) else f"{median:,.0f}") + seeds


# --- pools that nobody has cleaned -------------------------------------------------------------


def waste(curves: pd.DataFrame, rival: str = "margin") -> go.Figure:
    """Draw what share of the labels so far went to foreign images, by strategy.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one setting and pool: ``dataset, model, strategy, seed, n_labeled,
        n_foreign``.
    rival : str
        The strategy that the title holds beside ``outlier``.

    Returns
    -------
    plotly.graph_objects.Figure
        Its title says how many labels both have spent at the end, and that ``outlier`` filters.

    Examples
    --------
    >>> rows = evaluation.recorded("stress").query("model == 'lenet5' and pool == 'foreign_20'")
    >>> waste(rows.query("strategy_params == '{}'")).layout.yaxis.title.text
    'labels spent on foreign images'
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


def against_outlier(curves: pd.DataFrame, metric: str = "auc", caption: str = "") -> Styler:
    """Show for each strategy on one pool what it wastes, what it reaches and how sure that is.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one setting and pool, with ``n_foreign``.
    metric : str
        In :data:`alod.experiments.evaluation.METRICS`.
    caption : str
        What is seen, n and units.

    Returns
    -------
    pandas.io.formats.style.Styler
        In percent, the best mean first; means over seeds, with the paired difference to
        ``outlier`` in points of the metric and its p-value, corrected by Holm's procedure.

    Examples
    --------
    >>> rows = evaluation.recorded("stress").query("model == 'lenet5' and pool == 'foreign_20'")
    >>> table = against_outlier(rows.assign(strategy=variants(rows)))
    >>> table.data.loc["outlier", "less than outlier"]
    '–'
    """
    end = curves[curves["n_labeled"] == curves["n_labeled"].max()].groupby("strategy")
    means = 100 * evaluation.areas(curves, metric).groupby("strategy")[metric].mean()
    tests = evaluation.gains(curves, "outlier", metric).set_index("strategy")
    spread = end["n_foreign"].std().map(" ± {:.0f}".format)
    table = pd.DataFrame(
        {
            "foreign labels": end["n_foreign"].mean().map("{:.0f}".format) + spread,
            "final accuracy": (100 * end["test_accuracy"].mean()).map("{:.1f}".format),
            f"accuracy {SUMMARIES[metric]}": means.map("{:.1f}".format),
            "less than outlier": (-100 * tests["mean_difference"]).map("{:.1f}".format),
            "p": tests["p_holm"].map(_p),
        }
    )
    order = means.sort_values(ascending=False).index
    return figures.table(table.loc[order].fillna("–").rename(index=spelled), caption=caption)


def pools(curves: pd.DataFrame, metric: str = "auc", caption: str = "") -> Styler:
    """Show how ``outlier`` fares against the best of its rivals on several pools.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one data set: ``pool, model, strategy, seed, n_labeled, n_foreign,
        test_accuracy``; ``margin`` among the strategies.
    metric : str
        In :data:`alod.experiments.evaluation.METRICS`.
    caption : str
        What is seen, n and units.

    Returns
    -------
    pandas.io.formats.style.Styler
        A row for each pool and classifier: labels spent on foreign images; the mean of the metric
        in percent; the best rival, and its p-value, corrected by Holm's procedure over all rivals.

    Examples
    --------
    >>> rows = evaluation.recorded("stress").query("strategy_params == '{}'")
    >>> pools(rows).data.loc["20 % foreign, CNN", "the best rival"].partition(" ")[0]
    'dbal'
    """
    setting = ("pool", "model")
    areas = evaluation.areas(curves, metric, setting=setting)
    means = 100 * areas.groupby([*setting, "strategy"], sort=False)[metric].mean()
    tests = evaluation.gains(curves, "outlier", metric, setting=setting)
    order = [(pool, model) for pool in POOL_NAMES for model in ("lenet5", "cnn", "resnet18")]
    rows = {}
    for pool, model in order:
        own = tests[(tests["pool"] == pool) & (tests["model"] == model)]
        if own.empty:
            continue
        here = curves[(curves["pool"] == pool) & (curves["model"] == model)]
        end = here[here["n_labeled"] == here["n_labeled"].max()]
        foreign = end.groupby("strategy")["n_foreign"].mean()
        best = own.iloc[0]
        rival = best["strategy"]
        rows[f"{POOL_NAMES[pool]}, {spelled(model)}"] = {
            "foreign: outlier": f"{foreign['outlier']:.0f}",
            "margin": f"{foreign['margin']:.0f}",
            "accuracy: outlier": f"{means[pool, model, 'outlier']:.1f}",
            "the best rival": f"{spelled(rival)} {means[pool, model, rival]:.1f}",
            "p": _p(best["p_holm"]),
            "rivals behind": f"{_behind_and_ahead(own)[0]} of {len(own)}",
            "seeds": best["n_seeds"],
        }
    return figures.table(pd.DataFrame.from_dict(rows, orient="index"), caption=caption)


def _behind_and_ahead(tests: pd.DataFrame) -> tuple[int, int]:
    """Count who is measurably behind the reference of some tests, and who ahead of it."""
    sure = tests[tests["p_holm"] < 0.05]["mean_difference"]
    return int((sure < 0).sum()), int((sure > 0).sum())


def _p(value: float) -> str:
    return "<\u00a0.001" if value < 0.001 else f"{value:.3f}".lstrip("0")


def levers(curves: pd.DataFrame, metric: str = "auc") -> go.Figure:
    """Draw what each change of one lever of a strategy gains over its default.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one setting and strategy, with ``strategy_params``: the default, ``{}``,
        and its variants.
    metric : str
        In :data:`alod.experiments.evaluation.METRICS`.

    Returns
    -------
    plotly.graph_objects.Figure
        Its title says how many changes are measurably worse and better.

    Examples
    --------
    >>> levers(evaluation.recorded("ablation").query("dataset == 'mnist'")).layout.xaxis.title.text
    'points above the default'
    """
    (strategy,) = curves["strategy"].unique()
    names = variants(curves).str.removeprefix(f"{strategy}, ").replace(strategy, "the default")
    table = evaluation.gains(curves.assign(strategy=names), "the default", metric)
    (dataset,) = table["dataset"].unique()
    worse, better = (count or "none" for count in _behind_and_ahead(table))
    return figures.gains(
        table,
        title=f"{spelled(dataset)}: of {len(table)} changes to {strategy}, {worse} lose{_s(worse)} "
        f"measurably and {better} gain{_s(better)}",
        reference="the default",
        summary=evaluation.METRICS[metric],
    )


def _s(count: int | str) -> str:
    return "s" if count in (1, "none") else ""


# --- what all of them need -----------------------------------------------------------------------


def how_sure(curves: pd.DataFrame) -> str:
    """Say how many seeds a recorded result has, and what that allows to believe.

    Parameters
    ----------
    curves : DataFrame
        With a column ``seed``.

    Returns
    -------
    str
        Markdown.

    Examples
    --------
    >>> how_sure(pd.DataFrame({"seed": [0, 1, 2, 3, 4]}))
    '*Recorded with 5 seeds.*'
    """
    n = curves["seed"].nunique()
    told = f"Recorded with {n} seed{'s' if n > 1 else ''}"
    few = ": enough to see large differences, too few to believe small ones" if n < 5 else ""
    return f"*{told}{few}.*"
