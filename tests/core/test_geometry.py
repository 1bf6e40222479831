import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

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


def test_distances_to_a_row_are_zero_for_copies_and_equal_scipy_elsewhere():
    points = 100 + cloud(0, 40).repeat(2, 1)
    rows = torch.arange(0, 80, 7)
    distances = geometry.distances_to_rows(points)(rows)
    everything = cdist(points, points, "sqeuclidean")
    np.testing.assert_allclose(distances, everything[rows], atol=2e-3)
    assert (distances[torch.arange(len(rows)), (rows + 40) % 80] == 0).all()


def test_k_means_costs_no_more_than_scikit_learn():
    points = torch.cat([cloud(s, 60) + 4 * cloud(s + 50, 1) for s in range(15)])
    ours, theirs = [], []
    for seed in range(11):
        labels, distances = geometry.k_means(points, 15, np.random.default_rng(seed))
        assert set(labels) <= set(range(15))
        ours.append((distances**2).sum())
        theirs.append(KMeans(15, n_init=1, random_state=seed).fit(points.numpy()).inertia_)
    assert np.median(ours) <= 1.02 * np.median(theirs)


def test_k_means_heeds_weights():
    points = torch.tensor([[0.0], [1.0], [10.0]])
    weights = torch.tensor([3.0, 1.0, 1.0])
    labels, distances = geometry.k_means(points, 2, np.random.default_rng(0), weights)
    assert labels[0] == labels[1] != labels[2]
    np.testing.assert_allclose(distances, [0.25, 0.75, 0], atol=1e-5)


def test_typical_points_come_from_clusters_in_turn_when_clusters_are_few(monkeypatch):
    monkeypatch.setattr(geometry, "MAX_CLUSTERS", 2)
    points = torch.cat([cloud(0, 30), 50 + cloud(1, 20)])
    indices, typicality = geometry.typical_points(points, 6, np.random.default_rng(0))
    assert (indices >= 30).tolist() == [False, True] * 3
    for turn in (typicality[::2], typicality[1::2]):
        assert all(np.diff(turn) <= 0)


def test_typical_points_leave_tiny_clusters_for_the_end():
    points = torch.cat([cloud(0, 30), 50 + cloud(1, 5), 99 + cloud(2, 8)])
    indices, _ = geometry.typical_points(points, 3, np.random.default_rng(0))
    assert [np.searchsorted([30, 35], i, side="right") for i in indices] == [0, 2, 1]


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 40), st.integers(0, 5), st.data())
def test_max_herding_gains_never_increase(seed, n, m, data):
    k = data.draw(st.integers(1, n))
    points, covered = cloud(seed, n), cloud(seed + 1, m)
    indices, gains = geometry.max_herding(points, k, np.random.default_rng(seed), 0.5, covered)
    assert len(set(indices.tolist())) == k
    assert all(np.diff(gains) <= 1e-6)
    assert 0 <= gains.min() <= gains.max() <= 1


def test_what_is_computed_on_a_sample_answers_for_the_whole_pool(monkeypatch):
    monkeypatch.setattr(geometry, "SAMPLE", 60)
    monkeypatch.setattr(geometry, "REFERENCE", 40)
    points = torch.cat([cloud(s, 100) + 30 * torch.eye(4)[s] for s in range(4)])
    for seed in range(3):
        rng = np.random.default_rng(seed)
        labels, _ = geometry.k_means(points, 4, rng)
        assert [len(set(labels[i : i + 100])) for i in range(0, 400, 100)] == [1, 1, 1, 1]
        for indices, _ in (
            geometry.typical_points(points, 4, rng),
            geometry.max_herding(points, 4, rng, 0.01),
        ):
            assert sorted(indices // 100) == [0, 1, 2, 3]
