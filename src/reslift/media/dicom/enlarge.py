"""One DICOM image, enlarged and written."""

from __future__ import annotations

import hashlib
import io
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reslift.canvas import canvas
from reslift.errors import OutputError, UsageError, one_line
from reslift.files import atomic_write
from reslift.media.base import Enlarger, Progress, Wishes
from reslift.media.dicom import geometry, halves, identity, mark, palette
from reslift.media.dicom.sniff import PREAMBLE, has_elements_behind
from reslift.media.dicom.source import EXPLICIT_LITTLE, IMPLICIT, Image, damage_named
from reslift.media.intensities import Bounds, Census, Window, enlarge, half_widths
from reslift.media.recorded import told
from reslift.pixels.regrid import Regrid

if TYPE_CHECKING:
    from pydicom import Dataset

MOST_BYTES = 2**32 - 2
PIXEL_DATA = struct.pack("<HH", 0x7FE0, 0x0010)


def enlarge_image(
    enlarger: Enlarger, image: Image, target: Path, wishes: Wishes, progress: Progress | None
) -> tuple[str, ...]:
    """Enlarge every frame and write the image to `target`, which appears when it is whole.

    Raises:
        InputError: the pixels cannot be decoded. OutputError, OutputExists: as `atomic_write`.
    """
    if wishes.strip_metadata:
        raise UsageError(
            f"{one_line(image.path)}: --strip-metadata does not de-identify DICOM files; use a "
            "program made for that"
        )
    seen, dtype = survey(image)
    exact = not image.is_lossy
    grid = Regrid(image.columns, image.rows, *enlarger.size.of(image.columns, image.rows))
    shape = (image.count, grid.high, grid.wide, *(() if image.is_gray else (3,)))
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size > MOST_BYTES:
        raise OutputError(
            f"{one_line(target)}: {size:,} bytes of pixels are more than DICOM's {MOST_BYTES:,}"
        )
    with ExitStack() as stack:
        out = stack.enter_context(canvas(shape, dtype, target.parent))
        wide: Any = None
        if wishes.uncertainty:
            wide = stack.enter_context(canvas(shape[:3], np.float32, target.parent))
        for number, stored in enumerate(image.frames()):
            shown, padding = window_of(image, number, seen, wishes.window), image.padding(stored)
            out[number] = enlarge(
                enlarger, stored, shown, padding, avoid=image.padding_values, exact=exact
            )
            if wide is not None:
                wide[number] = half_widths(enlarger, stored, out[number], shown, padding)
            if wishes.not_for_diagnosis:
                mark.burn_in(out[number], shown.brightest, shown.darkest)
            if progress is not None:
                progress(shape[1] * shape[2])
        with damage_named(image.path, "its header"):
            notes = (*_unheeded(image, wishes), *_bring_over(image, enlarger, grid, out, wishes))
            header = _header(image.elements, image.syntax)
        with atomic_write(target, overwrite=wishes.overwrite) as temporary:
            _write(temporary, header, image.syntax, out)
            if wide is not None:
                notes = (*notes, _write_map(image, enlarger, target, wide, wishes))
    return notes


def _write_map(
    image: Image, enlarger: Enlarger, target: Path, wide: NDArray[np.float32], wishes: Wishes
) -> str:
    """The half-widths beside the result, whose elements `image` has by now; gives a sentence."""
    path, calibration = halves.beside(target), enlarger.judge.calibration
    whole, unit = halves.stored(wide)
    with damage_named(image.path, "its header"):
        header = _header(halves.describe(image.elements, whole, unit, calibration), image.syntax)
    with atomic_write(path, overwrite=wishes.overwrite) as temporary:
        _write(temporary, header, image.syntax, whole)
    return (
        f"90% intervals are in {one_line(path.name)}, in units of the values; they were calibrated "
        f"on pictures ({one_line(calibration.data)}), not on such images"
    )


def survey(image: Image) -> tuple[Window, Any]:
    """What the network is to see of the stored values of all frames, and their dtype.

    Colours are always seen in the full range of their bits.
    """
    census, dtype = Census(image.rows * image.columns * image.count), np.dtype(np.uint8)
    for stored in image.frames():
        census.add(stored, image.padding(stored))
        dtype = stored.dtype
    if image.is_gray:
        window = census.window()
        return (window.inverted() if image.photometric == "MONOCHROME1" else window), dtype
    bits = int(image.elements.get("BitsStored") or 0)
    if image.photometric not in ("RGB",) or not 0 < bits <= dtype.itemsize * 8:
        bits = dtype.itemsize * 8
    least, most = (0.0, 0.0) if census.most < census.least else (census.least, census.most)
    return Window(0.0, max(most, float(2**bits - 1)), least, most), dtype


