"""Recorded results as chapters read them."""

import pytest

from alod.experiments.evaluation import labels_to_target
from alod_book import results


def test_published_curves_are_the_originals():
    curves = results.published_curves()
    assert list(curves) == ["dataset", "model", "n_labeled", "test_accuracy"]
    assert len(curves.groupby(["dataset", "model"])) == 6
    assert set(results.PUBLISHED_FULL_SET) == set(curves.groupby(["dataset", "model"]).groups)
    for (dataset, model), run in curves.groupby(["dataset", "model"]):
        assert run["n_labeled"].is_monotonic_increasing and run["n_labeled"].iloc[0] == 200
        assert run["test_accuracy"].max() < results.PUBLISHED_FULL_SET[dataset, model]
    cnn = curves.query("dataset == 'mnist' and model == 'cnn'")
    assert labels_to_target(cnn["n_labeled"], cnn["test_accuracy"], 0.97) == pytest.approx(
        2000, rel=0.01
    )
