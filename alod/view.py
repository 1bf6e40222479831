"""What a query may look at, what it answers, and the filter of foreign images."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from alod import geometry, outliers
from alod.errors import AlodError


def _no_dropout(n: int) -> Tensor:
    raise AlodError("this view has no mc_logits: build it with the learner, or pass a function")


_NOTHING = torch.empty(0, 0)


@dataclass(frozen=True)
class PoolView:
    """What a strategy may look at: no image, no target of the pool, no test set.

    Of L labeled, U pool and F foreign images, those that the oracle called "not of this task", on
    one device: ``labeled_embeddings``, ``pool_embeddings``, ``foreign_embeddings`` float32 (L, D),
    (U, D), (F, D); ``labeled_targets`` int64 (L,); ``pool_logits`` float32 (U, C); where F > 0,
    ``labeled_features``, ``pool_features``, ``foreign_features`` float32 (L, P), (U, P), (F, P),
    what is known without labels (:func:`alod.encoders.features`, scaled to mean length 1).
    ``mc_logits(n)`` computes `n` Monte Carlo dropout samples of the pool's logits, float32
    (n, U, C); each costs a pass over the pool. ``n_pool`` is U.

    Embeddings or logits that are not finite are refused (:func:`alod.geometry.check_finite`).
    """

    labeled_embeddings: Tensor
    labeled_targets: Tensor
    pool_embeddings: Tensor
    pool_logits: Tensor
    # By factories: a class would have what a view that computes when asked has not yet.
    foreign_embeddings: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    mc_logits: Callable[[int], Tensor] = field(default_factory=lambda: _no_dropout)
    labeled_features: Tensor = field(default_factory=lambda: _NOTHING)
    pool_features: Tensor = field(default_factory=lambda: _NOTHING)
    foreign_features: Tensor = field(default_factory=lambda: _NOTHING)
    n_pool: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_pool", len(self.pool_logits))
        geometry.check_finite(
            self.pool_embeddings, self.pool_logits, self.labeled_embeddings, self.foreign_embeddings
        )
        # A view made by hand need not describe its images: no columns then.
        for side in ("labeled", "pool", "foreign"):
            if getattr(self, f"{side}_features") is _NOTHING:
                rows = getattr(self, f"{side}_embeddings")
                object.__setattr__(self, f"{side}_features", rows[:, :0])

    def normalized(self) -> tuple[Tensor, Tensor]:
        """Return the labeled and the pool's embeddings, float32 (L, D), (U, D), of length 1."""
        return geometry.normalize(self.labeled_embeddings), geometry.normalize(self.pool_embeddings)

    @classmethod
    def later(
        cls, n_pool: int, labeled_targets: Tensor, compute: Callable[[], "PoolView"]
    ) -> "PoolView":
        """Show `n_pool` and `labeled_targets`, int64 (L,); `compute` the rest when looked at."""
        # To read a pool that nobody looks at would be up to half of a random query.
        view = object.__new__(cls)
        view.__dict__.update(n_pool=n_pool, labeled_targets=labeled_targets, _compute=compute)
        return view

    def __getattr__(self, name: str) -> Any:
        compute = None if name.startswith("_") else self.__dict__.pop("_compute", None)
        if compute is None:
            raise AttributeError(f"a view has no {name!r}")
        self.__dict__.update(vars(compute()))
        return getattr(self, name)

    def only(self, rows: np.ndarray) -> "PoolView":
        """Look at `rows`, int (K,), of the pool alone: position i there is ``rows[i]`` here."""
        if np.array_equal(rows, np.arange(self.n_pool)):
            return self  # a large pool is not copied
        return replace(
            self,
            pool_embeddings=self.pool_embeddings[rows],
            pool_logits=self.pool_logits[rows],
            pool_features=self.pool_features[rows],
            mc_logits=lambda n: self.mc_logits(n)[:, rows],
        )


class Selection(NamedTuple):
    """A strategy's answer: distinct positions, int64 (k,); scores, float (k,), highest wanted."""

    indices: np.ndarray
    scores: np.ndarray


def task_like(view: PoolView, k: int) -> np.ndarray:
    """Find the pool images that lie nearer to a labeled image than to any foreign one.

    The second side of an outlier detector: answers "not of this task" are one more class, which is
    not asked for again. Distances join the L2-normalized embedding, which knows the task, and the
    label-free features, which know everything else.

    Returns int64 (K,), ascending positions in the pool of the `view`: all of them where nothing
    foreign is known; if fewer than `k` images pass, the `k` that are least like a foreign one.

    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> foreign = torch.tensor([[1.0, 1.1]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool, foreign)
    >>> task_like(view, 1)
    array([0, 2])
    """
    if len(view.foreign_embeddings) == 0:
        return np.arange(len(view.pool_logits))
    sides = (
        (view.labeled_embeddings, view.labeled_features),
        (view.foreign_embeddings, view.foreign_features),
        (view.pool_embeddings, view.pool_features),
    )
    labeled, foreign, pool = (
        torch.cat([geometry.normalize(embeddings), features], dim=1)
        for embeddings, features in sides
    )
    to_task, to_foreign = (geometry.nearest(pool, side)[0][:, 0] for side in (labeled, foreign))
    kept = torch.nonzero(to_task < to_foreign)[:, 0]
    if len(kept) < k:
        kept = (to_task - to_foreign).topk(k, largest=False).indices.sort().values
    return kept.cpu().numpy()


def inliers_of(view: PoolView, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Find the pool images whose class detectors and classifier agree on, the least outlying first.

    At most `share` of the pool, in (0, 1], the same number of each class at most
    (:func:`alod.outliers.inliers`); what looks foreign is none of them. Returns int64 (K,),
    ascending positions in the pool of the `view`, and int64 (K,), the classes.
    """
    if not 0 < share <= 1:
        raise AlodError(f"share={share!r}: expected a share of the pool, above 0 and at most 1")
    if view.n_pool == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    kept = task_like(view, 1)
    scores, nearest = outliers.class_contrast(
        view.labeled_embeddings, view.labeled_targets, view.pool_embeddings[kept]
    )
    predictions = view.pool_logits[kept].argmax(1).cpu().numpy()
    cap = max(1, int(share * len(kept) / view.pool_logits.shape[1]))
    chosen = outliers.inliers(scores, nearest, predictions, cap)
    return kept[chosen], predictions[chosen]
