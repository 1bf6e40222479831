"""Finished runs: one tidy table, and where its numbers come from."""

import json
from dataclasses import asdict, replace

import pandas as pd
import pytest

import alod
from alod import AlodError, ExperimentConfig, cli
from alod.experiments.record import at_the_end, find_runs, record, tidy
from alod.experiments.run import load_run, run_experiment

TINY = ExperimentConfig(model="lenet5", n_initial=20, n_query=10, rounds=2, steps=2)


def test_run_of_another_version_is_named_and_nobody_is_told_to_delete_it(tmp_path):
    run = run_experiment(
        replace(TINY, rounds=0, strategy="random"), tmp_path / "run", on_round=lambda row: None
    )
    for change in ({"strategy": "gone"}, {"gone": 1}):
        told = json.dumps(asdict(run.config) | change)
        (run.folder / "config.json").write_text(told)
        with pytest.raises(AlodError, match="another version of alod") as error:
            find_runs([tmp_path])
        assert "delete" not in str(error.value)


def test_compare_writes_one_tidy_table_and_its_origin(runs, tmp_path, capsys):
    out = tmp_path / "results" / "tiny.csv"
    cli.main(["compare", str(runs), "--out", str(out)])
    table = pd.read_csv(out)
    settings = "dataset model strategy initial n_query training_mode pool strategy_params seed"
    history = (
        "round n_labeled n_unique n_foreign n_classes_seen test_accuracy "
        "fit_seconds infer_seconds query_seconds"
    )
    assert list(table) == [*settings.split(), *history.split()]
    for (strategy, seed), rows in table.groupby(["strategy", "seed"]):
        run = load_run(runs / f"{strategy}{seed}")
        same = list(run.history)
        assert rows[same].to_numpy().tolist() == run.history[same].to_numpy().tolist()
        assert {json.loads(p)["detector"] for p in rows["strategy_params"] if p != "{}"} == (
            {"lof"} if strategy == "outlier" else set()
        )
    assert set(table["pool"]) == {"clean"}
    origin = json.loads(out.with_suffix(".json").read_text())
    assert sorted(map(str, origin["config"]["strategy_params"])) == ["{'detector': 'lof'}", "{}"]
    assert origin["config"]["rounds"] == 1
    assert (origin["n_runs"], origin["n_seeds"]) == (4, 2)
    one = load_run(runs / "random0").provenance
    assert {key: origin[key] for key in ("versions", "machine", "device", "threads")} == {
        key: one[key] for key in ("versions", "machine", "device", "threads")
    }
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == f"{out}: 4 finished runs; 1 unfinished"
    ends = table[table["round"] == 1].groupby("strategy")["test_accuracy"].agg(["mean", "std"])
    for line in printed[1:-1]:
        word = line.split()
        mean, sd = ends.loc[word[2]]
        assert word[-4:] == ["30", "2", f"{mean:.4f}", f"{sd:.4f}"]


def test_runs_added_later_leave_what_all_at_once_leaves(runs, tmp_path):
    at_once, later = tmp_path / "at_once.csv", tmp_path / "later.csv"
    cli.main(["compare", str(runs), "--out", str(at_once)])
    for seed in (0, 1):
        own = [str(runs / f"{strategy}{seed}") for strategy in ("outlier", "random")]
        cli.main(["compare", *own, "--out", str(later), "--add"])
    assert later.read_text() == at_once.read_text()
    one, two = (json.loads(path.with_suffix(".json").read_text()) for path in (at_once, later))
    assert one.pop("wall_seconds") == pytest.approx(two.pop("wall_seconds"), abs=0.02)
    assert one == two


def test_a_result_older_than_a_field_is_added_to_with_what_the_field_meant(runs, tmp_path):
    out = tmp_path / "out.csv"
    record(find_runs([runs / "random0"])[0], out)
    origin = json.loads(out.with_suffix(".json").read_text())
    del origin["config"]["features"]
    out.with_suffix(".json").write_text(json.dumps(origin))
    record(find_runs([runs / "random1"])[0], out, add=True)
    assert json.loads(out.with_suffix(".json").read_text())["config"]["features"] == "pixels"


