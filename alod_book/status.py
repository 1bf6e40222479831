"""The page that says how this copy of the book was computed."""

import csv
import json
from pathlib import Path
from typing import Any

from alod.experiments.provenance import provenance
from alod_book.chapters import book_folder
from alod_book.parameters import parameters_of


def status_page(folder: Path, scale: str) -> str:
    """Return the page, in MyST Markdown, of chapters in `folder` that ran at `scale`.

    Papermill left them with parameters and seconds in their metadata.
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
