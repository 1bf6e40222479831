"""What decides a run: the settings of an experiment, checked when they are made."""

import json
import operator
from dataclasses import asdict, dataclass, field, fields, replace
from hashlib import sha256
from typing import Any

import numpy as np

from alod import encoders, initial, models, strategies, training
from alod.errors import AlodError, check_count, check_name, plain
from alod.experiments import stress

SETTINGS = ("dataset", "model", "strategy", "initial", "n_query", "training_mode", "pool")
"""Columns of every table; what else differs between its runs follows them."""


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


FIELDS = [
    "dataset", "model", "strategy", "strategy_params", "initial", "n_initial", "n_query", "rounds",
    "budgets", "pool", "training_mode", "steps", "batch_size", "learning_rate", "augment",
    "inlier_passes", "seed", "device", "keep_embeddings", "features", "diagnose", "min_epochs",
    "views",
]  # fmt: skip
"""In the order of what is written, columns and keys alike; a younger field comes last."""


def written(config: ExperimentConfig) -> dict[str, Any]:
    """Return a `config` as files hold it."""
    return {name: getattr(config, name) for name in FIELDS}


def later_defaults() -> dict[str, Any]:
    """Tell what each younger field means where a folder or a table is older than it is."""
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
