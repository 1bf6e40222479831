"""What is said of many runs is what their tables say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import alod
from alod.experiments import evaluation
from alod_book import comparisons, lessons


@pytest.fixture(scope="module")
def run(mini, tmp_path_factory):
    config = alod.ExperimentConfig(model="lenet5", n_initial=30, n_query=10, rounds=2, steps=30)
    return alod.run_experiment(config, tmp_path_factory.mktemp("comparisons") / "run", data=mini)


def make_curves():
    rows = [
        ("mnist_mini", model, seed, round_, 50 * (round_ + 1), accuracy + 0.1 * round_)
        for model, accuracy in (("cnn", 0.7), ("lenet5", 0.6))
        for seed in range(2)
        for round_ in range(3)
    ]
    columns = ["dataset", "model", "seed", "round", "n_labeled", "test_accuracy"]
    return pd.DataFrame(rows, columns=columns)


def test_the_title_tells_the_share_of_full_set_accuracy():
    ceilings = pd.Series({"cnn": 0.99, "lenet5": 0.98})
    fig = comparisons.share_of_full_set(make_curves(), ceilings, 6_000)
    title = fig.layout.title.text.replace("<br>", " ")
    assert title.startswith(
        "MNIST: the CNN has 91% of its full-set accuracy with 2.5% of the labels"
    )


def test_the_published_curve_is_cited_as_reported():
    fig = comparisons.beside_published(make_curves())
    published = evaluation.published_curves().query("dataset == 'mnist' and model == 'cnn'")
    title = fig.layout.title.text.replace("<br>", " ")
    assert "our CNN has 90.0% at 150 labels" in title
    assert f"{published['test_accuracy'].iloc[0]:.1%} at 200 and" in title
    fig = comparisons.beside_published(make_curves(), ceilings={"cnn": 0.99, "lenet5": 0.98})
    drawn = {trace.name: trace for trace in fig.data}
    level = drawn["CNN, all labels"]
    assert set(level.y) == {0.99} and level.line.color == drawn["CNN"].line.color


def test_the_table_of_costs_is_read_from_the_runs(run):
    html = comparisons.cost_table([run], {("mnist_mini", "lenet5"): 1.0}, "caption").to_html()
    for cell in ("MNIST", "LeNet5", "61,706", "not reached", "caption", "interpolated between"):
        assert cell in html


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


def test_the_table_of_labels_says_who_did_not_get_there():
    heights = {("random", 0): [0.5, 0.7], ("random", 1): [0.5, 0.9], ("margin", 0): [0.9, 0.95]}
    curves = pd.DataFrame(
        [
            {"strategy": strategy, "seed": seed, "n_labeled": n, "test_accuracy": height}
            for (strategy, seed), own in heights.items()
            for n, height in zip([100, 200], own, strict=True)
        ]
    )
    shown = comparisons.labels_needed(curves, [0.7, 0.8]).data
    assert list(shown.index) == ["margin", "random"]
    assert shown.loc["margin"].tolist() == ["100", "100"]
    assert shown.loc["random", "70%"] == "175"  # the median of 200 and 150
    assert shown.loc["random", "80%"] == "not reached (1 of 2)"
    assert comparisons.labels_needed(curves, [0.8], "Seen.").caption == (
        "Seen. Median over seeds, interpolated between the measured budgets; in brackets "
        "how many seeds get there if not all."
    )


STRATEGIES = ("random", "margin", "outlier_topk", "original_meant", "outlier")


def race_curves(lead=0.03):
    """Five strategies, four seeds; outlier leads, the literal one and the original's lag."""
    rng = np.random.default_rng(0)
    height = dict(zip(STRATEGIES, (0, 0.01, -0.02, -0.01, lead), strict=True))
    return pd.DataFrame(
        [
            {
                "dataset": "mnist",
                "model": "lenet5",
                "strategy": strategy,
                "seed": seed,
                "n_labeled": n,
                "test_accuracy": 0.7 + 0.1 * i + height[strategy] + rng.normal(0, 0.001),
            }
            for strategy in STRATEGIES
            for seed in range(4)
            for i, n in enumerate([50, 100, 200])
        ]
    )


