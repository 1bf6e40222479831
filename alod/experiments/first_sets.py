"""How well a first set stands for its pool, and how evenly it covers the classes.

>>> points = np.arange(40.0).reshape(20, 2)
>>> match = distribution_match(points, np.arange(0, 20, 4), n_random=20)
>>> 0 <= match["mmd2_percentile"] <= 100
True
"""

import numpy as np
import scipy
import torch
from torch import Tensor

from alod import geometry, initial
from alod.errors import AlodError, check_count
from alod.training import Images


def distribution_match(
    images: Images, indices: np.ndarray, n_random: int = 200, seed: int = 0
) -> dict[str, float]:
    """Measure how well a chosen set stands for its pool, against random sets of the same size.

    The pool is `images`, (N, C, H, W), or features (N, D); the set, `indices` (n,), n at least 2,
    positions in it. `seed` draws `n_random` sets, and 10,000 images that stand for a larger pool.

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
    points = initial.as_features(images)
    indices = np.asarray(indices)
    check_count("number of indices", len(indices), 2, len(points), "the size of the pool")
    if indices.min() < 0 or indices.max() >= len(points):
        raise AlodError(f"indices from {indices.min()} to {indices.max()}: pool has {len(points)}")
    rng = np.random.default_rng(seed)
    reference = points[geometry.sample(len(points), initial.REFERENCE, rng)]
    # Draws from the whole pool, and the chosen set first.
    draws = [rng.choice(len(points), len(indices), replace=False) for _ in range(n_random)]
    sets = [indices, *draws]

    def discrepancies(kernel: initial.Kernel) -> np.ndarray:
        used = np.unique(np.concatenate(sets))
        to_pool = torch.zeros(len(points))
        to_pool[used] = initial.mean_over(points[used], reference, kernel)
        within = initial.mean_over(reference, reference, kernel).mean()
        values = [
            kernel(points[s], points[s]).mean() - 2 * to_pool[s].mean() + within for s in sets
        ]
        return torch.stack(values).clamp(min=0).numpy()

    mmd2 = discrepancies(initial.gaussian(initial.gamma(reference)))
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
        "class_entropy": float(scipy.stats.entropy(counts, base=2)),
        "missing_classes": float((counts == 0).sum()),
    }
