"""Where the pixels of an enlarged image lie: spacing, positions, regions, overlays.

An input pixel becomes a × d pixels over the same area, a across and d down, which need be neither
whole nor equal. With Δ the spacing and X, Y the unit vectors of a row and a column, the first
pixel's centre moves from P to

    P' = P − (a − 1) / (2 a) · X Δ_columns − (d − 1) / (2 d) · Y Δ_rows
    Δ'_columns = Δ_columns / a,      Δ'_rows = Δ_rows / d

(DICOM PS3.3 C.7.6.2.1.1), and pixel coordinates, counted from 0 at the first centre, from p to
a p + (a − 1) / 2 and d p + (d − 1) / 2. Where an element has room for whole pixels only, the
nearest is taken.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from reslift.pixels.regrid import Regrid
from reslift.sizes import is_stretched

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset

PAIRS = (
    *("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"),
    "ObjectPixelSpacingInCenterOfBeam",
)
"""Spacings between rows, then between columns."""
# Measured along a row.
PARTS = ("Shutter", "Collimator", "ExposureControlSensingRegion")
LENGTHS = tuple(f"RadiusOfCircular{part}" for part in PARTS)
# Counted from 1, a column and a row: the first pixel of a block, the last one; a row and a column
# in turn: its middle.
FIRST_OF_1 = ("LeftVerticalEdge", "UpperHorizontalEdge")
LAST_OF_1 = ("RightVerticalEdge", "LowerHorizontalEdge")
MIDDLE_OF_1 = ("CenterOfCircular{}", "VerticesOfThePolygonal{}")
MEASURED = (
    *("PixelMeasuresSequence", "FramePixelDataPropertiesSequence"),
    "ProjectionPixelCalibrationSequence",
)
OUTLINED = (
    *("FrameDisplayShutterSequence", "CollimatorShapeSequence"),
    "ExposureControlSensingRegionsSequence",
)
SHIFTED = ("FramePixelShiftSequence",)
"""Of functional groups: those with spacings, with outlines, with shifted masks."""
REGION_MIDDLE = ("TMLinePosition{}0", "TMLinePosition{}1", "DopplerSampleVolume{}Position")
FINEST = 1000
OVERLAYS = range(0x6000, 0x6020, 2)
OVERLAY_ROWS, OVERLAY_COLUMNS, OVERLAY_FRAMES = 0x0010, 0x0011, 0x0015
OVERLAY_ORIGIN, OVERLAY_BITS, OVERLAY_BIT, OVERLAY_DATA = 0x0050, 0x0100, 0x0102, 0x3000
OVERLAY_AREA = 0x1301


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

    def moved(self, position: Any, grid: Regrid) -> list[float]:
        """The centre of the first pixel of the new grid, mm."""
        return self.point(position, 0.5 / grid.across - 0.5, 0.5 / grid.down - 0.5)


def enlarge_geometry(elements: Dataset, grid: Regrid) -> tuple[str, ...]:
    """Bring every element that speaks of pixels to the enlarged grid, in place.

    Returns notes on what could not be brought over.
    """
    notes = _move_planes(elements, grid)
    down_across = (grid.down, grid.across)
    _keep_shape(elements, grid)
    for dataset in own_parts(elements):
        for keyword in PAIRS:
            _change(dataset, keyword, lambda value, ratio: value / ratio, down_across)
        _change(dataset, "PhysicalDeltaX", lambda value, ratio: value / ratio, (grid.across,))
        _change(dataset, "PhysicalDeltaY", lambda value, ratio: value / ratio, (grid.down,))
    for outlined in (elements, *items(elements, OUTLINED)):
        _move_outlines(outlined, grid)
    masks = elements.get("MaskSubtractionSequence") or ()
    for mask in (*masks, *items(elements, SHIFTED)):
        _change(mask, "MaskSubPixelShift", lambda value, ratio: value * ratio, down_across)
    for region in elements.get("SequenceOfUltrasoundRegions") or ():
        _move_region(region, elements, "X", grid.across, int(elements.Columns))
        _move_region(region, elements, "Y", grid.down, int(elements.Rows))
    elements.Rows, elements.Columns = grid.high, grid.wide
    return notes


def _move_outlines(outlined: Dataset, grid: Regrid) -> None:
    """Edges, centres and corners of a shutter and a collimator."""
    for keyword in LENGTHS:
        _change(outlined, keyword, lambda value, ratio: value * ratio, (grid.across,))
    for part in PARTS:
        for edge, ratio in zip(FIRST_OF_1, (grid.across, grid.down), strict=True):
            _change(outlined, part + edge, lambda value, r: (value - 1) * r + 1, (ratio,))
        for edge, ratio in zip(LAST_OF_1, (grid.across, grid.down), strict=True):
            _change(outlined, part + edge, lambda value, r: value * r, (ratio,))
        for name in MIDDLE_OF_1:
            middle, ratios = name.format(part), (grid.down, grid.across)
            _change(outlined, middle, lambda value, r: (value - 0.5) * r + 0.5, ratios)


def _keep_shape(elements: Dataset, grid: Regrid) -> None:
    """The ratio of a pixel's height to its width, where that is all that is said of its size."""
    if not is_stretched((grid.width, grid.height), (grid.wide, grid.high)):
        return
    spaced = any(keyword in elements for keyword in PAIRS)
    if "PixelAspectRatio" not in elements and (spaced or _groups(elements)):
        return
    before = [int(n) for n in elements.get("PixelAspectRatio") or (1, 1)]
    shape = Fraction(*before) * Fraction(grid.wide * grid.height, grid.width * grid.high)
    shape = shape.limit_denominator(FINEST)
    elements.PixelAspectRatio = [shape.numerator, shape.denominator]


