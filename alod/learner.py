"""The loop: query, teach, fit, one round at a time, with the oracle outside it."""

import copy
import inspect
import io
import json
import pickle
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn

from alod import encoders, geometry, models, outliers, strategies, training
from alod._settled import seeded, settled
from alod.data import as_images, fingerprint, from_arrays, span_of
from alod.errors import AlodError, check_count, check_name, one_line, plain
from alod.files import write_atomically
from alod.initial import METHODS as INITIAL_METHODS
from alod.initial import select as select_initial
from alod.strategies import Strategy
from alod.training import Images
from alod.view import PoolView, Selection, task_like

Oracle = Callable[[np.ndarray], np.ndarray]

FOREIGN, UNLABELED, SKIPPED, UNCLEAR = -1, -2, -3, -4
# Of the pool, at most, in the first, second and later passes: first what is surest.
INLIER_SHARES = (0.8, 0.9, 0.97)


class Inliers(NamedTuple):
    """Images of the pool with the class predicted for them.

    ``indices`` int64 (K,), ascending positions in the images; ``targets`` int64 (K,), classes.

    Examples
    --------
    >>> import numpy as np
    >>> Inliers(indices=np.array([4, 8]), targets=np.array([0, 1])).targets
    array([0, 1])
    """

    indices: np.ndarray
    targets: np.ndarray


