"""How a figure is finished, and what is checked of the tables that are drawn."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from alod.errors import AlodError
from alod_book.figures.style import TEMPLATE

# At 16 px a letter is up to 9 px wide and at 12 px up to 7: lines fit a phone, or half a page.
_TITLE_LETTERS, _NOTE_LETTERS = 38, 50
_LINE_HEIGHT = 21


def finish(
    fig: go.Figure,
    title: str,
    alt: str,
    height: int,
    note: str = "",
    bottom: int = 8,
    legend: bool | None = None,
    inner: bool = False,
) -> go.Figure:
    """Give a figure its template, wrapped title, margins and words for those who cannot see it.

    `height` is the whole figure's in px, or with `inner` that of the plot without the title. Title
    and note also go to ``layout.meta``, with the px that they take, for `alod_book.renderer`.
    """
    lines = textwrap.wrap(title, _TITLE_LETTERS)
    notes = textwrap.wrap(note, _NOTE_LETTERS)
    text = "<br>".join(lines)
    if notes:
        small = f'<span style="font-size:12px">{"<br>".join(notes)}</span>'
        text = f"{text}<br>{small}" if lines else small
    above = _LINE_HEIGHT * (len(lines) + len(notes))
    top = 14 + above
    fig.update_layout(
        template=TEMPLATE,
        title={
            "text": text,
            "font": {"size": 16},
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yanchor": "top",
            "yref": "container",
            # Plotly drops the first line's ascent where a title has several lines.
            "pad": {"t": 8 if len(lines) + len(notes) < 2 else 19, "l": 8},
        },
        margin={"l": 8, "r": 12, "t": top, "b": bottom},
        height=height + top if inner else height + _LINE_HEIGHT * max(0, len(lines) - 2),
        meta={
            "alt": f"{title.rstrip('.')}. {alt}" if title else alt,
            # For a page, which writes them above the figure and lets them wrap at its own width.
            "head": {"title": title, "note": note, "px": above},
        },
    )
    if legend is not None:
        fig.update_layout(showlegend=legend)
    return fig


def lay_under(fig: go.Figure, sheet: str, width: float, height: float) -> None:
    """Lay a `sheet`, a data URI, under a figure of so many units, its origin at the top left."""
    fig.add_layout_image(
        source=sheet,
        xref="x",
        yref="y",
        x=0,
        y=0,
        sizex=width,
        sizey=height,
        sizing="stretch",
        layer="below",
    )
    hidden = {"visible": False, "constrain": "domain"}
    fig.update_xaxes(range=[0, width], constraintoward="left", **hidden)
    fig.update_yaxes(range=[height, 0], scaleanchor="x", constraintoward="top", **hidden)


def matrix_axes(fig: go.Figure, names: list[str], x_title: str, y_title: str) -> None:
    """Name the rows of a matrix from the top, the columns from the left."""
    # Left to itself, plotly names every second row where they are low.
    shown = {"type": "category", "dtick": 1, "showgrid": False}
    fig.update_xaxes(title_text=x_title, range=[-0.5, len(names) - 0.5], **shown)
    fig.update_yaxes(title_text=y_title, range=[len(names) - 0.5, -0.5], **shown)


def cell_text(
    x: NDArray[np.intp], y: NDArray[np.intp], text: Sequence[str], names: list[str]
) -> go.Scatter:
    """Write into a matrix's cells in the page's text color; a heatmap's own text would be black."""
    return go.Scatter(
        x=[names[i] for i in x],
        y=[names[i] for i in y],
        text=list(text),
        mode="text",
        textfont={"size": 9},
        hoverinfo="skip",
        showlegend=False,
    )


def span(counts: pd.Series) -> str:
    """Return the least and the most of some counts, or the one that they are."""
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"


def check_length(name: str, values: Any, expected: int) -> None:
    """Refuse what is not one value for each image."""
    if np.ndim(values) != 1 or len(values) != expected:
        raise AlodError(
            f"{name} of shape {np.shape(values)}: expected ({expected},), one for each image"
        )


def check_columns(table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse a table without rows, or without one of some columns."""
    missing = [column for column in columns if column not in table]
    if missing or table.empty:
        raise AlodError(
            f"table of {len(table)} rows with columns {', '.join(map(str, table))}: expected rows "
            f"and the columns {', '.join(columns)}"
        )


def check_single(table: pd.DataFrame, keys: Sequence[str]) -> None:
    """Refuse a table with two rows for the same keys: two settings, models or seeds."""
    check_columns(table, keys)
    doubled = table.duplicated(list(keys))
    if doubled.any():
        row = table.loc[doubled, list(keys)].iloc[0]
        where = ", ".join(f"{name} {value}" for name, value in row.items())
        raise AlodError(f"two rows for {where}: expected one; select one setting, model or seed")
