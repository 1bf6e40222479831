"""Query strategies: functions from a view of the pool to the images wanted most.

>>> import numpy as np
>>> import torch
>>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
>>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
>>> view = PoolView(labeled, torch.tensor([0, 1]), pool, pool_logits=4 * pool)
>>> outlier(view, 1, np.random.default_rng(0)).indices  # which is between the classes
array([1])
"""

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from operator import attrgetter
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional

from alod import geometry, outliers
from alod.errors import AlodError, check_count, check_name, one_line, plain
from alod.outliers import Contrast, Detector
from alod.view import PoolView, Selection, task_like

# From here on, the outlier query trusts its detectors in full.
LABELS_PER_CLASS = 10

Strategy = Callable[..., tuple[np.ndarray, np.ndarray]]
"""``strategy(view, k, rng, **params) -> Selection``: what every strategy takes and returns.

``view`` is the :class:`alod.view.PoolView` of L labeled and U pool images, all that may be looked
at. ``k`` images are wanted, 1 <= k <= U. ``rng``, a numpy.random.Generator, is all that is random.

``indices`` int64 (k,), distinct positions in the pool, the most wanted first where there is an
order; ``scores`` float (k,), finite, higher = wanted more. Ties are broken at random. Further
parameters are checked by their annotations when a learner is made (:func:`get`). A user's function
that does the same needs no registration.
"""


def top_k(scores: np.ndarray, k: int, rng: Generator) -> Selection:
    """Take the `k` highest `scores` (U,), in descending order, ties in random order."""
    indices = np.lexsort((rng.random(len(scores)), -scores))[:k]
    return Selection(indices.astype(np.int64), scores[indices])


def random(view: PoolView, k: int, rng: Generator) -> Selection:
    """Ask at random: the measure of every other strategy.

    Scores are uniform random numbers in [0, 1). Looks at nothing but how many images there are.
    """
    return top_k(rng.random(view.n_pool), k, rng)


def least_confidence(view: PoolView, k: int, rng: Generator) -> Selection:
    """Ask where the likeliest class is least likely: 1 - p1, in [0, 1 - 1/C].

    Lewis & Gale 1994, "A sequential algorithm for training text classifiers". Blind to how the rest
    of the probability is spread, and, as every score taken by its top k, to copies within a batch.
    """
    best = view.pool_logits.double().softmax(1).amax(1)
    return top_k((1 - best).cpu().numpy(), k, rng)


def margin(view: PoolView, k: int, rng: Generator) -> Selection:
    """Ask where the two likeliest classes are closest: 1 - (p1 - p2), in [0, 1].

    Scheffer, Decomain & Wrobel 2001, "Active hidden Markov models for information extraction".
    Wastes labels where the pool holds images that are not of the task: those are uncertain, too.
    """
    return top_k(_margin_scores(view), k, rng)


def _margin_scores(view: PoolView) -> np.ndarray:
    best = view.pool_logits.double().softmax(1).topk(2, dim=1).values
    return np.asarray((1 - (best[:, 0] - best[:, 1])).cpu())


def entropy(view: PoolView, k: int, rng: Generator) -> Selection:
    """Ask where the predicted distribution is most spread: its entropy in nats, in [0, log C].

    Shannon 1948; Settles 2009, "Active learning literature survey". With many classes it asks for
    what is unsure among all of them, where a choice between two would teach more.
    """
    log_p = view.pool_logits.double().log_softmax(1)
    return top_k(-(log_p.exp() * log_p).sum(1).cpu().numpy(), k, rng)


