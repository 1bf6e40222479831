"""Query strategies: functions from a view of the pool to the images wanted most."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional

from alod import detectors, geometry
from alod.detectors import Contrast, Detector
from alod.errors import AlodError, check_count, check_name


def _no_dropout(n: int) -> Tensor:
    raise AlodError("this view has no mc_logits: build it with the learner, or pass a function")


_NOTHING = torch.empty(0, 0)
# From here on, the outlier query trusts its detectors in full.
LABELS_PER_CLASS = 10


@dataclass(frozen=True)
class PoolView:
    """What a strategy may look at: no image, no target of the pool, no test set.

    Parameters
    ----------
    labeled_embeddings : Tensor
        float32 (L, D).
    labeled_targets : Tensor
        int64 (L,).
    pool_embeddings : Tensor
        float32 (U, D), on the same device.
    pool_logits : Tensor
        float32 (U, C).
    foreign_embeddings : Tensor
        float32 (F, D), images that the oracle called "not of this task".
    labeled_features, pool_features, foreign_features : Tensor
        float32 (L, P), (U, P), (F, P), what is known without labels (:func:`alod.initial.features`,
        scaled to mean length 1); there only if F > 0, else P is 0.
    mc_logits : callable
        ``mc_logits(n)`` computes n Monte Carlo dropout samples of the pool's logits, float32
        (n, U, C), on demand: each costs one pass over the pool.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool)
    >>> len(view.pool_logits), view.pool_features.shape
    (3, torch.Size([3, 0]))
    """

    labeled_embeddings: Tensor
    labeled_targets: Tensor
    pool_embeddings: Tensor
    pool_logits: Tensor
    foreign_embeddings: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    mc_logits: Callable[[int], Tensor] = _no_dropout
    labeled_features: Tensor = _NOTHING
    pool_features: Tensor = _NOTHING
    foreign_features: Tensor = _NOTHING

    def __post_init__(self) -> None:
        # A view made by hand need not describe its images: no columns then.
        for side in ("labeled", "pool", "foreign"):
            if getattr(self, f"{side}_features") is _NOTHING:
                rows = getattr(self, f"{side}_embeddings")
                object.__setattr__(self, f"{side}_features", rows[:, :0])


class Selection(NamedTuple):
    """What a strategy answers.

    ``indices`` int64 (k,), distinct positions in the pool; ``scores`` float (k,), higher = wanted
    more.

    Examples
    --------
    >>> import numpy as np
    >>> Selection(np.array([7, 3]), np.array([0.9, 0.4])).indices
    array([7, 3])
    """

    indices: np.ndarray
    scores: np.ndarray


# ``strategy(view, k, rng, **params) -> (indices, scores)``
Strategy = Callable[..., tuple[np.ndarray, np.ndarray]]


def top_k(scores: np.ndarray, k: int, rng: Generator) -> Selection:
    """Take the k highest scores, ties in random order.

    Parameters
    ----------
    scores : numpy.ndarray
        float (U,).
    k : int
        1 <= k <= U.
    rng : numpy.random.Generator
        Breaks ties.

    Returns
    -------
    Selection
        In descending order of score.

    Examples
    --------
    >>> import numpy as np
    >>> top_k(np.array([0.1, 0.9, 0.4]), 2, np.random.default_rng(0)).indices
    array([1, 2])
    """
    indices = np.lexsort((rng.random(len(scores)), -scores))[:k]
    return Selection(indices.astype(np.int64), scores[indices])


def random(view: PoolView, k: int, rng: Generator) -> Selection:
    """Ask at random: the measure of every other strategy.

    Parameters
    ----------
    view : PoolView
        Only the number of its pool images is used.
    k : int
        Images to take, 1 <= k <= U.
    rng : numpy.random.Generator
        Draws.

    Returns
    -------
    Selection
        Scores are uniform random numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool)
    >>> sorted(random(view, 3, np.random.default_rng(0)).indices.tolist())
    [0, 1, 2]
    """
    return top_k(rng.random(len(view.pool_logits)), k, rng)


def least_confidence(view: PoolView, k: int, rng: Generator) -> Selection:
    """Ask where the likeliest class is least likely.

    Score: 1 - p1, in [0, 1 - 1/C]. Lewis & Gale 1994, "A sequential algorithm for training text
    classifiers".

    Parameters
    ----------
    view : PoolView
        Its logits are used.
    k : int
        Images to take, 1 <= k <= U.
    rng : numpy.random.Generator
        Breaks ties.

    Returns
    -------
    Selection
        In descending order of score. Blind to how the rest of the probability is spread, and, as
        every score taken by its top k, to copies within a batch.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool)
    >>> least_confidence(view, 1, np.random.default_rng(0)).indices
    array([1])
    """
    best = view.pool_logits.double().softmax(1).amax(1)
    return top_k((1 - best).cpu().numpy(), k, rng)


def margin(view: PoolView, k: int, rng: Generator) -> Selection:
    """Ask where the two likeliest classes are closest.

    Score: 1 - (p1 - p2), in [0, 1]. Scheffer, Decomain & Wrobel 2001, "Active hidden Markov models
    for information extraction".

    Parameters
    ----------
    view : PoolView
        Its logits are used.
    k : int
        Images to take, 1 <= k <= U.
    rng : numpy.random.Generator
        Breaks ties.

    Returns
    -------
    Selection
        In descending order of score. Wastes labels where the pool holds images that are not of the
        task: those are uncertain, too.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool)
    >>> margin(view, 1, np.random.default_rng(0)).indices
    array([1])
    """
    return top_k(_margin_scores(view), k, rng)


def _margin_scores(view: PoolView) -> np.ndarray:
    best = view.pool_logits.double().softmax(1).topk(2, dim=1).values
    return np.asarray((1 - (best[:, 0] - best[:, 1])).cpu())


def entropy(view: PoolView, k: int, rng: Generator) -> Selection:
    """Ask where the predicted distribution is most spread.

    Score: entropy in nats, in [0, log C]. Shannon 1948; Settles 2009, "Active learning literature
    survey".

    Parameters
    ----------
    view : PoolView
        Its logits are used.
    k : int
        Images to take, 1 <= k <= U.
    rng : numpy.random.Generator
        Breaks ties.

    Returns
    -------
    Selection
        In descending order of score.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool)
    >>> entropy(view, 1, np.random.default_rng(0)).indices
    array([1])
    """
    log_p = view.pool_logits.double().log_softmax(1)
    return top_k(-(log_p.exp() * log_p).sum(1).cpu().numpy(), k, rng)


def bald(view: PoolView, k: int, rng: Generator, n_samples: int = 20) -> Selection:
    """Ask where dropout samples of the classifier are each sure, and disagree.

    Score: mutual information between class and weights, H(mean p) - mean H(p), in nats, in
    [0, log C]. Houlsby et al. 2011, "Bayesian active learning for classification and preference
    learning"; Gal, Islam & Ghahramani 2017, "Deep Bayesian active learning with image data".

    Parameters
    ----------
    view : PoolView
        Its ``mc_logits`` are used.
    k : int
        Images to take, 1 <= k <= U.
    rng : numpy.random.Generator
        Breaks ties.
    n_samples : int
        Monte Carlo dropout samples, at least 2; each costs one pass over the pool.

    Returns
    -------
    Selection
        In descending order of score. The top k of large batches are much alike: the scores of a
        batch count what its images tell in common again and again (Kirsch et al. 2019).

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool)
    >>> samples = torch.stack([4 * pool, 4 * pool * torch.tensor([[1], [-1], [1]])])
    >>> samples[:, 1] += torch.tensor([[9.0, 0.0], [0.0, 9.0]])
    >>> view = PoolView(labeled, view.labeled_targets, pool, 4 * pool, mc_logits=lambda n: samples)
    >>> bald(view, 1, np.random.default_rng(0), n_samples=2).indices
    array([1])
    """
    mean_p = torch.zeros_like(view.pool_logits, dtype=torch.float64)
    mean_entropy = mean_p.new_zeros(len(mean_p))
    for logits_UC in view.mc_logits(n_samples):
        log_p = logits_UC.double().log_softmax(1)
        mean_p += log_p.exp() / n_samples
        mean_entropy += torch.special.entr(log_p.exp()).sum(1) / n_samples
    return top_k((torch.special.entr(mean_p).sum(1) - mean_entropy).cpu().numpy(), k, rng)


def kcenter(view: PoolView, k: int, rng: Generator) -> Selection:
    """Cover the pool: repeatedly take the image farthest from everything labeled or taken.

    Greedy 2-approximation of the k-center problem (Sener & Savarese 2018, "Active learning for
    convolutional neural networks: a core-set approach").

    Parameters
    ----------
    view : PoolView
        Embeddings of L labeled and U pool images.
    k : int
        Images to take, 1 <= k <= U.
    rng : numpy.random.Generator
        Breaks ties between equally far images.

    Returns
    -------
    Selection
        ``scores`` are the squared distances at which each was taken, so they never increase.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool)
    >>> kcenter(view, 1, np.random.default_rng(0)).indices
    array([1])
    """
    return Selection(*geometry.k_center(view.pool_embeddings, k, rng, view.labeled_embeddings))


def badge(view: PoolView, k: int, rng: Generator) -> Selection:
    """Draw images whose gradients are long and point different ways.

    k-means++ on the gradients that the last layer would get if the predicted class were the true
    one: long where the classifier is unsure, alike where images would teach the same. Ash et al.
    2020, "Deep batch active learning by diverse, uncertain gradient lower bounds".

    A gradient is the outer product of a = p - onehot(predicted) and the embedding h, so that inner
    products of gradients are products of inner products, <a, a'> <h, h'>: C × D numbers an image
    are never written down.

    Parameters
    ----------
    view : PoolView
        Embeddings and logits of the pool.
    k : int
        Images to take, 1 <= k <= U.
    rng : numpy.random.Generator
        Draws.

    Returns
    -------
    Selection
        In the order drawn, the longest gradient first; ``scores`` are squared lengths. Wastes
        labels on images that are not of the task: unsure and unlike all others.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool)
    >>> badge(view, 1, np.random.default_rng(0)).indices
    array([1])
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

    The `prefilter` × k smallest margins are clustered by k-means in k clusters, each image weighing
    1 - (p1 - p2). Zhdanov 2019, "Diverse mini-batch active learning".

    Parameters
    ----------
    view : PoolView
        Embeddings and logits of the pool.
    k : int
        Images to take, 1 <= k <= U.
    rng : numpy.random.Generator
        Draws the clusters' seeds.
    prefilter : int
        Candidates per image asked, at least 1; 1 is margin.

    Returns
    -------
    Selection
        In random order, with the scores of :func:`margin`, whose weak side it shares: images that
        are not of the task are uncertain, too, and diverse.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool)
    >>> dbal(view, 1, np.random.default_rng(0)).indices
    array([1])
    """
    candidates = top_k(_margin_scores(view), min(len(view.pool_logits), prefilter * k), rng)
    points = view.pool_embeddings[candidates.indices]
    # Where the classifier is sure of everything, weights would vanish.
    weights = torch.as_tensor(candidates.scores.clip(min=1e-6)).float().to(points.device)
    chosen = geometry.k_means_representatives(points, k, rng, weights)
    return Selection(candidates.indices[chosen], candidates.scores[chosen])


def typiclust(view: PoolView, k: int, rng: Generator) -> Selection:
    """Ask for the most typical image of each of the largest clusters without a label.

    Embeddings, L2-normalized, of labeled and pool images are clustered together; see
    :func:`alod.geometry.typical_points`. Hacohen, Dekel & Weinshall 2022, "Active learning on a
    budget: opposite strategies suit high and low budgets".

    Parameters
    ----------
    view : PoolView
        Embeddings of L labeled and U pool images; above 100,000, a random sample of the pool is
        clustered.
    k : int
        Images to take, 1 <= k <= U.
    rng : numpy.random.Generator
        Draws the clusters' seeds.

    Returns
    -------
    Selection
        From the largest cluster without a label down; ``scores`` are typicalities. Meant for few
        labels: with many, it goes on asking for what the classifier knows well.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool)
    >>> typiclust(view, 1, np.random.default_rng(0)).indices
    array([1])
    """
    labeled = geometry.normalize(view.labeled_embeddings)
    pool = geometry.normalize(view.pool_embeddings)
    return Selection(*geometry.typical_points(pool, k, rng, labeled))


def maxherding(view: PoolView, k: int, rng: Generator) -> Selection:
    """Ask for the images that add most to how well the labeled ones cover the pool.

    Coverage by the kernel exp(-squared distance) of L2-normalized embeddings, greedily; see
    :func:`alod.geometry.max_herding`. Bae, Noh & Sutherland 2024, "Generalized coverage for more
    robust low-budget active learning".

    Parameters
    ----------
    view : PoolView
        Embeddings of L labeled and U pool images. 10,000 of them stand for a larger pool; above
        100,000, a random sample may be asked.
    k : int
        Images to take, 1 <= k <= U.
    rng : numpy.random.Generator
        Draws the samples of a large pool; nothing else is random.

    Returns
    -------
    Selection
        ``scores`` are the gains in coverage, so they never increase. Asks what is dense, not what
        is unsure: with many labels it falls behind margin.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool)
    >>> maxherding(view, 1, np.random.default_rng(0)).indices
    array([1])
    """
    labeled = geometry.normalize(view.labeled_embeddings)
    pool = geometry.normalize(view.pool_embeddings)
    return Selection(*geometry.max_herding(pool, k, rng, gamma=1.0, covered=labeled))


def uherding(view: PoolView, k: int, rng: Generator) -> Selection:
    """Cover what the classifier hesitates about: :func:`outlier` with margins for outlier scores.

    Greedy coverage of the pool, each image weighing 1 minus the margin between its two likeliest
    classes; the nearest relative of :func:`outlier`. Source: Bae, Oliveira & Sutherland 2025,
    "Uncertainty herding: one active learning method for all label budgets". Theirs also scales the
    logits by a temperature, which takes classifiers trained on parts of the labels; here it is 1,
    and the kernel's width is that of :func:`outlier`.

    Parameters
    ----------
    view : PoolView
        Embeddings of L labeled and U pool images, and logits of the latter.
    k : int
        Images to take, 1 <= k <= U.
    rng : numpy.random.Generator
        Draws what stands for a large pool.

    Returns
    -------
    Selection
        In the order taken, with 1 minus the margin, in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool)
    >>> uherding(view, 1, np.random.default_rng(0)).indices
    array([1])
    """
    scores = _margin_scores(view)
    chosen = _cover(view, scores, k, rng)
    return Selection(chosen, scores[chosen])


def outlier_topk(
    view: PoolView, k: int, rng: Generator, detector: str | Detector = "knn"
) -> Selection:
    """Ask for the top outliers of one detector: the literal outlier query.

    One detector is fitted on all labeled embeddings, L2-normalized. It fails where outliers come in
    clumps, which it buys whole (Karamcheti et al. 2021, "Mind your outliers!"), and it does not see
    the space between classes, where the decision is open: with One-Class SVM or Isolation Forest it
    loses to random.

    Parameters
    ----------
    view : PoolView
        Embeddings of L labeled and U pool images.
    k : int
        Images to take, 1 <= k <= U.
    rng : numpy.random.Generator
        Breaks ties; seeds the detector.
    detector : str or Detector
        A name of :func:`alod.detectors.make`, or a detector. OCSVM saturates: far images tie.

    Returns
    -------
    Selection
        In descending order of outlier score.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool)
    >>> outlier_topk(view, 1, np.random.default_rng(0)).indices
    array([1])
    """
    labeled = geometry.normalize(view.labeled_embeddings)
    pool = geometry.normalize(view.pool_embeddings)
    seed = int(rng.integers(2**32))
    return top_k(detectors.outlier_scores(detector, labeled, pool, seed), k, rng)


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

    One detector per class is fitted on the labeled embeddings, L2-normalized. An image's score is
    how outlying it is to its nearest class, divided by how outlying it is to the second nearest: 1
    means equally strange to its two best classes. The batch is what adds most to the coverage of
    the pool (:func:`alod.geometry.max_herding`), each image weighing its score to the power of
    `focus`: no clump is bought twice, and no oddity that stands for nothing but itself. An image
    covers as far as the pool's median image lies from the nearest labeled one, so less and less.

    From typical to atypical: detectors of few labels know little, so the power grows with them, up
    to `focus` at ten labels a class. Without it, coverage alone would be asked for.

    Parameters
    ----------
    view : PoolView
        Embeddings of L labeled and U pool images.
    k : int
        Images to take, 1 <= k <= U.
    rng : numpy.random.Generator
        Draws what stands for a large pool; seeds the detectors.
    detector : str or Detector
        A name of :func:`alod.detectors.make`, or an unfitted detector.
    per_class : bool
        One detector per class; False fits a single one on everything, without contrast.
    contrast : {"ratio", "none"}
        See :func:`alod.detectors.contrast`. All but ratios, which a single labeled class has none
        of, are scaled to [0, 1].
    focus : float
        How much more an outlying image weighs, not negative; 0 covers the pool as it is.
    two_sided : bool
        Leave out what looks foreign, see :func:`task_like`.

    Returns
    -------
    Selection
        In the order taken, with outlier scores.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool)
    >>> outlier(view, 1, np.random.default_rng(0)).indices
    array([1])
    """
    kept = task_like(view, k) if two_sided else np.arange(len(view.pool_logits))
    seen = replace(view, pool_embeddings=view.pool_embeddings[kept])
    labeled = geometry.normalize(view.labeled_embeddings)
    pool = geometry.normalize(seen.pool_embeddings)
    seed = int(rng.integers(2**32))
    if per_class:
        scores_UC = detectors.class_scores(detector, labeled, view.labeled_targets, pool, seed)
    else:
        scores_UC = detectors.outlier_scores(detector, labeled, pool, seed)[:, None]
    scores = detectors.contrast(scores_UC, contrast)
    per_label = len(view.labeled_targets) / view.pool_logits.shape[1]
    power = focus * min(1.0, per_label / LABELS_PER_CLASS)
    # Only a ratio is in [0, 1] already, and there is none with a single class: some detectors'
    # scores are negative, and have no powers.
    is_ratio = contrast == "ratio" and scores_UC.shape[1] > 1
    share = scores if is_ratio else _from_zero_to_one(scores)
    chosen = _cover(seen, share**power, k, rng)
    return Selection(kept[chosen], scores[chosen])


