"""Every kind of bad input to labeling: one clear line, nothing taken, no traceback."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import alod
from alod import AlodError, cli, models
from alod.labeling import run as labeling

GIVEN = {"model": "lenet5", "steps": 2, "image_size": 16, "device": "cpu"}


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A folder of twelve images, one of them broken, and a run with some labels."""
    home = tmp_path_factory.mktemp("bad")
    (home / "photos" / "a").mkdir(parents=True)
    for i in range(12):
        Image.new("L", (20, 20), 20 * i).save(home / "photos" / "a" / f"{i}.png")
    (home / "photos" / "broken.png").write_bytes(b"\x89PNG")
    with pytest.warns(UserWarning, match="broken"):
        run = alod.open_run(home / "run", home / "photos", ["cat", "dog"], **GIVEN)
    asked = run.query(3)
    run.teach(asked, np.array([0, 1, 0]))
    (home / "file").write_text("mine")
    (home / "other").mkdir()
    (home / "other" / "letter.txt").write_text("mine")
    (home / "empty").mkdir()
    (home / "text").mkdir()
    (home / "text" / "a.png").write_text("no image")
    (home / "elsewhere").mkdir()
    Image.new("L", (20, 20)).save(home / "elsewhere" / "x.png")
    return home


@pytest.fixture
def home(template, tmp_path, monkeypatch):
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(images="photos", classes=("cat", "dog"), **changes):
    return alod.open_run("new", images, classes, **(GIVEN | changes))


def damaged(name, content):
    """The run, one of whose files has been damaged."""
    Path("run", name).write_bytes(content)
    return alod.open_run("run", device="cpu")


def fresh():
    return alod.open_run("run", device="cpu")


MAKING = {
    "no images": lambda: new(images=None),
    "no classes": lambda: new(classes=None),
    "one class": lambda: new(classes=["cat"]),
    "class names as one text": lambda: new(classes="cat, dog"),
    "class names that are numbers": lambda: new(classes=[1, 2]),
    "class name twice": lambda: new(classes=["cat", "cat "]),
    "empty class name": lambda: new(classes=["cat", " "]),
    "class name with a line break": lambda: new(classes=["cat", "d\nog"]),
    "class name that cannot be seen": lambda: new(classes=["cat", "\u200d"]),
    "class name that turns the text around": lambda: new(classes=["cat", "\u202edog"]),
    "class name that is no text": lambda: new(classes=["cat", "\ud800"]),
    "class name that is an answer": lambda: new(classes=["cat", "Skip"]),
    "image folder that is not there": lambda: new(images="nowhere"),
    "image folder that is a file": lambda: new(images="file"),
    "image folder without images": lambda: new(images="empty"),
    "image folder of broken images": lambda: new(images="text"),
    "array of the wrong shape": lambda: new(images=np.zeros((3, 4))),
    "array with NaN": lambda: new(images=np.full((3, 16, 16), np.nan)),
    "image size too small": lambda: new(image_size=4),
    "image size no number": lambda: new(image_size="large"),
    "audit negative": lambda: new(audit=-1),
    "unknown setting": lambda: new(epochs=3),
    "unknown model": lambda: new(model="vgg"),
    "unknown strategy": lambda: new(strategy="outliers"),
    "unknown initial method": lambda: new(initial="kmean"),
    "unknown augmentation": lambda: new(augment="flip"),
    "learning rate that is text": lambda: new(learning_rate="fast"),
    "seed negative": lambda: new(seed=-1),
    "unknown device": lambda: new(device="gpu"),
    "run folder that is a file": lambda: alod.open_run("file", "photos", ["a", "b"]),
    "run folder below a file": lambda: alod.open_run("file/run", "photos", ["a", "b"]),
    "run folder of other things": lambda: alod.open_run("other", "photos", ["a", "b"]),
    "run that is not there": lambda: alod.open_run("new"),
    "folders as classes, and no folders": lambda: new(
        images="elsewhere", classes=None, folders_are_classes=True
    ),
    "torchvision network without a linear layer": lambda: models.FromTorchvision(
        torch.nn.Conv2d(3, 4, 3), 2
    ),
    "torchvision network and one class": lambda: models.FromTorchvision(torch.nn.Linear(3, 4), 1),
}

