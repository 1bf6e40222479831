"""The rivals beside the experiments, each against its formula, and scikit-activeml where there."""

from functools import cache

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from alod import AlodError, strategies
from alod.heads import Head
from alod.view import PoolView

NAMES = [
    *("uherding", "probcover", "dropquery", "clue", "contrastive", "discriminative", "alfa_mix"),
    *("bait", "falcun", "power_bald", "trust"),
    *("margin_coverage", "entropy_coverage", "plain_coverage"),
]


@cache
def make_view(seed=0, labeled=40, pool=300, classes=4, d=6):
    """Clouds that overlap, as a linear head that learned what is labeled sees them."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(classes, size=labeled + pool)
    points = 1.5 * np.eye(classes, d)[targets] + 0.5 * rng.normal(size=(labeled + pool, d))
    points -= points.mean(0)
    points /= np.sqrt((points**2).sum(1).mean())
    points, targets = torch.as_tensor(points).float(), torch.as_tensor(targets)
    noise = torch.as_tensor(rng.normal(size=(20, pool, classes))).float()
    head = Head("linear", points, classes)
    head.learn(points[:labeled], targets[:labeled], 0)
    logits = head.logits(points[labeled:])
    return PoolView(
        points[:labeled],
        targets[:labeled],
        points[labeled:],
        logits,
        mc_logits=lambda n: logits + noise[:n],
    )


def unit(points):
    points = np.asarray(points, dtype=np.float64)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def shares(view):
    return softmax(view.pool_logits.double().numpy(), axis=1)


def margins(p):
    ordered = np.sort(p, axis=1)
    return 1 - (ordered[:, -1] - ordered[:, -2])


def entropies(p):
    return -(p * np.log(p)).sum(1)


def greedy_coverage(kernel, coverage, weights, picks):
    """Yield each pick's gain, and the greatest that there was, kernel (pool × pool) in full."""
    taken = []
    for pick in picks:
        gain = np.maximum(kernel - coverage[:, None], 0).T @ weights
        gain[taken] = -1
        yield gain[pick], gain.max()
        coverage = np.maximum(coverage, kernel[:, pick])
        taken.append(pick)


@pytest.fixture
def ask(rivals):
    def ask(name, view, k, seed=0, **params):
        if name == "discriminative":
            params["sub_batches"] = 2  # each is a network to teach
        return getattr(rivals, name)(view, k, np.random.default_rng(seed), **params)

    return ask


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("labeled", "pool", "k"), [(40, 200, 10), (1, 12, 12), (9, 1, 1)])
def test_every_rival_keeps_the_post_conditions(ask, name, labeled, pool, k):
    view = make_view(3, labeled, pool)
    first, second = ask(name, view, k), ask(name, view, k)
    first = strategies.check_selection(first, k, pool, name)
    assert first.indices.tolist() == list(second.indices)


@pytest.mark.parametrize("name", NAMES)
def test_every_rival_answers_where_the_pool_holds_copies_only(ask, name):
    view = make_view(labeled=20, pool=60)
    few = torch.arange(60) % 3
    copies = PoolView(
        view.labeled_embeddings,
        view.labeled_targets,
        view.labeled_embeddings[few],
        view.pool_logits[few],
        mc_logits=lambda n: view.mc_logits(n)[:, few],
    )
    strategies.check_selection(ask(name, copies, 30), 30, 60, name)


def test_an_experiment_file_names_them_and_their_parameters(rivals):
    view = make_view(pool=60)
    for name in NAMES:
        assert strategies.get(f"rivals:{name}", {}) is getattr(rivals, name)
    ask = strategies.get("rivals:uherding", {"uncertainty": "entropy", "two_sided": True})
    params = {"uncertainty": "entropy", "two_sided": True}
    assert len(set(ask(view, 9, np.random.default_rng(0), **params)[0])) == 9
    with pytest.raises(AlodError, match="uncertainty"):
        strategies.get("rivals:uherding", {"uncertainty": "distance"})