def _cover(view: PoolView, weights: np.ndarray, k: int, rng: Generator) -> np.ndarray:
    """Take what adds most to the weighted coverage of the pool.

    An image covers as far as the pool's median image lies from the nearest labeled one.
    """
    labeled = geometry.normalize(view.labeled_embeddings)
    pool = geometry.normalize(view.pool_embeddings)
    sample = pool[:: 1 + len(pool) // 10_000]
    width = float(geometry.nearest(sample, labeled)[0].median())
    gamma = 1 / (2 * max(width**2, 1e-6))
    # What weighs nothing could not be drawn.
    weights = np.maximum(weights, 1e-24)
    return geometry.max_herding(pool, k, rng, gamma, covered=labeled, weights=weights)[0]


def _from_zero_to_one(scores: np.ndarray) -> np.ndarray:
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.ones_like(scores)


def task_like(view: PoolView, k: int) -> np.ndarray:
    """Find the pool images that lie nearer to a labeled image than to any foreign one.

    The second side of an outlier detector: answers "not of this task" are one more class, which is
    not asked for again. Distances join the L2-normalized embedding, which knows the task, and the
    label-free features, which know everything else.

    Parameters
    ----------
    view : PoolView
        With F foreign embeddings; F may be 0.
    k : int
        Images that must be left at least, 1 <= k <= U.

    Returns
    -------
    numpy.ndarray
        int64 (K,), ascending positions in the pool: all of them where nothing foreign is known; if
        fewer than `k` images pass, the `k` that are least like a foreign one.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> foreign = torch.tensor([[1.0, 1.1]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool, foreign)
    >>> task_like(view, 1)
    array([0, 2])
    """
    if len(view.foreign_embeddings) == 0:
        return np.arange(len(view.pool_logits))
    sides = (
        (view.labeled_embeddings, view.labeled_features),
        (view.foreign_embeddings, view.foreign_features),
        (view.pool_embeddings, view.pool_features),
    )
    labeled, foreign, pool = (
        torch.cat([geometry.normalize(embeddings), features], dim=1)
        for embeddings, features in sides
    )
    to_task, to_foreign = (geometry.nearest(pool, side)[0][:, 0] for side in (labeled, foreign))
    kept = torch.nonzero(to_task < to_foreign)[:, 0]
    if len(kept) < k:
        kept = (to_task - to_foreign).topk(k, largest=False).indices.sort().values
    return kept.cpu().numpy()


def _on_task(
    strategy: Strategy, view: PoolView, k: int, rng: Generator, two_sided: bool, **params: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Give a strategy the pool without what looks foreign."""
    if not two_sided:
        return strategy(view, k, rng, **params)
    kept = task_like(view, k)
    seen = replace(
        view,
        pool_embeddings=view.pool_embeddings[kept],
        pool_logits=view.pool_logits[kept],
        pool_features=view.pool_features[kept],
        mc_logits=lambda n: view.mc_logits(n)[:, kept],
    )
    indices, scores = strategy(seen, k, rng, **params)
    return kept[indices], scores


def original_meant(view: PoolView, k: int, rng: Generator) -> Selection:
    """Ask for the outliers of one One-Class SVM: the original work's query as it was meant.

    The original sorts the pool by this score but then takes rows by their index label, the first of
    a random split, so that its published "outlier" curves are random acquisition; this is its
    detector, sorted right. Aya Migdadi 2023, "Active learning using outlier detection" (code).

    Parameters
    ----------
    view : PoolView
        Embeddings of L labeled and U pool images, as they are.
    k : int
        Images to take, 1 <= k <= U.
    rng : numpy.random.Generator
        Breaks ties.

    Returns
    -------
    Selection
        In descending order of the negative ``score_samples`` of a polynomial One-Class SVM, nu =
        1e-5, gamma = 1 / D. It loses to random: it buys collective outliers, and its polynomial
        kernel ranks by length as much as by direction.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool)
    >>> original_meant(view, 2, np.random.default_rng(0)).indices.shape
    (2,)
    """
    from sklearn.svm import OneClassSVM

    model = OneClassSVM(kernel="poly", nu=1e-5, gamma="auto")
    model.fit(view.labeled_embeddings.cpu().numpy())
    return top_k(-model.score_samples(view.pool_embeddings.cpu().numpy()), k, rng)


STRATEGIES: dict[str, Strategy] = {
    "random": random,
    "least_confidence": least_confidence,
    "margin": margin,
    "entropy": entropy,
    "bald": bald,
    "kcenter": kcenter,
    "badge": badge,
    "dbal": dbal,
    "typiclust": typiclust,
    "maxherding": maxherding,
    "uherding": uherding,
    "outlier": outlier,
    "outlier_topk": outlier_topk,
    "original_meant": original_meant,
}


def get(strategy: str | Strategy, params: Mapping[str, Any]) -> Strategy:
    """Find a strategy by name, or take the user's, and refuse parameters that it cannot take.

    Parameters
    ----------
    strategy : str or callable
        A name in ``STRATEGIES``, or a function ``(view, k, rng, **params) -> (indices, scores)``.
    params : mapping
        Checked against the function's signature: names, and values where the annotation says them.
        Every strategy takes ``two_sided``: whether to leave out what looks foreign
        (:func:`task_like`), False by default but for ``outlier``.

    Returns
    -------
    callable
        The function.

    Raises
    ------
    AlodError
        If there is no such strategy, or a parameter is unknown or has a value out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool)
    >>> get("outlier", {"detector": "lof"})(view, 2, np.random.default_rng(0))[0].shape
    (2,)
    """
    if callable(strategy):
        function = strategy
    else:
        check_name("strategy", strategy, STRATEGIES)
        function = STRATEGIES[strategy]
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


def _check_value(key: str, value: object, hint: Any) -> None:
    """Refuse a value that the annotation of its parameter does not allow."""
    if key == "detector":
        detectors.check_detector(value)
    elif key == "n_samples":
        check_count(key, value, 2, why="one sample cannot disagree with itself")
    elif get_origin(hint) is Literal:
        check_name(key, value, get_args(hint))
    elif hint is int and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise AlodError(f"{key}={value!r}: expected a whole number, at least 1")
    elif hint is float and not (isinstance(value, int | float) and 0 <= value < np.inf):
        raise AlodError(f"{key}={value!r}: expected a number, 0 or more")
    elif hint is bool and not isinstance(value, bool):
        raise AlodError(f"{key}={value!r}: expected True or False")


def check_selection(
    selection: tuple[np.ndarray, np.ndarray], k: int, n_pool: int, name: str
) -> Selection:
    """Refuse an answer that is not k distinct positions of the pool, each with a score.

    Parameters
    ----------
    selection : tuple
        What a strategy returned.
    k : int
        Images that were wanted.
    n_pool : int
        Images in the pool.
    name : str
        The strategy's name, for the message.

    Returns
    -------
    Selection
        ``indices`` as int64 (k,), ``scores`` as float64 (k,).

    Raises
    ------
    AlodError
        If a post-condition is broken.

    Examples
    --------
    >>> import numpy as np
    >>> check_selection((np.array([7, 3]), np.array([0.9, 0.4])), 2, 10, "mine").indices
    array([7, 3])
    """
    indices, scores = (np.asarray(part) for part in selection)
    if indices.shape != (k,) or scores.shape != (k,) or indices.dtype.kind not in "iu":
        problem = f"indices {indices.dtype}{indices.shape} and scores {scores.shape}"
    elif len(np.unique(indices)) < k:
        problem = "an image twice"
    elif indices.min() < 0 or indices.max() >= n_pool:
        problem = f"positions from {indices.min()} to {indices.max()}"
    else:
        return Selection(indices.astype(np.int64), scores.astype(float))
    raise AlodError(
        f"strategy {name!r} returned {problem}: expected {k} distinct integer positions from 0 to "
        f"{n_pool - 1} and {k} scores"
    )
