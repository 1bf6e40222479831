"""Embeddings drawn in the plane by UMAP or t-SNE, computed once and kept.

Parameters
----------
embeddings : ndarray of float (N, D)
    At least 5 rows and 2 columns, finite. They are L2-normalized first, because that is where the
    detectors work and cosine neighbors are then Euclidean ones.

Examples
--------
>>> embeddings = np.random.default_rng(0).normal(size=(50, 2)) + 5
>>> project(embeddings, method="tsne").shape
(50, 2)
>>> round(trustworthiness(embeddings, np.arctan2(*embeddings.T)[:, None] * [1, 0], 5), 1)
1.0
"""

import hashlib
import io
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from alod.errors import AlodError, check_count, check_name
from alod.files import write_atomically

# What draws by each method, as packages are called.
LIBRARIES = {"umap": "umap-learn", "tsne": "openTSNE"}
TRUSTWORTHINESS_SAMPLE = 3_000


def project(
    embeddings: NDArray[np.floating],
    method: str = "umap",
    seed: int = 0,
    cache: Path | None = None,
) -> NDArray[np.float32]:
    """Lay out ``embeddings`` in the plane, as float32 (N, 2), so that neighbors stay neighbors.

    UMAP (McInnes, Healy & Melville 2018, "UMAP: uniform manifold approximation and projection for
    dimension reduction") or t-SNE (van der Maaten & Hinton 2008, "Visualizing data using t-SNE";
    from 10,000 rows on by interpolation, Linderman et al. 2019, "Fast interpolation-based t-SNE for
    improved visualization of single-cell RNA-seq data"). Both start from the first two principal
    components, so that they differ by method and not by start (Kobak & Linderman 2021,
    "Initialization is critical for preserving global data structure in both t-SNE and UMAP").
    Distances between far clusters and the clusters' sizes mean nothing; see `trustworthiness`.

    Parameters
    ----------
    method : {"umap", "tsne"}
        UMAP takes about 24 s to import the first time, as it compiles.
    seed : int
        Same seed, machine and versions: same coordinates. Other machines differ in coordinates, not
        in who is whose neighbor, so keep the cached file where pictures have to stay equal. t-SNE,
        started from principal components, hardly draws at random.
    cache : Path, optional
        Folder (made if missing) that keeps coordinates by a hash of embeddings, method, seed and
        version of the library; a hit needs neither UMAP's import nor computation.
    """
    check_name("projection method", method, LIBRARIES)
    seed = check_count("seed", seed, 0, 2**32 - 1)
    matrix = _check_embeddings(embeddings)
    if cache is None:
        return _compute(_normalize(matrix), method, seed)

    cache = Path(cache)
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise AlodError(f"cache={str(cache)!r}: a file is in the way; name a folder") from error
    recipe = repr(
        (_parameters(method, len(matrix)), version(LIBRARIES[method]), seed, matrix.shape)
    )
    key = hashlib.sha256(recipe.encode() + matrix.tobytes()).hexdigest()[:16]
    path = cache / f"{method}_{key}.npy"
    if path.exists():
        kept: NDArray[np.float32] = np.load(path, allow_pickle=False)
        return kept
    coordinates = _compute(_normalize(matrix), method, seed)
    buffer = io.BytesIO()
    np.save(buffer, coordinates)
    write_atomically(path, buffer.getvalue())
    return coordinates


def trustworthiness(
    embeddings: NDArray[np.floating],
    coordinates: NDArray[np.floating],
    n_neighbors: int = 10,
    seed: int = 0,
) -> float:
    """Say how far neighbors in the picture are neighbors among the ``embeddings``.

    Venna & Kaski 2001, "Neighborhood preservation in nonlinear projection methods: an experimental
    study". In [0, 1]: 1 when no point is drawn among strangers, about 0.5 for a random picture.
    Memory grows with the square of the points, so it is measured on at most 3,000 of them, drawn by
    `seed`.

    Parameters
    ----------
    coordinates : ndarray of float (N, 2)
        What `project` returned for them.
    n_neighbors : int
        Size of the neighborhoods, below half of the points.
    """
    from sklearn import manifold

    matrix = _check_embeddings(embeddings)
    if coordinates.shape != (len(matrix), 2):
        raise AlodError(
            f"coordinates of shape {coordinates.shape}: expected ({len(matrix)}, 2), one row per"
            " embedding; pass what project() returned for them"
        )
    n_points = min(len(matrix), TRUSTWORTHINESS_SAMPLE)
    check_count("n_neighbors", n_neighbors, 1, (n_points - 1) // 2, "below half of the points")
    sample = np.random.default_rng(seed).permutation(len(matrix))[:n_points]
    score = manifold.trustworthiness(
        _normalize(matrix[sample]), coordinates[sample], n_neighbors=n_neighbors
    )
    return float(score)


def _parameters(method: str, n_points: int) -> dict[str, Any]:
    """Return the libraries' own defaults, cut where there are few points."""
    if method == "umap":
        # min_dist: flocks stay wide enough to see who is inside and who is at the rim.
        # One job: seeded UMAP is single-threaded, and says so in a warning if asked for more.
        n_neighbors = min(15, n_points - 1)
        return {"n_neighbors": n_neighbors, "min_dist": 0.5, "init": "pca", "n_jobs": 1}
    # Exact neighbors, or the map would depend on the number of threads.
    perplexity = min(30.0, (n_points - 1) / 3)
    return {"perplexity": perplexity, "initialization": "pca", "neighbors": "exact"}


def _compute(matrix: NDArray[np.float32], method: str, seed: int) -> NDArray[np.float32]:
    if (matrix == matrix[0]).all():
        # One point has no principal components to start from.
        return np.zeros((len(matrix), 2), dtype=np.float32)
    parameters = _parameters(method, len(matrix))
    with warnings.catch_warnings():
        # The libraries warn about their own dependencies, which would land in a chapter's page.
        warnings.simplefilter("ignore")
        if method == "umap":
            from umap import UMAP

            threads = torch.get_num_threads()
            try:
                coordinates = UMAP(random_state=seed, **parameters).fit_transform(matrix)
            finally:
                # Numba sets them for the whole process, and other threads sum in another order.
                torch.set_num_threads(threads)
        else:
            from openTSNE import TSNE

            jobs = torch.get_num_threads()
            coordinates = TSNE(n_jobs=jobs, random_state=seed, **parameters).fit(matrix)
    return np.ascontiguousarray(coordinates, dtype=np.float32)


def _normalize(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    normalized: NDArray[np.float32] = matrix / np.maximum(norms, np.finfo(np.float32).tiny)
    return normalized


def _check_embeddings(embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
    matrix = np.ascontiguousarray(embeddings, dtype=np.float32)
    if matrix.ndim != 2 or len(matrix) < 5 or matrix.shape[1] < 2:
        raise AlodError(
            f"embeddings of shape {matrix.shape}: expected (N, D) with at least 5 rows and 2"
            " columns; pass one row per image"
        )
    bad = ~np.isfinite(matrix).all(axis=1)
    if bad.any():
        raise AlodError(
            f"embeddings with NaN or infinity in {int(bad.sum())} of {len(matrix)} rows, first row"
            f" {int(bad.argmax())}: expected finite numbers; leave those images out"
        )
    return matrix
