"""Whether the elements that are reckoned with hold numbers, before any work is done."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from reslift.media.dicom import geometry

if TYPE_CHECKING:
    from pydicom import Dataset

COUNTS = {
    "NumberOfFrames": 1,
    **dict.fromkeys((*geometry.PAIRS, "PixelAspectRatio"), 2),
    **dict.fromkeys(("ImagePositionPatient", "ImagePositionVolume"), 3),
}
ABOVE_0 = (*geometry.PAIRS, "PixelAspectRatio")
READABLE = ("ImageOrientationPatient", "ImageOrientationVolume")
"""Of these only what is there must be numbers: without six a note says what is not done."""
PLACED = tuple(
    f"Plane{what}{where}Sequence"
    for what in ("Position", "Orientation")
    for where in ("", "Volume")
)


def unsound(elements: Dataset) -> str:
    """What is wrong with the first element that should hold numbers; empty where nothing is.

    Its value is not repeated.
    """
    for part in _parts(elements):
        for keyword in (*COUNTS, *READABLE):
            if keyword in part and not _holds_numbers(part, keyword):
                count = COUNTS.get(keyword, 6)
                above = " above 0" * (keyword in ABOVE_0)
                return (
                    f"{keyword} should hold {count} number{'s' * (count > 1)}{above} and does not; "
                    "mend it or take it out"
                )
    return ""


def _parts(elements: Dataset) -> Iterator[Dataset]:
    yield from geometry.own_parts(elements)
    yield from elements.get("DetectorInformationSequence") or ()
    yield from geometry.items(elements, PLACED)


def _holds_numbers(part: Dataset, keyword: str) -> bool:
    try:
        value = part[keyword].value
        if value is None or value == "":
            return True
        many = not isinstance(value, str | int | float) and hasattr(value, "__len__")
        numbers = [float(number) for number in (value if many else [value])]
    except (ValueError, TypeError, OverflowError):
        return False
    if keyword in ABOVE_0 and not all(number > 0 for number in numbers):
        return False
    return all(map(math.isfinite, numbers)) and COUNTS.get(keyword, len(numbers)) == len(numbers)
