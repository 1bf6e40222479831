"""Rivals and filters for pools with strangers, each against its formula or brute force."""

import importlib.util
import itertools
import sys
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, jensenshannon
from scipy.special import logsumexp, softmax
from scipy.stats import entropy
from sklearn.covariance import OAS
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_curve
from sklearn.mixture import GaussianMixture

from alod import AlodError, strategies
from alod.heads import Head
from alod.view import PoolView, task_like

FOLDER = Path(__file__).parents[2] / "book/experiments"
NAMES = ["lfosa", "mqnet", "eoal", "e2oal", "filtered"]
FILTERS = ["c_plus_1", "energy", "mahalanobis", "knn", "two_sided"]


@pytest.fixture(scope="module")
def rivals():
    for name in ("rivals", "open_rivals"):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    yield sys.modules["open_rivals"]
    del sys.modules["rivals"], sys.modules["open_rivals"]


@cache
def make_view(seed=0, labeled=40, pool=240, foreign=20, classes=3, d=8, spread=0.25, features=0):
    """Clouds of known classes and, a third of the pool, of two strange ones; and a pool's truth."""
    rng = np.random.default_rng(seed)
    strange = classes + np.arange(pool) % 2
    truth = np.where(np.arange(pool) % 3 == 0, strange, rng.integers(classes, size=pool))
    targets = np.arange(labeled) % classes
    every = np.concatenate([targets, truth, classes + np.arange(foreign) % 2])
    points = np.eye(classes + 2, d)[every] + spread * rng.normal(size=(len(every), d))
    points = torch.as_tensor(points - points[: -foreign or None].mean(0)).float()
    parts = points.split([labeled, pool, foreign])
    head = Head("linear", parts[1], classes)
    head.learn(parts[0], torch.as_tensor(targets), 0)
    described = (
        torch.as_tensor(np.eye(7, features)[every % 7]).float().split([len(x) for x in parts])
    )
    view = PoolView(
        *(parts[0], torch.as_tensor(targets), parts[1], head.logits(parts[1]), parts[2]),
        labeled_features=described[0],
        pool_features=described[1],
        foreign_features=described[2],
    )
    return view, truth >= classes


@pytest.fixture
def ask(rivals):
    def ask(name, view, k, seed=0, **params):
        return getattr(rivals, name)(view, k, np.random.default_rng(seed), **params)

    return ask


@pytest.fixture
def quick(rivals, monkeypatch):
    monkeypatch.setattr(rivals, "STEPS", 20)


SIZES = [
    (40, 240, 20, 3, 30),
    (1, 12, 1, 2, 12),
    (9, 30, 1, 2, 1),
    (12, 60, 0, 2, 9),
    (2, 9, 8, 3, 9),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("labeled", "pool", "foreign", "classes", "k"), SIZES)
def test_every_rival_keeps_the_post_conditions(
    quick, ask, name, labeled, pool, foreign, classes, k
):
    view, _ = make_view(3, labeled, pool, foreign, classes)
    first, second = ask(name, view, k), ask(name, view, k)
    first = strategies.check_selection(first, k, pool, name)
    assert first.indices.tolist() == list(second.indices)


@pytest.mark.filterwarnings("ignore:Only one sample")
@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize(("labeled", "pool", "foreign", "classes", "k"), SIZES)
def test_every_filter_keeps_the_post_conditions(ask, filter, labeled, pool, foreign, classes, k):
    view, _ = make_view(3, labeled, pool, foreign, classes)
    answer = ask("filtered", view, k, filter=filter)
    strategies.check_selection(answer, k, pool, filter)


@pytest.mark.parametrize("name", NAMES)
def test_every_rival_answers_where_the_pool_holds_copies_only(quick, ask, name):
    view, _ = make_view(labeled=20, pool=60)
    few = torch.arange(60) % 3
    copies = PoolView(
        *(view.labeled_embeddings, view.labeled_targets, view.labeled_embeddings[few]),
        *(view.pool_logits[few], view.labeled_embeddings[:2]),
    )
    strategies.check_selection(ask(name, copies, 30), 30, 60, name)


@pytest.mark.parametrize("name", [*NAMES, "filtered energy", "filtered mahalanobis"])
def test_what_is_known_as_strange_is_hardly_asked_for_again(ask, name):
    view, strange = make_view(spread=0.15)
    name, _, filter = name.partition(" ")
    params = {"filter": filter} if filter else {}
    asked = ask(name, view, 20, **params).indices
    assert strange[asked].mean() <= 0.1 < strange.mean() / 3


