import numpy as np
import pytest
import torch

import alod
from alod import AlodError
from alod.experiments import stress


def as_rows(images):
    return {image.tobytes() for image in images.numpy()}


@pytest.mark.parametrize("name", stress.NAMES)
def test_same_seed_same_pool_and_the_test_set_untouched(mini, name):
    one, same, other = (stress.make(mini, name, seed) for seed in (3, 3, 4))
    assert torch.equal(one.images, same.images)
    assert torch.equal(one.targets, same.targets)
    assert name == "clean" or not torch.equal(one.images, other.images)
    assert one.images.dtype == torch.uint8
    assert torch.equal(one.test_images, mini.test_images)


def test_duplicates_are_three_noisy_copies_each(mini):
    pool = stress.make(mini, "duplicates")
    third = len(mini.images) // 3
    copies = pool.images[: 3 * third].reshape(3, third, -1).float()
    assert torch.equal(pool.targets[:third], pool.targets[third : 2 * third])
    between = (copies[0] - copies[1]).abs().mean(1)
    others = (copies[0] - copies[0].roll(1, 0)).abs().mean(1)
    assert float(between.min()) > 0
    assert float(between.max()) < float(others.min())


def test_long_tail_is_one_to_fifty():
    counts = np.bincount(stress.make(alod.load_dataset("mnist_mini"), "long_tail").targets)
    assert counts.max() / counts.min() == pytest.approx(50, rel=0.05)
    steps = np.diff(np.log(np.sort(counts)))
    assert steps == pytest.approx(np.log(50) / 9, abs=0.1)


@pytest.mark.parametrize(("name", "percent"), [("foreign_5", 5), ("foreign_20", 20)])
def test_foreign_images_come_from_the_other_data_set(mini, name, percent):
    pool = stress.make(mini, name)
    strange = pool.targets == -1
    assert len(pool.images) == len(mini.images)
    assert int(strange.sum()) == len(mini.images) * percent // 100
    other = as_rows(alod.load_dataset("fashion_mnist_mini").images)
    assert as_rows(pool.images[strange]) <= other
    own = {i.tobytes(): int(t) for i, t in zip(mini.images.numpy(), mini.targets, strict=True)}
    kept = zip(pool.images[~strange].numpy(), pool.targets[~strange], strict=True)
    assert all(own[image.tobytes()] == int(target) for image, target in kept)


def test_broken_images_keep_their_ink_but_are_no_images_of_the_set(mini):
    pool = stress.make(mini, "foreign_hard_20")
    broken = pool.images[pool.targets == -1]
    assert len(broken) == len(mini.images) // 5
    # A handful of digits looks the same with its quadrants moved; none does here.
    assert not as_rows(broken) & as_rows(mini.images)
    ink = {tuple(np.sort(image.ravel())) for image in mini.images.numpy()}
    moved = sum(tuple(np.sort(image.ravel())) in ink for image in broken.numpy())
    assert moved == pytest.approx(len(broken) / 2, abs=2)


def test_more_images_are_shuffled_where_pairs_of_different_classes_are_too_few(mini):
    targets = np.arange(200) // 180  # 90:10
    own = alod.from_arrays(mini.images[:200], targets)
    pool = stress.make(own, "foreign_hard_20")
    broken = pool.images[pool.targets == -1]
    assert len(pool.images) == 200
    assert len(as_rows(broken) - as_rows(own.images)) == 40
    ink = {tuple(np.sort(image.ravel())) for image in own.images.numpy()}
    moved = sum(tuple(np.sort(image.ravel())) in ink for image in broken.numpy())
    assert 20 < moved < 40


def test_no_foreign_images_are_known_for_the_users_data(mini):
    own = alod.from_arrays(mini.images[:50], mini.targets[:50])
    with pytest.raises(AlodError, match="add your own with target -1"):
        stress.make(own, "foreign_20")


def test_a_run_pays_for_foreign_images_and_learns_nothing_from_them(tmp_path, mini):
    config = alod.ExperimentConfig(
        model="lenet5", strategy="random", pool="foreign_40", budgets=[20, 30, 60], steps=2
    )
    run = alod.run_experiment(config, tmp_path / "run", data=mini)
    pool = stress.make(mini, "foreign_40", config.seed)
    for row in run.history.itertuples():
        asked = np.concatenate([run.asked(r) for r in range(row.round + 1)])
        assert row.n_labeled == config.budgets[row.round] == len(asked)
        assert row.n_foreign == int((pool.targets[asked] == -1).sum()) > 0
    assert set(run.curve["pool"]) == {"foreign_40"}
