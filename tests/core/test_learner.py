import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import sklearn
import torch
from torch import nn

import alod
from alod import AlodError
from alod.learner import dataset_indices


@pytest.fixture
def learner(mini):
    return alod.ActiveLearner(mini.images, 10, model="lenet5", steps=30, seed=1)


def go(learner, mini, k, rounds=1):
    for _ in range(rounds):
        learner.step(k, lambda indices: mini.targets[indices].numpy())


def test_first_query_is_the_initial_selection(learner, mini):
    asked = learner.query(30)
    assert asked.dtype == np.int64
    assert len(set(asked.tolist())) == 30
    assert set(mini.targets[asked].tolist()) >= set(range(9))


def test_rounds_make_it_better_and_never_ask_twice(learner, mini):
    accuracy, asked = [], []
    for _ in range(3):
        selection = learner.step(40, lambda indices: mini.targets[indices].numpy())
        asked += selection.indices.tolist()
        right = learner.predict(mini.test_images) == mini.test_targets.numpy()
        accuracy.append(right.mean())
    assert len(set(asked)) == 120
    assert sorted(asked) == learner.labeled.tolist()
    assert accuracy[-1] > accuracy[0] > 0.3


def test_probabilities_are_of_the_predicted_classes(learner, mini):
    go(learner, mini, 40)
    shares = learner.predict_proba(mini.test_images)
    assert shares.shape == (len(mini.test_images), 10)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(shares.argmax(axis=1), learner.predict(mini.test_images))


def test_asked_twice_in_the_same_state_it_asks_the_same(learner, mini):
    go(learner, mini, 30)
    assert np.array_equal(learner.query(20), learner.query(20))


@pytest.mark.parametrize("strategy", ["outlier", "bald", "margin"])
def test_apple_gpus_leave_the_query_to_the_processor(mini, strategy):
    learner = alod.ActiveLearner(mini.images[:300], 10, "lenet5", strategy, steps=5, device="cpu")
    go(learner, mini, 30)
    asked = learner.query(20)
    learner.device = torch.device("mps")  # which knows no float64
    assert np.array_equal(learner.query(20), asked)


def test_same_seed_same_questions_other_seed_others(mini):
    def questions(seed):
        learner = alod.ActiveLearner(mini.images, 10, model="lenet5", steps=5, seed=seed)
        go(learner, mini, 30, rounds=2)
        return learner.labeled.tolist()

    assert questions(1) == questions(1)
    assert questions(1) != questions(2)


def test_pool_and_data_set_positions_translate(learner, mini):
    go(learner, mini, 30)
    pool = learner.pool
    assert dataset_indices(pool, np.array([0, 3])).tolist() == [pool[0], pool[3]]
    view = learner.view()
    expected = torch.as_tensor(learner.embed(mini.images[pool[:5]]))
    # Batches of other sizes round otherwise in 16 bits: alike, and no other image is as near.
    near = torch.cdist(expected, view.pool_embeddings).argmin(1)
    assert near.tolist() == [0, 1, 2, 3, 4]


def test_foreign_and_skipped_images_leave_the_pool(learner, mini):
    asked = learner.query(20)
    learner.teach(asked[:15], np.where(np.arange(15) < 3, -1, mini.targets[asked[:15]]))
    learner.skip(asked[15:])
    learner.fit()
    assert len(learner.labeled) == 12
    assert sorted(learner.foreign) == sorted(asked[:3])
    assert not set(asked) & set(learner.pool)
    assert learner.view().foreign_embeddings.shape == (3, 84)
    assert not set(learner.query(50)) & set(asked)


def test_the_whole_pool_can_be_asked(mini):
    learner = alod.ActiveLearner(mini.images[:30], 10, model="lenet5", steps=3)
    go(learner, mini, 20)
    go(learner, mini, 10)
    assert len(learner.pool) == 0
    with pytest.raises(AlodError, match="images left in the pool"):
        learner.query(1)


def test_user_strategy_is_called_with_a_view_and_its_parameters(mini):
    seen = {}

    def first_images(view, k, rng, offset=0):
        seen.update(logits=view.pool_logits.shape, samples=view.mc_logits(2).shape)
        return np.arange(offset, offset + k), np.zeros(k)

    learner = alod.ActiveLearner(
        mini.images,
        10,
        model="lenet5",
        steps=3,
        strategy=first_images,
        strategy_params={"offset": 2},
    )
    go(learner, mini, 30)
    assert learner.query(5).tolist() == learner.pool[2:7].tolist()
    assert seen == {"logits": (570, 10), "samples": (2, 570, 10)}


