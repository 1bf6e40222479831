"""A small chapter to run."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

PARAMETERS = """\
model: str = "cnn"  # cnn | lenet5 | resnet18: the classifier
rounds: int = 2  # queries after the initial set
rate: float = 0.1
seed = 0
augment: bool = True
stop: int | None = None
scale: str = "quick"  # quick | full
"""


def write_notebook(path: Path, *sources: str, tags: tuple[str, ...] = ("parameters",)) -> Path:
    cells = [new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = list(tags)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path
