"""The chapters on one data set: the loop that they show is the method, the words are the run's."""

import json
from dataclasses import replace

import numpy as np
import pytest
from toy_curves import title

import alod
from alod.experiments.run import run_experiment
from alod_book import chapters, one_data_set


def test_the_loop_that_the_chapter_shows_asks_and_learns_as_the_run_does(run, mini, capsys):
    cells = json.loads(chapters.notebooks()["mnist"].read_text())["cells"]
    (loop,) = [cell for cell in cells if "learner.query(" in "".join(cell["source"])]
    assert "tags" not in loop["metadata"]  # nothing of it is hidden
    shown = {"alod": alod, "data": mini, "n_initial": 30, "n_query": 10, "steps": 30, "seed": 0}
    shown |= {"model": run.config.model, "strategy": run.config.strategy}
    exec("".join(loop["source"]), shown)
    assert np.array_equal(shown["learner"].labeled, np.sort(run.asked()))
    told = [line.split()[2] for line in capsys.readouterr().out.splitlines()]
    assert told == [f"{accuracy:.1%}" for accuracy in run.history["test_accuracy"]]


@pytest.fixture(scope="module")
def twin(run, mini, tmp_path_factory):
    config = replace(run.config, strategy="random")
    return run_experiment(config, tmp_path_factory.mktemp("twin") / "run", data=mini)


def test_titles_and_words_are_read_from_the_runs(run, twin, mini):
    first, *_, end = run.history["test_accuracy"]
    other = twin.history["test_accuracy"].iloc[-1]
    assert title(one_data_set.beside_twin(run, twin, twin, mini)) == (
        f"LeNet5: 50 labels (8.3% of the pool) reach {end:.1%}, all labels {other:.1%}"
    )
    told = one_data_set.gained(run, twin)
    assert f"The 2 rounds gained **{end - first:.1%}**" in told
    assert f"random twin ended at {other:.1%}" in told
    assert title(one_data_set.first_images(run, mini)).startswith("The first 30 images")
    assert title(one_data_set.last_images(run, mini)).startswith("The last query: 10 images")


def test_classes_are_told_by_their_own_images(run, twin, mini):
    truth, taken = mini.test_targets.numpy(), run.embeddings["test_predictions"]
    fig = one_data_set.class_gaps(run, twin, mini)
    asked = next(trace for trace in fig.data if trace.name == "50 asked for")
    right = [(taken[truth == number] == number).mean() for number in range(10)]
    assert list(asked.x) == pytest.approx(right)
    worst = title(one_data_set.worst_confusion(run, mini))
    true, _, other = worst.removeprefix("The most frequent error: ").partition(" taken for ")
    number = int(other.partition("(")[2].partition(" ")[0])
    pairs = zip(truth, taken, strict=True)
    assert number == sum((t, p) == (int(true), int(other[0])) for t, p in pairs)


def test_seconds_are_those_of_the_run_beside_the_recorded(run):
    seconds = run.history[["fit_seconds", "infer_seconds", "query_seconds"]].sum()
    share = f"{seconds['fit_seconds'] / seconds.sum():.0%}"
    assert one_data_set.training_share(run).startswith(f"Training took {share} of this run's time")
    assert "for 3 rounds" in title(one_data_set.where_time_goes(run))
