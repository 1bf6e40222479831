"""What tests and percentiles say: intervals, matrices, mean ranks, dots among random sets.

Parameters
----------
title : str
    The finding in one sentence.
level : float
    What a p-value, corrected by Holm's procedure, has to be below to count as sure.

Examples
--------
>>> row = {"strategy": ["outlier"], "n_seeds": 5, "mean_difference": 0.02, "low": 0.01}
>>> gain_intervals(pd.DataFrame(row | {"high": 0.03, "p_holm": 0.001})).layout.meta["alt"]
'Gain over random in points: outlier +2.0.'
"""

import textwrap
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from alod_book.figures.layout import (
    cell_text,
    check_columns,
    check_single,
    finish,
    matrix_axes,
    span,
)
from alod_book.figures.style import CLASS_COLORS, GREY, color_of, spelled

# Pixels of a critical-difference diagram: above its axis, between bars, and of a line of a name.
_ABOVE, _BAR, _NAME = 74, 8, 17


def gain_intervals(
    table: pd.DataFrame,
    by: str = "strategy",
    title: str = "",
    reference: str = "random",
    level: float = 0.05,
    summary: str = "area under the curve over log-labels",
) -> go.Figure:
    """Draw what each strategy gains over a reference, with the interval of the paired test.

    Who is not sure to differ at `level` is drawn hollow. Two rows for one strategy are refused.

    Parameters
    ----------
    table : DataFrame
        One setting of what `alod.experiments.evaluation.gains` returns.
    by : str
        The column that names the strategies.
    reference : str
        What they are measured against, for the words under the title.
    summary : str
        What the table is of, for the words under the title: in
        `alod.experiments.evaluation.METRICS`.
    """
    check_columns(table, [by, "n_seeds", "mean_difference", "low", "high", "p_holm"])
    check_single(table, [by])
    ordered = table.sort_values("mean_difference", ascending=False)
    colors = color_of(ordered[by])
    fig = go.Figure()
    add_intervals(fig, ordered, colors, by, level)
    fig.add_vline(x=0, line={"color": GREY, "width": 1, "dash": "dash"})
    names = [spelled(name) for name in ordered[by]]
    pitch = 34 if any(", " in name for name in names) else 26
    fig.update_xaxes(title_text=f"points above {spelled(reference)}")
    fig.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=names[::-1],
        # Two lines, or they would leave a phone no room for the points.
        tickvals=names,
        ticktext=[name.replace(", ", ",<br>") for name in names],
    )
    told = ", ".join(
        f"{spelled(row[by])} {100 * row['mean_difference']:+.1f}"
        for row in ordered.to_dict("records")
    )
    return finish(
        fig,
        title,
        f"Gain over {spelled(reference)} in points: {told}.",
        130 + pitch * max(len(names), 5),
        note=f"{summary.capitalize()}, minus that of {spelled(reference)} with the same seed; "
        f"mean and 95 % interval of {span(ordered['n_seeds'])} seeds. Filled: p < {level:g}, "
        "Holm-corrected.",
        legend=False,
    )


