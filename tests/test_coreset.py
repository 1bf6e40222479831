import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alod import AlodError
from alod.coreset import class_centers, core_set, inliers


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
        centers = class_centers(points.numpy(), relabeled.numpy(), 3, seed=0)
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
