import io
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import typer
from PIL import Image

import alod
from alod import cli
from alod.experiments.config import ExperimentConfig
from alod.experiments.run import load_run
from alod.labeling.settings import Settings


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


@pytest.mark.parametrize(
    ("command", "own", "recipe"),
    [
        ("run", {"out"}, ExperimentConfig),
        (
            "query",
            {"run", "k", "out", "images", "files", "target", "skip_duplicates", "prefix"},
            Settings,
        ),
    ],
)
def test_every_setting_is_an_option(command, own, recipe):
    made = typer.main.get_command(cli.command_line([command])).commands[command]
    assert {option.name for option in made.params} == own | set(recipe.__dataclass_fields__)


@pytest.mark.parametrize("typed", [["--help"], ["teach", "--help"], ["data"], ["teach"]])
def test_what_needs_no_arrays_waits_for_no_import(typed):
    code = f"""
import sys
import alod.cli
try:
    alod.cli.main({typed})
except SystemExit:
    pass
assert not {{"torch", "pandas", "scipy", "sklearn"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("module", ["labeling.opening", "experiments.run", "experiments.sweep"])
def test_a_run_is_opened_without_what_only_some_queries_need(module):
    unwanted = "{'scipy.stats', 'sklearn'} & set(sys.modules)"
    code = f"import sys, alod.{module}; assert not {unwanted}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_query_takes_every_setting_that_a_learner_takes(tmp_path, mini, capsys):
    (tmp_path / "photos").mkdir()
    for i, image in enumerate(mini.images[:40, 0].numpy()):
        Image.fromarray(image).save(tmp_path / "photos" / f"{i}.png")
    out = str(tmp_path / "run")
    options = "--model lenet5 --steps 5 --inlier-passes 2 --min-epochs 1 --views 2 --augment digits"
    first = f"query --run {out} --images {tmp_path / 'photos'} --classes even,odd -k 10"
    more = ["--features", "random_conv", "--strategy-params", '{"focus": 3}', "--device", "cpu"]
    cli.main([*first.split(), *options.split(), *more])
    batch = tmp_path / "run" / "batch.csv"
    rows = [row.split(",")[0] for row in batch.read_text().splitlines()[1:]]
    labels = [("even", "odd")[int(mini.targets[int(row.split(".")[0])]) % 2] for row in rows]
    batch.write_text("\n".join(["file,label", *map(",".join, zip(rows, labels, strict=True))]))
    cli.main(["teach", "--run", out, str(batch), "--device", "cpu"])
    cli.main(["query", "--run", out, "-k", "2", "--inlier-passes", "2", "--device", "cpu"])
    settings = alod.open_run(out, device="cpu").settings
    assert (settings.inlier_passes, settings.min_epochs, settings.views) == (2, 1, 2)
    assert (settings.features, settings.strategy_params) == ("random_conv", {"focus": 3})
    for wrong, told in (
        (["--inlier-passes", "1"], "was made with inlier_passes=2, not 1"),
        (["--strategy-params", "3"], "--strategy-params '3': expected a JSON object"),
    ):
        with pytest.raises(SystemExit) as stop:
            cli.main(["query", "--run", out, *wrong])
        assert stop.value.code == 2
        assert told in capsys.readouterr().err


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


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_names_that_the_console_cannot_print_stop_nothing(encoding, tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    for i in range(8):
        Image.new("L", (24, 24), 30 * i).save(tmp_path / "photos" / f"写真{i}.png")
    console = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(console, encoding, write_through=True))
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(console, encoding, write_through=True))
    run, images = str(tmp_path / "run"), str(tmp_path / "photos")
    new = ["--images", images, "--classes", "猫,犬", "--model", "lenet5", "--device", "cpu"]
    cli.main(["query", "--run", run, "-k", "4", *new])
    with pytest.raises(SystemExit) as stop:
        cli.main(["query", "--run", run, "--classes", "猫,鳥"])
    assert stop.value.code == 2
    assert console.getvalue().count(b"\\u732b") == 3
    assert "写真" in (tmp_path / "run" / "batch.csv").read_text(encoding="utf-8")


def test_the_printed_command_can_be_pasted(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my photos").mkdir()
    for i in range(8):
        Image.new("L", (24, 24), 30 * i).save(f"my photos/{i}.png")
    arguments = ["--model", "lenet5", "--steps", "1", "--device", "cpu", "-k", "4"]
    new = ["--images", "my photos", "--classes", "cat,dog"]
    cli.main(["query", "--run", "Ann's run", *new, *arguments])
    printed = capsys.readouterr().out.partition("then: ")[2]
    batch = Path("Ann's run", "batch.csv")
    batch.write_text(batch.read_text().replace(",,", ",cat,"))
    with pytest.raises(SystemExit):
        cli.main(["query", "--run", "Ann's run", *arguments[-2:]])
    refused = capsys.readouterr().err
    assert shlex.join(shlex.split(printed)) in refused
    assert shlex.split(printed)[0] == "alod"
    cli.main(shlex.split(printed)[1:])
    assert "4 new" in capsys.readouterr().out