def test_user_strategy_that_breaks_its_contract_is_refused(mini):
    learner = alod.ActiveLearner(
        mini.images,
        10,
        model="lenet5",
        steps=3,
        strategy=lambda view, k, rng: (np.zeros(k, dtype=int), np.zeros(k)),
    )
    go(learner, mini, 30)
    with pytest.raises(AlodError, match="an image twice"):
        learner.query(5)


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.ReLU())
        self.head = nn.Linear(16, 10)

    def forward(self, images):
        embedding = self.body(images)
        return embedding, self.head(embedding)


def test_user_model_learns(mini):
    learner = alod.ActiveLearner(mini.images, 10, model=TwoHeads(), steps=60)
    go(learner, mini, 100)
    assert (learner.predict(mini.test_images) == mini.test_targets.numpy()).mean() > 0.5


@pytest.mark.parametrize("mode", ["warm", "scratch", "shrink_perturb"])
def test_every_training_mode_goes_round(mini, mode):
    learner = alod.ActiveLearner(mini.images, 10, model="lenet5", steps=20, training_mode=mode)
    go(learner, mini, 50, rounds=2)
    assert (learner.predict(mini.test_images) == mini.test_targets.numpy()).mean() > 0.3


def test_memory_mapped_pool_gives_the_same_questions(mini, tmp_path):
    path = tmp_path / "pool.npy"
    np.save(path, mini.images.numpy())
    asked = []
    for pool in (mini.images, np.load(path, mmap_mode="r")):
        learner = alod.ActiveLearner(pool, 10, model="lenet5", steps=5)
        go(learner, mini, 30, rounds=2)
        asked.append(learner.labeled.tolist())
    assert asked[0] == asked[1]


def test_saved_learner_goes_on_as_if_nothing_had_happened(learner, mini, tmp_path):
    go(learner, mini, 30)
    pending = learner.query(10)
    learner.save(tmp_path / "learner.pt")
    loaded = alod.ActiveLearner.load(tmp_path / "learner.pt")
    for one in (learner, loaded):
        one.teach(pending, mini.targets[pending])
        one.fit()
    assert np.array_equal(learner.query(20), loaded.query(20))
    assert np.array_equal(learner.predict(mini.test_images), loaded.predict(mini.test_images))


def test_saved_learner_needs_what_a_file_cannot_hold(mini, tmp_path):
    path = tmp_path / "learner.pt"
    alod.ActiveLearner(mini.images, 10, model=TwoHeads(), strategy=lambda view, k, rng: None).save(
        path
    )
    with pytest.raises(AlodError, match="does not hold its model, strategy"):
        alod.ActiveLearner.load(path)
    with pytest.raises(AlodError, match="other images"):
        alod.ActiveLearner.load(
            path, mini.images[1:], model=TwoHeads(), strategy=lambda view, k, rng: None
        )
    (tmp_path / "junk.pt").write_bytes(b"junk")
    with pytest.raises(AlodError, match="no saved learner"):
        alod.ActiveLearner.load(tmp_path / "junk.pt")


def test_files_of_other_versions_are_told_in_one_line(learner, mini, tmp_path):
    go(learner, mini, 30)
    path = tmp_path / "learner.pt"
    learner.save(path)
    asked = learner.query(9).tolist()
    whole = torch.load(path, weights_only=True)

    def load(**changed):
        torch.save(whole | changed, path)
        return alod.ActiveLearner.load(path)

    rest = {name: value for name, value in whole["settings"].items() if name != "views"}
    assert load(settings=rest).query(9).tolist() == asked
    refused = {
        "setting 'later', unknown to this version of alod; upgrade": {
            "settings": whole["settings"] | {"later": 1}
        },
        "does not fit its model": {"state": whole["state"] | {"model": {}}},
    }
    for told, changed in refused.items():
        with pytest.raises(AlodError, match=told) as refusal:
            load(**changed)
        assert "\n" not in str(refusal.value)
    del whole["fingerprint"]
    with pytest.raises(AlodError, match=r"no saved learner .*fingerprint"):
        load()