def test_an_experiment_file_names_them_and_their_parameters(rivals):
    for name in NAMES:
        assert strategies.get(f"open_rivals:{name}", {}) is getattr(rivals, name)
    theirs = sys.modules["rivals"]
    others = {
        f"rivals:{name}"
        for name, made in vars(theirs).items()
        if getattr(made, "__module__", "") == "rivals" and callable(made) and name[0] not in "_A"
    }
    assert set(get_args(rivals.Query)) == {*strategies.STRATEGIES, *others, "candidates:agreement"}
    for key, value in {"filter": "knnn", "query": "rivals:margn", "queri": "margin"}.items():
        with pytest.raises(AlodError, match=f"{key}.*expected"):
            strategies.get("open_rivals:filtered", {key: value})


@pytest.mark.parametrize("filter", [*FILTERS, "none"])
@pytest.mark.parametrize("query", ["margin", "outlier", "badge", "rivals:clue"])
def test_without_strangers_known_a_filter_changes_nothing(ask, filter, query):
    view, _ = make_view(foreign=20 if filter == "none" else 0)
    rng = np.random.default_rng(0)
    plain = strategies.get(query, {"two_sided": False})(view, 25, rng, two_sided=False)
    answer = ask("filtered", view, 25, query=query, filter=filter)
    assert answer.indices.tolist() == plain[0].tolist()
    assert answer.scores.tolist() == plain[1].tolist()


def test_outlier_with_the_filter_it_has_is_outlier(ask):
    view, _ = make_view(features=7)
    both = ask("filtered", view, 25, query="outlier", filter="two_sided")
    own = strategies.outlier(view, 25, np.random.default_rng(0))
    assert both.indices.tolist() == own.indices.tolist()


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize(("classes", "features"), [(2, 0), (3, 7)])
def test_filters_part_what_can_be_parted(rivals, filter, classes, features):
    view, strange = make_view(spread=0.15, classes=classes, features=features)
    kept = rivals._kept(view, 1, np.random.default_rng(0), filter)
    # Where energy is low, two classes' images lie with the strangers.
    assert strange[kept].mean() < (0.2 if filter == "energy" else 0.05)
    assert (~strange[kept]).sum() > 0.75 * (~strange).sum()


def scaled(view):
    """Labeled, foreign and pool as detectors see them: centered on the pool, of length 1."""
    sides = (view.labeled_embeddings, view.foreign_embeddings, view.pool_embeddings)
    labeled, foreign, pool = (np.asarray(side, dtype=np.float64) for side in sides)
    center = pool.mean(0)
    size = np.sqrt(((pool - center) ** 2).sum(1).mean())
    return tuple((side - center) / size for side in (labeled, foreign, pool))


def test_a_class_more_is_a_filter_that_a_logistic_regression_is(rivals):
    view, _ = make_view(spread=0.5)
    labeled, foreign, pool = scaled(view)
    targets = np.concatenate([view.labeled_targets, np.full(len(foreign), 3)])
    head = LogisticRegression(C=100.0, max_iter=1_000)
    head.fit(np.concatenate([labeled, foreign]), targets)
    kept = rivals._kept(view, 1, np.random.default_rng(0), "c_plus_1")
    # In float32 beside float64, what lies on the border may fall on either side.
    assert np.setxor1d(kept, np.flatnonzero(head.predict(pool) != 3)).size <= 2
    few = len(kept) + 9
    lead = np.delete(head.decision_function(pool), 3, axis=1).max(1)
    lead -= head.decision_function(pool)[:, 3]
    least_foreign = np.sort(np.argsort(-lead)[:few])
    kept = rivals._kept(view, few, np.random.default_rng(0), "c_plus_1")
    assert len(kept) == few
    assert np.setxor1d(kept, least_foreign).size <= 2


def reference(name, known, targets, points):
    if name == "energy":
        head = LogisticRegression(C=100.0, max_iter=1_000).fit(known, targets)
        return logsumexp(head.decision_function(points), axis=1)
    if name == "knn":
        known, points = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (known, points))
        return -np.sort(cdist(points, known), axis=1)[:, min(5, len(known)) - 1]
    means = np.stack([known[targets == c].mean(0) for c in np.unique(targets)])
    within = known - means[np.unique(targets, return_inverse=True)[1]]
    tied = np.linalg.inv(OAS(assume_centered=True).fit(within).covariance_)
    every = np.linalg.inv(OAS().fit(known).covariance_)
    own = (cdist(points, means, "mahalanobis", VI=tied) ** 2).min(1)
    return (cdist(points, [known.mean(0)], "mahalanobis", VI=every) ** 2)[:, 0] - own


