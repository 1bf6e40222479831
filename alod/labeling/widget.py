"""The labeling widget: a grid of images, one key for each answer. Needs anywidget."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import anywidget
import numpy as np
import traitlets

from alod.answers import UNLABELED
from alod.errors import AlodError, one_line
from alod.labeling import images, monitoring, tables
from alod.labeling.restoring import history_of
from alod.labeling.run import LabelingRun
from alod.learner import ActiveLearner

_HERE = Path(__file__).parent


class InMemory:
    """A learner that lives in memory, with what the grid asks of a run besides."""

    kept = False
    unaudited = np.zeros(0, dtype=np.int64)

    def __init__(self, learner: ActiveLearner) -> None:
        self.learner = learner
        self.query, self.teach = learner.query, learner.teach
        self.skip, self.undo = learner.skip, learner.undo
        self.files = range(len(learner.images))
        self.history = history_of()

    @property
    def up_to_date(self) -> bool:
        """Whether it has learned from any label."""
        return self.learner.fitted

    def refresh(self) -> None:
        """Do nothing: nobody else answers."""

    def fit(self) -> None:
        """Learn, and add a row to the history."""
        before = monitoring.predictions(self.learner) if self.learner.fitted else None
        self.learner.fit()
        row = monitoring.observe(self.learner, before)
        self.history = history_of([*self.history.to_dict("records"), row])

    def picture(self, index: int) -> bytes:
        """Return the image at `index` as PNG."""
        return images.as_png(np.asarray(self.learner.images[index]))


class LabelWidget(anywidget.AnyWidget):
    """A batch of images and their answers; :func:`alod.label` makes it.

    The page sends what was pressed and shows what the kernel has taken: a tile gets its answer only
    when the `source`, a run or a learner in memory, has it; of a run, it is on disk then. `batch`,
    int64 (k,), are the positions of the images shown.
    """

    _esm = _HERE / "_label.js"
    _css = _HERE / "_label.css"
    # Text goes to the page as data and is set as text there: a name is never markup.
    classes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    tiles = traitlets.List(traitlets.Dict()).tag(sync=True)
    answers: "traitlets.List[str | None]" = traitlets.List().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, source: LabelingRun | InMemory, classes: Sequence[str], k: int) -> None:
        super().__init__(classes=list(classes))
        self.source, self.learner, self.k = source, source.learner, k
        self.batch = np.zeros(0, dtype=np.int64)
        self._done: list[tuple[int, str | None]] = []  # what was answered, and what stood there
        self._reviewing = False
        self.on_msg(self._receive)
        self._next_batch()

    def reopen(self, k: int) -> None:
        """Go on in a cell that is run again, `k` images a batch: with what is open, else anew."""
        self.k = k
        self._refresh()
        if None in self.answers:
            self._show("")
        else:
            self._next_batch()

    def answer(self, position: int, answer: str) -> None:
        """Answer the image at a `position` of the batch, from 0; what has an answer gets a new one.

        `answer`: a class name, ``"not one of these"``, ``"cannot tell"`` or ``"skip"``.
        """
        if not 0 <= position < len(self.batch):
            raise AlodError(f"position {position}: expected 0 to {len(self.batch) - 1}")
        if position in self._refresh():
            now = self.answers[position] or "without an answer"
            told = f"is {now} since, by another cell or program; look at it, then answer again"
            raise AlodError(f"{self.tiles[position]['name']}: {told}")
        self._tell(position, answer)
        self._done.append((position, self.answers[position]))
        self.answers = self._known()
        self._show("")

    def _tell(self, position: int, answer: str) -> None:
        index = self.batch[position : position + 1]
        if answer in self.classes or answer == tables.FOREIGN_WORD:
            code = tables.code_of(answer, self.classes)
            self.source.teach(index, np.array([code]), unasked=True)
        elif answer in tables.ANSWERS:
            if self.learner.answers[index[0]] != UNLABELED:
                self.source.undo(index)
            self.source.skip(index, unclear=answer == tables.UNCLEAR_WORD)
        else:
            known = ", ".join([*self.classes, *tables.ANSWERS])
            raise AlodError(f"answer {answer!r}: expected one of {known}")

    def _known(self) -> list[str | None]:
        codes = self.learner.answers[self.batch].tolist()
        return [None if c == UNLABELED else tables.word_of(c, self.classes) for c in codes]

    def _refresh(self) -> set[int]:
        """Show what was answered elsewhere, which no undo here takes back; return where."""
        self.source.refresh()
        known = self._known()
        changed = {i for i, answer in enumerate(self.answers) if answer != known[i]}
        self._done = [done for done in self._done if done[0] not in changed]
        self.answers = known
        return changed

    def undo(self) -> None:
        """Take the last answer of this batch back."""
        self._refresh()
        if not self._done:
            self._show("Nothing to undo in this batch.")
            return
        position, before = self._done[-1]
        if before is None:
            self.source.undo(self.batch[position : position + 1])
        else:
            self._tell(position, before)
        self._done.pop()
        self.answers = self._known()
        self._show("The last answer is taken back.", undone=position)

    def learn(self) -> None:
        """Learn from all answers, then show the next batch."""
        self._refresh()
        if not len(self.learner.labeled):
            self._show("No image has a class yet: label some first.")
            return
        with self._busy(f"Learning from {len(self.learner.labeled)} labels …"):
            self.source.fit()
            self._next_batch(anew=True)

    def review(self, n: int = 20) -> None:
        """Show `n` labels at most that look wrong, to be confirmed or corrected."""
        with self._busy("Looking for labels that look wrong …"):
            found = monitoring.suspected_errors(self.learner, n)
            if found.empty:
                self._show("No label looks wrong.")
                return
            self._reviewing = True
            looks_like = [self.classes[c] for c in found["looks_like"]]
            self._show_batch(np.array(found["index"]), looks_like)
            mend = "correct those that are wrong, the rest may stay"
            self._show(f"{len(found)} labels to check: {mend}.")

    def _next_batch(self, anew: bool = False) -> None:
        """Show what waits for an answer since an interruption, else ask anew."""
        learner, source = self.learner, self.source
        self._reviewing = False
        batch = learner.waiting[:0] if anew else learner.waiting[: self.k]
        if not len(batch):
            if len(learner.labeled) and not source.up_to_date:
                source.fit()
            left = len(learner.pool) + len(source.unaudited)
            batch = source.query(min(self.k, left)) if left else batch
        self._show_batch(batch, monitoring.suggestions(learner, self.classes, batch))
        self._show("" if len(batch) else "Every image has its answer.")

    def _show_batch(self, batch: np.ndarray, suggestions: Sequence[str]) -> None:
        self.batch, self._done = batch, []
        sure = np.zeros(len(batch))
        if self.learner.fitted:
            sure = self.learner.outputs()[1][batch].softmax(1).amax(1).numpy()
        tiles = []
        for i, suggestion, p in zip(batch.tolist(), suggestions, sure, strict=True):
            picture = base64.b64encode(self.source.picture(i)).decode()
            tile = {"picture": f"data:image/png;base64,{picture}", "suggestion": suggestion}
            told = "" if self._reviewing or not suggestion else f"{p:.0%}"
            tiles.append({**tile, "name": str(self.source.files[i]), "sure": told})
        self.tiles = tiles
        self.answers = self._known()

    def _show(self, message: str, **more: Any) -> None:
        learner, history = self.learner, self.source.history
        balance = monitoring.balance(learner, self.classes)
        missing = balance.loc[balance["n_labeled"] == 0, "label"].tolist()
        curve = []
        for row in history.to_dict("records"):
            changed = None if np.isnan(row["changed"]) else float(row["changed"])  # JSON has no NaN
            curve.append({"labels": int(row["n_labeled"]), "changed": changed})
            if row["audit_answered"]:
                right, answered = int(row["audit_right"]), int(row["audit_answered"])
                low, high = monitoring.wilson_interval(right, answered)
                curve[-1] |= {"accuracy": right / answered, "low": low, "high": high}
        self.state = {
            "message": message,
            "error": False,
            "busy": False,
            "reviewing": self._reviewing,
            "kept": self.source.kept,
            "labels": int((learner.answers >= 0).sum()),
            "left": len(learner.pool),
            "counts": [int(n) for n in balance["n_labeled"]],
            "advice": monitoring.advice(history, missing),
            "curve": curve,
            "tick": self.state.get("tick", 0) + 1,
            **more,
        }

    def _receive(self, _: object, content: dict[str, Any], __: object) -> None:
        """Do what was pressed; what is refused is shown where it was pressed."""
        try:
            kind = content.get("do")
            if kind == "answer":
                self.answer(int(content["position"]), str(content["answer"]))
            elif kind in ("undo", "learn", "review"):
                getattr(self, kind)()
        except Exception as error:
            self._show_error(error)

    @contextmanager
    def _busy(self, message: str) -> Iterator[None]:
        """Let the page wait, but not beyond an error or an interruption."""
        self._show(message, busy=True)
        try:
            yield
        except BaseException as error:
            self._show_error(error)
            raise

    def _show_error(self, error: BaseException) -> None:
        """Tell the page, and compute nothing for it: that might fail again."""
        kind = "" if isinstance(error, AlodError) else type(error).__name__
        message = ": ".join(filter(None, (kind, one_line(error))))
        tick = self.state.get("tick", 0) + 1
        self.state |= {"message": message, "error": True, "busy": False, "tick": tick}


_grids: "WeakValueDictionary[int, LabelWidget]" = WeakValueDictionary()  # by the learner's id


def grid(learner: ActiveLearner | LabelingRun, classes: Sequence[str], k: int) -> LabelWidget:
    """Return the grid of a learner: a cell that is run again shows the same one."""
    there = _grids.get(id(learner))
    if there is not None and there.comm is not None and there.classes == list(classes):
        there.reopen(k)
        return there
    source = learner if isinstance(learner, LabelingRun) else InMemory(learner)
    _grids[id(learner)] = made = LabelWidget(source, classes, k)
    return made
