"""What is typical: the core set of the labeled embeddings, the inliers of the pool."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from torch import Tensor

from alod import geometry
from alod.errors import AlodError, check_count


def core_set(
    embeddings: Tensor, targets: Tensor, predictions: Tensor, n_per_class: int = 10, seed: int = 0
) -> np.ndarray:
    """Choose the labeled images that sum up their classes.

    k-means with one center per class present, centers matched to classes so that as many images as
    possible agree, and of each class the images nearest to its center by cosine. Images that the
    model misclassifies are left out: they are not typical of what it has learned.

    Parameters
    ----------
    embeddings : Tensor
        float32 (L, D), labeled images only.
    targets : Tensor
        int64 (L,), their classes.
    predictions : Tensor
        int64 (L,), what the model takes them for.
    n_per_class : int
        At most so many images of each class, at least 1.
    seed : int
        Seeds k-means.

    Returns
    -------
    numpy.ndarray
        int64 (K,), ascending positions among the labeled; K is at most `n_per_class` × classes. A
        class without a correctly classified image is not in the core set.

    Raises
    ------
    AlodError
        If the lengths differ or `n_per_class` is out of range.

    Examples
    --------
    >>> import torch
    >>> from alod.coreset import core_set
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.9, 0.5], [0.0, 1.0], [0.1, 1.0]])
    >>> targets = torch.tensor([0, 0, 0, 1, 1])
    >>> core_set(embeddings, targets, predictions=targets, n_per_class=1)
    array([1, 3])
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
    centers = class_centers(points, labels, len(classes), seed)
    similarity = np.einsum("nd,nd->n", points, centers[labels])
    core = [
        right[members[np.argsort(-similarity[members], kind="stable")[:n_per_class]]]
        for members in (np.flatnonzero(labels == c) for c in range(len(classes)))
    ]
    return np.sort(np.concatenate(core))


def class_centers(points: np.ndarray, labels: np.ndarray, n_classes: int, seed: int) -> np.ndarray:
    """Find one k-means center for each class.

    Parameters
    ----------
    points : numpy.ndarray
        float (n, D).
    labels : numpy.ndarray
        int (n,), from 0 to n_classes - 1, each at least once.
    n_classes : int
        Centers.
    seed : int
        Seeds k-means.

    Returns
    -------
    numpy.ndarray
        float (n_classes, D); row c is the center matched to class c: the assignment of centers to
        classes that agrees on the most points (Kuhn 1955, "The Hungarian method").

    Examples
    --------
    >>> import numpy as np
    >>> points = np.array([[0.0, 1.0], [0.0, 3.0], [9.0, 0.0]])
    >>> class_centers(points, labels=np.array([1, 1, 0]), n_classes=2, seed=0).tolist()
    [[9.0, 0.0], [0.0, 2.0]]
    """
    model = KMeans(n_classes, n_init=3, random_state=seed).fit(points)
    overlap = np.zeros((n_classes, n_classes))
    np.add.at(overlap, (labels, model.labels_), 1)
    return model.cluster_centers_[linear_sum_assignment(-overlap)[1]]


def inliers(
    scores: np.ndarray, nearest: np.ndarray, predictions: np.ndarray, n_per_class: int
) -> np.ndarray:
    """Choose the images of the pool whose class may be taken for known without asking.

    The other end of the outlier query: the images that one class explains far better than any
    other, if that is also what the classifier takes them for. Source: Wang, Zhang, Li, Zhang & Lin
    2017, "Cost-effective active learning for deep image classification", who trust the classifier
    alone.

    Parameters
    ----------
    scores : numpy.ndarray
        float (U,), contrast between the detectors of the two nearest classes; low is typical.
    nearest : numpy.ndarray
        int (U,), the class whose detector finds each image least outlying.
    predictions : numpy.ndarray
        int (U,), what the classifier takes each for.
    n_per_class : int
        At most so many of each class, at least 1.

    Returns
    -------
    numpy.ndarray
        int64 (K,), ascending positions.

    Raises
    ------
    AlodError
        If the lengths differ or `n_per_class` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from alod.coreset import inliers
    >>> nearest, predictions = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    >>> inliers(np.array([0.3, 0.1, 0.0, 0.9]), nearest, predictions, n_per_class=1)
    array([1, 3])
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
