import errno
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

import alod
from alod import AlodError, cli
from alod.experiments.config import FIELDS
from alod.experiments.run import load_run

TINY = alod.ExperimentConfig(model="lenet5", n_initial=20, n_query=10, rounds=2, steps=2)
COLUMNS = [
    "round",
    "n_labeled",
    "n_unique",
    "n_foreign",
    "n_classes_seen",
    "test_accuracy",
    "fit_seconds",
    "infer_seconds",
    "query_seconds",
]


def results(folder):
    """Return queries and history as written, times aside."""
    history = pd.read_csv(folder / "history.csv")
    kept = [c for c in history if not c.endswith("_seconds")]
    return (folder / "queries.csv").read_text(), history[kept].to_csv()


def test_run_folder_holds_what_was_promised(tmp_path, mini):
    out = tmp_path / "deep" / "run"
    run = alod.run_experiment(TINY, out, data=mini)
    assert list(run.history) == COLUMNS
    assert run.history["n_labeled"].tolist() == [20, 30, 40]
    assert run.history["n_unique"].tolist() == [20, 30, 40]
    assert list(run.queries) == ["round", "index", "score"]
    assert run.queries["index"].nunique() == 40
    assert run.queries["score"].isna().sum() == 20
    config = json.loads((out / "config.json").read_text())
    assert config == asdict(TINY)
    assert list(config) == FIELDS
    assert {"versions", "git_commit", "device", "wall_seconds", "config"} <= run.provenance.keys()
    names = {path.name for path in out.iterdir()}
    assert names - {".lock"} == {"config.json", "history.csv", "queries.csv", "provenance.json"}


def test_budgets_say_how_many_labels_there_are_after_each_round(tmp_path, mini):
    config = alod.ExperimentConfig(model="lenet5", budgets=[10, 15, 40], steps=2)
    run = alod.run_experiment(config, tmp_path / "run", data=mini)
    assert run.history["n_labeled"].tolist() == [10, 15, 40]
    assert [len(run.asked(r)) for r in range(3)] == [10, 5, 25]
    assert load_run(tmp_path / "run").config == config
    assert set(run.curve["n_query"]) == {0}


def test_full_set_of_a_config_with_budgets_buys_everything_at_once(mini):
    config = alod.ExperimentConfig(budgets=[10, 20]).full_set(len(mini.images))
    assert config.bought == [len(mini.images)]


@pytest.mark.parametrize("budgets", [[20, 10], [10, 10], [0, 5], [10.5], ["10"], 20])
def test_budgets_that_do_not_ascend_are_refused(budgets):
    with pytest.raises(AlodError, match="ascending whole numbers"):
        alod.ExperimentConfig(budgets=budgets)


@pytest.mark.parametrize("kind", [tuple, np.array, lambda n: range(n[0], n[-1] + 1, 10)])
def test_numbers_of_numpy_and_other_sequences_name_the_same_config(kind):
    plain = replace(TINY, budgets=[20, 30, 40], strategy_params={"focus": 4}, learning_rate=0.25)
    other = replace(
        TINY,
        budgets=kind([20, 30, 40]),
        strategy_params={"focus": np.int64(4)},
        learning_rate=np.float32(0.25),
        steps=np.int32(TINY.steps),
        seed=np.uint8(0),
        diagnose=np.False_,
    )
    assert other == plain
    assert other.hash() == plain.hash()


def test_reported_accuracy_is_that_of_the_test_set(tmp_path, mini):
    config = replace(TINY, rounds=0, steps=40)
    run = alod.run_experiment(config, tmp_path / "run", data=mini)
    learner = alod.ActiveLearner(
        mini.images, 10, model="lenet5", steps=40, augment="digits", seed=config.seed
    )
    learner.step(20, lambda indices: mini.targets[indices].numpy())
    right = learner.predict(mini.test_images) == mini.test_targets.numpy()
    assert run.history["test_accuracy"].tolist() == [right.mean()]


def test_finished_run_returns_at_once(tmp_path, mini):
    alod.run_experiment(TINY, tmp_path / "run", data=mini)
    rows = []
    again = alod.run_experiment(TINY, tmp_path / "run", on_round=rows.append)
    assert rows == []
    assert len(again.history) == 3


def test_same_config_same_queries(tmp_path, mini):
    for name in "ab":
        alod.run_experiment(TINY, tmp_path / name, data=mini)
    assert results(tmp_path / "a") == results(tmp_path / "b")


