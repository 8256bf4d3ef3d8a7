"""What an enlarged volume should have of its source: slices, place, meaning, values."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reslift.limits import Limits
from reslift.media.nifti.extension import texts
from reslift.media.nifti.volume import TIMES, Volume, opened
from reslift.pixels.agreement import Layer, bounds_of, known_of, of_pictures, of_values
from reslift.pixels.regrid import Regrid

TOLERANCE = 0.1
"""Of a voxel of the source, by which a corner may lie elsewhere."""
SAME = ("datatype", "intent_code", "scl_slope", "scl_inter", "xyzt_units", "dim_info", *TIMES)
SAME_FLOATS = ("cal_max", "cal_min", "toffset", "intent_p1", "intent_p2", "intent_p3")
TEXTS = ("intent_name", "aux_file", "descrip")
GROWING = "descrip"
"""That of a result says more behind it."""
MANY = 10**12
UNLIMITED = Limits(input_pixels=MANY, file_bytes=MANY, frames=MANY)


def both(source: Path, target: Path) -> tuple[Volume, Volume]:
    """Both, sliced across the axis whose side stayed as it was; the coarsest of several such."""
    before, after = opened(source, UNLIMITED), opened(target, UNLIMITED)
    kept = [axis for axis in range(3) if before.sides[axis] == after.sides[axis]]
    axis = before.axis if before.axis in kept or not kept else kept[-1]
    return opened(source, UNLIMITED, axis), opened(target, UNLIMITED, axis)


def differences(source: Volume, result: Volume) -> tuple[str, ...]:
    """Sentences on what does not agree."""
    findings = list(_header(source, result))
    if source.others != result.others:
        findings.append(f"{source.others} volumes became {result.others}")
    if source.sides[source.axis] != result.sides[source.axis]:
        findings.append("the slices are not as many: every side of the volume changed")
    findings += _extensions(source, result)
    return (*findings, *_misplaced(source, result), *_missing(source, result))


def layers(source: Volume, result: Volume) -> Iterator[Layer]:
    """The slices, as stored; none where the two do not fit."""
    if not _fit(source, result):
        return
    folder = Path(tempfile.gettempdir())
    with source.voxels(folder) as before, result.voxels(folder) as after:
        measured = () if source.in_colour else source.planes(before)
        bounds = bounds_of((plane, None) for plane in measured)
        for small, large in zip(source.planes(before), result.planes(after), strict=True):
            if source.in_colour:
                yield from of_pictures(small, large, "rgb", alpha=False)
            else:
                yield of_values("values", small, large, bounds)


def _fit(source: Volume, result: Volume) -> bool:
    shapes = [list(volume.shape) for volume in (source, result)]
    slices = [(shape[0], shape[3 - source.axis]) for shape in shapes]
    kinds = [volume.dtype.newbyteorder("=") for volume in (source, result)]
    smaller = any(a > b for a, b in zip(*shapes, strict=False))
    alike = slices[0] == slices[1] and kinds[0] == kinds[1] and len(set(map(len, shapes))) == 1
    return alike and not smaller


def _missing(source: Volume, result: Volume) -> Iterator[str]:
    """Voxels that are numbers in one of both only, and values beyond those of the source."""
    if source.in_colour or not _fit(source, result):
        return
    sides = [[volume.sides[axis] for axis in volume.in_plane] for volume in (source, result)]
    grid, moved = Regrid(*sides[0], *sides[1]), 0
    folder = Path(tempfile.gettempdir())
    with source.voxels(folder) as before, result.voxels(folder) as after:
        for small, large in zip(source.planes(before), result.planes(after), strict=True):
            moved += int((grid.nearest(known_of(small)) != known_of(large)).sum())
        low, high = bounds_of((plane, None) for plane in source.planes(before))
        least, most = bounds_of((plane, None) for plane in result.planes(after))
    if moved:
        yield f"{moved:,} voxels are numbers in one of both only"
    if least < low or most > high:
        yield f"values from {least:g} to {most:g} are not within those of the source"


def _header(source: Volume, result: Volume) -> Iterator[str]:
    before, after = source.header, result.header
    for field in TIMES if source.loses_times else ():
        if float(after[field]):
            yield f"{field} is that of slices across another axis"
    for field in (*SAME, *SAME_FLOATS):
        if field in TIMES and source.loses_times:
            continue
        was, now = (np.asarray(header[field]).item() for header in (before, after))
        if was != now and not (was != was and now != now):
            yield f"{field} {was} became {now}"
    for axis in range(4, 8):
        was, now = float(before["pixdim"][axis]), float(after["pixdim"][axis])
        if axis <= int(before["dim"][0]) and was != now:
            yield f"the spacing along dimension {axis} was {was:g} and is {now:g}"
    for field in TEXTS:
        was, now = (bytes(header[field].tobytes()).rstrip(b"\0") for header in (before, after))
        if now != was and not (field == GROWING and now.startswith(was)):
            yield f"{field} is not that of the source"
    for axis in range(3):
        ratio = result.sides[axis] / source.sides[axis]
        was, now = float(before["pixdim"][axis + 1]), float(after["pixdim"][axis + 1])
        if abs(now * ratio - was) > TOLERANCE / source.sides[axis] * abs(was):
            yield f"the spacing along axis {axis} was {was:g} and is {now:g} for {ratio:g} times"


def _extensions(source: Volume, result: Volume) -> Iterator[str]:
    before, after = (texts(file.prefix, file.header.endianness) for file in (source, result))
    for text in before:
        code, _, grid = text
        if grid and text in after:
            yield f"its extension of {grid} says where the voxels of the source lie"
        elif not grid and text not in after:
            yield f"an extension of code {code} is lost"


def affines(header: Any) -> list[NDArray[np.float64]]:
    """Voxel to mm, of every form whose code says that it holds."""
    found = [(header["qform_code"], header.get_qform), (header["sform_code"], header.get_sform)]
    return [np.asarray(get(), np.float64) for code, get in found if code > 0]


def _misplaced(source: Volume, result: Volume) -> Iterator[str]:
    """Corners of the result that are not those of the source, by over 0.1 of its voxels."""
    for form in ("qform_code", "sform_code"):
        if int(source.header[form]) != int(result.header[form]):
            yield f"{form} {int(source.header[form])} became {int(result.header[form])}"
            return
    corners = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1)
    for before, after in zip(affines(source.header), affines(result.header), strict=True):
        there, here = (
            affine[:3, :3] @ (corners * np.array(volume.sides)[:, None] - 0.5) + affine[:3, 3:]
            for affine, volume in ((before, source), (after, result))
        )
        voxel = float(np.linalg.norm(before[:3, :3], axis=0).min())
        gap = float(np.abs(there - here).max()) / voxel if voxel else 0.0
        if gap > TOLERANCE:
            yield f"corners lie {gap:.2f} voxels away from those of the source"
