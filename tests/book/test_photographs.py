"""What the chapter on photographs and the front page say is recorded; any folder will do."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from toy_curves import title

import alod
from alod import AlodError
from alod.data import pretrained
from alod.experiments import evaluation
from alod_book import chapters, photographs, results

README = " ".join((Path(__file__).parents[2] / "README.md").read_text("utf-8").split())
TEXT = " ".join(chapters.notebooks()["photographs"].read_text("utf-8").split())


def toy_curves():
    """Two queries on features with two seeds, and two networks, one of them at two sizes."""
    ways = [
        ("linear", 224, "outlier", (0.8, 0.9), 2),
        ("linear", 224, "margin", (0.7, 0.81), 9),
        ("linear", 224, "random", (0.6, 0.61), 6),
        ("cnn", 28, "outlier", (0.3,), 4),
        ("cnn", 64, "outlier", (0.4,), 4),
        ("resnet18", 28, "outlier", (0.5, 0.52), 4),
    ]
    return pd.DataFrame(
        {
            "model": model,
            "side": side,
            "strategy": strategy,
            "seed": seed,
            "n_labeled": n,
            "n_foreign": foreign * n // 20,
            "accuracy": end - 0.1 * (200 - n) / 150,
            "seconds": 2.0,
            "careful": end if model == "linear" else np.nan,
        }
        for model, side, strategy, ends, foreign in ways
        for seed, end in enumerate(ends)
        for n in (50, 100, 200)
    )


def test_what_is_said_of_photographs_is_recorded():
    recorded = results.table("photographs")
    frozen, scratch = (
        recorded[(recorded["model"] == "linear") == is_frozen] for is_frozen in (1, 0)
    )
    assert frozen.groupby("strategy")["seed"].nunique().eq(10).all()
    means = frozen.groupby(["strategy", "n_labeled"])[["accuracy", "n_foreign"]].mean()
    best = scratch[scratch["n_labeled"] == 200].groupby(["model", "side"])["accuracy"].mean().max()
    assert frozen["seconds"].max() < 1  # "less than a second"
    assert means.loc[("outlier", 50), "accuracy"] > best  # "worth more than two hundred"
    ends = means.xs(200, level="n_labeled")
    assert round(ends.loc["margin", "n_foreign"] / ends.loc["outlier", "n_foreign"]) == 3
    assert (ends["n_foreign"].drop("outlier") > ends.loc["outlier", "n_foreign"]).all()
    first = frozen[frozen["n_labeled"] == 30].groupby("seed")["n_foreign"].nunique()
    shared = frozen[(frozen["n_labeled"] == 30) & (frozen["strategy"] != "random")]
    assert first.eq(1).all() and shared.groupby("seed")["accuracy"].nunique().eq(1).all()
    tests = evaluation.gains(photographs._by_way(frozen), "outlier", "final", setting=("dataset",))
    level = tests.set_index("strategy")["p_holm"] > 0.05
    assert level["uherding"] and level["margin"]  # "is level with"
    assert (ends["accuracy"] <= ends.loc["outlier", "accuracy"]).all()
    outlier, margin = ends.loc["outlier"], ends.loc["margin"]
    assert f"with 200 it is {100 * outlier['accuracy']:.1f} % (ten seeds)" in README
    spent = f"{outlier['n_foreign']:.0f} on images that are not of the task, margin sampling "
    assert f"{spent}{margin['n_foreign']:.0f}:" in README


def test_the_finding_is_read_from_the_table():
    told = photographs.finding(toy_curves())
    numbers = re.findall(r"\d+(?:\.\d+)?", told.replace("ResNet18", "").replace("28 px", ""))
    assert " ".join(numbers) == "200 85.0 2 80.0 51.0 2 50 75.0 200 20 90 60 85.0"
    assert "ResNet18 at 28 px, **51.0%** (mean of 2 seeds)" in told and "more than that" in told
    few = toy_curves().query("model != 'resnet18'").assign(accuracy=0.4)
    assert "CNN at 28 px, **40.0%** (one seed)" in photographs.finding(few)
    assert "not yet that" in photographs.finding(few)


def test_a_network_is_drawn_at_the_size_that_suits_it_best():
    fig = photographs.accuracy(toy_curves())
    lines = {trace.name: trace for trace in fig.data if trace.mode == "lines+markers"}
    assert set(lines) == {"outlier", "margin", "random", "CNN", "ResNet18"}
    assert lines["CNN"].y[-1] == pytest.approx(0.4)
    assert lines["outlier"].y[-1] == pytest.approx(0.85)
    words = "With 200 labels: 85% by frozen features and outlier queries, 51% by the best network"
    assert title(fig).startswith(words) and "Mean of 1 to 2 seeds" in fig.layout.title.text


def test_what_is_bought_is_drawn_on_features_alone():
    fig = photographs.bought(toy_curves())
    lines = {trace.name: trace for trace in fig.data if trace.mode == "lines+markers"}
    assert set(lines) == {"outlier", "margin", "random"}
    assert lines["margin"].y[-1] == pytest.approx(0.45)
    assert "of 200 labels margin spends 90 on foreign images, outlier" in title(fig)


def test_every_way_is_told_with_its_seeds_and_the_worst_of_them():
    table = photographs.ways(toy_curves()).data
    order = ["outlier", "margin", "random", "ResNet18 at 28 px", "CNN at 64 px", "CNN at 28 px"]
    assert list(table.index) == order
    assert table["worst seed"].tolist() == ["80.0", "70.0", "60.0", "50.0", "40.0", "30.0"]
    assert table["seeds"].tolist() == ["2", "2", "2", "2", "1", "1"]
    ends = [text.replace("\N{NO-BREAK SPACE}", " ") for text in table["200 labels"]]
    assert (ends[0], ends[-1]) == ("85.0 ± 7.1", "30.0")
    assert table["p"].eq("–").tolist() == [True, False, False, True, True, True]


def write_photos(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), "red").save(folder / name)
    return folder


def test_a_folder_of_ones_own_says_what_is_of_the_task(tmp_path):
    names = ["cat/1.png", "cat/wild/other/2.png", "dog/1.png", "other/dog/9.png"]
    found = photographs.find(
        tmp_path, str(write_photos(tmp_path / "mine", names)), "other", encoder="random_conv"
    )
    assert found.images == tmp_path / "mine" and found.classes == ["cat", "dog"]
    assert found.truth == dict(zip(names, (0, -1, 1, -1), strict=True))
    assert (found.encoder, found.files, found.note) == ("random_conv", None, "")
    write_photos(tmp_path / "mine", ["loose.png"])
    with pytest.raises(AlodError, match=r"loose.png: expected photographs in a folder for each"):
        photographs.find(tmp_path, str(tmp_path / "mine"))


def test_features_of_ones_own_come_with_their_files(tmp_path):
    np.save(tmp_path / "mine.npy", np.eye(3, dtype=np.float32))
    (tmp_path / "mine.txt").write_text("b/1.jpg\na/cartoon/1.jpg\na/2.jpg\n")
    given = str(tmp_path / "mine.npy")
    found = photographs.find(tmp_path, features=given, files=str(tmp_path / "mine.txt"))
    assert found.files == ["b/1.jpg", "a/cartoon/1.jpg", "a/2.jpg"] and found.encoder == "none"
    assert list(found.truth.values()) == [1, -1, 0]
    assert np.array_equal(found.images, np.eye(3))
    with pytest.raises(AlodError, match="files: no photograph is named"):
        photographs.find(tmp_path, features=given)


def test_what_a_machine_lacks_is_said_and_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(photographs, "STAMPS", write_photos(tmp_path / "s", ["food/cartoon/a.png"]))
    monkeypatch.setattr(pretrained, "is_installed", lambda: False)
    write_photos(tmp_path / "s", ["food/b.png", "space/c.png", "symbols/d.png"])
    bare = photographs.find(tmp_path)
    assert bare.encoder == "random_conv" and "pip install 'alod[pretrained]'" in bare.note
    assert bare.truth == {"food/b.png": 0, "food/cartoon/a.png": -1, "space/c.png": 1}
    assert (bare.images / "food" / "b.png").is_file()
    monkeypatch.setattr(photographs, "STAMPS", tmp_path / "nowhere")
    clothing = photographs.find(tmp_path)
    assert "apt-get install tuxpaint-stamps-default" in clothing.note
    assert clothing.images.shape == (600, 1, 28, 28) and clothing.encoder == "random_conv"
    assert 60 < list(clothing.truth.values()).count(-1) < 180


@pytest.mark.skipif(not photographs.STAMPS.is_dir(), reason="tuxpaint-stamps-default is not here")
def test_the_stamps_are_those_that_the_chapter_tells_of(tmp_path):
    stamps = photographs.find(tmp_path, encoder="random_conv")
    assert "some three hundred and fifty, in nine classes, with a hundred cartoons" in TEXT
    foreign = list(stamps.truth.values()).count(-1)
    assert len(stamps.classes) == 9 and 95 <= foreign <= 110
    assert 340 <= len(stamps.truth) - foreign <= 360


@pytest.fixture(scope="module")
def labeled(tmp_path_factory):
    """A run on clothing with digits among it, and the round in which each was asked for."""
    home = tmp_path_factory.mktemp("photographs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photographs, "STAMPS", home / "nowhere")
        found = photographs.find(home)
    found = found._replace(images=found.images[:80])
    run = alod.open_run(home / "run", found.images, found.classes, encoder=found.encoder)
    targets = np.array([found.truth[file] for file in run.files])
    asked_round = np.full(80, -1)
    for number in range(2):
        asked = run.query(20)
        run.teach(asked, targets[asked])
        run.fit()
        asked_round[asked] = number
    return run, found, targets, asked_round


def test_the_state_of_a_run_is_that_of_its_answers(labeled):
    run, _, targets, asked_round = labeled
    state = photographs.state(run, targets)
    asked = asked_round >= 0
    assert (state["labels"], state["foreign"]) == (40, (asked & (targets < 0)).sum())
    left = np.flatnonzero(~asked & (targets >= 0))
    right = (run.predict(run.images[left]) == targets[left]).mean()
    assert state["accuracy"] == pytest.approx(100 * right)


def test_the_map_shows_the_pictures_and_what_was_asked_for(labeled):
    run, found, targets, asked_round = labeled
    fig = photographs.pictures_map(run, found, asked_round)
    foreign, asked = targets < 0, asked_round >= 0
    told = (
        f"Of {foreign.sum()} foreign images among 80, outlier asked for {(foreign & asked).sum()}"
    )
    assert title(fig) == f"{told} in 40 labels" and "n = 80 images" in fig.layout.title.text
    later = (asked_round > 0) & ~foreign
    assert f"{later.sum()} asked for later" in fig.layout.meta["alt"]
    drawn = [
        (trace.legendgroup, n)
        for trace in fig.data
        if trace.customdata is not None
        for n in trace.customdata
    ]
    assert sorted(n for group, n in drawn if group == "foreign") == np.flatnonzero(foreign).tolist()
    assert len(drawn) == 80 and len(fig.layout.images) == 1
    cards = fig.layout.meta["cards"]
    assert cards["rounds"] == asked_round.tolist() and cards["batch"] == 1


def test_features_without_pictures_have_a_map_of_points(labeled, tmp_path):
    run, found, _, asked_round = labeled
    features = np.asarray(run.learner.images)
    names = list(run.files)
    bare = alod.open_run(tmp_path / "run", features, found.classes, files=names)
    fig = photographs.pictures_map(bare, found, asked_round)
    assert not fig.layout.images and "cards" not in fig.layout.meta
