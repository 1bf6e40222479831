"""Learning curves.

Parameters
----------
curves : DataFrame or mapping of str to DataFrame
    Tidy curves of one setting (``seed, n_labeled, test_accuracy`` and `by`); what
    `alod.experiments.evaluation.summarize` made of them; or a name for each history of a run,
    such as ``{"outlier": run.history}``. Two settings, several values at one budget, are refused.
by : str
    The column that tells the lines apart.
title : str
    The finding in one sentence.
baseline : float or mapping of str to float, optional
    Accuracy with all labels, in [0, 1], a dashed level; a mapping names several, and one that has
    a line's name gets its color.
published : DataFrame, optional
    Somebody else's curves (``n_labeled, test_accuracy``, and `by` if several), thin and dotted.
band : {"se", "range"}
    Standard error of the mean, or lowest to highest seed.

Examples
--------
>>> history = pd.DataFrame({"n_labeled": [50, 100], "test_accuracy": [0.71, 0.84]})
>>> fig = learning_curves({"outlier": history}, title="Fifty more labels are worth 13 points")
>>> fig.layout.meta["alt"].partition(": ")[2]
'outlier from 71.0% at 50 to 84.0% at 100 labels.'
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from alod.errors import check_count, check_name
from alod.experiments.evaluation import summarize
from alod_book.figures.layout import check_columns, check_single, finish, span
from alod_book.figures.style import GREY, STRATEGY_DASHES, color_of, spelled


@dataclass(frozen=True)
class _Labels:
    """The axis of labels: its title, how a point on it is told, how it is scaled."""

    title: str
    hover: str
    log: bool


def learning_curves(
    curves: pd.DataFrame | Mapping[str, pd.DataFrame],
    by: str = "strategy",
    title: str = "",
    baseline: float | Mapping[str, float] | None = None,
    published: pd.DataFrame | None = None,
    band: str = "se",
    log: bool = True,
    share: str = "test accuracy",
) -> go.Figure:
    """Draw test accuracy against labels: a line per value of `by`, a band for the spread.

    Parameters
    ----------
    log : bool
        Labels on a logarithmic axis.
    share : str
        What ``test_accuracy`` holds, for the axis, if it is another share in [0, 1].
    """
    summary = _summary(curves, by)
    lines = summary.assign(x=summary["n_labeled"])
    if published is not None:
        published = published.assign(x=published["n_labeled"])
    axis = _Labels("labels", "%{x:,.0f} labels", log)
    return _draw_curves(lines, by, title, baseline, published, band, axis, share)


def accuracy_against_share(
    curves: pd.DataFrame | Mapping[str, pd.DataFrame],
    n_pool: int,
    by: str = "model",
    title: str = "",
    baseline: float | Mapping[str, float] | None = None,
    published: pd.DataFrame | None = None,
    band: str = "se",
) -> go.Figure:
    """Draw test accuracy against the share of the pool that is labeled, on a logarithmic axis.

    Parameters
    ----------
    n_pool : int
        Images in the pool before anything was labeled; also for the published curves.
    """
    check_count("n_pool", n_pool, 1)
    summary = _summary(curves, by)
    lines = summary.assign(x=summary["n_labeled"] / n_pool)
    if published is not None:
        published = published.assign(x=published["n_labeled"] / n_pool)
    axis = _Labels("share of the pool labeled", "%{x:.2~%} of the pool", log=True)
    return _draw_curves(lines, by, title, baseline, published, band, axis)


def _summary(curves: pd.DataFrame | Mapping[str, pd.DataFrame], by: str) -> pd.DataFrame:
    if isinstance(curves, Mapping):
        curves = pd.concat(
            [history.assign(**{by: name}) for name, history in curves.items()], ignore_index=True
        )
        if "seed" not in curves:
            curves = curves.assign(seed=0)
    if "accuracy_mean" not in curves:
        return summarize(curves, [by])
    check_single(curves, [by, "n_labeled"])
    return curves


def _draw_curves(
    summary: pd.DataFrame,
    by: str,
    title: str,
    baseline: float | Mapping[str, float] | None,
    published: pd.DataFrame | None,
    band: str,
    axis: _Labels,
    share: str = "test accuracy",
) -> go.Figure:
    check_name("band", band, ("se", "range"))
    colors = color_of(summary[by].unique())
    lines = {label: own.sort_values("x") for label, own in summary.groupby(by, sort=False)}
    levels = _levels(baseline, colors)
    theirs = [] if published is None else _published_lines(published, by)
    fig = go.Figure()
    _add_bands(fig, lines, colors, band)
    _add_lines(fig, lines, colors, band, axis)
    if published is not None:
        _add_published(fig, theirs, colors, axis)

    low, high = _band(summary, band)
    seen = [low.min(), high.max(), *(value for _, value, _ in levels)]
    seen += [end for _, own in theirs for end in own["test_accuracy"].agg(["min", "max"])]
    pad = 0.04 * (max(seen) - min(seen)) + 0.002
    y_range = [min(seen) - pad, min(1.0, max(seen) + pad)]
    xs = [x for trace in fig.data for x in trace.x if x is not None]
    _draw_levels(fig, levels, colors, [min(xs), max(xs)])
    _scale_labels(fig, axis, min(xs), max(xs))
    fig.update_yaxes(title_text=share, tickformat=".1~%", range=y_range)

    height = 430
    right = None
    if published is None:
        pixels = (height - 130) / (y_range[1] - y_range[0])
        right = _label_ends(fig, lines, colors, pixels, axis.log)
    in_legend = sum(trace.showlegend is not False for trace in fig.data)
    # A phone's legend has two entries in a row.
    height += 10 * in_legend
    alt = _curves_alt(lines, levels, axis.title, share)
    finish(fig, title, alt, height, _seeds_note(summary, band), legend=in_legend > 0)
    if right is not None:
        fig.update_layout(margin_r=right)
    return fig


def _add_bands(
    fig: go.Figure, lines: dict[Any, pd.DataFrame], colors: dict[Any, str], band: str
) -> None:
    for label, own in lines.items():
        bottom, top = _band(own, band)
        if (own["n_seeds"] > 1).any():
            fig.add_trace(
                go.Scatter(
                    x=[*own["x"], *own["x"][::-1]],
                    y=[*top, *bottom[::-1]],
                    fill="toself",
                    fillcolor=faded(colors[label], 0.2),
                    line={"width": 0},
                    mode="lines",
                    hoverinfo="skip",
                    showlegend=False,
                    legendgroup=str(label),
                )
            )


def _add_lines(
    fig: go.Figure,
    lines: dict[Any, pd.DataFrame],
    colors: dict[Any, str],
    band: str,
    axis: _Labels,
) -> None:
    for label, own in lines.items():
        bottom, top = _band(own, band)
        hover = f"<b>{spelled(label)}</b>, {axis.hover}<br>%{{y:.2%}}"
        if (own["n_seeds"] > 1).any():
            hover += " (%{customdata[0]:.2%} to %{customdata[1]:.2%}, n = %{customdata[2]:d})"
        fig.add_trace(
            go.Scatter(
                x=own["x"],
                y=own["accuracy_mean"],
                customdata=np.column_stack([bottom, top, own["n_seeds"]]),
                meta={"columns": ["low", "high", "seeds"]},
                name=spelled(label),
                legendgroup=str(label),
                mode="lines+markers",
                line={
                    "color": colors[label],
                    "width": 3.5 if label == "outlier" else 2,
                    "dash": STRATEGY_DASHES.get(str(label), "solid"),
                },
                marker={"size": 5},
                hovertemplate=hover + "<extra></extra>",
            )
        )


def _add_published(
    fig: go.Figure,
    theirs: list[tuple[Any, pd.DataFrame]],
    colors: dict[Any, str],
    axis: _Labels,
) -> None:
    fig.add_trace(_legend_line("as published", "dot"))
    for label, own in theirs:
        name = f"{spelled(label)} as published" if label else "as published"
        fig.add_trace(
            go.Scatter(
                x=own["x"],
                y=own["test_accuracy"],
                name=name,
                mode="lines",
                line={"color": colors.get(label, GREY), "width": 1.5, "dash": "dot"},
                showlegend=False,
                hovertemplate=f"<b>{name}</b>, {axis.hover}<br>%{{y:.2%}}<extra></extra>",
            )
        )


def _scale_labels(fig: go.Figure, axis: _Labels, low: float, high: float) -> None:
    fig.update_xaxes(title_text=axis.title)
    if axis.log:
        ticks = log_ticks(low, high)
        spell = (lambda tick: f"{tick:,.0f}") if axis.title == "labels" else _percent
        fig.update_xaxes(type="log", tickvals=ticks, ticktext=[spell(tick) for tick in ticks])
        edges = np.log10([low, high])
        fig.update_xaxes(range=[edges[0] - 0.02 * np.ptp(edges), edges[1] + 0.02 * np.ptp(edges)])
    elif axis.title == "labels":
        fig.update_xaxes(tickformat=",d")


def _draw_levels(
    fig: go.Figure, levels: list[tuple[Any, float, str]], colors: dict[Any, str], width: list[float]
) -> None:
    """Draw baselines: one is named on its line, more in the legend, models' own once for all."""
    names = [
        f"{spelled(label)}, all labels" if label in colors else str(label) for label, _, _ in levels
    ]
    for name, (label, value, color) in zip(names, levels, strict=True):
        line = {"color": color, "width": 1.5, "dash": "dash"}
        fig.add_trace(
            go.Scatter(
                x=width,
                y=[value, value],
                mode="lines",
                line=line,
                name=name,
                showlegend=len(levels) > 1 and label not in colors,
                hovertemplate=f"{name}: {value:.2%}<extra></extra>",
            )
        )
    if len(levels) > 1 and any(label in colors for label, _, _ in levels):
        fig.add_trace(_legend_line("all labels", "dash"))
    if len(levels) == 1:
        ((_, value, color),) = levels
        fig.add_annotation(
            x=0,
            xref="paper",
            xanchor="left",
            y=value,
            yanchor="bottom",
            text=f"{names[0]}: {value:.1%}",
            font={"color": color, "size": 12},
            showarrow=False,
        )


