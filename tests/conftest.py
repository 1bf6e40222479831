from dataclasses import replace

import numpy as np
import pytest
import torch

import alod

# One thread: the same sums in the same order, whatever runs beside.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def mini():
    """600 real digits and 200 to test on."""
    data = alod.load_dataset("mnist_mini")
    return replace(
        data,
        images=data.images[:600],
        targets=data.targets[:600],
        test_images=data.test_images[:200],
        test_targets=data.test_targets[:200],
    )


@pytest.fixture
def rng():
    return np.random.default_rng(0)