@pytest.mark.parametrize("name", ["uherding", "probcover", "bait"])
def test_a_large_pool_is_looked_at_in_part(ask, rivals, monkeypatch, name):
    monkeypatch.setattr(rivals, "SUBSET", 50)
    params = {"subset": 50} if name == "bait" else {}
    views = [ask(name, make_view(), 10, seed, **params).indices for seed in range(3)]
    assert len(set(np.concatenate(views))) > 20  # others for another seed


@pytest.mark.parametrize("kind", ["margin", "entropy"])
@pytest.mark.parametrize("seed", range(3))
def test_uherding_is_greedy_uncertainty_coverage(rivals, monkeypatch, kind, seed):
    view = make_view(seed)
    monkeypatch.setattr(rivals, "_temperature", lambda *_: 2.5)
    indices, scores = rivals.uherding(view, 25, np.random.default_rng(seed), kind)
    p = softmax(view.pool_logits.double().numpy() / 2.5, axis=1)
    weights = margins(p) if kind == "margin" else entropies(p)
    labeled, pool = unit(view.labeled_embeddings), unit(view.pool_embeddings)
    width = cdist(labeled, labeled)[~np.eye(len(labeled), dtype=bool)].min()
    kernel = np.exp(-cdist(pool, pool, "sqeuclidean") / width**2)
    coverage = np.exp(-cdist(pool, labeled, "sqeuclidean") / width**2).max(1)
    gains = np.array(list(greedy_coverage(kernel, coverage, weights / weights.sum(), indices)))
    np.testing.assert_allclose(gains[:, 0], gains[:, 1], rtol=1e-4)
    np.testing.assert_allclose(scores, gains[:, 0], rtol=1e-4)


def test_uherdings_temperature_makes_the_sure_right_as_often_as_they_say(rivals):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(5_000, 5)) * 2
    p = softmax(logits, axis=1)
    truth = (p.cumsum(1) > rng.random((len(p), 1))).argmax(1)
    # Three times too sure, so that a temperature of 3 is right.
    told, right = torch.as_tensor(3 * logits), torch.as_tensor(truth == logits.argmax(1))
    errors = rivals._calibration_errors(told, right, rivals.TEMPERATURES)
    assert float(rivals.TEMPERATURES[errors.argmin()]) == pytest.approx(3, abs=0.4)
    # By hand: of two bins, (0, 1/2] holds nothing, (1/2, 1] three, two of them right.
    sure = np.array([0.6, 0.8, 0.9])
    told = torch.as_tensor(np.log(np.stack([sure, 1 - sure], axis=1)))
    error = rivals._calibration_errors(told, torch.tensor([True, True, False]), torch.ones(1))
    assert float(error) == pytest.approx(abs(2 / 3 - sure.mean()))


def test_uherding_is_less_sure_where_labels_are_noise(rivals):
    view = make_view(labeled=60)
    noise = torch.as_tensor(np.random.default_rng(99).integers(4, size=60))
    blurred = PoolView(view.labeled_embeddings, noise, view.pool_embeddings, view.pool_logits)
    clear, unsure = (rivals._temperature(v, np.random.default_rng(1)) for v in (view, blurred))
    assert clear < unsure
    alone = make_view(labeled=3)  # too few to hold out any
    assert rivals._temperature(alone, np.random.default_rng(0)) == 1


