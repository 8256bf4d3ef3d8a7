"""WebP: the RIFF container is read and written here, pixels by libvips.

A lossless picture stays lossless; everything else is written at quality 95.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from reslift.formats import exif as exif_block
from reslift.formats import vips
from reslift.formats.base import Facts, Format, Holds, Picture, damaged, exactly, size_of

if TYPE_CHECKING:
    from reslift.limits import Limits

ICC_FLAG, ALPHA_FLAG, EXIF_FLAG, XMP_FLAG = 0x20, 0x10, 0x08, 0x04
MOST_CHUNKS = 100_000
MOST_BYTES = 16 * 2**20
METADATA = (b"ICCP", b"EXIF", b"XMP ")


class Webp(Format):
    """WebP: RGB with or without alpha, 8 bits."""

    name = "webp"
    label = "WebP"
    suffixes = (".webp",)
    lossless = False
    holds = Holds(spaces=("rgb",), alpha=("rgb",), longest=16_383)

    def recognises(self, head: bytes) -> bool:
        """By the RIFF form type."""
        return head[:4] == b"RIFF" and head[8:12] == b"WEBP"

    def inspect(self, file: BinaryIO) -> Facts:
        """Walk over the chunks of the container."""
        found = list(chunks(file))
        named = dict(reversed(found))
        names = [name for name, _ in found]
        width, height, alpha = _size(found)
        block = exif_block.bare(named.get(b"EXIF", b"")) or None
        frames = names.count(b"ANMF")
        note = f"animation of {frames} pictures: only the first is used"
        return Facts(
            width,
            height,
            "rgb",
            alpha,
            8,
            orientation=exif_block.orientation(block),
            icc=named.get(b"ICCP") or None,
            exif=block,
            xmp=named.get(b"XMP ") or None,
            resolution=exif_block.resolution(block),
            lossless=b"VP8L" in named,
            notes=(note,) if frames > 1 else (),
        )

    def decode(self, file: BinaryIO, facts: Facts, limits: Limits) -> tuple[np.ndarray, list[str]]:
        """The picture, or the first one of an animation."""
        return vips.decode("webpload_source", file, facts, limits), []

    def encode(self, path: Path, picture: Picture, image: Any, quality: int) -> list[str]:
        """Encode in memory, then put the metadata around it."""
        lossless = picture.format == "webp" and picture.lossless
        options = {"lossless": True} if lossless else {"Q": quality, "smart_subsample": True}
        data = image.webpsave_buffer(keep="none", exact=True, **options)
        path.write_bytes(_with_chunks(data, picture))
        return exif_block.resolution_note("WebP", picture)


def chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Name and data of every chunk; of picture data only its first bytes."""
    file.seek(4)
    (length,) = struct.unpack("<I", exactly(file, 4, "the WebP header"))
    end = length + 8
    if end > size_of(file):
        raise damaged(f"truncated: the WebP header says {end:,} bytes, the file has fewer")
    at = 12
    budget = MOST_BYTES
    for _ in range(MOST_CHUNKS):
        if at + 8 > end:
            return
        file.seek(at)
        name, size = struct.unpack("<4sI", exactly(file, 8, "a WebP chunk"))
        wanted = size if name in METADATA and size <= budget else min(size, 32)
        budget -= wanted
        yield name, exactly(file, wanted, "a WebP chunk")
        at += 8 + size + size % 2
    raise damaged(f"more than {MOST_CHUNKS:,} WebP chunks")


def _size(chunks: list[tuple[bytes, bytes]]) -> tuple[int, int, bool]:
    """Width, height and whether there is alpha, from the first chunk."""
    name, data = chunks[0] if chunks else (b"", b"")
    if name == b"VP8X" and len(data) >= 10:
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (4, 7))
        return width, height, bool(data[0] & ALPHA_FLAG)
    if name == b"VP8L" and len(data) >= 5 and data[0] == 0x2F:
        bits = int.from_bytes(data[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    if name == b"VP8 " and len(data) >= 10 and data[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", data[6:10])
        return width & 0x3FFF, height & 0x3FFF, False
    raise damaged("no WebP picture header")


def _with_chunks(data: bytes, picture: Picture) -> bytes:
    exif = picture.exif
    if exif is None and picture.resolution:
        exif = exif_block.minimal(picture.resolution)
    if not (picture.icc or exif or picture.xmp or picture.alpha):
        return data
    at, body = 12, []
    while at + 8 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        end = at + 8 + size + size % 2
        if data[at : at + 4] != b"VP8X":
            body.append(data[at:end])
        at = end
    flags = (
        (ICC_FLAG if picture.icc else 0)
        | (ALPHA_FLAG if picture.alpha else 0)
        | (EXIF_FLAG if exif else 0)
        | (XMP_FLAG if picture.xmp else 0)
    )
    size_bytes = b"".join(
        (side - 1).to_bytes(3, "little") for side in (picture.width, picture.height)
    )
    whole = b"".join(
        [
            chunk(b"VP8X", bytes((flags, 0, 0, 0)) + size_bytes),
            chunk(b"ICCP", picture.icc),
            *body,
            chunk(b"EXIF", exif),
            chunk(b"XMP ", picture.xmp),
        ]
    )
    return b"RIFF" + struct.pack("<I", len(whole) + 4) + b"WEBP" + whole


def chunk(name: bytes, data: bytes | None) -> bytes:
    """One chunk; nothing for no data."""
    if not data:
        return b""
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
