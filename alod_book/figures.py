"""Interactive figures from tidy tables: they draw what they are given and compute no result.

Every function returns a ``plotly.graph_objects.Figure`` in one template, valid for Plotly 5.24 to
7: transparent, thin grid, legible on white and on near-black, usable 360 px wide. Where ``title``
is a parameter it is the finding in one sentence, and is wrapped. ``figure.layout.meta["alt"]`` says
in words what is shown. Text takes its color from ``layout.font.color`` alone, which a page in dark
mode may change.
"""

import base64
import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from pandas.io.formats.style import Styler
from PIL import Image
from plotly.subplots import make_subplots

from alod.errors import AlodError, check_count, check_name
from alod.experiments.evaluation import summarize
from alod_book.cards import check_images, make_cards

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
}
# Fourteen hues cannot all be told apart: relatives differ by dash as well.
STRATEGY_DASHES = {
    "outlier_topk": "dash",
    "original_meant": "dashdot",
    "least_confidence": "dash",
    "bald": "dashdot",
    "dbal": "dash",
    "maxherding": "dash",
    "uherding": "dashdot",
}
INITIAL_COLORS = {"kmeans": VERMILION, "herding": BLUE}
MODE_COLORS = {
    "scratch": GREY,
    "warm": BLUE,
    "shrink_perturb": VERMILION,
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

# What an image is to the learner: its name in the legend and its marker, in drawing order.
GROUPS: dict[str, tuple[str, dict[str, Any]]] = {
    "pool": ("pool", {"symbol": "circle", "size": 4, "color": GREY, "opacity": 0.35}),
    "labeled": ("labeled", {"symbol": "circle", "size": 7, "color": BLUE, "opacity": 0.9}),
    "initial": ("initial set", {"symbol": "square", "size": 8, "color": BLUE, "opacity": 0.9}),
    "outlier": ("outliers", {"symbol": "diamond", "size": 9, "color": VERMILION, "opacity": 1}),
    "core": ("core set", {"symbol": "star", "size": 14, "color": GOLD, "opacity": 1}),
    "foreign": ("foreign", {"symbol": "x", "size": 9, "color": "#CB6A9D", "opacity": 1}),
}

# The shapes, for a line of text, where the legend tells colors apart.
GLYPHS = {"initial": "■", "outlier": "◆", "core": "★", "foreign": "×"}

# The same in an animation, where it changes with the round: name in the legend and group.
MOMENTS = {"pool": "pool", "labeled": "labeled", "asked now": "outlier"}

# At 16 px a letter is up to 9 px wide and at 12 px up to 7: lines fit a phone, or half a page.
_TITLE_LETTERS, _NOTE_LETTERS = 38, 50
_LINE_HEIGHT = 21
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
        },
        # A finger that scrolls the page must not zoom the figure on its way.
        "dragmode": False,
        "hovermode": "closest",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": VERMILION},
    }
)


def spelled(name: object) -> str:
    """Spell the name of a data set, a classifier, a strategy or a mode as a reader would.

    Parameters
    ----------
    name : object
        As in a table; a small data set is called as the whole one.

    Returns
    -------
    str

    Examples
    --------
    >>> spelled("mnist_mini"), spelled("resnet18"), spelled("shrink_perturb")
    ('MNIST', 'ResNet18', 'shrink perturb')
    """
    known = DATASET_NAMES | MODEL_NAMES
    return known.get(str(name).removesuffix("_mini"), str(name).replace("_", " "))


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
    curves : DataFrame or mapping of str to DataFrame
        Tidy curves of one setting; what
        `alod.experiments.evaluation.summarize` made of them; or a name for each history of a run,
        such as ``{"outlier": run.history}``.
    by : str
        The column that tells the lines apart.
    title : str
        The finding in one sentence.
    baseline : float or mapping of str to float, optional
        Accuracy of training on all labels, in [0, 1], drawn as a dashed level; a mapping names
        several, and one that has a line's name gets its color.
    published : DataFrame, optional
        Somebody else's curves (``n_labeled, test_accuracy``, and `by` if there are several), drawn
        thin and dotted "as published".
    band : {"se", "range"}
        Standard error of the mean, or lowest to highest seed.
    log : bool
        Labels on a logarithmic axis.
    share : str
        What ``test_accuracy`` holds, for the axis, if it is another share in [0, 1].

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    AlodError
        If columns are missing, or `by` leaves several values at one budget (two settings).

    Examples
    --------
    >>> import pandas as pd
    >>> history = pd.DataFrame({"n_labeled": [50, 100], "test_accuracy": [0.71, 0.84]})
    >>> fig = learning_curves({"outlier": history}, title="Fifty more labels are worth 13 points")
    >>> fig.layout.meta["alt"].partition(": ")[2]
    'outlier from 71.0% at 50 to 84.0% at 100 labels.'
    """
    summary = _summary(curves, by)
    lines = summary.assign(x=summary["n_labeled"])
    if published is not None:
        published = published.assign(x=published["n_labeled"])
    return _draw_curves(
        lines, by, title, baseline, published, band, log, "labels", "%{x:,.0f} labels", share
    )


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
    curves, by, title, baseline, published, band
        As in `learning_curves`.

    Returns
    -------
    plotly.graph_objects.Figure

    Examples
    --------
    >>> import pandas as pd
    >>> history = pd.DataFrame({"n_labeled": [50, 100], "test_accuracy": [0.71, 0.84]})
    >>> accuracy_against_share({"cnn": history}, n_pool=6000).layout.xaxis.title.text
    'share of the pool labeled'
    """
    check_count("n_pool", n_pool, 1)
    summary = _summary(curves, by)
    lines = summary.assign(x=summary["n_labeled"] / n_pool)
    if published is not None:
        published = published.assign(x=published["n_labeled"] / n_pool)
    return _draw_curves(
        lines,
        by,
        title,
        baseline,
        published,
        band,
        True,
        "share of the pool labeled",
        "%{x:.2~%} of the pool",
    )


