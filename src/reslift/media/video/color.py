"""The colours of a video: planes of code values ↔ RGB, by the stream's own matrix and range.

    Y' = Kr R' + Kg G' + Kb B',   Cb = (B' - Y') / 2(1 - Kb),   Cr = (R' - Y') / 2(1 - Kr)

With b bits, limited range is Y' → 16 … 235, C → 16 … 240, times 2^(b-8); full range 0 … 2^b - 1
(ITU-T H.273, 8.3). Halved chroma lies on the left of each pair and between two rows, as MPEG has
it, or in the middle of both for JPEG. It is brought to every pixel by the Catmull-Rom cubic (Keys,
1981) and back by the mean over its own area. Transfer curves are not touched: the network sees the
signal as it is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reslift.pixels.planes import Floats, Pixels

Words = NDArray[np.uint16]
WHITE = 65535.0
STRIP = 64
UNSPECIFIED = 2
LIMITED, FULL = 1, 2
BT709, BT601, BT2020 = 1, 6, 9
WEIGHTS = {
    BT709: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    BT601: (0.299, 0.114),
    7: (0.212, 0.087),
    BT2020: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
"""Kr, Kb of the matrix coefficients that H.273 numbers."""


@dataclass(frozen=True)
class Layout:
    """How a frame lies in planes.

    Attributes:
        kind: "yuv", "gray" or "rgb" (planes G, B, R).
        bits: of a sample, 8 to 16.
        across, down: luma samples per chroma sample, 1, 2 or 4.
        alpha: a last plane holds it, always in full range.
    """

    kind: str
    bits: int
    across: int = 1
    down: int = 1
    alpha: bool = False

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Of a plane."""
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    @property
    def bands(self) -> int:
        """Of the picture that a network is given: 1, 3, or with alpha 2, 4."""
        return (1 if self.kind == "gray" else 3) + self.alpha


@dataclass(frozen=True)
class Conversion:
    """Code values of `layout` ↔ (H, W, bands) uint16, 65535 being white.

    Attributes:
        matrix: as H.273 numbers it; one that is unknown here counts as BT.709, both ways.
        full: full range, else limited.
        centred: chroma lies in the middle, as in JPEG, not on the left.
    """

    layout: Layout
    matrix: int = BT709
    full: bool = False
    centred: bool = False

    @cached_property
    def _steps(self) -> tuple[float, float, float, float]:
        """Black, codes from black to white, codes of chroma's whole range, middle of chroma."""
        unit, top = 2.0 ** (self.layout.bits - 8), 2.0**self.layout.bits - 1
        middle = 2.0 ** (self.layout.bits - 1)
        if self.full or self.layout.kind == "rgb":
            return 0.0, top, top, middle
        return 16 * unit, 219 * unit, 224 * unit, middle

    @cached_property
    def _forward(self) -> tuple[Floats, Floats]:
        """(3, 3) and (3, 1) that take R, G, B in 0 … 65535 to the codes of Y, Cb, Cr."""
        black, luma, chroma, middle = self._steps
        rows = np.array(ycbcr(self.matrix)) * np.array([[luma], [chroma], [chroma]]) / WHITE
        return rows.astype(np.float32), np.array([[black], [middle], [middle]], np.float32)

    @cached_property
    def _backward(self) -> tuple[Floats, Floats]:
        matrix, offset = (part.astype(np.float64) for part in self._forward)
        inverse = np.linalg.inv(matrix)
        return inverse.astype(np.float32), (-inverse @ offset).astype(np.float32)

    def to_rgb(self, planes: list[Pixels]) -> Words:
        """Planes as the layout says → (H, W, bands); what lies outside black … white is clipped."""
        layout = self.layout
        height, width = planes[0].shape
        out = np.empty((height, width, layout.bands), np.uint16)
        if layout.alpha:
            top = 2.0**layout.bits - 1
            out[..., -1] = np.rint(planes[-1].astype(np.float32) * np.float32(WHITE / top))
        if layout.kind == "yuv":
            values = np.stack([plane.astype(np.float32) for plane in self._at_luma(planes[:3])])
            matrix, offset = self._backward
            rgb = matrix @ values.reshape(3, -1) + offset
            out[..., :3] = rounded(rgb, WHITE).reshape(3, height, width).transpose(1, 2, 0)
            return out
        black, luma = self._steps[:2]
        order = (2, 0, 1) if layout.kind == "rgb" else (0,)
        for band, plane in enumerate(order):
            values = (planes[plane].astype(np.float32) - np.float32(black)) * np.float32(
                WHITE / luma
            )
            out[..., band] = rounded(values, WHITE)
        return out

    def to_planes(self, image: Words, into: list[Pixels]) -> None:
        """(H, W, bands) → planes of the layout, rounded, into arrays that are there.

        YUV takes gray pictures too, whose chroma is the middle.
        """
        layout, top = self.layout, 2.0**self.layout.bits - 1
        for row in range(0, image.shape[0], STRIP):
            rows = slice(row, row + STRIP)
            strip = image[rows].astype(np.float32)
            if layout.alpha:
                into[-1][rows] = rounded(strip[..., -1] * np.float32(top / WHITE), top)
            if layout.kind == "yuv":
                gray = strip.shape[2] < len("rgb")
                self._yuv(np.repeat(strip[..., :1], 3, 2) if gray else strip[..., :3], into, row)
                continue
            black, luma = self._steps[:2]
            order = (1, 2, 0) if layout.kind == "rgb" else (0,)
            for plane, band in enumerate(order):
                codes = strip[..., band] * np.float32(luma / WHITE) + np.float32(black)
                into[plane][rows] = rounded(codes, top)

    def _yuv(self, strip: Floats, into: list[Pixels], row: int) -> None:
        matrix, offset = self._forward
        height, width = strip.shape[:2]
        planar = np.ascontiguousarray(strip.reshape(-1, 3).T)
        codes = (matrix @ planar + offset).reshape(3, height, width)
        top = 2.0**self.layout.bits - 1
        into[0][row : row + height] = rounded(codes[0], top)
        chroma = codes[1:]
        if self.layout.down == 2:
            chroma = _mean_of_pairs(chroma, 1)
        if self.layout.across == 2:
            chroma = _mean_of_pairs(chroma, 2) if self.centred else _triangle(chroma)
        first = row // self.layout.down
        for plane, values in zip(into[1:3], chroma, strict=True):
            plane[first : first + values.shape[0]] = rounded(values, top)

    def _at_luma(self, planes: list[Pixels]) -> list[Pixels]:
        height, width = planes[0].shape
        chroma = [plane.astype(np.float32) for plane in planes[1:]]
        if self.layout.down > 1:
            chroma = [_spread(plane, self.layout.down, 0, True) for plane in chroma]
        if self.layout.across > 1:
            chroma = [_spread(plane, self.layout.across, 1, self.centred) for plane in chroma]
        return [planes[0], *(plane[:height, :width] for plane in chroma)]


