from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.special import softmax
from scipy.stats import entropy as scipy_entropy
from sklearn.svm import OneClassSVM

from alod import AlodError, strategies
from alod.view import PoolView, task_like


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

    def mc_logits(n):
        noise = np.random.default_rng(seed + 1).normal(size=(n, *logits.shape))
        return logits + torch.as_tensor(noise).float()

    view = PoolView(
        labeled_embeddings, labeled_targets, pool_embeddings, logits, mc_logits=mc_logits
    )
    return view, pool_targets


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


def test_uncertainties_equal_numpy(rng):
    view, _ = make_view()
    p = softmax(view.pool_logits.double().numpy(), axis=1)
    ordered = np.sort(p, axis=1)
    by_margin = 1 - (ordered[:, -1] - ordered[:, -2])
    for strategy, expected in (
        (strategies.least_confidence, 1 - p.max(1)),
        (strategies.margin, by_margin),
        (strategies.entropy, scipy_entropy(p, axis=1)),
    ):
        selection = strategy(view, 12, rng)
        assert selection.indices.tolist() == np.argsort(-expected)[:12].tolist()
        np.testing.assert_allclose(selection.scores, np.sort(expected)[::-1][:12])


def test_rare_asks_for_one_class_and_for_no_image_twice_over(rng):
    view, targets = make_view(labeled=60, pool=300)
    for target in range(4):
        indices, scores = strategies.rare(view, 20, rng, target=target)
        p = softmax(view.pool_logits.double().numpy(), axis=1)[:, target]
        np.testing.assert_allclose(scores, p[indices])
        assert (targets[indices] == target).double().mean() > 0.8
    copies = as_view([[0, -1]], np.repeat(np.eye(2), 5, axis=0), np.zeros((10, 2)))
    assert len(np.unique(strategies.rare(copies, 2, rng, target=0).indices // 5)) == 2


def test_rare_asks_by_default_for_the_class_of_the_fewest_labels_that_it_knows():
    view, _ = make_view(missing=(3,))
    fewest = int(torch.bincount(view.labeled_targets)[:3].argmin())
    here, there = (
        strategies.rare(view, 5, np.random.default_rng(0), target) for target in (None, fewest)
    )
    assert here.indices.tolist() == there.indices.tolist()
    for wrong in (4, -1, "3"):
        with pytest.raises(AlodError, match=r"target=.*: expected a whole number"):
            strategies.rare(view, 5, np.random.default_rng(0), target=wrong)
    with pytest.raises(AlodError, match="target='seal': expected a whole number at least 0"):
        strategies.get("rare", {"target": "seal"})


def test_kcenter_is_greedy_farthest_first(rng):
    view, _ = make_view()
    indices, scores = strategies.kcenter(view, 10, rng)
    known = view.labeled_embeddings.numpy()
    for index, score in zip(indices, scores, strict=True):
        distance = cdist(view.pool_embeddings, known, "sqeuclidean").min(1)
        assert index == distance.argmax()
        assert score == pytest.approx(distance.max(), rel=1e-4)
        known = np.vstack([known, view.pool_embeddings[index : index + 1]])


def test_bald_is_mutual_information(rng):
    view, _ = make_view()
    p = softmax(view.mc_logits(7).double().numpy(), axis=2)
    expected = scipy_entropy(p.mean(0), axis=1) - scipy_entropy(p, axis=2).mean(0)
    indices, scores = strategies.bald(view, 12, rng, n_samples=7)
    assert indices.tolist() == np.argsort(-expected)[:12].tolist()
    np.testing.assert_allclose(scores, expected[indices], rtol=1e-6)


def test_badge_draws_as_kmeans_plus_plus_on_written_out_gradients():
    view, _ = make_view(pool=200)
    p = softmax(view.pool_logits.double().numpy(), axis=1)
    a = p - np.eye(4)[p.argmax(1)]
    gradients = (a[:, :, None] * view.pool_embeddings.double().numpy()[:, None]).reshape(200, -1)
    lengths = (gradients**2).sum(1)
    for seed in range(5):
        draws = np.random.default_rng(seed)
        expected = [lengths.argmax()]
        while len(expected) < 30:
            mass = cdist(gradients, gradients[expected], "sqeuclidean").min(1).cumsum()
            expected.append(np.searchsorted(mass, (1 - draws.random()) * mass[-1]))
        indices, scores = strategies.badge(view, 30, np.random.default_rng(seed))
        assert indices.tolist() == expected
        np.testing.assert_allclose(scores, lengths[indices], rtol=1e-4)


def clumps(sizes, rng, d=5):
    """Far apart, one for each size; and the clump of each point."""
    which = np.repeat(np.arange(len(sizes)), sizes)
    return 20 * np.eye(len(sizes), d)[which] + rng.normal(size=(len(which), d)), which


def as_view(labeled, pool, logits=None):
    logits = torch.zeros(len(pool), 2) if logits is None else torch.as_tensor(logits).float()
    targets = torch.zeros(len(labeled), dtype=torch.int64)
    return PoolView(
        torch.as_tensor(labeled).float(), targets, torch.as_tensor(pool).float(), logits
    )


def test_dbal_takes_the_nearest_to_each_weighted_center_of_the_uncertain(rng):
    uncertain, which = clumps([10] * 5, rng)
    sure, _ = clumps([30] * 5, rng)
    gap = np.concatenate([rng.uniform(0, 1, 50), rng.uniform(4, 5, 150)])
    view = as_view(sure[:3], np.vstack([uncertain, sure]), np.stack([gap, 0 * gap], axis=1))
    weight = 1 - np.tanh(gap[:50] / 2)  # the margin of two classes
    centers = [
        np.average(uncertain[which == c], axis=0, weights=weight[which == c]) for c in range(5)
    ]
    distance = cdist(uncertain, centers)
    expected = [np.where(which == c, distance[:, c], np.inf).argmin() for c in range(5)]
    indices, scores = strategies.dbal(view, 5, rng)
    assert sorted(indices) == sorted(expected)
    np.testing.assert_allclose(scores, weight[indices], rtol=1e-5)
    assert set(strategies.dbal(view, 9, rng, prefilter=1)[0]) == set(
        strategies.margin(view, 9, rng)[0]
    )


def test_typiclust_takes_the_most_typical_of_the_largest_uncovered_clusters(rng):
    sizes = [60, 50, 40, 30, 7]
    pool, which = clumps(sizes, rng)
    view = as_view(pool[:2], pool)  # the largest clump is covered, twice
    unit = pool / np.linalg.norm(pool, axis=1, keepdims=True)
    # Clusters are as many as labeled and wanted images: 2 + 3.
    expected = []
    for c in (1, 2, 3):
        inside = np.flatnonzero(which == c)
        nearest = np.sort(cdist(unit[inside], unit[inside]), axis=1)
        k = min(20, len(inside) // 2)
        expected.append(inside[nearest[:, 1 : k + 1].mean(1).argmin()])
    indices, scores = strategies.typiclust(view, 3, rng)
    assert indices.tolist() == expected
    assert (scores > 0).all()


def test_maxherding_is_greedy_coverage(rng):
    view, _ = make_view(pool=150)
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)  # noqa: E731
    pool, known = unit(view.pool_embeddings.numpy()), unit(view.labeled_embeddings.numpy())
    kernel = np.exp(-cdist(pool, pool, "sqeuclidean"))
    coverage = np.exp(-cdist(pool, known, "sqeuclidean")).max(1)
    indices, scores = strategies.maxherding(view, 20, rng)
    for index, score in zip(indices, scores, strict=True):
        gains = np.maximum(kernel - coverage, 0).mean(1)
        assert gains[index] >= gains.max() * (1 - 1e-5)
        assert score == pytest.approx(gains.max(), rel=1e-5)
        coverage = np.maximum(coverage, kernel[index])


def test_original_meant_takes_the_lowest_scores_of_its_one_class_svm(rng):
    view, _ = make_view()
    model = OneClassSVM(kernel="poly", nu=1e-5, gamma="auto").fit(view.labeled_embeddings.numpy())
    expected = np.argsort(model.score_samples(view.pool_embeddings.numpy()))[:10]
    assert strategies.original_meant(view, 10, rng).indices.tolist() == expected.tolist()


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


def test_outlier_scores_are_contrasts_of_class_distances(rng):
    view, _ = make_view()
    expected = brute_force_contrast(view)
    indices, scores = strategies.outlier(view, len(expected), rng)
    np.testing.assert_allclose(scores, expected[indices], atol=1e-4)


def brute_force_coverage(view, weights, k):
    """Take, one by one, what adds most to the weighted coverage; every kernel written down."""
    points, covered = (
        x.numpy() / np.linalg.norm(x.numpy(), axis=1, keepdims=True)
        for x in (view.pool_embeddings, view.labeled_embeddings)
    )
    to_labeled = cdist(points, covered, "sqeuclidean")
    nearest = np.sort(to_labeled.min(1))
    width = nearest[(len(nearest) - 1) // 2]  # the median image's squared distance
    kernel = np.exp(-cdist(points, points, "sqeuclidean") / (2 * width))
    coverage = np.exp(-to_labeled / (2 * width)).max(1)
    taken = []
    for _ in range(k):
        gain = (np.maximum(kernel, coverage[:, None]) - coverage[:, None]).T @ weights
        gain[taken] = -1
        taken.append(int(gain.argmax()))
        coverage = np.maximum(coverage, kernel[:, taken[-1]])
    return taken


@pytest.mark.parametrize(("labeled", "power"), [(20, 4.0), (80, 8.0)])
def test_outlier_covers_what_is_outlying_the_more_the_more_labels_there_are(rng, labeled, power):
    view, _ = make_view(labeled=labeled)
    weights = np.maximum(brute_force_contrast(view), 1e-3) ** power
    expected = brute_force_coverage(view, weights / weights.sum(), 12)
    assert strategies.outlier(view, 12, rng, focus=8.0).indices.tolist() == expected


def test_outlier_without_focus_covers_the_pool_as_it_is(rng):
    view, _ = make_view(labeled=40, pool=300)
    expected = brute_force_coverage(view, np.full(300, 1 / 300), 15)
    assert strategies.outlier(view, 15, rng, focus=0.0).indices.tolist() == expected


def test_uherding_covers_what_the_classifier_hesitates_about(rng):
    view, _ = make_view(labeled=40, pool=300)
    top_two = np.sort(softmax(view.pool_logits.double().numpy(), axis=1), axis=1)[:, -2:]
    weights = 1 - np.diff(top_two)[:, 0]
    indices, scores = strategies.uherding(view, 15, rng)
    assert indices.tolist() == brute_force_coverage(view, weights / weights.sum(), 15)
    np.testing.assert_allclose(scores, weights[indices], atol=1e-5)


def test_outlier_answers_where_the_pool_holds_copies_only(rng):
    view, _ = make_view(labeled=20, pool=60)
    copies = PoolView(
        view.labeled_embeddings,
        view.labeled_targets,
        view.labeled_embeddings.repeat(3, 1),
        view.pool_logits,
    )
    strategies.check_selection(strategies.outlier(copies, 30, rng), 30, 60, "outlier")


def with_foreign(view):
    """Put a cluster of 30 foreign images into the pool, at 200 and above, and 5 among the known."""
    cluster = torch.full((35, 8), 4.0) + 0.1 * torch.randn(35, 8, generator=torch.manual_seed(0))
    return PoolView(
        view.labeled_embeddings,
        view.labeled_targets,
        torch.cat([view.pool_embeddings, cluster[5:]]),
        torch.cat([view.pool_logits, torch.zeros(30, 4)]),
        foreign_embeddings=cluster[:5],
    )


@pytest.mark.parametrize("name", ["outlier", "margin", "badge", "dbal", "typiclust"])
def test_what_looks_foreign_is_not_asked_again(rng, name):
    view = with_foreign(make_view(pool=200)[0])
    ask = strategies.get(name, {"two_sided": True})
    assert max(ask(view, 30, rng, two_sided=True)[0]) < 200
    assert max(ask(view, 225, rng, two_sided=False)[0]) >= 200


def test_foreign_images_are_asked_for_when_nothing_else_is_left(rng):
    view = with_foreign(make_view(pool=200)[0])
    indices, _ = strategies.outlier(view, 225, rng)
    assert len(set(indices)) == 225
    assert (indices >= 200).sum() <= 30


def test_features_recognize_what_the_embedding_confuses(rng):
    view, _ = make_view(pool=100)
    near = view.labeled_embeddings[:10]  # foreign images that the classifier takes for its own
    confused = PoolView(
        view.labeled_embeddings,
        view.labeled_targets,
        torch.cat([view.pool_embeddings, near]),
        torch.cat([view.pool_logits, torch.zeros(10, 4)]),
        foreign_embeddings=near[:2],
        labeled_features=torch.zeros(len(view.labeled_targets), 1),
        pool_features=torch.cat([torch.zeros(100, 1), torch.full((10, 1), 2.0)]),
        foreign_features=torch.full((2, 1), 2.0),
    )
    assert task_like(confused, 5).tolist() == list(range(100))
    blind = replace(confused, **{f"{side}_features": _none(confused, side) for side in SIDES})
    assert (task_like(blind, 5) >= 100).sum() > 5


SIDES = ("labeled", "pool", "foreign")


def _none(view, side):
    return getattr(view, f"{side}_embeddings")[:, :0]


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
    diverse = strategies.outlier(crowded, 20, rng).indices
    assert (diverse >= 200).sum() <= 5


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


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("pool", [300, 13_000])  # all may be taken, or a sample drawn by weight
@pytest.mark.parametrize("detector", ["knn", "ocsvm", "iforest"])
def test_outlier_asks_for_other_classes_while_only_one_has_labels(rng, detector, pool):
    view, pool_targets = make_view(labeled=12, pool=pool, missing=(1, 2, 3))
    indices, scores = strategies.outlier(view, 12, rng, detector=detector)
    assert np.isfinite(scores).all()
    assert set(pool_targets[indices].tolist()) >= {1, 2, 3}


@pytest.mark.parametrize("contrast", ["ratio", "none"])
@pytest.mark.parametrize("per_class", [True, False])
@pytest.mark.parametrize("detector", ["knn", "gmm", "ocsvm"])
def test_every_setting_of_outlier_answers(rng, contrast, per_class, detector):
    view, _ = make_view(labeled=60)
    selection = strategies.outlier(
        view, 10, rng, detector=detector, per_class=per_class, contrast=contrast
    )
    strategies.check_selection(selection, 10, 80, "outlier")


def test_strategy_parameters_are_checked_by_name_and_value():
    for params, message in [
        ({"detecter": "knn"}, "did you mean 'detector'"),
        ({"detector": "KNNN"}, "unknown detector"),
        ({"contrast": "log"}, "ratio, none"),
        ({"focus": -1}, "0 or more"),
        ({"two_sided": 1}, "True or False"),
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
        (np.array([True, True] + [False] * 7), np.zeros(9)),
        (["0", "1"], np.zeros(2)),
        (np.array([0, 1]), None),
        (np.array([0, 1]), np.zeros(2), 1),
        np.array([0, 1]),
        {"indices": np.array([0, 1])},
        None,
    ],
)
def test_broken_post_conditions_are_refused(answer):
    with pytest.raises(AlodError, match="expected 2 distinct integer positions from 0 to 8"):
        strategies.check_selection(answer, 2, 9, "mine")


@pytest.mark.parametrize(
    ("answer", "mend"),
    [
        ((np.arange(9) < 2, np.zeros(9)), "numpy.flatnonzero"),
        ((np.array([0.0, 1.0]), np.zeros(2)), "astype"),
        (np.array([0, 1]), "return .indices, scores"),
        ((np.array([0, 1]), np.array([1.0, np.nan])), "for 1 of 2 images: expected 2 scores, fin"),
        ((np.array([0, 1]), np.array(["a", "b"])), "expected 2 scores, finite"),
    ],
)
def test_a_refused_answer_is_told_how_to_mend_it(answer, mend):
    with pytest.raises(AlodError, match=f"strategy 'mine' returned .*{mend}"):
        strategies.check_selection(answer, 2, 9, "mine")


@pytest.mark.parametrize(
    "answer",
    [
        ([3, 0], [0.5, 0.25]),
        (torch.tensor([3, 0]), torch.tensor([0.5, 0.25], requires_grad=True)),
        (np.array([3, 0], dtype=np.uint8), np.array([[0.5], [0.25]], dtype=np.float32)),
    ],
)
def test_answers_are_taken_in_every_clear_form(answer):
    indices, scores = strategies.check_selection(answer, 2, 9, "mine")
    assert (indices.dtype, scores.dtype) == (np.int64, np.float64)
    assert (indices.tolist(), scores.tolist()) == ([3, 0], [0.5, 0.25])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("field", ["pool_embeddings", "pool_logits", "labeled_embeddings"])
def test_a_view_of_a_classifier_that_ran_away_is_refused(bad, field):
    view, _ = make_view()
    rows = getattr(view, field).clone()
    rows[[2, 5], 1] = bad
    with pytest.raises(AlodError, match=f"2 of {len(rows)} images .*lower learning_rate"):
        replace(view, **{field: rows})


def test_dropout_samples_that_ran_away_are_refused(rng):
    view, _ = make_view()
    view = replace(view, mc_logits=lambda n: torch.full((n, 80, 4), np.nan))
    with pytest.raises(AlodError, match="80 of 80 images"):
        strategies.bald(view, 3, rng)


def test_a_view_without_dropout_says_so(rng):
    with pytest.raises(AlodError, match="mc_logits"):
        strategies.bald(as_view(np.ones((1, 2)), np.ones((3, 2))), 2, rng)


def test_bald_refuses_a_single_sample():
    with pytest.raises(AlodError, match="n_samples=1"):
        strategies.get("bald", {"n_samples": 1})