def title(fig):
    return fig.layout.title.text.partition("<span")[0].replace("<br>", " ").strip()


def test_the_race_names_the_first_three_and_ours():
    assert title(comparisons.race(race_curves())) == (
        "MNIST, points above random: outlier +3.0, margin +1.0, original meant -0.9"
    )
    last = title(comparisons.race(race_curves(lead=-0.03)))
    assert last.startswith("MNIST, points above random: margin +1.0, ")
    assert last.endswith(", outlier -3.0")


@pytest.mark.parametrize("metric", evaluation.METRICS)
def test_what_is_drawn_names_the_summary_that_it_is_of(metric):
    summary = evaluation.METRICS[metric].capitalize()
    for draw in (comparisons.race, comparisons.overall):
        note = draw(race_curves(), metric).layout.title.text.replace("<br>", " ")
        assert f"{summary}, minus that of" in note
    told = comparisons.against_outlier(unclean_curves(), metric).data
    assert f"accuracy {comparisons.SUMMARIES[metric]}" in told


def test_verdicts_count_what_the_tests_support():
    told = title(comparisons.verdicts(race_curves(), STRATEGIES))
    assert told == "MNIST: outlier beats 4 of 4 rivals, none beat it"
    few = comparisons.verdicts(race_curves(lead=-0.03), ["random", "outlier"])
    assert title(few) == "MNIST: outlier beats 0 of 1 rivals, 1 beats it"


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
    meant = comparisons.as_meant(curves, "lenet5")
    assert "points below random at 200 labels" in title(meant)
    assert any("as published" in str(trace.name) for trace in meant.data)
    table = comparisons.headline(curves, ["random", "outlier"], {"mnist": 0.92}).data
    assert list(table.index) == ["random", "outlier"]
    assert table.loc["random", "labels for 92%"].startswith("not reached")
    assert table.loc["outlier", "MNIST, 200 labels"].startswith("93.0 %")


def unclean_curves():
    """The race on a pool of which random buys a fifth, margin half, outlier a twentieth."""
    share = {"random": 0.2, "margin": 0.5, "outlier": 0.05}
    curves = race_curves()
    curves = curves[curves["strategy"].isin(share)]
    return curves.assign(n_foreign=curves["strategy"].map(share) * curves["n_labeled"])


def test_waste_is_counted_in_labels_and_drawn_as_their_share():
    fig = comparisons.waste(unclean_curves())
    assert title(fig) == (
        "MNIST: of 200 labels margin spends 100 on foreign images, outlier with its filter 10"
    )
    drawn = {trace.name: trace.y for trace in fig.data if trace.name}
    assert drawn["margin"] == pytest.approx([0.5] * 3)
    assert fig.layout.yaxis.title.text == "labels spent on foreign images"
    assert "Labels spent on foreign images against labels" in fig.layout.meta["alt"]


def test_strategies_on_one_pool_are_held_against_outlier():
    curves = unclean_curves()
    table = comparisons.against_outlier(curves).data
    assert list(table.index) == ["outlier", "margin", "random"]
    assert table["foreign labels"].tolist() == ["10 ± 0", "100 ± 0", "40 ± 0"]
    tests = evaluation.gains(curves, "outlier").set_index("strategy")
    for rival in ("margin", "random"):
        lack = -100 * tests.loc[rival, "mean_difference"]
        assert table.loc[rival, "less than outlier"] == f"{lack:.1f}"
        assert (table.loc[rival, "p"] == "<\u00a0.001") == (tests.loc[rival, "p_holm"] < 0.001)


