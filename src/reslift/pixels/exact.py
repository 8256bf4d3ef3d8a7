"""Resizing to an exact size, block by block, without PyTorch: input and result may be files.

The antialiased cubic of `kernel`, with the centres of the outer pixels where MATLAB has them, so
that nothing is shifted. Blocks depend on the sizes only, and so do the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from reslift.pixels import kernel, planes
from reslift.pixels.kernel import Border
from reslift.pixels.planes import Floats, Pixels

BLOCK = 256
MOST_INPUT = 2048
LEAST_ALPHA = 1 / 1024


def resize_into(
    pixels: Pixels,
    out: Pixels,
    *,
    alpha: bool = False,
    border: Border = "symmetric",
    progress: Callable[[int], None] = lambda pixels: None,
    share: float = 1.0,
) -> None:
    """Fill out (H', W', C) from pixels (H, W, C); each uint8, uint16 or float32 in [0, 1].

    Only slices and index lists of `pixels` are read and only slices of `out` are set.

    Args:
        alpha: the last plane is straight alpha; colours weigh as much as they are opaque.
        border: what stands beyond the edge.
        progress: called with the output pixels just finished.
        share: how much of the result it is; the rest is what `out` holds.
    """
    height, width = out.shape[:2]
    for top, bottom in _blocks(pixels.shape[0], height):
        rows, down = kernel.band(pixels.shape[0], height, top, bottom, border)
        for left, right in _blocks(pixels.shape[1], width):
            columns, across = kernel.band(pixels.shape[1], width, left, right, border)
            lr = planes.to_float(pixels[_index(rows, columns)])[0]
            sr = resized(lr, down, across, alpha=alpha)
            if share < 1:
                sr = share * sr + (1 - share) * planes.to_float(out[top:bottom, left:right])[0]
            out[top:bottom, left:right] = planes.from_float(sr[None], np.dtype(out.dtype))
            progress((bottom - top) * (right - left))


def resized(
    lr: Floats, down: kernel.Doubles, across: kernel.Doubles, *, alpha: bool = False
) -> Floats:
    """(C, h, w) → (C, h', w') by weights (h', h) and (w', w); not clipped."""
    return _weighted(lr, down, across) if alpha else _resized(lr, down, across)


def _blocks(size_in: int, size_out: int) -> Iterator[tuple[int, int]]:
    """Pieces of the output that need about `MOST_INPUT` input samples at most."""
    step = max(1, min(BLOCK, MOST_INPUT * size_out // size_in))
    for start in range(0, size_out, step):
        yield start, min(size_out, start + step)


def _index(rows: kernel.Whole, columns: kernel.Whole) -> Any:
    """Slices where places follow each other, which is all but the border."""
    slices = [
        slice(int(p[0]), int(p[-1]) + 1) if p[-1] - p[0] + 1 == len(p) and (np.diff(p) == 1).all()
        else None
        for p in (rows, columns)
    ]  # fmt: skip
    return tuple(slices) if None not in slices else np.ix_(rows, columns)


def _resized(lr: Floats, down: kernel.Doubles, across: kernel.Doubles) -> Floats:
    """(C, h, w) → (C, h', w'), vertical first; not clipped."""
    sr: Floats = down.astype(np.float32) @ lr @ across.T.astype(np.float32)
    return sr


def _weighted(lr: Floats, down: kernel.Doubles, across: kernel.Doubles) -> Floats:
    """As `_resized`; hidden colours do not reach what is visible."""
    colours, opacity = lr[:-1], lr[-1:]
    shrunk = _resized(opacity, down, across)
    seen = shrunk > LEAST_ALPHA
    product = _resized(colours * opacity, down, across)
    plain = _resized(colours, down, across)
    mixed = np.where(seen, product / np.where(seen, shrunk, 1), plain)
    return np.concatenate((mixed, shrunk), 0).astype(np.float32)
