import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from alod import geometry

seeds = st.integers(0, 2**32 - 1)


def cloud(seed, n, d=4):
    return torch.as_tensor(np.random.default_rng(seed).normal(size=(n, d))).float()


@given(seeds, st.integers(1, 40), st.integers(1, 40))
def test_squared_distances_equal_scipy(seed, n, m):
    points, others = cloud(seed, n), cloud(seed + 1, m)
    expected = cdist(points, others, "sqeuclidean")
    np.testing.assert_allclose(geometry.squared_distances(points, others), expected, atol=1e-4)


@given(seeds, st.integers(1, 60), st.integers(1, 30), st.data())
def test_nearest_equals_a_full_sort(seed, n, m, data):
    k = data.draw(st.integers(1, m))
    points, others = cloud(seed, n), cloud(seed + 1, m)
    distances, neighbors = geometry.nearest(points, others, k)
    everything = cdist(points, others)
    np.testing.assert_allclose(distances, np.sort(everything, axis=1)[:, :k], atol=1e-5)
    np.testing.assert_allclose(
        np.take_along_axis(everything, neighbors.numpy(), 1), distances, atol=1e-5
    )


def test_nearest_in_blocks_equals_nearest_at_once(monkeypatch):
    points, others = cloud(0, 100), cloud(1, 50)
    at_once = geometry.nearest(points, others, 3)
    monkeypatch.setattr(geometry, "BLOCK", 700)
    in_blocks = geometry.nearest(points, others, 3)
    assert torch.equal(at_once[1], in_blocks[1])


def test_nearest_keeps_its_digits_where_points_nearly_coincide():
    points = 1000 + cloud(0, 20)
    assert float(geometry.nearest(points, points)[0].max()) == 0.0


@given(seeds, st.integers(1, 50), st.data())
def test_kmeans_plus_plus_draws_distinct_points(seed, n, data):
    k = data.draw(st.integers(1, n))
    copies = cloud(seed, max(1, n // 3)).repeat(4, 1)[:n]  # with duplicates among them
    chosen = geometry.kmeans_plus_plus(copies, min(k, len(copies)), np.random.default_rng(seed))
    assert len(set(chosen.tolist())) == min(k, len(copies))


def test_kmeans_plus_plus_draws_by_weight_times_squared_distance():
    points = torch.tensor([[0.0], [1.0], [3.0]])
    weights = torch.tensor([1.0, 4.0, 1.0])
    # The first is drawn by weight; after 0, the others have mass 4·1 and 1·9.
    pairs = [
        tuple(geometry.kmeans_plus_plus(points, 2, np.random.default_rng(s), weights))
        for s in range(3000)
    ]
    first = np.bincount([a for a, _ in pairs], minlength=3) / 3000
    np.testing.assert_allclose(first, [1 / 6, 4 / 6, 1 / 6], atol=0.03)
    after_zero = [b for a, b in pairs if a == 0]
    assert abs(np.mean([b == 2 for b in after_zero]) - 9 / 13) < 0.06


def test_kmeans_plus_plus_never_draws_what_has_no_weight_while_others_have():
    points, weights = cloud(0, 30), torch.zeros(30)
    weights[:10] = 1.0
    for seed in range(20):
        chosen = geometry.kmeans_plus_plus(points, 10, np.random.default_rng(seed), weights)
        assert max(chosen) < 10


@settings(max_examples=50)
@given(seeds, st.integers(2, 40), st.integers(0, 5), st.data())
def test_k_center_is_the_greedy_one(seed, n, m, data):
    k = data.draw(st.integers(1, n))
    points, covered = cloud(seed, n), cloud(seed + 1, m)
    indices, radius = geometry.k_center(points, k, np.random.default_rng(seed), covered)
    assert len(set(indices.tolist())) == k
    known = covered.numpy()
    for i, (index, r) in enumerate(zip(indices, radius, strict=True)):
        if len(known):
            farthest = cdist(points, known, "sqeuclidean").min(1)
            farthest[indices[:i]] = -1
            assert abs(r - farthest[index]) < 1e-4
            assert farthest[index] >= farthest.max() - 1e-4
        known = np.vstack([known, points[index : index + 1].numpy()])
    assert all(np.diff(radius[np.isfinite(radius)]) <= 1e-5)
