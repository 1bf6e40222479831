"""How a first set stands for its pool, against the definitions."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from alod import initial
from alod.experiments import first_sets


@pytest.fixture(scope="module")
def points():
    return np.random.default_rng(1).normal(size=(300, 5)) * [5, 3, 1, 1, 1]


def test_herding_matches_the_distribution_better_than_random_sets(points):
    herded = initial.select(points, 30, "herding")
    match = first_sets.distribution_match(points, herded)
    assert match["mmd2_percentile"] <= 2
    assert match["energy_percentile"] <= 10


def test_k_center_takes_what_is_rare(points):
    chosen = initial.select(points, 30, "kcenter")
    match = first_sets.distribution_match(points, chosen)
    assert match["mmd2_percentile"] >= 99
    assert (
        match["coverage_95"] < first_sets.distribution_match(points, np.arange(30))["coverage_95"]
    )


def test_a_lopsided_set_is_told(points):
    lopsided = np.argsort(points[:, 0])[:30]
    match = first_sets.distribution_match(points, lopsided)
    assert match["mmd2_percentile"] == match["energy_percentile"] == 100


def test_distribution_measures_equal_their_definitions(points):
    chosen = np.arange(25)
    match = first_sets.distribution_match(points, chosen, n_random=2)
    pool, few = points, points[chosen]
    sample = pool[:: max(1, len(pool) // 1000)]
    gamma = 1 / (2 * np.median(cdist(sample, sample, "sqeuclidean")[np.triu_indices(300, 1)]))

    def discrepancy(kernel):
        return kernel(few, few).mean() - 2 * kernel(few, pool).mean() + kernel(pool, pool).mean()

    mmd2 = discrepancy(lambda a, b: np.exp(-gamma * cdist(a, b, "sqeuclidean")))
    energy = discrepancy(lambda a, b: -cdist(a, b))
    cover = cdist(pool, few).min(1)
    assert match["mmd2"] == pytest.approx(mmd2, rel=1e-2)
    assert match["energy"] == pytest.approx(energy, rel=1e-2)
    assert match["coverage_mean"] == pytest.approx(cover.mean(), rel=1e-4)
    assert match["coverage_95"] == pytest.approx(np.quantile(cover, 0.95), rel=1e-4)


def test_the_whole_pool_matches_itself(points):
    match = first_sets.distribution_match(points, np.arange(len(points)), n_random=5)
    assert match["mmd2"] == pytest.approx(0, abs=1e-6)
    assert match["coverage_mean"] == 0


def test_class_balance_counts_bits_and_gaps():
    even = first_sets.class_balance(np.array([0, 1, 2, 3]), 4)
    assert even == {"class_entropy": pytest.approx(2.0), "missing_classes": 0}
    assert first_sets.class_balance(np.array([1, 1]), 4)["missing_classes"] == 3
