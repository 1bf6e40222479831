"""The look of all figures: one template, one color for each name throughout the book.

Every figure is transparent, with a thin grid, legible on white and on near-black and usable 360 px
wide. Text takes its color from ``layout.font.color`` alone, which a page in dark mode may change.

Examples
--------
>>> spelled("mnist_mini"), spelled("resnet18"), spelled("shrink_perturb")
('MNIST', 'ResNet18', 'shrink perturb')
"""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike
from pandas.io.formats.style import Styler

GREY = "#8A8A8A"
BLUE = "#1F77C9"
VERMILION = "#E0560B"
GOLD = "#B08310"

# Every color has a contrast of 3:1 or more both to white and to #121212 (WCAG 2.2, 1.4.11).
STRATEGY_COLORS = {
    "random": GREY,
    "outlier": VERMILION,
    "outlier_topk": "#C97B3C",
    "original_meant": "#A8704A",
    "margin": BLUE,
    "entropy": "#1295A8",
    "least_confidence": "#3E8FD0",
    "bald": "#7F7BDD",
    "kcenter": "#CB6A9D",
    "badge": "#0A9A70",
    "dbal": "#6E9A1F",
    "typiclust": GOLD,
    "maxherding": "#A86FC9",
    "uherding": "#C0608F",
    "rare": "#5F8F7A",
}

# Fifteen hues cannot all be told apart: relatives differ by dash as well.
STRATEGY_DASHES = {
    "outlier_topk": "dash",
    "original_meant": "dashdot",
    "least_confidence": "dash",
    "bald": "dashdot",
    "dbal": "dash",
    "maxherding": "dash",
    "uherding": "dashdot",
    "rare": "dash",
}

# Vermilion is the outlier query's alone.
INITIAL_COLORS = {"kmeans": "#1295A8", "herding": BLUE}

MODE_COLORS = {
    "scratch": GREY,
    "warm": BLUE,
    "shrink_perturb": "#9268D6",
    "distill": GOLD,
    "average": "#0A9A70",
}

MODEL_COLORS = {"cnn": "#1295A8", "lenet5": "#C9850C", "resnet18": "#9268D6"}

CLASS_COLORS = (
    "#2F7FC1",
    "#D9790B",
    "#3A9A3F",
    "#D9484A",
    "#9A6FC0",
    "#9C6B4E",
    "#D469A8",
    "#85878A",
    "#94931A",
    "#169DB0",
)

MODEL_NAMES = {"cnn": "CNN", "lenet5": "LeNet5", "resnet18": "ResNet18"}
DATASET_NAMES = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}


PROJECTION_NAMES = {"umap": "UMAP", "tsne": "t-SNE"}

# What an image is to the learner: its name in the legend and its marker, in drawing order.
GROUPS: dict[str, tuple[str, dict[str, Any]]] = {
    "pool": ("pool", {"symbol": "circle", "size": 4, "color": GREY, "opacity": 0.45}),
    "labeled": ("labeled", {"symbol": "circle", "size": 5, "color": BLUE, "opacity": 0.9}),
    "initial": ("initial set", {"symbol": "square", "size": 6, "color": BLUE, "opacity": 0.9}),
    "outlier": ("outliers", {"symbol": "diamond", "size": 7, "color": VERMILION, "opacity": 1}),
    "core": ("core set", {"symbol": "star", "size": 11, "color": GOLD, "opacity": 1}),
    "foreign": ("foreign", {"symbol": "x", "size": 7, "color": "#CB6A9D", "opacity": 1}),
}

_AXIS = {
    "gridcolor": "rgba(128,128,128,0.3)",
    "gridwidth": 1,
    "zeroline": False,
    "showline": False,
    "ticks": "",
    "automargin": True,
    "title": {"standoff": 8, "font": {"size": 13}},
}

TEMPLATE = go.layout.Template(
    layout={
        # The book theme's own fonts; "inherit" would be a serif in Colab's frames.
        "font": {
            "family": "-apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif",
            "size": 13,
            "color": "#777777",
        },
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "xref": "container",
            "y": 0,
            "yanchor": "bottom",
            "yref": "container",
            "bgcolor": "rgba(0,0,0,0)",
            # Among lines and groups that overlap one is looked at, rather than one left out.
            "itemclick": "toggleothers",
            "itemdoubleclick": "toggle",
        },
        # A finger that scrolls the page must not zoom the figure on its way.
        "dragmode": False,
        "hovermode": "closest",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": VERMILION},
    }
)


def spelled(name: object) -> str:
    """Spell the `name` of a data set, a classifier, a strategy or a mode as a reader would.

    A small data set is called as the whole one.
    """
    known = DATASET_NAMES | MODEL_NAMES
    return known.get(str(name).removesuffix("_mini"), str(name).replace("_", " "))


def short(name: str) -> str:
    """Return one word of the `name` of a class: its last, the first of several names.

    Parameters
    ----------
    name : str
        As the data set has it.

    Examples
    --------
    >>> short("Ankle boot"), short("T-shirt/top")
    ('boot', 'T-shirt')
    """
    return name.partition("/")[0].split()[-1]


def color_of(labels: ArrayLike) -> dict[Any, str]:
    """Return the fixed color of each strategy, model and so on, another for what has none.

    Parameters
    ----------
    labels : array-like (n,)
        Names as in a table.
    """
    fixed = STRATEGY_COLORS | MODEL_COLORS | INITIAL_COLORS | MODE_COLORS
    labels = list(np.asarray(labels, dtype=object))
    others = [label for label in labels if label not in fixed]
    spare = {label: CLASS_COLORS[i % len(CLASS_COLORS)] for i, label in enumerate(others)}
    return {label: fixed.get(label) or spare[label] for label in labels}


def table(frame: pd.DataFrame, caption: str = "") -> Styler:
    """Show a table as the book shows all of them; displays as HTML in a notebook.

    Parameters
    ----------
    frame : DataFrame
        The index names the rows; floats are shown with one decimal, text as it is.
    caption : str
        What is seen, n and units.
    """
    unnamed = frame.columns.set_names([None] * frame.columns.nlevels)
    frame = frame.set_axis(unnamed, axis="columns").rename_axis(index=None)
    return (
        frame.style.format(precision=1, escape="html")
        .set_caption(caption)
        .set_table_attributes('class="dataframe alod-table"')
    )
