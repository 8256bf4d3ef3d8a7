"""Any number of planes through a network that knows RGB, by one rule; whole numbers and back.

The colours of an RGB image go together. Every other plane (gray, alpha, each of CMYK, each band
of a many-band image) goes alone: replicated to the model's channels, then the mean of its answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]
Floats = NDArray[np.float32]
Group = tuple[int, ...]


@dataclass(frozen=True)
class Planes:
    """pixels (H, W, C) uint8, uint16 or float32 in [0, 1]; space "gray", "rgb" or "cmyk"; with
    alpha, the last plane is it, straight (not premultiplied)."""

    pixels: Pixels
    space: str
    alpha: bool


def groups(bands: int, space: str, alpha: bool, channels: int) -> list[Group]:
    """Which planes go through the model together.

    Args:
        bands: planes in all; space: "gray", "rgb" or "cmyk"; alpha: the last plane is alpha.
        channels: what the model takes.
    """
    colors = bands - alpha
    together = 3 if space == "rgb" and channels == 3 and colors >= 3 else 0
    first = [tuple(range(together))] if together else []
    return first + [(plane,) for plane in range(together, bands)]


def through(run: Callable[[Floats], Floats], planes: Floats, channels: int) -> Floats:
    """One group of planes (1, n, h, w) through `run`, (1, channels, h, w) → (…, sh, sw)."""
    if planes.shape[1] == channels:
        return run(planes)
    mean: Floats = run(np.repeat(planes, channels, 1)).mean(1, keepdims=True)
    return mean


def to_float(pixels: Pixels) -> Floats:
    """(h, w, C) uint8, uint16 or float32 → (1, C, h, w) float32 in [0, 1], channels last."""
    values = np.array(pixels, dtype=np.float32, order="C")
    if pixels.dtype.kind == "u":
        values /= np.float32(np.iinfo(pixels.dtype).max)
    return values.transpose(2, 0, 1)[None]


def from_float(sr: Floats, dtype: np.dtype[Any]) -> Pixels:
    """(1, C, h, w) float, clipped to [0, 1] → (h, w, C): uint8 or uint16 rounded, or float32."""
    values: Pixels = np.clip(sr[0].transpose(1, 2, 0), 0.0, 1.0)
    if dtype.kind == "u":
        values *= np.float32(np.iinfo(dtype).max)
        np.rint(values, out=values)
    return values.astype(dtype, copy=False)
