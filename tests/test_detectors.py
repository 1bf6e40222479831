import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyod.models.knn import KNN as PyodKNN  # noqa: N811
from pyod.models.lof import LOF
from sklearn.covariance import OAS

from alod import AlodError, detectors


def cloud(seed, n, d=6):
    return torch.as_tensor(np.random.default_rng(seed).normal(size=(n, d))).float()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(8, 60), st.integers(1, 40))
def test_knn_scores_equal_pyod(seed, k, n_fit, n_score):
    reference, pool = cloud(seed, n_fit), cloud(seed + 1, n_score)
    theirs = PyodKNN(n_neighbors=k).fit(reference.numpy()).decision_function(pool.numpy())
    ours = detectors.make("knn", n_neighbors=k).fit(reference).decision_function(pool)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_mahalanobis_equals_scikit_learn(seed, n_fit):
    reference, pool = cloud(seed, n_fit) * torch.arange(1, 7), cloud(seed + 1, 20)
    theirs = OAS().fit(reference.numpy()).mahalanobis(pool.numpy()) ** 0.5
    ours = detectors.make("mahalanobis").fit(reference).decision_function(pool)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)


def test_mahalanobis_of_copies_is_finite():
    pool = torch.tensor([[1.0, 1, 1], [1, 2, 3]])
    scores = detectors.outlier_scores("mahalanobis", torch.ones(9, 3), pool)
    assert np.isfinite(scores).all()
    assert scores[0] < scores[1]


def test_large_references_are_sampled_but_for_exact_knn(monkeypatch):
    monkeypatch.setattr(detectors, "FIT_AT_MOST", 20)
    reference = cloud(0, 60)
    # A point that was fitted is at distance 0 from itself.
    assert detectors.outlier_scores("knn", reference, reference).max() == 0
    seen = []

    class Spy(LOF):
        def fit(self, X, y=None):
            seen.append(len(X))
            return super().fit(X)

    detectors.outlier_scores(Spy(n_neighbors=5), reference, reference)
    assert seen == [20]


@pytest.mark.parametrize("name", detectors.DETECTORS)
def test_every_detector_finds_the_stranger_and_repeats_itself(name):
    reference = cloud(0, 60)
    pool = torch.cat([cloud(1, 20), torch.full((1, 6), 8.0)])
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    scores = detectors.outlier_scores(name, reference, pool, seed=3)
    again = detectors.outlier_scores(name, reference, pool, seed=3)
    assert scores.shape == (21,)
    # LODA and the neural ones are not sure; the stranger is still above nearly all others.
    assert (scores[:20] <= scores[20]).mean() >= 0.9
    np.testing.assert_array_equal(scores, again)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_pyod_instance_is_used_as_it_is_and_left_unfitted():
    detector = LOF(n_neighbors=7)
    reference, pool = cloud(0, 50), cloud(1, 10)
    scores = detectors.outlier_scores(detector, reference, pool)
    expected = LOF(n_neighbors=7).fit(reference.numpy()).decision_function(pool.numpy())
    np.testing.assert_allclose(scores, expected)
    assert not hasattr(detector, "detector_")


def test_class_scores_are_those_of_detectors_fitted_class_by_class():
    reference, pool = cloud(0, 60), cloud(1, 15)
    targets = torch.arange(60) % 4
    scores_UC = detectors.class_scores("lof", reference, targets, pool)
    for c in range(4):
        alone = LOF().fit(reference[targets == c].numpy()).decision_function(pool.numpy())
        np.testing.assert_allclose(scores_UC[:, c], alone)


def test_rare_classes_are_scored_by_nearest_neighbor():
    reference, pool = cloud(0, 30), cloud(1, 15)
    targets = torch.tensor([0] * 20 + [7] * 9 + [9])
    scores_UC = detectors.class_scores("gmm", reference, targets, pool)
    expected = detectors.class_scores("knn", reference, targets, pool)
    assert scores_UC.shape == (15, 3)
    np.testing.assert_array_equal(scores_UC, expected)


def test_contrast_compares_the_two_best_classes():
    scores_UC = np.array([[1.0, 2.0, 4.0], [3.0, 3.0, 9.0], [5.0, 0.5, 1.0]])
    np.testing.assert_allclose(detectors.contrast(scores_UC, "ratio"), [0.5, 1.0, 0.5])
    np.testing.assert_allclose(detectors.contrast(scores_UC, "none"), [1, 3, 0.5])


@given(st.integers(0, 2**32 - 1), st.floats(-100, 100))
def test_contrast_ratio_is_a_share_whatever_the_scores(seed, shift):
    scores_UC = np.random.default_rng(seed).normal(size=(20, 4)) + shift
    ratio = detectors.contrast(scores_UC, "ratio")
    assert np.all((ratio >= 0) & (ratio <= 1))


def test_contrast_of_one_class_is_its_score():
    scores_UC = np.array([[2.0], [3.0]])
    np.testing.assert_array_equal(detectors.contrast(scores_UC, "ratio"), [2, 3])


def test_copy_of_images_of_two_classes_is_as_ambiguous_as_can_be():
    assert detectors.contrast(np.zeros((1, 2)), "ratio")[0] == 1


def test_unknown_parameter_of_a_detector_is_refused():
    with pytest.raises(AlodError, match="it takes"):
        detectors.make("iforest", n_trees=3)
