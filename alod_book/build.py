"""The book's machinery: find, check and run chapters, draw their figures, build the pages.

``python -m alod_book.build --scale quick`` is what ``make book`` calls.
"""

import argparse
import ast
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tokenize
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from alod.errors import AlodError, check_count, check_name
from alod.experiments.provenance import provenance
from alod.files import write_atomically

SCALES = ("quick", "full")
SLOW = ("model_comparison", "intro")
_WIDGET = "application/vnd.jupyter.widget-view+json"
# What a chapter imports and what runs it, by module: the extra `book`.
_NEEDED = {
    "plotly": "plotly",
    "umap": "umap-learn",
    "openTSNE": "openTSNE",
    "papermill": "papermill",
    "ipykernel": "ipykernel",
}
_TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
_SWITCH = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}


# ------------------------------------------------------------------------------- where things are


def book_folder() -> Path:
    """Return the folder ``book/`` of the checkout.

    Returns
    -------
    Path
        Beside the package if that is a checkout, else the first found from the current directory
        upward.

    Raises
    ------
    AlodError
        If there is none: the chapters are in the repository, not in the installed package.

    Examples
    --------
    >>> book_folder().name
    'book'
    """
    here = Path.cwd()
    for root in (Path(__file__).resolve().parent.parent, here, *here.parents):
        if (root / "_toc.yml").is_file() and (root / "book").is_dir():
            return root / "book"
    raise AlodError(
        f"no book here: {str(here)!r} is in no checkout of the repository; "
        "clone it and run this in its folder"
    )


def chapters() -> dict[str, Path]:
    """Return the book's notebooks by name.

    Returns
    -------
    dict of str to Path
        ``"mnist"`` -> ``.../book/mnist.ipynb``, sorted by name.

    Examples
    --------
    >>> chapters()["mnist"].name
    'mnist.ipynb'
    """
    return {path.stem: path for path in sorted(book_folder().glob("*.ipynb"))}


def repository() -> str:
    """Return the public repository's ``owner/name``, set in ``_config.yml`` and nowhere else.

    Examples
    --------
    >>> owner, name = repository().split("/")
    """
    config = book_folder().parent / "_config.yml"
    match = re.search(r"^ +url: https://github\.com/([\w.-]+/[\w.-]+)$", config.read_text(), re.M)
    if match is None:
        raise AlodError(f"{config}: expected 'url: https://github.com/OWNER/NAME' in 'repository:'")
    return match[1]


def run_folder(name: str) -> Path:
    """Return the folder where a chapter keeps a run, so that chapters share what they computed.

    Parameters
    ----------
    name : str
        The run's name, one path component: ``"mnist_cnn_outlier_0"``.

    Returns
    -------
    Path
        In ``$ALOD_RUNS`` or the user's cache folder; not created.

    Raises
    ------
    AlodError
        If `name` is not a plain file name.

    Examples
    --------
    >>> run_folder("mnist_cnn_outlier_0").name
    'mnist_cnn_outlier_0'
    """
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise AlodError(f"run name {name!r}: expected letters, digits and . _ + - only")
    home = os.environ.get("ALOD_RUNS")
    if home:
        return Path(home).expanduser().resolve() / name
    from platformdirs import user_cache_path

    return user_cache_path("alod") / "runs" / name


# ------------------------------------------------------------------------------ chapter parameters


@dataclass(frozen=True)
class Parameter:
    """One assignment in a chapter's cell tagged ``parameters``.

    Attributes
    ----------
    default : object
        Its value in the notebook.
    types : tuple of type
        What may be given: of ``str``, ``int``, ``float``, ``bool``, ``NoneType``.
    choices : tuple of str
        The only values allowed, from a comment ``# cnn | lenet5 | resnet18``; empty for any.

    Examples
    --------
    >>> Parameter("cnn", (str,), ("cnn", "lenet5")).describe()
    'cnn | lenet5'
    >>> Parameter(None, (int, type(None))).describe()
    'int or none'
    """

    default: object
    types: tuple[type, ...]
    choices: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return what is expected, for a message."""
        if self.choices:
            return " | ".join(self.choices)
        return " or ".join("none" if kind is type(None) else kind.__name__ for kind in self.types)


def parameters_of(notebook: Path) -> dict[str, Parameter]:
    """Read a chapter's parameters from its cell tagged ``parameters``.

    Parameters
    ----------
    notebook : Path
        An ``.ipynb`` file.

    Returns
    -------
    dict of str to Parameter
        In the cell's order. Assignments whose value is no literal are left out.

    Raises
    ------
    AlodError
        If the file is no notebook or has no such cell.

    Examples
    --------
    >>> parameters_of(chapters()["mnist"])["model"].choices
    ('cnn', 'lenet5', 'resnet18')
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AlodError(f"{notebook}: expected a Jupyter notebook ({error})") from error
    for cell in cells:
        if "parameters" in cell.get("metadata", {}).get("tags", []):
            return _parse_parameters("".join(cell["source"]))
    raise AlodError(f"{notebook}: no cell is tagged 'parameters', so nothing can be set in it")


