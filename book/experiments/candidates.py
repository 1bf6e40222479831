"""Outlier queries that the trial tries, for experiment files: ``candidates:agreement``.

What a strategy takes and returns is told at :data:`alod.strategies.Strategy`. What wins moves into
the library; see ``PLAN.md``.
"""

from typing import Literal

import numpy as np
import torch
from numpy.random import Generator
from scipy.stats import rankdata
from torch import Tensor
from torch.nn import functional

from alod import outliers, strategies
from alod.view import PoolView, Selection, task_like

# Guesses of the classifier that an answer weighs as much as: better than one on clothing.
ANSWER = 5


def agreement(
    view: PoolView,
    k: int,
    rng: Generator,
    of: Literal["both", "detectors", "margin"] = "both",
    focus: float = 4.0,
    two_sided: bool = True,
) -> Selection:
    """Ask for what detectors of the classes and the classifier both find hard to place.

    The batch adds most to the coverage of the pool, as in `outlier`, each image weighing its score
    to the power of `focus`, which grows with labels up to ten a class. Scores are mean ranks, in
    (0, 1], of two: the contrast of Gaussian detectors, one for each class, which the pool helps to
    fit (:func:`gaussian_distances`); and the classifier's margin. `of` takes one of them alone.
    What looks foreign is left out unless `two_sided` is False (:func:`alod.view.task_like`).
    """
    kept = task_like(view, k) if two_sided else np.arange(view.n_pool)
    seen = view.only(kept)
    found = []
    if of != "margin":
        found.append(outliers.contrast(gaussian_distances(seen)))
    if of != "detectors":
        best = seen.pool_logits.double().softmax(1).topk(2, dim=1).values
        found.append((1 - (best[:, 0] - best[:, 1])).cpu().numpy())
    scores = np.mean([rankdata(each) / len(each) for each in found], axis=0)
    per_label = len(view.labeled_targets) / view.pool_logits.shape[1]
    power = focus * min(1.0, per_label / strategies.LABELS_PER_CLASS)
    chosen = strategies._cover(seen, scores**power, k, rng)
    return Selection(kept[chosen], scores[chosen])


def gaussian_distances(view: PoolView) -> np.ndarray:
    """Return how far the pool lies from each labeled class, float64 (U, classes present).

    Mahalanobis distances of embeddings of length 1 to a mean for each class, by one covariance
    within classes: Lee et al. 2018, "A simple unified framework for detecting out-of-distribution
    samples and adversarial attacks"; shrunk, since features may have more dimensions than there are
    images. Fitted to labeled images by their class and to the pool's by the classifier's shares:
    one step of EM (Nigam, McCallum, Thrun & Mitchell 2000, "Text classification from labeled and
    unlabeled documents using EM").
    """
    labeled, pool = view.normalized()
    shares = view.pool_logits.softmax(1)
    told = ANSWER * functional.one_hot(view.labeled_targets, shares.shape[1]).to(shares.dtype)
    points, weights = torch.cat([labeled, pool]), torch.cat([told, shares])
    means, covariance = _within(points.double(), weights.double())
    covariance = _shrunk(covariance, len(points))
    whiten = torch.linalg.cholesky(torch.linalg.inv(covariance))
    means = means[view.labeled_targets.unique()]
    return torch.cdist(pool.double() @ whiten, means @ whiten).cpu().numpy()


def _within(points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means (C, D) and the covariance (D, D) within classes, of `weights` (N, C)."""
    mass = weights.sum(0).clamp_min(1e-9)
    means = weights.T @ points / mass[:, None]
    scatter = (points * weights.sum(1, keepdim=True)).T @ points
    return means, (scatter - (means * mass[:, None]).T @ means) / mass.sum()


def _shrunk(covariance: Tensor, n: int) -> Tensor:
    """Shrink a `covariance` (D, D) of `n` points towards a sphere.

    Chen, Wiesel, Eldar & Hero 2010, "Shrinkage algorithms for MMSE covariance estimation": their
    oracle approximating one, at least 1e-3.
    """
    d, mean = len(covariance), covariance.diagonal().mean().clamp_min(1e-9)
    alpha, squared = covariance.square().mean(), mean.square()
    share = ((alpha + squared) / ((n + 1) * (alpha - squared / d).clamp_min(1e-18))).clamp(1e-3, 1)
    sphere = mean * torch.eye(d, dtype=covariance.dtype, device=covariance.device)
    return torch.lerp(covariance, sphere, share)
