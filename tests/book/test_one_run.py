"""What one run did, image by image."""

import numpy as np
import pytest

import alod
from alod_book import one_run


def test_scores_are_the_querys_where_there_was_one(run, mini):
    scores = one_run.scores_when_asked(run, mini)
    rounds = one_run.asked_rounds(run, 600)
    assert np.isnan(scores[rounds == 0]).all()
    assert ((scores[rounds < 0] >= 0) & (scores[rounds < 0] <= 1)).all()
    asked = run.queries[run.queries["round"] > 0]
    assert scores[asked["index"]] == pytest.approx(asked["score"])
    assert (rounds[asked["index"]] == asked["round"]).all()
    # The first query looked at the very same embeddings.
    assert np.nanmean(scores[rounds == 1]) > np.nanmean(scores[rounds < 0])


def test_color_images_come_channels_last():
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 28, 30), dtype=np.uint8)
    data = alod.from_arrays(images, [0, 1, 0, 1])
    assert np.array_equal(one_run.pixels(data, [2]), images[2:3].transpose(0, 2, 3, 1))
