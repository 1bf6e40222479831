import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from alod import AlodError
from alod.experiments.evaluation import (
    area_under_curve,
    areas,
    compare_strategies,
    gains,
    holm,
    labels_to_target,
    overall_gains,
    summarize,
    targets,
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