def mine(view, k, rng):
    return np.arange(k), np.zeros(k)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"strategy": "margin", "strategy_params": {"two_sided": True}},
        {"strategy": mine},
    ],
)
@pytest.mark.parametrize("way", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copied_learner_asks_the_same_and_shares_nothing(mini, given, way):
    learner = alod.ActiveLearner(mini.images[:200], 10, "lenet5", steps=3, device="cpu", **given)
    go(learner, mini, 30)
    copied = way(learner)
    assert np.array_equal(copied.query(9), learner.query(9))
    go(copied, mini, 9)
    assert len(copied.labeled) == 39
    assert len(learner.labeled) == 30


def test_what_pickle_cannot_keep_is_named_with_the_mend(mini):
    learner = alod.ActiveLearner(
        mini.images[:60], 10, "lenet5", lambda view, k, rng: mine(view, k, rng), device="cpu"
    )
    with pytest.raises(AlodError, match=r"^strategy: pickle cannot keep it .* save\(\)"):
        pickle.dumps(learner)
    assert np.array_equal(copy.deepcopy(learner).query(5), learner.query(5))


def test_refused_answers_change_nothing(learner, mini):
    asked = learner.query(10)
    state = learner.answers.copy()
    for indices, labels in [
        (asked, mini.targets[asked].numpy() + 10),
        (asked, np.full(10, -2)),
        (asked, mini.targets[asked][:9]),
        (asked, np.full(10, 1.0)),
        (np.append(asked[:9], asked[0]), mini.targets[asked]),
        (np.setdiff1d(np.arange(600), asked)[:10], mini.targets[asked]),
        (np.array([600]), np.array([1])),
        (np.array([0.5]), np.array([1])),
    ]:
        with pytest.raises(AlodError):
            learner.teach(indices, labels)
    assert np.array_equal(learner.answers, state)
    learner.teach(asked, mini.targets[asked])
    with pytest.raises(AlodError, match="not waiting for an answer"):
        learner.teach(asked, mini.targets[asked])


def test_order_of_calls_is_told(learner, mini):
    with pytest.raises(AlodError, match="teach\\(\\) the answers"):
        learner.fit()
    asked = learner.query(10)
    learner.teach(asked, mini.targets[asked])
    with pytest.raises(AlodError, match="call fit\\(\\)"):
        learner.query(10)


def test_a_random_query_does_not_read_the_pool(mini, monkeypatch):
    def oracle(indices):
        return mini.targets[indices].numpy()

    learner = alod.ActiveLearner(mini.images, 10, "lenet5", "random", steps=5)
    learner.step(20, oracle)
    with monkeypatch.context() as patched:
        patched.setattr(alod.training, "infer", lambda *_: pytest.fail("read"))
        asked = learner.query(10)
    assert learner.seconds["infer"] == 0
    again = alod.ActiveLearner(mini.images, 10, "lenet5", alod.strategies.random, steps=5)
    again.step(20, oracle)
    again.outputs()  # what was read before changes nothing
    assert again.query(10).tolist() == asked.tolist()


def test_views_change_predictions_and_no_question(mini):
    oracle = lambda indices: mini.targets[indices].numpy()  # noqa: E731
    plain, views = (
        alod.ActiveLearner(mini.images, 10, "lenet5", augment="digits", steps=20, views=n)
        for n in (0, 8)
    )
    for learner in (plain, views):
        learner.step(20, oracle)
    assert plain.query(10).tolist() == views.query(10).tolist()
    shares = views.predict_proba(mini.images)
    expected = alod.training.infer_views(plain.model, mini.images, "digits", 8).numpy()
    np.testing.assert_allclose(shares, expected, rtol=1e-4, atol=1e-6)
    assert (views.predict(mini.images) == shares.argmax(1)).all()
    assert (views.predict(mini.images) != plain.predict(mini.images)).any()


def test_a_round_takes_at_least_min_epochs_over_its_labels(mini, monkeypatch):
    oracle = lambda indices: mini.targets[indices].numpy()  # noqa: E731
    taken = []
    monkeypatch.setattr(
        alod.training, "fit", lambda model, images, targets, *, steps, **_: taken.append(steps)
    )
    settings = {"steps": 5, "batch_size": 10, "min_epochs": 2, "inlier_passes": 1}
    learner = alod.ActiveLearner(mini.images, 10, "lenet5", "random", **settings)
    for k in (20, 30):
        learner.step(k, oracle)
    assert taken == [5, 5, 10, 10]  # two passes over 20 are fewer steps than 5, over 50 more


def test_inliers_are_learned_with_their_predicted_class_and_cost_no_label(mini):
    oracle = lambda indices: mini.targets[indices].numpy()  # noqa: E731
    plain, more = (
        alod.ActiveLearner(
            mini.images[:3000], 10, "lenet5", augment="digits", steps=150, inlier_passes=passes
        )
        for passes in (0, 2)
    )
    for learner in (plain, more):
        learner.step(60, oracle)
    assert plain.labeled.tolist() == more.labeled.tolist() and len(plain.learned_inliers[0]) == 0
    found = more.learned_inliers
    assert len(np.intersect1d(found.indices, more.labeled)) == 0
    assert np.isin(found.indices, more.pool).all() and len(found.indices) > 200
    # They were surer than the rest when they were learned, and the classifier now knows them.
    right = found.targets == mini.targets[found.indices].numpy()
    accuracy = [(ln.predict(mini.images) == mini.targets.numpy()).mean() for ln in (plain, more)]
    assert right.mean() > accuracy[0]
    assert (more.predict(mini.images[found.indices]) == found.targets).mean() > 0.97
    assert accuracy[1] > accuracy[0]


def test_a_learner_with_inliers_goes_on_as_if_never_stopped(mini, tmp_path):
    oracle = lambda indices: mini.targets[indices].numpy()  # noqa: E731
    settings = {"model": "lenet5", "steps": 30, "inlier_passes": 1}
    learner = alod.ActiveLearner(mini.images, 10, **settings)
    learner.step(30, oracle)
    learner.save(tmp_path / "learner.pt")
    again = alod.ActiveLearner.load(tmp_path / "learner.pt")
    for each in (again, learner):
        each.step(10, oracle)
    assert again.labeled.tolist() == learner.labeled.tolist()
    assert np.array_equal(again.embed(mini.images[:50]), learner.embed(mini.images[:50]))


def test_errors_of_inliers_are_not_passed_on_to_the_next_round(mini):
    oracle = lambda indices: mini.targets[indices].numpy()  # noqa: E731
    # Asked at random, both buy the same labels.
    plain, more = (
        alod.ActiveLearner(
            mini.images, 10, "lenet5", "random", steps=20, inlier_passes=passes, device="cpu"
        )
        for passes in (0, 1)
    )
    for learner in (plain, more):
        learner.step(30, oracle)
        learner.step(10, oracle)
    assert len(more.learned_inliers.indices)
    for name, weights in plain.model.state_dict().items():
        assert torch.equal(more.state_dict()["taught"][name], weights)


def test_inliers_hold_no_foreign_image_and_refuse_a_bad_share(mini):
    learner = alod.ActiveLearner(mini.images, 10, "lenet5", steps=60)
    noise = np.arange(500, 560)
    learner.images = mini.images.clone()
    learner.images[noise] = torch.randint(0, 256, (60, 1, 28, 28), dtype=torch.uint8)
    asked = np.concatenate([np.arange(60), noise[:20]])
    labels = np.concatenate([mini.targets[:60].numpy(), np.full(20, -1)])
    learner.teach(asked, labels, unasked=True)
    learner.fit()
    assert not np.isin(learner.inliers(1.0).indices, noise).any()
    with pytest.raises(AlodError, match="share of the pool"):
        learner.inliers(0.0)


def test_a_module_of_the_users_is_not_trained_and_serves_two_learners(mini):
    torch.manual_seed(0)
    module = alod.models.LeNet5(n_classes=10)
    before = [weights.clone() for weights in module.parameters()]
    asked = []
    for _ in range(2):
        learner = alod.ActiveLearner(mini.images, 10, module, steps=5)
        go(learner, mini, 30)
        asked.append(learner.query(20).tolist())
    assert asked[0] == asked[1]
    for old, new in zip(before, module.parameters(), strict=True):
        assert torch.equal(old, new)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "embed"])
