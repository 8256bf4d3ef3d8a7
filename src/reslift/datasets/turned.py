"""Photographs turned by any angle and shrunk, for training beside them.

Buildings, horizons and fonts stand upright, so that photographs hold far more level and plumb edges
than others, and flips and quarter turns change nothing about that.

    photograph ─ turned, bicubic ─ largest upright rectangle ─ shrunk, antialiased ─ picture

Shrinking takes away what turning blurred.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from reslift.datasets.base import ImageSet

DEGREES = (10.0, 80.0)
SHARES = (0.45, 0.75)
RIM = 2
"""Pixels at the edge that interpolation mixed with what lies outside."""


def turned_set(photographs: ImageSet, count: int) -> ImageSet:
    """`count` turned pictures of each photograph, (3, H, W) uint8; the same ones at every call.

    What cannot be read raises here what it raises in `photographs`.
    """

    def load(number: int) -> Tensor:
        of, copy = divmod(number, count)
        rng = np.random.default_rng((of, copy))
        low, high = DEGREES
        width = (high - low) / count
        angle = low + width * (copy + rng.random())
        return turned(photographs.load(of), angle * rng.choice([-1, 1]), rng.uniform(*SHARES))

    names = [f"{name}, turned {copy + 1}" for name in photographs.names for copy in range(count)]
    return ImageSet(tuple(names), load)


def turned(picture: Tensor, angle: float, share: float) -> Tensor:
    """A picture (3, H, W) uint8 turned by `angle` degrees, without what was outside, shrunk."""
    height, width = picture.shape[1:]
    image = Image.fromarray(picture.permute(1, 2, 0).numpy())
    image = image.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    inside = [max(1, math.floor(side) - 2 * RIM) for side in upright(width, height, angle)]
    left, top = ((whole - side) // 2 for whole, side in zip(image.size, inside, strict=True))
    box = (left, top, left + inside[0], top + inside[1])
    small = max(1, round(inside[0] * share)), max(1, round(inside[1] * share))
    pixels = np.asarray(image.crop(box).resize(small, Image.Resampling.BICUBIC))
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def upright(width: float, height: float, angle: float) -> tuple[float, float]:
    """Sides of the largest upright rectangle in one that is turned by `angle` degrees."""
    turn = math.radians(angle)
    sine, cosine = abs(math.sin(turn)), abs(math.cos(turn))
    short, long = sorted((width, height))
    if short <= 2 * sine * cosine * long or abs(sine - cosine) < 1e-9:
        # Two corners on the longer sides, the others within: halfway across the shorter ones.
        half = short / 2
        return (half / sine, half / cosine) if width >= height else (half / cosine, half / sine)
    double = cosine**2 - sine**2
    return (width * cosine - height * sine) / double, (height * cosine - width * sine) / double
