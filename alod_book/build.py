"""Execute every chapter and build the pages.

``python -m alod_book.build --scale quick`` is what ``make book`` calls.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from alod.errors import AlodError, check_count, check_name
from alod.files import write_atomically
from alod_book.chapters import ChapterFailed, book_folder, notebooks, run_chapter
from alod_book.parameters import parameters_of
from alod_book.status import status_page

SCALES = ("quick", "full")
SLOW = ("model_comparison", "intro")
_WIDGET = "application/vnd.jupyter.widget-view+json"
# A warning as Python prints it, with a file of this machine and the line of code there.
_WARNING = re.compile(r"^\S+:\d+: \w*Warning: (.+)\n  .+$", re.M)
_MADE_HERE = re.compile(r"(?:/[\w.-]+)*/tmp\w{8}/")


def build(scale: str = "quick", data: Path | None = None, jobs: int = 2) -> Path:
    """Execute every chapter, build the book, warnings being errors, and return its first page.

    Executed notebooks and pages are staged in ``_build/stage``, which mirrors the repository, for
    the links to the source and to Colab are made from a page's path. Bad input is refused before
    anything runs. If chapters fail, the others have run, and the `ChapterFailed` holds every error;
    if Jupyter Book fails, that is a ``subprocess.CalledProcessError``.

    Parameters
    ----------
    scale : {"quick", "full"}
        Given to the chapters that have a parameter ``scale``.
    data : Path, optional
        Folder of the full data sets, ``$ALOD_DATA`` for the chapters.
    jobs : int
        Chapters executed at a time, from 1 to 64; they share the cores.
    """
    check_name("scale", scale, SCALES)
    check_count("jobs", jobs, 1, 64)
    if data is not None and not data.is_dir():
        raise AlodError(f"data={str(data)!r}: expected a folder that exists")
    root = book_folder().parent
    out = root / "_build"
    for stale in ("stage", "runs", "html", ".doctrees"):
        shutil.rmtree(out / stale, ignore_errors=True)
    stage = out / "stage"
    (stage / "book").mkdir(parents=True)
    (out / "runs").mkdir()
    _execute_all(stage / "book", _environment(out / "runs", data, jobs), scale, jobs)
    _stage_pages(root, stage)
    write_atomically(stage / "book" / "status.md", status_page(stage / "book", scale))
    # No `python -m jupyter_book` exists, and the script may not be on the path.
    run = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", run, "build", str(stage)]
    command += ["--path-output", str(root), "-W", "-n", "--keep-going", "-q"]
    subprocess.run(command, check=True)
    return out / "html" / "index.html"


def _environment(runs: Path, data: Path | None, jobs: int) -> dict[str, str]:
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    names = ("OMP", "MKL", "OPENBLAS", "NUMBA")
    environment = {f"{name}_NUM_THREADS": threads for name in names}
    environment["ALOD_RUNS"] = str(runs)
    if data is not None:
        environment["ALOD_DATA"] = str(data.resolve())
    return environment


def _execute_all(folder: Path, environment: Mapping[str, str], scale: str, jobs: int) -> None:
    """Write every chapter, executed, to `folder`; report each, and all errors at the end."""
    chapters = notebooks()
    given = {}
    for name, path in chapters.items():
        known = parameters_of(path).get("scale")
        # What is given lands on the page as one more cell; a default need not.
        given[name] = {} if known is None or known.default == scale else {"scale": scale}

    def execute(name: str) -> str | None:
        start = time.perf_counter()
        error = None
        # An empty working directory: a chapter must not lean on where it is run from.
        with tempfile.TemporaryDirectory(prefix="alod_cwd_") as empty:
            try:
                staged = run_chapter(
                    name,
                    given[name],
                    folder / f"{name}.ipynb",
                    cwd=Path(empty),
                    environment=environment,
                    progress=False,
                )
                _tidy_outputs(staged)
            except ChapterFailed as failure:
                error = str(failure)
        outcome = "FAILED" if error else "done"
        print(f"{name:<24}{outcome:<8}{time.perf_counter() - start:7.1f} s", flush=True)
        return error

    # The slowest first, so that nothing waits for it at the end.
    order = sorted(chapters, key=lambda name: name not in SLOW)
    print(f"executing {len(chapters)} chapters at {scale} scale, {jobs} at a time", flush=True)
    with ThreadPoolExecutor(jobs) as pool:
        errors = [error for error in pool.map(execute, order) if error]
    if errors:
        raise ChapterFailed("\n\n".join(errors))


def _tidy_outputs(notebook: Path) -> None:
    """Show outputs as a terminal would: bars where they ended, no dead widgets, no paths of ours.

    Widgets, which need a kernel, would load scripts from a CDN.
    """
    content = json.loads(notebook.read_text(encoding="utf-8"))
    content["metadata"].pop("widgets", None)
    for cell in content["cells"]:
        kept: list[dict[str, Any]] = []
        for output in cell.get("outputs", []):
            if _WIDGET in output.get("data", {}):
                continue
            if output["output_type"] == "stream":
                output["text"] = "".join(output["text"])
                if kept and kept[-1].get("name") == output["name"]:
                    output["text"] = kept.pop()["text"] + output["text"]
            kept.append(output)
        for output in kept:
            if output["output_type"] == "stream":
                lines = output["text"].split("\n")
                text = "\n".join(line.rstrip("\r").split("\r")[-1] for line in lines)
                output["text"] = _MADE_HERE.sub("", _WARNING.sub(r"Warning: \1", text))
        if "outputs" in cell:
            cell["outputs"] = kept
    write_atomically(notebook, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def _stage_pages(root: Path, stage: Path) -> None:
    """Copy what a page is made of, besides the notebooks, to the same paths in the stage."""
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy2(root / name, stage / name)
    for name in ("_ext", "_static"):
        ignore = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(root / name, stage / name, ignore=ignore, dirs_exist_ok=True)
    # Tables of recorded results, and the plan of a trial, are there to be downloaded.
    downloads = ("experiments/*.md", "results/*.csv", "results/*.json")
    for pattern in ("*.md", "*.bib", "images/*", *downloads):
        for page in (root / "book").glob(pattern):
            target = stage / page.relative_to(root)
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(page, target)


def main() -> None:
    """Build the book; exit 2 with one line on bad input, 1 if a chapter or the build failed."""
    parser = argparse.ArgumentParser(prog="python -m alod_book.build", description="Build it.")
    parser.add_argument("--scale", default="quick", help="quick (embedded data) or full")
    parser.add_argument("--data", type=Path, help="folder of the full data sets")
    parser.add_argument("--jobs", type=int, default=2, help="chapters executed at a time")
    arguments = parser.parse_args()
    start = time.perf_counter()
    try:
        page = build(arguments.scale, arguments.data, arguments.jobs)
    except AlodError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except ChapterFailed as error:
        print(f"\n{error}", file=sys.stderr)
        sys.exit(1)
    except subprocess.CalledProcessError:
        print("error: Jupyter Book failed, see above", file=sys.stderr)
        sys.exit(1)
    print(f"the book is built in {time.perf_counter() - start:.0f} s: {page}")


if __name__ == "__main__":
    main()
