"""How far to trust each pixel of an enlarged DICOM image: a second image of the same place."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reslift.media.dicom import identity, palette
from reslift.media.dicom.geometry import OVERLAYS

if TYPE_CHECKING:
    from pydicom import Dataset

    from reslift.uncertainty import Calibration

ENDING = ".uncertainty.dcm"
TOP = 65535
NAME = " 90 % half-width"
UNTRUE = (
    *("VOILUTSequence", "ModalityLUTSequence", "VOILUTFunction", "WindowCenterWidthExplanation"),
    *(
        "RealWorldValueMappingSequence",
        "PixelPaddingValue",
        "PixelPaddingRangeLimit",
        "ICCProfile",
        "PlanarConfiguration",
        "PresentationLUTSequence",
        "StoredValueColorRangeSequence",
    ),
    *identity.EXTREMES,
)
SHOWN = {"PresentationLUTShape": "IDENTITY", "PixelPresentation": "MONOCHROME"}
"""How gray is shown that is light where it is high and has no colours beside it."""
UNTRUE_OF_FRAMES = ("FrameVOILUTSequence", "RealWorldValueMappingSequence")


def beside(target: Path) -> Path:
    """The file of half-widths: ``scan-x4.dcm.uncertainty.dcm``."""
    return target.with_name(target.name + ENDING)


def stored(halves: NDArray[np.float32]) -> tuple[NDArray[np.uint16], float]:
    """Half-widths (frames, h, w) as whole numbers, and what 1 of them stands for."""
    unit = float(halves.max()) / TOP or 1 / TOP
    whole = np.empty(halves.shape, np.uint16)
    for number, frame in enumerate(halves):
        whole[number] = np.rint(frame / unit)
    return whole, unit


def describe(
    result: Dataset, whole: NDArray[np.uint16], unit: float, calibration: Calibration
) -> Dataset:
    """The elements of the map, from those of the enlarged image.

    It keeps place, spacing and all that is said of the patient; its rescaled values are half the
    width of the interval that holds 90 % of the samples, in the units of the image.
    """
    elements = copy.deepcopy(result)
    for keyword in UNTRUE:
        if keyword in elements:
            del elements[keyword]
    # Their tags alone: looking at all elements would decode what is to stay as it is (`palette`).
    for tag in [tag for tag in elements.keys() if tag.group in OVERLAYS]:  # noqa: SIM118
        del elements[tag]
    for tag in palette.tags_of(elements):
        del elements[tag]
    for dataset in elements, *identity.frame_types(elements):
        for keyword, value in SHOWN.items():
            if dataset.get(keyword):
                setattr(dataset, keyword, value)
    elements.PhotometricInterpretation, elements.SamplesPerPixel = "MONOCHROME2", 1
    elements.BitsAllocated = elements.BitsStored = 16
    elements.HighBit, elements.PixelRepresentation = 15, 0
    _rescale(elements, unit, result)
    source, kind = str(result.SOPInstanceUID), str(result.get("SOPClassUID") or "")
    identity.name_source(elements, kind, source)
    elements.SOPInstanceUID = identity.uid_of(source, NAME, _digest(whole))
    elements.file_meta.MediaStorageSOPInstanceUID = elements.SOPInstanceUID
    elements.SeriesInstanceUID = identity.uid_of(str(result.SeriesInstanceUID), NAME)
    identity.rename_whole(elements, NAME)
    longest = identity.LONGEST_LINE - len(NAME)
    elements.SeriesDescription = identity.described(result)[:longest] + NAME
    what = (
        "Not the image: half the width of the interval that should hold 90 % of its values, "
        f"calibrated on {calibration.data}, not on such images; 0 where nothing was measured"
    )
    before = str(result.get("DerivationDescription") or "")
    room = identity.LONGEST_DESCRIPTION - len(what) - 2
    elements.DerivationDescription = f"{what[: identity.LONGEST_DESCRIPTION]}; {before[:room]}"
    return elements


def _digest(whole: NDArray[np.uint16]) -> str:
    digest = hashlib.sha256()
    for frame in whole:
        digest.update(np.ascontiguousarray(frame, "<u2").data)
    return digest.hexdigest()


def _rescale(elements: Dataset, unit: float, result: Dataset) -> None:
    """Slopes that bring whole numbers to the units of the image; a window that shows them all."""
    groups = list(elements.get("SharedFunctionalGroupsSequence") or ())
    groups += list(elements.get("PerFrameFunctionalGroupsSequence") or ())
    found = False
    for group in groups:
        for untrue in UNTRUE_OF_FRAMES:
            if untrue in group:
                del group[untrue]
        for item in group.get("PixelValueTransformationSequence") or ():
            found = True
            _set(item, unit * abs(float(item.get("RescaleSlope") or 1)))
    given = result.get("RescaleSlope")
    slope = unit * abs(float(given or 1))
    if not found:
        if given is None:
            elements.RescaleType = "US"
        _set(elements, slope)
    elements.WindowCenter, elements.WindowWidth = _number(slope * TOP / 2), _number(slope * TOP)


def _set(dataset: Dataset, slope: float) -> None:
    dataset.RescaleSlope, dataset.RescaleIntercept = _number(slope), "0"


def _number(value: float) -> Any:
    from pydicom.valuerep import DSfloat

    return DSfloat(value, auto_format=True)
