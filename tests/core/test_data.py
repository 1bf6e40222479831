import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image
from torch.utils.data import TensorDataset
from torchvision.datasets import ImageFolder

import alod
from alod import ActiveLearner, AlodError, from_arrays, open_run

GREY = np.zeros((4, 8, 8), np.uint8)


@given(
    npst.arrays(np.uint8, npst.array_shapes(min_dims=4, max_dims=4, max_side=4)),
    st.sampled_from(["uint8", "float16", "float32", "float64", "torch", "torch float"]),
)
def test_images_come_through_unchanged_from_every_type(images, kind):
    if kind.startswith("float"):
        given_images = (images / 255).astype(kind)
    else:
        given_images = torch.from_numpy(images)
        if kind == "torch float":
            given_images = given_images / 255
        elif kind == "uint8":
            given_images = images

    data = from_arrays(given_images)

    np.testing.assert_array_equal(data.images.numpy(), images)
    assert data.images.dtype == torch.uint8
    assert data.targets.tolist() == [-1] * len(images)
    assert data.classes == ()
    assert data.test_images.shape == (0, *images.shape[1:])
    assert data.test_targets.shape == (0,)


@given(st.data())
def test_targets_come_through_unchanged_from_every_type(data):
    targets = data.draw(st.lists(st.integers(-1, 100), min_size=1, max_size=6))
    dtype = data.draw(st.sampled_from([np.int8, np.int32, np.int64, ">i2"]))
    images = np.zeros((len(targets), 2, 2), np.uint8)

    made = from_arrays(images, np.array(targets, dtype))

    assert made.targets.tolist() == targets
    assert made.targets.dtype == torch.int64
    assert len(made.classes) == max(targets) + 1


def test_test_images_and_class_names_are_kept():
    test = np.full((2, 8, 8), 7, np.uint8)

    data = from_arrays(
        GREY, [0, 1, -1, 0], test, torch.tensor([1, 2]), ["a", "b", "c", "d"], "mine"
    )

    assert data.images.shape == (4, 1, 8, 8)
    assert data.test_images.unique().tolist() == [7]
    assert data.test_targets.tolist() == [1, 2]
    assert data.classes == ("a", "b", "c", "d")
    assert data.name == "mine"


def test_memory_mapped_pool_stays_on_disk(tmp_path):
    np.save(tmp_path / "pool.npy", GREY)
    pool = np.load(tmp_path / "pool.npy", mmap_mode="c")

    data = from_arrays(pool)

    assert np.shares_memory(data.images.numpy(), pool)


def test_read_only_array_is_accepted_without_a_warning():
    images = GREY.copy()
    images.flags.writeable = False

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert from_arrays(images[:, ::-1]).images.shape == (4, 1, 8, 8)


FLOATS = np.zeros((4, 8, 8), np.float32)
REFUSED_ARRAYS = {
    "one image": ({"images": GREY[0]}, r"images have shape \(8, 8\)"),
    "five axes": ({"images": GREY[None, None]}, "images have shape"),
    "no array": ({"images": None}, "images have shape"),
    "ragged": ({"images": [[[0.0]], [[0.0, 1.0]]]}, "equal shapes"),
    "no image": ({"images": GREY[:0]}, "at least one"),
    "no pixel": ({"images": GREY[:, :0]}, "images have shape"),
    "channels last": ({"images": np.zeros((4, 8, 8, 3), np.uint8)}, "transpose"),
    "int64": ({"images": GREY.astype(np.int64)}, "images are int64"),
    "bool": ({"images": GREY.astype(bool)}, "images are bool"),
    "complex": ({"images": GREY.astype(complex)}, "images are complex"),
    "NaN": ({"images": np.where(np.eye(8), np.nan, FLOATS)}, "NaN"),
    "infinite": ({"images": np.where(np.eye(8), np.inf, FLOATS)}, "infinite"),
    "0 to 255": ({"images": FLOATS + 255}, "divide by 255"),
    "negative": ({"images": FLOATS - 0.5}, "from -0.5 to -0.5"),
    "too few targets": ({"targets": [0, 1]}, r"expected \(4,\)"),
    "one-hot": ({"targets": np.eye(4, dtype=int)}, r"expected \(4,\)"),
    "float targets": ({"targets": [0.0, 1.0, 1.0, 0.0]}, "targets are float64"),
    "bool targets": ({"targets": [True, False, True, True]}, "targets are bool"),
    "words": ({"targets": ["cat", "dog", "cat", "dog"]}, "return_inverse"),
    "below -1": ({"targets": [0, 1, -2, 0]}, "from -2 to 1"),
    "beyond int64": ({"targets": np.full(4, 2**64 - 1, np.uint64)}, "targets run"),
    "identifiers": ({"targets": [0, 10**9, 5, 7]}, "targets run to 1000000000"),
    "too few names": ({"targets": [0, 1, 2, 0], "classes": ["a", "b"]}, "expected 3 names"),
    "same names": ({"targets": [0, 1, 1, 0], "classes": ["a", "a"]}, "all different"),
    "a word for names": ({"targets": [0, 1, 1, 0], "classes": "ab"}, "a list of names"),
    "NaN for a target": ({"targets": [0, 1, float("nan"), 0]}, r"row 2 \(nan\).*-1"),
    "NA for a target": ({"targets": pd.Series([0, None, 1, 0], dtype="Int64")}, "row 1"),
    "None among words": ({"targets": ["cat", None, "cat", "dog"]}, r"row 1 \(None\)"),
    "NaN among words": ({"targets": pd.Series(["cat", "dog", "cat", np.nan])}, "row 3"),
    "NaN made text": ({"targets": np.array(["cat", np.nan, "cat", "dog"])}, "row 1"),
    "masked": ({"targets": np.ma.masked_equal([0, 1, 7, 0], 7)}, "masked"),
    "halves": ({"targets": [0.5, 1.0, 0.0, 1.0]}, "expected whole numbers counted from 0$"),
    "words and numbers": ({"targets": np.array(["cat", 3, 3, 3], object)}, "int and str"),
    "a class of missing labels": ({"targets": [0, 1, 2, 0], "classes": ["a", "b", "nan"]}, "-1"),
    "names alike": ({"targets": [0, 1, 1, 0], "classes": ["é", "e\u0301"]}, "all different"),
    "missing test target": (
        {"test_images": GREY, "test_targets": [0, 1, np.nan, 0]},
        "row 2.*: leave those rows",
    ),
    "numbers for names": ({"targets": [0, 1, 1, 0], "classes": [0, 1]}, "a list of names"),
    "no test targets": ({"test_images": GREY}, "test_images without test_targets"),
    "no test images": ({"test_targets": [0]}, "test_targets without test_images"),
    "other size": ({"test_images": GREY[:, :4], "test_targets": [0] * 4}, "test_images have shape"),
    "unknown test": ({"test_images": GREY, "test_targets": [0, -1, 0, 0]}, "every test target"),
    "unnamed test": (
        {"test_images": GREY, "test_targets": [0, 5, 0, 0], "classes": ["a"]},
        "test_targets run to 5",
    ),
}


