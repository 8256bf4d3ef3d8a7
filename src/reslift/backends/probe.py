"""A small picture that shows, before the work, whether an engine answers as PyTorch does."""

from __future__ import annotations

import numpy as np

from reslift.needs import Needs
from reslift.pixels.planes import Floats

HEIGHT, WIDTH = 21, 18
LARGEST = {"fp32": 2e-5, "bf16": 0.05, "int8": 0.1}
MEAN = {"fp32": 2e-6, "bf16": 2e-3, "int8": 4e-3}


def probe_image(needs: Needs) -> Floats:
    """(1, C, 21, 18), or the one size that the model takes: noise, the same on every machine."""
    height, width = (needs.size, needs.size) if needs.size else (HEIGHT, WIDTH)
    return np.random.default_rng(0).random((1, needs.channels, height, width), np.float32)


def difference(sr: Floats, expected: Floats, precision: str) -> str:
    """By how much an answer is too far from PyTorch's in fp32; "" where it is near enough.

    The largest and the mean absolute difference count, relative to the values where these exceed 1.
    """
    if sr.shape != expected.shape:
        return f"shape {sr.shape}, not {expected.shape}"
    unit = max(1.0, float(np.abs(expected).max()))
    with np.errstate(invalid="ignore"):
        apart = np.abs(sr - expected) / unit
    largest, mean = float(apart.max()), float(apart.mean())
    if largest <= LARGEST[precision] and mean <= MEAN[precision]:
        return ""
    return f"differs by up to {largest:.2g}, {mean:.2g} on average ({precision})"