def _parse_parameters(source: str) -> dict[str, Parameter]:
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found = {}
    for node in ast.parse(source).body:
        target: ast.expr
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value, annotation = node.target, node.value, ast.unparse(node.annotation)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value, annotation = node.targets[0], node.value, ""
        else:
            continue
        try:
            default = ast.literal_eval(value)
        except ValueError:
            continue
        named = [_TYPES[part] for part in re.findall(r"\w+", annotation) if part in _TYPES]
        kinds = named or [type(default)]
        if "None" in annotation:
            kinds.append(type(None))
        listed = re.match(r"[\w.+-]+(?: \| [\w.+-]+)+", comments.get(node.end_lineno or 0, ""))
        choices = tuple(listed[0].split(" | ")) if listed else ()
        if isinstance(target, ast.Name):
            found[target.id] = Parameter(default, tuple(kinds), choices)
    return found


def check_parameters(notebook: Path, parameters: Mapping[str, object]) -> dict[str, Any]:
    """Refuse parameters that the chapter does not have, which papermill only warns about.

    Parameters
    ----------
    notebook : Path
        The chapter.
    parameters : mapping of str to object
        Values by name; strings, as from a command line, are converted to the parameter's type.

    Returns
    -------
    dict of str to object
        The converted values.

    Raises
    ------
    AlodError
        On an unknown name, a value of another type or not among the cell's choices, and when the
        notebook has no parameters.

    Examples
    --------
    >>> check_parameters(chapters()["mnist"], {"rounds": "2", "model": "lenet5"})
    {'rounds': 2, 'model': 'lenet5'}
    """
    known = parameters_of(notebook)
    checked: dict[str, Any] = {}
    for name, value in parameters.items():
        check_name(f"parameter of {notebook.stem}", name, known)
        checked[name] = _convert(name, value, known[name])
    return checked


def _convert(name: str, value: object, parameter: Parameter) -> object:
    for kind in parameter.types:
        try:
            converted = _as(kind, value)
        except (KeyError, TypeError, ValueError):
            continue
        if not parameter.choices or str(converted) in parameter.choices:
            return converted
    raise AlodError(f"parameter {name}={value!r}: expected {parameter.describe()}")