def embedding_map(
    coordinates: NDArray[np.floating],
    groups: ArrayLike,
    title: str = "",
    classes: Sequence[str] | None = None,
    targets: ArrayLike | None = None,
    indices: ArrayLike | None = None,
    color_by: str = "group",
    note: str = "",
    images: NDArray[np.uint8] | None = None,
    asked_round: ArrayLike | None = None,
    scores: ArrayLike | None = None,
    crowd: NDArray[np.number] | None = None,
) -> go.Figure:
    """Draw projected embeddings, marked by what each image is to the learner.

    A click on a name in the legend leaves that group alone on the map, a second one brings the
    others back.

    UMAP and t-SNE of the same images are two figures, not two panels: side by side they would be
    180 px wide on a phone, and each has its own title to say what is seen.

    Parameters
    ----------
    coordinates : ndarray of float (N, 2)
        From `alod_book.projection.project`.
    groups : array-like of str (N,)
        ``pool, labeled, initial, outlier, core`` or ``foreign``; each has its shape and color.
    title : str
        The finding in one sentence.
    classes : sequence of str, optional
        Names of the classes.
    targets : array-like of int (N,), optional
        Class of each image, for hovering and for ``color_by="class"``; -1 is no class.
    indices : array-like of int (N,), optional
        Number of each image in its data set, for hovering; its position by default.
    color_by : {"group", "class"}
        What colors mean; shapes always mean groups.
    note : str
        A line under the title: the projection, its trustworthiness.
    images : ndarray of uint8 (N, H, W) or (N, H, W, 3), optional
        The images: the book's pages show the one that is pointed at.
    asked_round : array-like of int (N,), optional
        Round in which each image was asked for, 0 being the initial set, -1 where it never was. The
        last batch that the map marks as outliers, else the initial set, is shown below it.
    scores : array-like of float (N,), optional
        Outlier score of each image, NaN where there is none; for the cards of the images.
    crowd : ndarray of number (M, 2), optional
        Coordinates of more images of the pool, drawn small behind the others and not to be pointed
        at: a page can hold 60,000 points but not as many images. Whole numbers weigh least.

    Returns
    -------
    plotly.graph_objects.Figure
        The numbers of the images are in ``customdata`` of each trace.

    Raises
    ------
    AlodError
        If a group is unknown, lengths differ, or classes are missing for their colors.

    Examples
    --------
    >>> import numpy as np
    >>> groups = ["pool", "initial", "outlier"]
    >>> fig = embedding_map(np.eye(3)[:, :2], groups, targets=[4, 9, 9], classes=list("0123456789"))
    >>> fig.layout.meta["alt"]
    'Map of image embeddings: 1 pool, 1 initial set, 1 outliers.'
    """
    check_name("color_by", color_by, ("group", "class"))
    xy, names, numbers = _points(coordinates, targets, classes, indices)
    groups = np.asarray(groups)
    _check_length("groups", groups, len(xy))
    for group in np.unique(groups):
        check_name("group", str(group), GROUPS)
    if color_by == "class" and targets is None:
        raise AlodError('color_by="class" without targets: pass the class of each image')

    fig = go.Figure()
    if crowd is not None:
        fig.add_trace(_crowd(crowd))
    shown = [group for group in GROUPS if (groups == group).any()]
    for group in shown:
        label, marker = GROUPS[group]
        own = groups == group
        parts = [own & (names == name) for name in pd.unique(names[own])]
        for part in parts:
            name = str(names[part][0])
            style = dict(marker)
            if color_by == "class":
                style["color"] = _class_color(name, names, classes)
                if group != "pool":
                    # A rim tells a marker from the faint points of its own class behind it.
                    style |= {"size": style["size"] + 2, "line": {"width": 1, "color": "white"}}
            fig.add_trace(_scatter(xy, numbers, part, f"{label}: {name}" if name else label, style))
            fig.data[-1].legendgroup = label if color_by == "group" else name
        if color_by == "group":
            fig.add_trace(_legend_entry(label, marker))
    if color_by == "class":
        for name in _class_order(names, classes):
            color = _class_color(name, names, classes)
            fig.add_trace(_legend_entry(name, {"symbol": "circle", "size": 8, "color": color}))
        shapes = [f"{GLYPHS[group]} {GROUPS[group][0]}" for group in shown if group in GLYPHS]
        note = "; ".join(filter(None, [note, ", ".join(shapes)]))

    behind = 0 if crowd is None else len(crowd)
    counts = ", ".join(
        f"{(groups == group).sum() + behind * (group == 'pool'):,} {GROUPS[group][0]}"
        for group in shown
    )
    _map_axes(fig)
    _finish(fig, title, f"Map of image embeddings: {counts}.", 520, note=note)
    rounds = np.full(len(xy), -1) if asked_round is None else np.asarray(asked_round)
    _check_length("asked_round", rounds, len(xy))
    batch = int(rounds[groups == "outlier"].max(initial=-1))
    batch = batch if batch >= 0 or (rounds < 0).all() else 0
    return _add_cards(fig, images, numbers, names, asked_round, scores, batch)


