"""The first set, chosen before any label exists.

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
from torch import Tensor

from alod import geometry
from alod.encoders import features
from alod.errors import check_count, check_name
from alod.training import Images, as_tensor

# Kernel means over more points than this differ by less than the spread of random sets.
REFERENCE = 10_000

Kernel = Callable[[Tensor, Tensor], Tensor]


def as_features(images: Images) -> Tensor:
    """Return features (N, D) of `images`, or those that they are already."""
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
    width = gamma(reference)
    pool_mean = mean_over(points, reference, gaussian(width))
    distances_to = geometry.distances_to_rows(points)
    chosen_sum = torch.zeros(len(points))
    chosen = np.empty(n, dtype=np.int64)
    for i in range(n):
        gain = pool_mean - chosen_sum / (i + 1)
        gain[chosen[:i]] = -torch.inf
        chosen[i] = pick = int(gain.argmax())
        chosen_sum += torch.exp(-width * distances_to(torch.tensor([pick]))[0])
    return chosen


def maxherding(points: Tensor, n: int, rng: Generator) -> np.ndarray:
    """Choose (n,) greedily so that the chosen set's kernels cover the pool.

    Source: Bae, Noh & Sutherland 2024, "Generalized coverage for more robust low-budget active
    learning". Gaussian kernel, median heuristic; see :func:`alod.geometry.max_herding`.
    """
    reference = points[geometry.sample(len(points), REFERENCE, rng)]
    return geometry.max_herding(points, n, rng, gamma(reference))[0]


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
    method.__name__: method for method in (random, kmeans, herding, maxherding, typiclust, kcenter)
}


def select(
    images: Images, n: int, method: str = "kmeans", rng: Generator | None = None
) -> np.ndarray:
    """Choose the first images (n,) to label, by a `method`; `rng` is seeded with 0 by default."""
    check_name("initial method", method, METHODS)
    n = check_count("n_initial", n, 1, len(images), "the size of the pool")
    rng = np.random.default_rng(0) if rng is None else rng
    # A single image has no principal component to choose by.
    if method == "random" or len(images) == 1:
        return random(torch.empty(len(images), 0), n, rng).astype(np.int64)
    return METHODS[method](as_features(images), n, rng).astype(np.int64)


def gamma(points: Tensor) -> float:
    """Return the Gaussian kernel's gamma by the median squared distance among 1,000 points."""
    few = points[:: max(1, len(points) // 1000)]
    square = geometry.squared_distances(few, few)
    above = square[torch.triu_indices(len(few), len(few), offset=1).unbind()]
    return 1 / (2 * max(float(above.median()), 1e-12)) if len(above) else 0.5


def mean_over(points: Tensor, reference: Tensor, kernel: Kernel) -> Tensor:
    """Return the mean `kernel` (N,) of `points` to the `reference` (M, D), in bounded memory."""
    rows = max(1, geometry.BLOCK // len(reference))
    blocks = [kernel(points[i : i + rows], reference).mean(1) for i in range(0, len(points), rows)]
    return torch.cat(blocks)


def gaussian(gamma: float) -> Kernel:
    """Return the Gaussian kernel of a `gamma`, (N, D), (M, D) -> (N, M)."""
    return lambda a, b: torch.exp(-gamma * geometry.squared_distances(a, b))
