from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import alod
from alod import training

# Files in one process each, by name, which begins first: UMAP and detectors compile there once,
# sweeps share their processes.
TOGETHER = {
    "test_outliers.py": "detectors",
    "test_properties.py": "detectors",
    "test_projection.py": "umap",
    "test_own_strategy.py": "sweeps",
    "test_sweep.py": "sweeps",
}


def pytest_addoption(parser):
    parser.addoption("--half", choices=("on", "off"), help="16 bits, whatever the processor has")
    parser.addoption("--threads", type=int, default=1, help="torch's")


def pytest_configure(config):
    # One thread: the same sums in the same order, whatever runs beside.
    torch.set_num_threads(config.getoption("threads"))
    kinds = {"on": torch.bfloat16, "off": None}
    if config.getoption("half"):
        half = kinds[config.getoption("half")]
        training.half_precision = lambda device: half


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Send tests of files that belong together to one process, all others one by one.

    Not by marks, `xdist_group`: with pytest 9.2, xdist 3.8 does not see them, and says nothing.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return TOGETHER.get(Path(nodeid.partition("::")[0]).name, nodeid)

    return Together(config, log)


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


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=str)
def precision(request, monkeypatch):
    """Compute with 16 bits or without; how far probabilities may be apart then.

    What is the same but for the order of its sums differs by some units in the last place of the
    logits, which are below 4 here; a resampled pixel by some more, of 32 bits, where it lies.
    """
    half = None if request.param == torch.float32 else request.param
    monkeypatch.setattr(training, "half_precision", lambda device: half)
    return 2 * torch.finfo(request.param).eps if half else 100 * torch.finfo(torch.float32).eps
