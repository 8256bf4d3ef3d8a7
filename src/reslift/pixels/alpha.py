"""Transparency without fringes.

Colours under alpha 0 are arbitrary (often black or white) and a convolution would smear them into
the visible edge. So visible colours first bleed outwards, and the enlarged alpha never leaves the
range of its neighbours: what is opaque all around stays exactly opaque.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from reslift.pixels.planes import Floats

REACH = 2


def bleed(color: Floats, alpha: Floats, rings: int) -> Floats:
    """Replace hidden colours by the visible ones nearby, ring after ring outwards.

    A hidden pixel takes the mean of the known pixels among its eight neighbours; visible pixels
    weigh as much as they are opaque. Pixels more than `rings` away from any visible one become 0.

    Args:
        color: (1, C, h, w) float; alpha: (1, 1, h, w) float, 0 is hidden.
        rings: how far colours travel, in pixels.

    Returns:
        (1, C, h, w); pixels with alpha > 0 are unchanged.
    """
    hidden = alpha <= 0
    if not hidden.any():
        return color
    colors = _framed(np.where(hidden, np.float32(0), color))[0].reshape(color.shape[1], -1)
    weights = _framed(alpha).ravel()
    row = alpha.shape[3] + 2
    around = np.array([y * row + x for y in (-1, 0, 1) for x in (-1, 0, 1) if x or y])
    unknown = _framed(hidden).ravel()
    newest = np.flatnonzero(_framed(_highest(hidden, 1) & ~hidden))
    for _ in range(rings):
        ring = np.unique(newest[:, None] + around)
        ring = ring[unknown[ring]]
        if ring.size == 0:
            break
        neighbours = ring[:, None] + around
        weight = weights[neighbours]
        colors[:, ring] = (colors[:, neighbours] * weight).sum(2) / weight.sum(1)
        weights[ring] = 1.0
        unknown[ring] = False
        newest = ring
    filled: Floats = colors.reshape(1, color.shape[1], -1, row)[..., 1:-1, 1:-1]
    return filled


def within_neighbours(sr: Floats, lr: Floats, scale: int) -> Floats:
    """Clip sr (1, 1, sh, sw) to the range of the 5×5 neighbours in lr (1, 1, h, w)."""
    clipped: Floats = np.clip(sr, *neighbour_range(lr, scale))
    return clipped


def neighbour_range(lr: Floats, scale: int) -> tuple[Floats, Floats]:
    """Smallest and largest of the 5×5 neighbours in lr (1, 1, h, w), as (1, 1, sh, sw)."""
    return _nearest(-_highest(-lr, REACH), scale), _nearest(_highest(lr, REACH), scale)


def _framed(x: NDArray[Any]) -> NDArray[Any]:
    """With a border of one 0 around the last two axes."""
    return np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))


def _highest(x: NDArray[Any], radius: int) -> NDArray[Any]:
    """The maximum over a square of 2·radius + 1 pixels around each, as far as the image goes."""
    for axis in (2, 3):
        beyond = [(0, 0)] * 4
        beyond[axis] = (radius, radius)
        padded = np.pad(x, beyond, "edge")
        x = sliding_window_view(padded, 2 * radius + 1, axis).max(-1)
    return x


def _nearest(x: Floats, scale: int) -> Floats:
    return x.repeat(scale, 2).repeat(scale, 3)
