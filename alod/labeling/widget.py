"""The labeling widget: a grid of images, one key for each answer. Needs anywidget."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import anywidget
import numpy as np
import pandas as pd
import traitlets

from alod import stopping
from alod.answers import FOREIGN, UNLABELED
from alod.errors import AlodError, one_line
from alod.labeling import monitoring
from alod.labeling.images import as_png
from alod.labeling.run import WORDS, LabelingRun
from alod.labeling.tables import FOREIGN_WORD, SKIP_WORD, UNCLEAR_WORD
from alod.learner import ActiveLearner

_HERE = Path(__file__).parent


class LabelWidget(anywidget.AnyWidget):
    """A batch of images and their answers; :func:`alod.label` makes it.

    The page sends what was pressed and shows what the kernel has taken: a tile gets its answer only
    when the learner has it, and for a learner from :func:`alod.open_run` that is on disk.

    Parameters
    ----------
    learner : ActiveLearner
        It gets every answer at once.
    classes : sequence of str
        Names in the order of the class numbers.
    k : int
        Images in a batch.

    Attributes
    ----------
    batch : numpy.ndarray
        int64 (k,), positions of the images shown.
    """

    _esm = _HERE / "_label.js"
    _css = _HERE / "_label.css"
    # Text goes to the page as data and is set as text there: a name is never markup.
    classes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    tiles = traitlets.List(traitlets.Dict()).tag(sync=True)
    answers: "traitlets.List[str | None]" = traitlets.List().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, learner: ActiveLearner, classes: Sequence[str], k: int) -> None:
        super().__init__(classes=list(classes))
        self.learner, self.k = learner, k
        self.history = getattr(learner, "history", pd.DataFrame(columns=monitoring.HISTORY))
        self.batch = np.zeros(0, dtype=np.int64)
        self._done: list[tuple[int, str | None]] = []  # what was answered, and what stood there
        self._reviewing = False
        self.on_msg(self._receive)
        self._next_batch()

    def reopen(self, k: int) -> None:
        """Go on in a cell that is run again: with what is open, else with the next batch.

        Parameters
        ----------
        k : int
            Images in the batches to come.
        """
        self.k = k
        self._refresh()
        if None in self.answers:
            self._show("")
        else:
            self._next_batch()

    def answer(self, position: int, answer: str) -> None:
        """Answer one image.

        Parameters
        ----------
        position : int
            Its place in the batch, from 0.
        answer : str
            A class name, ``"not one of these"``, ``"cannot tell"`` or ``"skip"``. An image that has
            its answer gets a new one.

        Raises
        ------
        AlodError
            If there is no such image or answer, or the disk refuses it.
        """
        if not 0 <= position < len(self.batch):
            raise AlodError(f"position {position}: expected 0 to {len(self.batch) - 1}")
        if position in self._refresh():
            now = self.answers[position] or "without an answer"
            raise AlodError(
                f"{self.tiles[position]['name']}: is {now} since, by another cell or program; look "
                "at it, then answer again"
            )
        self._tell(position, answer)
        self._done.append((position, self.answers[position]))
        self.answers = self._known()
        self._show("")

    def _tell(self, position: int, answer: str) -> None:
        """Give an answer to the learner."""
        index = self.batch[position : position + 1]
        if answer in self.classes or answer == FOREIGN_WORD:
            code = FOREIGN if answer == FOREIGN_WORD else self.classes.index(answer)
            self.learner.teach(index, np.array([code]), unasked=True)
        elif answer in (SKIP_WORD, UNCLEAR_WORD):
            if self.learner.answers[index[0]] != UNLABELED:
                self.learner.undo(index)
            self.learner.skip(index, unclear=answer == UNCLEAR_WORD)
        else:
            known = ", ".join([*self.classes, FOREIGN_WORD, UNCLEAR_WORD, SKIP_WORD])
            raise AlodError(f"answer {answer!r}: expected one of {known}")

    def _known(self) -> list[str | None]:
        """Return the answers that the learner has of the batch."""
        codes = self.learner.answers[self.batch].tolist()
        return [self.classes[c] if c >= 0 else None if c == UNLABELED else WORDS[c] for c in codes]

    def _refresh(self) -> set[int]:
        """Show what was answered elsewhere, which no undo here takes back; return where."""
        if isinstance(self.learner, LabelingRun):
            self.learner.refresh()
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
            self.learner.undo(self.batch[position : position + 1])
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
            self._fit()
            self._next_batch(anew=True)

    def review(self, n: int = 20) -> None:
        """Show the labels that look wrong, to be confirmed or corrected.

        Parameters
        ----------
        n : int
            Images to show at most.
        """
        with self._busy("Looking for labels that look wrong …"):
            found = monitoring.suspected_errors(self.learner, n)
            if found.empty:
                self._show("No label looks wrong.")
                return
            self._reviewing = True
            self._show_batch(
                np.array(found["index"]), [self.classes[c] for c in found["looks_like"]]
            )
            self._show(
                f"{len(found)} labels to check: correct those that are wrong, the rest may stay."
            )

    def _fit(self) -> None:
        before = monitoring.predictions(self.learner) if self.learner.fitted else None
        self.learner.fit()
        if isinstance(self.learner, LabelingRun):
            self.history = self.learner.history
        else:
            row = monitoring.observe(self.learner, before)
            rows = [*self.history.to_dict("records"), row]
            self.history = pd.DataFrame(rows, columns=list(monitoring.HISTORY), dtype=float)

    def _next_batch(self, anew: bool = False) -> None:
        """Show what waits for an answer since an interruption, else ask anew."""
        learner = self.learner
        self._reviewing = False
        batch = learner.waiting[:0] if anew else learner.waiting[: self.k]
        if not len(batch):
            if len(learner.labeled) and not getattr(learner, "up_to_date", learner.fitted):
                self._fit()
            left = len(learner.pool) + len(getattr(learner, "unaudited", ()))
            batch = learner.query(min(self.k, left)) if left else batch
        self._show_batch(batch, self._suggestions(batch))
        self._show("" if len(batch) else "Every image has its answer.")

    def _suggestions(self, batch: np.ndarray) -> list[str]:
        if not self.learner.fitted:
            return [""] * len(batch)
        return [self.classes[c] for c in monitoring.predictions(self.learner)[batch]]

    def _show_batch(self, batch: np.ndarray, suggestions: Sequence[str]) -> None:
        self.batch, self._done = batch, []
        sure = np.zeros(len(batch))
        if self.learner.fitted:
            sure = self.learner.outputs()[1][batch].softmax(1).amax(1).numpy()
        files = getattr(self.learner, "files", None)
        self.tiles = [
            {
                "picture": "data:image/png;base64," + base64.b64encode(self._png(i)).decode(),
                "name": files[i] if files else str(i),
                "suggestion": suggestion,
                "sure": "" if self._reviewing or not suggestion else f"{p:.0%}",
            }
            for i, suggestion, p in zip(batch.tolist(), suggestions, sure, strict=True)
        ]
        self.answers = self._known()

    def _png(self, index: int) -> bytes:
        if isinstance(self.learner, LabelingRun):
            return self.learner.picture(index)
        return as_png(np.asarray(self.learner.images[index]))

    def _show(self, message: str, **more: Any) -> None:
        """Tell the page how things stand."""
        learner, history = self.learner, self.history
        balance = monitoring.class_balance(learner, self.classes)
        missing = balance.loc[balance["n_labeled"] == 0, "label"].tolist()
        advice = [stopping.stopping_advice(history, missing)] if len(history) else []
        curve = []
        for row in history.to_dict("records"):
            point = {"labels": int(row["n_labeled"]), "changed": _number(row["changed"])}
            if row["audit_answered"]:
                right, answered = int(row["audit_right"]), int(row["audit_answered"])
                point["accuracy"] = right / answered
                point["low"], point["high"] = monitoring.wilson_interval(right, answered)
            curve.append(point)
        if curve and "accuracy" in curve[-1]:
            last = history.iloc[-1]
            right, answered = int(last["audit_right"]), int(last["audit_answered"])
            advice.insert(0, monitoring.accuracy_sentence(right, answered))
        self.state = {
            "message": message,
            "error": False,
            "busy": False,
            "reviewing": self._reviewing,
            "kept": isinstance(learner, LabelingRun),
            "labels": int((learner.answers >= 0).sum()),
            "left": len(learner.pool),
            "counts": [int(n) for n in balance["n_labeled"]],
            "advice": advice,
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


def grid(learner: ActiveLearner, classes: Sequence[str], k: int) -> LabelWidget:
    """Return the grid of a learner: a cell that is run again shows the same one.

    Parameters
    ----------
    learner, classes, k
        As :class:`LabelWidget` takes them.
    """
    there = _grids.get(id(learner))
    if there is not None and there.comm is not None and there.classes == list(classes):
        there.reopen(k)
        return there
    _grids[id(learner)] = made = LabelWidget(learner, classes, k)
    return made


def _number(value: float) -> float | None:
    """Return a number that JSON has a word for."""
    return None if np.isnan(value) else float(value)
