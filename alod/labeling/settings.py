"""What decides how a run labeled by people goes, set when it is made."""

import json
from dataclasses import dataclass, fields
from typing import Any

from alod.data.encoded import check_encoder, check_recipe
from alod.data.files import FITS
from alod.errors import AlodError
from alod.labeling.tables import check_classes
from alod.recipe import Recipe, either, one_of, setting, whole

OWN = {"model", "strategy", "encoder", "augment"}
"""What may be the user's own, which no file holds."""


@dataclass(frozen=True, kw_only=True)
class Settings(Recipe):
    """A recipe, and what a run has besides.

    `classes`: class names, two or more. `image_size`: height and width to which image files are
    brought, 16 to 1024; the time to learn grows with its square; `fit`: ``"crop"``, their central
    square, or ``"pad"``, all of them on white. `folders_are_classes`: take the images in folders
    named like a class as labeled. `audit`: images drawn at random to estimate the accuracy, never
    learned from; up to half of each batch is of them until all are answered.
    `encoder`: what describes the images, once, for a model of features (:mod:`alod.data.encoded`).

    >>> Settings(classes=("cat", "dog"), audit=50).steps
    300
    """

    classes: tuple[str, ...] = setting(
        (),
        "Class names, separated by commas; the first time.",
        lambda _, value: check_classes(value),
    )
    image_size: int = setting(32, "Pixels of a side.", whole(16, 1024))
    fit: str = setting("crop", "Photos to squares: crop or pad.", one_of(FITS), later=True)
    folders_are_classes: bool = setting(False, "Images in folders are labeled by them.", either)
    encoder: Any = setting(
        "none", "What describes the images: none, efficientnet_lite0, timm:NAME, …", check_encoder
    )
    audit: int = setting(0, "Random images that only measure accuracy.", whole(0))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_recipe(self.encoder, self)

    def stored(self) -> dict[str, Any]:
        """Return what a file holds: what is the user's own as ``"given"``, no device.

        A setting that came later than some runs is left out at its default, for older versions.
        """
        recipe = fields(Recipe)
        names = {f.name for f in recipe}
        told: dict[str, Any] = {}
        for f in (*(f for f in fields(self) if f.name not in names), *recipe):
            value = getattr(self, f.name)
            later = f.metadata["later"] or f.name in ("inlier_passes", "encoder")
            if f.name != "device" and not (later and value == f.default):
                told[f.name] = value
        for name in OWN & told.keys():
            plain = told[name] is None or isinstance(told[name], str)
            told[name] = told[name] if plain else "given"
        told["strategy_params"] = told["strategy_params"] or None
        try:
            return dict(json.loads(json.dumps(told)))
        except TypeError as error:
            raise AlodError(f"{self.strategy_params!r}: {error}; give plain values") from None