@pytest.mark.parametrize("name", ["energy", "mahalanobis", "knn"])
def test_scored_filters_keep_what_parts_the_answers_best(rivals, name):
    view, _ = make_view(spread=0.5)
    labeled, foreign, pool = scaled(view)
    targets = view.labeled_targets.numpy()
    ours, order = np.empty(len(labeled)), np.random.default_rng(5).permutation(len(labeled))
    for part in np.array_split(order, 5):
        rest = np.setdiff1d(order, part)
        ours[part] = reference(name, labeled[rest], targets[rest], labeled[part])
    theirs, scores = (reference(name, labeled, targets, x) for x in (foreign, pool))
    found = rivals.SCORES[name](
        *(torch.as_tensor(labeled).float(), view.labeled_targets, torch.as_tensor(pool).float()), 3
    )
    np.testing.assert_allclose(found, scores, rtol=1e-3, atol=1e-3)
    wrong, right, _ = roc_curve([1] * len(ours) + [0] * len(theirs), [*ours, *theirs])
    found = rivals._parting(ours, theirs)
    apart = (ours > found).mean() - (theirs > found).mean()
    assert apart == pytest.approx((right - wrong).max())
    assert apart > 0.1
    assert np.ptp(np.sort(np.abs(np.array([*ours, *theirs]) - found))[:2]) < 1e-9  # halfway
    kept = rivals._kept(view, 1, np.random.default_rng(5), name)
    assert np.setxor1d(kept, np.flatnonzero(scores > found)).size <= 2  # float32 beside float64