def test_probcover_covers_most_with_the_largest_pure_balls(rivals):
    rng = np.random.default_rng(0)
    which = np.repeat(np.arange(3), [60, 50, 40])
    pool = 4 * np.eye(3, 5)[which] + rng.normal(size=(150, 5))
    view = PoolView(
        torch.as_tensor(pool[:2]).float(),
        torch.zeros(2, dtype=torch.int64),
        torch.as_tensor(pool).float(),
        torch.zeros(150, 3),
    )
    indices, scores = rivals.probcover(view, 12, np.random.default_rng(0))
    both = np.concatenate([unit(pool), unit(pool[:2])])
    clusters, _ = rivals.geometry.k_means(
        torch.as_tensor(both).float(), 3, np.random.default_rng(0)
    )
    distances = cdist(both, both)
    to_other = np.where(clusters[:, None] == clusters, np.inf, distances).min(1)
    radius = np.sort(to_other)[int(0.05 * 152)]
    assert (to_other >= radius).mean() >= 0.95 > (to_other >= radius + 1e-9).mean()
    near = (distances[:150, :150] < radius).astype(float)
    coverage = (distances[:150, 150:] < radius).max(1).astype(float)
    gains = np.array(list(greedy_coverage(near, coverage, np.full(150, 1 / 150), indices)))
    np.testing.assert_allclose(gains[:, 0], gains[:, 1])
    np.testing.assert_allclose(scores, gains[:, 0], atol=1e-6)


def test_dropquery_asks_for_what_hangs_on_a_few_features(rivals):
    view = make_view(pool=600)
    rate, draws = 0.5, np.random.default_rng(7)
    head = LogisticRegression(C=100.0, max_iter=1_000)
    head.fit(view.labeled_embeddings.numpy(), view.labeled_targets.numpy())
    pool, mismatch = view.pool_embeddings.numpy(), np.zeros(600)
    for _ in range(3):
        kept = draws.random(pool.shape, dtype=np.float32) >= rate
        mismatch += head.predict(pool * kept / (1 - rate)) != head.predict(pool)
    indices, scores = rivals.dropquery(view, 5, np.random.default_rng(7), rate)
    most = 1 if (mismatch > 1).sum() >= 125 else 0
    assert (mismatch > 0).sum() < 500
    assert (mismatch[indices] > most).all()
    np.testing.assert_allclose(scores, mismatch[indices] / 3)
    few = rivals.dropquery(view, 400, np.random.default_rng(7), rate).indices
    assert np.isin(np.flatnonzero(mismatch > 1), few).all()


def test_clue_takes_the_nearest_to_centers_weighted_by_entropy(rivals):
    rng = np.random.default_rng(0)
    which = np.repeat(np.arange(4), 20)
    pool = 20 * np.eye(4, 5)[which] + rng.normal(size=(80, 5))
    logits = rng.normal(size=(80, 3)) * 3
    view = PoolView(
        torch.as_tensor(pool[:2]).float(),
        torch.tensor([0, 1]),
        torch.as_tensor(pool).float(),
        torch.as_tensor(logits).float(),
    )
    for temperature in (1.0, 0.5):
        weights = entropies(softmax(logits / temperature, axis=1))
        distance = cdist(
            pool,
            [np.average(pool[which == c], axis=0, weights=weights[which == c]) for c in range(4)],
        )
        indices, scores = rivals.clue(view, 4, np.random.default_rng(0), temperature)
        assert sorted(indices) == sorted(distance.argmin(0))
        np.testing.assert_allclose(scores, weights[indices], rtol=1e-5)


def test_contrastive_is_the_mean_divergence_from_the_nearest_labeled(rivals):
    view = make_view()
    head = rivals._head(view)
    known = softmax(head.logits(view.labeled_embeddings).double().numpy(), axis=1)
    log_p = log_softmax(view.pool_logits.double().numpy(), axis=1)
    nearest = cdist(unit(view.pool_embeddings), unit(view.labeled_embeddings)).argsort(1)[:, :10]
    q = known[nearest]
    expected = (q * (np.log(q) - log_p[:, None])).sum(2).mean(1)
    indices, scores = rivals.contrastive(view, 20, np.random.default_rng(0))
    assert indices.tolist() == np.argsort(-expected)[:20].tolist()
    np.testing.assert_allclose(scores, expected[indices], rtol=1e-5)


