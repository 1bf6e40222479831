"""Open every page of the built book in headless Chromium, without a network, and look for faults.

Each page is opened from disk in light, switched to dark there, and opened in dark at phone width.
Every figure must have drawn and fit, the first within two seconds (on a slow machine: within four
times what a page of one line takes); its slider, button and legend must answer mouse and keys, a
map must show the image that is pointed at or tapped, a tap must rescale nothing, terms and
citations must have previews, paper must be light, figures must follow the theme and the window's
width, nothing may be logged as an error or asked from outside, axe-core must find no serious fault,
links inside the book must lead somewhere. Screenshots go to ``_build/screenshots``. Exit 1 with a
list of what is wrong.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from html.parser import HTMLParser
from itertools import product, repeat
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Request,
    Route,
    sync_playwright,
)

from alod_book.chapters import book_folder, repository

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MODES = {"light": (1280, 900), "phone": (400, 800)}
SCHEMES = {"light": "light", "phone": "dark"}  # as opened; in light, dark is turned on there
# Of axe-core. Contrast takes most of its time, and is on a phone what it is on a screen.
CONTRAST: dict[str, object] = {"runOnly": ["color-contrast"]}
ALL_ELSE: dict[str, object] = {"rules": {"color-contrast": {"enabled": False}}}
RULES = {"light": [ALL_ELSE, CONTRAST], "dark": [CONTRAST], "phone": [ALL_ELSE]}
HEAVIEST = 3.0  # MB of HTML
SLOWEST = 2.0  # seconds from disk until the first figure is seen
JOBS = 2  # pages at a time; a browser waits as much as it computes
# The least that a page with a figure can be; what it takes is the machine's doing.
ONE_LINE = """<!doctype html><title>one line</title>
<body><script src="../html/_static/plotly.min.js"></script>
<div class="plotly-graph-div" id="line"></div>
<script>Plotly.newPlot("line", [{ y: [1, 2] }])</script>"""

# Note when the first figure is on the screen: with the frame after it has been drawn.
WATCH = """new MutationObserver((_, observer) => {
  if (!document.querySelector(".plotly-graph-div .main-svg")) return;
  observer.disconnect();
  requestAnimationFrame(() => (window.firstFigure = performance.now() / 1000));
}).observe(document, { childList: true, subtree: true });"""

# Go to every figure and wait until it is drawn, ten seconds at most; a hidden one is opened first.
OPEN_AND_WAIT = """async () => {
  for (const closed of document.querySelectorAll("details:not([open])")) closed.open = true;
  for (const figure of document.querySelectorAll(".plotly-graph-div")) {
    figure.scrollIntoView();
    for (let i = 0; i < 200 && !figure.querySelector(".main-svg, canvas"); i++)
      await new Promise((done) => setTimeout(done, 50));
  }
  scrollTo(0, 0);
  await new Promise((done) => setTimeout(done, 400));
}"""

FAULTS = """() => {
  const faults = [];
  const width = document.documentElement.clientWidth;
  const scroll = document.documentElement.scrollWidth;
  if (scroll > width + 1) {
    const wide = [...document.querySelectorAll("main *")]
      .filter((e) => e.getBoundingClientRect().right > width + 1).pop();
    faults.push(`page is ${scroll} px wide in ${width} px` +
      (wide ? `, perhaps by <${wide.tagName.toLowerCase()} class="${wide.className}">` : ""));
  }
  document.querySelectorAll(".plotly-graph-div").forEach((figure, i) => {
    const drawing = figure.querySelector(".main-svg, canvas");
    const box = figure.getBoundingClientRect();
    if (!drawing) faults.push(`figure ${i} is not drawn`);
    else if (figure.data.some(({ type }, k) => type && type !== figure._fullData[k].type))
      faults.push(`figure ${i} has a trace that _ext/plotly/traces.js lacks`);
    else if (box.width < 50 || box.height < 50)
      faults.push(`figure ${i} is ${box.width} x ${box.height} px`);
    else if (drawing.getBoundingClientRect().right > width + 1)
      faults.push(`figure ${i} is cut off at the right`);
    // What is drawn, of how many, in which units, and the same in words.
    const layout = figure._fullLayout || {};
    const head = figure.closest(".alod-figure").querySelectorAll(".alod-title, .alod-note");
    const title = [...head].map((part) => part.textContent).join(" ");
    const words = figure.closest("[aria-label]")?.getAttribute("aria-label") || "";
    if (words.length < 30) faults.push(`figure ${i} has no alternative text but "${words}"`);
    if (!/n = [0-9]|seed|one run|dashed: a typical random set/i.test(title))
      faults.push(`figure ${i} does not tell its n: ${title}`);
    for (const axis of layout._subplots?.cartesian?.flatMap((pair) =>
      [...pair.matchAll(/[xy][0-9]*/g)].map(([id]) => id.replace(/^[xy]/, "$&axis"))) || []) {
      const { visible, type, title: name } = layout[axis];
      if (visible && type !== "category" && !name?.text)
        faults.push(`figure ${i} has an axis without name: ${axis}`);
    }
    if (drawing && !figure.querySelector(
        ".trace, .point, .points path, .points image, .gl-canvas, .heatmaplayer image, " +
        ".imagelayer image, .barlayer path, .cartesianlayer path, table, .sankey"))
      faults.push(`figure ${i} is empty`);
  });
  document.querySelectorAll("main img").forEach((image) => {
    const name = image.src.slice(0, 80);
    if (!(image.getAttribute("alt") || "").trim()) faults.push(`image without alt: ${name}`);
    if (image.complete && !image.naturalWidth) faults.push(`image does not load: ${name}`);
  });
  if (document.querySelector("mjx-merror")) faults.push("a formula does not parse");
  document.querySelectorAll("div.math, span.math").forEach((formula) => {
    if (!formula.querySelector("mjx-container"))
      faults.push(`formula is not typeset: ${formula.textContent.trim().slice(0, 60)}`);
  });
  return faults;
}"""

# What a tap must leave as it is.
RANGES = """() => [...document.querySelectorAll(".plotly-graph-div")].map((figure) =>
  Object.entries(figure._fullLayout).filter(([id]) => /^[xy]axis\\d*$/.test(id))
    .map(([id, axis]) => [id, ...axis.range.map((end) => Number(end).toPrecision(6))].join(" ")))"""

# The middle of a plot; of a sheet of images, that of its first.
MIDDLE = """(figure) => {
  figure.scrollIntoView({ block: "center" });
  const box = figure.getBoundingClientRect();
  const { xaxis, yaxis } = figure._fullLayout;
  const tiles = figure.data.some((trace) => trace.customdata && trace.marker?.opacity === 0);
  if (!tiles) return [box.left + xaxis._offset + xaxis._length / 2,
                      box.top + yaxis._offset + yaxis._length / 2];
  return [box.left + xaxis._offset + xaxis.d2p(0.5), box.top + yaxis._offset + yaxis.d2p(0.5)];
}"""

TOLD = """(figure) => !figure.data.some((t) => t.customdata && t.marker?.opacity === 0)
  || figure.querySelector(".hoverlayer .hovertext")?.textContent"""

# Where the last image drawn on a map lies in the window.
SPOT = """(figure) => {
  figure.scrollIntoView({ block: "center" });
  const trace = figure._fullData.findLast((t) => t.type === "scattergl" && t.x.length);
  const { xaxis, yaxis } = figure._fullLayout;
  const box = figure.getBoundingClientRect();
  return [box.left + xaxis._offset + xaxis.d2p(trace.x[0]),
          box.top + yaxis._offset + yaxis.d2p(trace.y[0])];
}"""

# The tables offered below the figures: one for each that draws numbers.
TABLES = """async () => {
  const faults = [];
  for (const figure of document.querySelectorAll(".plotly-graph-div")) {
    if (!figure.layout || figure.layout.images?.length) continue;
    const title = figure.closest("[aria-label]").getAttribute("aria-label");
    const link = figure.closest(".alod-figure").querySelector("a.alod-data");
    if (!link) { faults.push(`${title}: offers no data`); continue; }
    link.addEventListener("click", (event) => event.preventDefault());
    link.click();
    const lines = (await (await fetch(link.href)).text()).split("\\n");
    if (lines.length < 3) faults.push(`${title}: its data have ${lines.length} lines`);
  }
  return faults;
}"""

CARD = """async (figure) => {
  const card = figure.querySelector(".alod-card");
  if (card.hidden) return "shows no card";
  if (figure.querySelector(".alod-ring").hidden) return "marks no image";
  if (!card.querySelector(".alod-name").textContent) return "shows a card without label";
  const box = card.getBoundingClientRect();
  if (box.left < 0 || box.right > document.documentElement.clientWidth)
    return "shows a card that is cut off";
  const image = new Image();
  image.src = figure.layout.meta.cards.sheet;
  try { await image.decode(); } catch { return "shows a card without its image"; }
  return "";
}"""

# What a reader sees change in a figure to play with, and whether the focus is seen.
BOARD = "(play) => play.querySelector('.alod-board').innerHTML"
FOCUS = """() => [document.activeElement, document.activeElement.closest("label")]
  .some((e) => e && getComputedStyle(e).outlineStyle !== "none")"""
TILES = "button:nth-child(-n + 3)"  # the first three of those that stand for images
# The score at the highest point of the toy pool, as written and as alod computed it.
SCORES = """(play) => [Number(play.dataset.score),
  Math.max(...JSON.parse(play.querySelector("script").textContent)[play.dataset.kind])]"""

SHOWN_GROUPS = """(figure) => [...new Set(figure._fullData
  .filter((t) => t.visible === true && (t.showlegend || t.legendgroup))
  .map((t) => t.legendgroup || t.name))]"""

MISFITS = """() => [...document.querySelectorAll(".plotly-graph-div")]
  .filter((figure) => figure.offsetParent && figure._fullLayout &&
    Math.abs(figure._fullLayout.width - figure.closest(".alod-figure").clientWidth) > 2)
  .map((figure) => figure.closest("[aria-label]").getAttribute("aria-label"))"""

FONT_COLORS = """() => [...document.querySelectorAll(".plotly-graph-div")]
  .filter((figure) => figure.layout).map((figure) => figure.layout.font.color)"""


# Mark what looks like text before it: of each color, ground and size, contrast is measured once.
MARK_REPEATED = """() => {
  for (const marked of document.querySelectorAll("[data-repeated]")) delete marked.dataset.repeated;
  const [seen, grounds] = [new Set(), new Map([[null, ""]])];
  const isNew = (element) => {
    const style = getComputedStyle(element);
    const { backgroundColor, backgroundImage, color, fontSize, fontWeight, opacity } = style;
    const below = backgroundColor === "rgba(0, 0, 0, 0)" ? grounds.get(element.parentElement) : "";
    grounds.set(element, [backgroundColor, backgroundImage, below].join());
    const look = [color, fontSize, fontWeight, opacity, grounds.get(element)].join();
    const first = !seen.has(look);
    seen.add(look);
    const children = [...element.children];
    const fresh = children.map(isNew);
    if (!first && !fresh.includes(true)) return false;
    children.forEach((child, i) => fresh[i] || (child.dataset.repeated = "yes"));
    return true;
  };
  grounds.set(document.documentElement, "");
  isNew(document.body);
}"""


def browser_path() -> str:
    """Return the browser to use: ``$CHROMIUM`` or the first found on the path."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        sys.exit(f"error: none of {', '.join(BROWSERS)} on the path; install one or set CHROMIUM=")
    return found


