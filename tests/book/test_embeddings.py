"""The maps of a run say what the run did."""

import numpy as np
import pytest

from alod import AlodError
from alod_book import embeddings


def test_groups_are_what_the_learner_knows_at_that_moment(run, mini):
    initial, later = set(run.asked(0)), set(run.asked()) - set(run.asked(0))
    before, first, last = (embeddings.groups_at(run, mini, stage) for stage in embeddings.STAGES)
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
        embeddings.groups_at(run, mini, "middle")


def test_maps_of_two_moments_show_the_same_images_with_their_cards(run, mini):
    shown = np.concatenate([run.asked(), np.setdiff1d(np.arange(600), run.asked())[:50]])
    sheets = set()
    for stage, batch in (("before", 0), ("first", 1), ("last", 2)):
        # t-SNE alone: importing UMAP takes half a minute.
        (fig,) = embeddings.stage_maps(run, mini, stage, shown, ["Seen"], methods=["tsne"])
        text = fig.layout.title.text
        assert text.startswith("Seen") and "t-SNE; n = 100 images; trustworthiness" in text
        cards = fig.layout.meta["cards"]
        assert (cards["numbers"], cards["batch"]) == (shown.tolist(), batch)
        sheets.add(cards["sheet"])
    assert len(sheets) == 1
