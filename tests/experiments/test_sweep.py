"""Sweeps: what a file stands for, runs side by side that survive kills, one tidy table."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import psutil
import pytest

import alod
from alod import AlodError, ExperimentConfig, cli
from alod.experiments import sweep
from alod.experiments.run import load_run, run_experiment

ROOT = Path(__file__).parents[2]
TINY = ExperimentConfig(model="lenet5", n_initial=20, n_query=10, rounds=2, steps=2)
FILE = """
model: lenet5
strategy: [random, margin]
n_initial: 20
n_query: 10
rounds: 2
steps: 2
seeds: 2
"""
CONFIGS = [replace(TINY, strategy=s, seed=i) for s in ("random", "margin") for i in (0, 1)]


def results(folder):
    """Return queries and history as written, times aside."""
    history = pd.read_csv(folder / "history.csv")
    kept = [c for c in history if not c.endswith("_seconds")]
    return (folder / "queries.csv").read_text(), history[kept].to_csv()


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def press_ctrl_c(process):
    """Interrupt until it ends, and return what it told.

    A press can be lost: NumPy clears what is raised while it compares dtypes, which pandas asks of
    it for every CSV file (numpy/numpy#20596). A user would press again, too.
    """
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=15)[1]
    process.kill()
    raise AssertionError(f"goes on after three interruptions: {process.communicate()[1]}")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """As in this process: the same sums in the same order."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The results of CONFIGS, each run by itself."""
    out = tmp_path_factory.mktemp("alone")
    data = alod.load_dataset("mnist_mini")
    runs = {c.hash(): alod.run_experiment(c, out / c.hash(), data=data) for c in CONFIGS}
    return {name: results(run.folder) for name, run in runs.items()}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text(FILE)
    return path


EXPANSIONS = {
    "plain fields are one config": ("rounds: 2", [{"rounds": 2, "seed": 0}]),
    "lists are crossed, seeds slowest": (
        "model: [cnn, lenet5]\nstrategy: [random, margin]\nseeds: 2",
        [
            {"model": m, "strategy": s, "seed": i}
            for i in (0, 1)
            for m in ("cnn", "lenet5")
            for s in ("random", "margin")
        ],
    ),
    "seeds as a list": ("seeds: [7, 3]", [{"seed": 3}, {"seed": 7}]),
    "one list of budgets": ("budgets: [10, 30]", [{"budgets": [10, 30], "rounds": 1}]),
    "lists of budgets": (
        "budgets: [[10, 30], [20]]",
        [{"budgets": [10, 30]}, {"budgets": [20], "n_initial": 20}],
    ),
    "blocks": (
        "- {model: cnn, strategy: [random, margin], seeds: 2}\n- {model: lenet5}",
        [
            {"model": "cnn", "strategy": "random", "seed": 0},
            {"model": "cnn", "strategy": "margin", "seed": 0},
            {"model": "lenet5", "seed": 0},
            {"model": "cnn", "strategy": "random", "seed": 1},
            {"model": "cnn", "strategy": "margin", "seed": 1},
        ],
    ),
    "strategies with their own parameters": (
        "strategy: [random, {strategy: outlier, strategy_params: {detector: lof}}]",
        [
            {"strategy": "random", "strategy_params": {}},
            {"strategy": "outlier", "strategy_params": {"detector": "lof"}},
        ],
    ),
    "a list of parameters": (
        "strategy: outlier_topk\nstrategy_params: [{detector: lof}, {}]",
        [{"strategy_params": {"detector": "lof"}}, {"strategy_params": {}}],
    ),
    "a model with other rounds and seeds": (
        "rounds: 9\nseeds: 2\nmodel: [cnn, {model: resnet18, rounds: 4, seeds: 1}]",
        [
            {"model": "cnn", "rounds": 9, "seed": 0},
            {"model": "resnet18", "rounds": 4, "seed": 0},
            {"model": "cnn", "rounds": 9, "seed": 1},
        ],
    ),
    "two lists with mappings": (
        "model: [cnn, {model: lenet5, rounds: 1}]\n"
        "strategy: [margin, {strategy: outlier, strategy_params: {focus: 3}}]",
        [
            {"model": "cnn", "rounds": 9, "strategy": "margin"},
            {"model": "cnn", "rounds": 9, "strategy_params": {"focus": 3}},
            {"model": "lenet5", "rounds": 1, "strategy": "margin"},
            {"model": "lenet5", "rounds": 1, "strategy_params": {"focus": 3}},
        ],
    ),
    "powers of ten": (
        "learning_rate: [1e-3, 1E-2, .5e-1, 1.0e-3]\nsteps: 3e2\nmin_epochs: 1_0",
        [{"learning_rate": r, "steps": 300, "min_epochs": 10} for r in (0.001, 0.01, 0.05)],
    ),
    "yes for a truth value": ("\ufeffdiagnose: yes\r\n", [{"diagnose": True}]),
    "what is written twice runs once": (
        "rounds: [1, 2]\nmodel: [cnn, {model: lenet5, rounds: 4}, cnn]",
        [
            {"model": "cnn", "rounds": 1},
            {"model": "lenet5", "rounds": 4},
            {"model": "cnn", "rounds": 2},
        ],
    ),
}


@pytest.mark.parametrize("case", EXPANSIONS, ids=list(EXPANSIONS))
def test_file_stands_for(case, tmp_path):
    text, expected = EXPANSIONS[case]
    path = tmp_path / "file.yaml"
    path.write_bytes(text.encode())
    configs = sweep.load_configs(path)
    shown = [{k: asdict(c)[k] for k in e} for c, e in zip(configs, expected, strict=True)]
    assert shown == expected


REFUSALS = {
    "empty": ("", "expected fields"),
    "a list": ("- random", "expected fields"),
    "not YAML": ("model: [cnn", "not YAML"),
    "not text": ("\x00", "not YAML"),
    "a date that there is not": ("seeds: 2026-99-99", "not YAML"),
    "unknown field": ("modle: cnn", "unknown field 'modle'.*did you mean 'model'"),
    "seed in place of seeds": ("seed: 3", "did you mean 'seeds'"),
    "unknown field in an entry": ("model: [{model: cnn, round: 2}]", "did you mean 'rounds'"),
    "entry without its own field": ("model: [{rounds: 2}]", "expected 'model' among"),
    "no value": ("model: []", "at least one value"),
    "no seed": ("seeds: []", "at least one seed"),
    "seeds zero": ("seeds: 0", "seeds=0"),
    "a seed in words": ("seeds: [one]", "seed='one'"),
    "unknown data set": ("dataset: [mnist_mini, minst]", "dataset='minst': unknown data set"),
    "one entry of many": (
        "model: [cnn, lenet5]\nstrategy: [random, {strategy: outlier, strategy_params: {k: 3}}]",
        "model='cnn', strategy='outlier', strategy_params={'k': 3}: unknown parameter",
    ),
    "two entries at odds": (
        "model: [{model: cnn, rounds: 1}]\nstrategy: [{strategy: random, rounds: 2}]",
        "rounds is set to 1 and to 2",
    ),
    "a mapping that is no entry": ("model: {model: cnn}", "unknown model"),
    "a field twice": ("strategy: random\nstrategy: outlier", "strategy: is given twice"),
    "a field twice in an entry": ("model: [{model: cnn, rounds: 1, rounds: 2}]", "rounds: is give"),
    "base 8": ("steps: [200, 010]", "steps: 010: YAML reads it as a number in base 8"),
    "base 8 that is none": ("steps: 080", "steps: 080: .* without the 0"),
    "base 60": ("steps: 1:30", "steps: 1:30: .* base 60"),
    "commas in a number": ("steps: 1,000", "steps: 1,000: .* without commas"),
    "a variable": ("model: ${MODEL}", r"model: \$\{MODEL\}: .* no variable"),
    "no for a name": ("strategy: [random, no]", "strategy: no: YAML reads it as true or false"),
    "a number for yes": ("diagnose: 1", "diagnose=1: expected True or False"),
    "a tab": ("strategy:\trandom", "spaces for tabs"),
    "capitals": ("strategy: Random", "unknown strategy 'Random'.*did you mean 'random'"),
    "a blank behind": ("strategy: 'random '", "'random '.*did you mean 'random'"),
}


@pytest.mark.parametrize("case", REFUSALS, ids=list(REFUSALS))
def test_file_is_refused_in_one_line_that_names_it(case, tmp_path):
    text, told = REFUSALS[case]
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(AlodError, match=told) as refusal:
        sweep.load_configs(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)


COMMAND_LINE = {
    "sweep missing.yaml --out out": "missing.yaml: No such file",
    "sweep . --out out": "Is a directory",
    "sweep file.yaml": "--out",
    "sweep file.yaml --out file.yaml": "file.yaml",
    "sweep file.yaml --out file.yaml/out": "file.yaml",
    "sweep file.yaml --out out --jobs 0": "jobs=0",
    "sweep greedy.yaml --out out": "6020 labels",
    "sweep file.yaml --out out --dask tcp://127.0.0.1:9": "no scheduler there",
    "sweep file.yaml --out out --dask nonsense://here": "no scheduler there",
    "sweep file.yaml --out out --dask tcp://127.0.0.1:9 --jobs 2": "jobs=2",
    "compare missing --out out.csv": "no such folder",
    "compare . --out out.csv": "no finished run",
    "compare .": "--out",
}


@pytest.mark.parametrize("line", COMMAND_LINE)
def test_command_line_exits_2_with_one_line(line, file, monkeypatch, capsys):
    monkeypatch.chdir(file.parent)
    monkeypatch.setattr(sweep, "CONNECT_SECONDS", 0.2)
    Path("greedy.yaml").write_text("{n_initial: 20, n_query: 1000, rounds: [1, 6]}")
    with pytest.raises(SystemExit) as stop:
        cli.main(line.split())
    told = capsys.readouterr().err
    assert stop.value.code == 2
    assert told.startswith("alod: ")
    assert COMMAND_LINE[line] in told
    assert told.count("\n") == 1
    assert {path.name for path in file.parent.iterdir()} == {"file.yaml", "greedy.yaml"}


def test_page_shows_the_example_as_it_is():
    example = (ROOT / "book" / "experiments" / "example.yaml").read_text()
    assert f"```yaml\n{example}```" in (ROOT / "book" / "reproduce.md").read_text()


def test_no_configs_are_refused(tmp_path):
    with pytest.raises(AlodError, match="configs=0"):
        sweep.run_sweep([], tmp_path / "out")


def test_swept_runs_equal_those_run_alone(tmp_path, alone, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)  # so that 2 jobs have a thread each
    report = sweep.run_sweep([*CONFIGS, CONFIGS[0]], tmp_path / "out", jobs=2)
    assert [folder.name for folder in report.finished] == [c.hash() for c in CONFIGS]
    assert report.failed == {}
    assert {folder.name: results(folder) for folder in report.finished} == alone
    assert {p.name for p in (tmp_path / "out").iterdir()} == set(alone)
    assert {load_run(folder).provenance["threads"] for folder in report.finished} == {1}
    assert len(report.table) == len(CONFIGS) * (TINY.rounds + 1)


def test_killed_sweep_goes_on_where_it_was(tmp_path, file, alone):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "alod.cli", "sweep", str(file), "--out", str(out)]
    process = subprocess.Popen(
        [*command, "--jobs", "2"], start_new_session=True, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: any(out.glob("*/provenance.json")) and any(out.glob("*/checkpoint.pt")))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = {p: p.stat().st_mtime_ns for p in out.glob("*/provenance.json")}
    assert 0 < len(finished) < len(CONFIGS)
    report = sweep.run_sweep(sweep.load_configs(file), out, jobs=1)
    assert {folder.name: results(folder) for folder in report.finished} == alone
    assert {p: p.stat().st_mtime_ns for p in finished} == finished
    assert not list(out.glob("*.tries"))


