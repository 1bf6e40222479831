"""What the introduction draws: a pool of points in the plane, and what a classifier makes of it.

Examples
--------
>>> points = np.array([[0.0, 0.0], [1.0, 1.0]])
>>> fig = toy_map(points, np.array([0, 1]), np.array([1]), lambda p: p[:, 0] > 0.5, "Two points")
>>> fig.layout.meta["alt"]
'Two points. Map of 2 points, 1 of them labeled, and where a classifier sees its two classes.'
"""

from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from alod_book.figures.layout import finish
from alod_book.figures.style import BLUE, GREY, VERMILION

# Pixels of the background, from side to side.
_FINE = 60


def toy_map(
    points: NDArray[np.floating],
    targets: NDArray[np.integer],
    labeled: NDArray[np.integer],
    predict: Callable[[NDArray[np.floating]], NDArray[np.generic]],
    title: str,
) -> go.Figure:
    """Draw a pool of two classes, its labeled points, and the classifier's border behind them.

    Parameters
    ----------
    points : ndarray of float (N, 2)
        The pool, in the unit square.
    targets : ndarray of int (N,)
        The classes, 0 or 1; shown of the labeled points alone.
    labeled : ndarray of int (L,)
        Which points are labeled.
    predict : callable
        From points (M, 2) to the classes (M,) that the classifier gives them.
    title : str
        The finding.
    """
    side = (np.arange(_FINE) + 0.5) / _FINE
    across, down = np.meshgrid(side, side)
    given = predict(np.column_stack([across.ravel(), down.ravel()]))
    fig = go.Figure(
        go.Heatmap(
            x=side,
            y=side,
            z=np.asarray(given, dtype=int).reshape(_FINE, _FINE),
            zmin=0,
            zmax=1,
            colorscale=[[0, "rgba(31,119,201,0.18)"], [1, "rgba(224,86,11,0.18)"]],
            showscale=False,
            hoverinfo="skip",
        )
    )
    rest = np.setdiff1d(np.arange(len(points)), labeled)
    marks = [("pool", rest, {"symbol": "circle", "size": 5, "color": GREY, "opacity": 0.6})]
    for label, color, symbol in ((0, BLUE, "square"), (1, VERMILION, "diamond")):
        rim = {"width": 1, "color": "white"}
        marker = {"symbol": symbol, "size": 11, "color": color, "line": rim}
        marks.append((f"labeled: {label}", labeled[targets[labeled] == label], marker))
    for name, own, marker in marks:
        fig.add_trace(
            go.Scatter(
                x=points[own, 0].round(3),
                y=points[own, 1].round(3),
                mode="markers",
                marker=marker,
                name=name,
                hovertemplate=f"{name}<extra></extra>",
            )
        )
    fig.update_xaxes(visible=False, range=[0, 1])
    fig.update_yaxes(visible=False, range=[0, 1], scaleanchor="x")
    alt = (
        f"Map of {len(points)} points, {len(labeled)} of them labeled, and where a classifier sees "
        "its two classes."
    )
    note = f"n = {len(points)} points, {len(labeled)} labeled"
    return finish(fig, title, alt, 360, note=note, bottom=40, legend=True)
