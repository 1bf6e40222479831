"""What the chapter on queries draws: races, tests, levers, and batches side by side.

Parameters
----------
curves : DataFrame
    Tidy curves, a row for each round of each run: ``dataset, model, strategy, seed, n_labeled,
    test_accuracy``; of one setting if nothing else is said.
metric : str
    What sums up a curve: in :data:`alod.experiments.evaluation.METRICS`.
caption : str
    What is seen, n and units, where a table is returned.
reference : str
    The strategy that the others are measured against.
learner : ActiveLearner
    Fitted; what is asked.
data : Dataset
    What it learns from.

Examples
--------
>>> curves = results.table("strategies").query("dataset == 'mnist' and model == 'lenet5'")
>>> race(curves).layout.xaxis.title.text
'points above random'
>>> verdicts(curves, ["outlier", "margin", "random"]).data[0].y
('outlier', 'margin', 'random')
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from pandas.io.formats.style import Styler

from alod.errors import AlodError
from alod.experiments import evaluation
from alod_book import figures, positions, projection, results
from alod_book.comparisons import INTERPOLATED, behind_and_ahead, labels_told, variants
from alod_book.figures import short, spelled
from alod_book.one_run import pixels

if TYPE_CHECKING:
    from alod.data.arrays import Dataset
    from alod.learner import ActiveLearner

ORACLES = ("coverage, all mistakes", "greedy oracle")
"""Queries of ``table("ceiling")`` that know every answer."""


def race(curves: pd.DataFrame, metric: str = "auc", reference: str = "random") -> go.Figure:
    """Draw what each strategy of one setting gains over a reference.

    The title says what the three that gain most gain, and what ``outlier`` gains.
    """
    table = evaluation.gains(curves, reference, metric)
    (dataset,) = table["dataset"].unique()
    points = table.set_index("strategy")["mean_difference"] * 100
    # Three, not a winner: the best are often too close for a test to tell apart.
    named = points[points.index.isin([*points.index[:3], "outlier"])]
    told = ", ".join(f"{spelled(name)} {gain:+.1f}" for name, gain in named.items())
    return figures.gain_intervals(
        table,
        title=f"{spelled(dataset)}, points above {spelled(reference)}: {told}",
        reference=reference,
        summary=evaluation.METRICS[metric],
    )


def verdicts(
    curves: pd.DataFrame, strategies: Sequence[str], metric: str = "auc", level: float = 0.05
) -> go.Figure:
    """Draw the paired tests between `strategies`, in this order, on the seeds that all have.

    The title says how many of its rivals ``outlier`` beats at `level`, corrected by Holm's
    procedure, and how many beat it.
    """
    shown = curves[curves["strategy"].isin(strategies)]
    ordered = shown.sort_values("strategy", key=lambda own: own.map(list(strategies).index))
    tests = evaluation.compare_strategies(common_seeds(ordered), metric)
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


def overall(curves: pd.DataFrame, metric: str = "auc", reference: str = "outlier") -> go.Figure:
    """Draw what each strategy gains over a reference in the mean over several settings.

    The title says by which summary, and how many strategies are measurably behind the reference and
    ahead of it.
    """
    table = evaluation.overall_gains(curves, reference, metric)
    behind, ahead = (count or "none" for count in behind_and_ahead(table))
    title = (
        f"{evaluation.METRICS[metric].capitalize()}, mean of {table['n_settings'].iloc[0]} "
        f"settings: of {len(table)} rivals of "
        f"{spelled(reference)}, {behind} {'is' if behind in (1, 'none') else 'are'} measurably "
        f"behind it and {ahead} ahead"
    )
    summary = evaluation.METRICS[metric]
    return figures.gain_intervals(table, title=title, reference=reference, summary=summary)


def apart(
    curves: pd.DataFrame,
    metric: str = "auc",
    setting: Sequence[str] = evaluation.SETTING,
    reference: str = "outlier",
) -> go.Figure:
    """Draw mean ranks over several settings, and who is not told apart by them.

    `setting` names the columns that tell settings apart; every strategy must have run in each. The
    title says by which summary, and how many strategies are told apart from the `reference`.
    """
    table = evaluation.mean_ranks(curves, metric, setting=setting)
    ranks = table.set_index("strategy")["mean_rank"]
    behind = ranks.drop(reference) - ranks[reference]
    needed = table["critical_difference"].iloc[0]
    counts = [(behind >= needed).sum() or "none", (behind <= -needed).sum() or "none"]
    title = (
        f"Ranked by {evaluation.METRICS[metric]}: of {len(behind)} rivals of "
        f"{spelled(reference)}, {counts[0]} {'is' if counts[0] in (1, 'none') else 'are'} told "
        f"apart behind it and {counts[1]} ahead"
    )
    return figures.critical_difference(table, title=title)


def each_alone(curves: pd.DataFrame, metric: str = "auc", reference: str = "random") -> go.Figure:
    """Draw every learning curve of one setting in a panel of its own, above a reference's.

    The best by `metric` first. The title says how many of them end above the `reference`.
    """
    gains = evaluation.gains(curves, reference, metric)
    order = [reference, *gains["strategy"]]
    ends = evaluation.gains(curves, reference, "final")["mean_difference"]
    (dataset,) = gains["dataset"].unique()
    return figures.learning_panels(
        curves.sort_values("strategy", key=lambda own: own.map(order.index), kind="stable"),
        reference,
        title=f"{spelled(dataset)}: {(ends > 0).sum()} of {len(ends)} strategies end above "
        f"{spelled(reference)}",
    )


def labels_needed(curves: pd.DataFrame, accuracies: Sequence[float], caption: str = "") -> Styler:
    """Show how many labels each strategy needs for some test `accuracies`, in [0, 1].

    Medians over seeds, interpolated between the measured budgets, with how many of them got there
    where not all did; the fewest labels for the last accuracy first.
    """
    found = evaluation.targets(curves, accuracies, by=("strategy",))
    order = found[found["accuracy"] == accuracies[-1]].sort_values(
        ["labels_median", "n_reached"], ascending=[True, False], na_position="last"
    )
    found["told"] = [labels_told(row) for row in found.to_dict("records")]
    table = found.pivot_table(
        index="strategy", columns="accuracy", values="told", aggfunc="first", sort=False
    )
    table.columns = [f"{accuracy:.0%}" for accuracy in table.columns]
    told = (
        f"{caption} Median over seeds, {INTERPOLATED}; in brackets how many seeds get "
        "there if not all."
    ).strip()
    return figures.table(table.loc[order["strategy"]].rename(index=spelled), caption=told)


def by_batch(curves: pd.DataFrame, metric: str = "auc", caption: str = "") -> Styler:
    """Show what strategies gain over random by how many labels they are given at once.

    `curves` are of runs with several ``n_query``. In points of the metric, up to the last budget of
    that batch size; a star where the paired test, corrected by Holm's procedure within a column,
    has p < .05. The best with the smallest batches first.
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