def test_discriminative_asks_where_nothing_is_labeled(rivals):
    rng = np.random.default_rng(0)
    side = np.array([[3.0, 0, 0, 0]])
    pool = np.concatenate([rng.normal(size=(60, 4)) - side, rng.normal(size=(60, 4)) + side])
    view = PoolView(
        torch.as_tensor(rng.normal(size=(60, 4)) - side).float(),
        torch.arange(60) % 2,
        torch.as_tensor(pool).float(),
        torch.zeros(120, 2),
    )
    indices, scores = rivals.discriminative(view, 10, rng, sub_batches=2)
    assert (indices >= 60).all()
    assert (scores > 0).all()


def mixed(view, head, cap):
    """Which change their class in closed form, mixed with one class's mean after another."""
    weight, bias = head.module.coef_, head.module.intercept_
    pool, known = (
        head.embed(x).double().numpy() for x in (view.pool_embeddings, view.labeled_embeddings)
    )
    p = softmax(pool @ weight.T + bias, axis=1)
    gradient = (p - np.eye(p.shape[1])[p.argmax(1)]) @ weight
    changed = np.zeros(len(pool), dtype=bool)
    for c in range(p.shape[1]):
        z = known[view.labeled_targets.numpy() == c].mean(0) - pool
        length = cap / np.sqrt(pool.shape[1]) * np.linalg.norm(z, axis=1, keepdims=True)
        alpha = length / np.linalg.norm(gradient, axis=1, keepdims=True) * gradient / z
        mix = (1 - alpha) * pool + alpha * (pool + z)
        changed |= (mix @ weight.T + bias).argmax(1) != p.argmax(1)
    return changed


@pytest.mark.parametrize("k", [3, 20, 280])
def test_alfa_mix_tries_as_small_a_share_as_changes_more_than_it_wants(rivals, k):
    view = make_view(1)
    head = rivals._head(view)
    cap = next((c for c in range(1, 33) if mixed(view, head, c / 32).sum() > k), 32)
    candidates = np.flatnonzero(mixed(view, head, cap / 32))
    indices, _ = rivals.alfa_mix(view, k, np.random.default_rng(0))
    if k <= len(candidates):
        assert np.isin(indices, candidates).all()
        assert cap == 1 or (~mixed(view, head, (cap - 1) / 32)[candidates]).any()
    else:
        assert np.isin(candidates, indices).all()


def traces(view, head, batch, prior):
    """What :func:`bait` minimizes, in full, information between classes too."""
    taught = softmax(head.logits(view.labeled_embeddings).double().numpy(), axis=1)
    p = np.concatenate([shares(view), taught])
    h = np.concatenate([view.pool_embeddings, view.labeled_embeddings]).astype(np.float64)

    def information(rows):
        c, d = p.shape[1], h.shape[1]
        blocks = np.einsum("nc,cd->ncd", p[rows], np.eye(c)) - p[rows, :, None] * p[rows, None]
        return np.einsum("ncd,ne,nf->cedf", blocks, h[rows], h[rows]).reshape(c * d, c * d)

    known = np.concatenate([np.arange(view.n_pool, len(p)), batch]).astype(int)
    inverse = np.linalg.inv(information(known) + prior * np.eye(p.shape[1] * h.shape[1]))
    return np.trace(inverse @ information(np.arange(len(p)))) / len(p)


def test_bait_is_greedy_and_pruned_for_two_classes(rivals):
    """There, blocks hold all that the full information does: with half of its prior."""
    view = make_view(2, labeled=10, pool=40, classes=2, d=3)
    head = rivals._head(view)
    k, batch = 4, []
    for _ in range(2 * k):
        free = np.setdiff1d(np.arange(40), batch)
        batch.append(free[np.argmin([traces(view, head, [*batch, i], 0.02) for i in free])])
    while len(batch) > k:
        kept = [[*batch[:i], *batch[i + 1 :]] for i in range(len(batch))]
        batch = kept[np.argmin([traces(view, head, rest, 0.02) for rest in kept])]
    assert rivals.bait(view, k, np.random.default_rng(0)).indices.tolist() == batch