def test_interrupted_sweep_says_so_and_exits_130(tmp_path, file):
    out = tmp_path / "out"
    # Too many rounds to be done before the interruption, however late it comes.
    file.write_text(FILE.replace("rounds: 2", "rounds: 50"))
    command = [sys.executable, "-m", "alod.cli", "sweep", str(file), "--out", str(out)]
    user = subprocess.Popen(
        [*command, "--jobs", "1"],
        stderr=subprocess.PIPE,
        text=True,
        # A test run in parallel ignores Ctrl-C; a user's shell does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(lambda: any(out.glob("*/checkpoint.pt")))
    told = press_ctrl_c(user)
    assert user.returncode == 130
    assert "alod: interrupted" in told
    assert sweep.find_runs([out])[1]


def test_finished_runs_are_skipped_and_counted_as_done(tmp_path, file, capsys):
    out = tmp_path / "out"
    file.write_text(FILE.replace("rounds: 2", "rounds: 0"))
    half = sweep.load_configs(file)[:2]
    first = sweep.run_sweep(half, out, jobs=1)
    written = {p: p.stat().st_mtime_ns for folder in first.finished for p in folder.iterdir()}
    capsys.readouterr()
    cli.main(["sweep", str(file), "--out", str(out), "--jobs", "1"])
    printed = capsys.readouterr()
    assert "2/4" in printed.err.split("\r")[1]
    assert printed.out == f"{out}: 4 runs finished, 0 failed\n"
    assert {p: p.stat().st_mtime_ns for p in written} == written


def test_a_finished_sweep_can_be_told_where_nothing_can_be_written(tmp_path, runs, monkeypatch):
    out = tmp_path / "out"
    found = sweep.find_runs([runs])[0]
    for run in found:
        shutil.copytree(run.folder, out / run.config.hash())

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for call in ("unlink", "replace", "open"):
        monkeypatch.setattr(os, call, refuse)
    report = sweep.run_sweep([run.config for run in found], out, jobs=1)
    assert len(report.finished) == len(found)
    with pytest.raises(AlodError, match="read-only file system"):
        sweep.record(found, out / "table.csv")


def test_failing_run_leaves_the_others_alone(tmp_path, file, capsys):
    out = tmp_path / "out"
    broken = out / CONFIGS[1].hash()
    broken.mkdir(parents=True)
    (broken / "config.json").write_text(json.dumps(asdict(CONFIGS[1])))
    (broken / "checkpoint.pt").write_bytes(b"cut off")
    with pytest.raises(SystemExit) as stop:
        cli.main(["sweep", str(file), "--out", str(out), "--jobs", "1"])
    printed = capsys.readouterr()
    assert stop.value.code == 1
    assert printed.out == f"{out}: 3 runs finished, 1 failed\n"
    told = [line for line in printed.err.splitlines() if line.startswith("alod: ")]
    assert len(told) == 1
    assert told[0].startswith(f"alod: {broken}: ")
    assert "delete it" in told[0]
    runs, unfinished = sweep.find_runs([out])
    assert {run.config.hash() for run in runs} == {c.hash() for c in CONFIGS} - {broken.name}
    assert unfinished == [broken.resolve()]


def test_run_of_another_version_is_named_and_nobody_is_told_to_delete_it(tmp_path):
    run = run_experiment(replace(CONFIGS[0], rounds=0), tmp_path / "run", on_round=lambda row: None)
    for change in ({"strategy": "gone"}, {"gone": 1}):
        told = json.dumps(asdict(run.config) | change)
        (run.folder / "config.json").write_text(told)
        with pytest.raises(AlodError, match="another version of alod") as error:
            sweep.find_runs([tmp_path])
        assert "delete" not in str(error.value)


def test_run_whose_process_dies_is_given_up_and_all_others_end(tmp_path, alone):
    culprit = tmp_path / "out" / CONFIGS[0].hash()
    deaths, ended = [], threading.Event()

    def kill_its_process_whenever_it_runs():
        while not ended.wait(0.005):
            mark = culprit.with_suffix(".tries")
            tries = mark.stat().st_size if mark.exists() else 0
            if tries > len(deaths) and (culprit / "checkpoint.pt").exists():
                deaths.append(time.monotonic())
                for worker in psutil.Process().children():
                    with suppress(psutil.NoSuchProcess):  # joblib ends the others itself
                        if any("popen_loky" in word for word in worker.cmdline()):
                            worker.kill()

    killer = threading.Thread(target=kill_its_process_whenever_it_runs)
    killer.start()
    try:
        report = sweep.run_sweep(CONFIGS, tmp_path / "out", jobs=2)
    finally:
        ended.set()
        killer.join()
    assert report.failed.keys() == {culprit}, report.failed
    assert "died 3 times" in report.failed[culprit]
    assert len(deaths) == sweep.TRIES
    swept = {folder.name: results(folder) for folder in report.finished}
    assert swept == {name: alone[name] for name in alone if name != culprit.name}


def test_dask_cluster_survives_the_death_of_a_worker(tmp_path, file, alone):
    distributed = pytest.importorskip("distributed")
    out = tmp_path / "out"
    killed = []
    with distributed.LocalCluster(
        n_workers=2, processes=True, threads_per_worker=1, dashboard_address=None
    ) as cluster:

        def kill_one_worker():
            wait_for(lambda: any(out.glob("*/checkpoint.pt")))
            killed.append(next(iter(cluster.workers.values())).pid)
            os.kill(killed[0], signal.SIGKILL)

        killer = threading.Thread(target=kill_one_worker)
        killer.start()
        cli.main(["sweep", str(file), "--out", str(out), "--dask", cluster.scheduler_address])
        killer.join()
    assert killed
    assert killed[0] != os.getpid()
    assert {p.name: results(p) for p in out.iterdir()} == alone


def test_dask_cluster_that_cannot_compute_is_refused(tmp_path):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster,
        pytest.raises(AlodError, match="has 0 workers; start at least two"),
    ):
        sweep.run_sweep(CONFIGS, tmp_path / "out", dask=cluster.scheduler_address)