def test_interrupted_at_any_write_it_ends_the_same(tmp_path, mini, monkeypatch):
    config = replace(TINY, keep_embeddings=True)
    few = replace(
        mini,
        images=mini.images[:120],
        targets=mini.targets[:120],
        test_images=mini.test_images[:40],
        test_targets=mini.test_targets[:40],
    )
    alod.run_experiment(config, tmp_path / "whole", data=few)
    whole = results(tmp_path / "whole")
    replace_file = Path.replace

    def interrupted_run(folder, at, after):
        writes = 0

        def cut(self, target):
            nonlocal writes
            writes += 1
            if writes == at and not after:
                raise KeyboardInterrupt
            result = replace_file(self, target)
            if writes == at:
                raise KeyboardInterrupt
            return result

        monkeypatch.setattr(Path, "replace", cut)
        try:
            alod.run_experiment(config, folder, data=few)
        except KeyboardInterrupt:
            return True
        finally:
            monkeypatch.setattr(Path, "replace", replace_file)
        return False

    cuts = 0
    for after in (False, True):
        at = 1
        while interrupted_run(tmp_path / f"{at}{after}", at, after):
            folder = tmp_path / f"{at}{after}"
            run = alod.run_experiment(config, folder, data=few)
            assert results(folder) == whole, f"write {at}, after={after}"
            assert set(run.embeddings) >= {"before", "first", "last", "predictions"}
            cuts += 1
            at += 1
    assert cuts >= 20  # two cuts at each of a dozen writes


def test_killed_run_ends_the_same(tmp_path, capsys):
    arguments = "--model lenet5 --n-initial 20 --n-query 10 --rounds 2 --steps 2 --device cpu"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "alod.cli", "run", *arguments.split(), "--out"]

    folder = str(tmp_path / "killed")
    killed = subprocess.Popen(
        [*command, folder], stdout=subprocess.PIPE, text=True, env=environment
    )
    for line in killed.stdout:
        if line.split()[0] == "1":
            break
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert (tmp_path / "killed" / "checkpoint.pt").exists()
    with pytest.raises(AlodError, match="no finished run"):
        load_run(tmp_path / "killed")
    cli.main(["run", *arguments.split(), "--out", folder])
    assert "finished" in capsys.readouterr().out
    alod.run_experiment(replace(TINY, device="cpu"), tmp_path / "whole")
    assert results(tmp_path / "killed") == results(tmp_path / "whole")


def test_kept_embeddings_are_those_of_the_pool(tmp_path, mini):
    run = alod.run_experiment(replace(TINY, keep_embeddings=True), tmp_path / "run", data=mini)
    kept = run.embeddings
    assert kept["before"].shape == kept["first"].shape == kept["last"].shape == (600, 84)
    assert not np.allclose(kept["first"], kept["last"])
    right = kept["test_predictions"] == mini.test_targets.numpy()
    assert right.mean() == run.history["test_accuracy"].iloc[-1]
    plain = alod.run_experiment(TINY, tmp_path / "plain", data=mini)
    with pytest.raises(AlodError, match="keep_embeddings=True"):
        _ = plain.embeddings


def test_full_set_config_buys_every_label_once(tmp_path, mini):
    config = replace(TINY, steps=5).full_set(600, epochs=2)
    assert config.steps == 18
    run = alod.run_experiment(config, tmp_path / "run", data=mini)
    assert run.history["n_labeled"].tolist() == [600]


def test_curves_of_runs_stack(tmp_path, mini):
    runs = [
        alod.run_experiment(replace(TINY, strategy=s, seed=i), tmp_path / s, data=mini)
        for i, s in enumerate(["random", "margin"])
    ]
    table = pd.concat([run.curve for run in runs])
    assert len(table) == 6
    assert set(table["strategy"]) == {"random", "margin"}
    assert set(COLUMNS) <= set(table)


def test_seed_fixes_initial_set_and_weights_for_every_strategy(tmp_path, mini):
    first = []
    for strategy in ("random", "margin", "outlier"):
        config = replace(TINY, strategy=strategy, rounds=0)
        run = alod.run_experiment(config, tmp_path / strategy, data=mini)
        first.append((run.queries["index"].tolist(), run.history["test_accuracy"].tolist()))
    assert first[0] == first[1] == first[2]


def test_unreadable_checkpoint_says_how_to_go_on(tmp_path, mini):
    out = tmp_path / "run"
    alod.run_experiment(TINY, out, data=mini)
    (out / "checkpoint.pt").write_bytes(b"cut off")
    with pytest.raises(AlodError, match="delete it"):
        alod.run_experiment(TINY, out, data=mini)


def test_fields_that_came_later_change_no_name_and_lock_no_old_folder(tmp_path, mini):
    # Folders of recorded sweeps bear these names: found before there were `features`.
    warm = alod.ExperimentConfig(training_mode="warm")
    assert warm.hash() == "c2a0920aa2e7"
    assert replace(warm, dataset="mnist", model="lenet5", seed=3).hash() == "abebdd798594"
    assert replace(TINY, features="random_conv").hash() != TINY.hash()
    run = alod.run_experiment(TINY, tmp_path / "run", data=mini)
    old = {k: v for k, v in asdict(TINY).items() if k not in ("features", "diagnose")}
    (tmp_path / "run" / "config.json").write_text(json.dumps(old))
    assert alod.run_experiment(TINY, tmp_path / "run", data=mini).config == TINY
    (tmp_path / "run" / "provenance.json").unlink()
    assert alod.run_experiment(TINY, tmp_path / "run", data=mini).asked(0).tolist() == (
        run.asked(0).tolist()
    )
    with pytest.raises(AlodError, match="features='pixels' there"):
        other = replace(TINY, features="random_conv")
        alod.run_experiment(other, tmp_path / "run", data=mini)


