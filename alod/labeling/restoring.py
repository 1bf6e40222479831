"""What a run keeps in its folder besides the answers, and takes up again when it is opened."""

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from alod.answers import UNLABELED
from alod.data.names import nfc
from alod.files import write_atomically
from alod.labeling.monitoring import HISTORY
from alod.labeling.tables import write_batch
from alod.learner import ActiveLearner


def history_of(rows: Sequence[Mapping[Any, Any]] = ()) -> pd.DataFrame:
    """Return a history of these `rows`."""
    return pd.DataFrame(rows, columns=list(HISTORY), dtype=float)


def read_history(path: Path) -> pd.DataFrame:
    """Return the history at `path`; an empty one if there is none, or if it is damaged."""
    if not path.exists():
        return history_of()
    try:
        # As text first: older pandas rounds the last digit, and would write it back rounded.
        return pd.read_csv(path, dtype=str)[list(HISTORY)].astype(float)
    except (ValueError, KeyError, OSError):
        warnings.warn(f"{path}: unreadable; the curve begins anew, labels are safe", stacklevel=2)
        return history_of()


def write_learned(
    folder: Path, learner: ActiveLearner, checksum: int, history: pd.DataFrame
) -> None:
    """Keep what was learned, from labels of this `checksum`, and how the labeling went."""
    state = learner.state_dict()
    taught = {} if state["taught"] is None else {"taught": state["taught"]}
    kept = {"model": state["model"], "learned": checksum, **taught}
    content = io.BytesIO()
    torch.save(kept, content)
    mend = "the labels are safe, but not what was learned from them: free space, fit again"
    write_atomically(folder / "checkpoint.pt", content.getvalue(), mend)
    write_atomically(folder / "history.csv", history.to_csv(index=False), mend)


def take_up_learned(folder: Path, learner: ActiveLearner) -> int | None:
    """Give a new `learner` the weights that were kept; return the checksum of their labels."""
    path, new = folder / "checkpoint.pt", learner.state_dict()
    if not path.exists():
        return None
    try:
        # weights_only: a file from elsewhere cannot run code.
        kept = torch.load(path, map_location="cpu", weights_only=True)
        checksum, taught = int(kept["learned"]), kept.get("taught")
        if not new["model"]:  # a head: what it learned follows from the labels
            if len(learner.labeled):
                learner.fit()
            return checksum
        learner.load_state_dict({**new, "model": kept["model"], "taught": taught, "fitted": True})
    except Exception as error:
        learner.load_state_dict(new)
        safe = f"all {len(learner.labeled)} labels are safe"
        told = f"{safe}, and the classifier is trained anew from them at the next fit"
        warnings.warn(f"{path}: unreadable ({type(error).__name__}); {told}", stacklevel=2)
        return None
    return checksum


def audit_files(
    folder: Path, files: Sequence[str], unlabeled: np.ndarray, n: int, seed: int
) -> list[str]:
    """Return the names of the audit set: `n` `unlabeled` images, drawn when the run is made."""
    path = folder / "audit.csv"
    if not path.exists() and n:
        n = min(n, len(unlabeled) // 2)
        drawn = np.random.default_rng(seed).choice(unlabeled, n, replace=False)
        write_batch(path, [files[i] for i in sorted(drawn)], [""] * n)
    return files_in(path)


def files_in(path: Path, column: str = "file") -> list[str]:
    """Return a `column` of names in a table of ours; nothing if it is not there or damaged."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        return [nfc(str(name)) for name in table[column]]
    except (OSError, ValueError, KeyError):
        return []


def codes_by_folder(files: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Return int64 (N,), the class that the topmost folder of each of the `files` is named like."""
    first = [nfc(name).partition("/") for name in files]
    return np.array([classes.index(a) if b and a in classes else UNLABELED for a, b, _ in first])