def test_a_score_that_parts_nothing_leaves_nothing_out(rivals):
    assert rivals._parting(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == -np.inf
    assert rivals._parting(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 2.5


def test_fewer_than_wanted_are_filled_by_the_least_foreign(ask, rivals):
    view, _ = make_view()
    for filter in ("energy", "knn", "two_sided"):
        rng = np.random.default_rng(0)
        strict = rivals._kept(view, 1, rng, filter)
        every = rivals._kept(view, len(strict) + 5, np.random.default_rng(0), filter)
        assert len(every) == len(strict) + 5
        assert np.isin(strict, every).all()
    k = len(task_like(view, 1)) + 5
    asked = ask("filtered", view, k, filter="two_sided").indices
    assert sorted(asked) == task_like(view, k).tolist()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("foreign", [0, 20])
def test_lfosa_is_a_mixture_of_two_over_the_largest_activations(ask, classes, foreign):
    view, _ = make_view(1, classes=classes, foreign=foreign, spread=0.5)
    labeled, strangers, pool = scaled(view)
    targets = np.concatenate([view.labeled_targets, np.full(foreign, classes)])
    # The temperature 1/2: logits are doubled as it learns, and weights cost a quarter.
    head = LogisticRegression(C=400.0, max_iter=1_000)
    head.fit(np.concatenate([labeled, strangers]), targets)
    told = head.decision_function(pool) / 2
    told = np.stack([-told, told], axis=1) / 2 if told.ndim == 1 else told
    rng, expected = np.random.default_rng(0), np.zeros(len(pool))
    for c in range(classes):
        rows = told.argmax(1) == c
        values = told.max(1)[rows, None]
        seed = int(rng.integers(2**32))
        model = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=seed)
        expected[rows] = model.fit(values).predict_proba(values)[:, model.means_.argmax()]
    indices, scores = ask("lfosa", view, 240)
    assert (np.abs(scores - expected[indices]) > 0.03).sum() <= 2  # on the border of two classes
    assert foreign == 0 or (expected == 0).sum() > 20
    assert (np.diff(scores) <= 0).all()


def test_mqnet_begins_with_the_sum_of_both(ask):
    view, _ = make_view(foreign=0, spread=0.5)
    labeled, _, pool = scaled(view)
    unsure = 1 - softmax(view.pool_logits.double().numpy(), axis=1).max(1)
    pure = (1 - cdist(pool, labeled, "cosine")).max(1)
    expected = sum(np.exp((x - x.mean()) / x.std()) for x in (unsure, pure))
    indices, scores = ask("mqnet", view, 30)
    np.testing.assert_allclose(scores, np.sort(expected)[:-31:-1], rtol=1e-4)
    np.testing.assert_allclose(scores, expected[indices], rtol=1e-4)


@pytest.mark.parametrize("matters", [0, 1])
def test_mqnets_network_learns_what_matters_and_never_decreases(rivals, matters):
    rng = np.random.default_rng(0)
    seen = torch.as_tensor(np.exp(rng.normal(size=(200, 2))))
    net = rivals._meta_net(seen, seen[:, matters], np.random.default_rng(1))
    higher = seen + torch.as_tensor(rng.random((200, 2)))
    assert (net(higher) >= net(seen)).all()
    ranks = [
        np.corrcoef(np.argsort(np.argsort(x)), np.argsort(np.argsort(net(seen).numpy())))[0, 1]
        for x in seen.T.numpy()
    ]
    assert ranks[matters] > ranks[1 - matters] + 0.2


def test_mqnet_is_taught_by_losses_of_heads_that_did_not_see_them(rivals, ask, monkeypatch):
    view, _ = make_view(spread=0.5)
    labeled, foreign, _ = scaled(view)
    targets, taught = view.labeled_targets.numpy(), []
    monkeypatch.setattr(
        rivals, "_meta_net", lambda *given: taught.extend(given) or (lambda x: x[:, 0])
    )
    ask("mqnet", view, 5, seed=5)
    order, loss = np.random.default_rng(5).permutation(40), np.zeros(60)
    columns = np.empty((60, 2))
    for part in [*np.array_split(order, 5), np.arange(40, 60)]:
        rest, points = np.setdiff1d(np.arange(40), part), np.concatenate([labeled, foreign])[part]
        head = LogisticRegression(C=100.0, max_iter=1_000).fit(labeled[rest], targets[rest])
        p = head.predict_proba(points)
        if part[0] < 40:
            loss[part] = -np.log(p[np.arange(len(part)), targets[part]])
        columns[part] = np.stack(
            [1 - p.max(1), 1 - cdist(points, labeled[rest], "cosine").min(1)], 1
        )
    expected = np.exp((columns - columns.mean(0)) / columns.std(0))
    np.testing.assert_allclose(taught[1], loss, atol=1e-2)
    np.testing.assert_allclose(taught[0], expected, rtol=2e-2)


@pytest.mark.parametrize("foreign", [0, 20])
def test_eoal_asks_by_both_entropies_as_many_of_each_cluster(rivals, ask, monkeypatch, foreign):
    view, _ = make_view(foreign=foreign, spread=0.5)
    kept = {}
    learn = rivals._entropic

    def spied(*given):
        kept["clusters"], kept["learned"] = given[2].numpy(), learn(*given)
        return kept["learned"]

    monkeypatch.setattr(rivals, "_entropic", spied)
    indices, scores = ask("eoal", view, 30)
    _, strangers, pool = scaled(view)
    layer, head, sides = (x.double().numpy() for x in kept["learned"])
    points = pool @ layer
    told = softmax((points @ sides).reshape(len(pool), 2, 3), axis=1)
    expected = entropy(told, base=2, axis=1).mean(1)
    if foreign:
        centers = [(strangers @ layer)[kept["clusters"] == c].mean(0) for c in range(3)]
        expected -= entropy(softmax(-cdist(points, centers), axis=1), base=3, axis=1)
    np.testing.assert_allclose(scores, -expected[indices], atol=1e-3)
    ours = np.flatnonzero((points @ head[:-1] + head[-1]).argmax(1) < 3)
    assert np.isin(indices, ours).all()
    clusters = rivals._finch(torch.as_tensor(points[ours]).float(), 30)
    # As published: each cluster in turn gives its next ones.
    rest, chosen, each = 30, [], 30 // (clusters.max() + 1)
    taken = np.zeros(clusters.max() + 1, dtype=int)
    while rest > 0:
        for c in range(len(taken)):
            own = ours[clusters == c]
            own = own[np.argsort(expected[own])][taken[c] : taken[c] + min(each, rest)]
            taken[c] += len(own)
            rest -= len(own)
            chosen += own.tolist()
    assert len(np.setdiff1d(chosen, indices)) <= 1  # float32 beside float64


def test_eoal_learns_to_be_undecided_about_strangers(rivals):
    view, _ = make_view(spread=0.15)
    labeled, foreign, _ = (torch.as_tensor(x).float() for x in scaled(view))
    clusters = torch.arange(20) % 2
    known = (labeled, view.labeled_targets)
    layer, head, sides = rivals._entropic(known, foreign, clusters, 3, np.random.default_rng(0))

    def undecided(points):
        return rivals._entropies((points @ layer @ sides).view(-1, 2, 3), 1).mean(1) / np.log(2)

    assert undecided(labeled).max() < undecided(foreign).min()
    told = torch.cat([labeled, foreign]) @ layer @ head[:-1] + head[-1]
    assert told.argmax(1).tolist() == [*view.labeled_targets.tolist(), *[3] * 20]


def test_finch_joins_what_has_a_first_neighbor_in_common(rivals):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 4))
    near = cdist(points, points, "cosine")
    np.fill_diagonal(near, np.inf)
    first = near.argmin(1)
    # As published: i and j are linked if one is the other's first neighbor, or both have the same.
    linked = (first[:, None] == first) | (first[:, None] == np.arange(60))
    linked = linked | linked.T | np.eye(60, dtype=bool)
    for _ in range(6):
        linked = linked @ linked
    clusters = rivals._finch(torch.as_tensor(points).float(), 60)
    assert np.array_equal(clusters[:, None] == clusters, linked)
    fewer = rivals._finch(torch.as_tensor(points).float(), 4)
    assert 1 <= fewer.max() + 1 <= 4
    assert all(len(np.unique(fewer[clusters == c])) == 1 for c in np.unique(clusters))
    assert rivals._finch(torch.ones(1, 4), 1).tolist() == [0]


