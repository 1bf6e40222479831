import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from alod import AlodError, encoders, initial
from alod._settled import seeded


@pytest.fixture(scope="module")
def points():
    return np.random.default_rng(1).normal(size=(300, 5)) * [5, 3, 1, 1, 1]


def test_features_are_principal_components(mini):
    flat = mini.images.flatten(1).numpy() / 255
    expected = PCA(50, svd_solver="full").fit_transform(flat)
    ours = encoders.features(mini.images).numpy()
    # A component's sign is arbitrary.
    np.testing.assert_allclose(np.abs(ours), np.abs(expected), atol=2e-3)


@pytest.fixture
def short_training(monkeypatch):
    monkeypatch.setattr(encoders, "STEPS", 5)
    monkeypatch.setattr(encoders, "_described", {})


@pytest.mark.parametrize("kind", encoders.FEATURES)
def test_every_kind_of_features_is_the_same_for_the_same_seed(kind, mini, short_training):
    images = mini.images[:200]
    first = encoders.features(images, kind, seed=1)
    assert first.shape == (200, 50) and first.dtype == torch.float32
    encoders._described.clear()
    assert torch.equal(first, encoders.features(images.clone(), kind, seed=1))
    other = encoders.features(images, kind, seed=2)
    assert torch.equal(first, other) == (kind == "pixels")


def test_features_are_computed_once_for_the_same_pool_and_anew_for_another(mini):
    first = encoders.features(mini.images[:60])
    assert encoders.features(mini.images[:60].clone()) is first
    changed = mini.images[:60].clone()
    changed[7, 0, 3, 3] ^= 255
    assert not torch.equal(first, encoders.features(changed))
    for start in range(10):
        encoders.features(mini.images[start : start + 20])
    assert len(encoders._described) <= encoders.KEPT


def test_self_supervised_features_take_large_color_images(short_training):
    images = torch.randint(0, 256, (12, 3, 40, 60), dtype=torch.uint8)
    assert encoders.features(images, "self_supervised").shape == (12, 11)


def test_unknown_features_are_refused(mini):
    with pytest.raises(AlodError, match="features"):
        encoders.features(mini.images, "labels")


def test_the_contrastive_loss_is_low_when_partners_agree_and_others_do_not():
    apart = torch.eye(8)[:4]
    agreed = encoders._contrastive_loss(torch.cat([apart, apart]))
    crossed = encoders._contrastive_loss(torch.cat([apart, apart.roll(1, 0)]))
    assert agreed < crossed
    # One partner at similarity 1 against six others at 0.
    expected = torch.log(1 + 6 * torch.exp(torch.tensor(-1 / encoders.TEMPERATURE)))
    assert agreed == pytest.approx(float(expected), rel=1e-5)


def test_the_encoder_learns_to_know_an_image_again(mini, monkeypatch):
    monkeypatch.setattr(encoders, "VIEWED", 64)

    def loss_after(steps):
        monkeypatch.setattr(encoders, "STEPS", steps)
        trained = encoders._train(mini.images, torch.device("cpu"), 0, encoders.STEPS)
        images = mini.images[:64].float() / 255
        with torch.no_grad(), seeded(1, torch.device("cpu")):
            views = torch.cat([encoders._view(images), encoders._view(images)])
            return float(encoders._contrastive_loss(trained.project(trained(views))))

    assert loss_after(60) < loss_after(2) - 0.3


def test_features_of_large_color_images_are_few():
    images = torch.randint(0, 256, (12, 3, 90, 120), dtype=torch.uint8)
    assert encoders.features(images).shape == (12, 11)


@pytest.mark.parametrize("method", initial.METHODS)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 40), copies=st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_every_method_chooses_n_distinct_images(method, seed, n, copies):
    few = np.random.default_rng(seed).normal(size=(20, 3)).repeat(copies, axis=0)
    n = min(n, len(few))
    chosen = initial.select(few, n, method, np.random.default_rng(seed))
    assert chosen.dtype == np.int64
    assert len(set(chosen.tolist())) == n
    assert chosen.min() >= 0
    assert chosen.max() < len(few)


@pytest.mark.parametrize("method", initial.METHODS)
def test_same_seed_same_set(method, mini):
    sets = [initial.select(mini.images, 20, method, np.random.default_rng(4)) for _ in range(2)]
    assert np.array_equal(*sets)


@pytest.mark.parametrize("method", ["kmeans", "typiclust", "maxherding", "kcenter"])
def test_every_clump_is_found(method):
    centers = np.arange(6)[:, None] * [10.0, 3.0]
    clumps = (centers[:, None] + np.random.default_rng(0).normal(size=(6, 30, 2))).reshape(-1, 2)
    chosen = initial.select(clumps, 6, method)
    assert sorted(chosen // 30) == [0, 1, 2, 3, 4, 5]
