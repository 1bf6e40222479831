"""The trial's data sets: what is known, what is strange, what is learned and what tested on."""

import importlib.util
import io
import pickle
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import alod
from alod import AlodError

ROOT = Path(__file__).parents[2]
HANDS = ("google", "facebook", "twitter")
CATEGORIES = ("Animals", "Food", "Objects", "People", "Smileys", "Symbols", "Travel")


@cache
def small(name):
    return alod.load_dataset(f"{name}_mini")


def module(name, path, monkeypatch):
    monkeypatch.syspath_prepend(path.parent)
    spec = importlib.util.spec_from_file_location(name, path)
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, made)
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def sets(monkeypatch, tmp_path):
    """The module, with small data sets in place of those that are downloaded."""
    monkeypatch.setenv("ALOD_DATA", str(tmp_path))
    made = module("sets", ROOT / "book/experiments/sets.py", monkeypatch)
    monkeypatch.setattr(made, "_known", small)
    monkeypatch.setattr(made, "LARGEST", 1000)
    folder = tmp_path / "trial"
    folder.mkdir()
    rng = np.random.default_rng(0)
    # An image tells which it is: emoji by its first level, hand by its second.
    number, hand = (grid.ravel() for grid in np.meshgrid(np.arange(140), np.arange(3)))
    images = rng.integers(0, 256, (420, 3, 8, 8), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = number, hand
    categories = np.array(CATEGORIES)[number % 7]
    np.savez(
        folder / "emoji.npz",
        images=images,
        categories=categories,
        hands=np.array(HANDS)[hand],
        emoji=number.astype(str),
    )
    targets = np.repeat(np.arange(-1, 9), np.arange(40, 10, -3))
    images = rng.integers(0, 256, (len(targets), 3, 8, 8), np.uint8)
    np.savez(folder / "stamps.npz", images=images, targets=targets)
    return made


def rows(images):
    return {image.tobytes() for image in images.numpy()}


def classes_by_image(data):
    """Name the class of each image of a whole data set."""
    images, targets = (data.images, data.test_images), (data.targets, data.test_targets)
    return {
        image.tobytes(): data.classes[c]
        for some, of in zip(images, targets, strict=True)
        for image, c in zip(some.numpy(), of, strict=True)
    }


@pytest.mark.parametrize("n", [2, 3, 4, 6])
@pytest.mark.parametrize("name", ["mnist", "emoji"])
def test_of_a_split_some_classes_are_known_and_all_others_strange(name, n, sets):
    whole = alod.load_dataset("sets:emoji") if name == "emoji" else small(name)
    truth, drawn = classes_by_image(whole), set()
    for split in range(3):
        data = alod.load_dataset(f"sets:{name}_known_{n}_split_{split}")
        assert len(data.classes) == n and set(data.classes) < set(whole.classes)
        assert set(data.targets.tolist()) == set(range(-1, n))
        assert set(data.test_targets.tolist()) == set(range(n))
        for image, target in zip(data.images.numpy(), data.targets, strict=True):
            known = truth[image.tobytes()]
            assert (data.classes[target] == known) if target >= 0 else known not in data.classes
        for image, target in zip(data.test_images.numpy(), data.test_targets, strict=True):
            assert data.classes[target] == truth[image.tobytes()]
        assert len(data.images) == min(1000, len(whole.images))
        # All that the test set has of them.
        expected = [truth[image.tobytes()] in data.classes for image in whole.test_images.numpy()]
        assert len(data.test_images) == sum(expected)
        drawn.add(data.classes)
    assert len(drawn) > 1
    again = alod.load_dataset(f"sets:{name}_known_{n}_split_2")
    assert again.images.equal(data.images) and again.targets.equal(data.targets)


@pytest.mark.parametrize(("strange", "task"), [("mnist", "clothing"), ("clothing", "mnist")])
@pytest.mark.parametrize("percent", [20, 40, 60])
def test_mixes_hold_their_share_of_another_data_set(strange, task, percent, sets):
    data = alod.load_dataset(f"sets:{strange}_among_{task}_{percent}")
    names = {"mnist": "mnist", "clothing": "fashion_mnist"}
    own, other = (rows(small(names[name]).images) for name in (task, strange))
    foreign = (data.targets == -1).numpy()
    assert foreign.mean() == percent / 100
    assert rows(data.images[foreign]) <= other and rows(data.images[~foreign]) <= own
    assert len(data.test_images) == 1000
    assert foreign[:500].any() and not foreign[:500].all()  # mixed


def test_clothing_near_holds_four_classes_of_which_two_are_known(sets):
    data = alod.load_dataset("sets:clothing_near")
    truth = classes_by_image(small("fashion_mnist"))
    found = {
        (int(target), truth[image.tobytes()])
        for image, target in zip(data.images.numpy(), data.targets, strict=True)
    }
    assert found == {(0, "Shirt"), (1, "Coat"), (-1, "Pullover"), (-1, "Dress")}
    assert data.classes == ("Shirt", "Coat")


def test_emoji_are_tested_on_another_hand_or_on_other_emoji(sets):
    other, same = alod.load_dataset("sets:emoji"), alod.load_dataset("sets:emoji_same")

    def told(images):
        return set(images[:, 0, 0, 0].tolist()), set(images[:, 0, 0, 1].tolist())

    everything = set(range(140))
    assert told(other.images) == (everything, {0, 1}) and told(other.test_images)[1] == {2}
    learned, tested = told(same.images), told(same.test_images)
    assert learned[1] == tested[1] == {0, 1}
    assert not learned[0] & tested[0] and learned[0] | tested[0] == everything
    assert set(np.bincount(same.test_targets)) == {2 * 6}  # a third of 20, by two hands


@pytest.mark.parametrize("name", ["digits", "stamps", "stamps_with_cartoons"])
def test_a_third_of_each_class_is_held_out_and_always_the_same(name, sets):
    data, again = (alod.load_dataset(f"sets:{name}") for _ in range(2))
    assert data.images.equal(again.images) and data.test_images.equal(again.test_images)
    counts = np.bincount(data.targets[data.targets >= 0]), np.bincount(data.test_targets)
    assert (counts[1] == sum(counts) // 3).all()
    assert (data.targets == -1).sum() == (40 if name.endswith("cartoons") else 0)
    # scikit-learn's digits are all different.
    assert not rows(data.images) & rows(data.test_images)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("animals", "animals.npz: is not there; get it with python scripts/trial_data.py"),
        ("mnist_known_5_split_0", "no data set 'mnist_known_5_split_0'"),
        ("mnist_among_mnist_20", "no data set 'mnist_among_mnist_20'"),
    ],
)
def test_what_is_not_there_is_one_line(name, told, sets):
    with pytest.raises(AlodError, match=told) as refused:
        alod.load_dataset(f"sets:{name}")
    assert "\n" not in str(refused.value)


def test_a_pickle_of_arrays_is_read_and_any_other_runs_nothing(monkeypatch, tmp_path):
    script = module("trial_data", ROOT / "scripts/trial_data.py", monkeypatch)

    class Mischief:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    def read(thing):
        return script.ArraysOnly(io.BytesIO(pickle.dumps(thing, protocol=4))).load()

    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert np.array_equal(read(array), array)
    with pytest.raises(AlodError, match="expected arrays of numbers"):
        read(Mischief())
    assert not (tmp_path / "ran").exists()


def test_an_image_that_is_there_twice_is_taken_once(monkeypatch):
    script = module("trial_data", ROOT / "scripts/trial_data.py", monkeypatch)
    images = np.array([[1, 2], [3, 4], [1, 2], [5, 6]], np.uint8)
    once = script.each_once({"images": images, "targets": np.array([7, 8, 9, 7])})
    assert once["images"].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert once["targets"].tolist() == [7, 8, 7]
