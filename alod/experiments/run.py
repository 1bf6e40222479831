"""A config in, a run folder out; a run that was cut off goes on where it was.

A run folder holds ``config.json``, ``history.csv`` and ``queries.csv``, which grow with each round,
``provenance.json`` once it is finished and ``checkpoint.pt`` until then. A kill at any moment loses
at most the round in progress, and the files end up the same but for the times. Two processes on one
folder take turns.

`config` is what to do, `folder` or `out` the run's own folder, `data` the images, by default those
of ``config.dataset``.

>>> config = ExperimentConfig(model="lenet5", n_initial=20, n_query=10, rounds=1, steps=5)
>>> run = run_experiment(config, "runs/a", on_round=lambda row: None)
>>> run.history["n_labeled"].tolist(), len(run.asked(1))
([20, 30], 10)
>>> load_run("runs/a").config == config
True
"""

import io
import json
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from alod import training
from alod.data.arrays import Dataset
from alod.data.encoded import encoded
from alod.data.known import load_dataset
from alod.errors import AlodError, one_line
from alod.experiments import stress
from alod.experiments.config import SETTINGS, ExperimentConfig, later_defaults, written
from alod.experiments.diagnose import diagnose, state
from alod.experiments.provenance import provenance
from alod.files import lock_run, refusing, write_atomically
from alod.learner import ActiveLearner
from alod.pool import fingerprint

OnRound = Callable[[dict[str, float]], None]
PARTS = ("fit", "infer", "query")


@dataclass(frozen=True)
class Run:
    """What a finished run left in its folder.

    `history`: one row per round, round 0 being the initial set: ``round, n_labeled, n_unique,
    n_foreign, n_classes_seen, test_accuracy`` (in [0, 1]), ``fit_seconds, infer_seconds,
    query_seconds``; with ``inlier_passes`` also ``n_inliers``, found for the last pass, and
    ``inlier_error``, the share of them whose class was predicted wrong then, which the learner does
    not see; with ``diagnose`` also what :mod:`alod.experiments.diagnose` tells. `queries`: one row
    per label, ``round, index, score`` (NaN for the initial set). `provenance`: versions, git
    commit, device and wall seconds. `config`, `folder`: what was asked for, and where all lies.
    """

    config: ExperimentConfig
    folder: Path
    history: pd.DataFrame
    queries: pd.DataFrame
    provenance: dict[str, Any]

    def asked(self, round: int | None = None) -> np.ndarray:
        """Return where in the data set lies what a `round` asked for, or all: int64 (k,)."""
        rows = self.queries if round is None else self.queries[self.queries["round"] == round]
        return np.array(rows["index"], dtype=np.int64)

    @property
    def curve(self) -> pd.DataFrame:
        """The history with the columns that tell runs apart, ready to be stacked with others'."""
        told = {key: getattr(self.config, key) for key in (*SETTINGS, "seed")}
        return pd.DataFrame({**told, **self.history})

    @property
    def embeddings(self) -> dict[str, np.ndarray]:
        """What ``keep_embeddings`` kept of all pool images.

        Before learning, after the initial set, and at the end: ``before, first, last``, float32 (N,
        D), ``first_predictions, predictions``, int64 (N,); ``test_predictions``, int64 (M,).
        """
        path = self.folder / "embeddings.npz"
        if not path.exists():
            raise AlodError(f"{path}: not kept; run with keep_embeddings=True into another folder")
        with np.load(path) as arrays:
            return dict(arrays)


def run_experiment(
    config: ExperimentConfig,
    out: str | Path,
    data: Dataset | None = None,
    on_round: OnRound | None = None,
) -> Run:
    """Run one experiment, or go on with it, or return it at once if it is finished.

    `on_round` is called with each finished row of the history, in place of a progress bar. Refused
    before anything is computed or written: an `out` that lies under a file, holds another config or
    a run on other data; fewer images than labels to buy; a device that is not here; data that
    cannot be had. Where the disk refuses later, the run goes on with space or access again.
    """
    folder = Path(out)
    mend = "choose a folder that can be read and written"
    with refusing(folder, mend):
        _check_folder(folder, config)
        finished = is_finished(folder)
    if finished:
        run = load_run(folder)
        if data is not None:
            _check_same_data(folder, run.provenance.get("data"), _checksum(data))
        return run
    training.resolve_device(config.device)
    data = check_data(config, data)
    checksum = _checksum(data)
    data = _check_size(config, stress.make(data, config.pool, config.seed))
    with refusing(folder, mend):
        folder.mkdir(parents=True, exist_ok=True)
    with lock_run(folder):
        # Another process may have begun another run here, or finished this one, meanwhile.
        _check_folder(folder, config)
        if not is_finished(folder):
            _go_on(config, folder, data, checksum, on_round)
    return load_run(folder)