def pages(html: Path) -> list[Path]:
    """Return the book's pages, the redirect at its door included."""
    return sorted(
        path for path in html.rglob("*.html") if not path.relative_to(html).parts[0].startswith("_")
    )


def check_map(page: Page, figure: Locator, mode: str) -> Iterator[str]:
    """Yield what is wrong with a map: point at an image, tap it."""
    title = figure.locator("xpath=ancestor::*[@aria-label][1]").get_attribute("aria-label")
    x, y = figure.evaluate(SPOT)
    page.wait_for_timeout(100)
    if mode == "phone":
        page.touchscreen.tap(x, y)
    else:
        page.mouse.move(x - 40, y)
        page.mouse.move(x, y, steps=4)
    page.wait_for_timeout(300)
    fault = figure.evaluate(CARD)
    if fault:
        yield f"{title}: {fault}"


def check_legend(page: Page, figure: Locator) -> Iterator[str]:
    """Yield what is wrong with a legend: a name, clicked or by key, leaves its group alone."""
    title = figure.locator("xpath=..").get_attribute("aria-label")
    page.mouse.move(0, 0)
    groups = figure.evaluate(SHOWN_GROUPS)
    for way in ("click", "key"):
        for expected in (1, len(groups)):
            name = figure.locator(".legendtoggle[tabindex]").first
            if way == "click":
                name.click()
            else:
                name.focus()
                page.keyboard.press("Enter")
            page.wait_for_timeout(100)
            shown = figure.evaluate(SHOWN_GROUPS)
            if len(shown) != expected:
                yield f"{title}: a {way} in the legend leaves {shown} of {groups}"


