"""Which part of the stored pictures a container has players show.

MP4 and MOV say it in the clean aperture of a track (`clap`, ISO/IEC 14496-12, 12.1.4), Matroska in
PixelCrop… (RFC 9559, 5.1.4.1.28). Many players heed neither, and PyAV cannot write them: all of the
picture is enlarged, and a note says what was to be hidden.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from reslift.media.video.boxes import SEGMENT, demuxer, vint

if TYPE_CHECKING:
    from av.video.stream import VideoStream

TRACKS, TRACK, VIDEO = b"\x16\x54\xae\x6b", b"\xae", b"\xe0"
CUTS = {b"\x54\xdd": 0, b"\x54\xcc": 0, b"\x54\xaa": 1, b"\x54\xbb": 1}
"""PixelCrop right, left, bottom, top: which side each makes shorter."""
TO_SAMPLES = (b"mdia", b"minf", b"stbl", b"stsd")
COUNTED, OF_A_PICTURE = 8, 78
"""Bytes before the entries of stsd, and before the boxes in an entry for pictures."""
MOST = 100_000


@dataclass(frozen=True)
class Piece:
    """A box or an element: its name, and where its content begins and ends."""

    name: bytes
    start: int
    end: int


Walk = Callable[[BinaryIO, int, int], Iterator[Piece]]


def hidden_note(path: Path, stream: VideoStream, sides: tuple[int, int]) -> list[str]:
    """A sentence where players are to show less than `sides`, the width and height of a stream."""
    with path.open("rb") as file:
        kind = demuxer(file.read(64))
        whole = Piece(b"", 0, file.seek(0, 2))
        found = None
        if kind == "matroska":
            before = (one.index < stream.index for one in stream.container.streams.video)
            found = _matroska(file, whole, sum(before), sides)
        elif kind == "mov":
            found = _mp4(file, whole, stream.id)
    if found is None or found == sides:
        return []
    if not all(0 < part <= side for part, side in zip(found, sides, strict=True)):
        return []
    part, all_ = (f"{wide}×{high}" for wide, high in (found, sides))
    return [f"the file has players show {part} of {all_} pixels; of the result they show all"]


def _matroska(
    file: BinaryIO, whole: Piece, place: int, sides: tuple[int, int]
) -> tuple[int, int] | None:
    """place: of the track among those for pictures."""
    videos = _below(elements, file, whole, SEGMENT, TRACKS, TRACK, VIDEO)
    video = next(itertools.islice(videos, place, None), None)
    if video is None:
        return None
    shown = list(sides)
    for one in elements(file, video.start, video.end):
        if one.name in CUTS:
            shown[CUTS[one.name]] -= _number(file, one)
    return shown[0], shown[1]


def _mp4(file: BinaryIO, whole: Piece, track: int) -> tuple[int, int] | None:
    for entry in _below(_boxes, file, whole, b"moov", b"trak"):
        if _track(file, entry) != track:
            continue
        for table in _below(_boxes, file, entry, *TO_SAMPLES):
            for sample in _boxes(file, table.start + COUNTED, table.end):
                for box in _boxes(file, sample.start + OF_A_PICTURE, sample.end):
                    if box.name == b"clap" and box.end - box.start >= 16:
                        file.seek(box.start)
                        wide, per_wide, high, per_high = struct.unpack(">4I", file.read(16))
                        return round(wide / (per_wide or 1)), round(high / (per_high or 1))
    return None


def _track(file: BinaryIO, entry: Piece) -> int:
    head = next(_below(_boxes, file, entry, b"tkhd"), entry)
    file.seek(head.start)
    data = file.read(24)
    return int.from_bytes(data[12:16] if data[:1] == b"\0" else data[20:24], "big")


def _below(walk: Walk, file: BinaryIO, piece: Piece, *names: bytes) -> Iterator[Piece]:
    """What lies below a piece along these names."""
    for one in walk(file, piece.start, piece.end):
        if one.name == names[0]:
            yield from _below(walk, file, one, *names[1:]) if names[1:] else (one,)


def elements(file: BinaryIO, at: int, end: int) -> Iterator[Piece]:
    """Those of Matroska from one place in a file to another, and none below them."""
    for _ in range(MOST):
        if at >= end:
            return
        file.seek(at)
        first = file.read(1)
        if not first or not first[0]:
            return
        name = first + file.read(8 - first[0].bit_length())
        length = vint(file)
        start = file.tell()
        at = end if length is None else start + length
        yield Piece(name, start, min(at, end))


def _boxes(file: BinaryIO, at: int, end: int) -> Iterator[Piece]:
    for _ in range(MOST):
        file.seek(at)
        head = file.read(16)
        if at + 8 > end or len(head) < 8:
            return
        length, start = int.from_bytes(head[:4], "big"), at + 8
        if length == 1:
            length, start = int.from_bytes(head[8:16], "big"), at + 16
        if length == 0:
            length = end - at
        if length < start - at:
            return
        at += length
        yield Piece(head[4:8], start, min(at, end))


def _number(file: BinaryIO, piece: Piece) -> int:
    file.seek(piece.start)
    return int.from_bytes(file.read(min(8, piece.end - piece.start)), "big")
