"""BMP: read by Pillow (libvips has no reader of its own) but for the header; written here."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from reslift.formats import vips
from reslift.formats.base import (
    Facts,
    Format,
    Holds,
    Picture,
    Resolution,
    Space,
    damaged,
    exactly,
    per_metre,
    size_of,
)

if TYPE_CHECKING:
    from reslift.limits import Limits

HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)
FILE_HEADER, PLAIN_HEADER, V5_HEADER = 14, 40, 124
RAW, RLE8, RLE4, BITFIELDS, ALPHA_BITFIELDS = 0, 1, 2, 3, 6
READABLE = {(bits, RAW) for bits in (1, 4, 8, 16, 24, 32)} | {(8, RLE8), (4, RLE4)}
READABLE |= {(bits, kind) for bits in (16, 32) for kind in (BITFIELDS, ALPHA_BITFIELDS)}
MODES: dict[str, tuple[Space, bool]] = {
    "1": ("gray", False),
    "L": ("gray", False),
    "P": ("rgb", False),
    "RGB": ("rgb", False),
    "RGBA": ("rgb", True),
}
SRGB, EMBEDDED = b"BGRs", b"DEBM"
IMAGES_INTENT = 4
MASKS = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
STRIP = 256
MOST_PROFILE = 16 * 2**20


class Bmp(Format):
    """Windows bitmap: gray or RGB, RGB with alpha, 8 bits; an ICC profile in the V5 header."""

    name = "bmp"
    label = "BMP"
    suffixes = (".bmp", ".dib")
    holds = Holds(
        spaces=("gray", "rgb"), alpha=("rgb",), most_bytes=2**32 - 2**25, exif=False, xmp=False
    )

    def recognises(self, head: bytes) -> bool:
        """By "BM" and a header size that exists."""
        return head[:2] == b"BM" and len(head) >= 18 and head[14] in HEADER_SIZES

    def inspect(self, file: BinaryIO) -> Facts:
        """Read both headers; for uncompressed pixels the file must be long enough."""
        file.seek(0)
        offset, size = struct.unpack("<10xII", exactly(file, 18, "the BMP header"))
        head = struct.pack("<I", size) + exactly(file, size - 4, "the BMP header")
        width, height, bits, compression = _layout(head)
        if (bits, compression) not in READABLE:
            raise damaged(
                f"BMP with {bits} bits a pixel and compression {compression} is not known"
            )
        stride = (width * bits + 31) // 32 * 4
        packed = compression in (RLE8, RLE4)
        if not packed and offset + stride * height > size_of(file):
            raise damaged("truncated: the file ends inside the pixels")
        mode = _open(file).mode
        if mode not in MODES:
            raise damaged(f"a BMP of mode {mode}")
        space, alpha = MODES[mode]
        return Facts(
            width,
            height,
            space,
            alpha,
            8,
            icc=_profile(file, head),
            resolution=_resolution(head),
            lossless=True,
            notes=_changes(mode, bits, space),
        )

    def decode(self, file: BinaryIO, facts: Facts, limits: Limits) -> tuple[np.ndarray, list[str]]:
        """Palettes and fewer than 8 bits are expanded."""
        image = _open(file)
        image.load()
        names = {("gray", False): "L", ("rgb", False): "RGB", ("rgb", True): "RGBA"}
        pixels = np.array(image.convert(names[facts.space, facts.alpha]))
        return pixels.reshape(image.height, image.width, -1), []

    def encode(self, path: Path, picture: Picture, image: Any, quality: int) -> list[str]:
        """Headers, palette, rows from the bottom up a strip at a time, ICC profile."""
        bands = int(image.bands)
        width, height = int(image.width), int(image.height)
        stride = (width * bands + 3) // 4 * 4
        forget = vips.forgetter(picture.pixels)
        with open(path, "wb") as file:
            file.write(_headers(picture, width, height, bands, stride))
            for bottom in range(height, 0, -STRIP):
                top = max(0, bottom - STRIP)
                data = image.crop(0, top, width, bottom - top).write_to_memory()
                rows = np.frombuffer(data, np.uint8).reshape(bottom - top, width, bands)[::-1]
                if bands > 1:
                    rows = rows[:, :, [2, 1, 0, 3][:bands]]
                padded = np.zeros((bottom - top, stride), np.uint8)
                padded[:, : width * bands] = rows.reshape(bottom - top, -1)
                file.write(padded.data)
                forget(padded.nbytes)
            file.write(picture.icc or b"")
        return []


def _open(file: BinaryIO) -> Any:
    """Not through `Image.open`: its own pixel limit would speak instead of ours."""
    from PIL.BmpImagePlugin import BmpImageFile

    file.seek(0)
    return BmpImageFile(file)


def _layout(head: bytes) -> tuple[int, int, int, int]:
    if len(head) == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", head, 4)
        compression = RAW
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", head, 4)
    if width <= 0 or height == 0:
        raise damaged(f"BMP of {width}×{height} pixels")
    return width, abs(height), bits, compression


def _resolution(head: bytes) -> Resolution | None:
    if len(head) < PLAIN_HEADER:
        return None
    across, down = struct.unpack_from("<ii", head, 24)
    return (float(across), float(down), "m") if across > 0 and down > 0 else None


def _profile(file: BinaryIO, head: bytes) -> bytes | None:
    if len(head) < V5_HEADER or head[56:60] != EMBEDDED:
        return None
    start, length = struct.unpack_from("<II", head, 112)
    if not 0 < length <= MOST_PROFILE:
        return None
    file.seek(FILE_HEADER + start)
    return exactly(file, length, "the ICC profile")


def _changes(mode: str, bits: int, space: Space) -> tuple[str, ...]:
    if mode == "P":
        return ("palette image becomes 8-bit RGB",)
    if bits < 8:
        return (f"{bits}-bit image becomes 8-bit {space}",)
    return (f"{bits}-bit colours become 8 bits a channel",) if bits == 16 else ()


def _headers(picture: Picture, width: int, height: int, bands: int, stride: int) -> bytes:
    long = bands == 4 or picture.icc is not None
    size = V5_HEADER if long else PLAIN_HEADER
    palette = b"".join(bytes((i, i, i, 0)) for i in range(256)) if bands == 1 else b""
    offset = FILE_HEADER + size + len(palette)
    pixels = stride * height
    icc = picture.icc or b""
    metric = (per_metre(picture.resolution) if picture.resolution else None) or (0, 0)
    kind = BITFIELDS if bands == 4 else RAW
    colours = 256 if bands == 1 else 0
    head = struct.pack("<2sIHHI", b"BM", offset + pixels + len(icc), 0, 0, offset)
    head += struct.pack("<IiiHHII", size, width, height, 1, bands * 8, kind, pixels)
    head += struct.pack("<iiII", *metric, colours, 0)
    if long:
        masks = MASKS if bands == 4 else (0, 0, 0, 0)
        head += struct.pack("<4I4s48x", *masks, EMBEDDED if icc else SRGB)
        start = offset - FILE_HEADER + pixels if icc else 0
        head += struct.pack("<IIII", IMAGES_INTENT, start, len(icc), 0)
    return head + palette