def is_finished(folder: Path) -> bool:
    """Tell whether a run was finished: it has its provenance, and no checkpoint any more."""
    return (folder / "provenance.json").exists() and not (folder / "checkpoint.pt").exists()


def load_run(folder: str | Path) -> Run:
    """Read a finished run, as :func:`run_experiment` returned it; refuse any other."""
    folder = Path(folder)
    if not is_finished(folder):
        raise AlodError(f"{folder}: holds no finished run; run_experiment() finishes it")
    try:
        return Run(
            config=ExperimentConfig(**json.loads((folder / "config.json").read_text())),
            folder=folder,
            history=pd.read_csv(folder / "history.csv"),
            queries=pd.read_csv(folder / "queries.csv"),
            provenance=json.loads((folder / "provenance.json").read_text()),
        )
    except (AlodError, TypeError) as error:
        why, mend = one_line(error), "read it with the one that provenance.json tells"
        raise AlodError(f"{folder}: of another version of alod ({why}); {mend}") from None
    except (OSError, ValueError) as error:
        mend = "delete it and run it again"
        raise AlodError(f"{folder}: unreadable ({one_line(error)}); {mend}") from None


def check_data(config: ExperimentConfig, data: Dataset | None = None) -> Dataset:
    """Return the data, loaded if need be; refuse too few images, missing targets, a lone class."""
    if data is None:
        data = load_dataset(config.dataset)
    _check_size(config, data)
    # One's own data set may hold strangers, as a stress pool does.
    if (data.targets < 0).any() and ":" not in config.dataset:
        raise AlodError(f"{data.name}: has images without target; an experiment needs them all")
    if len(data.classes) < 2:
        raise AlodError(f"{data.name}: has classes={data.classes}; an experiment needs two or more")
    stress.check(config.pool, data)
    return data


def _check_size(config: ExperimentConfig, data: Dataset) -> Dataset:
    if config.n_labels <= len(data.images):
        return data
    told = f"n_initial={config.n_initial} + rounds={config.rounds} × n_query={config.n_query}"
    told = f"budgets={config.budgets}" if config.budgets else told
    kind = "" if config.pool == "clean" else f" with pool={config.pool!r}"
    there = f"{data.name}{kind} has {len(data.images)} images"
    raise AlodError(f"{told} = {config.n_labels} labels: {there}; ask for fewer")


def _check_folder(folder: Path, config: ExperimentConfig) -> None:
    file = next((part for part in (folder, *folder.parents) if part.is_file()), None)
    if file is not None:
        raise AlodError(f"out={str(folder)!r}: {file} is a file; choose another folder")
    path = folder / "config.json"
    if not path.exists():
        # A kill during the very first write leaves a hidden file, which is no other's.
        if folder.exists() and any(not p.name.startswith(".") for p in folder.iterdir()):
            raise AlodError(f"out={str(folder)!r}: holds other files; choose an empty folder")
        return
    try:
        there = later_defaults() | json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise AlodError(f"{path}: unreadable ({error}); choose another folder") from None
    wanted = written(config)
    other = [k for k in wanted | there if k != "device" and there.get(k) != wanted.get(k)]
    if other:
        told = [f"{k}={there.get(k)!r} there, {wanted.get(k)!r} asked" for k in sorted(other)]
        holds = f"holds another config ({', '.join(told)})"
        raise AlodError(f"out={str(folder)!r}: {holds}; choose another folder")


def _checksum(data: Dataset) -> str:
    """Tell data sets apart: by a part of the images and by all targets."""
    return f"{fingerprint(data.images)} {zlib.crc32(data.targets.numpy().tobytes()):08x}"


def _check_same_data(folder: Path, kept: str | None, given: str) -> None:
    """Refuse to go on with other images, which would inherit the answers of the old ones."""
    if kept not in (None, given):  # older runs do not tell
        holds = f"holds a run on other data ({kept}, now {given})"
        mend = "give the same images and targets, or choose another folder"
        raise AlodError(f"out={str(folder)!r}: {holds}; {mend}")