class HuggingFace:
    """What a datasets.Dataset is known by."""

    def __init__(self):
        kinds = {name: type(name, (), {})() for name in ("ClassLabel", "Image")}
        self.features = {"label": kinds["ClassLabel"], "photo": kinds["Image"]}
        self.column_names = list(self.features)

    def __len__(self):
        return 2

    def __getitem__(self, name):
        return COLORED if name == "photo" else {}


COLORED = [Image.new("RGB", (20, 10 + i), (200, 10, 10)) for i in range(2)]
ELSEWHERE = {
    "path": ("photos/", r"use alod.from_folder\(folder\) or alod.open_run"),
    "paths": ([Path("a.png"), Path("b.png")], "images are paths"),
    "array of paths": (np.array(["a.png", "b.png"]), "images are paths"),
    "column of paths": (pd.Series(["a.png"], index=[7]), "images are paths"),
    "table of paths": (pd.DataFrame({"file": ["a.png"], "label": [0]}), "images are paths"),
    "PIL": (COLORED, "images are PIL images"),
    "PIL of one size": (COLORED[:1] * 2, "images are PIL images"),
    "Hugging Face": (HuggingFace(), r"a datasets.Dataset.* in images\['photo'\]"),
    "torch": (TensorDataset(torch.zeros(2, 3, 64, 64), torch.zeros(2)), "a torch Dataset"),
}


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_images_from_elsewhere_are_refused_with_the_call_that_takes_them(kind, tmp_path):
    images, reason = ELSEWHERE[kind]
    for take in (
        lambda: from_arrays(images),
        lambda: from_arrays(GREY, None, images, [0]),
        lambda: ActiveLearner(images, n_classes=2),
        lambda: open_run(tmp_path / "run", images, ["a", "b"]),
    ):
        if kind == "path" and take.__code__.co_names[0] == "open_run":
            continue  # which takes one
        with pytest.raises(AlodError, match=reason.replace("images", "(test_)?images")) as refusal:
            take()
        use = str(refusal.value).partition("; use ")[2]
        assert "\n" not in str(refusal.value) and not (tmp_path / "run").exists()
        if use.startswith(("numpy", "torch")):
            found = eval(
                use, {"numpy": np, "torch": torch, "images": images, "test_images": images}
            )
            assert from_arrays(found).images.shape == (2, 3, 64, 64)


def test_a_folder_of_torchvision_is_refused_with_its_root(tmp_path):
    (tmp_path / "cat").mkdir()
    COLORED[0].save(tmp_path / "cat" / "a.png")
    with pytest.raises(AlodError) as refusal:
        from_arrays(ImageFolder(tmp_path))
    call = str(refusal.value).partition("; use ")[2]
    assert eval(call, {"alod": alod}).classes == ("cat",)


def test_grey_images_of_pillow_of_one_size_are_taken():
    grey = [Image.new("L", (8, 6), value) for value in (3, 200)]
    assert from_arrays(grey).images[:, 0, 0, 0].tolist() == [3, 200]


@pytest.mark.parametrize(("given_arrays", "reason"), REFUSED_ARRAYS.values(), ids=REFUSED_ARRAYS)
def test_bad_arrays_are_refused_in_one_line(given_arrays, reason):
    with pytest.raises(AlodError, match=reason) as refusal:
        from_arrays(**{"images": GREY, **given_arrays})

    assert "\n" not in str(refusal.value)


def test_advice_for_targets_of_a_table_works():
    words = pd.Series(["cat", "dog", None, "dog"])
    with pytest.raises(AlodError, match=r"pandas\.Categorical\(targets\)\.codes"):
        from_arrays(GREY, words)
    assert from_arrays(GREY, pd.Categorical(words).codes).targets.tolist() == [0, 1, -1, 1]

    for targets in (words[[0, 1, 3, 3]], ["7", "3", "7", "3"], pd.Categorical(list("abab"))):
        with pytest.raises(AlodError, match=r"words\[1\].*for word in words\[0\]"):
            from_arrays(GREY, targets)
        found = np.unique(targets, return_inverse=True)
        data = from_arrays(GREY, found[1], classes=[str(word) for word in found[0]])
        assert [data.classes[t] for t in data.targets] == list(targets)


def test_targets_counted_from_one_are_told():
    with pytest.warns(UserWarning, match="class 0 has no image"):
        from_arrays(GREY, [1, 2, -1, 2])
