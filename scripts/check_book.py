"""Open every page of the built book in headless Chromium, without a network, and look for faults.

Each page is opened from disk in light, dark and at phone width. Every figure must have drawn
and fit, its slider and buttons must answer, nothing may be logged as an error or asked from
outside. Screenshots go to ``_build/screenshots``. Exit 1 with a list of what is wrong.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Page,
    Request,
    Route,
    sync_playwright,
)

from alod.book import book_folder, repository

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
MODES = {"light": (1280, 900), "dark": (1280, 900), "phone": (400, 800)}

# Wait until every figure has drawn or ten seconds are over; a hidden one is opened first.
OPEN_AND_WAIT = """async () => {
  for (const closed of document.querySelectorAll("details:not([open])")) closed.open = true;
  const drawn = (figure) => figure.querySelector(".main-svg, canvas");
  const figures = [...document.querySelectorAll(".plotly-graph-div")];
  for (let i = 0; i < 100 && !figures.every(drawn); i++)
    await new Promise((done) => setTimeout(done, 100));
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
    else if (box.width < 50 || box.height < 50)
      faults.push(`figure ${i} is ${box.width} x ${box.height} px`);
    else if (drawing.getBoundingClientRect().right > width + 1)
      faults.push(`figure ${i} is cut off at the right`);
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

# What a reader does: click the last step of the slider, then the first button.
INTERACT = """async () => {
  const faults = [];
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  for (const figure of document.querySelectorAll(".plotly-graph-div")) {
    if (!figure.on) continue;  // not drawn, which is told already
    const title = figure.closest("[aria-label]")?.getAttribute("aria-label") || figure.id;
    const events = [];
    for (const name of ["plotly_animated", "plotly_animatingframe", "plotly_sliderchange",
                        "plotly_restyle", "plotly_relayout", "plotly_update",
                        "plotly_buttonclicked"])
      figure.on(name, () => events.push(name));
    for (const [i, slider] of (figure.layout.sliders || []).entries()) {
      if ((slider.steps || []).length < 2) continue;
      const touch = figure.querySelectorAll(".slider-rail-touch-rect")[i];
      if (!touch) { faults.push(`${title}: slider ${i} is not drawn`); continue; }
      touch.scrollIntoView({ block: "center" });
      const box = touch.getBoundingClientRect();
      const at = { bubbles: true, clientX: box.right - 2, clientY: box.top + box.height / 2 };
      const before = slider.active || 0;
      touch.dispatchEvent(new MouseEvent("mousedown", at));
      document.dispatchEvent(new MouseEvent("mouseup", at));
      figure.dispatchEvent(new MouseEvent("mouseup", at));
      await wait(700);
      const after = figure.layout.sliders[i].active || 0;
      if (after === before && !events.includes("plotly_sliderchange"))
        faults.push(`${title}: slider ${i} does not move`);
      const step = slider.steps[after];
      if (step.method === "animate" && !events.includes("plotly_animatingframe"))
        faults.push(`${title}: slider ${i} moves but shows no frame`);
    }
    for (const button of figure.querySelectorAll(".updatemenu-button")) {
      events.length = 0;
      button.dispatchEvent(new MouseEvent("click", { bubbles: true }));
      await wait(400);
      if (!events.length) faults.push(`${title}: a button does nothing`);
    }
  }
  return faults;
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


def check_page(browser: Browser, html: Path, path: Path, mode: str, shots: Path) -> Iterator[str]:
    """Yield what is wrong with one page in one mode; leave a screenshot."""
    width, height = MODES[mode]
    scheme = "dark" if mode == "dark" else "light"
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
    )
    # The theme keeps the reader's choice there; the system's is not asked in every version.
    context.add_init_script(
        f"localStorage.setItem('mode', '{scheme}'); localStorage.setItem('theme', '{scheme}');"
    )
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
    if page.evaluate("document.documentElement.dataset.theme") != scheme:
        faults.append(f"the {scheme} theme is not on")
    faults += page.evaluate(FAULTS)
    name = "-".join(path.relative_to(html).with_suffix("").parts)
    page.screenshot(path=shots / f"{name}-{mode}.png", full_page=True)
    if mode == "light":
        faults += page.evaluate(INTERACT)
    yield from dict.fromkeys(faults)
    context.close()


def check_colab(html: Path, path: Path) -> Iterator[str]:
    """Yield a fault if a chapter does not lead to its own notebook on Colab."""
    chapter = path.relative_to(html).with_suffix(".ipynb")
    if not (book_folder().parent / chapter).is_file():
        return
    expected = f"https://colab.research.google.com/github/{repository()}/blob/main/{chapter}"
    if expected not in path.read_text(encoding="utf-8"):
        yield f"no link to {expected}"


def weights(path: Path) -> tuple[float, float]:
    """Return the size in MB of a page alone and with the local files it names."""
    text = path.read_text(encoding="utf-8")
    named = re.findall(r'<(?:script|img|link)\b[^>]*?\b(?:src|href)="([^"]+)"', text)
    local = {
        (path.parent / unquote(urlsplit(address).path)).resolve()
        for address in named
        if not urlsplit(address).scheme and not urlsplit(address).netloc
    }
    alone = path.stat().st_size
    files = sum(file.stat().st_size for file in local if file.is_file() and file != path.resolve())
    return alone / 1e6, (alone + files) / 1e6


def main() -> None:
    """Check the book that ``make book`` has built."""
    out = book_folder().parent / "_build"
    html = out / "html"
    if not (html / "index.html").is_file():
        sys.exit(f"error: no book in {html}; run 'make book' first")
    shots = out / "screenshots"
    shutil.rmtree(shots, ignore_errors=True)
    shots.mkdir(parents=True)
    wrong: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)
        print(f"{'page':<32}{'HTML MB':>9}{'in all MB':>11}")
        for path in pages(html):
            name = str(path.relative_to(html))
            alone, everything = weights(path)
            print(f"{name:<32}{alone:>9.2f}{everything:>11.2f}", flush=True)
            wrong += [f"{name}: {fault}" for fault in check_colab(html, path)]
            # The redirect leads to a page that is checked by itself.
            for mode in ["light"] if name == "index.html" else MODES:
                faults = check_page(browser, html, path, mode, shots)
                wrong += [f"{name} ({mode}): {fault}" for fault in faults]
        browser.close()
    print(f"screenshots: {shots}")
    if wrong:
        print(f"{len(wrong)} faults:", *wrong, sep="\n  ", file=sys.stderr)
        sys.exit(1)
    print("every page is whole: light, dark, phone, offline")


if __name__ == "__main__":
    main()
