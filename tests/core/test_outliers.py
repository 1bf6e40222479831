import random
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyod.models.cblof import CBLOF
from pyod.models.knn import KNN as PyodKNN  # noqa: N811
from pyod.models.lof import LOF
from sklearn.covariance import OAS
from sklearn.ensemble import IsolationForest

from alod import AlodError, geometry, outliers
from alod.outliers import _class_centers, core_set, inliers


def cloud(seed, n, d=6):
    return torch.as_tensor(np.random.default_rng(seed).normal(size=(n, d))).float()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(8, 60), st.integers(1, 40))
def test_knn_scores_equal_pyod(seed, k, n_fit, n_score):
    reference, pool = cloud(seed, n_fit), cloud(seed + 1, n_score)
    theirs = PyodKNN(n_neighbors=k).fit(reference.numpy()).decision_function(pool.numpy())
    ours = outliers.make("knn", n_neighbors=k).fit(reference).decision_function(pool)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_mahalanobis_equals_scikit_learn(seed, n_fit):
    reference, pool = cloud(seed, n_fit) * torch.arange(1, 7), cloud(seed + 1, 20)
    theirs = OAS().fit(reference.numpy()).mahalanobis(pool.numpy()) ** 0.5
    ours = outliers.make("mahalanobis").fit(reference).decision_function(pool)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)


def test_mahalanobis_of_copies_is_finite():
    pool = torch.tensor([[1.0, 1, 1], [1, 2, 3]])
    scores = outliers.outlier_scores("mahalanobis", torch.ones(9, 3), pool)
    assert np.isfinite(scores).all()
    assert scores[0] < scores[1]


def test_large_references_are_sampled_but_for_exact_knn(monkeypatch):
    monkeypatch.setattr(outliers, "FIT_AT_MOST", 20)
    reference = cloud(0, 60)
    # A point that was fitted is at distance 0 from itself.
    assert outliers.outlier_scores("knn", reference, reference).max() == 0
    seen = []

    class Spy(LOF):
        def fit(self, X, y=None):
            seen.append(len(X))
            return super().fit(X)

    outliers.outlier_scores(Spy(n_neighbors=5), reference, reference)
    assert seen == [20]


@pytest.mark.parametrize("name", outliers.DETECTORS)
def test_every_detector_finds_the_stranger_and_repeats_itself(name):
    reference = cloud(0, 60)
    pool = torch.cat([cloud(1, 20), torch.full((1, 6), 8.0)])
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    scores = outliers.outlier_scores(name, reference, pool, seed=3)
    again = outliers.outlier_scores(name, reference, pool, seed=3)
    assert scores.shape == (21,)
    # LODA and the neural ones are not sure; the stranger is still above nearly all others.
    assert (scores[:20] <= scores[20]).mean() >= 0.9
    np.testing.assert_array_equal(scores, again)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_pyod_instance_is_used_as_it_is_and_left_unfitted():
    detector = LOF(n_neighbors=7)
    reference, pool = cloud(0, 50), cloud(1, 10)
    scores = outliers.outlier_scores(detector, reference, pool)
    expected = LOF(n_neighbors=7).fit(reference.numpy()).decision_function(pool.numpy())
    np.testing.assert_allclose(scores, expected)
    assert not hasattr(detector, "detector_")


def test_class_scores_are_those_of_detectors_fitted_class_by_class():
    reference, pool = cloud(0, 60), cloud(1, 15)
    targets = torch.arange(60) % 4
    scores_UC = outliers.class_scores("lof", reference, targets, pool)
    for c in range(4):
        alone = LOF().fit(reference[targets == c].numpy()).decision_function(pool.numpy())
        np.testing.assert_allclose(scores_UC[:, c], alone)


def test_rare_classes_are_scored_by_nearest_neighbor():
    reference, pool = cloud(0, 30), cloud(1, 15)
    targets = torch.tensor([0] * 20 + [7] * 9 + [9])
    with pytest.warns(UserWarning, match="'gmm': a class has fewer than 8 labels; kNN"):
        scores_UC = outliers.class_scores("gmm", reference, targets, pool)
    expected = outliers.class_scores("knn", reference, targets, pool)
    assert scores_UC.shape == (15, 3)
    np.testing.assert_array_equal(scores_UC, expected)


