"""What people answer is on disk before the call returns, and stays there whatever happens."""

import contextlib
import copy
import csv
import errno
import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
import warnings
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import alod
from alod import AlodError, cli
from alod.labeling.journal import Journal
from alod.outliers import KNN
from alod.view import Selection

SMALL = {"model": "lenet5", "steps": 3, "image_size": 16, "device": "cpu"}
COLORS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (50, 60, 210)}


def paint(folder, n=36, seed=0):
    """Photos of one color each, nested, of any size; returns the right label of each."""
    rng = np.random.default_rng(seed)
    truth = {}
    for i in range(n):
        label = list(COLORS)[i % 3]
        height, width = rng.integers(17, 60, 2)
        pixels = np.array(COLORS[label]) + rng.integers(-35, 35, (height, width, 3))
        name = f"day {i % 2}/{'deep/er/' if i % 5 == 0 else ''}{i:02d}.{'jpg' if i % 4 else 'PNG'}"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name)
        truth[name] = label
    return truth


@pytest.fixture(scope="session")
def painted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("painted")
    return folder, paint(folder)


@pytest.fixture
def photos(painted, tmp_path):
    folder, truth = painted
    shutil.copytree(folder, tmp_path / "photos")
    return tmp_path / "photos", truth


@pytest.fixture
def run(photos, tmp_path):
    return alod.open_run(tmp_path / "run", photos[0], list(COLORS), **SMALL)


def teach_right(run, truth, k):
    asked = run.query(k)
    run.teach(asked, np.array([run.classes.index(truth[run.files[i]]) for i in asked]))
    return asked


def stored(run_folder):
    """File to last answer, as anyone would read the table."""
    with (run_folder / "labels.csv").open() as file:
        return {row["file"]: row["answer"] for row in csv.DictReader(file)}


def again(folder, **given):
    return alod.open_run(folder, device="cpu", **given)


def test_nested_photos_of_any_size_become_one_pool(run, photos):
    assert set(run.files) == set(photos[1])
    assert run.images.shape == (36, 3, 16, 16)
    assert run.classes == ("red", "green", "blue")


def test_a_rare_class_is_asked_for_by_name(tmp_path):
    truth = paint(tmp_path / "more", 60)
    for name in [name for name, label in truth.items() if label == "red"][4:]:
        (tmp_path / "more" / name).unlink()
    out, folder = str(tmp_path / "run"), str(tmp_path / "more")
    run = alod.open_run(out, folder, list(COLORS), **{**SMALL, "steps": 40})
    with pytest.raises(AlodError, match="target='red': no image has that label yet; teach the"):
        run.query(3, "red")
    with pytest.raises(AlodError, match=r"unknown class 'rad'.*did you mean 'red'"):
        run.query(3, "rad")
    names = [next(n for n, label in truth.items() if label == color) for color in COLORS]
    run.teach(np.array([run.position[name] for name in names]), np.arange(3), unasked=True)
    run.fit()
    assert "red" in [truth[run.files[i]] for i in run.query(2, "red")]
    cli.main(["query", "--run", out, "-k", "3", "--target", "red", "--device", "cpu"])
    batch = (tmp_path / "run" / "batch.csv").read_text().splitlines()[1:]
    assert [truth[row.split(",")[0]] for row in batch].count("red") >= 2


def test_answers_are_on_disk_when_the_call_returns(run, photos):
    asked = run.query(4)
    run.teach(asked[:1], np.array([2]))
    assert stored(run.folder) == {run.files[asked[0]]: "blue"}
    run.teach(asked[1:2], np.array([-1]))
    run.skip(asked[2:3])
    run.skip(asked[3:], unclear=True)
    assert [stored(run.folder)[run.files[i]] for i in asked[1:]] == [
        "not one of these",
        "skip",
        "cannot tell",
    ]
    run.undo(asked[:1])
    assert stored(run.folder)[run.files[asked[0]]] == "undo"


def test_reopened_run_knows_every_answer_and_what_is_waiting(run, photos):
    asked = run.query(8)
    run.teach(asked[:3], np.array([0, 1, 2]))
    run.teach(asked[3:4], np.array([-1]))
    run.skip(asked[4:5])
    run.undo(asked[2:3])
    reopened = again(run.folder)
    assert np.array_equal(reopened.answers, run.answers)
    assert sorted(reopened.waiting) == sorted([asked[2], *asked[5:]])
    assert not set(reopened.pool) & set(asked[[0, 1, 3, 4]])


def test_reopened_run_goes_on_as_if_nothing_had_happened(run, photos):
    teach_right(run, photos[1], 9)
    run.fit()
    reopened = again(run.folder)
    assert reopened.up_to_date
    assert np.array_equal(reopened.query(5), run.query(5))
    assert reopened.history.equals(run.history)


