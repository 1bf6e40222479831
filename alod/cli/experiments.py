"""What the command line does with experiments: ``alod run``, ``sweep``, ``compare``, ``data``.

A command imports what it needs when it runs: the others' help need not wait for it.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from alod.cli.options import given, with_settings

Jobs = Annotated[int | None, typer.Option(help="Processes; one for each core if not given.")]
_DASK = "Address of a Dask scheduler, to compute on its workers."
Dask = Annotated[str | None, typer.Option(help=_DASK)]
COLUMNS = ("round", "labels", "classes", "accuracy", "fit s", "infer s", "query s")


@with_settings("alod.experiments.config:ExperimentConfig")
def run(out: Annotated[Path, typer.Option(help="The run's own folder.")], **settings: Any) -> None:
    """Run one experiment into its own folder; a run that was cut off goes on."""
    from alod.experiments.config import ExperimentConfig
    from alod.experiments.run import run_experiment

    config = ExperimentConfig(**given(ExperimentConfig, settings))
    print("".join(f"{name:>10}" for name in COLUMNS), flush=True)
    finished = run_experiment(config, out, on_round=_print_row)
    last = finished.history.iloc[-1]
    print(
        f"{out}: finished, {last.test_accuracy:.4f} test accuracy with {last.n_labeled:.0f} labels "
        f"in {finished.provenance['wall_seconds']:.0f} s"
    )


def _print_row(row: dict[str, float]) -> None:
    from alod.experiments.run import PARTS

    told = "".join(f"{row[name]:>10}" for name in ("round", "n_labeled", "n_classes_seen"))
    seconds = "".join(f"{row[f'{part}_seconds']:>10.2f}" for part in PARTS)
    print(f"{told}{row['test_accuracy']:>10.4f}{seconds}", flush=True)


def sweep(
    file: Annotated[Path, typer.Argument(help="An experiment file, YAML.")],
    out: Annotated[Path, typer.Option(help="Folder of all run folders.")],
    jobs: Jobs = None,
    dask: Dask = None,
) -> None:
    """Run many experiments side by side; what is finished is skipped, what was cut off goes on."""
    from alod.experiments.load import load_configs
    from alod.experiments.sweep import run_sweep

    report = run_sweep(load_configs(file), out, jobs=jobs, dask=dask)
    for folder, problem in report.failed.items():
        print(f"alod: {folder}: {problem}", file=sys.stderr)
    print(f"{out}: {len(report.finished)} runs finished, {len(report.failed)} failed")
    if report.failed:
        raise SystemExit(1)


def compare(
    folders: Annotated[list[Path], typer.Argument(help="Folders that hold runs.")],
    out: Annotated[Path, typer.Option(help="The CSV file to write; a .json comes beside it.")],
    add: Annotated[bool, typer.Option("--add", help="Keep the runs that the file holds.")] = False,
) -> None:
    """Gather all finished runs in or below some folders into one tidy table."""
    from alod.experiments.record import at_the_end, find_runs, record

    runs, unfinished = find_runs(folders)
    summary = at_the_end(record(runs, out, add))
    summary = summary.rename(columns={"accuracy_mean": "accuracy", "accuracy_std": "sd"})
    print(summary.to_string(index=False, float_format="{:.4f}".format, na_rep="-"))
    print(f"{out}: {len(runs)} finished runs; {len(unfinished)} unfinished")


def data(
    names: Annotated[
        list[str] | None, typer.Argument(help="Data sets to fetch; none lists what is there.")
    ] = None,
) -> None:
    """List the data sets and where they lie, or fetch and verify some."""
    from alod.data.known import inventory, load_dataset

    for name in names or []:
        loaded = load_dataset(name)
        print(f"{name}: {len(loaded.images)} images and {len(loaded.test_images)} test images")
    if not names:
        for row in inventory():
            size = f"{row['megabytes']:>6.1f} MB"
            print(f"{row['name']:<20}{row['state']:<10}{size}  {row['where']}  {row['note']}")
