"""One chapter over a grid of parameters: executed notebooks, and a page that lists what they found.

``python -m alod_book.grid mnist -p strategy outlier,margin -p seed 0,1 --out runs/mnist``
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from html import escape
from itertools import product
from pathlib import Path
from typing import Any

from alod.errors import AlodError, check_name
from alod.files import write_atomically
from alod_book.chapters import ChapterFailed, notebooks, run_chapter
from alod_book.parameters import check_parameters

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem }}
body {{ padding: 0 1rem }}
div {{ overflow-x: auto }}
table {{ border-collapse: collapse }}
th, td {{ padding: .4rem .8rem; text-align: left; vertical-align: top }}
tr {{ border-bottom: 1px solid #8886 }}
ul {{ margin: 0; padding-left: 1rem }}
</style>
<h1>{title}</h1>
<p>{told}</p>
<div><table>
<tr>{head}</tr>
{rows}
</table></div>
"""


def run_batch(
    name: str,
    grid: Mapping[str, Sequence[object]],
    out: Path,
    environment: Mapping[str, str] | None = None,
) -> dict[Path, str]:
    """Run a chapter with every combination of some parameters, one after the other.

    What was executed with the same parameters before is kept, so that a batch that was cut off, or
    grows, goes on. A chapter that fails does not stop the others: the error of each is returned, by
    its notebook. Names and values are all checked before anything runs.

    Parameters
    ----------
    name : str
        A name from `alod_book.chapters.notebooks`.
    grid : mapping of str to sequence of object
        The values of each parameter.
    out : Path
        Folder of the notebooks and of ``index.html``, which is renewed after each; made if missing.
    environment : mapping of str to str, optional
        Added to the environment of the chapters.
    """
    known = notebooks()
    check_name("chapter", name, known)
    combinations = [
        check_parameters(known[name], dict(zip(grid, values, strict=True)))
        for values in product(*grid.values())
    ]
    places = {out / f"{_file_name(name, values)}.ipynb": values for values in combinations}
    if len(places) < len(combinations):
        raise AlodError(f"grid {dict(grid)}: expected each value of a parameter once")
    out.mkdir(parents=True, exist_ok=True)
    failed: dict[Path, str] = {}
    for place, values in places.items():
        if _parameters(place) != values:
            try:
                run_chapter(name, values, place, environment=environment, progress=False)
            except ChapterFailed as error:
                failed[place] = str(error)
        write_atomically(out / "index.html", _index(name, places, failed))
        print(f"{place}: {'failed' if place in failed else 'done'}", flush=True)
    return failed


def _file_name(name: str, values: Mapping[str, object]) -> str:
    told = [f"{key}-{re.sub(r'[^A-Za-z0-9.+]+', '-', str(value))}" for key, value in values.items()]
    return "_".join([name, *told])


def _content(notebook: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(notebook.read_text(encoding="utf-8"))
    return content


def _parameters(notebook: Path) -> dict[str, object] | None:
    """Return what a notebook was executed with, None where there is none."""
    if not notebook.is_file():
        return None
    found: dict[str, object] = _content(notebook)["metadata"]["papermill"]["parameters"]
    return found


def _findings(notebook: Path) -> list[str]:
    """Return the titles of a notebook's figures, which say what was found."""
    titles = []
    for cell in _content(notebook)["cells"]:
        for output in cell.get("outputs", []):
            figure = output.get("data", {}).get("application/vnd.plotly.v1+json")
            title = (figure or {}).get("layout", {}).get("title", {}).get("text", "")
            # The note below a title is small; a line break is a space.
            finding = re.sub(r"<br>", " ", re.sub(r"(<br>)?<span.*", "", title)).strip()
            if finding:
                titles.append(finding)
    return titles


def _index(
    name: str, places: Mapping[Path, Mapping[str, object]], failed: Mapping[Path, str]
) -> str:
    names = list(next(iter(places.values())))
    rows = []
    for place, values in places.items():
        cells = [escape(str(value)) for value in values.values()]
        if place in failed:
            cells += ["", f"failed: {escape(failed[place].splitlines()[-1])}", ""]
        elif place.is_file():
            seconds = _content(place)["metadata"]["papermill"]["duration"]
            listed = "".join(f"<li>{escape(finding)}</li>" for finding in _findings(place))
            link = f'<a href="{escape(place.name)}">{escape(place.name)}</a>'
            cells += [f"{seconds:.0f}", f"<ul>{listed}</ul>", link]
        else:
            cells += ["", "not run yet", ""]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    ran = sum(place.is_file() for place in places)
    return PAGE.format(
        title=f"Chapter {escape(name)}, {len(places)} times",
        told=f"{ran} of {len(places)} notebooks are executed, {len(failed)} failed.",
        head="".join(f"<th>{escape(h)}</th>" for h in [*names, "seconds", "found", "notebook"]),
        rows="\n".join(rows),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a batch; exit 2 with one line on bad input, 1 if a chapter failed.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line by default.
    """
    parser = argparse.ArgumentParser(
        prog="python -m alod_book.grid", description="Run a chapter over a grid of parameters."
    )
    parser.add_argument("chapter", help="its name, such as mnist")
    parser.add_argument(
        "-p",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUES"),
        help="a parameter and its values, separated by commas",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of notebooks and index")
    given = parser.parse_args(arguments)
    try:
        grid = {key: values.split(",") for key, values in given.p}
        failed = run_batch(given.chapter, grid, given.out)
    except AlodError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"{given.out / 'index.html'}: {len(failed)} failed")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