def test_runs_are_not_added_twice(runs, tmp_path):
    out = tmp_path / "out.csv"
    record(find_runs([runs])[0], out, add=True)
    for folder in (runs, runs / "random0"):
        with pytest.raises(AlodError, match="holds a run of"):
            record(find_runs([folder])[0], out, add=True)


def test_only_a_csv_file_can_be_added_to(runs, tmp_path):
    with pytest.raises(AlodError, match="expected the name of a"):
        record(find_runs([runs])[0], tmp_path, add=True)


@pytest.mark.parametrize("order", [("random", "outlier"), ("outlier", "random")])
def test_what_is_alike_in_each_part_is_told_where_the_parts_differ(runs, tmp_path, order):
    at_once, later = tmp_path / "at_once.csv", tmp_path / "later.csv"
    record(find_runs([runs])[0], at_once)
    for strategy in order:
        own = find_runs([runs / f"{strategy}{seed}" for seed in (0, 1)])[0]
        assert ("strategy_params" in record(own, later, add=True)) == (strategy == order[1])
    assert later.read_text() == at_once.read_text()


def test_runs_are_not_added_where_the_table_cannot_tell_them_apart(runs, tmp_path, mini):
    out = tmp_path / "out.csv"
    record(find_runs([runs / "random0"])[0], out)
    origin = json.loads(out.with_suffix(".json").read_text())
    origin["config"]["steps"] = [5, 6]  # one of two data sets each, say
    out.with_suffix(".json").write_text(json.dumps(origin))
    for steps in (1, 2):
        config = replace(TINY, rounds=0, steps=steps, strategy="random")
        alod.run_experiment(config, tmp_path / "runs" / str(steps), data=mini)
    with pytest.raises(AlodError, match="does not tell which of its runs have which steps"):
        record(find_runs([tmp_path / "runs"])[0], out, add=True)


def test_runs_that_tell_more_are_added(runs, tmp_path):
    out = tmp_path / "out.csv"
    first = record(find_runs([runs / "random0"])[0], out)
    first.drop(columns="n_foreign").to_csv(out, index=False)  # as an older version told it
    both = record(find_runs([runs / "random1"])[0], out, add=True)
    assert both.groupby("seed")["n_foreign"].apply(lambda own: own.isna().all()).tolist() == [
        True,
        False,
    ]


def test_columns_are_added_only_where_configs_differ(runs):
    table = tidy([runs / "random0", runs / "random1"])
    assert "strategy_params" not in table
    assert table["seed"].tolist() == [0, 0, 1, 1]
    assert at_the_end(table)["n_seeds"].tolist() == [2]


def test_settings_are_not_averaged_together(tmp_path, mini):
    for steps in (1, 2):
        config = replace(TINY, rounds=0, steps=steps)
        alod.run_experiment(config, tmp_path / str(steps), data=mini)
    summary = at_the_end(tidy([tmp_path]))
    assert sorted(summary["steps"]) == [1, 2]
    assert summary["n_seeds"].tolist() == [1, 1]
    assert summary["accuracy_std"].isna().all()


def test_same_folder_given_twice_counts_once(runs):
    assert len(tidy([runs, runs / "random0"])) == len(tidy([runs]))


def test_one_config_in_two_folders_is_refused(tmp_path, mini):
    for name in "ab":
        alod.run_experiment(replace(TINY, rounds=0), tmp_path / name, data=mini)
    with pytest.raises(AlodError, match="same config as"):
        tidy([tmp_path])


@pytest.mark.parametrize(
    ("out", "told"), [("table", "expected the name of a .csv"), ("runs/random0", ".csv")]
)
def test_table_of_another_kind_is_refused(out, told, runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit):
        cli.main(["compare", "runs", "--out", out])
    assert told in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_unreadable_run_is_named(runs):
    (runs / "random0" / "history.csv").write_text("")
    with pytest.raises(AlodError, match="random0: unreadable"):
        tidy([runs])
