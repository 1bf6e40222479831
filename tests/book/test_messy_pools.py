"""What is said of foreign images is counted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
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


def test_what_the_filter_gives_is_told_apart_from_what_the_query_gives():
    plain = unclean_curves()
    plain = plain[plain["strategy"] != "random"].assign(strategy_params="{}")
    outlier = plain["strategy"] == "outlier"
    plain.loc[outlier, "strategy_params"] = '{"two_sided": false}'
    plain.loc[outlier, "n_foreign"] *= 10
    filtered = plain.assign(
        strategy_params=np.where(outlier, "{}", '{"two_sided": true}'),
        n_foreign=plain["n_foreign"] / 5,
        test_accuracy=plain["test_accuracy"] + 0.01,
    )
    random = unclean_curves().query("strategy == 'random'").assign(strategy_params="{}")
    curves = pd.concat([random, plain, filtered], ignore_index=True)
    fig = messy_pools.filter_and_query(curves)
    told = "of 1 rivals with the same filter, 1 is measurably behind outlier and none ahead"
    assert title(fig) == f"MNIST: {told}"
    above = {trace.name: trace for trace in fig.data if trace.xaxis in (None, "x")}
    shares = {name: list(trace.x) for name, trace in above.items()}
    assert shares == {
        "margin": pytest.approx([0.5, 0.1]),
        "outlier": pytest.approx([0.5, 0.1]),
        "random": pytest.approx([0.2]),
    }
    end = plain[plain["n_labeled"] == 200].groupby("strategy")["test_accuracy"].mean()
    assert list(above["margin"].y) == pytest.approx([end["margin"], end["margin"] + 0.01])
    assert fig.layout.yaxis.title.text == "accuracy at the end"


def test_the_last_query_marks_what_is_foreign(run, mini):
    asked = run.asked(2)
    targets = mini.targets.clone()
    targets[asked[:3]] = -1
    fig = messy_pools.last_query(run, replace(mini, targets=targets), n=5)
    assert title(fig) == "outlier: 3 of the last 10 asked for are foreign"
    assert [text == "×" for text in fig.data[0].text] == [True] * 3 + [False] * 2
