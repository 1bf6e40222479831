import copy
import mmap
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from alod import AlodError, models, training
from alod._settled import seeded


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.fixture
def cnn():
    return training.build_seeded("cnn", 10, 1, seed=0)


def test_fit_learns_the_labels(cnn, mini):
    training.fit(cnn, mini.images[:100], mini.targets[:100], steps=60)
    predicted = training.infer(cnn, mini.images[:100])[1].argmax(1)
    assert (predicted == mini.targets[:100]).float().mean() > 0.95


def test_same_seed_same_weights_other_seed_other_weights(mini):
    def trained(seed):
        model = training.build_seeded("lenet5", 10, 1, seed=0)
        training.fit(
            model, mini.images[:50], mini.targets[:50], steps=5, augment="digits", seed=seed
        )
        return weights(model)

    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))


def test_training_leaves_the_global_generators_alone(cnn, mini):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    training.fit(cnn, mini.images[:20], mini.targets[:20], steps=3, augment="clothing")
    training.infer(cnn, mini.images[:20], dropout_seed=1)
    assert torch.equal(torch.rand(4), expected)


def test_every_image_is_seen_once_before_any_is_seen_again():
    rows = training._batches(n=7, steps=5, batch_size=3, seed=0).flatten()
    for start in (0, 7):
        assert sorted(rows[start : start + 7].tolist()) == list(range(7))


def test_scratch_returns_to_the_initial_weights(mini):
    fresh = training.build_seeded("lenet5", 10, 1, seed=0)
    initial = copy.deepcopy(fresh.state_dict())
    used = copy.deepcopy(fresh)
    training.fit(used, mini.images[50:99], mini.targets[50:99], steps=5)
    for model in (fresh, used):
        training.fit(
            model,
            mini.images[:50],
            mini.targets[:50],
            steps=5,
            mode="scratch",
            initial_state=initial,
        )
    assert torch.equal(weights(fresh), weights(used))