def test_what_it_took_is_the_end_of_the_runs_and_their_median_times():
    seconds = {0: (1, 2), 1: (10, 20), 2: (100, 200)}  # of training, by seed and round
    curves = pd.DataFrame(
        [
            {
                "dataset": "mnist",
                "model": "cnn",
                "seed": seed,
                "n_labeled": n,
                "test_accuracy": accuracy,
                "fit_seconds": fit,
                "infer_seconds": 5,
                "query_seconds": 1,
            }
            for seed, fits in seconds.items()
            for n, accuracy, fit in zip((20, 60), (0.5, 0.9), fits, strict=True)
        ]
    )
    full = pd.DataFrame(
        {"dataset": "mnist", "model": "cnn", "n_labeled": 600, "test_accuracy": [0.95, 0.97]}
    )
    (row,) = comparisons.what_it_took(curves, full).data.to_dict("records")
    assert row == {
        "labels": "60",
        "of all labels": "10.0 %",
        "of full-set accuracy": "93.8 %",
        "rounds": 2,
        "seconds a round": "21",
        "minutes in all": "0.7",  # seed 1: 10 + 20 + 2 * 6 seconds
    }


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


def test_inliers_are_told_by_what_they_give_and_how_often_they_are_wrong():
    rows = [
        ("mnist", "lenet5", passes, seed, n, accuracy, n_inliers, error)
        for passes, accuracies in {2: (0.6, 0.95), 0: (0.7, 0.9)}.items()
        for seed in (0, 1)
        for n, accuracy, n_inliers, error in zip(
            (50, 1000), accuracies, (100 + 100 * seed, 3000), (0.3, 0.02), strict=True
        )
    ]
    names = "dataset model inlier_passes seed n_labeled test_accuracy n_inliers inlier_error"
    curves = pd.DataFrame(rows, columns=names.split())
    told = title(lessons.for_free(curves))
    assert told == ("MNIST: inliers cost 10.0 points with 50 labels, give 5.0 with 1,000")
    table = lessons.inlier_errors(curves[curves["inlier_passes"] > 0], "Seen.").data
    assert table.loc["50\N{NO-BREAK SPACE}labels"].tolist() == ["150", "30.0", "60.0 ± 0.0"]
    assert table.loc["1,000\N{NO-BREAK SPACE}labels"].tolist() == ["3,000", "2.0", "95.0 ± 0.0"]


def first_set_rows():
    rows = [
        {
            "dataset": "mnist",
            "initial": initial,
            "features": "pixels",
            "seed": seed,
            "n_labeled": n,
            "test_accuracy": accuracy + n / 1000 + seed / 100,
            "mmd2_percentile": percentile,
            "energy_percentile": percentile,
        }
        for initial, accuracy, percentile in (
            ("random", 0.5, 50),
            ("kmeans", 0.6, 2),
            ("kcenter", 0.4, 100),
        )
        for seed in (0, 1)
        for n in (20, 50)
    ]
    return pd.DataFrame(rows)


def test_titles_of_first_sets_say_what_they_gain_over_random():
    rows = first_set_rows()
    assert "20 labels chosen by kmeans are worth 10.0 points more than" in title(
        lessons.first_sets(rows)
    )
    assert "10.0 points" in title(lessons.lasting(rows))
    few = rows[rows["n_labeled"] == 20]
    assert "20 labels: 1 of 2 methods" in title(lessons.standing_for(few))
    # What a method lacks at one size is not taken for its gain.
    lacking = rows[(rows["initial"] != "kcenter") | (rows["n_labeled"] == 50)]
    assert "50 labels chosen" in title(lessons.first_sets(lacking))


def test_accuracy_by_features_leaves_blank_what_did_not_run():
    rows = first_set_rows().query("n_labeled == 20")
    other = rows[rows["initial"] == "kmeans"].assign(features="random_conv")
    html = lessons.by_features(pd.concat([rows, other]), "Seen.").to_html()
    assert "random conv" in html and "62.5" in html and "–" in html


