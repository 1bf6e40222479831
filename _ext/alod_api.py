"""The API pages: NumPy docstrings, each function and class with links to the chapters that use it.

Which chapters use a name is read from their code, so that the links keep up with the book.
"""

import ast
import inspect
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import alod
from alod_book import figures

# Where the idea of a module, or of the modules of a package, is told: for names that no chapter's
# code mentions. The longest that a name begins with counts.
TAUGHT = {
    "alod.answers": "book/how_it_works",
    "alod.data": "book/reproduce",
    "alod.data.encoded": "book/photographs",
    "alod.data.pretrained": "book/photographs",
    "alod.encoders": "book/initial_selection",
    "alod.experiments.evaluation": "book/strategy_comparison",
    "alod.experiments.first_sets": "book/initial_selection",
    "alod.experiments.run": "book/mnist",
    "alod.experiments.stress": "book/messy_pools",
    "alod.geometry": "book/how_it_works",
    "alod.heads": "book/photographs",
    "alod.initial": "book/initial_selection",
    "alod.labeling": "book/your_images",
    "alod.learner": "book/how_it_works",
    "alod.models": "book/model_comparison",
    "alod.outliers": "book/how_it_works",
    "alod.recipe": "book/how_it_works",
    "alod.stopping": "book/incremental_learning",
    "alod.strategies": "book/strategy_comparison",
    "alod.training": "book/incremental_learning",
    "alod.view": "book/strategy_comparison",
    "alod_book.comparisons": "book/strategy_comparison",
    "alod_book.figures": "book/mnist",
    "alod_book.figures.cards": "book/embeddings",
    "alod_book.one_run": "book/embeddings",
    "alod_book.projection": "book/embeddings",
    "alod_book.positions": "book/embeddings",
    "alod_book.results": "book/reproduce",
}
OTHERS = "book/reproduce"
DEFINED = ("function", "class", "exception")
PACKAGES = {"alod": alod, "alod_book.figures": figures}


def pages(root: Path) -> list[str]:
    """Return the names of the book's pages in reading order, ``book/intro`` first."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    parts = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    return [toc["root"], *(chapter["file"] for chapter in parts)]


def used_names(notebook: Path) -> set[str]:
    """Return the names of `alod` that a notebook's code mentions, such as ``alod.initial.select``.

    What a package passes on comes by its module: ``alod.experiments.run.run_experiment``.
    """
    known: dict[str, str] = {}
    used = set()
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        # Magics are no Python, and nothing of ours stands in them.
        code = re.sub(r"^(\s*)[%!].*$", r"\1pass", "".join(cell["source"]), flags=re.M)
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Import):
                known |= {a.asname or a.name: a.name for a in node.names if a.name == "alod"}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("alod"):
                known |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
            elif isinstance(node, ast.Attribute | ast.Name):
                first, _, rest = ast.unparse(node).partition(".")
                if first in known:
                    used.add(f"{known[first]}.{rest}".removesuffix("."))
    return {at_home(name) for name in used}


def at_home(name: str) -> str:
    """Return a name by the module that makes it, where a package passes it on."""
    package, _, rest = name.rpartition(".")
    if package not in PACKAGES or rest not in PACKAGES[package].__all__:
        return name
    return f"{getattr(getattr(PACKAGES[package], rest), '__module__', package)}.{rest}"


def chapters_of(name: str, users: Mapping[str, set[str]]) -> list[str]:
    """Return the pages to send a reader of `name` to: three that use it, or its module's own."""
    using = [page for page, names in users.items() if name in names]
    known = [module for module in TAUGHT if name.startswith(f"{module}.")]
    return using[:3] or [TAUGHT[max(known, key=len)] if known else OTHERS]


def read_chapters(app: Sphinx) -> None:
    """Note which chapter uses what."""
    root = Path(app.srcdir)
    notebooks = {page: root / f"{page}.ipynb" for page in pages(root)}
    app.alod_users = {  # type: ignore[attr-defined]
        page: used_names(path) for page, path in notebooks.items() if path.is_file()
    }


def link_chapters(
    app: Sphinx, what: str, name: str, thing: object, _options: object, lines: list[str]
) -> None:
    """Add to the docstring of a function or class where it is taught."""
    if what not in ("function", "class", "exception") or not inspect.getdoc(thing):
        return
    told = ", ".join(f":doc:`/{page}`" for page in chapters_of(name, app.alod_users))  # type: ignore[attr-defined]
    lines += ["", f"*In the book:* {told}", ""]


def resolve_elsewhere(
    app: Sphinx, env: BuildEnvironment, node: Any, content: nodes.TextElement
) -> nodes.Element | None:
    """Find a name that a docstring takes from another module; leave parameters as plain code."""
    if node.get("refdomain") != "py":
        return None
    python, target = env.get_domain("py"), node["reftarget"]
    if node["reftype"] == "obj" and "." not in target:
        # Parameters are called as attributes and modules are: neither is meant by a plain name.
        known = python.find_obj(env, None, None, target, None, 1)  # type: ignore[attr-defined]
        meant = [name for name, entry in known if entry.objtype in DEFINED]
        if len(meant) != 1:
            return content
        (target,) = meant
    node["refspecific"] = True
    found = python.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], target, node, content
    )
    return found or (content if node["reftype"] in ("obj", "data") else None)


def skip_fields(
    app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object
) -> bool | None:
    """Leave out the fields of named tuples, told in the docstring: Python calls each an alias."""
    return (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") or None


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.napoleon")
    app.connect("builder-inited", read_chapters)
    # Behind napoleon, which rewrites the sections of a docstring at 500.
    app.connect("autodoc-process-docstring", link_chapters, priority=600)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("missing-reference", resolve_elsewhere)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
