"""What front pages and chapters say in words is what the recorded tables say."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from alod.experiments import evaluation
from alod_book import comparisons, incremental_learning, initial_selection, messy_pools, results

README_LINES = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").splitlines()
README = " ".join(README_LINES)


def test_what_the_front_pages_say_of_foreign_images_is_recorded():
    messy = results.table("stress").query("pool == 'foreign_20' and model == 'lenet5'")
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
    recorded = results.table("strategies")
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
    recorded = results.table("strategies")
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
    far = results.table("long_run")
    for _, at in far.groupby(["dataset", "n_labeled"]):
        wide = at.pivot_table(index="seed", columns="strategy", values="test_accuracy")
        lead = wide["outlier"] - wide["dbal"]
        assert len(lead) == 5 and (lead.eq(0).all() or stats.ttest_1samp(lead, 0).pvalue > 0.05)


def test_what_the_chapters_say_of_seconds_is_recorded():
    rounds = results.table("strategies").groupby(["dataset", "model", "round"])
    medians = rounds["fit_seconds"].median().groupby(["dataset", "model"])
    assert (medians.last() / medians.first()).between(0.9, 1.1).all()


def test_what_the_front_pages_say_of_few_labels_is_recorded():
    few = results.table("few_labels").query("inlier_passes > 0")
    told = (("mnist", "cnn", 500, 0), ("fashion_mnist", "cnn", 6000, 30))
    for dataset, model, n, epochs in (*told, ("fashion_mnist", "resnet18", 8000, 24)):
        own = few[(few["dataset"] == dataset) & (few["model"] == model)]
        own = own[(own["n_labeled"] == n) & (own["min_epochs"] == epochs)]
        assert own["seed"].nunique() == 5
        reported = results.PUBLISHED_FULL_SET[dataset, model]
        assert own["test_accuracy"].mean() >= reported
    longer = results.table("longer").query("model == 'cnn' and n_labeled == 100")
    assert longer["seed"].nunique() == 5
    assert f"{longer['test_accuracy'].mean():.1%}" == "98.9%"
    stressed = results.table("stress").query("strategy_params == '{}'")
    foreign = messy_pools.pools(stressed).data.query("index != 'long tail, LeNet5'")
    best = foreign["the best rival"].str.split().str[-1].astype(float)
    assert (foreign["accuracy: outlier"].astype(float) > best).all() and len(foreign) == 6


def test_what_learning_on_says_of_training_modes_is_recorded():
    recorded = results.table("incremental")
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
    longer = results.table("longer").query("model == 'cnn'").set_index("n_labeled")
    first = longer.loc[20]
    whole = first["n_classes_seen"] == 10
    assert first.loc[whole, "test_accuracy"].min() > 0.97
    assert first.loc[~whole, "test_accuracy"].max() < 0.89
    assert (longer.loc[50, "n_classes_seen"] == 10).all()
    usual = results.table("few_labels").query("dataset == 'mnist' and model == 'cnn'")
    assert 45 < longer["fit_seconds"].median() < 75
    trial = results.table("held_out").query("model == 'cnn' and n_labeled == 100")
    assert trial.groupby(["steps", "inlier_passes"])["seed"].nunique().tolist() == [2] * 4
    best = trial.groupby(["steps", "inlier_passes"])["held_out_accuracy"].mean().idxmax()
    assert best == (2000, 4)
    means = usual.groupby("n_labeled")["test_accuracy"].mean()
    assert means[150] < longer.loc[50, "test_accuracy"].mean() < means[300]


def test_what_learning_on_says_of_views_is_recorded():
    views = results.table("views")
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
    thirty = results.table("few_labels").query(
        f"{at_the_end} and min_epochs == 30 and inlier_passes > 0"
    )["test_accuracy"]
    sixty = results.table("longer").query(at_the_end)["test_accuracy"]
    assert len(thirty) == len(sixty) == 5
    short = results.PUBLISHED_FULL_SET["fashion_mnist", "resnet18"] - thirty.mean()
    assert 0 < short < thirty.sem()
    assert sixty.mean() < thirty.mean()
    trial = results.table("held_out").query("dataset == 'fashion_mnist'")
    means = trial.groupby("min_epochs")["held_out_accuracy"].mean()
    assert means[60] < means[30]


def test_what_three_classifiers_says_of_predictions_from_views_is_recorded():
    clothing = "dataset == 'fashion_mnist' and model == 'resnet18'"
    runs = results.table("few_labels").query(clothing)
    assert set(runs.loc[runs["views"] > 0, "min_epochs"]) == {24}
    end = runs.query("views == 16 and n_labeled == 8000")
    assert sorted(end["seed"]) == [0, 1, 2, 3, 4]
    assert end["test_accuracy"].min() > results.PUBLISHED_FULL_SET["fashion_mnist", "resnet18"]
    full = results.table("full_set").query(clothing).groupby("views")["test_accuracy"]
    assert full.size().to_dict() == {0: 5, 16: 3}
    assert full.min()[16] > full.max()[0]
    assert f"{100 * (full.mean()[16] - full.mean()[0]):.1f}" == "0.8"


def test_what_learning_on_says_of_smoothing_and_batch_norm_is_recorded():
    levers = results.table("regularization")
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


def test_what_the_first_set_says_is_recorded():
    recorded = results.table("initial").query("model == 'lenet5' and features == 'pixels'")
    means = 100 * recorded.pivot_table(
        index=["dataset", "initial"], columns=["rounds", "n_labeled"], values="test_accuracy"
    )
    for dataset in ("mnist", "fashion_mnist"):
        first = means.loc[dataset][0]
        spread = first.max() - first.min()
        assert spread[10] > 10 and spread[200] < spread[10]  # "more than ten points"
        rare = first.loc["kcenter"] - first.loc["random"]
        assert (rare.dropna() < 0).all()  # "starts below a random one"
        lasting = means.loc[dataset].drop(columns=0).droplevel(0, axis="columns")
        assert np.ptp(lasting[100].dropna()) < 1.1  # "within about a point"
    digits = means.loc["mnist"][0][10]
    assert round(digits["random"] - digits["herding"]) == 10  # "ten points less"


def test_what_learning_on_says_of_views_and_levers_is_recorded():
    views = results.table("views").pivot_table(
        index=["dataset", "model", "n_labeled", "seed"], columns="views", values="held_out_accuracy"
    )
    gained = 100 * (views[8] - views[0])
    assert (len(gained), (gained > 0).sum()) == (24, 23)
    means = gained.groupby(level=[0, 1, 2]).mean()
    assert (round(means.min(), 1), round(means.max(), 1)) == (0.4, 2.7)
    recipe = results.table("recipe")
    for model, told in (("lenet5", (8, 0.5)), ("cnn", (7, 0))):
        own = recipe[(recipe["model"] == model) & (recipe["n_labeled"] > 0)]
        words = incremental_learning.recipe_changes(own, "auc").layout.meta["alt"]
        (undistorted,) = re.findall(r"no distortion -([0-9.]+)\.", words)
        (faster,) = re.findall(r"learning rate 0.01 ([+-][0-9.]+),", words)
        assert round(float(undistorted)) == told[0] and abs(float(faster) - told[1]) < 0.15
    stops = incremental_learning.when_to_stop(results.table("stopping"), "").data
    assert stops["still to gain"].tolist() == ["–", "0.4 points"]
    assert stops["runs that stop"].tolist() == ["0 of 5", "5 of 5"]
    clothing = results.table("few_labels").query(
        "dataset == 'fashion_mnist' and model == 'lenet5' and inlier_passes > 0 and n_labeled == 50"
    )
    assert 0.22 < clothing["inlier_error"].mean() < 0.28  # "a quarter of them are wrong"


def test_what_is_told_by_functions_names_the_side_that_lost():
    rows = pd.DataFrame({"dataset": "mnist", "initial": ["kmeans", "random"], "n_labeled": 200})
    told = initial_selection.in_the_end(rows.assign(test_accuracy=[0.9, 0.95]))
    assert "**below** random on 1 of 1 data sets (MNIST: 90.0% and 95.0%)" in told
    curve = pd.DataFrame({"dataset": "mnist", "training_mode": "scratch", "n_labeled": [50, 100]})
    falls = incremental_learning.falls(curve.assign(test_accuracy=[0.9, 0.8]))
    assert falls == "On MNIST `scratch` **falls**, from 90.0% with 50 labels to 80.0% with 100."
    assert incremental_learning.falls(curve.assign(test_accuracy=[0.8, 0.9])) == ""
    time = pd.DataFrame({"inlier_passes": [0, 2], "fit_seconds": [2.0, 8.0]}).assign(
        dataset="mnist", model="cnn", strategy="random", round=1
    )
    assert incremental_learning.times_as_long(time).startswith("4 to 4 times")


def test_what_is_said_of_oracles_is_recorded():
    table = results.table("ceiling").pivot_table(
        "held_out_accuracy", index=["dataset", "n_labeled"], columns="query"
    )
    blind = table.drop(columns=["greedy oracle", "coverage, all mistakes"]).max(axis=1)
    room = table["greedy oracle"] - blind
    # Hardly any on digits, much on clothing with few labels.
    assert room["mnist", 50] < 0.02 and room["mnist", 100] < 0.005
    assert room["fashion_mnist"].loc[[50, 100]].min() > 0.05
    # To know all mistakes helps at first, and harms in the end.
    gained = table["coverage, all mistakes"] - blind
    assert gained["fashion_mnist", 50] > 0.02
    assert gained["fashion_mnist", 400] < 0 and gained["mnist", 400] < 0


def test_what_is_said_of_the_screen_is_recorded():
    table = results.table("screen")
    means = table.groupby(["dataset", "n_labeled", "score", "of"])["auroc"].mean()
    for n in (20, 100, 400):
        assert means["mnist", n, "gaussian", "pool"] > means["mnist", n, "margin", "head"]
        apart = means["fashion_mnist", n, "gaussian", "pool"]
        assert abs(apart - means["fashion_mnist", n, "margin", "head"]) < 0.05
    # Detectors that see only what is labeled are behind.
    last = table[table["n_labeled"] == 400].pivot_table(
        "auroc", index=["score", "of"], columns="dataset"
    )
    seen = last[last.index.get_level_values("of").isin(["all", "class"])]
    assert (seen.max() < last.loc["gaussian", "pool"]).all()
