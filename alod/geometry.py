"""Distances between embeddings, and the greedy selections built on them, in bounded memory.

`points`, `others` and `covered` are float32 (N, D) and (M, D) on one device; distances are
Euclidean, kept there. A selection takes or draws `k` of the points, 1 <= k <= N, and returns their
rows, int64 (k,), distinct, in the order taken; `covered` are points that need no more. `weights`
(N,) are not negative, all alike by default. `rng`, a numpy.random.Generator, is all that is random.

>>> points = torch.tensor([[1.0], [2.0], [9.0]])
>>> indices, distances = k_center(points, 2, np.random.default_rng(0), covered=torch.zeros(1, 1))
>>> indices.tolist(), distances.tolist()
([2, 1], [81.0, 4.0])
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional

from alod.errors import AlodError

# Entries of one block of a distance matrix: 8 MB of float32 stay in a processor's cache, blocks
# eight times as large cost three times the time (benchmarks/README.md).
BLOCK = 2_000_000
# Above this many points, clusters and kernel coverage are computed on a random sample of as many.
SAMPLE = 100_000
# Points that stand for all in the coverage that :func:`max_herding` maximizes, and those that may
# be taken where points have weights.
REFERENCE, CANDIDATES = 10_000, 12_000
LEADING = 32  # points whose gains are taken anew at once
# Typicality as published: neighbors, the most clusters, and what counts as a cluster (Hacohen et
# al. 2022 and their code).
TYPICAL_NEIGHBORS, MAX_CLUSTERS, MIN_CLUSTER = 20, 500, 6


def normalize(embeddings: Tensor) -> Tensor:
    """Scale each row of `embeddings` (N, D) to unit length, (N, D) again; zero rows stay zero."""
    return functional.normalize(embeddings, dim=1)


class Unit:
    """Rows of `points` (N, D), scaled to unit length as they are looked at, for a large pool."""

    def __init__(self, points: Tensor) -> None:
        self.points, self.shape, self.device = points, points.shape, points.device
        self.new_empty, self.new_zeros = points.new_empty, points.new_zeros

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, rows: Any) -> Tensor:
        return normalize(self.points[rows])


def check_finite(*outputs: Tensor) -> None:
    """Refuse a classifier's `outputs` (N, D) where a row, or its length, is NaN or infinite."""
    for rows in outputs:
        bad = len(rows) - int(torch.linalg.vector_norm(rows, dim=1).isfinite().sum())
        if bad:
            raise AlodError(
                f"{bad} of {len(rows)} images have embeddings or logits that are NaN, infinite or "
                "too large: training ran away; begin anew with a lower learning_rate, or scale "
                "what the model takes in"
            )


def squared_distances(points: Tensor, others: Tensor) -> Tensor:
    """Return squared distances (N, M), never negative, off by about 1e-6 of the squared norms."""
    squares = squared_lengths(points)[:, None] + squared_lengths(others)
    return torch.addmm(squares, points, others.T, alpha=-2).clamp_(min=0)