@pytest.fixture
def runs(tmp_path, mini):
    """Two strategies × two seeds, one of them with parameters; and a run that is not finished."""
    folder = tmp_path / "runs"
    for strategy, params in {"random": {}, "outlier": {"detector": "lof"}}.items():
        for seed in (0, 1):
            config = replace(TINY, strategy=strategy, strategy_params=params, seed=seed, rounds=1)
            alod.run_experiment(config, folder / f"{strategy}{seed}", data=mini)
    (folder / "cut_off").mkdir()
    (folder / "cut_off" / "config.json").write_text(json.dumps(asdict(TINY)))
    return folder


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
    sweep.record(sweep.find_runs([runs / "random0"])[0], out)
    origin = json.loads(out.with_suffix(".json").read_text())
    del origin["config"]["features"]
    out.with_suffix(".json").write_text(json.dumps(origin))
    sweep.record(sweep.find_runs([runs / "random1"])[0], out, add=True)
    assert json.loads(out.with_suffix(".json").read_text())["config"]["features"] == "pixels"


def test_runs_are_not_added_twice(runs, tmp_path):
    out = tmp_path / "out.csv"
    sweep.record(sweep.find_runs([runs])[0], out, add=True)
    for folder in (runs, runs / "random0"):
        with pytest.raises(AlodError, match="holds a run of"):
            sweep.record(sweep.find_runs([folder])[0], out, add=True)


