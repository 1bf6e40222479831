"""Sweeps: runs side by side that survive kills."""

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
import pytest

import alod
from alod import AlodError, ExperimentConfig, cli
from alod.experiments import cluster, sweep
from alod.experiments.load import load_configs
from alod.experiments.record import find_runs, record
from alod.experiments.run import load_run

TINY = ExperimentConfig(
    model="lenet5", initial="random", n_initial=20, n_query=10, rounds=2, steps=2
)
FILE = """
model: lenet5
strategy: [random, margin]
initial: random
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
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.2)
    Path("greedy.yaml").write_text("{n_initial: 20, n_query: 1000, rounds: [1, 6]}")
    with pytest.raises(SystemExit) as stop:
        cli.main(line.split())
    told = capsys.readouterr().err
    assert stop.value.code == 2
    assert told.startswith("alod: ")
    assert COMMAND_LINE[line] in told
    assert told.count("\n") == 1
    assert {path.name for path in file.parent.iterdir()} == {"file.yaml", "greedy.yaml"}


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
    report = sweep.run_sweep(load_configs(file), out, jobs=1)
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
    assert find_runs([out])[1]


def test_finished_runs_are_skipped_and_counted_as_done(tmp_path, file, capsys):
    out = tmp_path / "out"
    file.write_text(FILE.replace("rounds: 2", "rounds: 0"))
    half = load_configs(file)[:2]
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
    found = find_runs([runs])[0]
    for run in found:
        shutil.copytree(run.folder, out / run.config.hash())

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for call in ("unlink", "replace", "open"):
        monkeypatch.setattr(os, call, refuse)
    report = sweep.run_sweep([run.config for run in found], out, jobs=1)
    assert len(report.finished) == len(found)
    with pytest.raises(AlodError, match="read-only file system"):
        record(found, out / "table.csv")


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
    runs, unfinished = find_runs([out])
    assert {run.config.hash() for run in runs} == {c.hash() for c in CONFIGS} - {broken.name}
    assert unfinished == [broken.resolve()]


DEADLY = """
import os
import signal
from pathlib import Path


def query(view, k, rng):
    with Path(__file__).with_name("deaths").open("a") as file:
        file.write(".")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_run_whose_process_dies_is_given_up_and_all_others_end(
    tmp_path, alone, forked, monkeypatch
):
    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.syspath_prepend(tmp_path)
    deadly = replace(CONFIGS[0], strategy="deadly:query")
    report = sweep.run_sweep([deadly, *CONFIGS[1:]], tmp_path / "out", jobs=2)
    culprit = tmp_path / "out" / deadly.hash()
    assert report.failed.keys() == {culprit}, report.failed
    assert "died 3 times" in report.failed[culprit]
    assert (tmp_path / "deaths").stat().st_size == sweep.TRIES
    swept = {folder.name: results(folder) for folder in report.finished}
    assert swept == {c.hash(): alone[c.hash()] for c in CONFIGS[1:]}


def test_dask_cluster_survives_the_death_of_a_worker(tmp_path, file, alone, cluster):
    out = tmp_path / "out"
    killed = []

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
