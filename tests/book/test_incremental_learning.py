"""What is said of training modes, inliers and stopping is what the runs say."""

import numpy as np
import pandas as pd
from toy_curves import title

from alod_book import incremental_learning


def recipe_rows():
    changes = {"steps": 600, "augment": "none"}
    default = {"steps": 300, "learning_rate": 0.003, "batch_size": 64, "augment": "auto"}
    gains = {None: 0.0, "steps": 0.02, "augment": -0.1}
    return pd.DataFrame(
        [
            default
            | ({changed: changes[changed]} if changed else {})
            | {"dataset": "mnist", "model": "cnn", "seed": seed, "n_labeled": n}
            | {"test_accuracy": 0.8 + gain * (1 + seed / 1000) + seed / 100}
            for changed, gain in gains.items()
            for seed in range(3)
            for n in (20, 50)
        ]
    )


def test_inliers_are_told_by_what_they_give_and_how_often_they_are_wrong():
    rows = [
        ("mnist", "lenet5", passes, seed, n, accuracy, n_inliers, error)
        for passes, accuracies in {2: (0.6, 0.95), 0: (0.7, 0.9)}.items()
        for seed in (0, 1)
        for n, accuracy, n_inliers, error in zip(
            (50, 1000), accuracies, (100 + 100 * seed, 3000), (0.3, 0.02), strict=True
        )
    ]
    names = "dataset model inlier_passes seed n_labeled test_accuracy n_inliers inlier_error"
    curves = pd.DataFrame(rows, columns=names.split())
    told = title(incremental_learning.for_free(curves))
    assert told == ("MNIST: inliers cost 10.0 points with 50 labels, give 5.0 with 1,000")
    table = incremental_learning.inlier_errors(curves[curves["inlier_passes"] > 0], "Seen.").data
    assert table.loc["50\N{NO-BREAK SPACE}labels"].tolist() == ["150", "30.0", "60.0 ± 0.0"]
    assert table.loc["1,000\N{NO-BREAK SPACE}labels"].tolist() == ["3,000", "2.0", "95.0 ± 0.0"]


def test_training_modes_are_told_with_what_a_round_changes():
    rows = [
        {
            "dataset": "mnist",
            "model": "lenet5",
            "training_mode": mode,
            "seed": seed,
            "n_labeled": n,
            "test_accuracy": accuracy,
            "agreement": agreement,
            "lost": 0.01,
            "forgotten": 0.0,
            "same_scores": 0.6,
        }
        for mode, accuracy, agreement in (("scratch", 0.7, 0.8), ("warm", 0.75, 0.9))
        for seed in (0, 1)
        for n in (20, 50)
    ]
    curves = pd.DataFrame(rows)
    assert "MNIST: warm leads, 5.0 points above scratch" in title(
        incremental_learning.training_modes(curves)
    )
    html = incremental_learning.changes(curves, "Seen.").to_html()
    assert html.index("warm") < html.index("scratch") and "90.00" in html


def test_the_recipe_is_measured_against_its_default():
    fig = incremental_learning.recipe_changes(recipe_rows())
    assert title(fig) == "MNIST, CNN: -10.0 points with no distortion, +2.0 with 600 steps"
    assert [trace.name for trace in fig.data] == ["600 steps", "no distortion"]


def test_a_lever_that_the_table_does_not_have_is_no_change():
    rows = recipe_rows()
    fig = incremental_learning.recipe_changes(
        rows[rows["augment"] == "auto"].drop(columns="augment")
    )
    assert [trace.name for trace in fig.data] == ["600 steps"]


def test_what_inliers_change_is_told_for_every_strategy():
    rows = [
        {
            "strategy": strategy,
            "inlier_passes": passes,
            "seed": seed,
            "n_labeled": n,
            "test_accuracy": 0.7 + n / 1000 + passes / 20 + seed / 100,
            "calibration_error": 0.02 - passes / 200,
            "same_scores": np.nan if n == 20 else 0.4,
        }
        for strategy in ("outlier", "random")
        for passes in (0, 2)
        for seed in (0, 1)
        for n in (20, 80)
    ]
    table = incremental_learning.offered(pd.DataFrame(rows), "Seen.").data
    assert list(table) == ["20 labels", "80 labels", "calibration error", "scores alike"]
    assert table.loc["outlier"].tolist() == [
        "72.5 → 82.5",
        "78.5 → 88.5",
        "2.0 → 1.0",
        "40.0 → 40.0",
    ]


def test_stopping_is_told_by_labels_and_what_was_left_to_gain():
    kappas = {0: [np.nan, 0.9, 0.99, 0.991, 0.992, 0.995], 1: [np.nan, 0.9, 0.9, 0.9, 0.9, 0.9]}
    runs = pd.DataFrame(
        [
            {
                "dataset": "mnist",
                "seed": seed,
                "n_labeled": 50 * (i + 1),
                "test_accuracy": 0.8 + 0.02 * i,
                "kappa": kappa,
            }
            for seed, own in kappas.items()
            for i, kappa in enumerate(own)
        ]
    )
    row = incremental_learning.when_to_stop(runs, "Seen.").data.loc["MNIST"]
    assert row["runs that stop"] == "1 of 2"
    assert (row["with labels"], row["accuracy there"]) == ("250 labels", "88.0 %")
    assert (row["at the end"], row["still to gain"]) == ("90.0 % with 300", "2.0 points")
    fig = incremental_learning.stability(runs)
    assert title(fig) == "Predictions become stable in 1 of 2 runs, with 250 labels"
    never = runs[runs["seed"] == 1]
    assert incremental_learning.when_to_stop(never).data.loc["MNIST", "with labels"] == "–"
    assert "no budget reached" in title(incremental_learning.stability(never))