def test_images_unlike_the_pool_are_refused_not_misread(learner, mini, method):
    images = mini.images[:5].numpy()
    call = getattr(learner, method)
    np.testing.assert_array_equal(call(images[:, 0]), call(images))  # (N, H, W)
    np.testing.assert_array_equal(call(images / 255), call(images))
    for wrong, message in (
        (images.astype(np.int64), "expected uint8"),
        (images.astype(float), "expected from 0 to 1"),
        (np.full((1, 1, 28, 28), np.nan), "NaN"),
        (np.repeat(images, 3, axis=1), r"expected \(1, 28, 28\)"),
        (images[..., :20], r"expected \(1, 28, 28\)"),
    ):
        with pytest.raises(AlodError, match=message):
            call(wrong)


@pytest.mark.parametrize("shape", [(9, 28, 28), (9, 28, 28, 3)])
def test_a_memory_mapped_pool_that_would_be_misread_is_refused(shape, tmp_path):
    for dtype in (np.uint8, np.float32):
        np.save(tmp_path / "pool.npy", np.zeros(shape, dtype))
        with pytest.raises(AlodError, match=r"memory-mapped .* expected uint8 \(N, C, H, W\)"):
            alod.ActiveLearner(np.load(tmp_path / "pool.npy", mmap_mode="r"), 2)


