"""An open raster as the two windows that `Upscaler.run` works on: one to read, one to set.

What is missing (masked, nodata, NaN, infinite) never meets the network: valid samples first bleed
over it, and in the result each missing pixel is the file's own value again, repeated. So the valid
pixels of the result do not depend on what stands for "no data".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reslift.media.geotiff.values import BYTE, Spread, Survey, is_nodata, unlike, whole
from reslift.media.mosaic import Mosaic
from reslift.pixels import alpha as transparency
from reslift.pixels.planes import Floats, Pixels
from reslift.pixels.regrid import Regrid
from reslift.pixels.tiles import Box

RINGS = 40
Area = tuple[slice, slice]


@dataclass(frozen=True)
class Band:
    """One band of a raster and how it is enlarged.

    Attributes:
        number: from 1, as in the file.
        survey: what it holds.
        spread: how its samples go to [0, 1]; None where pixels are only repeated.
        nodata: the value that a valid pixel must not take; None where validity is not told by one.
        joint: the value that stands for none where every band has its own such one, which the
            bands of a valid pixel must not take all at once; None where there are no such values.
        is_color: one of three that go through the network together.
        is_alpha: opacity, whose result keeps within its neighbours; such a band comes last.
    """

    number: int
    survey: Survey
    spread: Spread | None = None
    nodata: float | None = None
    is_color: bool = False
    is_alpha: bool = False
    joint: float | None = None


class Raster(Protocol):
    """What is read here of an open rasterio dataset."""

    height: int
    width: int

    def samples(self, numbers: Sequence[int], box: Box) -> NDArray[Any]:
        """The samples (bands, h, w) in a box."""
        ...

    def valid(self, numbers: Sequence[int], box: Box) -> NDArray[np.bool_]:
        """Where those are data: not masked, finite, and not the largest float."""
        ...


class Source:
    """A window to read: (h, w, bands) float32 in [0, 1], gaps filled from their borders."""

    dtype = np.dtype(np.float32)

    def __init__(self, raster: Raster, bands: Sequence[Band]) -> None:
        self._raster, self._bands = raster, bands
        self.shape = (raster.height, raster.width, len(bands))

    def __getitem__(self, area: Area) -> Floats:
        height, width = self.shape[:2]
        box = box_of(area, self.shape)
        wide = box.grown(RINGS, height, width)
        numbers = [band.number for band in self._bands]
        valid = self._raster.valid(numbers, wide)
        if valid[(slice(None), *box.slices(wide))].all():
            wide, valid = box, valid[(slice(None), *box.slices(wide))]
        samples = self._raster.samples(numbers, wide)
        planes = [
            _filled(band, samples[i], valid[i])[box.slices(wide)]
            for i, band in enumerate(self._bands)
        ]
        return np.stack(planes, 2)


def _filled(band: Band, samples: NDArray[Any], valid: NDArray[np.bool_]) -> Floats:
    assert band.spread is not None
    floats = band.spread.forward(np.where(valid, samples, samples.dtype.type(0)))
    if valid.all():
        return floats
    opacity = valid.astype(np.float32)[None, None]
    filled: Floats = transparency.bleed(floats[None, None], opacity, RINGS)[0, 0]
    return filled


class Result:
    """A window to set: takes (h, w, bands) and hands on samples of the file.

    Pieces are float32 in [0, 1], and uint8 where all bands are 8-bit: those agree with their source
    as the same picture would.

    Args:
        raster: the source.
        bands: those that are set; those without a spread are repeated and not among the planes.
        grid: from the pixels of the source to those of the result.
        mosaic: takes the samples of all `bands`, in their order.
    """

    def __init__(self, raster: Raster, bands: Sequence[Band], grid: Regrid, mosaic: Mosaic) -> None:
        self._raster, self._bands, self._grid, self._mosaic = raster, bands, grid, mosaic
        spreads = [band.spread for band in bands if band.spread is not None]
        in_bytes = all(spread == BYTE for spread in spreads)
        self.dtype: np.dtype[Any] = np.dtype(np.uint8 if in_bytes else np.float32)
        self.shape = (grid.high, grid.wide, len(spreads))
        self.nbytes = mosaic.held()

    def __setitem__(self, area: Area, piece: Pixels) -> None:
        out = box_of(area, self.shape)
        box = self._grid.under(out)
        if piece.dtype == np.uint8:
            piece = piece / np.float32(255)
        numbers = [band.number for band in self._bands]
        old, valid = self._raster.samples(numbers, box), self._raster.valid(numbers, box)
        planes = iter(self._steady(piece, out).transpose(2, 0, 1))
        made = [
            self._made(band, next(planes) if band.spread else None, old[i], valid[i], (out, box))
            for i, band in enumerate(self._bands)
        ]
        self._mosaic.put(out.top, out.left, np.stack(self._apart(made, valid, (out, box))))

    def _apart(
        self, made: list[NDArray[Any]], valid: NDArray[np.bool_], boxes: tuple[Box, Box]
    ) -> list[NDArray[Any]]:
        """`made` with one band moved where a valid pixel would have the joint values of none."""
        pairs = list(zip(made, self._bands, strict=True))
        hits = [is_nodata(one, band.joint) for one, band in pairs if band.joint is not None]
        if len(hits) < len(pairs):
            return made
        hit = np.stack([*hits, self._grid.nearest(np.asarray(valid.all(0)), *boxes)]).all(0)
        for i, (one, band) in enumerate(pairs):
            if hit.any() and band.spread is not None and band.survey.low < band.survey.high:
                assert band.joint is not None
                made[i] = np.where(hit, unlike(one, band.joint, band.survey), one)
                break
        return made

    def _steady(self, piece: Floats, out: Box) -> Floats:
        """`piece` with opacity, the last plane where there is one, kept within its neighbours."""
        band = self._bands[-1]
        if not band.is_alpha or band.spread is None:
            return piece
        reach = transparency.REACH
        near = self._grid.under(out).grown(reach, self._raster.height, self._raster.width)
        lr = band.spread.forward(self._raster.samples([band.number], near))[None]
        low, high = (
            self._grid.nearest(bound[0, 0], out, near)
            for bound in transparency.neighbour_range(lr, 1)
        )
        piece = piece.copy()
        piece[..., -1] = np.clip(piece[..., -1], low, high)
        return piece

    def _made(
        self,
        band: Band,
        plane: Floats | None,
        old: NDArray[Any],
        valid: NDArray[np.bool_],
        boxes: tuple[Box, Box],
    ) -> NDArray[Any]:
        """Samples of one band in the first of the boxes; the old ones (h, w) lie in the second."""
        repeated = self._grid.nearest(old, *boxes)
        if plane is None or band.spread is None:
            return repeated
        values = band.spread.backward(plane)
        excess = band.spread.excess(np.where(valid, old, old.dtype.type(0)))
        if excess is not None:
            values = values + self._grid.nearest(excess * valid, *boxes)
        made = whole(values, old.dtype, band.survey)
        if band.is_alpha:
            made = np.where(repeated == 0, repeated, np.maximum(made, _least(made.dtype)))
        if band.nodata is not None:
            made = unlike(made, band.nodata, band.survey)
        if valid.all():
            return made
        return np.where(self._grid.nearest(valid, *boxes), made, repeated)


def _least(dtype: np.dtype[Any]) -> Any:
    """The smallest opacity that is not none."""
    return dtype.type(1) if dtype.kind != "f" else np.finfo(dtype).tiny


def box_of(area: Area, shape: tuple[int, ...]) -> Box:
    """The box that two slices mean; an open end is a side of `shape`."""
    (top, bottom, _), (left, right, _) = (
        part.indices(side) for part, side in zip(area, shape, strict=False)
    )
    return Box(top, bottom, left, right)
