"""What a page needs to show an image: the sheet holds it where the script looks for it."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

import alod
from alod import AlodError
from alod_book.figures.cards import make_cards


def tile(cards, position):
    """Cut an image from its sheet, as ``_ext/alod_cards.js`` does."""
    height, width = cards["size"]
    row, column = divmod(position, cards["columns"])
    content = base64.b64decode(cards["sheet"].removeprefix("data:image/png;base64,"))
    sheet = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    return sheet[row * height : (row + 1) * height, column * width : (column + 1) * width]


def test_grey_images_keep_sixteen_greys():
    images = alod.load_dataset("fashion_mnist_mini").images[:30, 0].numpy()
    cards = make_cards(images, range(30), ["bag"] * 30)
    for position in (0, 5, 6, 29):
        shown = tile(cards, position)
        # Half a step of sixteen is 8.5 of 255.
        assert np.abs(shown[..., 0].astype(int) - images[position]).max() <= 8
        assert (shown == shown[..., :1]).all()


def test_color_images_keep_their_colors():
    images = np.zeros((3, 20, 30, 3), np.uint8)
    images[1, ..., 0], images[2, ..., 2] = 250, 250
    cards = make_cards(images, [4, 5, 6], ["", "red", "blue"])
    assert np.abs(tile(cards, 1).astype(int) - images[1]).max() <= 8
    assert np.abs(tile(cards, 2).astype(int) - images[2]).max() <= 8


def test_facts_are_plain_values_in_the_order_of_the_images():
    images = np.zeros((3, 28, 28), np.uint8)
    cards = make_cards(
        images, np.array([9, 4, 7]), ["4", "9", "4"], np.array([-1, 2, 0]), [0.123456, 1.0, np.nan]
    )
    facts = {name: value for name, value in cards.items() if name != "sheet"}
    assert json.loads(json.dumps(facts)) == {
        "columns": 2,
        "size": [28, 28],
        "numbers": [9, 4, 7],
        "names": ["4", "9"],
        "name": [0, 1, 0],
        "rounds": [-1, 2, 0],
        "scores": [0.1235, 1.0, None],
    }


def test_two_thousand_images_weigh_less_than_a_megabyte():
    data = alod.load_dataset("fashion_mnist_mini")
    cards = make_cards(data.images[:2000, 0].numpy(), range(2000), ["shirt"] * 2000, range(2000))
    assert len(json.dumps(cards)) < 1_000_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 28, 28)), [0, 1], ["a", "b"]), "float64"),
        ((np.zeros((2, 1, 28, 28), np.uint8), [0, 1], ["a", "b"]), r"\(2, 1, 28, 28\)"),
        ((np.zeros((2, 28, 28), np.uint8), [0], ["a", "b"]), "numbers of shape"),
        ((np.zeros((2, 28, 28), np.uint8), [0, 1], ["a"]), "names of shape"),
        ((np.zeros((2, 28, 28), np.uint8), [0, 1], ["a", "b"], [0]), "asked_round of shape"),
        ((np.zeros((2, 28, 28), np.uint8), [0, 1], ["a", "b"], None, [0.5]), "scores of shape"),
    ],
)
def test_bad_images_are_refused_in_one_line(arguments, message):
    with pytest.raises(AlodError, match=message) as error:
        make_cards(*arguments)
    assert "\n" not in str(error.value)