def _legend_line(name: str, dash: str) -> go.Scatter:
    line = {"color": GREY, "width": 1.5, "dash": dash}
    return go.Scatter(x=[None], y=[None], mode="lines", line=line, name=name, hoverinfo="skip")


def _label_ends(
    fig: go.Figure, lines: dict[Any, pd.DataFrame], colors: dict[Any, str], pixels: float, log: bool
) -> int | None:
    """Write each line's name at its end; return the right margin, None where a legend is better."""
    ends = {label: own.iloc[-1] for label, own in lines.items()}
    names = {label: spelled(label) for label in lines}
    longest = max(map(len, names.values()))
    together = len({float(end["x"]) for end in ends.values()}) == 1
    # Below the upper edge: above it stands the title.
    top = fig.layout.yaxis.range[1] * pixels
    shifts = _spread([end["accuracy_mean"] * pixels for end in ends.values()], 14, top)
    # A name far from its line, or written over a line that goes on, says less than a legend.
    if len(lines) > 6 or longest > 16 or not together or max(map(abs, shifts)) > 60:
        return None
    drawn = {trace.name: trace for trace in fig.data}
    for (label, end), shift in zip(ends.items(), shifts, strict=True):
        drawn[names[label]].showlegend = False
        fig.add_annotation(
            x=float(np.log10(end["x"]) if log else end["x"]),
            xanchor="left",
            y=end["accuracy_mean"],
            # A thin line leads to a name that had to move.
            ax=16,
            ay=-shift,
            arrowhead=0,
            arrowwidth=1,
            arrowcolor=colors[label] if abs(shift) > 4 else "rgba(0,0,0,0)",
            standoff=5,
            text=names[label],
            font={"color": colors[label], "size": 13},
        )
    return 22 + round(7.3 * longest)


