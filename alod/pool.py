"""The images of a pool as arrays: checked at the door, brought to 8 bits, told apart."""

import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from alod.errors import AlodError

Span = tuple[float, float]
"""The levels that become 0 and 255."""

# Spans that need no telling: floating point, and 16 bits that are used.
_AS_THEY_ARE = ((0.0, 1.0), (0.0, 65535.0))


def common_span(spans: Iterable[Span]) -> Span | None:
    """Return the span of a pool by its images' :func:`levels_of`; None if all have 8 bits.

    All of 16 bits, or of 0 to 1, where half of that is in use; else what is in use, since ten or
    twelve bits are often kept in sixteen.
    """
    found = list(spans)
    if not found:
        return None
    low, high = min(low for low, _ in found), max(high for _, high in found)
    full = 1.0 if high <= 1 else 65535.0
    if low >= 0 and high <= full and (low == high or high - low >= full / 2):
        return 0.0, full
    return low, high


def levels_of(image: npt.NDArray[np.generic]) -> Span:
    """Return the lowest and highest level of an `image`, whatever its shape, but for outliers.

    A thousandth of the pixels at either end, at least one, count for none: a single hot pixel would
    make all others black.
    """
    some = image.ravel()[:: max(1, image.size // 1_000_000)]
    beyond = min(max(1, some.size // 1000), (some.size - 1) // 2)
    ordered = np.partition(some, (beyond, some.size - 1 - beyond))
    return float(ordered[beyond]), float(ordered[-1 - beyond])


def to_bytes(levels: npt.NDArray[np.generic], span: Span) -> npt.NDArray[np.uint8]:
    """Return levels as uint8 of the same shape, `span` becoming 0 to 255; what lies beyond, too."""
    low, high = span
    scaled = (levels.astype(np.float64).clip(low, high) - low) * 255 / ((high - low) or 1)
    return (np.rint(scaled) if levels.dtype.kind == "f" else scaled).astype(np.uint8)


def darkness(images: npt.NDArray[np.uint8], span: Span | None) -> str:
    """Tell in one line what happened to levels that are not 0 to 255; empty if nothing did.

    `images` (N, C, H, W) are read up to the first that is not nearly black.
    """
    if span is not None and span not in _AS_THEY_ARE:
        told = f"levels run from {span[0]:.9g} to {span[1]:.9g}, but for a thousandth of each image"
        return f"{told}: scaled to 0 to 255 for all images"
    highest = 0
    for start in range(0, len(images), 64):
        highest = max(highest, int(images[start : start + 64].max()))
        if highest >= 16:
            return ""
    if not highest:
        return ""
    return (
        f"no level is above {highest} of 255, almost black for classifier and person alike; "
        f"multiply the images by {255 // highest} if that is not meant"
    )


def span_of(images: npt.ArrayLike | torch.Tensor) -> Span | None:
    """Return the :func:`common_span` of a pool `images` (N, ...) of 16 bits, None for others."""
    levels = as_numpy("images", images)
    if levels.dtype.kind not in "iu" or levels.dtype.itemsize != 2 or levels.ndim < 3:
        return None
    return common_span(map(levels_of, levels)) if levels.size else None


def as_numpy(name: str, values: npt.ArrayLike | torch.Tensor) -> npt.NDArray[np.generic]:
    """Return `values` as an array, or refuse them by their `name`."""
    if np.ma.is_masked(values):
        raise AlodError(f"{name} hold masked values: expected an array without, as filled() gives")
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        # numpy has no bfloat16
        return (values.float() if values.is_floating_point() else values).numpy()
    try:
        return np.asarray(values)
    except ValueError as error:
        raise AlodError(f"{name} are no array ({error}): expected equal shapes") from error


def refuse_others(name: str, values: Any) -> None:
    """Refuse by their `name` what holds images but is no array of them; tell the right call."""
    many = isinstance(values, list | tuple) or getattr(values, "ndim", 0) == 1
    first: Any = next(iter(values), None) if many else values
    told, pixels = "", "numpy.asarray(image.convert('RGB').resize((64, 64)))"
    use = f"numpy.stack([{pixels} for image in {{}}]).transpose(0, 3, 1, 2)"
    if isinstance(first, str | Path) or (hasattr(first, "iloc") and first.to_numpy().dtype == "O"):
        told, use = "paths", "alod.from_folder(folder) or alod.open_run(run, folder, classes)"
    elif type(first).__module__.startswith("PIL."):
        taken = many and {(i.size, i.mode) for i in values} == {(first.size, "L")}
        told, use = "PIL images" * (not taken), use.format(name)
    elif hasattr(first, "column_names") and hasattr(first, "features"):
        columns = [c for c, kind in first.features.items() if type(kind).__name__ == "Image"]
        told, use = "a datasets.Dataset", use.format(f"{name}[{[*columns, 'image'][0]!r}]")
    elif isinstance(first, Dataset):
        told, use = "a torch Dataset", f"torch.stack([image for image, _ in {name}])"
        use = f"{name}.data" if hasattr(first, "data") else use
        root = str(getattr(first, "root", ""))
        use = f"alod.from_folder({root!r})" if hasattr(first, "samples") else use
    if told:
        raise AlodError(f"{name} are {told}: expected an array (N, C, H, W); use {use}")


def as_images(
    name: str, values: npt.ArrayLike | torch.Tensor, span: Span | None = None
) -> npt.NDArray[np.uint8]:
    """Return images as contiguous, writable uint8 (N, C, H, W), or refuse them by their `name`.

    `values` (N, ...) are as in :func:`alod.data.arrays.from_arrays`, but there may be none, and are
    not copied where they need not be. Without a `span` of their pool, by :func:`span_of`, 16 bits
    are refused.
    """
    refuse_others(name, values)
    images = as_numpy(name, values)
    shape = images.shape
    if images.ndim == 3:
        images = images[:, np.newaxis]
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise AlodError(f"{name} have shape {shape}: expected (N, H, W) or (N, C, H, W)")
    if images.shape[3] <= 4 < images.shape[1]:
        raise AlodError(
            f"{name} have shape {shape}, channels last: expected (N, C, H, W), "
            f"so give {name}.transpose(0, 3, 1, 2)"
        )
    if images.dtype == np.uint8:
        # torch cannot hold read-only memory safely, hence the copy there.
        return np.require(images, np.uint8, ("C_CONTIGUOUS", "WRITEABLE"))
    if span is not None and images.dtype.kind in "iu" and images.dtype.itemsize == 2:
        scaled = np.empty(images.shape, np.uint8)
        for row, image in zip(scaled, images, strict=True):
            row[:] = to_bytes(image, span)
        return scaled
    if not np.issubdtype(images.dtype, np.floating):
        raise AlodError(
            f"{name} are {images.dtype}: expected uint8 (0 to 255), floating point (0 to 1), or 16 "
            "bits (int16, uint16) if the pool has them"
        )
    if images.size:
        lowest, highest = float(images.min()), float(images.max())
        if not np.isfinite([lowest, highest]).all():
            raise AlodError(f"{name} hold NaN or infinite values: expected 0 to 1, all finite")
        if lowest < 0 or highest > 1:
            raise AlodError(
                f"{name} run from {lowest} to {highest}: floating point is expected from 0 to "
                "1 (divide by 255, or undo the normalization)"
            )
    return np.rint(images.astype(np.float32) * 255).astype(np.uint8)


def in_memory(images: npt.ArrayLike | torch.Tensor, name: str) -> tuple[torch.Tensor, Span | None]:
    """Return `images` as uint8 (N, C, H, W), N at least 1, with their span, or refuse them.

    What was done to levels that are not 0 to 255 is told as a warning about `name`.
    """
    refuse_others("images", images)
    span = span_of(images)
    pixels = as_images("images", images, span)
    if len(pixels) == 0:
        raise AlodError("images hold no image: expected at least one")
    if told := darkness(pixels, span):
        warnings.warn(f"{name}: {told}", stacklevel=3)
    return torch.from_numpy(pixels), span


def as_pool(images: npt.ArrayLike | torch.Tensor) -> tuple[torch.Tensor | np.memmap, Span | None]:
    """Return `images` (N, C, H, W) as :func:`in_memory` does; memory-mapped, they stay on disk.

    Those that would be misread there are refused. Features (N, D) are returned as float32.
    """
    refuse_others("images", images)
    if np.ndim(images) == 2:
        return as_features("features", images), None
    if not isinstance(images, np.memmap):
        return in_memory(images, "arrays")
    shape = images.shape
    if images.ndim != 4 or images.dtype != np.uint8 or shape[3] <= 4 < shape[1]:
        raise AlodError(
            f"images: memory-mapped {images.dtype}{shape}: expected uint8 (N, C, H, W); write them "
            "so, or load them whole with numpy.load(path)"
        )
    return images, None


def as_features(name: str, values: npt.ArrayLike | torch.Tensor) -> torch.Tensor | np.memmap:
    """Return features `values` (N, D) as float32, or refuse them by their `name`.

    A memory-mapped array of floating point stays on disk.
    """
    features = as_numpy(name, values)
    if features.ndim != 2 or 0 in features.shape or features.dtype.kind not in "fiu":
        raise AlodError(
            f"{name} are {features.dtype}{features.shape}: expected floating point (N, D), a row "
            "for each image"
        )
    for start in range(0, len(features), 65_536):
        if not np.isfinite(features[start : start + 65_536]).all():
            row = start + int(np.flatnonzero(~np.isfinite(features[start:]).all(axis=1))[0])
            raise AlodError(f"{name} hold NaN or infinite values, the first in row {row}")
    if isinstance(values, np.memmap) and values.dtype.kind == "f":
        return values
    return torch.from_numpy(np.require(features, np.float32, ("C_CONTIGUOUS", "WRITEABLE")))


def alike(
    images: npt.ArrayLike | torch.Tensor, pool: torch.Tensor | np.memmap, span: Span | None
) -> torch.Tensor | np.memmap:
    """Return `images` of the pool's kind, (N, C, H, W), of its bit depth's `span`, or refuse them.

    The `pool` is (M, C, H, W); a memory-mapped array stays on disk.
    """
    if pool.ndim == 2:
        images = as_features("features", images)
    elif not isinstance(images, np.memmap):
        images = torch.from_numpy(as_images("images", images, span))
    if pool.ndim == 2 and images.shape[1] != pool.shape[1]:
        raise AlodError(
            f"features of width {images.shape[1]}: expected {pool.shape[1]}, as in the pool"
        )
    if images.shape[1:] != pool.shape[1:]:
        raise AlodError(
            f"images of shape {tuple(images.shape[1:])} (channels, height, width): expected "
            f"{tuple(pool.shape[1:])}, as in the pool"
        )
    return images


def fingerprint(images: torch.Tensor | npt.NDArray[np.generic]) -> str:
    """Describe a pool `images` (N, C, H, W) by shape and a checksum of about 64, all it reads."""
    few = np.ascontiguousarray(images[:: max(1, len(images) // 64)])
    return f"{tuple(images.shape)} {zlib.crc32(few.tobytes()):08x}"