class ActiveLearner:
    """A classifier that asks for the labels it wants.

    Its answers depend on the seed, the images and the answers given so far, on nothing else: asked
    twice in the same state, it asks for the same images.

    Parameters
    ----------
    images : Tensor or numpy.ndarray
        The pool: uint8, or float in [0, 1], (N, C, H, W) or (N, H, W). A memory-mapped uint8 array
        (N, C, H, W) is streamed, never loaded whole.
    n_classes : int
        Classes there are, at least 2.
    model : {"cnn", "lenet5", "resnet18"} or torch.nn.Module
        The classifier; a module must return ``(embedding (N, D), logits (N, n_classes))``. It is
        copied, and its weights are those that every learner sets out from.
    strategy : str or callable
        A name in :data:`alod.strategies.STRATEGIES` or a function of that kind.
    strategy_params : mapping, optional
        Passed on to the strategy.
    initial : {"kmeans", "herding", "maxherding", "typiclust", "kcenter", "random"}
        How the first images are chosen, see :func:`alod.initial.select`.
    features : {"pixels", "random_conv", "self_supervised"}
        By what, see :func:`alod.encoders.features`.
    training_mode : {"shrink_perturb", "warm", "scratch"}
        From where each fit sets out, see :func:`alod.training.fit`.
    steps, batch_size, learning_rate, augment
        The training recipe, see :func:`alod.training.fit`.
    min_epochs : int
        More steps than `steps` where it takes them to see every labeled image so many times.
    inlier_passes : int
        Passes of as many steps after each fit in which the pool's :meth:`inliers` are learned with
        the class predicted for them; 0 for none. The next fit sets out from before them.
    views : int
        Distorted copies of each image whose predictions :meth:`predict` and :meth:`predict_proba`
        average, by `augment`; 0 for the image as it is. Queries do not depend on it.
    seed : int
        Same seed, same images, same answers: same questions (on the same processor).
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises
    ------
    AlodError
        If an argument is not of these.

    Examples
    --------
    >>> import alod
    >>> data = alod.load_dataset("mnist_mini")
    >>> learner = alod.ActiveLearner(data.images, n_classes=10, model="lenet5", steps=20)
    >>> asked = learner.query(50)  # no label yet: the initial selection
    >>> learner.teach(asked, data.targets[asked])
    >>> learner.fit()
    >>> learner.query(10).shape
    (10,)
    """

    @settled()
    def __init__(
        self,
        images: Images,
        n_classes: int,
        model: str | nn.Module = "cnn",
        strategy: str | Strategy = "outlier",
        *,
        strategy_params: Mapping[str, Any] | None = None,
        initial: str = "kmeans",
        features: str = "pixels",
        training_mode: str = "shrink_perturb",
        steps: int = 300,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        augment: str | None = None,
        min_epochs: int = 0,
        inlier_passes: int = 0,
        views: int = 0,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self._settings: dict[str, Any] = {
            "n_classes": n_classes,
            "strategy_params": plain(dict(strategy_params or {})),
            "initial": initial,
            "features": features,
            "training_mode": training_mode,
            "steps": steps,
            "batch_size": batch_size,
            "learning_rate": training.check_learning_rate(learning_rate),
            "augment": augment,
            "min_epochs": min_epochs,
            "inlier_passes": inlier_passes,
            "views": views,
            "seed": seed,
        }
        lowest = {"n_classes": 2, "seed": 0, "steps": 1, "batch_size": 2}
        for name, low in (lowest | {"min_epochs": 0, "inlier_passes": 0, "views": 0}).items():
            self._settings[name] = check_count(name, self._settings[name], low)
        check_name("training mode", training_mode, training.TRAINING_MODES)
        check_name("initial method", initial, INITIAL_METHODS)
        check_name("features", features, encoders.FEATURES)
        check_name("augment", augment or "none", training.AUGMENTATIONS)
        self._strategy = strategies.get(strategy, self._settings["strategy_params"])
        self._strategy_name = strategy if isinstance(strategy, str) else None
        self._model_name = model if isinstance(model, str) else None
        self.device = training.resolve_device(device)
        self._span = None if _is_streamed(images) else span_of(images)
        self.images = images if _is_streamed(images) else from_arrays(images).images
        if isinstance(model, str):
            channels = self.images.shape[1]
            model = training.build_seeded(model, self.n_classes, channels, self._seed("weights", 0))
        else:
            # Two learners of one module would train each other's.
            model = training.copy_module(model)
        self.model = model.to(self.device).eval()
        sample = training.to_float(training.as_tensor(self.images[:2])).to(self.device)
        with seeded(0, self.device):
            models.check_contract(self.model, sample, self.n_classes)
        self._initial_state = _cpu_copy(self.model.state_dict())
        self.answers = np.full(len(self.images), UNLABELED)
        self._asked = np.zeros(len(self.images), dtype=bool)
        self._fitted = False
        self._taught: dict[str, Tensor] | None = None
        self._outputs: tuple[Tensor, Tensor] | None = None
        self.learned_inliers = Inliers(np.empty(0, np.int64), np.empty(0, np.int64))
        self._features: Tensor | None = None
        self.seconds = {"fit": 0.0, "infer": 0.0, "query": 0.0}

    @property
    def n_classes(self) -> int:
        """Classes there are."""
        return int(self._settings["n_classes"])

    @property
    def fitted(self) -> bool:
        """Whether the classifier has learned from any label."""
        return self._fitted

    @property
    def labeled(self) -> np.ndarray:
        """int64 (L,), ascending positions of the images with a class label."""
        return np.flatnonzero(self.answers >= 0)

    @property
    def foreign(self) -> np.ndarray:
        """int64 (F,), ascending positions of the images answered "not of this task"."""
        return np.flatnonzero(self.answers == FOREIGN)

    @property
    def pool(self) -> np.ndarray:
        """int64 (U,), ascending positions of the images that may still be asked for."""
        return np.flatnonzero(self.answers == UNLABELED)

    @property
    def waiting(self) -> np.ndarray:
        """int64 (W,), ascending positions of the images asked for and not yet answered."""
        return np.flatnonzero(self._asked)

    def query(self, k: int) -> np.ndarray:
        """Ask for the k images wanted most; the first time, for the initial selection.

        Parameters
        ----------
        k : int
            Images to ask for, from 1 to the size of the pool.

        Returns
        -------
        numpy.ndarray
            int64 (k,), distinct positions of images without an answer, the most wanted first where
            the strategy has an order.

        Raises
        ------
        AlodError
            If `k` is out of range, labels were taught but never fitted, or a user's strategy breaks
            its contract.
        """
        return self.select(k).indices

    @settled()
    def select(self, k: int) -> Selection:
        """Ask as :meth:`query` does, and return the acquisition scores beside the indices.

        Parameters
        ----------
        k : int
            Images to ask for, from 1 to the size of the pool.

        Returns
        -------
        Selection
            ``indices`` as :meth:`query` returns them; ``scores`` float64 (k,), higher = wanted
            more, NaN for the initial selection.
        """
        pool = self.pool
        k = check_count("k", k, 1, len(pool), "images left in the pool")
        started = time.perf_counter()
        if len(self.labeled) == 0:
            rng = self._rng("initial")
            described = self._described(pool)
            chosen = select_initial(described, k, self._settings["initial"], rng)
            selection = Selection(chosen, np.full(k, np.nan))
            self.seconds["infer"] = 0.0
        else:
            # A random query looks at nothing, and to read the pool would be up to half of its run.
            view = self._blank_view() if self._strategy is strategies.random else self.view()
            started = time.perf_counter()  # inference is timed on its own
            answer = self._strategy(
                view, k, self._rng("query"), **self._settings["strategy_params"]
            )
            name = str(self._strategy_name or getattr(self._strategy, "__name__", "given"))
            selection = strategies.check_selection(answer, k, len(pool), name)
        self.seconds["query"] = time.perf_counter() - started
        indices = dataset_indices(pool, selection.indices)
        self._asked[indices] = True
        return Selection(indices, selection.scores)

    def teach(
        self, indices: np.ndarray, labels: np.ndarray | Tensor, *, unasked: bool = False
    ) -> None:
        """Take the oracle's answers, from a person, a file or a simulator.

        Parameters
        ----------
        indices : numpy.ndarray
            int (k,), positions that :meth:`query` has asked for, each once.
        labels : numpy.ndarray or Tensor
            int (k,), classes from 0 to n_classes - 1, or -1 for "not of this task": such a foreign
            image leaves the pool and is remembered.
        unasked : bool
            Take labels of any images: known beforehand, as in a partly labeled pool, or corrected.

        Raises
        ------
        AlodError
            If an index was not asked for or has its answer already, or a label is out of range;
            nothing is taken then.
        """
        indices = self._check_indices(indices) if unasked else self._check_asked(indices)
        answers = np.asarray(labels)
        if answers.shape != indices.shape or answers.dtype.kind not in "iu":
            raise AlodError(
                f"labels {answers.dtype}{answers.shape}: expected {len(indices)} whole numbers, one"
                " per index"
            )
        wrong = answers[(answers < FOREIGN) | (answers >= self.n_classes)]
        if len(wrong):
            raise AlodError(
                f"label {wrong[0]}: expected a class from 0 to {self.n_classes - 1}, or -1 for an "
                "image that is not of this task"
            )
        self._take(indices, answers)

    def skip(self, indices: np.ndarray, *, unclear: bool = False) -> None:
        """Leave asked images unanswered: they leave the pool and cost nothing.

        Parameters
        ----------
        indices : numpy.ndarray
            int (k,), positions that :meth:`query` has asked for, each once.
        unclear : bool
            Remember that nobody can tell, rather than that they were passed over.

        Raises
        ------
        AlodError
            If an index was not asked for or has its answer already.
        """
        indices = self._check_asked(indices)
        self._take(indices, np.full(len(indices), UNCLEAR if unclear else SKIPPED))

    def undo(self, indices: np.ndarray) -> None:
        """Take answers back: the images wait for an answer again.

        Parameters
        ----------
        indices : numpy.ndarray
            int (k,), positions of images that were taught or skipped, each once.

        Raises
        ------
        AlodError
            If an index has no answer.
        """
        indices = self._check_indices(indices)
        blank = indices[self.answers[indices] == UNLABELED]
        if len(blank):
            raise AlodError(f"index {blank[0]} has no answer that could be taken back")
        self._take(indices, np.full(len(indices), UNLABELED))

    def _take(self, indices: np.ndarray, answers: np.ndarray) -> None:
        """Remember answers that were found right; every change of an answer comes through here."""
        self.answers[indices] = answers
        self._asked[indices] = answers == UNLABELED

    @settled()
    def fit(self) -> None:
        """Update the classifier with everything labeled so far, by a fixed number of steps.

        Raises
        ------
        AlodError
            If nothing has been labeled yet.
        """
        if len(self.labeled) == 0:
            raise AlodError("no labels yet: teach() the answers to query() before fit()")
        started = time.perf_counter()
        # The first fit sets out from the initial weights in every mode.
        mode = self._settings["training_mode"] if self._fitted else "warm"
        if self._taught is not None:
            self.model.load_state_dict(self._taught)
        self._train(self.model, self.labeled, mode)
        self._fitted = True
        self._outputs = None
        if self._settings["inlier_passes"]:
            # Here the next fit sets out, or it would inherit what wrong inliers have taught.
            self._taught = _cpu_copy(self.model.state_dict())
        for number in range(self._settings["inlier_passes"]):
            found = self.inliers(INLIER_SHARES[min(number, len(INLIER_SHARES) - 1)])
            self.learned_inliers = found
            if len(found.indices):
                self._train(self.model, self.labeled, "warm", found, number + 1)
                self._outputs = None
        self.seconds["fit"] = time.perf_counter() - started

    @settled()
    def inliers(self, share: float) -> Inliers:
        """Find the images of the pool whose class may be taken for known without asking.

        Those that the detectors, one for each class, and the classifier take for the same, the
        least outlying first (:func:`alod.outliers.inliers`). What looks foreign is none of them.

        Parameters
        ----------
        share : float
            Of the pool, at most, in (0, 1]; the same number of each class at most.

        Returns
        -------
        Inliers
            ``indices`` int64 (K,), ascending positions in the pool's images; ``targets`` int64
            (K,), the predicted classes.

        Raises
        ------
        AlodError
            If `share` is out of range, or nothing was fitted.
        """
        if not 0 < share <= 1:
            raise AlodError(f"share={share!r}: expected a share of the pool, above 0 and at most 1")
        view, pool = self.view(), self.pool
        if len(pool) == 0:
            return Inliers(pool, np.empty(0, dtype=np.int64))
        kept = task_like(view, 1)
        scores, nearest = outliers.class_contrast(
            view.labeled_embeddings, view.labeled_targets, view.pool_embeddings[kept]
        )
        predictions = view.pool_logits[kept].argmax(1).cpu().numpy()
        cap = max(1, int(share * len(kept) / self.n_classes))
        chosen = outliers.inliers(scores, nearest, predictions, cap)
        return Inliers(pool[kept[chosen]], predictions[chosen])

    @settled()
    def fit_without(self, held_out: np.ndarray) -> nn.Module:
        """Train a copy from the initial weights on all labels but some; the learner is unchanged.

        Parameters
        ----------
        held_out : numpy.ndarray
            int (k,), positions of images that the copy shall not learn from.

        Returns
        -------
        torch.nn.Module
            The copy, on the learner's device.

        Raises
        ------
        AlodError
            If nothing else is labeled.
        """
        model = training.copy_module(self.model)
        model.load_state_dict(self._initial_state)
        self._train(model, np.setdiff1d(self.labeled, held_out), "warm")
        return model

    def _train(
        self,
        model: nn.Module,
        labeled: np.ndarray,
        mode: str,
        found: Inliers | None = None,
        number: int = 0,
    ) -> None:
        settings = self._settings
        passing = settings["min_epochs"] * len(labeled) // settings["batch_size"]
        steps = max(settings["steps"], passing)
        more = None
        if found is not None:
            # More than are seen would only be read from the disk.
            seen = steps * settings["batch_size"] * training.INLIERS_A_LABEL
            rows = geometry.sample(len(found.indices), seen, self._rng(f"inliers{number}"))
            more = training.as_tensor(self.images[found.indices[rows]])
        training.fit(
            model,
            training.as_tensor(self.images[labeled]),
            torch.as_tensor(self.answers[labeled]),
            steps=steps,
            batch_size=settings["batch_size"],
            learning_rate=settings["learning_rate"],
            augment=settings["augment"],
            mode=mode,
            initial_state=self._initial_state,
            inliers=more,
            seed=self._seed(f"fit{number or ''}", self._n_answered()),
        )

    def step(self, k: int, oracle: Oracle) -> Selection:
        """Do one round: ask for the k images wanted most, learn from the answers.

        Parameters
        ----------
        k : int
            Images to ask for.
        oracle : callable
            ``oracle(indices) -> labels``, both int (k,), -1 for a foreign image.

        Returns
        -------
        Selection
            What was asked, and its scores.
        """
        selection = self.select(k)
        self.teach(selection.indices, oracle(selection.indices))
        self.fit()
        return selection

    @settled()
    def outputs(self) -> tuple[Tensor, Tensor]:
        """Compute what the classifier makes of every image, once per fit.

        Returns
        -------
        embeddings : Tensor
            float32 (N, D), on the CPU, in the order of the images, labeled ones included.
        logits : Tensor
            float32 (N, n_classes), likewise.
        """
        if self._outputs is None:
            started = time.perf_counter()
            self._outputs = training.infer(self.model, self.images)
            self.seconds["infer"] = time.perf_counter() - started
        return self._outputs

    @settled()
    def view(self) -> PoolView:
        """Show the present state as a strategy sees it.

        Returns
        -------
        PoolView
            Position i of its pool is ``learner.pool[i]``.

        Raises
        ------
        AlodError
            If labels were taught but never fitted.
        """
        self._check_fitted()
        embeddings, logits = self.outputs()
        pool, labeled, foreign = self.pool, self.labeled, self.foreign
        features = self._scaled_features() if len(foreign) else logits[:, :0]
        place = self._query_device
        return PoolView(
            labeled_embeddings=embeddings[labeled].to(place),
            labeled_targets=torch.as_tensor(self.answers[labeled], device=place),
            pool_embeddings=embeddings[pool].to(place),
            pool_logits=logits[pool].to(place),
            foreign_embeddings=embeddings[foreign].to(place),
            mc_logits=self._mc_logits,
            labeled_features=features[labeled].to(place),
            pool_features=features[pool].to(place),
            foreign_features=features[foreign].to(place),
        )

    def _blank_view(self) -> PoolView:
        """Show how many images there are, and nothing of them."""
        self._check_fitted()
        if self._outputs is None:
            self.seconds["infer"] = 0.0
        labeled, pool = (torch.empty(len(rows), 0) for rows in (self.labeled, self.pool))
        return PoolView(labeled, torch.as_tensor(self.answers[self.labeled]), pool, pool)

    @property
    def _query_device(self) -> torch.device:
        # Queries compute in float64, which Apple's GPUs do not know.
        return torch.device("cpu") if self.device.type == "mps" else self.device

    def _check_fitted(self) -> None:
        if not self._fitted:
            raise AlodError("labels were taught but never learned: call fit() before the query")

    def predict(self, images: Images) -> np.ndarray:
        """Classify images.

        Parameters
        ----------
        images : Tensor or numpy.ndarray
            uint8, or float in [0, 1], (N, C, H, W), of the pool's kind.

        Returns
        -------
        numpy.ndarray
            int64 (N,), classes.
        """
        return np.asarray(self._logits(images).argmax(1))

    def predict_proba(self, images: Images) -> np.ndarray:
        """Tell how likely the classifier holds each class to be.

        Parameters
        ----------
        images : Tensor or numpy.ndarray
            As in :meth:`predict`.

        Returns
        -------
        numpy.ndarray
            float32 (N, C), in [0, 1]; rows sum to 1. How far they can be trusted is a question of
            its own, see :func:`alod.experiments.evaluation.calibration_error`.
        """
        return np.asarray(self._logits(images).softmax(1))

    @settled()
    def _logits(self, images: Images) -> Tensor:
        """Return logits (N, C), whose softmax is the mean over the views where there are any."""
        images = self._alike(images)
        augment, views = self._settings["augment"], self._settings["views"]
        if views and augment not in (None, "none"):
            shares = training.infer_views(self.model, images, augment, views)
            geometry.check_finite(shares)
            return shares.log()
        logits = training.infer(self.model, images)[1]
        geometry.check_finite(logits)
        return logits

    @settled()
    def embed(self, images: Images) -> np.ndarray:
        """Compute embeddings of images.

        Parameters
        ----------
        images : Tensor or numpy.ndarray
            uint8, or float in [0, 1], (N, C, H, W), of the pool's kind.

        Returns
        -------
        numpy.ndarray
            float32 (N, D).
        """
        embeddings = training.infer(self.model, self._alike(images))[0]
        geometry.check_finite(embeddings)
        return np.asarray(embeddings)

    def _alike(self, images: Images) -> Images:
        """Return images that the classifier can take, or refuse them."""
        if not isinstance(images, np.memmap):  # which is streamed
            images = torch.from_numpy(as_images("images", images, self._span))
        if images.shape[1:] != self.images.shape[1:]:
            raise AlodError(
                f"images of shape {tuple(images.shape[1:])} (channels, height, width): expected "
                f"{tuple(self.images.shape[1:])}, as in the pool"
            )
        return images

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the learner has learned, less the images.

        Returns
        -------
        dict
            Tensors and plain values, which :meth:`load_state_dict` takes.
        """
        return {
            "model": _cpu_copy(self.model.state_dict()),
            "answers": torch.as_tensor(self.answers),
            "asked": torch.as_tensor(self._asked),
            "fitted": self._fitted,
            "taught": self._taught,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that :meth:`state_dict` returned.

        Parameters
        ----------
        state : mapping
            Of a learner with the same images and settings.

        Raises
        ------
        AlodError
            If it was of a pool of another size.
        """
        if len(state["answers"]) != len(self.images):
            raise AlodError(
                f"state of a pool of {len(state['answers'])} images: this one has "
                f"{len(self.images)}; give the images that the learner was made with"
            )
        self.model.load_state_dict(state["model"])
        self.answers = state["answers"].numpy().copy()
        self._asked = state["asked"].numpy().copy()
        self._fitted = bool(state["fitted"])
        self._taught = state.get("taught")  # older files have none
        self._outputs = None

    def save(self, path: str | Path) -> None:
        """Write the learner to one file: weights, answers, settings and images.

        A memory-mapped pool is not copied: give it to :meth:`load` again.

        Parameters
        ----------
        path : str or Path
            Replaced whole or not at all.

        Raises
        ------
        AlodError
            If ``strategy_params`` holds what a file cannot, a detector for one.
        """
        params = self._settings["strategy_params"]
        try:
            params = json.loads(json.dumps(params))
        except TypeError as error:
            raise AlodError(
                f"strategy_params={params}: {error}, so that no file can hold it; give plain "
                "values, such as a detector's name"
            ) from None
        stored = self.images if isinstance(self.images, Tensor) else None
        content = {
            "state": self.state_dict(),
            "initial_state": self._initial_state,
            "settings": {
                **self._settings,
                "strategy_params": params,
                "model": self._model_name,
                "strategy": self._strategy_name,
            },
            "images": stored,
            "fingerprint": fingerprint(self.images),
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_atomically(Path(path), buffer.getvalue())

    @classmethod
    def load(
        cls,
        path: str | Path,
        images: Images | None = None,
        model: nn.Module | None = None,
        strategy: Strategy | None = None,
        device: str = "auto",
    ) -> "ActiveLearner":
        """Read a learner that :meth:`save` wrote, on this machine or another.

        Parameters
        ----------
        path : str or Path
            The file.
        images : Tensor or numpy.ndarray, optional
            The pool, if it was memory-mapped.
        model : torch.nn.Module, optional
            A module of the same architecture, if the learner had the user's own.
        strategy : callable, optional
            The strategy, if it was the user's own function.
        device : str
            ``auto``, ``cpu``, ``cuda`` or ``mps``.

        Returns
        -------
        ActiveLearner
            It asks for what the saved one would have asked for.

        Raises
        ------
        AlodError
            If the file is no learner, or what it cannot hold was not given or does not match.
        """
        try:
            # weights_only: a file from elsewhere cannot run code.
            content = torch.load(path, map_location="cpu", weights_only=True)
            settings = dict(content["settings"])
            saved = {name: content[name] for name in ("images", "fingerprint", "initial_state")}
            state = content["state"]
        except FileNotFoundError:
            raise AlodError(f"{path}: no such file") from None
        except Exception as error:
            told = f"{type(error).__name__} {one_line(error)}"[:80]
            raise AlodError(f"{path}: no saved learner ({told}); save() it again") from error
        later = settings.keys() - inspect.signature(ActiveLearner).parameters.keys()
        if later:
            raise AlodError(
                f"{path}: has the setting {min(later)!r}, unknown to this version of alod; upgrade "
                "alod"
            )
        images = saved["images"] if images is None else images
        saved_model, saved_strategy = settings.pop("model", None), settings.pop("strategy", None)
        given: dict[str, Any] = {
            "images": images,
            "model": saved_model if model is None else model,
            "strategy": strategy or saved_strategy,
        }
        missing = [name for name, value in given.items() if value is None]
        if missing:
            raise AlodError(f"{path}: does not hold its {', '.join(missing)}; pass it to load()")
        pool = images if _is_streamed(images) else from_arrays(images).images
        if fingerprint(pool) != saved["fingerprint"]:
            raise AlodError(f"{path}: was made with other images; pass the same pool to load()")
        learner = cls(**given, **settings, device=device)
        learner._initial_state = saved["initial_state"]
        try:
            learner.load_state_dict(state)
        except (RuntimeError, KeyError, AttributeError, TypeError) as error:
            told = one_line(error)[:200]
            raise AlodError(f"{path}: does not fit its model ({told}); give the same") from error
        return learner

    def __getstate__(self) -> dict[str, Any]:
        """Refuse in one line what pickle refuses with a riddle."""
        parts = {"strategy": self._strategy, "strategy_params": self._settings, "model": self.model}
        for name, part in parts.items():
            try:
                pickle.dumps(part)
            except Exception as error:
                raise AlodError(
                    f"{name}: pickle cannot keep it ({one_line(error)}); define it at "
                    "the top of a module, or keep the learner by save() and load()"
                ) from None
        return self.__dict__

    def __deepcopy__(self, memo: dict[int, Any]) -> "ActiveLearner":
        """Copy without pickle, which knows fewer functions."""
        copied = object.__new__(type(self))
        copied.__dict__ |= copy.deepcopy(self.__dict__, memo)
        return copied

    def _n_answered(self) -> int:
        return int((self.answers != UNLABELED).sum())

    def _seed(self, purpose: str, n_answered: int) -> int:
        # Drawn from the state, not from a running generator: nothing to store, nothing to lose.
        entropy = [int(self._settings["seed"]), zlib.crc32(purpose.encode()), n_answered]
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])

    def _rng(self, purpose: str) -> Generator:
        return np.random.default_rng(self._seed(purpose, self._n_answered()))

    def _scaled_features(self) -> Tensor:
        """Describe the images without labels, in lengths that embeddings of length 1 bear."""
        if self._features is None:
            features = encoders.features(self.images)
            length = torch.linalg.vector_norm(features, dim=1).mean()
            self._features = features / length.clamp_min(1e-6)
        return self._features

    def _described(self, pool: np.ndarray) -> Images:
        """Return what the first set is chosen from: all images, or the features of the pool's."""
        kind, method = self._settings["features"], self._settings["initial"]
        if len(pool) == len(self.images) and (kind == "pixels" or method == "random"):
            return self.images
        return encoders.features(self.images, kind, device=self.device)[pool]

    def _mc_logits(self, n: int) -> Tensor:
        # Over all images, as they lie: a memory-mapped pool cannot be copied.
        seed = self._seed("dropout", self._n_answered())
        samples = training.infer_dropout(self.model, self.images, self.outputs()[0], n, seed)
        if n > 1 and bool((samples == samples[:1]).all()):
            raise AlodError(
                f"model={self._model_name or type(self.model).__name__!r}: {n} dropout samples are "
                "all the same; give it dropout, or ask by another strategy, such as margin"
            )
        return samples[:, self.pool].to(self._query_device)

    def _check_indices(self, indices: np.ndarray) -> np.ndarray:
        indices = np.asarray(indices)
        if indices.ndim != 1 or indices.dtype.kind not in "iu":
            raise AlodError(
                f"indices {indices.dtype}{indices.shape}: expected the int64 (k,) of query()"
            )
        unique, counts = np.unique(indices, return_counts=True)
        if len(unique) < len(indices):
            raise AlodError(f"index {unique[counts > 1][0]} is given twice: expected each once")
        outside = indices[(indices < 0) | (indices >= len(self._asked))]
        if len(outside):
            raise AlodError(
                f"index {outside[0]}: expected positions from 0 to {len(self._asked) - 1}, images "
                "of this pool"
            )
        return indices

    def _check_asked(self, indices: np.ndarray) -> np.ndarray:
        indices = self._check_indices(indices)
        unasked = indices[~self._asked[indices]]
        if len(unasked):
            raise AlodError(
                f"index {unasked[0]} is not waiting for an answer: expected indices that query() "
                "returned and that were not yet taught or skipped"
            )
        return indices


def dataset_indices(pool: np.ndarray, pool_indices: np.ndarray) -> np.ndarray:
    """Translate positions in the pool into positions in the data set.

    Parameters
    ----------
    pool : numpy.ndarray
        int64 (U,), where the pool's images lie in the data set.
    pool_indices : numpy.ndarray
        int64 (k,), what a strategy returned.

    Returns
    -------
    numpy.ndarray
        int64 (k,).

    Examples
    --------
    >>> import numpy as np
    >>> dataset_indices(np.array([3, 5, 8]), np.array([2, 0]))
    array([8, 3])
    """
    return np.asarray(pool[pool_indices])


def _cpu_copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def _is_streamed(images: Images) -> bool:
    """Tell whether a pool stays on disk; one that would be misread there is refused."""
    if not isinstance(images, np.memmap):
        return False
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[3] <= 4 < images.shape[1]:
        raise AlodError(
            f"images: memory-mapped {images.dtype}{images.shape}: expected uint8 (N, C, H, W); "
            "write them so, or load them whole with numpy.load(path)"
        )
    return True
