"""Many small pictures in few files: sprite sheets as data URIs, decoded only when looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reslift.report.pictures import Bytes, encode

SHEET_PIXELS = 1 << 20
LOSSLESS_PIXELS = 3e6
QUALITIES = ((30e6, 90), (60e6, 84), (float("inf"), 76))


def storage(pixels: float) -> int | None:
    """Quality of lossy WebP for this many pixels in one page; None stores them without loss."""
    if pixels <= LOSSLESS_PIXELS:
        return None
    return next(quality for most, quality in QUALITIES if pixels <= most)


def sprite_sheets(pictures: Sequence[Bytes], quality: int | None = None) -> dict[str, Any]:
    """Pictures (H, W, 3) uint8 as sheets of about a megapixel, for ``explorer.js``.

    Returns:
        ``cell`` [width, height]; ``columns`` and ``count`` of cells a sheet; ``sizes``, a flat list
        of widths and heights, or the one pair that all pictures share; ``sources``, data URIs.
    """
    height, width = (max(picture.shape[axis] for picture in pictures) for axis in (0, 1))
    columns = max(1, int(SHEET_PIXELS**0.5) // width)
    count = columns * max(1, int(SHEET_PIXELS**0.5) // height)
    sources = []
    for start in range(0, len(pictures), count):
        part = pictures[start : start + count]
        lines = -(-len(part) // columns)
        sheet = np.zeros((lines * height, min(columns, len(part)) * width, 3), np.uint8)
        for number, picture in enumerate(part):
            top, left = number // columns * height, number % columns * width
            sheet[top : top + height, left : left + width] = _filled(picture, height, width)
        sources.append(encode(sheet, quality))
    pairs = [(picture.shape[1], picture.shape[0]) for picture in pictures]
    sizes = list(pairs[0]) if len(set(pairs)) == 1 else [side for pair in pairs for side in pair]
    return {
        "cell": [width, height],
        "columns": columns,
        "count": count,
        "sizes": sizes,
        "sources": sources,
    }


def _filled(picture: Bytes, height: int, width: int) -> Bytes:
    """The picture with its last line and column repeated: lossy codes blur what lies beside."""
    below, beside = height - picture.shape[0], width - picture.shape[1]
    return np.pad(picture, ((0, below), (0, beside), (0, 0)), mode="edge")
