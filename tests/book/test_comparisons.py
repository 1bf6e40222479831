"""What several chapters say of many runs is what their tables say."""

import pandas as pd
import pytest
from toy_curves import race_curves, title, unclean_curves

from alod_book import comparisons, intro, strategy_comparison


def test_variants_are_named_by_what_differs_from_the_default():
    params = [
        "{}",
        '{"two_sided": true}',
        '{"fit_on": "core", "focus": 4.0}',
        '{"per_class": false}',
    ]
    curves = pd.DataFrame({"strategy": "outlier", "strategy_params": params})
    assert list(comparisons.variants(curves)) == [
        "outlier",
        "outlier, two sided",
        "outlier, fit on core, focus 4",
        "outlier, not per class",
    ]
    assert list(comparisons.variants(curves[["strategy"]])) == ["outlier"] * 4


def test_ranks_leave_out_what_did_not_run_everywhere():
    both = pd.concat([race_curves(), race_curves().assign(dataset="fashion_mnist")])
    only_here = both["strategy"].eq("margin") & both["dataset"].eq("mnist")
    shown = comparisons.ranks(both[~only_here]).data
    assert shown.index[0] == "outlier" and "margin" not in shown.index
    assert shown["mean rank", "over log-labels"].tolist() == [1, 2, 3, 4]
    assert list(shown)[3:] == [("MNIST", "LeNet5"), ("FashionMNIST", "LeNet5")]


def test_ranks_stand_there_by_every_summary():
    curves = race_curves()
    late = (curves["strategy"] == "margin") & (curves["n_labeled"] == 200)
    curves.loc[late, "test_accuracy"] += 0.07
    shown = comparisons.ranks(curves).data["mean rank"]
    assert shown.loc["outlier"].tolist() == [1, 2, 2]
    assert shown.loc["margin"].tolist() == [2, 1, 1]


def test_curves_and_headline_tell_what_is_reached_at_the_end():
    curves = race_curves()
    assert title(comparisons.learning(curves, ["random", "outlier"])) == (
        "MNIST: 93.0% with 200 labels by outlier, 90.0% by random"
    )
    meant = strategy_comparison.as_meant(curves, "lenet5")
    assert "points below random at 200 labels" in title(meant)
    assert any("as published" in str(trace.name) for trace in meant.data)
    table = intro.headline(curves, ["random", "outlier"], {"mnist": 0.92}).data
    assert list(table.index) == ["random", "outlier"]
    assert table.loc["random", "labels for 92%"].startswith("not reached")
    assert table.loc["outlier", "MNIST, 200 labels"].startswith("93.0 %")


def test_waste_is_counted_in_labels_and_drawn_as_their_share():
    fig = comparisons.waste(unclean_curves())
    assert title(fig) == (
        "MNIST: of 200 labels margin spends 100 on foreign images, outlier with its filter 10"
    )
    drawn = {trace.name: trace.y for trace in fig.data if trace.name}
    assert drawn["margin"] == pytest.approx([0.5] * 3)
    assert fig.layout.yaxis.title.text == "labels spent on foreign images"
    assert "Labels spent on foreign images against labels" in fig.layout.meta["alt"]


def test_labels_are_held_beside_the_originals():
    curves = pd.DataFrame(
        {
            "dataset": "mnist",
            "model": "lenet5",
            "strategy": "outlier",
            "seed": [0, 0, 0, 1, 1, 1],
            "n_labeled": [20, 80, 400] * 2,
            "test_accuracy": [0.8, 0.95, 0.985, 0.8, 0.95, 0.98],
        }
    )
    full = curves.query("n_labeled == 400").assign(n_labeled=60_000)
    (row,) = comparisons.beside_original(curves, full).data.to_dict("records")
    # Reported: LeNet5 reaches .8979 with 2,000 labels, .9831 with all.
    assert row["the original's curve", "best %"] == "89.8"
    assert row["the original's curve", "labels"] == "2,000"
    assert row["the original's curve", "ours need"] == f"{20 + 60 * (0.8979 - 0.8) / 0.15:.0f}"
    assert row["the original, all labels", "%"] == "98.3"
    assert row["the original, all labels", "ours need"] == "not reached (1 of 2)"
    assert row["ours", "labels"] == "400"
    assert row["ours", "%"].split() == ["98.2", "±", "0.4"]
    assert row["ours", "% with all"] == "98.2"


def test_each_recipe_is_held_beside_the_runs_with_all_labels_that_predict_as_it_does():
    runs = {"dataset": "mnist", "model": "lenet5", "strategy": "outlier", "seed": [0, 1]}
    curves = pd.DataFrame(runs | {"n_labeled": 400, "test_accuracy": [0.95, 0.97]})
    full = curves.assign(n_labeled=60_000, test_accuracy=0.98, views=0)
    with_views = full.head(1).assign(test_accuracy=0.99, views=16)
    recipes = [(0, 0), (30, 0), (24, 16)]
    rows = [curves.assign(min_epochs=n, views=views) for n, views in recipes]
    table = comparisons.beside_original(pd.concat(rows), pd.concat([full, with_views]))
    ours = table.data["ours", "% with all"]
    assert ours.to_dict() == {
        "MNIST, LeNet5": "98.0",
        "MNIST, LeNet5, 30 epochs": "98.0",
        "MNIST, LeNet5, 24 epochs, 16 views": "99.0",
    }
    assert table.caption.endswith("Seeds: 2; with all labels: 1 to 2.")


def test_few_seeds_are_told_to_be_few():
    assert "2 seeds: enough to see large differences" in comparisons.how_sure(
        pd.DataFrame({"seed": [0, 1]})
    )
    many = pd.DataFrame({"seed": range(5)})
    assert comparisons.how_sure(many) == "*Recorded with 5 seeds.*"
