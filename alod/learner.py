"""The loop: query, teach, fit, one round at a time, with the oracle outside it."""

import copy
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn

from alod import _saving as saving
from alod import encoders, geometry, initial, strategies, training
from alod._classifier import Classifier, made
from alod._settled import settled
from alod.answers import UNLABELED, Answers
from alod.errors import AlodError, check_count
from alod.heads import Head
from alod.pool import alike, as_pool
from alod.recipe import Recipe, takes
from alod.strategies import Strategy
from alod.training import Augment, Images
from alod.view import PoolView, Selection, inliers_of

Oracle = Callable[[np.ndarray], np.ndarray]

# Of the pool, at most, in the first, second and later passes: first what is surest.
INLIER_SHARES = (0.8, 0.9, 0.97)


class Inliers(NamedTuple):
    """Images of the pool with the class predicted for them.

    ``indices`` int64 (K,), ascending positions in the images; ``targets`` int64 (K,), classes.
    """

    indices: np.ndarray
    targets: np.ndarray


def _of(name: str, told: str) -> Any:
    return property(attrgetter(name), doc=told)


class ActiveLearner:
    """A classifier that asks for the labels it wants.

    Its answers depend on the seed, the images and the answers given so far, on nothing else: asked
    twice in the same state, it asks for the same images.

    The pool is `images`, (N, C, H, W) or (N, H, W), uint8, or float in [0, 1]; a memory-mapped
    uint8 array (N, C, H, W) is streamed, never loaded whole. Its images are of `n_classes` classes,
    at least 2. `model`, `strategy` and the other `settings` are those of a
    :class:`alod.recipe.Recipe`, and by its defaults.

    >>> import alod
    >>> data = alod.load_dataset("mnist_mini")
    >>> learner = alod.ActiveLearner(data.images, n_classes=10, model="lenet5", steps=20)
    >>> asked = learner.query(50)  # no label yet: the initial selection
    >>> learner.teach(asked, data.targets[asked])
    >>> learner.fit()
    >>> learner.query(10).shape
    (10,)
    """

    @takes(Recipe)
    @settled()
    def __init__(
        self,
        images: Images,
        n_classes: int,
        model: str | nn.Module = "cnn",
        strategy: str | Strategy = "outlier",
        **settings: Any,
    ) -> None:
        recipe = Recipe.of(model=model, strategy=strategy, **settings)
        n_classes = check_count("n_classes", n_classes, 2)
        self._strategy = strategies.get(recipe.strategy, recipe.strategy_params)
        training.resolve_device(recipe.device)  # refused before a large pool is read
        self.images: Tensor | np.memmap
        self.images, self.span = as_pool(images)
        self.recipe, self.ledger = recipe, Answers(len(self.images), n_classes)
        self._classifier = made(recipe, self.images, n_classes, self._seed("weights"))
        self.device = self._classifier.device
        if not isinstance(recipe.model, str):
            self.recipe = replace(recipe, model=self._classifier.module)  # not the user's own
        self._outputs: tuple[Tensor, Tensor] | None = None
        self.learned_inliers = Inliers(np.empty(0, np.int64), np.empty(0, np.int64))
        self._features: Tensor | None = None
        self._learned = self.answers.copy()  # the answers at the last fit
        self.seconds = {"fit": 0.0, "infer": 0.0, "query": 0.0}

    model: nn.Module = _of("_classifier.module", "The classifier's module.")
    fitted: bool = _of("_classifier.fitted", "Whether the classifier has learned from any label.")
    n_classes: int = _of("ledger.n_classes", "Classes there are.")
    answers: np.ndarray = _of("ledger.codes", "Codes of :class:`alod.answers.Answers`, int64 (N,).")
    labeled: np.ndarray = _of("ledger.labeled", "Positions of labeled images, int64 (L,).")
    foreign: np.ndarray = _of("ledger.foreign", 'Those answered "not of this task", int64 (F,).')
    pool: np.ndarray = _of("ledger.pool", "Those that may still be asked for, int64 (U,).")
    waiting: np.ndarray = _of("ledger.waiting", "Those asked for and unanswered, int64 (W,).")

    def query(self, k: int) -> np.ndarray:
        """Ask for the `k` images wanted most; the first time, for the initial selection.

        Returns int64 (k,), distinct positions of images without an answer, the most wanted first
        where the strategy has an order. Refused while labels were taught but never fitted.
        """
        return self.select(k).indices

    @settled()
    def select(self, k: int, strategy: Strategy | None = None) -> Selection:
        """Ask for `k` images as :meth:`query` does; return the acquisition scores beside them.

        They are float64 (k,), higher = wanted more, NaN for the initial selection. Once there are
        labels, another `strategy` may be asked than the recipe's.
        """
        pool = self.pool
        k = check_count("k", k, 1, len(pool), "images left in the pool")
        if self._outputs is None:
            self.seconds["infer"] = 0.0
        inferred, started = self.seconds["infer"], time.perf_counter()
        if len(self.labeled) == 0:
            described = self._described(pool)
            chosen = initial.select(described, k, self.recipe.initial, self.rng("initial"))
            selection = Selection(chosen, np.full(k, np.nan))
        else:
            ask = strategy or partial(self._strategy, **self.recipe.strategy_params)
            answer = ask(self._view(computed=False), k, self.rng("query"))
            name = strategies.name_of(strategy or self.recipe.strategy)
            selection = strategies.check_selection(answer, k, len(pool), name)
        inferred = self.seconds["infer"] - inferred  # which is timed on its own
        self.seconds["query"] = time.perf_counter() - started - inferred
        indices = dataset_indices(pool, selection.indices)
        self.ledger.ask(indices)
        return Selection(indices, selection.scores)

    def teach(
        self, indices: np.ndarray, labels: np.ndarray | Tensor, *, unasked: bool = False
    ) -> None:
        """Take the oracle's answers, from a person, a file or a simulator; all of them or none.

        `indices`, int (k,), are positions that :meth:`query` has asked for, each once; `labels`,
        int (k,), classes from 0 to n_classes - 1, or -1 for "not of this task": such a foreign
        image leaves the pool and is remembered. `unasked` takes labels of any images: known
        beforehand, as in a partly labeled pool, or corrected.
        """
        self.ledger.take(*self.ledger.taught(indices, labels, unasked))

    def skip(self, indices: np.ndarray, *, unclear: bool = False) -> None:
        """Leave asked images unanswered: they leave the pool and cost nothing.

        `indices`, int (k,), as in :meth:`teach`; `unclear` remembers that nobody can tell, rather
        than that they were passed over.
        """
        self.ledger.take(*self.ledger.skipped(indices, unclear))

    def undo(self, indices: np.ndarray) -> None:
        """Take answers back: images at `indices`, int (k,), wait for an answer again."""
        self.ledger.take(*self.ledger.undone(indices))

    @settled()
    def fit(self) -> None:
        """Update the classifier with everything labeled so far, by a fixed number of steps."""
        if len(self.labeled) == 0:
            raise AlodError("no labels yet: teach() the answers to query() before fit()")
        started = time.perf_counter()
        self._learned = self.answers.copy()
        self._classifier.learn(*self._examples(), self._seed("fit"))
        self._outputs = None
        for number in range(self.recipe.inlier_passes):
            found = self.inliers(INLIER_SHARES[min(number, len(INLIER_SHARES) - 1)])
            self.learned_inliers = found
            if len(found.indices):
                some = self._as_many_as_seen(found, self.rng(f"inliers{number + 1}"))
                seed = self._seed(f"fit{number + 1}")
                self._classifier.learn_inliers(*self._examples(), seed, some)
                self._outputs = None
        self.seconds["fit"] = time.perf_counter() - started

    @settled()
    def inliers(self, share: float) -> Inliers:
        """Find the images of the pool whose class may be taken for known without asking.

        Those that the detectors, one for each class, and the classifier take for the same, the
        least outlying first (:func:`alod.outliers.inliers`). What looks foreign is none of them. At
        most `share` of the pool, in (0, 1], the same number of each class at most.
        """
        chosen, predictions = inliers_of(self.view(), share)
        return Inliers(self.pool[chosen], predictions)

    @settled()
    def fit_without(self, held_out: np.ndarray) -> Classifier | Head:
        """Return a classifier that learned from the initial weights on all labels but some.

        `held_out`, int (k,), are positions of images that it shall not learn from. The learner is
        unchanged.
        """
        others = np.setdiff1d(self.labeled, held_out)
        return self._classifier.taught_anew(*self._examples(others), self._seed("fit"))

    def _examples(self, indices: np.ndarray | None = None) -> tuple[Tensor, Tensor]:
        """Return labeled images and their targets, int64 (L,)."""
        rows = self.labeled if indices is None else indices
        return training.as_tensor(self.images[rows]), torch.as_tensor(self.answers[rows])

    def _as_many_as_seen(self, found: Inliers, rng: Generator) -> Tensor:
        """Return inliers; more than are seen would only be read from the disk."""
        steps = self._classifier.n_steps(len(self.labeled))
        seen = steps * self.recipe.batch_size * training.INLIERS_A_LABEL
        rows = geometry.sample(len(found.indices), seen, rng)
        return training.as_tensor(self.images[found.indices[rows]])

    def step(self, k: int, oracle: Oracle) -> Selection:
        """Do one round: ask for the `k` images wanted most, learn from the answers.

        The `oracle` answers int (k,) indices by int (k,) labels, -1 for a foreign image. Returns
        what was asked, and its scores.
        """
        selection = self.select(k)
        self.teach(selection.indices, oracle(selection.indices))
        self.fit()
        return selection

    @settled()
    def outputs(self) -> tuple[Tensor, Tensor]:
        """Compute what the classifier makes of every image, labeled ones included, once per fit.

        Returns embeddings float32 (N, D) and logits float32 (N, n_classes), on the CPU.
        """
        if self._outputs is None:
            started = time.perf_counter()
            self._outputs = self._classifier.infer(self.images)
            self.seconds["infer"] = time.perf_counter() - started
        return self._outputs

    @settled()
    def view(self) -> PoolView:
        """Show the present state as a strategy sees it.

        Position i of its pool is ``learner.pool[i]``. Refused if labels were taught but never
        fitted.
        """
        return self._view()

    def _view(self, computed: bool = True) -> PoolView:
        if not self.fitted:
            raise AlodError("labels were taught but never learned: call fit() before the query")
        pool, labeled, foreign = self.pool, self.labeled, self.foreign
        # Queries compute in float64, which Apple's GPUs do not know.
        place = torch.device("cpu") if self.device.type == "mps" else self.device
        targets = torch.as_tensor(self.answers[labeled], device=place)

        def compute() -> PoolView:
            embeddings, logits = self.outputs()
            described = len(foreign) and self.images.ndim > 2  # or the embedding does it
            features = self._scaled_features() if described else logits[:, :0]
            return PoolView(
                labeled_embeddings=embeddings[labeled].to(place),
                labeled_targets=targets,
                pool_embeddings=embeddings[pool].to(place),
                pool_logits=logits[pool].to(place),
                foreign_embeddings=embeddings[foreign].to(place),
                mc_logits=lambda n: self._dropped(n)[:, pool].to(place),
                labeled_features=features[labeled].to(place),
                pool_features=features[pool].to(place),
                foreign_features=features[foreign].to(place),
            )

        return compute() if computed else PoolView.later(len(pool), targets, compute)

    def predict(self, images: Images) -> np.ndarray:
        """Return the classes, int64 (N,), of `images` of the pool's kind, (N, C, H, W)."""
        return np.asarray(self._logits(images).argmax(1))

    def predict_proba(self, images: Images) -> np.ndarray:
        """Return how likely each class is, float32 (N, C) in [0, 1], of `images` (N, C, H, W).

        How far they can be trusted is told by
        :func:`alod.experiments.diagnose.calibration_error`.
        """
        return np.asarray(self._logits(images).softmax(1))

    @settled()
    def _logits(self, images: Images) -> Tensor:
        return self._classifier.logits(alike(images, self.images, self.span))

    @settled()
    def embed(self, images: Images) -> np.ndarray:
        """Compute embeddings, float32 (N, D), of `images` (N, C, H, W) as in :meth:`predict`."""
        embeddings = self._classifier.infer(alike(images, self.images, self.span))[0]
        geometry.check_finite(embeddings)
        return np.asarray(embeddings)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the learner has learned, less the images, as plain values."""
        learned = {"learned": torch.as_tensor(self._learned)}
        return self._classifier.state_dict() | self.ledger.state_dict() | learned

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state` that :meth:`state_dict` returned, of the same images and settings.

        Refused if it was of a pool of another size.
        """
        if len(state["answers"]) != len(self.images):
            raise AlodError(
                f"state of a pool of {len(state['answers'])} images: this one has "
                f"{len(self.images)}; give the images that the learner was made with"
            )
        self._classifier.load_state_dict(state)
        if isinstance(self._classifier, Head) and state["fitted"]:
            self.ledger.codes = state["learned"].numpy().copy()
            self.fit()
        self.ledger.load_state_dict(state)
        self._outputs = None

    def save(self, path: str | Path) -> None:
        """Write weights, answers, settings and images to the file `path`, whole or not at all.

        A memory-mapped pool is not copied: give it to :meth:`load` again. Refused if
        ``strategy_params`` holds what a file cannot, a detector for one.
        """
        told = {"n_classes": self.n_classes, **self.recipe.of_learner()}
        initial_state = self._classifier.initial_state
        saving.write(Path(path), told, self.state_dict(), initial_state, self.images)

    @classmethod
    def load(
        cls,
        path: str | Path,
        images: Images | None = None,
        model: nn.Module | None = None,
        strategy: Strategy | str | None = None,
        device: str = "auto",
        augment: Augment = None,
    ) -> "ActiveLearner":
        """Read a learner that :meth:`save` wrote to `path`, on this machine or another.

        What a file does not hold is to be given: `images` (N, C, H, W), the pool, if it was
        memory-mapped; a `model` of the same architecture, `strategy` and `augment`, if they were
        the user's own. The `device` need not be the same. The learner asks for what the saved one
        would have asked for; what is no learner, or does not match, is refused.
        """
        given = {"images": images, "model": model, "strategy": strategy, "augment": augment}
        content, settings = saving.read(path, given)
        learner = cls(**settings, device=device)
        learner._classifier.initial_state = content["initial_state"]
        with saving.matching(path):
            learner.load_state_dict(content["state"])
        return learner

    def __getstate__(self) -> dict[str, Any]:
        """Refuse in one line what pickle refuses with a riddle."""
        recipe, own = self.recipe, {"strategy": self._strategy, "model": self.model}
        saving.check_pickle(**own, strategy_params=recipe.strategy_params, augment=recipe.augment)
        return self.__dict__

    def __deepcopy__(self, memo: dict[int, Any]) -> "ActiveLearner":
        """Copy without pickle, which knows fewer functions."""
        copied = object.__new__(type(self))
        copied.__dict__ |= copy.deepcopy(self.__dict__, memo)
        return copied

    def _seed(self, purpose: str) -> int:
        # Drawn from the state, not from a running generator: nothing to store, nothing to lose.
        entropy = [self.recipe.seed, zlib.crc32(purpose.encode()), self.ledger.n_answered]
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])

    def rng(self, purpose: str) -> Generator:
        """Return a generator for a `purpose`, the same in the same state."""
        return np.random.default_rng(self._seed(purpose))

    def _scaled_features(self) -> Tensor:
        """Describe the images without labels, in lengths that embeddings of length 1 bear."""
        if self._features is None:
            features = encoders.features(self.images)
            length = torch.linalg.vector_norm(features, dim=1).mean()
            self._features = features / length.clamp_min(1e-6)
        return self._features

    def _described(self, pool: np.ndarray) -> Images:
        """Return what the first set is chosen from: all images, or the features of the pool's."""
        kind, method = self.recipe.features, self.recipe.initial
        if isinstance(self._classifier, Head):
            return self._classifier.embed(self.images)[pool]
        if len(pool) == len(self.images) and (kind == "pixels" or method == "random"):
            return self.images
        return encoders.features(self.images, kind, device=self.device)[pool]

    def _dropped(self, n: int) -> Tensor:
        """Return `n` dropout samples of the logits, (n, N, C)."""
        # Of all images, as they lie: a memory-mapped pool cannot be copied.
        embeddings, seed = self.outputs()[0], self._seed("dropout")
        return self._classifier.dropped(self.images, embeddings, n, seed)


