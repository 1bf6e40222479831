"""A run labeled by people: a learner whose every answer is on disk before the call returns."""

import io
import shlex
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from alod import strategies
from alod.errors import AlodError, check_count
from alod.files import UNWRITABLE, lock_run, refusing, write_atomically
from alod.images.files import open_upright
from alod.images.names import nfc
from alod.labeling import monitoring
from alod.labeling.images import Pool, as_png
from alod.labeling.journal import Journal
from alod.labeling.tables import (
    ANSWERS,
    FOREIGN_WORD,
    SKIP_WORD,
    UNCLEAR_WORD,
    UNDO_WORD,
    read_answers,
    write_batch,
)
from alod.learner import FOREIGN, SKIPPED, UNCLEAR, UNLABELED, ActiveLearner
from alod.view import Selection

WORDS = {
    FOREIGN: FOREIGN_WORD,
    SKIPPED: SKIP_WORD,
    UNCLEAR: UNCLEAR_WORD,
    UNLABELED: UNDO_WORD,
}
PATIENCE = 60  # seconds to wait for another process that writes to the run


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides how a run labeled by people goes, set when it is made.

    Parameters
    ----------
    classes : tuple of str
        Class names, two or more.
    image_size : int
        Height and width to which image files are brought, 16 to 1024; the time to learn grows with
        its square.
    folders_are_classes : bool
        Take the images in folders named like a class as labeled.
    audit : int
        Images drawn at random to estimate the accuracy; they are never learned from. Up to half of
        each batch is of them until all are answered.
    model : str
        A name in :data:`alod.models.MODELS`, or ``"given"`` for a module of the user's own.
    strategy : str
        A name in :data:`alod.strategies.STRATEGIES`, or ``"given"`` for the user's own function.
    strategy_params, initial, training_mode, steps, batch_size, learning_rate, augment, seed
        As :class:`alod.learner.ActiveLearner` takes them.

    Examples
    --------
    >>> Settings(classes=("cat", "dog"), audit=50).of_learner["steps"]
    300
    """

    classes: tuple[str, ...] = ()
    image_size: int = 32
    folders_are_classes: bool = False
    audit: int = 0
    model: str = "cnn"
    strategy: str = "outlier"
    strategy_params: Mapping[str, Any] | None = None
    initial: str = "kmeans"
    training_mode: str = "shrink_perturb"
    steps: int = 300
    batch_size: int = 64
    learning_rate: float = 3e-3
    augment: str | None = None
    seed: int = 0

    @property
    def of_learner(self) -> dict[str, Any]:
        """Those of an :class:`alod.learner.ActiveLearner`, less model and strategy."""
        ours = {"classes", "image_size", "folders_are_classes", "audit", "model", "strategy"}
        return {name: value for name, value in asdict(self).items() if name not in ours}


class LabelingRun(ActiveLearner):
    """An active learner that lives in a run folder; :func:`open_run` makes it.

    It does what :class:`alod.learner.ActiveLearner` does, and besides: answers are in
    ``labels.csv``, on disk, before :meth:`teach`, :meth:`skip` or :meth:`undo` returns; answers
    that another process has written meanwhile are taken in at each call; after :meth:`fit` the
    weights are in ``checkpoint.pt`` and a row is added to ``history.csv``.

    Attributes
    ----------
    folder : pathlib.Path
        The run folder.
    settings : Settings
        How the run was made.
    root : pathlib.Path or None
        The image folder; None for an array.
    files : tuple of str
        The name of each image: its path below the image folder, or its row in the array.
    broken : dict of str
        Image files that were left out, and why.
    gone : set of str
        Images with an answer that are not there any more.
    history : pandas.DataFrame
        A row for each fit, columns :data:`alod.labeling.monitoring.HISTORY`.

    Examples
    --------
    >>> import numpy as np
    >>> import alod
    >>> images = np.random.default_rng(0).integers(0, 255, (40, 28, 28), dtype=np.uint8)
    >>> run = alod.open_run("run", images, ["cat", "dog"], model="lenet5", steps=10)
    >>> run.teach(run.query(6), [0, 1, 0, 1, 0, 1])
    >>> alod.open_run("run").answers[run.labeled].tolist() == run.answers[run.labeled].tolist()
    True
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        pool: Pool,
        root: Path | None,
        model: nn.Module | str,
        strategy: strategies.Strategy | str,
        device: str,
    ) -> None:
        super().__init__(
            pool.images,
            len(settings.classes),
            model,
            strategy,
            device=device,
            **settings.of_learner,
        )
        self.folder, self.settings, self.root = folder, settings, root
        self.files, self.broken = pool.files, pool.broken
        # Here and in the journal names compare in NFC; `files` spells them as the disk does.
        self.position = {nfc(name): index for index, name in enumerate(pool.files)}
        self._span = pool.span
        self.history = _read_history(folder / "history.csv")
        self._journal = Journal(folder / "labels.csv")
        self._audit = np.zeros(len(pool.files), dtype=bool)
        self._learned: int | None = None  # checksum of the labels learned from
        self.gone: set[str] = set()

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the class numbers."""
        return self.settings.classes

    @property
    def labeled(self) -> np.ndarray:
        """int64 (L,), ascending positions of the labeled images, the audit set left out."""
        return np.flatnonzero((self.answers >= 0) & ~self._audit)

    @property
    def foreign(self) -> np.ndarray:
        """int64 (F,), ascending positions of foreign images, the audit set left out."""
        return np.flatnonzero((self.answers == FOREIGN) & ~self._audit)

    @property
    def pool(self) -> np.ndarray:
        """int64 (U,), ascending positions of images to choose from, the audit set left out."""
        return np.flatnonzero((self.answers == UNLABELED) & ~self._audit)

    @property
    def audit(self) -> np.ndarray:
        """int64 (A,), ascending positions of the audit set."""
        return np.flatnonzero(self._audit)

    @property
    def unaudited(self) -> np.ndarray:
        """int64 (V,), ascending positions of the audit set's images without an answer."""
        return self.audit[self.answers[self.audit] == UNLABELED]

    @property
    def up_to_date(self) -> bool:
        """Whether the classifier has learned from all labels that there are."""
        return self._fitted and self._learned == self._checksum()

    def select(self, k: int) -> Selection:
        """Ask as :meth:`alod.learner.ActiveLearner.select` does, for images of the audit set, too.

        Parameters
        ----------
        k : int
            Images to ask for, from 1 to the number of those that may be asked.

        Returns
        -------
        Selection
            Those of the audit set, whose score is NaN, lie among the others.

        Raises
        ------
        AlodError
            If `k` is out of range, or ``batch.csv`` holds answers not taught yet.
        """
        self.refresh()
        self.check_taught(self.folder / "batch.csv")
        unanswered = self.unaudited
        k = check_count("k", k, 1, len(self.pool) + len(unanswered), "images that may be asked for")
        n_audit = min(len(unanswered), max(k // 2, k - len(self.pool)))
        chosen = unanswered[:n_audit]
        scores = np.full(n_audit, np.nan)
        self._asked[chosen] = True
        if k > n_audit:
            selection = super().select(k - n_audit)
            chosen = np.concatenate([chosen, selection.indices])
            scores = np.concatenate([scores, selection.scores])
        if n_audit:
            # Nobody shall answer the audit differently because it comes first.
            order = self._rng("audit order").permutation(k)
            chosen, scores = chosen[order], scores[order]
        with self._locked():
            self.write_batch(chosen, self.folder / "batch.csv")
        return Selection(chosen, scores)

    def teach(
        self, indices: np.ndarray, labels: np.ndarray | Tensor, *, unasked: bool = False
    ) -> None:
        """Take answers as :meth:`alod.learner.ActiveLearner.teach` does; they are on disk then."""
        with self._locked():
            self._sync()
            super().teach(indices, labels, unasked=unasked)

    def skip(self, indices: np.ndarray, *, unclear: bool = False) -> None:
        """Skip images as :meth:`alod.learner.ActiveLearner.skip` does; that is on disk then."""
        with self._locked():
            self._sync()
            super().skip(indices, unclear=unclear)

    def undo(self, indices: np.ndarray) -> None:
        """Take answers back as :meth:`alod.learner.ActiveLearner.undo` does, on disk then."""
        with self._locked():
            self._sync()
            super().undo(indices)

    def refresh(self) -> None:
        """Take in the answers that another process has written, as every call does."""
        with self._locked():
            self._sync()

    def teach_file(self, path: str | Path) -> dict[str, int]:
        """Take the answers in a CSV file with the columns ``file`` and ``label``.

        Any image may be answered, asked for or not; a label that differs from an earlier one
        corrects it. All rows are taken or none.

        Parameters
        ----------
        path : str or Path
            See :func:`alod.labeling.tables.read_answers`.

        Returns
        -------
        dict of str to int
            ``new``, ``corrected`` and ``known`` answers.

        Raises
        ------
        AlodError
            If a row is wrong, or the disk refuses the answers.
        """
        given = read_answers(Path(path), self.position, self.classes, self.broken, self.root)
        if not given:
            raise AlodError(f"{path}: holds no answer; fill in its column 'label'")
        with self._locked():
            self._sync()
            indices = np.array([self.position[file] for file in given])
            codes = np.array([self._code(answer) for answer in given.values()])
            before = self.answers[indices]
            new, differs = before == UNLABELED, before != codes
            self._take(indices[differs], codes[differs])
        corrected = int((differs & ~new).sum())
        return {"new": int(new.sum()), "corrected": corrected, "known": int((~differs).sum())}

    def write_batch(self, indices: np.ndarray, path: str | Path) -> None:
        """Write images to be labeled as CSV, ``file,label,suggestion``.

        Parameters
        ----------
        indices : numpy.ndarray
            int (k,), positions.
        path : str or Path
            Replaced whole or not at all.

        Raises
        ------
        AlodError
            If it holds answers not taught yet, or cannot be written.
        """
        self.check_taught(path)
        suggestions = [""] * len(indices)
        if self._fitted:
            suggestions = [self.classes[c] for c in monitoring.predictions(self)[indices]]
        write_batch(Path(path), [self.files[i] for i in indices], suggestions)

    def check_taught(self, path: str | Path) -> None:
        """Refuse a file, about to be replaced, whose answers were never taught.

        Parameters
        ----------
        path : str or Path
            It need not be there.

        Raises
        ------
        AlodError
            If it holds such answers, or is no table, so that nobody knows what it holds.
        """
        path = Path(path)
        with refusing(path, UNWRITABLE):
            if not path.exists() or not path.stat().st_size:
                return
        # The journal, not what holds now: an answer that was corrected since was taught, too.
        told = {(nfc(f), nfc(a)) for f, a in Journal(self._journal.path).read_new()}
        files = {file: -1 for file, _ in told} | self.position  # with those that are gone
        try:
            given = read_answers(path, files, self.classes, self.broken, self.root)
        except AlodError as error:
            mend = "a new batch would replace the file: mend it first, or move it away"
            raise AlodError(f"{error}; {mend}") from None
        lost = given.items() - told
        if lost:
            command = shlex.join(["alod", "teach", "--run", str(self.folder), str(path)])
            raise AlodError(
                f"{path}: answers not taught yet: {len(lost)}, and a new batch would replace them; "
                f"{command} first, or move it away"
            )

    def fit(self) -> None:
        """Update the classifier as :meth:`alod.learner.ActiveLearner.fit` does, and keep it."""
        self.refresh()
        before = monitoring.predictions(self) if self._fitted else None
        super().fit()
        self._learned = self._checksum()
        row = monitoring.observe(self, before, self.audit_result())
        content = io.BytesIO()
        torch.save({"model": self.state_dict()["model"], "learned": self._learned}, content)
        mend = "the labels are safe, but not what was learned from them: free space, fit again"
        with self._locked():
            # As it is on disk now: others may have learned since this process read it.
            rows = [*_read_history(self.folder / "history.csv").to_dict("records"), row]
            self.history = pd.DataFrame(rows, columns=list(monitoring.HISTORY), dtype=float)
            write_atomically(self.folder / "checkpoint.pt", content.getvalue(), mend)
            write_atomically(self.folder / "history.csv", self.history.to_csv(index=False), mend)

    @classmethod
    def load(cls, *_: Any, **__: Any) -> ActiveLearner:
        """Refuse: a run is a folder, not a file."""
        raise AlodError("a run is opened by its folder: alod.open_run(folder)")

    def __reduce_ex__(self, _: Any) -> Any:
        """Refuse to be pickled or copied: answers to a copy would be in the run's own journal."""
        raise AlodError(
            f"{self.folder}: a run is not copied or pickled; alod.open_run({str(self.folder)!r}) "
            "opens it, in another process, too"
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> ActiveLearner:
        """Refuse as :meth:`__reduce_ex__` does."""
        return self.__reduce_ex__(memo)

    def audit_result(self) -> tuple[int, int]:
        """Return how many audit images are classified right, and how many have a class label."""
        known = np.flatnonzero(self._audit & (self.answers >= 0))
        if not self._fitted or not len(known):
            return 0, 0
        right = monitoring.predictions(self)[known] == self.answers[known]
        return int(right.sum()), len(known)

    def report(self) -> str:
        """Tell labels, balance, estimated accuracy and whether to go on, in plain lines."""
        return monitoring.report(self, self.classes, self.history, len(self.broken))

    def predicted(self) -> pd.DataFrame:
        """Return what every image is: a person's answer where there is one, else a prediction.

        Returns
        -------
        DataFrame
            ``file``; ``label``, a class name or, by a person only, ``"not one of these"``;
            ``confidence``, the classifier's probability for what it takes the image for; ``by``,
            ``"person"`` or ``"classifier"``, which tells of skipped and unclear images, too.

        Raises
        ------
        AlodError
            If nothing has been learned yet.
        """
        if not self._fitted:
            raise AlodError(f"{self.folder}: nothing is learned yet; teach labels, then fit()")
        sure, best = self.outputs()[1].softmax(1).max(1)
        told = (self.answers >= 0) | (self.answers == FOREIGN)
        codes = np.where(told, self.answers, best.numpy())
        return pd.DataFrame(
            {
                "file": self.files,
                "label": [self._word(c) for c in codes],
                "confidence": sure.numpy().round(4),
                "by": np.where(told, "person", "classifier"),
            }
        )

    def suspects(self, n: int = 20) -> pd.DataFrame:
        """Name the labels that look wrong, as a table that :meth:`teach_file` takes corrected.

        Parameters
        ----------
        n : int
            Images to name at most.

        Returns
        -------
        DataFrame
            ``file, label, looks_like, suspicion``, the most suspicious first; see
            :func:`alod.labeling.monitoring.suspected_errors`.
        """
        found = monitoring.suspected_errors(self, n)
        return pd.DataFrame(
            {
                "file": [self.files[i] for i in found["index"]],
                "label": [self.classes[c] for c in found["label"]],
                "looks_like": [self.classes[c] for c in found["looks_like"]],
                "suspicion": found["suspicion"].round(2),
            }
        )

    def picture(self, index: int, side: int = 256) -> bytes:
        """Return an image as a person wants to see it, from its own file where that is there.

        Parameters
        ----------
        index : int
            Position.
        side : int
            Longest side in pixels.

        Returns
        -------
        bytes
            PNG.
        """
        if self.root is not None:
            try:
                image, _ = open_upright(self.root / self.files[index], self._span, side)
                image.thumbnail((side, side))
                return as_png(image)
            except Exception:
                # Gone or damaged since it was read: show what is learned from.
                return as_png(np.asarray(self.images[index]))
        return as_png(np.asarray(self.images[index]))

    def _take(self, indices: np.ndarray, answers: np.ndarray) -> None:
        # The disk first: what the memory knows and a kill forgets would be an answer lost.
        rows = [(self.files[i], self._word(a)) for i, a in zip(indices, answers, strict=True)]
        self._journal.append(rows)
        super()._take(indices, answers)

    def _word(self, code: int) -> str:
        return self.classes[code] if code >= 0 else WORDS[code]

    def _code(self, answer: str) -> int:
        if answer in self.classes:
            return self.classes.index(answer)
        return next(code for code, word in WORDS.items() if word == answer)

    def _sync(self) -> None:
        """Take in what was added to the journal, by a call before the kill or by others."""
        known = {*self.classes, *ANSWERS, UNDO_WORD}
        for file, answer in ((nfc(f), nfc(a)) for f, a in self._journal.read_new()):
            if answer not in known:
                raise AlodError(
                    f"{self._journal.path}: {file!r} is labeled {answer!r}, expected one of "
                    f"{', '.join(self.classes)}; mend that line"
                )
            index = self.position.get(file)
            if index is None:
                self.gone.add(file)
                continue
            super()._take(np.array([index]), np.array([self._code(answer)]))

    def _checksum(self) -> int:
        labeled = self.labeled
        return zlib.crc32(np.stack([labeled, self.answers[labeled]]).tobytes())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with lock_run(self.folder, PATIENCE):
            yield

    def restore(self) -> None:
        """Take up what earlier sessions left: answers, audit set, open batch and weights."""
        with self._locked():
            self._sync()
            if self.settings.folders_are_classes:
                self._label_by_folder()
            self._restore_audit()
            for file in _files_in(self.folder / "batch.csv"):
                index = self.position.get(file)
                if index is not None and self.answers[index] == UNLABELED:
                    self._asked[index] = True
        path = self.folder / "checkpoint.pt"
        if path.exists():
            try:
                # weights_only: a file from elsewhere cannot run code.
                content = torch.load(path, map_location="cpu", weights_only=True)
                self.model.load_state_dict(content["model"])
                self._learned, self._fitted = int(content["learned"]), True
            except Exception as error:
                self.model.load_state_dict(self._initial_state)
                warnings.warn(
                    f"{path}: unreadable ({type(error).__name__}); all {len(self.labeled)} labels "
                    "are safe, and the classifier is trained anew from them at the next fit",
                    stacklevel=2,
                )

    def _restore_audit(self) -> None:
        path = self.folder / "audit.csv"
        if not path.exists() and self.settings.audit:
            free = np.flatnonzero(self.answers == UNLABELED)
            n = min(self.settings.audit, len(free) // 2)
            drawn = np.random.default_rng(self.settings.seed).choice(free, n, replace=False)
            write_batch(path, [self.files[i] for i in sorted(drawn)], [""] * n)
        indices = [self.position[file] for file in _files_in(path) if file in self.position]
        self._audit[indices] = True

    def _label_by_folder(self) -> None:
        """Journal the labels that folders tell, so that correcting one sticks."""
        first = [nfc(name).partition("/") for name in self.files]
        codes = np.array(
            [self.classes.index(a) if b and a in self.classes else UNLABELED for a, b, _ in first]
        )
        told = np.flatnonzero((codes != UNLABELED) & (self.answers == UNLABELED))
        if len(told):
            self._take(told, codes[told])


def _read_history(path: Path) -> pd.DataFrame:
    empty = pd.DataFrame(columns=list(monitoring.HISTORY), dtype=float)
    if not path.exists():
        return empty
    try:
        # As text first: older pandas rounds the last digit, and would write it back rounded.
        return pd.read_csv(path, dtype=str)[list(monitoring.HISTORY)].astype(float)
    except (ValueError, KeyError, OSError):
        warnings.warn(f"{path}: unreadable; the curve begins anew, labels are safe", stacklevel=2)
        return empty


def _files_in(path: Path) -> list[str]:
    """Return the column ``file`` of a table of ours; nothing if it is not there or damaged."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        return [nfc(str(name)) for name in table["file"]]
    except (OSError, ValueError, KeyError):
        return []