def bald(view: PoolView, k: int, rng: Generator, n_samples: int = 20) -> Selection:
    """Ask where dropout samples of the classifier are each sure, and disagree.

    Scores are the mutual information between class and weights, H(mean p) - mean H(p), in nats, in
    [0, log C], of `n_samples` passes over the pool, at least 2. Houlsby et al. 2011, "Bayesian
    active learning for classification and preference learning"; Gal, Islam & Ghahramani 2017, "Deep
    Bayesian active learning with image data". A large batch counts what its images tell in common
    again and again (Kirsch et al. 2019), and without dropout there is nothing to ask by.
    """
    mean_p = torch.zeros_like(view.pool_logits, dtype=torch.float64)
    mean_entropy = mean_p.new_zeros(len(mean_p))
    for logits_UC in view.mc_logits(n_samples):
        geometry.check_finite(logits_UC)
        log_p = logits_UC.double().log_softmax(1)
        mean_p += log_p.exp() / n_samples
        mean_entropy += torch.special.entr(log_p.exp()).sum(1) / n_samples
    return top_k((torch.special.entr(mean_p).sum(1) - mean_entropy).cpu().numpy(), k, rng)


def kcenter(view: PoolView, k: int, rng: Generator) -> Selection:
    """Cover the pool: repeatedly take the image farthest from everything labeled or taken.

    Scores are the squared distances at which each was taken, so they never increase. The greedy
    2-approximation of the k-center problem of Sener & Savarese 2018, "Active learning for
    convolutional neural networks: a core-set approach". Buys every oddity that stands for nothing.
    """
    return Selection(*geometry.k_center(view.pool_embeddings, k, rng, view.labeled_embeddings))


def badge(view: PoolView, k: int, rng: Generator) -> Selection:
    """Draw images whose gradients are long and point different ways, by k-means++.

    Of the gradients that the last layer would get if the predicted class were the true one; scores
    are their squared lengths, the longest first. Ash et al. 2020, "Deep batch active learning by
    diverse, uncertain gradient lower bounds". Wastes labels on images that are not of the task:
    unsure and unlike all others.
    """
    a, h = view.pool_logits.softmax(1), view.pool_embeddings
    a = a - functional.one_hot(a.argmax(1), a.shape[1])
    lengths = geometry.squared_lengths(a) * geometry.squared_lengths(h)
    distances_to = geometry.distances_by_product(lengths, lambda i: (a[i] @ a.T) * (h[i] @ h.T))
    longest = int(lengths.argmax())
    indices = geometry.draw_apart(distances_to, torch.ones_like(lengths), k, rng, first=longest)
    return Selection(indices, lengths[indices].double().cpu().numpy())


def dbal(view: PoolView, k: int, rng: Generator, prefilter: int = 10) -> Selection:
    """Cluster the images of small margin, and ask for the one nearest to each center.

    The `prefilter` × k smallest margins are clustered by k-means, each image weighing the score of
    :func:`margin`, which is returned, in random order. Zhdanov 2019, "Diverse mini-batch active
    learning". Images that are not of the task are uncertain, too, and diverse.
    """
    candidates = top_k(_margin_scores(view), min(len(view.pool_logits), prefilter * k), rng)
    points = view.pool_embeddings[candidates.indices]
    # Where the classifier is sure of everything, weights would vanish.
    weights = torch.as_tensor(candidates.scores.clip(min=1e-6)).float().to(points.device)
    chosen = geometry.k_means_representatives(points, k, rng, weights)
    return Selection(candidates.indices[chosen], candidates.scores[chosen])


def typiclust(view: PoolView, k: int, rng: Generator) -> Selection:
    """Ask for the most typical image of each of the largest clusters without a label.

    Embeddings of labeled and pool are clustered together, a sample of 100,000 of a larger pool;
    scores are typicalities, from the largest cluster down (:func:`alod.geometry.typical_points`).
    Hacohen, Dekel & Weinshall 2022, "Active learning on a budget: opposite strategies suit high and
    low budgets". Meant for few labels: with many, it goes on asking for what is known well.
    """
    labeled, pool = view.normalized()
    return Selection(*geometry.typical_points(pool, k, rng, labeled))


