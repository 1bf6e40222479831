"""A map that plays round by round."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from plotly.subplots import make_subplots

from alod.errors import AlodError
from alod_book.figures.layout import check_columns, check_length, finish
from alod_book.figures.points import add_cards, legend_entry, map_axes, points, scatter
from alod_book.figures.style import GREY, GROUPS, VERMILION

# What an image is in a round: its name in the legend and its group.
_MOMENTS = {"pool": "pool", "labeled": "labeled", "asked now": "outlier"}
_MAP, _CURVE = {"row": 1, "col": 1}, {"row": 2, "col": 1}


def embedding_animation(
    coordinates: NDArray[np.floating],
    asked_round: ArrayLike,
    title: str = "",
    classes: Sequence[str] | None = None,
    targets: ArrayLike | None = None,
    indices: ArrayLike | None = None,
    history: pd.DataFrame | None = None,
    note: str = "",
    images: NDArray[np.uint8] | None = None,
    scores: ArrayLike | None = None,
) -> go.Figure:
    """Draw projected embeddings round by round: what is labeled, what is asked for now.

    One trace per round keeps its coordinates; a frame changes the style of traces and nothing
    else, so that forty rounds weigh little more than one.

    Parameters
    ----------
    asked_round : array-like of int (N,)
        Round in which each image was asked for, 0 being the initial set; -1 where it never was.
    coordinates, title, classes, targets, indices, note, images, scores
        As for `alod_book.figures.maps.embedding_map`; below the map stand the images asked for in
        the round shown.
    history : DataFrame, optional
        ``round, n_labeled, test_accuracy``, each round once: the learning curve is drawn below and
        grows along.

    Examples
    --------
    >>> fig = embedding_animation(np.eye(4)[:, :2], asked_round=[0, 1, -1, -1])
    >>> [frame.name for frame in fig.frames]
    ['0', '1']
    """
    xy, names, numbers = points(coordinates, targets, classes, indices)
    asked = _checked_rounds(asked_round, len(xy))
    rounds = range(int(asked.max()) + 1)
    past = None if history is None else _history_rows(history, rounds)
    fig = make_subplots(rows=1, cols=1)
    if past is not None:
        fig = make_subplots(rows=2, cols=1, row_heights=[0.74, 0.26], vertical_spacing=0.06)
    _add_pool(fig, xy, numbers, names, asked)
    still = list(range(len(fig.data)))
    _add_rounds(fig, xy, numbers, names if targets is not None else None, asked)
    animated = list(range(len(still), len(fig.data)))
    for label, group in _MOMENTS.items():
        still.append(len(fig.data))
        fig.add_trace(legend_entry(label, GROUPS[group][1]), **_MAP)
    if past is not None:
        _add_curve(fig, past)
        animated.append(len(fig.data) - 1)
    fig.frames = [
        go.Frame(
            name=str(now),
            # Images change groups, so one that was looked at alone ends with the round.
            data=[go.Scattergl(_at(round_, now), visible=True) for round_ in rounds]
            + ([go.Scatter(_curve_until(past, now))] if past is not None else [])
            + [{"type": fig.data[place].type, "visible": True} for place in still],
            traces=animated + still,
        )
        for now in rounds
    ]
    map_axes(fig)
    n_labeled = np.cumsum([int((asked == round_).sum()) for round_ in rounds])
    alt = _told(len(xy), n_labeled, past)
    finish(fig, title, alt, 580 if past is None else 720, note=note)
    labels = [f"round {now} · {n:,} labels" for now, n in zip(rounds, n_labeled, strict=True)]
    # Below the plot come the curve's tick labels and title, the buttons, the slider.
    _add_controls(fig, labels, below=8 if past is None else 48)
    return add_cards(fig, images, numbers, names, asked, scores, batch=0)


def _checked_rounds(asked_round: ArrayLike, n_images: int) -> NDArray[np.integer]:
    asked = np.asarray(asked_round)
    check_length("asked_round", asked, n_images)
    if asked.dtype.kind not in "iu" or asked.min() < -1 or asked.max() < 0:
        raise AlodError(
            f"asked_round of type {asked.dtype} from {asked.min()} to {asked.max()}: expected"
            " whole numbers from -1 (never asked for), with at least one round"
        )
    return asked


def _history_rows(history: pd.DataFrame, rounds: range) -> pd.DataFrame:
    check_columns(history, ["round", "n_labeled", "test_accuracy"])
    past = history.sort_values("round")
    if past["round"].tolist() != list(rounds):
        raise AlodError(
            f"history with rounds {past['round'].tolist()}: expected one row for each round from 0 "
            f"to {rounds[-1]}, as asked_round has them"
        )
    return past


def _add_pool(
    fig: go.Figure,
    xy: NDArray[np.float32],
    numbers: NDArray[np.int32],
    names: NDArray[Any],
    asked: NDArray[np.integer],
) -> None:
    for name in pd.unique(names[asked < 0]):
        part = (asked < 0) & (names == name)
        told = f"pool: {name}" if name else "pool"
        fig.add_trace(scatter(xy, numbers, part, told, GROUPS["pool"][1]), **_MAP)
        fig.data[-1].legendgroup = "pool"


def _add_rounds(
    fig: go.Figure,
    xy: NDArray[np.float32],
    numbers: NDArray[np.int32],
    names: NDArray[Any] | None,
    asked: NDArray[np.integer],
) -> None:
    for round_ in range(int(asked.max()) + 1):
        part = asked == round_
        trace = scatter(xy, numbers, part, f"asked for in round {round_}", {})
        trace.update(_at(round_, 0))
        if names is not None:
            trace.text = names[part].tolist()
            trace.hovertemplate = f"%{{text}}, {trace.hovertemplate}"
        fig.add_trace(trace, **_MAP)


def _add_curve(fig: go.Figure, past: pd.DataFrame) -> None:
    """Draw the whole curve faintly, and over it the one that grows along."""
    fig.add_trace(
        go.Scatter(
            x=past["n_labeled"],
            y=past["test_accuracy"],
            mode="lines+markers",
            line={"color": GREY, "width": 1, "dash": "dot"},
            hoverinfo="skip",
            marker={"size": 4},
            showlegend=False,
        ),
        **_CURVE,
    )
    fig.add_trace(
        go.Scatter(
            _curve_until(past, 0),
            mode="lines+markers",
            showlegend=False,
            line={"color": VERMILION, "width": 3},
            marker={"size": 6},
            hovertemplate="%{x:,} labels: %{y:.1%}<extra></extra>",
        ),
        **_CURVE,
    )
    fig.update_xaxes(title_text="labels", **_CURVE)
    fig.update_yaxes(title_text="test accuracy", tickformat=".1~%", nticks=4, **_CURVE)


def _at(round_: int, now: int) -> dict[str, Any]:
    """Return how images asked for in a round look in frame `now`, and where the legend has them."""
    label = "asked now" if round_ == now else "labeled" if round_ < now else "pool"
    return {"marker": GROUPS[_MOMENTS[label]][1], "legendgroup": label}


def _curve_until(past: pd.DataFrame, now: int) -> dict[str, list[Any]]:
    grown = past.iloc[: now + 1]
    return {"x": grown["n_labeled"].tolist(), "y": grown["test_accuracy"].tolist()}


def _told(n_images: int, n_labeled: NDArray[np.int64], past: pd.DataFrame | None) -> str:
    alt = (
        f"Animated map of the embeddings of {n_images:,} images over rounds 0 to "
        f"{len(n_labeled) - 1}: {n_labeled[0]:,} labeled at first, {n_labeled[-1]:,} at last."
    )
    if past is not None:
        ends = past["test_accuracy"]
        alt += f" Test accuracy goes from {ends.iloc[0]:.1%} to {ends.iloc[-1]:.1%}."
    return alt


def _add_controls(fig: go.Figure, labels: Sequence[str], below: int) -> None:
    """Add the slider and the buttons, `below` px under the plot, and the legend above it."""
    fig.update_layout(
        legend={
            "xref": "paper",
            "y": 1,
            "yref": "paper",
            "yanchor": "bottom",
            "font": {"size": 12},
        },
        margin={"t": fig.layout.margin.t + 24, "b": below + 110},
        sliders=[_slider(labels, below + 40)],
        updatemenus=[_play_buttons(below)],
    )


def _slider(labels: Sequence[str], below: int) -> dict[str, Any]:
    return {
        "active": 0,
        "currentvalue": {"prefix": "", "font": {"size": 13}},
        # Names of all steps would run into each other; the current one stands above.
        "font": {"size": 1},
        "ticklen": 4,
        "tickcolor": GREY,
        "bgcolor": "rgba(128,128,128,0.3)",
        "activebgcolor": VERMILION,
        "bordercolor": GREY,
        "borderwidth": 1,
        "x": 0,
        "len": 1,
        "y": 0,
        "pad": {"t": below, "b": 0, "l": 4, "r": 4},
        "steps": [
            {
                "label": label,
                "method": "animate",
                "args": [[str(now)], _animation(0)],
            }
            for now, label in enumerate(labels)
        ],
    }


def _play_buttons(below: int) -> dict[str, Any]:
    return {
        "type": "buttons",
        "direction": "left",
        "showactive": False,
        "bgcolor": "rgba(128,128,128,0.15)",
        "bordercolor": GREY,
        "x": 0,
        "xanchor": "left",
        "y": 0,
        "yanchor": "top",
        "pad": {"t": below, "l": 4},
        "buttons": [
            {"label": "Play", "method": "animate", "args": [None, _animation(900)]},
            {"label": "Pause", "method": "animate", "args": [[None], _animation(0)]},
        ],
    }


def _animation(duration: int) -> dict[str, Any]:
    return {
        "mode": "immediate",
        "fromcurrent": True,
        # WebGL points change only where the frame is redrawn.
        "frame": {"duration": duration, "redraw": True},
        "transition": {"duration": 0},
    }