def class_maps(
    panels: Mapping[str, tuple[NDArray[np.integer], NDArray[np.integer]]],
    classes: Mapping[str, Sequence[str]],
    title: str = "",
    note: str = "",
    columns: int = 2,
) -> go.Figure:
    """Draw maps of many points as small pictures beside each other, colored by class.

    Each picture holds one colored pixel where there are points, which costs a page a hundredth of
    what the points would; who wants to point at them takes `embedding_map`.

    Parameters
    ----------
    panels : mapping of str to (ndarray of int (2, N), ndarray of int (N,))
        For each caption, coordinates from 0 to 1023 and classes from 0 to 9.
    classes : mapping of str to sequence of str (C,)
        For each caption, the names of its classes, written where their points are.
    title : str
        The finding in one sentence.
    note : str
        A line under the title: the projection, n.
    columns : int
        Pictures in a row.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    AlodError
        If captions differ, or there are not as many classes as points.

    Examples
    --------
    >>> import numpy as np
    >>> points = (np.array([[0, 1023, 500], [0, 1023, 10]]), np.array([0, 1, 1]))
    >>> fig = class_maps({"CNN": points}, {"CNN": ["cat", "dog"]}, title="Cats lie apart")
    >>> fig.layout.meta["alt"]
    'Cats lie apart. Maps of embeddings colored by class: CNN (3 images).'
    """
    check_count("columns", columns, 1)
    if list(panels) != list(classes):
        raise AlodError(f"classes of {list(classes)}: expected those of {list(panels)}")
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    pitch = 1.14  # A picture is one unit high, its caption 0.14.
    sheet = Image.new("P", (columns * _PANEL, round(rows * pitch * _PANEL)), 255)
    texts: list[tuple[float, float, str, int]] = []
    for place, (caption, (xy, targets)) in enumerate(panels.items()):
        _check_length("classes", targets, xy.shape[1])
        row, column = divmod(place, columns)
        # Most maps are wider than high, or the other way around: each to the middle.
        xy = xy + (1023 - xy.max(axis=1, keepdims=True)) // 2
        at = (column * _PANEL, round(row * pitch * _PANEL))
        sheet.paste(Image.fromarray(_pixels(xy, targets)), at)
        texts.append((column + 0.5, row * pitch + 1.06, caption, 12))
        for x, y, name in _names_on_map(xy, targets, classes[caption]):
            texts.append((column + x, row * pitch + y, f"<b>{name}</b>", 10))
    across, down, text, size = zip(*texts, strict=True)
    fig = go.Figure(
        go.Scatter(
            x=across, y=down, mode="text", text=text, textfont={"size": size}, hoverinfo="skip"
        )
    )
    fig.add_layout_image(
        source=_colored_png(sheet),
        xref="x",
        yref="y",
        x=0,
        y=0,
        sizex=columns,
        sizey=rows * pitch,
        sizing="stretch",
        layer="below",
    )
    hidden = {"visible": False, "constrain": "domain"}
    fig.update_xaxes(range=[0, columns], constraintoward="left", **hidden)
    fig.update_yaxes(range=[rows * pitch, 0], scaleanchor="x", constraintoward="top", **hidden)
    told = ", ".join(f"{name} ({len(targets):,} images)" for name, (_, targets) in panels.items())
    alt = f"Maps of embeddings colored by class: {told}."
    return _finish(fig, title, alt, round(rows * pitch * 180), note=note, inner=True)


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
    coordinates : ndarray of float (N, 2)
        From `alod_book.projection.project`.
    asked_round : array-like of int (N,)
        Round in which each image was asked for, 0 being the initial set; -1 where it never was.
    title, classes, targets, indices, note, images, scores
        As in `embedding_map`; below the map stand the images asked for in the round shown.
    history : DataFrame, optional
        ``round, n_labeled, test_accuracy``: the learning curve is drawn below and grows along.

    Returns
    -------
    plotly.graph_objects.Figure
        With a slider over the rounds, standing at round 0.

    Raises
    ------
    AlodError
        If lengths differ, nothing was asked for, or `history` lacks a round.

    Examples
    --------
    >>> import numpy as np
    >>> fig = embedding_animation(np.eye(4)[:, :2], asked_round=[0, 1, -1, -1])
    >>> [frame.name for frame in fig.frames]
    ['0', '1']
    """
    xy, names, numbers = _points(coordinates, targets, classes, indices)
    asked = np.asarray(asked_round)
    _check_length("asked_round", asked, len(xy))
    if asked.dtype.kind not in "iu" or asked.min() < -1 or asked.max() < 0:
        raise AlodError(
            f"asked_round of type {asked.dtype} from {asked.min()} to {asked.max()}: expected"
            " whole numbers from -1 (never asked for), with at least one round"
        )
    rounds = range(int(asked.max()) + 1)

    map_row, curve_row = {"row": 1, "col": 1}, {"row": 2, "col": 1}
    fig = make_subplots(rows=1, cols=1)
    if history is not None:
        past = _history_rows(history, rounds)
        fig = make_subplots(rows=2, cols=1, row_heights=[0.74, 0.26], vertical_spacing=0.06)
    for name in pd.unique(names[asked < 0]):
        part = (asked < 0) & (names == name)
        fig.add_trace(
            _scatter(xy, numbers, part, f"pool: {name}" if name else "pool", GROUPS["pool"][1]),
            **map_row,
        )
        fig.data[-1].legendgroup = "pool"
    animated, still = [], list(range(len(fig.data)))
    for round_ in rounds:
        part = asked == round_
        trace = _scatter(xy, numbers, part, f"asked for in round {round_}", {})
        trace.update(_at(round_, 0))
        if targets is not None:
            trace.text = names[part].tolist()
            trace.hovertemplate = f"%{{text}}, {trace.hovertemplate}"
        animated.append(len(fig.data))
        fig.add_trace(trace, **map_row)
    for label, group in MOMENTS.items():
        still.append(len(fig.data))
        fig.add_trace(_legend_entry(label, GROUPS[group][1]), **map_row)
    if history is not None:
        hover = "%{x:,} labels: %{y:.1%}<extra></extra>"
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
            **curve_row,
        )
        animated.append(len(fig.data))
        fig.add_trace(
            go.Scatter(
                _curve_until(past, 0),
                mode="lines+markers",
                showlegend=False,
                line={"color": VERMILION, "width": 3},
                marker={"size": 6},
                hovertemplate=hover,
            ),
            **curve_row,
        )

    n_labeled = np.cumsum([int((asked == round_).sum()) for round_ in rounds])
    fig.frames = [
        go.Frame(
            name=str(now),
            # Images change groups, so one that was looked at alone ends with the round.
            data=[go.Scattergl(_at(round_, now), visible=True) for round_ in rounds]
            + ([go.Scatter(_curve_until(past, now))] if history is not None else [])
            + [{"type": fig.data[place].type, "visible": True} for place in still],
            traces=animated + still,
        )
        for now in rounds
    ]
    _map_axes(fig)
    if history is not None:
        fig.update_xaxes(title_text="labels", row=2, col=1)
        fig.update_yaxes(title_text="test accuracy", tickformat=".1~%", nticks=4, row=2, col=1)
    alt = (
        f"Animated map of the embeddings of {len(xy):,} images over rounds 0 to {rounds[-1]}: "
        f"{n_labeled[0]:,} labeled at first, {n_labeled[-1]:,} at last."
    )
    if history is not None:
        ends = past["test_accuracy"]
        alt += f" Test accuracy goes from {ends.iloc[0]:.1%} to {ends.iloc[-1]:.1%}."
    _finish(fig, title, alt, 580 if history is None else 720, note=note)
    labels = [f"round {now} · {n:,} labels" for now, n in zip(rounds, n_labeled, strict=True)]
    # Below the plot come the curve's tick labels and title, the buttons, the slider.
    below = 8 if history is None else 48
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
    return _add_cards(fig, images, numbers, names, asked, scores, batch=0)


def image_grid(
    images: NDArray[np.uint8],
    captions: Sequence[str],
    title: str = "",
    columns: int = 10,
    hover: Sequence[str] | None = None,
    note: str = "",
) -> go.Figure:
    """Draw small images in rows, each with a short caption below, as one picture.

    Parameters
    ----------
    images : ndarray of uint8 (N, H, W) or (N, H, W, 3)
        Grey or RGB images.
    captions : sequence of str (N,)
        At most six letters or so each, where there are ten columns: a phone shows 36 px per image.
    title : str
        The finding in one sentence.
    columns : int
        Images in a row.
    hover : sequence of str (N,), optional
        The longer story of each image; its caption by default.
    note : str
        A line under the title: how to read the captions.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    AlodError
        If images are no uint8 array of that shape, or there are not as many captions.

    Examples
    --------
    >>> import numpy as np
    >>> fig = image_grid(np.zeros((2, 28, 28), np.uint8), ["4", "9"], title="Asked for")
    >>> fig.layout.meta["alt"]
    'Asked for. 2 images: 4; 9.'
    """
    check_count("columns", columns, 1)
    images = check_images(images)
    hover = captions if hover is None else hover
    _check_length("captions", captions, len(images))
    _check_length("hover", hover, len(images))

    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    row, column = np.divmod(np.arange(len(images)), columns)
    pitch = 1.4  # An image is one unit high, its caption 0.4.
    fig = go.Figure(
        go.Scatter(
            x=column + 0.5,
            y=row * pitch + 1.17,
            mode="text",
            text=list(captions),
            textfont={"size": 10},  # six letters are as wide as a phone's image
            customdata=list(hover),
            hovertemplate="%{customdata}<extra></extra>",
        )
    )
    fig.add_layout_image(
        source=_montage(images, row, column, pitch),
        xref="x",
        yref="y",
        x=0,
        y=0,
        sizex=columns,
        sizey=rows * pitch,
        sizing="stretch",
        layer="below",
    )
    hidden = {"visible": False, "constrain": "domain"}
    fig.update_xaxes(range=[0, columns], constraintoward="left", **hidden)
    fig.update_yaxes(range=[rows * pitch, 0], scaleanchor="x", constraintoward="top", **hidden)
    told = "; ".join(hover[:5]) + ("; …" if len(images) > 5 else "")
    note = "; ".join(filter(None, [f"n = {len(images)} images", note]))
    # Ten columns: between what a page and a phone have for each; fewer may be larger.
    height = round(rows * pitch * min(460 / columns, 72))
    return _finish(fig, title, f"{len(images)} images: {told}.", height, note=note, inner=True)


def confusion_matrix(matrix: ArrayLike, classes: Sequence[str], title: str = "") -> go.Figure:
    """Draw which classes are taken for which; color marks the errors only.

    Parameters
    ----------
    matrix : array-like of int (C, C)
        Test images by true class (rows) and predicted class (columns), as
        ``sklearn.metrics.confusion_matrix`` counts them.
    classes : sequence of str (C,)
        Names of the classes.
    title : str
        The finding in one sentence.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    AlodError
        If the matrix is not (C, C).

    Examples
    --------
    >>> fig = confusion_matrix([[9, 1], [0, 10]], ["cat", "dog"], title="Cats are taken for dogs")
    >>> fig.layout.meta["alt"].partition(";")[0]
    'Cats are taken for dogs. Confusion matrix of 20 test images, 1 of them wrong'
    """
    counts = np.asarray(matrix)
    if counts.shape != (len(classes), len(classes)):
        raise AlodError(
            f"confusion matrix of shape {counts.shape}: expected ({len(classes)}, {len(classes)}), "
            "one row and column per class; pass labels=range(C) to scikit-learn"
        )
    names = list(classes)
    errors = np.where(np.eye(len(names), dtype=bool), 0, counts)
    fig = go.Figure(
        go.Heatmap(
            z=errors,
            customdata=counts,
            x=names,
            y=names,
            colorscale=[[0, "rgba(224,86,11,0)"], [1, "rgba(224,86,11,0.75)"]],
            showscale=False,
            xgap=1,
            ygap=1,
            hovertemplate="%{y} taken for %{x}: %{customdata:,}<extra></extra>",
        )
    )
    true, taken = np.nonzero(counts)
    fig.add_trace(_cell_text(taken, true, [f"{n:,}" for n in counts[true, taken]], names))
    _matrix_axes(fig, names, "predicted class", "true class")
    worst = np.unravel_index(errors.argmax(), errors.shape)
    alt = (
        f"Confusion matrix of {counts.sum():,} test images, {errors.sum():,} of them wrong; most "
        f"often {names[worst[0]]} is taken for {names[worst[1]]} ({errors[worst]:,} times)."
    )
    note = f"n = {counts.sum():,} test images, counted; color marks errors only"
    return _finish(fig, title, alt, 460, note=note)


def per_class_accuracy(
    table: pd.DataFrame, by: str = "strategy", title: str = "", note: str = ""
) -> go.Figure:
    """Draw the accuracy of each class as dots on a line, a color per value of `by`.

    Parameters
    ----------
    table : DataFrame
        ``class, test_accuracy`` (in [0, 1]) and `by`; classes are drawn in the table's order,
        the first at the top.
    by : str
        The column that tells the dots apart.
    title : str
        The finding in one sentence.
    note : str
        A line under the title: of how many test images and runs.

    Returns
    -------
    plotly.graph_objects.Figure

    Examples
    --------
    >>> import pandas as pd
    >>> accuracy = {"class": ["cat", "dog"], "test_accuracy": [0.9, 0.8], "labels": "all"}
    >>> table = pd.DataFrame(accuracy)
    >>> per_class_accuracy(table, by="labels", note="n = 200 test images").layout.meta["alt"]
    'Test accuracy per class for all; lowest is dog with 80.0% (all).'
    """
    _check_columns(table, ["class", "test_accuracy", by])
    fig = go.Figure()
    for name, own in table.groupby("class", sort=False):
        ends = own["test_accuracy"]
        fig.add_trace(
            go.Scatter(
                x=[ends.min(), ends.max()],
                y=[name, name],
                mode="lines",
                line={"color": "rgba(128,128,128,0.5)", "width": 2},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    colors = _colors(table[by].unique())
    for label, own in table.groupby(by, sort=False):
        fig.add_trace(
            go.Scatter(
                x=own["test_accuracy"],
                y=own["class"],
                name=spelled(label),
                mode="markers",
                marker={"size": 10, "color": colors[label]},
                hovertemplate=f"%{{y}}, {spelled(label)}: %{{x:.1%}}<extra></extra>",
            )
        )
    names = [str(name) for name in table["class"].unique()]
    fig.update_xaxes(title_text="test accuracy", tickformat=".1~%", nticks=6)
    fig.update_yaxes(type="category", categoryorder="array", categoryarray=names[::-1])
    lowest = table.sort_values("test_accuracy").iloc[0]
    alt = (
        f"Test accuracy per class for {', '.join(spelled(label) for label in colors)}; lowest is "
        f"{lowest['class']} with {lowest['test_accuracy']:.1%} ({spelled(lowest[by])})."
    )
    return _finish(fig, title, alt, 130 + 28 * len(names), note=note, legend=True)


def seconds_per_round(history: pd.DataFrame, title: str = "", note: str = "") -> go.Figure:
    """Draw where the time of each round goes, as stacked bars.

    Parameters
    ----------
    history : DataFrame
        One run's ``round, fit_seconds, infer_seconds, query_seconds``.
    title : str
        The finding in one sentence.
    note : str
        A line under the title: the machine.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    AlodError
        If columns are missing or a round has two rows.

    Examples
    --------
    >>> import pandas as pd
    >>> history = pd.DataFrame({"round": [0, 1], "fit_seconds": [2.0, 2.0]})
    >>> history = history.assign(infer_seconds=0.5, query_seconds=0.1)
    >>> seconds_per_round(history).layout.meta["alt"]
    'Seconds per round, in all: training 4.0, reading the pool 1.0, choosing 0.2.'
    """
    parts = {
        "fit_seconds": ("training", BLUE),
        "infer_seconds": ("reading the pool", "#0A9A70"),
        "query_seconds": ("choosing", VERMILION),
    }
    _check_columns(history, ["round", *parts])
    _check_single(history, ["round"])
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
    return _finish(fig, title, f"Seconds per round, in all: {totals}.", 340, note, legend=True)


def distribution_match(table: pd.DataFrame, title: str = "", note: str = "") -> go.Figure:
    """Draw how well initial sets keep the pool's distribution, among random sets of their size.

    Parameters
    ----------
    table : DataFrame
        ``initial`` (method), ``measure`` (its name) and ``percentile``: how many percent of
        the random sets match the pool better, in [0, 100].
    title : str
        The finding in one sentence.
    note : str
        n, before the line under the title that says how to read the axis.

    Returns
    -------
    plotly.graph_objects.Figure

    Examples
    --------
    >>> import pandas as pd
    >>> rows = {"initial": ["random", "kmeans"], "measure": "MMD²", "percentile": [48.0, 3.0]}
    >>> distribution_match(pd.DataFrame(rows)).layout.meta["alt"]
    'Percentiles among random sets: random 48 to 48; kmeans 3 to 3.'
    """
    _check_columns(table, ["initial", "measure", "percentile"])
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
    return _finish(
        fig,
        title,
        f"Percentiles among random sets: {told}.",
        150 + 36 * len(methods),
        note=f"{note} 0: closer to the pool than every random set; dashed: a typical one.".strip(),
        legend=True,
    )


def gains(
    table: pd.DataFrame,
    by: str = "strategy",
    title: str = "",
    reference: str = "random",
    level: float = 0.05,
    summary: str = "area under the curve over log-labels",
) -> go.Figure:
    """Draw what each strategy gains over a reference, with the interval of the paired test.

    Parameters
    ----------
    table : DataFrame
        One setting of what `alod.experiments.evaluation.gains` returns.
    by : str
        The column that names the strategies.
    title : str
        The finding in one sentence.
    reference : str
        What they are measured against, for the words under the title.
    level : float
        Strategies with ``p_holm`` below it are drawn filled, others hollow.
    summary : str
        What the table is of, for the words under the title: in
        `alod.experiments.evaluation.METRICS`.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    AlodError
        If columns are missing or a strategy has two rows (two settings).

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"strategy": ["outlier"], "n_seeds": 5, "mean_difference": 0.02, "low": 0.01}
    >>> gains(pd.DataFrame(row | {"high": 0.03, "p_holm": 0.001})).layout.meta["alt"]
    'Gain over random in points: outlier +2.0.'
    """
    _check_columns(table, [by, "n_seeds", "mean_difference", "low", "high", "p_holm"])
    _check_single(table, [by])
    ordered = table.sort_values("mean_difference", ascending=False)
    colors = _colors(ordered[by])
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
    return _finish(
        fig,
        title,
        f"Gain over {spelled(reference)} in points: {told}.",
        130 + pitch * max(len(names), 5),
        note=f"{summary.capitalize()}, minus that of {spelled(reference)} with the same seed; "
        f"mean and 95 % interval of {_span(ordered['n_seeds'])} seeds. Filled: p < {level:g}, "
        "Holm-corrected.",
        legend=False,
    )


def pairwise_matrix(tests: pd.DataFrame, title: str = "", level: float = 0.05) -> go.Figure:
    """Draw which strategies beat which: color is row minus column, a number that it is tested.

    Parameters
    ----------
    tests : DataFrame
        One setting of what `alod.experiments.evaluation.compare_strategies` returns.
    title : str
        The finding in one sentence.
    level : float
        Differences with ``p_holm`` below it get their number, with its sign.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    AlodError
        If columns are missing or a pair has two rows (two settings).

    Examples
    --------
    >>> import pandas as pd
    >>> test = {"first": ["outlier"], "second": "random", "n_seeds": 5, "mean_difference": 0.02}
    >>> pairwise_matrix(pd.DataFrame(test | {"p_holm": 0.001})).layout.meta["alt"]
    'Pairwise comparison of 2 strategies: outlier beats random.'
    """
    _check_columns(tests, ["first", "second", "n_seeds", "mean_difference", "p_holm"])
    _check_single(tests, ["first", "second"])
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
    fig.add_trace(_cell_text(column, row, signed, names))
    _matrix_axes(fig, names, "", "")
    wins = (p_holm < level) & (points > 0)
    told = "; ".join(
        f"{name} beats {', '.join(names[loser] for loser in np.flatnonzero(wins[winner]))}"
        for winner, name in enumerate(names)
        if wins[winner].any()
    )
    seeds = _span(tests["n_seeds"])
    note = (
        f"Row minus column in points, mean of {seeds} seeds; orange: the row is better. Numbers "
        f"where the paired t-test, Holm-corrected, gives p < {level:g}."
    )
    alt = (
        f"Pairwise comparison of {len(keys)} strategies: {told or 'no difference is significant'}."
    )
    return _finish(fig, title, alt, 180 + 30 * len(keys), note)


# --- curves -----------------------------------------------------------------------------------


def table(frame: pd.DataFrame, caption: str = "") -> Styler:
    """Show a table with its caption, as the book shows all of them.

    Parameters
    ----------
    frame : DataFrame
        The index names the rows; floats are shown with one decimal, text as it is.
    caption : str
        What is seen, n and units.

    Returns
    -------
    pandas.io.formats.style.Styler
        Displays as HTML in a notebook.

    Examples
    --------
    >>> import pandas as pd
    >>> shown = table(pd.DataFrame({"accuracy": [93.14]}, index=["outlier"]), caption="One seed.")
    >>> "93.1" in shown.to_html() and "One seed." in shown.to_html()
    True
    """
    unnamed = frame.columns.set_names([None] * frame.columns.nlevels)
    frame = frame.set_axis(unnamed, axis="columns").rename_axis(index=None)
    return (
        frame.style.format(precision=1, escape="html")
        .set_caption(caption)
        .set_table_attributes('class="dataframe alod-table"')
    )


def _summary(curves: pd.DataFrame | Mapping[str, pd.DataFrame], by: str) -> pd.DataFrame:
    if isinstance(curves, Mapping):
        curves = pd.concat(
            [history.assign(**{by: name}) for name, history in curves.items()], ignore_index=True
        )
        if "seed" not in curves:
            curves = curves.assign(seed=0)
    if "accuracy_mean" not in curves:
        return summarize(curves, [by])
    _check_single(curves, [by, "n_labeled"])
    return curves


def _draw_curves(
    summary: pd.DataFrame,
    by: str,
    title: str,
    baseline: float | Mapping[str, float] | None,
    published: pd.DataFrame | None,
    band: str,
    log: bool,
    x_title: str,
    x_hover: str,
    share: str = "test accuracy",
) -> go.Figure:
    check_name("band", band, ("se", "range"))
    colors = _colors(summary[by].unique())
    lines = {label: own.sort_values("x") for label, own in summary.groupby(by, sort=False)}
    low, high = _band(summary, band)
    levels = _levels(baseline, colors)
    seen = [low.min(), high.max(), *(value for _, value, _ in levels)]
    fig = go.Figure()

    for label, own in lines.items():
        bottom, top = _band(own, band)
        if (own["n_seeds"] > 1).any():
            fig.add_trace(
                go.Scatter(
                    x=[*own["x"], *own["x"][::-1]],
                    y=[*top, *bottom[::-1]],
                    fill="toself",
                    fillcolor=_faded(colors[label], 0.2),
                    line={"width": 0},
                    mode="lines",
                    hoverinfo="skip",
                    showlegend=False,
                    legendgroup=str(label),
                )
            )
    for label, own in lines.items():
        bottom, top = _band(own, band)
        hover = f"<b>{spelled(label)}</b>, {x_hover}<br>%{{y:.2%}}"
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
    if published is not None:
        fig.add_trace(_legend_line("as published", "dot"))
        for label, own in _published_lines(published, by):
            name = f"{spelled(label)} as published" if label else "as published"
            color = colors.get(label, GREY)
            seen += [own["test_accuracy"].min(), own["test_accuracy"].max()]
            fig.add_trace(
                go.Scatter(
                    x=own["x"],
                    y=own["test_accuracy"],
                    name=name,
                    mode="lines",
                    line={"color": color, "width": 1.5, "dash": "dot"},
                    showlegend=False,
                    hovertemplate=f"<b>{name}</b>, {x_hover}<br>%{{y:.2%}}<extra></extra>",
                )
            )
    pad = 0.04 * (max(seen) - min(seen)) + 0.002
    y_range = [min(seen) - pad, min(1.0, max(seen) + pad)]
    xs = [x for trace in fig.data for x in trace.x if x is not None]
    _draw_levels(fig, levels, colors, [min(xs), max(xs)])
    fig.update_xaxes(title_text=x_title)
    if log:
        ticks = _log_ticks(min(xs), max(xs))
        spell = (lambda tick: f"{tick:,.0f}") if x_title == "labels" else _percent
        fig.update_xaxes(type="log", tickvals=ticks, ticktext=[spell(tick) for tick in ticks])
        edges = np.log10([min(xs), max(xs)])
        fig.update_xaxes(range=[edges[0] - 0.02 * np.ptp(edges), edges[1] + 0.02 * np.ptp(edges)])
    elif x_title == "labels":
        fig.update_xaxes(tickformat=",d")
    fig.update_yaxes(title_text=share, tickformat=".1~%", range=y_range)

    height = 430
    right = None
    if published is None:
        right = _label_ends(fig, lines, colors, (height - 130) / (y_range[1] - y_range[0]), log)
    in_legend = sum(trace.showlegend is not False for trace in fig.data)
    # A phone's legend has two entries in a row.
    height += 10 * in_legend
    note = _seeds_note(summary, band)
    alt = _curves_alt(lines, levels, x_title, share)
    _finish(fig, title, alt, height, note, legend=in_legend > 0)
    if right is not None:
        fig.update_layout(margin_r=right)
    return fig


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
    if len(lines) > 5 or longest > 16 or not together or max(map(abs, shifts)) > 30:
        return None
    drawn = {trace.name: trace for trace in fig.data}
    for (label, end), shift in zip(ends.items(), shifts, strict=True):
        drawn[names[label]].showlegend = False
        fig.add_annotation(
            x=float(np.log10(end["x"]) if log else end["x"]),
            xanchor="left",
            xshift=7,
            y=end["accuracy_mean"],
            yshift=shift,
            text=names[label],
            showarrow=False,
            font={"color": colors[label], "size": 13},
        )
    return 14 + round(7.3 * longest)


def _levels(
    baseline: float | Mapping[str, float] | None, colors: dict[Any, str]
) -> list[tuple[Any, float, str]]:
    if baseline is None:
        return []
    named = baseline if isinstance(baseline, Mapping) else {"all labels": baseline}
    return [(label, float(value), colors.get(label, GREY)) for label, value in named.items()]


def _published_lines(published: pd.DataFrame, by: str) -> list[tuple[Any, pd.DataFrame]]:
    _check_columns(published, ["n_labeled", "test_accuracy"])
    if by in published:
        _check_single(published, [by, "n_labeled"])
        return list(published.groupby(by, sort=False))
    _check_single(published, ["n_labeled"])
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
    return f"Mean of {_span(summary['n_seeds'])} seeds; band: {spread}."


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


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    # From dense to sparse: more than seven would run into each other on a phone.
    for steps in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 5), (1,)):
        every = [float(f"{step}e{decade}") for decade in decades for step in steps]
        ticks = [tick for tick in every if 0.999 * low <= tick <= 1.001 * high]
        if len(ticks) <= 7:
            break
    return ticks


# --- points -----------------------------------------------------------------------------------


def _points(
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
    _check_length("indices", numbers, len(xy))
    if targets is None:
        return xy, np.full(len(xy), "", dtype=object), numbers.astype(np.int32)
    targets = np.asarray(targets)
    _check_length("targets", targets, len(xy))
    known = {-1: "foreign"} | dict(enumerate(map(str, classes or ())))
    names = np.array([known.get(int(t), str(int(t))) for t in targets], dtype=object)
    return xy, names, numbers.astype(np.int32)


def _scatter(
    xy: NDArray[np.float32],
    numbers: NDArray[np.int32],
    part: NDArray[np.bool_],
    name: str,
    marker: dict[str, Any],
) -> go.Scattergl:
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


def _crowd(xy: NDArray[np.number]) -> go.Scattergl:
    label, marker = GROUPS["pool"]
    return go.Scattergl(
        x=xy[:, 0],
        y=xy[:, 1],
        name=label,
        mode="markers",
        marker=marker | {"size": 2},
        showlegend=False,
        legendgroup=label,
        hoverinfo="skip",
        # What is offered as data leaves out what cannot be pointed at, but for this.
        meta={"columns": []},
    )


def _legend_entry(name: str, marker: dict[str, Any]) -> go.Scatter:
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


def _add_cards(
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


def _at(round_: int, now: int) -> dict[str, Any]:
    """Return how images asked for in a round look in frame `now`, and where the legend has them."""
    label = "asked now" if round_ == now else "labeled" if round_ < now else "pool"
    return {"marker": GROUPS[MOMENTS[label]][1], "legendgroup": label}


def _curve_until(past: pd.DataFrame, now: int) -> dict[str, list[Any]]:
    grown = past.iloc[: now + 1]
    return {"x": grown["n_labeled"].tolist(), "y": grown["test_accuracy"].tolist()}


def _history_rows(history: pd.DataFrame, rounds: range) -> pd.DataFrame:
    _check_columns(history, ["round", "n_labeled", "test_accuracy"])
    past = history.sort_values("round")
    if past["round"].tolist() != list(rounds):
        raise AlodError(
            f"history with rounds {past['round'].tolist()}: expected one row for each round from 0 "
            f"to {rounds[-1]}, as asked_round has them"
        )
    return past


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


def _class_order(names: NDArray[Any], classes: Sequence[str] | None) -> list[str]:
    present = set(names)
    known = [name for name in map(str, classes or ()) if name in present]
    return known + sorted(present - set(known))


def _class_color(name: str, names: NDArray[Any], classes: Sequence[str] | None) -> str:
    order = list(map(str, classes)) if classes else _class_order(names, classes)
    return CLASS_COLORS[order.index(name) % len(CLASS_COLORS)] if name in order else GREY


def _montage(
    images: NDArray[np.uint8], row: NDArray[np.intp], column: NDArray[np.intp], pitch: float
) -> str:
    """Lay images out on a transparent sheet and return it as the data URI of a PNG."""
    height, width = images.shape[1:3]
    zoom = max(1, round(56 / height))  # Whole steps keep the pixels of small images square.
    inner = (zoom * width, zoom * height)
    across, down = inner[0] + 2 * zoom, round((inner[1] + 2 * zoom) * pitch)
    mode = "LA" if images.ndim == 3 else "RGBA"
    sheet = Image.new(mode, (across * int(column.max() + 1), down * int(row.max() + 1)))
    for image, r, c in zip(images, row, column, strict=True):
        enlarged = Image.fromarray(image).resize(inner, Image.Resampling.NEAREST).convert(mode)
        sheet.paste(enlarged, (int(c) * across + zoom, int(r) * down + zoom))
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


# Three shades of ten colors tell one point from several; the last entry of the palette is clear.
_PANEL, _SHADES = 320, (110, 180, 255)


def _pixels(xy: NDArray[np.integer], targets: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return a picture of points: in each pixel its most frequent class and how many there are."""
    column, row = (_PANEL - 1) * xy.astype(np.int64) // 1023
    cell = (_PANEL - 1 - row) * _PANEL + column
    counts = np.zeros((10, _PANEL * _PANEL), np.int32)
    np.add.at(counts, (targets.astype(np.int64) % 10, cell), 1)
    shade = np.clip(counts.sum(axis=0), 1, len(_SHADES)) - 1
    picture = np.where(counts.any(axis=0), counts.argmax(axis=0) * len(_SHADES) + shade, 255)
    return picture.astype(np.uint8).reshape(_PANEL, _PANEL)


