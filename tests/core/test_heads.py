"""Features in, indices out: a learner of a pool that is described already."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import alod
from alod import AlodError, encoders, strategies
from alod.answers import FOREIGN, UNLABELED

N_POOL = 500


@pytest.fixture(scope="module")
def features(mini):
    return encoders.features(mini.images, "random_conv").numpy()


@pytest.fixture(scope="module")
def targets(mini):
    return mini.targets.numpy()


def taught(features, targets, k=40, **settings):
    learner = alod.ActiveLearner(features, 10, **{"model": "linear", **settings})
    learner.step(k, lambda indices: targets[indices])
    return learner


@pytest.mark.parametrize("strategy", sorted(strategies.STRATEGIES.keys() - {"bald"}))
def test_every_strategy_asks_for_features_as_it_does_for_images(strategy, features, targets):
    learner = taught(features, targets, strategy=strategy, seed=1)
    again = taught(features, targets, strategy=strategy, seed=1)
    asked = learner.query(15)
    assert len(np.intersect1d(asked, learner.labeled)) == 0 and len(np.unique(asked)) == 15
    assert np.array_equal(asked, again.query(15))


def test_a_linear_head_is_logistic_regression_on_scaled_features(features, targets):
    learner = taught(features[:N_POOL], targets)
    centered = features - features[:N_POOL].mean(0)
    scaled = centered / np.sqrt((centered[:N_POOL] ** 2).sum(1).mean())
    by_hand = LogisticRegression(C=100.0, max_iter=1_000)
    by_hand.fit(scaled[learner.labeled], targets[learner.labeled])
    shares = by_hand.predict_proba(scaled[N_POOL:])
    ours = learner.predict_proba(features[N_POOL:])[:, by_hand.classes_]
    assert np.allclose(ours, shares, atol=1e-3)
    assert np.allclose(learner.embed(features[N_POOL:]), scaled[N_POOL:], atol=1e-5)


def test_more_labels_make_it_better(features, targets):
    learner = alod.ActiveLearner(features[:N_POOL], 10, model="linear")
    right = []
    for _ in range(4):
        learner.step(40, lambda indices: targets[indices])
        right.append((learner.predict(features[N_POOL:]) == targets[N_POOL:]).mean())
    assert right[0] > 0.3 and right[-1] > right[0]


@pytest.mark.parametrize(
    "model",
    [LogisticRegression(C=3.0), RandomForestClassifier(30, random_state=None), "mlp"],
    ids=["linear", "forest", "mlp"],
)
def test_any_classifier_of_scikit_learn_learns_and_the_users_own_is_left_alone(
    model, features, targets
):
    learner, again = (taught(features, targets, model=model) for _ in range(2))
    assert np.array_equal(learner.predict(features), again.predict(features))
    assert (learner.predict(features) == targets).mean() > 0.3
    assert not hasattr(model, "classes_")


def test_a_balanced_head_finds_more_of_a_rare_class():
    data = alod.load_dataset("mnist_mini")
    is_eight = (data.targets.numpy() == 8).astype(int)
    points = encoders.features(data.images).numpy()
    others, eights = (np.flatnonzero(is_eight == c) for c in (0, 1))
    pool = np.concatenate([others[:2000], eights[:40]])  # 1 in 50
    labeled = np.concatenate([np.arange(300), 2000 + np.arange(6)])
    found = {}
    own = LogisticRegression(C=100.0, max_iter=1_000, class_weight="balanced")
    for name, model in {"linear": "linear", "balanced": "balanced", "own": own}.items():
        learner = alod.ActiveLearner(points[pool], 2, model=model)
        learner.teach(labeled, is_eight[pool][labeled], unasked=True)
        learner.fit()
        found[name] = [
            (learner.predict(points[rows]) == 1).mean() for rows in (eights[40:], others[2000:])
        ]
    assert found["balanced"] == found["own"]
    assert found["balanced"][0] > found["linear"][0] + 0.1
    assert found["balanced"][1] < 0.05


def test_classes_without_a_label_are_as_good_as_out_of_the_question(features, targets):
    learner = alod.ActiveLearner(features, 10, model="linear")
    few = np.flatnonzero(targets == 3)[:4]
    learner.teach(few, targets[few], unasked=True)
    learner.fit()  # a single class: nothing to tell apart
    assert (learner.predict(features) == 3).all()
    assert learner.predict_proba(features)[:, 3] == pytest.approx(1)
    more = np.flatnonzero(targets == 5)[:4]
    learner.teach(more, targets[more], unasked=True)
    learner.fit()
    assert set(learner.predict(features)) == {3, 5}
    assert np.isfinite(learner.outputs()[1].numpy()).all()


def test_memory_mapped_features_give_the_same_questions(features, targets, tmp_path):
    np.save(tmp_path / "features.npy", features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    there, here = taught(mapped, targets), taught(features, targets)
    assert isinstance(there.images, np.memmap)
    assert np.array_equal(there.query(20), here.query(20))
    there.save(tmp_path / "learner.pt")
    again = alod.ActiveLearner.load(tmp_path / "learner.pt", images=mapped)
    assert np.array_equal(again.waiting, there.waiting)


@pytest.mark.parametrize("passes", [0, 2])
def test_a_saved_learner_of_features_goes_on_as_if_never_stopped(
    passes, features, targets, tmp_path
):
    learner = taught(features, targets, inlier_passes=passes)
    asked = learner.query(10)
    learner.teach(asked[:5], targets[asked[:5]])  # taught, and not learned when it is saved
    learner.save(tmp_path / "learner.pt")
    again = alod.ActiveLearner.load(tmp_path / "learner.pt")
    assert np.array_equal(again.answers, learner.answers)
    assert np.array_equal(again.predict(features), learner.predict(features))
    for each in (learner, again):
        each.teach(asked[5:], targets[asked[5:]])
        each.fit()
    assert np.array_equal(again.query(10), learner.query(10))


def test_foreign_images_are_asked_for_less_once_some_are_known(mini, features, targets):
    strange = np.random.default_rng(0).normal(features.mean(), 3 * features.std(), (200, 50))
    pool = np.concatenate([features, strange]).astype(np.float32)
    told = np.concatenate([targets, np.full(200, FOREIGN)])
    learner = taught(pool, told, 60)
    assert len(learner.foreign)
    later = learner.query(60)
    assert (told[later] == FOREIGN).mean() < len(learner.foreign) / 60


def test_choose_asks_what_a_learner_would_ask(features, targets):
    first = alod.choose(features, 30, seed=3)
    labels = np.full(len(features), alod.UNLABELED)
    labels[first] = targets[first]
    learner = taught(features, targets, 30, seed=3)
    assert np.array_equal(learner.labeled, np.sort(first))
    assert np.array_equal(alod.choose(features, 10, labels=labels, seed=3), learner.query(10))
    torches = torch.from_numpy(features), torch.from_numpy(labels)
    assert np.array_equal(
        alod.choose(torches[0], 10, labels=torches[1], seed=3),
        alod.choose(features, 10, labels=labels, seed=3),
    )


def with_nan(features):
    broken = features.copy()
    broken[7, 3] = np.nan
    return broken


BAD = {
    "nan": (lambda f, y: alod.choose(with_nan(f), 5), "NaN or infinite values, the first in row 7"),
    "words": (lambda f, y: alod.choose(f.astype(str), 5), r"expected floating point \(N, D\)"),
    "labels": (lambda f, y: alod.choose(f, 5, labels=y[:9]), r"expected whole numbers, \(600,\)"),
    "shares": (lambda f, y: alod.choose(f, 5, labels=y / 2), "expected whole numbers"),
    "images": (
        lambda f, y: alod.ActiveLearner(np.zeros((9, 1, 16, 16)), 2, model="linear"),
        "'cnn'",
    ),
    "network": (lambda f, y: alod.ActiveLearner(f, 10), r"features \(N, D\): model='linear' does"),
    "augment": (lambda f, y: taught(f, y, augment="digits"), "features cannot be distorted"),
    "views": (lambda f, y: taught(f, y, views=4), "views=4: features cannot be distorted"),
    "bald": (lambda f, y: taught(f, y, strategy="bald").query(3), "no dropout; ask by margin"),
    "width": (lambda f, y: taught(f, y).predict(f[:, :9]), "width 9: expected 50, as in the pool"),
    "model": (lambda f, y: taught(f, y, model="svm"), "unknown model 'svm'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_with_the_mend(case, features, targets):
    call, told = BAD[case]
    with pytest.raises(AlodError, match=told) as refused:
        call(features, targets)
    assert "\n" not in str(refused.value)


def test_unlabeled_is_the_code_of_the_ledger():
    assert alod.UNLABELED == UNLABELED == -2
