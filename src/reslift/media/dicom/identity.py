"""What an enlarged image is: a derived instance with a name, a history and no stale facts.

Nothing about the patient is looked at, changed or repeated.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reslift import __version__
from reslift.media.dicom import loss
from reslift.media.recorded import last_record

if TYPE_CHECKING:
    from pydicom import Dataset

    from reslift.checkpoint import Card
    from reslift.media.base import Enlarger
    from reslift.pixels.regrid import Regrid
    from reslift.provenance import Record

STALE = (
    "IconImageSequence",
    "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries",
    "SmallestImagePixelValueInPlane",
    "LargestImagePixelValueInPlane",
    "DigitalSignaturesSequence",
    "MACParametersSequence",
    "DataSetTrailingPadding",
    "InstanceCreationDate",
    "InstanceCreationTime",
    "InstanceCreatorUID",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "HistogramSequence",
    "SOPInstanceStatus",
    "SOPAuthorizationDateTime",
    "SOPAuthorizationComment",
    "AuthorizationEquipmentCertificationNumber",
)
"""What is true of the pixels or of the instance before only."""
EXTREMES = ("SmallestImagePixelValue", "LargestImagePixelValue")
CONCATENATED = ("ConcatenationUID", "SOPInstanceUIDOfConcatenationSource")
"""What the files of one image that was cut into several have in common."""
LONGEST_DESCRIPTION, LONGEST_LINE = 1024, 64


def uid_of(*parts: str) -> str:
    """A UID that depends on `parts` alone: 2.25 and the whole number of a name-based UUID."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, chr(0).join(parts)).int}"


def make_derived(
    elements: Dataset,
    enlarger: Enlarger,
    grid: Regrid,
    *,
    options: Sequence[str],
    pixels: str,
    extremes: tuple[int, int] | None,
    syntax: str,
    lossy: bool,
    record: Record | None = None,
) -> None:
    """Rename the instance, say what it was derived from and how, and drop what is no longer true.

    Args:
        elements: changed in place.
        enlarger: what made the pixels; with `grid` and `options` it names the series.
        grid: from the pixels before to those after.
        options: what else changed the result, one word each.
        pixels: digest of the new pixels, so that other pixels have another name.
        extremes: smallest and largest new stored value.
        syntax: transfer syntax of the source.
        lossy: its samples were changed when they were saved.
        record: how the result was made, within 1024 characters: what our equipment contributed.
    """
    from pydicom.uid import UID

    card = enlarger.card
    recipe = "\0".join((enlarger.identity, __version__, grid.label, *options))
    source = str(elements.get("SOPInstanceUID") or "")
    kind = str(elements.get("SOPClassUID") or elements.file_meta.get("MediaStorageSOPClassUID", ""))
    series = str(elements.get("SeriesInstanceUID") or elements.get("StudyInstanceUID") or source)
    name_source(elements, kind, source)
    elements.SOPInstanceUID = uid_of(source, recipe, pixels)
    elements.SeriesInstanceUID = uid_of(series, recipe)
    rename_whole(elements, recipe)
    elements.file_meta.MediaStorageSOPInstanceUID = elements.SOPInstanceUID
    if kind:
        elements.file_meta.MediaStorageSOPClassUID = UID(kind)
    for dataset in elements, *frame_types(elements):
        _mark_derived(dataset)
    _describe(elements, card, grid, record)
    if lossy:
        loss.keep(elements, syntax)
    for keyword in STALE:
        if keyword in elements:
            del elements[keyword]
    for keyword, value in zip(EXTREMES, extremes or (0, 0), strict=True):
        if keyword in elements and extremes is None:
            del elements[keyword]
        elif keyword in elements:
            signed = elements.get("PixelRepresentation") == 1
            elements.add_new(elements[keyword].tag, "SS" if signed else "US", value)


def rename_whole(elements: Dataset, *recipe: str) -> None:
    """Give the image that `elements` is a part of, if it is, a name that all parts get alike."""
    for keyword in CONCATENATED:
        if elements.get(keyword):
            setattr(elements, keyword, uid_of(str(elements.get(keyword)), *recipe))


