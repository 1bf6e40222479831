"""What the book's own Sphinx extensions promise: shared images, links from names to chapters."""

import ast
import base64
import json
import re
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
        "from alod_book import figures as f, chapters\nfrom alod.outliers import core_set",
        "data = alod.load_dataset('mnist_mini')\nf.table(data)\ncore_set(1)\nother.sweep.tidy()",
        "alod.run_experiment(config, out=chapters.run_folder('a')).history",
    ]
    cells = [new_markdown_cell("`figures.image_grid` is only spoken of"), *map(new_code_cell, code)]
    path = tmp_path / "chapter.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    used = alod_api.used_names(path)
    assert {
        "alod.data.known.load_dataset",
        "alod_book.figures.style.table",
        "alod.outliers.core_set",
        "alod.experiments.run.run_experiment",
        "alod_book.chapters.run_folder",
    } <= used
    assert not any("image_grid" in name or "tidy" in name for name in used)


def test_a_name_leads_to_the_chapters_that_use_it_else_to_its_modules_own():
    table = "alod_book.figures.style.table"
    users = {"book/intro": {table}, "book/mnist": {table}}
    assert alod_api.chapters_of(table, users) == ["book/intro", "book/mnist"]
    assert alod_api.chapters_of("alod.experiments.sweep.tidy", users) == ["book/reproduce"]
    cards = "alod_book.figures.cards.make_cards"
    assert alod_api.chapters_of(cards, users) == ["book/embeddings"]


def test_every_module_is_on_one_page_and_leads_to_a_page_of_the_book():
    pages = alod_api.pages(ROOT)
    assert pages[0] == "book/intro"
    for page in pages:
        assert page == "book/status" or any(
            (ROOT / f"{page}{suffix}").is_file() for suffix in (".ipynb", ".md")
        )
    listed = "".join(page.read_text() for page in (ROOT / "book").glob("api*.md"))
    modules = re.findall(r"automodule:: (.+)", listed)
    assert len(modules) == len(set(modules))
    for module, page in alod_api.TAUGHT.items():
        assert page in pages
        assert any(f"{name}.".startswith(f"{module}.") for name in modules), module


def test_what_one_chapter_calls_is_in_its_module_and_what_several_call_in_a_shared_one():
    chapters = {path.stem: alod_api.used_names(path) for path in (ROOT / "book").glob("*.ipynb")}
    for name in chapters:
        own = f"alod_book.{name}."
        users = {user for user, used in chapters.items() if any(n.startswith(own) for n in used)}
        assert users <= {name}
    for module in ("comparisons", "one_data_set", "one_run"):
        shared = ROOT / "alod_book" / f"{module}.py"
        callers = [*(ROOT / "book").glob("*.ipynb"), *(ROOT / "scripts").glob("*.py")]
        callers += {*(ROOT / "alod_book").glob("*.py")} - {shared}
        for node in ast.parse(shared.read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                call = re.compile(rf"\b{node.name}\(")
                assert sum(bool(call.search(path.read_text())) for path in callers) > 1, node.name


def test_fields_of_named_tuples_are_left_out_and_nothing_else():
    def skipped(obj):
        return alod_api.skip_fields(None, "class", "name", obj, False, None)

    assert skipped(alod.view.Selection.indices) is True
    assert skipped(alod.view.Selection) is None
    assert skipped(None) is None


@pytest.mark.parametrize(
    ("known", "linked"),
    [
        ({"alod.data.load_dataset": "function"}, True),
        ({"alod.data.Dataset.images": "attribute", "alod.labeling.images": "module"}, False),
        ({"alod.a.gains": "function", "alod.b.gains": "function"}, False),
        ({}, False),
    ],
)
def test_a_plain_name_is_a_link_only_where_it_is_one_function_or_class(known, linked):
    python = SimpleNamespace(
        find_obj=lambda *_: [(n, SimpleNamespace(objtype=kind)) for n, kind in known.items()],
        resolve_xref=lambda *_: "link",
    )
    env, app = SimpleNamespace(get_domain=lambda _: python), SimpleNamespace(builder=None)
    node = {"refdomain": "py", "reftype": "obj", "reftarget": "images", "refdoc": "book/api"}
    found = alod_api.resolve_elsewhere(app, env, node, "plain code")
    assert found == ("link" if linked else "plain code")


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