def test_what_cannot_be_learned_is_refused_before_any_label_is_given(mini):
    with pytest.raises(AlodError, match=r"LeNet5.* shape \(1, 8, 8\)"):
        alod.ActiveLearner(np.zeros((9, 8, 8), np.uint8), 2, "lenet5")
    for rate in (-1, 0, 2, "3e-3"):
        with pytest.raises(AlodError, match="learning_rate"):
            alod.ActiveLearner(mini.images, 10, learning_rate=rate)


def test_a_pool_of_one_image_can_be_asked():
    learner = alod.ActiveLearner(np.zeros((1, 28, 28), np.uint8), 2, "lenet5")
    assert learner.query(1).tolist() == [0]


def test_parameters_that_no_file_can_hold_are_refused_before_one_is_written(mini, tmp_path):
    given = {"detector": alod.outliers.make("lof")}
    learner = alod.ActiveLearner(mini.images, 10, "lenet5", strategy_params=given)
    with pytest.raises(AlodError, match="a detector's name"):
        learner.save(tmp_path / "learner.pt")
    assert not list(tmp_path.iterdir())
    learner = alod.ActiveLearner(
        mini.images, 10, "lenet5", strategy_params={"focus": np.float64(4)}
    )
    learner.save(tmp_path / "learner.pt")
    assert len(alod.ActiveLearner.load(tmp_path / "learner.pt").pool) == len(mini.images)


def asked_and_predicted(images, targets, seed=0, strategy="outlier"):
    learner = alod.ActiveLearner(
        images, 10, "lenet5", strategy, steps=10, augment="digits", seed=seed, device="cpu"
    )
    for _ in range(2):
        asked = learner.query(20)
        learner.teach(asked, targets[asked].numpy())
        learner.fit()
    return learner.query(5).tolist(), learner.predict(images).tolist()


def test_threads_get_the_answers_that_each_would_get_alone(mini):
    images, targets = mini.images[:200], mini.targets[:200]
    alone = [asked_and_predicted(images, targets, seed, "bald") for seed in range(3)]
    with ThreadPoolExecutor(3) as threads:
        jobs = [threads.submit(asked_and_predicted, images, targets, s, "bald") for s in range(3)]
    assert [job.result() for job in jobs] == alone


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize(
    "around",
    [
        torch.no_grad,
        torch.inference_mode,
        lambda: default_dtype(torch.float64),
        lambda: default_dtype(torch.bfloat16),
        lambda: torch.device("meta"),
        lambda: torch.autocast("cpu", torch.bfloat16),
        lambda: sklearn.config_context(transform_output="pandas"),
        lambda: np.errstate(all="raise"),
    ],
    ids=["no_grad", "inference_mode", "float64", "bfloat16", "device", "autocast", "pandas", "np"],
)
def test_answers_do_not_depend_on_what_a_caller_has_set(mini, around):
    images, targets = mini.images[:200], mini.targets[:200]
    expected = asked_and_predicted(images, targets)
    with around():
        dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
        assert asked_and_predicted(images, targets) == expected
        assert (torch.get_default_dtype(), torch.is_grad_enabled()) == (dtype, grad)


