"""A network, the weights it sets out from, and the recipe by which it learns."""

from collections.abc import Mapping
from copy import copy
from typing import Any

from torch import Tensor, nn

from alod import geometry, heads, models, training
from alod._settled import seeded
from alod.errors import AlodError
from alod.heads import Head
from alod.recipe import Recipe
from alod.training import Images, as_tensor


def made(recipe: Recipe, pool: Images, n_classes: int, seed: int) -> "Classifier | Head":
    """Return what learns by a `recipe` from a `pool` of images or features; refuse a mismatch."""
    kind = "features (N, D)" if pool.ndim == 2 else "images (N, C, H, W)"
    head, name = heads.is_head(recipe.model), getattr(recipe.model, "__name__", recipe.model)
    if head != (pool.ndim == 2):
        mend = "give features, or model='cnn'" if head else "model='linear' does"
        raise AlodError(f"model={name!r} does not learn from {kind}: {mend}")
    if not head:
        return Classifier(recipe, as_tensor(pool[:2]), n_classes, seed)
    for setting in ("augment", "views"):
        if getattr(recipe, setting) not in (None, "none", 0):
            value = getattr(recipe, setting)
            raise AlodError(f"{setting}={value!r}: features cannot be distorted; leave it out")
    return Head(recipe.model, pool, n_classes)


class Classifier:
    """What learns: images in, (embedding, logits (N, n_classes)) out.

    The model of `recipe` is built from `seed`, or copied: two classifiers of one module would train
    each other's. Its contract is checked on `images` (2, C, H, W) of the pool. ``module`` lies on
    ``device``, in evaluation mode but while it learns; ``fitted`` tells whether it has learned from
    any label.
    """

    def __init__(self, recipe: Recipe, images: Tensor, n_classes: int, seed: int) -> None:
        self.device = training.resolve_device(recipe.device)
        self._recipe, self.fitted = recipe, False
        if isinstance(recipe.model, str):
            module = training.build_seeded(recipe.model, n_classes, images.shape[1], seed)
        else:
            module = training.copy_module(recipe.model)
        self.module = module.to(self.device).eval()
        with seeded(0, self.device):
            some = training.to_float(images).to(self.device)
            models.check_contract(self.module, some, n_classes)
            if callable(recipe.augment):
                training.check_augment(recipe.augment, some)
        self.initial_state = cpu_copy(self.module.state_dict())
        self._taught: dict[str, Tensor] | None = None

    def learn(self, images: Tensor, targets: Tensor, seed: int) -> None:
        """Learn from `images` (L, C, H, W) with `targets` int64 (L,) by the training mode."""
        # Sets out from where the last labels had led, without inliers.
        if self._taught is not None:
            self.module.load_state_dict(self._taught)
        # The first fit sets out from the initial weights in every mode.
        mode = self._recipe.training_mode if self.fitted else "warm"
        self._fit(self.module, images, targets, seed, mode)
        self.fitted = True
        if self._recipe.inlier_passes:
            # Or the next fit would inherit what wrong inliers have taught.
            self._taught = cpu_copy(self.module.state_dict())

    def learn_inliers(self, images: Tensor, targets: Tensor, seed: int, inliers: Tensor) -> None:
        """Learn labeled `images` again, with `inliers` (K, C, H, W) and the classes it predicts."""
        self._fit(self.module, images, targets, seed, "warm", inliers)

    def taught_anew(self, images: Tensor, targets: Tensor, seed: int) -> "Classifier":
        """Return another that learned from `images` alone, from the initial weights on."""
        other = copy(self)
        other.module = training.copy_module(self.module)
        other.module.load_state_dict(self.initial_state)
        other._fit(other.module, images, targets, seed, "warm")
        return other

    def n_steps(self, n_labeled: int) -> int:
        """Return how many steps a fit takes with so many labels."""
        passing = self._recipe.min_epochs * n_labeled // self._recipe.batch_size
        return max(self._recipe.steps, passing)

    def _fit(
        self,
        module: nn.Module,
        images: Tensor,
        targets: Tensor,
        seed: int,
        mode: str,
        inliers: Tensor | None = None,
    ) -> None:
        training.fit(
            module,
            images,
            targets,
            steps=self.n_steps(len(images)),
            batch_size=self._recipe.batch_size,
            learning_rate=self._recipe.learning_rate,
            body_rate=self._recipe.body_rate,
            augment=self._recipe.augment,
            mode=mode,
            initial_state=self.initial_state,
            inliers=inliers,
            seed=seed,
        )

    def infer(self, images: Images) -> tuple[Tensor, Tensor]:
        """Return embeddings float32 (N, D) and logits float32 (N, C) of `images`, on the CPU."""
        return training.infer(self.module, images)

    def logits(self, images: Images) -> Tensor:
        """Return logits (N, C), whose softmax is the mean over the views where there are any."""
        if self._recipe.views and self._recipe.augment not in (None, "none"):
            recipe = self._recipe
            shares = training.infer_views(self.module, images, recipe.augment, recipe.views)
            geometry.check_finite(shares)
            return shares.log()
        logits = self.infer(images)[1]
        geometry.check_finite(logits)
        return logits

    def dropped(self, images: Images, embeddings: Tensor, n: int, seed: int) -> Tensor:
        """Return `n` dropout samples of logits, float32 (n, N, C); refuse those that are all alike.

        `embeddings` float32 (N, D) are what :meth:`infer` made of `images`.
        """
        samples = training.infer_dropout(self.module, images, embeddings, n, seed)
        if n > 1 and bool((samples == samples[:1]).all()):
            model = self._recipe.model
            name = model if isinstance(model, str) else type(model).__name__
            raise AlodError(
                f"model={name!r}: {n} dropout samples are all the same; give it dropout, or ask by "
                "another strategy, such as margin"
            )
        return samples

    def state_dict(self) -> dict[str, Any]:
        """Return what was learned, and from where the next fit sets out."""
        state = cpu_copy(self.module.state_dict())
        return {"model": state, "fitted": self.fitted, "taught": self._taught}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned."""
        self.module.load_state_dict(state["model"])
        self.fitted = bool(state["fitted"])
        self._taught = state.get("taught")  # older files have none


def cpu_copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy weights, so that they do not change with the module."""
    return {name: value.detach().cpu().clone() for name, value in state.items()}
