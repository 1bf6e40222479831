"""A run labeled by people: every answer is on disk before the call returns.

>>> import alod
>>> run = alod.open_run("run", alod.load_dataset("mnist_mini").images[:40], ["even", "odd"])
>>> run.teach(run.query(6), [0, 1, 0, 1, 0, 1])
>>> alod.open_run("run").answers[run.labeled].tolist() == run.answers[run.labeled].tolist()
True
"""

import shlex
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from alod.answers import UNLABELED
from alod.data import encoded
from alod.data.names import nfc
from alod.encoders import Encode
from alod.errors import AlodError, check_count
from alod.files import UNWRITABLE, lock_run, refusing
from alod.labeling import described, exporting, images, label_studio, monitoring, restoring, tables
from alod.labeling.duplicates import ALIKE, listed, near_duplicates, spared
from alod.labeling.images import Pool
from alod.labeling.journal import Journal
from alod.labeling.settings import Settings
from alod.learner import ActiveLearner
from alod.pool import as_images
from alod.stopping import Forecast, forecast
from alod.training import Images
from alod.view import Selection

PATIENCE = 60  # seconds to wait for another process that writes to the run


def _of_learner(name: str, told: str) -> Any:
    return property(attrgetter(f"learner.{name}"), doc=told)


class LabelingRun:
    """A learner whose answers live in a `folder`; :func:`alod.labeling.opening.open_run` makes it.

    Answers are in ``labels.csv``, on disk, before :meth:`teach`, :meth:`skip` or :meth:`undo`
    returns; those that another process has written meanwhile are taken in at each call; after
    :meth:`fit` the weights are in ``checkpoint.pt`` and a row is added to ``history.csv``.

    Its `learner` asks and learns; answers given to that are not on disk. `settings`: how it was
    made. `images`: uint8 (N, C, H, W), memory-mapped; `files`: the name of each, its path below the
    image folder `root`, or its row in the array, where `root` is None; `position`: and back.
    `broken`: image files left out, and why; `gone`: images with an answer that are not there any
    more. `history`: a row for each fit, columns :data:`alod.labeling.monitoring.HISTORY`.
    `annotator`: who answers, to be set; it is in the journal beside each answer, and blank at
    first. All positions ascend; those of the audit set are only in `audit` and `unaudited`.
    """

    kept = True  # what is answered outlives the process

    def __init__(self, folder: Path, settings: Settings, pool: Pool, root: Path | None) -> None:
        self.classes = settings.classes
        self.n_classes = len(self.classes)
        learned = pool.images if pool.features is None else pool.features
        self.learner = ActiveLearner(learned, self.n_classes, **settings.of_learner())
        self.learner.span = pool.span
        self.folder, self.settings, self.root = folder, settings, root
        self.images, self.files, self.broken = pool.images, pool.files, pool.broken
        # Here and in the journal names compare in NFC; `files` spells them as the disk does.
        self.position = {nfc(name): index for index, name in enumerate(pool.files)}
        self.history = restoring.read_history(folder / "history.csv")
        self.gone: set[str] = set()
        self.annotator = ""
        self._journal = Journal(folder / "labels.csv")
        self._learned: int | None = None  # checksum of the labels learned from

    answers: np.ndarray = _of_learner("answers", "Codes of :class:`alod.answers.Answers`, (N,).")
    labeled: np.ndarray = _of_learner("labeled", "Positions of labeled images, int64 (L,).")
    foreign: np.ndarray = _of_learner("foreign", "Positions of foreign images, int64 (F,).")
    pool: np.ndarray = _of_learner("pool", "Positions of images to choose from, int64 (U,).")
    waiting: np.ndarray = _of_learner("waiting", "Positions asked for, unanswered, int64 (W,).")
    fitted: bool = _of_learner("fitted", "Whether the classifier has learned from any label.")

    @property
    def audit(self) -> np.ndarray:
        """Positions of the audit set, int64 (A,)."""
        return np.flatnonzero(self.learner.ledger.held_out)

    @property
    def unaudited(self) -> np.ndarray:
        """Positions of the audit set's images without an answer, int64 (V,)."""
        return self.audit[self.answers[self.audit] == UNLABELED]

    @property
    def up_to_date(self) -> bool:
        """Whether the classifier has learned from all labels that there are."""
        return self.fitted and self._learned == self._checksum()

    def query(self, k: int, target: str | None = None) -> np.ndarray:
        """Ask for `k` images, of a `target` class or any, as :meth:`select`: int64 (k,)."""
        return self.select(k, target).indices

    def select(self, k: int, target: str | None = None) -> Selection:
        """Ask for `k` images as a learner does, some of them of the audit set, with score NaN.

        A `target`, the name of a class, asks by :func:`alod.strategies.rare` for that. The batch is
        in ``batch.csv`` then; refused if that holds answers not taught yet.
        """
        self.refresh()
        ask = target and monitoring.looking_for(self.learner, self.classes, target)
        self.check_taught(self.folder / "batch.csv")
        unanswered = self.unaudited
        k = check_count("k", k, 1, len(self.pool) + len(unanswered), "images that may be asked for")
        n_audit = min(len(unanswered), max(k // 2, k - len(self.pool)))
        chosen, scores = unanswered[:n_audit], np.full(n_audit, np.nan)
        self.learner.ledger.ask(chosen)
        if k > n_audit:
            more = self.learner.select(k - n_audit, ask or None)
            chosen, scores = np.append(chosen, more.indices), np.append(scores, more.scores)
        if n_audit:
            # Nobody shall answer the audit differently because it comes first.
            order = self.learner.rng("audit order").permutation(k)
            chosen, scores = chosen[order], scores[order]
        with lock_run(self.folder, PATIENCE):
            self.write_batch(chosen, self.folder / "batch.csv")
        return Selection(chosen, scores)

    def teach(
        self, indices: np.ndarray, labels: np.ndarray | Tensor, *, unasked: bool = False
    ) -> None:
        """Take `labels` of images at `indices`, int (k,), as a learner does, `unasked` or not."""
        with self._synced():
            self._take(*self.learner.ledger.taught(indices, labels, unasked))

    def skip(self, indices: np.ndarray, *, unclear: bool = False) -> None:
        """Leave images at `indices`, int (k,), unanswered, `unclear` or passed over."""
        with self._synced():
            self._take(*self.learner.ledger.skipped(indices, unclear))

    def undo(self, indices: np.ndarray) -> None:
        """Take answers back: images at `indices`, int (k,), wait for an answer again."""
        with self._synced():
            self._take(*self.learner.ledger.undone(indices))

    def refresh(self) -> None:
        """Take in the answers that another process has written, as every call does."""
        with self._synced():
            pass

    def teach_file(self, path: str | Path) -> dict[str, int]:
        """Take all answers of a table or an export at `path`, or none, with their annotators.

        See :func:`alod.labeling.tables.read_answers`. Any image may be answered, asked for or not;
        a label that differs from an earlier one corrects it. Returns how many answers were ``new``,
        ``corrected`` and ``known``.
        """
        given = tables.read_answers(Path(path), self.position, self.classes, self.broken, self.root)
        if not given:
            raise AlodError(f"{path}: holds no answer; fill in its column 'label'")
        with self._synced():
            indices = np.array([self.position[file] for file in given])
            codes = np.array([tables.code_of(a, self.classes) for a, _ in given.values()])
            by = np.array([name or self.annotator for _, name in given.values()])
            before = self.answers[indices]
            new, differs = before == UNLABELED, before != codes
            self._take(indices[differs], codes[differs], by[differs])
        corrected = int((differs & ~new).sum())
        return {"new": int(new.sum()), "corrected": corrected, "known": int((~differs).sum())}

    def write_batch(
        self, indices: np.ndarray, path: str | Path, prefix: str = label_studio.LOCAL_FILES
    ) -> None:
        """Write images at `indices`, int (k,), to be labeled: a CSV ``file,label,suggestion``.

        A name that ends in ``.json`` gets Label Studio's tasks, with what is predicted and what is
        answered; the addresses of their images begin with `prefix`, those of an array are in them.
        A file at `path` is replaced whole, but not if it holds answers not taught yet.
        """
        self.check_taught(path)
        if Path(path).suffix.lower() == ".json":
            exporting.write_tasks(self, indices, Path(path), prefix)
            return
        suggestions = monitoring.suggestions(self.learner, self.classes, indices)
        tables.write_batch(Path(path), [self.files[i] for i in indices], suggestions)

    def check_taught(self, path: str | Path) -> None:
        """Refuse a table at `path`, about to be replaced, whose answers were never taught.

        It need not be there; what is no table is refused, too: nobody knows what it holds.
        """
        path = Path(path)
        with refusing(path, UNWRITABLE):
            if not path.exists() or not path.stat().st_size:
                return
        # The journal, not what holds now: an answer that was corrected since was taught, too.
        told = {(nfc(f), nfc(a)) for f, a in Journal(self._journal.path).read_new()}
        files = {file: -1 for file, _ in told} | self.position  # with those that are gone
        try:
            given = tables.read_answers(path, files, self.classes, self.broken, self.root)
        except AlodError as error:
            mend = "a new batch would replace the file: mend it first, or move it away"
            raise AlodError(f"{error}; {mend}") from None
        lost = {(file, answer) for file, (answer, _) in given.items()} - told
        if lost:
            command = shlex.join(["alod", "teach", "--run", str(self.folder), str(path)])
            why = f"answers not taught yet: {len(lost)}, and a new batch would replace them"
            raise AlodError(f"{path}: {why}; {command} first, or move it away")

    def fit(self) -> None:
        """Update the classifier as :meth:`alod.learner.ActiveLearner.fit` does, and keep it."""
        self.refresh()
        before = monitoring.predictions(self.learner) if self.fitted else None
        self.learner.fit()
        self._learned = self._checksum()
        row = monitoring.observe(self.learner, before, self.audit_result())
        with lock_run(self.folder, PATIENCE):
            # As it is on disk now: others may have learned since this process read it.
            past = restoring.read_history(self.folder / "history.csv").to_dict("records")
            self.history = restoring.history_of([*past, row])
            restoring.write_learned(self.folder, self.learner, self._learned, self.history)

    def predict(self, images: Images) -> np.ndarray:
        """Classify other `images`, (N, C, H, W), or features (N, D): int64 (N,), classes."""
        return self.learner.predict(self._described(images))

    def predict_proba(self, images: Images) -> np.ndarray:
        """Tell how likely each class is, of `images` as in :meth:`predict`: float32 (N, C)."""
        return self.learner.predict_proba(self._described(images))

    def predict_folder(self, folder: str | Path, probabilities: bool = False) -> pd.DataFrame:
        """Classify the image files below another `folder`, which the run need never have seen.

        Returns columns ``file, label, confidence``, and with `probabilities` those of
        :meth:`predicted`. Files that cannot be read are left out with a warning.
        """
        files, learned = described.other_folder(Path(folder).expanduser(), self)
        shares = self.learner.predict_proba(learned)
        return tables.predictions(files, shares, self.classes, probabilities)

    @cached_property
    def encoder(self) -> Encode | None:
        """What describes images (N, C, H, W) as this run's are described, if anything does."""
        if self.settings.encoder == "none":
            return None
        return encoded.make(self.settings.encoder, self.images, self.settings.device)

    def _described(self, images: Images) -> Images:
        if self.encoder is None or images.ndim == 2:
            return images
        return self.encoder(torch.from_numpy(as_images("images", images, self.learner.span)))

    def audit_result(self) -> tuple[int, int]:
        """Return how many audit images are classified right, and how many have a class label."""
        known = self.audit[self.answers[self.audit] >= 0]
        if not self.fitted or not len(known):
            return 0, 0
        right = monitoring.predictions(self.learner)[known] == self.answers[known]
        return int(right.sum()), len(known)

    def report(self) -> str:
        """Tell labels, balance, estimated accuracy and whether to go on, in plain lines."""
        return monitoring.report(self.learner, self.classes, self.history, len(self.broken))

    def forecast(self, n_more: int) -> Forecast:
        """Tell what accuracy to expect with `n_more` labels (:func:`alod.stopping.forecast`)."""
        return forecast(self.history, n_more)

    def predicted(self, probabilities: bool = False) -> pd.DataFrame:
        """Return what every image is: a person's answer where there is one, else a prediction.

        Columns ``file``; ``label``, a class name or, by a person only, ``"not one of these"``;
        ``confidence``, the classifier's probability for what it takes the image for; ``by``,
        ``"person"`` or ``"classifier"``, as for skipped and unclear images; with `probabilities`
        the classifier's for each class, ``p_`` and its name. Needs a fit.
        """
        if not self.fitted:
            raise AlodError(f"{self.folder}: nothing is learned yet; teach labels, then fit()")
        shares = self.learner.outputs()[1].softmax(1).numpy()
        return tables.predictions(self.files, shares, self.classes, probabilities, self.answers)

    def sort_into(self, folder: str | Path, copy: bool = False) -> pd.DataFrame:
        """Sort images into class folders; see :func:`alod.labeling.exporting.sort_into`.

        In `folder`, as links, or with `copy` as copies. Returns :meth:`predicted`, and the ``path``
        of each image there.
        """
        return exporting.sort_into(self, Path(folder), copy)

    def export(self, path: str | Path) -> None:
        """Write what was learned as a torch module, or ONNX, to `path`.

        See :func:`alod.labeling.exporting.write_module`.
        """
        exporting.write_module(self, Path(path))

    def suspects(self, n: int = 20) -> pd.DataFrame:
        """Name at most `n` labels that look wrong, as a table that :meth:`teach_file` takes back.

        Columns ``file, label, looks_like, suspicion``, the most suspicious first; see
        :func:`alod.labeling.monitoring.suspected_errors`.
        """
        found = monitoring.suspected_errors(self.learner, n).round({"suspicion": 2})
        for name in ("label", "looks_like"):
            found[name] = [self.classes[c] for c in found[name]]
        found["index"] = [self.files[i] for i in found["index"]]
        return found.rename(columns={"index": "file"})

    def duplicates(self, alike: float = ALIKE, spare: bool = False) -> pd.DataFrame:
        """List what is nearly the same: columns ``group``, from 0, and ``file``.

        By `alike`, see :func:`alod.labeling.duplicates.near_duplicates`. With `spare` one of each
        group is asked for from now on, as long as the run is open: none where one is answered.
        """
        first = near_duplicates(self.images, alike)
        if spare:
            ledger = self.learner.ledger
            known = ledger.asked | ledger.held_out | (ledger.codes != UNLABELED)
            ledger.spared = spared(first, known)
        return listed(first, self.files)

    def picture(self, index: int, side: int = 256) -> bytes:
        """Return the image at `index` as PNG, no longer than `side` pixels, as people see it."""
        file = None if self.root is None else self.root / self.files[index]
        if self.images.ndim == 2:  # features, of files that may lie where their names say
            file = Path(self.files[index])
        return images.picture(file, self.images[index], self.learner.span, side)

    def restore(self) -> None:
        """Take up what earlier sessions left: answers, audit set, open batch and weights."""
        ledger, settings = self.learner.ledger, self.settings
        with self._synced():
            if settings.folders_are_classes:
                codes = restoring.codes_by_folder(self.files, self.classes)
                told = np.flatnonzero((codes != UNLABELED) & (self.answers == UNLABELED))
                # Into the journal, so that correcting one sticks.
                self._take(told, codes[told])
            drawn = settings.audit, settings.seed
            audit = restoring.audit_files(self.folder, self.files, self.pool, *drawn)
            ledger.held_out[self._positions(audit)] = True
            asked = self._positions(restoring.files_in(self.folder / "batch.csv"))
            ledger.ask(asked[self.answers[asked] == UNLABELED])
        self._learned = restoring.take_up_learned(self.folder, self.learner)

    def _positions(self, files: list[str]) -> np.ndarray:
        return np.array([self.position[f] for f in files if f in self.position], np.int64)

    def _take(
        self, indices: np.ndarray, codes: np.ndarray, by: Iterable[str] | None = None
    ) -> None:
        # The disk first: what the memory knows and a kill forgets would be an answer lost.
        files = [self.files[i] for i in indices]
        words = [tables.word_of(code, self.classes) for code in codes]
        by = [self.annotator] * len(files) if by is None else by
        self._journal.append(zip(files, words, by, strict=True))
        self.learner.ledger.take(indices, codes)

    @contextmanager
    def _synced(self) -> Iterator[None]:
        """Have the run alone, and every answer in its journal, by this process or by others."""
        known = {*self.classes, *tables.ANSWERS, tables.UNDO_WORD}
        with lock_run(self.folder, PATIENCE):
            for file, answer in ((nfc(f), nfc(a)) for f, a in self._journal.read_new()):
                if answer not in known:
                    told = f"{file!r} is labeled {answer!r}"
                    expected = f"expected one of {', '.join(self.classes)}; mend that line"
                    raise AlodError(f"{self._journal.path}: {told}, {expected}")
                if file not in self.position:
                    self.gone.add(file)
                    continue
                code = tables.code_of(answer, self.classes)
                self.learner.ledger.take(np.array([self.position[file]]), np.array([code]))
            yield

    def _checksum(self) -> int:
        labeled = self.labeled
        return zlib.crc32(np.stack([labeled, self.answers[labeled]]).tobytes())

    def __reduce_ex__(self, _: Any) -> Any:
        """Refuse to be pickled or copied: answers to a copy would be in the run's own journal."""
        mend = f"alod.open_run({str(self.folder)!r}) opens it, in another process, too"
        raise AlodError(f"{self.folder}: a run is not copied or pickled; {mend}")
