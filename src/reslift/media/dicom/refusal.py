"""Which DICOM files hold no image that may be enlarged, and what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reslift.errors import one_line
from reslift.media.dicom.sniff import DEFLATED, Head
from reslift.media.dicom.sound import unsound

if TYPE_CHECKING:
    from pydicom import Dataset

COLOURS = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_PARTIAL_422"}
COLOURS |= {"YBR_ICT", "YBR_RCT"}
GRAYS = {"MONOCHROME1", "MONOCHROME2"}
PALETTE = "PALETTE COLOR"
NEEDED = ("PhotometricInterpretation", "SamplesPerPixel", "BitsStored", "PixelRepresentation")
DICOMDIR = "1.2.840.10008.1.3.10"
RADIOTHERAPY = "1.2.840.10008.5.1.4.1.1.481."
LABELS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
VIDEO = ("1.2.840.10008.1.2.4.10", "1.2.840.10008.1.2.7")


def reason(elements: Dataset, syntax: str) -> str:
    """Why this data set is no image to enlarge; empty where it is one."""
    kind = str(elements.get("SOPClassUID") or elements.file_meta.get("MediaStorageSOPClassUID", ""))
    if kind == DICOMDIR or "DirectoryRecordSequence" in elements:
        return "a DICOMDIR lists files and holds no picture; give the folder"
    if kind.startswith(RADIOTHERAPY):
        return f"{name_of(kind)} belongs to a radiotherapy plan and is not enlarged"
    if kind.startswith(LABELS):
        return (
            f"{name_of(kind)} holds labels, not intensities; enlarge those with nearest neighbour"
        )
    if "Rows" not in elements or "Columns" not in elements or "BitsAllocated" not in elements:
        if kind and "SOPClassUID" not in elements:
            return (
                f"its elements cannot be read by its transfer syntax, {name_of(syntax)}; mend its "
                "TransferSyntaxUID"
            )
        return f"this DICOM file holds no picture or ends before it ({name_of(kind)})"
    if syntax.startswith(VIDEO):
        return "its pixel data is a video stream, which is not enlarged"
    if "TotalPixelMatrixColumns" in elements:
        return "its frames are tiles of a whole slide, which are not enlarged"
    return _unknown_pixels(elements) or unsound(elements)


def of_pixels(head: Head | None, syntax: str, native: bool) -> str:
    """Why there are no pixels of this transfer syntax; empty where they begin as they should."""
    from pydicom.pixels.decoders.base import get_decoder

    try:
        get_decoder(syntax)
    except NotImplementedError:
        return f"its pixel data, {name_of(syntax)}, is compressed in a way that is not read"
    if syntax == DEFLATED:  # Its pixels are not looked at before they are unpacked.
        return ""
    if head is None:
        return "it describes a picture and has no pixel data (7FE0,0010), or ends before it"
    if head.in_pieces != native:
        return ""
    kinds = ("compressed", "not compressed")
    return (
        f"by its transfer syntax, {name_of(syntax)}, its pixel data is {kinds[native]}, and it is "
        f"{kinds[not native]}; mend its TransferSyntaxUID"
    )


def _unknown_pixels(elements: Dataset) -> str:
    bits, samples = int(elements.BitsAllocated or 0), int(elements.get("SamplesPerPixel") or 1)
    # Before what else lacks: images of floats rightly do not say it.
    if bits not in (8, 16):
        return f"its values have {bits} bits; 8 to 16 are enlarged"
    if lacking := [name for name in NEEDED if elements.get(name) in (None, "")]:
        return f"it does not say how its pixels are stored: {', '.join(lacking)} lacks"
    shown = str(elements.get("PhotometricInterpretation") or "")
    if shown not in COLOURS | GRAYS | {PALETTE}:
        return "its photometric interpretation is none of gray, palette, RGB and YBR"
    if samples != (3 if shown in COLOURS else 1):
        return f"{samples} samples a pixel do not go with its photometric interpretation"
    return ""


def name_of(uid: str) -> str:
    """What the standard calls a UID; nothing of what it does not know is repeated."""
    from pydicom.config import IGNORE
    from pydicom.uid import UID

    name = UID(uid, IGNORE).name if uid else uid
    return "of no known kind" if name == uid else one_line(name)
