"""Where the images that were asked for lie among all of a pool.

- `embeddings`, float (N, D), of the whole pool: compared by angle, as the detectors do.
- `indices`, int (k,): the images in question, k at least 1.
- `n_neighbors`: neighbors looked at, from 1 to N - 1.

>>> turned = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
>>> border_share(turned, [0, 0, 1, 1], [0, 2], n_neighbors=1)
0.0
"""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.neighbors import NearestNeighbors

from alod.errors import check_count


def border_share(
    embeddings: ArrayLike, targets: ArrayLike, indices: ArrayLike, n_neighbors: int = 10
) -> float:
    """Measure how many images lie where classes touch; looks at labels, so for evaluation only.

    The share, in [0, 1], of the images in question that have an image of another class among their
    nearest neighbors in the pool, by the pool's `targets`, int (N,).
    """
    points, classes, chosen = map(np.asarray, (embeddings, targets, indices))
    check_count("n_neighbors", n_neighbors, 1, len(points) - 1, "the size of the pool")
    search = NearestNeighbors(n_neighbors=n_neighbors + 1, metric="cosine").fit(points)
    near = search.kneighbors(points[chosen], return_distance=False)
    return float((classes[near] != classes[chosen, None]).any(axis=1).mean())


def remoteness(embeddings: ArrayLike, indices: ArrayLike, n_neighbors: int = 10) -> float:
    """Measure how far from their neighbors some images lie: how little they stand for others.

    Their mean distance to their nearest neighbors in the pool, divided by that of all images.
    """
    points = np.asarray(embeddings, dtype=float)
    check_count("n_neighbors", n_neighbors, 1, len(points) - 1, "the size of the pool")
    unit = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    distances, _ = NearestNeighbors(n_neighbors=n_neighbors).fit(unit).kneighbors()
    return float(distances[np.asarray(indices)].mean() / distances.mean())