def _names_on_map(
    xy: NDArray[np.integer], targets: NDArray[np.integer], classes: Sequence[str]
) -> list[tuple[float, float, str]]:
    """Return where the classes' names stand in a picture: amid their points, pushed apart."""
    amid = []
    for target, name in enumerate(classes):
        own = xy[:, targets == target]
        if own.size:
            x, y = np.median(own, axis=1) / 1023
            # The last word, or the first of several names: boot, T-shirt.
            short = name.partition("/")[0].split()[-1][:8]
            amid.append((float(np.clip(x, 0.12, 0.88)), float(1 - y), short))
    placed: list[tuple[float, float, str]] = []
    for x, y, name in sorted(amid, key=lambda entry: entry[1]):
        # Letters are 7 px wide and lines 12 px high in a picture of 180 px.
        while any(
            abs(x - a) < 0.02 * (len(name) + len(other)) and abs(y - b) < 0.07
            for a, b, other in placed
        ):
            y += 0.01
        placed.append((x, y, name))
    return placed


def _colored_png(sheet: Image.Image) -> str:
    """Return a picture of `_pixels` as the data URI of a PNG."""
    colors = [tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in CLASS_COLORS]
    palette = [part for color in colors for _ in _SHADES for part in color]
    sheet.putpalette(palette + [0] * (768 - len(palette)))
    clear = bytes(_SHADES * len(colors)).ljust(256, b"\0")
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True, transparency=clear)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


