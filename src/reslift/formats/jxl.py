"""JPEG XL, read only: the header is read here (ISO/IEC 18181-1, annexes D and E), pixels by libjxl.

imagecodecs decodes 16 bits, which pillow-jxl-plugin rounds to 8; that hands out the ICC profile
(extra `jxl`).
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from reslift.formats import exif as exif_block
from reslift.formats import packet
from reslift.formats.base import Facts, ReadOnly, damaged, exactly, lacking, size_of
from reslift.formats.turn import SWAPS_SIDES

if TYPE_CHECKING:
    from reslift.limits import Limits

CODESTREAM = b"\xff\x0a"
CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
SIDE = ((0, 9, 1), (0, 13, 1), (0, 18, 1), (0, 30, 1))
RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
DEPTHS = ((8, 0, 0), (10, 0, 0), (12, 0, 0), (0, 6, 1))
FLOAT_DEPTHS = ((32, 0, 0), (16, 0, 0), (24, 0, 0), (0, 6, 1))
ENUM = ((0, 0, 0), (1, 0, 0), (0, 4, 2), (0, 6, 18))
COUNTS = ((0, 0, 0), (1, 0, 0), (0, 4, 2), (0, 12, 1))
GRAY = 1
HEAD = 4096
MOST_BYTES = 16 * 2**20
TIFF_HEADS = (b"II*\0", b"MM\0*")


class Jxl(ReadOnly):
    """JPEG XL: gray or RGB, with or without alpha, up to 16 bits."""

    name = "jxl"
    label = "JPEG XL"
    suffixes = (".jxl",)

    def recognises(self, head: bytes) -> bool:
        """By either signature: bare, or in a container."""
        return head.startswith((CODESTREAM, CONTAINER))

    def inspect(self, file: BinaryIO) -> Facts:
        """Read the boxes and the head of the codestream, without a codec."""
        head, exif, xmp, packed = _boxes(file)
        width, height, orientation, depth, gray, alpha, notes = _header(head)
        if packed:
            notes += ("metadata packed by Brotli is not kept",)
        if orientation >= SWAPS_SIDES:
            width, height = height, width
        return Facts(
            width,
            height,
            "gray" if gray else "rgb",
            alpha,
            8 if depth <= 8 else 16,
            exif=exif_block.upright(exif) if exif else None,
            xmp=packet.upright(xmp) if xmp else None,
            resolution=exif_block.resolution(exif),
            notes=notes,
            private={"depth": depth},
        )

    def decode(self, file: BinaryIO, facts: Facts, limits: Limits) -> tuple[np.ndarray, list[str]]:
        """The picture, turned upright by libjxl; 10, 12 and 14 bits become 16."""
        codecs: Any
        try:
            import imagecodecs as codecs
        except ImportError as error:
            raise lacking("JPEG XL", "jxl") from error
        file.seek(0)
        pixels = codecs.jpegxl_decode(file.read(), numthreads=1)
        if pixels.dtype.kind == "f":
            raise damaged("JPEG XL of float samples is not supported; save 16 bits")
        if pixels.ndim == 4:
            pixels = pixels[0]
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        if pixels.shape != (facts.height, facts.width, facts.bands):
            raise damaged(f"the header says {facts.width}×{facts.height}, the content otherwise")
        depth = facts.private["depth"]
        if 8 < depth < 16 and pixels.max() < 2**depth:
            top = 2**depth - 1
            pixels = ((pixels.astype(np.uint32) * 65535 + top // 2) // top).astype(np.uint16)
        return np.ascontiguousarray(pixels), []

    def completed(self, file: BinaryIO, facts: Facts) -> Facts:
        """With the ICC profile of the samples."""
        decoder: Any
        try:
            import pillow_jxl as decoder
        except ImportError as error:
            raise lacking("JPEG XL", "jxl") from error
        file.seek(0)
        profile = decoder.Decoder(num_threads=0)(file.read())[3]
        return replace(facts, icc=bytes(profile) or None)


class Bits:
    """Bits of a codestream, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._number, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        """The next `count` bits as a number."""
        self._left -= count
        if self._left < 0:
            raise damaged("truncated: the file ends inside the JPEG XL header")
        value = self._number & ((1 << count) - 1)
        self._number >>= count
        return value

    def choice(self, choices: tuple[tuple[int, int, int], ...]) -> int:
        """One of four (value, more bits, added)."""
        value, count, added = choices[self.take(2)]
        return value + self.take(count) + added if count else value


