"""What the chapter writes for its reader to change does what the chapter says of it."""

import importlib
import json
import sys

import numpy as np
import pytest
import torch

import alod
from alod import outliers, strategies
from alod.experiments.load import load_configs
from alod.view import PoolView
from alod_book import chapters

NAMES = ("mine", "my_detector", "my_encoder", "my_data")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of the chapter's files, importable."""
    home = tmp_path_factory.mktemp("own")
    for cell in json.loads(chapters.notebooks()["own_strategy"].read_text())["cells"]:
        if cell["source"][0].startswith("%%writefile {home}/"):
            name = cell["source"][0].strip().rpartition("/")[2]
            (home / name).write_text("".join(cell["source"][1:]))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(home)
        yield home
    for name in NAMES:
        sys.modules.pop(name, None)


@pytest.fixture
def view():
    generator = torch.Generator().manual_seed(0)
    labeled, pool = torch.randn(24, 5, generator=generator), torch.randn(60, 5, generator=generator)
    logits = torch.randn(60, 3, generator=generator)
    return PoolView(labeled, torch.arange(24) % 3, pool, pool_logits=logits)


def test_the_file_names_what_is_there(written):
    configs = load_configs(written / "mine.yaml")
    assert {config.strategy for config in configs} == {
        *("random", "margin", "outlier", "mine:spread_margin")
    }
    assert len({config.seed for config in configs}) == 10
    assert sorted(path.stem for path in written.glob("*.py")) == sorted(NAMES)


def test_without_noise_the_strategy_is_margin_and_with_nothing_else_it_is_chance(written, view):
    query = importlib.import_module("mine").spread_margin
    by_margin, scores = strategies.margin(view, 10, np.random.default_rng(0))
    indices, own = query(view, 10, np.random.default_rng(0), beta=1e9)
    assert indices.tolist() == by_margin.tolist()
    assert own == pytest.approx(scores)
    often = np.zeros(60)
    for seed in range(600):
        often[query(view, 10, np.random.default_rng(seed), beta=0)[0]] += 1
    assert abs(often / 600 - 1 / 6).max() < 0.07  # four standard errors
    strategies.check_selection(query(view, 10, np.random.default_rng(1)), 10, 60, "mine")


def test_the_detector_measures_to_the_center_of_each_class(written, view):
    module = importlib.import_module("my_detector")
    points, targets = view.labeled_embeddings.numpy(), view.labeled_targets.numpy()
    scores = outliers.class_scores(
        module.ToCenter(), view.labeled_embeddings, view.labeled_targets, view.pool_embeddings
    )
    centers = np.stack([points[targets == c].mean(0) for c in range(3)])
    apart = view.pool_embeddings.numpy()[:, None] - centers
    assert scores == pytest.approx(np.sqrt((apart**2).sum(2)), rel=1e-4)
    given = module.outlier_to_center(view, 10, np.random.default_rng(0))
    strategies.check_selection(given, 10, 60, "outlier_to_center")


def test_the_encoder_tells_directions_of_strokes(written):
    strokes = importlib.import_module("my_encoder").strokes
    images = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    images[0, :, :, 14:] = 255  # an upright edge
    images[1, :, 14:] = 255  # a level one
    upright, level = strokes(images).reshape(2, 8, 16).sum(2)
    assert upright.argmax() == 0 and level.argmax() == 4
    assert (upright > 0).sum() == (level > 0).sum() == 1


def test_the_data_set_is_one_that_a_file_can_name(written):
    data = alod.load_dataset("my_data:small_digits")
    assert data.images.shape == (1300, 1, 8, 8)
    assert len(data.classes) == 10 and len(data.test_images) == 497
    assert int(data.images.max()) > 200