def ycbcr(matrix: int) -> list[list[float]]:
    """The rows that take R', G', B' in [0, 1] to Y' in [0, 1] and Cb, Cr in [-0.5, 0.5]."""
    kr, kb = WEIGHTS.get(matrix, WEIGHTS[BT709])
    kg = 1 - kr - kb
    return [
        [kr, kg, kb],
        [-kr / (2 - 2 * kb), -kg / (2 - 2 * kb), 0.5],
        [0.5, -kg / (2 - 2 * kr), -kb / (2 - 2 * kr)],
    ]


def rounded(values: Floats, top: float) -> Floats:
    """To the nearest whole number from 0 to `top`, in place."""
    np.rint(values, out=values)
    return np.clip(values, 0, np.float32(top), out=values)


def _spread(plane: Floats, factor: int, axis: int, centred: bool) -> Floats:
    """Samples at every `factor`-th place → at every place, by the Catmull-Rom cubic."""
    plane = np.moveaxis(plane, axis, -1)
    length = plane.shape[-1]
    padded = np.pad(plane, ((0, 0), (2, 2)), mode="edge")
    out = np.empty((plane.shape[0], length * factor), np.float32)
    for phase in range(factor):
        place = (phase + 0.5) / factor - 0.5 if centred else phase / factor
        first = int(np.floor(place))
        taps = _catmull_rom(place - first)
        out[:, phase::factor] = sum(
            np.float32(tap) * padded[:, first + 1 + k : first + 1 + k + length]
            for k, tap in enumerate(taps)
        )
    return np.moveaxis(out, -1, axis)


def _catmull_rom(t: float) -> tuple[float, float, float, float]:
    return (
        0.5 * (-t + 2 * t**2 - t**3),
        0.5 * (2 - 5 * t**2 + 3 * t**3),
        0.5 * (t + 4 * t**2 - 3 * t**3),
        0.5 * (-(t**2) + t**3),
    )


def _mean_of_pairs(chroma: Floats, axis: int) -> Floats:
    """Halved by the mean of two neighbours; a last one without a neighbour stands alone."""
    if chroma.shape[axis] % 2:
        last = np.take(chroma, [-1], axis)
        chroma = np.concatenate((chroma, last), axis)
    even = chroma[:, 0::2] if axis == 1 else chroma[..., 0::2]
    odd = chroma[:, 1::2] if axis == 1 else chroma[..., 1::2]
    return (even + odd) * np.float32(0.5)


def _triangle(chroma: Floats) -> Floats:
    """Halved across, at every even column, with weights ¼, ½, ¼."""
    width = chroma.shape[2]
    padded = np.pad(chroma, ((0, 0), (0, 0), (1, 2 if width % 2 else 1)), mode="edge")
    middle = padded[..., 1 : width + 1 : 2]
    sides = padded[..., 0:width:2] + padded[..., 2 : width + 2 : 2]
    return middle * np.float32(0.5) + sides * np.float32(0.25)
