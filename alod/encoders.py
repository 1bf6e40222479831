"""Images to features, without labels: pixels, random convolutions, or learned from the pool.

>>> import alod
>>> images = alod.load_dataset("mnist_mini").images
>>> encode = fit("random_conv", images[:200])
>>> encode(images[200:300]).shape
torch.Size([100, 50])
"""

import zlib
from collections.abc import Callable, Hashable, Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from alod._settled import seeded
from alod.errors import AlodError, check_name
from alod.models import AverageTo
from alod.training import Images, as_tensor, augment_batch, erase_square, resolve_device, to_float

SAMPLE = 10_000  # images, evenly spaced over the pool, that a description is fitted to
SIDE = 28
BATCH = 1024
COMPONENTS = 50
FILTERS = 32

STEPS, VIEWED, TEMPERATURE = 300, 192, 0.5
ERASED = 10 / 28  # of the longer side: the square that a view may lose

Describe = Callable[[Tensor], Tensor]
Encode = Callable[[Images], Tensor]
"""``encode(images)``: images (N, C, H, W) in, features, float32 (N, D) on the CPU, out."""
# A sweep describes the same pool for many runs: the last descriptions are kept.
KEPT = 3
_described: dict[Hashable, Tensor] = {}


def features(
    images: Images, kind: str = "pixels", seed: int = 0, device: str | torch.device = "auto"
) -> Tensor:
    """Describe images (N, C, H, W) by what :func:`fit` fits to them, the `kind` as its encoder.

    Returns float32 (N, D), D = min(50, N - 1, what there is), computed once for the same images, of
    which `images`, `seed` and `device` are as there: do not change it in place.
    """
    check_name("features", kind, FEATURES)
    key = (kind, seed, str(device), tuple(images.shape), checksum(images))
    if key not in _described:
        while len(_described) >= KEPT:
            del _described[next(iter(_described))]
        _described[key] = fit(kind, images, seed, device)(images)
    return _described[key]


