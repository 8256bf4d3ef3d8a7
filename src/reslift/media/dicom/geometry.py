"""Where the pixels of an enlarged image lie: spacing, positions, regions, overlays.

An input pixel becomes s × s pixels over the same area. With Δ the spacing and X, Y the unit vectors
of a row and a column, the first pixel's centre moves from P to

    P' = P − (s − 1) / (2 s) · (X Δ_columns + Y Δ_rows),      Δ' = Δ / s

(DICOM PS3.3 C.7.6.2.1.1), and pixel coordinates, counted from 0 at the first centre, from p to
s p + (s − 1) / 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset

SPACINGS = (
    *("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"),
    *("ObjectPixelSpacingInCenterOfBeam", "PhysicalDeltaX", "PhysicalDeltaY"),
)
LENGTHS = ("RadiusOfCircularShutter", "RadiusOfCircularCollimator")
# Counted from 1: the first pixel of a block, the last one, its middle.
FIRST_OF_1 = tuple(
    f"{part}{edge}Edge"
    for part in ("Shutter", "Collimator")
    for edge in ("LeftVertical", "UpperHorizontal")
)
LAST_OF_1 = tuple(
    f"{part}{edge}Edge"
    for part in ("Shutter", "Collimator")
    for edge in ("RightVertical", "LowerHorizontal")
)
MIDDLE_OF_1 = tuple(
    name.format(part)
    for part in ("Shutter", "Collimator")
    for name in ("CenterOfCircular{}", "VerticesOfThePolygonal{}")
)
REGION_FIRST = (
    "RegionLocationMinX0",
    "RegionLocationMinY0",
    "ReferencePixelX0",
    "ReferencePixelY0",
)
REGION_LAST = {"RegionLocationMaxX1": "Columns", "RegionLocationMaxY1": "Rows"}
REGION_MIDDLE = (
    *("TMLinePositionX0", "TMLinePositionY0", "TMLinePositionX1", "TMLinePositionY1"),
    *("DopplerSampleVolumeXPosition", "DopplerSampleVolumeYPosition"),
)
OVERLAYS = range(0x6000, 0x6020, 2)
OVERLAY_ROWS, OVERLAY_COLUMNS, OVERLAY_FRAMES = 0x0010, 0x0011, 0x0015
OVERLAY_ORIGIN, OVERLAY_BITS, OVERLAY_BIT, OVERLAY_DATA = 0x0050, 0x0100, 0x0102, 0x3000


@dataclass(frozen=True)
class Plane:
    """How a frame lies in the patient: unit vectors of a row and a column, spacing between rows
    and between columns, mm."""

    row: tuple[float, ...]
    column: tuple[float, ...]
    spacing: tuple[float, float]

    def point(self, position: Any, column: float, row: float) -> list[float]:
        """Where a place in the frame, counted from 0 at the first centre, lies, mm."""
        return [
            float(p) + x * self.spacing[1] * column + y * self.spacing[0] * row
            for p, x, y in zip(position, self.row, self.column, strict=True)
        ]

    def moved(self, position: Any, scale: int) -> list[float]:
        """The centre of the first pixel once each is `scale` × `scale`, mm."""
        part = -(scale - 1) / (2 * scale)
        return self.point(position, part, part)


def enlarge_geometry(elements: Dataset, scale: int) -> tuple[str, ...]:
    """Bring every element that speaks of pixels to the enlarged grid, in place.

    Returns notes on what could not be brought over.
    """
    notes = _move_planes(elements, scale)
    for dataset in _own_parts(elements):
        for keyword in SPACINGS:
            _change(dataset, keyword, lambda value: value / scale)
    for keyword in LENGTHS:
        _change(elements, keyword, lambda value: value * scale)
    for keyword in FIRST_OF_1:
        _change(elements, keyword, lambda value: (value - 1) * scale + 1)
    for keyword in LAST_OF_1:
        _change(elements, keyword, lambda value: value * scale)
    for keyword in MIDDLE_OF_1:
        _change(elements, keyword, lambda value: (value - 0.5) * scale + 0.5)
    for mask in elements.get("MaskSubtractionSequence") or ():
        _change(mask, "MaskSubPixelShift", lambda value: value * scale)
    for region in elements.get("SequenceOfUltrasoundRegions") or ():
        _move_region(region, elements, scale)
    elements.Rows, elements.Columns = elements.Rows * scale, elements.Columns * scale
    return notes


def _own_parts(elements: Dataset) -> Iterator[Dataset]:
    """The data sets whose spacings are of this image: not those of images that it refers to."""
    yield elements
    groups = _groups(elements)
    for group in groups:
        for keyword in ("PixelMeasuresSequence", "FramePixelDataPropertiesSequence"):
            yield from group.get(keyword) or ()
    yield from elements.get("SequenceOfUltrasoundRegions") or ()


def _groups(elements: Dataset) -> list[Dataset]:
    shared = list(elements.get("SharedFunctionalGroupsSequence") or ())
    return shared + list(elements.get("PerFrameFunctionalGroupsSequence") or ())


def planes_of(elements: Dataset) -> Iterator[tuple[Plane, Any]]:
    """How each position in the file lies, and the position: of the image, detectors, frames."""
    for place, name, plane in _places(elements):
        if plane is not None:
            yield plane, place[name].value


def _move_planes(elements: Dataset, scale: int) -> tuple[str, ...]:
    lost = False
    for place, name, plane in list(_places(elements)):
        if plane is None:
            lost = True
        else:
            _set(place, name, plane.moved(place[name].value, scale))
    return ("a position has no spacing or orientation and is not moved",) if lost else ()


def _places(elements: Dataset) -> Iterator[tuple[Dataset, str, Plane | None]]:
    """Every position: its data set, its keyword, its plane where that is known."""
    found: list[tuple[Dataset, Dataset | None, Dataset | None]] = [(elements, elements, elements)]
    detectors = elements.get("DetectorInformationSequence") or ()
    found += [(detector, detector, elements) for detector in detectors]
    shared = next(iter(elements.get("SharedFunctionalGroupsSequence") or ()), None)
    first = next(iter(elements.get("PerFrameFunctionalGroupsSequence") or ()), None)
    for group in _groups(elements):
        others = (group, shared, first)
        for keyword in ("PlanePositionSequence", "PlanePositionVolumeSequence"):
            for place in group.get(keyword) or ():
                oriented = _item(others, keyword.replace("Position", "Orientation"))
                found.append((place, oriented, _item(others, "PixelMeasuresSequence")))
    for place, oriented, measured in found:
        for kind in ("Patient", "Volume"):
            name = f"ImagePosition{kind}"
            if place.get(name) is not None and len(place[name].value) == 3:
                yield place, name, _plane(oriented, f"ImageOrientation{kind}", measured)


def _item(groups: tuple[Dataset | None, ...], keyword: str) -> Dataset | None:
    """The item of a functional group: the frame's own, else the shared one, else the first's."""
    for group in groups:
        if group is not None and group.get(keyword):
            found: Dataset = group[keyword].value[0]
            return found
    return None


def _plane(oriented: Dataset | None, axes: str, measured: Dataset | None) -> Plane | None:
    if oriented is None or measured is None:
        return None
    vectors, spacing = oriented.get(axes), measured.get("PixelSpacing")
    if vectors is None or spacing is None or len(vectors) != 6 or len(spacing) != 2:
        return None
    numbers = tuple(float(number) for number in vectors)
    return Plane(numbers[:3], numbers[3:], (float(spacing[0]), float(spacing[1])))


def _move_region(region: Dataset, elements: Dataset, scale: int) -> None:
    """An ultrasound region; its reference point stays a whole pixel, so its value moves instead."""
    for axis in "XY":
        value, delta = f"ReferencePixelPhysicalValue{axis}", region.get(f"PhysicalDelta{axis}")
        if f"ReferencePixel{axis}0" in region and value in region and delta is not None:
            # By now the delta is that of the small pixels.
            shift = float(delta) * (scale - 1) / 2
            _change(region, value, lambda old, by=shift: old - by)
    for keyword in REGION_FIRST:
        _change(region, keyword, lambda old: old * scale)
    for keyword, side in REGION_LAST.items():
        size = int(elements[side].value)
        _change(
            region,
            keyword,
            lambda old, size=size: (old + 1) * scale - 1 if old < size else old * scale,
        )
    for keyword in REGION_MIDDLE:
        _change(region, keyword, lambda old: old * scale + (scale - 1) / 2)


def _change(dataset: Dataset, keyword: str, change: Any) -> None:
    """Apply `change` to each number of an element, if it is there and has numbers."""
    value = dataset.get(keyword)
    if value is None or value == "":
        return
    many = not isinstance(value, int | float) and hasattr(value, "__len__")
    numbers = [change(float(number)) for number in (value if many else [value])]
    _set(dataset, keyword, numbers if many else numbers[0])


def _set(dataset: Dataset, keyword: str, value: Any) -> None:
    """Store numbers in the way of the element's value representation."""
    from pydicom.valuerep import DSfloat

    element: DataElement = dataset[keyword]
    numbers = value if isinstance(value, list) else [value]
    if element.VR == "DS":
        stored: list[Any] = [DSfloat(number, auto_format=True) for number in numbers]
    elif element.VR in ("IS", "US", "SS", "UL", "SL"):
        stored = [int(np.floor(number + 0.5)) for number in numbers]
    else:
        stored = numbers
    element.value = stored if isinstance(value, list) else stored[0]