def window_of(
    image: Image, number: int, seen: Window, wanted: tuple[float, float] | None
) -> Window:
    """What the network is to see of a frame, counted from 0.

    Args:
        seen: of all frames, where none is asked for.
        wanted: centre and width of a window in rescaled values (Hounsfield units).
    """
    bounds = _stored_bounds(image, number, wanted) if wanted and image.is_gray else None
    if bounds is None:
        return seen
    window = Window(*bounds, seen.least, seen.most)
    return window.inverted() if image.photometric == "MONOCHROME1" else window


def _stored_bounds(image: Image, number: int, wanted: tuple[float, float]) -> Bounds | None:
    """The same in stored values; None where no slope leads from the ones to the others."""
    scaling = geometry.item_of_frame(image.elements, number, "PixelValueTransformationSequence")
    scaling = image.elements if scaling is None else scaling
    slope, intercept = (
        float(scaling.get(name) if scaling.get(name) is not None else default)
        for name, default in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))
    )
    if not slope or "ModalityLUTSequence" in image.elements:
        return None
    centre, width = wanted
    low, high = sorted(
        (edge - intercept) / slope for edge in (centre - width / 2, centre + width / 2)
    )
    return low, high


def _unheeded(image: Image, wishes: Wishes) -> tuple[str, ...]:
    """What of the wishes has no meaning for this image, a sentence each."""
    if wishes.window is None:
        return ()
    if not image.is_gray:
        return ("--window is of no use for colours: their full range is seen",)
    if "ModalityLUTSequence" in image.elements:
        return ("--window is not used: the values are rescaled by a table, not by a slope",)
    return ()


def _bring_over(
    image: Image, enlarger: Enlarger, grid: Regrid, out: NDArray[Any], wishes: Wishes
) -> tuple[str, ...]:
    """The elements of the result, made in place out of those of the source."""
    elements = image.elements
    geometry.enlarge_overlays(elements, image.containers(), grid)
    notes = geometry.enlarge_geometry(elements, grid)
    if has_elements_behind(image.path):
        notes = (*notes, "private elements behind the pixels are left out")
    _describe_pixels(elements, image, out.dtype)
    digest, extremes = hashlib.sha256(), []
    for frame in out:
        digest.update(np.ascontiguousarray(frame).data)
        extremes += [int(frame.min()), int(frame.max())]
    options = [f"window {wishes.window}"] * (wishes.window is not None)
    options += ["marked"] * wishes.not_for_diagnosis
    record = told(enlarger, image.path, wishes, exact=not image.is_lossy, ratios=(grid.ratio,))
    if record is not None and len(record.as_json()) > identity.LONGEST_DESCRIPTION:
        record, notes = None, (*notes, "how the result was made is too long to be in it")
    identity.make_derived(
        elements,
        enlarger,
        grid,
        options=options,
        pixels=digest.hexdigest(),
        extremes=(min(extremes), max(extremes)) if image.is_gray else None,
        syntax=image.syntax,
        lossy=image.is_lossy,
        record=record,
    )
    return notes


def _describe_pixels(elements: Dataset, image: Image, dtype: np.dtype[Any]) -> None:
    bits, stored = dtype.itemsize * 8, int(elements.get("BitsStored") or 0)
    if not image.is_gray:
        if image.photometric == "PALETTE COLOR":
            stored = bits
            for tag in palette.tags_of(elements):
                del elements[tag]
        elements.PhotometricInterpretation = "RGB"
        elements.SamplesPerPixel, elements.PlanarConfiguration = 3, 0
    elements.PixelRepresentation = int(dtype.kind == "i")
    elements.BitsAllocated = bits
    elements.BitsStored = stored if 0 < stored <= bits else bits
    elements.HighBit = elements.BitsStored - 1


def _header(elements: Dataset, syntax: str) -> bytes:
    """All of the file but the pixels."""
    import pydicom
    from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, UID

    implicit = syntax == IMPLICIT
    elements.file_meta.TransferSyntaxUID = UID(IMPLICIT if implicit else EXPLICIT_LITTLE)
    elements.file_meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    elements.file_meta.pop("ImplementationVersionName", None)  # Of another program.
    elements.preamble = b"\0" * PREAMBLE
    file = io.BytesIO()
    pydicom.dcmwrite(
        file, elements, enforce_file_format=True, implicit_vr=implicit, little_endian=True
    )
    return file.getvalue()


def _write(path: Path, header: bytes, syntax: str, pixels: NDArray[Any]) -> None:
    """The pixels follow frame by frame, so that they are never held twice."""
    size = pixels.nbytes
    kind = b"" if syntax == IMPLICIT else b"OW\0\0" if pixels.dtype.itemsize > 1 else b"OB\0\0"
    with path.open("wb") as file:
        file.write(header + PIXEL_DATA + kind + struct.pack("<L", size + size % 2))
        for frame in pixels:
            file.write(np.ascontiguousarray(frame, frame.dtype.newbyteorder("<")).data)
        file.write(b"\0" * (size % 2))
