"""What the page of cards draws: each strategy on one card.

Words and source come from the strategy's docstring, the code from the library, the picture from
what it asks one and the same learner for.

Examples
--------
>>> import alod
>>> data = alod.load_dataset("mnist_mini")
>>> learner = alod.ActiveLearner(data.images[:200], n_classes=10, model="lenet5", steps=2)
>>> _ = learner.step(20, lambda indices: data.targets[indices].numpy())
>>> "1 − (p<sub>1</sub> − p<sub>2</sub>)" in card(learner, data, "margin", k=10).data
True
"""

import ast
import base64
import inspect
import io
import re
import textwrap
from typing import TYPE_CHECKING

import numpy as np
from IPython.display import HTML
from PIL import Image

from alod import strategies
from alod_book.figures import spelled
from alod_book.one_run import pixels

if TYPE_CHECKING:
    from alod.data.arrays import Dataset
    from alod.learner import ActiveLearner

MARGIN = "1 − (p<sub>1</sub> − p<sub>2</sub>)"
FORMULAS = {
    "random": "a uniform random number",
    "least_confidence": "1 − p<sub>1</sub>",
    "margin": MARGIN,
    "entropy": "−Σ<sub>c</sub> p<sub>c</sub> log p<sub>c</sub>",
    "bald": "H(mean<sub>s</sub> p<sup>(s)</sup>) − mean<sub>s</sub> H(p<sup>(s)</sup>)",
    "kcenter": "min<sub>j labeled or taken</sub> ‖h − h<sub>j</sub>‖²",
    "badge": "‖p − e<sub>ŷ</sub>‖² · ‖h‖²",
    "dbal": f"{MARGIN}, the largest 10 k of them; nearest to k weighted centers",
    "typiclust": "1 / mean distance to the nearest neighbors, in clusters without a label",
    "maxherding": "gain in Σ<sub>i</sub> max<sub>j</sub> exp(−‖h<sub>i</sub> − h<sub>j</sub>‖²)",
    "uherding": f"w<sub>i</sub> = {MARGIN}; gain in "
    "Σ<sub>i</sub> w<sub>i</sub> max<sub>j</sub> exp(−‖h<sub>i</sub> − h<sub>j</sub>‖² / 2σ²)",
    "rare": "w<sub>i</sub> = p<sub>c</sub>² of one class c; gain in coverage as in uherding",
    "outlier": "w<sub>i</sub> = (d<sub>1</sub> / d<sub>2</sub>)<sup>focus</sup>, distances to the "
    "two nearest classes; gain in coverage as in uherding",
    "outlier_topk": "the detector's score, such as the distance to the nearest labeled image",
    "original_meant": "−Σ<sub>j</sub> α<sub>j</sub> (γ h·h<sub>j</sub>)³, of one One-Class SVM",
}
"""What is maximized, of sorted probabilities p, embeddings h and detectors' scores d."""


def card(learner: "ActiveLearner", data: "Dataset", name: str, k: int = 20, seed: int = 0) -> HTML:
    """Show the strategy `name`: formula, picture, what it is, where it fails, source, code.

    The picture holds the `k` images that it asks the fitted `learner` for, of its `data`; what it
    draws is seeded by `seed`.
    """
    function = strategies.STRATEGIES[name]
    pool, view = learner.pool, learner.view()
    asked = pool[function(view, k, np.random.default_rng(seed))[0]]
    guesses = learner.outputs()[1][asked].argmax(1).numpy()
    targets = data.targets[asked].numpy()
    wrong, classes = int((guesses != targets).sum()), len(np.unique(targets))
    first, rest = _told(function)
    picture = (
        f"{k} images that it asks for: {wrong} are taken for something else, {classes} of "
        f"{len(data.classes)} classes are among them"
    )
    return HTML(
        f'<div class="alod-strategy"><p><b>{spelled(name)}</b>. {first}</p>'
        f"<p>Score: {FORMULAS[name]}</p>"
        f'<img src="{_sheet(pixels(data, asked))}" alt="{picture}" style="width: 100%; '
        f'max-width: 35rem; image-rendering: pixelated"><p><small>{picture}.</small></p>'
        f'<p>{rest} <a style="color: inherit" '
        f'href="api_choosing.html#alod.strategies.{name}">In the library</a></p>'
        f"<details><summary>The code</summary>{_colored(_body(function))}</details></div>"
    )


def _told(function: strategies.Strategy) -> tuple[str, str]:
    """Return the first sentence of a docstring, and the others, in plain words."""
    text = inspect.getdoc(function) or ""
    # :func:`alod.view.task_like` becomes task_like, and ``knn`` knn.
    text = re.sub(r":\w+:`~?(?:\w+\.)*(\w+)`", r"<code>\1</code>", text)
    text = re.sub(
        r"``([^`]*)``|`([^`]*)`", lambda found: f"<code>{found[1] or found[2]}</code>", text
    )
    first, _, rest = text.partition("\n\n")
    return " ".join(first.split()), " ".join(rest.split())


def _body(function: strategies.Strategy) -> str:
    """Return a function's code without its docstring."""
    source = textwrap.dedent(inspect.getsource(function))
    (made,) = ast.parse(source).body
    assert isinstance(made, ast.FunctionDef)
    lines = source.splitlines()
    text = made.body[0]
    return "\n".join(lines[: text.lineno - 1] + lines[text.end_lineno :])


def _colored(code: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return str(highlight(code, PythonLexer(), HtmlFormatter()))


def _sheet(images: np.ndarray, columns: int = 10) -> str:
    """Lay images (N, H, W) or (N, H, W, 3) in rows, 2 pixels apart; a PNG as a data URI."""
    rows = -(-len(images) // columns)
    pitch = np.array(images.shape[1:3]) + 2
    canvas = np.full((*(pitch * (rows, columns)), *images.shape[3:]), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = pitch * divmod(i, columns)
        canvas[top : top + len(image), left : left + image.shape[1]] = image
    buffer = io.BytesIO()
    Image.fromarray(canvas).save(buffer, format="png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