def test_e2oal_takes_as_many_of_the_purest_as_hold_what_is_wanted(rivals):
    rng = np.random.default_rng(0)
    for wanted, k in itertools.product((0.0, 2.5, 6.0, 9.0, 100.0), (10, 40)):
        hoped, scores = rng.random(40), rng.random(40)
        order = np.argsort(-hoped)
        expected = 40
        for size in range(k, 41):
            best = order[:size][np.argsort(-scores[order[:size]])[:k]]
            if wanted > 0 and int(hoped[best].sum()) <= wanted:
                expected = size
                break
        assert rivals._enough(hoped, scores, wanted, k) == expected


def test_e2oal_scores_half_sure_answers_highest(rivals):
    p = softmax(np.random.default_rng(0).normal(size=(50, 4)) * 3, axis=1)
    sure, flat = np.eye(4)[p.argmax(1)], np.full((50, 4), 0.25)
    for q in (sure, flat):
        found = rivals._divergence(torch.as_tensor(p), torch.as_tensor(q))
        np.testing.assert_allclose(found, jensenshannon(p, q, axis=1) ** 2, atol=1e-12)


def test_e2oal_matches_clusters_and_classes_as_trying_all_does(rivals):
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=80)  # 2 is foreign
    clusters = np.where(rng.random(80) < 0.7, truth, rng.integers(5, size=80))
    found, rows = rivals._agreement(clusters, truth)
    table = np.array([[np.sum((clusters == c) & (truth == t)) for t in range(3)] for c in range(5)])
    best = max(itertools.permutations(range(5), 3), key=lambda p: table[p, range(3)].sum())
    assert sorted(rows) == sorted(best[:2])
    free = ~np.isin(clusters, best[:2])
    f1 = [
        2 * table[best[t], t] / ((clusters == best[t]).sum() + (truth == t).sum()) for t in (0, 1)
    ]
    f1.append(2 * (free & (truth == 2)).sum() / (free.sum() + (truth == 2).sum()))
    assert found == pytest.approx(np.prod(f1) ** (1 / 3))


def test_e2oal_finds_the_kinds_of_strangers(rivals):
    view, _ = make_view(spread=0.1, foreign=30)
    labeled, foreign, _ = (torch.as_tensor(x).float() for x in scaled(view))
    kinds = rivals._kinds(labeled, view.labeled_targets, foreign, np.random.default_rng(0))
    pairs = set(zip(kinds.tolist(), (np.arange(30) % 2).tolist(), strict=True))
    assert len(pairs) == len(kinds.unique()) == kinds.max() + 1 >= 2  # none holds both


def test_e2oals_head_is_sure_of_what_it_saw_and_of_no_more(rivals):
    view, strange = make_view(spread=0.1, foreign=0)
    labeled, _, pool = (torch.as_tensor(x).float() for x in scaled(view))
    logits = rivals._evidential(labeled, view.labeled_targets, 3, pool)
    assert logits[:40].argmax(1).tolist() == view.labeled_targets.tolist()
    evidence = logits[40:].exp().sum(1).numpy()
    assert np.median(evidence[~strange]) > 2 * np.median(evidence[strange])


def test_e2oal_asks_as_many_of_each_class_and_wants_more_if_more_precise(ask):
    view, _ = make_view(spread=0.4)
    shares = view.pool_logits.double().softmax(1).amax(1).numpy()
    asked = [ask("e2oal", view, 30, target_precision=p).indices for p in (0.4, 1.0)]
    loose, strict = (shares[each].mean() for each in asked)
    assert loose < strict
    counts = np.bincount(view.pool_logits.argmax(1).numpy()[asked[1]], minlength=3)
    assert counts.max() <= 12
