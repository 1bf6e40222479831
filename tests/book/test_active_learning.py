"""The introduction's map shows the pool, what is labeled, and what the classifier sees there."""

import numpy as np

from alod_book.active_learning import toy_map


def test_each_point_is_drawn_once_and_only_labeled_ones_tell_their_class():
    points = np.random.default_rng(0).random((50, 2))
    targets = (points[:, 1] > 0.5).astype(int)
    labeled = np.array([3, 8, 40])
    fig = toy_map(points, targets, labeled, lambda at: at[:, 1] > 0.5, "Half and half")
    background, *groups = fig.data
    drawn = {group.name: np.column_stack([group.x, group.y]) for group in groups}
    assert list(drawn) == ["pool", "labeled: 0", "labeled: 1"]
    assert sum(map(len, drawn.values())) == 50
    for label in (0, 1):
        own = points[labeled[targets[labeled] == label]]
        assert np.allclose(drawn[f"labeled: {label}"], own, atol=1e-3)
    seen = np.asarray(background.z)
    assert (seen[np.asarray(background.y) < 0.5] == 0).all()
    assert (seen[np.asarray(background.y) > 0.5] == 1).all()
