import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.special import softmax
from scipy.stats import entropy as scipy_entropy

from alod import AlodError, strategies
from alod.strategies import PoolView


def make_view(seed=0, labeled=30, pool=80, classes=4, missing=()):
    """Clouds around one direction per class; classes in `missing` have no label."""
    rng = np.random.default_rng(seed)
    centers = 3 * np.eye(classes, 8)

    def draw(n, allowed):
        targets = rng.choice(allowed, n)
        points = centers[targets] + rng.normal(size=(n, 8))
        return torch.as_tensor(points).float(), torch.as_tensor(targets)

    allowed = [c for c in range(classes) if c not in missing]
    labeled_embeddings, labeled_targets = draw(labeled, allowed)
    pool_embeddings, pool_targets = draw(pool, list(range(classes)))
    logits = (
        pool_embeddings[:, :classes] + torch.as_tensor(rng.normal(size=(pool, classes))).float()
    )
    return PoolView(labeled_embeddings, labeled_targets, pool_embeddings, logits), pool_targets


@pytest.mark.parametrize("name", strategies.STRATEGIES)
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    labeled=st.integers(1, 25),
    pool=st.integers(1, 40),
    data=st.data(),
)
def test_every_strategy_keeps_the_post_conditions(name, seed, labeled, pool, data):
    k = data.draw(st.integers(1, pool))
    view, _ = make_view(seed, labeled, pool)
    answer = strategies.STRATEGIES[name](view, k, np.random.default_rng(seed))
    selection = strategies.check_selection(answer, k, pool, name)
    assert np.isfinite(selection.scores).all()


@pytest.mark.parametrize("name", strategies.STRATEGIES)
def test_same_generator_same_answer_and_no_global_state(name):
    view, _ = make_view()
    np.random.seed(0)  # noqa: NPY002
    first = strategies.STRATEGIES[name](view, 10, np.random.default_rng(5))
    np.random.seed(1)  # noqa: NPY002
    second = strategies.STRATEGIES[name](view, 10, np.random.default_rng(5))
    np.testing.assert_array_equal(first.indices, second.indices)
    np.testing.assert_array_equal(first.scores, second.scores)


def test_margin_and_entropy_equal_numpy(rng):
    view, _ = make_view()
    p = softmax(view.pool_logits.double().numpy(), axis=1)
    ordered = np.sort(p, axis=1)
    by_margin = 1 - (ordered[:, -1] - ordered[:, -2])
    by_entropy = scipy_entropy(p, axis=1)
    for strategy, expected in ((strategies.margin, by_margin), (strategies.entropy, by_entropy)):
        selection = strategy(view, 12, rng)
        assert selection.indices.tolist() == np.argsort(-expected)[:12].tolist()
        np.testing.assert_allclose(selection.scores, np.sort(expected)[::-1][:12])


def test_kcenter_is_greedy_farthest_first(rng):
    view, _ = make_view()
    indices, scores = strategies.kcenter(view, 10, rng)
    known = view.labeled_embeddings.numpy()
    for index, score in zip(indices, scores, strict=True):
        distance = cdist(view.pool_embeddings, known, "sqeuclidean").min(1)
        assert index == distance.argmax()
        assert score == pytest.approx(distance.max(), rel=1e-4)
        known = np.vstack([known, view.pool_embeddings[index : index + 1]])


def test_ties_are_broken_at_random():
    first = [
        int(strategies.top_k(np.ones(10), 1, np.random.default_rng(s)).indices[0])
        for s in range(200)
    ]
    assert set(first) == set(range(10))


def brute_force_contrast(view):
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)  # noqa: E731
    labeled, pool = unit(view.labeled_embeddings.numpy()), unit(view.pool_embeddings.numpy())
    targets = view.labeled_targets.numpy()
    by_class = [cdist(pool, labeled[targets == c]).min(1) for c in np.unique(targets)]
    first, second = np.sort(by_class, axis=0)[:2]
    return first / second


def test_outlier_is_contrast_of_class_distances(rng):
    view, _ = make_view()
    expected = brute_force_contrast(view)
    indices, scores = strategies.outlier(view, 10, rng, diversify=1)
    assert indices.tolist() == np.argsort(-expected)[:10].tolist()
    np.testing.assert_allclose(scores, expected[indices], atol=1e-4)


