"""Whole tiles of a file from pieces that arrive in another cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reslift.pixels.tiles import CELL, Box

Finished = Callable[[Box, NDArray[Any]], None]


class Mosaic:
    """Collects pieces until a tile is whole and hands it on, once; holds only tiles begun.

    A file in compressed tiles must be written tile by tile: one that is written in parts is packed
    several times, and the earlier packings stay in the file as waste.

    Args:
        bands, height, width: of the whole picture.
        dtype: of the samples.
        tile: (height, width) of a tile; those at the right and bottom border are smaller.
        finished: is given where a tile lies and its samples, (bands, h, w).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        tile: tuple[int, int],
        finished: Finished,
    ) -> None:
        self.shape, self.dtype, self.tile = shape, dtype, tile
        self._finished = finished
        self._open: dict[tuple[int, int], tuple[NDArray[Any], int]] = {}

    def held(self, piece: int = CELL) -> int:
        """Bytes held at most while rows of pieces `piece` pixels high arrive, row by row."""
        bands, height, width = self.shape
        whole_rows = self.tile[1] >= width
        rows = min(height, self.tile[0] * 2 + (piece if whole_rows else 0))
        columns = 0 if whole_rows else min(height, piece + self.tile[0]) * self.tile[1]
        return int(bands * (rows * width + columns) * self.dtype.itemsize)

    def put(self, top: int, left: int, piece: NDArray[Any]) -> None:
        """Take in a piece (bands, h, w) whose first sample lies at row `top`, column `left`."""
        bottom, right = top + piece.shape[1], left + piece.shape[2]
        tall, wide = self.tile
        for row in range(top // tall, (bottom - 1) // tall + 1):
            for column in range(left // wide, (right - 1) // wide + 1):
                box = self._box(row, column)
                inner = Box(
                    max(top, box.top),
                    min(bottom, box.bottom),
                    max(left, box.left),
                    min(right, box.right),
                )
                part = piece[(slice(None), *inner.slices(Box(top, bottom, left, right)))]
                self._add(row, column, box, inner, part)

    def _box(self, row: int, column: int) -> Box:
        (_, height, width), (tall, wide) = self.shape, self.tile
        top, left = row * tall, column * wide
        return Box(top, min(height, top + tall), left, min(width, left + wide))

    def _add(self, row: int, column: int, box: Box, inner: Box, part: NDArray[Any]) -> None:
        if inner == box:
            self._finished(box, part)
            return
        if (row, column) not in self._open:
            empty = np.empty((self.shape[0], box.height, box.width), self.dtype)
            self._open[row, column] = empty, box.pixels
        samples, lacking = self._open.pop((row, column))
        samples[(slice(None), *inner.slices(box))] = part
        if lacking == inner.pixels:
            self._finished(box, samples)
        else:
            self._open[row, column] = samples, lacking - inner.pixels