def _boxes(file: BinaryIO) -> tuple[bytes, bytes | None, bytes | None, bool]:
    """Head of the codestream, EXIF, XMP, and whether there are packed boxes."""
    file.seek(0)
    if exactly(file, 2, "the JPEG XL header") == CODESTREAM:
        file.seek(0)
        return file.read(HEAD), None, None, False
    at, size, head, packed = 0, size_of(file), b"", False
    exif: bytes | None = None
    xmp: bytes | None = None
    while at + 8 <= size:
        file.seek(at)
        length, name = struct.unpack(">I4s", exactly(file, 8, "a JPEG XL box"))
        start = 8
        if length == 1:
            (length,) = struct.unpack(">Q", exactly(file, 8, "a JPEG XL box"))
            start = 16
        length = length or size - at
        if length < start or at + length > size:
            raise damaged("truncated: the file ends inside a JPEG XL box")
        if name in (b"jxlc", b"jxlp"):
            skipped = 4 if name == b"jxlp" else 0
            head += file.read(min(length - start, HEAD))[skipped:]
        elif name in (b"Exif", b"xml ") and length <= MOST_BYTES:
            data = exactly(file, length - start, "JPEG XL metadata")
            if name == b"Exif":
                start = 0 if data[:4] in TIFF_HEADS else 4 + int.from_bytes(data[:4], "big")
                exif = exif_block.bare(data[start:]) or None
            else:
                xmp = data or None
        packed = packed or name == b"brob"
        at += length
    return head[:HEAD], exif, xmp, packed


def _header(head: bytes) -> tuple[int, int, int, int, bool, bool, tuple[str, ...]]:
    """Width, height, orientation, depth, gray, alpha, notes."""
    if not head.startswith(CODESTREAM):
        raise damaged("no JPEG XL header")
    bits = Bits(head[2:])
    width, height = _size(bits)
    if bits.take(1):
        return width, height, 1, 8, False, False, ()
    orientation = 1
    notes: tuple[str, ...] = ()
    if bits.take(1):
        orientation = 1 + bits.take(3)
        if bits.take(1):
            _size(bits)
        if bits.take(1):
            raise damaged("JPEG XL with a preview is not supported")
        if bits.take(1):
            _skip_animation(bits)
            notes = ("animation: only the first picture is used",)
    depth = _depth(bits)
    bits.take(1)
    alpha = False
    for _ in range(bits.choice(COUNTS)):
        alpha = _extra(bits) or alpha
    bits.take(1)
    gray = not bits.take(1) and _is_gray(bits)
    return width, height, orientation, depth, gray, alpha, notes


def _size(bits: Bits) -> tuple[int, int]:
    small = bits.take(1)
    height = 8 * (1 + bits.take(5)) if small else bits.choice(SIDE)
    ratio = bits.take(3)
    if ratio:
        over, under = RATIOS[ratio - 1]
        return height * over // under, height
    return (8 * (1 + bits.take(5)) if small else bits.choice(SIDE)), height


def _skip_animation(bits: Bits) -> None:
    bits.choice(((100, 0, 0), (1000, 0, 0), (0, 10, 1), (0, 30, 1)))
    bits.choice(((1, 0, 0), (1001, 0, 0), (0, 8, 1), (0, 10, 1)))
    bits.choice(((0, 0, 0), (0, 3, 0), (0, 16, 0), (0, 32, 0)))
    bits.take(1)


def _depth(bits: Bits) -> int:
    if bits.take(1):
        bits.choice(FLOAT_DEPTHS)
        raise damaged("JPEG XL of float samples is not supported; save 16 bits")
    depth = bits.choice(DEPTHS)
    if depth > 16:
        raise damaged(f"JPEG XL with {depth} bits a sample is not supported")
    return depth


def _extra(bits: Bits) -> bool:
    """Skip the head of an extra channel; whether it is alpha."""
    if bits.take(1):
        return True
    kind = bits.choice(ENUM)
    _depth(bits)
    bits.choice(((0, 0, 0), (3, 0, 0), (4, 0, 0), (0, 3, 1)))
    name = bits.choice(((0, 0, 0), (0, 4, 0), (0, 5, 16), (0, 10, 48)))
    bits.take(8 * name)
    if kind != 0:
        raise damaged("JPEG XL with channels beside colours and alpha is not supported")
    bits.take(1)
    return True


def _is_gray(bits: Bits) -> bool:
    bits.take(1)
    return bits.choice(ENUM) == GRAY
