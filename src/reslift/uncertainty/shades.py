"""What brightness adds to a scale: errors end at black and white, where a head expects more.

After a first calibration the errors are measured in half-widths, apart by the brightness of SR
(nine knots from black to white, the nearest counts). Where their quantile is not 1 the scale is
multiplied by it, and between knots by what lies between; then calibration begins again.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reslift.pixels.planes import Floats, Pixels

KNOTS = 9
LEAST = 2000
"""Samples that a picture, or all of them together, must have at a knot to count there."""
CALM = 3
"""Pictures that pull each knot towards no change, so that one picture alone decides nothing."""
MOST = math.log(2)
STEPS = 4096
TOP = 8.0
LEAST_HALF = np.float32(1e-6)
"""Half-widths are 0 where pictures without any error were counted."""


class Shades:
    """Errors in half-widths, counted at each knot of brightness."""

    def __init__(self) -> None:
        self.counts = np.zeros((KNOTS, STEPS + 1), np.int64)
        self.pictures = np.zeros(KNOTS, np.int64)

    def add(self, sr: Pixels, half: Floats, error: Floats) -> None:
        """Count one picture.

        Args:
            sr: (H, W, C), uint8. half: (H, W), half-widths. error: (H, W, C), in the same units.
        """
        knot = np.rint(sr.astype(np.float32).mean(2) * ((KNOTS - 1) / 255)).astype(np.int64)
        shares = error / np.maximum(half, LEAST_HALF)[..., None]
        ratio = np.ceil(shares * (STEPS / TOP)).clip(0, STEPS).astype(np.int64)
        flat = (knot[..., None] * (STEPS + 1) + ratio).ravel()
        counts = np.bincount(flat, minlength=self.counts.size).reshape(self.counts.shape)
        self.counts += counts
        self.pictures += counts.sum(1) >= LEAST

    def logarithms(self, level: float) -> Tensor:
        """(9,): what to add to log b at each knot, at most log 2 either way; 0 where few are."""
        found = [
            _correction(counts, level) * pictures / (pictures + CALM)
            for counts, pictures in zip(self.counts, self.pictures, strict=True)
        ]
        return torch.tensor(found, dtype=torch.float32).clamp(-MOST, MOST)


def at(brightness: Tensor, knots: Tensor) -> Tensor:
    """Values at the knots of [0, 1], between them on straight lines; the shape of brightness."""
    place = brightness.clamp(0, 1) * (len(knots) - 1)
    left = place.floor().clamp_max(len(knots) - 2)
    index = left.long()
    return torch.lerp(knots[index], knots[index + 1], place - left)


def _correction(counts: NDArray[np.int64], level: float) -> float:
    total = int(counts.sum())
    if total < LEAST:
        return 0.0
    step = int(np.searchsorted(np.cumsum(counts), math.ceil(level * total)))
    return math.log(max(step, 1) * TOP / STEPS)
