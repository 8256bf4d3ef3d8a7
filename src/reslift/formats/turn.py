"""The eight EXIF orientations as operations on arrays and on places in them."""

from __future__ import annotations

import numpy as np

SWAPS_SIDES = 5


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """(H, W, C) as stored → as it is to be seen; C-contiguous; 5 to 8 exchange H and W."""
    if orientation >= SWAPS_SIDES:
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def placed(x: float, y: float, orientation: int) -> tuple[float, float]:
    """Where a point of a stored picture lies in the upright one, both in shares of the sides."""
    if orientation >= SWAPS_SIDES:
        x, y = y, x
    if orientation in (2, 3, 6, 7):
        x = 1 - x
    if orientation in (3, 4, 7, 8):
        y = 1 - y
    return x, y
