from functools import partial

import pytest
import torch
import torchvision
from torch import nn

import alod
from alod import AlodError, models


@pytest.mark.parametrize(
    ("name", "parameters", "width"),
    [("cnn", 230_896, 50), ("lenet5", 61_706, 84), ("resnet18", 11_175_370, 512)],
)
def test_models_are_those_of_the_method(name, parameters, width):
    model = models.build(name).eval()
    embedding, logits = model(torch.rand(3, 1, 28, 28))
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert embedding.shape == (3, width)
    assert logits.shape == (3, 10)


@pytest.mark.parametrize("name", models.MODELS)
def test_models_take_color_other_sizes_and_other_class_counts(name):
    model = models.build(name, n_classes=3, in_channels=3).eval()
    assert model(torch.rand(2, 3, 40, 40))[1].shape == (2, 3)


@pytest.mark.parametrize("size", [28, 33, 65])  # the last blocks see 2×2 and 1, 3×3 and 2×2, more
def test_resnet18_computes_what_torchvisions_does(size):
    model = models.build("resnet18").double()
    plain = torchvision.models.resnet18()
    plain.conv1, plain.fc = nn.Conv2d(1, 64, 7, 2, 3, bias=False), nn.Identity()
    plain.double().load_state_dict(model.features[1].state_dict())
    images = torch.rand(4, 1, size, size, dtype=torch.float64)
    ours, theirs = model(images)[0], plain(model.features[0](images))
    torch.testing.assert_close(ours, theirs)
    for embeddings in (ours, theirs):
        embeddings.square().sum().backward()
    for a, b in zip(model.features[1].parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", models.MODELS)
def test_models_have_one_dropout_for_bald_to_sample(name):
    dropouts = [m for m in models.build(name).modules() if isinstance(m, nn.Dropout)]
    assert len(dropouts) == 1


def test_normalization_is_part_of_the_model():
    images = torch.rand(4, 1, 28, 28)
    expected = (images - 0.1307) / 0.3081
    torch.testing.assert_close(models.Normalize()(images), expected)


class OnAppleGPU(torch.Tensor):
    """A tensor that says it is there, and pools as little as one there."""

    device = torch.device("mps")

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        assert func is not nn.functional.adaptive_avg_pool2d
        return super().__torch_function__(func, types, args, kwargs)


@pytest.mark.parametrize("side", [4, 5])
@pytest.mark.parametrize("size", [(6, 6), (3, 3), (9, 4), (2, 13), (5, 5)])
def test_apple_gpus_average_maps_of_any_size_to_the_same(size, side):
    maps = torch.rand(3, 4, *size)
    averaged = models.AverageTo(side)(maps.as_subclass(OnAppleGPU)).as_subclass(torch.Tensor)
    torch.testing.assert_close(averaged, nn.functional.adaptive_avg_pool2d(maps, side))


def test_model_without_embedding_is_refused():
    plain = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    with pytest.raises(AlodError, match="expected \\(embedding"):
        models.check_contract(plain, torch.rand(2, 1, 28, 28), 10)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_torchvisions_classifiers_take_part_with_their_weights(name, mini):
    network = getattr(torchvision.models, name)()
    kept = {k: v.clone() for k, v in network.state_dict().items() if not k.startswith(("fc", "cl"))}
    model = models.FromTorchvision(network, 10, image_size=32)
    assert all((model.body.state_dict()[k] == v).all() for k, v in kept.items())
    learner = alod.ActiveLearner(mini.images[:60], 10, model=model, steps=1, device="cpu")
    learner.step(10, lambda indices: mini.targets[indices].numpy())
    assert learner.embed(mini.images[:3]).shape == (3, model.head[-1].in_features)


def test_torchvisions_scaling_is_that_of_imagenet():
    transform = torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    images = torch.rand(2, 3, 16, 16)
    model = models.FromTorchvision(Flat(), 2).eval()
    embedding, _ = model(images)
    torch.testing.assert_close(embedding, transform(images).flatten(1))


class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(768, 5)

    def forward(self, images):
        return self.last(images.flatten(1))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (torchvision.models.squeezenet1_0, "ends in Conv2d, expected a linear layer"),
        (partial(torchvision.models.googlenet, init_weights=False), "give aux_logits=False"),
    ],
)
def test_torchvision_networks_of_another_build_are_refused(make, told):
    with pytest.raises(AlodError, match=told):
        models.FromTorchvision(make(), 4)
