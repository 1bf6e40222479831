"""What the chapter on pools that nobody has cleaned draws: what is wasted, and what is reached.

Parameters
----------
curves : DataFrame
    Tidy curves, a row for each round of each run: ``dataset, model, pool, strategy, seed,
    n_labeled, n_foreign, test_accuracy``.
metric : str
    What sums up a curve: in :data:`alod.experiments.evaluation.METRICS`.
caption : str
    What is seen, n and units, where a table is returned.

Examples
--------
>>> from alod_book.comparisons import variants
>>> from alod_book import results
>>> rows = results.table("stress").query("model == 'lenet5' and pool == 'foreign_20'")
>>> table = against_outlier(rows.assign(strategy=variants(rows)))
>>> table.data.loc["outlier", "less than outlier"]
'–'
"""

import json
from typing import TYPE_CHECKING

import pandas as pd
import plotly.graph_objects as go
from pandas.io.formats.style import Styler

from alod.experiments import evaluation
from alod_book import figures
from alod_book.comparisons import SUMMARIES, behind_and_ahead, p_told, variants
from alod_book.figures import short, spelled
from alod_book.one_run import pixels

if TYPE_CHECKING:
    from alod.data.arrays import Dataset
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


def against_outlier(curves: pd.DataFrame, metric: str = "auc", caption: str = "") -> Styler:
    """Show for each strategy on one pool what it wastes, what it reaches and how sure that is.

    In percent, the best mean first; means over seeds, with the paired difference to ``outlier`` in
    points of the metric and its p-value, corrected by Holm's procedure.
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
            "p": tests["p_holm"].map(p_told),
        }
    )
    order = means.sort_values(ascending=False).index
    return figures.table(table.loc[order].fillna("–").rename(index=spelled), caption=caption)


def pools(curves: pd.DataFrame, metric: str = "auc", caption: str = "") -> Styler:
    """Show how ``outlier`` fares against the best of its rivals on several pools of one data set.

    A row for each pool and classifier: labels spent on foreign images, by ``margin`` too; the mean
    of the metric in percent; the best rival, and its p-value, corrected by Holm's procedure over
    all rivals.
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
            "p": p_told(best["p_holm"]),
            "rivals behind": f"{behind_and_ahead(own)[0]} of {len(own)}",
            "seeds": best["n_seeds"],
        }
    return figures.table(pd.DataFrame.from_dict(rows, orient="index"), caption=caption)


def filter_and_query(
    curves: pd.DataFrame, metric: str = "final", reference: str = "outlier"
) -> go.Figure:
    """Draw apart what the filter gives on one pool, and what each query gives.

    ``strategy_params`` says who has the filter (``two_sided``); ``outlier`` has it by default. The
    title says how many rivals with it are measurably behind the `reference`, and ahead of it.
    """
    filtered = [
        json.loads(params).get("two_sided", strategy == "outlier")
        for strategy, params in curves[["strategy", "strategy_params"]].to_numpy()
    ]
    names = variants(curves).str.replace(r", (not )?two sided", "", regex=True)
    named = curves.assign(strategy=names, filtered=filtered)
    end = named[named["n_labeled"] == named["n_labeled"].max()]
    areas = evaluation.areas(named, metric, setting=(*evaluation.SETTING, "filtered"))
    by = ["strategy", "filtered"]
    means = areas.groupby(by)[metric].mean().rename("accuracy").to_frame()
    means["foreign"] = end.groupby(by)["n_foreign"].mean() / end["n_labeled"].iloc[0]
    tests = evaluation.gains(named[named["filtered"]], reference, metric)
    behind, ahead = (count or "none" for count in behind_and_ahead(tests))
    (dataset,) = tests["dataset"].unique()
    return figures.filter_and_query(
        means.reset_index(),
        tests,
        title=f"{spelled(dataset)}: of {len(tests)} rivals with the same filter, {behind} "
        f"{'is' if behind in (1, 'none') else 'are'} measurably behind {spelled(reference)} and "
        f"{ahead} ahead",
        reference=reference,
        share=f"accuracy {SUMMARIES[metric]}",
    )


def last_query(run: "Run", data: "Dataset", n: int = 20) -> go.Figure:
    """Draw the first `n` images of a run's last query, and mark the foreign ones.

    The title says how many of the whole query are foreign.

    Parameters
    ----------
    run : Run
        Finished.
    data : Dataset
        What it ran on: of a stress pool, as :func:`alod.experiments.stress.make` returns it.
    """
    asked = run.asked(run.config.rounds)
    names = [data.classes[t] if t >= 0 else "foreign" for t in data.targets[asked]]
    foreign = names.count("foreign")
    return figures.image_grid(
        pixels(data, asked[:n]),
        ["×" if name == "foreign" else short(name) for name in names[:n]],
        title=f"{spelled(run.config.strategy)}: {foreign} of the last {len(asked)} asked for are "
        "foreign",
        hover=names[:n],
        note="captions: the answers; × is foreign",
    )
