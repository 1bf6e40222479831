import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from alod import AlodError
from alod.experiments.evaluation import (
    area_under_curve,
    areas,
    compare_strategies,
    equivalence,
    gains,
    holm,
    labels_to_target,
    mean_ranks,
    overall_gains,
    summarize,
    targets,
    wins_and_losses,
)

BUDGETS = [50, 100, 200, 400]


def make_curves(strategies=("random", "margin", "outlier"), seeds=range(5), models=("lenet5",)):
    rng = np.random.default_rng(0)
    rows = []
    for model in models:
        for rank, strategy in enumerate(strategies):
            for seed in seeds:
                for round_, n in enumerate(BUDGETS):
                    accuracy = 0.7 + 0.05 * round_ + 0.01 * rank + rng.normal(0, 0.004)
                    rows.append(("mnist", model, strategy, seed, round_, n, accuracy))
    columns = ["dataset", "model", "strategy", "seed", "round", "n_labeled", "test_accuracy"]
    return pd.DataFrame(rows, columns=columns)


def test_area_of_a_flat_curve_is_its_height():
    assert area_under_curve([10, 20, 80], [0.7, 0.7, 0.7]) == pytest.approx(0.7)


def test_area_over_labels_equals_scipys_trapezoid():
    accuracy = [0.5, 0.8, 0.7, 0.9]
    expected = integrate.trapezoid(accuracy, BUDGETS) / 350
    assert area_under_curve(BUDGETS, accuracy, log=False) == pytest.approx(expected)


def test_area_over_log_labels_weighs_each_doubling_the_same():
    assert area_under_curve(BUDGETS, [0.5, 0.8, 0.7, 0.9]) == pytest.approx((0.65 + 0.75 + 0.8) / 3)


@pytest.mark.parametrize("log", [True, False])
@given(
    accuracy=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    start=st.floats(50, 190),
    width=st.floats(10, 200),
)
def test_area_between_budgets_equals_a_fine_numeric_integral(log, accuracy, start, width):
    upto = start + width
    scale = np.log if log else np.asarray
    x = np.linspace(scale(start), scale(upto), 4001)
    expected = np.interp(x, scale(BUDGETS), accuracy).mean()
    area = area_under_curve(BUDGETS, accuracy, log=log, start=start, upto=upto)
    assert area == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("target", "expected"),
    [(0.5, 50), (0.4, 50), (0.65, 75), (0.8, 100), (0.85, 350), (0.95, None)],
)
def test_labels_to_target_is_the_first_crossing(target, expected):
    labels = labels_to_target(BUDGETS, [0.5, 0.8, 0.7, 0.9], target)
    assert np.isnan(labels) if expected is None else labels == pytest.approx(expected)


def test_summary_equals_numpy_on_each_budget():
    curves = make_curves()
    row = summarize(curves).query("strategy == 'margin' and n_labeled == 200").iloc[0]
    values = curves.query("strategy == 'margin' and n_labeled == 200")["test_accuracy"].to_numpy()
    assert row["n_seeds"] == 5
    assert row["accuracy_mean"] == pytest.approx(values.mean())
    assert row["accuracy_std"] == pytest.approx(values.std(ddof=1))
    assert row["accuracy_se"] == pytest.approx(stats.sem(values))
    assert (row["accuracy_min"], row["accuracy_max"]) == (values.min(), values.max())


def test_summary_keeps_the_curves_order_and_sorts_budgets():
    summary = summarize(make_curves(("outlier", "badge", "random")).iloc[::-1])
    assert summary["strategy"].drop_duplicates().tolist() == ["random", "badge", "outlier"]
    assert summary["n_labeled"].tolist() == BUDGETS * 3


