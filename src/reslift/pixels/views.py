"""Arrays looked at, or filled, through a frame: read and set by two slices, never copied."""

from __future__ import annotations

import numpy as np

from reslift.pixels.planes import Pixels


class Wrapped:
    """`pixels` (H, W, C) that goes on with its other side for `margin` pixels beyond each edge."""

    def __init__(self, pixels: Pixels, margin: int) -> None:
        self._pixels, self._margin = pixels, margin
        height, width, bands = pixels.shape
        self.shape, self.dtype = (height + 2 * margin, width + 2 * margin, bands), pixels.dtype

    def __getitem__(self, slices: tuple[slice, slice]) -> Pixels:
        places = [
            (np.arange(cut.start, cut.stop) - self._margin) % side
            for cut, side in zip(slices, self._pixels.shape, strict=False)
        ]
        found: Pixels = self._pixels[np.ix_(*places)]
        return found


class Inner:
    """Takes a result with `margin` pixels too many on each side and keeps what is inside."""

    def __init__(self, out: Pixels, margin: int) -> None:
        self._out, self._margin = out, margin
        height, width, bands = out.shape
        self.shape = (height + 2 * margin, width + 2 * margin, bands)
        self.dtype, self.nbytes = out.dtype, out.nbytes

    def __setitem__(self, slices: tuple[slice, slice], piece: Pixels) -> None:
        places: list[slice] = []
        parts: list[slice] = []
        for cut, side in zip(slices, self._out.shape, strict=False):
            start, stop = cut.start - self._margin, cut.stop - self._margin
            first, last = max(start, 0), min(stop, side)
            if first >= last:
                return
            places.append(slice(first, last))
            parts.append(slice(first - start, last - start))
        self._out[tuple(places)] = piece[tuple(parts)]
