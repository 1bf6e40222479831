"""Batches go to Label Studio and come back by each of its formats, matched to the right images."""

import csv
import json
import xml.etree.ElementTree as ET
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

import alod
from alod import AlodError, cli
from alod.labeling import label_studio

CLASSES = ["cat", "dog, small", '"best" of <all>']
NAMES = ["a 1.png", "b/a 1.png", "b/c d/2+#.png", "ä.png", "5.png", "6.png"]


@pytest.fixture
def run(tmp_path):
    for i, name in enumerate(NAMES):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (40 * i, 90, 30)).save(path)
    given = {"model": "lenet5", "steps": 2, "image_size": 16, "device": "cpu"}
    return alod.open_run(tmp_path / "run", tmp_path / "photos", CLASSES, **given)


def code(run, name):
    return run.answers[run.position[name]]


def annotation(*labels, by=1, **more):
    place = {"from_name": "choice", "to_name": "image", "id": "x"}
    result = [{**place, "type": "choices", "value": {"choices": list(labels)}}]
    return {"id": 7, "completed_by": by, "result": result, "was_cancelled": False, **more}


def exported(path, *tasks):
    """Write what Label Studio exports as JSON: an address and the annotations of each task."""
    keys = ("id", "data", "annotations")
    rows = [(i, {"image": address}, list(given)) for i, (address, *given) in enumerate(tasks)]
    path.write_text(json.dumps([dict(zip(keys, row, strict=True)) for row in rows]))
    return path


def test_a_batch_becomes_tasks_with_what_is_known_and_what_is_guessed(run, tmp_path):
    run.teach(np.array([0, 1, 2]), np.array([0, 1, -1]), unasked=True)
    run.fit()
    run.query(2)
    run.skip(run.waiting[:1])
    path = tmp_path / "tasks.json"
    run.write_batch(np.arange(6), path, prefix="/data/local-files/?d=my/")
    tasks = json.loads(path.read_text())
    assert [task["data"]["file"] for task in tasks] == list(run.files)
    addresses = [task["data"]["image"].partition("?d=my/")[2] for task in tasks]
    assert list(map(unquote, addresses)) == list(run.files)
    assert not {" ", "#", "+"} & set("".join(addresses))
    told = [
        [c for r in a["result"] for c in r["value"]["choices"]] or a["was_cancelled"]
        for task in tasks
        for a in task["annotations"]
    ]
    assert sorted(map(str, told)) == sorted(
        map(str, [["cat"], ["dog, small"], ["not one of these"], True])
    )
    table = run.predicted(probabilities=True)
    for task, row in zip(tasks, table.to_dict("records"), strict=True):
        (guess,) = task["predictions"]
        (label,) = guess["result"][0]["value"]["choices"]
        assert guess["score"] == pytest.approx(row[f"p_{label}"], abs=1e-4)
        assert guess["score"] == pytest.approx(row["confidence"], abs=1e-4)
        assert guess["model_version"] == "alod, 2 labels"


def test_the_interface_offers_every_answer():
    choices = ET.fromstring(label_studio.interface(CLASSES)).iter("Choice")
    assert [choice.get("value") for choice in choices] == CLASSES


def test_tasks_come_back_as_json_json_min_and_csv(run, tmp_path, capsys):
    """The three formats are those of Label Studio's own converter, of one and the same project."""
    batch = tmp_path / "batch.json"
    query = ["query", "--run", str(run.folder), "-k", "6", "--device", "cpu", "--out", str(batch)]
    cli.main(query)
    assert label_studio.interface([*CLASSES, "not one of these"])[:-20] in capsys.readouterr().out
    cli.main(query)  # nobody has answered: it may be replaced
    tasks = json.loads(batch.read_text())
    answers = [*CLASSES, "not one of these", "Cannot tell", None]
    full, least, table = [], [], ['"annotation_id","annotator","choice","file","id","image"']
    for i, (task, answer) in enumerate(zip(tasks, answers, strict=True)):
        by = {"id": 3, "email": "ann@example.org"} if i % 2 else 3
        given = annotation(answer, by=by) if answer else annotation(by=by, was_cancelled=True)
        full.append({"id": i, **task, "annotations": [given]})
        if answer:  # those two leave out what was skipped
            who = "ann@example.org" if i % 2 else 3
            least.append({**task["data"], "id": i, "choice": answer, "annotator": who})
            quoted = answer.replace('"', '""')
            data = task["data"]
            table.append(f'7,"{who}","{quoted}","{data["file"]}",{i},"{data["image"]}"')
    exports = {
        "full.json": json.dumps(full),
        "min.json": json.dumps(least),
        "theirs.csv": "\n".join(table),
    }
    for number, (name, content) in enumerate(exports.items()):
        (tmp_path / name).write_text(content)
        new = alod.open_run(tmp_path / f"run{number}", run.root, CLASSES, model="lenet5", steps=2)
        skipped = name == "full.json"
        assert new.teach_file(tmp_path / name)["new"] == 5 + skipped
        expected = [0, 1, 2, *[alod.answers.FOREIGN, alod.answers.UNCLEAR]]
        codes = [code(new, task["data"]["file"]) for task in tasks]
        assert codes[:5] == expected
        assert (codes[5] == alod.answers.SKIPPED) == skipped
        with (new.folder / "labels.csv").open() as file:
            who = {row["file"]: row["annotator"] for row in csv.DictReader(file)}
        by = ["3", "ann@example.org"] * 3
        assert [who[task["data"]["file"]] for task in tasks[:5]] == by[:5]
    with pytest.raises(AlodError, match="answers not taught yet: 6"):
        run.write_batch(run.waiting, tmp_path / "full.json")


