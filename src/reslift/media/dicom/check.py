"""What an enlarged DICOM image should share with its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reslift.media.dicom.geometry import planes_of
from reslift.media.dicom.source import Image

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
    across, rest = divmod(result.columns, source.columns)
    if rest or result.rows != source.rows * across or result.count != source.count:
        findings.append(
            f"{result.columns}x{result.rows} in {result.count} frames is no multiple of "
            f"{source.columns}x{source.rows} in {source.count}"
        )
        return tuple(findings)
    return (*findings, *_misplaced(source, result, across))


def _misplaced(source: Image, result: Image, scale: int) -> list[str]:
    """Frames whose corners lie elsewhere in the patient by over a tenth of an input pixel."""
    worst = 0.0
    pairs = list(zip(planes_of(source.elements), planes_of(result.elements), strict=False))
    for (plane, position), (fine, moved) in pairs:
        least = min(plane.spacing)
        for column in (-0.5, source.columns - 0.5):
            for row in (-0.5, source.rows - 0.5):
                there = plane.point(position, column, row)
                here = fine.point(
                    moved,
                    column * scale + (scale - 1) / 2,
                    row * scale + (scale - 1) / 2,
                )
                gap = sum((a - b) ** 2 for a, b in zip(there, here, strict=True)) ** 0.5
                worst = max(worst, gap / least if least else 0.0)
    if worst > TOLERANCE:
        return [f"corners lie {worst:.2f} input pixels away from those of the source"]
    return []


def _plain(elements: Dataset, keyword: str) -> Any:
    value = elements.get(keyword)
    return None if value is None else str(value)
