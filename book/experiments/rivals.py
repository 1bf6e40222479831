"""The rivals of `outlier`, as their papers have them, for experiment files: ``rivals:uherding``.

What a strategy takes and returns is told at :data:`alod.strategies.Strategy`, where more rivals
are: ``badge``, ``bald``, ``dbal``, ``kcenter``, ``maxherding``, ``typiclust``. Two things hold for
all here. A query that has to know weights, or answers on what is labeled, fits the linear head
anew: on frozen features the classifier itself, for a network one on its embedding. And what
compares all images of the pool with all others looks at a random subset of 16,000 images.

A greedy oracle has no place here, since a view holds no target of the pool: it would be made for
one data set, ``partial(oracle, targets)``, and score candidates by a head fitted with each.
"""

from collections.abc import Callable
from math import log, sqrt
from typing import Literal

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional

from alod import geometry, strategies
from alod.heads import Head
from alod.view import PoolView, Selection

# Uncertainty herding and ProbCover hold kernels between up to 35,000 images on a GPU; on one core,
# 16,000 take a second.
SUBSET = 16_000
# Bae, Oliveira & Sutherland 2025, code: what is tried on 3 of 10 labels.
TEMPERATURES, HELD_OUT = torch.arange(1.0, 20.0, 0.1, dtype=torch.float64), 0.3


def uherding(
    view: PoolView, k: int, rng: Generator, uncertainty: Literal["margin", "entropy"] = "margin"
) -> Selection:
    """Cover what the classifier hesitates about, kernel and temperature fitted to the labels.

    Bae, Oliveira & Sutherland 2025, "Uncertainty herding: one active learning method for all label
    budgets", and code: coverage by exp(-squared distance / width squared), width the smallest
    distance between labeled images; logits are divided by what minimizes the calibration error of
    a head that 70 % of the labels teach on the others (drawn at random; theirs are the latest).
    """
    labeled, pool = view.normalized()
    weights = _uncertainty(view.pool_logits.double() / _temperature(view, rng), uncertainty)
    apart = geometry.nearest(labeled, labeled, min(3, len(labeled)))[0]
    width = float(apart[apart > 0].min()) if (apart > 0).any() else 1.0

    coverage = (geometry.nearest(pool, labeled)[0][:, 0] / width).square().neg().exp()
    # Of these, an inner product is the logarithm of the kernel.
    scaled, ones = pool * (sqrt(2) / width), pool.new_full((len(pool), 1), sqrt(2) / width)
    ours, theirs = torch.cat([scaled, ones], dim=1), torch.cat([scaled, -ones], dim=1)
    return _herd(ours, theirs, torch.exp_, weights, coverage, k, rng)


def _uncertainty(logits: Tensor, kind: str) -> Tensor:
    if kind == "entropy":
        return torch.special.entr(logits.softmax(1)).sum(1)
    best = logits.softmax(1).topk(2, dim=1).values
    return 1 - (best[:, 0] - best[:, 1])


def _temperature(view: PoolView, rng: Generator) -> float:
    order = rng.permutation(len(view.labeled_targets))
    held, rest = np.split(order, [int(HELD_OUT * len(order))])
    if len(held) == 0:
        return 1.0
    logits = _head(view, rest).logits(view.labeled_embeddings[held].cpu()).double()
    right = logits.argmax(1) == view.labeled_targets[held].cpu()
    errors = _calibration_errors(logits, right, TEMPERATURES)
    return float(TEMPERATURES[errors.argmin()])


def _calibration_errors(logits: Tensor, right: Tensor, temperatures: Tensor) -> Tensor:
    """Return the expected calibration error (T,) at each temperature, in as many bins as classes.

    Of `logits` (N, C) that were `right` (N,): Naeini, Cooper & Hauskrecht 2015, "Obtaining well
    calibrated probabilities using Bayesian binning".
    """
    n, n_classes = logits.shape
    sure = torch.stack([(logits / each).softmax(1).amax(1) for each in temperatures])
    bins = (sure * n_classes).ceil().long().clamp_(1, n_classes) - 1
    gaps = torch.zeros(len(temperatures), n_classes, dtype=sure.dtype)
    return gaps.scatter_add_(1, bins, right.double() - sure).abs().sum(1) / n