def test_training_modes_are_told_with_what_a_round_changes():
    rows = [
        {
            "dataset": "mnist",
            "model": "lenet5",
            "training_mode": mode,
            "seed": seed,
            "n_labeled": n,
            "test_accuracy": accuracy,
            "agreement": agreement,
            "lost": 0.01,
            "forgotten": 0.0,
            "same_scores": 0.6,
        }
        for mode, accuracy, agreement in (("scratch", 0.7, 0.8), ("warm", 0.75, 0.9))
        for seed in (0, 1)
        for n in (20, 50)
    ]
    curves = pd.DataFrame(rows)
    assert "MNIST: warm leads, 5.0 points above scratch" in title(lessons.training_modes(curves))
    html = lessons.changes(curves, "Seen.").to_html()
    assert html.index("warm") < html.index("scratch") and "90.00" in html


def test_few_seeds_are_told_to_be_few():
    rows = first_set_rows()
    assert "2 seeds: enough to see large differences" in comparisons.how_sure(rows)
    many = pd.DataFrame({"seed": range(5)})
    assert comparisons.how_sure(many) == "*Recorded with 5 seeds.*"


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
    fig = comparisons.levers(pd.DataFrame(rows, columns=[*names, "test_accuracy"]))
    assert title(fig) == "MNIST: of 2 changes to outlier, 1 loses measurably and 1 gains"
    assert [trace.name for trace in fig.data] == ["not per class", "focus 0"]
    assert [round(trace.x[0]) for trace in fig.data] == [2, -10]


def test_the_mean_over_settings_counts_who_is_behind_and_ahead():
    ahead, behind = race_curves(lead=0.03), race_curves(lead=-0.01)
    two = pd.concat([ahead, behind.assign(dataset="fashion_mnist")])
    assert title(comparisons.overall(two)) == (
        "Area under the curve over log-labels, mean of 2 settings: of 4 rivals of outlier, 3 are "
        "measurably behind it and none ahead"
    )  # margin and outlier: .01 against the mean of .03 and -.01
    fig = comparisons.overall(ahead, reference="margin")
    assert "3 are measurably behind it and 1 ahead" in title(fig)


def test_gains_by_batch_size_are_starred_where_sure():
    small = race_curves().assign(n_query=10)
    large = race_curves(lead=0.0001).assign(n_query=100)
    table = comparisons.by_batch(pd.concat([small, large]), caption="Seen.").data
    assert list(table) == ["10 at once, to 200", "100 at once, to 200"]
    assert list(table.index[:2]) == ["outlier", "margin"]
    assert table.loc["outlier"].tolist() == ["+3.0 *", "+0.0"]
    assert all(told.endswith(" *") for told in table.loc["original meant"])


def test_pools_are_told_with_the_best_rival():
    def on(pool, lead, **columns):
        return race_curves(lead).assign(pool=pool, **columns)

    won = on("foreign_20", 0.03)
    won["n_foreign"] = np.where(won["strategy"] == "outlier", 7, 90)
    table = comparisons.pools(pd.concat([on("long_tail", 0.0, n_foreign=0), won])).data
    assert list(table.index) == ["20 % foreign, LeNet5", "long tail, LeNet5"]
    first, second = table.to_dict("records")
    assert (first["foreign: outlier"], first["margin"]) == ("7", "90")
    assert first["the best rival"].startswith("margin ") and first["rivals behind"] == "4 of 4"
    areas = evaluation.areas(won).groupby("strategy")["auc"].mean()
    assert first["accuracy: outlier"] == f"{100 * areas['outlier']:.1f}"
    assert second["rivals behind"] == "2 of 4"


def recipe_rows():
    changes = {"steps": 600, "augment": "none"}
    default = {"steps": 300, "learning_rate": 0.003, "batch_size": 64, "augment": "auto"}
    gains = {None: 0.0, "steps": 0.02, "augment": -0.1}
    return pd.DataFrame(
        [
            default
            | ({changed: changes[changed]} if changed else {})
            | {"dataset": "mnist", "model": "cnn", "seed": seed, "n_labeled": n}
            | {"test_accuracy": 0.8 + gain * (1 + seed / 1000) + seed / 100}
            for changed, gain in gains.items()
            for seed in range(3)
            for n in (20, 50)
        ]
    )


