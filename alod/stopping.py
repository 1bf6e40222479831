"""When more labels are not worth their cost: predictions that no longer change.

A `history` is a DataFrame with a row for each fit and the columns ``n_labeled``, ``changed`` and
``kappa``, the latter two from :func:`agreement`; fits without them do not count.

>>> agreement([0, 0, 1, 1], [0, 1, 1, 1])
(0.25, 0.5)
>>> nan = float("nan")
>>> history = {"n_labeled": [50, 100], "changed": [nan, 0.2], "kappa": [nan, 0.7]}
>>> stopping_advice(pd.DataFrame(history)).partition(":")[0]
'The last round changed 20.0 % of the predictions'
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from alod.errors import AlodError

STABLE_KAPPA = 0.99
STABLE_ROUNDS = 3


def agreement(before: ArrayLike, after: ArrayLike) -> tuple[float, float]:
    """Compare two classifiers' predictions for the same images.

    Of int (N,) classes `before` and `after` return the share that differs, in [0, 1], and Cohen's
    kappa (1960, "A coefficient of agreement for nominal scales"): 1 for equal predictions, 0 for
    the agreement that chance would give.
    """
    first, second = np.asarray(before), np.asarray(after)
    if first.ndim != 1 or first.shape != second.shape or not len(first):
        raise AlodError(
            f"predictions of shapes {first.shape} and {second.shape}: expected two of one length"
        )
    equal = float((first == second).mean())
    n_classes = int(max(first.max(), second.max())) + 1
    shares = [np.bincount(each, minlength=n_classes) / len(each) for each in (first, second)]
    by_chance = float(shares[0] @ shares[1])
    kappa = 1.0 if by_chance == 1 else (equal - by_chance) / (1 - by_chance)
    return 1 - equal, kappa


def is_stable(history: pd.DataFrame) -> bool:
    """Tell whether predictions have stabilized, so that labeling may stop.

    The last three fits agree with the one before each by a kappa of 0.99 on average (Bloodgood &
    Vijay-Shanker 2009, "A method for stopping active learning based on stabilizing predictions and
    the need for user-adjustable stopping"). No label is needed for it, but it trusts a classifier
    that knows every class: give it no kappa before.
    """
    last = history["kappa"].dropna().tail(STABLE_ROUNDS)
    return len(last) == STABLE_ROUNDS and bool(last.mean() >= STABLE_KAPPA)


def stopping_advice(history: pd.DataFrame, missing: Sequence[str] = ()) -> str:
    """Say whether more labels are worth their cost; while a class is `missing`, nobody may stop."""
    known = history.dropna(subset=["changed"])
    if not len(known):
        return "Learn from one more batch: then it shows how much the predictions still change."
    last = known.tail(STABLE_ROUNDS)
    before = history["n_labeled"].shift().loc[last.index]
    n_new = float((last["n_labeled"] - before).clip(lower=0).sum())
    # Fits on no new label change predictions, too: that is noise, counted as one label each.
    per_label = float(last["changed"].sum()) / max(n_new, len(last))
    share = 100 * per_label
    told = f"about {percent(share)}" if share < 0.5 else "many"
    expected = f"another 100 labels would change {told} of them"
    go_on = f"Go on: no label yet for {', '.join(missing)}." if missing else "Go on."
    if is_stable(history):
        n_stable = int((known["kappa"][::-1] >= STABLE_KAPPA).cumprod().sum())
        rounds = max(STABLE_ROUNDS, n_stable)
        advice = go_on if missing else "You may stop."
        return f"Predictions have been stable for {rounds} rounds: {expected}. {advice}"
    changed = percent(float(last["changed"].iloc[-1]))
    return f"The last round changed {changed} of the predictions: {expected}. {go_on}"


def percent(share: float) -> str:
    """Write a `share`, 0 to 1, as percent."""
    return f"{100 * share:.1f} %"
