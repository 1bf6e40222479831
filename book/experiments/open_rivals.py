"""Rivals for pools with strangers: queries of that field, and filters for any query.

For experiment files: ``open_rivals:lfosa``; what a strategy takes and returns is told at
:data:`alod.strategies.Strategy`. Theirs train networks; here all that is learned is linear, on
what :func:`alod.view.task_like` looks at: the embedding, and the label-free features where there
are any, so that nobody sees more than another. Where their code knows which answers came last,
all that is answered takes that place: a view has no rounds. None of them trains the classifier.
"""

import warnings
from collections.abc import Callable
from functools import partial
from heapq import heappushpop
from typing import Literal

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional

from alod import geometry, strategies
from alod.heads import HEADS, Head
from alod.view import PoolView, Selection, task_like

Query = Literal[
    *("random", "least_confidence", "margin", "entropy", "bald", "kcenter", "badge", "dbal"),
    *("typiclust", "maxherding", "uherding", "rare", "outlier", "outlier_topk", "original_meant"),
    *("rivals:uherding", "rivals:probcover", "rivals:dropquery", "rivals:clue"),
    *("rivals:contrastive", "rivals:discriminative", "rivals:alfa_mix", "rivals:bait"),
    *("rivals:falcun", "rivals:power_bald", "rivals:trust", "rivals:margin_coverage"),
    *("rivals:entropy_coverage", "rivals:plain_coverage", "candidates:agreement"),
]
Filter = Literal["c_plus_1", "energy", "mahalanobis", "knn", "two_sided", "none"]

FOLDS = 5  # what is labeled is judged by what the others teach: as the pool is
NEIGHBORS = 5  # Sun et al. 2022 have 50 where a class has 5,000 images
STEPS = 300
CANDIDATES = 10_000  # images, drawn at random, that are linked to their nearest
# Ning et al. 2022, code: temperature and mixtures; Zong et al. 2026 have the same mixtures.
SHARPENED, MIXTURE = 0.5, {"max_iter": 10, "tol": 1e-2, "reg_covar": 5e-4}

Score = Callable[[Tensor, Tensor, Tensor], Tensor]
"""``score(known, targets, points)``: (L, D), (L,), (N, D) in, (N, …) of the points out."""


def filtered(
    view: PoolView,
    k: int,
    rng: Generator,
    query: Query = "margin",
    filter: Filter = "c_plus_1",
) -> Selection:
    """Ask by `query`, a strategy, among what a `filter` leaves of the pool; its scores.

    ``c_plus_1``: what a head of C + 1 classes, one of them foreign, calls foreign is left out.
    ``energy``: what has little logsumexp of the logits (Liu, Wang, Owens & Li 2020, "Energy-based
    out-of-distribution detection"). ``mahalanobis``: what is farther from every class's mean than
    from that of all (Ren et al. 2021, "A simple fix to Mahalanobis distance for improving near-OOD
    detection"; covariances shrunk). ``knn``: what has a far k-th neighbor among the labeled (Sun,
    Ming, Zhu & Li 2022, "Out-of-distribution detection with deep nearest neighbors"). These three
    part where they part the answers best (Youden 1950). ``two_sided``: as `outlier`. Nothing is
    left out while nothing foreign is known; if fewer than `k` are left, the least foreign `k` are.
    """
    kept = _kept(view, k, rng, filter)
    ask = strategies.get(query, {"two_sided": False})
    chosen, scores = ask(view.only(kept), k, rng, two_sided=False)
    return Selection(kept[chosen], scores)


