"""What is nearly the same is found without labels, and asked for once."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import alod
from alod import AlodError, cli
from alod.labeling import duplicates
from alod.labeling.duplicates import near_duplicates, spared

SMALL = {"model": "lenet5", "steps": 2, "image_size": 32, "device": "cpu"}


def again(pixels, quality=50, scale=1.0):
    """The same picture as it comes back from elsewhere."""
    image, content = Image.fromarray(pixels), io.BytesIO()
    image = image.resize([round(side * scale) for side in image.size])
    image.save(content, "JPEG", quality=quality)
    return Image.open(content)


@pytest.fixture
def photos(tmp_path):
    """24 smooth color pictures; 3 come again: as JPEG, half as large, as they are."""
    folder, rng = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    for i in range(24):
        rough = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        pixels = np.asarray(rough.resize((96, 80), Image.Resampling.BICUBIC))
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
        if i == 3:
            again(pixels).save(folder / "03 as.jpg")
            again(pixels, 80, 0.5).save(folder / "30 half.jpg")
        if i == 7:
            Image.fromarray(pixels).save(folder / "a copy.png")
    return folder


def test_each_joins_the_one_before_it_that_is_most_like_it(rng, monkeypatch):
    monkeypatch.setattr(duplicates, "SIDE", 7)
    points = rng.normal(size=(60, 3))
    first, centered = np.arange(60), points - points.mean(0)
    unit = centered / np.linalg.norm(centered, axis=1, keepdims=True)
    for i in range(1, 60):
        likeness = unit[:i] @ unit[i]
        if likeness.max() >= 0.95:
            first[i] = first[likeness.argmax()]
    assert 10 < len(np.unique(first)) < 60
    assert near_duplicates(torch.as_tensor(points), 0.95).tolist() == first.tolist()


def test_digits_that_come_again_as_jpeg_are_found_and_few_others(mini):
    originals = mini.images[:300]
    jpegs = [np.asarray(again(image[0].numpy(), 80)) for image in originals[:100]]
    first = near_duplicates(torch.cat([originals, torch.as_tensor(np.stack(jpegs))[:, None]]))
    assert (first[300:] == first[:100]).all()
    assert (first[:300] != np.arange(300)).sum() <= 3


def test_light_and_contrast_make_no_difference_and_blank_images_are_no_duplicates():
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    blank = torch.full((2, 3, 32, 32), 0.5)
    assert near_duplicates(torch.cat([image, blank, 0.5 * image + 0.2])).tolist() == [0, 1, 2, 0]


def test_one_of_a_group_is_asked_for_unless_one_is_known():
    first = np.array([0, 1, 1, 1, 4, 4, 4, 7])
    known = np.isin(np.arange(8), (5, 6))
    assert np.flatnonzero(spared(first, known)).tolist() == [2, 3, 4]


@pytest.mark.parametrize("alike", [0, 1.01, float("nan")])
def test_a_likeness_that_there_is_not_is_refused(alike):
    with pytest.raises(AlodError, match="expected a correlation, above 0 and at most 1"):
        near_duplicates(np.eye(3), alike)


def test_a_run_lists_them_and_asks_for_one_of_each(photos, tmp_path):
    run = alod.open_run(tmp_path / "run", photos, ["a", "b"], audit=4, **SMALL)
    listed = run.duplicates()
    groups = [set(files) for _, files in listed.groupby("group")["file"]]
    assert groups == [{"03.png", "03 as.jpg", "30 half.jpg"}, {"07.png", "a copy.png"}]
    before = len(run.pool)
    run.teach(np.array([run.position["a copy.png"]]), np.array([1]), unasked=True)
    run.duplicates(spare=True)
    asked = {run.files[i] for i in np.concatenate([run.pool, run.audit])}
    assert len(asked & groups[0]) == 1
    assert len(run.audit) + len(run.pool) == before + 4 - 2 - 2
    assert "07.png" not in asked
    run.fit()
    assert len(run.predicted()) == 27  # every image gets a class nevertheless


def test_the_command_line_lists_them_before_anyone_labels(photos, tmp_path, capsys):
    out, table = str(tmp_path / "run"), tmp_path / "dups.csv"
    new = ["--images", str(photos), "--classes", "a,b", "--model", "lenet5", "--device", "cpu"]
    cli.main(["duplicates", "--run", out, "--out", str(table), *new])
    assert pd.read_csv(table)["file"].tolist()[:1] == ["03 as.jpg"]
    assert "5 files in 2 groups" in capsys.readouterr().out
    cli.main(["query", "--run", out, "-k", "24", "--skip-duplicates", "--device", "cpu"])
    asked = pd.read_csv(tmp_path / "run" / "batch.csv")["file"]
    assert asked.isin(pd.read_csv(table)["file"]).sum() == 2
    with pytest.raises(SystemExit):
        cli.main(["query", "--run", out, "-k", "25", "--skip-duplicates", "--device", "cpu"])
