"""Every setting of the loop: declared, checked and described once.

What takes settings derives from :class:`Recipe`: the learner, experiments, runs that people label,
and the options of the command line.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Self, TypeVar

from torch import nn

from alod import encoders, heads, initial, models, strategies, training
from alod.errors import AlodError, check_count, check_name, plain
from alod.strategies import Strategy
from alod.training import Augment

Function = TypeVar("Function", bound=Callable[..., Any])
Check = Callable[[str, Any], Any]
"""``check(name, value)`` returns the value of a setting as it is kept, or refuses it."""


def setting(default: Any, told: str, check: Check | None = None, later: bool = False) -> Any:
    """Declare a setting with a `check`, and what is `told` of it, on the command line, too.

    One that came `later` than some recorded runs changes no hash at its `default`.
    """
    more = {"default_factory": default} if callable(default) else {"default": default}
    return field(**more, metadata={"told": told, "check": check, "later": later})


def whole(low: int, high: int | None = None) -> Check:
    """Check that it is a whole number from `low` to `high`."""
    return lambda name, value: check_count(name, value, low, high)


def one_of(names: Iterable[str], kind: str = "") -> Check:
    """Check that it is one of `names`, which are of a `kind`."""

    def check(name: str, value: Any) -> Any:
        check_name(kind or name.replace("_", " "), value, names)
        return value

    return check


def either(name: str, value: Any) -> bool:
    """Check that `value` of the setting `name` is True or False."""
    if not isinstance(value, bool):
        raise AlodError(f"{name}={value!r}: expected True or False")
    return value


def _model(name: str, value: Any) -> Any:
    if isinstance(value, nn.Module) or (not isinstance(value, str) and heads.is_head(value)):
        return value
    return one_of((*models.MODELS, *heads.HEADS))(name, value)


def _params(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping | None):
        raise AlodError(f"{name}={value!r}: expected a dict")
    return dict(value or {})


def _augment(name: str, value: Any) -> Any:
    return value if callable(value) else value and one_of(training.AUGMENTATIONS)(name, value)


def _rate(_: str, value: Any) -> float:
    return training.check_learning_rate(value)


def _share(name: str, value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise AlodError(f"{name}={value!r}: expected a number in [0, 1]")
    return float(value)


def _device(_: str, value: Any) -> Any:
    # Whether it is here is asked when it is used: a finished run can be read anywhere.
    return training.check_device(value) and value


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a learner asks and learns; refused by name, value and mend if it cannot be so.

    `model`: a name in :data:`alod.models.MODELS`, or a module that returns ``(embedding (N, D),
    logits (N, n_classes))``; it is copied, and its weights are those that every learner sets out
    from. `strategy`: a name in :data:`alod.strategies.STRATEGIES`, ``"module:function"`` or a
    function of that kind, with `strategy_params`. `initial`: how the first images are chosen, see
    :func:`alod.initial.select`; by what `features`, see :func:`alod.encoders.features`.

    `training_mode`, `steps`, `batch_size`, `learning_rate`, `body_rate`, `augment`, by name or a
    function: see :mod:`alod.training`. `min_epochs`: more steps than `steps` where it takes them to
    see every labeled image so many times. `inlier_passes`: passes of as many steps after each fit
    in which the pool's inliers are learned with the class predicted for them; the next fit sets out
    from before them. `views`: distorted copies of each image whose predictions are averaged; what
    is asked does not depend on it. `seed`: same seed, same images, same answers: same questions, on
    the same processor. `device`: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    >>> Recipe(model="lenet5", steps=50).training_mode
    'shrink_perturb'
    """

    model: str | nn.Module = setting("cnn", "The classifier: cnn, lenet5 or resnet18.", _model)
    strategy: str | Strategy = setting(
        "outlier", "How to choose what to ask: outlier, margin, random, … or module:function."
    )
    strategy_params: Mapping[str, Any] = setting(
        dict, "The strategy's own parameters, a JSON object.", _params
    )
    initial: str = setting(
        "kmeans",
        "The first set: kmeans, herding, maxherding, typiclust, kcenter or random.",
        one_of(initial.METHODS, "initial method"),
    )
    training_mode: str = setting(
        "shrink_perturb", "shrink_perturb, warm or scratch.", one_of(training.TRAINING_MODES)
    )
    steps: int = setting(300, "Gradient steps in each round.", whole(1))
    batch_size: int = setting(64, "Images in each step.", whole(2))
    learning_rate: float = setting(3e-3, "Peak learning rate.", _rate)
    augment: Augment = setting(None, "Distortions: none, digits, clothing or photos.", _augment)
    inlier_passes: int = setting(0, "Passes in each round that learn inliers.", whole(0))
    seed: int = setting(0, "Everything random depends on it.", whole(0))
    device: str = setting("auto", "auto, cpu, cuda or mps.", _device)
    features: str = setting(
        "pixels",
        "What the first set is chosen by: pixels, random_conv or self_supervised.",
        one_of(encoders.FEATURES),
        later=True,
    )
    min_epochs: int = setting(
        0, "Passes over the labels that a round takes at least.", whole(0), later=True
    )
    views: int = setting(
        0, "Distorted copies whose predictions are averaged.", whole(0), later=True
    )
    body_rate: float = setting(1.0, "Rate of all but the last layer, a share.", _share, later=True)

    def __post_init__(self) -> None:
        for f in fields(self):
            value, check = plain(getattr(self, f.name)), f.metadata["check"]
            object.__setattr__(self, f.name, check(f.name, value) if check else value)
        strategies.get(self.strategy, self.strategy_params)
        if self.views and callable(self.augment):
            raise AlodError(f"views={self.views}: expected an augment by name; leave one out")

    @classmethod
    def of(cls, **settings: Any) -> Self:
        """Make one of `settings` by name; one that there is not is refused."""
        for name in settings:
            check_name("setting", name, [f.name for f in fields(cls)])
        return cls(**settings)

    def of_learner(self) -> dict[str, Any]:
        """Return those settings that a learner takes: a Recipe's, whatever derives from it."""
        return {f.name: getattr(self, f.name) for f in fields(Recipe)}


def takes(kind: type[Recipe]) -> Callable[[Function], Function]:
    """Show the settings of a `kind` of recipe in the signature of a function of ``**settings``."""

    def shown(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        more = [
            inspect.Parameter(
                f.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=f.default if f.default is not MISSING else None,
                annotation=f.type,
            )
            for f in fields(kind)
            if f.name not in signature.parameters
        ]
        function.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        return function

    return shown