def check_controls(page: Page, figure: Locator) -> Iterator[str]:
    """Yield what is wrong with a map that plays: its slider and its button, by key and by mouse."""
    place = figure.locator("xpath=..")
    title = place.get_attribute("aria-label")
    figure.evaluate("f => { f.seen = 0; f.on('plotly_animatingframe', () => f.seen++); }")
    slider, button = place.locator("input[type=range]"), place.locator(".alod-controls button")
    tiles = "f => f.closest('.cell_output, .alod-figure').querySelector('.alod-batch')?.textContent"
    first = figure.evaluate(tiles)
    slider.focus()
    page.keyboard.press("End")
    page.wait_for_timeout(700)
    if slider.input_value() != slider.get_attribute("max") or not figure.evaluate("f => f.seen"):
        yield f"{title}: the slider does not move by key"
    if first and figure.evaluate(tiles) == first:
        yield f"{title}: the slider moves but not the images below"
    for way in ("click", "key"):
        before = button.text_content()
        if way == "click":
            button.click()
        else:
            button.focus()
            page.keyboard.press("Enter")
        page.wait_for_timeout(300)
        if button.text_content() == before:
            yield f"{title}: the button that plays does nothing by {way}"


def check_touch(page: Page) -> Iterator[str]:
    """Yield the figures that one tap rescales, and the sheets that do not tell what is tapped."""
    for figure in page.locator(".plotly-graph-div:has(.cartesianlayer)").all():
        title = figure.locator("xpath=..").get_attribute("aria-label")
        before = page.evaluate(RANGES)
        page.touchscreen.tap(*figure.evaluate(MIDDLE))
        page.wait_for_timeout(400)
        if page.evaluate(RANGES) != before:
            yield f"{title}: one tap rescales it"
        if not figure.evaluate(TOLD):
            yield f"{title}: a tap on an image does not tell what it is"


