import dataclasses
import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from alod import AlodError, from_arrays, load_dataset
from alod.data import known
from alod.data.known import DATASETS, data_folder, inventory

RAW = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
RAW += ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(array):
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}i", *array.shape)
    return header + array.tobytes()


@pytest.fixture
def small(monkeypatch):
    """Two small sets in place of the full ones: their arrays; nothing is downloaded or packaged."""
    rng = np.random.default_rng(0)
    arrays = {}
    for name in ("mnist", "fashion_mnist"):
        arrays[name] = [
            rng.integers(0, 256, (12, 28, 28), np.uint8),
            rng.integers(0, 10, 12).astype(np.uint8),
            rng.integers(0, 256, (5, 28, 28), np.uint8),
            rng.integers(0, 10, 5).astype(np.uint8),
        ]
        md5 = tuple(hashlib.md5(idx(array)).hexdigest() for array in arrays[name])
        source = dataclasses.replace(known._SOURCES[name], md5=md5, packaged=())
        monkeypatch.setitem(known._SOURCES, name, source)

    def offline(*args, **kwargs):
        raise RuntimeError(
            "Error downloading train-images:\nTried a mirror, got:\nno route to host"
        )

    monkeypatch.setattr(torchvision.datasets, "MNIST", offline)
    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", offline)
    return arrays


def store(arrays, place, suffix=""):
    place.mkdir(parents=True)
    for file, array in zip(RAW, arrays, strict=True):
        content = gzip.compress(idx(array)) if suffix else idx(array)
        (place / f"{file}{suffix}").write_bytes(content)


def snapshot(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_holds(data, arrays):
    images, targets, test_images, test_targets = arrays
    np.testing.assert_array_equal(data.images.numpy()[:, 0], images)
    np.testing.assert_array_equal(data.targets.numpy(), targets)
    np.testing.assert_array_equal(data.test_images.numpy()[:, 0], test_images)
    np.testing.assert_array_equal(data.test_targets.numpy(), test_targets)
    assert data.images.dtype == data.test_images.dtype == torch.uint8
    assert data.targets.dtype == data.test_targets.dtype == torch.int64


# Mini sets


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("mnist_mini", "eafaae7873672d27f5d8d6cf466a624245de89d17033b6834f378e41571d90f8"),
        ("fashion_mnist_mini", "d856b76256f88bcaf0f3cf5358cc0e851d743002ce32ac7e7d6c61098cf97453"),
    ],
)
def test_mini_sets_are_stratified_and_never_change(name, digest):
    data = load_dataset(name)

    assert data.images.shape == (6000, 1, 28, 28)
    assert data.test_images.shape == (1000, 1, 28, 28)
    assert data.images.dtype == data.test_images.dtype == torch.uint8
    assert data.targets.dtype == data.test_targets.dtype == torch.int64
    assert torch.bincount(data.targets).tolist() == [600] * 10
    assert torch.bincount(data.test_targets).tolist() == [100] * 10
    assert len(set(data.classes)) == 10
    # Recorded results lean on these exact images in this exact order.
    content = hashlib.sha256()
    for tensor in (data.images, data.targets, data.test_images, data.test_targets):
        content.update(tensor.numpy().tobytes())
    assert content.hexdigest() == digest


@pytest.mark.parametrize("name", ["mnist_mini", "fashion_mnist_mini"])
def test_mini_sets_have_no_test_image_to_learn_from(name):
    data = load_dataset(name)

    train = {image.numpy().tobytes() for image in data.images}

    assert not any(image.numpy().tobytes() in train for image in data.test_images)


def test_augmentation_keeps_the_class_what_it_is():
    assert load_dataset("mnist_mini").augment == "digits"
    assert load_dataset("fashion_mnist_mini").augment == "clothing"
    assert from_arrays(np.zeros((1, 8, 8), np.uint8)).augment == "none"


def test_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(AlodError, match="did you mean 'mnist_mini'"):
        load_dataset("mnist-mini")


