"""Distances between embeddings, and the greedy selections built on them, in bounded memory."""

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional

# Entries of one block of a distance matrix: 64 MB of float32.
BLOCK = 16_000_000


def normalize(embeddings: Tensor) -> Tensor:
    """Scale each row to unit length, so that distances compare directions; zero rows stay zero.

    Parameters
    ----------
    embeddings : Tensor
        float32 (N, D).

    Returns
    -------
    Tensor
        float32 (N, D).
    """
    return functional.normalize(embeddings, dim=1)


def squared_distances(points: Tensor, others: Tensor) -> Tensor:
    """Return squared Euclidean distances through one matrix product.

    Parameters
    ----------
    points, others : Tensor
        float32 (N, D) and (M, D) on one device.

    Returns
    -------
    Tensor
        float32 (N, M), never negative; off by rounding, about 1e-6 times the squared norms.
    """
    squares = points.square().sum(1, keepdim=True) + others.square().sum(1)
    return torch.addmm(squares, points, others.T, alpha=-2).clamp_(min=0)


def nearest(points: Tensor, others: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """Find the k nearest of `others` for each of `points`, exactly.

    Parameters
    ----------
    points, others : Tensor
        float32 (N, D) and (M, D) on one device.
    k : int
        Neighbors, 1 <= k <= M.

    Returns
    -------
    distances : Tensor
        float32 (N, k), Euclidean, ascending.
    neighbors : Tensor
        int64 (N, k), rows of `others`.
    """
    # Around zero, the matrix product loses fewer digits.
    center = others.mean(0)
    points, others = points - center, others - center
    distances = points.new_empty(len(points), k)
    neighbors = torch.empty(len(points), k, dtype=torch.int64, device=points.device)
    rows = max(1, BLOCK // max(len(others), k * points.shape[1]))
    for start in range(0, len(points), rows):
        block = points[start : start + rows]
        found = squared_distances(block, others).topk(k, dim=1, largest=False).indices
        # Taken anew from the differences: the matrix product loses digits where points are close.
        exact = (block[:, None] - others[found]).square().sum(2)
        order = exact.argsort(dim=1)
        distances[start : start + rows] = exact.gather(1, order).sqrt()
        neighbors[start : start + rows] = found.gather(1, order)
    return distances, neighbors


def kmeans_plus_plus(
    points: Tensor, k: int, rng: Generator, weights: Tensor | None = None
) -> np.ndarray:
    """Draw k points far from each other: the next with probability weight × squared distance.

    Distance is to the nearest point drawn so far; the first is drawn by weight alone. Source:
    Arthur & Vassilvitskii 2007, "k-means++: the advantages of careful seeding".

    Parameters
    ----------
    points : Tensor
        float32 (N, D).
    k : int
        Points to draw, 1 <= k <= N.
    rng : numpy.random.Generator
        Draws.
    weights : Tensor, optional
        float (N,), not negative; all 1 by default.

    Returns
    -------
    numpy.ndarray
        int64 (k,), distinct rows in the order drawn. Where fewer than k points differ, the rest is
        drawn from the copies by weight.
    """
    weight = torch.ones(len(points), device=points.device) if weights is None else weights.float()
    distance = torch.ones_like(weight)
    free = torch.ones_like(weight, dtype=torch.bool)
    chosen = np.empty(k, dtype=np.int64)
    for i in range(k):
        mass = weight * distance * free
        if mass.sum() <= 0:
            mass = weight * free if (weight * free).sum() > 0 else free.float()
        cumulative = mass.double().cumsum(0)
        # (0, 1]: a point without mass is never the first to reach the mark.
        mark = (1 - rng.random()) * cumulative[-1]
        chosen[i] = pick = int(torch.searchsorted(cumulative, mark))
        free[pick] = False
        from_pick = (points - points[pick]).square().sum(1)
        distance = from_pick if i == 0 else torch.minimum(distance, from_pick)
    return chosen


def k_center(
    points: Tensor, k: int, rng: Generator, covered: Tensor | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Take, k times, the point farthest from everything covered or taken (Gonzalez 1985).

    Parameters
    ----------
    points : Tensor
        float32 (N, D).
    k : int
        Points to take, 1 <= k <= N.
    rng : numpy.random.Generator
        Draws the first point when nothing is covered, and breaks ties.
    covered : Tensor, optional
        float32 (M, D), points that are covered already.

    Returns
    -------
    indices : numpy.ndarray
        int64 (k,), distinct rows.
    distances : numpy.ndarray
        float (k,), squared distance at which each was taken, never increasing; infinite for a first
        point drawn at random.
    """
    # Ties are broken by the order of a random permutation: argmax takes the first.
    shuffle = torch.as_tensor(rng.permutation(len(points)), device=points.device)
    points = points[shuffle]
    if covered is None or len(covered) == 0:
        distance = points.new_full((len(points),), float("inf"))
    else:
        distance = nearest(points, covered)[0][:, 0].square()
    taken = np.empty(k, dtype=np.int64)
    radius = np.empty(k)
    for i in range(k):
        pick = int(distance.argmax())
        taken[i], radius[i] = pick, float(distance[pick])
        distance = torch.minimum(distance, (points - points[pick]).square().sum(1))
        distance[taken[: i + 1]] = -1.0
    return shuffle.cpu().numpy()[taken], radius
