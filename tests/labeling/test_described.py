"""Labeling runs of features: photographs through an encoder, or features of one's own."""

import numpy as np
import pytest
import torch
from PIL import Image

import alod
from alod import AlodError, encoders
from alod.data import pretrained
from alod.labeling import described

CLASSES = ["red", "green", "blue"]


def color(batch):
    """Describe an image by the mean of each third of its columns."""
    return torch.stack([part.mean((2, 3)) for part in batch.tensor_split(3, dim=3)], 1).flatten(1)


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    for i in range(60):
        levels = rng.integers(0, 120, (90, 120, 3))
        levels[..., i % 3] += 120
        path = folder / CLASSES[i % 3] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels.astype(np.uint8)).save(path)
    return folder


def truth(run):
    return np.array([CLASSES.index(name.split("/")[0]) for name in run.files])


def taught(run, k=12):
    asked = run.query(k)
    run.teach(asked, truth(run)[asked])
    run.fit()
    return run


def test_photographs_are_learned_by_their_features_and_the_run_goes_on(photos, tmp_path):
    run = taught(alod.open_run(tmp_path / "run", photos, CLASSES, encoder=color))
    assert run.learner.images.shape == (60, 9)
    assert (run.predicted()["label"] == np.array(CLASSES)[truth(run)]).mean() > 0.9
    again = alod.open_run(tmp_path / "run", encoder=color)
    assert again.up_to_date and np.array_equal(again.predicted(), run.predicted())
    assert np.array_equal(again.query(5), run.query(5))
    with pytest.raises(AlodError, match=r"encoder of your own; open it in Python"):
        alod.open_run(tmp_path / "run")


def test_new_photographs_are_encoded_alone_and_answers_are_kept(photos, tmp_path, recwarn):
    run = taught(alod.open_run(tmp_path / "run", photos, CLASSES, encoder=color))
    kept = {run.files[i]: run.answers[i] for i in run.labeled}
    Image.new("RGB", (90, 90), "red").save(photos / "red" / "000.png")
    seen = []
    again = alod.open_run(
        tmp_path / "run", encoder=lambda batch: seen.append(len(batch)) or color(batch)
    )
    # One image of noise tells whether it is the encoder of before.
    assert seen == [1, 1] and len(again.files) == 61
    assert {again.files[i]: again.answers[i] for i in again.labeled} == kept


def test_features_of_ones_own_make_a_run_of_named_files(tmp_path):
    rng = np.random.default_rng(0)
    targets = np.arange(40) % 2
    features = rng.normal(size=(40, 6)) + 3 * targets[:, None]
    files = [f"far, away/{i}.jpg" for i in range(40)]
    run = alod.open_run(tmp_path / "run", features, ["a", "b"], files=files)
    asked = run.query(10)
    run.teach(asked, targets[asked])
    run.fit()
    assert (run.learner.predict(features) == targets).mean() > 0.9
    assert run.picture(0).startswith(b"\x89PNG")  # a tile: no such file is here
    again = alod.open_run(tmp_path / "run")
    assert again.files == tuple(files) and again.up_to_date
    assert np.array_equal(again.query(5), run.query(5))
    again = alod.open_run(tmp_path / "run", features, files=files)
    assert len(again.labeled) == 10


def test_a_run_of_scikit_learns_classifier_is_given_it_each_time(tmp_path):
    from sklearn.neighbors import KNeighborsClassifier

    features, model = np.random.default_rng(0).normal(size=(30, 4)), KNeighborsClassifier(1)
    run = alod.open_run(tmp_path / "run", features, ["a", "b"], model=model)
    run.teach(run.query(6), [0, 1] * 3)
    run.fit()
    again = alod.open_run(tmp_path / "run", model=model)
    assert np.array_equal(again.predicted(), run.predicted())


@pytest.mark.parametrize("installed", [True, False])
def test_what_photographs_are_described_by_is_said(installed, photos, monkeypatch):
    monkeypatch.setattr(pretrained, "is_installed", lambda: installed)
    encoder, told = described.best_encoder(photos)
    assert encoder == ("efficientnet_lite0" if installed else "none")
    assert ("encoder='none'" if installed else "alod[pretrained]") in told