def test_contrast_compares_the_two_best_classes():
    scores_UC = np.array([[1.0, 2.0, 4.0], [3.0, 3.0, 9.0], [5.0, 0.5, 1.0]])
    np.testing.assert_allclose(outliers.contrast(scores_UC, "ratio"), [0.5, 1.0, 0.5])
    np.testing.assert_allclose(outliers.contrast(scores_UC, "none"), [1, 3, 0.5])


@given(st.integers(0, 2**32 - 1), st.floats(-100, 100))
def test_contrast_ratio_is_a_share_whatever_the_scores(seed, shift):
    scores_UC = np.random.default_rng(seed).normal(size=(20, 4)) + shift
    ratio = outliers.contrast(scores_UC, "ratio")
    assert np.all((ratio >= 0) & (ratio <= 1))


def test_contrast_of_one_class_is_its_score():
    scores_UC = np.array([[2.0], [3.0]])
    np.testing.assert_array_equal(outliers.contrast(scores_UC, "ratio"), [2, 3])


def test_copy_of_images_of_two_classes_is_as_ambiguous_as_can_be():
    assert outliers.contrast(np.zeros((1, 2)), "ratio")[0] == 1


def test_unknown_parameter_of_a_detector_is_refused():
    with pytest.raises(AlodError, match="it takes"):
        outliers.make("iforest", n_trees=3)


def class_of(n, seed=0):
    """n points of a class as a classifier with dead units and an image given twice makes them."""
    points = cloud(seed, n, 12).relu()
    points[:, 6:] = 0
    points[n // 2] = points[0]
    return geometry.normalize(points)


@pytest.mark.parametrize("name", outliers.DETECTORS)
@pytest.mark.parametrize("n", [1, 2, 8, 20])
def test_every_detector_scores_small_classes_or_says_that_knn_does(name, n):
    copies = class_of(1, seed=1).repeat(n, 1)
    reference = torch.cat([class_of(n), copies])
    targets = torch.arange(2).repeat_interleave(n)
    pool = torch.cat([class_of(9, seed=2), copies[:1]])
    for ask, references in (
        (outliers.class_scores, (reference, targets)),
        (outliers.outlier_scores, (copies,)),
    ):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            scores = ask(name, *references, pool)
        assert np.isfinite(scores).all()
        said = [str(w.message) for w in told if "kNN takes its place" in str(w.message)]
        assert len(said) <= 1
        if said:
            assert repr(name) in said[0]
            assert "\n" not in said[0]
            np.testing.assert_array_equal(scores, ask("knn", *references, pool))


def test_one_class_that_a_detector_cannot_fit_turns_all_to_knn():
    copies = torch.ones(20, 6)
    reference, targets = torch.cat([cloud(0, 40), copies]), torch.tensor([0] * 40 + [1] * 20)
    pool = cloud(1, 15)
    outliers.outlier_scores("cblof", cloud(0, 40), pool)  # which it can
    for cblof in ("cblof", CBLOF()):
        with pytest.warns(UserWarning, match="kNN takes its place"):
            scores_UC = outliers.class_scores(cblof, reference, targets, pool)
        expected = outliers.class_scores("knn", reference, targets, pool)
        np.testing.assert_array_equal(scores_UC, expected)


@pytest.mark.parametrize("n", [8, 9, 31, 32, 33])
def test_the_autoencoder_learns_from_less_than_one_of_its_batches(n, recwarn):
    pool = torch.cat([cloud(1, 20), torch.full((1, 6), 8.0)])
    scores = outliers.outlier_scores("autoencoder", cloud(0, n), pool)
    assert scores.argmax() == 20
    assert not [w for w in recwarn if "kNN" in str(w.message)]


class Own:
    """A detector of a user's, which answers as it is told."""

    def __init__(self, answer):
        self.answer = answer

    def fit(self, X):
        return self

    def decision_function(self, X):
        return self.answer(X)


@pytest.mark.parametrize(
    "answer",
    [
        lambda X: list(range(len(X))),
        lambda X: np.arange(len(X))[:, None],
        lambda X: torch.arange(len(X)).bfloat16().requires_grad_(),
        lambda X: pd.Series(range(len(X))),
        lambda X: pd.DataFrame({"score": range(len(X))}),
    ],
)
def test_scores_are_taken_in_every_clear_form(answer):
    scores = outliers.outlier_scores(Own(answer), cloud(0, 9), cloud(1, 5))
    assert scores.dtype == np.float64
    assert scores.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda X: np.full(len(X), np.nan), "for 5 of 5 images"),
        (lambda X: [0, 1, np.inf, 3, 4], "for 1 of 5 images"),
        (lambda X: np.zeros(4), r"of shape \(4,\)"),
        (lambda X: np.zeros((5, 2)), r"of shape \(5, 2\)"),
        (lambda X: None, "NoneType"),
        (lambda X: ["a"] * 5, "no array of numbers"),
        (lambda X: {"scores": 1}, "dict"),
        (lambda X: [[1, 2], [3], [4], [5], [6]], "no array of numbers"),
    ],
)
def test_scores_that_are_none_are_refused_by_the_name_of_their_detector(answer, problem):
    reference, targets = cloud(0, 20), torch.arange(20) % 2
    for ask, references in (
        (outliers.class_scores, (reference, targets)),
        (outliers.outlier_scores, (reference,)),
    ):
        with pytest.raises(AlodError, match=f"detector 'Own' returned .*{problem}"):
            ask(Own(answer), *references, cloud(1, 5))