def test_it_learns_what_people_say(photos, tmp_path):
    run = alod.open_run(tmp_path / "run", photos[0], list(COLORS), **{**SMALL, "steps": 60})
    teach_right(run, photos[1], 12)
    run.fit()
    teach_right(run, photos[1], 6)
    run.fit()
    table = run.predicted()
    right = [photos[1][file] == label for file, label in zip(table.file, table.label, strict=True)]
    assert np.mean(right) > 0.9
    assert (table.by == "person").sum() == 18
    assert "18 labels" in run.report()
    assert "The last round changed" in run.report()


@pytest.mark.parametrize("damage", ["junk", "cut", "other network", "pickle"])
def test_a_damaged_checkpoint_is_rebuilt_from_the_labels(run, photos, damage, tmp_path):
    teach_right(run, photos[1], 9)
    run.fit()
    path = run.folder / "checkpoint.pt"
    if damage == "junk":
        path.write_bytes(b"junk")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "other network":
        torch.save({"model": {"weight": torch.zeros(3)}, "learned": 1}, path)
    else:
        trap = tmp_path / "trap"
        torch.save({"model": Trap(trap), "learned": 1}, path)
    with pytest.warns(UserWarning, match=r"checkpoint.pt: unreadable .* all 9 labels are safe"):
        reopened = again(run.folder)
    assert len(reopened.labeled) == 9
    assert not reopened.up_to_date
    reopened.fit()
    assert reopened.query(3).shape == (3,)
    assert not (tmp_path / "trap").exists()


