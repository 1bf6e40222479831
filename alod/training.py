"""Training by gradient steps, and inference over many images, on any device.

The whole labeled set lies on the device as one tensor; batches are rows of it, distorted there. No
step waits for the host.

Everywhere `model` is a :class:`torch.nn.Module` that returns (embedding (N, D), logits (N, C)), and
runs where its parameters lie; inference leaves it as it was, mode and weights. `images` (N, C, H,
W) are uint8, or float in [0, 1], on any device; of a memory-mapped array, rows are streamed from
disk. `augment` is one of ``AUGMENTATIONS``, None for ``"none"``, or a function of the user's own, a
batch of float32 images in [0, 1] in and out. `device` is a device or its name. The same `seed`
gives the same numbers, whatever the global generators hold. What is inferred lies on the CPU,
float32, without gradient.

>>> model = build_seeded("lenet5", n_classes=10, in_channels=1, seed=0)
>>> images, targets = torch.rand(20, 1, 28, 28), torch.arange(20) % 10
>>> fit(model, images, targets, steps=5, augment="digits")
>>> embeddings, logits = infer(model, images)
>>> embeddings.shape, logits.shape
(torch.Size([20, 84]), torch.Size([20, 10]))
"""

import copy
import mmap
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy

from alod import models
from alod._settled import seeded
from alod.errors import AlodError, check_count, check_name, one_line, plain

TRAINING_MODES = ("shrink_perturb", "warm", "scratch")
AUGMENTATIONS = ("none", "digits", "clothing", "photos")
# 100-500 images stay in the second-level cache; 1,000 do not and cost twice as much.
CPU_BATCH = 250
GPU_BATCH = 4096
SHRINK, PERTURB = 0.6, 0.01
# Inliers in a batch for each labeled image, and the probability from which a predicted class is
# learned (as published: Sohn et al. 2020, with seven for each).
INLIERS_A_LABEL, SURE = 3, 0.95
ERASED = 0.5  # of an inlier's side, at most (Sohn et al. 2020)

Images = Tensor | np.ndarray
Augment = str | Callable[[Tensor], Tensor] | None


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Choose cpu, cuda, cuda:N or mps, refused if not here; ``auto``: CUDA, else MPS, else CPU."""
    kind, number = check_device(device)
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind == "auto":
        return torch.device(next((name for name in there if there[name]), "cpu"))
    count = torch.cuda.device_count() if kind == "cuda" else 1
    valid_number = not number or (number.isdigit() and int(number) < count)
    if not there.get(kind, True) or not valid_number:
        raise AlodError(f"device={str(device)!r}: not on this machine; use 'auto' or 'cpu'")
    return torch.device(str(device))


def check_device(device: str | torch.device) -> tuple[str, str]:
    """Return a device's kind and number, "" without one, be it here or not; refuse other names."""
    kind, _, number = str(device).partition(":")
    check_name("device", kind, ("auto", "cpu", "cuda", "mps"))
    return kind, number


def check_learning_rate(rate: object) -> float:
    """Refuse a learning `rate` that is no number in (0, 1]; return it as Python's own."""
    number = plain(rate)
    if not isinstance(number, int | float) or isinstance(number, bool) or not 0 < number <= 1:
        raise AlodError(f"learning_rate={rate!r}: expected a number in (0, 1]")
    return number


def half_precision(device: torch.device) -> torch.dtype | None:
    """Return the 16-bit type that makes `device` faster, or None where float32 is as fast.

    bfloat16 on processors with AVX512-BF16 and on GPUs that have it, float16 on older GPUs.
    """
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    # torch offers no public name for this question before 2.12.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.bfloat16 if device.type == "cpu" and supported() else None


def build_seeded(name: str, n_classes: int, in_channels: int, seed: int) -> nn.Module:
    """Build as :func:`alod.models.build` on the CPU, with weights that depend on the seed alone.

    `name`, `n_classes`, `in_channels`: see there.
    """
    with seeded(seed, torch.device("cpu")):
        return models.build(name, n_classes, in_channels)


