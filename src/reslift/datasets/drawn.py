"""Pictures that are drawn, for training beside photographs: dead leaves with strokes and letters.

Shapes of every size fall on each other like leaves (Matheron 1968; Lee, Mumford & Huang 2001),
which gives edges, corners and sizes much like those of photographs; restoration networks have been
trained on such pictures alone (Achddou, Gousseau & Ladjal 2023). Here they add what few photographs
hold: clean edges at all angles, thin lines, gratings and lettering, under nobody's licence.

    seed ─ sizes ─ for each leaf: outline × paint ─ canvas, twice as fine ─ mean of 2×2 ─ picture
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from reslift.datasets.base import ImageSet
from reslift.datasets.paints import Floats, Rng, blend, one_of

SIDE = 1024
FINER = 2
COVER = 3.0
MOST_LEAVES = 4000
PLAIN = 24
LETTERS = list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,:;!?()&%+-=/")
OUTLINES = {
    "ellipse": 0.2,
    "polygon": 0.2,
    "bar": 0.2,
    "stroke": 0.12,
    "ring": 0.08,
    "grid": 0.1,
    "text": 0.1,
}
Paint = Callable[[int, int], Floats]
"""Height and width to (height, width, 3), or what becomes that, 0 to 255."""


def drawn_set(count: int, side: int = SIDE) -> ImageSet:
    """``count`` drawn pictures, (3, side, side) uint8 each; the same ones at every call."""

    def load(number: int) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(draw(number, side).transpose(2, 0, 1)))

    return ImageSet(tuple(f"drawn {number}" for number in range(count)), load)


def draw(seed: int, side: int = SIDE) -> NDArray[np.uint8]:
    """One picture, (side, side, 3); a second or more of work at the usual side."""
    rng = np.random.default_rng(seed)
    canvas = np.empty((side * FINER, side * FINER, 3), np.float32)
    canvas[:] = colour(rng)

    def paint(height: int, width: int) -> Floats:
        share = blend(rng, height, width)[..., None]
        return colour(rng) * (1 - share) + colour(rng) * share

    for radius in _radii(rng, side * FINER):
        let_fall(rng, canvas, radius, paint)
    return on_paper(canvas)


def on_paper(canvas: Floats) -> NDArray[np.uint8]:
    """The picture of a canvas that is twice as fine."""
    high, wide = (side // FINER for side in canvas.shape[:2])
    picture = canvas.reshape(high, FINER, wide, FINER, 3).mean((1, 3))
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)


def _radii(rng: Rng, side: int) -> list[float]:
    """Radii with a density of r^-3, the law that makes the picture look alike at every scale."""
    least, most = 6.0 * math.exp(rng.uniform(0, 3)), side / 4
    radii: list[float] = []
    area = 0.0
    while area < COVER * side * side and len(radii) < MOST_LEAVES:
        radii.append((least**-2 + rng.random() * (most**-2 - least**-2)) ** -0.5)
        area += 2 * radii[-1] ** 2
    return radii


def let_fall(rng: Rng, canvas: Floats, radius: float, paint: Paint) -> None:
    """Lay a leaf anywhere on a canvas (H, W, 3), in place; the smallest are of one colour."""
    side = len(canvas)
    mask = np.asarray(_outline(rng, radius), np.float32)[..., None] / 255
    size = len(mask)
    y, x = (int(rng.integers(-size // 2, side - size // 2)) for _ in range(2))
    rows, columns = slice(max(0, -y), min(size, side - y)), slice(max(0, -x), min(size, side - x))
    mask = mask[rows, columns]
    if not mask.size:
        return
    mask = mask * (1 if rng.random() < 0.9 else rng.uniform(0.3, 0.9))
    filling = paint(*mask.shape[:2]) if size > PLAIN else colour(rng)
    spot = canvas[y + rows.start : y + rows.stop, x + columns.start : x + columns.stop]
    spot += mask * (filling - spot)


def colour(rng: Rng) -> Floats:
    """(3,) 0 to 255, black and white more often than the middle."""
    light = rng.beta(0.9, 0.9)
    tint = rng.normal(0, 0.12, 3) * (0.3 + rng.random())
    return np.asarray(np.clip(255 * (light + tint - tint.mean()), 0, 255), np.float32)


def _outline(rng: Rng, radius: float) -> Image.Image:
    """A mask ("L") of about twice the radius a side."""
    side = 2 * math.ceil(radius) + 2
    middle = side / 2
    mask = Image.new("L", (side, side))
    pen = ImageDraw.Draw(mask)
    kind = one_of(rng, OUTLINES)
    if kind == "ellipse":
        low = radius * rng.uniform(0.2, 1)
        pen.ellipse((middle - radius, middle - low, middle + radius, middle + low), fill=255)
        return mask.rotate(float(rng.uniform(0, 180)))
    if kind == "polygon":
        corners = int(rng.integers(3, 9))
        angles = np.sort(rng.uniform(0, 2 * math.pi, corners))
        reach = radius * rng.uniform(0.4, 1, corners)
        points = np.stack([np.cos(angles), np.sin(angles)], -1) * reach[:, None] + middle
        pen.polygon(_pairs(points), fill=255)
    elif kind == "bar":
        long, wide = radius * 0.95, radius * rng.uniform(0.05, 0.7)
        angle = rng.uniform(0, math.pi)
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        box = np.array([[-long, -wide], [long, -wide], [long, wide], [-long, wide]])
        pen.polygon(_pairs(box @ turn + middle), fill=255)
    elif kind == "stroke":
        t = np.linspace(0, 1, 40)[:, None]
        a, b, c, d = rng.uniform(0.05 * side, 0.95 * side, (4, 2))
        curve = (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d
        thick = int(max(2, min(radius / 4, rng.uniform(2, 16))))
        pen.line(_pairs(curve), fill=255, width=thick, joint="curve")
    elif kind == "ring":
        thick = max(2, int(radius * rng.uniform(0.03, 0.3)))
        pen.ellipse((1, 1, side - 2, side - 2), outline=255, width=thick)
    elif kind == "grid":
        lines = int(rng.integers(2, 9))
        thick = max(2, int(radius / lines * rng.uniform(0.1, 0.8)))
        for number in range(lines):
            place = side * (number + 0.5) / lines
            pen.line((place, 0, place, side), fill=255, width=thick)
            if rng.random() < 0.3:
                pen.line((0, place, side, place), fill=255, width=thick)
        return mask.rotate(float(rng.uniform(0, 180)), resample=Image.Resampling.BILINEAR)
    else:
        _write(rng, pen, side, max(12, int(radius * rng.uniform(0.2, 1.2))))
        if rng.random() < 0.5:
            angle = float(rng.choice([90, 180, 270, rng.uniform(-20, 20)]))
            return mask.rotate(angle, resample=Image.Resampling.BILINEAR)
    return mask


def _write(rng: Rng, pen: ImageDraw.ImageDraw, side: int, size: int) -> None:
    """Lines of random letters, ``size`` pixels high, down a mask."""
    font = ImageFont.load_default(size)
    y = 0
    while y < side:
        pen.text((0, y), "".join(rng.choice(LETTERS, max(2, 3 * side // size))), 255, font)
        y += int(size * rng.uniform(1.0, 1.5))


def _pairs(points: NDArray[np.float64]) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in points]
