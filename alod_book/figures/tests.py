"""What paired tests and percentiles say: intervals, matrices, dots among random sets.

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

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from alod_book.figures.layout import (
    cell_text,
    check_columns,
    check_single,
    finish,
    matrix_axes,
    span,
)
from alod_book.figures.style import CLASS_COLORS, GREY, color_of, spelled


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
    for row in ordered.to_dict("records"):
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
            )
        )
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
                [0, "rgba(31,119,201,0.8)"],
                [0.5, "rgba(128,128,128,0)"],
                [1, "rgba(224,86,11,0.8)"],
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
        f"Row minus column in points, mean of {seeds} seeds; orange: the row is better. Numbers "
        f"where the paired t-test, Holm-corrected, gives p < {level:g}."
    )
    alt = (
        f"Pairwise comparison of {len(keys)} strategies: {told or 'no difference is significant'}."
    )
    return finish(fig, title, alt, 180 + 30 * len(keys), note)


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
