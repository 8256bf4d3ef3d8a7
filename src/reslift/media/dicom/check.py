"""What an enlarged DICOM image should share with its source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reslift.media.dicom import expected
from reslift.media.dicom.geometry import pixel_shape, planes_of
from reslift.media.dicom.source import Image
from reslift.pixels.agreement import Layer, bounds_of, of_pictures, of_values
from reslift.pixels.regrid import Regrid
from reslift.sizes import STRETCHED

if TYPE_CHECKING:
    from pydicom import Dataset

SAME = (
    *("StudyInstanceUID", "FrameOfReferenceUID", "InstanceNumber", "PatientID", "PatientName"),
    *("SOPClassUID", "Modality", "ImageOrientationPatient", "SliceLocation", "SliceThickness"),
    *("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "PixelPaddingValue"),
    *("PixelSpacing", "ImagePositionPatient", "ModalityLUTSequence"),
)
"""Those that no result has where its source has them not."""
TOLERANCE = 0.1


def differences(source: Image, result: Image) -> Iterator[str]:
    """Sentences on what does not agree; values of the patient are compared and never named."""
    before, after = source.elements, result.elements
    added = [name for name in SAME if _is_empty(before, name) and not _is_empty(after, name)]
    if added:
        yield f"{', '.join(added)}: not in the source"
    if after.get("SOPInstanceUID") == before.get("SOPInstanceUID"):
        yield "SOPInstanceUID is that of the source"
    yield from _untold(source, result)
    if result.count != source.count:
        yield f"{source.count} frames became {result.count}"
    if _kind(source) != _kind(result):
        yield "photometric interpretation, bits or sign are not those of the source"
    grid = Regrid(source.columns, source.rows, result.columns, result.rows)
    yield from _misplaced(source, result, grid)
    yield from _reshaped(source, result, grid)
    yield from expected.differences(source, result, grid)
    if _fit(source, result) and source.is_gray:
        yield from _values(source, result, grid)


def layers(source: Image, result: Image) -> Iterator[Layer]:
    """The frames, as stored; none where the two do not fit."""
    if not _fit(source, result):
        return
    bounds = (0.0, 0.0)
    if source.is_gray:
        bounds = bounds_of((frame, _measured(source, frame)) for frame in source.frames())
    for small, large in zip(source.frames(), result.frames(), strict=True):
        if small.dtype != large.dtype:
            return
        if source.is_gray:
            yield of_values("values", small, large, bounds, _measured(source, small))
        else:
            yield from of_pictures(small, large, "rgb", alpha=False)


def _untold(source: Image, result: Image) -> Iterator[str]:
    """What a result has to say of itself and does not."""
    kind = result.elements.get("ImageType") or ""
    if (kind if isinstance(kind, str) else kind[0]) == "ORIGINAL":
        yield "ImageType says ORIGINAL, and an enlarged image is DERIVED"
    if source.is_lossy and result.elements.get("LossyImageCompression") != "01":
        yield "the source was compressed with loss, and LossyImageCompression does not say so"


def _fit(source: Image, result: Image) -> bool:
    smaller = result.rows < source.rows or result.columns < source.columns
    return not smaller and result.count == source.count and result.is_gray == source.is_gray


def _measured(image: Image, stored: NDArray[Any]) -> NDArray[np.bool_] | None:
    padding = image.padding(stored)
    return None if padding is None else ~padding


def _values(source: Image, result: Image, grid: Regrid) -> Iterator[str]:
    """Padding that is not that of the source, repeated, and what lies beyond its values."""
    moved = 0
    before: list[float] = []
    after: list[float] = []
    for small, large in zip(source.frames(), result.frames(), strict=True):
        was, now = source.padding(small), result.padding(large)
        if was is not None and now is not None:
            moved += int((grid.nearest(was) != now).sum())
        before += _range(small, was)
        after += _range(large, now)
    if moved:
        yield f"{moved:,} pixels are padding in one of both only"
    if before and after and not min(before) <= min(after) <= max(after) <= max(before):
        yield "some values lie beyond the range of the source"


def _range(stored: NDArray[Any], padding: NDArray[np.bool_] | None) -> list[float]:
    """The smallest and the largest measured value; none where nothing was measured."""
    measured = stored if padding is None else stored[~padding]
    return [float(measured.min()), float(measured.max())] if measured.size else []


def _kind(image: Image) -> tuple[object, ...]:
    elements = image.elements
    depth = [int(elements.get(name) or 0) for name in ("BitsStored", "PixelRepresentation")]
    return (image.photometric, *depth) if image.is_gray else ("RGB",)


def _misplaced(source: Image, result: Image, grid: Regrid) -> list[str]:
    """Frames whose corners lie elsewhere in the patient by over a tenth of an input pixel."""
    worst = 0.0
    pairs = list(zip(planes_of(source.elements), planes_of(result.elements), strict=False))
    for (plane, position), (fine, moved) in pairs:
        least = min(plane.spacing)
        for column in (-0.5, source.columns - 0.5):
            for row in (-0.5, source.rows - 0.5):
                there = plane.point(position, column, row)
                here = fine.point(
                    moved, (column + 0.5) * grid.across - 0.5, (row + 0.5) * grid.down - 0.5
                )
                gap = sum((a - b) ** 2 for a, b in zip(there, here, strict=True)) ** 0.5
                worst = max(worst, gap / least if least else 0.0)
    if worst > TOLERANCE:
        return [f"corners lie {worst:.2f} input pixels away from those of the source"]
    return []


def _reshaped(source: Image, result: Image, grid: Regrid) -> Iterator[str]:
    """A pixel that is said to be as high for its width as before, although that has changed."""
    before, after = pixel_shape(source.elements), pixel_shape(result.elements)
    if abs(after / before * grid.down / grid.across - 1) > STRETCHED + 1 / min(
        result.rows, result.columns
    ):
        yield (
            f"{result.columns}x{result.rows} is of another shape than {source.columns}x"
            f"{source.rows}, and its pixels are not said to be"
        )


def _is_empty(elements: Dataset, keyword: str) -> bool:
    return keyword not in elements or elements[keyword].is_empty
