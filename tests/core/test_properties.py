"""What holds of every strategy, first set and detector, whatever the pool: the field's own checks.

After scikit-activeml's checks of a query strategy and scikit-learn's of an estimator.
"""

import random
from dataclasses import fields, replace

import numpy as np
import pytest
import sklearn.cluster  # noqa: F401 - as it is imported, it draws
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from alod import initial, outliers, strategies
from alod.view import PoolView

# Those that draw more than their ties answer by the order of the pool, too.
DRAWING = {"random", "badge", "dbal", "typiclust"}
# Of two images that are each other's nearest, either adds the same to the coverage.
TIED = {"maxherding"}
PURE = sorted(strategies.STRATEGIES.keys() - DRAWING - TIED)
CASES = ["plain", "equal", "dead", "one class", "copies", "one image", "double", "strided"]
few = settings(max_examples=4, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def strided(rows):
    """Return the same numbers as every second column of a matrix that lies by columns."""
    wide = torch.full((2 * rows.shape[1], len(rows)), torch.nan, dtype=rows.dtype).T
    wide[:, ::2] = rows
    return wide[:, ::2]


def make_view(seed, case="plain"):
    rng = np.random.default_rng(seed)
    n_labeled, n_pool = int(rng.integers(1, 30)), 1 if case == "one image" else 25

    def draw(*shape):
        return torch.as_tensor(rng.normal(size=shape)).float()

    labeled, pool, logits = draw(n_labeled, 6), draw(n_pool, 6), draw(n_pool, 3)
    targets = torch.as_tensor(rng.integers(0, 3, n_labeled))
    if case == "equal":
        labeled, pool, logits = (
            labeled[:1].expand(n_labeled, 6),
            labeled[:1].repeat(25, 1),
            0 * logits,
        )
    if case == "dead":
        labeled, pool = 0 * labeled, 0 * pool
    if case == "one class":
        targets = 0 * targets
    if case == "copies":
        pool[: min(10, n_labeled)] = labeled[:10]
    samples = logits + draw(20, *logits.shape)
    given = [labeled, targets, pool, logits]
    if case == "double":
        given = [rows.double() for rows in given[:1]] + [targets, pool.double(), logits.double()]
    if case == "strided":
        given = [strided(labeled), targets, strided(pool), strided(logits)]
    return PoolView(*given, mc_logits=lambda n: samples[:n])


def reordered(view, order):
    return replace(
        view,
        pool_embeddings=view.pool_embeddings[order],
        pool_logits=view.pool_logits[order],
        pool_features=view.pool_features[order],
        mc_logits=lambda n: view.mc_logits(n)[:, order],
    )


class Untouched:
    """Inputs and global generators are afterwards as they were before."""

    def __init__(self, *inputs):
        self.inputs = inputs

    def state(self):
        draws = torch.get_rng_state(), np.random.get_state()[1], random.getstate()  # noqa: NPY002
        return [repr(part.tolist()) for part in (*self.inputs, *draws[:2])], draws[2]

    def __enter__(self):
        self.before = self.state()

    def __exit__(self, *error):
        assert self.state() == self.before


def tensors(view):
    return [v for v in (getattr(view, f.name) for f in fields(view)) if isinstance(v, Tensor)]


@pytest.mark.parametrize("name", strategies.STRATEGIES)
@pytest.mark.parametrize("case", CASES)
@few
@given(seed=seeds)
def test_every_strategy_answers_every_pool_and_leaves_it_as_it_was(name, case, seed):
    view = make_view(seed, case)
    n_pool = len(view.pool_logits)
    for k in {1, min(5, n_pool), n_pool}:
        with Untouched(*tensors(view)):
            answer = strategies.STRATEGIES[name](view, k, np.random.default_rng(seed))
        indices, scores = strategies.check_selection(answer, k, n_pool, name)
        assert (answer[0].dtype, answer[1].dtype) == (np.int64, np.float64)
        again = strategies.STRATEGIES[name](view, k, np.random.default_rng(seed))
        np.testing.assert_array_equal(again[0], indices)
        np.testing.assert_array_equal(again[1], scores)


@pytest.mark.parametrize("name", PURE)
@few
@given(seed=seeds)
def test_the_order_of_the_pool_does_not_matter(name, seed):
    view = make_view(seed)
    order = np.random.default_rng(seed).permutation(25)
    ask = strategies.STRATEGIES[name]
    indices, _ = ask(view, 6, np.random.default_rng(seed))
    shuffled, _ = ask(reordered(view, order), 6, np.random.default_rng(seed))
    assert set(order[shuffled]) == set(indices)


@pytest.mark.parametrize("name", PURE)
@few
@given(seed=seeds)
def test_how_the_numbers_lie_in_memory_does_not_matter(name, seed):
    ask = strategies.STRATEGIES[name]
    indices, _ = ask(make_view(seed), 6, np.random.default_rng(seed))
    again, _ = ask(make_view(seed, "strided"), 6, np.random.default_rng(seed))
    assert set(again) == set(indices)


@pytest.mark.parametrize("name", initial.METHODS)
@pytest.mark.parametrize("case", CASES)
@few
@given(seed=seeds)
def test_every_first_set_is_chosen_from_every_pool_and_leaves_it_as_it_was(name, case, seed):
    points = make_view(seed, case).pool_embeddings
    for n in {1, min(5, len(points)), len(points)}:
        with Untouched(points):
            chosen = initial.select(points, n, name, np.random.default_rng(seed))
        assert (chosen.dtype, chosen.shape) == (np.int64, (n,))
        assert len(set(chosen)) == n
        assert chosen.min() >= 0
        assert chosen.max() < len(points)
        again = initial.select(points, n, name, np.random.default_rng(seed))
        np.testing.assert_array_equal(again, chosen)


@few
@given(seed=seeds)
def test_the_order_of_the_pool_does_not_matter_to_herding(seed):
    points = make_view(seed).pool_embeddings
    order = np.random.default_rng(seed).permutation(25)
    chosen = initial.select(points, 6, "herding")
    shuffled = initial.select(points[order], 6, "herding")
    assert set(order[shuffled]) == set(chosen)


@pytest.mark.parametrize("name", outliers.DETECTORS)
@settings(max_examples=1, deadline=None)
@given(seed=seeds)
def test_a_detector_scores_an_image_alike_wherever_it_stands(name, seed):
    rng = np.random.default_rng(seed)
    reference, pool = (torch.as_tensor(rng.normal(size=(n, 6))).float() for n in (40, 12))
    order = rng.permutation(12)
    with Untouched(reference, pool):
        scores = outliers.outlier_scores(name, reference, pool, seed)
    elsewhere = outliers.outlier_scores(name, strided(reference), strided(pool[order]), seed)
    assert (scores.dtype, scores.shape) == (np.float64, (12,))
    # Sums in another order: float32 where a network or a matrix product of ours scores.
    np.testing.assert_allclose(elsewhere, scores[order], rtol=1e-4, atol=1e-5)
