"""What a query may look at, what it answers, and the filter of foreign images."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from alod import geometry
from alod.errors import AlodError


def _no_dropout(n: int) -> Tensor:
    raise AlodError("this view has no mc_logits: build it with the learner, or pass a function")


_NOTHING = torch.empty(0, 0)


@dataclass(frozen=True)
class PoolView:
    """What a strategy may look at: no image, no target of the pool, no test set.

    Parameters
    ----------
    labeled_embeddings : Tensor
        float32 (L, D).
    labeled_targets : Tensor
        int64 (L,).
    pool_embeddings : Tensor
        float32 (U, D), on the same device.
    pool_logits : Tensor
        float32 (U, C).
    foreign_embeddings : Tensor
        float32 (F, D), images that the oracle called "not of this task".
    labeled_features, pool_features, foreign_features : Tensor
        float32 (L, P), (U, P), (F, P), what is known without labels
        (:func:`alod.encoders.features`, scaled to mean length 1); there only if F > 0, else P is 0.
    mc_logits : callable
        ``mc_logits(n)`` computes n Monte Carlo dropout samples of the pool's logits, float32
        (n, U, C), on demand: each costs one pass over the pool.

    Raises
    ------
    AlodError
        If embeddings or logits are not finite (:func:`alod.geometry.check_finite`).

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> labeled = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> pool = torch.tensor([[1.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    >>> view = PoolView(labeled, torch.tensor([0, 1]), pool, 4 * pool)
    >>> len(view.pool_logits), view.pool_features.shape
    (3, torch.Size([3, 0]))
    """

    labeled_embeddings: Tensor
    labeled_targets: Tensor
    pool_embeddings: Tensor
    pool_logits: Tensor
    foreign_embeddings: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    mc_logits: Callable[[int], Tensor] = _no_dropout
    labeled_features: Tensor = _NOTHING
    pool_features: Tensor = _NOTHING
    foreign_features: Tensor = _NOTHING

    def __post_init__(self) -> None:
        geometry.check_finite(
            self.pool_embeddings, self.pool_logits, self.labeled_embeddings, self.foreign_embeddings
        )
        # A view made by hand need not describe its images: no columns then.
        for side in ("labeled", "pool", "foreign"):
            if getattr(self, f"{side}_features") is _NOTHING:
                rows = getattr(self, f"{side}_embeddings")
                object.__setattr__(self, f"{side}_features", rows[:, :0])

    def only(self, rows: np.ndarray) -> "PoolView":
        """Look at some of the pool alone.

        Parameters
        ----------
        rows : numpy.ndarray
            int (K,), positions in the pool; position i of what is returned is ``rows[i]``.
        """
        return replace(
            self,
            pool_embeddings=self.pool_embeddings[rows],
            pool_logits=self.pool_logits[rows],
            pool_features=self.pool_features[rows],
            mc_logits=lambda n: self.mc_logits(n)[:, rows],
        )


class Selection(NamedTuple):
    """What a strategy answers.

    ``indices`` int64 (k,), distinct positions in the pool; ``scores`` float (k,), higher = wanted
    more.

    Examples
    --------
    >>> import numpy as np
    >>> Selection(np.array([7, 3]), np.array([0.9, 0.4])).indices
    array([7, 3])
    """

    indices: np.ndarray
    scores: np.ndarray


def task_like(view: PoolView, k: int) -> np.ndarray:
    """Find the pool images that lie nearer to a labeled image than to any foreign one.

    The second side of an outlier detector: answers "not of this task" are one more class, which is
    not asked for again. Distances join the L2-normalized embedding, which knows the task, and the
    label-free features, which know everything else.

    Parameters
    ----------
    view : PoolView
        With F foreign embeddings; F may be 0.
    k : int
        Images that must be left at least, 1 <= k <= U.

    Returns
    -------
    numpy.ndarray
        int64 (K,), ascending positions in the pool: all of them where nothing foreign is known; if
        fewer than `k` images pass, the `k` that are least like a foreign one.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
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