def test_the_recipe_is_measured_against_its_default():
    fig = lessons.recipe(recipe_rows())
    assert title(fig) == "MNIST, CNN: -10.0 points with no distortion, +2.0 with 600 steps"
    assert [trace.name for trace in fig.data] == ["600 steps", "no distortion"]


def test_a_lever_that_the_table_does_not_have_is_no_change():
    rows = recipe_rows()
    fig = lessons.recipe(rows[rows["augment"] == "auto"].drop(columns="augment"))
    assert [trace.name for trace in fig.data] == ["600 steps"]


def test_what_inliers_change_is_told_for_every_strategy():
    rows = [
        {
            "strategy": strategy,
            "inlier_passes": passes,
            "seed": seed,
            "n_labeled": n,
            "test_accuracy": 0.7 + n / 1000 + passes / 20 + seed / 100,
            "calibration_error": 0.02 - passes / 200,
            "same_scores": np.nan if n == 20 else 0.4,
        }
        for strategy in ("outlier", "random")
        for passes in (0, 2)
        for seed in (0, 1)
        for n in (20, 80)
    ]
    table = lessons.offered(pd.DataFrame(rows), "Seen.").data
    assert list(table) == ["20 labels", "80 labels", "calibration error", "scores alike"]
    assert table.loc["outlier"].tolist() == [
        "72.5 → 82.5",
        "78.5 → 88.5",
        "2.0 → 1.0",
        "40.0 → 40.0",
    ]


def test_stopping_is_told_by_labels_and_what_was_left_to_gain():
    kappas = {0: [np.nan, 0.9, 0.99, 0.991, 0.992, 0.995], 1: [np.nan, 0.9, 0.9, 0.9, 0.9, 0.9]}
    runs = pd.DataFrame(
        [
            {
                "dataset": "mnist",
                "seed": seed,
                "n_labeled": 50 * (i + 1),
                "test_accuracy": 0.8 + 0.02 * i,
                "kappa": kappa,
            }
            for seed, own in kappas.items()
            for i, kappa in enumerate(own)
        ]
    )
    row = lessons.when_to_stop(runs, "Seen.").data.loc["MNIST"]
    assert row["runs that stop"] == "1 of 2"
    assert (row["with labels"], row["accuracy there"]) == ("250 labels", "88.0 %")
    assert (row["at the end"], row["still to gain"]) == ("90.0 % with 300", "2.0 points")
    fig = lessons.stability(runs)
    assert title(fig) == "Predictions become stable in 1 of 2 runs, with 250 labels"
    never = runs[runs["seed"] == 1]
    assert lessons.when_to_stop(never).data.loc["MNIST", "with labels"] == "–"
    assert "no budget reached" in title(lessons.stability(never))


README_LINES = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").splitlines()
README = " ".join(README_LINES)


def test_what_the_front_pages_say_of_foreign_images_is_recorded():
    messy = evaluation.recorded("stress").query("pool == 'foreign_20' and model == 'lenet5'")
    messy = messy.assign(strategy=comparisons.variants(messy))
    tests = evaluation.gains(messy, "outlier").set_index("strategy")
    assert len(tests) == 11 and (tests["n_seeds"] == 10).all()
    assert (tests["mean_difference"] < 0).all()
    level = tests.index[tests["p_holm"] >= 0.05]
    assert list(level) == ["uherding, two sided"]
    end = evaluation.gains(messy, "outlier", "final").set_index("strategy")
    filtered = end[end.index.str.endswith(", two sided")]
    sure = filtered[filtered["p_holm"] < 0.05]
    assert list(sure.index) == ["dbal, two sided"] and len(filtered) == 4
    assert f"ahead, by {100 * sure['mean_difference'].iloc[0]:.1f} points" in README
    spent = messy[messy["n_labeled"] == 1000].groupby("strategy")["n_foreign"].mean().round()
    assert spent["margin, two sided"] == spent["outlier"]
    assert (
        f"with it spends {spent['outlier']:.0f} on clothing, as outlier queries do, and "
        f"{spent['margin']:.0f} without it; so do outlier queries, "
        f"{spent['outlier, not two sided']:.0f}."
    ) in README
    for name in filtered.index:  # nine tenths of the waste
        assert round(1 - spent[name] / spent[name.removesuffix(", two sided")], 1) == 0.9