def _kept(view: PoolView, k: int, rng: Generator, filter: str) -> np.ndarray:
    if filter == "none" or len(view.foreign_embeddings) == 0:
        return np.arange(view.n_pool)
    if filter == "two_sided":
        return task_like(view, k)
    labeled, foreign, pool = _spaces(view)
    targets, n_classes = view.labeled_targets.cpu(), view.pool_logits.shape[1]
    if filter == "c_plus_1":
        activations = _activations(*_with_foreign(view, labeled, foreign), pool, n_classes + 1)
        scores, least = activations[:, :-1].amax(1) - activations[:, -1], 0.0
    else:
        score = partial(SCORES[filter], n_classes=n_classes)
        scores = score(labeled, targets, pool)
        ours = _held_out(score, labeled, targets, rng)
        least = _parting(ours.numpy(), score(labeled, targets, foreign).numpy())
    kept = np.flatnonzero(scores.numpy() > least)
    return kept if len(kept) >= k else np.sort(strategies.top_k(scores.numpy(), k, rng).indices)


def _spaces(view: PoolView) -> tuple[Tensor, Tensor, Tensor]:
    """Return labeled, foreign and pool, (·, D) on the CPU, each kind of column scaled as a head's.

    That is centered on the pool, of mean squared length 1.
    """
    sides: tuple[list[Tensor], ...] = ([], [], [])
    for kind in ("embeddings", "features"):
        pool = getattr(view, f"pool_{kind}").cpu()
        scale = Head("linear", pool, 1)
        for side, name in zip(sides, ("labeled", "foreign", "pool"), strict=True):
            rows = getattr(view, f"{name}_{kind}").cpu()
            side.append(scale.embed(rows if len(rows) else pool[:0]))
    labeled, foreign, pool = (torch.cat(side, dim=1) for side in sides)
    return labeled, foreign, pool


def _with_foreign(view: PoolView, labeled: Tensor, foreign: Tensor) -> tuple[Tensor, Tensor]:
    """Return all that is answered, and its classes: what is foreign is of class C."""
    others = torch.full((len(foreign),), view.pool_logits.shape[1])
    return torch.cat([labeled, foreign]), torch.cat([view.labeled_targets.cpu(), others])


def _activations(
    known: Tensor, targets: Tensor, points: Tensor, n_classes: int, temperature: float = 1.0
) -> Tensor:
    """Return what a linear head gives `points`, before any softmax: float64 (N, n_classes).

    It learned the `known` by logits over a temperature; -inf for a class that it never saw. Not a
    head's own logits: these are logarithms of shares, and sum to as much for every image.
    """
    seen = targets.unique()
    out = torch.full((len(points), n_classes), -torch.inf, dtype=torch.float64)
    out[:, seen] = 0.0
    if len(seen) > 1:
        model = HEADS["linear"]()
        model.set_params(C=model.C / temperature**2).fit(known.numpy(), targets.numpy())
        told = torch.as_tensor(model.decision_function(points.numpy())).double() * temperature
        out[:, seen] = told if told.ndim == 2 else torch.stack([-told, told], dim=1) / 2
    return out


def _energy(known: Tensor, targets: Tensor, points: Tensor, n_classes: int) -> Tensor:
    return _activations(known, targets, points, n_classes).logsumexp(1)


def _mahalanobis(known: Tensor, targets: Tensor, points: Tensor, n_classes: int) -> Tensor:
    from sklearn.covariance import OAS

    classes, rows = targets.unique(return_inverse=True)
    means = torch.stack([known[targets == c].mean(0) for c in classes])
    tied = OAS(assume_centered=True).fit((known - means[rows]).numpy())
    own = np.min([tied.mahalanobis((points - mean).numpy()) for mean in means], axis=0)
    return torch.as_tensor(OAS().fit(known.numpy()).mahalanobis(points.numpy()) - own)


def _knn(known: Tensor, targets: Tensor, points: Tensor, n_classes: int) -> Tensor:
    known, points = geometry.normalize(known), geometry.normalize(points)
    return -geometry.nearest(points, known, min(NEIGHBORS, len(known)))[0][:, -1]


SCORES: dict[str, Callable[..., Tensor]] = {
    "energy": _energy,
    "mahalanobis": _mahalanobis,
    "knn": _knn,
}