# --- layout -----------------------------------------------------------------------------------


def _finish(
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

    `height` is the whole figure's in px, or with `inner` that of the plot without the title.
    """
    lines = textwrap.wrap(title, _TITLE_LETTERS)
    notes = textwrap.wrap(note, _NOTE_LETTERS)
    text = "<br>".join(lines)
    if notes:
        small = f'<span style="font-size:12px">{"<br>".join(notes)}</span>'
        text = f"{text}<br>{small}" if lines else small
    top = 14 + _LINE_HEIGHT * (len(lines) + len(notes))
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
        meta={"alt": f"{title.rstrip('.')}. {alt}" if title else alt},
    )
    if legend is not None:
        fig.update_layout(showlegend=legend)
    return fig


def _map_axes(fig: go.Figure) -> None:
    """Hide the axes of a projection, which mean nothing, and keep its aspect."""
    fig.update_layout(xaxis={"visible": False}, yaxis={"visible": False, "scaleanchor": "x"})
    # Among overlapping groups one is looked at, rather than one left out.
    fig.update_layout(legend={"itemclick": "toggleothers", "itemdoubleclick": "toggle"})
    # Groups hold a name each: without this they would stand further apart than names do.
    fig.update_layout(legend={"tracegroupgap": 0})


def _matrix_axes(fig: go.Figure, names: list[str], x_title: str, y_title: str) -> None:
    # Left to itself, plotly names every second row where they are low.
    shown = {"type": "category", "dtick": 1, "showgrid": False}
    fig.update_xaxes(title_text=x_title, range=[-0.5, len(names) - 0.5], **shown)
    fig.update_yaxes(title_text=y_title, range=[len(names) - 0.5, -0.5], **shown)


def _cell_text(
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


def _colors(labels: ArrayLike) -> dict[Any, str]:
    """Return the fixed color of each strategy, model and so on, another for what has none."""
    fixed = STRATEGY_COLORS | MODEL_COLORS | INITIAL_COLORS | MODE_COLORS
    labels = list(np.asarray(labels, dtype=object))
    others = [label for label in labels if label not in fixed]
    spare = {label: CLASS_COLORS[i % len(CLASS_COLORS)] for i, label in enumerate(others)}
    return {label: fixed.get(label) or spare[label] for label in labels}


def _faded(color: str, opacity: float) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _span(counts: pd.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"


def _check_length(name: str, values: Any, expected: int) -> None:
    if np.ndim(values) != 1 or len(values) != expected:
        raise AlodError(
            f"{name} of shape {np.shape(values)}: expected ({expected},), one for each image"
        )


def _check_columns(table: pd.DataFrame, columns: Sequence[str]) -> None:
    missing = [column for column in columns if column not in table]
    if missing or table.empty:
        raise AlodError(
            f"table of {len(table)} rows with columns {', '.join(map(str, table))}: expected rows "
            f"and the columns {', '.join(columns)}"
        )


def _check_single(table: pd.DataFrame, keys: Sequence[str]) -> None:
    _check_columns(table, keys)
    doubled = table.duplicated(list(keys))
    if doubled.any():
        row = table.loc[doubled, list(keys)].iloc[0]
        where = ", ".join(f"{name} {value}" for name, value in row.items())
        raise AlodError(f"two rows for {where}: expected one; select one setting, model or seed")
