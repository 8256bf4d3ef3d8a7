"""DICOM by its content, looking at the first bytes only."""

from __future__ import annotations

import contextlib
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pydicom import Dataset

PREAMBLE, MAGIC = 128, b"DICM"
VRS = frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR "
    b"US UT UV".split()
)
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
ENOUGH = 3
PIXELS, SIGNATURES = 0x7FE0, 0xFFFA
UNDEFINED, PIECE = 0xFFFFFFFF, (0xFFFE, 0xE000)
DEFLATED = "1.2.840.10008.1.2.1.99"


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file that begins so is DICOM, with its preamble or without.

    Without one, the first elements must be sound ones of group 0002 or 0008, in rising order.
    """
    if head[PREAMBLE : PREAMBLE + 4] == MAGIC:
        return True
    return any(_elements(head, order) >= ENOUGH for order in "<>")


def _elements(head: bytes, order: str) -> int:
    """How many sound elements a file without preamble begins with."""
    at, last, count = 0, (0, -1), 0
    while at + 12 <= len(head) and count < ENOUGH:
        group, element = struct.unpack_from(f"{order}HH", head, at)
        if group not in (2, 8) or (group, element) <= last or element > 0x3000:
            return 0
        vr = head[at + 4 : at + 6]
        if vr in LONG_VRS:
            start, length = at + 12, struct.unpack_from(f"{order}L", head, at + 8)[0]
        elif vr in VRS:
            start, length = at + 8, struct.unpack_from(f"{order}H", head, at + 6)[0]
        else:
            start, length = at + 8, struct.unpack_from(f"{order}L", head, at + 4)[0]
        if length > len(head):
            return count if length == UNDEFINED and vr == b"SQ" else 0
        at, last, count = start + length, (group, element), count + 1
    return count


def missing_bytes(elements: Dataset, path: Path) -> int:
    """How many bytes the file is too short for its pixels, which are not compressed; 0 if whole.

    elements: all before the pixels.
    """
    frames = int(elements.get("NumberOfFrames") or 1)
    last = elements.get_item(max(elements.keys()))
    begin = getattr(last, "value_tell", None) or 0
    return max(0, _bits_of_frame(elements) * frames // 8 - (path.stat().st_size - begin))


def frames_there(elements: Dataset, size: int) -> int:
    """How many frames `size` bytes of pixels are that are not compressed; 0 where not whole ones.

    More bytes than the frames need are padding, unless they are frames themselves.
    """
    frames, bits = int(elements.get("NumberOfFrames") or 1), _bits_of_frame(elements)
    wanted = frames * bits // 8
    if size <= wanted + wanted % 2:
        return frames
    whole, rest = divmod(size * 8, bits)
    return whole if rest in (0, 8) else 0


def _bits_of_frame(elements: Dataset) -> int:
    samples = int(elements.get("SamplesPerPixel") or 1)
    if "422" in str(elements.get("PhotometricInterpretation")):
        samples = 2
    pixels = int(elements.Rows) * int(elements.Columns) * samples
    return pixels * int(elements.get("BitsAllocated") or 8)


@dataclass(frozen=True)
class Head:
    """How pixel data begins: bytes that it is said to have, 0 where that is not said; whether it is
    in pieces, as only compressed pixels are; where its value begins in the file."""

    size: int
    in_pieces: bool
    begin: int


def head_of_pixels(file: BinaryIO, elements: Dataset) -> Head | None:
    """How the pixel data begins; None where there is none, or nothing in it.

    file: stands behind `elements`, which are all before the pixels.
    """
    implicit, little = elements.original_encoding
    order, length = "<" if little else ">", 4 if implicit else 8
    head, begin, piece = file.read(length + 4), file.tell(), file.read(4)
    if len(head) < length + 4 or struct.unpack_from(f"{order}HH", head) != (PIXELS, 0x0010):
        return None
    (size,) = struct.unpack_from(f"{order}L", head, length)
    if not size:
        return None
    in_pieces = size == UNDEFINED or piece == struct.pack(f"{order}HH", *PIECE)
    return Head(0 if size == UNDEFINED else int(size), in_pieces, begin)


def settle_encoding(elements: Dataset) -> None:
    """Let `elements`, just read, say how they are written, whatever their transfer syntax says.

    pydicom finds out by itself, and yet hands out what should be.
    """
    from pydicom.dataelem import RawDataElement

    for tag in elements.keys():  # noqa: SIM118
        element: object = elements.get_item(tag)
        if isinstance(element, RawDataElement):
            little = elements.original_encoding[1]
            elements.set_original_encoding(element.is_implicit_VR, little)
            return


def has_elements_behind(path: Path) -> bool:
    """Whether elements follow the pixels that are neither padding nor signatures: private ones."""
    import pydicom
    from pydicom.filereader import data_element_generator

    with contextlib.suppress(Exception), path.open("rb") as file:
        before = pydicom.dcmread(file, stop_before_pixels=True, force=True)
        if before.file_meta.get("TransferSyntaxUID") == DEFLATED:
            return any(PIXELS < element.tag.group < SIGNATURES for element in pydicom.dcmread(path))
        settle_encoding(before)
        # The file stands at the pixels, which are passed over without being held.
        implicit, little = before.original_encoding
        rest = data_element_generator(file, bool(implicit), bool(little), defer_size=1)
        return any(PIXELS < element.tag.group < SIGNATURES for element in rest)
    return False
