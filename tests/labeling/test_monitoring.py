"""What is told about a labeling is true, and in plain words."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

import alod
from alod import AlodError, stopping
from alod.labeling import monitoring

RESULTS = Path(__file__).parents[2] / "book" / "results"


def history(kappas, changed, n_labeled):
    return pd.DataFrame({"kappa": kappas, "changed": changed, "n_labeled": n_labeled})


def test_kappa_equals_scikit_learns(rng):
    before = rng.integers(4, size=300)
    after = np.where(rng.random(300) < 0.2, rng.integers(4, size=300), before)
    changed, kappa = stopping.agreement(before, after)
    assert changed == pytest.approx((before != after).mean())
    assert kappa == pytest.approx(cohen_kappa_score(before, after))


def test_predictions_of_one_class_agree():
    assert stopping.agreement([2, 2, 2], [2, 2, 2]) == (0.0, 1.0)


@pytest.mark.parametrize(("right", "answered"), [(0, 5), (5, 5), (45, 50), (1, 1), (730, 1000)])
def test_at_both_ends_of_wilsons_interval_the_sample_is_1_96_deviations_away(right, answered):
    for end in monitoring.wilson_interval(right, answered):
        away = abs(right / answered - end)
        deviation = (end * (1 - end) / answered) ** 0.5
        assert away == pytest.approx(1.959964 * deviation, abs=1e-6)


def test_wilson_interval_covers_the_truth_as_often_as_it_says(rng):
    right = rng.binomial(40, 0.9, size=2000)
    covered = [low <= 0.9 <= high for low, high in map(interval_of_40, right)]
    assert 0.93 <= np.mean(covered) <= 0.98


def interval_of_40(right):
    return monitoring.wilson_interval(int(right), 40)


def test_impossible_samples_are_refused():
    for right, answered, level in [(3, 2, 0.95), (0, 0, 0.95), (-1, 3, 0.95), (1, 2, 1.0)]:
        with pytest.raises(AlodError):
            monitoring.wilson_interval(right, answered, level)


def test_stable_predictions_are_told_with_what_more_labels_would_change():
    past = history([np.nan, 0.7, 0.995, 0.996, 0.994], [np.nan, 0.3, 0.004, 0.003, 0.005], 100)
    past["n_labeled"] = [100, 200, 300, 400, 500]
    assert stopping.is_stable(past)
    assert stopping.stopping_advice(past) == (
        "Predictions have been stable for 3 rounds: another 100 labels would change about 0.4 % of "
        "them. You may stop."
    )


def test_unstable_predictions_say_go_on():
    past = history([np.nan, 0.7, 0.95, 0.999, 0.97], [np.nan, 0.3, 0.04, 0.001, 0.02], 0)
    past["n_labeled"] = [10, 20, 30, 40, 50]
    assert not stopping.is_stable(past)
    assert stopping.stopping_advice(past).startswith("The last round changed 2.0 % of the pred")
    assert stopping.stopping_advice(past).endswith("Go on.")
    assert stopping.stopping_advice(past[:1]).startswith("Learn from one more batch")
    many = history([np.nan, 0.1], [np.nan, 0.6], [10, 20])
    assert "would change many of them" in stopping.stopping_advice(many)


def audited(n_labeled, accuracy, answered=100):
    rows = {"n_labeled": n_labeled, "audit_right": np.multiply(accuracy, answered)}
    return pd.DataFrame({**rows, "audit_answered": answered})


def test_a_power_law_is_forecast_as_it_goes_on():
    n = np.array([50, 100, 150, 200, 300])
    expected, low, high = stopping.forecast(audited(n, 0.95 - 2 * n**-0.6, 10**6), 300)
    truth = 0.95 - 2 * 600**-0.6
    assert expected == pytest.approx(truth, abs=0.005)
    assert expected - 0.05 < low < truth < high < expected + 0.05


def test_forecasts_of_recorded_curves_hold_as_often_as_they_say(rng):
    table = pd.read_csv(RESULTS / "long_run.csv")
    inside = []
    for _, curve in table.groupby(["dataset", "model", "strategy", "seed"]):
        n, accuracy = curve["n_labeled"].to_numpy(), curve["test_accuracy"].to_numpy()
        past = audited(n[:5], rng.binomial(200, accuracy[:5]) / 200, 200)
        _, low, high = stopping.forecast(past, int(n[5] - n[4]))
        inside.append(low <= accuracy[5] <= high)
    assert len(inside) == 30
    assert np.mean(inside) >= 0.9


def test_a_larger_audit_tells_more():
    n, accuracy = [50, 100, 200, 400], [0.7, 0.8, 0.86, 0.9]
    ends = [stopping.forecast(audited(n, accuracy, m), 100) for m in (20, 2000)]
    assert ends[0].high - ends[0].low > 1.5 * (ends[1].high - ends[1].low)


def test_what_cannot_be_forecast_is_refused_and_not_told():
    with pytest.raises(AlodError, match="3 fits with an audit, each on more labels: expected 4"):
        stopping.forecast(audited([10, 20, 30, 30], 0.5), 10)
    with pytest.raises(AlodError, match="n_more=500: expected a whole number from 1 to 80"):
        stopping.forecast(audited([10, 20, 30, 40], 0.5), 500)
    past = audited([10, 20, 30, 40], [0.5, 0.6, 0.65, 0.7]).assign(changed=0.1, kappa=0.9)
    assert any("With 40 more labels about" in line for line in monitoring.advice(past, []))
    assert not any("more labels about" in line for line in monitoring.advice(past[:3], []))


def test_the_first_fit_is_none_of_the_three_stable_rounds():
    past = history([np.nan, 0.995, 0.995, 0.995], [np.nan, 0.004, 0.004, 0.004], 0)
    past["n_labeled"] = [50, 100, 150, 200]
    assert not stopping.is_stable(past[:3])
    assert stopping.stopping_advice(past[:3]).endswith("Go on.")
    assert stopping.is_stable(past)


@pytest.fixture(scope="module")
def slipped(mini):
    """A learner of 160 digits, 8 of them labeled wrongly, and which."""
    learner = alod.ActiveLearner(mini.images, 10, model="lenet5", steps=60, device="cpu")
    asked = learner.query(160)
    labels = mini.targets[asked].numpy().copy()
    labels[:8] = (labels[:8] + 3) % 10
    learner.teach(asked, labels)
    learner.fit()
    return learner, set(asked[:8].tolist())


def test_slips_are_among_the_labels_that_look_wrong(slipped):
    learner, slips = slipped
    weights = {name: value.clone() for name, value in learner.model.state_dict().items()}
    found = monitoring.suspected_errors(learner, 16)
    assert len(slips & set(found["index"])) >= 6
    assert (found["label"] == learner.answers[found["index"]]).all()
    assert found["suspicion"].is_monotonic_decreasing
    assert (found["looks_like"] != found["label"]).all()
    assert all((weights[n] == v).all() for n, v in learner.model.state_dict().items())


def test_one_class_cannot_be_reviewed(mini):
    learner = alod.ActiveLearner(mini.images, 10, model="lenet5", steps=1, device="cpu")
    learner.teach(learner.query(4), np.zeros(4, int))
    with pytest.raises(AlodError, match="fewer than two classes"):
        monitoring.suspected_errors(learner)


def test_balance_counts_labels_and_predictions(slipped, mini):
    learner, _ = slipped
    balance = monitoring.balance(learner, mini.classes)
    assert balance["n_labeled"].sum() == 160
    assert balance["predicted_share"].sum() == pytest.approx(1)
    predicted = learner.predict(mini.images[learner.pool])
    assert balance["predicted_share"][3] == pytest.approx((predicted == 3).mean())


def test_report_names_classes_without_a_label(mini):
    learner = alod.ActiveLearner(mini.images, 3, model="lenet5", steps=1, device="cpu")
    learner.teach(learner.query(4), np.array([0, 0, 1, -1]))
    told = monitoring.report(learner, ["ape", "bee", "cow"], pd.DataFrame())
    assert "3 labels (ape 2, bee 1, cow 0), 1 not one of these" in told
    assert "No label yet: cow." in told


def test_nobody_may_stop_while_a_class_has_no_label(mini):
    learner = alod.ActiveLearner(mini.images, 3, model="lenet5", steps=1, device="cpu")
    learner.teach(learner.query(4), np.array([0, 0, 0, -1]))
    past = history([np.nan, 1.0, 1.0, 1.0], [np.nan, 0.0, 0.0, 0.0], [1, 2, 3, 3])
    told = monitoring.report(learner, ["ape", "bee", "cow"], past.assign(audit_answered=0))
    assert "You may stop" not in told
    assert told.endswith("Go on: no label yet for bee, cow.")
    asked = learner.pool[:2]
    learner.teach(asked, np.array([1, 2]), unasked=True)
    told = monitoring.report(learner, ["ape", "bee", "cow"], past.assign(audit_answered=0))
    assert told.endswith("You may stop.")


def test_rounds_without_a_label_for_a_class_do_not_count_as_stable(mini):
    learner = alod.ActiveLearner(mini.images[:200], 2, model="lenet5", steps=1, device="cpu")
    rows, before = [], None
    for answers in ([0, 0], [0, 0], [0, 0], [0, 0], [1, 0], [1, 0], [1, 1]):
        learner.teach(learner.query(2), np.array(answers))
        learner.fit()
        rows.append(monitoring.observe(learner, before))
        before = monitoring.predictions(learner)
    past = pd.DataFrame(rows)
    assert past["kappa"].isna().tolist() == [True] * 4 + [False] * 3
    # As stable as can be, but from the fifth fit on only.
    past["kappa"] = past["kappa"].where(past["kappa"].isna(), 1.0)
    assert [stopping.is_stable(past[: i + 1]) for i in range(7)] == [False] * 6 + [True]
    assert stopping.stopping_advice(past[:4], ["bee"]).endswith("Go on: no label yet for bee.")
