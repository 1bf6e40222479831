"""What the book's own Sphinx extensions promise: shared images, links from names to chapters."""

import base64
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import alod

pytest.importorskip("sphinx")
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "_ext"))
import alod_api  # noqa: E402
import alod_sphinx  # noqa: E402


def test_names_are_found_in_code_under_any_import(tmp_path):
    code = [
        "try:\n    import alod\nexcept ImportError:\n    %pip install -q alod",
        "from alod import figures as f, book\nfrom alod.outliers import core_set",
        "data = alod.load_dataset('mnist_mini')\nf.table(data)\ncore_set(1)\nother.sweep.tidy()",
        "alod.run_experiment(config, out=book.run_folder('a')).history",
    ]
    cells = [new_markdown_cell("`figures.image_grid` is only spoken of"), *map(new_code_cell, code)]
    path = tmp_path / "chapter.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    used = alod_api.used_names(path)
    assert {
        "alod.images.known.load_dataset",
        "alod_book.figures.table",
        "alod.outliers.core_set",
        "alod.experiments.run.run_experiment",
        "alod_book.build.run_folder",
    } <= used
    assert not any("image_grid" in name or "tidy" in name for name in used)


def test_a_name_leads_to_the_chapters_that_use_it_else_to_its_modules_own():
    users = {"book/intro": {"alod_book.figures.table"}, "book/mnist": {"alod_book.figures.table"}}
    assert alod_api.chapters_of("alod_book.figures.table", users) == ["book/intro", "book/mnist"]
    assert alod_api.chapters_of("alod.experiments.sweep.tidy", users) == ["book/reproduce"]


def test_every_module_is_on_one_page_and_leads_to_a_page_of_the_book():
    listed = "".join(page.read_text() for page in (ROOT / "book").glob("api*.md"))
    pages = alod_api.pages(ROOT)
    assert pages[0] == "book/intro"
    for page in pages:
        assert page == "book/status" or any(
            (ROOT / f"{page}{suffix}").is_file() for suffix in (".ipynb", ".md")
        )
    for module in {*alod._MODULES, "errors"}:
        assert listed.count(f".. automodule:: alod.{module}\n") == 1
        assert alod_api.TAUGHT[module] in pages


def test_fields_of_named_tuples_are_left_out_and_nothing_else():
    def skipped(obj):
        return alod_api.skip_fields(None, "class", "name", obj, False, None)

    assert skipped(alod.view.Selection.indices) is True
    assert skipped(alod.view.Selection) is None
    assert skipped(None) is None


def test_maps_of_the_same_images_share_one_file(tmp_path):
    content = b"not quite a PNG"
    uri = "data:image/png;base64," + base64.b64encode(content).decode()
    # Plotly escapes the slashes of its JSON.
    script = json.dumps({"sheet": uri}, separators=(",", ":")).replace("/", "\\u002f")
    added = []
    app = SimpleNamespace(
        outdir=tmp_path, add_js_file=lambda name, loading_method: added.append(name)
    )
    context = {
        "body": f"<p>one</p>{script}<p>two</p>{script}",
        "pathto": lambda name, _resource: f"../{name}",
    }
    alod_sphinx.share_sheets(app, "book/toy", "", context, None)
    (file,) = (tmp_path / "_images").iterdir()
    assert file.read_bytes() == content
    assert context["body"].count(f'"sheet":"../_images/{file.name}"') == 2
    assert "data:image" not in context["body"]
    assert added == ["alod_cards.js"]
    plain = {"body": "<p>no map</p>"}
    alod_sphinx.share_sheets(app, "book/toy", "", plain, None)
    assert plain == {"body": "<p>no map</p>"} and len(added) == 1
