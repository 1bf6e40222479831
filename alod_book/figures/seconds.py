"""Where a run's time goes."""

import pandas as pd
import plotly.graph_objects as go

from alod_book.figures.layout import check_columns, check_single, finish
from alod_book.figures.style import BLUE, GOLD


def seconds_per_round(history: pd.DataFrame, title: str = "", note: str = "") -> go.Figure:
    """Draw where the time of each round goes, as stacked bars.

    Parameters
    ----------
    history : DataFrame
        One run's ``round, fit_seconds, infer_seconds, query_seconds``, each round once.
    note : str
        A line under the title: the machine.
    title : str
        The finding in one sentence.

    Examples
    --------
    >>> history = pd.DataFrame({"round": [0, 1], "fit_seconds": [2.0, 2.0]})
    >>> history = history.assign(infer_seconds=0.5, query_seconds=0.1)
    >>> seconds_per_round(history).layout.meta["alt"]
    'Seconds per round, in all: training 4.0, reading the pool 1.0, choosing 0.2.'
    """
    parts = {
        "fit_seconds": ("training", BLUE),
        "infer_seconds": ("reading the pool", "#0A9A70"),
        "query_seconds": ("choosing", GOLD),
    }
    check_columns(history, ["round", *parts])
    check_single(history, ["round"])
    fig = go.Figure()
    for column, (name, color) in parts.items():
        fig.add_trace(
            go.Bar(
                x=history["round"],
                y=history[column],
                name=name,
                marker={"color": color},
                hovertemplate=f"round %{{x}}, {name}: %{{y:.2f}} s<extra></extra>",
            )
        )
    fig.update_layout(barmode="stack", bargap=0.3)
    fig.update_xaxes(title_text="round", showgrid=False, tickformat="d")
    fig.update_yaxes(title_text="seconds", rangemode="tozero")
    totals = ", ".join(f"{name} {history[column].sum():.1f}" for column, (name, _) in parts.items())
    return finish(fig, title, f"Seconds per round, in all: {totals}.", 340, note, legend=True)
