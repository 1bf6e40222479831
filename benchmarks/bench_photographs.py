"""Seconds to read large photographs as small squares: as alod reads them, and decoded whole.

``python benchmarks/bench_photographs.py`` makes JPEGs of 12 megapixels out of a photograph that
comes with scikit-learn, with the grain of a sensor, and reads each in both ways in turn; times are
of the processor, medians of seven, so that other processes decide less.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_image

from alod.data.files import read_square

SIZE, SIDES, REPEATS = (4000, 3000), (32, 64, 224), 7
# Grain's spread in levels, quality, and what else the file is told; phones write 2 to 4 MB.
FILES: dict[str, tuple[float, dict[str, object]]] = {
    "no grain, quality 75": (0, {"quality": 75}),
    "some grain, quality 85": (2, {"quality": 85}),
    "some grain, quality 92": (2, {"quality": 92}),
    "much grain, quality 92": (4, {"quality": 92}),
    "some grain, quality 85, progressive": (2, {"quality": 85, "progressive": True}),
}


def main() -> None:
    """Run the benchmark and print its table."""
    print("| JPEG of 12 megapixels | MB | side | whole, ms | alod, ms | ratio | levels apart |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "photo.jpg")
        for name, (grain, options) in FILES.items():
            photograph(grain).save(path, **options)
            size = path.stat().st_size / 1e6
            for side in SIDES:
                whole, expected = timed(lambda side=side: read_whole(path, side))
                ours, found = timed(lambda side=side: read_square(path, side)[0])
                apart = np.abs(found.astype(int) - expected).mean()
                print(
                    f"| {name} | {size:.1f} | {side} | {1000 * whole:.0f} | {1000 * ours:.0f} | "
                    f"{whole / ours:.1f} | {apart:.1f} |",
                    flush=True,
                )


def photograph(grain: float) -> Image.Image:
    """Return a photograph, enlarged, with `grain` of so many levels."""
    image = Image.fromarray(load_sample_image("china.jpg")).resize(SIZE, Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).normal(0, grain, (SIZE[1], SIZE[0], 1))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def read_whole(path: Path, side: int) -> npt.NDArray[np.uint8]:
    """Read the central square after all pixels were decoded."""
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened)
    return np.asarray(ImageOps.fit(image.convert("RGB"), (side, side)))


def timed(
    read: Callable[[], npt.NDArray[np.uint8]],
) -> tuple[float, npt.NDArray[np.uint8]]:
    """Return the processor's seconds, a median, and what was read."""
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        square = read()
        seconds.append(time.process_time() - started)
    return statistics.median(seconds), square


if __name__ == "__main__":
    main()
