"""What labeling has brought so far: when to stop, how good it is, which labels look wrong.

Of a `learner`, an :class:`alod.learner.ActiveLearner`, whose classes have the names `classes`, in
the order of the class numbers; `history` has a row for each fit, columns :data:`HISTORY`.

>>> import alod
>>> data = alod.load_dataset("mnist_mini")
>>> learner = alod.ActiveLearner(data.images[:500], n_classes=10, model="lenet5", steps=5)
>>> _ = learner.step(40, lambda indices: data.targets[indices].numpy())
>>> observe(learner, before=None)["n_labeled"], len(suspected_errors(learner, n=5)) <= 5
(40, True)
>>> accuracy_sentence(45, 50).partition(",")[0]
'Estimated accuracy 90.0 %'
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from alod import geometry, outliers
from alod.answers import FOREIGN, SKIPPED, UNCLEAR
from alod.data.names import nfc
from alod.errors import AlodError, check_count, check_name
from alod.learner import ActiveLearner
from alod.stopping import agreement, forecast, percent, stopping_advice
from alod.strategies import Strategy, rare

HISTORY = (
    *("n_labeled", "n_foreign", "n_skipped", "changed", "kappa"),
    *("audit_right", "audit_answered"),
)
"""The columns of a history."""


def observe(
    learner: ActiveLearner, before: npt.NDArray[np.int64] | None, audit: tuple[int, int] = (0, 0)
) -> dict[str, float]:
    """Describe the state after a fit, as one row of a history: the keys of :data:`HISTORY`.

    ``changed`` is the share of predictions that the fit changed from those `before`, int64 (N,),
    ``kappa`` the agreement corrected for chance; both NaN after the first fit, kappa while a class
    has no label. `audit`: how many audit images it gets right, of how many that were answered.
    """
    changed = kappa = float("nan")
    if before is not None:
        changed, kappa = agreement(before, predictions(learner))
    if len(np.unique(learner.answers[learner.labeled])) < learner.n_classes:
        # Predictions that never name a class are stable, too; those rounds must not count later.
        kappa = float("nan")
    return {
        "n_labeled": len(learner.labeled),
        "n_foreign": len(learner.foreign),
        "n_skipped": int(np.isin(learner.answers, (SKIPPED, UNCLEAR)).sum()),
        "changed": changed,
        "kappa": kappa,
        "audit_right": audit[0],
        "audit_answered": audit[1],
    }


def predictions(learner: ActiveLearner) -> npt.NDArray[np.int64]:
    """Return what a fitted learner takes every one of its images for, int64 (N,), classes."""
    return np.asarray(learner.outputs()[1].argmax(1))


def suggestions(
    learner: ActiveLearner, classes: Sequence[str], indices: npt.NDArray[np.int64]
) -> list[str]:
    """Name what each image at `indices`, int64 (k,), is taken for; blank before the first fit."""
    if not learner.fitted:
        return [""] * len(indices)
    return [classes[c] for c in predictions(learner)[indices]]


def looking_for(learner: ActiveLearner, classes: Sequence[str], target: str) -> Strategy:
    """Return the strategy that asks for what is likeliest of the class named `target`.

    Refused where no image has that label: nothing would be known of it.
    """
    check_name("class", nfc(target), classes)
    number = list(classes).index(nfc(target))
    if number not in learner.answers[learner.labeled]:
        mend = "teach the file of one that you have found by yourself, then ask for more"
        raise AlodError(f"target={target!r}: no image has that label yet; {mend}")
    return partial(rare, target=number)


def wilson_interval(right: int, answered: int, level: float = 0.95) -> tuple[float, float]:
    """Return the ends in [0, 1] between which the true share lies, given a random sample.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference": holds for
    small samples and for shares near 0 and 1, too. `right` are the successes of `answered`, at
    least 1; `level` is the confidence, in (0, 1).
    """
    from scipy.stats import binomtest

    check_count("answered", answered, 1)
    check_count("right", right, 0, answered)
    if not 0 < level < 1:
        raise AlodError(f"level={level!r}: expected a number between 0 and 1")
    interval = binomtest(right, answered).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def accuracy_sentence(right: int, answered: int) -> str:
    """Say how good the classifier is, given how many audit images, `answered`, it gets `right`."""
    if not answered:
        return "No audit image is answered yet, so nobody knows how good the classifier is."
    low, high = wilson_interval(right, answered)
    return (
        f"Estimated accuracy {percent(right / answered)}, between {percent(low)} and "
        f"{percent(high)} with 95 % confidence ({right} of {answered} audit images right)."
    )


def advice(history: pd.DataFrame, missing: Sequence[str]) -> list[str]:
    """Say how good the classifier is, and whether to go on; `missing` classes have no label."""
    if not len(history):
        return []
    told, last = [stopping_advice(history, missing)], history.iloc[-1]
    if last["audit_answered"]:
        told.insert(0, accuracy_sentence(int(last["audit_right"]), int(last["audit_answered"])))
        with suppress(AlodError):  # too few fits
            n = int(last["n_labeled"])
            expected, low, high = map(percent, forecast(history, n))
            told.insert(1, f"With {n} more labels about {expected} ({low} to {high}).")
    return told


def balance(learner: ActiveLearner, classes: Sequence[str]) -> pd.DataFrame:
    """Count the labels of each class, beside the share of the pool that is taken for it.

    Columns ``label, n_labeled, predicted_share`` (in [0, 1]; NaN before the first fit).
    """
    n = len(classes)
    counts = np.bincount(learner.answers[learner.labeled], minlength=n)
    shares = np.full(n, np.nan)
    if learner.fitted and len(learner.pool):
        shares = np.bincount(predictions(learner)[learner.pool], minlength=n) / len(learner.pool)
    return pd.DataFrame({"label": list(classes), "n_labeled": counts, "predicted_share": shares})


def suspected_errors(
    learner: ActiveLearner, n: int = 10, folds: int = 4, seed: int = 0
) -> pd.DataFrame:
    """Find the labels that look wrong: images that are outliers within their labeled class.

    A classifier that has seen a wrong label believes it. So the labels are cut, by the `seed`, into
    `folds`, 2 or more, and each fold is embedded by a copy that has not learned from it; there,
    exact kNN detectors fitted on each class of the other folds tell how outlying the image is to
    its own class, and how outlying to the best other one. It costs `folds` fits.
    At most `n` rows, the most suspicious first: ``index``, ``label`` (given), ``looks_like`` (the
    best other class), ``suspicion`` (outlyingness to its class less that to the other, above 0).
    Fails where a class has few labels: then honest images of it look as strange as wrong ones.
    """
    labeled = learner.labeled
    targets = torch.as_tensor(learner.answers[labeled])
    if len(targets.unique()) < 2:
        raise AlodError("labels of fewer than two classes: expected two, to compare them")
    check_count("n", n, 1)
    check_count("folds", folds, 2, len(labeled), "labels")
    fold_of = np.random.default_rng(seed).permutation(np.arange(len(labeled)) % folds)
    rows = [_suspicion(learner, labeled, targets, fold_of == fold) for fold in range(folds)]
    found = pd.concat(rows).sort_values("suspicion", ascending=False, kind="stable")
    return found[found["suspicion"] > 0].head(n).reset_index(drop=True)


def _suspicion(
    learner: ActiveLearner, labeled: np.ndarray, targets: torch.Tensor, out: np.ndarray
) -> pd.DataFrame:
    """Judge the labels of one fold by what the others say."""
    others = learner.fit_without(labeled[out])
    embeddings = geometry.normalize(others.infer(learner.images[labeled])[0])
    told, given = targets[~out], targets[out].numpy()
    # The third nearest: a second slip of the same kind must not vouch for the first.
    detector = outliers.KNN(n_neighbors=3)
    scores = outliers.class_scores(detector, embeddings[~out], told, embeddings[out])
    classes = told.unique().numpy()
    own = classes == given[:, None]
    # A class that has no label outside this fold cannot be judged.
    other = np.where(own, np.inf, scores)
    looks_like, mine = classes[other.argmin(axis=1)], np.where(own, scores, 0).sum(axis=1)
    rows = {"index": labeled[out], "label": given, "looks_like": looks_like}
    return pd.DataFrame({**rows, "suspicion": mine - other.min(axis=1)})


def report(
    learner: ActiveLearner, classes: Sequence[str], history: pd.DataFrame, files_left_out: int = 0
) -> str:
    """Tell the state of a labeling in a few plain lines; `files_left_out` could not be read."""
    counts = balance(learner, classes)
    told = ", ".join(f"{row.label} {row.n_labeled}" for row in counts.itertuples())
    n_skipped = int(np.isin(learner.answers, (SKIPPED, UNCLEAR)).sum())
    lines = [
        f"{len(learner.labeled)} labels ({told}), {(learner.answers == FOREIGN).sum()} not one "
        f"of these, {n_skipped} skipped; {len(learner.pool)} images left in the pool."
    ]
    missing = counts.loc[counts["n_labeled"] == 0, "label"].tolist()
    if len(learner.labeled) and missing:
        lines.append(f"No label yet: {', '.join(missing)}.")
    if files_left_out:
        lines.append(f"Image files left out because they cannot be read: {files_left_out}.")
    return "\n".join([*lines, *advice(history, missing)])
