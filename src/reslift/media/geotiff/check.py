"""What an enlarged raster should have of its source: place, meaning, missing pixels, samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from reslift.media.geotiff import file as files
from reslift.media.geotiff import layout as layouts
from reslift.media.geotiff import opacity, tables
from reslift.media.geotiff import plan as planning
from reslift.media.geotiff.file import Opened
from reslift.media.geotiff.values import Survey
from reslift.media.recorded import is_record
from reslift.pixels.agreement import Layer, level_of
from reslift.pixels.regrid import Regrid
from reslift.provenance import Record

NEARLY = 1e-15
POINT = 1e-9
MOST_NAMED = 5


def differences(source: Opened, result: Opened) -> Iterator[str]:
    """Sentences on what does not agree: header and georeference first, then every sample."""
    grid = grid_of(source, result)
    if grid is None:
        yield f"size: {_sides(source)} became {_sides(result)}"
        return
    yield from _place(source.dataset, result.dataset, grid)
    if source.count != result.count:
        yield f"bands: {source.count} became {result.count}"
        return
    if source.dataset.dtypes != result.dataset.dtypes:
        yield f"samples: {_kinds(source)} became {_kinds(result)}"
    yield from _bands(source.dataset, result.dataset)
    before, after = (opacity.is_multiplied(raster.path) for raster in (source, result))
    if before != after:
        kinds = ("straight colours", "colours multiplied by their opacity")
        yield f"{kinds[before]} became {kinds[after]}"
    yield from _tables(source, result)
    yield from _tags(source.dataset, result.dataset, grid)
    yield from _samples(source, result, grid)


def grid_of(source: Opened, result: Opened) -> Regrid | None:
    """From the pixels of one to those of the other; None where it has not the sides it should."""
    given, found = (source.width, source.height), (result.width, result.height)
    record = record_of(result)
    size = record.size if record is not None else None
    grown = found[0] >= given[0] and found[1] >= given[1]
    fits = grown if size is None else found == size.of(*given)
    return Regrid(*given, *found) if fits else None


def record_of(result: Opened) -> Record | None:
    """How the result says that it was made."""
    text = result.dataset.tags().get(files.RECORD, "")
    return Record.parse(text) if is_record(text) else None


def in_place(source: Any, made: Any) -> bool:
    """Whether the corners are the same, but for what numbers of 64 bits cannot tell apart."""
    slack = NEARLY * max(source.width, source.height) * max(map(abs, source.transform[:6]))
    corners = [(x, y) for x in (0, 1) for y in (0, 1)]
    pairs = (
        (source.transform * (x * source.width, y * source.height), made.transform * (x * w, y * h))
        for w, h in [(made.width, made.height)]
        for x, y in corners
    )
    return all(
        abs(one - other) <= slack for pair in pairs for one, other in zip(*pair, strict=True)
    )


def layers(source: Opened, result: Opened) -> Iterator[Layer]:
    """The bands that went through the network; none where the two do not fit."""
    grid = grid_of(source, result)
    fits = grid is not None and source.dataset.dtypes == result.dataset.dtypes
    if grid is None or not fits or source.count != result.count:
        return
    if min(grid.across, grid.down) < 1:
        return
    surveys = planning.survey(source)
    repeated = _repeated(source, result, surveys)
    for number, seen in enumerate(surveys, 1):
        if seen.is_empty or number in repeated:
            continue
        yield Layer(
            _named(source.dataset, number),
            (source.height, source.width),
            (result.height, result.width),
            lambda box, n=number: source.samples([n], box)[0],  # type: ignore[misc]
            lambda box, n=number: result.samples([n], box)[0],  # type: ignore[misc]
            seen.low,
            seen.high,
            level_of(source.stored, seen.low, seen.high),
            source.dtype.kind in "iu",
            lambda box, n=number: source.valid([n], box)[0],  # type: ignore[misc]
        )


def _place(source: Any, result: Any, grid: Regrid) -> Iterator[str]:
    points, points_crs = source.gcps
    found, found_crs = result.gcps
    if points and not _same_points([files.moved(p, grid) for p in points], found):
        yield "control points are not those of the source, moved with the pixels"
    if points and points_crs != found_crs:
        yield f"CRS of the control points: {_crs(points_crs)} became {_crs(found_crs)}"
    if not points:
        if source.crs != result.crs:
            yield f"CRS: {_crs(source.crs)} became {_crs(result.crs)}"
        if source.transform.is_identity and not result.transform.is_identity:
            yield "the source has no transform, the result has one"
        elif not source.transform.is_identity and not in_place(source, result):
            was, now = (tuple(round(b, 9) for b in one.bounds) for one in (source, result))
            same = "bounds agree, but the raster is turned" if was == now else f"{was} became {now}"
            yield f"corners: {same}"
    if source.rpcs is not None:
        wanted = files.finer_rpcs(source.rpcs, grid)
        if result.rpcs is None or not _near_rpcs(wanted, result.rpcs):
            yield "RPC are not those of the source, moved with the pixels"


def _same_points(wanted: list[Any], found: list[Any]) -> bool:
    keys = ("row", "col", "x", "y", "z")
    return len(wanted) == len(found) and all(
        math.isclose(getattr(a, key) or 0, getattr(b, key) or 0, rel_tol=POINT, abs_tol=POINT)
        for a, b in zip(wanted, found, strict=True)
        for key in keys
    )


def _near_rpcs(wanted: Any, found: Any) -> bool:
    one, other = wanted.to_dict(), found.to_dict()
    return all(
        np.allclose(one[key], other[key], rtol=POINT, atol=POINT)
        for key in one
        if not key.startswith("err_") and one[key] is not None and other.get(key) is not None
    )


def _bands(source: Any, result: Any) -> Iterator[str]:
    for name, was, now in (
        ("nodata", source.nodatavals, result.nodatavals),
        ("colour interpretation", _words(source), _words(result)),
        ("description", source.descriptions, result.descriptions),
        ("unit", source.units, result.units),
        ("scale", source.scales, result.scales),
        ("offset", source.offsets, result.offsets),
    ):
        for number, (one, other) in enumerate(zip(was, now, strict=True), 1):
            alike = one == other or (one != one and other != other)
            if not alike and (one or other or name == "nodata"):
                yield f"band {number}: {name} {one} became {other}"
    for number in source.indexes:
        if files.colormap(source, number) != files.colormap(result, number):
            yield f"band {number}: its colour table is not that of the source"


def _tables(source: Opened, result: Opened) -> Iterator[str]:
    made = tables.of(result.path)
    for number, parts in tables.of(source.path).items():
        if tables.plain(parts) != tables.plain(made.get(number, {})):
            yield f"band {number}: its names of classes or its table are not those of the source"


def _tags(source: Any, result: Any, grid: Regrid) -> Iterator[str]:
    for number in (0, *source.indexes):
        where = f"band {number}" if number else "the file"
        for domain in (None, *source.tag_namespaces(number)):
            was = files.kept_tags(source, number, domain, grid)
            now = files.kept_tags(result, number, domain)
            lacking = sorted(key for key in was if was[key] != now.get(key))
            if lacking:
                more = f" and {len(lacking) - MOST_NAMED} more" * (len(lacking) > MOST_NAMED)
                names = f"{', '.join(lacking[:MOST_NAMED])}{more}"
                yield f"{where}: tags {names}{f' of {domain}' if domain else ''} differ"


def _samples(source: Opened, result: Opened, grid: Regrid) -> Iterator[str]:
    """Missing pixels, pixels that are repeated, and what lies beyond the range of its band.

    Saving with loss may take samples beyond it.
    """
    surveys = planning.survey(source)
    repeated = _repeated(source, result, surveys)
    numbers = list(range(1, source.count + 1))
    lossy = layouts.is_damaged(result)
    moved, changed, beyond = (dict.fromkeys(numbers, 0) for _ in range(3))
    for box in planning.windows(result.height, result.width, result.dataset.block_shapes[0]):
        inner = grid.under(box)
        for number in numbers:
            seen = surveys[number - 1]
            valid = grid.nearest(source.valid([number], inner)[0], box, inner)
            made, known = result.samples([number], box)[0], result.valid([number], box)[0]
            moved[number] += int((valid != known).sum())
            if number in repeated:
                old = grid.nearest(source.samples([number], inner)[0], box, inner)
                changed[number] += int((made != old)[valid].sum())
            elif not lossy:
                values = made[valid & known]
                beyond[number] += int(((values < seen.low) | (values > seen.high)).sum())
    for number in numbers:
        if moved[number]:
            yield f"band {number}: {moved[number]:,} pixels are missing in one of both only"
        if changed[number]:
            yield f"band {number}: {changed[number]:,} pixels are not those of the source, repeated"
        if beyond[number]:
            yield f"band {number}: {beyond[number]:,} pixels lie beyond the range of the source"


def _repeated(source: Opened, result: Opened, surveys: Sequence[Survey]) -> frozenset[int]:
    """Bands whose pixels are repeated: classes, opacity of 0 and the highest value only."""
    from rasterio.enums import ColorInterp

    record = record_of(result)
    wish = record.options.get("classes") if record is not None else None
    classes = planning.classes_of(source, wish if isinstance(wish, str) else None)
    plain = {
        number
        for number, seen in enumerate(surveys, 1)
        if source.dataset.colorinterp[number - 1] is ColorInterp.alpha and not seen.graded
    }
    return classes | plain


def _named(source: Any, number: int) -> str:
    name = source.descriptions[number - 1]
    return f"band {number} ({name})" if name else f"band {number}"


def _words(dataset: Any) -> list[str]:
    # To GDAL such a band is a palette or undefined, by who wrote the file.
    if files.is_from_white(dataset):
        return ["gray from white"] * dataset.count
    # A TIFF calls its first band gray and no other one; JPEG 2000 all of them or none.
    return [
        "gray" if name == "undefined" else name for name in (c.name for c in dataset.colorinterp)
    ]


def _sides(raster: Opened) -> str:
    return f"{raster.width}x{raster.height}"


def _kinds(raster: Opened) -> str:
    return ", ".join(sorted(set(raster.dataset.dtypes)))


def _crs(crs: Any) -> str:
    return "none" if crs is None else str(crs.to_string())[:60]
