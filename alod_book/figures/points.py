"""Points on a map: what maps and their animation share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from alod.errors import AlodError
from alod_book.figures.cards import make_cards
from alod_book.figures.layout import check_length


def points(
    coordinates: NDArray[np.floating],
    targets: ArrayLike | None,
    classes: Sequence[str] | None,
    indices: ArrayLike | None,
) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[np.int32]]:
    """Return coordinates of three decimals, class names ("" if unknown) and image numbers."""
    xy: NDArray[np.float32] = np.asarray(coordinates, dtype=np.float32).round(3)
    if xy.ndim != 2 or xy.shape[1] != 2 or len(xy) == 0 or not np.isfinite(xy).all():
        raise AlodError(
            f"coordinates of shape {xy.shape}: expected (N, 2), finite; pass what project() returns"
        )
    numbers = np.arange(len(xy)) if indices is None else np.asarray(indices)
    check_length("indices", numbers, len(xy))
    if targets is None:
        return xy, np.full(len(xy), "", dtype=object), numbers.astype(np.int32)
    targets = np.asarray(targets)
    check_length("targets", targets, len(xy))
    known = {-1: "foreign"} | dict(enumerate(map(str, classes or ())))
    names = np.array([known.get(int(t), str(int(t))) for t in targets], dtype=object)
    return xy, names, numbers.astype(np.int32)


def scatter(
    xy: NDArray[np.float32],
    numbers: NDArray[np.int32],
    part: NDArray[np.bool_],
    name: str,
    marker: dict[str, Any],
) -> go.Scattergl:
    """Return the points of a part of the images, each with its number."""
    return go.Scattergl(
        x=xy[part, 0],
        y=xy[part, 1],
        # One integer per point: text would treble the weight of a page.
        customdata=numbers[part],
        name=name,
        mode="markers",
        marker=marker,
        showlegend=False,
        hovertemplate=f"{name}<br>image %{{customdata}}<extra></extra>",
    )


def legend_entry(name: str, marker: dict[str, Any]) -> go.Scatter:
    """Make a legend's entry without points: solid and large where the points are faint."""
    marker = marker | {"size": max(8, marker["size"]), "opacity": 1}
    return go.Scatter(
        x=[None],
        y=[None],
        mode="markers",
        marker=marker,
        name=name,
        legendgroup=name,
        hoverinfo="skip",
    )


def add_cards(
    fig: go.Figure,
    images: NDArray[np.uint8] | None,
    numbers: NDArray[np.int32],
    names: NDArray[Any],
    asked_round: ArrayLike | None,
    scores: ArrayLike | None,
    batch: int,
) -> go.Figure:
    """Give a map the images that its points stand for, those of round `batch` to be shown below."""
    if images is not None:
        cards = make_cards(images, numbers, list(names), asked_round, scores)
        if batch >= 0:
            cards["batch"] = batch
        fig.layout.meta = fig.layout.meta | {"cards": cards}
    return fig


def map_axes(fig: go.Figure) -> None:
    """Hide the axes of a projection, which mean nothing, and keep its aspect."""
    fig.update_layout(xaxis={"visible": False}, yaxis={"visible": False, "scaleanchor": "x"})
    # Groups hold a name each: without this they would stand further apart than names do.
    fig.update_layout(legend={"tracegroupgap": 0})