def test_bait_leaves_less_variance_than_chance(rivals):
    view = make_view(2, labeled=20, pool=200, classes=4, d=4)
    head, rng = rivals._head(view), np.random.default_rng(0)
    ours = traces(view, head, rivals.bait(view, 10, rng).indices, 0.01)
    others = [traces(view, head, rng.choice(200, 10, replace=False), 0.01) for _ in range(20)]
    assert ours < 0.8 * min(others)


def test_falcun_draws_by_margin_and_distance_of_shares(rivals):
    view, draws = make_view(), np.random.default_rng(3)
    p = shares(view)
    unsure = margins(p)
    distance, free, expected = unsure.copy(), np.arange(len(p)), []
    for _ in range(40):
        low, high = distance[free].min(), distance[free].max()
        mass = ((distance[free] - low) / (high - low) + unsure[free]) ** 10
        mass = mass.cumsum()
        pick = free[np.searchsorted(mass, (1 - draws.random()) * mass[-1])]
        distance = np.minimum(distance, np.abs(p - p[pick]).sum(1))
        free = free[free != pick]
        expected.append(pick)
    assert rivals.falcun(view, 40, np.random.default_rng(3)).indices.tolist() == expected


def test_power_bald_draws_in_proportion_to_the_power_of_bald(rivals):
    view = make_view(pool=5)
    every = strategies.bald(view, 5, np.random.default_rng(0))
    expected = np.empty(5)
    expected[every.indices] = every.scores**2 / (every.scores**2).sum()
    rng = np.random.default_rng(0)
    drawn = [rivals.power_bald(view, 1, rng, power=2.0).indices[0] for _ in range(400)]
    np.testing.assert_allclose(np.bincount(drawn, minlength=5) / 400, expected, atol=0.08)


def test_trust_weighs_by_distances_to_the_dense_part_of_each_class(rivals):
    view = make_view(labeled=60)
    pool, targets = unit(view.pool_embeddings), view.labeled_targets.numpy()
    to_class = []
    for c in range(4):
        points = unit(view.labeled_embeddings)[targets == c]
        lonely = np.sort(cdist(points, points), axis=1)[:, 4]
        to_class.append(cdist(pool, points[lonely <= np.quantile(lonely, 0.8)]).min(1))
    to_class = np.stack(to_class, axis=1)
    predicted = np.eye(4, dtype=bool)[view.pool_logits.numpy().argmax(1)]
    expected = to_class[predicted] / np.where(predicted, np.inf, to_class).min(1)
    rng = np.random.default_rng(0)
    indices, scores = rivals.trust(view, 300, rng, alpha=0.2, neighbors=5)
    np.testing.assert_allclose(scores, expected[indices], rtol=1e-4)
    assert scores.max() > 1  # where the classifier and the nearest do not agree


@pytest.mark.parametrize(("labeled", "once"), [(20, 2.0), (80, 1.0)])
def test_controls_have_outliers_schedule_kernel_and_power(ask, labeled, once):
    view = make_view(labeled=labeled)
    rng = [np.random.default_rng(0) for _ in range(3)]
    plain = ask("plain_coverage", view, 25).indices.tolist()
    assert plain == strategies.outlier(view, 25, rng[0], focus=0.0).indices.tolist()
    # The power is `focus` from ten labels a class on, half of it at five: 1 where `focus` is once.
    margin = ask("margin_coverage", view, 25, focus=once).indices.tolist()
    assert margin == strategies.uherding(view, 25, rng[1]).indices.tolist() != plain
    weights = (entropies(shares(view)) / np.log(4)) ** (8 / once)
    entropy, scores = ask("entropy_coverage", view, 25)
    assert entropy.tolist() == strategies._cover(view, weights, 25, rng[2]).tolist()
    np.testing.assert_allclose(scores ** (8 / once), weights[entropy])


# Against scikit-activeml, which only who has installed it can try.


@pytest.fixture
def reference():
    return pytest.importorskip("skactiveml.pool")


