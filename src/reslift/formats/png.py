"""PNG: chunks are read and written here, pixels by libvips.

Compression level and filter are chosen by measurement (docs/formats.md).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from reslift.errors import one_line
from reslift.formats import exif as exif_block
from reslift.formats import vips
from reslift.formats.base import (
    CICP,
    Facts,
    Format,
    Holds,
    Picture,
    Resolution,
    Space,
    damaged,
    exactly,
    per_metre,
)

if TYPE_CHECKING:
    from reslift.limits import Limits

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"
XMP_HEAD = XMP_KEYWORD + b"\0\0\0\0\0"
COLOUR_TYPES: dict[int, tuple[Space, bool]] = {
    0: ("gray", False),
    2: ("rgb", False),
    3: ("rgb", False),
    4: ("gray", True),
    6: ("rgb", True),
}
BEFORE_PIXELS = (CICP, "sRGB", "gAMA", "cHRM", "mDCV", "cLLI")
TEXTS = ("tEXt", "zTXt", "iTXt")
READ = {"IHDR", "iCCP", "eXIf", "pHYs", *BEFORE_PIXELS, *TEXTS}
KNOWN = {"tRNS", "acTL", "IEND", *READ}
STALE = {"PLTE", "IDAT", "fdAT", "fcTL", "sBIT", "sPLT", "hIST", "tIME"}
"""Of the old samples or the old file; the others that are not known are told."""
MOST_TOLD = 8
SETTINGS = {"compression": 2, "filter": "paeth"}
MOST_CHUNKS = 500_000
MOST_BYTES = 16 * 2**20
MOST = f"{MOST_BYTES // 2**20} MiB"


class Png(Format):
    """Portable Network Graphics: gray or RGB, with or without alpha, 8 or 16 bit."""

    name = "png"
    label = "PNG"
    suffixes = (".png", ".apng")
    holds = Holds(spaces=("gray", "rgb"), alpha=("gray", "rgb"), bits=(8, 16), cicp=True)

    def recognises(self, head: bytes) -> bool:
        """By the signature."""
        return head.startswith(SIGNATURE)

    def inspect(self, file: BinaryIO) -> Facts:
        """Walk over all chunks, to the end of the file."""
        walked = list(_chunks(file))
        chunks = [(name, data) for name, data in walked if data is not None]
        beyond = dict.fromkeys(name for name, data in walked if data is None)
        if chunks and chunks[0][0] == "CgBI":
            raise damaged("a PNG as Xcode packs it (CgBI), which only iOS reads; save it anew")
        if not chunks or chunks[0][0] != "IHDR" or len(chunks[0][1]) != 13:
            raise damaged("no PNG header")
        width, height, bits, colour = struct.unpack(">IIBB", chunks[0][1][:10])
        if colour not in COLOUR_TYPES or bits not in (1, 2, 4, 8, 16):
            raise damaged(f"PNG colour type {colour} with {bits} bits")
        space, alpha = COLOUR_TYPES[colour]
        named = {name: data for name, data in reversed(chunks) if name not in TEXTS}
        alpha = alpha or "tRNS" in named
        icc, icc_notes = _profile(named.get("iCCP"))
        packet = next(
            (d for n, d in chunks if n == "iTXt" and d.startswith(XMP_KEYWORD + b"\0")), None
        )
        xmp, xmp_notes = _xmp(packet)
        notes = [*icc_notes, *xmp_notes, *_changes(colour, bits, alpha, named)]
        if beyond:
            notes.append(f"PNG metadata over {MOST} is dropped: {', '.join(beyond)}")
        return Facts(
            width,
            height,
            space,
            alpha,
            16 if bits == 16 else 8,
            orientation=exif_block.orientation(exif_block.bare(named.get("eXIf", b""))),
            icc=icc,
            exif=exif_block.bare(named.get("eXIf", b"")) or None,
            xmp=xmp,
            resolution=_resolution(named.get("pHYs")),
            lossless=True,
            extra=tuple(
                (name, data)
                for name, data in chunks
                if name in (*BEFORE_PIXELS, *TEXTS) and data is not packet
            ),
            notes=tuple(notes),
        )

    def decode(self, file: BinaryIO, facts: Facts, limits: Limits) -> tuple[np.ndarray, list[str]]:
        """Palettes, fewer than 8 bits and transparent colours are expanded by libvips."""
        return vips.decode("pngload_source", file, facts, limits), []

    def encode(self, path: Path, picture: Picture, image: Any, quality: int) -> list[str]:
        """Stream the picture to `path`; the metadata goes before the pixels."""
        chunks = metadata(picture)
        with open(path, "wb") as file:
            sink = vips.Head(file, lambda head: _with_chunks(head, chunks))
            vips.save(image, "pngsave_target", sink, picture, **SETTINGS)
        return []


def _chunks(file: BinaryIO) -> Iterator[tuple[str, bytes | None]]:
    """Name and data of every chunk: empty where it is not used, None where it is too much."""
    file.seek(len(SIGNATURE))
    budget = MOST_BYTES
    for _ in range(MOST_CHUNKS):
        length, raw = struct.unpack(">I4s", exactly(file, 8, "a PNG chunk"))
        name = raw.decode("latin-1")
        if name in READ and length <= budget:
            budget -= length
            data = exactly(file, length, f"the PNG chunk {name}")
            exactly(file, 4, f"the PNG chunk {name}")
            yield name, data
        else:
            file.seek(length + 3, 1)
            exactly(file, 1, "a PNG chunk")
            yield name, None if name in READ else b""
        if name == "IEND":
            return
    raise damaged(f"more than {MOST_CHUNKS:,} PNG chunks")


def _profile(data: bytes | None) -> tuple[bytes | None, list[str]]:
    if not data:
        return None, []
    return _unpacked(data.partition(b"\0")[2][1:], "ICC profile")


def _xmp(data: bytes | None) -> tuple[bytes | None, list[str]]:
    """The packet in an iTXt chunk: keyword, compression, language, translated keyword, text."""
    if not data:
        return None, []
    rest = data[len(XMP_KEYWORD) + 1 :]
    text = rest[2:].split(b"\0", 2)[-1]
    return _unpacked(text, "XMP") if rest[:1] == b"\1" else (text or None, [])


def _unpacked(packed: bytes, what: str) -> tuple[bytes | None, list[str]]:
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(packed, MOST_BYTES + 1)
    except zlib.error:
        data = b""
    if len(data) > MOST_BYTES:
        return None, [f"the {what} is over {MOST} when unpacked and is dropped"]
    if not data or not inflater.eof:
        return None, [f"the {what} cannot be unpacked and is dropped"]
    return data, []


def _resolution(data: bytes | None) -> Resolution | None:
    if data is None or len(data) != 9:
        return None
    across, down, unit = struct.unpack(">IIB", data)
    if not across or not down or (across == down == 1 and unit != 1):
        return None
    return float(across), float(down), "m" if unit == 1 else "none"


def _changes(colour: int, bits: int, alpha: bool, named: dict[str, bytes]) -> list[str]:
    notes = []
    if colour == 3:
        notes.append(f"palette image becomes 8-bit {'RGBA' if alpha else 'RGB'}")
    elif bits < 8:
        notes.append(f"{bits}-bit gray image becomes 8-bit gray")
    if "tRNS" in named and colour != 3:
        notes.append("transparent colour becomes an alpha channel")
    if "acTL" in named:
        notes.append("animation: only the first picture is used")
    if lost := sorted(named.keys() - KNOWN - STALE)[:MOST_TOLD]:
        notes.append(f"PNG chunks that are not kept: {one_line(', '.join(lost))}")
    return notes


def metadata(picture: Picture) -> bytes:
    """The chunks between the header and the pixels."""
    chunks = []
    extra = [(n, data) for n, data in picture.extra if n == CICP or picture.format == "png"]
    chunks += [(name, data) for name, data in extra if name in BEFORE_PIXELS]
    if picture.icc:
        chunks.append(("iCCP", b"icc\0\0" + zlib.compress(picture.icc, 6)))
    if picture.resolution:
        metric = per_metre(picture.resolution)
        pair = metric or _ratio(picture.resolution)
        chunks.append(("pHYs", struct.pack(">IIB", *pair, 1 if metric else 0)))
    if picture.exif:
        chunks.append(("eXIf", picture.exif))
    if picture.xmp:
        chunks.append(("iTXt", XMP_HEAD + picture.xmp))
    chunks += [(name, data) for name, data in extra if name in TEXTS]
    return b"".join(chunk(name, data) for name, data in chunks)


def _ratio(resolution: Resolution) -> tuple[int, int]:
    across, down = (min(max(round(value), 1), 2**31 - 1) for value in resolution[:2])
    return across, down


def chunk(name: str, data: bytes) -> bytes:
    """One chunk with its length and checksum."""
    body = name.encode("latin-1") + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def _with_chunks(head: bytes, chunks: bytes) -> bytes | None:
    """What libvips wrote, from the signature to the first pixels, with `chunks` in between."""
    header = len(SIGNATURE) + 25
    at = header
    while at + 8 <= len(head):
        length, name = struct.unpack_from(">I4s", head, at)
        if name == b"IDAT":
            return head[:header] + chunks + head[at:]
        at += length + 12
    return None
