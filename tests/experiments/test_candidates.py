"""The trial's candidate: detectors of the classes that the pool helps to fit, and the margin."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import softmax
from scipy.stats import rankdata
from sklearn.covariance import oas

from alod import AlodError, strategies
from alod.view import PoolView


def make_view(seed=0, classes=3, labeled=30, pool=200, d=5, foreign=0):
    rng = np.random.default_rng(seed)
    targets = np.arange(labeled + pool) % classes
    points = 2 * np.eye(classes, d)[targets] + 0.4 * rng.normal(size=(labeled + pool, d))
    logits = 4 * points[labeled:, :classes]
    far = np.full((foreign, d), -1.0) + 0.1 * rng.normal(size=(foreign, d))
    as_tensor = lambda x: torch.as_tensor(x).float()  # noqa: E731
    return PoolView(
        as_tensor(points[:labeled]),
        torch.as_tensor(targets[:labeled]),
        as_tensor(points[labeled:]),
        as_tensor(logits),
        **({"foreign_embeddings": as_tensor(far)} if foreign else {}),
    )


def oas_share(spread, n):
    """Return what scikit-learn shrinks by, from points that have just that covariance."""
    d = len(spread)
    root = np.linalg.cholesky(spread)
    grid = np.random.default_rng(0).normal(size=(n, d))
    grid -= grid.mean(0)
    grid = grid @ np.linalg.inv(np.linalg.cholesky(grid.T @ grid / n)).T
    return oas(grid @ root.T, assume_centered=True)[1]


def test_distances_are_those_of_one_step_of_em(candidates):
    view = make_view()
    unit = lambda x: np.asarray(x) / np.linalg.norm(x, axis=1, keepdims=True)  # noqa: E731
    known, pool = unit(view.labeled_embeddings), unit(view.pool_embeddings)
    points = np.concatenate([known, pool])
    told = candidates.ANSWER * np.eye(3)[view.labeled_targets]
    weights = np.concatenate([told, softmax(view.pool_logits.double().numpy(), axis=1)])
    means = np.stack([np.average(points, axis=0, weights=w) for w in weights.T])
    spread = sum(np.cov(points.T, aweights=w, ddof=0) * w.sum() for w in weights.T) / weights.sum()
    share = max(1e-3, oas_share(spread, len(points)))
    spread = (1 - share) * spread + share * np.diag(spread).mean() * np.eye(5)
    wanted = cdist(pool, means, "mahalanobis", VI=np.linalg.inv(spread))
    np.testing.assert_allclose(candidates.gaussian_distances(view), wanted, rtol=1e-4)


def test_scores_are_mean_ranks_of_contrast_and_margin(candidates):
    view = make_view()
    found = candidates.agreement(view, 20, np.random.default_rng(0))
    alone = {
        of: dict(
            zip(*candidates.agreement(view, view.n_pool, np.random.default_rng(0), of), strict=True)
        )
        for of in ("detectors", "margin")
    }
    wanted = [(alone["detectors"][i] + alone["margin"][i]) / 2 for i in found.indices]
    np.testing.assert_allclose(found.scores, wanted)
    margins = strategies.margin(view, view.n_pool, np.random.default_rng(0))
    ours = np.array([alone["margin"][i] for i in margins.indices])
    np.testing.assert_allclose(ours, rankdata(margins.scores) / view.n_pool)


def test_a_class_without_a_label_has_no_detector_and_one_class_alone_will_do(candidates):
    view = make_view()
    rows = view.labeled_targets < 2
    two = PoolView(
        view.labeled_embeddings[rows],
        view.labeled_targets[rows],
        view.pool_embeddings,
        view.pool_logits,
    )
    assert candidates.gaussian_distances(two).shape == (200, 2)
    rows = view.labeled_targets == 1
    one = PoolView(
        view.labeled_embeddings[rows],
        view.labeled_targets[rows],
        view.pool_embeddings,
        view.pool_logits,
    )
    found = candidates.agreement(one, 10, np.random.default_rng(0))
    assert len(set(found.indices.tolist())) == 10 and np.isfinite(found.scores).all()


def test_what_looks_foreign_is_left_out_unless_told(candidates):
    view = make_view(foreign=5)
    points = view.pool_embeddings.clone()
    points[:40] = -1.0 + 0.01 * torch.arange(40)[:, None]
    pool = PoolView(
        view.labeled_embeddings,
        view.labeled_targets,
        points,
        torch.zeros(200, 3),
        view.foreign_embeddings,
    )
    asked = candidates.agreement(pool, 30, np.random.default_rng(0))
    assert asked.indices.min() >= 40
    bare = candidates.agreement(pool, 30, np.random.default_rng(0), two_sided=False)
    assert bare.indices.min() < 40


def test_parameters_are_checked_at_the_door(candidates):
    with pytest.raises(AlodError, match="of"):
        strategies.get(candidates.agreement, {"of": "all"})
    with pytest.raises(AlodError, match="focus"):
        strategies.get(candidates.agreement, {"focus": -1.0})


def test_more_dimensions_than_images_are_described_without_a_null_space(candidates):
    view = make_view(labeled=12, pool=60, d=400)
    found = candidates.gaussian_distances(view)
    near = view.labeled_targets.unique()[found.argmin(1)]
    assert (near == view.pool_logits.argmax(1)).float().mean() > 0.9
