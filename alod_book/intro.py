"""What the front page says alone: a headline of few strategies and few numbers."""

from collections.abc import Mapping, Sequence

import pandas as pd
from pandas.io.formats.style import Styler

from alod.experiments import evaluation
from alod_book import figures
from alod_book.comparisons import INTERPOLATED, labels_told
from alod_book.figures import spelled
from alod_book.figures.layout import span


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

    Examples
    --------
    >>> from alod_book import results
    >>> recorded = results.table("strategies").query("model == 'lenet5'")
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
            {name: labels_told(row) for name, row in found.to_dict("index").items()}
        )
    table = pd.DataFrame(columns).loc[list(strategies)].rename(index=spelled)
    spread = span(shown.groupby(["dataset", "strategy"])["seed"].nunique())
    (model,) = shown["model"].unique()
    return figures.table(
        table,
        caption=f"Recorded: {spelled(model)}, pools of 60,000 images, 10,000 test "
        f"images; accuracy: mean ± standard deviation of {spread} seeds; labels: median, "
        f"{INTERPOLATED}.",
    )