def test_areas_are_taken_over_the_budgets_all_runs_of_a_setting_cover():
    curves = make_curves()
    curves = curves[(curves["strategy"] != "random") | (curves["n_labeled"] < 400)]
    table = areas(curves)
    assert len(table) == 15
    assert set(table["start"]) == {50} and set(table["upto"]) == {200}
    run = curves.query("strategy == 'outlier' and seed == 3")
    expected = area_under_curve(run["n_labeled"], run["test_accuracy"], upto=200)
    assert table.query("strategy == 'outlier' and seed == 3")["auc"].item() == pytest.approx(
        expected
    )


def test_final_is_the_accuracy_at_the_common_end():
    curves = make_curves()
    final = areas(curves, "final").set_index(["strategy", "seed"])["final"]
    last = curves.query("n_labeled == 400").set_index(["strategy", "seed"])["test_accuracy"]
    pd.testing.assert_series_equal(final, last, check_names=False)


def test_comparison_equals_a_t_test_on_the_differences():
    curves = make_curves()
    tests = compare_strategies(curves).set_index(["first", "second"])
    scores = areas(curves).pivot_table(index="seed", columns="strategy", values="auc")
    differences = scores["random"] - scores["outlier"]
    reference = stats.ttest_1samp(differences, 0)
    row = tests.loc[("random", "outlier")]
    assert len(tests) == 3 and row["n_seeds"] == 5
    assert row["mean_difference"] == pytest.approx(differences.mean())
    assert row["p_value"] == pytest.approx(reference.pvalue)
    assert (row["low"], row["high"]) == pytest.approx(tuple(reference.confidence_interval(0.95)))
    assert tests["p_holm"].to_numpy() == pytest.approx(holm(tests["p_value"]))


def test_holm_corrects_within_each_setting_only():
    one = compare_strategies(make_curves())
    two = compare_strategies(
        pd.concat([make_curves(), make_curves().assign(model="cnn")], ignore_index=True)
    )
    assert two.query("model == 'cnn'")["p_holm"].to_numpy() == pytest.approx(one["p_holm"])


def test_identical_strategies_do_not_differ():
    curves = make_curves(("random",))
    twin = pd.concat([curves, curves.assign(strategy="twin")])
    row = compare_strategies(twin).iloc[0]
    assert (row["mean_difference"], row["p_value"], row["p_holm"]) == (0, 1, 1)


def test_holm_on_a_worked_example():
    # 4 * .005, 3 * .01, 2 * .03; then 1 * .04 would fall below its predecessor.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.999))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values, level):
    rejected = set()
    for step, index in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[index] * (len(p_values) - step) > level:
            break
        rejected.add(int(index))
    assert set(np.flatnonzero(holm(p_values) <= level)) == rejected


def test_gains_equal_a_t_test_on_the_seeds_that_both_have():
    curves = make_curves(seeds=range(6))
    curves = curves[(curves["strategy"] != "margin") | (curves["seed"] < 4)]
    found = gains(curves).set_index("strategy")
    assert list(found.index) == ["outlier", "margin"] and list(found["n_seeds"]) == [6, 4]
    scores = areas(curves).pivot_table(index="seed", columns="strategy", values="auc")
    expected = stats.ttest_1samp((scores["margin"] - scores["random"]).dropna(), 0)
    low, high = expected.confidence_interval(0.95)
    own = found.loc["margin"]
    assert own["p_value"] == pytest.approx(expected.pvalue)
    assert (own["low"], own["high"]) == (pytest.approx(low), pytest.approx(high))
    assert found["p_holm"].tolist() == pytest.approx(holm(found["p_value"]).tolist())


def test_overall_gains_are_one_observation_a_seed():
    curves = make_curves(seeds=range(6), models=("lenet5", "cnn"))
    curves = curves[(curves["strategy"] != "margin") | (curves["seed"] < 4)]
    found = overall_gains(curves).set_index("strategy")
    scores = areas(curves).groupby(["strategy", "seed"])["auc"].mean()
    expected = stats.ttest_1samp((scores["margin"] - scores["random"]).dropna(), 0)
    own = found.loc["margin"]
    assert own["p_value"] == pytest.approx(expected.pvalue)
    assert (own["n_seeds"], own["n_settings"]) == (4, 2)
    # What is missing in a setting does not count.
    partly = curves[(curves["model"] == "cnn") | (curves["strategy"] != "margin")]
    assert "margin" not in set(overall_gains(partly)["strategy"])
    with pytest.raises(AlodError, match="no runs of badge in 2 settings"):
        overall_gains(curves, "badge")


