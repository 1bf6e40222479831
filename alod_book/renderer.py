"""Plotly's figures as HTML without plotly.js, which the pages that need it load once.

`_ext/alod_sphinx.py` calls this for the notebooks of this book and of no other. Chapters stay
plain ``fig.show()`` or a last line ``fig``; the notebook that a page offers keeps Plotly's output.
"""

import json
import re
from collections.abc import Mapping
from html import escape
from typing import Any

_PLOTLY = "application/vnd.plotly.v1+json"


def figures_as_html(notebook: str) -> str:
    """Return a notebook's JSON with HTML in the place of each of Plotly's figures."""
    content = json.loads(notebook)
    for cell in content["cells"]:
        for output in cell.get("outputs", []):
            if _PLOTLY in output.get("data", {}):
                output["data"] = {"text/html": figure_html(output["data"][_PLOTLY])}
    return json.dumps(content, ensure_ascii=False)


def figure_html(figure: Mapping[str, Any]) -> str:
    """Return a figure's place, labeled for screen readers, and its JSON, which a script draws.

    The label is the figure's own text, ``layout.meta["alt"]``, else its title. Title and note are
    the page's, and wrap as it does, where ``layout.meta["head"]`` holds them.
    """
    layout = figure.get("layout", {})
    title = layout.get("title", {})
    text = title.get("text", "") if isinstance(title, dict) else str(title)
    meta = layout.get("meta")
    text = meta.get("alt", text) if isinstance(meta, dict) else text
    label = escape(re.sub(r"<[^>]*>", " ", text or "figure").strip(), quote=True)
    parts = {"data": figure["data"], "layout": layout, "frames": figure.get("frames", [])}
    # No tag may end the script before its end.
    drawing = json.dumps(parts, separators=(",", ":")).replace("<", "\\u003c")
    head = (meta.get("head") if isinstance(meta, dict) else None) or {"px": 0}
    above = "".join(
        f'<p class="alod-{part}">{escape(head[part])}</p>'
        for part in ("title", "note")
        if head.get(part)
    )
    height = layout.get("height", 450) - head["px"]
    return (
        f'<div class="alod-figure" role="figure" aria-label="{label}">{above}'
        f'<div class="plotly-graph-div" style="height:{height}px"></div>'
        f'<script type="application/json">{drawing}</script></div>'
    )