def test_what_the_front_pages_say_of_all_settings_is_recorded():
    recorded = evaluation.recorded("strategies")
    rivals = ["uherding", "maxherding", "dbal", "margin", "badge", "bald", "random"]
    own = recorded[recorded["strategy"].isin(["outlier", *rivals])]
    ranks = comparisons.ranks(own).data["mean rank"]
    columns = ["outlier", "uherding", "dbal", "badge"]
    assert len(ranks) == 8 and set(ranks.index[(ranks.rank() <= 3).any(axis=1)]) == set(columns)
    assert ranks.rank().loc["outlier"].tolist() == [1, 3, 4]  # "first, third, fourth"
    assert (ranks.loc["uherding"] < ranks.loc["outlier"]).tolist() == [False, True, True]
    ahead, behind = [], []
    for metric, words in evaluation.METRICS.items():
        row = " | ".join(f"{ranks.loc[name].iloc[len(ahead)]:.1f}" for name in columns)
        start = words.replace(" under the curve", "").replace(" largest common", " end of the")
        (line,) = [
            line for line in README_LINES if line.startswith((f"| {start} |", f"| {start},"))
        ]
        assert line.endswith(f" | {row} |")
        ten = own[own["model"] != "resnet18"]
        tests = evaluation.overall_gains(ten, "outlier", metric).set_index("strategy")
        assert tests["n_settings"].eq(4).all() and tests["n_seeds"].eq(10).all()
        sure = tests[tests["p_holm"] < 0.05]["mean_difference"]
        assert (sure < 0).all() and "uherding" not in sure.index
        behind.append(len(sure))
        ahead.append(f"{100 * tests.loc['uherding', 'mean_difference']:.2f}")
    assert behind == [6, 4, 3]
    assert "ahead of them by {}, {} and {} points".format(*ahead) in README


def test_what_which_queries_win_says_of_single_settings_is_recorded():
    recorded = evaluation.recorded("strategies")
    rivals = ["uherding", "maxherding", "dbal", "margin", "badge", "bald", "random"]
    own = recorded[recorded["strategy"].isin(["outlier", *rivals])]
    for metric, winners in (
        ("auc", []),
        ("auc_linear", []),
        ("final", [("fashion_mnist", "cnn", "dbal")]),
    ):
        tests = evaluation.gains(own, "outlier", metric)
        sure = tests[(tests["p_holm"] < 0.05) & (tests["mean_difference"] > 0)]
        keys = ["dataset", "model", "strategy"]
        assert list(sure[keys].itertuples(index=False, name=None)) == winners
    means = comparisons.ranks(own).data.round(1)
    assert means["MNIST", "ResNet18"]["maxherding"] == means["MNIST", "ResNet18"]["outlier"]
    assert means["FashionMNIST", "ResNet18"].idxmax() == "outlier"
    below = means.loc["bald"] < means.loc["random"]
    assert below["MNIST"].sum() + below["FashionMNIST"].sum() == 4  # "in most settings"
    far = evaluation.recorded("long_run")
    for _, at in far.groupby(["dataset", "n_labeled"]):
        wide = at.pivot_table(index="seed", columns="strategy", values="test_accuracy")
        lead = wide["outlier"] - wide["dbal"]
        assert len(lead) == 5 and (lead.eq(0).all() or stats.ttest_1samp(lead, 0).pvalue > 0.05)


