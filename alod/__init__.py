"""ALOD: active learning by outlier detection.

Labels are expensive, unlabeled images are not: ALOD picks the images worth labeling. Importing
this package is light; torch and numba are imported when something that needs them is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from alod.errors import AlodError

if TYPE_CHECKING:
    from alod.data import Dataset, from_arrays, from_folder, load_dataset
    from alod.experiment import ExperimentConfig, Run, run_experiment
    from alod.learner import ActiveLearner
    from alod.notebook import label
    from alod.opening import open_run

__version__ = "0.1.0"

_HOME = {
    "Dataset": "alod.data",
    "load_dataset": "alod.data",
    "from_arrays": "alod.data",
    "from_folder": "alod.data",
    "ActiveLearner": "alod.learner",
    "open_run": "alod.opening",
    "label": "alod.notebook",
    "ExperimentConfig": "alod.experiment",
    "Run": "alod.experiment",
    "run_experiment": "alod.experiment",
}
_MODULES = {
    "batch",
    "book",
    "cards",
    "comparisons",
    "data",
    "encoder",
    "evaluation",
    "exchange",
    "experiment",
    "figures",
    "geometry",
    "initial",
    "journal",
    "labeling",
    "learner",
    "lessons",
    "models",
    "monitoring",
    "notebook",
    "opening",
    "outliers",
    "pictures",
    "pool",
    "projection",
    "provenance",
    "strategies",
    "stress",
    "sweep",
    "training",
    "view",
}

__all__ = [
    "ActiveLearner",
    "AlodError",
    "Dataset",
    "ExperimentConfig",
    "Run",
    "__version__",
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
    if name in _MODULES:
        return import_module(f"alod.{name}")
    raise AttributeError(f"module 'alod' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_MODULES})
