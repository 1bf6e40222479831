"""The widget's kernel side: what is pressed reaches the learner, and the page is told."""

import base64
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import alod
from alod import AlodError

DIGITS = list("0123456789")


@pytest.fixture
def learner(mini):
    return alod.ActiveLearner(mini.images, 10, model="lenet5", steps=20, device="cpu")


def press(panel, **content):
    """What the page sends."""
    panel._receive(None, content, [])


def truth(mini, panel, position):
    return mini.classes[mini.targets[panel.batch[position]]]


def test_keys_teach_a_learner_in_memory(learner, mini):
    panel = alod.label(learner, DIGITS, k=12)
    assert len(panel.tiles) == 12
    assert "memory" not in panel.state["message"]
    assert panel.state["kept"] is False
    for position in range(10):
        press(panel, do="answer", position=position, answer=truth(mini, panel, position))
    press(panel, do="answer", position=10, answer="not one of these")
    press(panel, do="answer", position=11, answer="cannot tell")
    assert len(learner.labeled) == 10
    assert learner.foreign.tolist() == [panel.batch[10]]
    assert panel.answers[9:] == [truth(mini, panel, 9), "not one of these", "cannot tell"]
    first = set(panel.batch)
    press(panel, do="learn")
    assert learner.fitted
    assert not first & set(panel.batch)
    assert panel.tiles[0]["suggestion"] in DIGITS
    assert panel.answers == [None] * 12
    assert panel.state["curve"][0]["labels"] == 10


def test_undo_takes_back_one_answer_after_another(learner, mini):
    panel = alod.label(learner, DIGITS, k=5)
    for position in (0, 3):
        panel.answer(position, "7")
    panel.answer(3, "8")
    press(panel, do="undo")
    assert panel.answers == ["7", None, None, "7", None]
    assert learner.answers[panel.batch[3]] == 7
    press(panel, do="undo")
    assert panel.state["undone"] == 3
    press(panel, do="undo")
    press(panel, do="undo")
    assert "Nothing to undo" in panel.state["message"]
    assert not len(learner.labeled)
    assert sorted(learner.waiting) == sorted(panel.batch)


def test_an_answer_can_be_changed_to_a_skip(learner):
    panel = alod.label(learner, DIGITS, k=3)
    panel.answer(0, "7")
    panel.answer(0, "skip")
    assert not len(learner.labeled)
    assert panel.batch[0] not in learner.pool


@pytest.mark.parametrize(
    "content",
    [
        {"do": "answer", "position": 99, "answer": "1"},
        {"do": "answer", "position": 0, "answer": "eleven"},
        {"do": "answer", "position": "x", "answer": "1"},
        {"do": "answer"},
    ],
)
def test_what_is_refused_is_shown_and_changes_nothing(learner, content):
    panel = alod.label(learner, DIGITS, k=3)
    press(panel, **content)
    assert panel.state["error"] is True
    assert panel.state["message"]
    assert panel.answers == [None] * 3
    press(panel, do="_next_batch")
    press(panel, do="learn")
    assert "label some first" in panel.state["message"]


def test_answers_of_a_run_are_on_disk_and_the_batch_comes_back(mini, tmp_path):
    given = {"model": "lenet5", "steps": 10, "device": "cpu", "audit": 6}
    run = alod.open_run(tmp_path / "run", mini.images, mini.classes, **given)
    panel = alod.label(run, k=10)
    for position in range(4):
        panel.answer(position, truth(mini, panel, position))
    assert len((tmp_path / "run" / "labels.csv").read_text().splitlines()) == 5
    again = alod.label(alod.open_run(tmp_path / "run", device="cpu"), k=10)
    assert sorted(again.batch) == sorted(panel.batch[4:])
    for position in range(6):
        again.answer(position, truth(mini, again, position))
    again.learn()
    assert again.state["kept"] is True
    assert len(again.batch) == 10
    assert len(again.source.history) == 1
    for _ in range(2):
        for position in range(10):
            again.answer(position, truth(mini, again, position))
        again.learn()
    assert "of 6 audit images right" in " ".join(again.state["advice"])
    assert {"accuracy", "low", "high"} <= set(again.state["curve"][-1])
    json.dumps(again.state, allow_nan=False)


def test_labels_that_look_wrong_are_shown_and_corrected(learner, mini):
    asked = learner.query(120)
    labels = mini.targets[asked].numpy().copy()
    labels[:4] = (labels[:4] + 3) % 10
    learner.teach(asked, labels)
    learner.fit()
    panel = alod.label(learner, DIGITS, k=5)
    panel.review(30)
    shown = panel.batch.tolist()
    assert panel.answers[0] in DIGITS
    (position,) = [shown.index(i) for i in asked[:4] if i in shown][:1]
    wrong = panel.answers[position]
    panel.answer(position, truth(mini, panel, position))
    assert learner.answers[shown[position]] == mini.targets[shown[position]]
    panel.undo()
    assert DIGITS[learner.answers[shown[position]]] == wrong


def test_every_image_answered_is_told(mini):
    learner = alod.ActiveLearner(mini.images[:6], 10, model="lenet5", steps=1, device="cpu")
    panel = alod.label(learner, DIGITS, k=20)
    for position in range(6):
        panel.answer(position, truth(mini, panel, position))
    panel.learn()
    assert panel.state["message"] == "Every image has its answer."
    assert panel.tiles == []