class Trap:
    """What a stranger might put in a file: unpickling it runs a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_torn_last_line_is_dropped_and_the_rest_stays(run, photos):
    teach_right(run, photos[1], 3)
    before = stored(run.folder)
    with (run.folder / "labels.csv").open("ab") as file:
        file.write(b"2026-01-01T00:00:00+00:00,day 1/0")
    reopened = again(run.folder)
    assert len(reopened.labeled) == 3
    reopened.fit()
    asked = reopened.query(1)
    reopened.teach(asked, np.array([0]))
    assert stored(run.folder) == before | {run.files[asked[0]]: "red"}


def test_a_damaged_line_is_named(run, photos):
    teach_right(run, photos[1], 3)
    path = run.folder / "labels.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], "what is this\n", *lines[2:]]))
    with pytest.raises(AlodError, match=r"labels.csv line 3: expected time,file,answer"):
        again(run.folder)


@pytest.mark.parametrize("way", [copy.deepcopy, pickle.dumps])
def test_a_run_is_not_copied(run, way):
    """Answers to a copy would be in the journal of the run itself."""
    with pytest.raises(AlodError, match=r"alod.open_run\(.*\) opens it"):
        way(run)


def test_a_run_is_no_file(run):
    assert not hasattr(run, "load")


@pytest.fixture
def three_shades(tmp_path, rng):
    """A run that learns inliers, of sixty flat images of three shades; and the shade of each."""
    shades = np.arange(60) % 3
    noise = rng.integers(20, size=(60, 16, 16))
    images = (110 * shades[:, None, None] + noise).astype(np.uint8)
    given = {"model": "lenet5", "steps": 30, "inlier_passes": 2, "device": "cpu"}
    return alod.open_run(tmp_path / "run", images, list("abc"), **given), shades


def test_a_run_learns_inliers_and_goes_on_as_if_never_closed(three_shades):
    run, shades = three_shades
    asked = run.query(9)
    run.teach(asked, shades[asked])
    run.fit()
    assert len(run.learner.learned_inliers.indices)
    other = again(run.folder)
    assert other.settings.inlier_passes == 2
    assert other.up_to_date
    asked = run.query(3)
    assert np.array_equal(other.query(3), asked)
    run.teach(asked, shades[asked])
    # The next fit sets out from before the inliers, in a run that was opened again, too.
    for each in (run, other):
        each.fit()
    weights = [each.learner.model.state_dict() for each in (run, other)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_settings_that_came_later_are_in_the_file_only_where_they_differ(run, tmp_path, mini):
    settings = json.loads((run.folder / "run.json").read_text())["settings"]
    assert not {"inlier_passes", "features", "min_epochs", "views", "device"} & set(settings)
    later = {"min_epochs": 3, "views": 2, "features": "random_conv"}
    other = alod.open_run(tmp_path / "other", mini.images[:20], list("ab"), model="lenet5", **later)
    settings = json.loads((other.folder / "run.json").read_text())["settings"]
    assert later.items() <= settings.items()
    assert again(other.folder, min_epochs=3, inlier_passes=0).settings.views == 2
    for name, value in (("min_epochs", 0), ("inlier_passes", 1)):
        with pytest.raises(AlodError, match=f"was made with {name}=[03], not {value}"):
            again(other.folder, **{name: value})


def test_a_run_of_a_later_version_is_told(run):
    file = run.folder / "run.json"
    content = json.loads(file.read_text())
    content["settings"]["later"] = 1
    file.write_text(json.dumps(content))
    with pytest.raises(AlodError, match="setting 'later', unknown to this version of alod; upgr"):
        alod.open_run(run.folder)
    del content["settings"]["later"], content["settings"]["augment"]  # an earlier version
    file.write_text(json.dumps(content))
    assert alod.open_run(run.folder, device="cpu").settings == run.settings


def test_two_processes_on_one_run_see_each_others_answers(run, photos):
    asked = run.query(6)
    other = again(run.folder)
    assert np.array_equal(other.waiting, sorted(asked))
    run.teach(asked[:3], np.array([0, 1, 2]))
    other.teach(asked[3:4], np.array([1]))
    with pytest.raises(AlodError, match="not waiting for an answer"):
        other.teach(asked[:1], np.array([2]))
    run.fit()
    other.fit()
    theirs = other.query(6)
    assert not set(theirs) & set(asked[:4])
    other.teach(theirs[:2], np.array([0, 0]))
    run.teach(asked[:1], np.array([1]), unasked=True)
    assert np.array_equal(again(run.folder).answers, run.answers)
    assert len(run.labeled) == 6


def test_two_processes_on_one_run_keep_each_others_history(run, photos):
    teach_right(run, photos[1], 4)
    run.fit()
    other = again(run.folder)
    teach_right(other, photos[1], 4)
    other.fit()
    teach_right(run, photos[1], 4)
    run.fit()
    assert run.history["n_labeled"].tolist() == [4, 8, 12]
    assert again(run.folder).history.equals(run.history)


def test_a_person_who_says_not_one_of_these_is_not_overruled(run):
    asked = run.query(6)
    run.teach(asked[:4], np.array([0, 1, 2, -1]))
    run.skip(asked[4:])
    run.fit()
    table = run.predicted().iloc[asked]
    assert table["by"].tolist() == ["person"] * 4 + ["classifier"] * 2
    assert table["label"].tolist()[:4] == ["red", "green", "blue", "not one of these"]
    assert set(table["label"][4:]) <= set(COLORS)


def test_a_changed_folder_keeps_every_answer(run, photos):
    folder, truth = photos
    asked = teach_right(run, truth, 6)
    run.fit()
    gone, kept = run.files[asked[0]], [run.files[i] for i in asked[1:]]
    moved = (folder / gone).rename(folder.parent / "kept.jpg")
    Image.new("RGB", (30, 30), (200, 40, 40)).save(folder / "new.png")
    with pytest.warns(UserWarning) as notes:
        changed = again(run.folder)
    assert "(images new: 1, gone: 1); every answer is kept" in str(notes[0].message)
    assert "answers for images that are not there: 1" in str(notes[1].message)
    assert [changed.files[i] for i in changed.labeled] == sorted(kept)
    assert "new.png" in changed.files
    moved.rename(folder / gone)
    with pytest.warns(UserWarning, match="has changed"):
        back = again(run.folder)
    assert len(back.labeled) == 6


def test_images_may_move_or_be_away(run, photos):
    folder, truth = photos
    teach_right(run, truth, 6)
    moved = folder.rename(folder.parent / "elsewhere")
    with pytest.warns(UserWarning, match="is not there: going on with the 36 images"):
        away = again(run.folder)
    assert len(away.labeled) == 6
    assert away.picture(0).startswith(b"\x89PNG")
    assert again(run.folder, images=moved).root == moved
    assert again(run.folder).root == moved


def test_a_run_folder_moves_with_its_images(run, photos, tmp_path):
    teach_right(run, photos[1], 6)
    (tmp_path / "moved").mkdir()
    for name in ("photos", "run"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    assert again(tmp_path / "moved" / "run").root == tmp_path / "moved" / "photos"


def test_a_lost_cache_is_read_again(run, photos):
    teach_right(run, photos[1], 6)
    before = np.array(run.images)
    shutil.rmtree(run.folder / "pool")
    reopened = again(run.folder)
    assert np.array_equal(reopened.images, before)
    assert len(reopened.labeled) == 6


def test_broken_files_are_listed_and_never_fatal(photos, tmp_path):
    folder, truth = photos
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("no image")
    (folder / "cut.png").write_bytes(next(folder.rglob("*.PNG")).read_bytes()[:200])
    (folder / "nowhere.png").symlink_to(folder / "absent")
    (folder / "line\nbreak.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="left out 5 of 41 image files that cannot be read"):
        run = alod.open_run(tmp_path / "run", folder, list(COLORS), **SMALL)
    assert set(run.files) == set(truth)
    assert set(run.broken) == {
        "empty.png",
        "text.jpg",
        "cut.png",
        "nowhere.png",
        "'line\\nbreak.png'",
    }


def test_linked_folders_are_followed_and_broken_links_listed(photos, tmp_path):
    folder, truth = photos
    (tmp_path / "links").mkdir()
    for day in ("day 0", "day 1"):
        (tmp_path / "links" / day).symlink_to(folder / day)
    (folder / "day 0" / "circle").symlink_to(tmp_path / "links")
    (tmp_path / "links" / "gone").symlink_to(folder / "absent")
    with pytest.warns(UserWarning, match="left out 1 of 37 .* which is not there"):
        run = alod.open_run(tmp_path / "run", tmp_path / "links", list(COLORS), **SMALL)
    assert set(run.files) == set(truth)
    assert list(run.broken) == ["gone"]


def test_a_folder_that_pillow_cannot_read_says_what_can(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.heic").write_bytes(b"no image")
    with pytest.raises(AlodError, match=r"none of its 1 image files.*'a\.heic'.*pillow-heif"):
        alod.open_run(tmp_path / "run", tmp_path / "photos", list(COLORS), **SMALL)
    assert not (tmp_path / "run").exists()


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"))


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_person_and_classifier_see_the_same_of_twelve_bits(tmp_path, rng, kind):
    def save(name, image):
        image = image.astype(np.uint16 if kind == "png" else np.float32)
        Image.fromarray(image).save(tmp_path / "photos" / f"{name}.{kind}")

    (tmp_path / "photos").mkdir()
    levels = rng.integers(200, 3700, (6, 16, 16))
    for i, image in enumerate(levels):
        save(i, image)

    def check(run, levels):
        ordered = np.sort(levels.reshape(len(levels), -1))  # but for a pixel of each at either end
        low, high = ordered[:, 1].min(), ordered[:, -2].max()
        expected = ((levels - low) * 255 / (high - low)).clip(0, 255)
        assert np.abs(run.images[:, 0] - expected).max() <= 1
        for i, image in enumerate(run.images):
            assert np.array_equal(pixels(run.picture(i)), image[0])

    with pytest.warns(UserWarning, match="scaled to 0 to 255") as told:
        run = alod.open_run(tmp_path / "run", tmp_path / "photos", ["a", "b"], **SMALL)
    assert len(told) == 1
    check(run, levels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(again(run.folder), levels)
    # One that is brighter changes all, one within the range none.
    for added, match in ((levels[0] + 2000, "to 5"), (levels[1], "images new: 1")):
        levels = np.concatenate([levels, added[None]])
        save(len(levels) - 1, added)
        with pytest.warns(UserWarning, match=match):
            check(again(run.folder), levels)


def test_run_of_sixteen_bit_arrays_scales_what_it_is_asked_of(tmp_path, rng):
    images = rng.integers(0, 1000, (20, 16, 16)).astype(np.uint16)
    with pytest.warns(UserWarning, match="scaled to 0 to 255"):
        run = alod.open_run(tmp_path / "run", images, ["a", "b"], model="lenet5", steps=2)
    run.teach(run.query(6), np.arange(6) % 2)
    run.fit()
    reopened = again(run.folder)
    assert np.array_equal(
        reopened.predict_proba(images[:1]), reopened.predict_proba(run.images[:1])
    )


def test_a_run_scaled_by_an_earlier_version_opens_as_it_was(tmp_path, rng, monkeypatch):
    images = rng.integers(100, 1000, (8, 16, 16)).astype(np.uint16)
    images[0, 0, 0], images[1, 0, 0] = 0, 9000
    # Lowest and highest of all were 0 and 255.
    monkeypatch.setattr(
        "alod.pool.levels_of", lambda image: (float(image.min()), float(image.max()))
    )
    with pytest.warns(UserWarning, match="from 0 to 9000"):
        before = alod.open_run(tmp_path / "run", images, ["a", "b"], model="lenet5")
    pixels = np.array(before.images)
    monkeypatch.undo()
    for given in ({}, {"images": images}):
        run = again(tmp_path / "run", **given)
        assert run.learner.span == (0, 9000) and np.array_equal(run.images, pixels)


def test_photos_are_padded_in_a_run_that_was_made_so(photos, tmp_path):
    cropped = alod.open_run(tmp_path / "cropped", photos[0], list(COLORS), **SMALL)
    # As a process leaves it that was killed before there was a run.
    shutil.copytree(cropped.folder / "pool", tmp_path / "run" / "pool")
    run = alod.open_run(tmp_path / "run", photos[0], list(COLORS), fit="pad", **SMALL)
    expected = alod.from_folder(photos[0], image_size=16, fit="pad")
    assert np.array_equal(run.images, expected.images)
    assert not np.array_equal(run.images, cropped.images)
    with pytest.raises(AlodError, match="was made with fit='pad', not 'crop'"):
        again(run.folder, fit="crop")
    with pytest.raises(AlodError, match="was made with fit='crop', not 'pad'"):
        again(cropped.folder, fit="pad")


def test_a_run_takes_no_images_for_its_cache(photos, tmp_path):
    (tmp_path / "mine").mkdir()
    pool = photos[0].rename(tmp_path / "mine" / "pool")
    with pytest.raises(AlodError, match="move the images out"):
        alod.open_run(tmp_path / "mine", pool, list(COLORS), **SMALL)
    assert all((pool / name).exists() for name in photos[1])


def test_a_stack_among_the_photos_is_named_once(photos, tmp_path):
    pages = [Image.new("RGB", (20, 20), color) for color in COLORS.values()]
    pages[0].save(photos[0] / "stack.tif", save_all=True, append_images=pages[1:])
    with pytest.warns(UserWarning, match=r"first page of 1 files that hold several: stack\.tif"):
        run = alod.open_run(tmp_path / "run", photos[0], list(COLORS), **SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again(run.folder)


def darker(images):
    return images * (0.5 + 0.5 * torch.rand(len(images), 1, 1, 1, device=images.device))


def test_a_distortion_of_ones_own_is_given_again_and_goes_on_as_if_never_closed(photos, tmp_path):
    run = alod.open_run(tmp_path / "run", photos[0], list(COLORS), augment=darker, **SMALL)
    teach_right(run, photos[1], 9)
    assert json.loads((run.folder / "run.json").read_text())["settings"]["augment"] == "given"
    mend = r"an augment of your own; open it in Python, alod.open_run\(.*, augment=\.\.\.\)"
    with pytest.raises(AlodError, match=mend):
        again(run.folder)
    other = again(run.folder, augment=darker)
    weights = []
    for each in (run, other):
        each.fit()
        weights.append(each.learner.model.state_dict())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def respelled(folder, form):
    """Spell the names of all files and folders in another Unicode form."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rename(path.with_name(unicodedata.normalize(form, path.name)))


