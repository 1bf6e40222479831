"""Classifiers: an image in, its embedding and its logits out.

Every `model` takes `images`, float32 (N, C, H, W) in [0, 1], H and W at least 16, normalizes them
itself and returns ``(embedding, logits)``, (N, D) and (N, n_classes). It is made for `n_classes`
logits, at least 2, and `in_channels`, C, which is 1 for grey and 3 for color. Any
:class:`torch.nn.Module` with that contract can take its place.

>>> embedding, logits = build("lenet5", n_classes=10)(torch.zeros(2, 1, 28, 28))
>>> embedding.shape, logits.shape
(torch.Size([2, 84]), torch.Size([2, 10]))
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from alod.errors import AlodError, check_count, check_name

Output = tuple[Tensor, Tensor]


class Normalize(nn.Module):
    """Shift and scale pixels to about zero mean and unit spread.

    One mean and one standard deviation for all channels, those of MNIST (0.1307, 0.3081), as the
    original work uses for every data set.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(0.1307))
        self.register_buffer("std", torch.tensor(0.3081))

    def forward(self, images: Tensor) -> Tensor:
        """Return images (N, C, H, W) of the same shape, normalized."""
        return (images - self.mean) / self.std


class AverageTo(nn.Module):
    """Let images of other sizes than 28×28 in."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, maps: Tensor) -> Tensor:
        """Return `maps` (N, C, H, W) averaged to (N, C, side, side)."""
        if maps.shape[-2:] == (self.side, self.side):
            return maps
        if maps.device.type != "mps":
            return functional.adaptive_avg_pool2d(maps, self.side)
        # Apple's GPUs average only where the sizes divide. What becomes of each row and each column
        # alone makes the same a matrix product.
        rows, columns = (
            functional.adaptive_avg_pool1d(torch.eye(n), self.side).to(maps)
            for n in maps.shape[-2:]
        )
        return rows.T @ maps @ columns


class _Classifier(nn.Module):
    features: nn.Module
    head: nn.Module

    def forward(self, images: Tensor) -> Output:
        """Return embedding (N, D) and logits (N, n_classes)."""
        embedding = self.features(images)
        return embedding, self.head(embedding)


class CNN(_Classifier):
    """Two convolutions with batch norm, three linear layers; 230,896 parameters at 28×28×1.

    The embedding is the 50-dimensional layer before its ReLU. Architecture: AyaMigdadi 2023,
    "Active-learning-using-outlier-detection", without the third convolution, which is defined there
    and never used.
    """

    def __init__(self, n_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Normalize(),
            nn.Conv2d(in_channels, 32, 3),
            nn.BatchNorm2d(32),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3),
            nn.BatchNorm2d(64),
            nn.MaxPool2d(2),
            nn.ReLU(),
            AverageTo(5),
            nn.Flatten(),
            nn.Linear(1600, 128),
            nn.ReLU(),
            nn.Linear(128, 50),
        )
        self.head = nn.Sequential(nn.ReLU(), nn.Dropout(0.25), nn.Linear(50, n_classes))


class LeNet5(_Classifier):
    """LeCun's network with tanh and max-pooling; 61,706 parameters at 28×28×1.

    The embedding is the 84-dimensional layer after its tanh. Source: LeCun et al. 1998,
    "Gradient-based learning applied to document recognition".
    """

    def __init__(self, n_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Normalize(),
            # Pooled before tanh, which changes no maximum and then costs a quarter.
            nn.Conv2d(in_channels, 6, 5, padding=2),
            nn.MaxPool2d(2),
            nn.Tanh(),
            nn.Conv2d(6, 16, 5),
            nn.MaxPool2d(2),
            nn.Tanh(),
            AverageTo(5),
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.Tanh(),
            nn.Linear(120, 84),
            nn.Tanh(),
        )
        self.head = nn.Sequential(nn.Dropout(0.25), nn.Linear(84, n_classes))


class _SmallConv(nn.Conv2d):
    """A 3×3 convolution, padded by 1, that is quick where few pixels come out."""

    def forward(self, images: Tensor) -> Tensor:
        return _small_convolution(images, self.weight, self.stride[0])


def _small_convolution(images: Tensor, weight: Tensor, stride: int) -> Tensor:
    # The last blocks of ResNet18 see a 28×28 image as 2×2 pixels, then as one. Most weights meet
    # padding there, and their gradients, zeros, took half of the time of a training step on a CPU.
    height, width = images.shape[2:]
    rows, columns = -(-height // stride), -(-width // stride)
    # What is quick on a GPU is few calls.
    if rows * columns > (4 if images.device.type == "cpu" else 1):
        return functional.conv2d(images, weight, stride=stride, padding=1)
    images, weight = images.permute(0, 2, 3, 1), weight.permute(0, 2, 3, 1)  # Channels last.
    pixels = []
    for row in range(rows):
        for column in range(columns):
            top, left = row * stride - 1, column * stride - 1
            seen_y = slice(max(top, 0), min(top + 3, height))
            seen_x = slice(max(left, 0), min(left + 3, width))
            met_y = slice(seen_y.start - top, seen_y.stop - top)
            met_x = slice(seen_x.start - left, seen_x.stop - left)
            seen, met = images[:, seen_y, seen_x], weight[:, met_y, met_x]
            pixels.append(functional.linear(seen.flatten(1), met.flatten(1)))
    return torch.stack(pixels, 1).unflatten(1, (rows, columns)).permute(0, 3, 1, 2)


class ResNet18(_Classifier):
    """torchvision's ResNet18 with a stem for `in_channels`; 11,175,370 parameters for grey images.

    The embedding is the 512-dimensional pooled layer. The stem is the original 7×7 convolution of
    stride 2 and the max-pool, so a 28×28 image reaches the residual blocks at 7×7. Source: He et
    al. 2016, "Deep residual learning for image recognition".
    """

    def __init__(self, n_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        from torchvision.models import resnet18

        body = resnet18(num_classes=n_classes)
        body.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.head = nn.Sequential(nn.Dropout(0.25), body.fc)
        body.fc = nn.Identity()
        # Pooled before ReLU, which changes no maximum and then costs a quarter.
        body.relu, body.maxpool = nn.Identity(), nn.Sequential(body.maxpool, nn.ReLU(inplace=True))
        for block in [*body.layer3, *body.layer4]:
            # In place: a new layer would draw weights of its own.
            block.conv1.__class__ = block.conv2.__class__ = _SmallConv
        self.features = nn.Sequential(Normalize(), body)


class FromTorchvision(nn.Module):
    """One of torchvision's classifiers, with the user's weights, a new head and its embedding.

    The last linear layer of `network`, which is changed in place, is replaced; what went into it is
    the embedding. Images are shifted and scaled as ImageNet's, grey ones repeated in three
    channels, and brought to `image_size` pixels a side, for networks that need a certain size or
    were trained at one (224 for most).

    Refused are networks without a linear layer at the end (SqueezeNet), and those that answer with
    more than one tensor in training (Inception, GoogLeNet: build them with ``aux_logits=False``).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, n_classes: int, image_size: int | None = None) -> None:
        super().__init__()
        check_count("n_classes", n_classes, 2)
        kind = type(network).__name__
        kinds = (nn.Linear, nn.Conv2d)
        layers = [named for named in network.named_modules() if isinstance(named[1], kinds)]
        name, last = layers[-1] if layers else ("", network)
        if not isinstance(last, nn.Linear):
            raise AlodError(
                f"network={kind}: ends in {type(last).__name__}, expected a linear layer; wrap it "
                "in a module that returns (embedding, logits)"
            )
        if getattr(network, "aux_logits", False):
            raise AlodError(f"network={kind}: answers with several tensors; give aux_logits=False")
        network.set_submodule(name, nn.Identity())
        self.body = network
        self.head = nn.Sequential(nn.Dropout(0.25), nn.Linear(last.in_features, n_classes))
        self.image_size = image_size
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1))

    def forward(self, images: Tensor) -> Output:
        """Return embedding (N, D) and logits (N, n_classes)."""
        images = (images.expand(-1, 3, -1, -1) - self.mean) / self.std
        if self.image_size is not None:
            size = (self.image_size, self.image_size)
            images = functional.interpolate(images, size, mode="bilinear", antialias=True)
        embedding = self.body(images)
        return embedding, self.head(embedding)