# Raw files


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(("name", "title"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_raw_files_are_read_from_alod_data(small, tmp_path, monkeypatch, name, title, suffix):
    store(small[name], tmp_path / title / "raw", suffix)
    monkeypatch.setenv("ALOD_DATA", str(tmp_path))

    assert_holds(load_dataset(name), small[name])


def test_folder_goes_before_alod_data_before_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda app: f"/cache/{app}")
    monkeypatch.delenv("ALOD_DATA", raising=False)
    assert data_folder() == Path("/cache/alod")

    monkeypatch.setenv("ALOD_DATA", "~/images")
    assert data_folder() == Path.home() / "images"
    assert data_folder(tmp_path) == tmp_path


def test_fashion_mnist_is_read_from_the_system_package(small, tmp_path, monkeypatch):
    packaged = tmp_path / "share" / "fashion-mnist"
    store(small["fashion_mnist"], packaged, ".gz")
    source = known._SOURCES["fashion_mnist"]
    replaced = dataclasses.replace(source, packaged=(packaged,))
    monkeypatch.setitem(known._SOURCES, "fashion_mnist", replaced)

    assert_holds(load_dataset("fashion_mnist", tmp_path / "own"), small["fashion_mnist"])

    # A damaged file of the user's own is not bypassed, though the package has a good one.
    own = tmp_path / "own" / "FashionMNIST" / "raw"
    own.mkdir(parents=True)
    (own / RAW[3]).write_bytes(b"half")
    with pytest.raises(AlodError, match=str(own / RAW[3])):
        load_dataset("fashion_mnist", tmp_path / "own")


@pytest.mark.parametrize(
    ("suffix", "spoil"),
    [
        ("", lambda content: content[:-1]),
        ("", lambda content: content[:-1] + bytes([content[-1] ^ 1])),
        ("", lambda content: b""),
        (".gz", lambda content: content[: len(content) // 2]),
        (".gz", lambda content: b"<html>404</html>"),
        (".gz", lambda content: gzip.compress(b"something else")),
    ],
    ids=["truncated", "one bit", "empty", "gz truncated", "gz no gzip", "gz other"],
)
@pytest.mark.parametrize("file", RAW)
def test_damaged_file_is_refused_by_name_and_left_alone(small, tmp_path, suffix, spoil, file):
    place = tmp_path / "MNIST" / "raw"
    store(small["mnist"], place, suffix)
    path = place / f"{file}{suffix}"
    path.write_bytes(spoil(path.read_bytes()))
    before = snapshot(tmp_path)

    with pytest.raises(AlodError) as refusal:
        load_dataset("mnist", tmp_path)

    assert str(path) in str(refusal.value)
    assert "delete it" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert snapshot(tmp_path) == before


def test_damaged_plain_file_is_not_bypassed_by_a_good_gz(small, tmp_path):
    place = tmp_path / "MNIST" / "raw"
    store(small["mnist"], place)
    (place / f"{RAW[0]}.gz").write_bytes(gzip.compress((place / RAW[0]).read_bytes()))
    (place / RAW[0]).write_bytes(b"half")

    with pytest.raises(AlodError, match=f"{RAW[0]} is damaged"):
        load_dataset("mnist", tmp_path)


def test_without_data_and_network_the_error_names_the_mends(small, tmp_path):
    with pytest.raises(AlodError) as refusal:
        load_dataset("mnist", tmp_path)

    message = str(refusal.value)
    assert str(tmp_path / "MNIST" / "raw") in message
    assert "no route to host" in message
    assert "ALOD_DATA" in message
    assert '"mnist_mini"' in message
    assert "\n" not in message
    assert snapshot(tmp_path) == {}


def test_data_folder_under_a_file_is_refused(small, tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(AlodError, match="Not a directory"):
        load_dataset("mnist", tmp_path / "file" / "data")


def fake_download(arrays, monkeypatch, interrupt_after=None):
    """Let torchvision's MNIST write its files, or only the first, the last of these by half."""

    def download(root, download):
        place = Path(root) / "MNIST" / "raw"
        place.mkdir(parents=True)
        for position, (file, array) in enumerate(zip(RAW, arrays, strict=True)):
            if position == interrupt_after:
                (place / file).write_bytes(idx(array)[:-3])
                raise KeyboardInterrupt
            (place / file).write_bytes(idx(array))

    monkeypatch.setattr(torchvision.datasets, "MNIST", download)


def test_download_fills_in_what_is_missing_and_replaces_nothing(small, tmp_path, monkeypatch):
    place = tmp_path / "MNIST" / "raw"
    store(small["mnist"], place)
    (place / RAW[2]).unlink()
    kept = (place / RAW[0]).stat()
    fake_download(small["mnist"], monkeypatch)

    assert_holds(load_dataset("mnist", tmp_path), small["mnist"])

    assert (place / RAW[0]).stat().st_ino == kept.st_ino
    assert sorted(path.name for path in snapshot(tmp_path)) == sorted(RAW)
    monkeypatch.setattr(torchvision.datasets, "MNIST", None)  # the second time it is there
    assert_holds(load_dataset("mnist", tmp_path), small["mnist"])


@pytest.mark.parametrize("interrupt_after", [0, 2])
def test_interrupted_download_leaves_no_file(small, tmp_path, monkeypatch, interrupt_after):
    fake_download(small["mnist"], monkeypatch, interrupt_after)

    with pytest.raises(KeyboardInterrupt):
        load_dataset("mnist", tmp_path)

    assert snapshot(tmp_path) == {}


def test_wrong_download_is_refused_and_not_kept(small, tmp_path, monkeypatch):
    fake_download(small["fashion_mnist"], monkeypatch)

    with pytest.raises(AlodError, match="downloading it failed"):
        load_dataset("mnist", tmp_path)

    assert snapshot(tmp_path) == {}


def test_inventory_tells_what_is_there_and_whole(small, tmp_path):
    store(small["mnist"], tmp_path / "MNIST" / "raw")

    rows = {row["name"]: row for row in inventory(tmp_path)}

    assert tuple(rows) == DATASETS
    states = {name: row["state"] for name, row in rows.items()}
    assert states == {
        "mnist": "verified",
        "fashion_mnist": "missing",
        "mnist_mini": "embedded",
        "fashion_mnist_mini": "embedded",
    }
    assert rows["mnist"]["where"] == tmp_path / "MNIST" / "raw"
    assert rows["mnist"]["megabytes"] > 0 and rows["mnist_mini"]["megabytes"] > 1
    assert rows["fashion_mnist"]["megabytes"] == 0

    spoiled = tmp_path / "MNIST" / "raw" / RAW[1]
    spoiled.write_bytes(b"half")
    row = inventory(tmp_path)[0]
    assert row["state"] == "refused"
    assert str(spoiled) in row["note"]