def in_settings(heights):
    """Curves of one seed that are as high as a table says, strategies × settings, all over."""
    return pd.DataFrame(
        [
            ("mnist", f"m{place}", f"s{row}", 0, n, height)
            for row, own in enumerate(heights)
            for place, height in enumerate(own)
            for n in BUDGETS
        ],
        columns=["dataset", "model", "strategy", "seed", "n_labeled", "test_accuracy"],
    )


# Few values, so that ties are common.
TABLES = st.tuples(st.integers(3, 6), st.integers(2, 6)).flatmap(
    lambda shape: st.lists(
        st.lists(st.sampled_from([0.5, 0.6, 0.7, 0.8]), min_size=shape[1], max_size=shape[1]),
        min_size=shape[0],
        max_size=shape[0],
    )
)


@given(TABLES)
@settings(max_examples=20, deadline=None)
def test_mean_ranks_and_friedmans_test_equal_scipys(heights):
    found = mean_ranks(in_settings(heights)).set_index("strategy").sort_index()
    k, n = np.shape(heights)
    assert (found["n_settings"] == n).all() and found["auc"].tolist() == pytest.approx(
        np.mean(heights, axis=1)
    )
    ranks = np.mean([stats.rankdata(-own) for own in np.transpose(heights)], axis=0)
    assert found["mean_rank"].tolist() == pytest.approx(ranks)
    assert found["mean_rank"].sum() == pytest.approx(k * (k + 1) / 2)
    if np.ptp(heights, axis=0).any():  # scipy divides 0 by 0 otherwise
        assert found["p_friedman"].tolist() == pytest.approx(
            [stats.friedmanchisquare(*heights).pvalue] * k
        )
    else:
        assert (found["p_friedman"] == 1).all()


def test_critical_differences_are_those_of_demsars_table():
    # Demšar 2006, table 5a, q at .05 for 2 to 10 classifiers.
    table = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
    for k, q in enumerate(table, start=2):
        found = mean_ranks(in_settings(np.linspace(0.5, 0.9, 6 * k).reshape(k, 6)))
        expected = q * np.sqrt(k * (k + 1) / (6 * 6))
        assert found["critical_difference"].tolist() == pytest.approx([expected] * k, abs=3e-3)


def test_ranks_and_tests_of_demsars_example():
    # Demšar 2006, table 6: C4.5 with none, one or both of two parameters, fourteen data sets. He
    # prints two of 0.975 in the last row but one, ranked second and third.
    heights = """
        .763 .768 .771 .798, .599 .591 .590 .569, .954 .971 .968 .967, .628 .661 .654 .657,
        .882 .888 .886 .898, .936 .931 .916 .931, .661 .668 .609 .685, .583 .583 .563 .625,
        .775 .838 .866 .875, 1 1 1 1, .940 .962 .965 .962, .619 .666 .614 .669,
        .972 .981 .9751 .975, .957 .978 .946 .970"""
    auc = np.array([own.split() for own in heights.split(",")], float).T
    found = mean_ranks(in_settings(auc)).set_index("strategy").sort_index()
    assert found["mean_rank"].tolist() == pytest.approx([3.143, 2.0, 2.893, 1.964], abs=1e-3)
    assert found["critical_difference"].iloc[0] == pytest.approx(1.25, abs=0.005)
    # He has 9.28 for chi², without the correction for ties that scipy makes.
    chi2 = stats.friedmanchisquare(*auc).statistic
    expected = stats.f.sf(13 * chi2 / (14 * 3 - chi2), 3, 39)
    assert found["p_iman_davenport"].iloc[0] == pytest.approx(expected)