def check_previews(page: Page) -> Iterator[str]:
    """Yield what is wrong with the previews of terms and citations, by key."""
    box = page.locator("#alod-preview")
    for kind in (".html#term-", "references.html#"):
        for link in page.locator(f"main a.internal[href*='{kind}']").all()[:2]:
            link.focus()
            if not box.is_visible() or len(box.text_content() or "") < 20:
                yield f"no preview of {link.text_content()}"
            page.keyboard.press("Escape")
            if box.is_visible():
                yield f"the preview of {link.text_content()} stays"


def check_print(page: Page) -> Iterator[str]:
    """Yield a fault if a page in dark is not light on paper, or stays so afterwards."""
    theme = "document.documentElement.dataset.theme"
    before = page.evaluate(theme)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    if page.evaluate(theme) != "light":
        yield "is printed in dark"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    if page.evaluate(theme) != before:
        yield "changes its theme for good when it is printed"


def check_play(page: Page, play: Locator, mode: str) -> Iterator[str]:
    """Yield what is wrong with a figure to play with: by keys and mouse, on a phone by touch."""
    name = play.get_attribute("data-play")
    if not play.get_attribute("data-ready"):
        yield f"play {name}: its script has not run"
        return
    phone = mode == "phone"

    def tap(part: Locator, x: float = 0.5, y: float = 0.5) -> None:
        part.scroll_into_view_if_needed()
        box = part.bounding_box()
        assert box
        place = (box["x"] + x * box["width"], box["y"] + y * box["height"])
        page.touchscreen.tap(*place) if phone else page.mouse.click(*place)

    def drag(part: Locator) -> None:
        part.hover()
        page.mouse.down()
        page.mouse.move(page.viewport_size["width"] / 2, 300, steps=3)  # type: ignore[index]
        page.mouse.up()

    # What moves, by keys, and by pointer: touch has no drag here, and no menu opens in it.
    plane = play.locator(".alod-plane")
    parts = [
        (play.locator("fieldset"), "input:checked", "ArrowRight", "input:not(:checked)"),
        (play.locator(".alod-field"), "input[type=range]", "ArrowRight", "input[type=range]"),
        (play.locator(".alod-field"), "select", "ArrowDown", ""),
        (plane, ".alod-handle", "ArrowRight", ".alod-handle"),
        (play.locator("[role=group]"), TILES, "Enter", TILES),
        (play.locator(".alod-actions"), ".alod-button:enabled", "Enter", ".alod-button:enabled"),
    ]
    for way, (place, by_key, key, by_pointer) in product(
        ["touch"] if phone else ["key", "mouse"], parts
    ):
        selector = by_key if way == "key" else by_pointer
        for part in place.locator(selector).all() if selector else []:
            before = play.evaluate(BOARD)
            if way == "key":
                part.focus()
                page.keyboard.press(key)
                if not page.evaluate(FOCUS):
                    yield f"play {name}: the focus on {selector} is not seen"
            elif part.get_attribute("type") == "range":
                tap(part, x=0.95)
            elif selector == ".alod-handle" and phone:
                tap(plane, 0.2, 0.3)
            elif selector == ".alod-handle":
                drag(part)
            else:
                tap(part)
            page.wait_for_timeout(100)
            if play.evaluate(BOARD) == before:
                yield f"play {name}: {way} on {selector} does nothing"
    if not play.locator("[role=status]").inner_text():
        yield f"play {name}: tells no result"
    if name == "score":
        written, computed = play.evaluate(SCORES)
        if abs(written - computed) > 0.01:
            yield f"play {name}: shows {written} where the score is {computed}"


