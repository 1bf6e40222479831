"""Install ALOD where Colab's packages are, and see that it changes none of them and runs.

Makes a second environment in ``_build/colab`` with the versions in
``.github/colab-constraints.txt``, installs the checkout into it as a reader would, compares the
versions before and after, and runs the tests and two chapters there. Exit 1 with what is wrong.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / ".github" / "colab-constraints.txt"
PLACE = ROOT / "_build" / "colab"
# What only the checks need; installed last, and bound to the same versions.
TOOLS = ["pytest-xdist", "hypothesis", "papermill", "anywidget"]
# Tests that read the book or its recorded results, which an installed package does not have.
OF_THE_CHECKOUT = "examples_show or front_pages or recorded"
# Two chapters, made short; the second reads recorded results from the repository.
CHAPTERS = {
    "how_it_works": ["model=lenet5", "rounds=2"],
    "mnist": ["model=lenet5", "rounds=1", "steps=60"],
}


def pip(*arguments: str) -> str:
    """Run the second environment's pip and return what it prints."""
    command = [str(PLACE / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    done = subprocess.run([*command, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def versions() -> dict[str, str]:
    """Return what is installed in the second environment, by name."""
    return {each["name"]: each["version"] for each in json.loads(pip("list", "--format=json"))}


def timed(what: str, command: list[str], cwd: Path) -> None:
    """Run a command of the second environment; leave with its code if it fails."""
    start = time.perf_counter()
    done = subprocess.run([str(PLACE / "bin" / command[0]), *command[1:]], cwd=cwd, check=False)
    print(f"== {what}: {time.perf_counter() - start:.0f} s", flush=True)
    if done.returncode:
        sys.exit(f"error: {what} failed with Colab's packages")


def main() -> None:
    """Build the environment, install, compare, run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--any-torch", action="store_true", help="take the torch that pip finds, not Colab's"
    )
    arguments = parser.parse_args()
    pins = [line for line in PINS.read_text().splitlines() if line and not line.startswith("#")]
    if arguments.any_torch:
        pins = [pin.partition("==")[0] if pin.startswith("torch") else pin for pin in pins]
    shutil.rmtree(PLACE, ignore_errors=True)
    venv.create(PLACE, with_pip=True)
    start = time.perf_counter()
    pip("install", "--quiet", *pins)
    before = versions()
    print(f"== Colab's packages: {time.perf_counter() - start:.0f} s", flush=True)

    with tempfile.TemporaryDirectory(prefix="alod_source_") as source:
        # A copy, for pip leaves a folder build/ where it builds.
        ignore = shutil.ignore_patterns("_build", ".venv", ".git", "runs", "build")
        shutil.copytree(ROOT, Path(source, "alod"), ignore=ignore)
        # As the first cell of a chapter does.
        pip("install", "--quiet", f"{Path(source, 'alod')}[chapters]")
    after = versions()
    changed = {
        name: f"{version} became {after.get(name, 'nothing')}"
        for name, version in before.items()
        if after.get(name) != version
    }
    if changed:
        sys.exit(f"error: pip install changed {changed}")
    added = sorted(after.keys() - before.keys())
    print(f"pip install .[chapters] changed nothing and added {', '.join(added)}", flush=True)

    with tempfile.TemporaryDirectory(prefix="alod_colab_") as empty:
        bound = Path(empty, "bound.txt")
        bound.write_text("\n".join(f"{n}=={v}" for n, v in before.items() if n != "pip"))
        pip("install", "--quiet", "--constraint", str(bound), *TOOLS)
        # Not `python -m pytest`, which would import the checkout rather than what was installed.
        chosen = ["-k", f"not ({OF_THE_CHECKOUT})"]
        timed("tests", ["pytest", "-n", "2", "-p", "no:cacheprovider", *chosen], ROOT)
        # In the place of the repository, from which a reader's chapter downloads them.
        (site,) = PLACE.glob("lib/python*/site-packages")
        shutil.copytree(ROOT / "book" / "results", site / "book" / "results")
        for chapter, parameters in CHAPTERS.items():
            out = str(Path(empty, f"{chapter}.ipynb"))
            command = ["papermill", str(ROOT / "book" / f"{chapter}.ipynb"), out, "-k", "python3"]
            pairs = [part for pair in parameters for part in ["-p", *pair.split("=")]]
            timed(chapter, [*command, *pairs, "--no-progress-bar"], Path(empty))
    print("the tests and two chapters run with Colab's packages")


if __name__ == "__main__":
    main()
