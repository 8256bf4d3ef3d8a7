"""Any size, piece by piece, for images that are windows on files: nothing between is ever whole.

::

    piece of the result ─ reach of the resize ─ reach of the models ─► window of the source
            ▲                                                              │ models
            └───────── resized, on the grid of the whole ◄─────────────────┘

Which pieces there are depends on the sizes and the models only, and so do the bytes. Memory is that
of one piece.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from reslift.pixels import exact, kernel, planes, tiles
from reslift.pixels.planes import Floats, Pixels, Planes
from reslift.pixels.regrid import Regrid
from reslift.pixels.tiles import CELL, Box

LEAST = 64
MOST_BETWEEN = 2048
KERNEL, GRID = 4, 8
"""Source pixels that the resize of one pixel needs, and that a model's own grid may add."""


@dataclass(frozen=True)
class Models:
    """What lies between the source and the resize.

    Attributes:
        side: the scale that they reach together; 1 where there are none.
        outer: the window of the source that the answer for a box of it depends on.
        run: fills (side · h, side · w, C) from a window (h, w, C).
        strength: how much of the result is theirs; the rest is bicubic.
    """

    side: int
    outer: Callable[[Box], Box]
    run: Callable[[Planes, Pixels], None]
    strength: float


@dataclass(frozen=True)
class _Taps:
    """What a piece is made of: places (n,) in a grid and weights, down and across."""

    rows: kernel.Whole
    down: kernel.Doubles
    columns: kernel.Whole
    across: kernel.Doubles

    @classmethod
    def of(cls, grid: Regrid, side: int, box: Box) -> _Taps:
        """Those of a box of the result, from the source enlarged by `side`."""
        rows, down = kernel.band(grid.height * side, grid.high, box.top, box.bottom)
        columns, across = kernel.band(grid.width * side, grid.wide, box.left, box.right)
        return cls(rows, down, columns, across)

    def reach(self, side: int) -> Box:
        """The box of the source that they lie in."""
        (top, bottom), (left, right) = (
            (int(places.min()) // side, int(places.max()) // side + 1)
            for places in (self.rows, self.columns)
        )
        return Box(top, bottom, left, right)

    def resized(self, pixels: Pixels, side: int, origin: Box, alpha: bool) -> Floats:
        """(C, h', w') from the pixels of `origin`, enlarged by `side`."""
        rows, columns = self.rows - origin.top * side, self.columns - origin.left * side
        found = planes.to_float(pixels[np.ix_(rows, columns)])[0]
        return exact.resized(found, self.down, self.across, alpha=alpha)


def fill(image: Planes, out: Pixels, models: Models, progress: Callable[[int], None]) -> None:
    """Set out (H', W', C), a box at a time; of image (H, W, C) only windows are read."""
    (height, width, bands), side = image.pixels.shape, models.side
    grid = Regrid(width, height, out.shape[1], out.shape[0])
    for box in tiles.grid(grid.high, grid.wide, cell=_cell(grid, models)):
        plain, taps = _Taps.of(grid, 1, box), _Taps.of(grid, side, box)
        outer = models.outer(_both(plain.reach(1), taps.reach(side)))
        window = replace(image, pixels=image.pixels[outer.slices()])
        sr: Floats | float = 0.0
        if models.strength > 0:
            between = window.pixels
            if side > 1:
                shape = (outer.height * side, outer.width * side, bands)
                between = np.empty(shape, deeper(between.dtype))
                models.run(window, between)
            answer = taps.resized(between, side, outer, image.alpha)
            sr = models.strength * np.clip(answer, 0.0, 1.0)
        if models.strength < 1:
            bicubic = plain.resized(window.pixels, 1, outer, image.alpha)
            sr = sr + (1 - models.strength) * bicubic
        out[box.slices()] = planes.from_float(np.asarray(sr)[None], np.dtype(out.dtype))
        progress(box.pixels)


def deeper(dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
    """For pixels that are computed with again: 8 bits become 16."""
    return np.dtype(np.uint16) if dtype.kind == "u" else dtype


def _cell(grid: Regrid, models: Models) -> int:
    """Sides of a piece, so that its window is one cell of the models."""
    middle = Box(grid.height // 2, grid.height // 2 + 1, grid.width // 2, grid.width // 2 + 1)
    least = min(1.0, grid.across, grid.down)
    margin = models.outer(middle).height + math.ceil(KERNEL / least) + GRID
    core = max(LEAST, min(CELL, MOST_BETWEEN // models.side) - margin)
    return max(1, int(core * min(grid.across, grid.down)))


def _both(one: Box, other: Box) -> Box:
    return Box(
        min(one.top, other.top),
        max(one.bottom, other.bottom),
        min(one.left, other.left),
        max(one.right, other.right),
    )
