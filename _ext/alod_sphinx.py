"""Serve plotly.js, MathJax and the figures' scripts from the book, on the pages that need them."""

import base64
import hashlib
import json
import re
import shutil
import textwrap
from html import escape
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from alod_book.renderer import figures_as_html

HERE = Path(__file__).parent
PLOTLY = "plotly.min.js"  # a third of what the Python package holds; see plotly/package.json
FIGURES = ("alod_controls.js", "alod_figures.js")
CARDS = "alod_cards.js"
PAGE = "alod_page.js"  # on every page
# The images of a map, as make_cards packs them and plotly writes them.
SHEET = re.compile(r'"sheet":\s*("data:image[^"]+")')
# Who links to a page shows it; an address must be whole.
PICTURE = "{}/raw/main/.github/headline.png"
# One file with its glyphs inside: browsers refuse web fonts to some pages opened from disk.
MATHJAX = "tex-svg.js"


def draw_figures(app: Sphinx, page: str, source: list[str]) -> None:
    """Give MyST-NB, which does not know Plotly's figures, HTML in their place."""
    if app.env.doc2path(page).endswith(".ipynb"):
        source[0] = figures_as_html(source[0])


def use_local_mathjax(_app: Sphinx, config: Config) -> None:
    """Point sphinx.ext.mathjax, which adds it to pages with formulas only, at the copy."""
    config.mathjax_path = MATHJAX


def copy_scripts(app: Sphinx) -> None:
    """Put the scripts where pages look for them."""
    if app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    static.mkdir(parents=True, exist_ok=True)
    mathjax = distribution("sphinx-mathjax-offline").locate_file(
        f"sphinx-mathjax-offline/static/mathjax/{MATHJAX}"
    )
    shutil.copyfile(str(mathjax), static / MATHJAX)
    for script in (Path("plotly", PLOTLY), *FIGURES, CARDS, PAGE):
        shutil.copyfile(HERE / script, static / Path(script).name)
    app.add_js_file(PAGE, loading_method="defer")


def add_plotly(
    app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object
) -> None:
    """Load plotly.js on pages with a figure, after their text."""
    if "plotly-graph-div" in context.get("body", ""):
        for script in (PLOTLY, *FIGURES):
            app.add_js_file(script, loading_method="defer")


def share_sheets(
    app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: object
) -> None:
    """Keep the images of maps in files, one for all maps of the same images.

    A page with six maps of 2,000 images stays light, and its first figure need not wait for them.
    """
    body = context.get("body", "")
    if not SHEET.search(body):
        return
    app.add_js_file(CARDS, loading_method="defer")
    folder = Path(app.outdir, "_images")
    folder.mkdir(parents=True, exist_ok=True)

    def as_file(match: re.Match[str]) -> str:
        content = base64.b64decode(json.loads(match[1]).partition(",")[2])
        name = f"cards-{hashlib.sha256(content).hexdigest()[:16]}.png"
        (folder / name).write_bytes(content)
        return f'"sheet":"{context["pathto"](f"_images/{name}", 1)}"'

    context["body"] = SHEET.sub(as_file, body)


def mend_citations(
    _app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object
) -> None:
    """Take a role from the list of references that its entries, by their own roles, contradict."""
    body = context.get("body", "")
    context["body"] = body.replace(
        '<div role="list" class="citation-list">', '<div class="citation-list">'
    )


def describe(
    app: Sphinx, page: str, _template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Say what a page is about to who links to it, and what its terms mean to who points at them.

    The first paragraph describes a page. Definitions lie in the page: one from disk can ask no
    other. What a citation leads to is its link's own title.
    """
    if doctree is None:
        return
    first = next(iter(doctree.findall(nodes.paragraph)), None)
    words = " ".join(first.astext().split()) if first else app.config.project
    facts = {
        "title": context["title"],
        "description": textwrap.shorten(words, 200, placeholder=" \N{HORIZONTAL ELLIPSIS}"),
        "type": "article",
        "site_name": app.config.html_title,
        "image": PICTURE.format(app.config.html_theme_options["repository_url"]),
    }
    tags = [f'<meta property="og:{name}" content="{escape(text)}">' for name, text in facts.items()]
    tags.append(f'<meta name="description" content="{escape(facts["description"])}">')
    context["metatags"] = context.get("metatags", "") + "\n".join(tags)
    told = definitions(app)
    used = {
        link: told[link] for link in re.findall(r'href="([^"]+)"', context["body"]) if link in told
    }
    if used:
        packed = json.dumps(used, ensure_ascii=False).replace("<", "\\u003c")
        context["body"] += f'<script type="application/json" id="alod-previews">{packed}</script>'


def definitions(app: Sphinx) -> dict[str, str]:
    """Return what the terms of the glossary mean, by the address of each beside it."""
    told: dict[str, str] = getattr(app, "alod_terms", {})
    if not told:
        terms = app.env.get_domain("std").data["terms"]
        for page in {page for page, _ in terms.values()}:
            for item in app.env.get_doctree(page).findall(nodes.definition_list_item):
                meant = " ".join(item.children[-1].astext().split())
                ids = [name for part in item.findall(nodes.term) for name in part["ids"]]
                told |= {f"{page.rpartition('/')[2]}.html#{name}": meant for name in ids}
        app.alod_terms = told  # type: ignore[attr-defined]
    return told


def drop_thebe(
    _app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object
) -> None:
    """Leave out the live-code scripts of Jupyter Book, which the book does not use.

    They come twice on a page, and the second declares its constants again: an error.
    """
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in f"{script.filename} {script.attributes.get('body', '')}".lower()
    ]


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.connect("source-read", draw_figures)
    app.connect("config-inited", use_local_mathjax)
    app.connect("builder-inited", copy_scripts)
    app.connect("html-page-context", share_sheets)  # listens before the first figure is drawn
    app.connect("html-page-context", add_plotly)
    app.connect("html-page-context", mend_citations)
    app.connect("html-page-context", describe)
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
