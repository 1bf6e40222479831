import importlib.util
import json
import shutil
import sys
from contextlib import contextmanager
from dataclasses import asdict, replace
from multiprocessing import forkserver
from pathlib import Path

import pytest
from joblib.externals.loky.backend.context import set_start_method

import alod


@pytest.fixture(scope="session")
def computed(tmp_path_factory, mini):
    """What `runs` copies."""
    folder = tmp_path_factory.mktemp("computed") / "runs"
    tiny = alod.ExperimentConfig(model="lenet5", n_initial=20, n_query=10, rounds=2, steps=2)
    for strategy, params in {"random": {}, "outlier": {"detector": "lof"}}.items():
        for seed in (0, 1):
            config = replace(tiny, strategy=strategy, strategy_params=params, seed=seed, rounds=1)
            alod.run_experiment(config, folder / f"{strategy}{seed}", data=mini)
    (folder / "cut_off").mkdir()
    (folder / "cut_off" / "config.json").write_text(json.dumps(asdict(tiny)))
    return folder


@pytest.fixture
def runs(computed, tmp_path):
    """Two strategies × two seeds, one of them with parameters; and a run that is not finished."""
    return shutil.copytree(computed, tmp_path / "runs")


@pytest.fixture(scope="session")
def server():
    """A process that has imported the library, to be forked: processes start in no time."""
    dask = pytest.importorskip("dask")
    utils = pytest.importorskip("distributed.utils")
    with (
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("OMP_NUM_THREADS", "1")
        utils.get_mp_context().set_forkserver_preload(["distributed", "alod.experiments.sweep"])
        forkserver.ensure_running()
        yield


@pytest.fixture
def forked(server):
    """Sweeps start their processes so."""
    set_start_method("forkserver", force=True)
    yield
    set_start_method(None, force=True)


@pytest.fixture(scope="session")
def cluster(server):
    """A Dask cluster of two processes, which are older than the test."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, processes=True, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        yield cluster


@contextmanager
def beside_the_experiments(name):
    """Import a module of ``book/experiments`` by its `name`, and leave nothing behind."""
    path = Path(__file__).parents[2] / "book/experiments" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[name]


@pytest.fixture(scope="module")
def rivals():
    with beside_the_experiments("rivals") as module:
        yield module


@pytest.fixture(scope="module")
def candidates():
    with beside_the_experiments("candidates") as module:
        yield module