def levers(curves: pd.DataFrame, metric: str = "auc") -> go.Figure:
    """Draw what each change of one lever of a strategy gains over its default.

    `curves` are of one strategy with ``strategy_params``: the default, ``{}``, and its variants.
    The title says how many changes are measurably worse and better.
    """
    (strategy,) = curves["strategy"].unique()
    names = variants(curves).str.removeprefix(f"{strategy}, ").replace(strategy, "the default")
    table = evaluation.gains(curves.assign(strategy=names), "the default", metric)
    (dataset,) = table["dataset"].unique()
    worse, better = (count or "none" for count in behind_and_ahead(table))
    return figures.gain_intervals(
        table,
        title=f"{spelled(dataset)}: of {len(table)} changes to {strategy}, {worse} lose{_s(worse)} "
        f"measurably and {better} gain{_s(better)}",
        reference="the default",
        summary=evaluation.METRICS[metric],
    )


def _s(count: int | str) -> str:
    return "s" if count in (1, "none") else ""


def ceilings(curves: pd.DataFrame, n_labeled: int = 50) -> go.Figure:
    """Draw what queries that know every answer reach, beside some that know none.

    `curves` are of ``table("ceiling")``, of one data set; the title says what the best of either
    kind reaches with `n_labeled` labels.
    """
    shown = curves.rename(columns={"query": "strategy", "held_out_accuracy": "test_accuracy"})
    (dataset,) = shown["dataset"].unique()
    means = shown[shown["n_labeled"] == n_labeled].groupby("strategy")["test_accuracy"].mean()
    knowing = means.index.isin(ORACLES)
    best = [str(own.idxmax()) for own in (means[knowing], means[~knowing])]
    return figures.learning_curves(
        shown.sort_values("strategy", key=lambda own: own.isin(ORACLES), kind="stable"),
        title=f"{spelled(dataset)}, {n_labeled} labels: {best[0]} {means[best[0]]:.1%}, the best "
        f"query that knows no answer, {best[1]}, {means[best[1]]:.1%}",
        share="accuracy, held-out training images",
    )