def enlarge_overlays(elements: Dataset, stored: Any, scale: int) -> None:
    """Repeat each overlay bit as a block; bits that lay in the pixels get data of their own.

    Args:
        elements: changed in place; Rows and Columns as they were.
        stored: the raw containers (frames, h, w) for overlays that lie in them, or None.
    """
    for group in OVERLAYS:
        bits = _overlay_bits(elements, group, stored)
        if bits is None:
            continue
        large = bits.repeat(scale, -2).repeat(scale, -1)
        packed = np.packbits(large.reshape(-1), bitorder="little").tobytes()
        rows, columns = large.shape[-2:]
        origin = elements.get((group, OVERLAY_ORIGIN))
        top, left = origin.value if origin is not None and origin.value else (1, 1)
        elements.add_new((group, OVERLAY_ROWS), "US", rows)
        elements.add_new((group, OVERLAY_COLUMNS), "US", columns)
        corner = [(int(top) - 1) * scale + 1, (int(left) - 1) * scale + 1]
        elements.add_new((group, OVERLAY_ORIGIN), "SS", corner)
        elements.add_new((group, OVERLAY_BITS), "US", 1)
        elements.add_new((group, OVERLAY_BIT), "US", 0)
        elements.add_new((group, OVERLAY_DATA), "OW", packed + b"\0" * (len(packed) % 2))


def _overlay_bits(elements: Dataset, group: int, stored: Any) -> Any:
    data, bit = elements.get((group, OVERLAY_DATA)), elements.get((group, OVERLAY_BIT))
    if data is None or not isinstance(data.value, bytes):
        if stored is None or bit is None or not bit.value:
            return None
        return (stored >> int(bit.value)) & 1
    rows, columns = (elements.get((group, tag)) for tag in (OVERLAY_ROWS, OVERLAY_COLUMNS))
    if rows is None or columns is None:
        return None
    frames = elements.get((group, OVERLAY_FRAMES))
    count = int(frames.value or 1) if frames is not None else 1
    shape = (count, int(rows.value), int(columns.value))
    bits = np.unpackbits(np.frombuffer(data.value, np.uint8), bitorder="little")
    wanted = math.prod(shape)
    return bits[:wanted].reshape(shape) if 0 < wanted <= bits.size else None


def has_embedded_overlays(elements: Dataset) -> bool:
    """Whether overlay bits lie beside the values in the pixels' containers."""
    return any(
        (group, OVERLAY_DATA) not in elements
        and bool(elements.get((group, OVERLAY_BIT)) and elements[group, OVERLAY_BIT].value)
        for group in OVERLAYS
    )