def test_only_a_csv_file_can_be_added_to(runs, tmp_path):
    with pytest.raises(AlodError, match="expected the name of a"):
        sweep.record(sweep.find_runs([runs])[0], tmp_path, add=True)


@pytest.mark.parametrize("order", [("random", "outlier"), ("outlier", "random")])
def test_what_is_alike_in_each_part_is_told_where_the_parts_differ(runs, tmp_path, order):
    at_once, later = tmp_path / "at_once.csv", tmp_path / "later.csv"
    sweep.record(sweep.find_runs([runs])[0], at_once)
    for strategy in order:
        own = sweep.find_runs([runs / f"{strategy}{seed}" for seed in (0, 1)])[0]
        assert ("strategy_params" in sweep.record(own, later, add=True)) == (strategy == order[1])
    assert later.read_text() == at_once.read_text()


def test_runs_are_not_added_where_the_table_cannot_tell_them_apart(runs, tmp_path, mini):
    out = tmp_path / "out.csv"
    sweep.record(sweep.find_runs([runs / "random0"])[0], out)
    origin = json.loads(out.with_suffix(".json").read_text())
    origin["config"]["steps"] = [5, 6]  # one of two data sets each, say
    out.with_suffix(".json").write_text(json.dumps(origin))
    for steps in (1, 2):
        config = replace(TINY, rounds=0, steps=steps, strategy="random")
        alod.run_experiment(config, tmp_path / "runs" / str(steps), data=mini)
    with pytest.raises(AlodError, match="does not tell which of its runs have which steps"):
        sweep.record(sweep.find_runs([tmp_path / "runs"])[0], out, add=True)


