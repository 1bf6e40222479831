"""Labeling in a notebook; what it needs besides is imported when it is asked for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from alod.errors import AlodError, check_count
from alod.labeling.run import LabelingRun
from alod.labeling.tables import check_classes
from alod.learner import ActiveLearner

if TYPE_CHECKING:
    from alod.labeling.widget import LabelWidget


def label(
    learner: ActiveLearner | LabelingRun, classes: Sequence[str] | None = None, k: int = 20
) -> "LabelWidget":
    """Show what a learner asks for, as a grid of images to be labeled with the keyboard.

    Of a `learner` in memory, or a run from :func:`open_run`, whose answers are on disk at once.
    `classes` are names in the order of the class numbers, which a run knows; `k` images make a
    batch, 1 to 1000. Works where widgets do: JupyterLab, Jupyter Notebook, VS Code, Colab.

    Keys: a digit for each of up to ten classes (1 to 9, 0), of more than ten two digits one after
    the other (01 to 99, 00; Escape forgets the first); space to accept the suggestion, U undo, S
    skip, C cannot tell, N not one of these, arrows to move, Enter to learn and ask for more.

    Scripts drive it with its methods ``answer``, ``undo`` and ``learn``. Asked again for the same
    learner, it is the same grid: two cells show the same images and answers.

    >>> import alod
    >>> digits = alod.load_dataset("mnist_mini")
    >>> len(label(alod.open_run("run", digits.images[:40], digits.classes), k=5).tiles)
    5
    """
    known = getattr(learner, "classes", None)
    names = check_classes(known if classes is None and known else classes or ())
    if len(names) != learner.n_classes or (known and tuple(known) != names):
        expected = ", ".join(known) if known else f"{learner.n_classes} names"
        raise AlodError(f"classes={list(names)!r}: expected those of the learner, {expected}")
    check_count("k", k, 1, 1000)
    try:
        from alod.labeling.widget import grid
    except ImportError as error:
        needs = error.name or "anywidget"
        raise AlodError(f"label() needs {needs}: pip install 'alod[label]'") from None
    return grid(learner, names, k)