def test_settings_that_agree_leave_no_doubt_and_one_setting_tells_nothing():
    agreed = mean_ranks(in_settings([[0.9] * 4, [0.8] * 4, [0.7] * 4]))
    assert agreed["strategy"].tolist() == ["s0", "s1", "s2"]
    assert (agreed["p_iman_davenport"] == 0).all() and (agreed["p_friedman"] < 0.05).all()
    assert mean_ranks(in_settings([[0.9], [0.8]]))["p_iman_davenport"].isna().all()


def test_ranks_need_every_strategy_in_every_setting():
    curves = make_curves(models=("lenet5", "cnn"))
    lacking = curves.query("strategy != 'outlier' or model == 'lenet5'")
    with pytest.raises(AlodError, match="no runs of outlier in mnist cnn: expected every strategy"):
        mean_ranks(lacking)


def test_wins_ties_and_losses_are_what_the_corrected_tests_say():
    ahead = make_curves(models=("lenet5", "cnn", "resnet18"))
    behind = ahead["model"].eq("cnn") & ahead["strategy"].eq("outlier")
    even = ahead["model"].eq("resnet18") & ahead["strategy"].eq("outlier")
    margin = ahead.loc[ahead["model"].eq("resnet18") & ahead["strategy"].eq("margin")]
    ahead.loc[behind, "test_accuracy"] -= 0.05
    ahead.loc[even, "test_accuracy"] = margin["test_accuracy"].to_numpy()
    counts = wins_and_losses(ahead).set_index(["first", "second"])
    assert counts.loc[("outlier", "margin")].tolist() == [1, 1, 1]
    assert len(counts) == 6 and (counts.sum(axis=1) == 3).all()
    for first, second in counts.index:
        assert counts.loc[(first, second)].tolist() == counts.loc[(second, first)].tolist()[::-1]


def test_equivalence_is_two_one_sided_t_tests():
    curves = make_curves(seeds=range(6), models=("lenet5", "cnn"))
    scores = areas(curves).pivot_table("auc", ["model", "seed"], "strategy")
    within = equivalence(curves, "margin", 0.012).set_index(["model", "strategy"])
    overall = equivalence(curves, "margin", 0.012, overall=True).set_index("strategy")
    mean = scores.groupby("seed").mean()
    for row, own in [
        (within.loc[("cnn", "outlier")], scores.loc["cnn"]),
        (overall.loc["outlier"], mean),
    ]:
        difference = own["outlier"] - own["margin"]
        above = stats.ttest_1samp(difference, -0.012, alternative="greater").pvalue
        below = stats.ttest_1samp(difference, 0.012, alternative="less").pvalue
        assert row["p_tost"] == pytest.approx(max(above, below))
        interval = stats.ttest_1samp(difference, 0).confidence_interval(0.9)
        assert (row["low"], row["high"]) == pytest.approx(tuple(interval))
    assert overall["n_settings"].eq(2).all()
    for found in (within.loc["cnn"], within.loc["lenet5"], overall):
        assert found["p_holm"].tolist() == pytest.approx(holm(found["p_tost"]))
        assert found["level"].tolist() == (found["p_holm"] < 0.05).tolist()


@pytest.mark.parametrize(("margin", "level"), [(0.002, False), (0.03, True)])
def test_level_is_what_lies_within_the_margin(margin, level):
    found = equivalence(make_curves(("random", "margin")), margin=margin).iloc[0]
    assert found["level"] == level
    assert (-margin < found["low"] and found["high"] < margin) == level


