"""What has been asked and answered of each image of a pool."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alod.errors import AlodError

FOREIGN, UNLABELED, SKIPPED, UNCLEAR = -1, -2, -3, -4


class Answers:
    """The ledger of a labeling: a code for each image, and which of them wait for an answer.

    A code is a class, from 0 to `n_classes` - 1, or ``FOREIGN``, ``UNLABELED``, ``SKIPPED`` or
    ``UNCLEAR``. What a method is given is checked whole before any of it is taken; `indices` are
    int64 (k,), positions among the `n_images`. ``codes`` is int64 (N,); ``asked``, bool (N,), tells
    which wait for an answer, ``held_out``, bool (N,), which, such as those of an audit, are neither
    learned from nor asked for, ``spared``, bool (N,), which are not asked for, but may be answered.

    >>> answers = Answers(4, n_classes=2)
    >>> answers.ask(np.array([1, 3]))
    >>> answers.take(*answers.taught(np.array([3]), np.array([0])))
    >>> answers.labeled, answers.waiting, answers.pool
    (array([3]), array([1]), array([0, 1, 2]))
    """

    def __init__(self, n_images: int, n_classes: int) -> None:
        self.n_classes = n_classes
        self.codes = np.full(n_images, UNLABELED)
        self.asked = np.zeros(n_images, dtype=bool)
        self.held_out = np.zeros(n_images, dtype=bool)
        self.spared = np.zeros(n_images, dtype=bool)

    @property
    def labeled(self) -> np.ndarray:
        """int64 (L,), ascending positions of the images with a class label."""
        return np.flatnonzero((self.codes >= 0) & ~self.held_out)

    @property
    def foreign(self) -> np.ndarray:
        """int64 (F,), ascending positions of the images answered "not of this task"."""
        return np.flatnonzero((self.codes == FOREIGN) & ~self.held_out)

    @property
    def pool(self) -> np.ndarray:
        """int64 (U,), ascending positions of the images that may still be asked for."""
        return np.flatnonzero((self.codes == UNLABELED) & ~self.held_out & ~self.spared)

    @property
    def waiting(self) -> np.ndarray:
        """int64 (W,), ascending positions of the images asked for and not yet answered."""
        return np.flatnonzero(self.asked)

    @property
    def n_answered(self) -> int:
        """Images with an answer of any kind."""
        return int((self.codes != UNLABELED).sum())

    def ask(self, indices: np.ndarray) -> None:
        """Let images at `indices` wait for an answer."""
        self.asked[indices] = True

    def take(self, indices: np.ndarray, codes: np.ndarray) -> None:
        """Note `codes`, int (k,), that were found right; every change comes through here."""
        self.codes[indices] = codes
        self.asked[indices] = codes == UNLABELED

    def taught(
        self, indices: np.ndarray, labels: np.ndarray | Tensor, unasked: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what :meth:`take` takes of `labels`, int (k,), of images that wait, or `unasked`.

        An index that does not wait, or a label out of range, is refused.
        """
        indices = self._known(indices) if unasked else self._waiting(indices)
        codes = np.asarray(labels)
        if codes.shape != indices.shape or codes.dtype.kind not in "iu":
            raise AlodError(
                f"labels {codes.dtype}{codes.shape}: expected {len(indices)} whole numbers, one"
                " per index"
            )
        wrong = codes[(codes < FOREIGN) | (codes >= self.n_classes)]
        if len(wrong):
            raise AlodError(
                f"label {wrong[0]}: expected a class from 0 to {self.n_classes - 1}, or -1 for an "
                "image that is not of this task"
            )
        return indices, codes

    def skipped(self, indices: np.ndarray, unclear: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return what :meth:`take` takes of `indices` that are passed over, or `unclear`."""
        indices = self._waiting(indices)
        return indices, np.full(len(indices), UNCLEAR if unclear else SKIPPED)

    def undone(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what :meth:`take` takes of images at `indices` whose answer is taken back."""
        indices = self._known(indices)
        blank = indices[self.codes[indices] == UNLABELED]
        if len(blank):
            raise AlodError(f"index {blank[0]} has no answer that could be taken back")
        return indices, np.full(len(indices), UNLABELED)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the ledger as tensors."""
        return {"answers": torch.as_tensor(self.codes), "asked": torch.as_tensor(self.asked)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state` that :meth:`state_dict` returned."""
        self.codes, self.asked = (state[name].numpy().copy() for name in ("answers", "asked"))

    def _known(self, indices: np.ndarray) -> np.ndarray:
        indices = np.asarray(indices)
        if indices.ndim != 1 or indices.dtype.kind not in "iu":
            raise AlodError(
                f"indices {indices.dtype}{indices.shape}: expected the int64 (k,) of query()"
            )
        unique, counts = np.unique(indices, return_counts=True)
        if len(unique) < len(indices):
            raise AlodError(f"index {unique[counts > 1][0]} is given twice: expected each once")
        outside = indices[(indices < 0) | (indices >= len(self.asked))]
        if len(outside):
            raise AlodError(
                f"index {outside[0]}: expected positions from 0 to {len(self.asked) - 1}, images "
                "of this pool"
            )
        return indices

    def _waiting(self, indices: np.ndarray) -> np.ndarray:
        indices = self._known(indices)
        unasked = indices[~self.asked[indices]]
        if len(unasked):
            raise AlodError(
                f"index {unasked[0]} is not waiting for an answer: expected indices that query() "
                "returned and that were not yet taught or skipped"
            )
        return indices
