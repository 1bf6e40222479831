"""Where asked images lie, against the definitions."""

import numpy as np
import pytest

from alod_book import positions


def test_remoteness_compares_distances_to_the_nearest_others():
    points = np.random.default_rng(0).normal(size=(50, 5))
    batch = [3, 7, 20, 41]
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    apart = np.linalg.norm(unit[:, None] - unit, axis=2) + 9 * np.eye(50)
    near = np.sort(apart, axis=1)[:, :6].mean(1)
    found = positions.remoteness(points, batch, n_neighbors=6)
    assert found == pytest.approx(near[batch].mean() / near.mean())
    assert positions.remoteness(points, range(50)) == pytest.approx(1)


def test_border_share_counts_images_with_a_foreign_neighbor():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 5))
    targets = rng.integers(0, 2, 60)
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    near = np.argsort(-(unit @ unit.T), axis=1)[:, :4]  # itself and three neighbors
    mixed = (targets[near] != targets[:, None]).any(axis=1)
    indices = np.arange(0, 60, 3)
    share = positions.border_share(points, targets, indices, n_neighbors=3)
    assert share == pytest.approx(mixed[indices].mean())
