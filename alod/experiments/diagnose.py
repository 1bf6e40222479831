"""What ``diagnose=True`` adds to a run's history; it looks at targets that the learner never sees.

- Every round: ``calibration_error`` of the test set.
- The first set: how it stands for the pool, of pixels, whatever it was
  chosen by, and how it covers the classes, see :mod:`alod.experiments.first_sets`.
- Each later round, over the pool: ``agreement``, the share of images that it left with the same
  predicted class; ``kappa``, the same corrected for chance; ``lost``, the share that were predicted
  right before it and are not now; ``forgotten``, the same of those labeled before it;
  ``same_scores``, the rank correlation in [-1, 1] of the outlier scores
  (:func:`alod.outliers.class_contrast`) of the images left, before it and after it: the higher, the
  more the next query builds on the last.
"""

from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from alod.data.arrays import Dataset
from alod.errors import AlodError, check_count
from alod.experiments import first_sets
from alod.learner import ActiveLearner
from alod.outliers import class_contrast
from alod.stopping import agreement


class State(NamedTuple):
    """What a classifier makes of all images, (N,), scores NaN outside the pool; what it learned."""

    predicted: np.ndarray
    scores: np.ndarray
    labeled: np.ndarray


def state(learner: ActiveLearner) -> State:
    """Return what a `learner` makes of the pool."""
    view, scores = learner.view(), np.full(len(learner.images), np.nan)
    if len(learner.pool):
        scores[learner.pool], _ = class_contrast(
            view.labeled_embeddings, view.labeled_targets, view.pool_embeddings
        )
    return State(learner.outputs()[1].argmax(1).numpy(), scores, learner.labeled)


def diagnose(
    learner: ActiveLearner, data: Dataset, asked: np.ndarray, before: State | None
) -> dict[str, float]:
    """Return what a round that `asked` for images, int64 (k,), adds to the history of a run.

    On `data`; `before` is the `learner`'s state before it, None for the first set.
    """
    shares = learner.predict_proba(data.test_images)
    row = {"calibration_error": calibration_error(shares, data.test_targets)}
    if before is not None:
        return row | changes(before, state(learner), data.targets.numpy())
    row |= first_sets.distribution_match(data.images, asked)
    return row | first_sets.class_balance(learner.answers[learner.labeled], learner.n_classes)


def changes(before: State, after: State, targets: np.ndarray) -> dict[str, float]:
    """Tell what changed between the states `before` and `after` a round; `targets` int (N,)."""
    lost = (before.predicted == targets) & (after.predicted != targets)
    both = np.isfinite(before.scores) & np.isfinite(after.scores)
    changed, kappa = agreement(before.predicted, after.predicted)
    return {
        "agreement": 1 - changed,
        "kappa": kappa,
        "forgotten": float(lost[before.labeled].mean()),
        "lost": float(lost.mean()),
        "same_scores": float(scipy.stats.spearmanr(before.scores[both], after.scores[both])[0]),
    }


def calibration_error(probabilities: ArrayLike, targets: ArrayLike, n_bins: int = 15) -> float:
    """Measure how far a classifier's confidence lies from how often it is right, in [0, 1].

    The expected calibration error (Guo, Pleiss, Sun & Weinberger 2017, "On calibration of modern
    neural networks") of `probabilities` (N, C), rows of which sum to 1, and true `targets`, int
    (N,): the gaps between confidence and accuracy in `n_bins` bins of equal width of the former,
    averaged over the images; NaN of none.

    >>> round(calibration_error([[0.9, 0.1], [0.9, 0.1]], [0, 1]), 3)
    0.4
    """
    check_count("n_bins", n_bins, 1)
    shares, classes = np.asarray(probabilities, dtype=float), np.asarray(targets)
    if shares.ndim != 2 or classes.shape != shares.shape[:1]:
        given = f"probabilities {shares.shape} and targets {classes.shape}"
        raise AlodError(f"{given}: expected (N, C) and (N,)")
    if not len(shares):
        return float("nan")
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == classes
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, weights=confidence - right)
    return float(np.abs(gaps).sum() / len(shares))
