"""Make the embedded mini sets of alod/_mini: ALOD_DATA=DIR python scripts/make_mini.py.

6,000 train and 1,000 test images of each full set, equally many of each class, drawn with a fixed
seed from train and test respectively. The same script gives the same arrays, and the same bytes
where Python's zlib is the same.
"""

import io
import zipfile
from pathlib import Path

import numpy as np

import alod
from alod.files import write_atomically

SEED = 0
PER_CLASS = {"train": 600, "test": 100}
MINI = Path(alod.__file__).parent / "_mini"


def draw(targets: np.ndarray, per_class: int, rng: np.random.Generator) -> np.ndarray:
    """Return the indices of `per_class` images of each class, mixed."""
    classes = np.unique(targets)
    members = [np.flatnonzero(targets == target) for target in classes]
    return rng.permutation(
        np.concatenate([rng.choice(indices, per_class, replace=False) for indices in members])
    )


def archive(arrays: dict[str, np.ndarray]) -> bytes:
    """Return an npz file, without the time of writing that would make each one different."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            file.writestr(entry, content.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)
    return buffer.getvalue()


def main() -> None:
    """Write both mini sets."""
    for name in ("mnist", "fashion_mnist"):
        data = alod.load_dataset(name)
        rng = np.random.default_rng(SEED)
        train = draw(data.targets.numpy(), PER_CLASS["train"], rng)
        test = draw(data.test_targets.numpy(), PER_CLASS["test"], rng)
        content = archive(
            {
                "images": data.images.numpy()[train, 0],
                "targets": data.targets.numpy()[train].astype(np.uint8),
                "test_images": data.test_images.numpy()[test, 0],
                "test_targets": data.test_targets.numpy()[test].astype(np.uint8),
            }
        )
        path = MINI / f"{name}_mini.npz"
        write_atomically(path, content)
        print(f"{path}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
