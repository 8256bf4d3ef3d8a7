"""The cubic of Keys (1981, a = -1/2) as MATLAB's ``imresize`` places it: taps and weights.

An output sample at position ``u`` weighs input samples by

    k(t) = 1.5|t|^3 - 2.5|t|^2 + 1         |t| <= 1
           -0.5|t|^3 + 2.5|t|^2 - 4|t| + 2   1 < |t| <= 2

stretched by 1/scale when shrinking (antialiasing), normalised to sum 1.
"""

from __future__ import annotations

import functools
import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Border = Literal["symmetric", "replicate", "wrap"]
Whole = NDArray[np.int64]
Doubles = NDArray[np.float64]


def _cubic(t: Doubles) -> Doubles:
    t = np.abs(t)
    near = (1.5 * t - 2.5) * t * t + 1.0
    far = ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
    value: Doubles = np.where(t <= 1, near, np.where(t <= 2, far, 0.0))
    return value


@functools.lru_cache(maxsize=64)
def taps(size_in: int, size_out: int, antialias: bool = True) -> tuple[Whole, Doubles]:
    """First input position (size_out,), before the border, and weights (size_out, taps)."""
    scale = size_out / size_in
    stretch = min(scale, 1.0) if antialias else 1.0
    width = 4.0 / stretch
    position = (np.arange(size_out, dtype=np.float64) + 0.5) / scale - 0.5
    first = np.floor(position - width / 2).astype(np.int64) + 1
    index = first[:, None] + np.arange(math.ceil(width) + 1)
    weight = _cubic((position[:, None] - index) * stretch)
    return first, weight / weight.sum(1, keepdims=True)


def beyond(index: Whole, size: int, border: Border) -> Whole:
    """Where positions outside [0, size) find their sample."""
    if border == "replicate":
        return index.clip(0, size - 1)
    if border == "wrap":
        return index % size
    index = index % (2 * size)
    inside: Whole = np.where(index < size, index, 2 * size - 1 - index)
    return inside


def band(
    size_in: int, size_out: int, start: int, stop: int, border: Border = "symmetric"
) -> tuple[Whole, Doubles]:
    """What outputs start … stop - 1 are made of: input places (n,), weights (stop - start, n)."""
    first, weight = taps(size_in, size_out)
    first, weight = first[start:stop], weight[start:stop]
    low, high = int(first[0]), int(first[-1]) + weight.shape[1]
    matrix = np.zeros((len(first), high - low))
    columns = (first - low)[:, None] + np.arange(weight.shape[1])
    np.put_along_axis(matrix, columns, weight, 1)
    return beyond(np.arange(low, high), size_in, border), matrix