def test_names_are_the_same_in_both_unicode_forms(photos, tmp_path):
    folder = photos[0]
    (folder / "day 0").rename(folder / "Bär")
    classes = ["Bär", "Möwe"]
    respelled(folder, "NFD")
    run = alod.open_run(tmp_path / "run", folder, classes, folders_are_classes=True, **SMALL)
    assert {run.files[i].split("/")[0] for i in run.labeled} == {
        unicodedata.normalize("NFD", "Bär")
    }
    answered, free = len(run.labeled), run.files[run.pool[0]]
    (tmp_path / "b.csv").write_text(
        f"file,label\n{unicodedata.normalize('NFC', free)},{unicodedata.normalize('NFD', 'Möwe')}\n"
    )
    assert run.teach_file(tmp_path / "b.csv")["new"] == 1
    run.fit()
    asked = run.query(3)
    assert all(run.picture(i) for i in asked)

    # As on another system, whose folder, journal and settings are spelled otherwise.
    respelled(folder, "NFC")
    for name in ("labels.csv", "batch.csv"):
        text = (run.folder / name).read_text()
        (run.folder / name).write_text(unicodedata.normalize("NFD", text))
    settings = json.loads((run.folder / "run.json").read_text())
    settings["settings"]["classes"] = [unicodedata.normalize("NFD", name) for name in classes]
    (run.folder / "run.json").write_text(json.dumps(settings))
    moved = again(run.folder, classes=classes)
    assert moved.classes == tuple(classes)
    assert len(moved.labeled) == answered + 1 and not moved.gone
    assert np.array_equal(moved.answers, run.answers)
    assert np.array_equal(moved.images, run.images)
    moved.teach(asked, np.zeros(3, int))


