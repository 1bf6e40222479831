"""Maps of embeddings: points that can be looked at, or pictures of sixty thousand.

Examples
--------
>>> groups = ["pool", "initial", "outlier"]
>>> fig = embedding_map(np.eye(3)[:, :2], groups, targets=[4, 9, 9], classes=list("0123456789"))
>>> fig.layout.meta["alt"]
'Map of image embeddings: 1 pool, 1 initial set, 1 outliers.'
"""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from alod.errors import AlodError, check_count, check_name
from alod_book.figures.cards import check_images
from alod_book.figures.layout import check_length, finish, lay_under
from alod_book.figures.points import add_cards, legend_entry, map_axes, points, scatter
from alod_book.figures.style import CLASS_COLORS, GREY, GROUPS, short

# The shapes, for a line of text, where the legend tells colors apart.
_GLYPHS = {"initial": "■", "outlier": "◆", "core": "★", "foreign": "×"}
# The side of a picture in pixels. Three shades of ten colors tell one point from several; the last
# entry of the palette is clear.
_PANEL, _SHADES = 320, (110, 180, 255)
# Of a map of pictures, in pixels: the longer side of what the points span, a picture, its frame.
_SPAN, _MARK, _FRAME = 1200, 60, 4


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
    pictures: bool = False,
) -> go.Figure:
    """Draw projected embeddings, marked by what each image is to the learner.

    A click on a name in the legend leaves that group alone, a second one brings the others back.
    `title` is the finding, `note` a line under it: projection, n, trustworthiness.

    Parameters
    ----------
    coordinates : ndarray of float (N, 2)
        From `alod_book.projection.project`.
    groups : array-like of str (N,)
        ``pool, labeled, initial, outlier, core`` or ``foreign``; each has its shape and color.
    classes, targets : sequence of str and array-like of int (N,), optional
        Names of the classes, and the class of each image, -1 for none: for hovering and colors.
    indices : array-like of int (N,), optional
        Number of each image in its data set, for hovering; its position by default.
    color_by : {"group", "class"}
        What colors mean; shapes always mean groups.
    images, asked_round, scores : array-like (N, ...), optional
        As for `alod_book.figures.cards.make_cards`; the page shows the image that is pointed at
        and, below the map, the last batch that it marks as outliers, else the initial set.
    crowd : ndarray of number (M, 2), optional
        More images of the pool, small behind the others and not to be pointed at: a page can hold
        60,000 points but not as many images. Whole numbers weigh least.
    pictures : bool
        Each image stands above its point, framed in its group's color; faint if never asked for.
    """
    check_name("color_by", color_by, ("group", "class"))
    xy, names, numbers = points(coordinates, targets, classes, indices)
    groups = np.asarray(groups)
    check_length("groups", groups, len(xy))
    for group in np.unique(groups):
        check_name("group", str(group), GROUPS)
    if color_by == "class" and targets is None:
        raise AlodError('color_by="class" without targets: pass the class of each image')

    rounds = np.full(len(xy), -1) if asked_round is None else np.asarray(asked_round)
    check_length("asked_round", rounds, len(xy))
    fig = go.Figure()
    if pictures:
        xy, sheet = _pictured(xy, groups, rounds < 0, check_images(np.asarray(images)))
    if crowd is not None:
        fig.add_trace(_crowd(crowd))
    shown = [group for group in GROUPS if (groups == group).any()]
    for group in shown:
        label, marker = GROUPS[group]
        own = groups == group
        parts = [own & (names == name) for name in pd.unique(names[own])]
        for part in parts:
            name = str(names[part][0])
            style = marker | ({"size": 5} if pictures else {})
            if color_by == "class":
                style["color"] = _class_color(name, names, classes)
                if group != "pool":
                    # A rim tells a marker from the faint points of its own class behind it.
                    style |= {"size": style["size"] + 1, "line": {"width": 1, "color": "white"}}
            fig.add_trace(scatter(xy, numbers, part, f"{label}: {name}" if name else label, style))
            fig.data[-1].legendgroup = label if color_by == "group" else name
        if color_by == "group":
            fig.add_trace(legend_entry(label, marker))
    if color_by == "class":
        for name in _class_order(names, classes):
            color = _class_color(name, names, classes)
            fig.add_trace(legend_entry(name, {"symbol": "circle", "size": 8, "color": color}))
        shapes = [f"{_GLYPHS[group]} {GROUPS[group][0]}" for group in shown if group in _GLYPHS]
        note = "; ".join(filter(None, [note, ", ".join(shapes)]))

    behind = 0 if crowd is None else len(crowd)
    counts = ", ".join(
        f"{(groups == group).sum() + behind * (group == 'pool'):,} {GROUPS[group][0]}"
        for group in shown
    )
    map_axes(fig)
    finish(fig, title, f"Map of image embeddings: {counts}.", 680 if pictures else 520, note=note)
    if pictures:
        lay_under(fig, *sheet)
    batch = int(rounds[groups == "outlier"].max(initial=-1))
    batch = batch if batch >= 0 or (rounds < 0).all() else 0
    return add_cards(fig, images, numbers, names, asked_round, scores, batch)


