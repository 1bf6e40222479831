import pytest
import torch
from torch import nn

from alod import AlodError, models, training


@pytest.mark.parametrize(
    ("name", "parameters", "width"),
    [("cnn", 230_896, 50), ("lenet5", 61_706, 84), ("resnet18", 11_175_370, 512)],
)
def test_models_are_those_of_the_method(name, parameters, width):
    model = models.build(name).eval()
    embedding, logits = model(torch.rand(3, 1, 28, 28))
    assert training.parameter_count(model) == parameters
    assert embedding.shape == (3, width)
    assert logits.shape == (3, 10)


@pytest.mark.parametrize("name", models.MODELS)
def test_models_take_color_other_sizes_and_other_class_counts(name):
    model = models.build(name, n_classes=3, in_channels=3).eval()
    assert model(torch.rand(2, 3, 40, 40))[1].shape == (2, 3)


@pytest.mark.parametrize("name", models.MODELS)
def test_models_have_one_dropout_for_bald_to_sample(name):
    dropouts = [m for m in models.build(name).modules() if isinstance(m, nn.Dropout)]
    assert len(dropouts) == 1


def test_normalization_is_part_of_the_model():
    images = torch.rand(4, 1, 28, 28)
    expected = (images - 0.1307) / 0.3081
    torch.testing.assert_close(models.Normalize()(images), expected)


def test_model_without_embedding_is_refused():
    plain = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    with pytest.raises(AlodError, match="expected \\(embedding"):
        models.check_contract(plain, torch.rand(2, 1, 28, 28), 10)