def nearest(points: Tensor, others: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """Find the k nearest of `others` for each of `points`, exactly; 1 <= k <= M.

    Return distances, float32 (N, k), ascending, and the neighbors' rows, int64 (N, k).
    """
    # Around zero, the matrix product loses fewer digits.
    center = others.mean(0)
    others = others - center
    lengths = squared_lengths(others)
    distances = points.new_empty(len(points), k)
    neighbors = torch.empty(len(points), k, dtype=torch.int64, device=points.device)
    rows = max(1, BLOCK // max(len(others), k * points.shape[1]))
    for start in range(0, len(points), rows):
        block = points[start : start + rows] - center
        # Squared distances, less what is the same for all of a point's neighbors.
        rank = torch.addmm(lengths, block, others.T, alpha=-2)
        if k == 1:  # a third of topk's time
            found = rank.min(dim=1, keepdim=True).indices
        else:
            found = rank.topk(k, dim=1, largest=False).indices
        # Taken anew from the differences: the matrix product loses digits where points are close.
        exact = torch.linalg.vector_norm(block[:, None] - others[found], dim=2)
        if k > 1:
            exact, order = exact.sort(dim=1)
            found = found.gather(1, order)
        distances[start : start + rows] = exact
        neighbors[start : start + rows] = found
    return distances, neighbors


def nearest_of_each(points: Tensor | Unit, groups: list[Tensor]) -> Tensor:
    """Return how far each point is from the nearest of each of `groups`, (M_g, D): float32 (N, G).

    Exact, as :func:`nearest`, for the two groups that are nearest to a point; what is farther may
    be off by 1e-6 of the squared norms.
    """
    others = torch.cat(groups)
    center = others.mean(0)
    others = others - center
    lengths, sizes = squared_lengths(others), [len(group) for group in groups]
    first = torch.tensor([0, *sizes[:-1]], device=points.device).cumsum(0)
    distances = points.new_empty(len(points), len(groups))
    rows = max(1, BLOCK // max(len(others), 2 * points.shape[1]))
    for start in range(0, len(points), rows):
        block = points[start : start + rows] - center
        rank = torch.addmm(lengths, block, others.T, alpha=-2)
        least = [part.min(dim=1) for part in rank.split(sizes, dim=1)]
        found = torch.stack([each.indices for each in least], dim=1) + first
        squares = torch.stack([each.values for each in least], dim=1)
        near = squares.add_(squared_lengths(block)[:, None]).clamp_(min=0).sqrt_()
        for group in near.topk(min(2, len(groups)), dim=1, largest=False).indices.split(1, dim=1):
            exact = block - others[found.gather(1, group)[:, 0]]
            near.scatter_(1, group, torch.linalg.vector_norm(exact, dim=1, keepdim=True))
        distances[start : start + rows] = near
    return distances


def squared_lengths(points: Tensor) -> Tensor:
    """Return squared lengths (N,) by norms, which need no copy of the points, as squares do."""
    return torch.linalg.vector_norm(points, dim=1).square()


def distances_to_rows(points: Tensor) -> Callable[[Tensor], Tensor]:
    """Prepare squared distances from some of the points to all, each through one matrix product.

    Return a function of int64 rows (R,), which returns float32 (R, N), never negative. Below 1e-6
    of the squared lengths of both points they are rounding, and 0.
    """
    points = points - points.mean(0)
    return distances_by_product(squared_lengths(points), lambda rows: points[rows] @ points.T)


def distances_by_product(
    lengths: Tensor, product: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    """Prepare as :func:`distances_to_rows` for vectors known by their inner products alone.

    `lengths` (N,) are their squared lengths; `product` of rows (R,) returns the inner products of
    these with all, float32 (R, N).
    """

    def to_rows(rows: Tensor) -> Tensor:
        both = lengths[rows, None] + lengths
        squared = torch.sub(both, product(rows), alpha=2)
        return squared.masked_fill_(squared <= both.mul_(1e-6), 0.0)

    return to_rows


def sample(n: int, at_most: int, rng: Generator, share: np.ndarray | None = None) -> np.ndarray:
    """Draw `at_most` of `n` positions without replacement, where there are more: int64, ascending.

    `share` (n,), positive, is how likely each is drawn next, relative to the others; by default all
    are equally likely. Where there are no more, nothing is drawn.
    """
    if n <= at_most:
        return np.arange(n)
    if share is None:
        return np.sort(rng.choice(n, at_most, replace=False))
    # The first to arrive, if each comes at the rate of its share.
    arrivals = rng.exponential(size=n) / share
    return np.sort(np.argpartition(arrivals, at_most)[:at_most])


def kmeans_plus_plus(
    points: Tensor, k: int, rng: Generator, weights: Tensor | None = None, trials: int = 1
) -> np.ndarray:
    """Draw k points far from each other: the next with probability weight × squared distance.

    Distance is to the nearest point drawn so far; the first is drawn by weight alone. Of each
    `trials` draws the one is kept that leaves least weight × squared distance. Return rows (k,).
    Where fewer than k points differ, the rest is drawn from the copies by weight. Source: Arthur &
    Vassilvitskii 2007, "k-means++: the advantages of careful seeding".
    """
    weight = points.new_ones(len(points)) if weights is None else weights.to(points.dtype)
    return draw_apart(distances_to_rows(points), weight, k, rng, trials=trials)


def draw_apart(
    distances_to: Callable[[Tensor], Tensor],
    weight: Tensor,
    k: int,
    rng: Generator,
    first: int | None = None,
    trials: int = 1,
) -> np.ndarray:
    """Draw rows (k,) as :func:`kmeans_plus_plus` does, by distances instead of points.

    `distances_to` is a function that :func:`distances_to_rows` returns, `weight` float32 (N,). The
    `first` point is drawn by weight by default, and never by `trials`.
    """
    distance = torch.ones_like(weight)
    free = torch.ones_like(weight, dtype=torch.bool)
    chosen = np.empty(k, dtype=np.int64)
    for i in range(k):
        if i == 0 and first is not None:
            picks = torch.tensor([first], device=weight.device)
        else:
            mass = weight * distance * free
            if mass.sum() <= 0:
                mass = weight * free if (weight * free).sum() > 0 else free.float()
            cumulative = mass.double().cumsum(0)
            # (0, 1]: a point without mass is never the first to reach the mark.
            marks = 1 - rng.random(1 if i == 0 else trials)
            picks = torch.searchsorted(
                cumulative, torch.as_tensor(marks, device=weight.device) * cumulative[-1]
            )
        distances = distances_to(picks)
        if i > 0:
            distances = torch.minimum(distances, distance)
        best = int((distances @ weight).argmin()) if len(picks) > 1 else 0
        distance = distances[best]
        chosen[i] = pick = int(picks[best])
        free[pick] = False
    return chosen


def k_center(
    points: Tensor, k: int, rng: Generator, covered: Tensor | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Take, k times, the point farthest from everything covered or taken (Gonzalez 1985).

    Return rows (k,), and the squared distance at which each was taken, float (k,), never
    increasing, infinite for a first point drawn at random. Ties are broken at random, too.
    """
    distances_to = distances_to_rows(points)
    if covered is None or len(covered) == 0:
        distance = points.new_full((len(points),), float("inf"))
    else:
        distance = nearest(points, covered)[0][:, 0].square()
    taken, radius = np.empty(k, dtype=np.int64), np.empty(k)
    for i in range(k):
        radius[i] = farthest = float(distance.max())
        ties = torch.nonzero(distance == farthest)[:, 0]
        pick = ties[rng.integers(len(ties))]
        taken[i] = int(pick)
        distance = torch.minimum(distance, distances_to(pick[None])[0])
        distance[taken[: i + 1]] = -1.0
    return taken, radius


def k_means(
    points: Tensor, k: int, rng: Generator, weights: Tensor | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Cluster points around k centers of least squared distance (Lloyd 1982).

    scikit-learn's KMeans from one seeding. More than 100,000 points are clustered by a random
    sample of as many, and k is at most that. Return labels, int64 (N,), 0 to k - 1, some of which
    are missing where fewer than k points differ; and distances to the center of the own cluster,
    float32 (N,).
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    few = sample(len(points), SAMPLE, rng)
    fitted = points if len(few) == len(points) else points[few]
    weight = None if weights is None else weights[few]
    # The best of some draws for each seed, as scikit-learn does, but in one matrix product: its own
    # seeding takes longer than all the rest.
    rows = kmeans_plus_plus(fitted, k, rng, weight, trials=2 + int(np.log(k)))
    seeds = fitted[rows].cpu().numpy()
    # One seeding and 8 steps: more of either gains about 1 % (benchmarks/README.md).
    model = KMeans(k, init=seeds, n_init=1, max_iter=8)
    with warnings.catch_warnings():
        # Copies among the points leave clusters empty, which callers expect.
        warnings.simplefilter("ignore", ConvergenceWarning)
        counts = None if weight is None else weight.cpu().numpy()
        model.fit(fitted.cpu().numpy(), sample_weight=counts)
    centers = torch.as_tensor(model.cluster_centers_, dtype=points.dtype, device=points.device)
    if len(few) == len(points):
        labels = torch.as_tensor(model.labels_, dtype=torch.int64, device=points.device)
        distances = torch.linalg.vector_norm(points - centers[labels], dim=1)
    else:
        found, neighbors = nearest(points, centers)
        distances, labels = found[:, 0], neighbors[:, 0]
    return labels.cpu().numpy(), distances.cpu().numpy()


def k_means_representatives(
    points: Tensor, k: int, rng: Generator, weights: Tensor | None = None
) -> np.ndarray:
    """Take the points nearest to k k-means centers, random ones for empty: rows (k,), shuffled."""
    labels, distances = k_means(points, k, rng, weights)
    order = np.lexsort((distances, labels))
    # The first of each cluster in that order is the one nearest to its center.
    chosen = order[np.unique(labels[order], return_index=True)[1]]
    if len(chosen) < k:  # duplicates among the points left clusters empty
        others = np.setdiff1d(np.arange(len(points)), chosen)
        chosen = np.concatenate([chosen, rng.choice(others, k - len(chosen), replace=False)])
    return rng.permutation(chosen)


def typical_points(
    points: Tensor, k: int, rng: Generator, covered: Tensor | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Take the most typical point of each of the k largest clusters that hold nothing covered.

    Typicality is the inverse mean distance to the 20 nearest points of the cluster (to half of the
    cluster where it is small). As many clusters as points covered and wanted, at most 500; those
    with the fewest covered points come first, the larger before the smaller, those of five points
    or fewer last. Where there are fewer clusters than points wanted, each gives its next most
    typical in turn. Source: Hacohen, Dekel & Weinshall 2022, "Active learning on a budget: opposite
    strategies suit high and low budgets".
    Return rows (k,) and their typicality, float64 (k,), positive. Of more than 100,000 points, a
    random sample of as many is considered.
    """
    few = sample(len(points), max(SAMPLE, k), rng)
    points = points if len(few) == len(points) else points[few]
    known = points.new_empty(0, points.shape[1]) if covered is None else covered
    n_clusters = min(len(known) + k, MAX_CLUSTERS, len(known) + len(points))
    labels, _ = k_means(torch.cat([points, known]), n_clusters, rng)
    labels, covered_labels = np.split(labels, [len(points)])
    sizes = np.bincount(labels, minlength=n_clusters)
    n_covered = np.bincount(covered_labels, minlength=n_clusters)
    queue = np.lexsort((-sizes, n_covered, sizes < MIN_CLUSTER))
    rank = np.empty(n_clusters, dtype=np.int64)
    rank[queue] = np.arange(n_clusters)
    # Only clusters that are asked need typicality: as many as hold k points.
    enough = 1 + np.searchsorted(np.minimum(1, sizes[queue]).cumsum(), k)
    members = np.split(np.argsort(labels, kind="stable"), sizes.cumsum()[:-1])
    typicality = np.zeros(len(points))
    turn = np.zeros(len(points), dtype=np.int64)
    asked = np.zeros(len(points), dtype=bool)
    for cluster in queue[:enough]:
        inside = members[cluster]
        if len(inside):
            typicality[inside] = _typicality(points[inside])
            turn[inside] = np.argsort(np.argsort(-typicality[inside], kind="stable"))
            asked[inside] = True
    order = np.lexsort((rank[labels], turn, ~asked))[:k]
    return few[order], typicality[order]


def _typicality(points: Tensor) -> np.ndarray:
    k = min(TYPICAL_NEIGHBORS, len(points) // 2)
    if k == 0:  # a point alone
        return np.ones(len(points))
    # Each finds itself first, at distance 0.
    distances = nearest(points, points, k + 1)[0].double().sum(1) / k
    return (1 / (distances + 1e-5)).cpu().numpy()


def max_herding(
    points: Tensor | Unit,
    k: int,
    rng: Generator,
    gamma: float,
    covered: Tensor | None = None,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Take, k times, the point that adds most to the coverage of all points.

    A point is covered by the greatest of its kernels exp(-`gamma` × squared distance) to what is
    covered or taken; coverage is the weighted mean over all, for which at most 10,000 of them
    stand, drawn by weight. Greedy, so within 1 - 1/e of the best there is. Sources: Bae, Noh &
    Sutherland 2024, "Generalized coverage for more robust low-budget active learning"; with
    `weights`, positive, Bae, Oliveira & Sutherland 2025, "Uncertainty herding: one active learning
    method for all label budgets".

    Return rows (k,) and what each added to the coverage, float64 (k,), in [0, 1], never increasing.
    Of more than 100,000 points only a random sample of as many may be taken; with weights, of more
    than 12,000 as many, drawn by weight. Nothing else is random.
    """
    n = len(points)
    share = None if weights is None else weights / weights.sum()
    few = sample(n, max(SAMPLE if share is None else CANDIDATES, k), rng, share)
    candidates = points[:] if len(few) == n else points[few]
    if share is None or n <= REFERENCE:
        rows = sample(n, REFERENCE, rng)
        mass = np.full(len(rows), 1 / len(rows)) if share is None else share
    else:
        # Drawn by weight, each point stands for as much as any other, as often as it was drawn.
        rows, times = np.unique(rng.choice(n, REFERENCE, p=share), return_counts=True)
        mass = times / REFERENCE
    reference = points[rows]
    mass = torch.as_tensor(mass).to(reference)
    coverage = points.new_zeros(len(reference))
    if covered is not None and len(covered):
        coverage = torch.exp(-gamma * nearest(reference, covered)[0][:, 0].square())
    # Of these, an inner product is the logarithm of the kernel.
    halves = [-gamma * squared_lengths(p)[:, None] for p in (candidates, reference)]
    ones = [torch.ones_like(half) for half in halves]
    ours = torch.cat([candidates * (2 * gamma) ** 0.5, halves[0], ones[0]], dim=1)
    theirs = torch.cat([reference * (2 * gamma) ** 0.5, ones[1], halves[1]], dim=1)
    gain = _gain_of(ours, theirs, mass, coverage)
    taken, gains = np.empty(k, dtype=np.int64), np.empty(k)
    known = torch.zeros(len(gain), dtype=torch.int64, device=gain.device)
    for i in range(k):
        # What a point adds only falls, so an old gain is a bound: those of the greatest are taken
        # anew until one of them leads (Minoux 1978, "Accelerated greedy algorithms").
        best = gain.topk(min(LEADING, len(gain))).indices
        while known[best[0]] < i:
            old = best[known[best] < i]
            gain[old], known[old] = _gain_of(ours[old], theirs, mass, coverage), i
            best = gain.topk(min(LEADING, len(gain))).indices
        taken[i] = pick = int(best[0])
        gains[i] = min(max(0.0, float(gain[pick])), gains[i - 1] if i else 1.0)
        gain[pick], known[pick] = -torch.inf, k
        coverage = torch.maximum(coverage, (theirs @ ours[pick]).exp_().clamp_(max=1))
    return few[taken], gains


def _gain_of(ours: Tensor, theirs: Tensor, mass: Tensor, covered: Tensor) -> Tensor:
    """Sum over their mass how far each of our kernels, at most 1, reaches beyond `covered`."""
    reach = torch.empty(len(ours), dtype=torch.float64, device=ours.device)
    nothing, left = torch.zeros_like(covered), 1 - covered
    rows = max(1, BLOCK // len(theirs))
    for start in range(0, len(ours), rows):
        kernel = (ours[start : start + rows] @ theirs.T).exp_()
        reach[start : start + rows] = kernel.sub_(covered).clamp_(nothing, left) @ mass
    return reach