def test_two_names_alike_are_not_mixed_up(photos, tmp_path):
    folder = photos[0]
    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "é.png")
        Image.new("RGB", (20, 20), "red").save(folder / name)
    if len(list(folder.glob("*.png"))) == 1:
        pytest.skip("the file system takes them for one")
    with pytest.warns(UserWarning, match="left out 1 of .* another Unicode form"):
        run = alod.open_run(tmp_path / "run", folder, list(COLORS), **SMALL)
    assert len(run.files) == 37 == len(run.position)


@pytest.mark.parametrize("name", ["گربه\u200cها", "क्\u200dष", "👨\u200d👩\u200d👧", "\u200fقطط"])
def test_joiners_and_marks_that_a_script_needs_are_kept(tmp_path, mini, name):
    run = alod.open_run(tmp_path / "run", mini.images[:20], [name, "dog"], model="lenet5", steps=1)
    asked = run.query(4)
    run.teach(asked, np.array([0, 1, 0, 1]))
    assert stored(run.folder)[str(asked[0])] == name
    assert again(run.folder).classes == (name, "dog")


def test_arrays_make_a_run_that_needs_them_no_more(mini, tmp_path):
    run = alod.open_run(tmp_path / "run", mini.images, mini.classes, model="lenet5", steps=3)
    asked = run.query(10)
    run.teach(asked, mini.targets[asked])
    reopened = again(run.folder)
    assert np.array_equal(reopened.images, mini.images)
    assert np.array_equal(reopened.answers, run.answers)
    with pytest.raises(AlodError, match="made with other images"):
        again(run.folder, images=mini.images.flip(0))


def test_folders_may_label_a_part_of_the_pool(photos, tmp_path):
    folder, truth = photos
    for name in list(truth)[:9]:
        (folder / truth[name]).mkdir(exist_ok=True)
        (folder / name).rename(folder / truth[name] / Path(name).name)
    run = alod.open_run(
        tmp_path / "run", folder, list(COLORS), folders_are_classes=True, audit=6, **SMALL
    )
    assert {run.files[i].split("/")[0] for i in run.labeled} == set(COLORS)
    assert len(run.labeled) == 9
    assert len(again(run.folder).labeled) == 9
    assert not set(run.audit) & set(run.labeled)