def test_outlier_diversifies_among_the_highest_scores(rng):
    view, _ = make_view(pool=300)
    expected = brute_force_contrast(view)
    indices, _ = strategies.outlier(view, 10, rng, diversify=5)
    assert set(indices) <= set(np.argsort(-expected)[:50])
    assert set(indices) != set(np.argsort(-expected)[:10])


def test_outlier_buys_no_clump_whole(rng):
    view, _ = make_view(pool=200)
    # Fifty near-copies of one image that no class explains.
    clump = torch.ones(50, 8) + 0.001 * torch.randn(50, 8, generator=torch.manual_seed(0))
    crowded = PoolView(
        view.labeled_embeddings,
        view.labeled_targets,
        torch.cat([view.pool_embeddings, clump]),
        torch.cat([view.pool_logits, torch.zeros(50, 4)]),
    )
    literal = strategies.outlier_topk(crowded, 20, rng, detector="pca").indices
    diverse = strategies.outlier(crowded, 20, rng).indices
    assert (diverse >= 200).sum() <= 5
    assert (diverse >= 200).sum() < max(1, (literal >= 200).sum()) + 5


@pytest.mark.parametrize("detector", ["knn", "lof", "gmm"])
def test_classes_without_label_are_found(detector):
    found = []
    for seed in range(5):
        view, pool_targets = make_view(seed, labeled=60, pool=300, missing=(2,))
        indices, _ = strategies.outlier(view, 12, np.random.default_rng(seed), detector=detector)
        found.append(2 in pool_targets[indices])
    assert all(found)


def test_outlier_works_from_a_single_label(rng):
    view, _ = make_view(labeled=1)
    assert len(set(strategies.outlier(view, 10, rng).indices)) == 10


@pytest.mark.parametrize("contrast", ["ratio", "difference", "none"])
@pytest.mark.parametrize("fit_on", ["labeled", "core"])
@pytest.mark.parametrize("per_class", [True, False])
@pytest.mark.parametrize("detector", ["knn", "gmm", "ocsvm"])
def test_every_setting_of_outlier_answers(rng, contrast, fit_on, per_class, detector):
    view, _ = make_view(labeled=60)
    selection = strategies.outlier(
        view, 10, rng, detector=detector, per_class=per_class, contrast=contrast, fit_on=fit_on
    )
    strategies.check_selection(selection, 10, 80, "outlier")


def test_core_set_leaves_out_the_atypical_labeled_image(rng):
    view, _ = make_view(labeled=80, classes=2)
    # A labeled image of class 0 in the middle of class 1 makes the pool around it look ambiguous.
    stray = view.labeled_embeddings[view.labeled_targets == 1].mean(0, keepdim=True)
    seeded = PoolView(
        torch.cat([view.labeled_embeddings, stray]),
        torch.cat([view.labeled_targets, torch.tensor([0])]),
        torch.cat([view.pool_embeddings, stray]),
        torch.cat([view.pool_logits, torch.zeros(1, 2)]),
    )
    score = {}
    for fit_on in ("labeled", "core"):
        indices, scores = strategies.outlier(seeded, 81, rng, fit_on=fit_on, diversify=1)
        score[fit_on] = dict(zip(indices, scores, strict=True))[80]
    assert score["labeled"] < 1e-3  # explained by its copy
    assert score["core"] > 0


def test_strategy_parameters_are_checked_by_name_and_value():
    for params, message in [
        ({"detecter": "knn"}, "did you mean 'detector'"),
        ({"detector": "KNNN"}, "unknown detector"),
        ({"contrast": "log"}, "ratio, difference, none"),
        ({"diversify": 0}, "at least 1"),
        ({"per_class": 1}, "True or False"),
        ({"detector": object()}, "fit and decision_function"),
    ]:
        with pytest.raises(AlodError, match=message):
            strategies.get("outlier", params)


@pytest.mark.parametrize(
    "answer",
    [
        (np.array([0, 0]), np.zeros(2)),
        (np.array([0, 9]), np.zeros(2)),
        (np.array([-1, 1]), np.zeros(2)),
        (np.array([0]), np.zeros(1)),
        (np.array([0.0, 1.0]), np.zeros(2)),
        (np.array([0, 1]), np.zeros(3)),
    ],
)
def test_broken_post_conditions_are_refused(answer):
    with pytest.raises(AlodError, match="expected 2 distinct integer positions from 0 to 8"):
        strategies.check_selection(answer, 2, 9, "mine")


def test_a_view_without_dropout_says_so():
    view, _ = make_view()
    with pytest.raises(AlodError, match="mc_logits"):
        view.mc_logits(3)