def frame_types(elements: Dataset) -> list[Dataset]:
    """What functional groups say of the kind of frames."""
    groups = list(elements.get("SharedFunctionalGroupsSequence") or ())
    groups += list(elements.get("PerFrameFunctionalGroupsSequence") or ())
    return [
        item
        for group in groups
        for element in group
        if element.VR == "SQ" and element.keyword.endswith("FrameTypeSequence")
        for item in element.value
    ]


def _mark_derived(dataset: Dataset) -> None:
    """DERIVED\\SECONDARY, the rest of the type kept; an enhanced image has its second word kept."""
    for keyword in ("ImageType", "FrameType"):
        if keyword not in dataset:
            continue
        old = dataset[keyword].value
        words = [old] if isinstance(old, str) else list(old or ())
        enhanced = keyword == "FrameType" or "SharedFunctionalGroupsSequence" in dataset
        second = words[1] if enhanced and len(words) > 1 else "SECONDARY"
        setattr(dataset, keyword, ["DERIVED", second, *words[2:]])
    if "ImageType" not in dataset and "Rows" in dataset:
        dataset.ImageType = ["DERIVED", "SECONDARY"]


def name_source(elements: Dataset, kind: str, source: str) -> None:
    """Say first that the instance `source` of the class `kind` is what the pixels come from."""
    from pydicom.dataset import Dataset
    from pydicom.sr.codedict import codes

    if not source or not kind:
        return
    item = Dataset()
    item.ReferencedSOPClassUID = kind
    item.ReferencedSOPInstanceUID = source
    item.SpatialLocationsPreserved = "YES"
    item.PurposeOfReferenceCodeSequence = [_code(codes.DCM.SourceImageForImageProcessingOperation)]
    elements.SourceImageSequence = [item, *(elements.get("SourceImageSequence") or ())]


def _describe(elements: Dataset, card: Card, grid: Regrid, record: Record | None) -> None:
    from pydicom.dataset import Dataset
    from pydicom.sr.codedict import codes

    how = (
        f"Enlarged {grid.label} in rows and columns"
        if grid.whole
        else f"Resampled to {grid.high} rows and {grid.wide} columns"
    )
    what = (
        f"{how} by reslift {__version__} with model {card.name}; "
        "detail is estimated, not measured; not for diagnosis"
    )
    before = str(elements.get("DerivationDescription") or "")
    room = LONGEST_DESCRIPTION - len(what) - 2
    elements.DerivationDescription = f"{before[:room]}; {what}" if before else what
    coded = list(elements.get("DerivationCodeSequence") or ())
    elements.DerivationCodeSequence = [*coded, _code(codes.DCM.SpatialResampling)]
    name = f" {grid.label} {card.name}"
    series = described(elements)
    elements.SeriesDescription = (series[: LONGEST_LINE - len(name)] + name).strip()[-LONGEST_LINE:]
    machine = Dataset()
    machine.Manufacturer = "reslift"
    machine.ManufacturerModelName = card.name[:LONGEST_LINE]
    machine.SoftwareVersions = __version__
    machine.ContributionDescription = what if record is None else record.as_json()
    machine.PurposeOfReferenceCodeSequence = [_code(codes.DCM.ProcessingEquipment)]
    others = list(elements.get("ContributingEquipmentSequence") or ())
    elements.ContributingEquipmentSequence = [*others, machine]


def described(elements: Dataset) -> str:
    """What the series is called; a backslash in it, which parts values, is a slash."""
    value = elements.get("SeriesDescription") or ""
    return value if isinstance(value, str) else "/".join(map(str, value))


def record_in(elements: Dataset) -> Record | None:
    """How the image says that it was made; None where the last device that had it was another."""
    machines = elements.get("ContributingEquipmentSequence") or ()
    return last_record(str(machine.get("ContributionDescription", "")) for machine in machines[-1:])


def _code(code: object) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue = code.value  # type: ignore[attr-defined]
    item.CodingSchemeDesignator = code.scheme_designator  # type: ignore[attr-defined]
    item.CodeMeaning = code.meaning  # type: ignore[attr-defined]
    return item