@dataclass
class _Progress:
    """What the rounds so far have left; the checkpoint holds it all, the CSV files follow it."""

    history: list[dict[str, float]] = field(default_factory=list)
    queries: list[dict[str, float]] = field(default_factory=list)
    kept: dict[str, torch.Tensor] = field(default_factory=dict)
    learner: dict[str, Any] | None = None
    wall_seconds: float = 0.0
    data: str | None = None

    @classmethod
    def load(cls, path: Path) -> "_Progress":
        if not path.exists():
            return cls()
        try:
            return cls(**torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:
            why, mend = type(error).__name__, "delete it to begin the run anew"
            raise AlodError(f"{path}: unreadable ({why}); {mend}") from error

    def write(self, folder: Path) -> None:
        """Write the checkpoint first: it alone decides where a cut-off run goes on."""
        buffer = io.BytesIO()
        torch.save({f.name: getattr(self, f.name) for f in fields(self)}, buffer)
        write_atomically(folder / "checkpoint.pt", buffer.getvalue())
        self.write_tables(folder)

    def write_tables(self, folder: Path) -> None:
        for name, rows in {"history": self.history, "queries": self.queries}.items():
            write_atomically(folder / f"{name}.csv", pd.DataFrame(rows).to_csv(index=False))


def _go_on(
    config: ExperimentConfig, folder: Path, data: Dataset, checksum: str, on_round: OnRound | None
) -> None:
    progress = _Progress.load(folder / "checkpoint.pt")
    _check_same_data(folder, progress.data, checksum)
    progress.data = checksum
    _write_json(folder / "config.json", written(config))
    if config.encoder != "none":
        data = encoded(data, config.encoder, config.device)
    settings = config.of_learner()
    if config.augment == "auto":
        settings["augment"] = data.augment
    learner = ActiveLearner(data.images, len(data.classes), **settings)
    if progress.learner is not None:
        learner.load_state_dict(progress.learner)
    elif config.keep_embeddings:
        progress.kept["before"] = learner.outputs()[0]
    with tqdm(
        total=config.rounds + 1,
        initial=len(progress.history),
        desc=f"{config.dataset} {config.model} {config.strategy}",
        unit="round",
        disable=on_round is not None,
    ) as bar:
        while len(progress.history) <= config.rounds:
            started = time.perf_counter()
            row = _round(config, learner, data, progress)
            if config.keep_embeddings and row["round"] == 0:
                embeddings, logits = learner.outputs()
                progress.kept |= {"first": embeddings, "first_predictions": logits.argmax(1)}
            progress.wall_seconds += time.perf_counter() - started
            progress.learner = learner.state_dict()
            progress.write(folder)
            bar.update()
            bar.set_postfix_str(f"{row['n_labeled']} labels, accuracy {row['test_accuracy']:.3f}")
            if on_round is not None:
                on_round(row)
    _finish(config, folder, learner, data, progress)


def _round(
    config: ExperimentConfig, learner: ActiveLearner, data: Dataset, progress: _Progress
) -> dict[str, float]:
    """Do one round and note it; the test set is looked at to report, after all is decided."""
    number = len(progress.history)
    before = state(learner) if config.diagnose and number else None
    asked = learner.step(config.bought[number], oracle=lambda rows: data.targets[rows].numpy())
    for index, score in zip(*asked, strict=True):
        progress.queries.append({"round": number, "index": int(index), "score": float(score)})
    # The learner's last pool inference is the one that this round's query looked at.
    seconds = {f"{part}_seconds": round(learner.seconds[part], 4) for part in PARTS}
    right = learner.predict(data.test_images) == data.test_targets.numpy()
    row = {
        "round": number,
        "n_labeled": len(progress.queries),
        "n_unique": len({query["index"] for query in progress.queries}),
        "n_foreign": len(learner.foreign),
        "n_classes_seen": len(np.unique(learner.answers[learner.labeled])),
        "test_accuracy": _share(right),
        **seconds,
    }
    if config.inlier_passes:
        found = learner.learned_inliers
        wrong = found.targets != data.targets[found.indices].numpy()
        row |= {"n_inliers": len(wrong), "inlier_error": _share(wrong)}
    if config.diagnose:
        row |= diagnose(learner, data, asked.indices, before)
    progress.history.append(row)
    return row


def _share(true: np.ndarray) -> float:
    return float(true.mean()) if len(true) else float("nan")


def _finish(
    config: ExperimentConfig, folder: Path, learner: ActiveLearner, data: Dataset, done: _Progress
) -> None:
    """Write what a finished run has, the checkpoint's end last."""
    done.write_tables(folder)
    if config.keep_embeddings:
        embeddings, logits = learner.outputs()
        kept = done.kept | {"last": embeddings, "predictions": logits.argmax(1)}
        arrays = {name: value.numpy() for name, value in kept.items()}
        arrays["test_predictions"] = learner.predict(data.test_images)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        write_atomically(folder / "embeddings.npz", buffer.getvalue())
    source = provenance() | {
        "device": str(learner.device),
        "threads": torch.get_num_threads(),
        "wall_seconds": round(done.wall_seconds, 2),
        "data": done.data,
        "config": written(config),
    }
    _write_json(folder / "provenance.json", source)
    (folder / "checkpoint.pt").unlink(missing_ok=True)


def _write_json(path: Path, told: dict[str, Any]) -> None:
    write_atomically(path, json.dumps(told, indent=1) + "\n")