def screened(table: pd.DataFrame, caption: str = "") -> Styler:
    """Show how well each score tells where a classifier errs: mean AUROC.

    A row for each score and whether one detector is fitted to all that is labeled or one to each
    class, the best with the most labels first; a column for each data set and number of labels.
    `table` is ``table("screen")``.
    """
    names = {"head": "the head's own", "all": "one detector", "class": "one for each class"}
    names["pool"] = "one for each class, fitted to the pool, too"
    table = table.assign(of=table["of"].map(names))
    means = table.pivot_table(
        index=["score", "of"], columns=["dataset", "n_labeled"], values="auroc", sort=False
    )
    most = table[table["n_labeled"] == table["n_labeled"].max()]
    order = most.groupby(["score", "of"])["auroc"].mean().sort_values(ascending=False).index
    shown = means.loc[order].rename(columns=spelled, level=0).rename(index=spelled, level=0)
    shown.index = [f"{score}, {of}" for score, of in shown.index]
    told = shown.map(lambda value: "–" if np.isnan(value) else f"{value:.2f}".lstrip("0"))
    return figures.table(told, caption=caption)


def as_meant(curves: pd.DataFrame, model: str) -> go.Figure:
    """Draw the original's query as published and as meant, the literal one, and random.

    `model` is the classifier. The title says what the original's query, sorted right, gains over
    random at the end.
    """
    (dataset,) = curves["dataset"].unique()
    shown = curves[curves["strategy"].isin(["random", "outlier_topk", "original_meant"])]
    upto = shown["n_labeled"].max()
    mean = shown[shown["n_labeled"] == upto].groupby("strategy")["test_accuracy"].mean()
    gain = 100 * (mean["original_meant"] - mean["random"])
    published = results.published_curves()
    theirs = published[(published["dataset"] == dataset) & (published["model"] == model)]
    return figures.learning_curves(
        shown,
        title=f"{spelled(dataset)}: sorted right, the original's query is {abs(gain):.1f} points "
        f"{'above' if gain > 0 else 'below'} random at {upto:,} labels",
        published=theirs[theirs["n_labeled"] <= 2 * upto][["n_labeled", "test_accuracy"]],
    )


def batches(
    learner: "ActiveLearner", names: Sequence[str], k: int, seed: int = 0
) -> dict[str, NDArray[np.int64]]:
    """Ask several strategies what they want of the same learner, without answering.

    Parameters
    ----------
    names : sequence of str
        In :data:`alod.strategies.STRATEGIES`.
    k, seed : int
        Images that each may ask for, and the seed of what they draw.

    Returns
    -------
    dict of str to ndarray of int64 (k,)
        Positions in the learner's images.
    """
    from alod import strategies

    view, pool = learner.view(), learner.pool
    return {
        name: pool[strategies.STRATEGIES[name](view, k, np.random.default_rng(seed))[0]]
        for name in names
    }


def batch_grid(
    learner: "ActiveLearner", data: "Dataset", name: str, batch: NDArray[np.integer]
) -> go.Figure:
    """Draw a batch that the strategy `name` asked for, with the classes that the images have.

    The title says how many of them the classifier gets wrong.

    Parameters
    ----------
    batch : ndarray of int (k,)
        Positions in the data set.
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
        [
            short(target) if target == guess else f"{target[:3]}≠{guess[:3]}"
            for target, guess in told
        ],
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
    """Draw on one t-SNE map of the embeddings where each strategy's batch lies; a figure for each.

    The title says how far the images of the batch lie from their neighbors in the pool.

    Parameters
    ----------
    asked : mapping of str to ndarray of int (k,)
        Positions in the data set, by strategy.
    n_pool, seed : int
        Images of the pool drawn beside them; the seed of the map and of what is drawn.
    """
    rng = np.random.default_rng(seed)
    space = learner.outputs()[0].numpy()
    few = rng.choice(learner.pool, min(n_pool, len(learner.pool)), replace=False)
    shown = np.unique(np.concatenate([few, learner.labeled, *asked.values()]))
    coordinates = projection.project(space[shown], method="tsne", seed=seed)
    trust = projection.trustworthiness(space[shown], coordinates)
    maps = []
    for name, batch in asked.items():
        remote = positions.remoteness(space, batch)
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


def common_seeds(curves: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of `curves` whose seed every strategy of their setting has: all are paired."""
    by = list(evaluation.SETTING)
    evaluation.check_columns(curves, [*by, "strategy", "seed"])
    everyone = curves.groupby(by, observed=True)["strategy"].transform("nunique")
    present = curves.groupby([*by, "seed"], observed=True)["strategy"].transform("nunique")
    kept = curves[present == everyone]
    settings, left = (len(table[by].drop_duplicates()) for table in (curves, kept))
    if left < settings:
        lacking = f"{settings - left} of {settings} settings"
        raise AlodError(f"{lacking} have no seed that every strategy has; run the missing ones")
    return kept