class Marks(np.random.RandomState):
    """Draws what a generator of ours draws: whether each input is dropped."""

    def __init__(self, seed):
        super().__init__(0)
        self.rng = np.random.default_rng(seed)

    def drawn_by(self, query):
        validate = query._validate_data

        def validate_and_draw(*args, **kwargs):  # it would seed a generator anew
            checked = validate(*args, **kwargs)
            query.random_state_ = self
            return checked

        query._validate_data = validate_and_draw
        return query

    def choice(self, a, size=None, replace=True, p=None):
        return self.rng.random(size, dtype=np.float32) < p[0]


def given(view, logits_of):
    """A classifier of theirs that answers by a function of ours."""
    from skactiveml.base import SkactivemlClassifier

    class Given(SkactivemlClassifier):
        def __init__(self, classes=None, missing_label=np.nan, cost_matrix=None, random_state=None):
            super().__init__(classes, missing_label, cost_matrix, random_state)

        def fit(self, X, y, sample_weight=None):
            return self

        def predict_proba(self, X):
            return softmax(logits_of(X), axis=1)

        def predict(self, X):
            return logits_of(X).argmax(1)

    return Given(classes=list(range(view.pool_logits.shape[1])))


def theirs(view):
    """Features, labeled first, and targets, unknown in the pool."""
    X = np.concatenate([view.labeled_embeddings, view.pool_embeddings]).astype(np.float64)
    y = np.full(len(X), np.nan)
    y[: len(view.labeled_targets)] = view.labeled_targets
    return X, y


def by_pool(view):
    logits = {row.tobytes(): i for i, row in enumerate(view.pool_embeddings.double().numpy())}

    def logits_of(X):
        return view.pool_logits.double().numpy()[[logits[row.tobytes()] for row in X]]

    return given(view, logits_of)


def test_maxherding_as_scikit_activeml(reference):
    view = make_view(labeled=20)
    X, y = theirs(view)
    query = reference.MaxHerding(metric_dict={"gamma": 1.0}, random_state=0)
    expected = query.query(X, y, batch_size=40) - 20
    ours = strategies.maxherding(view, 40, np.random.default_rng(0)).indices
    assert ours.tolist() == expected.tolist()


def test_probcover_as_scikit_activeml(reference, rivals, monkeypatch):
    view = make_view(labeled=20)
    X, y = theirs(view)
    X = unit(X)
    found = []
    radius = rivals._pure_radius
    monkeypatch.setattr(rivals, "_pure_radius", lambda *a: found.append(radius(*a)) or found[0])
    picks = rivals.probcover(view, 20, np.random.default_rng(0)).indices + 20
    for i in range(20):  # among many ties: theirs where all before were asked for as ours
        seen = y.copy()
        seen[picks[:i]] = 0
        query = reference.ProbCover(n_classes=4, deltas=[found[0]], random_state=0)
        _, utilities = query.query(X, seen, return_utilities=True)
        assert utilities[0, picks[i]] == np.nanmax(utilities[0])
    # Their radius is the last on a grid before ours, where k-means finds the same clusters.
    from sklearn.cluster import KMeans

    class Same(KMeans):
        def fit_predict(self, X, y=None):
            points = torch.as_tensor(np.roll(X, -20, axis=0)).float()
            return np.roll(rivals.geometry.k_means(points, 4, np.random.default_rng(0))[0], 20)

    grid = found[0] + np.array([-0.02, -0.01, -1e-6, 0.01])
    query = reference.ProbCover(n_classes=4, deltas=grid, cluster_algo=Same, random_state=0)
    query.query(X, y)
    assert query.delta_max_ == grid[2]


