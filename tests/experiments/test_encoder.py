"""Experiments on features: images are described once, then a round costs what head and query do."""

import numpy as np
import pytest

import alod
from alod import AlodError, encoders
from alod.experiments.load import load_configs
from alod.experiments.record import tidy
from alod.experiments.run import load_run

SETTINGS = {
    "dataset": "mnist_mini",
    "encoder": "random_conv",
    "model": "linear",
    "budgets": [20, 40, 80],
    "device": "cpu",
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ALOD_DATA", str(tmp_path / "data"))


@pytest.fixture(scope="module")
def small(mini):
    chosen = mini.images[:700], mini.targets[:700], mini.test_images[:300], mini.test_targets[:300]
    return alod.from_arrays(*chosen, classes=mini.classes)


def run_in(folder, data, **settings):
    config = alod.ExperimentConfig(**SETTINGS | settings)
    return alod.run_experiment(config, folder, data, on_round=lambda row: None)


def test_a_run_asks_and_predicts_as_a_learner_of_the_features_does(small, tmp_path):
    run = run_in(tmp_path / "run", small, seed=3)
    encode = encoders.fit("random_conv", small.images)
    learner = alod.ActiveLearner(encode(small.images), 10, model="linear", seed=3)
    targets = small.targets.numpy()
    for round, k in enumerate((20, 20, 40)):
        asked = learner.step(k, lambda rows: targets[rows])
        assert np.array_equal(run.asked(round), asked.indices)
        right = learner.predict(encode(small.test_images)) == small.test_targets.numpy()
        assert run.history["test_accuracy"][round] == right.mean()
    assert run.history["test_accuracy"].iloc[-1] > 0.6
    assert load_run(tmp_path / "run").config.encoder == "random_conv"


def test_a_run_that_was_cut_off_goes_on_as_if_never_stopped(small, tmp_path):
    def stop(row):
        if row["round"] == 1:
            raise KeyboardInterrupt

    config = alod.ExperimentConfig(**SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        alod.run_experiment(config, tmp_path / "cut", small, on_round=stop)
    whole, cut = run_in(tmp_path / "whole", small), run_in(tmp_path / "cut", small)
    assert cut.queries.equals(whole.queries)
    assert cut.history["test_accuracy"].equals(whole.history["test_accuracy"])


def test_pools_with_strangers_inliers_and_diagnoses_go_by_features_too(small, tmp_path):
    more = {
        "pool": "foreign_hard_20",
        "inlier_passes": 1,
        "diagnose": True,
    }
    run = run_in(tmp_path / "run", small, keep_embeddings=True, **more)
    assert run.history["n_foreign"].iloc[-1] > 0
    assert {"n_inliers", "mmd2", "agreement"} <= set(run.history)
    assert run.embeddings["last"].shape[1] == 50


def test_sweeps_cross_encoders_and_old_hashes_stay(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("{model: linear, encoder: [random_conv, 'self_supervised:9'], budgets: [20]}")
    assert [c.encoder for c in load_configs(file)] == ["random_conv", "self_supervised:9"]
    plain = alod.ExperimentConfig(model="lenet5")
    assert plain.hash() == alod.ExperimentConfig(model="lenet5", encoder="none").hash()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"model": "cnn"}, r"encoder='random_conv': model='cnn' learns from images"),
        ({"encoder": "vgg"}, "unknown encoder 'vgg'"),
        ({"encoder": np.mean}, "expected a name, which files can hold"),
        ({"augment": "digits"}, "augment='digits': features cannot be distorted"),
        ({"encoder": "none"}, r"model='linear' does not learn from images"),
    ],
)
def test_what_does_not_go_together_is_one_line(settings, told, small, tmp_path):
    with pytest.raises(AlodError, match=told) as refused:
        run_in(tmp_path / "run", small, **settings)
    assert "\n" not in str(refused.value)


def test_a_table_tells_the_encoder_even_where_all_runs_have_the_same(small, tmp_path):
    run_in(tmp_path / "run", small)
    assert tidy([tmp_path / "run"])["encoder"].unique().tolist() == ["random_conv"]