class Own(nn.Module):
    """A user's module, whose outputs a function may spoil."""

    def __init__(self, spoil=lambda embedding, logits: (embedding, logits), last=None):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(784, 6))
        self.head = last or nn.Linear(6, 10)
        self.spoil = spoil

    def forward(self, images):
        embedding = self.body(images)
        return self.spoil(embedding, self.head(embedding))


class KeepsElsewhere(Own):
    """Its hook writes into the one dict that it was made with, which no copy has."""

    def __init__(self):
        super().__init__()
        self.kept = kept = {}
        self.body.register_forward_hook(lambda module, given, found: kept.update(e=found))

    def forward(self, images):
        logits = self.head(self.body(images))
        return self.kept["e"], logits


def ran_once(model):
    model(torch.zeros(3, 1, 28, 28))
    return model


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Own().requires_grad_(False), "no parameter to train"),
        (Own(last=nn.LazyLinear(10)), "lazy"),
        (Own(lambda e, z: (e, z.softmax(1))), "probabilities"),
        (Own(lambda e, z: [e, z]), "expected .embedding"),
        (Own().half(), "float32 images"),
        (Own().double(), "float32 images"),
        (KeepsElsewhere(), "KeyError"),
        (ran_once(KeepsElsewhere()), "for 2 images"),
    ],
)
def test_a_module_that_cannot_learn_is_refused_when_the_learner_is_made(mini, model, reason):
    with pytest.raises(AlodError, match=reason) as refusal:
        alod.ActiveLearner(mini.images, 10, model, device="cpu")
    assert "\n" not in str(refusal.value)


class KeepsActivation(Own):
    """Keeps an activation, as one does for a picture of it."""

    def forward(self, images):
        self.kept = self.body(images)
        return self.kept, self.head(self.kept)


class KeepsByHook(Own):
    def __init__(self):
        super().__init__()
        self.body.register_forward_hook(self.keep)

    def keep(self, module, given, found):
        self.kept = found

    def forward(self, images):
        logits = self.head(self.body(images))
        return self.kept, logits


@pytest.mark.parametrize("kind", [KeepsActivation, KeepsByHook])
def test_modules_may_keep_an_activation(mini, kind):
    learner = alod.ActiveLearner(mini.images, 10, ran_once(kind()), steps=3, device="cpu")
    for _ in range(2):
        asked = learner.query(10)
        learner.teach(asked, mini.targets[asked].numpy())
        learner.fit()
    assert learner.fit_without(asked) is not learner.model
    assert learner.predict(mini.images[:5]).shape == (5,)


def test_bald_without_dropout_is_refused_by_name(mini):
    learner = alod.ActiveLearner(mini.images, 10, Own(), "bald", steps=3, device="cpu")
    asked = learner.query(10)
    learner.teach(asked, mini.targets[asked].numpy())
    learner.fit()
    with pytest.raises(AlodError, match=r"'Own'.*all the same"):
        learner.query(5)


def test_sixteen_bits_are_predicted_as_in_the_pool(tmp_path, rng, precision):
    images = rng.integers(0, 4096, (20, 16, 16)).astype(np.uint16)
    with pytest.warns(UserWarning, match="scaled to 0 to 255"):
        learner = alod.ActiveLearner(images, 2, model="lenet5", steps=3)
    learner.teach(learner.query(6), np.arange(6) % 2)
    learner.fit()
    alone = np.concatenate([learner.predict_proba(images[i : i + 1]) for i in range(5)])
    # One image or twenty at a time: the last bits may differ.
    np.testing.assert_allclose(alone, learner.predict_proba(images)[:5], atol=precision)

    learner.save(tmp_path / "learner")
    with pytest.warns(UserWarning, match="scaled to 0 to 255"):
        loaded = alod.ActiveLearner.load(tmp_path / "learner", images)
    assert np.array_equal(loaded.predict(images), learner.predict(images))
    with pytest.raises(AlodError, match="16 bits"):
        alod.ActiveLearner.load(tmp_path / "learner").predict(images)


