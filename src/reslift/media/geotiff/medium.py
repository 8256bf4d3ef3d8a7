"""GeoTIFF and other rasters on a map: any bands and sample types, window by window.

::

    survey of each band ──► groups of bands ──► windows ⇄ network ──► tiles ──► file (──► COG)

Memory is that of a cell and of the tiles begun, whatever the size of the raster.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from reslift.errors import InputError, one_line
from reslift.files import atomic_write
from reslift.formats import world
from reslift.formats.ifd import Structure
from reslift.limits import Limits
from reslift.media.base import PLAIN, Enlarger, Extent, Medium, Progress, Wishes
from reslift.media.geotiff import check, halves
from reslift.media.geotiff import file as files
from reslift.media.geotiff import layout as layouts
from reslift.media.geotiff import plan as planning
from reslift.media.geotiff import write as writer
from reslift.media.geotiff.plan import Work
from reslift.pixels.agreement import Layer
from reslift.provenance import Record

TIFFS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MOST_BANDS = 1000
GEO_TAGS = {33550, 33922, 34264, 34735, 42112, 42113, 50844}
PHOTOMETRIC, SAMPLES = 262, 277
COLOURS = {0: 1, 1: 1, 2: 3, 5: 4}
"""Samples of a pixel by its photometric kind, further ones apart."""
WORLD_FILES = (".tfw", ".tifw", ".tiffw", ".wld")
PLACING = {
    **dict.fromkeys(("_RPC.TXT", "_rpc.txt"), b"LINE_OFF"),
    **dict.fromkeys((".RPB", ".rpb"), b"lineOffset"),
    **dict.fromkeys((".tab", ".TAB"), b"RASTER"),
}
"""Ends of the names of files beside a TIFF that GDAL reads a place from; a word that is in them."""
SIDE_BYTES = 2**16


class GeoTiff(Medium):
    """Rasters on a map: GeoTIFF and COG in and out, JPEG 2000 in.

    A TIFF is one of them where it has a tag of GeoTIFF or GDAL, more bands than a picture, or
    beside it a world file, a georeferencing ``.aux.xml``, RPC or a table of MapInfo.
    """

    name = "geotiff"
    label = "a raster on a map"
    suffixes = (".tif", ".tiff")
    reads = (".jp2",)
    extra = "geo"
    keeps_shape = True
    heeds = frozenset(
        {"layout", "compression", "overviews", "separate_bands", "classes", "quality"}
    )

    def recognises(self, path: Path, head: bytes) -> bool:
        if head.startswith(files.JPEG_2000):
            return True
        if head[:4] not in TIFFS or head[8:10] == b"CR":
            return False
        try:
            with path.open("rb") as file:
                structure = Structure(file)
                tags, _ = structure.directory(structure.first)
                samples = (structure.integers(tags.get(SAMPLES)) or (1,))[0]
                kind = (structure.integers(tags.get(PHOTOMETRIC)) or (-1,))[0]
        except (InputError, OSError, ValueError, OverflowError):
            return False
        # Counted, since many files do not say what their further samples are.
        many = samples > 5 or (kind in COLOURS and samples > COLOURS[kind] + 1)
        return bool(GEO_TAGS & tags.keys()) or many or _has_side_file(path)

    def peek(self, path: Path, limits: Limits, wishes: Wishes = PLAIN) -> Extent:
        with files.reading(path):
            size = path.stat().st_size
        limits.check("file_bytes", size, one_line(path))
        with files.opened(path) as raster:
            if raster.count > MOST_BANDS:
                raise InputError(f"cannot use {one_line(path)}: {raster.count:,} bands")
            extent = Extent(raster.width, raster.height, runs=planning.runs(raster, wishes))
            limits.check("input_pixels", extent.pixels, one_line(path))
            planning.check(raster)
        return extent

    def known(self, source: Path) -> tuple[Path, ...]:
        with files.opened(source) as raster:
            own = (source.absolute(), Path(f"{source.absolute()}.ovr"))
            return tuple(path for path in map(Path, raster.dataset.files) if path not in own)

    def maps(self, target: Path) -> tuple[Path, ...]:
        return (halves.beside(target),)

    def upscale(
        self,
        enlarger: Enlarger,
        source: Path,
        target: Path,
        wishes: Wishes,
        progress: Progress | None = None,
    ) -> tuple[str, ...]:
        self.peek(source, enlarger.limits, wishes)
        with files.opened(source) as raster:
            work = planning.plan(raster, target, enlarger.size, wishes)
            with atomic_write(target, overwrite=wishes.overwrite) as temporary:
                try:
                    writer.write(work, enlarger, temporary, wishes, progress)
                    trust = _map(work, enlarger, temporary, wishes)
                    files.move_side_files(temporary, target)
                finally:
                    files.remove_side_files(temporary)
            return (*work.notes, *trust)

    def keeps_samples(self, source: Path, target: Path) -> bool:
        with files.opened(source) as raster, files.opened(target) as made:
            return not (layouts.is_damaged(raster) or layouts.is_damaged(made))

    def record(self, result: Path) -> Record | None:
        with files.opened(result) as made:
            return check.record_of(made)

    def verify(self, source: Path, target: Path) -> tuple[str, ...]:
        with files.opened(source) as raster, files.opened(target) as made:
            planning.check(raster)
            return tuple(check.differences(raster, made))

    def layers(self, source: Path, target: Path) -> Iterator[Layer]:
        with files.opened(source) as raster, files.opened(target) as made:
            yield from check.layers(raster, made)


def _map(work: Work, enlarger: Enlarger, made: Path, wishes: Wishes) -> tuple[str, ...]:
    if not wishes.uncertainty:
        return ()
    return (halves.write(work, enlarger.judge, made, overwrite=wishes.overwrite),)


def world_file(path: Path) -> Path | None:
    """The world file beside a TIFF; None where there is none."""
    return next((side for s in WORLD_FILES if (side := path.with_suffix(s)).is_file()), None)


def _has_side_file(path: Path) -> bool:
    return world_file(path) is not None or world.is_told_aside(path) or _is_placed(path)


def _is_placed(path: Path) -> bool:
    for ending, word in PLACING.items():
        with contextlib.suppress(OSError), path.with_name(path.stem + ending).open("rb") as file:
            if word in file.read(SIDE_BYTES):
                return True
    return False
