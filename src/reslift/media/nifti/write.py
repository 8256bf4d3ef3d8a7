"""One NIfTI volume, enlarged and written."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from reslift import __version__
from reslift.canvas import canvas
from reslift.files import atomic_write
from reslift.media.base import Enlarger, Progress, Wishes
from reslift.media.intensities import Bounds, Census, Mask, Window, enlarge, half_widths
from reslift.media.nifti import halves
from reslift.media.nifti.extension import texts, with_comment
from reslift.media.nifti.volume import TIMES, Volume, damage_named
from reslift.media.recorded import told
from reslift.pixels.agreement import known_of
from reslift.pixels.regrid import Regrid

LONGEST_DESCRIPTION = 79
LEVEL = 6
NO_PLACE = "the bytes before its voxels are no extensions: how the result was made is not in it"
COLOURS = Window(0.0, 255.0, 0.0, 255.0)


def enlarge_volume(
    enlarger: Enlarger, volume: Volume, target: Path, wishes: Wishes, progress: Progress | None
) -> tuple[str, ...]:
    """Enlarge every slice in its plane and write the volume, which appears when it is whole.

    With `uncertainty` a second volume, of half-widths, is written beside it.

    Values that are no numbers stay so, block by block, and have no part in those around them.

    Raises:
        InputError: the voxels cannot be read. OutputError, OutputExists: as `atomic_write`.
    """
    extent = volume.extent()
    grid = Regrid(extent.width, extent.height, *enlarger.size.of(extent.width, extent.height))
    sides = list(volume.shape)
    for axis, side in zip(volume.in_plane, (grid.wide, grid.high), strict=True):
        sides[3 - axis] = side
    shape = tuple(sides)
    with (
        volume.voxels(target.parent) as stored,
        canvas(shape, volume.dtype, target.parent) as out,
        canvas(shape[:4] if wishes.uncertainty else (0,) * 4, np.float32, target.parent) as wide,
    ):
        census, halves_of = _census(volume, stored), volume.planes(wide)
        seen = _window(volume, census, wishes.window)
        for before, after in zip(volume.planes(stored), volume.planes(out), strict=True):
            after[...] = enlarge(enlarger, before, seen, _no_numbers(before))
            if wishes.uncertainty:
                next(halves_of)[...] = half_widths(
                    enlarger, before, after, seen, _no_numbers(before)
                )
            if progress is not None:
                progress(after.shape[0] * after.shape[1])
        with damage_named(volume.path):
            header = enlarged_header(volume, grid, enlarger.card.name)
            record = told(enlarger, volume.path, wishes, exact=True, ratios=(grid.ratio,))
            prefix = with_comment(volume.prefix, record, header.endianness)
            header["vox_offset"] = len(header.binaryblock) + len(prefix)
        with atomic_write(target, overwrite=wishes.overwrite) as temporary:
            with _opened(temporary, target) as file:
                file.write(header.binaryblock + prefix)
                for part in out:
                    file.write(np.ascontiguousarray(part).data)
            notes = tuple(_lost(volume, census))
            if record is not None and prefix == volume.prefix:
                notes = (*notes, NO_PLACE)
            if wishes.uncertainty:  # once all of the result has found room
                notes = (*notes, _write_map(enlarger, header, target, wide, wishes))
    return notes


def _write_map(
    enlarger: Enlarger, header: Any, target: Path, wide: NDArray[np.float32], wishes: Wishes
) -> str:
    """The half-widths beside the result of this header; gives a sentence."""
    path = halves.beside(target)
    with (
        atomic_write(path, overwrite=wishes.overwrite) as temporary,
        _opened(temporary, path) as file,
    ):
        halves.write(file, halves.header_of(header), wide, halves.slope_of(header))
    return halves.sentence(path, enlarger.judge.calibration)


def survey(volume: Volume, stored: NDArray[Any], wanted: tuple[float, float] | None) -> Window:
    """What the network is to see: the range of all slices, or a window in scaled values."""
    return _window(volume, _census(volume, stored), wanted)


def _census(volume: Volume, stored: NDArray[Any]) -> Census | None:
    """Of the values of all slices; None for colours."""
    if volume.in_colour:
        return None
    census = Census(stored.size)
    for plane in volume.planes(stored):
        census.add(plane, _no_numbers(plane))
    return census


def _window(volume: Volume, census: Census | None, wanted: tuple[float, float] | None) -> Window:
    if census is None:
        return COLOURS
    return census.window(_stored_bounds(volume.header, wanted) if wanted else None)


def _lost(volume: Volume, census: Census | None) -> Iterator[str]:
    """What is not kept or may not be meant, a sentence each."""
    if census is not None and census.is_stepped:
        yield (
            "it takes few different values; if they are labels, enlarge it with nearest neighbour"
        )
    for name in {name: 0 for *_, name in texts(volume.prefix, volume.header.endianness) if name}:
        yield f"its extension of {name} says where the voxels lay, and is left out"
    if volume.loses_times:
        yield "when its slices were taken is not kept: the axis of the slices was enlarged"


def _stored_bounds(header: Any, wanted: tuple[float, float]) -> Bounds:
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if not np.isfinite(slope) or not slope:
        slope, intercept = 1.0, 0.0
    intercept = intercept if np.isfinite(intercept) else 0.0
    centre, width = wanted
    low, high = sorted(
        (edge - intercept) / slope for edge in (centre - width / 2, centre + width / 2)
    )
    return low, high


def _no_numbers(plane: NDArray[Any]) -> Mask | None:
    return ~known_of(plane) if plane.dtype.kind == "f" else None


def enlarged_header(volume: Volume, grid: Regrid, model: str) -> Any:
    """The header of the result: sides, spacings and both forms, so that corners stay in place.

    An axis with r times as many voxels has its spacing divided by r, and the first centre moves by
    −(r − 1) / (2 r) voxels along it; codes, quaternion, intensities' scaling and all else stay.
    """
    header = volume.header.copy()
    axes, sides = list(volume.in_plane), (grid.wide, grid.high)
    ratios = np.array([grid.across, grid.down])
    shift = np.zeros(4)
    shift[3] = 1.0
    shift[axes] = 0.5 / ratios - 0.5
    # Also where its code says that the form is unknown: programs hand it out all the same.
    known = header["qform_code"] > 0
    with contextlib.nullcontext() if known else contextlib.suppress(ValueError):
        place = np.asarray(volume.header.get_qform(), np.float64) @ shift
        for name, value in zip("xyz", place, strict=False):
            header[f"qoffset_{name}"] = value
    for row in "xyz":
        values = np.array(volume.header[f"srow_{row}"], np.float64)
        values[3] = values @ shift
        values[axes] /= ratios
        header[f"srow_{row}"] = values
    for axis, side, ratio in zip(axes, sides, ratios, strict=True):
        header["dim"][axis + 1] = side
        header["pixdim"][axis + 1] /= ratio
    if volume.loses_times:
        for field in TIMES:
            header[field] = 0
    header["dim"][0] = max(int(header["dim"][0]), 2)
    note = f"reslift {__version__} {grid.label} {model}".encode()
    before = bytes(header["descrip"].tobytes()).rstrip(b"\0")
    joined = b"; ".join(part for part in (before, note) if part)
    if len(joined) <= LONGEST_DESCRIPTION:
        header["descrip"] = joined
    return header


@contextlib.contextmanager
def _opened(temporary: Path, target: Path) -> Iterator[BinaryIO]:
    """Packed where the target's name says so; without name and time, so that bytes repeat."""
    with temporary.open("wb") as file:
        if target.name.lower().endswith(".gz"):
            with gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as packed:
                yield cast(BinaryIO, packed)
        else:
            yield file
