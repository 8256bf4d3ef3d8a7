"""How wide pixels are shown, told in a Matroska file: PyAV has no means to, and most codecs none.

::

    SeekHead │ Void │ Info │ Tracks ( TrackEntry ( … Video ( … DisplayWidth, -Height, -Unit ) ) )

The Void gets as much shorter as the Tracks get longer, so that all behind them stays where it is
(RFC 9559, 5.1.4.1.28 and 5.1.1; RFC 8794, 11.3).
"""

from __future__ import annotations

import io
import zlib
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from reslift.media.video.boxes import SEGMENT
from reslift.media.video.probe import opened, picture_stream
from reslift.media.video.shown import TRACK, TRACKS, VIDEO, Piece, elements

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

SEEK_HEAD, VOID, INFO, CRC = b"\x11\x4d\x9b\x74", b"\xec", b"\x15\x49\xa9\x66", b"\xbf"
SEEK, SEEK_ID, SEEK_POSITION = b"\x4d\xbb", b"\x53\xab", b"\x53\xac"
WIDTH, HEIGHT, UNIT = b"\x54\xb0", b"\x54\xba", b"\x54\xb2"
RATIO = 3
FINEST = 2**20
LONG = 8
"""Bytes of a length that is written so; a Void has one more."""


def told(path: Path, muxer: str, aspect: Fraction | None) -> list[str]:
    """Have players show pixels `aspect` as wide as high; a note where that cannot be.

    path: a file that `muxer` made, Matroska's or WebM's, the first stream of which is the picture.
    """
    with opened(path) as result:
        stream = picture_stream(result, path)
        sides, now = (stream.width, stream.height), stream.sample_aspect_ratio or Fraction(1)
    if aspect is None or abs(now - aspect) * sides[0] <= 1:
        return []
    if _put(path, _shown(sides, aspect, muxer)):
        return []
    return [f"that pixels are {aspect} as wide as high is not kept: {path.suffix} has no room"]


def _shown(sides: tuple[int, int], aspect: Fraction, muxer: str) -> bytes:
    """The elements for sides (width, height); WebM counts in pixels, and knows no other unit."""
    width, height = max(1, round(sides[0] * aspect)), sides[1]
    if muxer == "webm":
        return _number(WIDTH, width) + _number(HEIGHT, height)
    shape = (Fraction(*sides) * aspect).limit_denominator(FINEST)
    words = {WIDTH: shape.numerator, HEIGHT: shape.denominator, UNIT: RATIO}
    return b"".join(_number(name, value) for name, value in words.items())


def _put(path: Path, shown: bytes) -> bool:
    """Write the elements into the first track with pictures; False where there is no room."""
    with path.open("r+b") as file:
        whole = elements(file, 0, file.seek(0, io.SEEK_END))
        segment = next(piece for piece in whole if piece.name == SEGMENT)
        walk = elements(file, segment.start, segment.end)
        head, void, info, tracks = (next(walk) for _ in range(4))
        if [one.name for one in (head, void, info, tracks)] != [SEEK_HEAD, VOID, INFO, TRACKS]:
            return False
        kept = _bytes(file, Piece(b"", void.end, info.end))
        made = _element(TRACKS, _tracks(_bytes(file, tracks), shown))
        longer = len(made) - (tracks.end - info.end)
        room = void.end - head.end - longer
        if longer < 0 or room <= LONG:
            return False
        file.seek(head.end)
        file.write(_element(VOID, bytes(room - LONG - 1), LONG) + kept + made)
        _move(file, head, longer)
    return True


def _tracks(content: bytes, shown: bytes) -> bytes:
    parts, done = [], False
    for name, one, whole in _pieces(content):
        if name == TRACK and not done and any(inner == VIDEO for inner, _, _ in _pieces(one)):
            parts.append(_element(TRACK, _track(one, shown), LONG))
            done = True
        elif name != CRC:
            parts.append(whole)
    return _checked(content, b"".join(parts))


def _track(content: bytes, shown: bytes) -> bytes:
    return b"".join(
        _element(VIDEO, _video(one, shown)) if name == VIDEO else whole
        for name, one, whole in _pieces(content)
    )


def _video(content: bytes, shown: bytes) -> bytes:
    others = (whole for name, _, whole in _pieces(content) if name not in (WIDTH, HEIGHT, UNIT))
    return b"".join(others) + shown


def _move(file: BinaryIO, head: Piece, back: int) -> None:
    """Have the list of places say that Info and Tracks begin so many bytes earlier."""
    for seek in elements(file, head.start, head.end):
        found = {one.name: one for one in elements(file, seek.start, seek.end)}
        if seek.name == SEEK and _bytes(file, found[SEEK_ID]) in (INFO, TRACKS):
            place = found[SEEK_POSITION]
            before = int.from_bytes(_bytes(file, place), "big")
            file.seek(place.start)
            file.write((before - back).to_bytes(place.end - place.start, "big"))
    content = _bytes(file, head)
    file.seek(head.start)
    file.write(_checked(content, b"".join(w for name, _, w in _pieces(content) if name != CRC)))


def _checked(before: bytes, content: bytes) -> bytes:
    """The content behind its checksum, if it had one before."""
    if not before.startswith(CRC):
        return content
    return _element(CRC, zlib.crc32(content).to_bytes(4, "little")) + content


def _pieces(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Name, content and all bytes of each element."""
    begin = 0
    for piece in elements(io.BytesIO(data), 0, len(data)):
        yield piece.name, data[piece.start : piece.end], data[begin : piece.end]
        begin = piece.end


def _bytes(file: BinaryIO, piece: Piece) -> bytes:
    file.seek(piece.start)
    return file.read(piece.end - piece.start)


def _number(name: bytes, value: int) -> bytes:
    return _element(name, value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _element(name: bytes, content: bytes, width: int = 1) -> bytes:
    """width: the fewest bytes of its length."""
    while len(content) >= (1 << (7 * width)) - 1:
        width += 1
    return name + (len(content) | 1 << (7 * width)).to_bytes(width, "big") + content