def check_theme_switch(page: Page) -> Iterator[str]:
    """Yield what does not follow when a reader turns the dark theme on."""
    before = page.evaluate(FONT_COLORS)
    for _ in range(3):  # light, dark, the system's
        page.locator(".theme-switch-button:visible").first.click()
        if page.evaluate("document.documentElement.dataset.theme") == "dark":
            break
    else:
        yield "the theme button does not lead to the dark theme"
    page.wait_for_timeout(500)
    after = page.evaluate(FONT_COLORS)
    if any(old == new for old, new in zip(before, after, strict=True)):
        yield "a figure keeps its colors when the theme changes"


def check_width(page: Page) -> Iterator[str]:
    """Yield the figures that keep another width than their place when the window changes."""
    # Across the width at which the theme's sidebar appears.
    for width in (900, MODES["light"][0]):
        page.set_viewport_size({"width": width, "height": MODES["light"][1]})
        for _ in range(30):  # Many figures take a while, and the sidebar slides.
            page.wait_for_timeout(200)
            misfits = page.evaluate(MISFITS)
            if not misfits:
                break
        for title in misfits:
            yield f"{title}: does not fit its place in a window of {width} px"


def check_access(page: Page, mode: str) -> Iterator[str]:
    """Yield what axe-core finds serious or critical for readers with other senses or devices."""
    page.evaluate(MARK_REPEATED)
    for rules in RULES[mode]:
        context = {"exclude": [["[data-repeated]"]]} if rules is CONTRAST else None
        # Unasked, it would read the styles again, which a browser refuses to pages from disk.
        options = {"preload": False, "resultTypes": ["violations"], **rules}
        yield from violations(Axe().run(page, context=context, options=options).response)


def violations(found: dict[str, Any]) -> Iterator[str]:
    """Yield the faults that axe-core calls serious or critical, each with its first place."""
    for violation in found["violations"]:
        if violation["impact"] in ("serious", "critical"):
            places = [node["html"][:160] for node in violation["nodes"]]
            told = f"{violation['id']}: {violation['help']}: {places[0]}"
            yield f"accessibility: {told}" + (f" and {len(places) - 1} more" if places[1:] else "")


class Links(HTMLParser):
    """The links of a page and the places that can be linked to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag's ``href`` or ``src`` and its ``id``."""
        given = dict(attrs)
        self.places |= {given[name] or "" for name in ("id", "name") if name in given}
        self.links += [given[name] or "" for name in ("href", "src") if name in given]


@cache
def links_of(path: Path) -> Links:
    """Read the links of a page."""
    links = Links()
    links.feed(path.read_text(encoding="utf-8"))
    return links


