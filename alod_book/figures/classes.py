"""Class by class: which are taken for which, and how accurate each is.

Examples
--------
>>> fig = confusion_matrix([[9, 1], [0, 10]], ["cat", "dog"], title="Cats are taken for dogs")
>>> fig.layout.meta["alt"].partition(";")[0]
'Cats are taken for dogs. Confusion matrix of 20 test images, 1 of them wrong'
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from alod.errors import AlodError
from alod_book.figures.layout import cell_text, check_columns, finish, matrix_axes
from alod_book.figures.style import color_of, spelled


def confusion_matrix(matrix: ArrayLike, classes: Sequence[str], title: str = "") -> go.Figure:
    """Draw which classes are taken for which; color marks the errors only.

    Parameters
    ----------
    matrix : array-like of int (C, C)
        Test images by true class (rows) and predicted class (columns), as
        ``sklearn.metrics.confusion_matrix`` counts them.
    classes : sequence of str (C,)
        Names of the classes.
    title : str
        The finding in one sentence.
    """
    counts = np.asarray(matrix)
    if counts.shape != (len(classes), len(classes)):
        raise AlodError(
            f"confusion matrix of shape {counts.shape}: expected ({len(classes)}, {len(classes)}), "
            "one row and column per class; pass labels=range(C) to scikit-learn"
        )
    names = list(classes)
    errors = np.where(np.eye(len(names), dtype=bool), 0, counts)
    fig = go.Figure(
        go.Heatmap(
            z=errors,
            customdata=counts,
            x=names,
            y=names,
            colorscale=[[0, "rgba(217,72,74,0)"], [1, "rgba(217,72,74,0.75)"]],
            showscale=False,
            xgap=1,
            ygap=1,
            hovertemplate="%{y} taken for %{x}: %{customdata:,}<extra></extra>",
        )
    )
    true, taken = np.nonzero(counts)
    fig.add_trace(cell_text(taken, true, [f"{n:,}" for n in counts[true, taken]], names))
    matrix_axes(fig, names, "predicted class", "true class")
    worst = np.unravel_index(errors.argmax(), errors.shape)
    alt = (
        f"Confusion matrix of {counts.sum():,} test images, {errors.sum():,} of them wrong; most "
        f"often {names[worst[0]]} is taken for {names[worst[1]]} ({errors[worst]:,} times)."
    )
    note = f"n = {counts.sum():,} test images, counted; color marks errors only"
    return finish(fig, title, alt, 460, note=note)


def per_class_accuracy(
    table: pd.DataFrame, by: str = "strategy", title: str = "", note: str = ""
) -> go.Figure:
    """Draw the accuracy of each class as dots on a line, a color per value of `by`.

    Parameters
    ----------
    table : DataFrame
        ``class, test_accuracy`` (in [0, 1]) and `by`; classes are drawn in the table's order, the
        first at the top.
    title : str
        The finding in one sentence.
    note : str
        A line under the title: of how many test images and runs.
    """
    check_columns(table, ["class", "test_accuracy", by])
    fig = go.Figure()
    for name, own in table.groupby("class", sort=False):
        ends = own["test_accuracy"]
        fig.add_trace(
            go.Scatter(
                x=[ends.min(), ends.max()],
                y=[name, name],
                mode="lines",
                line={"color": "rgba(128,128,128,0.5)", "width": 2},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    colors = color_of(table[by].unique())
    for label, own in table.groupby(by, sort=False):
        fig.add_trace(
            go.Scatter(
                x=own["test_accuracy"],
                y=own["class"],
                name=spelled(label),
                mode="markers",
                marker={"size": 10, "color": colors[label]},
                hovertemplate=f"%{{y}}, {spelled(label)}: %{{x:.1%}}<extra></extra>",
            )
        )
    names = [str(name) for name in table["class"].unique()]
    fig.update_xaxes(title_text="test accuracy", tickformat=".1~%", nticks=6)
    fig.update_yaxes(type="category", categoryorder="array", categoryarray=names[::-1])
    lowest = table.sort_values("test_accuracy").iloc[0]
    alt = (
        f"Test accuracy per class for {', '.join(spelled(label) for label in colors)}; lowest is "
        f"{lowest['class']} with {lowest['test_accuracy']:.1%} ({spelled(lowest[by])})."
    )
    return finish(fig, title, alt, 130 + 28 * len(names), note=note, legend=True)
