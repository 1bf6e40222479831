"""What is pressed in a browser is what is labeled: the widget's own page, in headless Chromium."""

import os
import shutil
import string
from pathlib import Path

import numpy as np
import pytest

import alod

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: install one or set CHROMIUM=")
SOURCE = Path(alod.__file__).parent / "labeling"
# A model as Jupyter's front ends give one, whose kernel is the widget in this process.
MODEL = """async (source) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { default: widget } = await import(url);
  let values = await kernel(null);
  const heard = {};
  const model = {
    get: (name) => values[name],
    on: (event, call) => (heard[event] = call),
    off: () => {},
    send: async (content) => {
      const old = values;
      values = await kernel(content);
      for (const name of ["tiles", "answers", "state"])
        if (JSON.stringify(old[name]) !== JSON.stringify(values[name])) heard[`change:${name}`]();
    },
  };
  widget.render({ model, el: document.body });
  document.querySelector(".alod-label").focus();
}"""


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        with_flags = {"executable_path": CHROMIUM, "args": ["--no-sandbox", "--disable-gpu"]}
        browser = playwright.chromium.launch(**with_flags)
        yield browser
        browser.close()


@pytest.fixture
def shown(browser, mini):
    """Show a grid of some classes; return the page and the grid."""
    pages = []

    def show(classes):
        learner = alod.ActiveLearner(mini.images[:40], len(classes), model="lenet5", steps=1)
        panel = alod.label(learner, classes, k=6)

        def kernel(content):
            if content:
                panel._receive(None, content, [])
            return {name: getattr(panel, name) for name in ("classes", "tiles", "answers", "state")}

        pages.append(browser.new_page())
        pages[-1].expose_function("kernel", kernel)
        pages[-1].evaluate(MODEL, (SOURCE / "_label.js").read_text())
        return pages[-1], panel

    yield show
    for page in pages:
        page.close()


def press(page, keys):
    for key in keys.split():
        page.keyboard.press(key)
    page.wait_for_function("!document.querySelector('.alod-sent')")


def test_twenty_six_classes_are_labeled_by_two_digits_each(shown):
    letters = list(string.ascii_lowercase)
    page, panel = shown(letters)
    assert page.locator(".alod-class kbd").all_text_contents()[8:11] == ["09", "10", "11"]
    press(page, "0 1 2 6 1 0")
    assert panel.answers == ["a", "z", "j", None, None, None]
    press(page, "2")
    assert page.locator(".alod-message").inner_text().startswith("2_ ")
    assert page.locator(".alod-typed kbd").all_text_contents() == [str(n) for n in range(20, 27)]
    press(page, "Escape 1 9")
    assert page.locator(".alod-typed").count() == 0
    press(page, "9 9")  # no such class
    assert panel.answers == ["a", "z", "j", "s", None, None]
    press(page, "1 Shift 2")
    assert panel.answers[4] == "l"


def test_with_two_digits_the_other_keys_stay_what_they_are(shown):
    page, panel = shown(list(string.ascii_lowercase))
    press(page, "0 3 c 0 n")  # what follows a single digit is no second one
    assert panel.answers[:3] == ["c", "cannot tell", "not one of these"]
    press(page, "1 u")
    page.wait_for_function("document.querySelector('.alod-message').innerText.includes('back')")
    assert panel.answers[:3] == ["c", "cannot tell", None]
    assert len(panel.learner.labeled) == 1
    press(page, "ArrowRight s")
    assert panel.answers[3] == "skip"
    press(page, "ArrowLeft ArrowLeft ArrowLeft 2 Backspace 1 1")
    assert "k" in panel.answers


def test_ten_classes_are_labeled_by_one_digit_each(shown):
    page, panel = shown(list("0123456789"))
    kbd = page.locator(".alod-class kbd").all_text_contents()
    assert kbd == [*"1234567890"]
    press(page, "1 0 5")
    assert panel.answers[:4] == ["0", "9", "4", None]
    assert page.locator(".alod-typed").count() == 0


def test_of_a_hundred_classes_each_has_a_key(shown):
    page, panel = shown([f"class {i}" for i in np.arange(1, 102)])
    kbd = page.locator(".alod-class kbd").all_text_contents()
    assert len(kbd) == len(set(kbd)) == 100
    press(page, "0 0 9 9")
    assert panel.answers[:2] == ["class 100", "class 99"]