def to_float(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) as float32 in [0, 1]: uint8 is divided by 255."""
    if images.dtype == torch.uint8:
        return images.float().div_(255)
    return images.float()


def as_tensor(images: Images) -> Tensor:
    """Return images (N, C, H, W) as a tensor; a memory-mapped array is read from disk now."""
    if not isinstance(images, np.ndarray):
        return images
    rows = torch.from_numpy(np.array(images))
    shared = isinstance(images, np.memmap) and images.mode in ("r", "r+", "w+")
    if shared and hasattr(mmap, "MADV_DONTNEED"):  # Windows has none
        # Pages that were read count as this process's memory until it gives them back.
        images._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
    return rows


def autocast(device: torch.device, half: torch.dtype | None) -> AbstractContextManager[object]:
    """Compute in the 16-bit type `half` on a `device`, or as it is where that is None."""
    return nullcontext() if half is None else torch.autocast(device.type, dtype=half)


def check_augment(augment: Callable[[Tensor], Tensor], images: Tensor) -> None:
    """Refuse a function that makes no such of `images`, float32 (N, C, H, W) in [0, 1]."""
    told = ""
    try:
        made = augment(images.clone())
        low, high = map(float, made.aminmax())
        if (made.shape, made.dtype) != (images.shape, images.dtype) or not 0 <= low <= high <= 1:
            told = f"made {made.dtype} {tuple(made.shape)} from {low:.3g} to {high:.3g}"
    except Exception as error:
        told = f"{type(error).__name__}: {one_line(error)}"
    if told:
        expected = f"{images.dtype} {tuple(images.shape)} from 0 to 1, as was given"
        raise AlodError(f"augment={augment!r}: {told}; expected {expected}")


def augment_batch(images: Tensor, kind: str | Callable[[Tensor], Tensor]) -> Tensor:
    """Distort images (N, C, H, W), each in a way of its own that leaves its class what it is.

    Of `kind` ``digits`` they are turned by up to 15°, sheared by up to 0.2, scaled by up to 15 %
    and shifted by up to 8 % of the side; of ``clothing`` flipped left to right, scaled by up to 10
    % and shifted likewise; what comes in from outside the frame is 0. Of ``photos`` a part of 60 to
    100 % of the side is taken, flipped likewise, and brightness, contrast and saturation are
    changed by up to 20 %; of ``none`` they are left alone. A function `kind` does what it does.
    """
    if callable(kind):
        return kind(images)
    if kind == "none":
        return images
    images = _warp(images, _distortions(len(images), kind, images.device))
    return _recolored(images) if kind == "photos" else images


def _distortions(n: int, kind: str, device: torch.device) -> Tensor:
    if kind == "none":
        return torch.eye(2, 3, device=device).repeat(n, 1, 1)
    angle, shear, shift_x, shift_y, zoom = torch.rand(5, n, device=device) * 2 - 1
    if kind == "digits":
        angle, shear, zoom = angle * 0.26, shear * 0.2, 1 + 0.15 * zoom
        flip = torch.ones(n, device=device)
    else:
        zoom = 0.8 + 0.2 * zoom if kind == "photos" else 1 + 0.1 * zoom
        angle, shear = angle * 0, shear * 0
        flip = torch.randint(0, 2, (n,), device=device) * 2.0 - 1
    # Inside a photograph; 0.9: nor is its edge blended with black, from 10 pixels a side on.
    reach = 0.9 * (1 - zoom) if kind == "photos" else 0.16
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    rows_x = torch.stack([cos * flip, shear * cos - sin, reach * shift_x], dim=1)
    rows_y = torch.stack([sin * flip, shear * sin + cos, reach * shift_y], dim=1)
    return torch.stack([rows_x, rows_y], dim=1)


def _warp(images: Tensor, maps: Tensor) -> Tensor:
    """Apply to every image its own affine map; what comes in from outside the frame is 0."""
    grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def _recolored(images: Tensor) -> Tensor:
    light, contrast, color = 0.8 + 0.4 * torch.rand(3, len(images), 1, 1, 1, device=images.device)
    images = images * light
    images = torch.lerp(images.mean((1, 2, 3), keepdim=True), images, contrast)
    return torch.lerp(images.mean(1, keepdim=True), images, color).clamp(0, 1)


def erase_square(images: Tensor, share: float | Tensor) -> Tensor:
    """Erase a square of each of images (N, C, H, W), at a place of its own: what is erased is 0.

    Its side is a `share`, in [0, 1], of the image's longer one, or (N, 1, 1, 1) for one of each
    image; squares are cut off at the edges. DeVries & Taylor 2017, "Improved regularization of
    convolutional neural networks with cutout".
    """
    height, width = images.shape[-2:]
    top, left = torch.rand(2, len(images), 1, 1, 1, device=images.device)
    y = torch.arange(height, device=images.device)[:, None] - top * height
    x = torch.arange(width, device=images.device) - left * width
    side = share * max(height, width)
    gone = (y.abs() < side / 2) & (x.abs() < side / 2)
    return images.masked_fill(gone, 0)


def fit(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    steps: int = 300,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    body_rate: float = 1.0,
    augment: Augment = None,
    mode: str = "warm",
    initial_state: Mapping[str, Tensor] | None = None,
    inliers: Tensor | None = None,
    seed: int = 0,
) -> None:
    """Take a fixed number of gradient steps on the labeled images; changes the model in place.

    Steps, not epochs: with 100 labels an epoch means nothing, and equal steps make training modes
    comparable. Every image is seen once before any is seen again. AdamW with a one-cycle schedule
    (Smith & Topin 2019, "Super-convergence").

    `targets` int64 (L,) are the classes of `images`, L at least 1; each of `steps` steps takes
    `batch_size` of them, at least 2, some again where that is more than L. `learning_rate`,
    positive, is the schedule's peak, `body_rate` times it that of all but the last layer with
    weights; 0 freezes them. By `mode`, ``warm`` goes on from the present weights, ``scratch`` from
    `initial_state`, ``shrink_perturb`` from 0.6 times the present weights plus normal noise of
    spread 0.01 (Ash & Adams 2020, "On warm-starting neural network training").

    `inliers` (K, C, H, W), K at least 1, are images whose classes nobody told: three join each
    labeled one. What the model takes an image for as it is, it learns of the distorted image with a
    square of up to half its side erased, where it is at least 95 % sure (Sohn et al. 2020,
    "FixMatch: simplifying semi-supervised learning with consistency and confidence").
    """
    check_count("steps", steps, 1)
    check_count("batch_size", batch_size, 2)
    check_name("training mode", mode, TRAINING_MODES)
    check_name("augment", "none" if callable(augment) else augment or "none", AUGMENTATIONS)
    if len(images) == 0 or len(images) != len(targets):
        raise AlodError(
            f"{len(images)} images with {len(targets)} targets: expected one target for each of at "
            "least one image; teach some labels first"
        )
    device = next(model.parameters()).device
    half = half_precision(device)
    order = _batches(len(images), steps, batch_size, seed).to(device, non_blocking=True)
    images = to_float(images.to(device)).contiguous(memory_format=torch.channels_last)
    targets = targets.to(device)
    more = None if inliers is None else inliers.to(device)
    if more is not None:
        joining = _batches(len(more), steps, INLIERS_A_LABEL * batch_size, seed + 1).to(device)
    with seeded(seed, device):
        # First, since noise is drawn in the order in which the weights lie in memory.
        model.to(memory_format=torch.channels_last)
        groups = _groups(model, learning_rate, body_rate)
        _set_start(model, mode, initial_state)
        _set_training(model)
        optimizer = torch.optim.AdamW(groups, fused=device.type in ("cpu", "cuda", "mps"))
        peaks = [group["lr"] for group in groups]
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, peaks, total_steps=max(steps, 2), cycle_momentum=False
        )
        scaler = torch.amp.GradScaler(device.type, enabled=half == torch.float16)
        for step, batch in enumerate(order):
            inputs, wanted = images[batch], targets[batch]
            if more is not None:
                # As bytes until here: the pool may be large.
                clean = to_float(more[joining[step]]).contiguous(memory_format=torch.channels_last)
                inputs = torch.cat([inputs, clean])
                wanted = torch.cat([wanted, _sure_classes(model, clean, half)])
            inputs = augment_batch(inputs, augment or "none")
            if more is not None:
                # Or it would soon be sure of everything, right or wrong.
                hard = inputs[batch_size:]
                hard = erase_square(hard, ERASED * torch.rand_like(hard[:, :1, :1, :1]))
                inputs = torch.cat([inputs[:batch_size], hard])
            with autocast(device, half):
                logits = model(inputs)[1].float()
            loss = functional.cross_entropy(logits[:batch_size], wanted[:batch_size])
            if more is not None:
                # Over all that joined: the more of them are sure, the more they count.
                unlabeled, predicted = logits[batch_size:], wanted[batch_size:]
                loss += functional.cross_entropy(unlabeled, predicted, reduction="sum") / len(clean)
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            schedule.step()
    model.eval()
    for module in model.modules():
        # What a module keeps of its last pass, for a picture, would keep the whole pass in memory.
        for name, value in vars(module).items():
            if isinstance(value, Tensor) and not value.is_leaf:
                setattr(module, name, value.detach())


def _groups(model: nn.Module, rate: float, body_rate: float) -> list[dict[str, Any]]:
    """Return the parameters with the peaks of their learning rates; freeze those of rate 0."""
    if body_rate == 1:
        return [{"params": list(model.parameters()), "lr": rate}]
    *_, last = (layer for layer in model.modules() if list(layer.parameters(False)))
    head = list(last.parameters())
    body = [p for p in model.parameters() if p not in set(head)]
    for parameter in body if body_rate == 0 else ():
        parameter.requires_grad_(False)
    return [{"params": head, "lr": rate}, {"params": body, "lr": rate * body_rate}]


def _set_training(model: nn.Module) -> None:
    """Set a model to training, but for its frozen parts, whose statistics are to stay, too."""
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            module.eval()


def _set_start(model: nn.Module, mode: str, initial_state: Mapping[str, Tensor] | None) -> None:
    if mode == "scratch":
        if initial_state is None:
            raise AlodError("mode='scratch' needs initial_state, the weights to return to")
        model.load_state_dict(initial_state)
    elif mode == "shrink_perturb":
        with torch.no_grad():
            for parameter in filter(lambda p: p.requires_grad, model.parameters()):
                parameter.mul_(SHRINK).add_(PERTURB * torch.randn_like(parameter))


def _sure_classes(model: nn.Module, images: Tensor, half: torch.dtype | None) -> Tensor:
    """Return the predicted classes (N,), and -100, which no loss counts, where they are unsure."""
    # Apart from the step's own pass: autocast would lend it weights that know no gradient.
    with torch.no_grad(), autocast(images.device, half):
        logits = model(images)[1]
    probability, predicted = logits.float().softmax(1).max(1)
    return predicted.masked_fill(probability < SURE, -100)


def _batches(n: int, steps: int, batch_size: int, seed: int) -> Tensor:
    """Return int64 (steps, batch_size) row numbers: permutations of n rows, end to end."""
    generator = torch.Generator().manual_seed(seed)
    passes = -(-steps * batch_size // n)
    rows = torch.cat([torch.randperm(n, generator=generator) for _ in range(passes)])
    return rows[: steps * batch_size].view(steps, batch_size)


def infer(
    model: nn.Module, images: Images, *, dropout_seed: int | None = None
) -> tuple[Tensor, Tensor]:
    """Compute embeddings (N, D) and logits (N, C) of many images.

    With a `dropout_seed`, dropout stays on and draws from it: one Monte Carlo sample (Gal &
    Ghahramani 2016, "Dropout as a Bayesian approximation").
    """
    device = next(model.parameters()).device
    half = half_precision(device)
    network = _for_inference(model, images) if dropout_seed is None else _with_dropout(model)
    # Made outside of inference mode: what is returned may be saved, changed and differentiated.
    outputs: tuple[Tensor, ...] = ()
    with seeded(dropout_seed or 0, device):
        for rows, batch in _in_batches(images, device):
            with torch.no_grad(), autocast(device, half):
                found = network(batch.contiguous(memory_format=torch.channels_last))
            if not outputs:
                outputs = tuple(torch.empty(len(images), o.shape[1], device=device) for o in found)
            for whole, part in zip(outputs, found, strict=True):
                whole[rows] = part
    embeddings, logits = (whole.cpu() for whole in outputs)
    return embeddings, logits


def _in_batches(images: Images, device: torch.device) -> Iterator[tuple[slice, Tensor]]:
    # Of no images one empty batch, which tells how many columns an answer has.
    size = CPU_BATCH if device.type == "cpu" else GPU_BATCH
    for start in range(0, max(len(images), 1), size):
        rows = slice(start, start + size)
        batch = as_tensor(images[rows])
        if device.type == "cuda" and batch.device.type == "cpu":
            batch = batch.pin_memory()
        yield rows, to_float(batch.to(device, non_blocking=True))


def infer_views(model: nn.Module, images: Images, augment: Augment, n: int) -> Tensor:
    """Predict from `n` distorted copies of each image: their mean probabilities (N, C).

    Test-time augmentation, by the distortions of training but those of colors; they are the same
    for every image, so that no prediction depends on the images beside it. Krizhevsky et al. 2012,
    "ImageNet classification with deep convolutional neural networks".
    """
    check_name("augment", augment or "none", AUGMENTATIONS)
    check_count("n", n, 1)
    device = next(model.parameters()).device
    half = half_precision(device)
    network = _for_inference(model, images)
    with seeded(0, torch.device("cpu")):  # Not on the device: each draws numbers of its own.
        maps = _distortions(n, str(augment or "none"), torch.device("cpu")).to(device)
    shares = []
    for _, batch in _in_batches(images, device):
        total = torch.zeros(())
        with torch.no_grad(), autocast(device, half):
            for view in maps:
                # Without test images there is nothing to distort, which torch refuses.
                seen = _warp(batch, view.expand(len(batch), 2, 3)) if len(batch) else batch
                logits = network(seen.contiguous(memory_format=torch.channels_last))[1]
                total = total + logits.float().softmax(1).cpu()
        shares.append(total / n)
    return torch.cat(shares)


def infer_dropout(
    model: nn.Module, images: Images, embeddings: Tensor, n: int, seed: int
) -> Tensor:
    """Draw `n` Monte Carlo dropout samples of the logits of many images, (n, N, C).

    A model whose ``head`` turns its embedding into its logits, and holds all of its dropout, is run
    again from the `embeddings` (N, D) of :func:`infer` on only, as every classifier of
    :mod:`alod.models` is. Gal & Ghahramani 2016, "Dropout as a Bayesian approximation".
    """
    if not _drops_in_head(model, images):
        passes = (infer(model, images, dropout_seed=seed + i)[1] for i in range(n))
        return torch.stack(list(passes))
    device = next(model.parameters()).device
    head = _with_dropout(model).get_submodule("head")
    samples = []
    with seeded(seed, device), torch.no_grad():
        for _ in range(n):
            blocks = [head(block.to(device)).float().cpu() for block in embeddings.split(100_000)]
            samples.append(torch.cat(blocks))
    return torch.stack(samples)


def _drops_in_head(model: nn.Module, images: Images) -> bool:
    # With the same seed the head alone, from the embedding on, draws what the whole model draws.
    head = getattr(model, "head", None)
    if not isinstance(head, nn.Module) or not len(images):
        return False
    device = next(model.parameters()).device
    some = to_float(as_tensor(images[:64]).to(device))
    plain, drops = _for_inference(model, images), _with_dropout(model)
    with torch.no_grad():
        with seeded(0, device):
            whole = drops(some)[1]
        with seeded(0, device):
            try:
                behind = drops.get_submodule("head")(plain(some)[0])
            except Exception:  # A head of another kind, which takes more than the embedding.
                return False
    return behind.shape == whole.shape and torch.allclose(behind, whole, rtol=1e-3, atol=1e-4)


def copy_module(model: nn.Module) -> nn.Module:
    """Copy a module; of what it keeps of a forward pass, the values alone.

    Also one with pruned or normalized weights, which PyTorch's own copy refuses; not one with lazy
    layers that have seen no image yet, or compiled by TorchScript.
    """
    kind = type(model).__name__
    if any(is_lazy(p) for p in (*model.parameters(), *model.buffers())):
        raise AlodError(f"model={kind} has lazy layers: run it once, model(images), to size them")
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise AlodError(f"model={kind} holds TorchScript: give the module that it was made from")
    kept = (tensor for module in model.modules() for tensor in _tensors_in(vars(module)))
    return copy.deepcopy(model, {id(t): t.detach().clone() for t in kept if not t.is_leaf})


def _tensors_in(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors_in(part)


def _for_inference(model: nn.Module, images: Images) -> nn.Module:
    """Return a copy in evaluation mode, batch norm folded into convolutions where that is safe."""
    plain = copy_module(model).eval().to(memory_format=torch.channels_last)
    if not len(images) or not models.can_fold(plain):
        return plain
    folded = models.fold_norms(copy.deepcopy(plain)).to(memory_format=torch.channels_last)
    some = to_float(as_tensor(images[:4]).to(next(plain.parameters()).device))
    with torch.no_grad():
        pairs = zip(plain(some), folded(some), strict=True)
    # In float32 both are the same to five digits, or what was folded is not what the model does.
    same = all(torch.allclose(a, b, 1e-3, 1e-3 * float(a.abs().amax())) for a, b in pairs)
    return folded if same else plain


def _with_dropout(model: nn.Module) -> nn.Module:
    # Dropout has many forms, functions among them; all ask whether their module is in training.
    network = copy_module(model).to(memory_format=torch.channels_last)
    for module in network.modules():
        module.training = not isinstance(module, _NormBase)
    return network
