"""ALOD: active learning by outlier detection.

Labels are expensive, unlabeled images are not: ALOD picks the images worth labeling. Importing
this package is light; torch and numba are imported when something that needs them is first used.
"""

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from alod.errors import AlodError

if TYPE_CHECKING:
    from alod.answers import UNLABELED
    from alod.data.arrays import Dataset, from_arrays
    from alod.data.folder import from_folder
    from alod.data.known import load_dataset
    from alod.experiments.config import ExperimentConfig
    from alod.experiments.run import Run, run_experiment
    from alod.labeling.notebook import label
    from alod.labeling.opening import open_run
    from alod.learner import ActiveLearner, choose

__version__ = "0.1.0"

_HOME = {
    **dict.fromkeys(("Dataset", "from_arrays"), "alod.data.arrays"),
    **dict.fromkeys(("Run", "run_experiment"), "alod.experiments.run"),
    **dict.fromkeys(("ActiveLearner", "choose"), "alod.learner"),
    "UNLABELED": "alod.answers",
    "ExperimentConfig": "alod.experiments.config",
    "from_folder": "alod.data.folder",
    "label": "alod.labeling.notebook",
    "load_dataset": "alod.data.known",
    "open_run": "alod.labeling.opening",
}
__all__ = [
    "UNLABELED",
    "ActiveLearner",
    "AlodError",
    "Dataset",
    "ExperimentConfig",
    "Run",
    "__version__",
    "choose",
    "from_arrays",
    "from_folder",
    "label",
    "load_dataset",
    "open_run",
    "run_experiment",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if not name.startswith("_") and find_spec(f"alod.{name}"):
        return import_module(f"alod.{name}")
    raise AttributeError(f"module 'alod' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *(m.name for m in iter_modules(__path__))})