def maxherding(view: PoolView, k: int, rng: Generator) -> Selection:
    """Ask for the images that add most to how well the labeled ones cover the pool.

    Scores are the gains in coverage by the kernel exp(-squared distance), so they never increase
    (:func:`alod.geometry.max_herding`; 10,000 images stand for a larger pool). Bae, Noh &
    Sutherland 2024, "Generalized coverage for more robust low-budget active learning". Asks for
    what is dense, not what is unsure: with many labels it falls behind margin.
    """
    labeled, pool = geometry.normalize(view.labeled_embeddings), geometry.Unit(view.pool_embeddings)
    return Selection(*geometry.max_herding(pool, k, rng, gamma=1.0, covered=labeled))


def uherding(view: PoolView, k: int, rng: Generator) -> Selection:
    """Cover what the classifier hesitates about: :func:`outlier` with margins for outlier scores.

    Greedy coverage, each image weighing 1 - (p1 - p2), in [0, 1], which is its score. Bae, Oliveira
    & Sutherland 2025, "Uncertainty herding: one active learning method for all label budgets".
    Theirs scales the logits by a temperature from classifiers trained on parts of the labels; here
    it is 1, and the kernel's width is that of :func:`outlier`.
    """
    scores = _margin_scores(view)
    chosen = _cover(view, scores, k, rng)
    return Selection(chosen, scores[chosen])


def rare(view: PoolView, k: int, rng: Generator, target: int | None = None) -> Selection:
    """Ask for what is likeliest of one class, `target`, by default that of the fewest labels.

    Greedy coverage, each image weighing the square of its probability, in [0, 1], which is its
    score. The most-likely-positive query of active search, as in Coleman, Chou et al. 2022,
    "Similarity search for efficient active learning and search of rare concepts". Finds a class,
    and teaches little else; nothing of a class without a label.
    """
    n_classes = view.pool_logits.shape[1]
    if target is None:
        counts = torch.bincount(view.labeled_targets, minlength=n_classes)
        target = int(torch.where(counts > 0, counts, len(view.labeled_targets)).argmin())
    check_count("target", target, 0, n_classes - 1)
    scores = view.pool_logits.double().softmax(1)[:, target].cpu().numpy()
    chosen = _cover(view, scores**2, k, rng)
    return Selection(chosen, scores[chosen])


def outlier_topk(
    view: PoolView, k: int, rng: Generator, detector: str | Detector = "knn"
) -> Selection:
    """Ask for the top outliers of one detector fitted on everything labeled: the literal query.

    Scores are the detector's, of L2-normalized embeddings. It buys clumps of outliers whole
    (Karamcheti et al. 2021, "Mind your outliers!") and does not see the space between classes,
    where the decision is open: with One-Class SVM, where far images tie, or Isolation Forest it
    loses to random. `detector` is a name of :func:`alod.outliers.make`, or an unfitted detector.
    """
    labeled, pool = view.normalized()
    seed = int(rng.integers(2**32))
    return top_k(outliers.outlier_scores(detector, labeled, pool, seed), k, rng)


def outlier(
    view: PoolView,
    k: int,
    rng: Generator,
    detector: str | Detector = "knn",
    per_class: bool = True,
    contrast: Contrast = "ratio",
    focus: float = 8.0,
    two_sided: bool = True,
) -> Selection:
    """Ask for images that stand for many others which no class explains better than another.

    The batch adds most to the coverage of the pool, each image weighing its outlier score by
    `detector` (:func:`alod.outliers.class_contrast`), in [0, 1] unless `contrast` is ``"none"`` or
    `per_class` False, to the power of `focus`, which grows with labels up to ten a class: no clump
    is bought twice, and no oddity that stands for itself. What looks foreign is left out unless
    `two_sided` is False (:func:`alod.view.task_like`), but is wanted most until one is named.
    """
    kept = task_like(view, k) if two_sided else np.arange(len(view.pool_logits))
    seen, seed = view.only(kept), int(rng.integers(2**32))
    known, targets, pool = seen.labeled_embeddings, seen.labeled_targets, seen.pool_embeddings
    if per_class:
        scores, _ = outliers.class_contrast(known, targets, pool, detector, contrast, seed)
    else:
        scores = outliers.outlier_scores(detector, *seen.normalized(), seed)
    per_label = len(view.labeled_targets) / view.pool_logits.shape[1]
    power = focus * min(1.0, per_label / LABELS_PER_CLASS)
    # Only a ratio is in [0, 1] already, and there is none with a single class: some detectors'
    # scores are negative, and have no powers.
    is_ratio = per_class and contrast == "ratio" and len(targets.unique()) > 1
    share = scores if is_ratio else _from_zero_to_one(scores)
    chosen = _cover(seen, share**power, k, rng)
    return Selection(kept[chosen], scores[chosen])