def add_intervals(
    fig: go.Figure,
    table: pd.DataFrame,
    colors: Mapping[Any, str],
    by: str = "strategy",
    level: float = 0.05,
    axes: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Draw in a figure `fig` the rows of a `table` as `gain_intervals` does, in the order given.

    Parameters
    ----------
    colors : mapping of str to str
        Of each value of `by`.
    axes : mapping of str to str
        Where to: ``xaxis`` and ``yaxis``, if not the first ones.
    """
    for row in table.to_dict("records"):
        points = {key: 100 * row[key] for key in ("mean_difference", "low", "high")}
        fig.add_trace(
            go.Scatter(
                x=[points["mean_difference"]],
                y=[spelled(row[by])],
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [points["high"] - points["mean_difference"]],
                    "arrayminus": [points["mean_difference"] - points["low"]],
                    "thickness": 2,
                    "width": 5,
                },
                mode="markers",
                marker={
                    "size": 11,
                    "color": colors[row[by]],
                    "line": {"width": 2, "color": colors[row[by]]},
                    # Hollow where the test leaves it open.
                    "symbol": "circle" if row["p_holm"] < level else "circle-open",
                },
                name=spelled(row[by]),
                hovertemplate=(
                    f"%{{y}}: %{{x:+.2f}} points, 95 % {points['low']:+.2f} to "
                    f"{points['high']:+.2f}<br>p = {row['p_holm']:.3g}, Holm; "
                    f"{row['n_seeds']} seeds<extra></extra>"
                ),
                showlegend=False,
                **axes,
            )
        )


def pairwise_matrix(tests: pd.DataFrame, title: str = "", level: float = 0.05) -> go.Figure:
    """Draw which strategies beat which: color is row minus column, a number that it is sure.

    Parameters
    ----------
    tests : DataFrame
        One setting of what `alod.experiments.evaluation.compare_strategies` returns; two rows for
        one pair are refused. Differences that are sure at `level` get their number, with its sign.
    """
    check_columns(tests, ["first", "second", "n_seeds", "mean_difference", "p_holm"])
    check_single(tests, ["first", "second"])
    keys = list(pd.unique(pd.concat([tests["first"], tests["second"]])))
    names = [spelled(key) for key in keys]
    points = np.full((len(keys), len(keys)), np.nan)
    p_holm = np.full_like(points, np.nan)
    for test in tests.to_dict("records"):
        first, second = keys.index(test["first"]), keys.index(test["second"])
        points[first, second] = 100 * test["mean_difference"]
        points[second, first] = -points[first, second]
        p_holm[first, second] = p_holm[second, first] = test["p_holm"]
    fig = go.Figure(
        go.Heatmap(
            z=points,
            customdata=p_holm,
            x=names,
            y=names,
            zmid=0,
            colorscale=[
                [0, "rgba(146,104,214,0.8)"],
                [0.5, "rgba(128,128,128,0)"],
                [1, "rgba(10,154,112,0.8)"],
            ],
            showscale=False,
            hoverongaps=False,
            xgap=1,
            ygap=1,
            hovertemplate=(
                "%{y} − %{x}: %{z:+.2f} points<br>p = %{customdata:.3g}, Holm<extra></extra>"
            ),
        )
    )
    row, column = np.nonzero(p_holm < level)
    signed = [f"{v:+.1f}".replace("-", "\N{MINUS SIGN}") for v in points[row, column]]
    fig.add_trace(cell_text(column, row, signed, names))
    matrix_axes(fig, names, "", "")
    wins = (p_holm < level) & (points > 0)
    told = "; ".join(
        f"{name} beats {', '.join(names[loser] for loser in np.flatnonzero(wins[winner]))}"
        for winner, name in enumerate(names)
        if wins[winner].any()
    )
    seeds = span(tests["n_seeds"])
    note = (
        f"Row minus column in points, mean of {seeds} seeds; green: the row is better. Numbers "
        f"where the paired t-test, Holm-corrected, gives p < {level:g}."
    )
    alt = (
        f"Pairwise comparison of {len(keys)} strategies: {told or 'no difference is significant'}."
    )
    return finish(fig, title, alt, 180 + 30 * len(keys), note)


def critical_difference(table: pd.DataFrame, by: str = "strategy", title: str = "") -> go.Figure:
    """Draw mean ranks on an axis, the best at the left; a bar joins who is not told apart.

    As in Demšar 2006, "Statistical comparisons of classifiers over multiple data sets".

    Parameters
    ----------
    table : DataFrame
        What `alod.experiments.evaluation.mean_ranks` returns; two rows for one strategy are
        refused.
    by : str
        The column that names the strategies.
    """
    check_columns(table, [by, "mean_rank", "n_settings", "critical_difference"])
    check_single(table, [by])
    ordered = table.sort_values("mean_rank", kind="stable")
    apart, n = ordered["critical_difference"].iloc[0], ordered["n_settings"].iloc[0]
    ranks, names = ordered["mean_rank"].to_numpy(), [spelled(name) for name in ordered[by]]
    bars = _not_apart(ranks, apart)
    low, high = float(np.floor(ranks[0])), float(np.ceil(ranks[-1]))
    # The ruler of the difference needs room, too, if ranks can be that far apart.
    high = max(high, low + 1, low + apart if apart <= len(ranks) - 1 else 0)
    pad = 0.04 * (high - low)
    fig = go.Figure()
    told = [f"{name} {rank:.1f}" for name, rank in zip(names, ranks, strict=True)]
    start = _BAR * (len(bars) + 2)
    depth = _add_names(fig, ordered[by], ranks, told, (low - pad, high + pad), start)
    lines = [(ranks[i], ranks[j], -_BAR * (row + 1.5)) for row, (i, j) in enumerate(bars)]
    fig.add_trace(_horizontal(lines, 5))
    if low + apart <= high:
        fig.add_trace(_horizontal([(low, low + apart, _ABOVE - 20)], 2))
        at = {"x": low, "xanchor": "left", "y": _ABOVE - 20, "yanchor": "bottom"}
        text = f"critical difference {apart:.2f}"
        fig.add_annotation(**at, text=text, font={"size": 12}, showarrow=False)
    fig.update_xaxes(
        title_text="mean rank",
        range=[low - pad, high + pad],
        side="top",
        anchor="free",
        position=depth / (depth + _ABOVE),
        showgrid=False,
        showline=True,
        linecolor=GREY,
        ticks="outside",
        tickcolor=GREY,
        nticks=8,
    )
    fig.update_yaxes(visible=False, range=[-depth, _ABOVE])
    margin = fig.layout.margin.to_plotly_json()
    joined = "; ".join(f"{names[i]} to {names[j]}" for i, j in bars)
    finish(
        fig,
        title,
        f"Mean ranks: {', '.join(told)}. Not told apart: {joined or 'none'}.",
        round(depth + _ABOVE) + 8,
        note=f"n = {n} settings; 1 is best. A bar joins who is less than {apart:.2f} apart, which "
        "Nemenyi's test at .05 does not tell apart.",
        legend=False,
        inner=True,
    )
    return fig.update_layout(margin=margin)


def _not_apart(ranks: NDArray[np.floating], apart: float) -> list[tuple[int, int]]:
    """Return first and last of each group whose sorted ranks are less than `apart` apart."""
    ends = [int(np.flatnonzero(ranks - rank < apart).max()) for rank in ranks]
    # A group within another says nothing.
    return [
        (first, last)
        for first, last in enumerate(ends)
        if last > first and last > max(ends[:first], default=0)
    ]


def _add_names(
    fig: go.Figure,
    keys: pd.Series,
    ranks: NDArray[np.floating],
    told: list[str],
    edges: tuple[float, float],
    start: float,
) -> float:
    """Lead from each rank to its name, beside the plot, below `start`; return how deep it goes.

    The better half left, the best on top, the others right, the worst on top: no two lines cross.
    """
    # On two lines at most, names leave a phone half its width for the axis.
    lines = [textwrap.wrap(text, 16) for text in told]
    half = (len(told) + 1) // 2
    colors, depths = color_of(keys), []
    for side, places in (("l", range(half)), ("r", range(len(told) - 1, half - 1, -1))):
        edge, anchor, out = (edges[0], "right", -3) if side == "l" else (edges[1], "left", 3)
        depth = start
        for place in places:
            height = _NAME * len(lines[place]) + 4
            at, depth = -depth - height / 2, depth + height
            color = colors[keys.iloc[place]]
            name, rank = spelled(keys.iloc[place]), ranks[place]
            fig.add_trace(
                go.Scatter(
                    x=[rank, rank, edge],
                    y=[0, at, at],
                    name=name,
                    mode="lines+markers",
                    line={"color": color, "width": 1.5},
                    marker={"color": color, "size": [9, 0, 0], "opacity": 1, "line": {"width": 0}},
                    hovertemplate=f"{name}: mean rank {rank:.2f}<extra></extra>",
                )
            )
            text = "<br>".join(lines[place])
            where = {"x": edge, "xanchor": anchor, "xshift": out, "y": at, "align": anchor}
            fig.add_annotation(**where, text=text, font={"size": 12}, showarrow=False)
        depths.append(depth)
        widest = max((len(line) for place in places for line in lines[place]), default=0)
        fig.update_layout(margin={side: 14 + round(6.4 * widest)})
    return float(max(depths))


def _horizontal(lines: list[tuple[float, float, float]], width: float) -> go.Scatter:
    """Draw lines, each from left to right at a height, as one trace."""
    return go.Scatter(
        x=[x for left, right, _ in lines for x in (left, right, None)],
        y=[y for _, _, height in lines for y in (height, height, None)],
        mode="lines",
        line={"color": GREY, "width": width},
        hoverinfo="skip",
    )


def match_percentiles(table: pd.DataFrame, title: str = "", note: str = "") -> go.Figure:
    """Draw how well initial sets keep the pool's distribution, among random sets of their size.

    Parameters
    ----------
    table : DataFrame
        ``initial`` (method), ``measure`` (its name) and ``percentile``: how many percent of the
        random sets match the pool better, in [0, 100].
    note : str
        n, before the line under the title that says how to read the axis.
    """
    check_columns(table, ["initial", "measure", "percentile"])
    fig = go.Figure()
    symbols = ("circle", "diamond", "square", "cross", "star")
    for place, (measure, own) in enumerate(table.groupby("measure", sort=False)):
        fig.add_trace(
            go.Scatter(
                x=own["percentile"],
                y=own["initial"],
                name=str(measure),
                mode="markers",
                marker={
                    "size": 11,
                    "symbol": symbols[place % len(symbols)],
                    "color": CLASS_COLORS[place % len(CLASS_COLORS)],
                },
                hovertemplate=f"%{{y}}, {measure}: percentile %{{x:.1f}}<extra></extra>",
            )
        )
    methods = [str(name) for name in table["initial"].unique()]
    fig.add_vline(x=50, line={"color": GREY, "width": 1, "dash": "dash"})
    fig.update_xaxes(title_text="percentile among random sets", range=[-4, 104])
    fig.update_yaxes(type="category", categoryorder="array", categoryarray=methods[::-1])
    means = table.groupby("initial", sort=False)["percentile"]
    told = "; ".join(f"{name} {own.min():.0f} to {own.max():.0f}" for name, own in means)
    return finish(
        fig,
        title,
        f"Percentiles among random sets: {told}.",
        150 + 36 * len(methods),
        note=f"{note} 0: closer to the pool than every random set; dashed: a typical one.".strip(),
        legend=True,
    )
