"""From settled work to a file: pixels, masks, overviews, and the copy that makes it a COG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from reslift.errors import InputError
from reslift.files import part_name
from reslift.media.base import Enlarger, Progress, Wishes
from reslift.media.geotiff import file as files
from reslift.media.geotiff import layout as layouts
from reslift.media.geotiff import opacity, points, tables
from reslift.media.geotiff.check import in_place
from reslift.media.geotiff.plan import Work, windows
from reslift.media.geotiff.windows import Band, Result, Source
from reslift.media.mosaic import Mosaic
from reslift.media.recorded import told
from reslift.pixels import tiles
from reslift.pixels.planes import Planes
from reslift.pixels.tiles import Box


def write(
    work: Work, enlarger: Enlarger, path: Path, wishes: Wishes, progress: Progress | None
) -> None:
    """Fill the file at `path`.

    Raises OutputError where it cannot be written, InputError where the source cannot be read.
    """
    import rasterio.shutil

    cache, exact = files.block_cache(work.raster, tiles.CELL), keeps_samples(work)
    with files.environment(cache):
        if work.layout.kind != "cog":
            _plain(work, enlarger, path, wishes, progress, exact)
            _add_unwritten(work, path)
            files.check_whole(path, work.target)
            return
        with _scratch(path) as scratch:
            packed = "deflate" if work.layout.compression == "none" else "zstd"
            quick = replace(work.layout, kind="tiles", compression=packed, overviews=False)
            plain = replace(work, layout=quick)
            _plain(plain, enlarger, scratch, wishes, progress, exact)
            options = layouts.cog_creation(work.raster, work.layout, wishes.quality)
            with files.writing(work.target):
                rasterio.shutil.copy(scratch, path, strict=False, **options)
        _check(work, path)
        _add_unwritten(work, path)
        files.check_whole(path, work.target)


def _add_unwritten(work: Work, path: Path) -> None:
    """What the source says and GDAL does not write, or not as it is."""
    with files.writing(work.target):
        tables.add(tables.of(work.raster.path), path)
        if opacity.is_multiplied(work.raster.path):
            opacity.mark_multiplied(path)
        points.settle(path, work.raster.dataset, work.grid)


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    scratch = path.with_name(part_name(".tif"))
    try:
        yield scratch
    finally:
        scratch.unlink(missing_ok=True)
        files.remove_side_files(scratch)


def _plain(
    work: Work,
    enlarger: Enlarger,
    path: Path,
    wishes: Wishes,
    progress: Progress | None,
    exact: bool,
) -> None:
    import rasterio
    from rasterio.enums import Resampling

    raster = work.raster
    options = layouts.creation(raster, work.layout, work.grid, wishes.quality)
    record = told(enlarger, raster.path, wishes, exact=exact, ratios=(work.grid.ratio,))
    with files.writing(work.target):
        target = rasterio.open(path, "w", **options)
    try:
        with files.writing(work.target):
            files.copy_georeference(raster.dataset, target, work.grid)
            files.copy_metadata(raster.dataset, target, work.grid)
            if record is not None:
                target.update_tags(**{files.RECORD: record.as_json()})
        for bands in work.passes:
            _enlarge(work, bands, enlarger, target, progress, exact)
        if work.has_mask:
            _write_mask(work, target)
    finally:
        with files.writing(work.target):
            target.close()
        if raster.nodata_differs:  # Known before overviews are made of them.
            tables.add(tables.of_nodata(raster.dataset.nodatavals), path)
    _check(work, path)
    if work.layout.overviews:
        with files.writing(work.target), rasterio.open(path, "r+") as target:
            factors = layouts.overview_factors(target.height, target.width)
            target.build_overviews(factors, Resampling[layouts.resampling(raster)])


def _enlarge(
    work: Work,
    bands: Sequence[Band],
    enlarger: Enlarger,
    target: Any,
    progress: Progress | None,
    exact: bool,
) -> None:
    raster, grid = work.raster, work.grid
    in_order = sorted(range(len(bands)), key=lambda i: bands[i].number)
    numbers = [bands[i].number for i in in_order]

    def finished(box: Box, samples: NDArray[Any]) -> None:
        with files.writing(work.target):
            target.write(samples[in_order], numbers, window=files.window(box))

    shape = (len(bands), grid.high, grid.wide)
    mosaic = Mosaic(shape, raster.dtype, work.layout.block, finished)
    result = Result(raster, bands, grid, mosaic)
    through = [band for band in bands if band.spread is not None]
    told = _shared(progress, len(work.passes))
    if not through:
        for box in tiles.grid(grid.high, grid.wide):
            result[box.slices()] = np.empty((box.height, box.width, 0), np.float32)
            told(box.pixels)
        return
    space = "rgb" if sum(band.is_color for band in through) == 3 else "gray"
    pixels = cast(Any, Source(raster, through))
    enlarger.run(Planes(pixels, space, False), cast(Any, result), told, exact=exact)


def keeps_samples(work: Work) -> bool:
    """Whether neither source nor result loses samples when it is saved."""
    return not (layouts.is_damaged(work.raster) or work.layout.is_lossy)


def _shared(progress: Progress | None, passes: int) -> Progress:
    """`progress` for one of several passes: together they tell each pixel once."""
    told = 0

    def share(pixels: int) -> None:
        nonlocal told
        before = told // passes
        told += pixels
        if progress is not None:
            progress(told // passes - before)

    return share


def _write_mask(work: Work, target: Any) -> None:
    """The mask of the source, each pixel repeated."""
    raster, grid = work.raster, work.grid
    for box in windows(target.height, target.width, work.layout.block):
        inner = grid.under(box)
        with files.reading(raster.path):
            mask = raster.dataset.read_masks(1, window=files.window(inner))
        with files.writing(work.target):
            target.write_mask(grid.nearest(mask, box, inner), window=files.window(box))


def _check(work: Work, path: Path) -> None:
    """Read the corners of what was written: a full disk may show only now."""
    source, (height, width) = work.raster.dataset, (work.grid.high, work.grid.wide)
    try:
        with files.opened(path) as made:
            sound = (made.height, made.width, made.count) == (height, width, source.count)
            sound = sound and (source.transform.is_identity or in_place(source, made.dataset))
            for box in (Box(0, 1, 0, 1), Box(height - 1, height, width - 1, width)):
                made.samples([source.count], box)
    except InputError:
        sound = False
    if not sound:
        raise files.unsound(work.target)
