"""How far to trust each sample of an enlarged raster, as a raster of the same place beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from reslift.errors import one_line
from reslift.files import atomic_write
from reslift.media.geotiff import file as files
from reslift.media.geotiff.file import Opened
from reslift.media.geotiff.plan import Work
from reslift.media.geotiff.windows import Area, Band, Source, box_of
from reslift.media.mosaic import Mosaic
from reslift.pixels.planes import Floats, Planes
from reslift.pixels.tiles import Box

if TYPE_CHECKING:
    from reslift.uncertainty import Calibration, Judge

ENDING = ".uncertainty.tif"
LEVEL = 0.9
SIDE = 512


def beside(target: Path) -> Path:
    """The file of half-widths: ``scene-x4.tif.uncertainty.tif``."""
    return target.with_name(target.name + ENDING)


def write(work: Work, judge: Judge, result: Path, *, overwrite: bool = False) -> str:
    """Write half the width of the interval that should hold 90 % of the samples; gives a sentence.

    One float32 band for each of the raster, in the units of its samples, with its georeference.
    Colours that went through the network together have the same half-widths. NaN stands for what is
    only repeated: missing pixels, classes, opacity.

    Args:
        result: where the enlarged raster lies before it has its name.

    Raises:
        OutputExists, OutputError: it cannot be written. InputError: a raster cannot be read.
    """
    import rasterio

    from reslift.uncertainty import log_scales

    target = beside(work.target)
    with atomic_write(target, overwrite=overwrite) as temporary, files.opened(result) as made:
        with files.writing(target):
            out = rasterio.open(temporary, "w", **_creation(made))
        try:
            with files.writing(target):
                _describe(work, out)
            for bands in _groups(work):
                space = "rgb" if len(bands) == 3 else "gray"
                image = Planes(cast(Any, Source(work.raster, bands)), space, False)
                halves = Halves(made, bands, judge.calibration, out, target)
                seen = cast(Any, Source(made, bands))
                log_scales(judge.head, image, seen, cast(Any, halves))
        finally:
            with files.writing(target):
                out.close()
        files.check_whole(temporary, target)
    return (
        f"{LEVEL:.0%} intervals are in {one_line(target.name)}, in units of the samples; they were "
        f"calibrated on pictures ({one_line(judge.calibration.data)}), not on such data"
    )


class Halves:
    """A window to set: takes (h, w) log b and writes half-widths of the bands.

    made: the result; bands: those that the network saw together; out: the open file; target: its
    name.
    """

    def __init__(
        self, made: Opened, bands: Sequence[Band], calibration: Calibration, out: Any, target: Path
    ) -> None:
        self._made, self._bands, self._calibration = made, bands, calibration
        self._numbers = [band.number for band in bands]
        self._out, self._target = out, target
        self.shape = (made.height, made.width)
        shape = (len(bands), made.height, made.width)
        self._mosaic = Mosaic(shape, np.dtype(np.float32), (SIDE, SIDE), self._finished)

    def __setitem__(self, area: Area, log_scale: Floats) -> None:
        box = box_of(area, self.shape)
        valid = self._made.valid(self._numbers, box)
        spreads = [band.spread for band in self._bands if band.spread is not None]
        spans = np.array([spread.high - spread.low for spread in spreads], np.float64)
        half = self._calibration.half_width(log_scale, LEVEL) * spans[:, None, None]
        self._mosaic.put(box.top, box.left, np.where(valid, half, np.nan).astype(np.float32))

    def _finished(self, box: Box, samples: NDArray[Any]) -> None:
        with files.writing(self._target):
            self._out.write(samples, self._numbers, window=files.window(box))


def _groups(work: Work) -> Iterator[list[Band]]:
    """Bands that the network saw together, without opacity."""
    for bands in work.passes:
        shown = [band for band in bands if band.spread is not None and not band.is_alpha]
        colours = [band for band in shown if band.is_color]
        if colours:
            yield colours
        yield from ([band] for band in shown if not band.is_color)


def _creation(made: Opened) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "width": made.width,
        "height": made.height,
        "count": made.count,
        "dtype": "float32",
        "nodata": np.nan,
        "INTERLEAVE": "BAND",
        "TILED": "YES",
        "BLOCKXSIZE": SIDE,
        "BLOCKYSIZE": SIDE,
        "COMPRESS": "DEFLATE",
        "PREDICTOR": 3,
        "BIGTIFF": "IF_SAFER",
    }


def _describe(work: Work, out: Any) -> None:
    source = work.raster.dataset
    files.copy_georeference(source, out, work.grid)
    if any(scale != 1 for scale in source.scales):
        out.scales = source.scales
    for number, name, unit in zip(source.indexes, source.descriptions, source.units, strict=True):
        if name:
            out.set_band_description(number, name)
        if unit:
            out.set_band_unit(number, unit)