def test_the_audit_set_is_asked_for_but_never_learned_from(photos, tmp_path):
    folder, truth = photos
    run = alod.open_run(tmp_path / "run", folder, list(COLORS), audit=10, **SMALL)
    assert len(run.audit) == 10
    asked = [teach_right(run, truth, 8) for _ in range(1)]
    assert len(set(asked[0]) & set(run.audit)) == 4
    run.fit()
    asked += [teach_right(run, truth, 12)]
    run.fit()
    assert not len(run.unaudited)
    assert set(np.concatenate(asked)) == {*run.audit, *run.labeled}
    assert not set(run.audit) & set(run.labeled)
    assert run.audit_result()[1] == 10
    assert "of 10 audit images right" in run.report()
    assert np.array_equal(again(run.folder).audit, run.audit)


# By CSV


def test_a_batch_goes_out_and_comes_back_by_csv(photos, tmp_path, capsys):
    folder, truth = photos
    batch, out = tmp_path / "batch.csv", str(tmp_path / "run")
    first = f"query --run {out} --images {folder} --classes red,green,blue -k 9 --out {batch}"
    options = "--model lenet5 --steps 3 --image-size 16 --device cpu"
    cli.main([*first.split(), *options.split()])
    assert "9 images" in capsys.readouterr().out
    for k in (5, 1):
        fill_in(batch, truth)
        cli.main(["teach", "--run", out, str(batch), "--device", "cpu"])
        cli.main(["query", "--run", out, "-k", str(k), "--out", str(batch), "--device", "cpu"])
    told = capsys.readouterr().out
    assert "9 new, 0 corrected" in told
    assert "14 labels (" in told
    with batch.open() as file:
        (row,) = csv.DictReader(file)
    assert row["suggestion"] in COLORS
    cli.main(["predict", "--run", out, "--out", str(tmp_path / "all.csv")])
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 37
    cli.main(["review", "--run", out, "--out", str(tmp_path / "odd.csv"), "--device", "cpu"])
    assert (tmp_path / "odd.csv").read_text().startswith("file,label,looks_like")


def fill_in(path, truth):
    with path.open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["label"] = truth[row["file"]]
    with path.open("w") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def answer_batch(path, answers):
    """Type answers into the first rows of a batch; return its text then."""
    first, *rows = path.read_text().splitlines()
    typed = [row.replace(",,", f",{answer},") for row, answer in zip(rows, answers, strict=False)]
    path.write_text("\n".join([first, *typed, *rows[len(typed) :], ""]))
    return path.read_text()


def test_typed_answers_are_taught_before_a_new_batch_replaces_them(run):
    run.query(6)
    batch = run.folder / "batch.csv"
    typed = answer_batch(batch, ["red", "Not one of these"])
    with pytest.raises(AlodError, match=r"batch.csv: answers not taught yet: 2, .* alod teach"):
        run.query(3)
    assert batch.read_text() == typed
    run.teach_file(batch)
    run.fit()
    assert len(run.query(3)) == 3


def test_answers_taught_once_may_be_replaced_whatever_came_of_them(run, photos):
    asked = run.query(6)
    batch = run.folder / "batch.csv"
    answer_batch(batch, ["red", "red", "red", "green"])
    run.teach_file(batch)
    run.teach(asked[:1], np.array([2]), unasked=True)  # corrected elsewhere
    run.undo(asked[1:2])
    (photos[0] / run.files[asked[2]]).unlink()
    with pytest.warns(UserWarning):
        reopened = again(run.folder)
    reopened.fit()
    assert len(reopened.query(3)) == 3
    assert "red" not in batch.read_text()


def test_a_correction_typed_into_a_taught_batch_is_not_replaced(run):
    run.query(6)
    batch = run.folder / "batch.csv"
    answer_batch(batch, ["red", "green"])
    run.teach_file(batch)
    run.fit()
    batch.write_text(batch.read_text().replace(",red,", ",blue,"))
    with pytest.raises(AlodError, match="answers not taught yet: 1"):
        run.query(3)


def test_alod_query_replaces_no_answers_and_no_file_it_cannot_read(run, tmp_path, capsys):
    out = tmp_path / "other.csv"
    query = f"query --run {run.folder} -k 4 --device cpu --out {out}".split()
    out.touch()
    cli.main(query)
    cli.main(query)
    asked = (run.folder / "batch.csv").read_text()
    typed = answer_batch(out, ["blue"])
    for content in (typed, typed.replace("blue", "bleu"), "a letter\n"):
        out.write_text(content)
        with pytest.raises(SystemExit):
            cli.main(query)
        assert out.read_text() == content
        told = capsys.readouterr().err
        assert told.startswith(f"alod: {out}")
        assert "a new batch would replace" in told
    assert (run.folder / "batch.csv").read_text() == asked


