"""Images in rows, as one picture."""

import base64
import io
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from PIL import Image

from alod.errors import check_count
from alod_book.figures.cards import check_images
from alod_book.figures.layout import check_length, finish, lay_under


def image_grid(
    images: NDArray[np.uint8],
    captions: Sequence[str],
    title: str = "",
    columns: int | None = None,
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
        Class names of one word fit eight.
    title : str
        The finding in one sentence.
    columns : int, optional
        Images in a row; by default ten, or eight where a caption has more than six letters.
    hover : sequence of str (N,), optional
        The longer story of each image; its caption by default.
    note : str
        A line under the title: how to read the captions.

    Examples
    --------
    >>> fig = image_grid(np.zeros((2, 28, 28), np.uint8), ["4", "9"], title="Asked for")
    >>> fig.layout.meta["alt"]
    'Asked for. 2 images: 4; 9.'
    """
    if columns is None:
        columns = 8 if max(map(len, captions), default=0) > 6 else 10
    check_count("columns", columns, 1)
    images = check_images(images)
    hover = captions if hover is None else hover
    check_length("captions", captions, len(images))
    check_length("hover", hover, len(images))

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
            textfont={"size": 10},  # six letters are as wide as a tenth of a phone
            hoverinfo="skip",
        )
    )
    # Wherever a tile is pointed at or tapped, the nearest middle is its own.
    fig.add_trace(
        go.Scatter(
            x=column + 0.5,
            y=row * pitch + pitch / 2,
            mode="markers",
            marker={"opacity": 0},
            customdata=list(hover),
            hovertemplate="%{customdata}<extra></extra>",
        )
    )
    fig.update_layout(hoverdistance=-1, showlegend=False)
    lay_under(fig, _montage(images, row, column, pitch), columns, rows * pitch)
    told = "; ".join(hover[:5]) + ("; …" if len(images) > 5 else "")
    note = "; ".join(filter(None, [f"n = {len(images)} images", note]))
    # Ten columns: between what a page and a phone have for each; fewer may be larger.
    height = round(rows * pitch * min(460 / columns, 72))
    return finish(fig, title, f"{len(images)} images: {told}.", height, note=note, inner=True)


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
