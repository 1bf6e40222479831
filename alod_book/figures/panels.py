"""Several panels in one figure, where one would tell too many lines apart.

Parameters
----------
title : str
    The finding in one sentence.

Examples
--------
>>> curves = pd.DataFrame({"strategy": ["random", "margin"] * 2, "seed": [0, 0, 1, 1]})
>>> curves = curves.assign(n_labeled=50, test_accuracy=[0.6, 0.7, 0.8, 0.8])
>>> learning_panels(curves).layout.meta["alt"]
'Points above random, a panel each: margin +5.0 at 50 labels.'
"""

import textwrap
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from alod.errors import AlodError, check_count
from alod.experiments.evaluation import summarize
from alod_book.figures.curves import faded, log_ticks
from alod_book.figures.layout import check_columns, check_single, finish, span
from alod_book.figures.style import GREY, color_of, spelled
from alod_book.figures.tests import add_intervals

# Pixels: of a panel, of a line of its name, and of what stands below the last.
_PANEL, _NAME, _BELOW = 84, 14, 46
# Of two parts: what stands above the upper, that, what is between, and a row of the lower.
_HEAD, _ARROWS, _BETWEEN, _ROW = 20, 250, 78, 24


def learning_panels(
    curves: pd.DataFrame,
    reference: str = "random",
    by: str = "strategy",
    title: str = "",
    columns: int = 3,
) -> go.Figure:
    """Draw how far each learning curve is above a reference's: a panel each, the others in grey.

    Of accuracy itself, twenty curves lie on each other. Paired by seed: mean and standard error of
    the differences, at the budgets that both have.

    Parameters
    ----------
    curves : DataFrame
        Tidy curves of one setting (``seed, n_labeled, test_accuracy`` and `by`); the panels keep
        its order.
    reference : str
        The value of `by` that is the level 0.
    by : str
        The column that tells the curves apart.
    columns : int
        Panels in a row.
    """
    check_count("columns", columns, 1)
    check_columns(curves, [by, "seed", "n_labeled", "test_accuracy"])
    check_single(curves, [by, "seed", "n_labeled"])
    level = curves[curves[by] == reference][["seed", "n_labeled", "test_accuracy"]]
    others = curves[curves[by] != reference]
    both = others.merge(level, on=["seed", "n_labeled"], suffixes=("", "_reference"))
    if both.empty:
        raise AlodError(f"no seed and budget of {reference} and another: expected pairs; run them")
    points = 100 * (both["test_accuracy"] - both["test_accuracy_reference"])
    summary = summarize(both.assign(test_accuracy=points), [by]).round(3)
    lines = dict(list(summary.groupby(by, sort=False)))
    columns = min(columns, len(lines))
    rows = -(-len(lines) // columns)
    head = _NAME * max(len(_name_lines(label)) for label in lines) + 4
    fig = go.Figure()
    _add_lines(fig, lines, columns)
    _lay_out(fig, len(lines), columns, _PANEL / (_PANEL + head), summary["n_labeled"])
    ends = {spelled(label): own.iloc[-1] for label, own in lines.items()}
    told = "; ".join(
        f"{name} {end['accuracy_mean']:+.1f} at {end['n_labeled']:,} labels"
        for name, end in ends.items()
    )
    error = summary["accuracy_se"].fillna(0)
    seen = [0, (summary["accuracy_mean"] - error).min(), (summary["accuracy_mean"] + error).max()]
    pad = 0.06 * (max(seen) - min(seen)) + 0.01
    fig.update_yaxes(range=[min(seen) - pad, max(seen) + pad])
    return finish(
        fig,
        title,
        f"Points above {spelled(reference)}, a panel each: {told}.",
        rows * (_PANEL + head) + _BELOW,
        note=f"Test accuracy minus that of {spelled(reference)} with the same seed, points. Mean "
        f"of {span(summary['n_seeds'])} seeds; band: standard error; grey: the others.",
        bottom=_BELOW,
        legend=False,
        inner=True,
    )


def _add_lines(fig: go.Figure, lines: dict[Any, pd.DataFrame], columns: int) -> None:
    """Draw each line in a panel of its own, with its band, its name, and the others in grey."""
    # All others in one trace, parted by gaps: a page with twenty times twenty would be slow.
    gap = [None]
    everyone = {
        "x": [x for own in lines.values() for x in (*own["n_labeled"], *gap)],
        "y": [y for own in lines.values() for y in (*own["accuracy_mean"], *gap)],
        "line": {"color": faded(GREY, 0.3), "width": 1},
    }
    colors = color_of(list(lines))
    for place, (label, own) in enumerate(lines.items()):
        row, column = divmod(place, columns)
        axes = {"xaxis": _axis("x", column), "yaxis": _axis("y", row)}
        mean, error = own["accuracy_mean"], own["accuracy_se"].fillna(0)
        band = {
            "x": [*own["n_labeled"], *own["n_labeled"][::-1]],
            "y": [*(mean + error), *(mean - error)[::-1]],
            "fill": "toself",
            "fillcolor": faded(colors[label], 0.25),
            "line": {"width": 0},
        }
        for behind in (everyone, band):
            fig.add_trace(go.Scatter(**behind, mode="lines", hoverinfo="skip", **axes))
        hover = f"<b>{spelled(label)}</b>, %{{x:,}} labels<br>%{{y:+.2f}} points<extra></extra>"
        fig.add_trace(
            go.Scatter(
                x=own["n_labeled"],
                y=mean,
                name=spelled(label),
                mode="lines",
                line={"color": colors[label], "width": 2.5},
                hovertemplate=hover,
                **axes,
            )
        )
        _head(fig, "<br>".join(_name_lines(label)), *axes.values())


def _lay_out(fig: go.Figure, n: int, columns: int, share: float, budgets: pd.Series) -> None:
    """Share axes between the `n` panels: one below each column, one left of each row."""
    rows = -(-n // columns)
    low, high = budgets.min(), budgets.max()
    # Two labels at most find room below a panel on a phone: powers of ten, or the ends.
    ticks = [tick for tick in log_ticks(low, high) if f"{tick:e}".startswith("1.0")]
    ticks = ticks if len(ticks) > 1 else [low, high]
    for column in range(columns):
        lowest = rows - 1 if column < n - (rows - 1) * columns else rows - 2
        axis = {
            "domain": [column / columns, (column + 0.94) / columns],
            "anchor": _axis("y", lowest),
            "type": "log",
            "range": np.log10([low / 1.06, high * 1.06]).tolist(),
            "title": {"text": "labels"},
            "tickvals": ticks,
            "ticktext": [f"{tick:,.0f}" for tick in ticks],
        }
        fig.update_layout({_axis("xaxis", column): axis})
    for row in range(rows):
        bottom = (rows - 1 - row) / rows
        axis = {
            "domain": [bottom, bottom + share / rows],
            "title": {"text": "points"},
            "zeroline": True,
            "zerolinecolor": GREY,
            "zerolinewidth": 2,
            "nticks": 4,
        }
        fig.update_layout({_axis("yaxis", row): axis})


def filter_and_query(
    points: pd.DataFrame,
    tests: pd.DataFrame,
    title: str = "",
    reference: str = "outlier",
    share: str = "test accuracy",
) -> go.Figure:
    """Draw what a filter of foreign images gives to each query, and what the query itself gives.

    Above, accuracy against foreign answers, an arrow from each query without the filter to the same
    with it; below, all of them with it, measured against one.

    Parameters
    ----------
    points : DataFrame
        A row for each query, with the filter and without: ``strategy, filtered`` (bool),
        ``foreign`` and ``accuracy``, means in [0, 1].
    tests : DataFrame
        One setting of what `alod.experiments.evaluation.gains` returns of the filtered.
    reference : str
        What they are measured against.
    share : str
        What ``accuracy`` is, for its axis.
    """
    check_columns(points, ["strategy", "filtered", "foreign", "accuracy"])
    check_single(points, ["strategy", "filtered"])
    check_columns(tests, ["strategy", "n_seeds", "mean_difference", "low", "high", "p_holm"])
    colors = color_of(list(dict.fromkeys([*points["strategy"], *tests["strategy"], reference])))
    fig = go.Figure()
    moved = _add_arrows(fig, points, colors)
    gained = dict(zip(tests["strategy"], tests["mean_difference"], strict=True))
    order = sorted([*gained, reference], key=lambda name: gained.get(name, 0.0))
    add_intervals(fig, tests, colors, axes={"xaxis": "x2", "yaxis": "y2"})
    fig.add_trace(
        go.Scatter(
            x=[0],
            y=[spelled(reference)],
            name=spelled(reference),
            mode="markers",
            marker={"size": 11, "color": colors[reference], "symbol": "diamond"},
            hovertemplate="%{y}: what the others are measured against<extra></extra>",
            showlegend=False,
            xaxis="x2",
            yaxis="y2",
        )
    )
    below = _ROW * len(order)
    whole = _HEAD + _ARROWS + _BETWEEN + below
    fig.update_layout(
        xaxis={"title": {"text": "foreign answers"}, "tickformat": ".0~%", "anchor": "y"},
        yaxis={
            "title": {"text": share},
            "tickformat": ".1~%",
            "domain": [1 - (_HEAD + _ARROWS) / whole, 1 - _HEAD / whole],
        },
        xaxis2={
            "title": {"text": f"points above {spelled(reference)}, both with the filter"},
            "anchor": "y2",
            "zeroline": True,
            "zerolinecolor": GREY,
        },
        yaxis2={
            "anchor": "x2",
            "domain": [0, below / whole],
            "type": "category",
            "categoryorder": "array",
            "categoryarray": [spelled(name) for name in order],
        },
    )
    _head(fig, "<b>What the filter gives</b>", "x", "y")
    _head(fig, "<b>What the query gives</b>", "x2", "y2")
    alone = sum(trace.showlegend for trace in fig.data)
    under = _BELOW + 24 * -(-alone // 2)
    told = ", ".join(f"{spelled(name)} {100 * gain:+.1f}" for name, gain in gained.items())
    return finish(
        fig,
        title,
        f"Foreign answers without and with the filter: {moved}. Points above {spelled(reference)}, "
        f"both with the filter: {told}.",
        whole + under,
        note=f"Mean of {span(tests['n_seeds'])} seeds. Above: arrows lead from a query without the "
        "filter to the same with it. Below: 95\N{NO-BREAK SPACE}% intervals, paired; filled: p < "
        ".05, Holm-corrected.",
        bottom=under,
        legend=alone > 0,
        inner=True,
    )


def _add_arrows(fig: go.Figure, points: pd.DataFrame, colors: dict[Any, str]) -> str:
    """Draw each query without and with the filter, and an arrow between; say how they move."""
    told = []
    for strategy, own in points.groupby("strategy", sort=False):
        own = own.sort_values("filtered")
        name, color = spelled(strategy), colors[strategy]
        both = len(own) == 2
        symbols = np.where(own["filtered"], "circle", "circle-open")
        line = {"width": 2, "color": color}
        hover = [f"{name}, {'with' if f else 'without'} the filter" for f in own["filtered"]]
        fig.add_trace(
            go.Scatter(
                x=own["foreign"],
                y=own["accuracy"],
                name=name,
                mode="markers",
                marker={"size": 9, "color": color, "symbol": symbols, "line": line},
                customdata=hover,
                hovertemplate="%{customdata}<br>%{x:.1%} foreign, %{y:.2%}<extra></extra>",
                # The others are named below.
                showlegend=not own["filtered"].any(),
            )
        )
        (x, y), (to_x, to_y) = own[["foreign", "accuracy"]].iloc[[0, -1]].to_numpy()
        told.append(f"{name} {x:.0%}" + (f" and {to_x:.0%}" if both else ""))
        if both:
            ends = {"ax": x, "ay": y, "axref": "x", "ayref": "y", "x": to_x, "y": to_y}
            look = {"arrowhead": 2, "arrowwidth": 1.5, "arrowcolor": color}
            fig.add_annotation(**ends, **look, text="", standoff=5, startstandoff=5)
    return ", ".join(told)


def _head(fig: go.Figure, text: str, x: str, y: str) -> None:
    """Write above the left end of a panel what it is of."""
    fig.add_annotation(
        x=0,
        y=1,
        xref=f"{x} domain",
        yref=f"{y} domain",
        xanchor="left",
        yanchor="bottom",
        align="left",
        text=text,
        font={"size": 12},
        showarrow=False,
    )


def _name_lines(label: object) -> list[str]:
    return textwrap.wrap(spelled(label), 16)


def _axis(name: str, place: int) -> str:
    return f"{name}{place + 1}" if place else name
