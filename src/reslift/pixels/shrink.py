"""Shrinking whole-number images by a stated kernel, without PyTorch: what consistency is told by.

- ``bicubic``: MATLAB's ``imresize``, antialiased. Vertical first, rounded and clipped after each
  axis as MATLAB does with whole numbers; equals :func:`pixels.resize.downscale8` on 8 bits.
- ``box``: the mean over the area that a pixel covers, parts of pixels weighed by their share.
"""

from __future__ import annotations

import functools
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from reslift.errors import look_up
from reslift.pixels import kernel as cubic
from reslift.pixels.kernel import Doubles, Whole
from reslift.pixels.planes import Pixels

Kernel = Literal["bicubic", "box"]
KERNELS: tuple[str, ...] = get_args(Kernel)
BLOCK = 64


def check_kernel(name: str) -> Kernel:
    """The name itself; UnknownName where it is none of ``KERNELS``."""
    known: dict[str, Kernel] = {"bicubic": "bicubic", "box": "box"}
    return look_up(name, known, "kernel")


def shrink(
    pixels: Pixels, height: int, width: int, kernel: Kernel, top: float, *, rounded: bool = True
) -> Doubles:
    """Shrink (H, W, C) to (height, width, C), float64 in the units of `pixels`.

    Args:
        pixels: any numbers in [0, top]; may be a window on a file, only rows of it are read.
        height, width: at least 1 and at most H and W.
        top: the largest value; results are clipped to [0, top].
        rounded: to whole numbers, halves up: once for ``box``, after each axis for ``bicubic``.
    """
    out = np.empty((height, width, pixels.shape[2]))
    for start in range(0, height, BLOCK):
        stop = min(height, start + BLOCK)
        rows, down = band(pixels.shape[0], height, start, stop, kernel)
        low, high = int(rows.min()), int(rows.max()) + 1
        source = np.asarray(pixels[low:high], np.float64)[rows - low]
        half = np.tensordot(down, source, (1, 0))
        if kernel == "bicubic":
            half = _fitted(half, top, rounded)
        out[start:stop] = _across(half, width, kernel)
    fitted: Doubles = _fitted(out, top, rounded)
    return fitted


def band(size_in: int, size_out: int, start: int, stop: int, kernel: Kernel) -> tuple[Whole, Any]:
    """What outputs start … stop - 1 are made of: input places (n,), weights (stop - start, n)."""
    if kernel == "bicubic":
        return cubic.band(size_in, size_out, start, stop)
    edges = np.arange(start, stop + 1) * size_in
    low, high = int(edges[0] // size_out), int(-(-edges[-1] // size_out))
    places = np.arange(low, high)
    upper = np.minimum(edges[1:, None], (places + 1) * size_out)
    lower = np.maximum(edges[:-1, None], places * size_out)
    return places, np.maximum(upper - lower, 0) / size_in


@functools.lru_cache(maxsize=16)
def _columns(
    size_in: int, size_out: int, kernel: Kernel
) -> tuple[tuple[int, int, Whole, Any], ...]:
    pieces = [(start, min(size_out, start + BLOCK)) for start in range(0, size_out, BLOCK)]
    return tuple((a, b, *band(size_in, size_out, a, b, kernel)) for a, b in pieces)


def _across(half: Doubles, width: int, kernel: Kernel) -> Doubles:
    out = np.empty((half.shape[0], width, half.shape[2]))
    for start, stop, places, weights in _columns(half.shape[1], width, kernel):
        out[:, start:stop] = np.einsum("xk,ykc->yxc", weights, half[:, places], optimize=True)
    return out


def _fitted(values: NDArray[Any], top: float, rounded: bool) -> NDArray[Any]:
    if rounded:
        values = np.floor(values + 0.5)
    clipped: Doubles = np.clip(values, 0, top)
    return clipped