def _as(kind: type, value: object) -> object:
    """Convert `value` to `kind` where nothing is lost: 2 is a float, 2.5 no int, True no number."""
    if isinstance(value, str) and kind is not str:
        if kind is bool:
            return _SWITCH[value.lower()]
        if kind is type(None):
            return {"none": None}[value.lower()]
        return kind(value) if kind in (int, float) else ast.literal_eval(value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError
    return value


# -------------------------------------------------------------------------------- running chapters


def run_chapter(
    name: str,
    parameters: Mapping[str, object] | None = None,
    out: Path | None = None,
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    progress: bool = True,
) -> Path:
    """Run one chapter with papermill.

    Parameters
    ----------
    name : str
        A name from `chapters`.
    parameters : mapping of str to object, optional
        Checked and converted by `check_parameters`.
    out : Path, optional
        The notebook to write, ``NAME_run.ipynb`` in the current directory by default. It appears
        only if every cell ran.
    cwd : Path, optional
        Where the notebook runs; the current directory by default.
    environment : mapping of str to str, optional
        Added to the environment.
    progress : bool
        Whether papermill shows a bar.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    AlodError
        On bad input, before anything runs.
    ChapterFailed
        If a cell raised.
    """
    notebooks = chapters()
    check_name("chapter", name, notebooks)
    missing = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if missing:
        raise AlodError(f"a chapter needs {', '.join(missing)}: pip install -e '.[book]'")
    source = notebooks[name]
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


# --------------------------------------------------------------------------------- building pages


def build(scale: str = "quick", data: Path | None = None, jobs: int = 2) -> Path:
    """Execute every chapter and build the book, warnings being errors.

    Executed notebooks and pages are staged in ``_build/stage``, which mirrors the repository, for
    the links to the source and to Colab are made from a page's path.

    Parameters
    ----------
    scale : {"quick", "full"}
        Given to the chapters that have a parameter ``scale``.
    data : Path, optional
        Folder of the full data sets, ``$ALOD_DATA`` for the chapters.
    jobs : int
        Chapters executed at a time, from 1 to 64; they share the cores.

    Returns
    -------
    Path
        The book's first page.

    Raises
    ------
    AlodError
        On bad input, before anything runs.
    ChapterFailed
        If a chapter failed; the others have run, and the message holds every error.
    subprocess.CalledProcessError
        If Jupyter Book failed.
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
    write_atomically(stage / "book" / "status.md", status(stage / "book", scale))
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
    notebooks = chapters()
    given = {}
    for name, path in notebooks.items():
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
    order = sorted(notebooks, key=lambda name: name not in SLOW)
    print(f"executing {len(notebooks)} chapters at {scale} scale, {jobs} at a time", flush=True)
    with ThreadPoolExecutor(jobs) as pool:
        errors = [error for error in pool.map(execute, order) if error]
    if errors:
        raise ChapterFailed("\n\n".join(errors))


def _tidy_outputs(notebook: Path) -> None:
    """Show outputs as a terminal would: bars where they ended, no dead widgets.

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
                output["text"] = "\n".join(line.rstrip("\r").split("\r")[-1] for line in lines)
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
    # Tables of recorded results are there to be downloaded.
    for pattern in ("*.md", "*.bib", "images/*", "results/*.csv", "results/*.json"):
        for page in (root / "book").glob(pattern):
            target = stage / page.relative_to(root)
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(page, target)


def status(folder: Path, scale: str) -> str:
    """Write the page that says how this copy of the book was computed.

    Parameters
    ----------
    folder : Path
        Chapters as papermill left them, with parameters and seconds in their metadata.
    scale : str
        The scale they ran at.

    Returns
    -------
    str
        A MyST Markdown page.
    """
    origin: dict[str, Any] = provenance()
    commit = origin["git_commit"] or "unknown, no git checkout"
    changed = " (with uncommitted changes)" if commit.endswith("+") else ""
    machine = origin["machine"]
    with_gpu, gpu = _gpu_seconds()
    rows = []
    for path in sorted(folder.glob("*.ipynb")):
        run = json.loads(path.read_text(encoding="utf-8"))["metadata"]["papermill"]
        values = {name: parameter.default for name, parameter in parameters_of(path).items()}
        values |= run["parameters"]
        shown = " ".join(f"`{name}={value}`" for name, value in values.items())
        seconds = f"{run['duration']:.0f} | {with_gpu.get(path.stem, '–')}"
        rows.append(f"| [{path.stem}]({path.name}) | {seconds} | {shown} |")
    versions = [f"| {name} | {version} |" for name, version in origin["versions"].items()]
    return "\n".join(
        [
            "# How this copy was computed",
            "",
            f"Every chapter was executed from its first cell to its last at **{scale}** scale, "
            f"finished {origin['time']} (UTC), from commit `{commit.rstrip('+')}`{changed}, "
            f"on {machine['processor']} with {machine['cores']} cores ({machine['platform']}).",
            "Results marked *recorded* were computed earlier; the file beside each names its own "
            "commit, versions and machine.",
            "",
            "## Chapters",
            "",
            "Seconds of this copy are those of the processor above, other chapters running beside.",
            gpu,
            "",
            "| chapter | seconds | with a GPU | parameters |",
            "|:---|---:|---:|:---|",
            *rows,
            "",
            "## Versions",
            "",
            "| package | version |",
            "|:---|:---|",
            *versions,
            "",
        ]
    )


def _gpu_seconds() -> tuple[dict[str, str], str]:
    """Return each chapter's recorded seconds with a GPU, and what that GPU was."""
    table = book_folder() / "results" / "gpu_seconds.csv"
    with table.open(encoding="utf-8", newline="") as lines:
        seconds = {row["chapter"]: f"{float(row['seconds']):.0f}" for row in csv.DictReader(lines)}
    origin = json.loads(table.with_suffix(".json").read_text(encoding="utf-8"))
    told = (
        f"Those with a GPU were recorded at quick scale ({origin['time'][:10]}, with the chapters' "
        f"parameters at commit `{origin['git_commit'][:7]}`): each chapter with "
        f"{origin['cores_each']} cores and {origin['multiprocessors']} multiprocessors of an "
        f"{origin['gpu']}. In cores and 32-bit arithmetic that is near to Colab's free machine "
        "with its T4, whose memory and 16-bit arithmetic are slower; no chapter has been timed "
        "there. The installation comes on top of it. No chapter needs a GPU."
    )
    return seconds, told


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