def test_what_the_chapters_say_of_seconds_is_recorded():
    rounds = evaluation.recorded("strategies").groupby(["dataset", "model", "round"])
    medians = rounds["fit_seconds"].median().groupby(["dataset", "model"])
    assert (medians.last() / medians.first()).between(0.9, 1.1).all()


def test_what_the_front_pages_say_of_few_labels_is_recorded():
    few = evaluation.recorded("few_labels").query("inlier_passes > 0")
    told = (("mnist", "cnn", 500, 0), ("fashion_mnist", "cnn", 6000, 30))
    for dataset, model, n, epochs in (*told, ("fashion_mnist", "resnet18", 8000, 24)):
        own = few[(few["dataset"] == dataset) & (few["model"] == model)]
        own = own[(own["n_labeled"] == n) & (own["min_epochs"] == epochs)]
        assert own["seed"].nunique() == 5
        reported = evaluation.PUBLISHED_FULL_SET[dataset, model]
        assert own["test_accuracy"].mean() >= reported
    longer = evaluation.recorded("longer").query("model == 'cnn' and n_labeled == 100")
    assert longer["seed"].nunique() == 5
    assert f"{longer['test_accuracy'].mean():.1%}" == "98.9%"
    stressed = evaluation.recorded("stress").query("strategy_params == '{}'")
    foreign = comparisons.pools(stressed).data.query("index != 'long tail, LeNet5'")
    best = foreign["the best rival"].str.split().str[-1].astype(float)
    assert (foreign["accuracy: outlier"].astype(float) > best).all() and len(foreign) == 6


def test_what_learning_on_says_of_training_modes_is_recorded():
    recorded = evaluation.recorded("incremental")
    for dataset, own in recorded.groupby("dataset"):
        tests = evaluation.gains(own, "shrink_perturb", "auc", "training_mode")
        assert (tests["mean_difference"] < 0).all() and (tests["p_holm"] < 0.05).all()
        assert len(tests) == 4 and (tests["n_seeds"] == 5).all()
        from_warm = evaluation.gains(own, "warm", "auc", "training_mode")
        from_warm = from_warm.set_index("training_mode")
        assert from_warm.loc["average", "p_holm"] > 0.05
        assert from_warm["mean_difference"].idxmin() == "distill"
        same = own.groupby("training_mode")["agreement"].mean()
        assert list(same.sort_values().index[-2:]) == ["average", "distill"]
        later = own[own["round"] > 0].groupby("training_mode")["fit_seconds"].median()
        assert 1.9 < later["distill"] / later["average"] < 2.1
        if dataset == "fashion_mnist":
            ends = evaluation.gains(own, "shrink_perturb", "final", "training_mode")
            ends = ends.set_index("training_mode")
            assert (ends.loc[["warm", "average"], "p_holm"] > 0.05).all()


def test_what_learning_on_says_of_longer_rounds_is_recorded():
    longer = evaluation.recorded("longer").query("model == 'cnn'").set_index("n_labeled")
    first = longer.loc[20]
    whole = first["n_classes_seen"] == 10
    assert first.loc[whole, "test_accuracy"].min() > 0.97
    assert first.loc[~whole, "test_accuracy"].max() < 0.89
    assert (longer.loc[50, "n_classes_seen"] == 10).all()
    usual = evaluation.recorded("few_labels").query("dataset == 'mnist' and model == 'cnn'")
    assert 45 < longer["fit_seconds"].median() < 75
    trial = evaluation.recorded("held_out").query("model == 'cnn' and n_labeled == 100")
    assert trial.groupby(["steps", "inlier_passes"])["seed"].nunique().tolist() == [2] * 4
    best = trial.groupby(["steps", "inlier_passes"])["held_out_accuracy"].mean().idxmax()
    assert best == (2000, 4)
    means = usual.groupby("n_labeled")["test_accuracy"].mean()
    assert means[150] < longer.loc[50, "test_accuracy"].mean() < means[300]


