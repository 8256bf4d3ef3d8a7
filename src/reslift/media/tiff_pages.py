"""TIFFs that a single picture of 8 or 16 bits cannot stand for: several pages, and measured values.

page ──► 8 and 16 bits as they are ─────────────► network ──┐
    └──► floats, signed, 32 bits ──► intensities ───────────┴──► page of the same kind
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reslift import formats
from reslift.errors import InputError, ResliftError, one_line
from reslift.files import atomic_write
from reslift.formats import exif, packet, tiff, tiff_samples, turn
from reslift.formats.base import COLOURS, Facts, Picture
from reslift.formats.ifd import Structure
from reslift.limits import Limits
from reslift.media import tiff_halves
from reslift.media.base import PLAIN, Enlarger, Extent, Medium, Progress, Wishes
from reslift.media.boundary import reading, writing
from reslift.media.intensities import Census, Mask, Window, enlarge, half_widths
from reslift.media.recorded import in_xmp, is_right_size, record_in, told
from reslift.media.tiff_halves import Halves
from reslift.pixels.agreement import Layer, bounds_of, known_of, of_pictures, of_values
from reslift.pixels.planes import Planes
from reslift.pixels.regrid import Regrid
from reslift.provenance import Record
from reslift.sizes import Size

TIFF = tiff.Tiff()
UNSIGNED, SIGNED, FLOAT = 1, tiff_samples.SIGNED, tiff_samples.FLOAT
PHOTOMETRICS = {"gray": "minisblack", "rgb": "rgb", "cmyk": "separated"}
CLASSIC_BYTES = 2**32 - 2**26
UNLIMITED = Limits().changed(input_pixels=10**12, file_bytes=10**12)
Samples = NDArray[Any]


@dataclass(frozen=True)
class Sheet:
    """A page before it is decoded."""

    facts: Facts

    @property
    def measured(self) -> bool:
        """Whether its samples are values, and not shades of 8 or 16 bits."""
        return _is_measured(self.facts.private)

    @property
    def white_is_zero(self) -> bool:
        """Whether the least of its values is shown white, and stays so."""
        return tiff_samples.is_white_zero(self.facts.private)

    @property
    def is_half(self) -> bool:
        """Whether its values are 16-bit floats."""
        return tiff_samples.is_half(self.facts.private["sample"], self.facts.private["bits"])

    @property
    def sides(self) -> tuple[int, int]:
        """Width and height, upright."""
        width, height = self.facts.width, self.facts.height
        return (height, width) if self.facts.orientation >= turn.SWAPS_SIDES else (width, height)

    def grid(self, size: Size) -> Regrid:
        """From its pixels, upright, to those of the result."""
        return Regrid(*self.sides, *size.of(*self.sides))


class TiffPages(Medium):
    """TIFF of several pages, each with its size, depth, profile and resolution, or of values."""

    name = "tiff-pages"
    label = "a TIFF of several pages or of measured values"
    suffixes = TIFF.suffixes
    extra = ""
    heeds = frozenset({"quality", "strip_metadata"})

    def recognises(self, path: Path, head: bytes) -> bool:
        if not TIFF.recognises(head):
            return False
        try:
            with path.open("rb") as file:
                structure = Structure(file)
                pages = tiff.pages(structure)
                facts = TIFF.inspect_page(structure, pages[0])
                return len(pages) > 1 or _is_measured(facts.private)
        except (ResliftError, OSError, ValueError, OverflowError, struct.error):
            return False

    def peek(self, path: Path, limits: Limits, wishes: Wishes = PLAIN) -> Extent:
        sides = [sheet.sides for sheet in _sheets(path, limits)]
        width, height = max(sides, key=lambda pair: pair[0] * pair[1])
        return Extent(width, height, len(sides))

    def check_target(self, target: Path, extent: Extent, wanted: tuple[int, int]) -> None:
        if extent.frames > 1:
            super().check_target(target, extent, wanted)
        else:
            formats.format_of(target)

    def upscale(
        self,
        enlarger: Enlarger,
        source: Path,
        target: Path,
        wishes: Wishes,
        progress: Progress | None = None,
    ) -> tuple[str, ...]:
        sheets, limits, size = _sheets(source, enlarger.limits), enlarger.limits, enlarger.size
        grids = [sheet.grid(size) for sheet in sheets]
        for grid in grids:
            what = f"{one_line(source)} enlarged"
            limits.check("output_pixels", grid.wide * grid.high, what)
        extent = Extent(*sheets[0].sides, len(sheets))
        self.check_target(target, extent, (grids[0].wide, grids[0].high))
        if formats.format_of(target) != TIFF.name:
            return _as_still(enlarger, source, target, wishes, progress)
        metas = [_meta(sheet, size, wishes) for sheet in sheets]
        exact = all(sheet.facts.lossless for sheet in sheets)
        ratios = [grid.ratio for grid in grids]
        record = told(enlarger, source, wishes, exact=exact, ratios=ratios)
        metas[0], lost = in_xmp(metas[0], record, TIFF.name)
        if wishes.uncertainty:
            tiff_halves.check_spaces(source, {sheet.facts.space for sheet in sheets})
        total = sum(g.wide * g.high * s.facts.bands for g, s in zip(grids, sheets, strict=True))
        with (
            atomic_write(target, overwrite=wishes.overwrite) as temporary,
            writing(target),
            tiff_halves.opened(enlarger, target, total, wishes) as halves,
        ):
            with _writer(temporary, sheets, size) as writer:
                for sheet in sheets:
                    pixels = _decoded(source, sheet, limits)
                    result = _enlarged(enlarger, sheet, pixels, progress)
                    _append(writer, result, sheet)
                    if halves is not None:
                        _add_halves(halves, enlarger, sheet, pixels, result)
            with temporary.open("r+b") as file:
                tiff.graft(file, *metas)
        notes = [*lost, *(note for sheet in sheets for note in sheet.facts.notes)]
        notes += ["16-bit floats become 32-bit floats"] * any(sheet.is_half for sheet in sheets)
        notes += [tiff_halves.sentence(enlarger, target)] if wishes.uncertainty else []
        return tuple(dict.fromkeys(notes))

    def maps(self, target: Path) -> tuple[Path, ...]:
        is_tiff = formats.format_of(target) == TIFF.name
        return (tiff_halves.beside(target),) if is_tiff else ()

    def record(self, result: Path) -> Record | None:
        return record_in(_sheets(result, UNLIMITED)[0].facts)

    def verify(self, source: Path, target: Path) -> tuple[str, ...]:
        limits = UNLIMITED
        before, after = _sheets(source, limits), _sheets(target, limits)
        if len(before) != len(after):
            return (f"{len(before)} pages became {len(after)}",)
        found, first = [], after[0].facts
        for number, (old, new) in enumerate(zip(before, after, strict=True), 1):
            if not is_right_size(old.sides, new.sides, first):
                found.append(f"page {number} is of another size")
            elif not _is_alike(old, new):
                found.append(f"page {number} has samples of another kind")
            elif old.measured and not _covers(old, new, (source, target), limits):
                found.append(f"page {number} has values outside the range of the original")
        return tuple(found)

    def keeps_samples(self, source: Path, target: Path) -> bool:
        if formats.format_of(target) != TIFF.name:
            return False
        return all(sheet.facts.lossless for sheet in _sheets(source, UNLIMITED))

    def layers(self, source: Path, target: Path) -> Iterator[Layer]:
        before, after = _sheets(source, UNLIMITED), _sheets(target, UNLIMITED)
        if len(before) != len(after):
            return
        for number, (old, new) in enumerate(zip(before, after, strict=True), 1):
            larger = all(a <= b for a, b in zip(old.sides, new.sides, strict=True))
            if not larger or not _is_alike(old, new):
                continue
            small, large = _decoded(source, old, UNLIMITED), _decoded(target, new, UNLIMITED)
            page = f"page {number} " if len(before) > 1 else ""
            if not old.measured:
                yield from of_pictures(small, large, old.facts.space, old.facts.alpha, page)
                continue
            for group in _groups(old.facts, small.shape[2]):
                bands = range(group.start, group.stop)
                bounds = bounds_of((small[..., band], None) for band in bands)
                for band in bands:
                    name = f"{page}band {band + 1}" if small.shape[2] > 1 else f"{page}values"
                    yield of_values(name, small[..., band], large[..., band], bounds)


def _is_alike(old: Sheet, new: Sheet) -> bool:
    """Whether samples are of one kind; 16-bit floats may have become 32-bit ones."""
    return _kind(new) in (_kind(old), _kind(old, 32 if old.is_half else None))


def _kind(sheet: Sheet, bits: int | None = None) -> tuple[object, ...]:
    """bits: of a value, instead of those it has."""
    facts = sheet.facts
    values = facts.private["sample"], bits or facts.private["bits"], sheet.white_is_zero
    return facts.space, facts.alpha, facts.bits, values if sheet.measured else None


def _covers(old: Sheet, new: Sheet, paths: tuple[Path, Path], limits: Limits) -> bool:
    """Whether all values lie between the least and the most of the original."""
    before, after = (
        _decoded(path, sheet, limits) for path, sheet in zip(paths, (old, new), strict=True)
    )
    known = before[known_of(before)]
    found = after[known_of(after)]
    if not known.size:
        return not found.size
    return bool(found.size and known.min() <= found.min() and found.max() <= known.max())


def _is_measured(layout: dict[str, Any]) -> bool:
    if layout["photometric"] not in (0, 1, 2, 5):
        return False
    kind, bits = layout["sample"], layout["bits"]
    return kind in (SIGNED, FLOAT) or (kind == UNSIGNED and bits in (32, 64))


def _sheets(path: Path, limits: Limits) -> list[Sheet]:
    with reading(path), path.open("rb") as file:
        limits.check("file_bytes", file.seek(0, 2), "the file")
        structure = Structure(file)
        pages = tiff.pages(structure, strict=True)
        limits.check("frames", len(pages), "the pages")
        sheets: list[Sheet] = []
        for page in pages:
            facts = TIFF.inspect_page(structure, page)
            if facts.width < 1 or facts.height < 1:
                raise InputError(f"page {len(sheets) + 1} has no pixels")
            what = f"page {len(sheets) + 1}, {facts.width}×{facts.height}"
            limits.check("input_pixels", facts.width * facts.height, what)
            sheets.append(Sheet(facts))
        notes = (*sheets[0].facts.notes, *tiff.left_out(structure))
        sheets[0] = replace(sheets[0], facts=replace(sheets[0].facts, notes=notes))
        return sheets


def _decoded(path: Path, sheet: Sheet, limits: Limits) -> Samples:
    """The samples, upright; those of a picture in 8 or 16 bits."""
    with reading(path), path.open("rb") as file:
        if sheet.measured:
            pixels = tiff_samples.samples(file, sheet.facts, limits)
        else:
            pixels, _ = TIFF.decode(file, sheet.facts, limits)
        return turn.upright(pixels, sheet.facts.orientation)


def _enlarged(
    enlarger: Enlarger, sheet: Sheet, pixels: Samples, progress: Progress | None
) -> Samples:
    facts, grid, bands = sheet.facts, sheet.grid(enlarger.size), pixels.shape[2]
    out = np.empty((grid.high, grid.wide, bands), pixels.dtype)
    if not sheet.measured:
        planes = Planes(pixels, facts.space, facts.alpha)
        enlarger.run(planes, out, progress, exact=facts.lossless)
        return out
    for group in _groups(facts, bands):
        with np.errstate(invalid="ignore"):
            made = enlarge(enlarger, *_seen(sheet, pixels[..., group]), exact=facts.lossless)
        out[..., group] = made.reshape(grid.high, grid.wide, -1)
    if progress:
        progress(out.shape[0] * out.shape[1])
    return out


def _groups(facts: Facts, bands: int) -> list[slice]:
    """Bands of values that go through the network together: colours, and any other alone."""
    first = 3 if facts.space == "rgb" and bands >= 3 else 0
    return [slice(0, first)] * bool(first) + [slice(n, n + 1) for n in range(first, bands)]


def _seen(sheet: Sheet, values: Samples) -> tuple[Samples, Window, Mask | None]:
    """(h, w, C) as the network is to see it; what is no number takes no part and stays so."""
    flat = values if values.shape[2] == 3 else values[..., 0]
    missing = np.asarray(~known_of(values).all(axis=2))
    padding = missing if missing.any() else None
    census = Census(values.shape[0] * values.shape[1])
    census.add(flat, padding)
    window = census.window()
    return flat, window.inverted() if sheet.white_is_zero else window, padding


def _add_halves(
    halves: Halves, enlarger: Enlarger, sheet: Sheet, pixels: Samples, result: Samples
) -> None:
    if not sheet.measured:
        halves.add_picture(Planes(pixels, sheet.facts.space, sheet.facts.alpha), result)
        return
    wide = np.empty(result.shape, np.float32)
    for group in _groups(sheet.facts, result.shape[2]):
        flat, window, padding = _seen(sheet, pixels[..., group])
        made = result[..., group] if flat.ndim > 2 else result[..., group.start]
        wide[..., group] = half_widths(enlarger, flat, made, window, padding)[..., None]
    halves.add_values(wide)


@contextmanager
def _writer(path: Path, sheets: list[Sheet], size: Size) -> Iterator[Any]:
    import tifffile

    grids = [sheet.grid(size) for sheet in sheets]
    total = sum(
        grid.wide * grid.high * sheet.facts.bands * _bytes(sheet)
        for sheet, grid in zip(sheets, grids, strict=True)
    )
    with tifffile.TiffWriter(path, bigtiff=total > CLASSIC_BYTES, byteorder="<") as writer:
        yield writer


def _bytes(sheet: Sheet) -> int:
    return 4 if sheet.is_half else max(sheet.facts.bits, int(sheet.facts.private["bits"])) // 8


def _append(writer: Any, pixels: Samples, sheet: Sheet) -> None:
    kind = "miniswhite" if sheet.white_is_zero else PHOTOMETRICS[sheet.facts.space]
    whole = pixels.dtype.kind in "iu" and pixels.itemsize <= 2
    writer.write(
        pixels if pixels.shape[2] > 1 else pixels[..., 0],
        photometric=kind,
        planarconfig="contig" if pixels.shape[2] > 1 else None,
        extrasamples=["unassalpha"] if sheet.facts.alpha else None,
        compression="zlib",
        predictor=whole,
        metadata=None,
        software=False,
        contiguous=False,
    )


def _meta(sheet: Sheet, size: Size, wishes: Wishes) -> Picture:
    """Metadata of a page, on a single pixel."""
    facts, bare = sheet.facts, wishes.strip_metadata
    width, height = size.of(*sheet.sides)
    block, xmp, resolution = facts.exif, facts.xmp, facts.resolution
    if facts.orientation != 1:
        block = exif.upright(block) if block else None
        xmp = packet.upright(xmp, facts.orientation) if xmp else None
        if resolution and facts.orientation >= turn.SWAPS_SIDES:
            resolution = (resolution[1], resolution[0], resolution[2])
    return Picture(
        np.zeros((1, 1, COLOURS[facts.space] + facts.alpha), np.uint8),
        facts.space,
        facts.alpha,
        facts.icc,
        exif.sized(block, width, height) if block and not bare else None,
        packet.sized(xmp, width, height) if xmp and not bare else None,
        resolution,
        TIFF.name,
        extra=() if bare else facts.extra,
    )


def _as_still(
    enlarger: Enlarger, source: Path, target: Path, wishes: Wishes, progress: Progress | None
) -> tuple[str, ...]:
    """A single page of values as a picture of 16 bits."""
    picture = formats.read(source, enlarger.limits)
    height, width, bands = picture.pixels.shape
    grid = Regrid(width, height, *enlarger.size.of(width, height))
    out = np.empty((grid.high, grid.wide, bands), picture.pixels.dtype)
    enlarger.run(Planes(picture.pixels, picture.space, picture.alpha), out, progress)
    picture = replace(picture, pixels=out)
    if wishes.strip_metadata:
        picture = replace(picture, exif=None, xmp=None, extra=())
    record = told(enlarger, source, wishes, ratios=(grid.ratio,))
    picture, lost = in_xmp(picture, record, formats.format_of(target))
    options: dict[str, Any] = {"quality": wishes.quality, "overwrite": wishes.overwrite}
    return (*picture.notes, *lost, *formats.write(target, picture, **options))
