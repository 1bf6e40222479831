"""What is said of foreign images is counted."""

from dataclasses import replace

import numpy as np
import pandas as pd
from toy_curves import race_curves, title, unclean_curves

from alod.experiments import evaluation
from alod_book import messy_pools


def test_strategies_on_one_pool_are_held_against_outlier():
    curves = unclean_curves()
    table = messy_pools.against_outlier(curves).data
    assert list(table.index) == ["outlier", "margin", "random"]
    assert table["foreign labels"].tolist() == ["10 ± 0", "100 ± 0", "40 ± 0"]
    tests = evaluation.gains(curves, "outlier").set_index("strategy")
    for rival in ("margin", "random"):
        lack = -100 * tests.loc[rival, "mean_difference"]
        assert table.loc[rival, "less than outlier"] == f"{lack:.1f}"
        assert (table.loc[rival, "p"] == "<\u00a0.001") == (tests.loc[rival, "p_holm"] < 0.001)


def test_pools_are_told_with_the_best_rival():
    def on(pool, lead, **columns):
        return race_curves(lead).assign(pool=pool, **columns)

    won = on("foreign_20", 0.03)
    won["n_foreign"] = np.where(won["strategy"] == "outlier", 7, 90)
    table = messy_pools.pools(pd.concat([on("long_tail", 0.0, n_foreign=0), won])).data
    assert list(table.index) == ["20 % foreign, LeNet5", "long tail, LeNet5"]
    first, second = table.to_dict("records")
    assert (first["foreign: outlier"], first["margin"]) == ("7", "90")
    assert first["the best rival"].startswith("margin ") and first["rivals behind"] == "4 of 4"
    areas = evaluation.areas(won).groupby("strategy")["auc"].mean()
    assert first["accuracy: outlier"] == f"{100 * areas['outlier']:.1f}"
    assert second["rivals behind"] == "2 of 4"


def test_the_last_query_marks_what_is_foreign(run, mini):
    asked = run.asked(2)
    targets = mini.targets.clone()
    targets[asked[:3]] = -1
    fig = messy_pools.last_query(run, replace(mini, targets=targets), n=5)
    assert title(fig) == "outlier: 3 of the last 10 asked for are foreign"
    assert [text == "×" for text in fig.data[0].text] == [True] * 3 + [False] * 2
