"""Self-ensemble: the mean of a model's answers to the eight flips and turns of its input.

SR = 1/8 Σ T⁻¹(f(T(LR)))        T: identity, flips, transposes  (Timofte, Rothe and Van Gool 2016)
"""

from __future__ import annotations

import itertools

import numpy as np

from reslift.backends.base import Backend
from reslift.pixels.planes import Floats

WAYS = tuple(itertools.product((False, True), repeat=3))
"""Transposed, flipped down, flipped across."""


class Ensemble(Backend):
    """Runs another backend eight times a cell; tiled equals whole as it does there.

    A cell is first brought to a multiple of the model's grid by repeating its last row and column,
    so that a flipped grid falls on the same places in every tile.
    """

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self.name = inner.name  # type: ignore[misc]
        self.needs, self.pixel_bytes = inner.needs, inner.pixel_bytes
        self.precision, self.device = inner.precision, inner.device

    def run(self, cell: Floats) -> Floats:
        height, width = cell.shape[2:]
        step, scale = self.needs.multiple_of, self.needs.scale
        more = ((0, 0), (0, 0), (0, -height % step), (0, -width % step))
        padded = np.pad(cell, more, "edge") if step > 1 else cell
        total = np.zeros((*cell.shape[:2], height * scale, width * scale), np.float32)
        for transposed, down, across in WAYS:
            turned = padded[:, :, :: -1 if down else 1, :: -1 if across else 1]
            sr = self.inner.run(_channels_last(turned.swapaxes(2, 3) if transposed else turned))
            sr = sr.swapaxes(2, 3) if transposed else sr
            back = sr[:, :, :: -1 if down else 1, :: -1 if across else 1]
            total += back[:, :, : height * scale, : width * scale]
        total /= np.float32(len(WAYS))
        return total

    def cell_bytes(self, height: int, width: int) -> int:
        total = 4 * self.needs.channels * height * width * self.needs.scale**2
        return self.inner.cell_bytes(height, width) + 2 * total

    def is_out_of_memory(self, error: BaseException) -> bool:
        return self.inner.is_out_of_memory(error)

    def release(self) -> None:
        self.inner.release()


def _channels_last(cell: Floats) -> Floats:
    """A copy whose channels lie together in memory, as cells come from `planes.to_float`."""
    return np.ascontiguousarray(cell.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
