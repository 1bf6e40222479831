"""What is said of queries is what their curves, tests and batches say."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from toy_curves import STRATEGIES, race_curves, title, unclean_curves

import alod
from alod.experiments import evaluation
from alod_book import comparisons, messy_pools, positions, strategy_comparison


def test_the_table_of_labels_says_who_did_not_get_there():
    heights = {("random", 0): [0.5, 0.7], ("random", 1): [0.5, 0.9], ("margin", 0): [0.9, 0.95]}
    curves = pd.DataFrame(
        [
            {"strategy": strategy, "seed": seed, "n_labeled": n, "test_accuracy": height}
            for (strategy, seed), own in heights.items()
            for n, height in zip([100, 200], own, strict=True)
        ]
    )
    shown = strategy_comparison.labels_needed(curves, [0.7, 0.8]).data
    assert list(shown.index) == ["margin", "random"]
    assert shown.loc["margin"].tolist() == ["100", "100"]
    assert shown.loc["random", "70%"] == "175"  # the median of 200 and 150
    assert shown.loc["random", "80%"] == "not reached (1 of 2)"
    assert strategy_comparison.labels_needed(curves, [0.8], "Seen.").caption == (
        "Seen. Median over seeds, interpolated between the measured budgets; in brackets "
        "how many seeds get there if not all."
    )


def test_the_race_names_the_first_three_and_ours():
    assert title(strategy_comparison.race(race_curves())) == (
        "MNIST, points above random: outlier +3.0, margin +1.0, original meant -0.9"
    )
    last = title(strategy_comparison.race(race_curves(lead=-0.03)))
    assert last.startswith("MNIST, points above random: margin +1.0, ")
    assert last.endswith(", outlier -3.0")


@pytest.mark.parametrize("metric", evaluation.METRICS)
def test_what_is_drawn_names_the_summary_that_it_is_of(metric):
    summary = evaluation.METRICS[metric].capitalize()
    for draw in (strategy_comparison.race, strategy_comparison.overall):
        note = draw(race_curves(), metric).layout.title.text.replace("<br>", " ")
        assert f"{summary}, minus that of" in note
    told = messy_pools.against_outlier(unclean_curves(), metric).data
    assert f"accuracy {comparisons.SUMMARIES[metric]}" in told


def test_ranks_tell_apart_who_is_as_far_as_the_critical_difference():
    curves = race_curves()
    one = strategy_comparison.apart(curves)
    assert title(one).endswith(
        "of 4 rivals of outlier, none is told apart behind it and none ahead"
    )
    # Of ten settings alike, mean ranks 1 to 5 and 6.1 / sqrt(10) = 1.9 is enough.
    settings = [curves.assign(model=f"m{place}") for place in range(10)]
    told = title(strategy_comparison.apart(pd.concat(settings)))
    assert told.startswith("Ranked by area under the curve over log-labels: of 4 rivals")
    assert told.endswith("3 are told apart behind it and none ahead")
    by = ("dataset", "model", "n_query")
    batches = pd.concat([curves.assign(n_query=n) for n in (10, 100)])
    note = strategy_comparison.apart(batches, "final", by).layout.title.text.replace("<br>", " ")
    assert "n = 2 settings" in note and "accuracy at the largest common" in note


def test_curves_alone_stand_in_order_of_what_they_are_summed_up_by():
    fig = strategy_comparison.each_alone(race_curves())
    assert title(fig) == "MNIST: 2 of 4 strategies end above random"
    shown = [trace.name for trace in fig.data if trace.name]
    assert shown == ["outlier", "margin", "original meant", "outlier topk"]


def test_verdicts_count_what_the_tests_support():
    told = title(strategy_comparison.verdicts(race_curves(), STRATEGIES))
    assert told == "MNIST: outlier beats 4 of 4 rivals, none beat it"
    few = strategy_comparison.verdicts(race_curves(lead=-0.03), ["random", "outlier"])
    assert title(few) == "MNIST: outlier beats 0 of 1 rivals, 1 beats it"


def test_levers_are_measured_against_the_default():
    rows = [
        (
            "mnist",
            "lenet5",
            "outlier",
            params,
            seed,
            n,
            0.8 + gain + 0.01 * seed + 1e-4 * seed * gain,
        )
        for params, gain in (("{}", 0.0), ('{"focus": 0}', -0.1), ('{"per_class": false}', 0.02))
        for seed in range(5)
        for n in (20, 50)
    ]
    names = ["dataset", "model", "strategy", "strategy_params", "seed", "n_labeled"]
    fig = strategy_comparison.levers(pd.DataFrame(rows, columns=[*names, "test_accuracy"]))
    assert title(fig) == "MNIST: of 2 changes to outlier, 1 loses measurably and 1 gains"
    assert [trace.name for trace in fig.data] == ["not per class", "focus 0"]
    assert [round(trace.x[0]) for trace in fig.data] == [2, -10]


def test_the_mean_over_settings_counts_who_is_behind_and_ahead():
    ahead, behind = race_curves(lead=0.03), race_curves(lead=-0.01)
    two = pd.concat([ahead, behind.assign(dataset="fashion_mnist")])
    assert title(strategy_comparison.overall(two)) == (
        "Area under the curve over log-labels, mean of 2 settings: of 4 rivals of outlier, 3 are "
        "measurably behind it and none ahead"
    )  # margin and outlier: .01 against the mean of .03 and -.01
    fig = strategy_comparison.overall(ahead, reference="margin")
    assert "3 are measurably behind it and 1 ahead" in title(fig)


def test_gains_by_batch_size_are_starred_where_sure():
    small = race_curves().assign(n_query=10)
    large = race_curves(lead=0.0001).assign(n_query=100)
    table = strategy_comparison.by_batch(pd.concat([small, large]), caption="Seen.").data
    assert list(table) == ["10 at once, to 200", "100 at once, to 200"]
    assert list(table.index[:2]) == ["outlier", "margin"]
    assert table.loc["outlier"].tolist() == ["+3.0 *", "+0.0"]
    assert all(told.endswith(" *") for told in table.loc["original meant"])


def test_strategies_are_asked_about_the_same_pool(mini):
    learner = alod.ActiveLearner(mini.images, 10, model="lenet5", steps=20)
    learner.step(30, lambda indices: mini.targets[indices].numpy())
    asked = strategy_comparison.batches(learner, ["random", "margin"], 5)
    view = learner.view()
    top_two = view.pool_logits.softmax(1).topk(2, dim=1).values
    closest = np.argsort((top_two[:, 0] - top_two[:, 1]).numpy())[:5]
    assert set(asked["margin"]) == set(learner.pool[closest])
    assert set(asked["random"]) <= set(learner.pool) and len(learner.waiting) == 0


def test_batches_are_shown_with_what_the_classifier_takes_them_for(mini):
    learner = alod.ActiveLearner(mini.images, 10, model="lenet5", steps=20)
    learner.step(30, lambda indices: mini.targets[indices].numpy())
    batch = learner.pool[:12]
    wrong = int((learner.predict(mini.images[batch]) != mini.targets[batch].numpy()).sum())
    fig = strategy_comparison.batch_grid(learner, mini, "outlier_topk", batch)
    assert title(fig) == f"outlier topk: {wrong} of 12 are taken for something else"
    (fig,) = strategy_comparison.batch_maps(learner, mini, {"outlier_topk": batch}, n_pool=60)
    remote = positions.remoteness(learner.outputs()[0].numpy(), batch)
    assert title(fig).startswith(f"outlier topk: these images lie {remote:.1f} times as far")


def test_seeds_in_common_leave_out_what_is_not_paired():
    rng = np.random.default_rng(0)
    columns = ["model", "strategy", "seed", "n_labeled"]
    runs = product(("lenet5", "cnn"), ("random", "margin", "outlier"), range(6), (50, 100))
    curves = pd.DataFrame(runs, columns=columns).assign(dataset="mnist")
    curves["test_accuracy"] = rng.uniform(0.5, 0.9, len(curves))
    curves = curves[(curves["strategy"] != "margin") | (curves["seed"] < 4)]
    assert set(strategy_comparison.common_seeds(curves)["seed"]) == {0, 1, 2, 3}
    curves = curves[(curves["model"] == "cnn") | (curves["strategy"] != "margin")]
    kept = strategy_comparison.common_seeds(curves)
    assert kept[kept["model"] == "lenet5"]["seed"].nunique() == 6
    assert kept[kept["model"] == "cnn"]["seed"].nunique() == 4
    evaluation.compare_strategies(kept)  # takes paired seeds only


def test_oracles_are_named_beside_the_best_that_knows_no_answer():
    rows = [
        {"dataset": "mnist", "query": query, "seed": 0, "n_labeled": n, "held_out_accuracy": share}
        for query, shares in {
            "random": (0.5, 0.6),
            "outlier": (0.5, 0.7),
            "greedy oracle": (0.5, 0.9),
            "coverage, all mistakes": (0.5, 0.8),
        }.items()
        for n, share in zip((20, 50), shares, strict=True)
    ]
    told = strategy_comparison.ceilings(pd.DataFrame(rows)).layout.meta["alt"]
    assert told.startswith("MNIST, 50 labels: greedy oracle 90.0%")
    assert "knows no answer, outlier, 70.0%" in told


def test_a_screen_s_rows_are_in_the_order_of_its_most_labels():
    rows = [("margin", "head", 20, 0.7), ("margin", "head", 400, 0.9), ("knn", "all", 20, 0.8)]
    rows += [("knn", "all", 400, 0.6), ("lof", "class", 400, 0.65)]
    table = pd.DataFrame(rows, columns=["score", "of", "n_labeled", "auroc"])
    shown = strategy_comparison.screened(table.assign(dataset="mnist", seed=0)).data
    assert list(shown.index) == [
        "margin, the head's own",
        "lof, one for each class",
        "knn, one detector",
    ]
    assert shown.iloc[1].tolist() == ["–", ".65"]