def test_runs_that_tell_more_are_added(runs, tmp_path):
    out = tmp_path / "out.csv"
    first = sweep.record(sweep.find_runs([runs / "random0"])[0], out)
    first.drop(columns="n_foreign").to_csv(out, index=False)  # as an older version told it
    both = sweep.record(sweep.find_runs([runs / "random1"])[0], out, add=True)
    assert both.groupby("seed")["n_foreign"].apply(lambda own: own.isna().all()).tolist() == [
        True,
        False,
    ]


def test_columns_are_added_only_where_configs_differ(runs):
    table = sweep.tidy([runs / "random0", runs / "random1"])
    assert "strategy_params" not in table
    assert table["seed"].tolist() == [0, 0, 1, 1]
    assert sweep.summarize(table)["n_seeds"].tolist() == [2]


def test_settings_are_not_averaged_together(tmp_path, mini):
    for steps in (1, 2):
        config = replace(TINY, rounds=0, steps=steps)
        alod.run_experiment(config, tmp_path / str(steps), data=mini)
    summary = sweep.summarize(sweep.tidy([tmp_path]))
    assert sorted(summary["steps"]) == [1, 2]
    assert summary["n_seeds"].tolist() == [1, 1]
    assert summary["accuracy_std"].isna().all()


def test_same_folder_given_twice_counts_once(runs):
    assert len(sweep.tidy([runs, runs / "random0"])) == len(sweep.tidy([runs]))


def test_one_config_in_two_folders_is_refused(tmp_path, mini):
    for name in "ab":
        alod.run_experiment(replace(TINY, rounds=0), tmp_path / name, data=mini)
    with pytest.raises(AlodError, match="same config as"):
        sweep.tidy([tmp_path])


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
        sweep.tidy([runs])


EXPERIMENTS = Path(__file__).parents[2] / "book" / "experiments"


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_experiment_file_of_the_book_can_be_read(path):
    assert sweep.load_configs(path)
