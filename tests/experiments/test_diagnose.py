"""What diagnose=True adds to a history."""

from dataclasses import replace

import numpy as np
import pytest

import alod
from alod import AlodError
from alod.experiments import diagnose, first_sets

TINY = alod.ExperimentConfig(model="lenet5", n_initial=20, n_query=10, rounds=2, steps=2)


def test_a_diagnosed_run_tells_how_good_its_first_set_is_and_what_each_round_changed(
    tmp_path, mini
):
    config = replace(TINY, diagnose=True)
    run = alod.run_experiment(config, tmp_path / "run", data=mini)
    first, later = run.history.iloc[0], run.history.iloc[1:]
    chosen = run.asked(0)
    assert first["mmd2"] == pytest.approx(
        first_sets.distribution_match(mini.images, chosen)["mmd2"]
    )
    assert first["missing_classes"] == 10 - len(mini.targets[chosen].unique())
    assert np.isnan(first["agreement"]) and later["mmd2"].isna().all()
    assert later["kappa"].between(-1, 1).all() and (later["kappa"] <= later["agreement"]).all()
    assert run.history["calibration_error"].between(0, 1).all()
    assert later[["agreement", "forgotten", "lost"]].apply(lambda c: c.between(0, 1).all()).all()
    assert later["same_scores"].between(-1, 1).all()
    # The rounds themselves are the same as without.
    plain = alod.run_experiment(TINY, tmp_path / "plain", data=mini)
    assert plain.queries.equals(run.queries)


def test_a_diagnosed_run_may_buy_the_whole_pool(tmp_path, mini):
    few = alod.from_arrays(
        mini.images[:40],
        mini.targets[:40],
        mini.test_images[:50],
        mini.test_targets[:50],
        mini.classes,
    )
    config = replace(TINY, n_initial=30, n_query=10, rounds=1, diagnose=True)
    run = alod.run_experiment(config, tmp_path / "run", data=few)
    assert run.history["n_labeled"].iloc[-1] == 40
    assert np.isnan(run.history["same_scores"].iloc[-1])


def test_what_a_round_changed_is_told_by_classes_and_by_scores():
    predicted = (np.array(row) for row in ([1, 1, 0, 2], [1, 0, 0, 0]))
    # The second image is labeled before the round, the first in it.
    scores = (np.array(row) for row in ([0.9, np.nan, 0.1, 0.5], [np.nan, np.nan, 0.2, 0.3]))
    labeled = (np.array([1]), np.array([0, 1]))
    before, after = map(diagnose.State, predicted, scores, labeled)
    changes = diagnose.changes(before, after, targets=np.array([1, 1, 0, 0]))
    wanted = {"agreement": 0.5, "kappa": 3 / 11, "forgotten": 1.0, "lost": 0.25, "same_scores": 1.0}
    assert changes == pytest.approx(wanted)


def test_calibration_error_is_the_mean_gap_between_confidence_and_accuracy():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, size=20_000)
    shares = np.stack([confidence, 1 - confidence], axis=1)
    honest = (rng.random(20_000) > confidence).astype(int)
    assert diagnose.calibration_error(shares, honest) < 0.02
    assert diagnose.calibration_error(shares, np.ones(20_000, int)) == pytest.approx(0.75, abs=0.01)
    # By hand: bins of half a width, two images in the upper one.
    few = [[0.9, 0.1], [0.7, 0.3], [0.4, 0.6]]
    assert diagnose.calibration_error(few, [0, 1, 1], n_bins=2) == pytest.approx(0.2 / 3)
    with pytest.raises(AlodError, match=r"probabilities \(3, 2\) and targets \(2,\)"):
        diagnose.calibration_error(few, [0, 1])
