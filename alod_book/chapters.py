"""The book's chapters: where they and their runs lie, and how one is executed.

Examples
--------
>>> notebooks()["mnist"].name
'mnist.ipynb'
>>> run_folder("mnist_cnn_outlier_0").name
'mnist_cnn_outlier_0'
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from alod.errors import AlodError, check_name
from alod.files import write_atomically
from alod_book.parameters import check_parameters

# What a chapter imports and what runs it, by module: the extra `book`.
_NEEDED = {
    "plotly": "plotly",
    "umap": "umap-learn",
    "openTSNE": "openTSNE",
    "papermill": "papermill",
    "ipykernel": "ipykernel",
}


def book_folder() -> Path:
    """Return the folder ``book/`` of the checkout.

    Beside the package if that is a checkout, else the first found from the current directory
    upward; an installed package has none.
    """
    here = Path.cwd()
    for root in (Path(__file__).resolve().parent.parent, here, *here.parents):
        if (root / "_toc.yml").is_file() and (root / "book").is_dir():
            return root / "book"
    raise AlodError(
        f"no book here: {str(here)!r} is in no checkout of the repository; "
        "clone it and run this in its folder"
    )


def notebooks() -> dict[str, Path]:
    """Return the book's notebooks by name, sorted: ``"mnist"`` -> ``.../book/mnist.ipynb``."""
    return {path.stem: path for path in sorted(book_folder().glob("*.ipynb"))}


def repository() -> str:
    """Return the public repository's ``owner/name``, set in ``_config.yml`` and nowhere else."""
    config = book_folder().parent / "_config.yml"
    match = re.search(r"^ +url: https://github\.com/([\w.-]+/[\w.-]+)$", config.read_text(), re.M)
    if match is None:
        raise AlodError(f"{config}: expected 'url: https://github.com/OWNER/NAME' in 'repository:'")
    return match[1]


def run_folder(name: str) -> Path:
    """Return the folder where a chapter keeps a run, so that chapters share what they computed.

    In ``$ALOD_RUNS`` or the user's cache folder; not created.

    Parameters
    ----------
    name : str
        The run's name, one path component: ``"mnist_cnn_outlier_0"``.
    """
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise AlodError(f"run name {name!r}: expected letters, digits and . _ + - only")
    home = os.environ.get("ALOD_RUNS")
    if home:
        return Path(home).expanduser().resolve() / name
    from platformdirs import user_cache_path

    return user_cache_path("alod") / "runs" / name


def run_chapter(
    name: str,
    parameters: Mapping[str, object] | None = None,
    out: Path | None = None,
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    progress: bool = True,
) -> Path:
    """Run one chapter with papermill, and return `out`.

    Bad input is refused before anything runs; a cell that raises is a `ChapterFailed`.

    Parameters
    ----------
    name : str
        A name from `notebooks`.
    parameters : mapping of str to object, optional
        Checked and converted by `alod_book.parameters.check_parameters`.
    out : Path, optional
        The notebook to write, ``NAME_run.ipynb`` in the current directory by default. It appears
        only if every cell ran.
    cwd : Path, optional
        Where the notebook runs; the current directory by default.
    environment : mapping of str to str, optional
        Added to the environment.
    progress : bool
        Whether papermill shows a bar.
    """
    known = notebooks()
    check_name("chapter", name, known)
    missing = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if missing:
        raise AlodError(f"a chapter needs {', '.join(missing)}: pip install -e '.[book]'")
    source = known[name]
    checked = check_parameters(source, parameters or {})
    out = Path(out if out is not None else f"{name}_run.ipynb").expanduser().resolve()
    if out == source:
        raise AlodError(f"out={str(out)!r}: expected another file than the chapter itself")
    if out.is_dir() or not out.parent.is_dir():
        raise AlodError(f"out={str(out)!r}: expected a file name in a folder that exists")
    with tempfile.TemporaryDirectory(prefix="alod_chapter_") as scratch:
        executed = Path(scratch, source.name)
        command = [sys.executable, "-m", "papermill", str(source), str(executed)]
        command += ["--kernel", "python3", "--parameters_yaml", json.dumps(checked)]
        command += ["--progress-bar" if progress else "--no-progress-bar"]
        process = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(environment or {}), **_own_kernel(Path(scratch))},
            stderr=None if progress else subprocess.PIPE,
            text=True,
            check=False,
        )
        if process.returncode != 0:
            error = _error_in(executed) or process.stderr or "papermill failed"
            raise ChapterFailed(f"chapter {name} failed\n{error}")
        write_atomically(out, executed.read_bytes())
    return out


class ChapterFailed(RuntimeError):  # noqa: N818
    """A chapter's cell raised; the message holds the cell and its traceback."""


def _own_kernel(scratch: Path) -> dict[str, str]:
    """Make ``python3`` mean this interpreter, whatever kernels the user has installed."""
    spec = scratch / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(kernel))
    others = os.environ.get("JUPYTER_PATH")
    path = str(scratch / "jupyter")
    return {"JUPYTER_PATH": f"{path}{os.pathsep}{others}" if others else path}


def _error_in(executed: Path) -> str | None:
    """Return the failing cell and its traceback from what papermill wrote, without colors."""
    if not executed.is_file():
        return None
    for cell in json.loads(executed.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                return re.sub(r"\x1b\[[\d;]*m", "", "\n".join(output["traceback"]))
    return None
