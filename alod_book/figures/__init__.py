"""Interactive figures from tidy tables: they draw what they are given and compute no result.

Every function returns a ``plotly.graph_objects.Figure`` in one template, valid for Plotly 5.24 to
7; only `table` returns a pandas ``Styler``. Where ``title`` is a parameter it is the finding in one
sentence, and is wrapped; ``layout.meta["alt"]`` says in words what is shown. Tables that lack a
column, or hold two rows where one is expected, are refused as
:class:`alod.AlodError <alod.errors.AlodError>`.

A new figure goes into the module of its kind (or one of its own), ends in
``return finish(fig, title, alt, height)``, and is named here.
"""

from alod_book.figures.animation import embedding_animation
from alod_book.figures.classes import confusion_matrix, per_class_accuracy
from alod_book.figures.curves import accuracy_against_share, learning_curves
from alod_book.figures.images import image_grid
from alod_book.figures.maps import class_maps, embedding_map
from alod_book.figures.panels import filter_and_query, learning_panels
from alod_book.figures.seconds import seconds_per_round
from alod_book.figures.style import (
    CLASS_COLORS,
    DATASET_NAMES,
    GROUPS,
    INITIAL_COLORS,
    MODE_COLORS,
    MODEL_COLORS,
    MODEL_NAMES,
    PROJECTION_NAMES,
    STRATEGY_COLORS,
    short,
    spelled,
    table,
)
from alod_book.figures.tests import (
    critical_difference,
    gain_intervals,
    match_percentiles,
    pairwise_matrix,
)

__all__ = [
    "CLASS_COLORS",
    "DATASET_NAMES",
    "GROUPS",
    "INITIAL_COLORS",
    "MODEL_COLORS",
    "MODEL_NAMES",
    "MODE_COLORS",
    "PROJECTION_NAMES",
    "STRATEGY_COLORS",
    "accuracy_against_share",
    "class_maps",
    "confusion_matrix",
    "critical_difference",
    "embedding_animation",
    "embedding_map",
    "filter_and_query",
    "gain_intervals",
    "image_grid",
    "learning_curves",
    "learning_panels",
    "match_percentiles",
    "pairwise_matrix",
    "per_class_accuracy",
    "seconds_per_round",
    "short",
    "spelled",
    "table",
]
