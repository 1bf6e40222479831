"""Outliers and inliers: detectors, one for each class, the contrast between them, the core set.

A `detector` is a name of ``DETECTORS`` or an unfitted object of the kind of :class:`Detector`, such
as PyOD's, which is copied; `seed` seeds those that draw at random. Points, embeddings among them,
are float (N, D) on one device: L of them labeled, by `targets` (L,), or a `reference` (L, D), U of
them the `pool` (U, D). Everywhere a higher score means more outlying, as in PyOD; scores of the
pool are finite, float64 (U,).

>>> labeled, targets = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([3, 5])
>>> scores, nearest = class_contrast(labeled, targets, torch.tensor([[2.0, 2.0], [0.1, 9.0]]))
>>> scores.round(2).tolist(), nearest.tolist()
([1.0, 0.01], [3, 5])
"""

import copy
import inspect
import warnings
from importlib import import_module
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from alod import geometry
from alod._settled import seeded
from alod.errors import AlodError, check_count, check_name, one_line

Contrast = Literal["ratio", "none"]
# PyOD's neighbor-based detectors work from 8 points; fewer leave most others degenerate.
MIN_FIT = 8


class Detector(Protocol):
    """What PyOD's detectors and ours have in common: they learn from points, and score others."""

    def fit(self, X: Any) -> Any:
        """Learn what is usual from points `X` (N, D)."""

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the outlier score (M,) of points `X` (M, D); higher is more outlying."""


class KNN:
    """Distance to the k-th nearest fitted point, exactly, through matrix products on the device.

    Gives the scores of ``pyod.models.knn.KNN(method="largest")`` and does not slow down as the
    dimension grows. k is `n_neighbors`, at least 1; fewer fitted points than k count as k. Source:
    Ramaswamy, Rastogi & Shim 2000, "Efficient algorithms for mining outliers from large data sets".
    """

    def __init__(self, n_neighbors: int = 1) -> None:
        self.n_neighbors = check_count("n_neighbors", n_neighbors, 1)

    def fit(self, X: Tensor | np.ndarray) -> "KNN":
        """Remember the points `X` (N, D), N at least 1."""
        self.points = torch.as_tensor(X).float()
        return self

    def decision_function(self, X: Tensor | np.ndarray) -> np.ndarray:
        """Return the distance (M,) of each of `X` (M, D) to its k-th nearest fitted point.

        A fitted point counts as its own neighbor.
        """
        k = min(self.n_neighbors, len(self.points))
        distances, _ = geometry.nearest(torch.as_tensor(X).float(), self.points, k)
        return distances[:, -1].double().cpu().numpy()


class Mahalanobis:
    """Distance to the mean, in units of the spread in that direction.

    The covariance is shrunk (Chen, Wiesel, Eldar & Hero 2010, "Shrinkage algorithms for MMSE
    covariance estimation"), so that a class of fewer points than dimensions can be described, too.
    Source: Lee et al. 2018, "A simple unified framework for detecting out-of-distribution samples
    and adversarial attacks". Not robust, unlike MCD, and hundreds of times as fast: outliers among
    the fitted points widen it.
    """

    def fit(self, X: Tensor | np.ndarray) -> "Mahalanobis":
        """Measure mean and covariance of `X` (N, D), N at least 2."""
        from sklearn.covariance import oas

        points = torch.as_tensor(X).double()
        self.mean = points.mean(0)
        covariance, _ = oas((points - self.mean).cpu().numpy(), assume_centered=True)
        # Of copies the covariance is zero; a spread of 1e-6 leaves their distances finite.
        variances, axes = np.linalg.eigh(covariance)
        self.whiten = torch.as_tensor(axes / np.sqrt(variances.clip(min=1e-12))).to(points.device)
        return self

    def decision_function(self, X: Tensor | np.ndarray) -> np.ndarray:
        """Return the Mahalanobis distance (M,) of each of `X` (M, D)."""
        whiten = self.whiten.float()
        white = torch.as_tensor(X).float() @ whiten - self.mean.float() @ whiten
        return torch.linalg.vector_norm(white, dim=1).double().cpu().numpy()


# Fitted and scored on the device.
OURS: dict[str, type[KNN | Mahalanobis]] = {"knn": KNN, "mahalanobis": Mahalanobis}
# Above this many points, detectors other than exact kNN are fitted on a random sample of as many.
FIT_AT_MOST = 10_000
# The neural ones would print a bar of their progress.
QUIET = {"autoencoder": {"verbose": 0}, "deepsvdd": {"verbose": 0}}
# PyOD's modules and classes, each by its class's name in small letters.
_PATHS = (
    "abod.ABOD auto_encoder.AutoEncoder cblof.CBLOF copod.COPOD deep_svdd.DeepSVDD ecod.ECOD"
    " gmm.GMM hbos.HBOS iforest.IForest inne.INNE kde.KDE loda.LODA lof.LOF mcd.MCD ocsvm.OCSVM"
    " pca.PCA"
)
PYOD = {path.partition(".")[2].lower(): path for path in _PATHS.split()}
DETECTORS = (*OURS, *PYOD)


def make(name: str, **params: Any) -> Detector:
    """Make a detector by name, with what it takes as `params`; other parameters are refused.

    `name` is ``knn`` or ``mahalanobis`` (on the device) or one of PyOD's: abod, autoencoder, cblof,
    copod, deepsvdd, ecod, gmm, hbos, iforest, inne, kde, loda, lof, mcd, ocsvm, pca.
    """
    check_name("detector", name, DETECTORS)
    if name in OURS:
        kind = OURS[name]
    else:
        module, _, kind_name = PYOD[name].partition(".")
        kind = getattr(import_module(f"pyod.models.{module}"), kind_name)
    try:
        return kind(**QUIET.get(name, {}) | params)
    except TypeError as error:
        taken = ", ".join(inspect.signature(kind).parameters)
        raise AlodError(f"detector {name!r}: {error}; it takes {taken}") from None


def check_detector(detector: object) -> None:
    """Refuse what is no name or detector, and scikit-learn's, whose score outliers low."""
    if isinstance(detector, str):
        check_name("detector", detector, DETECTORS)
    elif type(detector).__module__.startswith("sklearn."):
        raise AlodError(
            f"detector={type(detector).__name__}: scikit-learn's score outliers low; expected one "
            "that scores them high, such as PyOD's of the same kind"
        )
    elif not (hasattr(detector, "fit") and hasattr(detector, "decision_function")):
        raise AlodError(
            f"detector={detector!r}: expected a name or an object with fit and decision_function, "
            "such as PyOD's detectors"
        )


def outlier_scores(
    detector: str | Detector, reference: Tensor, pool: Tensor, seed: int = 0
) -> np.ndarray:
    """Fit one detector on the reference and score the pool (U,), in one call for all of it.

    ECOD and COPOD rank points among those that are scored together, so the pool is never cut up. Of
    a reference of more than 10,000 points, all but exact kNN see a random sample of as many. Where
    a detector of PyOD's cannot be fitted or finds no finite score, as some on few points or on
    copies, exact kNN takes its place, with a warning; from any other detector that is refused.
    """
    return _score_by_each(detector, [reference], pool, seed)[:, 0]


def class_scores(
    detector: str | Detector, reference: Tensor, targets: Tensor, pool: Tensor, seed: int = 0
) -> np.ndarray:
    """Fit one detector per class and score the pool with each: (U, classes present).

    In the order of the class numbers; classes without a labeled image have no detector and no
    column. While the smallest class has fewer than 8 labeled images, or where a detector fails as
    in :func:`outlier_scores`, exact kNN takes the place of any other detector in every class, with
    a warning: scores of different detectors cannot be compared.
    """
    references = [reference[targets == c] for c in targets.unique()]
    return _score_by_each(detector, references, pool, seed, MIN_FIT)


def _score_by_each(
    detector: str | Detector, references: list[Tensor], pool: Tensor, seed: int, least: int = 1
) -> np.ndarray:
    """Score the pool by one detector for each reference, or by kNN for all if it cannot."""
    check_detector(detector)
    name = detector if isinstance(detector, str) else type(detector).__name__
    is_knn = isinstance(detector, KNN) or detector == "knn"
    is_theirs = name in PYOD or type(detector).__module__.startswith("pyod.")
    if not is_knn and min(map(len, references)) < least:
        why = f"a class has fewer than {least} labels"
    else:
        try:
            return np.stack([_scores(detector, r, pool, seed) for r in references], axis=1)
        except Exception as error:
            # What fails in a detector of the user's own is the user's to see.
            if not is_theirs:
                raise
            why = one_line(error)
    warnings.warn(f"detector {name!r}: {why}; kNN takes its place in this query", stacklevel=3)
    return np.stack([_scores("knn", r, pool, seed) for r in references], axis=1)


def _scores(detector: str | Detector, reference: Tensor, pool: Tensor, seed: int) -> np.ndarray:
    # Two parameters have no default that fits: DeepSVDD wants to know the width of its input
    # beforehand, and the autoencoder trains on nothing but full batches.
    params = {
        "deepsvdd": {"n_features": reference.shape[1]},
        "autoencoder": {"batch_size": min(32, len(reference))},
    }
    with seeded(seed), warnings.catch_warnings():
        # NumPy's divisions by zero: what comes of them is looked at below.
        warnings.simplefilter("ignore", RuntimeWarning)
        if isinstance(detector, str):
            fresh = make(detector, **params.get(detector, {}))
        else:
            fresh = copy.deepcopy(detector)
        if not isinstance(fresh, KNN):
            rng = np.random.default_rng(seed)
            reference = reference[geometry.sample(len(reference), FIT_AT_MOST, rng)]
        if isinstance(fresh, tuple(OURS.values())):
            scores = fresh.fit(reference).decision_function(pool)
        else:
            fresh.fit(reference.cpu().numpy())
            scores = fresh.decision_function(pool.cpu().numpy())
    return check_scores(scores, len(pool), f"detector {type(fresh).__name__!r} returned")


def check_scores(scores: Any, n: int, who: str) -> np.ndarray:
    """Return `scores` (n,) or (n, 1) that `who` gave as float64 (n,); refuse all but `n` finite."""
    if isinstance(scores, Tensor):
        scores = scores.detach().cpu().double()
    try:
        array = np.asarray(scores, dtype=float)
    except (TypeError, ValueError):
        problem = f"{type(scores).__name__} that is no array of numbers"
    else:
        array = array[:, 0] if array.shape == (n, 1) else array
        problem = f"{type(scores).__name__} of shape {array.shape}"
        if array.shape == (n,):
            bad = n - int(np.isfinite(array).sum())
            if bad == 0:
                return array
            problem = f"NaN or infinite scores for {bad} of {n} images"
    raise AlodError(f"{who} {problem}: expected {n} scores, finite, one for each image")


def contrast(scores_UC: np.ndarray, kind: Contrast = "ratio") -> np.ndarray:
    """Compare how outlying points are to their nearest class and to their second nearest: (U,).

    `scores_UC` (U, C) are outlier scores under each class's detector. Of `kind` ``ratio``, nearest
    over second nearest, in [0, 1], 1 for a point that is equally strange to its two best classes;
    scores that can be negative are first shifted so that the lowest of all is 0. ``none``, and of a
    single class: the score under the nearest class. The ratio is the reciprocal of a trust score,
    if the nearest class is predicted (Jiang, Kim, Guan & Gupta 2018, "To trust or not to trust a
    classifier").
    """
    if scores_UC.shape[1] == 1 or kind == "none":
        return scores_UC.min(axis=1)
    first, second = np.partition(scores_UC, 1, axis=1)[:, :2].T
    floor = min(0.0, float(scores_UC.min()))
    # Both 0 means a copy of a labeled image in two classes: as ambiguous as can be.
    return np.divide(first - floor, second - floor, out=np.ones_like(first), where=second > floor)


def class_contrast(
    labeled: Tensor,
    targets: Tensor,
    pool: Tensor,
    detector: str | Detector = "knn",
    kind: Contrast = "ratio",
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Score how outlying each image of the pool is to the classes: the outlier score of ALOD.

    One detector per class present, fitted on embeddings `labeled` (L, D), L2-normalized, and the
    :func:`contrast`, of its `kind`, between the two that find an image least outlying. Return
    scores (U,), in [0, 1] for ratios of two classes or more, and int64 (U,), the class whose
    detector finds the image least outlying.
    """
    points = geometry.normalize(labeled)
    classes = targets.unique().cpu().numpy()
    if detector == "knn":  # all at once, and exact where it counts
        groups = [points[targets == c] for c in targets.unique()]
        scores_UC = geometry.nearest_of_each(geometry.Unit(pool), groups).double().cpu().numpy()
    else:
        others = geometry.normalize(pool)
        scores_UC = class_scores(detector, points, targets, others, seed)
    return contrast(scores_UC, kind), classes[scores_UC.argmin(axis=1)]


def core_set(
    embeddings: Tensor, targets: Tensor, predictions: Tensor, n_per_class: int = 10, seed: int = 0
) -> np.ndarray:
    """Choose the labeled images that sum up their classes: int64 (K,), ascending positions.

    k-means with one center per class present, centers matched to classes so that as many images as
    possible agree, and of each class at most `n_per_class` images nearest to its center by cosine.
    Images of which `predictions` (L,) are wrong are left out: they are not typical of what the
    model has learned from `embeddings` (L, D). A class without a correctly classified image is not
    in the core set.
    """
    check_count("n_per_class", n_per_class, 1)
    if not len(embeddings) == len(targets) == len(predictions):
        raise AlodError(
            f"{len(embeddings)} embeddings, {len(targets)} targets, {len(predictions)} predictions:"
            " expected one of each per labeled image"
        )
    right = torch.nonzero(targets == predictions)[:, 0].cpu().numpy()
    if len(right) == 0:
        return right
    points = geometry.normalize(embeddings[right].cpu()).numpy()
    classes, labels = np.unique(targets.cpu().numpy()[right], return_inverse=True)
    centers = _class_centers(points, labels, len(classes), seed)
    similarity = np.einsum("nd,nd->n", points, centers[labels])
    core = [
        right[members[np.argsort(-similarity[members], kind="stable")[:n_per_class]]]
        for members in (np.flatnonzero(labels == c) for c in range(len(classes)))
    ]
    return np.sort(np.concatenate(core))


def _class_centers(points: np.ndarray, labels: np.ndarray, n_classes: int, seed: int) -> np.ndarray:
    # The assignment that agrees on the most points (Kuhn 1955, "The Hungarian method").
    from scipy.optimize import linear_sum_assignment
    from sklearn.cluster import KMeans

    model = KMeans(n_classes, n_init=3, random_state=seed).fit(points)
    overlap = np.zeros((n_classes, n_classes))
    np.add.at(overlap, (labels, model.labels_), 1)
    return model.cluster_centers_[linear_sum_assignment(-overlap)[1]]


def inliers(
    scores: np.ndarray, nearest: np.ndarray, predictions: np.ndarray, n_per_class: int
) -> np.ndarray:
    """Choose images of the pool whose class may be taken for known: int64 (K,), ascending.

    The other end of the outlier query: by :func:`class_contrast`'s `scores` (U,) and `nearest`
    (U,), at most `n_per_class` images of each class that it explains far better than any other, if
    `predictions` (U,) of the classifier are the same. Source: Wang, Zhang, Li, Zhang & Lin 2017,
    "Cost-effective active learning for deep image classification", who trust the classifier alone.
    """
    check_count("n_per_class", n_per_class, 1)
    if not len(scores) == len(nearest) == len(predictions):
        raise AlodError(
            f"{len(scores)} scores, {len(nearest)} nearest classes, {len(predictions)} predictions:"
            " expected one of each per image"
        )
    agreed = np.flatnonzero(nearest == predictions)
    agreed = agreed[np.argsort(scores[agreed], kind="stable")]
    chosen = [agreed[predictions[agreed] == c][:n_per_class] for c in np.unique(predictions)]
    return np.sort(np.concatenate(chosen)) if chosen else agreed
