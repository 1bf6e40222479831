"""What a run has learned leaves it whole: probabilities, class folders, one torch module."""

import csv
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier

import alod
from alod import AlodError, cli
from alod.labeling import exporting

GIVEN = {"model": "lenet5", "steps": 5, "image_size": 16, "device": "cpu"}
CLASSES = ["a/b", "A_B", 'dog, "small"']


@pytest.fixture
def run(tmp_path):
    for i in range(12):
        name = f"day {i % 2}/{'deep/' if i % 3 else ''}{i // 4}.png"
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (20 * i, 90, 30)).save(path)
    run = alod.open_run(tmp_path / "run", tmp_path / "photos", CLASSES, **GIVEN)
    run.teach(np.arange(4), np.array([0, 1, 2, -1]), unasked=True)
    run.fit()
    return run


def test_probabilities_are_a_column_for_each_class_and_are_taken_back(run, tmp_path):
    path = tmp_path / "all.csv"
    options = ["--run", str(run.folder), "--out", str(path), "--device", "cpu"]
    cli.main(["predict", *options])
    with path.open() as file:
        assert next(csv.reader(file)) == ["file", "label", "confidence", "by"]
    cli.main(["predict", *options, "--probabilities"])
    table = pd.read_csv(path)
    shares = table[[f"p_{name}" for name in CLASSES]].to_numpy()
    assert np.allclose(shares, run.predict_proba(run.images), atol=0.01)
    assert np.allclose(shares.sum(1), 1, atol=2e-4)
    assert np.allclose(shares.max(1), table["confidence"])
    assert run.teach_file(path) == {"new": len(run.files) - 4, "corrected": 0, "known": 4}


def test_names_of_classes_that_hold_separators_are_carried(tmp_path, mini):
    """By the command line, the batch and the table of probabilities."""
    out, batch = str(tmp_path / "run"), tmp_path / "b.csv"
    run = alod.open_run(out, mini.images[:30], ["cat", "dog, small", "x;y;z"], **GIVEN)
    cli.main(["query", "--run", out, "-k", "6", "--device", "cpu", "--out", str(batch)])
    answers = iter([*run.classes, *run.classes])
    with batch.open() as file:
        rows = [{**row, "label": next(answers)} for row in csv.DictReader(file)]
    pd.DataFrame(rows).to_csv(batch, index=False)
    same = ["--classes", 'cat, "dog, small",x;y;z']
    with pytest.raises(AlodError, match="not taught yet: 6"):
        run.write_batch(np.arange(2), batch)
    cli.main(["teach", "--run", out, str(batch), "--device", "cpu"])
    cli.main(["query", "--run", out, "-k", "3", "--device", "cpu", *same, "--out", str(batch)])
    run.refresh()
    assert np.bincount(run.answers[run.labeled]).tolist() == [2, 2, 2]
    cli.main(["predict", "--run", out, "--out", str(tmp_path / "p.csv"), "--probabilities"])
    assert run.teach_file(tmp_path / "p.csv")["known"] == 6


def test_classes_that_are_no_row_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        cli.main(["query", "--run", str(tmp_path / "run"), "--classes", 'cat,"dog'])
    assert "expected names such as" in capsys.readouterr().err


def sorted_files(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}


@pytest.mark.parametrize("copy", [False, True])
def test_class_folders_hold_every_image_once_under_its_label(run, tmp_path, copy):
    folder = tmp_path / "sorted"
    table = run.sort_into(folder, copy=copy)
    assert table["file"].tolist() == list(run.files)
    assert sorted_files(folder) == {*table["path"], "sorted.csv"}
    assert len({path.casefold() for path in table["path"]}) == len(run.files)
    kept = pd.read_csv(folder / "sorted.csv")
    assert kept["path"].tolist() == table["path"].tolist()
    folders = table["path"].str.partition("/")[0]
    assert folders[3] == "not one of these"
    pairs = set(zip(folders.str.casefold(), table["label"], strict=True))
    assert len(pairs) == table["label"].nunique() == len({folder for folder, _ in pairs})
    for file, path in zip(run.files, table["path"], strict=True):
        assert (folder / path).is_symlink() != copy
        assert (folder / path).read_bytes() == (run.root / file).read_bytes()
        assert path.endswith(Path(file).name)