def choose(
    features: Images,
    k: int,
    labels: np.ndarray | Tensor | None = None,
    strategy: str | Strategy = "outlier",
    **settings: Any,
) -> np.ndarray:
    """Choose `k` of a pool to label, from its `features` (N, D) and the `labels` there are.

    `labels`, int (N,): classes, :data:`alod.answers.UNLABELED` where there is none yet, -1 for what
    is not of the task. `strategy` and `settings` are those of a recipe, ``seed`` and the ``model``,
    ``"linear"`` by default, among them. Returns positions, int64 (k,), the most wanted first.

    >>> features = np.random.default_rng(0).normal(size=(50, 4))
    >>> first = choose(features, 5)
    >>> labels = np.full(50, UNLABELED)
    >>> labels[first] = [0, 1, 0, 1, 2]
    >>> np.intersect1d(choose(features, 5, labels), first)
    array([], dtype=int64)
    """
    codes = np.full(len(features), UNLABELED) if labels is None else np.asarray(labels)
    if codes.shape != (len(features),) or codes.dtype.kind not in "iu":
        raise AlodError(
            f"labels {codes.dtype}{codes.shape}: expected whole numbers, ({len(features)},), one "
            f"for each row of the features, {UNLABELED} where there is none"
        )
    known = np.flatnonzero(codes != UNLABELED)
    n_classes = max(2, int(codes.max(initial=0)) + 1)
    settings = {"model": "linear"} | settings
    learner = ActiveLearner(features, n_classes, strategy=strategy, **settings)
    learner.teach(known, codes[known], unasked=True)
    if len(learner.labeled):
        learner.fit()
    return learner.query(k)


def dataset_indices(pool: np.ndarray, pool_indices: np.ndarray) -> np.ndarray:
    """Translate positions in the `pool`, int64 (U,), into positions in the data set.

    `pool_indices` int64 (k,) is what a strategy returned; returns int64 (k,).
    """
    return np.asarray(pool[pool_indices])