def _head(view: PoolView, rows: np.ndarray | slice = slice(None)) -> Head:
    every = torch.cat([view.labeled_embeddings, view.pool_embeddings]).cpu()
    head = Head("linear", every, view.pool_logits.shape[1])
    head.learn(view.labeled_embeddings[rows].cpu(), view.labeled_targets[rows].cpu(), seed=0)
    return head


def _herd(
    ours: Tensor,
    theirs: Tensor,
    kernel: Callable[[Tensor], Tensor],
    weights: Tensor,
    coverage: Tensor,
    k: int,
    rng: Generator,
) -> Selection:
    """Take, k times, what adds most to the weighted coverage of a random subset by itself.

    As :func:`alod.geometry.max_herding`, but each of the subset's points counts by its weight, so
    that one that covers nothing else is worth just that. `kernel` turns inner products of `ours`
    and `theirs` (N, D) into how far a point covers another, at most 1 but for rounding, in place;
    `coverage` (N,) is how far each is covered already.
    """
    few = rng.permutation(len(ours))[: max(SUBSET, k)]
    ours, theirs, coverage, mass = ours[few], theirs[few], coverage[few], weights[few].float()
    mass = mass / mass.sum().clamp_min(1e-12)

    def gains(rows: Tensor, low: Tensor, high: Tensor) -> Tensor:
        total = torch.zeros(len(ours), dtype=torch.float64, device=ours.device)
        size = max(1, geometry.BLOCK // 2 // len(ours))
        for each, lowest, highest in zip(
            *(x.split(size) for x in (rows, low[:, None], high[:, None])), strict=True
        ):
            reach = kernel(theirs[each] @ ours.T)
            reach.scatter_(1, each[:, None], 1.0)
            torch.minimum(reach, highest, out=reach)
            total += mass[each] @ reach.sub_(lowest).clamp_(min=0)
        return total

    everything = torch.arange(len(ours), device=ours.device)
    gain = gains(everything, coverage, torch.ones_like(coverage))
    taken, scores = np.empty(k, dtype=np.int64), np.empty(k)
    for i in range(k):
        taken[i] = pick = int(gain.argmax())
        scores[i] = max(0.0, float(gain[pick]))
        reach = kernel(theirs @ ours[pick]).clamp_(max=1)
        reach[pick] = 1.0
        better = torch.nonzero(reach > coverage)[:, 0]
        gain -= gains(better, coverage[better], reach[better])
        coverage[better] = reach[better]
        gain[taken[: i + 1]] = -torch.inf
    return Selection(few[taken], scores)


def probcover(view: PoolView, k: int, rng: Generator, purity: float = 0.95) -> Selection:
    """Cover the most images by balls as large as can be while they hold one cluster each.

    Yehuda, Dekel, Hacohen & Weinshall 2022, "Active learning through a covering lens": the radius
    is the largest at which a share `purity` of all balls is pure, in clusters by k-means, as many
    as classes; here without a grid, since a ball is pure up to the nearest image of another
    cluster. Meant for features that learned without labels, as frozen ones have.
    """
    labeled, pool = view.normalized()
    radius = _pure_radius(torch.cat([pool, labeled]), view.pool_logits.shape[1], purity, rng)
    coverage = (geometry.nearest(pool, labeled)[0][:, 0] < radius).float()
    low, ones = 1 - radius**2 / 2, torch.ones_like(coverage)
    return _herd(pool, pool, lambda cosines: cosines.gt_(low), ones, coverage, k, rng)


def _pure_radius(points: Tensor, n_clusters: int, purity: float, rng: Generator) -> float:
    clusters = geometry.k_means(points, min(n_clusters, len(points)), rng)[0]
    names, own = np.unique(clusters, return_inverse=True)
    some = geometry.sample(len(points), 2_000, rng)
    groups = [points[clusters == name] for name in names]
    distances = geometry.nearest_of_each(points[some], groups)
    distances[torch.arange(len(some)), torch.as_tensor(own[some])] = torch.inf
    to_other = distances.amin(1).sort().values.clamp(max=2.0)  # no two are farther apart
    return float(to_other[min(int((1 - purity) * len(some)), len(some) - 1)])


def dropquery(
    view: PoolView, k: int, rng: Generator, rate: float = 0.75, n_samples: int = 3
) -> Selection:
    """Cluster the images whose predicted class hangs on a few features, and ask for the centers.

    Gupte, Aklilu, Nirschl & Yeung-Levy 2024, "Revisiting active learning in the era of vision
    foundation models": those that most of `n_samples` heads with inputs dropped at `rate` predict
    otherwise, or fewer than most, as in their code, where these are not 25 × k. Scores are shares
    of such samples. What is dropped is the pool's mean here, since features are centered.
    """
    head = _head(view)
    points = view.pool_embeddings.cpu()
    predicted = head.logits(points).argmax(1)
    mismatch = np.zeros(len(points), dtype=np.int64)
    for _ in range(n_samples):
        kept = torch.as_tensor(rng.random(points.shape, dtype=np.float32) >= rate)
        mismatch += (head.logits(points * kept / (1 - rate)).argmax(1) != predicted).numpy()
    most = n_samples // 2
    while most > 0 and (mismatch > most).sum() < 25 * k:
        most -= 1
    return _centers_of(view, np.flatnonzero(mismatch > most), k, rng, mismatch / n_samples)


def _centers_of(
    view: PoolView, candidates: np.ndarray, k: int, rng: Generator, scores: np.ndarray
) -> Selection:
    """Ask for the candidates nearest to k centers of theirs; for all and random ones if fewer."""
    if len(candidates) < k:
        others = np.setdiff1d(np.arange(view.n_pool), candidates)
        more = rng.choice(others, k - len(candidates), replace=False)
        chosen = np.concatenate([candidates, more])
    else:
        points = geometry.normalize(view.pool_embeddings[candidates])
        chosen = candidates[geometry.k_means_representatives(points, k, rng)]
    return Selection(chosen, scores[chosen])


def clue(view: PoolView, k: int, rng: Generator, temperature: float = 1.0) -> Selection:
    """Cluster the pool, each image weighing its entropy, and ask for the one nearest each center.

    Prabhu, Chandrasekaran, Saenko & Hoffman 2021, "Active domain adaptation via clustering
    uncertainty-weighted embeddings"; `temperature` 1 as for their digits, 0.1 for their
    photographs. Scores are entropies in nats. k-means stops after eight steps here.
    """
    weights = _uncertainty(view.pool_logits.double() / temperature, "entropy").clamp_min(1e-6)
    chosen = geometry.k_means_representatives(view.pool_embeddings, k, rng, weights.float())
    return Selection(chosen, weights.cpu().numpy()[chosen])


def contrastive(view: PoolView, k: int, rng: Generator, neighbors: int = 10) -> Selection:
    """Ask where the classifier answers otherwise than for the labeled images nearby.

    Scores are mean Kullback-Leibler divergences, in nats, of the answer for an image from those
    for the nearest labeled ones. Margatina, Vernikos, Barrault & Aletras 2021, "Active learning by
    acquiring contrastive examples". Answers for labeled images are those of the linear head.
    """
    labeled, pool = view.normalized()
    theirs = _head(view).logits(view.labeled_embeddings.cpu()).to(pool.device).double().softmax(1)
    ours = view.pool_logits.double().log_softmax(1)
    found = geometry.nearest(pool, labeled, min(neighbors, len(labeled)))[1]
    scores = torch.zeros(len(pool), dtype=torch.float64, device=pool.device)
    for near in found.T:
        scores -= (torch.special.entr(theirs[near]) + theirs[near] * ours).sum(1) / found.shape[1]
    return strategies.top_k(scores.cpu().numpy(), k, rng)


def discriminative(view: PoolView, k: int, rng: Generator, sub_batches: int = 10) -> Selection:
    """Ask for what a classifier tells from the labeled images best: the nearest novelty method.

    Gissin & Shalev-Shwartz 2019, "Discriminative active learning", on the learned representation:
    `sub_batches` times a network learns labeled against pool, until 98 % are right, and its surest
    are taken for labeled. Scores are its logits. Of the pool it sees ten images for each labeled
    one, as theirs; for speed, here 4,000 at most, 100 steps at most, 32 units a layer, not 256.
    """
    labeled, pool = view.labeled_embeddings, view.pool_embeddings
    free = np.ones(len(pool), dtype=bool)
    chosen: list[np.ndarray] = []
    scores: list[np.ndarray] = []
    for part in np.array_split(np.arange(k), min(k, sub_batches)):
        rows, size = np.flatnonzero(free), len(part)
        rows = rows[geometry.sample(len(rows), max(size, min(10 * len(labeled), 4_000)), rng)]
        novelty = _novelty(labeled, pool[rows], rng)
        best = strategies.top_k(novelty, size, rng)
        chosen.append(rows[best.indices])
        scores.append(best.scores)
        free[chosen[-1]] = False
        labeled = torch.cat([labeled, pool[chosen[-1]]])
    return Selection(np.concatenate(chosen), np.concatenate(scores))


def _novelty(known: Tensor, others: Tensor, rng: Generator, n_steps: int = 100) -> np.ndarray:
    """Return logits (M,) that `others` (M, D) are none of the `known`, by a network of 3 layers."""
    points = torch.cat([known, others])
    target = torch.cat([points.new_zeros(len(known)), points.new_ones(len(others))])
    generator = torch.Generator().manual_seed(int(rng.integers(2**32)))
    layers = []
    for width, to in ((points.shape[1], 32), (32, 32), (32, 32), (32, 1)):
        weight = torch.randn(width, to, generator=generator) * sqrt(2 / width)
        layers += [weight.to(points.device), points.new_zeros(to)]
    optimizer = torch.optim.Adam([each.requires_grad_() for each in layers], lr=0.02)
    for _ in range(n_steps):
        out = points
        for weight, bias in zip(layers[::2], layers[1::2], strict=True):
            out = torch.addmm(bias, functional.relu(out) if out is not points else out, weight)
        if ((out[:, 0] > 0) == (target > 0)).float().mean() > 0.98:
            break
        optimizer.zero_grad()
        functional.binary_cross_entropy_with_logits(out[:, 0], target).backward()
        optimizer.step()
    return out[len(known) :, 0].detach().double().cpu().numpy()


def alfa_mix(view: PoolView, k: int, rng: Generator) -> Selection:
    """Cluster the images whose class changes first when a little of a labeled one is mixed in.

    Parvaneh et al. 2022, "Active learning by feature mixing", in closed form: a step against the
    predicted class, as long as a share of the way to a class's mean, divided by the root of D. It
    grows by 1/32, as in their code, until more than k images change. Scores are minus the shares
    at which they do. All depends on the farthest mean alone, so that nothing need be tried.
    """
    head = _head(view)
    points, known = (head.embed(x.cpu()) for x in (view.pool_embeddings, view.labeled_embeddings))
    targets = view.labeled_targets.cpu()
    if len(targets.unique()) == 1:
        return strategies.random(view, k, rng)
    weight, bias = (torch.from_numpy(x).double() for x in _coefficients(head))
    means = [known[targets == c].mean(0) for c in targets.unique()]
    if len(means) < head.n_classes:  # as theirs, for a class without a label
        means.append(known.mean(0))
    reach = torch.stack([torch.linalg.vector_norm(points - mean, dim=1) for mean in means]).amax(0)
    logits = points.double() @ weight.T + bias
    predicted = logits.argmax(1, keepdim=True)
    gradient = (logits.softmax(1).scatter_add(1, predicted, -torch.ones_like(logits))) @ weight
    slope = functional.normalize(gradient, dim=1) @ weight.T
    rise = slope - slope.gather(1, predicted)
    lead = logits.gather(1, predicted) - logits
    length = torch.where(rise > 0, lead / rise, torch.inf).amin(1)
    share = (length * sqrt(points.shape[1]) / reach).numpy()
    grid = np.arange(1, 33) / 32
    n_changed = np.searchsorted(np.sort(share), grid)
    at = grid[min(31, np.searchsorted(n_changed, k, side="right"))]
    return _centers_of(view, np.flatnonzero(share < at), k, rng, -np.minimum(share, 1e6))


def _coefficients(head: Head) -> tuple[np.ndarray, np.ndarray]:
    weight, bias = head.module.coef_, head.module.intercept_
    if len(weight) == 1:  # of two classes, scikit-learn has the second's alone
        weight, bias = (np.concatenate([0 * x, x]) for x in (weight, bias))
    return weight, bias


def bait(view: PoolView, k: int, rng: Generator, subset: int = 5_000) -> Selection:
    """Ask for the batch that leaves least variance of the last layer, over what the pool needs.

    Ash, Goel, Krishnamurthy & Kakade 2021, "Gone fishing: neural active learning with Fisher
    embeddings": the trace of the pool's Fisher information times the inverse of the batch's, twice
    k taken greedily, then pruned; scores are the gains when taken. Here among `subset` random
    images, by each class's block of the information alone, and its prior is the head's (C = 100).
    """
    labeled, pool = view.labeled_embeddings.double(), view.pool_embeddings.double()
    answers = _head(view).logits(view.labeled_embeddings.cpu()).to(labeled.device)
    taught, unsure = (p * (1 - p) for p in (_shares(answers), _shares(view.pool_logits)))
    known = _information(labeled, taught)
    needed = (known + _information(pool, unsure)) / (len(labeled) + len(pool))
    prior = torch.eye(pool.shape[1], dtype=pool.dtype, device=pool.device) / 100
    few = rng.permutation(len(pool))[: max(subset, 4 * k)]
    batch = _FisherBatch(prior + known, needed, pool[few], unsure[few])
    for _ in range(min(2 * k, len(few))):
        batch.take()
    while len(batch.taken) > k:
        batch.drop()
    return Selection(few[batch.taken], np.array(batch.gains))


def _shares(logits: Tensor) -> Tensor:
    return logits.double().softmax(1)


def _information(points: Tensor, unsure: Tensor) -> Tensor:
    """Sum the classes' blocks (C, D, D) of the Fisher information, `unsure` (N, C) = p (1 - p)."""
    return torch.stack([(points * share[:, None]).T @ points for share in unsure.T])


class _FisherBatch:
    """Points taken so that the trace of `needed` times the inverse of `known` becomes least.

    Both (C, D, D); a point (D,) of weights (C,) adds its outer product times each to `known`.
    What decides is updated for all points as one comes or goes (Sherman & Morrison 1950).
    """

    def __init__(self, known: Tensor, needed: Tensor, points: Tensor, weights: Tensor) -> None:
        self.needed, self.points, self.weights = needed, points, weights
        self.inverse = torch.linalg.inv(known)
        self.lengths, self.shares = (
            torch.stack([((points @ block) * points).sum(1) for block in blocks], dim=1)
            for blocks in (self.inverse, self.inverse @ needed @ self.inverse)
        )
        self.taken: list[int] = []
        self.gains: list[float] = []

    def take(self) -> None:
        """Take the point that lowers the trace most."""
        gain = (self.weights * self.shares / (1 + self.weights * self.lengths)).sum(1)
        gain[self.taken] = -torch.inf
        self.taken.append(int(gain.argmax()))
        self.gains.append(float(gain.amax()))
        self._add(self.taken[-1], self.weights[self.taken[-1]])

    def drop(self) -> None:
        """Give back the point that lowered the trace least."""
        weights, lengths, shares = (
            each[self.taken] for each in (self.weights, self.lengths, self.shares)
        )
        at = int((weights * shares / (1 - weights * lengths)).sum(1).argmin())
        self._add(self.taken.pop(at), -weights[at])
        self.gains.pop(at)

    def _add(self, row: int, weights: Tensor) -> None:
        turned = self.inverse @ self.points[row]
        wanted = (self.needed @ turned[:, :, None])[:, :, 0]
        again = (self.inverse @ wanted[:, :, None])[:, :, 0]
        size = weights / (1 + weights * self.lengths[row])
        along, across = (self.points @ each.T for each in (turned, again))
        self.shares += size * along * (size * (turned * wanted).sum(1) * along - 2 * across)
        self.lengths -= size * along.square()
        self.inverse -= size[:, None, None] * turned[:, :, None] * turned[:, None]


def falcun(view: PoolView, k: int, rng: Generator, gamma: float = 10.0) -> Selection:
    """Draw images that are unsure, and whose predicted shares are unlike those drawn before.

    Gilhuber, Beer, Ma & Seidl 2024, "FALCUN: a simple and efficient deep active learning strategy",
    and code: by the power `gamma` of margin score plus distance, the least city-block distance to
    the shares of what was drawn, at first the margin score itself, scaled to [0, 1]. Scores are
    these sums. Knows no features.
    """
    shares = _shares(view.pool_logits)
    unsure = _uncertainty(view.pool_logits.double(), "margin")
    distance = unsure.clone()
    free = torch.ones_like(unsure, dtype=torch.bool)
    chosen, scores = np.empty(k, dtype=np.int64), np.empty(k)
    for i in range(k):
        low, high = distance[free].aminmax()
        wanted = unsure + (distance - low) / (high - low).clamp_min(1e-300)
        mass = (wanted**gamma * free).cumsum(0)
        if mass[-1] <= 0:
            mass = free.double().cumsum(0)
        mark = (1 - rng.random()) * mass[-1]
        chosen[i] = pick = int(torch.searchsorted(mass, mark))
        scores[i] = float(wanted[pick])
        free[pick] = False
        distance = torch.minimum(distance, (shares - shares[pick]).abs().sum(1))
    return Selection(chosen, scores)


def power_bald(
    view: PoolView, k: int, rng: Generator, n_samples: int = 20, power: float = 1.0
) -> Selection:
    """Draw images by the power of their BALD scores, so that a batch is no clump of the highest.

    Kirsch et al. 2023, "Stochastic batch acquisition: a simple baseline for deep active learning":
    the top k of `power` × log score + Gumbel noise, which are returned. For networks with dropout.
    BatchBALD is left out: with 20 samples a joint entropy ends at log 20 nats, after a few images.
    """
    every = strategies.bald(view, view.n_pool, rng, n_samples)
    noisy = power * np.log(every.scores.clip(min=1e-12)) + rng.gumbel(size=view.n_pool)
    best = strategies.top_k(noisy, k, rng)
    return Selection(every.indices[best.indices], best.scores)


def trust(
    view: PoolView,
    k: int,
    rng: Generator,
    alpha: float = 0.1,
    neighbors: int = 10,
    focus: float = 8.0,
) -> Selection:
    """Cover what the nearest labeled images distrust the classifier about, as `outlier` covers.

    Jiang, Kim, Guan & Gupta 2018, "To trust or not to trust a classifier": distance to the class
    predicted over that to the nearest other, each class without the share `alpha` of its images
    that lie loneliest, by the distance to their `neighbors`-th, themselves the first. These
    reciprocals are the scores; they weigh up to 2: one large one would be all that is covered.
    """
    classes = view.labeled_targets.unique()
    known = geometry.normalize(view.labeled_embeddings)
    groups = [_dense(known[view.labeled_targets == c], alpha, neighbors) for c in classes]
    distances = geometry.nearest_of_each(geometry.Unit(view.pool_embeddings), groups)
    predicted = view.pool_logits[:, classes].argmax(1, keepdim=True)
    own = distances.gather(1, predicted)[:, 0]
    other = distances.scatter(1, predicted, torch.inf).amin(1)
    scores = (own / other.clamp_min(1e-12)).double().cpu().numpy()
    return _covering(view, scores, scores.clip(max=2.0), k, rng, focus)


def _dense(points: Tensor, alpha: float, neighbors: int) -> Tensor:
    to_last = geometry.nearest(points, points, min(neighbors, len(points)))[0][:, -1]
    return points[to_last <= torch.quantile(to_last, 1 - alpha)]


def _covering(
    view: PoolView, scores: np.ndarray, weights: np.ndarray, k: int, rng: Generator, focus: float
) -> Selection:
    """Cover by weights to the power that `outlier` has at as many labels."""
    per_label = len(view.labeled_targets) / view.pool_logits.shape[1]
    power = focus * min(1.0, per_label / strategies.LABELS_PER_CLASS)
    chosen = strategies._cover(view, weights**power, k, rng)
    return Selection(chosen, scores[chosen])


def margin_coverage(view: PoolView, k: int, rng: Generator, focus: float = 8.0) -> Selection:
    """Cover by :func:`alod.strategies.margin`, with the schedule, kernel and power of `outlier`.

    The control that tells what an outlier score adds to them. Scores are 1 - (p1 - p2).
    """
    scores = _uncertainty(view.pool_logits.double(), "margin").cpu().numpy()
    return _covering(view, scores, scores, k, rng, focus)


def entropy_coverage(view: PoolView, k: int, rng: Generator, focus: float = 8.0) -> Selection:
    """Cover by :func:`alod.strategies.entropy`, with the schedule, kernel and power of `outlier`.

    Scores are entropies over that of equal shares, in [0, 1].
    """
    entropies = _uncertainty(view.pool_logits.double(), "entropy").cpu().numpy()
    scores = entropies / log(max(2, view.pool_logits.shape[1]))
    return _covering(view, scores, scores, k, rng, focus)


def plain_coverage(view: PoolView, k: int, rng: Generator) -> Selection:
    """Cover the pool with the kernel of `outlier`, whatever is outlying or unsure: scores are 1.

    The control that tells what any weight adds. Its kernel narrows as labels come, unlike that of
    :func:`alod.strategies.maxherding`.
    """
    scores = np.ones(view.n_pool)
    return _covering(view, scores, scores, k, rng, focus=0.0)
