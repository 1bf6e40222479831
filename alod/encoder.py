"""A small encoder that learns from the pool without labels, in about a minute on two cores."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from alod._settled import seeded
from alod.models import AverageTo
from alod.training import augment_batch, erase_square, to_float

STEPS, BATCH, TEMPERATURE = 300, 192, 0.5
ERASED = 10 / 28  # of the longer side: the square that a view may lose


class Encoder(nn.Module):
    """Three convolutions with stride 2: where on the image what is seen is not forgotten.

    Parameters
    ----------
    in_channels : int
        1 for grey, 3 for color images.

    Examples
    --------
    >>> tuple(Encoder(1)(torch.zeros(2, 1, 28, 28)).shape)
    (2, 1024)
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        blocks = [_block(a, b) for a, b in pairwise((in_channels, 32, 64, 64))]
        self.layers = nn.Sequential(*blocks, AverageTo(4), nn.Flatten())
        # Learns what the loss wants and is left out afterwards, as in SimCLR.
        self.project = nn.Sequential(nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, images: Tensor) -> Tensor:
        """Describe images: float32 in [0, 1], (N, C, H, W) -> (N, 1024)."""
        described: Tensor = self.layers(images)
        return described


def _block(channels: int, out: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, 2, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()
    )


def train(images: Tensor, device: torch.device, seed: int = 0) -> Encoder:
    """Train an encoder to know an image again in two distorted views of it, among others' views.

    Source: Chen, Kornblith, Norouzi & Hinton 2020, "A simple framework for contrastive learning of
    visual representations" (SimCLR). Views are those of :func:`alod.training.augment_batch` for
    digits, which leave the class of other things alone, too, with a square erased.

    Parameters
    ----------
    images : Tensor
        uint8, or float in [0, 1], (N, C, H, W).
    device : torch.device
        Where to train.
    seed : int
        Of weights, batches and views.

    Returns
    -------
    Encoder
        In evaluation mode, on `device`.

    Examples
    --------
    >>> images = torch.randint(0, 256, (40, 1, 16, 16), dtype=torch.uint8)
    >>> encoder = train(images, torch.device("cpu"))
    >>> tuple(encoder(images[:2] / 255).shape)
    (2, 1024)
    """
    with seeded(seed, device):
        encoder = Encoder(images.shape[1]).to(device).train()
        optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=STEPS)
        for _ in range(STEPS):
            rows = torch.randperm(len(images))[:BATCH]
            batch = to_float(images[rows].to(device))
            views = torch.cat([_view(batch), _view(batch)])
            loss = _contrastive_loss(encoder.project(encoder(views)))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    return encoder.eval()


def _contrastive_loss(views: Tensor) -> Tensor:
    """Return the normalized temperature-scaled cross entropy (NT-Xent) of views in pairs.

    Parameters
    ----------
    views : Tensor
        float32 (V, D), V = 2 N; rows i and N + i show the same image.

    Returns
    -------
    Tensor
        Scalar (), the lower the better each view tells its partner from the 2 N - 2 others.
    """
    views = functional.normalize(views)
    similarity = views @ views.T / TEMPERATURE
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    partner = torch.arange(len(views), device=views.device).roll(len(views) // 2)
    return functional.cross_entropy(similarity.masked_fill(itself, -torch.inf), partner)


def _view(images: Tensor) -> Tensor:
    """Distort each image by a random affine map and erase a square of it."""
    return erase_square(augment_batch(images, "digits"), ERASED)
