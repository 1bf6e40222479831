"""The chapters' pictures say what the run did."""

from dataclasses import replace

import numpy as np
import pytest

import alod
from alod import AlodError
from alod.experiments import evaluation
from alod_book import pictures

CONFIG = alod.ExperimentConfig(
    model="lenet5", n_initial=30, n_query=10, rounds=2, steps=30, keep_embeddings=True
)


@pytest.fixture(scope="module")
def run(mini, tmp_path_factory):
    return alod.run_experiment(CONFIG, tmp_path_factory.mktemp("pictures") / "run", data=mini)


def title(fig):
    return fig.layout.title.text.partition("<span")[0].replace("<br>", " ").strip()


def test_groups_are_what_the_learner_knows_at_that_moment(run, mini):
    initial, later = set(run.asked(0)), set(run.asked()) - set(run.asked(0))
    before, first, last = (pictures.groups_at(run, mini, stage) for stage in pictures.STAGES)
    assert set(np.flatnonzero(before == "initial")) == initial
    assert set(np.unique(before)) == {"initial", "pool"}
    assert set(np.flatnonzero(first == "outlier")) == set(run.asked(1))
    assert set(np.flatnonzero(first == "core")) < initial
    assert set(np.flatnonzero(last == "pool")) == set(range(600)) - set(run.asked())
    # The core set sums up all that is labeled by then.
    assert set(np.flatnonzero(last == "outlier")) <= later
    labels = mini.targets.numpy()
    core = np.flatnonzero(last == "core")
    assert max(np.bincount(labels[core])) <= 2
    assert np.array_equal(run.embeddings["predictions"][core], labels[core])
    with pytest.raises(AlodError, match="unknown stage"):
        pictures.groups_at(run, mini, "middle")


def test_scores_are_the_querys_where_there_was_one(run, mini):
    scores = pictures.outlier_scores(run, mini)
    rounds = pictures.asked_rounds(run, 600)
    assert np.isnan(scores[rounds == 0]).all()
    assert ((scores[rounds < 0] >= 0) & (scores[rounds < 0] <= 1)).all()
    asked = run.queries[run.queries["round"] > 0]
    assert scores[asked["index"]] == pytest.approx(asked["score"])
    assert (rounds[asked["index"]] == asked["round"]).all()
    # The first query looked at the very same embeddings.
    assert np.nanmean(scores[rounds == 1]) > np.nanmean(scores[rounds < 0])


def test_maps_of_two_moments_show_the_same_images_with_their_cards(run, mini):
    shown = np.concatenate([run.asked(), np.setdiff1d(np.arange(600), run.asked())[:50]])
    sheets = set()
    for stage, batch in (("before", 0), ("first", 1), ("last", 2)):
        # t-SNE alone: importing UMAP takes half a minute.
        (fig,) = pictures.stage_maps(run, mini, stage, shown, ["Seen"], methods=["tsne"])
        text = fig.layout.title.text
        assert text.startswith("Seen") and "t-SNE; n = 100 images; trustworthiness" in text
        cards = fig.layout.meta["cards"]
        assert (cards["numbers"], cards["batch"]) == (shown.tolist(), batch)
        sheets.add(cards["sheet"])
    assert len(sheets) == 1


def test_color_images_come_channels_last():
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 28, 30), dtype=np.uint8)
    data = alod.from_arrays(images, [0, 1, 0, 1])
    assert np.array_equal(pictures.pixels(data, [2]), images[2:3].transpose(0, 2, 3, 1))


def test_strategies_are_asked_about_the_same_pool(mini):
    learner = alod.ActiveLearner(mini.images, 10, model="lenet5", steps=20)
    learner.step(30, lambda indices: mini.targets[indices].numpy())
    asked = pictures.batches(learner, ["random", "margin"], 5)
    view = learner.view()
    top_two = view.pool_logits.softmax(1).topk(2, dim=1).values
    closest = np.argsort((top_two[:, 0] - top_two[:, 1]).numpy())[:5]
    assert set(asked["margin"]) == set(learner.pool[closest])
    assert set(asked["random"]) <= set(learner.pool) and len(learner.waiting) == 0


def test_the_last_query_marks_what_is_foreign(run, mini):
    asked = run.asked(2)
    targets = mini.targets.clone()
    targets[asked[:3]] = -1
    fig = pictures.last_query(run, replace(mini, targets=targets), n=5)
    assert title(fig) == "outlier: 3 of the last 10 asked for are foreign"
    assert [text == "×" for text in fig.data[0].text] == [True] * 3 + [False] * 2


def test_batches_are_shown_with_what_the_classifier_takes_them_for(mini):
    learner = alod.ActiveLearner(mini.images, 10, model="lenet5", steps=20)
    learner.step(30, lambda indices: mini.targets[indices].numpy())
    batch = learner.pool[:12]
    wrong = int((learner.predict(mini.images[batch]) != mini.targets[batch].numpy()).sum())
    fig = pictures.batch_grid(learner, mini, "outlier_topk", batch)
    assert title(fig) == f"outlier topk: {wrong} of 12 are taken for something else"
    (fig,) = pictures.batch_maps(learner, mini, {"outlier_topk": batch}, n_pool=60)
    remote = evaluation.remoteness(learner.outputs()[0].numpy(), batch)
    assert title(fig).startswith(f"outlier topk: these images lie {remote:.1f} times as far")
