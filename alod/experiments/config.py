"""What decides a run: the settings of an experiment, checked when they are made."""

import json
import operator
from dataclasses import asdict, dataclass, fields, replace
from hashlib import sha256
from typing import Any

import numpy as np

from alod import models, strategies, training
from alod.data.encoded import check_encoder, check_recipe
from alod.errors import AlodError, check_count
from alod.experiments import stress
from alod.heads import HEADS
from alod.recipe import Recipe, either, one_of, setting, whole

SETTINGS = ("dataset", "model", "strategy", "initial", "n_query", "training_mode", "pool")
"""Columns of every table; what else differs between its runs follows them."""


def _ascending(budgets: Any) -> list[int]:
    try:
        counts = [-1 if isinstance(n, bool) else operator.index(n) for n in budgets]
    except TypeError:
        counts = [-1]
    if counts != sorted(set(counts)) or min(counts, default=1) < 1:
        expected = "expected ascending whole numbers, such as [20, 50, 100]"
        raise AlodError(f"budgets={budgets!r}: {expected}")
    return counts


def _encoder(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise AlodError(f"{name}={value!r}: expected a name, which files can hold")
    return str(check_encoder(name, value))


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig(Recipe):
    """Everything that decides what a run does; checked when made.

    The settings of :class:`alod.recipe.Recipe`; `augment` besides ``"auto"``, which takes what the
    data set says leaves its classes alone, and a `strategy` of one's own as ``"module:function"``,
    so that other processes find it. And `dataset`: a name in :data:`alod.data.known.DATASETS`,
    ``"module:function"``, where target -1 is what the oracle answers to strangers, or any where
    :func:`run_experiment` is given the data; `pool`: ``"clean"``, or a stress pool of
    :func:`alod.experiments.stress.make`, drawn by the seed. `n_initial`, `n_query`, `rounds`:
    labels bought at first, in each round, and rounds after the first set; or `budgets`: labels
    bought in all after each of these, ascending. `encoder`: what describes the images, once,
    for a model of features (:mod:`alod.data.encoded`). `keep_embeddings`: write ``embeddings.npz``,
    of every pool image before learning, after the first set and at the end. `diagnose`: add to the
    history what :mod:`alod.experiments.diagnose` tells, for an inference over the pool at the end.

    >>> ExperimentConfig(dataset="mnist_mini", n_initial=20, n_query=10, rounds=1).n_labels
    30
    """

    model: str = setting(
        "cnn",
        "cnn, lenet5, resnet18; or of features: linear, mlp.",
        one_of((*models.MODELS, *HEADS)),
    )
    strategy: str = setting(
        "outlier",
        "How to choose what to ask: outlier, margin, random, …, or your own, module:function.",
        lambda _, value: strategies.importable_name(value),
    )
    augment: str = setting(
        "auto",
        "Distortions: auto, none, digits, clothing or photos.",
        one_of(("auto", *training.AUGMENTATIONS)),
    )
    dataset: str = setting(
        "mnist_mini", "mnist, fashion_mnist, either with _mini, or your own, module:function."
    )
    n_initial: int = setting(100, "Labels in the first set.", whole(1))
    n_query: int = setting(100, "Labels bought in each round.", whole(0))
    rounds: int = setting(9, "Rounds after the first set.", whole(0))
    budgets: list[int] = setting(
        list,
        "In place of these three: labels after each round, such as 20,50,100.",
        lambda _, value: _ascending(value),
    )
    pool: str = setting(
        "clean",
        "clean, duplicates, long_tail, foreign_5, foreign_20, foreign_40 or foreign_hard_20.",
        one_of(stress.NAMES),
    )
    keep_embeddings: bool = setting(False, "Write embeddings.npz.", either)
    diagnose: bool = setting(
        False,
        "Add to history.csv how good the first set is and what each round changed.",
        either,
        later=True,
    )

    encoder: str = setting(
        "none",
        "What describes the images, once: none, self_supervised, efficientnet_lite0, …",
        _encoder,
        later=True,
    )

    def __post_init__(self) -> None:
        if budgets := _ascending(self.budgets):
            object.__setattr__(self, "n_initial", budgets[0])
            object.__setattr__(self, "n_query", 0)
            object.__setattr__(self, "rounds", len(budgets) - 1)
        super().__post_init__()
        if not budgets:
            check_count("n_query", self.n_query, 1)
        check_recipe(self.encoder, self)
        try:
            json.dumps(self.strategy_params)
        except TypeError as error:
            raise AlodError(f"strategy_params: {error}; give plain values") from None

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

        It takes `epochs` passes, 1 up, over a pool of `n_images`, no fewer steps than a round here.
        """
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
            steps=max(self.steps, epochs * n_images // self.batch_size),
        )

    def hash(self) -> str:
        """Return 12 hex digits that name this config: the folder of its run in a sweep."""
        later = later_defaults()
        told = {k: v for k, v in asdict(self).items() if k not in later or v != later[k]}
        return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


FIELDS = [
    "dataset", "model", "strategy", "strategy_params", "initial", "n_initial", "n_query", "rounds",
    "budgets", "pool", "training_mode", "steps", "batch_size", "learning_rate", "augment",
    "inlier_passes", "seed", "device", "keep_embeddings", "features", "diagnose", "min_epochs",
    "views", "encoder", "body_rate",
]  # fmt: skip
"""In the order of what is written, columns and keys alike; a younger field comes last."""


def written(config: ExperimentConfig) -> dict[str, Any]:
    """Return a `config` as files hold it."""
    return {name: getattr(config, name) for name in FIELDS}


def later_defaults() -> dict[str, Any]:
    """Tell what each younger field means where a folder or a table is older than it is."""
    return {f.name: f.default for f in fields(ExperimentConfig) if f.metadata.get("later")}
