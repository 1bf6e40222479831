"""Each strategy's card: formula, picture, words, code."""

import base64
import io
import re
from html import unescape

import numpy as np
import pytest
from PIL import Image

import alod
from alod import strategies
from alod_book import strategy_cards


@pytest.fixture(scope="module")
def learner(mini):
    learner = alod.ActiveLearner(mini.images[:300], n_classes=10, model="lenet5", steps=5)
    learner.step(20, lambda indices: mini.targets[indices].numpy())
    return learner


def test_every_strategy_has_a_formula():
    assert set(strategy_cards.FORMULAS) == set(strategies.STRATEGIES)


@pytest.mark.parametrize("name", strategies.STRATEGIES)
def test_a_card_shows_the_code_that_runs(learner, mini, name):
    shown = strategy_cards.card(learner, mini, name, k=10).data
    block = re.search(r"<pre>(.*)</pre>", shown, re.DOTALL)[1]
    code = unescape(re.sub(r"<[^>]+>", "", block))
    assert '"""' not in code and code.startswith(f"def {name}(")
    made = dict(vars(strategies))
    exec("from __future__ import annotations\n" + code, made)
    view = learner.view()
    asked = [f(view, 10, np.random.default_rng(0)) for f in (made[name], getattr(strategies, name))]
    np.testing.assert_array_equal(asked[0].indices, asked[1].indices)


def test_the_picture_holds_what_is_asked_for(learner, mini):
    shown = strategy_cards.card(learner, mini, "margin", k=12, seed=3).data
    sheet = base64.b64decode(re.search(r"base64,([^\"]+)", shown)[1])
    pixels = np.asarray(Image.open(io.BytesIO(sheet)))
    rng = np.random.default_rng(3)
    asked = learner.pool[strategies.margin(learner.view(), 12, rng).indices]
    np.testing.assert_array_equal(pixels[30:58, 30:58], mini.images[asked[11], 0])
    wrong = (learner.outputs()[1][asked].argmax(1) != mini.targets[asked]).sum()
    assert f"12 images that it asks for: {wrong} are taken" in shown


def test_words_are_the_docstring_s_without_its_markup(learner, mini):
    shown = strategy_cards.card(learner, mini, "dbal", k=10).data
    assert "<code>margin</code>" in shown and "Zhdanov 2019" in shown
    assert ":func:" not in shown and "`" not in re.sub(r"<pre>.*</pre>", "", shown, flags=re.DOTALL)