GOING_ON = {
    "other classes": lambda: alod.open_run("run", classes=["cat", "cow"]),
    "other model": lambda: alod.open_run("run", model="cnn"),
    "other settings": lambda: alod.open_run("run", steps=3),
    "other images": lambda: alod.open_run("run", "elsewhere"),
    "an array for a folder": lambda: alod.open_run("run", np.zeros((3, 16, 16), np.uint8)),
    "images that are nowhere": lambda: alod.open_run("run", "nowhere"),
    "own model on a named one": lambda: alod.open_run("run", model=torch.nn.Linear(2, 2)),
    "damaged settings": lambda: damaged("run.json", b"{"),
    "settings of another kind": lambda: damaged("run.json", b'{"settings": {"x": 1}}'),
    "label nobody knows": lambda: damaged("labels.csv", b"time,file,answer\nx,a/0.png,cow\n"),
    "line nobody can read": lambda: damaged("labels.csv", b"time,file,answer\n\xff\xfe\n"),
    "more images than there are": lambda: fresh().query(13),
    "no image asked for": lambda: fresh().query(0),
    "query before learning": lambda: fresh().query(2),
    "index that was not asked": lambda: fresh().teach(np.array([11]), np.array([0])),
    "index out of range": lambda: fresh().teach(np.array([99]), np.array([0]), unasked=True),
    "class out of range": lambda: fresh().teach(np.array([1]), np.array([2]), unasked=True),
    "undo of nothing": lambda: fresh().undo(fresh().pool[:1]),
    "predictions before learning": lambda: fresh().predicted(),
    "batch larger than a page": lambda: alod.label(fresh(), k=5000),
}

TABLES = {
    "no such table": None,
    "empty table": b"",
    "no table but an image": b"\x89PNG\r\n\x1a\n\0\0",
    "table in Latin-1": "file,label\na/0.png,Kätzchen\n".encode("latin-1"),
    "no header": b"a/0.png,cat\n",
    "no column for the label": b"file,class\na/0.png,cat\n",
    "two columns for the label": b"file,label,label\na/0.png,cat,dog\n",
    "row that is too short": b"file,label\na/0.png\n",
    "row that is too long": b"file,label\na/0.png,cat,dog\n",
    "quote that never ends": b'file,label\na/0.png,"cat\n',
    "unknown file": b"file,label\na/77.png,cat\n",
    "file elsewhere": b"file,label\n../../etc/passwd.png,cat\n",
    "broken file": b"file,label\nbroken.png,cat\n",
    "unknown label": b"file,label\na/0.png,cot\n",
    "two labels for one file": b"file,label\na/0.png,cat\na/0.png,dog\n",
    "no label filled in": b"file,label\na/0.png,\na/1.png, \n",
    "one wrong row among good ones": b"file,label\na/5.png,cat\na/6.png,cat\na/7.png,cow\n",
}

COMMANDS = {
    "run that is not there": "query --run nowhere -k 3",
    "no run folder": "query -k 3",
    "more images than there are": "query --run run -k 500 --device cpu",
    "number that is none": "query --run run -k many",
    "classes of one name": "query --run new --images photos --classes cat",
    "output where no folder is": "query --run run -k 3 --out no/such/batch.csv --device cpu",
    "run folder of other things": "query --run other --images photos --classes a,b",
    "no table": "teach --run run",
    "table that is not there": "teach --run run batch.csv",
    "table that is a folder": "teach --run run photos",
    "teaching a run that is not there": "teach --run nowhere file",
    "predictions of nothing": "predict --run nowhere --out all.csv",
    "predictions where no folder is": "predict --run run --out no/such/all.csv --device cpu",
    "review of a run that is not there": "review --run nowhere --out odd.csv",
    "device that is not there": "teach --run run file --device gpu",
}


def one_line(message):
    assert "\n" not in message
    assert len(message) > 20
    assert "Traceback" not in message


@pytest.mark.parametrize("case", MAKING)
def test_a_bad_run_is_refused_and_leaves_nothing(case, home):
    before = sorted(home.rglob("*"))
    with pytest.raises(AlodError) as refusal:
        MAKING[case]()
    one_line(str(refusal.value))
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize("case", GOING_ON)
def test_bad_use_of_a_run_is_refused_and_its_answers_stay(case, home):
    before = (home / "run" / "labels.csv").read_bytes()
    with pytest.raises(AlodError) as refusal:
        GOING_ON[case]()
    one_line(str(refusal.value))
    if "labels.csv" not in str(refusal.value):
        assert (home / "run" / "labels.csv").read_bytes() == before


@pytest.mark.parametrize("case", TABLES)
def test_a_bad_table_is_refused_whole(case, home):
    before = (home / "run" / "labels.csv").read_bytes()
    if TABLES[case] is not None:
        (home / "batch.csv").write_bytes(TABLES[case])
    with pytest.raises(AlodError) as refusal:
        fresh().teach_file(home / "batch.csv")
    one_line(str(refusal.value))
    assert str(home / "batch.csv") in str(refusal.value)
    assert (home / "run" / "labels.csv").read_bytes() == before


@pytest.mark.parametrize("case", COMMANDS)
def test_a_bad_command_exits_2_with_one_line(case, home, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(COMMANDS[case].split())
    told = capsys.readouterr().err
    assert stop.value.code == 2
    assert told.startswith("alod: ")
    assert told.count("\n") == 1


def test_another_process_that_does_not_let_go_is_told(home, monkeypatch):
    monkeypatch.setattr(labeling, "PATIENCE", 0.05)
    run = fresh()
    with labeling.lock_run(run.folder), pytest.raises(AlodError, match="another process has been"):
        run.undo(run.labeled[:1])
    assert len(fresh().labeled) == 3