def test_answers_of_other_tools_are_understood(run, photos, tmp_path):
    folder, truth = photos
    names = list(truth)[:5]
    content = f"id;Label;File\r\n1;{truth[names[0]]};{names[0]}\r\n"
    content += f"2; {truth[names[1]]} ;{folder / names[1]}\r\n"
    content += f"3;Cannot tell;{names[2].replace('/', chr(92))}\r\n\r\n"
    content += f"4;;{names[3]}\r\n5;not one of these;./{names[4]}\r\n"
    path = tmp_path / "theirs.csv"
    path.write_text(content, encoding="utf-8-sig")
    assert run.teach_file(path) == {"new": 4, "corrected": 0, "known": 0}
    assert run.teach_file(path) == {"new": 0, "corrected": 0, "known": 4}
    assert stored(run.folder) == {
        names[0]: truth[names[0]],
        names[1]: truth[names[1]],
        names[2]: "cannot tell",
        names[4]: "not one of these",
    }
    path.write_text(f"file,label\n{names[0]},blue\n")
    assert run.teach_file(path) == {"new": 0, "corrected": 1, "known": 0}
    assert run.answers[run.files.index(names[0])] == 2


def test_the_journal_itself_teaches_another_run(run, photos, tmp_path):
    teach_right(run, photos[1], 6)
    other = alod.open_run(tmp_path / "other", photos[0], list(COLORS), **SMALL)
    path = tmp_path / "labels.csv"
    path.write_text((run.folder / "labels.csv").read_text().replace("answer", "label", 1))
    assert other.teach_file(path)["new"] == 6
    assert np.array_equal(other.answers, run.answers)


# Kills and full disks


def label_until_killed(folder, seed, told):
    """Answer at random and say each answer once the call has returned."""
    torch.set_num_threads(1)  # a fork has none of its parent's threads, and would wait for them
    rng = np.random.default_rng(seed)
    run = alod.open_run(folder, device="cpu")
    while True:
        if len(run.labeled) and not run.up_to_date:
            run.fit()
        for index in run.query(min(5, len(run.pool))):
            answer = int(rng.integers(3))
            run.teach(np.array([index]), np.array([answer]))
            os.write(told, f"{run.files[index]}={run.classes[answer]}\n".encode())


@pytest.mark.skipif(sys.platform != "linux", reason="forks, to be spared imports at each kill")
def test_kill_9_at_any_moment_loses_no_answer(tmp_path, rng):
    # ALOD_KILLS=200 is the long version.
    n_kills = int(os.environ.get("ALOD_KILLS", "12"))
    images = rng.integers(256, size=(400 + 25 * n_kills, 16, 16)).astype(np.uint8)
    run = alod.open_run(
        tmp_path / "run",
        images,
        list("abc"),
        model="lenet5",
        steps=1,
        batch_size=4,
        strategy="random",
        initial="random",
    )
    run.teach(run.query(2), np.array([0, 1]))
    run.fit()  # imports what a first fit imports
    run.query(1)
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    told = b""
    for seed in range(n_kills):
        labeler = get_context("fork").Process(
            target=label_until_killed, args=(tmp_path / "run", seed, writing)
        )
        labeler.start()
        # Now while it opens the run, now while it asks, answers or learns.
        time.sleep(rng.uniform(0, 0.8))
        os.kill(labeler.pid, signal.SIGKILL)
        labeler.join()
        assert labeler.exitcode == -signal.SIGKILL  # it did not end by itself, with an error
        with contextlib.suppress(BlockingIOError):
            told += os.read(reading, 1_000_000)
    said = dict(line.split("=") for line in told.decode().splitlines())
    kept = stored(tmp_path / "run")
    print(f"{n_kills} kills, {len(said)} answers said, {len(kept)} kept")
    assert len(said) >= 3
    assert {file: kept.get(file) for file in said} == said
    run = again(tmp_path / "run")
    assert {run.files[i]: run.classes[run.answers[i]] for i in run.labeled} == kept


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 400 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root can make a small file system")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_refuses_in_one_line_and_goes_on_when_there_is_space(tiny_disk, mini):
    images = mini.images[:60]
    run = alod.open_run(tiny_disk / "run", images, list("abc"), model="lenet5", steps=2)
    asked = run.query(20)
    run.teach(asked[:5], np.zeros(5, int))
    ballast = tiny_disk / "ballast"
    fill(ballast)
    with pytest.raises(AlodError, match="no space left on device; this answer was not taken"):
        for i in range(1000):  # a block of the disk may still hold some
            last = run.answers[asked[0]]
            run.teach(asked[:1], np.array([i % 3]), unasked=True)
    assert run.answers[asked[0]] == last
    assert (run.folder / "labels.csv").read_bytes().endswith(b"\n")
    assert stored(run.folder)[run.files[asked[0]]] == run.classes[last]
    with pytest.raises(AlodError, match="the labels are safe"):
        run.fit()
    ballast.unlink()
    run.teach(asked[5:6], np.array([2]))
    run.fit()
    assert np.array_equal(again(run.folder).answers, run.answers)


