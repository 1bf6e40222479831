"""What is said of first sets is what their tables say."""

import pandas as pd
from toy_curves import title

from alod_book import initial_selection


def first_set_rows():
    rows = [
        {
            "dataset": "mnist",
            "initial": initial,
            "features": "pixels",
            "seed": seed,
            "n_labeled": n,
            "test_accuracy": accuracy + n / 1000 + seed / 100,
            "mmd2_percentile": percentile,
            "energy_percentile": percentile,
        }
        for initial, accuracy, percentile in (
            ("random", 0.5, 50),
            ("kmeans", 0.6, 2),
            ("kcenter", 0.4, 100),
        )
        for seed in (0, 1)
        for n in (20, 50)
    ]
    return pd.DataFrame(rows)


def test_titles_of_first_sets_say_what_they_gain_over_random():
    rows = first_set_rows()
    assert "20 labels chosen by kmeans are worth 10.0 points more than" in title(
        initial_selection.first_sets(rows)
    )
    assert "10.0 points" in title(initial_selection.lasting(rows))
    few = rows[rows["n_labeled"] == 20]
    assert "20 labels: 1 of 2 methods" in title(initial_selection.standing_for(few))
    # What a method lacks at one size is not taken for its gain.
    lacking = rows[(rows["initial"] != "kcenter") | (rows["n_labeled"] == 50)]
    assert "50 labels chosen" in title(initial_selection.first_sets(lacking))


def test_accuracy_by_features_leaves_blank_what_did_not_run():
    rows = first_set_rows().query("n_labeled == 20")
    other = rows[rows["initial"] == "kmeans"].assign(features="random_conv")
    html = initial_selection.by_features(pd.concat([rows, other]), "Seen.").to_html()
    assert "random conv" in html and "62.5" in html and "–" in html
