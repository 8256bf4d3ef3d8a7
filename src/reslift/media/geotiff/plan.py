"""What is done with each band of a raster, settled after one look at all its samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from reslift.errors import InputError, UsageError, one_line
from reslift.media.base import Wishes
from reslift.media.geotiff import layout as layouts
from reslift.media.geotiff import tables
from reslift.media.geotiff.file import DTYPES, Opened, is_from_white
from reslift.media.geotiff.layout import Layout
from reslift.media.geotiff.values import Survey, spread
from reslift.media.geotiff.windows import Band
from reslift.pixels.regrid import Regrid
from reslift.pixels.tiles import Box
from reslift.sizes import Size

TOGETHER = 8
WINDOW = 2048
SAMPLED = 2**20
TURNED = ("CMYK", "CIELAB")
"""Colours of which GDAL makes others when it reads them."""


@dataclass(frozen=True)
class Work:
    """A raster and all that is settled about its result.

    Attributes:
        target: the name of the result.
        grid: from its pixels to those of the result.
        passes: bands that are read, enlarged and written together, at most 8 of them; those that
            are only repeated first, then a trio of colours, then others, opacity last.
        has_mask: validity lies in a mask of its own, for the whole raster.
        notes: what could not be kept, a sentence each.
    """

    raster: Opened
    target: Path
    grid: Regrid
    passes: tuple[tuple[Band, ...], ...]
    layout: Layout
    has_mask: bool
    notes: tuple[str, ...]


def check(raster: Opened) -> None:
    """Raise InputError for samples that cannot be enlarged, and for files without a band."""
    name = one_line(raster.path)
    kinds = sorted(set(raster.dataset.dtypes))
    if raster.count < 1 or min(raster.height, raster.width) < 1:
        raise InputError(f"cannot use {name}: it holds several rasters; name one of them")
    if kinds[0] not in DTYPES or len(kinds) > 1:
        raise InputError(
            f"cannot use {name}: samples of the type {', '.join(kinds)} are not enlarged; "
            f"all bands have one of {', '.join(DTYPES)}"
        )


def plan(raster: Opened, target: Path, size: Size, wishes: Wishes) -> Work:
    """Look through `raster` once and settle how it is enlarged.

    Raises InputError where it is damaged, UsageError for a layout that cannot be.
    """
    grid = Regrid(raster.width, raster.height, *size.of(raster.width, raster.height))
    surveys = survey(raster)
    classes = classes_of(raster, wishes.classes)
    groups = _groups(raster, wishes.separate_bands, classes)
    bands = [_bands(raster, surveys, group, classes) for group in groups]
    passes = _passes(bands)
    layout = layouts.layout(raster, wishes, grid, len(passes))
    has_mask = _told_by(raster, 1) == "mask"
    return Work(
        raster,
        target,
        grid,
        passes,
        layout,
        has_mask,
        (*_notes(raster, surveys, classes), *layout.notes),
    )


def runs(raster: Opened, wishes: Wishes) -> int:
    """How often the network sees each pixel: for the colours together, and each other band."""
    classes = classes_of(raster, wishes.classes)
    return sum(
        not classes.intersection(group) for group in _groups(raster, wishes.separate_bands, classes)
    )


def survey(raster: Opened) -> list[Survey]:
    """What each band holds, by windows over the whole raster."""
    surveys = [Survey() for _ in range(raster.count)]
    step = max(1, raster.height * raster.width // SAMPLED)
    for numbers in _chunks(list(range(1, raster.count + 1))):
        for box in windows(raster.height, raster.width, raster.dataset.block_shapes[0]):
            samples, valid = raster.samples(numbers, box), raster.valid(numbers, box)
            for i, number in enumerate(numbers):
                surveys[number - 1].add(samples[i], valid[i], step)
    return surveys


def windows(height: int, width: int, block: tuple[int, int]) -> Iterator[Box]:
    """Boxes over a raster, of whole blocks where these are small, row by row."""
    tall, wide = (max(1, WINDOW // side) * side if side < WINDOW else WINDOW for side in block)
    rows = [*range(0, height, min(tall, WINDOW // 4 if wide >= width else tall)), height]
    columns = [*range(0, width, wide), width]
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            yield Box(top, bottom, left, right)


def _groups(
    raster: Opened, separate: bool, classes: frozenset[int] = frozenset()
) -> list[tuple[int, ...]]:
    """Band numbers that go through the network together: a trio of colours, every other alone."""
    from rasterio.enums import ColorInterp

    colors = list(raster.dataset.colorinterp)
    trio = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
    once = all(colors.count(color) == 1 for color in trio)
    first = tuple(colors.index(color) + 1 for color in trio) if once and not separate else ()
    first = () if classes & set(first) else first
    alone = [(number,) for number in range(1, raster.count + 1) if number not in first]
    alone.sort(key=lambda group: colors[group[0] - 1] is ColorInterp.alpha)
    return [first, *alone] if first else list(alone)


def _bands(
    raster: Opened, surveys: Sequence[Survey], group: tuple[int, ...], classes: frozenset[int]
) -> list[Band]:
    from rasterio.enums import ColorInterp

    chosen = [surveys[number - 1] for number in group]
    together, joint = spread(chosen, raster.dtype), raster.joint_nodata
    if not math.isfinite(together.high - together.low):
        raise InputError(
            f"cannot use {one_line(raster.path)}: values from {together.low:.4g} to "
            f"{together.high:.4g} are further apart than 64-bit floats can count"
        )
    found = []
    for number, seen in zip(group, chosen, strict=True):
        color = raster.dataset.colorinterp[number - 1]
        is_alpha = color is ColorInterp.alpha
        repeated = seen.is_empty or number in classes or (is_alpha and not seen.graded)
        told = _told_by(raster, number) == "nodata"
        kept = raster.dataset.nodatavals[number - 1] if told else None
        chosen_spread = None if repeated else together
        none = joint[number - 1] if joint else None
        found.append(Band(number, seen, chosen_spread, kept, len(group) > 1, is_alpha, none))
    return found


def _passes(groups: Sequence[Sequence[Band]]) -> tuple[tuple[Band, ...], ...]:
    passes: list[list[Band]] = [[]]
    for group in groups:
        if len(passes[-1]) + len(group) > TOGETHER:
            passes.append([])
        passes[-1] += group
    return tuple(tuple(sorted(bands, key=lambda b: b.spread is not None)) for bands in passes)


def is_classes(raster: Opened, number: int) -> bool:
    """Whether a band has a colour table: its samples name classes, between which nothing lies.

    The table that GDAL makes of gray counted from white is none.
    """
    from rasterio.enums import ColorInterp

    is_palette = raster.dataset.colorinterp[number - 1] is ColorInterp.palette
    return is_palette and not is_from_white(raster.dataset)


def _told_by(raster: Opened, number: int) -> str:
    """What says which pixels of a band are data: "nodata", "alpha", "mask", "own mask", ""."""
    from rasterio.enums import MaskFlags

    flags = raster.dataset.mask_flag_enums[number - 1]
    if MaskFlags.all_valid in flags:
        return ""
    if MaskFlags.nodata in flags:
        return "nodata"
    if MaskFlags.alpha in flags:
        return "alpha"
    return "mask" if MaskFlags.per_dataset in flags else "own mask"


def classes_of(raster: Opened, wish: str | None) -> frozenset[int]:
    """Bands of classes: those with a colour table or names of classes, and those that are told."""
    found = {n for n in range(1, raster.count + 1) if is_classes(raster, n)}
    named = tables.of(raster.path).items()
    found |= {n for n, parts in named if n <= raster.count and tables.name_classes(parts)}
    for word in wish.split(",") if wish else ():
        if not word.strip().isdigit() or not 1 <= int(word) <= raster.count:
            raise UsageError(
                f"--classes {one_line(wish)}: give numbers of bands from 1 to {raster.count}, "
                "like 1,3"
            )
        found.add(int(word))
    return frozenset(found)


def _notes(raster: Opened, surveys: Sequence[Survey], classes: frozenset[int]) -> Iterator[str]:
    if classes:
        yield (
            f"{_named(sorted(classes), 'holds', 'hold')} classes: each pixel is repeated, "
            "nothing is interpolated"
        )
    few = [
        number
        for number, seen in enumerate(surveys, 1)
        if number not in classes and raster.dtype.kind != "f" and seen.is_stepped
    ]
    if few:
        yield (
            f"{_named(few, 'takes', 'take')} few different values; if they name classes, "
            f"give --classes {','.join(map(str, few))}"
        )
    if raster.dtype != np.uint8:
        for number, seen in enumerate(surveys, 1):
            if number not in classes and (lone := seen.lone()) is not None:
                yield (
                    f"{_named([number])} often holds {lone:.9g}, far from all else; if that stands "
                    f"for no data, mark it first: gdal_edit.py -a_nodata {lone!r} FILE"
                )
    masked = [n for n in range(1, raster.count + 1) if _told_by(raster, n) == "own mask"]
    if masked:
        yield f"the mask of {_named(masked)} alone is not kept; its hidden pixels are"
    if raster.nodata_differs:
        yield "the nodata values of its bands differ; they are in .aux.xml beside the result"
    space = raster.dataset.tags(ns="IMAGE_STRUCTURE").get("SOURCE_COLOR_SPACE")
    if space in TURNED:
        yield f"{space} is read as RGB, which the result is"
    crs = raster.path.with_suffix(".prj")
    if raster.dataset.crs is None and not raster.dataset.gcps[0] and crs.is_file():
        yield f"{one_line(crs.name)} is not read: copy it beside the result, which has no CRS"
    pages = [name for name in raster.dataset.subdatasets if "GTIFF_DIR" in name]
    if len(pages) > 1:
        yield f"{len(pages)} pages: only the first is used"
    if raster.dataset.driver != "GTiff":
        yield f"{raster.dataset.driver} is read; the result is a GeoTIFF"


def _named(numbers: Sequence[int], does: str = "", do: str = "") -> str:
    """``band 2 does`` or ``bands 1, 2 do``."""
    many = len(numbers) > 1
    names = f"band{'s' * many} {', '.join(map(str, numbers))}"
    return f"{names} {do if many else does}".rstrip()


def _chunks(numbers: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(numbers), TOGETHER):
        yield numbers[start : start + TOGETHER]