def test_pictures_are_the_users_own_files(tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(12):
        Image.new("RGB", (300, 100), (20 * i, 90, 90)).save(tmp_path / "photos" / f"{i}.png")
    run = alod.open_run(tmp_path / "run", tmp_path / "photos", ["a", "b"], model="lenet5")
    panel = alod.label(run, k=2)
    picture = base64.b64decode(panel.tiles[0]["picture"].partition(",")[2])
    (tmp_path / "shown.png").write_bytes(picture)
    with Image.open(tmp_path / "shown.png") as image:
        assert image.size == (256, 85)


def test_names_are_never_markup():
    source = (Path(alod.__file__).parent / "labeling" / "_label.js").read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", source)


def test_classes_must_be_those_of_the_learner(learner, mini, tmp_path):
    with pytest.raises(AlodError, match="expected those of the learner, 10 names"):
        alod.label(learner, ["a", "b"])
    with pytest.raises(AlodError, match="at least two class names"):
        alod.label(learner)
    run = alod.open_run(tmp_path / "run", mini.images, mini.classes, model="lenet5")
    with pytest.raises(AlodError, match="those of the learner, 0, 1, 2"):
        alod.label(run, DIGITS[::-1])


def test_without_anywidget_the_mend_is_told(learner, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "alod.labeling.widget", raising=False)
    with pytest.raises(AlodError, match=r"label\(\) needs anywidget: pip install 'alod\[label\]'"):
        alod.label(learner, DIGITS)


def test_a_learner_asked_before_shows_what_waits(learner):
    asked = learner.query(4)
    assert np.array_equal(alod.label(learner, DIGITS, k=9).batch, sorted(asked))


@pytest.fixture(params=["in memory", "run"])
def two(request, mini, tmp_path):
    """Two grids on the same images, as two cells show them, and the learner behind the second."""
    images, given = mini.images[:60], {"model": "lenet5", "steps": 2, "device": "cpu"}
    if request.param == "in memory":
        learner = alod.ActiveLearner(images, 10, **given)
        return alod.label(learner, DIGITS, k=4), alod.label(learner, DIGITS, k=4), learner
    alod.open_run(tmp_path / "run", images, DIGITS, **given).query(4)
    first, second = (alod.open_run(tmp_path / "run", device="cpu") for _ in "ab")
    return alod.label(first, k=4), alod.label(second, k=4), second


def test_no_answer_of_another_grid_is_overwritten_unseen(two):
    here, there, learner = two
    here.answer(0, "3")
    image = here.batch[0]
    if there is not here:
        press(there, do="answer", position=0, answer="8")
        assert "is 3 since" in there.state["message"]
        assert there.state["error"] is True
        press(there, do="undo")
        assert there.state["message"] == "Nothing to undo in this batch."
    assert learner.answers[image] == 3
    assert there.batch[0] == image
    assert there.answers == ["3", None, None, None]
    press(there, do="answer", position=0, answer="8")  # seen now, and meant
    assert learner.answers[image] == 8
    press(there, do="undo")
    assert learner.answers[image] == 3
    assert there.answers[0] == "3"


def test_a_cell_run_again_goes_on_with_the_present_batch(learner, mini):
    first, again = (alod.label(learner, DIGITS, k=4) for _ in range(2))
    for position in range(4):
        first.answer(position, truth(mini, first, position))
    assert again.answers == first.answers
    assert again.state["labels"] == 4
    first.learn()
    assert again.batch.tolist() == first.batch.tolist()
    assert again.answers == [None] * 4
    learner.teach(first.batch, np.array([1, 2, 1, 2]))
    learner.fit()
    present = alod.label(learner, DIGITS, k=3)
    assert present.answers == [None] * 3


def test_what_another_cell_answers_is_shown_and_not_taken_back(learner):
    panel = alod.label(learner, DIGITS, k=4)
    panel.answer(0, "3")
    learner.teach(panel.batch[:1], np.array([8]), unasked=True)
    press(panel, do="answer", position=1, answer="5")
    assert panel.answers == ["8", "5", None, None]
    press(panel, do="undo")
    press(panel, do="undo")
    assert panel.answers == ["8", None, None, None]
    assert learner.answers[panel.batch[0]] == 8


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA out of memory.\nTried"), IndexError("i"), MemoryError()]
)
def test_whatever_fails_is_shown_in_a_line_and_the_next_key_works(mini, error):
    def mine(view, k, rng):
        raise error

    learner = alod.ActiveLearner(mini.images[:60], 10, "lenet5", mine, steps=2, device="cpu")
    panel = alod.label(learner, DIGITS, k=2)
    for position in range(2):
        press(panel, do="answer", position=position, answer=str(position))
    press(panel, do="learn")
    assert panel.state["busy"] is False
    assert panel.state["error"] is True
    assert panel.state["message"].startswith(type(error).__name__)
    assert "\n" not in panel.state["message"]
    assert len(learner.labeled) == 2
    press(panel, do="answer", position=0, answer="5")
    assert panel.answers == ["5", "1"]
    assert panel.state["error"] is False


def test_an_interruption_reaches_the_kernel_and_frees_the_page(learner, monkeypatch):
    panel = alod.label(learner, DIGITS, k=2)
    panel.answer(0, "5")

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(learner, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        press(panel, do="learn")
    assert panel.state["busy"] is False
    assert learner.answers[panel.batch[0]] == 5