def class_maps(
    panels: Mapping[str, tuple[NDArray[np.integer], NDArray[np.integer]]],
    classes: Mapping[str, Sequence[str]],
    title: str = "",
    note: str = "",
    columns: int = 2,
) -> go.Figure:
    """Draw maps of many points as small pictures beside each other, colored by class.

    Each picture holds one colored pixel where there are points, which costs a page a hundredth of
    what the points would; who wants to point at them takes `embedding_map`, which has `title` and
    `note` as well.

    Parameters
    ----------
    panels : mapping of str to (ndarray of int (2, N), ndarray of int (N,))
        For each caption, coordinates from 0 to 1023 and classes from 0 to 9.
    classes : mapping of str to sequence of str (C,)
        For each caption, the names of its classes, written where their points are.
    columns : int
        Pictures in a row.
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
        check_length("classes", targets, xy.shape[1])
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
    lay_under(fig, _colored_png(sheet), columns, rows * pitch)
    told = ", ".join(f"{name} ({len(targets):,} images)" for name, (_, targets) in panels.items())
    alt = f"Maps of embeddings colored by class: {told}."
    return finish(fig, title, alt, round(rows * pitch * 180), note=note, inner=True)


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


def _pictured(
    xy: NDArray[np.float32],
    groups: NDArray[np.str_],
    faint: NDArray[np.bool_],
    images: NDArray[np.uint8],
) -> tuple[NDArray[np.float32], tuple[str, float, float]]:
    """Return points in pixels of a sheet, and the sheet: each image stands above its point."""
    (left, low), (right, top) = xy.min(0), xy.max(0)
    unit = _SPAN / max(right - left, top - low, 1e-6)
    corners = ((xy - [left, top]) * [unit, -unit]).round().astype(int)
    width, height = (corners.max(0) + _MARK).tolist()
    sheet = Image.new("RGBA", (width, height))
    for row in np.argsort(~faint, kind="stable"):
        frame = Image.new("RGB", (_MARK, _MARK), GROUPS[groups[row]][1]["color"])
        picture = Image.fromarray(images[row]).convert("RGB")
        frame.paste(picture.resize((_MARK - 2 * _FRAME,) * 2), (_FRAME, _FRAME))
        frame.putalpha(120 if faint[row] else 255)
        sheet.alpha_composite(frame, tuple(corners[row].tolist()))
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=80)
    source = "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
    feet = corners + np.array([_MARK / 2, _MARK])
    return feet.astype(np.float32), (source, width, height)


def _class_order(names: NDArray[Any], classes: Sequence[str] | None) -> list[str]:
    present = set(names)
    known = [name for name in map(str, classes or ()) if name in present]
    return known + sorted(present - set(known))


def _class_color(name: str, names: NDArray[Any], classes: Sequence[str] | None) -> str:
    order = list(map(str, classes)) if classes else _class_order(names, classes)
    return CLASS_COLORS[order.index(name) % len(CLASS_COLORS)] if name in order else GREY


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
            amid.append((float(np.clip(x, 0.12, 0.88)), float(1 - y), short(name)))
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