def test_only_what_an_earlier_call_made_is_replaced(run, tmp_path):
    folder = tmp_path / "sorted"
    run.sort_into(folder)
    run.teach(np.array([0]), np.array([2]), unasked=True)
    table = run.sort_into(folder, copy=True)
    assert sorted_files(folder) == {*table["path"], "sorted.csv"}
    moved = folder / table["path"][0]
    moved = moved.rename(moved.with_name("mine.png"))
    before = sorted_files(folder)
    with pytest.raises(AlodError, match=r"holds files that no earlier call made, .*mine.png"):
        run.sort_into(folder)
    assert sorted_files(folder) == before
    for other in (tmp_path, run.root, run.root / "new"):
        with pytest.raises(AlodError, match="give a folder"):
            run.sort_into(other)


def test_without_links_files_are_copied_and_it_is_said(run, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("privilege not held")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    with pytest.warns(UserWarning, match="no link can be made here") as told:
        table = run.sort_into(tmp_path / "sorted")
    assert len(told) == 1
    assert sorted_files(tmp_path / "sorted") == {*table["path"], "sorted.csv"}


def test_images_without_a_file_are_written(run, tmp_path, mini):
    (run.root / run.files[5]).unlink()
    with pytest.warns(UserWarning, match="image files that are not there: 1"):
        table = run.sort_into(tmp_path / "sorted")
    with Image.open(tmp_path / "sorted" / table["path"][5]) as image:
        assert np.array_equal(np.asarray(image).transpose(2, 0, 1), run.images[5])
    array = alod.open_run(tmp_path / "array", mini.images[:9], list("ab"), **GIVEN)
    array.teach(np.arange(9), np.arange(9) % 2, unasked=True)
    array.fit()
    array.sort_into(tmp_path / "digits")
    names = {f"{'ab'[i % 2]}/{i}.png" for i in range(9)}
    assert sorted_files(tmp_path / "digits") == {*names, "sorted.csv"}
    with Image.open(tmp_path / "digits/b/3.png") as image:
        assert np.array_equal(np.asarray(image), mini.images[3, 0])


def test_the_command_sorts_and_says_what_is_missing(run, tmp_path, capsys):
    cli.main(["predict", "--run", str(run.folder), "--sort-into", str(tmp_path / "s"), "--copy"])
    assert f"{len(run.files)} images classified" in capsys.readouterr().out
    assert len(sorted_files(tmp_path / "s")) == len(run.files) + 1
    with pytest.raises(SystemExit):
        cli.main(["predict", "--run", str(run.folder)])
    assert "give --out" in capsys.readouterr().err


def test_a_module_predicts_as_the_run_does(mini, tmp_path):
    # The default network at its default size, where pooling is uneven.
    images = torch.nn.functional.interpolate(mini.images[:60], 32)
    run = alod.open_run(tmp_path / "run", images, mini.classes, steps=20, device="cpu")
    run.teach(np.arange(40), mini.targets[:40], unasked=True)
    run.fit()
    run.export(tmp_path / "digits.pt2")
    found = {"classes": ""}
    module = torch.export.load(tmp_path / "digits.pt2", extra_files=found).module()
    assert json.loads(found["classes"]) == list(run.classes)
    ours = run.predict_proba(images[40:])
    # 16 bits, where the processor has them, are to three digits.
    for n in (1, 20):
        assert np.allclose(module(images[40 : 40 + n]).detach(), ours[:n], atol=0.03)
    assert np.ptp(ours, axis=0).max() > 0.1
    with pytest.raises(Exception, match="dtype"):  # rather than wrong answers
        module(images[:2].float())


def test_onnx_computes_the_same(run, tmp_path):
    pytest.importorskip("onnxscript")
    ort = pytest.importorskip("onnxruntime")
    run.export(tmp_path / "m.onnx")
    session = ort.InferenceSession(tmp_path / "m.onnx")
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == CLASSES
    (found,) = session.run(None, {session.get_inputs()[0].name: np.array(run.images[:5])})
    assert np.allclose(found, run.predict_proba(run.images[:5]), atol=0.03)


def test_what_cannot_be_written_is_refused_with_the_mend(run, tmp_path, monkeypatch):
    with pytest.raises(AlodError, match=r"ends in .pt2, for torch, or in .onnx"):
        run.export(tmp_path / "m.pt")
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(AlodError, match="pip install onnx onnxscript"):
        run.export(tmp_path / "m.onnx")
    fresh = alod.open_run(tmp_path / "new", run.root, CLASSES, **GIVEN)
    with pytest.raises(AlodError, match="nothing is learned yet"):
        fresh.export(tmp_path / "m.pt2")
    assert not list(tmp_path.glob("m.*"))


class Odd(torch.nn.Module):
    """Its path depends on values, which no graph can hold."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(256, 2)

    def forward(self, images):
        embedding = images.flatten(1)
        if embedding.sum() > 3:
            embedding = embedding + 1
        return embedding, self.layer(embedding)


def test_a_model_that_is_no_graph_is_refused_in_one_line(mini, tmp_path):
    images = mini.images[:10, :, 6:22, 6:22]
    run = alod.open_run(tmp_path / "run", images, list("ab"), model=Odd(), steps=1, device="cpu")
    run.teach(np.arange(4), np.arange(4) % 2, unasked=True)
    run.fit()
    with pytest.raises(AlodError, match=r"this model cannot be written so .*; keep") as refusal:
        run.export(tmp_path / "m.pt2")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("seen", [[2], [0, 2], [0, 1, 3]])
@pytest.mark.parametrize("model", ["linear", "mlp", KNeighborsClassifier(3)])
def test_a_head_on_features_is_written_if_it_is_layers(tmp_path, rng, model, seen):
    features = rng.normal(3, 2, (80, 6)).astype(np.float32)
    targets = (features[:, 0] > 3) + 2 * (features[:, 1] > 3)
    run = alod.open_run(tmp_path / "run", features, list("abcde"), model=model)
    taught = np.flatnonzero(np.isin(targets, seen))[:40]
    run.teach(taught, targets[taught], unasked=True)
    run.fit()
    learner = run.learner
    path = tmp_path / "head.pt2"
    if isinstance(model, str) or len(seen) == 1:
        run.export(path)
        found = torch.export.load(path).module()(torch.from_numpy(features[:7]))
        assert np.allclose(found.detach(), learner.predict_proba(features[:7]), atol=1e-5)
    else:
        with pytest.raises(AlodError, match=r"KNeighborsClassifier: .* pickle run.learner.model"):
            run.export(path)
        kept = pickle.loads(pickle.dumps(learner.model))  # as it says
        shares = kept.predict_proba(learner.embed(features[:7]))
        assert np.allclose(shares, learner.predict_proba(features[:7])[:, seen], atol=1e-5)


def test_a_run_of_photographs_is_one_module_with_its_encoder(tmp_path):
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.ReLU())
    network.side = 24
    images = np.random.default_rng(0).integers(0, 255, (30, 3, 24, 24)).astype(np.uint8)
    images[::2, 0] //= 4
    run = alod.open_run(tmp_path / "run", images, ["a", "b"], encoder=network)
    asked = run.query(10)
    run.teach(asked, asked % 2)
    run.fit()
    run.export(tmp_path / "run.pt2")
    module = torch.export.load(tmp_path / "run.pt2").module()
    # 16 bits, where the processor has them, leave two digits.
    assert np.allclose(
        module(torch.from_numpy(images)).detach(), run.predict_proba(images), atol=0.05
    )
