"""Classifiers on features: what learns, in a moment, where images are described already.

Features are float32 (N, D), of whatever encoder. The embedding that strategies and detectors see is
the scaled feature: centered on the pool, of mean squared length 1.

``linear`` is a logistic regression, ``balanced`` one to which each class counts the same, however
few its labels: it finds more of a rare class, and takes more for it that is not. ``mlp`` has a
hidden layer. Any classifier of scikit-learn's with ``predict_proba`` learns as well.
"""

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alod import geometry
from alod.errors import AlodError
from alod.training import SURE, Images, as_tensor

SAMPLE = 100_000  # rows, evenly spaced over the pool, by which features are scaled
BLOCK = 65_536  # rows that are scaled at a time
LEAST = 1e-12  # the share of a class that has no label: its logarithm is finite


def _linear() -> Any:
    from sklearn.linear_model import LogisticRegression

    # C is of features of mean squared length 1: from 20 to 1,000 labels, 50 to 1,280 columns, it
    # loses no point to the best of a grid.
    return LogisticRegression(C=100.0, max_iter=1_000)


def _balanced() -> Any:
    return _linear().set_params(class_weight="balanced")


def _mlp() -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier((128,), alpha=1e-2, max_iter=300)


# Made when asked for: scikit-learn takes seconds to import, and networks need none of it.
HEADS: dict[str, Callable[[], Any]] = {"linear": _linear, "balanced": _balanced, "mlp": _mlp}


def is_head(model: object) -> bool:
    """Tell whether a `model` learns from features: a name in ``HEADS``, or of scikit-learn."""
    return model in HEADS if isinstance(model, str) else hasattr(model, "predict_proba")


class Head:
    """What learns from features of a pool, (N, D), and does what a classifier of images does.

    Each fit starts anew from all labels, `targets` int64 (L,), by a `seed`: nothing of an earlier
    one is left, so that a `state` is only whether there was one.

    Examples
    --------
    >>> features = torch.eye(4)
    >>> head = Head("linear", features, n_classes=3)
    >>> head.learn(features[:2], torch.tensor([0, 1]), seed=0)
    >>> head.logits(features).argmax(1)[:2]
    tensor([0, 1])
    """

    device = torch.device("cpu")

    def __init__(self, model: Any, features: Images, n_classes: int) -> None:
        from sklearn.base import clone

        self.module = clone(HEADS[model]() if isinstance(model, str) else model)
        self.n_classes, self.fitted = n_classes, False
        self.initial_state: dict[str, Tensor] = {}
        self._seen = np.empty(0, dtype=np.int64)
        some = as_tensor(features[:: max(1, len(features) // SAMPLE)]).float()
        geometry.check_finite(some)
        self._center = some.mean(0)
        lengths = geometry.squared_lengths(some - self._center)
        self._scale = float(lengths.mean().clamp_min(1e-12).rsqrt())

    def embed(self, features: Images) -> Tensor:
        """Return scaled `features`, float32 (N, D), on the CPU."""
        scaled = torch.empty(features.shape)
        for start in range(0, len(features), BLOCK):
            rows = as_tensor(features[start : start + BLOCK]).float()
            torch.mul(rows - self._center, self._scale, out=scaled[start : start + BLOCK])
        return scaled

    def learn(self, features: Tensor, targets: Tensor, seed: int) -> None:
        """Learn from labeled `features`, (L, D), with `targets` int64 (L,)."""
        self._fit(self.embed(features), targets, seed)

    def learn_inliers(self, features: Tensor, targets: Tensor, seed: int, inliers: Tensor) -> None:
        """Learn labeled `features` again, with those of `inliers`, (K, D), that it is sure of."""
        sure, predicted = self.logits(inliers).softmax(1).max(1)
        taken = sure >= SURE
        both = torch.cat([self.embed(features), self.embed(inliers[taken])])
        self._fit(both, torch.cat([targets, predicted[taken]]), seed)

    def taught_anew(self, features: Tensor, targets: Tensor, seed: int) -> "Head":
        """Return another that learned from labeled `features`, (L, D), alone."""
        other = copy(self)
        other.learn(features, targets, seed)
        return other

    def _fit(self, embeddings: Tensor, targets: Tensor, seed: int) -> None:
        from sklearn.base import clone

        self.module = clone(self.module)
        if "random_state" in self.module.get_params():
            self.module.set_params(random_state=seed % 2**32)
        self._seen = targets.unique().numpy()
        if len(self._seen) > 1:  # of a single class there is nothing to tell apart
            self.module.fit(embeddings.numpy(), targets.numpy())
        self.fitted = True

    def infer(self, features: Images) -> tuple[Tensor, Tensor]:
        """Return embeddings float32 (N, D) and logits float32 (N, C) of `features`."""
        embeddings = self.embed(features)
        return embeddings, self._logits(embeddings)

    def logits(self, features: Images) -> Tensor:
        """Return logits (N, C) of `features` (N, D): logarithms of the shares of the classes."""
        return self._logits(self.embed(features))

    def _logits(self, embeddings: Tensor) -> Tensor:
        logits = torch.full((len(embeddings), self.n_classes), float(np.log(LEAST)))
        for start in range(0, len(embeddings), BLOCK):
            rows = embeddings[start : start + BLOCK].numpy()
            shares = (
                self.module.predict_proba(rows) if len(self._seen) > 1 else np.ones((len(rows), 1))
            )
            told = torch.from_numpy(np.log(np.maximum(shares, LEAST))).float()
            logits[start : start + BLOCK, torch.from_numpy(self._seen)] = told
        geometry.check_finite(logits)
        return logits

    def dropped(self, *given: Any) -> Tensor:
        """Refuse, whatever is `given`: nothing of a head is random, as (N, C) logits would be."""
        raise AlodError(f"model={type(self.module).__name__}: has no dropout; ask by margin")

    def n_steps(self, n_labeled: int) -> int:
        """Return how many batches a fit sees, whatever `n_labeled`: all that there are."""
        return 2**40

    def state_dict(self) -> dict[str, Any]:
        """Return whether it has learned; what, follows from the labels."""
        return {"model": {}, "fitted": self.fitted, "taught": None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned, once it has learned the same labels."""
        self.fitted = bool(state["fitted"]) and self.fitted