def test_typiclust_as_scikit_activeml(reference):
    rng = np.random.default_rng(0)
    sizes = [70, 60, 50, 45]
    pool = unit(20 * np.eye(4, 5)[np.repeat(np.arange(4), sizes)] + rng.normal(size=(225, 5)))
    view = PoolView(
        torch.as_tensor(pool[:1]).float(),
        torch.zeros(1, dtype=torch.int64),
        torch.as_tensor(pool).float(),
        torch.zeros(225, 2),
    )
    X, y = theirs(view)
    query = reference.TypiClust(k=20, cluster_algo_dict={"n_init": 10}, random_state=0)
    expected = query.query(X, y, batch_size=3) - 1
    assert strategies.typiclust(view, 3, rng).indices.tolist() == expected.tolist()


def test_clue_as_scikit_activeml(reference, rivals):
    rng = np.random.default_rng(0)
    pool = 20 * np.eye(4, 5)[np.repeat(np.arange(4), 30)] + rng.normal(size=(120, 5))
    view = PoolView(
        torch.as_tensor(pool[:2] + 1).float(),
        torch.tensor([0, 1]),
        torch.as_tensor(pool).float(),
        torch.as_tensor(rng.normal(size=(120, 3))).float(),
    )
    X, y = theirs(view)
    query = reference.Clue(cluster_algo_dict={"n_init": 10, "random_state": 0}, random_state=0)
    expected = query.query(X, y, by_pool(view), fit_estimator=False, batch_size=4) - 2
    assert sorted(rivals.clue(view, 4, rng).indices) == sorted(expected)


def test_contrastive_as_scikit_activeml(reference, rivals):
    view = make_view()
    X, y = theirs(view)
    head, points = rivals._head(view), torch.as_tensor(X).float()

    def logits_of(lengths_1):  # neighbors are sought among lengths 1, as in the paper's code
        return head.logits(points[cdist(lengths_1, unit(X)).argmin(1)]).double().numpy()

    query = reference.ContrastiveAL({"n_neighbors": 10}, eps=1e-12, random_state=0)
    clf = given(view, logits_of)
    expected = query.query(unit(X), y, clf, fit_clf=False, batch_size=30) - 40
    ours = rivals.contrastive(view, 30, np.random.default_rng(0)).indices
    assert ours.tolist() == expected.tolist()


def test_discriminative_as_scikit_activeml(reference, rivals, monkeypatch):
    from skactiveml.classifier import SklearnClassifier

    view = make_view(labeled=40, pool=200)

    def novelty(known, others, rng):
        head = LogisticRegression(C=100.0, max_iter=1_000)
        head.fit(np.concatenate([known, others]), np.arange(len(known) + len(others)) >= len(known))
        return head.decision_function(others.numpy())

    monkeypatch.setattr(rivals, "_novelty", novelty)
    X, y = theirs(view)
    clf = SklearnClassifier(LogisticRegression(C=100.0, max_iter=1_000))
    expected = reference.DiscriminativeAL(random_state=0).query(X, y, clf, batch_size=15) - 40
    ours = rivals.discriminative(view, 15, np.random.default_rng(0), sub_batches=15).indices
    assert ours.tolist() == expected.tolist()


def test_dropquery_as_scikit_activeml(reference, rivals, monkeypatch):
    view = make_view(pool=600)
    head, X, y = rivals._head(view), *theirs(view)

    def logits_of(X):  # dropped inputs are scaled in the paper's code and ours, not in theirs
        X = X * np.where((X == 0).any(1, keepdims=True), 2, 1)
        return head.logits(torch.as_tensor(X).float()).numpy()

    query = Marks(7).drawn_by(reference.DropQuery(0.5, 3))
    clf, params = given(view, logits_of), {"batch_size": 3, "return_utilities": True}
    _, utilities = query.query(X, y, clf, fit_clf=False, **params)
    expected = np.flatnonzero(np.isfinite(utilities[0])) - 40
    assert 75 < len(expected) < 600
    candidates = []
    monkeypatch.setattr(rivals, "_centers_of", lambda view, found, *_: candidates.extend(found))
    rivals.dropquery(view, 3, np.random.default_rng(7), rate=0.5)
    assert candidates == expected.tolist()
