"""Time the choice of images: every strategy, the detectors, and other libraries on the same arrays.

``python benchmarks/bench_selection.py`` takes a few minutes, prints one table and writes it into
benchmarks/README.md. What is compared runs in alternation in one process; times are medians.
"""

import argparse
import platform
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import default_rng
from torch import Tensor

import alod
from alod import geometry, models, outliers, strategies, training
from alod.experiments.provenance import provenance
from alod.files import write_atomically
from alod.view import PoolView

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- selection: begin -->", "<!-- selection: end -->"
CLASSES, DIMENSION, LABELED, ASKED = 10, 64, 1_000, 100


class Row(NamedTuple):
    what: str
    ours: str
    other: str = ""
    ratio: str = ""
    note: str = ""


def embeddings(n: int, dimension: int = DIMENSION, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Ten curved, noisy classes of few intrinsic dimensions; targets beside."""
    fixed, rng = default_rng(0), default_rng(seed)
    means = 3 * fixed.normal(size=(CLASSES, dimension))
    mix = 1.5 * fixed.normal(size=(12, dimension))
    points, targets = np.empty((n, dimension), np.float32), rng.integers(CLASSES, size=n)
    for start in range(0, n, 100_000):
        rows = slice(start, min(n, start + 100_000))
        count = rows.stop - start
        inner = np.tanh(rng.normal(size=(count, 12)) * np.linspace(2, 0.3, 12))
        noise = 0.3 * rng.normal(size=(count, dimension))
        points[rows] = means[targets[rows]] + inner @ mix + noise
    return torch.as_tensor(points), torch.as_tensor(targets)


def view_of(n: int) -> PoolView:
    labeled, targets = embeddings(LABELED, seed=1)
    pool, _ = embeddings(n, seed=2)
    head = torch.as_tensor(default_rng(3).normal(size=(DIMENSION, CLASSES)) / 8).float()
    # Dropout is not what is timed: the samples are there.
    noise = [0.3 * torch.randn(n, CLASSES, generator=torch.manual_seed(i)) for i in range(4)]
    logits = pool @ head
    samples = [logits + part for part in noise]
    return PoolView(
        labeled, targets, pool, logits, mc_logits=lambda m: [samples[i % 4] for i in range(m)]
    )


def alternate(*functions: Callable[[], object], repeats: int = 5) -> list[float]:
    """Return the median seconds of each, run in turn after one warm-up."""
    seconds: list[list[float]] = [[] for _ in functions]
    for turn in range(repeats + 1):
        for i, function in enumerate(functions):
            start = time.perf_counter()
            function()
            if turn:
                seconds[i].append(time.perf_counter() - start)
    return [median(s) for s in seconds]


def once(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compared(what: str, ours: float, other: float, note: str = "") -> Row:
    return Row(what, f"{ours:.3f} s", f"{other:.3f} s", f"{other / ours:.1f}×", note)


def peak_memory() -> float:
    """GB resident at the most since :func:`forget_peak`; NaN where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1e6
    except (OSError, IndexError):
        return float("nan")


def forget_peak() -> float:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return float("nan")
    return peak_memory()


def bench_strategies() -> list[str]:
    """Seconds of each strategy by the size of the pool, and its peak memory over the data."""
    lines = [
        f"| strategy ({ASKED} asked, {LABELED:,} labeled, {DIMENSION} dimensions) | 10,000 |"
        " 60,000 | 1,000,000 | memory over the data at 1,000,000 |",
        "|---|---|---|---|---|",
    ]
    views = {n: view_of(n) for n in (10_000, 60_000, 1_000_000)}
    for name, strategy in strategies.STRATEGIES.items():
        cells = []
        for n, view in views.items():
            repeats = 3 if n < 1_000_000 else 1
            before = forget_peak()
            ask = partial(strategy, view, ASKED)
            runs = [once(lambda ask=ask: ask(default_rng(0))) for _ in range(repeats)]
            cells.append(f"{median(runs):.2f} s")
        lines.append(f"| `{name}` | {' | '.join(cells)} | {peak_memory() - before:.2f} GB |")
    return lines


def bench_neighbors() -> list[Row]:
    """Exact kNN against PyOD's, and ten classes against one."""
    from pyod.models.knn import KNN as PyodKNN  # noqa: N811

    def against(what: str, name: str, other: object, fit: Tensor, pool: Tensor) -> Row:
        ours = outliers.make(name).fit(fit)
        other.fit(fit.numpy())
        a, b = ours.decision_function(pool), other.decision_function(pool.numpy())
        seconds = alternate(
            lambda: ours.decision_function(pool),
            lambda: other.decision_function(pool.numpy()),
            repeats=3,
        )
        return compared(what, *seconds, f"scores within {np.abs(a - b).max():.0e}")

    centers = default_rng(0).normal(size=(50, DIMENSION))

    def clusters(n: int, seed: int) -> Tensor:
        rng = default_rng(seed)
        points = centers[rng.integers(50, size=n)] + 0.1 * rng.normal(size=(n, DIMENSION))
        return torch.as_tensor(points).float()

    tight_fit, tight_pool = clusters(5_000, 1), clusters(60_000, 2)
    data = alod.load_dataset("mnist_mini")
    resnet = models.build("resnet18")
    training.fit(resnet, data.images[:500], data.targets[:500], steps=40, batch_size=32)
    real = geometry.normalize(training.infer(resnet, data.images)[0])
    rows = [
        against(
            "kNN, 5,000 fitted, 60,000 scored, 64 tight dimensions, PyOD",
            "knn",
            PyodKNN(n_neighbors=1),
            tight_fit,
            tight_pool,
        ),
        against(
            "kNN, 2,000 fitted, 6,000 scored, 512 dimensions of ResNet18, PyOD",
            "knn",
            PyodKNN(n_neighbors=1),
            real[:2000],
            real,
        ),
    ]
    reference, targets = embeddings(5_000, seed=1)
    pool, _ = embeddings(60_000, seed=2)
    one, ten = alternate(
        lambda: outliers.outlier_scores("knn", reference, pool),
        lambda: outliers.contrast(outliers.class_scores("knn", reference, targets, pool)),
    )
    rows.append(
        Row(
            "contrast over ten classes, one detector for all",
            f"{ten:.3f} s",
            f"{one:.3f} s",
            f"{ten / one:.2f} of its time",
            "5,000 fitted, 60,000 scored",
        )
    )
    return rows


def bench_detectors() -> list[str]:
    lines = [
        "| detector (10,000 fitted, 60,000 scored) | 64: fit | score | 512: fit | score |",
        "|---|---|---|---|---|",
    ]
    data = {
        d: tuple(
            geometry.normalize(embeddings(n, d, seed)[0]) for n, seed in ((10_000, 1), (60_000, 2))
        )
        for d in (64, 512)
    }
    for name in ("knn", "lof", "mahalanobis", "gmm", "iforest"):
        cells = []
        for reference, pool in data.values():
            detector = outliers.make(name)
            given = (lambda x: x) if name in outliers.OURS else Tensor.numpy
            cells.append(once(lambda d=detector, g=given, r=reference: d.fit(g(r))))
            cells.append(once(lambda d=detector, g=given, p=pool: d.decision_function(g(p))))
        lines.append(f"| {name} | {' | '.join(f'{c:.2f} s' for c in cells)} |")
    return lines


def bench_clusters() -> Row:
    from sklearn.cluster import KMeans

    points = geometry.normalize(embeddings(20_000)[0])
    array, costs = points.numpy(), []
    seconds = alternate(
        lambda: costs.append((geometry.k_means(points, 200, default_rng(0))[1] ** 2).sum()),
        lambda: costs.append(KMeans(200, random_state=0).fit(array).inertia_),
        repeats=3,
    )
    note = f"cost {costs[0] / costs[1] - 1:+.1%}"
    return compared("k-means, 20,000 × 64, 200 clusters, scikit-learn's defaults", *seconds, note)


def bench_skactiveml() -> list[Row]:
    """The strategies of scikit-activeml on the same 20,000 × 64, or 5,000 where it needs n × n."""
    if find_spec("skactiveml") is None:
        return [Row("scikit-activeml", "", note="not installed, not compared")]
    from skactiveml.base import SkactivemlClassifier
    from skactiveml.pool import Badge, CoreSet, MaxHerding, TypiClust, UncertaintySampling

    n, n_labeled = 20_000, 100
    points, targets = embeddings(n, seed=2)
    points = geometry.normalize(points)
    head = torch.as_tensor(default_rng(3).normal(size=(DIMENSION, CLASSES))).float()

    class Given(SkactivemlClassifier):
        """A classifier that is given, not fitted."""

        def fit(self, X, y, sample_weight=None):
            return self

        def predict_proba(self, X):
            return (torch.as_tensor(X).float() @ head).softmax(1).numpy()

    def view_and_arrays(n: int) -> tuple[PoolView, np.ndarray, np.ndarray]:
        labels = np.full(n, np.nan)
        labels[:n_labeled] = targets[:n_labeled]
        pool = points[n_labeled:n]
        view = PoolView(points[:n_labeled], targets[:n_labeled], pool, pool @ head)
        return view, points[:n].numpy(), labels

    view, X, y = view_and_arrays(n)
    clf = Given(classes=list(range(CLASSES)))
    rows = []

    def same(ours: np.ndarray, theirs: np.ndarray) -> str:
        return f"{np.isin(ours + n_labeled, theirs).sum()} of {len(ours)} images the same"

    def query(strategy: object, X: np.ndarray, y: np.ndarray, **more: object) -> np.ndarray:
        return np.asarray(strategy.query(X, y, batch_size=ASKED, **more))

    def run(name: str, view: PoolView = view) -> np.ndarray:
        return strategies.STRATEGIES[name](view, ASKED, default_rng(0))[0]

    uncertain = UncertaintySampling(method="margin_sampling", random_state=0)
    other = {"clf": clf, "fit_clf": False}
    seconds = alternate(lambda: run("margin"), lambda: query(uncertain, X, y, **other))
    note = same(run("margin"), query(uncertain, X, y, **other))
    rows.append(compared("margin, scikit-activeml", *seconds, note))

    seconds = alternate(lambda: run("kcenter"), lambda: query(CoreSet(random_state=0), X, y))
    note = same(run("kcenter"), query(CoreSet(random_state=0), X, y))
    rows.append(compared("kcenter, scikit-activeml's CoreSet", *seconds, note))

    badge = Badge(random_state=0)
    seconds = alternate(lambda: run("badge"), lambda: query(badge, X, y, **other), repeats=3)
    note = "both random; the test suite compares draw by draw"
    rows.append(compared("badge, scikit-activeml", *seconds, note))

    theirs = TypiClust(random_state=0, k=geometry.TYPICAL_NEIGHBORS)
    seconds = alternate(lambda: run("typiclust"), lambda: query(theirs, X, y), repeats=3)
    note = "clustering cost: see k-means"
    rows.append(compared("typiclust, scikit-activeml", *seconds, note))

    view, X, y = view_and_arrays(5_000)
    herding = MaxHerding(metric_dict={"gamma": 1.0}, random_state=0)
    seconds = alternate(lambda: run("maxherding", view), lambda: query(herding, X, y), repeats=1)
    note = same(run("maxherding", view), query(herding, X, y)) + "; 5,000 × 64"
    rows.append(compared("maxherding, scikit-activeml", *seconds, note))
    return rows


def report() -> str:
    machine = provenance()
    versions = dict(machine["versions"])  # type: ignore[call-overload]
    if find_spec("skactiveml"):
        versions["scikit-activeml"] = version("scikit-activeml")
    hardware = machine["machine"]
    start = time.perf_counter()
    by_size = bench_strategies()
    by_detector = bench_detectors()
    rows = [*bench_neighbors(), bench_clusters(), *bench_skactiveml()]
    lines = [
        *by_size,
        "",
        "| compared in one process, in alternation | alod | other | ratio | |",
        "|---|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        *by_detector,
        "",
        f"{hardware['processor']}, {torch.get_num_threads()} threads, {platform.system()}; "  # type: ignore[index]
        + ", ".join(f"{name} {number}" for name, number in versions.items())
        + f"; {machine['time']}, {time.perf_counter() - start:.0f} s in all.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--print-only", action="store_true", help="leave the README as it is")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    table = report()
    print(table)
    if options.print_only:
        return
    text = README.read_text()
    head, _, rest = text.partition(BEGIN)
    write_atomically(README, f"{head}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