def own_parts(elements: Dataset) -> Iterator[Dataset]:
    """The data sets whose spacings are of this image: not those of images that it refers to."""
    yield elements
    yield from items(elements, MEASURED)
    yield from elements.get("SequenceOfUltrasoundRegions") or ()


def items(elements: Dataset, keywords: tuple[str, ...]) -> Iterator[Dataset]:
    """Those of the named sequences in the functional groups."""
    for group in _groups(elements):
        for keyword in keywords:
            yield from group.get(keyword) or ()


def _groups(elements: Dataset) -> list[Dataset]:
    shared = list(elements.get("SharedFunctionalGroupsSequence") or ())
    return shared + list(elements.get("PerFrameFunctionalGroupsSequence") or ())


def item_of_frame(elements: Dataset, number: int, keyword: str) -> Dataset | None:
    """The item of a functional group of a frame, counted from 0, or that of all frames."""
    frames = elements.get("PerFrameFunctionalGroupsSequence") or ()
    own = frames[number] if number < len(frames) else None
    shared = next(iter(elements.get("SharedFunctionalGroupsSequence") or ()), None)
    return _item((own, shared), keyword)


def planes_of(elements: Dataset) -> Iterator[tuple[Plane, Any]]:
    """How each position in the file lies, and the position: of the image, detectors, frames."""
    for place, name, plane in _places(elements):
        if plane is not None:
            yield plane, place[name].value


def pixel_shape(elements: Dataset) -> float:
    """Height of a pixel ÷ its width, 1 where nothing is said."""
    for dataset in own_parts(elements):
        for keyword in PAIRS:
            spacing = dataset.get(keyword)
            if spacing is not None and len(spacing) == 2 and float(spacing[1]):
                return float(spacing[0]) / float(spacing[1])
    height, width = elements.get("PixelAspectRatio") or (1, 1)
    return float(height) / float(width)


def _move_planes(elements: Dataset, grid: Regrid) -> tuple[str, ...]:
    lost = False
    for place, name, plane in list(_places(elements)):
        if plane is None:
            lost = True
        else:
            _set(place, name, plane.moved(place[name].value, grid))
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
    if not (any(numbers[:3]) and any(numbers[3:])):
        return None
    return Plane(numbers[:3], numbers[3:], (float(spacing[0]), float(spacing[1])))


def _move_region(region: Dataset, elements: Dataset, axis: str, ratio: float, size: int) -> None:
    """One axis of an ultrasound region.

    Its reference point stays a whole pixel, counted from the first one of the region, so its value
    moves instead. size: of the image along the axis, before.
    """
    least, last = f"RegionLocationMin{axis}0", f"RegionLocationMax{axis}1"
    place = f"ReferencePixel{axis}0"
    value, delta = f"ReferencePixelPhysicalValue{axis}", region.get(f"PhysicalDelta{axis}")
    corner = float(region.get(least) or 0) * ratio
    if region.get(place) is not None:
        # By now the delta is that of the small pixels.
        there = float(region[place].value) * ratio
        whole = math.floor(there + 0.5)
        beyond = there + (ratio - 1) / 2 - whole + corner - math.floor(corner + 0.5)
        if value in region and delta is not None:
            shift = float(delta) * beyond
            _change(region, value, lambda old, by: old - by, (shift,))
        _set(region, place, whole)
    _change(region, least, lambda old, r: old * r, (ratio,))
    _change(
        region,
        last,
        lambda old, r: (old + 1) * r - 1 if old < size else old * r,
        (ratio,),
    )
    for name in REGION_MIDDLE:
        _change(region, name.format(axis), lambda old, r: old * r + (r - 1) / 2, (ratio,))


def _change(
    dataset: Dataset,
    keyword: str,
    change: Callable[[float, float], float],
    ratios: tuple[float, ...],
) -> None:
    """Apply `change` to each number of an element and, in turn, a ratio, if it has numbers."""
    value = dataset.get(keyword)
    if value is None or value == "":
        return
    many = not isinstance(value, int | float) and hasattr(value, "__len__")
    pairs = zip(value if many else [value], itertools.cycle(ratios), strict=False)
    numbers = [change(float(number), ratio) for number, ratio in pairs]
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


def enlarge_overlays(elements: Dataset, stored: Any, grid: Regrid) -> None:
    """Repeat each overlay bit as a block; bits that lay in the pixels get data of their own.

    Args:
        elements: changed in place; Rows and Columns as they were.
        stored: the raw containers (frames, h, w) for overlays that lie in them, or None.
    """
    for group in OVERLAYS:
        bits = _overlay_bits(elements, group, stored)
        if bits is None:
            continue
        height, width = bits.shape[-2:]
        columns, rows = (
            max(1, math.floor(side * ratio + 0.5))
            for side, ratio in ((width, grid.across), (height, grid.down))
        )
        own = Regrid(width, height, columns, rows)
        large = np.stack([own.nearest(frame) for frame in bits])
        packed = np.packbits(large.reshape(-1), bitorder="little").tobytes()
        origin = elements.get((group, OVERLAY_ORIGIN))
        top, left = origin.value if origin is not None and origin.value else (1, 1)
        elements.add_new((group, OVERLAY_ROWS), "US", rows)
        elements.add_new((group, OVERLAY_COLUMNS), "US", columns)
        corner = [
            math.floor((int(place) - 1) * ratio + 1.5)
            for place, ratio in ((top, grid.down), (left, grid.across))
        ]
        elements.add_new((group, OVERLAY_ORIGIN), "SS", corner)
        if (area := elements.get((group, OVERLAY_AREA))) is not None and area.value:
            area.value = math.floor(int(area.value) * own.across * own.down + 0.5)
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