@pytest.mark.parametrize(("side", "mode"), [(90, "L"), (63, "L"), (90, "1"), (63, "RGB")])
def test_photographs_may_be_grey_but_not_small_or_of_two_levels(
    side, mode, tmp_path, mini, monkeypatch
):
    monkeypatch.setattr(pretrained, "is_installed", lambda: True)
    for i in range(3):
        image = Image.fromarray(mini.images[i, 0].numpy()).resize((side, side)).convert(mode)
        image.save(tmp_path / f"{i}.png")
    described_by = "efficientnet_lite0" if (side, mode) == (90, "L") else "none"
    assert described.best_encoder(tmp_path)[0] == described_by
    assert described.best_encoder(mini.images) == ("none", "")


def test_a_folder_is_encoded_to_a_file_that_numpy_and_a_run_take(photos, tmp_path):
    out = tmp_path / "photos.npy"
    pool = described.encode_folder(photos, color, out, "cpu")
    features, files = np.load(out), out.with_suffix(".txt").read_text().splitlines()
    assert features.shape == (60, 9) and files == list(pool.files)
    assert [p.name for p in tmp_path.glob(".*")] == []
    run = alod.open_run(tmp_path / "run", np.load(out, mmap_mode="r"), CLASSES, files=files)
    assert run.files == tuple(files)


FEATURES = np.random.default_rng(0).normal(size=(9, 4))
BAD = {
    "length": ({"images": FEATURES, "files": ["a"]}, "files: 1 names for 9 features"),
    "twice": ({"images": FEATURES, "files": ["a"] * 9}, "'a' is given twice"),
    "break": ({"images": FEATURES, "files": ["a\nb", *map(str, range(8))]}, "line break"),
    "nan": ({"images": FEATURES * np.nan}, "NaN or infinite values, the first in row 0"),
    "network": ({"images": FEATURES, "model": "cnn"}, "does not learn from features"),
    "images": ({"images": np.zeros((9, 16, 16), np.uint8), "files": ["a"]}, "files: are named by"),
    "no head": (
        {"images": np.zeros((9, 16, 16), np.uint8), "encoder": "pixels", "model": "cnn"},
        "encoder='pixels': model='cnn' learns from images; give model='linear'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_and_leaves_no_run(case, tmp_path):
    given, told = BAD[case]
    with pytest.raises(AlodError, match=told) as refused:
        alod.open_run(tmp_path / "run", classes=["a", "b"], **given)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize("settings", [{"encoder": color}, {"model": "lenet5", "steps": 5}])
def test_photographs_that_the_run_never_saw_are_classified(settings, photos, tmp_path):
    run = taught(alod.open_run(tmp_path / "run", photos, CLASSES, **settings), 40)
    table = run.predict_folder(photos, probabilities=True)
    mine = run.predicted(probabilities=True)
    assert list(table) == ["file", "label", "confidence", "p_red", "p_green", "p_blue"]
    assert np.allclose(table["p_red"], mine["p_red"], atol=0.02)
    assert table["file"].tolist() == list(run.files)


def test_a_grey_photograph_among_new_ones_of_a_color_run(photos, tmp_path):
    run = taught(alod.open_run(tmp_path / "run", photos, CLASSES, model="lenet5", steps=5))
    Image.new("L", (40, 40), 99).save(tmp_path / "grey.png")
    (tmp_path / "new").mkdir()
    (tmp_path / "grey.png").rename(tmp_path / "new" / "grey.png")
    (tmp_path / "new" / "no.png").write_text("no image")
    with pytest.warns(UserWarning, match=r"left out 1 of 2 .*no\.png"):
        assert run.predict_folder(tmp_path / "new")["file"].tolist() == ["grey.png"]


def test_images_given_as_arrays_are_described_as_the_runs_are(photos, tmp_path):
    run = taught(alod.open_run(tmp_path / "run", photos, CLASSES, encoder=color))
    whole = np.stack([np.asarray(Image.open(photos / name)) for name in run.files])
    shares = run.predict_proba(whole.transpose(0, 3, 1, 2))
    assert (shares.argmax(1) == truth(run)).mean() > 0.9


def test_a_head_on_images_without_an_encoder_says_what_describes_them(mini, tmp_path, monkeypatch):
    monkeypatch.setattr(encoders, "STEPS", 1)
    with pytest.warns(UserWarning, match="model='linear' learns from features: by encoder='self_"):
        run = alod.open_run(tmp_path / "run", mini.images[:40], ["a", "b"], model="linear")
    assert run.settings.encoder == "self_supervised" and run.learner.images.ndim == 2