def check_links(path: Path) -> Iterator[str]:
    """Yield the links to files of the book that are not there, or to places that a page lacks."""
    for link in links_of(path).links:
        address = urlsplit(link)
        if address.scheme or address.netloc or not link:
            continue
        target = (path.parent / unquote(address.path)).resolve() if address.path else path
        if not target.is_file():
            yield f"a link leads nowhere: {link}"
        elif (
            address.fragment
            and target.suffix == ".html"
            and unquote(address.fragment) not in links_of(target).places
        ):
            yield f"a link leads to no place on its page: {link}"


def seconds_alone(browser: Browser, path: Path) -> float:
    """Return the seconds until a page's first figure is seen: the fastest of up to three openings.

    One that is fast enough suffices.
    """
    seconds: list[float] = []
    while len(seconds) < 3 and min(seconds, default=SLOWEST) >= SLOWEST:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.add_init_script(WATCH)
        page.goto(path.as_uri(), wait_until="load")
        page.evaluate("document.querySelector('.plotly-graph-div').scrollIntoView()")
        seconds.append(page.wait_for_function("window.firstFigure").json_value())
        page.close()
    return min(seconds)


def check_seconds(paths: list[Path], folder: Path) -> Iterator[str]:
    """Yield the pages of which the first figure comes late with nothing beside them.

    A page of one line, to compare with, is written to `folder`, which stands beside the book.
    """
    line = folder / "one_line.html"
    line.write_text(ONE_LINE, encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)
        least = min(seconds_alone(browser, line) for _ in range(3))
        for path in paths:
            seconds = seconds_alone(browser, path)
            told = f"{path.name}: {seconds:.2f} s until the first figure, one line {least:.2f} s"
            print(told, flush=True)
            if seconds > max(SLOWEST, 4 * least):
                yield told
        browser.close()
    line.unlink()


def check_page(
    browser: Browser, html: Path, path: Path, mode: str, shots: Path, seconds: list[float]
) -> Iterator[str]:
    """Yield what is wrong with one page in one mode; leave a screenshot.

    Seconds until the first figure, if there is one, are added to `seconds`.
    """
    width, height = MODES[mode]
    scheme = SCHEMES[mode]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        offline=True,
        has_touch=mode == "phone",
    )
    # The theme keeps the reader's choice there; the system's is not asked in every version.
    context.add_init_script(
        f"localStorage.setItem('mode', '{scheme}'); localStorage.setItem('theme', '{scheme}');"
    )
    context.add_init_script(WATCH)
    faults: list[str] = []

    def gate(route: Route, request: Request) -> None:
        faults.append(f"asks {request.url}")
        route.abort()

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error":
            faults.append(f"console: {message.text}")

    def failed(error: Error) -> None:
        # Plotly rejects, without a reason, the promise of an animation that another interrupts.
        if str(error) != "undefined":
            faults.append(f"error: {error}")

    context.route(re.compile("^(?!file:|data:|blob:)"), gate)
    page: Page = context.new_page()
    page.on("console", heard)
    page.on("pageerror", failed)
    page.on("requestfailed", lambda request: faults.append(f"cannot load {request.url}"))
    page.goto(path.as_uri(), wait_until="load")
    if path.name == "index.html" and path.parent == html:
        page.wait_for_url("**/book/**")
    page.evaluate(OPEN_AND_WAIT)
    first = page.evaluate("window.firstFigure")
    seconds += [first] if first else []
    if page.evaluate("document.documentElement.dataset.theme") != scheme:
        faults.append(f"the {scheme} theme is not on")
    faults += page.evaluate(FAULTS)
    name = "-".join(path.relative_to(html).with_suffix("").parts)

    def look(shown: str) -> Iterator[str]:
        # JPEG is quicker to write, and ends at 65,535 pixels.
        long = page.evaluate("document.documentElement.scrollHeight") > 65_000
        file = shots / f"{name}-{shown}.{'png' if long else 'jpg'}"
        quality = None if long else 80
        # At rest: the theme's sidebar slides in.
        page.screenshot(path=file, full_page=True, quality=quality, animations="disabled")
        yield from check_access(page, shown)

    faults += look(mode)
    if mode == "light":
        faults += check_theme_switch(page)
        faults += [f"in dark: {fault}" for fault in look("dark")]
    for figure in page.locator(".plotly-graph-div:has(.alod-card)").all():
        faults += check_map(page, figure, mode)
    for play in page.locator(".alod-play").all():
        faults += check_play(page, play, mode)
    if mode == "light":
        for figure in page.locator(".plotly-graph-div:has(.legendtoggle[tabindex])").all():
            faults += check_legend(page, figure)
        for figure in page.locator(".alod-figure:has(.alod-controls) .plotly-graph-div").all():
            faults += check_controls(page, figure)
        faults += page.evaluate(TABLES)
        faults += check_previews(page)
        faults += check_print(page)
        faults += check_width(page)
    else:
        faults += check_touch(page)
    yield from dict.fromkeys(faults)
    context.close()