def _levels(
    baseline: float | Mapping[str, float] | None, colors: dict[Any, str]
) -> list[tuple[Any, float, str]]:
    if baseline is None:
        return []
    named = baseline if isinstance(baseline, Mapping) else {"all labels": baseline}
    return [(label, float(value), colors.get(label, GREY)) for label, value in named.items()]


def _published_lines(published: pd.DataFrame, by: str) -> list[tuple[Any, pd.DataFrame]]:
    check_columns(published, ["n_labeled", "test_accuracy"])
    if by in published:
        check_single(published, [by, "n_labeled"])
        return list(published.groupby(by, sort=False))
    check_single(published, ["n_labeled"])
    return [("", published)]


def _band(summary: pd.DataFrame, band: str) -> tuple[pd.Series, pd.Series]:
    if band == "range":
        return summary["accuracy_min"], summary["accuracy_max"]
    spread = summary["accuracy_se"].fillna(0)
    return summary["accuracy_mean"] - spread, summary["accuracy_mean"] + spread


def _seeds_note(summary: pd.DataFrame, band: str) -> str:
    if summary["n_seeds"].max() == 1:
        return "One seed."
    spread = "standard error" if band == "se" else "lowest to highest seed"
    return f"Mean of {span(summary['n_seeds'])} seeds; band: {spread}."


