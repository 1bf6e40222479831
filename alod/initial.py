"""The first set, chosen before any label exists, and how well it stands for the pool.

A method, one of ``METHODS``, chooses `n` of the pool's `points`, float32 (N, D), and returns their
positions, int64 (n,), distinct; `rng`, a numpy.random.Generator, is all that is random. `images`
are the pool: images (N, C, H, W), which :func:`alod.encoders.features` describes, or features (N,
D) that you computed.

>>> points = np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]])
>>> sorted(select(points, 2, "kmeans").tolist())
[1, 4]
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.random import Generator
from scipy.stats import entropy
from torch import Tensor

from alod import geometry
from alod.encoders import features
from alod.errors import AlodError, check_count, check_name
from alod.training import Images, as_tensor

# Kernel means over more points than this differ by less than the spread of random sets.
REFERENCE = 10_000

Kernel = Callable[[Tensor, Tensor], Tensor]


def _as_features(images: Images) -> Tensor:
    return as_tensor(images).float().cpu() if images.ndim == 2 else features(images)


def random(points: Tensor, n: int, rng: Generator) -> np.ndarray:
    """Choose (n,) at random: unbiased, and the measure of all others."""
    return rng.choice(len(points), n, replace=False)


def kmeans(points: Tensor, n: int, rng: Generator) -> np.ndarray:
    """Choose the image nearest to each of (n,) k-means centers.

    k-means spreads the centers by density, so every kind of image is there and typical ones stand
    for it. Source: Arthur & Vassilvitskii 2007 for the seeding, Lloyd 1982 for the rest.
    """
    return geometry.k_means_representatives(points, n, rng)


def herding(points: Tensor, n: int, rng: Generator) -> np.ndarray:
    """Choose (n,) greedily so that the mean of the chosen set's kernel matches the pool's.

    Each step takes the image that lowers the maximum mean discrepancy most. Source: Chen, Welling &
    Smola 2010, "Super-samples from kernel herding". Gaussian kernel, median heuristic; the pool's
    mean is taken over at most 10,000 of its images. Nothing is random but that sample.
    """
    reference = points[geometry.sample(len(points), REFERENCE, rng)]
    gamma = _gamma(reference)
    pool_mean = _mean_over(points, reference, _gaussian(gamma))
    distances_to = geometry.distances_to_rows(points)
    chosen_sum = torch.zeros(len(points))
    chosen = np.empty(n, dtype=np.int64)
    for i in range(n):
        gain = pool_mean - chosen_sum / (i + 1)
        gain[chosen[:i]] = -torch.inf
        chosen[i] = pick = int(gain.argmax())
        chosen_sum += torch.exp(-gamma * distances_to(torch.tensor([pick]))[0])
    return chosen


def maxherding(points: Tensor, n: int, rng: Generator) -> np.ndarray:
    """Choose (n,) greedily so that the chosen set's kernels cover the pool.

    Source: Bae, Noh & Sutherland 2024, "Generalized coverage for more robust low-budget active
    learning". Gaussian kernel, median heuristic; see :func:`alod.geometry.max_herding`.
    """
    reference = points[geometry.sample(len(points), REFERENCE, rng)]
    return geometry.max_herding(points, n, rng, _gamma(reference))[0]


def typiclust(points: Tensor, n: int, rng: Generator) -> np.ndarray:
    """Choose the most typical image of each of (n,) clusters.

    Source: Hacohen, Dekel & Weinshall 2022, "Active learning on a budget: opposite strategies suit
    high and low budgets"; see :func:`alod.geometry.typical_points`.
    """
    return geometry.typical_points(points, n, rng)[0]


def kcenter(points: Tensor, n: int, rng: Generator) -> np.ndarray:
    """Choose (n,) times the image farthest from all chosen so far: the cautionary tale.

    It leaves no image far from the chosen ones, and so it chooses what is rare, not what is there.
    Source: Gonzalez 1985; Sener & Savarese 2018, "Active learning for convolutional neural
    networks: a core-set approach".
    """
    return geometry.k_center(points, n, rng)[0]


METHODS: dict[str, Callable[[Tensor, int, Generator], np.ndarray]] = {
    "random": random,
    "kmeans": kmeans,
    "herding": herding,
    "maxherding": maxherding,
    "typiclust": typiclust,
    "kcenter": kcenter,
}


def select(
    images: Images, n: int, method: str = "kmeans", rng: Generator | None = None
) -> np.ndarray:
    """Choose the first images (n,) to label, by a `method`, before any label exists.

    `rng` is seeded with 0 by default.
    """
    check_name("initial method", method, METHODS)
    n = check_count("n_initial", n, 1, len(images), "the size of the pool")
    rng = np.random.default_rng(0) if rng is None else rng
    # A single image has no principal component to choose by.
    if method == "random" or len(images) == 1:
        return random(torch.empty(len(images), 0), n, rng).astype(np.int64)
    return METHODS[method](_as_features(images), n, rng).astype(np.int64)


def distribution_match(
    images: Images, indices: np.ndarray, n_random: int = 200, seed: int = 0
) -> dict[str, float]:
    """Measure how well a chosen set stands for its pool, against random sets of the same size.

    The set is given by `indices` (n,), n at least 2, positions in the pool. `seed` draws `n_random`
    sets, and the at most 10,000 images that stand for a larger pool.

    Returns
    -------
    dict
        ``mmd2``: squared maximum mean discrepancy to the pool (Gretton et al. 2012, "A kernel
        two-sample test"), biased estimate, Gaussian kernel with the median heuristic; ``energy``:
        energy distance (Székely & Rizzo 2013, "Energy statistics"); both >= 0, lower is closer.
        ``mmd2_percentile`` and ``energy_percentile``: percent of random sets that are closer to the
        pool than this one, 0 (better than all) to 100. ``coverage_mean`` and ``coverage_95``: mean
        and 95th percentile over the pool of the distance to the nearest chosen image.
    """
    points = _as_features(images)
    indices = np.asarray(indices)
    check_count("number of indices", len(indices), 2, len(points), "the size of the pool")
    if indices.min() < 0 or indices.max() >= len(points):
        raise AlodError(f"indices from {indices.min()} to {indices.max()}: pool has {len(points)}")
    rng = np.random.default_rng(seed)
    reference = points[geometry.sample(len(points), REFERENCE, rng)]
    # Draws from the whole pool, and the chosen set first.
    draws = [rng.choice(len(points), len(indices), replace=False) for _ in range(n_random)]
    sets = [indices, *draws]

    def discrepancies(kernel: Kernel) -> np.ndarray:
        used = np.unique(np.concatenate(sets))
        to_pool = torch.zeros(len(points))
        to_pool[used] = _mean_over(points[used], reference, kernel)
        within = _mean_over(reference, reference, kernel).mean()
        values = [
            kernel(points[s], points[s]).mean() - 2 * to_pool[s].mean() + within for s in sets
        ]
        return torch.stack(values).clamp(min=0).numpy()

    mmd2 = discrepancies(_gaussian(_gamma(reference)))
    energy = discrepancies(lambda a, b: -geometry.squared_distances(a, b).sqrt())
    coverage = geometry.nearest(reference, points[indices])[0][:, 0].numpy()
    return {
        "mmd2": float(mmd2[0]),
        "mmd2_percentile": 100 * float((mmd2[1:] < mmd2[0]).mean()),
        "energy": float(energy[0]),
        "energy_percentile": 100 * float((energy[1:] < energy[0]).mean()),
        "coverage_mean": float(coverage.mean()),
        "coverage_95": float(np.quantile(coverage, 0.95)),
    }


def class_balance(targets: Tensor | np.ndarray, n_classes: int) -> dict[str, float]:
    """Measure how evenly a chosen set covers the classes; uses labels, so for evaluation only.

    Of `targets` (n,), 0 to `n_classes` - 1, return ``class_entropy`` in bits, at most
    log2(n_classes), and ``missing_classes``, how many of the classes the set lacks.
    """
    counts = np.bincount(np.asarray(targets), minlength=n_classes)
    return {
        "class_entropy": float(entropy(counts, base=2)),
        "missing_classes": float((counts == 0).sum()),
    }


def _gamma(points: Tensor) -> float:
    """Return the Gaussian kernel's gamma by the median heuristic.

    From the median squared distance among at most 1,000 points.
    """
    few = points[:: max(1, len(points) // 1000)]
    square = geometry.squared_distances(few, few)
    above = square[torch.triu_indices(len(few), len(few), offset=1).unbind()]
    return 1 / (2 * max(float(above.median()), 1e-12)) if len(above) else 0.5


def _mean_over(points: Tensor, reference: Tensor, kernel: Kernel) -> Tensor:
    """Return, for each point, the mean kernel to the reference, in blocks of bounded memory."""
    rows = max(1, geometry.BLOCK // len(reference))
    blocks = [kernel(points[i : i + rows], reference).mean(1) for i in range(0, len(points), rows)]
    return torch.cat(blocks)


def _gaussian(gamma: float) -> Kernel:
    return lambda a, b: torch.exp(-gamma * geometry.squared_distances(a, b))