MODELS = {"cnn": CNN, "lenet5": LeNet5, "resnet18": ResNet18}


def build(name: str, n_classes: int = 10, in_channels: int = 1) -> nn.Module:
    """Build a classifier by `name`, a key of `MODELS`.

    Its weights are drawn from torch's global generator; :func:`alod.training.build_seeded` draws
    them from a seed.
    """
    check_name("model", name, MODELS)
    check_count("n_classes", n_classes, 2)
    check_count("in_channels", in_channels, 1)
    return MODELS[name](n_classes, in_channels)


# Libraries whose modules run their children as they list them; a user's may do as it likes.
_KNOWN = ("alod.models", "torch.nn.modules.", "torchvision.")
_IN_ORDER = ("Sequential", "Conv2dNormActivation", "BasicBlock", "Bottleneck", "ResNet")


def can_fold(model: nn.Module) -> bool:
    """Tell whether it is known how a `model` runs its norms: ours, nothing shared or hooked."""
    modules = [module for _, module in model.named_modules(remove_duplicate=False)]
    return (
        type(model).__module__ == __name__
        and all(type(module).__module__.startswith(_KNOWN) for module in modules)
        and not any(module._forward_hooks or module._forward_pre_hooks for module in modules)
        and len(modules) == len(set(modules))
        and any(type(module) is nn.BatchNorm2d for module in modules)
    )