def fit(encoder: str, images: Images, seed: int = 0, device: str | torch.device = "auto") -> Encode:
    """Fit an encoder to a pool, without labels: at most 50 principal components.

    Of `encoder` ``pixels``: of the pixels. ``random_conv``: of what a layer of random convolutions
    makes of them (Saxe et al. 2011, "On random weights and unsupervised feature learning").
    ``self_supervised``: of what a network, trained on the pool itself (300 steps, about a minute on
    two cores; ``self_supervised:1500`` takes 1,500), makes of them: to know an image again in two
    distorted views of it, among others' views (Chen, Kornblith, Norouzi & Hinton 2020, "A simple
    framework for contrastive learning of visual representations"). All is fitted on 10,000 images,
    or up to twice as many, evenly spaced over the pool.

    `images` (N, C, H, W), N at least 2, are uint8 or float in [0, 1]; larger ones are averaged down
    to 28×28. `seed` draws the convolutions' and the network's weights, `device` trains the network;
    the rest runs on the CPU. What is returned encodes images of the pool's kind.
    """
    kind, steps = encoder.partition(":")[0], steps_of(encoder)
    check_name("encoder", kind, FEATURES)
    some = images[:: max(1, len(images) // SAMPLE)]
    return _Components(some, FEATURES[kind](some, seed, device, steps))


def steps_of(encoder: str) -> int:
    """Return for how many steps the `encoder` of that name is trained; refuse what is no number."""
    kind, _, length = encoder.partition(":")
    if length and not (kind == "self_supervised" and length.isdecimal() and int(length)):
        raise AlodError(f"encoder={encoder!r}: expected a name, or self_supervised:1500 for steps")
    return int(length) if length else STEPS


def checksum(images: Images) -> int:
    """Tell pools apart, by every byte of `images` (N, …) in memory, by 10,000 images on disk."""
    some = isinstance(images, np.memmap)
    images = images[:: max(1, len(images) // SAMPLE)] if some else images
    return zlib.crc32(as_tensor(images).cpu().contiguous().numpy().data)


class _Components:
    """The principal components of what `describe` makes of a `sample` of images."""

    def __init__(self, sample: Images, describe: Describe) -> None:
        self._describe = describe
        rows = torch.cat(list(_batches(sample, describe)))
        self._center = rows.mean(0)
        # The leading eigenvectors of the covariance; float64 makes them the same on every machine
        # but for a sign.
        covariance = (rows - self._center).T.double() @ (rows - self._center).double()
        axes = torch.linalg.eigh(covariance).eigenvectors.flip(1)
        self._axes = axes[:, : min(COMPONENTS, len(rows) - 1)].float()

    def __call__(self, images: Images) -> Tensor:
        # Filled, not joined: results that lie between large buffers would keep their memory in use.
        points = torch.empty(len(images), self._axes.shape[1])
        for i, rows in enumerate(_batches(images, self._describe)):
            points[i * BATCH : (i + 1) * BATCH] = (rows - self._center) @ self._axes
        return points


def _batches(images: Images, describe: Describe) -> Iterator[Tensor]:
    for start in range(0, len(images), BATCH):
        yield describe(_small(images[start : start + BATCH])).float().cpu()


def _small(images: Images) -> Tensor:
    """Return images as float32 in [0, 1] on the CPU, of at most 28×28 pixels."""
    batch = to_float(as_tensor(images).cpu())
    return functional.adaptive_avg_pool2d(batch, SIDE) if max(batch.shape[-2:]) > SIDE else batch


def _pixels(sample: Images, seed: int, device: str | torch.device, steps: int) -> Describe:
    return lambda images: images.flatten(1)


def _random_conv(sample: Images, seed: int, device: str | torch.device, steps: int) -> Describe:
    generator = torch.Generator().manual_seed(seed)
    filters = torch.randn(FILTERS, sample.shape[1], 5, 5, generator=generator)
    # Without a mean, a filter sees edges and not how light the image is.
    filters -= filters.mean((1, 2, 3), keepdim=True)
    return lambda images: functional.adaptive_avg_pool2d(
        functional.conv2d(images, filters, padding=2).relu(), 4
    ).flatten(1)


def _self_supervised(sample: Images, seed: int, device: str | torch.device, steps: int) -> Describe:
    where = resolve_device(device)
    encode = _train(_small(sample), where, seed, steps)
    return torch.no_grad()(lambda images: encode(images.to(where)))


FEATURES: dict[str, Callable[[Images, int, str | torch.device, int], Describe]] = {
    "pixels": _pixels,
    "random_conv": _random_conv,
    "self_supervised": _self_supervised,
}


class _Encoder(nn.Module):
    """Three convolutions with stride 2: where on the image what is seen is not forgotten."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        blocks = [_block(a, b) for a, b in pairwise((in_channels, 32, 64, 64))]
        self.layers = nn.Sequential(*blocks, AverageTo(4), nn.Flatten())
        # Learns what the loss wants and is left out afterwards, as in SimCLR.
        self.project = nn.Sequential(nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, images: Tensor) -> Tensor:
        """Describe images (N, C, H, W) by (N, 1024)."""
        described: Tensor = self.layers(images)
        return described


def _block(channels: int, out: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, 2, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()
    )


def _train(images: Tensor, device: torch.device, seed: int, steps: int) -> _Encoder:
    with seeded(seed, device):
        encoder = _Encoder(images.shape[1]).to(device).train()
        optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
        for _ in range(steps):
            rows = torch.randperm(len(images))[:VIEWED]
            batch = to_float(images[rows].to(device))
            views = torch.cat([_view(batch), _view(batch)])
            loss = _contrastive_loss(encoder.project(encoder(views)))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    return encoder.eval()


def _contrastive_loss(views: Tensor) -> Tensor:
    """Return the loss NT-Xent of views (2 N, D), of which rows i and N + i show the same image."""
    views = functional.normalize(views)
    similarity = views @ views.T / TEMPERATURE
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    partner = torch.arange(len(views), device=views.device).roll(len(views) // 2)
    return functional.cross_entropy(similarity.masked_fill(itself, -torch.inf), partner)


def _view(images: Tensor) -> Tensor:
    # Distortions of digits leave the class of other things alone, too.
    return erase_square(augment_batch(images, "digits"), ERASED)