def _cover(view: PoolView, weights: np.ndarray, k: int, rng: Generator) -> np.ndarray:
    # An image covers as far as the pool's median image lies from the nearest labeled one.
    labeled, pool = geometry.normalize(view.labeled_embeddings), geometry.Unit(view.pool_embeddings)
    sample = pool[:: 1 + len(pool) // 10_000]
    width = float(geometry.nearest(sample, labeled)[0].median())
    gamma = 1 / (2 * max(width**2, 1e-6))
    # What weighs nothing could not be drawn.
    weights = np.maximum(weights, 1e-24)
    return geometry.max_herding(pool, k, rng, gamma, covered=labeled, weights=weights)[0]


def _from_zero_to_one(scores: np.ndarray) -> np.ndarray:
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.ones_like(scores)


def original_meant(view: PoolView, k: int, rng: Generator) -> Selection:
    """Ask for the outliers of one One-Class SVM: the original work's query as it was meant.

    Scores are the negative ``score_samples`` of a polynomial kernel, nu = 1e-5, gamma = 1 / D, of
    embeddings as they are. The original (Aya Migdadi 2023, "Active learning using outlier
    detection", code) sorts by them but takes rows by index label, so that its published curves are
    random acquisition. Loses to random: it buys collective outliers, and ranks by length.
    """
    from sklearn.svm import OneClassSVM

    model = OneClassSVM(kernel="poly", nu=1e-5, gamma="auto")
    # Nothing in it is random, but it would draw a seed from NumPy's global generator.
    model.random_state = 0
    model.fit(view.labeled_embeddings.cpu().numpy())
    return top_k(-model.score_samples(view.pool_embeddings.cpu().numpy()), k, rng)


STRATEGIES: dict[str, Strategy] = {
    query.__name__: query
    for query in (
        *(random, least_confidence, margin, entropy, bald, kcenter, badge, dbal, typiclust),
        *(maxherding, uherding, rare, outlier, outlier_topk, original_meant),
    )
}


def _on_task(
    strategy: Strategy, view: PoolView, k: int, rng: Generator, two_sided: bool, **params: Any
) -> tuple[np.ndarray, np.ndarray]:
    if not two_sided:
        return strategy(view, k, rng, **params)
    kept = task_like(view, k)
    indices, scores = strategy(view.only(kept), k, rng, **params)
    return kept[indices], scores


def get(strategy: str | Strategy, params: Mapping[str, Any]) -> Strategy:
    """Find a `strategy` by name, by ``module:function``, or take the user's function.

    `params` are checked against its signature: names, and values where the annotation says them;
    what it cannot take is refused. Every strategy takes ``two_sided``: whether to leave out what
    looks foreign (:func:`alod.view.task_like`), False by default but for ``outlier``.
    """
    function = strategy if callable(strategy) else _found(strategy)
    name = getattr(function, "__name__", repr(function))
    taken = list(inspect.signature(function).parameters.values())[3:]
    if any(p.kind is p.VAR_KEYWORD for p in taken):
        return function
    if "two_sided" in params and "two_sided" not in [p.name for p in taken]:
        _check_value("two_sided", params["two_sided"], bool)
        rest = {key: value for key, value in params.items() if key != "two_sided"}
        return partial(_on_task, get(strategy, rest))
    hints = get_type_hints(function) if inspect.isfunction(function) else {}
    for key, value in params.items():
        check_name(f"parameter of strategy {name!r}", key, [p.name for p in taken])
        _check_value(key, value, hints.get(key))
    return function


def _found(name: str) -> Strategy:
    if ":" in str(name):
        return cast(Strategy, imported("strategy", name))
    check_name("strategy", name, STRATEGIES)
    return STRATEGIES[name]


def imported(kind: str, name: str) -> Callable[..., Any]:
    """Return what a `name`, ``module:function``, stands for, a `kind` of thing, or refuse it."""
    module, _, path = name.partition(":")
    mend = "expected 'module:function', importable from here"
    try:
        found = attrgetter(path)(import_module(module))
    except Exception as error:  # Whatever the user's module raises.
        told = f"{type(error).__name__}: {one_line(error)}"
        raise AlodError(f"{kind} {name!r}: {mend}; {told}") from error
    if not callable(found):
        raise AlodError(f"{kind} {name!r}: {mend}, is {found!r}")
    return found


def name_of(strategy: str | Strategy) -> str:
    """Return what to call a `strategy` in messages."""
    return strategy if isinstance(strategy, str) else getattr(strategy, "__name__", "given")


def importable_name(strategy: str | Strategy) -> str:
    """Return a key of ``STRATEGIES``, or ``module:function``, of a `strategy`; refuse all else."""
    if not callable(strategy):  # a name, or nothing that is one
        return strategy
    known = [name for name, function in STRATEGIES.items() if function is strategy]
    module, path = (getattr(strategy, key, "") for key in ("__module__", "__qualname__"))
    with suppress(ImportError, AttributeError, ValueError):  # some have no module
        if known or (module != "__main__" and attrgetter(path)(import_module(module)) is strategy):
            return known[0] if known else f"{module}:{path}"
    raise AlodError(
        f"strategy={name_of(strategy)!r} cannot be imported by another process; define it at the "
        "top of a module, mine.py, and give 'mine:function'"
    )


def _check_value(key: str, value: object, hint: Any) -> None:
    value = plain(value)
    if key == "detector":
        outliers.check_detector(value)
    elif key == "n_samples":
        check_count(key, value, 2, why="one sample cannot disagree with itself")
    elif get_origin(hint) is Literal:
        check_name(key, value, get_args(hint))
    elif hint is int:
        check_count(key, value, 1)
    elif hint == int | None and value is not None:
        check_count(key, value, 0)
    elif hint is float and not (isinstance(value, int | float) and 0 <= value < np.inf):
        raise AlodError(f"{key}={value!r}: expected a number, 0 or more")
    elif hint is bool and not isinstance(value, bool):
        raise AlodError(f"{key}={value!r}: expected True or False")


def check_selection(selection: Any, k: int, n_pool: int, name: str) -> Selection:
    """Return what strategy `name` gave as int64 (k,) and float64 (k,), or refuse it.

    A `selection` is two arrays, tensors or lists: `k` distinct positions below `n_pool`, scores.
    """
    who = f"strategy {name!r} returned"
    expected = f"expected {k} distinct integer positions from 0 to {n_pool - 1} and {k} scores"
    if not isinstance(selection, tuple | list) or len(selection) != 2:
        raise AlodError(f"{who} {type(selection).__name__}: {expected}; return (indices, scores)")
    indices, scores = (s.detach().cpu() if isinstance(s, Tensor) else s for s in selection)
    indices = np.asarray(indices)
    kind = indices.dtype.kind
    if indices.shape != (k,) or np.shape(scores) not in ((k,), (k, 1)) or kind not in "iu":
        problem = f"indices {indices.dtype}{indices.shape} and scores {np.shape(scores)}"
    elif len(np.unique(indices)) < k:
        problem = "an image twice"
    elif indices.min() < 0 or indices.max() >= n_pool:
        problem = f"positions from {indices.min()} to {indices.max()}"
    else:
        return Selection(indices.astype(np.int64), outliers.check_scores(scores, k, who))
    mend = {"b": "; give numpy.flatnonzero(mask)", "f": "; give indices.astype(int)"}.get(kind, "")
    raise AlodError(f"{who} {problem}: {expected}{mend}")