def test_an_error_in_a_detector_of_ones_own_is_shown():
    with pytest.raises(ZeroDivisionError):
        outliers.outlier_scores(Own(lambda X: 1 / 0), cloud(0, 9), cloud(1, 5))


def test_detectors_that_score_outliers_low_are_refused():
    with pytest.raises(AlodError, match="score outliers low"):
        outliers.outlier_scores(IsolationForest(), cloud(0, 9), cloud(1, 5))


def test_the_autoencoder_leaves_pythons_own_generator_alone():
    state = random.getstate()
    outliers.outlier_scores("autoencoder", cloud(0, 9), cloud(1, 5))
    assert random.getstate() == state


def three_classes(n=40):
    rng = np.random.default_rng(0)
    directions = np.eye(3)
    points = (directions[:, None] + 0.15 * rng.normal(size=(3, n, 3))).reshape(-1, 3)
    return torch.as_tensor(points).float(), torch.arange(3).repeat_interleave(n)


def test_core_set_holds_the_most_typical_of_each_class():
    points, targets = three_classes()
    core = core_set(points, targets, targets, n_per_class=5)
    assert np.bincount(targets[core]).tolist() == [5, 5, 5]
    unit = torch.nn.functional.normalize(points, dim=1)
    to_axis = unit[torch.arange(len(unit)), targets]
    assert to_axis[core].mean() > to_axis.mean()


def test_misclassified_images_are_not_typical():
    points, targets = three_classes()
    predictions = targets.clone()
    predictions[::2] = (targets[::2] + 1) % 3
    core = core_set(points, targets, predictions, n_per_class=100)
    assert core.tolist() == list(range(1, 120, 2))


def test_class_never_right_is_left_out_and_nothing_right_is_empty():
    points, targets = three_classes()
    predictions = torch.where(targets == 2, 0, targets)
    assert set(targets[core_set(points, targets, predictions)].tolist()) == {0, 1}
    assert len(core_set(points, targets, (targets + 1) % 3)) == 0


def test_centers_are_matched_to_the_classes_they_agree_with():
    points, targets = three_classes()
    for relabeled in (targets, (targets + 1) % 3, 2 - targets):
        centers = _class_centers(points.numpy(), relabeled.numpy(), 3, seed=0)
        means = np.stack([points[relabeled == c].mean(0) for c in range(3)])
        np.testing.assert_allclose(centers, means, atol=0.1)


@given(
    data=st.data(),
    n=st.integers(0, 40),
    n_per_class=st.integers(1, 6),
)
def test_inliers_are_the_least_outlying_on_which_detectors_and_classifier_agree(
    data, n, n_per_class
):
    few = st.lists(st.integers(0, 3), min_size=n, max_size=n)
    nearest, predictions = (np.array(data.draw(few), dtype=int) for _ in range(2))
    scores = np.array(data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n)), dtype=float)
    chosen = inliers(scores, nearest, predictions, n_per_class)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    for c in range(4):
        agreed = np.flatnonzero((nearest == c) & (predictions == c))
        own = np.intersect1d(chosen, agreed)
        assert len(own) == min(n_per_class, len(agreed))
        left = np.setdiff1d(agreed, own)
        assert len(left) == 0 or scores[own].max() <= scores[left].min()
    assert set(chosen) <= set(np.flatnonzero(nearest == predictions))


def test_inliers_of_other_lengths_are_refused():
    with pytest.raises(AlodError, match="one of each per image"):
        inliers(np.zeros(3), np.zeros(2, dtype=int), np.zeros(3, dtype=int), 1)