def test_config_hash_tells_configs_apart():
    assert TINY.hash() == replace(TINY).hash()
    assert TINY.hash() != replace(TINY, seed=1).hash()


def test_asked_gives_a_round_or_all_of_them(tmp_path, mini):
    run = alod.run_experiment(TINY, tmp_path / "run", data=mini)
    assert run.asked(1).tolist() == run.queries["index"][20:30].tolist()
    assert run.asked().tolist() == run.queries["index"].tolist()


def test_kill_during_the_first_write_leaves_no_folder_that_is_refused(tmp_path, mini):
    out = tmp_path / "run"
    out.mkdir()
    (out / ".config.json.k3x9").write_text('{"dataset": "mn')
    assert len(alod.run_experiment(TINY, out, data=mini).history) == 3


def test_a_run_of_another_machines_device_can_be_read(tmp_path, mini):
    run = alod.run_experiment(TINY, tmp_path / "run", data=mini)
    (run.folder / "config.json").write_text(json.dumps(asdict(TINY) | {"device": "cuda:7"}))
    assert load_run(run.folder).config.device == "cuda:7"
    assert alod.run_experiment(TINY, run.folder).history.equals(run.history)
    with pytest.raises(AlodError, match=r"cuda:7.*not on this machine"):
        alod.run_experiment(replace(TINY, device="cuda:7"), tmp_path / "other", data=mini)
    assert not (tmp_path / "other").exists()


def test_a_run_does_not_go_on_with_other_data(tmp_path, mini):
    def stop(row):
        raise KeyboardInterrupt

    order = np.random.default_rng(0).permutation(len(mini.images))
    others = {
        "images": replace(mini, images=mini.images[order]),
        "targets": replace(mini, targets=mini.targets[order]),
    }
    with pytest.raises(KeyboardInterrupt):
        alod.run_experiment(TINY, tmp_path / "run", data=mini, on_round=stop)
    for other in others.values():
        with pytest.raises(AlodError, match="a run on other data"):
            alod.run_experiment(TINY, tmp_path / "run", data=other)
    run = alod.run_experiment(TINY, tmp_path / "run", data=mini)
    for other in others.values():
        with pytest.raises(AlodError, match="a run on other data"):
            alod.run_experiment(TINY, run.folder, data=other)
    assert alod.run_experiment(TINY, run.folder, data=mini).history.equals(run.history)


def test_a_run_that_another_process_began_meanwhile_is_not_taken_over(tmp_path, mini):
    folder = tmp_path / "run"
    folder.mkdir()
    with ThreadPoolExecutor() as pool:
        with FileLock(folder / ".lock"):
            waiting = pool.submit(alod.run_experiment, TINY, folder, mini)
            time.sleep(0.5)
            assert not waiting.done()
            (folder / "config.json").write_text(json.dumps(asdict(replace(TINY, seed=1))))
        with pytest.raises(AlodError, match="holds another config"):
            waiting.result()


def test_views_need_no_test_images(mini, tmp_path):
    data = replace(mini, test_images=mini.test_images[:0], test_targets=mini.test_targets[:0])
    run = alod.run_experiment(replace(TINY, rounds=0, views=2), tmp_path / "run", data=data)
    assert run.history["test_accuracy"].isna().all()


def test_one_class_is_refused_before_anything_is_made(mini, tmp_path):
    data = alod.from_arrays(mini.images, np.zeros(600, int))
    with pytest.raises(AlodError, match="two or more"):
        alod.run_experiment(TINY, tmp_path / "run", data=data)
    assert not (tmp_path / "run").exists()


def test_a_full_disk_is_told_in_one_line_and_the_run_goes_on(tmp_path, mini, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    whole = alod.run_experiment(TINY, tmp_path / "whole", data=mini).history
    for rounds in range(2):
        with monkeypatch.context() as disk, pytest.raises(AlodError, match="no space left") as told:

            def fill(row, disk=disk, rounds=rounds):
                if row["round"] == rounds:
                    disk.setattr(os, "fsync", full)

            alod.run_experiment(TINY, tmp_path / "run", data=mini, on_round=fill)
        assert "\n" not in str(told.value)
        assert str(tmp_path / "run") in str(told.value)
    run = alod.run_experiment(TINY, tmp_path / "run", data=mini)
    assert run.history["test_accuracy"].equals(whole["test_accuracy"])


def test_a_finished_run_can_be_read_where_nothing_can_be_written(tmp_path, mini, monkeypatch):
    run = alod.run_experiment(TINY, tmp_path / "run", data=mini)

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for call in ("mkdir", "unlink", "replace", "open"):
        monkeypatch.setattr(os, call, refuse)
    assert alod.run_experiment(TINY, run.folder).history.equals(run.history)
    with pytest.raises(AlodError, match="read-only file system; choose a folder"):
        alod.run_experiment(replace(TINY, seed=1), tmp_path / "other", data=mini)