class Runaway(nn.Module):
    """Embeddings that overflow as soon as anything is learned."""

    def __init__(self):
        super().__init__()
        self.inside, self.head = nn.Linear(784, 8), nn.Linear(8, 10)

    def forward(self, images):
        embedding = torch.exp(200 * self.inside(255 * images.flatten(1)))
        return embedding, self.head(embedding)


@pytest.mark.parametrize("strategy", ["outlier", "margin", "kcenter", "badge"])
def test_training_that_ran_away_asks_for_nothing(mini, strategy):
    images = mini.images[:60]
    learner = alod.ActiveLearner(
        images, 10, Runaway(), strategy, steps=20, learning_rate=1.0, device="cpu"
    )
    learner.teach(np.arange(30), mini.targets[:30].numpy(), unasked=True)
    learner.fit()
    asks = (learner.query, 5), (learner.inliers, 0.5), (learner.predict, images[30:])
    for ask, given in (*asks, (learner.embed, images[30:])):
        with pytest.raises(AlodError, match=r"of 30 images .* training ran away.*learning_rate"):
            ask(given)
    assert len(learner.waiting) == 0


def tilted(images):
    """A distortion of one's own, by NumPy's and torch's generators."""
    return images.roll(int(np.random.randint(-2, 3)), 3) * torch.rand(1)  # noqa: NPY002


def test_a_learner_with_a_distortion_of_ones_own_is_saved_and_goes_on(mini, tmp_path):
    def made(augment):
        learner = alod.ActiveLearner(mini.images, 10, "lenet5", steps=5, augment=augment)
        first = learner.query(20)
        learner.teach(first, mini.targets[first])
        learner.fit()
        return learner

    learner, again, plain = made(tilted), made(tilted), made(None)
    same, other = (one.model.state_dict()["head.1.weight"] for one in (again, plain))
    weights = learner.model.state_dict()["head.1.weight"]
    assert torch.equal(weights, same) and not torch.equal(weights, other)
    learner.save(tmp_path / "learner.pt")
    with pytest.raises(AlodError, match=r"does not hold its augment; pass it to load\(\)"):
        alod.ActiveLearner.load(tmp_path / "learner.pt")
    loaded = alod.ActiveLearner.load(tmp_path / "learner.pt", augment=tilted)
    for one in (learner, loaded):
        one.teach(one.query(5), mini.targets[one.waiting])
        one.fit()
    assert torch.equal(
        learner.model.state_dict()["head.1.weight"], loaded.model.state_dict()["head.1.weight"]
    )
    plain.save(tmp_path / "plain.pt")
    assert alod.ActiveLearner.load(tmp_path / "plain.pt").recipe.augment is None


BAD_DISTORTIONS = {
    "of another size": (lambda images: images[:, :, 1:], r"made torch.float32 \(2, 1, 27, 28\)"),
    "of bytes": (lambda images: (255 * images).byte(), r"made torch.uint8 \(2, 1, 28, 28\)"),
    "normalized": (lambda images: images - 0.5, "from -0.5 to"),
    "NaN": (lambda images: images / 0, "from nan to nan"),
    "for one image": (lambda images: images @ torch.zeros(3, 3), "RuntimeError"),
    "nothing": (lambda images: None, "AttributeError"),
}


@pytest.mark.parametrize(("augment", "reason"), BAD_DISTORTIONS.values(), ids=BAD_DISTORTIONS)
def test_a_bad_distortion_of_ones_own_is_refused_before_any_label(mini, augment, reason):
    with pytest.raises(AlodError, match=rf"augment=<.*{reason}.*expected torch.float32 \(2, 1"):
        alod.ActiveLearner(mini.images, 10, "lenet5", augment=augment)


def test_a_distortion_of_ones_own_is_for_learners_and_has_no_views(mini):
    with pytest.raises(AlodError, match="views=3: expected an augment by name"):
        alod.ActiveLearner(mini.images, 10, "lenet5", augment=tilted, views=3)
    with pytest.raises(AlodError, match="unknown augment <function"):
        alod.ExperimentConfig(augment=tilted)


def test_a_frozen_body_stays_frozen_over_the_rounds(mini):
    learner = alod.ActiveLearner(mini.images, 10, "cnn", steps=5, body_rate=0)
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    for _ in range(2):
        learner.step(20, lambda indices: mini.targets[indices].numpy())
    after = learner.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head.2.weight", "head.2.bias"}
