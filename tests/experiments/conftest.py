import json
from dataclasses import asdict, replace

import pytest

import alod


@pytest.fixture
def runs(tmp_path, mini):
    """Two strategies × two seeds, one of them with parameters; and a run that is not finished."""
    folder = tmp_path / "runs"
    tiny = alod.ExperimentConfig(model="lenet5", n_initial=20, n_query=10, rounds=2, steps=2)
    for strategy, params in {"random": {}, "outlier": {"detector": "lof"}}.items():
        for seed in (0, 1):
            config = replace(tiny, strategy=strategy, strategy_params=params, seed=seed, rounds=1)
            alod.run_experiment(config, folder / f"{strategy}{seed}", data=mini)
    (folder / "cut_off").mkdir()
    (folder / "cut_off" / "config.json").write_text(json.dumps(asdict(tiny)))
    return folder
