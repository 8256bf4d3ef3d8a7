"""The eight EXIF orientations as operations on arrays."""

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
