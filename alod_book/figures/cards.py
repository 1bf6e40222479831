"""What a page shows of an image on a map: one sheet of all images, and a few facts of each.

A figure carries the table in ``layout.meta["cards"]``. The book's own script
(``_ext/alod_cards.js``) reads it; Jupyter and Colab, which do not have the script, show the
figure's plain hover text instead.

Parameters
----------
images : ndarray of uint8 (N, H, W) or (N, H, W, 3)
    Grey or RGB images of one size, at least one.

Examples
--------
>>> cards = make_cards(np.zeros((3, 28, 28), np.uint8), [7, 8, 9], ["cat", "dog", "cat"])
>>> cards["names"], cards["name"], cards["columns"]
(['cat', 'dog'], [0, 1, 0], 2)
"""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from alod.errors import AlodError


def make_cards(
    images: NDArray[np.uint8],
    numbers: ArrayLike,
    names: Sequence[str],
    asked_round: ArrayLike | None = None,
    scores: ArrayLike | None = None,
) -> dict[str, Any]:
    """Pack images and what is known of them, small enough to lie in a page.

    Parameters
    ----------
    numbers : array-like of int (N,)
        Number of each image in its data set, by which a point on the map finds its card.
    names : sequence of str (N,)
        Label of each image; empty where there is none.
    asked_round : array-like of int (N,), optional
        Round in which each image was asked for, 0 being the initial set; -1 where it never was.
    scores : array-like of float (N,), optional
        Outlier score of each image, NaN where there is none.

    Returns
    -------
    dict
        Plain values, ready for JSON: ``sheet`` (PNG as a data URI, images row by row), ``columns``
        (images in a row of the sheet), ``size`` (height and width of an image), ``numbers``,
        ``names`` (each once), ``name`` (a position in it for each image), and where given
        ``rounds`` and ``scores`` (four digits, None for NaN).
    """
    images = check_images(images)
    given = {"numbers": numbers, "names": names, "asked_round": asked_round, "scores": scores}
    for what, values in given.items():
        if values is not None and np.shape(values) != (len(images),):
            raise AlodError(
                f"{what} of shape {np.shape(values)}: expected ({len(images)},), one for each image"
            )
    columns = int(np.ceil(np.sqrt(len(images))))
    distinct = sorted(set(names))
    place = {name: position for position, name in enumerate(distinct)}
    cards: dict[str, Any] = {
        "sheet": _sheet(images, columns),
        "columns": columns,
        "size": list(images.shape[1:3]),
        "numbers": np.asarray(numbers).tolist(),
        "names": distinct,
        "name": [place[name] for name in names],
    }
    if asked_round is not None:
        cards["rounds"] = np.asarray(asked_round).tolist()
    if scores is not None:
        cards["scores"] = [
            None if np.isnan(score) else float(f"{score:.4g}") for score in np.asarray(scores)
        ]
    return cards


def check_images(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return ``images`` as an array, or refuse what cannot be shown as images.

    Returns
    -------
    ndarray of uint8 (N, H, W) or (N, H, W, 3)
    """
    images = np.asarray(images)
    grey, color = images.ndim == 3, images.ndim == 4 and images.shape[-1] == 3
    if images.dtype != np.uint8 or not (grey or color) or len(images) == 0:
        raise AlodError(
            f"images of shape {images.shape} and type {images.dtype}: expected at least one, uint8,"
            " (N, H, W) or (N, H, W, 3); scale to 0-255 and put channels last"
        )
    return images


def _sheet(images: NDArray[np.uint8], columns: int) -> str:
    """Lay images out row by row and return the sheet as the data URI of a PNG."""
    height, width = images.shape[1:3]
    rows = -(-len(images) // columns)
    sheet = np.zeros((rows * height, columns * width, *images.shape[3:]), np.uint8)
    for position, image in enumerate(images):
        row, column = divmod(position, columns)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = image
    file = io.BytesIO()
    if images.ndim == 3:
        # Sixteen greys halve the weight of a sheet and look the same at this size.
        picture = Image.fromarray(((sheet.astype(np.uint16) * 15 + 127) // 255).astype(np.uint8))
        picture = picture.convert("P")
        picture.putpalette([grey * 17 for grey in range(16) for _ in range(3)])
        picture.save(file, "PNG", bits=4, optimize=True)
    else:
        Image.fromarray(sheet).quantize(128).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
