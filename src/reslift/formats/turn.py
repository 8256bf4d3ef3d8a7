"""The eight EXIF orientations as operations on arrays, and their marks in the metadata."""

from __future__ import annotations

import re

import numpy as np

SWAPS_SIDES = 5
XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|>)\s*)[2-8]")


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """(H, W, C) as stored → as it is to be seen; C-contiguous; 5 to 8 exchange H and W."""
    if orientation >= SWAPS_SIDES:
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def upright_xmp(xmp: bytes) -> bytes:
    """The packet with its copy of the orientation tag set to 1; the length stays."""
    return XMP_ORIENTATION.sub(rb"\g<1>1", xmp)