def _held_out(score: Score, known: Tensor, targets: Tensor, rng: Generator) -> Tensor:
    """Score each of the `known` (L, D), (L, …), by what those of other parts of it teach."""
    if len(known) == 1:
        return score(known, targets, known)
    order = torch.as_tensor(rng.permutation(len(known)))
    told = []
    for part in order.tensor_split(min(FOLDS, len(known))):
        rest = torch.ones(len(known), dtype=torch.bool).index_fill(0, part, False)
        told.append(score(known[rest], targets[rest], known[part]))
    return torch.cat(told)[order.argsort()]


def _parting(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Find the midpoint above which most of ours and fewest of theirs lie; -inf if none helps."""
    values = np.unique(np.concatenate([ours, theirs]))
    marks = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2])
    below = [np.searchsorted(np.sort(x), marks, side="right") / len(x) for x in (theirs, ours)]
    return float(marks[(below[0] - below[1]).argmax()])


def lfosa(view: PoolView, k: int, rng: Generator) -> Selection:
    """Ask for what a detector with a class for strangers is as sure of as of known images.

    Ning, Zhao, Li & Huang 2022, "Active learning for open-set annotation", and code: a head of
    C + 1 classes, temperature 0.5; of each known class, a mixture of two Gaussians over the largest
    activations of what it predicts. Scores are probabilities of the mixture's upper part, 0 for
    what it calls foreign. Their center loss shapes features, which are frozen here. Never asks what
    would teach: the surest are known already.
    """
    labeled, foreign, pool = _spaces(view)
    n_classes = view.pool_logits.shape[1]
    answered = _with_foreign(view, labeled, foreign)
    best, predicted = _activations(*answered, pool, n_classes + 1, SHARPENED).max(1)
    scores = np.zeros(len(pool))
    for c in range(n_classes):
        rows = np.flatnonzero(predicted == c)
        if len(rows) > 1:
            values = best.numpy()[rows]
            scores[rows] = _upper(values, values, 2, rng)
    return strategies.top_k(scores, k, rng)


def _upper(fitted: np.ndarray, values: np.ndarray, n: int, rng: Generator) -> np.ndarray:
    """Return how likely `values` are of the greatest mean of `n` Gaussians mixed in `fitted`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    seed = int(rng.integers(2**32))
    model = GaussianMixture(min(n, len(fitted)), random_state=seed, **MIXTURE)
    with warnings.catch_warnings():
        # Ten steps are theirs; copies leave components empty.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(fitted[:, None])
    return model.predict_proba(values[:, None])[:, model.means_.argmax()]


def mqnet(view: PoolView, k: int, rng: Generator) -> Selection:
    """Weigh unsure against like what is labeled, by a small network that learned it from answers.

    Park et al. 2022, "Meta-Query-Net: resolving purity-informativeness dilemma in open-set active
    learning", and code: 1 - p1 and the cosine to the nearest labeled image, standardized, exp of
    both; their sum while nothing foreign is known, then what a network that never decreases in
    either makes of them, taught by pairs which of two has more loss, a stranger having none. Theirs
    learns from the last batch, before the classifier does; here from all answers, each judged by a
    linear head of other parts of them, in fewer steps of as much learning rate in sum. Purity sees
    self-supervised features there (CSI).
    """
    labeled, foreign, pool = _spaces(view)
    targets, n_classes = view.labeled_targets.cpu(), view.pool_logits.shape[1]

    def judge(known: Tensor, classes: Tensor, points: Tensor) -> Tensor:
        shares = _activations(known, classes, points, n_classes).softmax(1)
        return torch.cat([shares, _likeness(points, known)[:, None]], dim=1)

    unsure = 1 - view.pool_logits.cpu().double().softmax(1).amax(1)
    seen = _standard(torch.stack([unsure, _likeness(pool, labeled)], dim=1))
    if len(foreign) == 0:
        return strategies.top_k(seen.sum(1).numpy(), k, rng)
    ours = _held_out(judge, labeled, targets, rng)
    told = torch.cat([ours, judge(labeled, targets, foreign)])
    loss = told.new_zeros(len(told))
    loss[: len(ours)] = -ours.gather(1, targets[:, None])[:, 0].clamp_min(1e-12).log()
    taught = _standard(torch.stack([1 - told[:, :-1].amax(1), told[:, -1]], dim=1))
    return strategies.top_k(_meta_net(taught, loss, rng)(seen).numpy(), k, rng)


def _likeness(points: Tensor, known: Tensor) -> Tensor:
    near = geometry.nearest(geometry.normalize(points), geometry.normalize(known))[0][:, 0]
    return 1 - near.double().square() / 2


def _standard(columns: Tensor) -> Tensor:
    spread, mean = torch.std_mean(columns, dim=0, correction=0)
    return ((columns - mean) / spread.clamp_min(1e-12)).exp()


def _meta_net(seen: Tensor, loss: Tensor, rng: Generator) -> Callable[[Tensor], Tensor]:
    """Teach a monotone network of 64 units to rank `seen` (N, 2) as `loss` (N,) does, margin 1."""
    draws = [torch.as_tensor(rng.random(size)) for size in ((2, 64), (64,), (64,), (1,))]
    first, shift, second, level = (each.requires_grad_() for each in draws)

    def net(points: Tensor) -> Tensor:
        return (points @ first.relu() + shift).sigmoid() @ second.relu() + level

    optimizer = torch.optim.SGD([first, shift, second, level], lr=1 / 30)
    half = len(seen) // 2
    for step in range(STEPS if half else 0):
        optimizer.param_groups[0]["lr"] = (1 if step < STEPS // 2 else 0.1) / 30
        pairs = torch.as_tensor(rng.permutation(len(seen))[: 2 * half].reshape(2, half))
        lead = net(seen[pairs[0]]) - net(seen[pairs[1]])
        way = torch.where(loss[pairs[0]] > loss[pairs[1]], 1.0, -1.0)
        optimizer.zero_grad()
        (1 - way * lead).clamp_min(0).mean().backward()
        optimizer.step()
    return torch.no_grad()(net)


def eoal(view: PoolView, k: int, rng: Generator) -> Selection:
    """Ask for what known classes explain clearly, and what is like no cluster of strangers.

    Safaei, Vibashan, de Melo & Patel 2024, "Entropic open-set active learning", and code: minus
    the mean entropy of one-against-rest classifiers, to which strangers were shown as undecided,
    plus that of the shares of the clusters of strangers by distance (without which nothing foreign,
    or one cluster alone, is known). Of what a head of C + 1 classes calls known, each cluster by
    FINCH gives as many. Their losses, on one linear layer, by Adam; strangers are clustered once,
    by k-means, not by FINCH after every epoch.
    """
    labeled, foreign, pool = _spaces(view)
    n_classes = view.pool_logits.shape[1]
    clusters = np.empty(0, dtype=np.int64)
    if len(foreign):
        found = geometry.k_means(foreign, min(n_classes, len(foreign)), rng)[0]
        clusters = np.unique(found, return_inverse=True)[1]
    known = (labeled, view.labeled_targets.cpu())
    layer, head, sides = _entropic(known, foreign, torch.as_tensor(clusters), n_classes, rng)
    points = pool @ layer
    scores = -_entropies((points @ sides).view(len(pool), 2, -1), 1).mean(1) / np.log(2)
    if len(clusters) and clusters.max() > 0:
        centers = _means(foreign @ layer, torch.as_tensor(clusters))
        near = _entropies(-torch.cdist(points, centers), 1)
        scores += near / np.log(len(centers))
    ours = torch.nonzero((points @ head[:-1] + head[-1]).argmax(1) < n_classes)[:, 0].numpy()
    chosen = _of_each_cluster(points, scores.double().numpy(), ours, k, rng)
    return Selection(chosen, scores.double().numpy()[chosen])


def _entropies(logits: Tensor, dim: int) -> Tensor:
    return torch.special.entr(logits.softmax(dim)).sum(dim)


def _means(points: Tensor, clusters: Tensor) -> Tensor:
    return torch.stack([points[clusters == c].mean(0) for c in range(int(clusters.max()) + 1)])


def _entropic(
    known: tuple[Tensor, Tensor], foreign: Tensor, clusters: Tensor, n_classes: int, rng: Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Teach a layer (D, D), a head (D + 1, C + 1) and C against-rest classifiers (D, 2 C)."""
    labeled, targets = known
    (n, d), undecided = labeled.shape, 0.8 if len(foreign) else 0.0  # Pareto alpha
    answered = torch.cat([labeled, foreign])
    classes = torch.cat([targets, torch.full((len(foreign),), n_classes)])
    layer = torch.eye(d).requires_grad_()
    head, sides = (
        torch.as_tensor(0.1 * rng.normal(size=size)).float().requires_grad_()
        for size in ((d + 1, n_classes + 1), (d, 2 * n_classes))
    )

    def loss(step: int) -> Tensor:
        points = answered @ layer
        total = functional.cross_entropy((points @ head[:-1] + head[-1]) / SHARPENED, classes)
        no, yes = (-(points @ sides).view(len(points), 2, -1).log_softmax(1)).unbind(1)
        own = functional.one_hot(targets, n_classes).bool()
        hardest = no[:n].masked_fill(own, 0.0).amax(1)
        total = total + 0.5 * (1 - undecided) * (yes[:n][own] + hardest).mean()
        if len(foreign):
            total = total + 0.5 * undecided * (yes[n:] + no[n:]).mean(1).mean()
            far = torch.cdist(points[n:], _means(points[n:], clusters).detach())
            true = far.gather(1, clusters[:, None])
            # The own cluster's term is the 1 within the logarithm.
            total = total + 0.1 * (0.1 * true.mean() + (true - far).logsumexp(1).mean())
        return total

    _minimize(loss, [layer, head, sides])
    return layer.detach(), head.detach(), sides.detach()


def _minimize(loss: Callable[[int], Tensor], parameters: list[Tensor]) -> None:
    optimizer = torch.optim.Adam(parameters, lr=0.01, weight_decay=5e-4)
    for step in range(STEPS):
        optimizer.zero_grad()
        loss(step).backward()
        optimizer.step()


def _of_each_cluster(
    points: Tensor, scores: np.ndarray, rows: np.ndarray, k: int, rng: Generator
) -> np.ndarray:
    """Take as many of each cluster of the `rows`, the highest first; of the others if too few."""
    rest = np.setdiff1d(np.arange(len(points)), rows)
    rows = rows[geometry.sample(len(rows), max(CANDIDATES, k), rng)]
    chosen = rows[:0]
    if len(rows):
        clusters = _finch(points[rows], k)
        order = np.lexsort((rng.random(len(rows)), -scores[rows], clusters))
        starts = np.searchsorted(clusters[order], np.arange(clusters.max() + 1))
        rank = np.arange(len(rows)) - starts[clusters[order]]
        turn = rank // max(1, min(k, len(rows)) // len(starts))
        chosen = rows[order[np.lexsort((rank, clusters[order], turn))]][:k]
    more = strategies.top_k(scores[rest], min(k - len(chosen), len(rest)), rng).indices
    return np.concatenate([chosen, rest[more]])


def _finch(points: Tensor, most: int) -> np.ndarray:
    """Link each of the points (N, D) to its nearest, then clusters' means, until `most` are left.

    Sarfraz, Sharma & Stiefelhagen 2019, "Efficient parameter-free clustering using first neighbor
    relations". Returns clusters (N,) from 0.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    clusters, centers = np.arange(len(points)), points
    while len(centers) > 1 and (len(centers) > most or len(centers) == len(points)):
        units = geometry.normalize(centers)
        near = geometry.nearest(units, units, 2)[1].numpy()
        own = np.arange(len(near))
        first = np.where(near[:, 0] == own, near[:, 1], near[:, 0])
        links = coo_array((np.ones(len(own)), (own, first)), shape=(len(own), len(own)))
        clusters = connected_components(links, directed=False)[1][clusters]
        centers = _means(points, torch.as_tensor(clusters))
    return clusters


def e2oal(view: PoolView, k: int, rng: Generator, target_precision: float = 0.6) -> Selection:
    """Ask for the half-sure among so many of the purest that `target_precision` may be hoped for.

    Zong, Chi, Wang, Cui & Huang 2026, "Revisiting unknowns: towards effective and efficient
    open-set active learning", and code. Purity is the lead of the known logits in an evidential
    head of the known classes and those found among the strangers; scores are the divergence of the
    answer from a sure one times that from an undecided one, as many of each class. Their target
    moves by what each round missed; here once, by the share of strangers among all answers, none
    while there are none. Their two heads are apart, as features are frozen: the second is the
    classifier; CLIP's features are ours. Theirs asks for fewer where classes run short; here the
    purest of the others follow.
    """
    labeled, foreign, pool = _spaces(view)
    n_classes, targets = view.pool_logits.shape[1], view.labeled_targets.cpu()
    if len(foreign):
        kinds = _kinds(labeled, targets, foreign, rng) + n_classes
        share = len(labeled) / (len(labeled) + len(foreign))
        target_precision = min(max(2 * target_precision - share, 0.0), 1.0)
        targets = torch.cat([targets, kinds])
    answered = torch.cat([labeled, foreign])
    logits = _evidential(answered, targets, max(int(targets.max()) + 1, n_classes), pool)
    lead = logits[:, :n_classes].amax(1)
    if logits.shape[1] > n_classes:
        lead = lead - logits[:, n_classes:].amax(1)
    purity, predicted = lead[len(answered) :].double().numpy(), logits[len(answered) :].argmax(1)
    shares = view.pool_logits.cpu().double().softmax(1)
    sure = functional.one_hot(shares.argmax(1), n_classes).double()
    scores = (_divergence(shares, sure) * _divergence(shares, sure * 0 + 1 / n_classes)).numpy()
    hoped = _upper(lead.double().numpy(), purity, 3, rng)
    size = -(-_enough(hoped, scores, target_precision * k, k) // n_classes)
    chosen: list[int] = []
    for c in range(n_classes):
        own = np.flatnonzero(predicted == c)
        own = own[np.argsort(-purity[own], kind="stable")[:size]]
        chosen += own[np.argsort(-scores[own], kind="stable")[: -(-k // n_classes)]].tolist()
    ours = rng.permutation(np.array(chosen, dtype=np.int64))[:k]
    rest = np.setdiff1d(np.arange(len(pool)), ours)
    more = rest[strategies.top_k(purity[rest], k - len(ours), rng).indices]
    ours = np.concatenate([ours, more])
    return Selection(ours, scores[ours])


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    """Return the divergence (N,) of Jensen and Shannon, in nats, of shares (N, C)."""
    middle, ends = torch.special.entr((p + q) / 2), torch.special.entr(torch.stack([p, q]))
    return (middle - ends.mean(0)).sum(1)


def _enough(hoped: np.ndarray, scores: np.ndarray, wanted: float, k: int) -> int:
    """Count the purest that are needed for the k of highest score to hold `wanted` at most.

    Of known images, by how likely each is one, `hoped`; all if there are never so few.
    """
    order = np.argsort(-hoped, kind="stable")
    if wanted <= 0:
        return len(order)
    held = sorted((scores[i], hoped[i]) for i in order[:k])
    total = sum(each[1] for each in held)
    for size, i in enumerate(order[k:], start=k):
        if int(total) <= wanted:
            return size
        total += hoped[i] - heappushpop(held, (scores[i], hoped[i]))[1]
    return len(order)


def _kinds(labeled: Tensor, targets: Tensor, foreign: Tensor, rng: Generator) -> Tensor:
    """Sort what is foreign (F, D) into kinds from 0: the clusters that are no known class's.

    Of as many clusters, by k-means of all that is answered, as part the known classes and the rest
    best, by ternary search up to 1,000 or half of the answers.
    """
    points = geometry.normalize(torch.cat([labeled, foreign]))
    truth = np.unique(targets.numpy(), return_inverse=True)[1]
    truth = np.concatenate([truth, np.full(len(foreign), truth.max() + 1)])
    tried: dict[int, tuple[float, np.ndarray, np.ndarray]] = {}

    def parted(n: int) -> float:
        if n not in tried:
            clusters = geometry.k_means(points, n, rng)[0]
            tried[n] = (*_agreement(clusters, truth), clusters)
        return tried[n][0]

    low = min(truth.max() + 1, len(points))
    high = max(low, min(1_000, len(points) // 2))
    while high - low > 2:
        third = (high - low) // 3
        if parted(low + third) < parted(high - third):
            low += third
        else:
            high -= third
    best = max(range(low, high + 1), key=parted)
    _, taken, clusters = tried[best]
    free = np.setdiff1d(clusters, taken)
    if len(free) < 2:
        return torch.zeros(len(foreign), dtype=torch.int64)
    centers = torch.stack([points[torch.as_tensor(clusters == c)].mean(0) for c in free])
    own = geometry.nearest(points[len(labeled) :], centers)[1][:, 0]
    return own.unique(return_inverse=True)[1]


def _agreement(clusters: np.ndarray, truth: np.ndarray) -> tuple[float, np.ndarray]:
    """Match clusters and known classes; the last of `truth` (N,) is what no known class holds.

    Return the geometric mean of F1 of each class and of the rest, and which clusters are matched.
    """
    from scipy.optimize import linear_sum_assignment

    size = truth.max() + 1  # no class goes without a cluster, though it may be empty
    table = np.zeros((max(clusters.max() + 1, size), size))
    np.add.at(table, (clusters, truth), 1)
    rows, columns = linear_sum_assignment(table, maximize=True)
    rows, columns = rows[columns < size - 1], columns[columns < size - 1]
    hits = [*table[rows, columns], np.delete(table, rows, axis=0)[:, -1].sum()]
    sizes = [*table.sum(1)[rows], np.delete(table, rows, axis=0).sum()]
    f1 = 2 * np.array(hits) / (np.array(sizes) + table.sum(0)[[*columns, -1]])
    return float(np.prod(f1) ** (1 / len(f1))), rows


def _evidential(known: Tensor, targets: Tensor, n_classes: int, points: Tensor) -> Tensor:
    """Return logits (L + N, C) of known and points by a linear head that learned evidence.

    Sensoy, Kaplan & Kandemir 2018, "Evidential deep learning to quantify classification
    uncertainty": logarithms of how often each class was as good as seen, in Zong et al.'s form.
    """
    head = torch.zeros(known.shape[1] + 1, n_classes).requires_grad_()
    own = functional.one_hot(targets, n_classes).float()

    def loss(step: int) -> Tensor:
        alpha = (known @ head[:-1] + head[-1]).clamp(-10, 10).exp() + 1
        fit = (own * (alpha.sum(1, keepdim=True).log() - alpha.log())).sum(1).mean()
        wrong, flat = own + (1 - own) * alpha, torch.ones_like(alpha)
        kinds = (torch.distributions.Dirichlet(each) for each in (wrong, flat))
        apart = torch.distributions.kl_divergence(*kinds).mean()
        return fit + min(1.0, step / 10) * apart / n_classes

    _minimize(loss, [head])
    return (torch.cat([known, points]) @ head[:-1] + head[-1]).detach()
