"""Images of more than 8 bits: which of their levels become 0 and 255."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Span = tuple[float, float]
"""The levels that become 0 and 255."""

# Spans that need no telling: floating point, and 16 bits that are used.
_AS_THEY_ARE = ((0.0, 1.0), (0.0, 65535.0))


def common_span(spans: Iterable[Span]) -> Span | None:
    """Return which levels become 0 and 255 in a pool, from the lowest and highest of each image.

    All of 16 bits, or of 0 to 1, where half of that is in use; else what is in use, since ten or
    twelve bits are often kept in sixteen. None without images of more than 8 bits.
    """
    found = list(spans)
    if not found:
        return None
    low, high = min(low for low, _ in found), max(high for _, high in found)
    full = 1.0 if high <= 1 else 65535.0
    if low >= 0 and high <= full and (low == high or high - low >= full / 2):
        return 0.0, full
    return low, high


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
        return f"levels run from {span[0]:.9g} to {span[1]:.9g}: scaled to 0 to 255 for all images"
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