def test_what_learning_on_says_of_views_is_recorded():
    views = evaluation.recorded("views")
    setting = ["dataset", "model", "n_labeled"]
    wide = views.pivot_table(index=[*setting, "seed"], columns="views", values="held_out_accuracy")
    assert len(wide) == 8 * 3
    assert (wide[8] > wide[0]).sum() == 23
    means = 100 * wide.groupby(setting).mean()
    gains = means[8] - means[0]
    assert (f"{gains.min():.1f}", f"{gains.max():.1f}") == ("0.4", "2.7")
    assert (means[1] < means[0]).sum() >= 5
    more = (means[16] - means[8]).groupby("dataset")
    assert more.min()["fashion_mnist"] > 0.2 and more.mean()["mnist"] < 0.05


def test_what_three_classifiers_says_of_thirty_and_sixty_passes_is_recorded():
    at_the_end = "dataset == 'fashion_mnist' and model == 'resnet18' and n_labeled == 8000"
    thirty = evaluation.recorded("few_labels").query(
        f"{at_the_end} and min_epochs == 30 and inlier_passes > 0"
    )["test_accuracy"]
    sixty = evaluation.recorded("longer").query(at_the_end)["test_accuracy"]
    assert len(thirty) == len(sixty) == 5
    short = evaluation.PUBLISHED_FULL_SET["fashion_mnist", "resnet18"] - thirty.mean()
    assert 0 < short < thirty.sem()
    assert sixty.mean() < thirty.mean()
    trial = evaluation.recorded("held_out").query("dataset == 'fashion_mnist'")
    means = trial.groupby("min_epochs")["held_out_accuracy"].mean()
    assert means[60] < means[30]


def test_what_three_classifiers_says_of_predictions_from_views_is_recorded():
    clothing = "dataset == 'fashion_mnist' and model == 'resnet18'"
    runs = evaluation.recorded("few_labels").query(clothing)
    assert set(runs.loc[runs["views"] > 0, "min_epochs"]) == {24}
    end = runs.query("views == 16 and n_labeled == 8000")
    assert sorted(end["seed"]) == [0, 1, 2, 3, 4]
    assert end["test_accuracy"].min() > evaluation.PUBLISHED_FULL_SET["fashion_mnist", "resnet18"]
    full = evaluation.recorded("full_set").query(clothing).groupby("views")["test_accuracy"]
    assert full.size().to_dict() == {0: 5, 16: 3}
    assert full.min()[16] > full.max()[0]
    assert f"{100 * (full.mean()[16] - full.mean()[0]):.1f}" == "0.8"


def test_what_learning_on_says_of_smoothing_and_batch_norm_is_recorded():
    levers = evaluation.recorded("regularization")
    fields = ["schedule", "label_smoothing", "weight_decay", "dropout", "norm"]
    levers = levers.assign(recipe=levers[fields].astype(str).agg(" ".join, axis=1))
    sure = {}
    for model in ("lenet5", "cnn"):
        own = levers[levers["model"] == model]
        gains = evaluation.gains(own, "onecycle 0.0 0.01 0.25 labels", "auc", "recipe")
        gains = gains.set_index("recipe")
        smoothed = gains.loc["onecycle 0.1 0.01 0.25 labels"]
        assert smoothed["mean_difference"] == pytest.approx(0.005, abs=0.001)
        assert gains["mean_difference"].idxmin() == "constant 0.0 0.01 0.25 labels"
        assert (gains["n_seeds"] == 5).all()
        sure[model] = bool(smoothed["p_holm"] < 0.05)
    assert sure == {"lenet5": False, "cnn": True}
    resnet = levers[levers["model"] == "resnet18"]
    means = resnet.pivot_table(index="n_labeled", columns="norm", values="test_accuracy")
    gain = means["pool"] - means["labels"]
    assert gain[20] > 0.05
    assert (gain.drop(20).abs() < 0.005).all()
