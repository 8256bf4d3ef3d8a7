"""The outer shell of MP4, Matroska and AVI files: what they are, and whether they end too early.

ISO/IEC 14496-12 (boxes), RFC 8794 (EBML), RIFF. Only lengths are read, a few bytes each.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

EBML = b"\x1a\x45\xdf\xa3"
SEGMENT = b"\x18\x53\x80\x67"
QUICKTIME = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
PICTURES = (
    b"avif",
    b"avis",
    b"mif1",
    b"msf1",
    b"heic",
    b"heix",
    b"hevc",
    b"hevx",
    b"crx ",
    b"jxl ",
)
MOST_BOXES = 100_000
MOST_ELEMENTS = 10 * MOST_BOXES
LONGEST_NAME = 4


def demuxer(head: bytes) -> str | None:
    """FFmpeg's name of the demuxer for a file that begins so; None for what is no video."""
    if head[:4] == EBML:
        return "matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[4:8] == b"ftyp":
        return None if head[8:12] in PICTURES else "mov"
    return "mov" if head[4:8] in QUICKTIME else None


def missing_bytes(path: Path) -> int:
    """How many bytes the file's own lengths promise beyond its end; 0 for a whole file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        kind = demuxer(file.read(64))
        if kind == "mov":
            end = _boxes_end(file, size)
        elif kind == "matroska":
            end = _segment_end(file, size)
        else:
            file.seek(4)
            end = 8 + int.from_bytes(file.read(4), "little")
    return max(0, end - size)


def _boxes_end(file: BinaryIO, size: int) -> int:
    place = 0
    for _ in range(MOST_BOXES):
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            break
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:
            return size
        place += length
        if place >= size:
            break
    return place


def _segment_end(file: BinaryIO, size: int) -> int:
    """Where the first segment of Matroska says that it ends, or else the last element in it."""
    file.seek(4)
    length = vint(file)
    file.seek(file.tell() + (length or 0))
    if file.read(4) != SEGMENT:
        return 0
    length = vint(file)
    return _elements_end(file, size) if length is None else file.tell() + length


def _elements_end(file: BinaryIO, size: int) -> int:
    """Of a recording, in which clusters may be as open as the segment is: they are entered."""
    end = file.tell()
    for _ in range(MOST_ELEMENTS):
        file.seek(end)
        first = file.read(1)
        if not first:
            return end
        width = 9 - first[0].bit_length()
        if width > LONGEST_NAME:
            return size  # no element: what is damaged is found by reading it
        file.seek(end + width)
        length = vint(file)
        end = max(file.tell(), end + width + 1) + (length or 0)
        if end > size:
            return end
    return size


def vint(file: BinaryIO) -> int | None:
    """A variable-length integer of EBML; None where all bits are set: unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return 0
    length = 9 - first[0].bit_length()
    rest = file.read(length - 1)
    value = int.from_bytes(bytes([first[0] & (0xFF >> length)]) + rest, "big")
    return None if value == (1 << (7 * length)) - 1 else value