def test_a_square_is_erased_and_nothing_else():
    images = torch.ones(200, 2, 20, 28)
    erased = training.erase_square(images, share=0.25) == 0
    assert torch.equal(erased[:, 0], erased[:, 1])
    for gone in erased[:, 0]:
        rows, columns = (gone.any(dim).nonzero()[:, 0] for dim in (1, 0))
        # A block without holes, at most 7 by 7.
        assert int(gone.sum()) == len(rows) * len(columns) and max(len(rows), len(columns)) <= 7
        assert gone[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    assert len(erased[:, 0].flatten(1).unique(dim=0)) > 100
    assert torch.equal(training.erase_square(images, share=0.0), images)
    own = torch.tensor([0.0, 0.5])[:, None, None, None]
    left, right = training.erase_square(images[:2], own)
    assert torch.equal(left, images[0]) and (right == 0).any()


def test_shrink_perturb_sets_out_from_smaller_noisy_weights():
    model = training.build_seeded("lenet5", 10, 1, seed=0)
    before = weights(model)
    with seeded(0, torch.device("cpu")):
        training._set_start(model, "shrink_perturb", None)
    noise = weights(model) - 0.6 * before
    assert abs(float(noise.std()) - 0.01) < 0.001
    assert abs(float(noise.mean())) < 0.001


@pytest.mark.parametrize("name", ["cnn", "lenet5", "resnet18"])
def test_inference_agrees_with_the_plain_model(name, mini, precision):
    model = training.build_seeded(name, 10, 1, seed=0)
    training.fit(model, mini.images[:200], mini.targets[:200], steps=15)
    embeddings, logits = training.infer(model, mini.images)
    with torch.inference_mode():
        plain_embeddings, plain_logits = model.eval()(mini.images.float() / 255)
    # Arithmetic of 16 bits keeps 8; the classes are the same where they are no toss-up.
    spread = plain_embeddings.std()
    assert float((embeddings - plain_embeddings).abs().mean()) < 0.02 * float(spread)
    best = plain_logits.topk(2).values
    clear = best[:, 0] - best[:, 1] > 0.05 * plain_logits.abs().max()
    assert clear.float().mean() > 0.5
    assert torch.equal(logits.argmax(1)[clear], plain_logits.argmax(1)[clear])


def test_inference_leaves_the_model_as_it_was(cnn, mini):
    cnn.train()
    before = copy.deepcopy(cnn.state_dict())
    embeddings, logits = training.infer(cnn, mini.images[:300])
    assert cnn.training
    assert all(torch.equal(value, before[name]) for name, value in cnn.state_dict().items())
    assert embeddings.dtype == logits.dtype == torch.float32
    assert not embeddings.requires_grad
    assert embeddings.device.type == "cpu"


def test_inference_takes_floats_arrays_and_nothing(cnn, mini):
    images = mini.images[:40]
    expected = training.infer(cnn, images)[1]
    torch.testing.assert_close(training.infer(cnn, images.float() / 255)[1], expected)
    torch.testing.assert_close(training.infer(cnn, images.numpy())[1], expected)
    assert training.infer(cnn, images[:0])[1].shape == (0, 10)


def test_inference_streams_a_memory_mapped_pool(cnn, mini, tmp_path):
    path = tmp_path / "pool.npy"
    np.save(path, mini.images.numpy())
    mapped = np.load(path, mmap_mode="r")
    torch.testing.assert_close(training.infer(cnn, mapped)[0], training.infer(cnn, mini.images)[0])


def test_dropout_samples_differ_by_seed_only(cnn, mini):
    one, again, other = (
        training.infer(cnn, mini.images[:50], dropout_seed=seed)[1] for seed in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


class DropsEarly(nn.Module):
    """Dropout before the embedding: nothing can be reused."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 6))
        self.head = nn.Linear(6, 3)

    def forward(self, images):
        embedding = self.features(images)
        return embedding, self.head(embedding)


@pytest.mark.parametrize("kind", ["cnn", "lenet5", "early"])
def test_dropout_samples_are_those_of_whole_passes(mini, kind):
    model = DropsEarly() if kind == "early" else models.build(kind)
    images = mini.images[:40]
    embeddings, logits = training.infer(model, images)
    samples = training.infer_dropout(model, images, embeddings, 300, seed=0)
    passes = torch.stack([training.infer(model, images, dropout_seed=i)[1] for i in range(300)])
    assert samples.shape == passes.shape and samples.std(0).min() > 0
    # The same distribution: means and spreads agree within their sampling error.
    error = passes.std(0) / 300**0.5
    assert ((samples.mean(0) - passes.mean(0)).abs() / error).max() < 7
    assert (samples.std(0) / passes.std(0)).mean() == pytest.approx(1, abs=0.05)
    again = training.infer_dropout(model, images, embeddings, 300, seed=0)
    assert torch.equal(samples, again)
    assert torch.equal(training.infer(model, images)[1], logits)


def test_a_model_that_cannot_be_traced_still_infers(mini):
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(784, 10)

        def forward(self, images):
            flat = images.flatten(1)
            if flat.sum() < 0:  # a branch on data, which tracing refuses
                flat = -flat
            return flat, self.linear(flat)

    assert training.infer(Branching(), mini.images[:5])[1].shape == (5, 10)


@pytest.mark.parametrize("kind", ["digits", "clothing"])
def test_augmentation_keeps_shape_range_and_center(kind):
    images = torch.zeros(200, 1, 28, 28)
    images[:, :, 12:16, 12:16] = 1.0
    distorted = training.augment_batch(images, kind)
    assert distorted.shape == images.shape
    assert float(distorted.min()) >= 0
    assert float(distorted.max()) <= 1 + 1e-6
    assert not torch.equal(distorted[0], distorted[1])
    # On average the square stays where it was: no distortion leans to one side.
    columns = distorted.mean((0, 1, 2))
    center = float((columns * torch.arange(28)).sum() / columns.sum())
    assert abs(center - 13.5) < 0.6


def test_the_distortions_of_recorded_runs_are_drawn_as_they_were():
    # By torch's generator of the CPU, which is the same on every machine; as of November 2026.
    digits = [[0.986686, -0.160497, -0.061625], [-0.001921, 0.987003, -0.00317]]
    clothing = [[0.991126, 0, -0.061625], [0, 0.991126, -0.00317]]
    for kind, expected in (("digits", digits), ("clothing", clothing)):
        torch.manual_seed(0)
        maps = training._distortions(2, kind, torch.device("cpu"))
        torch.testing.assert_close(maps[0], torch.tensor(expected), rtol=0, atol=2e-6)


@pytest.mark.parametrize("shape", [(1, 10, 10), (3, 28, 40), (3, 64, 64)])
def test_photos_are_cut_out_of_the_frame_flipped_and_recolored(shape):
    torch.manual_seed(0)
    # Brighter to the right and downwards, and nowhere black.
    down, right = (torch.linspace(0.3, 0.6, side) for side in shape[1:])
    images = ((down[:, None] + right) / 2).expand(400, *shape)
    distorted = training.augment_batch(images, "photos")
    assert distorted.shape == images.shape and distorted.dtype == torch.float32
    assert float(distorted.max()) <= 1
    # At the least 0.8 times as bright, and 0.2 of the way to the mean; no black border.
    assert float(distorted.min()) > 0.3 * 0.8 - 0.2 * 0.3
    flipped = distorted[:, 0, :, -1].mean(1) < distorted[:, 0, :, 0].mean(1)
    assert 0.4 < flipped.float().mean() < 0.6
    assert (distorted[:, 0, -1].mean(1) > distorted[:, 0, 0].mean(1)).all()  # never upside down
    brightness = distorted.mean((1, 2, 3)) / images.mean((1, 2, 3))
    assert 0.9 < brightness.mean() < 1.1 and brightness.std() > 0.05
    channels = torch.rand(50, 3, 1, 1).expand(50, 3, 16, 16)
    spread = training.augment_batch(channels, "photos").std(1) / channels.std(1)
    assert spread.amin() < 0.9 and spread.amax() > 1.1  # less and more saturated


def test_no_augmentation_is_the_identity():
    images = torch.rand(5, 1, 28, 28)
    assert training.augment_batch(images, "none") is images


class WhichHalf(nn.Module):
    """Takes an image for class 0 if its left half is the brighter one, for class 1 otherwise."""

    def __init__(self):
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(20.0))

    def forward(self, images):
        sides = images.mean(dim=(1, 2)).unflatten(1, (2, 14)).mean(dim=2)
        return sides, self.sharpness * sides


def test_views_are_averaged_over_the_distortions_of_training():
    images = torch.zeros(3, 1, 28, 28)
    images[:, :, :, :14] = 1
    assert training.infer(WhichHalf(), images)[1].softmax(1)[:, 0].min() > 0.99
    digits = training.infer_views(WhichHalf(), images, "digits", 200)
    clothing = training.infer_views(WhichHalf(), images, "clothing", 200)
    assert digits[:, 0].min() > 0.95  # turned and shifted a little: the same half
    assert 0.4 < clothing[:, 0].min() < clothing[:, 0].max() + 1e-6 < 0.6  # half of them mirrored
    torch.testing.assert_close(digits.sum(1), torch.ones(3))


@pytest.mark.parametrize("augment", ["digits", "clothing", "photos"])
def test_a_prediction_from_views_does_not_depend_on_the_images_beside_it(
    cnn, mini, augment, precision
):
    images = mini.images[:300]
    together = training.infer_views(cnn, images, augment, 3)
    alone = training.infer_views(cnn, images[280:281], augment, 3)
    torch.testing.assert_close(together[280:281], alone, rtol=0, atol=precision)


def test_views_without_a_distortion_are_the_image_as_it_is(cnn, mini, precision):
    plain = training.infer(cnn, mini.images[:20])[1].softmax(1)
    views = training.infer_views(cnn, mini.images[:20], None, 2)
    torch.testing.assert_close(views, plain, rtol=0, atol=precision)


def test_no_labels_are_refused(cnn):
    with pytest.raises(AlodError, match="teach some labels first"):
        training.fit(cnn, torch.zeros(0, 1, 28, 28), torch.zeros(0, dtype=torch.int64))


@pytest.mark.parametrize("device", ["tpu", "cuda:99", "cpu0"])
def test_unknown_device_is_refused(device):
    with pytest.raises(AlodError, match="device"):
        training.resolve_device(device)


@pytest.mark.parametrize("augment", ["none", "digits", "clothing", "photos"])
def test_no_training_step_waits_for_the_host(augment):
    # On torch's meta device there are shapes and no values: asking for one is an error.
    model = training.build_seeded("cnn", 10, 1, seed=0).to("meta")
    images = torch.zeros(50, 1, 28, 28, dtype=torch.uint8, device="meta")
    targets = torch.zeros(50, dtype=torch.int64, device="meta")
    training.fit(model, images, targets, steps=3, augment=augment)
    assert next(model.parameters()).device.type == "meta"


def test_a_memory_mapped_pool_gives_its_pages_back(tmp_path):
    images = np.memmap(tmp_path / "pool", np.uint8, "w+", shape=(20_000, 1, 28, 28))
    images[:] = np.arange(20_000, dtype=np.uint8)[:, None, None, None]
    images.flush()
    mapped = np.memmap(tmp_path / "pool", np.uint8, "r", shape=images.shape)
    del images
    for start in range(0, len(mapped), 1_000):
        rows = training.as_tensor(mapped[start : start + 1_000])
        assert torch.equal(rows[:, 0, 0, 0], torch.arange(start, start + 1_000).to(torch.uint8))
    smaps = Path("/proc/self/smaps").read_text() if Path("/proc/self/smaps").exists() else ""
    if str(tmp_path) in smaps:
        resident = int(smaps.split(str(tmp_path))[1].split("Rss:")[1].split()[0])
        assert resident < 1_000  # kB, of 15,680


def test_a_mapped_pool_is_read_where_pages_cannot_be_given_back(tmp_path, monkeypatch):
    monkeypatch.delattr(mmap, "MADV_DONTNEED", raising=False)  # as on Windows
    (tmp_path / "pool").write_bytes(bytes([5]) * 10 * 28 * 28)
    mapped = np.memmap(tmp_path / "pool", np.uint8, "r", shape=(10, 1, 28, 28))
    assert int(training.as_tensor(mapped).min()) == 5


def test_what_is_changed_in_a_private_map_stays_changed(tmp_path):
    (tmp_path / "pool").write_bytes(bytes(10 * 28 * 28))
    mapped = np.memmap(tmp_path / "pool", np.uint8, "c", shape=(10, 1, 28, 28))
    mapped[3] = 7
    assert int(training.as_tensor(mapped)[3].max()) == 7
    assert int(training.as_tensor(mapped)[3].max()) == 7


class OnFrozen(nn.Module):
    """A new last layer on a body that its owner froze, norm and dropout included."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False), nn.Flatten(),
            nn.Dropout(0.5), nn.Linear(2704, 6),
        )  # fmt: skip
        self.body.requires_grad_(False)
        self.head = nn.Linear(6, 10)

    def forward(self, images):
        embedding = self.body(images)
        return embedding, self.head(embedding)


@pytest.mark.parametrize("mode", training.TRAINING_MODES)
def test_what_its_owner_froze_stays_as_it_is(mini, mode):
    model = OnFrozen()
    before = copy.deepcopy(model.state_dict())
    for seed in range(2):
        training.fit(
            model, mini.images[:50], mini.targets[:50], steps=3, mode=mode, initial_state=before,
            inliers=mini.images[50:80], seed=seed,
        )  # fmt: skip
    after = model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head.weight", "head.bias"}


class OnBody(OnFrozen):
    """The same, nothing frozen."""

    def __init__(self):
        super().__init__()
        self.requires_grad_(True)


def test_a_body_learns_at_its_own_rate_or_not_at_all(mini):
    torch.manual_seed(0)
    start = OnBody().state_dict()
    moved = {}
    for rate in (1.0, 0.1, 0.0):
        model = OnBody()
        model.load_state_dict(start)
        training.fit(model, mini.images[:50], mini.targets[:50], steps=20, body_rate=rate)
        after = model.state_dict()
        moved[rate] = {name: (after[name] - start[name]).abs().sum().item() for name in start}
    assert all(moved[0.1][name] > 0 for name in moved[0.1] if "weight" in name)
    weights = "body.5.weight"
    assert 0.02 < moved[0.1][weights] / moved[1.0][weights] < 0.3
    assert 0.5 < moved[0.1]["head.weight"] / moved[1.0]["head.weight"] < 2
    # Frozen with the statistics of its norms.
    assert {name for name, by in moved[0.0].items() if by} == {"head.weight", "head.bias"}


class Twice(nn.Module):
    """Modules that are run twice, or not in the order in which they are listed."""

    def __init__(self, wiring, wrap=lambda conv: conv):
        super().__init__()
        self.conv = wrap(nn.Conv2d(1, 8, 3, padding=1))
        self.norm, self.other = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        self.head = nn.Linear(16, 10)
        self.wiring = wiring

    def forward(self, images):
        embedding = torch.cat([maps.relu().mean((2, 3)) for maps in self.wiring(self, images)], 1)
        return embedding, self.head(embedding)


def once(net, images):
    return net.norm(net.conv(images)), net.other(net.norm(net.conv(images)))


WIRINGS = {
    "norm on one path": lambda net, x: (net.norm(net.conv(x)), net.conv(x[..., ::2, ::2])),
    "a norm for each scale": lambda net, x: (
        net.norm(net.conv(x)),
        net.other(net.conv(x[..., ::2, ::2])),
    ),
    "the other norm first": lambda net, x: (net.other(net.conv(x)), net.norm(net.conv(x))),
}
WRAPS = {
    "weight norm": nn.utils.parametrizations.weight_norm,
    "spectral norm": nn.utils.parametrizations.spectral_norm,
    "old weight norm": nn.utils.weight_norm,
    "old spectral norm": nn.utils.spectral_norm,
    "pruned": lambda conv: prune.l1_unstructured(conv, "weight", amount=0.3),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize("kind", [*WIRINGS, *WRAPS])
def test_inference_is_what_a_users_module_computes(mini, kind, monkeypatch):
    monkeypatch.setattr(training, "half_precision", lambda device: None)
    model = Twice(WIRINGS.get(kind, once), WRAPS.get(kind, lambda conv: conv))
    model = training.copy_module(model)
    training.fit(model, mini.images[:100], mini.targets[:100], steps=20)
    found = training.infer(model, mini.images)
    with torch.no_grad():
        expected = model(mini.images.float() / 255)
    for part, whole in zip(found, expected, strict=True):
        torch.testing.assert_close(part, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("change", ["shared norm", "hook"])
def test_our_own_classifiers_are_folded_only_as_they_were_made(mini, change, monkeypatch):
    monkeypatch.setattr(training, "half_precision", lambda device: None)
    model = models.build("cnn")
    training.fit(model, mini.images[:100], mini.targets[:100], steps=10)
    assert models.can_fold(model)
    if change == "shared norm":
        model.features[1] = nn.Conv2d(1, 64, 3)
        model.features[2], model.features[5] = model.features[6], nn.Conv2d(64, 64, 3)
    else:
        model.features[1].register_forward_hook(lambda module, given, found: found.clamp(min=0))
    found = training.infer(model.eval(), mini.images[:50])[1]
    with torch.no_grad():
        expected = model(mini.images[:50].float() / 255)[1]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_fold_that_goes_wrong_is_not_used(cnn, mini, monkeypatch):
    monkeypatch.setattr(training, "half_precision", lambda device: None)
    other = training.build_seeded("cnn", 10, 1, seed=1).eval()
    monkeypatch.setattr(models, "fold_norms", lambda model: other)
    found = training.infer(cnn, mini.images[:20])[1]
    with torch.no_grad():
        expected = cnn.eval()(mini.images[:20].float() / 255)[1]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


class Drops(nn.Module):
    """Dropout of any kind before the embedding or behind it, perhaps as a function."""

    def __init__(self, drop):
        super().__init__()
        self.conv, self.drop = nn.Conv2d(1, 8, 5, stride=3), drop
        self.head = nn.Linear(8, 10)

    def forward(self, images):
        embedding = self.drop(self.conv(images).relu()).mean((2, 3))
        return embedding, self.head(embedding)


class DropsByFunction(Drops):
    def forward(self, images):
        embedding = self.conv(images).relu().mean((2, 3))
        return embedding, self.head(nn.functional.dropout(embedding, 0.5, self.training))


class DropsInAttention(Drops):
    def __init__(self, drop):
        super().__init__(drop)
        self.attend = nn.MultiheadAttention(8, 2, dropout=0.3, batch_first=True)

    def forward(self, images):
        tokens = self.conv(images).flatten(2).transpose(1, 2)
        embedding = self.attend(tokens, tokens, tokens)[0].mean(1)
        return embedding, self.head(embedding)


@pytest.mark.parametrize(
    "model",
    [
        *(Drops(drop(0.5)) for drop in (nn.Dropout, nn.Dropout2d, nn.AlphaDropout)),
        Drops(nn.FeatureAlphaDropout(0.5)),
        DropsByFunction(nn.Identity()),
        DropsInAttention(nn.Identity()),
    ],
    ids=lambda model: f"{type(model).__name__} {type(model.drop).__name__}",
)
def test_every_kind_of_dropout_stays_on(mini, model):
    images = mini.images[:20]
    samples = training.infer_dropout(model, images, training.infer(model, images)[0], 3, seed=0)
    assert not torch.equal(samples[0], samples[1]) and not torch.equal(samples[1], samples[2])
    again = training.infer_dropout(model, images, training.infer(model, images)[0], 3, seed=0)
    assert torch.equal(samples, again)
