"""A config in, a run folder out; a run that was cut off goes on where it was."""

import io
import json
import operator
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from tqdm import tqdm

from alod import encoders, initial, models, strategies, training
from alod.data import Dataset, fingerprint
from alod.errors import AlodError, check_count, check_name, one_line, plain
from alod.experiments import stress
from alod.experiments.evaluation import calibration_error
from alod.experiments.provenance import provenance
from alod.files import lock_run, refusing, write_atomically
from alod.images.known import DATASETS, load_dataset
from alod.learner import ActiveLearner
from alod.outliers import class_contrast
from alod.stopping import agreement

SETTINGS = ("dataset", "model", "strategy", "initial", "n_query", "training_mode", "pool")
"""Columns of every table; what else differs between its runs follows them."""

OnRound = Callable[[dict[str, float]], None]


def _later(default: Any) -> Any:
    """Return a field younger than some recorded runs: at its default, it changes no hash."""
    return field(default=default, metadata={"later": True})


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig:
    """Everything that decides what a run does; checked when made.

    Parameters
    ----------
    dataset : {"mnist", "fashion_mnist", "mnist_mini", "fashion_mnist_mini"} or str
        What to learn; any name when :func:`run_experiment` is given the data.
    model : {"cnn", "lenet5", "resnet18"}
        The classifier.
    strategy : str
        A name in :data:`alod.strategies.STRATEGIES`.
    strategy_params : dict
        Passed on to the strategy; plain values, since they are written to the run folder.
    initial : {"kmeans", "herding", "maxherding", "typiclust", "kcenter", "random"}
        How the first images are chosen.
    features : {"pixels", "random_conv", "self_supervised"}
        By what, see :func:`alod.encoders.features`.
    n_initial, n_query, rounds : int
        Labels bought at first, in each round, and rounds after the first set.
    budgets : sequence of int
        In place of these three: labels bought in all after the first set and after each round,
        ascending. ``n_query`` is 0 then, the other two follow from it.
    pool : str
        ``clean``, or a stress pool of :func:`alod.experiments.stress.make`, drawn by the seed.
    training_mode : {"shrink_perturb", "warm", "scratch"}
        From where each round's training sets out.
    steps, batch_size, learning_rate
        Gradient steps in each round, images a step, peak learning rate.
    min_epochs : int
        Passes over the labeled images that a round takes at least, with more steps than `steps` if
        need be.
    inlier_passes : int
        Passes in each round in which inliers of the pool are learned with the class predicted for
        them (:meth:`alod.learner.ActiveLearner.inliers`); they cost no label.
    views : int
        Distorted copies of each test image whose predictions are averaged; 0 for the image as it
        is. What is asked and learned does not depend on it.
    augment : {"auto", "none", "digits", "clothing"}
        Distortions while training; ``auto`` takes what the data set says leaves its classes alone.
    seed : int
        Everything random depends on it.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to compute.
    keep_embeddings : bool
        Write ``embeddings.npz``: of every pool image before learning, after the first set and at
        the end.
    diagnose : bool
        Add to the history how well the first set stands for the pool, and what each later round
        changed, see :func:`run_experiment`. It costs an inference over the pool at the end.

    Raises
    ------
    AlodError
        If a value is not of these.

    Examples
    --------
    >>> config = ExperimentConfig(
    ...     dataset="mnist_mini", model="lenet5", n_initial=20, n_query=10, rounds=1, steps=5
    ... )
    >>> config.n_labels, config.strategy
    (30, 'outlier')
    """

    dataset: str = "mnist_mini"
    model: str = "cnn"
    strategy: str = "outlier"
    strategy_params: dict[str, Any] = field(default_factory=dict)
    initial: str = "kmeans"
    n_initial: int = 100
    n_query: int = 100
    rounds: int = 9
    budgets: list[int] = field(default_factory=list)
    pool: str = "clean"
    training_mode: str = "shrink_perturb"
    steps: int = 300
    batch_size: int = 64
    learning_rate: float = 3e-3
    augment: str = "auto"
    inlier_passes: int = 0
    seed: int = 0
    device: str = "auto"
    keep_embeddings: bool = False
    features: str = _later("pixels")
    diagnose: bool = _later(False)
    min_epochs: int = _later(0)
    views: int = _later(0)

    def __post_init__(self) -> None:
        for f in fields(self):  # They are written to files and into the hash.
            object.__setattr__(self, f.name, plain(getattr(self, f.name)))
        check_name("model", self.model, models.MODELS)
        check_name("initial method", self.initial, initial.METHODS)
        check_name("features", self.features, encoders.FEATURES)
        check_name("training mode", self.training_mode, training.TRAINING_MODES)
        check_name("augment", self.augment, ("auto", *training.AUGMENTATIONS))
        check_name("pool", self.pool, stress.NAMES)
        object.__setattr__(self, "budgets", _whole_budgets(self.budgets))
        if self.budgets:
            given = {"n_initial": self.budgets[0], "n_query": 0, "rounds": len(self.budgets) - 1}
            for name, value in given.items():
                object.__setattr__(self, name, value)
        lowest = {"n_initial": 1, "n_query": 0 if self.budgets else 1, "steps": 1, "batch_size": 2}
        lowest |= dict.fromkeys(("rounds", "min_epochs", "inlier_passes", "views", "seed"), 0)
        kept: dict[str, Any] = {
            name: check_count(name, getattr(self, name), low) for name, low in lowest.items()
        }
        kept["learning_rate"] = training.check_learning_rate(self.learning_rate)
        for name, value in kept.items():
            object.__setattr__(self, name, value)
        for name in ("keep_embeddings", "diagnose"):
            if not isinstance(getattr(self, name), bool):
                raise AlodError(f"{name}={getattr(self, name)!r}: expected True or False")
        if not isinstance(self.strategy_params, dict):
            raise AlodError(f"strategy_params={self.strategy_params!r}: expected a dict")
        check_name("strategy", self.strategy, strategies.STRATEGIES)
        strategies.get(self.strategy, self.strategy_params)
        try:
            json.dumps(self.strategy_params)
        except TypeError as error:
            raise AlodError(f"strategy_params: {error}; give plain values") from None
        # Whether it is here is asked when it is run: a finished run can be read anywhere.
        training.check_device(self.device)

    @property
    def n_labels(self) -> int:
        """Labels bought in all."""
        return sum(self.bought)

    @property
    def bought(self) -> list[int]:
        """Labels bought at first and in each round."""
        if self.budgets:
            return [self.budgets[0], *np.diff(self.budgets).tolist()]
        return [self.n_initial, *[self.n_query] * self.rounds]

    def full_set(self, n_images: int, epochs: int = 15) -> "ExperimentConfig":
        """Return the config that trains the same classifier once on every label.

        Parameters
        ----------
        n_images : int
            Images in the pool.
        epochs : int
            Passes over them, at least 1; never fewer steps than a round of this config.

        Returns
        -------
        ExperimentConfig
            With no query: ``strategy="random"``, ``rounds=0``.
        """
        steps = max(self.steps, epochs * n_images // self.batch_size)
        return replace(
            self,
            strategy="random",
            strategy_params={},
            initial="random",
            n_initial=n_images,
            n_query=max(1, self.n_query),
            rounds=0,
            budgets=[],
            min_epochs=0,
            inlier_passes=0,
            steps=steps,
        )

    def hash(self) -> str:
        """Return 12 hex digits that name this config: the folder of its run in a sweep."""
        told = asdict(self)
        for name, default in later_defaults().items():
            if told[name] == default:
                del told[name]
        return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def later_defaults() -> dict[str, Any]:
    """Tell what the fields mean where a folder or a table is older than they are.

    Returns
    -------
    dict of str to object
        Field -> its default.

    Examples
    --------
    >>> later_defaults()["min_epochs"]
    0
    """
    return {f.name: f.default for f in fields(ExperimentConfig) if f.metadata.get("later")}


def _whole_budgets(budgets: Any) -> list[int]:
    """Return budgets as a list, whatever sequence they are."""
    try:
        counts = [-1 if isinstance(n, bool) else operator.index(n) for n in budgets]
    except TypeError:
        counts = [-1]
    if counts != sorted(set(counts)) or min(counts, default=1) < 1:
        raise AlodError(
            f"budgets={budgets!r}: expected ascending whole numbers, such as [20, 50, 100]"
        )
    return counts


@dataclass(frozen=True)
class Run:
    """What a finished run left in its folder.

    Parameters
    ----------
    config : ExperimentConfig
        What was asked for.
    folder : Path
        Where everything lies.
    history : DataFrame
        One row per round, round 0 being the initial set: ``round, n_labeled, n_unique, n_foreign,
        n_classes_seen, test_accuracy`` (in [0, 1]), ``fit_seconds, infer_seconds, query_seconds``;
        with ``inlier_passes`` also ``n_inliers``, found for the last pass, and ``inlier_error``,
        the share of them whose class was predicted wrong then, which the learner does not see. With
        ``diagnose`` also ``calibration_error``
        (:func:`alod.experiments.evaluation.calibration_error`, of the test set) and, of the first
        set, what :func:`alod.initial.distribution_match` (of pixel features, whatever it was chosen
        by) and :func:`alod.initial.class_balance` tell, and of each later round ``agreement``, the
        share of the pool's images that it left with the same predicted class, ``kappa``, the same
        corrected for chance, ``forgotten``, the share of those labeled before that were predicted
        right before it and are not now, and ``lost``, the same of the whole pool, which uses
        targets that the learner does not see, and ``same_scores``, the rank correlation of the
        outlier scores of the images left in the pool, before it and after it
        (:func:`alod.outliers.contrast` of ``knn``, in [-1, 1]): the higher, the more the next query
        builds on the last.
    queries : DataFrame
        One row per label: ``round, index, score`` (NaN for the initial set).
    provenance : dict
        Versions, git commit, device and wall seconds.

    Examples
    --------
    >>> config = ExperimentConfig(
    ...     dataset="mnist_mini", model="lenet5", n_initial=20, n_query=10, rounds=1, steps=5
    ... )
    >>> run = run_experiment(config, "runs/a", on_round=lambda row: None)
    >>> run.history["n_labeled"].tolist(), len(run.asked(1))
    ([20, 30], 10)
    """

    config: ExperimentConfig
    folder: Path
    history: pd.DataFrame
    queries: pd.DataFrame
    provenance: dict[str, Any]

    def asked(self, round: int | None = None) -> np.ndarray:
        """Return what was asked for, in the order asked.

        Parameters
        ----------
        round : int, optional
            That round's images, 0 for the initial set; all rounds' by default.

        Returns
        -------
        numpy.ndarray
            int64 (k,), positions in the data set.
        """
        rows = self.queries if round is None else self.queries[self.queries["round"] == round]
        return np.array(rows["index"], dtype=np.int64)

    @property
    def curve(self) -> pd.DataFrame:
        """The history with the columns that tell runs apart, ready to be stacked with others'."""
        told = {key: getattr(self.config, key) for key in (*SETTINGS, "seed")}
        return pd.DataFrame({**told, **self.history})

    @property
    def embeddings(self) -> dict[str, np.ndarray]:
        """What ``keep_embeddings`` kept.

        ``before``, ``first``, ``last``: float32 (N, D), embeddings of all pool images by the
        untrained classifier, after the initial set, and at the end. ``first_predictions`` and
        ``predictions`` int64 (N,), after the initial set and at the end; ``test_predictions`` int64
        (M,), at the end.
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

    The run folder holds ``config.json``, ``history.csv`` and ``queries.csv``, which grow with each
    round, ``provenance.json`` once it is finished and ``checkpoint.pt`` until then. A kill at any
    moment loses at most the round in progress, and the files end up the same but for the times. Two
    processes on one folder take turns.

    Parameters
    ----------
    config : ExperimentConfig
        What to do.
    out : str or Path
        The run's own folder, made if it is not there.
    data : Dataset, optional
        Loaded by ``config.dataset`` if not given.
    on_round : callable, optional
        Called with each finished row of the history; a progress bar is shown if not given.

    Returns
    -------
    Run
        The finished run.

    Raises
    ------
    AlodError
        If `out` lies under a file, holds another config or a run on other data, there are fewer
        images than labels to buy, the device is not here, or the data cannot be had; before
        anything is computed or written. If the disk refuses, which may be later: with space or
        access again, the run goes on.

    Examples
    --------
    >>> config = ExperimentConfig(
    ...     dataset="mnist_mini", model="lenet5", n_initial=20, n_query=10, rounds=1, steps=5
    ... )
    >>> run = run_experiment(config, "runs/a", on_round=lambda row: None)
    >>> run.history["n_labeled"].tolist()
    [20, 30]
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


def _checksum(data: Dataset) -> str:
    """Tell data sets apart: by a part of the images and by all targets."""
    return f"{fingerprint(data.images)} {zlib.crc32(data.targets.numpy().tobytes()):08x}"


def _check_same_data(folder: Path, kept: str | None, given: str) -> None:
    """Refuse to go on with other images, which would inherit the answers of the old ones."""
    if kept not in (None, given):  # older runs do not tell
        raise AlodError(
            f"out={str(folder)!r}: holds a run on other data ({kept}, now {given}); give the same "
            "images and targets, or choose another folder"
        )


def is_finished(folder: Path) -> bool:
    """Tell whether a run was finished: it has its provenance, and no checkpoint any more.

    Parameters
    ----------
    folder : Path
        A run folder, or where one would be.

    Examples
    --------
    >>> from pathlib import Path
    >>> is_finished(Path("runs/never"))
    False
    """
    return (folder / "provenance.json").exists() and not (folder / "checkpoint.pt").exists()


def load_run(folder: str | Path) -> Run:
    """Read a finished run.

    Parameters
    ----------
    folder : str or Path
        A run folder.

    Returns
    -------
    Run
        As :func:`run_experiment` returned it.

    Raises
    ------
    AlodError
        If the folder holds no finished run, or one that cannot be read.

    Examples
    --------
    >>> config = ExperimentConfig(
    ...     dataset="mnist_mini", model="lenet5", n_initial=20, n_query=10, rounds=1, steps=5
    ... )
    >>> run = run_experiment(config, "runs/a", on_round=lambda row: None)
    >>> load_run("runs/a").config == config
    True
    """
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
        raise AlodError(
            f"{folder}: of another version of alod ({one_line(error)}); read it with the one that "
            "provenance.json tells"
        ) from None
    except (OSError, ValueError) as error:
        raise AlodError(
            f"{folder}: unreadable ({one_line(error)}); delete it and run it again"
        ) from None


def _go_on(
    config: ExperimentConfig,
    folder: Path,
    data: Dataset,
    checksum: str,
    on_round: OnRound | None,
) -> None:
    """Do the rounds that the folder lacks, then finish it."""
    progress = _Progress.load(folder / "checkpoint.pt")
    _check_same_data(folder, progress.data, checksum)
    progress.data = checksum
    write_atomically(folder / "config.json", json.dumps(asdict(config), indent=1) + "\n")
    learner = _new_learner(config, data)
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
    config: ExperimentConfig, learner: ActiveLearner, data: Dataset, progress: "_Progress"
) -> dict[str, float]:
    """Do one round and note it; the test set is looked at to report, after all is decided."""
    number = len(progress.history)
    before = _state(learner) if config.diagnose and number else None
    selection = learner.step(
        config.bought[number], oracle=lambda indices: data.targets[indices].numpy()
    )
    progress.queries += [
        {"round": number, "index": int(index), "score": float(score)}
        for index, score in zip(*selection, strict=True)
    ]
    # The learner's last pool inference is the one that this round's query looked at.
    seconds = {f"{part}_seconds": round(value, 4) for part, value in learner.seconds.items()}
    right = learner.predict(data.test_images) == data.test_targets.numpy()
    row = {
        "round": number,
        "n_labeled": len(progress.queries),
        "n_unique": len({query["index"] for query in progress.queries}),
        "n_foreign": len(learner.foreign),
        "n_classes_seen": len(np.unique(learner.answers[learner.labeled])),
        "test_accuracy": float(right.mean()) if len(right) else float("nan"),
        "fit_seconds": seconds["fit_seconds"],
        "infer_seconds": seconds["infer_seconds"],
        "query_seconds": seconds["query_seconds"],
    }
    if config.inlier_passes:
        found = learner.learned_inliers
        wrong = found.targets != data.targets[found.indices].numpy()
        row["n_inliers"] = len(wrong)
        row["inlier_error"] = float(wrong.mean()) if len(wrong) else float("nan")
    if config.diagnose:
        shares = learner.predict_proba(data.test_images)
        row["calibration_error"] = calibration_error(shares, data.test_targets)
    if config.diagnose and before is None:
        row |= initial.distribution_match(data.images, selection.indices)
        chosen = learner.answers[learner.labeled]
        row |= initial.class_balance(chosen, learner.n_classes)
    elif before is not None:
        row |= _changes(before, _state(learner), data.targets.numpy())
    progress.history.append(row)
    return row


class _State(NamedTuple):
    """What a classifier makes of the pool: classes and outlier scores (N,), and what it learned.

    Scores are NaN outside the pool.
    """

    predicted: np.ndarray
    scores: np.ndarray
    labeled: np.ndarray


def _state(learner: ActiveLearner) -> _State:
    view, scores = learner.view(), np.full(len(learner.images), np.nan)
    if len(learner.pool):
        scores[learner.pool], _ = class_contrast(
            view.labeled_embeddings, view.labeled_targets, view.pool_embeddings
        )
    return _State(learner.outputs()[1].argmax(1).numpy(), scores, learner.labeled)


def _changes(before: _State, after: _State, targets: np.ndarray) -> dict[str, float]:
    """Tell what a round changed."""
    lost = (before.predicted == targets) & (after.predicted != targets)
    both = np.isfinite(before.scores) & np.isfinite(after.scores)
    changed, kappa = agreement(before.predicted, after.predicted)
    return {
        "agreement": 1 - changed,
        "kappa": kappa,
        "forgotten": float(lost[before.labeled].mean()),
        "lost": float(lost.mean()),
        "same_scores": float(spearmanr(before.scores[both], after.scores[both])[0]),
    }


def _new_learner(config: ExperimentConfig, data: Dataset) -> ActiveLearner:
    return ActiveLearner(
        data.images,
        n_classes=len(data.classes),
        model=config.model,
        strategy=config.strategy,
        strategy_params=config.strategy_params,
        initial=config.initial,
        features=config.features,
        training_mode=config.training_mode,
        steps=config.steps,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        augment=data.augment if config.augment == "auto" else config.augment,
        min_epochs=config.min_epochs,
        inlier_passes=config.inlier_passes,
        views=config.views,
        seed=config.seed,
        device=config.device,
    )


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
        """Read a checkpoint, or begin anew where there is none."""
        if not path.exists():
            return cls()
        try:
            return cls(**torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:
            raise AlodError(
                f"{path}: unreadable ({type(error).__name__}); delete it to begin the run anew"
            ) from error

    def write(self, folder: Path) -> None:
        """Write the checkpoint first: it alone decides where a cut-off run goes on."""
        buffer = io.BytesIO()
        torch.save({f.name: getattr(self, f.name) for f in fields(self)}, buffer)
        write_atomically(folder / "checkpoint.pt", buffer.getvalue())
        self.write_tables(folder)

    def write_tables(self, folder: Path) -> None:
        """Write ``history.csv`` and ``queries.csv``."""
        for name, rows in {"history": self.history, "queries": self.queries}.items():
            write_atomically(folder / f"{name}.csv", pd.DataFrame(rows).to_csv(index=False))


def _finish(
    config: ExperimentConfig,
    folder: Path,
    learner: ActiveLearner,
    data: Dataset,
    progress: _Progress,
) -> None:
    """Write what a finished run has, the checkpoint's end last."""
    progress.write_tables(folder)
    if config.keep_embeddings:
        embeddings, logits = learner.outputs()
        arrays = {name: value.numpy() for name, value in progress.kept.items()}
        arrays["last"] = embeddings.numpy()
        arrays["predictions"] = logits.argmax(1).numpy()
        arrays["test_predictions"] = learner.predict(data.test_images)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        write_atomically(folder / "embeddings.npz", buffer.getvalue())
    source = provenance() | {
        "device": str(learner.device),
        "threads": torch.get_num_threads(),
        "wall_seconds": round(progress.wall_seconds, 2),
        "data": progress.data,
        "config": asdict(config),
    }
    write_atomically(folder / "provenance.json", json.dumps(source, indent=1) + "\n")
    (folder / "checkpoint.pt").unlink(missing_ok=True)


def _check_folder(folder: Path, config: ExperimentConfig) -> None:
    """Refuse a folder that cannot be made or belongs to another config."""
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
    wanted = asdict(config)
    keys = wanted.keys() | there.keys()
    other = sorted(k for k in keys if k != "device" and there.get(k) != wanted.get(k))
    if other:
        told = ", ".join(f"{k}={there.get(k)!r} there, {wanted.get(k)!r} asked" for k in other)
        raise AlodError(
            f"out={str(folder)!r}: holds another config ({told}); choose another folder"
        )


def check_data(config: ExperimentConfig, data: Dataset | None = None) -> Dataset:
    """Load the data if it was not given; refuse it if it is too small for the config.

    Parameters
    ----------
    config : ExperimentConfig
        Its ``dataset`` is loaded if need be, its ``n_labels`` must be there.
    data : Dataset, optional
        The data, if they are at hand.

    Returns
    -------
    Dataset
        What the run will work on.

    Raises
    ------
    AlodError
        If the data cannot be had, have too few images, or lack targets.

    Examples
    --------
    >>> config = ExperimentConfig(
    ...     dataset="mnist_mini", model="lenet5", n_initial=20, n_query=10, rounds=1, steps=5
    ... )
    >>> len(check_data(config).images)
    6000
    """
    if data is None:
        check_name("data set", config.dataset, DATASETS)
        data = load_dataset(config.dataset)
    _check_size(config, data)
    if (data.targets < 0).any():
        raise AlodError(f"{data.name}: has images without target; an experiment needs them all")
    if len(data.classes) < 2:
        raise AlodError(f"{data.name}: has classes={data.classes}; an experiment needs two or more")
    return data


def _check_size(config: ExperimentConfig, data: Dataset) -> Dataset:
    """Refuse a pool of fewer images than labels are to be bought."""
    if config.n_labels <= len(data.images):
        return data
    told = f"n_initial={config.n_initial} + rounds={config.rounds} × n_query={config.n_query}"
    told = f"budgets={config.budgets}" if config.budgets else told
    kind = "" if config.pool == "clean" else f" with pool={config.pool!r}"
    raise AlodError(
        f"{told} = {config.n_labels} labels: {data.name}{kind} has {len(data.images)} images; ask "
        "for fewer"
    )