def _curves_alt(
    lines: dict[Any, pd.DataFrame],
    levels: list[tuple[Any, float, str]],
    x_title: str,
    share: str,
) -> str:
    told = []
    for label, own in lines.items():
        first, last = own.iloc[0], own.iloc[-1]
        told.append(
            f"{spelled(label)} from {first['accuracy_mean']:.1%} at {first['n_labeled']:,} to "
            f"{last['accuracy_mean']:.1%} at {last['n_labeled']:,} labels"
        )
    told += [
        f"{spelled(label)}{', all labels,' if label in lines else ''} {value:.1%}"
        for label, value, _ in levels
    ]
    return f"{share[0].upper()}{share[1:]} against {x_title}: {'; '.join(told)}."


def _spread(heights: Sequence[float], gap: float, top: float = np.inf) -> list[float]:
    """Return shifts that keep labels `gap` apart and below `top`, each as near as may be."""
    order = np.argsort(heights, kind="stable")
    placed = np.asarray(heights, dtype=float)[order]
    for _ in range(200):
        overlap = np.maximum(gap - np.diff(placed), 0)
        if overlap.max(initial=0) < 0.01:
            break
        placed[1:] += overlap / 2
        placed[:-1] -= overlap / 2
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], top)
        top = placed[i] - gap
    shifts = np.empty(len(placed))
    shifts[order] = placed - np.asarray(heights, dtype=float)[order]
    return [float(shift) for shift in shifts]


def log_ticks(low: float, high: float) -> list[float]:
    """Return round ticks of a logarithmic axis from `low` to `high`, above 0, and `high`.

    At most eight; one that `high` would run into gives way to it.
    """
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    # From dense to sparse: more than seven would run into each other on a phone.
    for steps in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 5), (1,)):
        every = [float(f"{step}e{decade}") for decade in decades for step in steps]
        ticks = [tick for tick in every if 0.999 * low <= tick <= 1.001 * high]
        if len(ticks) <= 7:
            break
    # What the last labels brought is what is asked: the end has its tick.
    near = 0.12 * np.log(high / low)
    return [tick for tick in ticks if np.log(high / tick) > near or tick == low] + [float(high)]


def faded(color: str, opacity: float) -> str:
    """Return a `color`, ``#RRGGBB``, at an `opacity` in [0, 1]."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"
