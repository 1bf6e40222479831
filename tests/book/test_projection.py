import json
from pathlib import Path

import numba
import numpy as np
import pytest
import torch

import alod
from alod import AlodError
from alod_book import results
from alod_book.projection import LIBRARIES, project, trustworthiness
from alod_book.results import maps

RESULTS = Path(__file__).parents[2] / "book" / "results"


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    centers = np.eye(2, 8) * 5
    owner = np.arange(60) % 2
    return (centers[owner] + rng.normal(0, 0.3, (60, 8))).astype(np.float32), owner


def share_of_neighbors_in_own_blob(coordinates, owner, k=5):
    distances = np.linalg.norm(coordinates[:, None] - coordinates[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return (owner[np.argsort(distances, axis=1)[:, :k]] == owner[:, None]).mean()


def test_umap_leaves_torch_its_number_of_threads(blobs):
    before = torch.get_num_threads()
    torch.set_num_threads(numba.config.NUMBA_NUM_THREADS + 1)
    try:
        project(blobs[0], "umap")
        assert torch.get_num_threads() == numba.config.NUMBA_NUM_THREADS + 1
    finally:
        torch.set_num_threads(before)


def test_umap_keeps_neighborhoods_quietly_and_repeats_itself(blobs, capfd, recwarn):
    embeddings, owner = blobs
    coordinates = project(embeddings, "umap", seed=1)
    assert coordinates.shape == (60, 2) and coordinates.dtype == np.float32
    assert share_of_neighbors_in_own_blob(coordinates, owner) == 1
    assert np.array_equal(coordinates, project(embeddings, "umap", seed=1))
    assert len(recwarn) == 0 and capfd.readouterr() == ("", "")


def test_tsne_keeps_neighborhoods_quietly_and_repeats_itself(blobs, capfd, recwarn):
    embeddings, owner = blobs
    coordinates = project(embeddings, "tsne")
    assert coordinates.shape == (60, 2) and coordinates.dtype == np.float32
    assert share_of_neighbors_in_own_blob(coordinates, owner) == 1
    assert np.array_equal(coordinates, project(embeddings, "tsne"))
    assert len(recwarn) == 0 and capfd.readouterr() == ("", "")


def test_number_of_threads_changes_neither_a_tsne_map_nor_itself():
    embeddings = np.random.default_rng(0).normal(size=(500, 8))
    before, maps = torch.get_num_threads(), []
    try:
        for n_threads in (1, 3):
            torch.set_num_threads(n_threads)
            maps.append(project(embeddings, "tsne"))
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(*maps)


def test_length_of_an_embedding_does_not_matter(blobs):
    embeddings, owner = blobs
    lengths = np.random.default_rng(1).uniform(0.01, 100, (60, 1)).astype(np.float32)
    coordinates = project(embeddings * lengths, "tsne")
    assert share_of_neighbors_in_own_blob(coordinates, owner) == 1
    assert trustworthiness(embeddings * lengths, coordinates) == pytest.approx(
        trustworthiness(embeddings, coordinates)
    )


def test_five_points_are_enough():
    assert np.isfinite(project(np.eye(5), "tsne")).all()


@pytest.mark.parametrize("method", LIBRARIES)
@pytest.mark.parametrize(
    "points",
    [
        np.zeros((9, 3)),
        np.full((5, 4), 0.3),
        np.vstack([np.zeros((8, 3)), np.ones((1, 3))]),
        np.vstack([np.zeros((8, 3)), np.full((1, 3), 1e-30)]),
        np.outer([1, 1, 1, 1, -1], np.ones(2)),
        np.tile(np.random.default_rng(0).normal(size=(2, 4)), (6, 1)),
        np.ones((20, 4)) + 1e-7 * np.random.default_rng(0).normal(size=(20, 4)),
    ],
)
def test_repeated_points_have_a_place_on_the_map(method, points):
    coordinates = project(points, method)
    assert coordinates.shape == (len(points), 2)
    assert np.isfinite(coordinates).all()


def test_cache_returns_what_it_kept_and_tells_inputs_apart(blobs, tmp_path, monkeypatch):
    embeddings, _ = blobs
    cache = tmp_path / "new" / "folder"
    first = project(embeddings, "tsne", cache=cache)
    assert len(list(cache.iterdir())) == 1
    with monkeypatch.context() as patch:
        patch.setattr("alod_book.projection._compute", lambda *_: pytest.fail("computed again"))
        assert project(embeddings, "tsne", cache=cache).tobytes() == first.tobytes()
    project(embeddings, "tsne", seed=1, cache=cache)
    project(embeddings + 0.01, "tsne", cache=cache)
    assert len(list(cache.iterdir())) == 3


def test_trustworthiness_is_one_for_the_plane_itself_and_low_for_a_shuffled_one():
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, 400)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert trustworthiness(circle, circle) == pytest.approx(1, abs=1e-6)
    assert trustworthiness(circle, circle[::-1]) < 0.6


def test_trustworthiness_of_many_points_is_measured_on_a_sample():
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, 3_500)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert trustworthiness(circle, circle) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda _: project(np.eye(5), "pca"), "unknown projection method 'pca'"),
        (lambda _: project(np.eye(4), "tsne"), "at least 5 rows"),
        (lambda _: project(np.ones((9, 1)), "tsne"), "2 columns"),
        (lambda _: project(np.ones(9), "tsne"), "shape"),
        (lambda _: project(np.diag([1, 1, np.nan, 1, np.inf]), "tsne"), "2 of 5 rows, first row 2"),
        (lambda _: project(np.eye(5), "tsne", seed=-1), "seed=-1"),
        (lambda file: project(np.eye(5), "tsne", cache=file), "name a folder"),
        (lambda file: project(np.eye(5), "tsne", cache=file / "under"), "name a folder"),
        (lambda _: trustworthiness(np.eye(5), np.ones((4, 2))), r"expected \(5, 2\)"),
        (lambda _: trustworthiness(np.eye(5), np.ones((5, 2)), 3), "n_neighbors=3"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(AlodError, match=message) as error:
        call(file)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("model", ["cnn", "lenet5", "resnet18"])
@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist"])
def test_recorded_maps_hold_the_whole_pool_and_the_very_images_of_the_mini_set(dataset, model):
    kept, mini = maps(dataset, model), alod.load_dataset(f"{dataset}_mini")
    shown = kept["shown"]
    for stage in ("before", "last"):
        for method in ("umap", "tsne"):
            coordinates = kept[f"{method}_{stage}"]
            assert coordinates.shape == (2, 60_000)
            assert coordinates.min() == 0 and coordinates.max() == 1023
    assert np.array_equal(shown[:6000], kept["mini"]) and len(np.unique(shown)) == len(shown)
    assert np.array_equal(kept["targets"][kept["mini"]], mini.targets.numpy())
    asked = kept["round"] >= 0
    assert asked.sum() == 300 and asked[6000:].all()
    assert np.isin(kept["core"], shown[asked]).all()
    assert np.array_equal(np.isnan(kept["score"]), kept["round"] == 0)
    assert kept["images"].shape == (len(shown) - 6000, 28, 28) and kept["images"].max() == 15
    assert (RESULTS / "projections" / f"{dataset}_{model}.npz").stat().st_size < 1e6


def test_recorded_maps_tell_their_trust_and_where_they_come_from():
    table = results.table("projections")
    assert len(table) == 2 * 3 * 2 * 2 and table["trustworthiness"].between(0.5, 1).all()
    assert (table["n_images"] == 60_000).all()
    origin = json.loads((RESULTS / "projections.json").read_text())
    assert len(origin["git_commit"]) == 40 and {"umap-learn", "openTSNE"} <= set(origin["versions"])
    assert {run["config"]["model"] for run in origin["runs"]} == {"cnn", "lenet5", "resnet18"}


def test_what_was_not_recorded_is_named(monkeypatch):
    monkeypatch.setattr("alod_book.results.REPOSITORY", "file:///nowhere")
    with pytest.raises(AlodError, match=r"mnist_vgg\.npz.*make_projections"):
        maps("mnist", "vgg")
