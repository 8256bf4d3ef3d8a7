"""Plain TIFFs larger than memory: read in windows by libvips, written tile by tile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from reslift.errors import InputError, ResliftError, one_line
from reslift.files import atomic_write
from reslift.formats import exif, packet, turn, vips
from reslift.formats.bare import readable
from reslift.formats.base import Facts, Picture
from reslift.formats.ifd import Structure
from reslift.formats.tiff import HEIGHT, WIDTH, Tiff, graft
from reslift.limits import Limits
from reslift.media.base import PLAIN, Enlarger, Extent, Medium, Progress, Wishes
from reslift.media.boundary import reading, writing
from reslift.media.mosaic import Mosaic
from reslift.media.recorded import in_xmp, is_right_size, record_in, told
from reslift.media.tiff_tiles import SIDE, TileFile
from reslift.pixels.agreement import NAMES, Layer
from reslift.pixels.planes import Pixels, Planes
from reslift.pixels.regrid import Regrid
from reslift.pixels.tiles import Box
from reslift.provenance import Record

LARGE = 2**26
TIFF = Tiff()
Area = tuple[slice, slice]


class LargeTiff(Medium):
    """TIFF of 67 million pixels and more, 8 or 16 bits: gray, RGB, CMYK, with or without alpha.

    The result is a tiled BigTIFF. Others of that size (floats, palettes) are read as a whole.
    """

    name = "large-tiff"
    label = "a TIFF of more than 67 million pixels"
    suffixes = (".tif", ".tiff", ".btf", ".tf8")
    extra = ""
    heeds = frozenset({"strip_metadata"})

    def recognises(self, path: Path, head: bytes) -> bool:
        if not TIFF.recognises(head):
            return False
        try:
            with path.open("rb") as file:
                structure = Structure(file)
                tags, _ = structure.directory(structure.first)
                sides = [structure.integers(tags.get(side)) for side in (WIDTH, HEIGHT)]
                if not all(sides) or sides[0][0] * sides[1][0] < LARGE:
                    return False
                layout = TIFF.inspect(file).private
        except (ResliftError, OSError, ValueError, OverflowError):
            return False
        plain = layout["bits"] in (8, 16) and layout["sample"] == 1 and layout["photometric"] != 3
        return plain and not layout["foreign"]

    def peek(self, path: Path, limits: Limits, wishes: Wishes = PLAIN) -> Extent:
        with reading(path):
            size = path.stat().st_size
        limits.check("file_bytes", size, one_line(path))
        with _opened(path) as (_, facts):
            limits.check("input_pixels", facts.width * facts.height, one_line(path))
            limits.check("input_pixels", facts.private["tile"], f"{one_line(path)}: one tile")
            return Extent(*_upright(facts, facts.width, facts.height))

    def upscale(
        self,
        enlarger: Enlarger,
        source: Path,
        target: Path,
        wishes: Wishes,
        progress: Progress | None = None,
    ) -> tuple[str, ...]:
        self.peek(source, enlarger.limits)
        with _opened(source) as (opened, facts), readable(opened) as file:
            window = Window(source, file, facts)
            planes = Planes(cast(Any, window), facts.space, facts.alpha)
            shown = _upright(facts, facts.width, facts.height)
            width, height = _upright(facts, *enlarger.size.of(*shown))
            ratio = Regrid(facts.width, facts.height, width, height).ratio
            with (
                atomic_write(target, overwrite=wishes.overwrite) as temporary,
                temporary.open("r+b") as made,
            ):
                tiles = TileFile(made, width, height, facts)
                sheet = Sheet(tiles, facts.bands, window.dtype)
                exact = facts.lossless
                enlarger.run(planes, cast(Any, sheet), progress, exact=exact)
                record = told(enlarger, source, wishes, exact=exact, ratios=(ratio,))
                meta, notes = in_xmp(_metadata(facts, width, height, wishes), record, TIFF.name)
                with writing(target):
                    tiles.finish()
                    graft(made, meta)
        return (*facts.notes, *notes)

    def keeps_samples(self, source: Path, target: Path) -> bool:
        with _opened(source) as (_, facts):
            return facts.lossless

    def record(self, result: Path) -> Record | None:
        with _opened(result) as (_, facts):
            return record_in(facts)

    def verify(self, source: Path, target: Path) -> tuple[str, ...]:
        with _opened(source) as (_, before), _opened(target) as (_, after):
            found = []
            small, large = (_upright(facts, facts.width, facts.height) for facts in (before, after))
            if not is_right_size(small, large, after):
                found.append(f"{small[0]}×{small[1]} pixels became {large[0]}×{large[1]}")
            if _kind(before) != _kind(after):
                found.append("the samples are of another kind")
            for name in ("icc", "resolution"):
                if getattr(before, name) != getattr(after, name):
                    found.append(f"{'profile' if name == 'icc' else name}: not that of the source")
            return tuple(found)

    def layers(self, source: Path, target: Path) -> Iterator[Layer]:
        with (
            _opened(source) as (opened, before),
            readable(opened) as file,
            _opened(target) as (made, after),
        ):
            same = before.orientation == after.orientation and _kind(before) == _kind(after)
            if not same or after.width < before.width or after.height < before.height:
                return
            small, large = Window(source, file, before), Window(target, made, after)
            names = (*NAMES[before.space], "alpha") if before.alpha else NAMES[before.space]
            for plane, name in enumerate(names):
                yield _layer(name, plane, small, large, before.alpha and name != "alpha")


def _kind(facts: Facts) -> tuple[object, ...]:
    return facts.space, facts.alpha, facts.bits


def _layer(name: str, plane: int, small: Window, large: Window, is_hidden: bool) -> Layer:
    """is_hidden: an opacity plane, the last, says where the colour counts."""

    def visible(box: Box) -> NDArray[np.bool_]:
        return np.asarray(small[box.slices()][..., -1] > 0)

    return Layer(
        name,
        (small.shape[0], small.shape[1]),
        (large.shape[0], large.shape[1]),
        lambda box: small[box.slices()][..., plane],
        lambda box: large[box.slices()][..., plane],
        0.0,
        float(2 ** (8 * small.dtype.itemsize) - 1),
        1.0,
        whole=True,
        valid=visible if is_hidden else None,
    )


class Window:
    """The pixels of an open TIFF, (h, w, bands) at a time.

    Tiles are read as they are asked for. Strips can only be read from the top: the rows that the
    last call asked for are held, so that the cells of one row decode them once.
    """

    def __init__(self, path: Path, file: BinaryIO, facts: Facts) -> None:
        self._path, self._file = path, file
        self.shape = (facts.height, facts.width, facts.bands)
        self.dtype = np.dtype(np.uint8 if facts.bits == 8 else np.uint16)
        self._is_tiled = facts.private["tile"] > 0
        self._open()
        image = self._image
        if (image.height, image.width, image.bands) != self.shape:
            raise InputError(f"cannot use {one_line(path)}: header and content differ in size")

    def _open(self, top: int = 0) -> None:
        access = "random" if self._is_tiled else "sequential"
        with reading(self._path):
            self._image = vips.aside(lambda: vips.opened_tiff(self._file, access))
            self._region = vips.library().Region.new(self._image)
        self._rows: NDArray[Any] = np.empty((0, *self.shape[1:]), self.dtype)
        self._top = top

    def __getitem__(self, area: Area) -> Pixels:
        rows, columns = area
        if self._is_tiled:
            return self._fetch(columns.start, rows.start, columns.stop, rows.stop)
        if rows.start < self._top:
            self._open(rows.start)
        bottom = self._top + len(self._rows)
        if rows.stop > bottom:
            kept = self._rows[max(0, rows.start - self._top) :]
            fresh = self._fetch(0, bottom, self.shape[1], rows.stop)
            self._rows, self._top = np.concatenate((kept, fresh)), bottom - len(kept)
        return self._rows[rows.start - self._top : rows.stop - self._top, columns]

    def _fetch(self, left: int, top: int, right: int, bottom: int) -> Pixels:
        wide, high = right - left, bottom - top
        with reading(self._path):
            data = vips.aside(
                lambda: self._region.fetch(left, top, wide, high),
                stop=lambda: self._image.set_kill(True),
            )
        return np.frombuffer(data, self.dtype).reshape(high, wide, self.shape[2])


class Sheet:
    """The result, set in pieces (h, w, bands) and written as soon as a tile is whole."""

    def __init__(self, tiles: TileFile, bands: int, dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype = (tiles.height, tiles.width, bands), dtype
        shape = (bands, tiles.height, tiles.width)
        self._mosaic = Mosaic(shape, dtype, (SIDE, SIDE), tiles.write)
        self.nbytes = self._mosaic.held()

    def __setitem__(self, area: Area, piece: Pixels) -> None:
        (top, _, _), (left, _, _) = (
            part.indices(side) for part, side in zip(area, self.shape, strict=False)
        )
        self._mosaic.put(top, left, piece.transpose(2, 0, 1))


def _upright(facts: Facts, width: int, height: int) -> tuple[int, int]:
    """Stored sides as they are shown, or shown ones as they are stored."""
    return (height, width) if facts.orientation >= turn.SWAPS_SIDES else (width, height)


def _metadata(facts: Facts, width: int, height: int, wishes: Wishes) -> Picture:
    block = exif.sized(facts.exif, width, height) if facts.exif else None
    xmp = packet.sized(facts.xmp, width, height) if facts.xmp else None
    dtype = np.uint8 if facts.bits == 8 else np.uint16
    return Picture(
        np.zeros((1, 1, facts.bands), dtype),
        facts.space,
        facts.alpha,
        facts.icc,
        None if wishes.strip_metadata else block,
        None if wishes.strip_metadata else xmp,
        facts.resolution,
        "tiff",
        extra=() if wishes.strip_metadata else facts.extra,
    )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, Facts]]:
    with reading(path):
        file = path.open("rb")
    with file:
        with reading(path):
            facts = TIFF.inspect(file)
        yield file, facts
