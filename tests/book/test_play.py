"""Figures to play with hold what was recorded, and what was recorded is so."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import alod
from alod import heads
from alod.data import encoded
from alod.errors import AlodError
from alod_book import play

RECORDED = Path(__file__).parents[2] / "book" / "results" / "playground"


@pytest.mark.parametrize("name", ["choose", "strategies", "score"])
def test_what_is_played_is_small_and_tells_where_it_comes_from(name):
    path = RECORDED / f"{name}.json"
    content = json.loads(path.read_text())
    assert path.stat().st_size < 1e6
    assert {"config", "versions", "git_commit", "machine", "time"} <= set(content)


def test_a_page_holds_its_figure_whole_whatever_the_data_say():
    shown = play.Playable("score", 'a "plane" & more', {"name": "</script><b>"})._repr_html_()
    assert "</script><b>" not in shown and shown.count("</script>") == 2
    assert 'aria-label="a &quot;plane&quot; &amp; more"' in shown
    assert " id=" not in shown  # two on one page do not meet
    with pytest.raises(AlodError, match="make_playground"):
        play.recorded("nothing")


def test_each_three_tiles_reach_what_a_classifier_of_them_reaches():
    played = play.recorded("choose")
    data = alod.load_dataset("mnist_mini")
    config = json.loads((RECORDED / "choose.json").read_text())["config"]
    encode = encoded.make(config["encoder"], data.images)
    digits = np.array(played["digits"])
    rows = np.flatnonzero(np.isin(data.targets, digits))
    features, test = encode(data.images[rows]), np.isin(data.test_targets, digits)
    head = heads.Head("linear", features, len(digits))
    place = {number: i for i, number in enumerate(rows)}
    for deal, images in zip(played["deals"], np.reshape(played["numbers"], (-1, 12)), strict=True):
        targets = data.targets[images].numpy()
        assert targets[:3].tolist() == digits.tolist()
        assert targets[3:].tolist() == deal["answers"] and len(set(images)) == 12
        assert all(len(set(three)) == 3 for three in deal["picks"].values())
    three = deal["picks"]["outlier"]
    labeled = [*range(3), *(3 + i for i in three)]
    chosen = features[[place[i] for i in images[labeled]]]
    head.learn(chosen, torch.from_numpy(np.searchsorted(digits, targets[labeled])), seed=0)
    predicted = digits[head.logits(encode(data.test_images[test])).argmax(1)]
    right = (predicted == data.test_targets.numpy()[test]).sum()
    assert played["n_test"] == test.sum() and len(deal["right"]) == 84
    # Another processor rounds otherwise.
    assert abs(deal["right"][list(combinations(range(9), 3)).index(tuple(three))] - right) <= 3


def test_batches_and_curves_fit_the_budgets_and_every_image_asked_for_can_be_shown():
    played = play.recorded("strategies")
    bought = np.diff([0, *played["budgets"]])
    first = {tuple(batches[0]) for batches in played["batches"].values()}
    assert len(first) == 1  # all set out from the same images
    for name, batches in played["batches"].items():
        assert [len(batch) for batch in batches] == bought.tolist()
        asked = [i for batch in batches for i in batch]
        assert len(set(asked)) == len(asked) and set(asked) <= set(played["numbers"])
        curves = np.array(played["accuracy"][name])
        assert curves.shape[1] == len(bought) and (curves[:, -1] > curves[:, 0]).all()
    assert len(played["x"]) == len(played["y"]) == len(played["targets"]) == 6000


def test_the_toy_pool_has_the_scores_that_its_distances_give():
    played = play.recorded("score")
    labeled, targets, pool = (np.array(played[k]) for k in ("labeled", "targets", "pool"))
    away = np.linalg.norm(pool[:, None] - labeled, axis=2)
    nearest = np.sort([away[:, targets == c].min(1) for c in range(3)], axis=0)
    np.testing.assert_allclose(played["ratio"], nearest[0] / nearest[1], atol=1e-3)
    np.testing.assert_allclose(played["distance"], nearest[0], atol=1e-2)


def runs(strategy, params="{}", **more):
    """Two seeds of a run: its last round has 10 or 20 foreign of 100 labels."""
    rows = [
        {"n_labeled": n, "n_foreign": n // 10 * (seed + 1), "test_accuracy": 0.8, "seed": seed}
        for seed in (0, 1)
        for n in (50, 100)
    ]
    return pd.DataFrame(rows).assign(strategy=strategy, strategy_params=params, **more)


def test_a_bill_tells_filtered_from_plain_and_knows_both_kinds_of_tables():
    of_pools = [
        runs("margin", pool="foreign_20"),
        runs("margin", '{"two_sided": true}', pool="foreign_20"),
        runs("outlier", pool="foreign_20"),
        runs("margin", pool="clean"),
        runs("margin", pool="long_tail"),
    ]
    played = play.bill(pd.concat(of_pools))
    told = [(row["share"], row["query"], row["filtered"]) for row in played["rows"]]
    assert sorted(told) == [
        (0, "margin", False),
        (0, "margin", True),
        (20, "margin", False),
        (20, "margin", True),
        (20, "outlier", True),
    ]
    assert played["n_labels"] == 100
    assert played["rows"][0] | {"wasted": 15.0, "seeds": 2} == played["rows"][0]
    split = {"dataset": "sets:mnist_among_clothing_40", "pool": "clean"}
    filtered = '{"query": "margin", "filter": "%s"}'
    of_sets = [runs("open_rivals:filtered", filtered % f, **split) for f in ("none", "c_plus_1")]
    (row,) = play.bill(pd.concat(of_sets))["rows"]
    assert (row["share"], row["query"], row["filtered"]) == (40, "margin", False)


def test_a_bill_of_mixed_runs_is_refused():
    with pytest.raises(AlodError, match="one data set and model"):
        play.bill(pd.concat([runs("margin", pool="foreign_20")] * 2))


def test_what_no_table_holds_is_left_out_and_queries_keep_their_colors():
    shown = play.messy_pool(play.bill(runs("margin", pool="foreign_5")))
    assert shown.data["colors"] == {"margin": "#1F77C9"}
    assert "100 labels" in shown.alt
