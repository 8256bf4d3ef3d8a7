"""JPEG: segments are read and written here, pixels by libvips.

Written at quality 95 with full chroma. CMYK keeps the Adobe marker and its inverted samples.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from reslift.formats import exif as exif_block
from reslift.formats import vips
from reslift.formats.base import (
    GAIN_MAP_LOST,
    METRES,
    Facts,
    Format,
    Holds,
    Picture,
    Resolution,
    Space,
    Unit,
    causes,
    damaged,
    exactly,
)

if TYPE_CHECKING:
    from reslift.limits import Limits

XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
LONG_XMP_HEAD = b"http://ns.adobe.com/xmp/extension/\0"
ICC_HEAD = b"ICC_PROFILE\0"
MPF_HEAD = b"MPF\0"
GAIN_MAP = b"http://ns.adobe.com/hdr-gain-map/"
ISO_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1\0"
END_OF_IMAGE = b"\xff\xd9"
PIECE = 1 << 20
NOTICED = 64
MOST_SEGMENTS = 10_000
MOST_IN_SEGMENT = 65_533
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
HUFFMAN_FRAMES = {0xC0, 0xC1, 0xC2}
READABLE_FRAMES = HUFFMAN_FRAMES | {0xC9, 0xCA}
RESTARTS = [bytes((0xFF, 0xD0 + number)) for number in range(8)]
CODED = bytes(range(0xFE, 0, -1))
APP0, APP1, APP2, APP13, COMMENT, START_OF_SCAN = 0xE0, 0xE1, 0xE2, 0xED, 0xFE, 0xDA
KEPT = {APP13: "APP13", COMMENT: "COM"}
CODES = {name: code for code, name in KEPT.items()}
SPACES: dict[int, Space] = {1: "gray", 3: "rgb", 4: "cmyk"}
UNITS: dict[int, Unit] = {0: "none", 1: "inch", 2: "cm"}


class Jpeg(Format):
    """JPEG: gray, RGB or CMYK of 8 bits, no alpha; baseline, progressive and MPO are read."""

    name = "jpeg"
    label = "JPEG"
    suffixes = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")
    lossless = False
    holds = Holds(spaces=("gray", "rgb", "cmyk"), alpha=(), longest=65_500)

    def recognises(self, head: bytes) -> bool:
        """By the start-of-image marker and the next one."""
        return head.startswith(b"\xff\xd8\xff")

    def inspect(self, file: BinaryIO) -> Facts:
        """Walk over the segments up to the first scan."""
        segments = list(_segments(file))
        frame = next((segment for segment in segments if segment[0] in FRAMES), None)
        if frame is None or len(frame[1]) < 6:
            raise damaged("no JPEG frame header")
        bits, height, width, bands = struct.unpack(">BHHB", frame[1][:6])
        if frame[0] not in READABLE_FRAMES or bits != 8 or bands not in SPACES or not height:
            raise damaged(
                f"a JPEG of kind {frame[0] - 0xC0} with {bits} bits and {bands} bands is not "
                "supported; save it as baseline or progressive JPEG"
            )
        exif = _first(segments, APP1, exif_block.PREFIX)
        block = exif_block.bare(exif) if exif else None
        icc, notes = _profile(segments)
        return Facts(
            width,
            height,
            SPACES[bands],
            False,
            8,
            orientation=exif_block.orientation(block),
            icc=icc,
            exif=block or None,
            xmp=_first(segments, APP1, XMP_HEAD),
            resolution=_resolution(segments) or exif_block.resolution(block),
            extra=tuple((KEPT[code], data) for code, data in segments if code in KEPT),
            notes=(*notes, *_changes(segments)),
        )

    def decode(self, file: BinaryIO, facts: Facts, limits: Limits) -> tuple[np.ndarray, list[str]]:
        """CMYK with the Adobe marker is turned over by libvips: 0 is no ink.

        JPEG has no checksums and stray bytes are common: what can be shown is shown, with a note,
        unless pixels are missing.
        """
        notes = _left_behind(file)
        try:
            pixels = vips.decode("jpegload_source", file, facts, limits)
            warned = _warned()
        except vips.library().Error as error:
            pixels, warned = _tolerantly(file, facts, limits), True
            told = f"the JPEG data is damaged, the picture may be too ({causes(error)})"
            notes = [told, *notes]
        if warned and not np.array_equal(pixels, _tolerantly(_filled(file), facts, limits)):
            raise damaged("pixels are missing: the JPEG data ends before the picture does")
        return pixels, notes

    def encode(self, path: Path, picture: Picture, image: Any, quality: int) -> list[str]:
        """Stream the picture to `path`; the metadata goes before the tables."""
        segments, notes = _metadata(picture)
        with open(path, "wb") as file:
            sink = vips.Head(file, lambda head: _with_segments(head, segments))
            options = {"Q": quality, "subsample_mode": "off"}
            vips.save(image, "jpegsave_target", sink, picture, **options)
        return notes


def _segments(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    file.seek(2)
    for _ in range(MOST_SEGMENTS):
        stray = 0
        while exactly(file, 1, "the JPEG header") != b"\xff":
            stray += 1
            if stray > MOST_IN_SEGMENT:
                raise damaged("no marker where a JPEG segment should begin")
        code = 0xFF
        while code == 0xFF:
            code = exactly(file, 1, "the JPEG header")[0]
        if code == START_OF_SCAN:
            return
        if code == 0x01 or 0xD0 <= code <= 0xD9:
            raise damaged(f"marker {code:#04x} in the JPEG header")
        (length,) = struct.unpack(">H", exactly(file, 2, "a JPEG segment"))
        if length < 2:
            raise damaged("a JPEG segment of no length")
        yield code, exactly(file, length - 2, "a JPEG segment")
    raise damaged(f"more than {MOST_SEGMENTS:,} JPEG segments")


def _first(segments: list[tuple[int, bytes]], code: int, head: bytes) -> bytes | None:
    for found, data in segments:
        if found == code and data.startswith(head):
            return data[len(head) :]
    return None


def _profile(segments: list[tuple[int, bytes]]) -> tuple[bytes | None, list[str]]:
    parts: dict[int, bytes] = {}
    wanted = 0
    start = len(ICC_HEAD)
    for code, data in segments:
        if code == APP2 and data.startswith(ICC_HEAD) and len(data) > start + 2:
            wanted = max(wanted, data[start + 1])
            parts.setdefault(data[start], data[start + 2 :])
    if not parts:
        return None, []
    if sorted(parts) != list(range(1, wanted + 1)):
        return None, ["a part of the ICC profile is missing; the profile is dropped"]
    return b"".join(parts[number] for number in sorted(parts)), []


def _resolution(segments: list[tuple[int, bytes]]) -> Resolution | None:
    data = _first(segments, APP0, b"JFIF\0")
    if data is None or len(data) < 7:
        return None
    unit, across, down = struct.unpack(">BHH", data[2:7])
    known = across and down and unit in UNITS and (unit or across != down)
    return (float(across), float(down), UNITS[unit]) if known else None


def _warned() -> bool:
    """Whether libvips holds warnings. It raises none for the last rows, but keeps their text."""
    pyvips = vips.library()
    return bool(pyvips.ffi.string(pyvips.vips_lib.vips_error_buffer()))


def _tolerantly(file: BinaryIO, facts: Facts, limits: Limits) -> np.ndarray:
    """What libvips makes of damaged data.

    Its warnings are cleared: libvips would put them before those of the next file.
    """
    try:
        return vips.decode("jpegload_source", file, facts, limits, fail_on="error")
    finally:
        vips.library().vips_lib.vips_error_clear()


def _filled(file: BinaryIO) -> BinaryIO:
    """The file with more coded data before its end: no pixel changes where all are there.

    The warnings cannot tell: libjpeg gives only the first, which may be a harmless one. Arithmetic
    coding is left alone: its last zeros are not stored.
    """
    codes = [code for code, _ in _segments(file)]
    start = file.tell()
    file.seek(0)
    data = file.read()
    end = data.find(END_OF_IMAGE, start)
    if end < 0 or not HUFFMAN_FRAMES.intersection(codes):
        return BytesIO(data)
    scan = data.rfind(bytes((0xFF, START_OF_SCAN)), 0, end)
    last = max((7, *range(7)), key=lambda number: data.rfind(RESTARTS[number], scan, end))
    awaited = RESTARTS[last + 1 :] + RESTARTS[: last + 1]
    filling = CODED + b"".join(marker + CODED for marker in awaited)
    return BytesIO(data[:end] + filling + data[end:])


def _left_behind(file: BinaryIO) -> list[str]:
    """A note on data behind the picture that no other note speaks of; reads the whole file."""
    if _changes(list(_segments(file))) or _behind(file) < NOTICED:
        return []
    return ["what lies behind the picture (the film of a motion photo, a maker's data) is left out"]


def _behind(file: BinaryIO) -> int:
    """Bytes behind the end of the picture, from a file that stands at its first scan.

    Zeros count for nothing: cameras pad with them. Coded data holds no end marker before its own.
    """
    last, behind = b"", -1
    while piece := file.read(PIECE):
        if behind < 0:
            end = (last + piece).find(END_OF_IMAGE)
            if end < 0:
                last = piece[-1:]
                continue
            piece, behind = (last + piece)[end + len(END_OF_IMAGE) :], 0
        behind += len(piece) - piece.count(0)
    return max(behind, 0)


def _changes(segments: list[tuple[int, bytes]]) -> list[str]:
    notes = []
    packet = _first(segments, APP1, XMP_HEAD) or b""
    if GAIN_MAP in packet or _first(segments, APP2, ISO_GAIN_MAP) is not None:
        notes.append(GAIN_MAP_LOST)
    elif _first(segments, APP2, MPF_HEAD) is not None:
        notes.append("multi-picture JPEG (MPO): only the first picture is used")
    if _first(segments, APP1, LONG_XMP_HEAD) is not None:
        notes.append("the extended part of the XMP is not kept")
    return notes


def _metadata(picture: Picture) -> tuple[bytes, list[str]]:
    segments = [(APP0, b"JFIF\0\1\2" + _density(picture.resolution) + b"\0\0")]
    notes = []
    if picture.exif:
        segments.append((APP1, exif_block.PREFIX + picture.exif))
    if picture.xmp:
        segments.append((APP1, XMP_HEAD + picture.xmp))
    icc = picture.icc or b""
    room = MOST_IN_SEGMENT - len(ICC_HEAD) - 2
    parts = [icc[at : at + room] for at in range(0, len(icc), room)]
    if len(parts) > 255:
        notes.append("the ICC profile is too long for JPEG and is dropped")
        parts = []
    for number, part in enumerate(parts, 1):
        segments.append((APP2, ICC_HEAD + bytes((number, len(parts))) + part))
    if picture.format == "jpeg":
        segments += [(CODES[name], data) for name, data in picture.extra]
    body = b""
    for code, data in segments:
        if len(data) > MOST_IN_SEGMENT:
            notes.append(
                f"{'XMP' if data.startswith(XMP_HEAD) else 'EXIF'} of {len(data):,} bytes "
                "is too long for JPEG and is dropped"
            )
            continue
        body += struct.pack(">BBH", 0xFF, code, len(data) + 2) + data
    return body, notes


def _density(resolution: Resolution | None) -> bytes:
    """Unit and two whole numbers; metres become inches where that is exact enough, else cm."""
    if resolution is None:
        return struct.pack(">BHH", 0, 1, 1)
    across, down, unit = resolution
    if unit == "m":
        factor = METRES["inch"]
        across, down, unit = across * factor, down * factor, "inch"
    code = {"none": 0, "inch": 1, "cm": 2}[unit]
    pair = (min(max(round(value), 1), 65_535) for value in (across, down))
    return struct.pack(">BHH", code, *pair)


def _with_segments(head: bytes, segments: bytes) -> bytes | None:
    """What libvips wrote with `segments` behind the first marker; an own JFIF segment goes."""
    if len(head) < 4:
        return None
    end = 2
    if head[2:4] == bytes((0xFF, APP0)):
        if len(head) < 6:
            return None
        end += 2 + struct.unpack_from(">H", head, 4)[0]
    return head[:2] + segments + head[end:] if len(head) >= end else None
