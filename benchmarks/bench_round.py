"""Seconds of one round by part, against a plain PyTorch loop as a careful user would write it.

``python benchmarks/bench_round.py`` prints one Markdown table. Both sides run in this process, on
the same images and the same trained weights, in turn; medians of the repeats are given, and the
ratios are those of the medians. Nothing else should run on the machine meanwhile.
"""

import argparse
import copy
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from PIL import Image
from sklearn.svm import OneClassSVM
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision import transforms

import alod
from alod import models, strategies, training
from alod.experiments.provenance import provenance
from alod.view import PoolView

N_POOL, N_LABELED, BATCH, EPOCHS = 60_000, 300, 32, 30


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(models.MODELS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--original", action="store_true", help="time the original's round, too")
    arguments = parser.parse_args()
    data = alod.load_dataset("mnist_mini")
    images = data.images.repeat(N_POOL // len(data.images), 1, 1, 1)
    source = provenance()
    print(f"{source['machine']}, {torch.get_num_threads()} threads, {source['versions']}\n")
    print("| model | part | plain, s | alod, s | ratio | same class |")
    print("|---|---|---|---|---|---|")
    for name in arguments.models:
        for part, plain, ours, same in compare(name, images, data, arguments.repeats):
            agreement = "" if same is None else f"{same:.2%}"
            times = f"{plain:.2f} | {ours:.2f} | {plain / ours:.1f}"
            print(f"| {name} | {part} | {times} | {agreement} |", flush=True)
        if arguments.original:
            seconds = original_round(training.build_seeded(name, 10, 1, seed=0), images, data)
            times = f"{seconds:.2f} | {ours:.2f} | {seconds / ours:.1f}"
            print(f"| {name} | round, the original's loop | {times} | |", flush=True)


def compare(
    name: str, images: torch.Tensor, data: alod.Dataset, repeats: int
) -> list[tuple[str, float, float, float | None]]:
    """Time fit, inference and query of one classifier on both sides."""
    labeled, targets = data.images[:N_LABELED], data.targets[:N_LABELED]
    steps = EPOCHS * -(-N_LABELED // BATCH)
    start = training.build_seeded(name, 10, 1, seed=0)

    def our_fit() -> nn.Module:
        model = copy.deepcopy(start)
        training.fit(model, labeled, targets, steps=steps, batch_size=BATCH)
        return model

    def plain_fit_now() -> nn.Module:
        return plain_fit(copy.deepcopy(start), labeled, targets)

    if name == "resnet18":  # minutes on a CPU: once is enough
        repeats = 1
    fit_plain, fit_ours = alternate(plain_fit_now, our_fit, repeats)
    model = our_fit()
    infer_plain, infer_ours = alternate(
        lambda: plain_infer(model, images), lambda: training.infer(model, images), repeats
    )
    embeddings, logits = training.infer(model, images)
    same = float((plain_infer(model, images)[1].argmax(1) == logits.argmax(1)).float().mean())
    view = PoolView(embeddings[:N_LABELED], targets, embeddings, logits)
    query = [timed(lambda: strategies.outlier(view, 100, np.random.default_rng(0)))[0]]
    query += [timed(lambda: strategies.outlier(view, 100, np.random.default_rng(0)))[0]]
    plain_query = timed(lambda: plain_margin(logits, 100))[0]
    return [
        (f"fit, {steps} steps of {BATCH}", fit_plain, fit_ours, None),
        ("infer 60,000", infer_plain, infer_ours, same),
        ("query (plain: margin, alod: outlier)", plain_query, min(query), None),
        (
            "round",
            fit_plain + infer_plain + plain_query,
            fit_ours + infer_ours + min(query),
            None,
        ),
    ]


def plain_fit(model: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> nn.Module:
    """Train as in any tutorial: a DataLoader, float32, Adam, epochs."""
    loader = DataLoader(TensorDataset(images.float() / 255, targets), BATCH, shuffle=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()
    for _ in range(EPOCHS):
        for inputs, labels in loader:
            loss = nn.functional.cross_entropy(model(inputs)[1], labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def plain_infer(model: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Infer as in any tutorial: a DataLoader of 256, float32."""
    model.eval()
    outputs = []
    with torch.no_grad():
        for (inputs,) in DataLoader(TensorDataset(images), 256):
            outputs.append(model(inputs.float() / 255))
    embeddings, logits = zip(*outputs, strict=True)
    return torch.cat(embeddings), torch.cat(logits)


class OneByOne(Dataset):
    """Images as torchvision hands them out: one at a time, through PIL."""

    def __init__(self, images: torch.Tensor, targets: torch.Tensor) -> None:
        self.images, self.targets = images[:, 0].numpy(), targets.tolist()
        self.transform = transforms.Compose([transforms.ToTensor()])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[i])), self.targets[i]


def original_round(model: nn.Module, images: torch.Tensor, data: alod.Dataset) -> float:
    """Time a round as the original work goes about it.

    Batches of 32 from a dataset that converts image by image, Adam, validation on 10,000 images
    after every epoch, then the pool in batches of 32 and a One-Class SVM. Written anew from its
    description; its 30 epochs are ours.
    """
    targets = data.targets.repeat(N_POOL // len(data.targets))
    labeled = OneByOne(images[:N_LABELED], targets[:N_LABELED])
    held_out = DataLoader(OneByOne(images[-10_000:], targets[-10_000:]), BATCH)
    pool = DataLoader(OneByOne(images[N_LABELED:-10_000], targets[N_LABELED:-10_000]), BATCH)
    optimizer = torch.optim.Adam(model.parameters())
    started = time.perf_counter()
    for _ in range(EPOCHS):
        model.train()
        for inputs, labels in DataLoader(labeled, BATCH, shuffle=True):
            loss = nn.functional.cross_entropy(model(inputs)[1], labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for inputs, labels in held_out:
                nn.functional.cross_entropy(model(inputs)[1], labels).item()
    with torch.no_grad():
        known = torch.cat([model(inputs)[0] for inputs, _ in DataLoader(labeled, BATCH)])
        unknown = torch.cat([model(inputs)[0] for inputs, _ in pool])
    detector = OneClassSVM(kernel="poly", nu=1e-5, gamma="auto").fit(known.numpy())
    detector.score_samples(unknown.numpy()).argsort()[:100]
    return time.perf_counter() - started


def plain_margin(logits: torch.Tensor, k: int) -> torch.Tensor:
    """Ask by margin."""
    best = logits.softmax(1).topk(2).values
    return (best[:, 0] - best[:, 1]).argsort()[:k]


def alternate(
    one: Callable[[], object], other: Callable[[], object], repeats: int
) -> tuple[float, float]:
    """Return median seconds of two functions, run in turn after one warm-up each."""
    one(), other()
    seconds = [(timed(one)[0], timed(other)[0]) for _ in range(repeats)]
    return median(a for a, _ in seconds), median(b for _, b in seconds)


def timed(function: Callable[[], object]) -> tuple[float, object]:
    """Return the seconds a call took, and its result."""
    started = time.perf_counter()
    result = function()
    return time.perf_counter() - started, result


if __name__ == "__main__":
    main()