def check_notebook(html: Path, path: Path) -> Iterator[str]:
    """Yield a fault if a chapter does not lead to its notebook: on Colab, and as executed here."""
    chapter = path.relative_to(html).with_suffix(".ipynb")
    if not (book_folder().parent / chapter).is_file():
        return
    executed = html / "_sources" / chapter
    config = (book_folder().parent / "_config.yml").read_text()
    branch = re.search(r"^ +branch: (\S+)$", config, re.M)
    place = f"{repository()}/blob/{branch[1] if branch else 'main'}/{chapter}"
    expected = f"https://colab.research.google.com/github/{place}"
    for link in (expected, f"../_sources/{chapter}"):
        if link not in links_of(path).links:
            yield f"no link to {link}"
    if not executed.is_file() or '"output_type"' not in executed.read_text(encoding="utf-8"):
        yield "the notebook to download has no outputs"


def weights(path: Path) -> tuple[float, float]:
    """Return the size in MB of a page alone and with the local files it names."""
    text = path.read_text(encoding="utf-8")
    named = re.findall(r'<(?:script|img|link)\b[^>]*?\b(?:src|href)="([^"]+)"', text)
    named += re.findall(r'"sheet":"([^"]+)"', text)  # the images of a map
    local = {
        (path.parent / unquote(urlsplit(address).path)).resolve()
        for address in named
        if not urlsplit(address).scheme and not urlsplit(address).netloc
    }
    alone = path.stat().st_size
    files = sum(file.stat().st_size for file in local if file.is_file() and file != path.resolve())
    return alone / 1e6, (alone + files) / 1e6


def check(html: Path, path: Path, shots: Path) -> tuple[str, float, list[str]]:
    """Open one page in every mode, in a browser of its own.

    Returns its line of the report, seconds until its first figure (0 if none) and its faults.
    """
    name = str(path.relative_to(html))
    door = name == "index.html"  # the redirect leads to a page that is checked by itself
    alone, everything = weights(path)
    wrong = [*check_notebook(html, path), *dict.fromkeys(check_links(path))]
    if alone > HEAVIEST:
        wrong.append(f"{alone:.1f} MB of HTML, more than {HEAVIEST} MB")
    seconds: list[float] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)
        for mode in ["light"] if door else MODES:
            faults = check_page(browser, html, path, mode, shots, seconds)
            wrong += [f"({mode}) {fault}" for fault in faults]
        browser.close()
    # The faster: what else the machine does is not the page's fault.
    first = 0 if door else min(seconds, default=0)
    told = f"{name:<32}{alone:>9.2f}{everything:>11.2f}" + (f"{first:>10.2f}" if first else "")
    return told, first, [f"{name}: {fault}" for fault in wrong]


def main() -> None:
    """Check the book that ``make book`` has built."""
    out = book_folder().parent / "_build"
    html = out / "html"
    if not (html / "index.html").is_file():
        sys.exit(f"error: no book in {html}; run 'make book' first")
    browser_path()
    shots = out / "screenshots"
    shutil.rmtree(shots, ignore_errors=True)
    shots.mkdir(parents=True)
    wrong: list[str] = []
    print(f"{'page':<32}{'HTML MB':>9}{'in all MB':>11}{'figure s':>10}")
    late = []
    paths = pages(html)
    with ProcessPoolExecutor(JOBS) as pool:
        for path, (told, first, faults) in zip(
            paths, pool.map(check, repeat(html), paths, repeat(shots)), strict=True
        ):
            print(told, flush=True)
            wrong += faults
            late += [path] if first > SLOWEST else []
    wrong += check_seconds(late, shots) if late else []
    print(f"screenshots: {shots}")
    if wrong:
        print(f"{len(wrong)} faults:", *wrong, sep="\n  ", file=sys.stderr)
        sys.exit(1)
    print("every page is whole: light, dark, phone, offline, accessible")


if __name__ == "__main__":
    main()