def test_images_of_an_array_are_in_their_tasks(mini, tmp_path):
    run = alod.open_run(tmp_path / "run", mini.images[:5], list("ab"), model="lenet5")
    run.write_batch(np.arange(5), tmp_path / "t.json")
    tasks = json.loads((tmp_path / "t.json").read_text())
    assert all(task["data"]["image"].startswith("data:image/png;base64,iVBOR") for task in tasks)
    tasks[3]["annotations"] = [annotation("b")]
    (tmp_path / "t.json").write_text(json.dumps(tasks))
    run.teach_file(tmp_path / "t.json")
    assert run.labeled.tolist() == [3]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/local-files/?d=photos/b/c%20d/2%2B%23.png", "b/c d/2+#.png"),
        ("/data/local-files/?d=photos%5Cb%5Cc d%5C2+%23.png", "b/c d/2+#.png"),
        ("http://host:8080/x/5.png?token=1", "5.png"),
        ("s3://bucket/deep/ä.png", "ä.png"),
        ("/data/upload/3/1a2b3c4d-5.png", "5.png"),
        ("/data/upload/1a2b3c4d-2.png", "b/c d/2+#.png"),
        ("5.png", "5.png"),
    ],
)
def test_an_address_is_matched_whatever_comes_before_the_name(run, tmp_path, address, name):
    run.teach_file(exported(tmp_path / "e.json", (address, annotation("cat"))))
    assert [run.files[i] for i in run.labeled] == [name]


def test_somebody_who_skips_overrules_nobody(run, tmp_path):
    skipped = annotation(was_cancelled=True, by=2)
    task = ("x/5.png", skipped, annotation("cat"), annotation("cat", by=3), annotation())
    assert run.teach_file(exported(tmp_path / "e.json", task))["new"] == 1
    assert code(run, "5.png") == 0


REFUSED = {
    "5.png.* 'cat' and 'dog, small' .of 1 and 2": (
        ("x/5.png", annotation("cat"), annotation("dog, small", by=2)),
    ),
    "task 1: has 2 choices, cat, dog, small; keep one": (
        ("x/5.png", annotation("cat", "dog, small")),
    ),
    "task 2: file 'x/7.png' is no image of this run": (
        ("x/5.png", annotation("cat")),
        ("x/7.png", annotation("cat")),
    ),
    "task 1: 'x/b/a 1.png' may be 'b/a 1.png' or 'a 1.png'; give it": (
        ("x/b/a 1.png", annotation("cat")),
    ),
    "may be 'a 1.png' or 'b/a 1.png'; give it": (
        ("/data/upload/1/00000000-a_1.png", annotation("cat")),
    ),
    "task 1: unknown label 'cow'": (("x/5.png", annotation("cow")),),
    "holds no answer": (("x/5.png",),),
}


@pytest.mark.parametrize("expected", REFUSED)
def test_what_is_ambiguous_or_unknown_is_refused_whole(run, tmp_path, expected):
    with pytest.raises(AlodError, match=expected) as refusal:
        run.teach_file(exported(tmp_path / "e.json", *REFUSED[expected]))
    assert "\n" not in str(refusal.value)
    assert not len(run.labeled)


@pytest.mark.parametrize(
    "content",
    ["[", "[1]", "{}x", '[{"data": {"text": "x"}, "annotations": []}]', '[{"choice": "cat"}]'],
)
def test_json_that_is_no_export_is_refused(run, tmp_path, content):
    (tmp_path / "e.json").write_text(content)
    with pytest.raises(AlodError, match="expected tasks with an image, as Label Studio") as refusal:
        run.teach_file(tmp_path / "e.json")
    assert "\n" not in str(refusal.value)


def test_several_choices_in_a_table_are_refused(run, tmp_path):
    content = 'choice,image\n"{""choices"":[""cat"",""dog, small""]}",x/5.png\n'
    (tmp_path / "e.csv").write_text(content)
    with pytest.raises(AlodError, match=r"e.csv line 2: has 2 choices"):
        run.teach_file(tmp_path / "e.csv")
