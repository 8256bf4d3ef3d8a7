"""What an enlarged DICOM image should share with its source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from reslift.media.dicom.geometry import pixel_shape, planes_of
from reslift.media.dicom.source import Image
from reslift.pixels.agreement import Layer, of_pictures, of_values
from reslift.pixels.regrid import Regrid
from reslift.sizes import STRETCHED

if TYPE_CHECKING:
    from pydicom import Dataset

SAME = (
    *("StudyInstanceUID", "FrameOfReferenceUID", "InstanceNumber", "PatientID", "PatientName"),
    *("SOPClassUID", "Modality", "ImageOrientationPatient", "SliceLocation", "SliceThickness"),
    *("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"),
)
TOLERANCE = 0.1


def differences(source: Image, result: Image) -> tuple[str, ...]:
    """Sentences on what does not agree; values of the patient are compared and never named."""
    before, after = source.elements, result.elements
    findings = [
        f"{keyword} is not that of the source"
        for keyword in SAME
        if _plain(before, keyword) != _plain(after, keyword)
    ]
    if after.get("SOPInstanceUID") == before.get("SOPInstanceUID"):
        findings.append("SOPInstanceUID is that of the source")
    if result.count != source.count:
        findings.append(f"{source.count} frames became {result.count}")
    if _kind(source) != _kind(result):
        findings.append("photometric interpretation, bits or sign are not those of the source")
    grid = Regrid(source.columns, source.rows, result.columns, result.rows)
    return (*findings, *_misplaced(source, result, grid), *_reshaped(source, result, grid))


def layers(source: Image, result: Image) -> Iterator[Layer]:
    """The frames, as stored; none where the two do not fit."""
    smaller = result.rows < source.rows or result.columns < source.columns
    if smaller or result.count != source.count or result.is_gray != source.is_gray:
        return
    for small, large in zip(source.frames(), result.frames(), strict=True):
        if small.dtype != large.dtype:
            return
        if source.is_gray:
            padding = source.padding(small)
            yield of_values("values", small, large, None if padding is None else ~padding)
        else:
            yield from of_pictures(small, large, "rgb", alpha=False)


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


def _plain(elements: Dataset, keyword: str) -> Any:
    value = elements.get(keyword)
    return None if value is None else str(value)
