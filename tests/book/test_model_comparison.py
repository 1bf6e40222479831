"""What is said of three classifiers is what their runs say."""

import pandas as pd

from alod_book import model_comparison, results


def make_curves():
    rows = [
        ("mnist_mini", model, seed, round_, 50 * (round_ + 1), accuracy + 0.1 * round_)
        for model, accuracy in (("cnn", 0.7), ("lenet5", 0.6))
        for seed in range(2)
        for round_ in range(3)
    ]
    columns = ["dataset", "model", "seed", "round", "n_labeled", "test_accuracy"]
    return pd.DataFrame(rows, columns=columns)


def test_the_title_tells_the_share_of_full_set_accuracy():
    ceilings = pd.Series({"cnn": 0.99, "lenet5": 0.98})
    fig = model_comparison.share_of_full_set(make_curves(), ceilings, 6_000)
    title = fig.layout.title.text.replace("<br>", " ")
    assert title.startswith(
        "MNIST: the CNN has 91% of its full-set accuracy with 2.5% of the labels"
    )


def test_the_published_curve_is_cited_as_reported():
    fig = model_comparison.beside_published(make_curves())
    published = results.published_curves().query("dataset == 'mnist' and model == 'cnn'")
    title = fig.layout.title.text.replace("<br>", " ")
    assert "our CNN has 90.0% at 150 labels" in title
    assert f"{published['test_accuracy'].iloc[0]:.1%} at 200 and" in title
    fig = model_comparison.beside_published(make_curves(), ceilings={"cnn": 0.99, "lenet5": 0.98})
    drawn = {trace.name: trace for trace in fig.data}
    level = drawn["CNN, all labels"]
    assert set(level.y) == {0.99} and level.line.color == drawn["CNN"].line.color


def test_the_table_of_costs_is_read_from_the_runs(run):
    html = model_comparison.cost_table([run], {("mnist_mini", "lenet5"): 1.0}, "caption").to_html()
    for cell in ("MNIST", "LeNet5", "61,706", "not reached", "caption", "interpolated between"):
        assert cell in html


def test_what_it_took_is_the_end_of_the_runs_and_their_median_times():
    seconds = {0: (1, 2), 1: (10, 20), 2: (100, 200)}  # of training, by seed and round
    curves = pd.DataFrame(
        [
            {
                "dataset": "mnist",
                "model": "cnn",
                "seed": seed,
                "n_labeled": n,
                "test_accuracy": accuracy,
                "fit_seconds": fit,
                "infer_seconds": 5,
                "query_seconds": 1,
            }
            for seed, fits in seconds.items()
            for n, accuracy, fit in zip((20, 60), (0.5, 0.9), fits, strict=True)
        ]
    )
    full = pd.DataFrame(
        {"dataset": "mnist", "model": "cnn", "n_labeled": 600, "test_accuracy": [0.95, 0.97]}
    )
    (row,) = model_comparison.what_it_took(curves, full).data.to_dict("records")
    assert row == {
        "labels": "60",
        "of all labels": "10.0 %",
        "of full-set accuracy": "93.8 %",
        "rounds": 2,
        "seconds a round": "21",
        "minutes in all": "0.7",  # seed 1: 10 + 20 + 2 * 6 seconds
    }