@pytest.mark.parametrize(
    ("module", "call", "code"),
    [
        ("os", "chmod", errno.EPERM),
        ("os", "chmod", errno.ENOTSUP),
        ("os", "fsync", errno.EINVAL),
        ("os", "fsync", errno.ENOTSUP),
        ("fcntl", "flock", errno.ENOSYS),
        ("fcntl", "flock", errno.ENOLCK),
        ("fcntl", "flock", errno.EOPNOTSUPP),
    ],
)
def test_mounts_that_lack_a_call_will_do(module, call, code, mini, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(pytest.importorskip(module), call, refuse)
    given = {"model": "lenet5", "steps": 1, "device": "cpu"}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        run = alod.open_run(tmp_path / "run", mini.images[:20], list("ab"), **given)
        run.teach(run.query(4), np.arange(4) % 2)
        run.fit()
        config = alod.ExperimentConfig(**given, n_initial=5, n_query=5, rounds=1)
        alod.run_experiment(config, tmp_path / "experiment", mini, on_round=lambda row: None)
    assert len(stored(run.folder)) == 4
    unlocked = [str(note.message) for note in told if "without locks" in str(note.message)]
    # Where there is no such system call, filelock has a way of its own, and says so.
    said_here = call == "flock" and code != errno.ENOSYS
    assert len(unlocked) == 2 * said_here  # once for each folder


def test_a_sync_that_fails_is_not_passed_over(mini, tmp_path, monkeypatch):
    run = alod.open_run(tmp_path / "run", mini.images[:20], list("ab"), model="lenet5")
    asked = run.query(2)

    def refuse(handle):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(AlodError, match="this answer was not taken"):
        run.teach(asked, np.array([0, 1]))
    assert stored(run.folder) == {}


def fill(path):
    with path.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"x")
        except OSError:
            return


def test_a_pool_that_does_not_fit_is_told_and_leaves_nothing(tiny_disk, mini):
    with pytest.raises(AlodError, match="no space left on device; free space"):
        alod.open_run(tiny_disk / "run", mini.images, list("abc"), model="lenet5")
    assert list(tiny_disk.iterdir()) == []


def test_a_journal_cut_behind_our_back_is_told(tmp_path):
    journal = Journal(tmp_path / "labels.csv")
    journal.append([("a.png", "cat")])
    journal.path.write_text("")
    with pytest.raises(AlodError, match="was cut or replaced while in use"):
        journal.read_new()


# Security


def test_a_tampered_pool_list_opens_no_file_elsewhere(run, photos, tmp_path):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (20, 20), "white").save(secret)
    path = run.folder / "pool" / "files.csv"
    path.write_text(path.read_text().replace(run.files[0], "../secret.png"))
    assert again(run.folder).files == run.files


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "day 0/../../secret.png"])
def test_a_batch_cannot_name_files_elsewhere(run, tmp_path, name):
    path = tmp_path / "batch.csv"
    path.write_text(f"file,label\n{name},red\n")
    with pytest.raises(AlodError, match="is no image of this run"):
        run.teach_file(path)


def test_own_strategy_keeps_its_parameters(tmp_path, rng):
    def last(view, k, rng, skip=0):
        n = len(view.pool_logits) - skip
        return Selection(np.arange(n - k, n), np.zeros(k))

    images = rng.integers(256, size=(40, 28, 28)).astype(np.uint8)
    given = {"strategy": last, "strategy_params": {"skip": 3}}
    run = alod.open_run(tmp_path / "run", images, list("ab"), model="lenet5", steps=2, **given)
    run.teach(np.arange(10), np.arange(10) % 2, unasked=True)
    run.fit()
    assert run.query(5).tolist() == [32, 33, 34, 35, 36]
    stored = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert (stored["strategy"], stored["strategy_params"]) == ("given", {"skip": 3})
    assert len(alod.open_run(tmp_path / "run", strategy=last).labeled) == 10
    with pytest.raises(AlodError, match="strategy of your own"):
        alod.open_run(tmp_path / "run")


def test_a_strategy_given_by_name_is_found_again_by_it(mini, tmp_path):
    name = "alod.strategies:margin"
    alod.open_run(tmp_path / "run", mini.images[:20], list("ab"), model="lenet5", strategy=name)
    assert again(tmp_path / "run").settings.strategy == name


def test_what_no_file_can_hold_is_refused_before_anything_is_written(mini, tmp_path):
    params = {"detector": KNN()}
    with pytest.raises(AlodError, match="give plain values"):
        alod.open_run(tmp_path / "run", mini.images[:20], list("ab"), strategy_params=params)
    assert not (tmp_path / "run").exists()


def test_images_that_cannot_be_learned_leave_nothing_behind(tmp_path, rng):
    tiny = rng.integers(256, size=(40, 8, 8)).astype(np.uint8)
    folder = tmp_path / "run"
    for made_before in (False, True):
        if made_before:
            folder.mkdir()
        with pytest.raises(AlodError, match="cannot take images"):
            alod.open_run(folder, tiny, list("ab"), model="lenet5")
        assert not (folder / "pool").exists()