def test_without_spread_level_is_certain_or_out_of_the_question():
    curves = make_curves(("random",))
    twin = pd.concat([curves, curves.assign(strategy="twin")])
    found = equivalence(twin).iloc[0]
    assert (found["p_tost"], found["low"], found["high"], found["level"]) == (0, 0, 0, True)
    flat = in_settings([[0.5], [0.75]])
    far = equivalence(pd.concat([flat, flat.assign(seed=1)]), "s0").iloc[0]
    assert (far["p_tost"], far["level"]) == (1, False)


def test_batches_of_other_sizes_are_other_settings():
    # As recorded: one data set and classifier by ten, by a hundred, and by listed budgets.
    batches = [(10, "[]"), (100, "[]"), (0, "[50, 100]"), (0, "[50, 100, 200]")]
    curves = pd.concat([make_curves().assign(n_query=n, budgets=told) for n, told in batches])
    curves = pd.read_csv(io.StringIO(curves.to_csv(index=False)))
    setting = ("dataset", "model", "n_query", "budgets")
    assert len(areas(curves, setting=setting)) == 4 * 15
    assert mean_ranks(curves, setting=setting)["n_settings"].eq(4).all()
    assert overall_gains(curves, setting=setting)["n_settings"].eq(4).all()
    with pytest.raises(AlodError, match="two rows for"):
        areas(curves)


def test_targets_count_the_seeds_that_get_there():
    heights = {0: [0.5, 0.6, 0.8, 0.9], 1: [0.5, 0.8, 0.9, 0.9], 2: [0.5, 0.6, 0.6, 0.6]}
    curves = make_curves(("random",), heights).sort_values(["seed", "n_labeled"])
    curves["test_accuracy"] = np.concatenate(list(heights.values()))
    at_80, at_90 = targets(curves, [0.8, 0.9]).to_dict("records")
    assert (at_80["n_seeds"], at_80["n_reached"]) == (3, 2)
    assert (at_80["labels_median"], at_80["labels_low"], at_80["labels_high"]) == (200, 100, 200)
    assert at_90["labels_median"] == 400
    two_lost = curves.assign(test_accuracy=curves["test_accuracy"].where(curves["seed"] == 0, 0.1))
    lost = targets(two_lost, [0.8]).iloc[0]
    assert lost["n_reached"] == 1 and np.isnan(lost["labels_median"]) and lost["labels_low"] == 200


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: area_under_curve([50, 100], [0.5, 0.6], upto=200), "covers 50 to 100"),
        (lambda: area_under_curve([50, 100], [0.5, 0.6], start=100), "start < upto"),
        (lambda: area_under_curve([50, 50], [0.5, 0.6]), "increase"),
        (lambda: area_under_curve([0, 50], [0.5, 0.6]), "positive"),
        (lambda: area_under_curve([50, 100], [50, 60]), "from 0 to 1"),
        (lambda: area_under_curve([50, 100], [0.5, float("nan")]), "from 0 to 1"),
        (lambda: area_under_curve([50, 100], [0.5]), "as many"),
        (lambda: area_under_curve([50], [0.5]), "at least 2"),
        (lambda: labels_to_target([50, 100], [0.5, 0.6], 95), "from 0 to 1"),
        (lambda: summarize(make_curves().drop(columns="seed")), "without seed"),
        (lambda: summarize(make_curves().iloc[:0]), "without rows"),
        (lambda: summarize(make_curves(models=("cnn", "lenet5")), by=["strategy"]), "two rows for"),
        (lambda: areas(make_curves(), "accuracy"), "unknown metric"),
        (lambda: areas(make_curves().replace("margin", None)), "rows without strategy"),
        (lambda: equivalence(make_curves(), margin=0), "margin=0: expected a number above 0"),
        (lambda: compare_strategies(make_curves(seeds=[0])), "at least two"),
        (
            lambda: compare_strategies(make_curves().query("strategy != 'margin' or seed < 3")),
            "margin lacks 3, 4",
        ),
    ],
)
def test_bad_tables_are_refused_in_one_line(call, message):
    with pytest.raises(AlodError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