def fold_norms(model: nn.Module) -> nn.Module:
    """Fold each batch norm that follows a convolution into it; changes the model in place.

    It is in evaluation mode, and :func:`can_fold` is true of it.
    """
    for module in list(model.modules()):
        if type(module).__name__ not in _IN_ORDER:
            continue
        for (name, conv), (after, norm) in pairwise(list(module.named_children())):
            # Exactly these: a subclass may compute something else of its weights.
            if type(conv) is not nn.Conv2d or type(norm) is not nn.BatchNorm2d:
                continue
            if norm.track_running_stats:
                setattr(module, name, fuse_conv_bn_eval(conv, norm))
                setattr(module, after, nn.Identity())
    return model


def check_contract(model: nn.Module, images: Tensor, n_classes: int) -> None:
    """Refuse a model that does not return (embedding, logits), or has nothing to train.

    It must take `images`, two in evaluation mode on its device, answer with a pair of 2-d tensors,
    a row for each and `n_classes` logits, and train something, in 32 bits or more. Lazy layers take
    their shape and weights here.
    """
    kind = type(model).__name__
    for some in (images, images[:1]):  # Another number of them shows what was kept from before.
        try:
            with torch.no_grad():
                output = model(some)
        except Exception as error:
            reason = (str(error) or "no reason given").splitlines()[0]
            raise AlodError(
                f"model={kind!r} cannot take images of shape {tuple(some.shape[1:])} (channels, "
                f"height, width): {type(error).__name__}: {reason}; it must take float32 images in "
                "[0, 1], and keep what it keeps in itself, since it is copied"
            ) from None
        pair = isinstance(output, tuple) and len(output) == 2
        if not pair or not all(isinstance(part, Tensor) and part.ndim == 2 for part in output):
            found = [tuple(getattr(part, "shape", ())) for part in output] if pair else type(output)
        else:
            found = [tuple(part.shape) for part in output]
            embedding, logits = output
            if len(embedding) == len(logits) == len(some) and logits.shape[1] == n_classes:
                continue
        raise AlodError(
            f"model={kind} returned {found} for {len(some)} images: expected (embedding (N, D), "
            f"logits (N, {n_classes})); return both from forward()"
        )
    if len(images) > 1 and bool((logits >= 0).all()) and abs(float(logits.sum()) - 1) < 1e-3:
        raise AlodError(
            f"model={kind} returned probabilities: expected logits, what comes before softmax"
        )
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise AlodError(
            f"model={kind} has no parameter to train: expected at least one with requires_grad, "
            "such as those of a new last layer"
        )
    if any(p.dtype == torch.float16 for p in trained):
        raise AlodError(f"model={kind} trains float16 parameters: expected float32; call .float()")
