import pandas as pd

from alod import cli
from alod.experiment import ExperimentConfig, load_run


def test_run_writes_the_folder_and_prints_a_row_a_round(tmp_path, capsys):
    out = tmp_path / "run"
    options = "--model lenet5 --n-initial 30 --n-query 10 --rounds 1 --steps 3 --seed 2"
    cli.main(["run", *options.split(), "--device", "cpu", "--out", str(out)])
    run = load_run(out)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split()[:4] == ["round", "labels", "classes", "accuracy"]
    assert printed[2].split()[:2] == ["1", "40"]
    assert float(printed[2].split()[3]) == round(run.history["test_accuracy"].iloc[1], 4)
    assert run.config == ExperimentConfig(
        model="lenet5", n_initial=30, n_query=10, rounds=1, steps=3, seed=2, device="cpu"
    )


def test_strategy_parameters_come_as_json(tmp_path):
    out = str(tmp_path / "run")
    options = ["--model", "lenet5", "--n-initial", "10", "--rounds", "0", "--steps", "1"]
    cli.main(["run", *options, "--strategy-params", '{"focus": 3}', "--out", out])
    assert load_run(out).config.strategy_params == {"focus": 3}


def test_every_field_of_the_config_is_an_option():
    options = {p.name for p in cli.run.__signature__.parameters.values()}
    assert options == {"out", *ExperimentConfig.__dataclass_fields__}


def test_data_lists_what_is_there(capsys):
    cli.main(["data"])
    listed = capsys.readouterr().out
    for name in ("mnist", "fashion_mnist", "mnist_mini", "fashion_mnist_mini"):
        assert name in listed


def test_data_fetches_by_name(capsys):
    cli.main(["data", "mnist_mini"])
    assert "6000 images and 1000 test images" in capsys.readouterr().out


def test_history_is_plain_csv(tmp_path):
    out = tmp_path / "run"
    cli.main(f"run --model lenet5 --n-initial 10 --rounds 0 --steps 1 --out {out}".split())
    assert pd.read_csv(out / "history.csv")["n_labeled"].tolist() == [10]
