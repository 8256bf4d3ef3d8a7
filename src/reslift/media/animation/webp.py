"""Animated WebP: milliseconds, whole frames beside each other in a RIFF container.

Pillow lays the frames over each other; libvips encodes each result alone, whole and not blended, so
that none is merged with the next.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np

from reslift.errors import InputError
from reslift.formats import exif as exif_block
from reslift.formats import fit, webp
from reslift.formats.base import Picture, damaged
from reslift.limits import Limits
from reslift.media.animation.clip import Clip, Frame, Source, Writer, moved_note, ticks

ANIMATED, ALPHA = 0x02, webp.ALPHA_FLAG
NOT_BLENDED = 0x02
MILLISECOND = Fraction(1, 1000)
MOST_MILLISECONDS = 2**24 - 1
MOST_PLAYS = 65_535
PIXELS = (b"ALPH", b"VP8 ", b"VP8L")


class WebpClip(Source):
    """WebP of several frames."""

    label = "WebP"
    still = "webp"

    def recognises(self, head: bytes) -> bool:
        flags = int.from_bytes(head[20:21])
        return webp.Webp().recognises(head) and head[12:16] == b"VP8X" and bool(flags & ANIMATED)

    def is_animated(self, file: BinaryIO) -> bool:
        found = 0
        try:
            for name, _ in webp.chunks(file):
                found += name == b"ANMF"
                if found > 1:
                    return True
        except (InputError, OSError, struct.error):
            pass
        return False

    def inspect(self, file: BinaryIO) -> Clip:
        facts = webp.Webp().inspect(file)
        plays, durations, lossless = 1, [], True
        for name, data in webp.chunks(file):
            if name == b"ANIM":
                plays = int.from_bytes(data[4:6], "little")
            elif name == b"ANMF":
                durations.append(int.from_bytes(data[12:15], "little") * MILLISECOND)
                lossless = lossless and data[16:20] == b"VP8L"
        return Clip(replace(facts, notes=(), lossless=lossless), tuple(durations), plays)

    def frames(self, file: BinaryIO, clip: Clip, limits: Limits) -> Iterator[Frame]:
        from PIL import WebPImagePlugin

        file.seek(0)
        plugin: Any = WebPImagePlugin
        image = plugin.WebPImageFile(file)
        facts = clip.facts
        if image.size != (facts.width, facts.height) or image.n_frames != len(clip.durations):
            raise damaged("the WebP header and its frames do not agree")
        for number in range(len(clip.durations)):
            image.seek(number)
            yield np.ascontiguousarray(np.asarray(image.convert("RGBA"))[..., : facts.bands])


class WebpWriter(Writer):
    """Whole frames, not blended; lossless unless the source was not."""

    def __init__(self, file: BinaryIO, meta: Picture, clip: Clip, quality: int) -> None:
        super().__init__(file, meta, clip, quality)
        lossless = meta.lossless or meta.format != "webp"
        self._options: dict[str, Any] = (
            {"lossless": True} if lossless else {"Q": quality, "smart_subsample": True}
        )
        self._delays, self._moved = ticks(clip.durations, MILLISECOND, MOST_MILLISECONDS)
        self._number = 0
        file.write(b"RIFF\0\0\0\0WEBP")
        exif, icc, xmp = _blocks(meta)
        flags = ANIMATED | (ALPHA if meta.alpha else 0)
        flags |= webp.ICC_FLAG if icc else 0
        flags |= webp.EXIF_FLAG if exif else 0
        flags |= webp.XMP_FLAG if xmp else 0
        sides = _three(meta.width - 1) + _three(meta.height - 1)
        file.write(webp.chunk(b"VP8X", bytes((flags, 0, 0, 0)) + sides))
        file.write(webp.chunk(b"ICCP", icc))
        plays = min(clip.plays, MOST_PLAYS)
        file.write(webp.chunk(b"ANIM", bytes(4) + struct.pack("<H", plays)))

    def encoded(self, picture: Picture) -> bytes:
        """The pixels of a frame, as `add` takes them."""
        image, _ = fit.fitted(webp.Webp(), picture)
        data = image.webpsave_buffer(keep="none", exact=True, **self._options)
        return b"".join(whole for name, whole in _inner(data) if name in PIXELS)

    def add(self, pixels: bytes) -> int:
        """Write the next frame; returns where its pixels begin in the file."""
        head = bytes(6) + _three(self._meta.width - 1) + _three(self._meta.height - 1)
        head += _three(self._delays[self._number]) + bytes((NOT_BLENDED,))
        self._file.write(webp.chunk(b"ANMF", head + pixels))
        self._number += 1
        return self._file.tell() - len(pixels)

    def finish(self) -> list[str]:
        """Write what follows the frames; returns what could not be kept."""
        exif, _, xmp = _blocks(self._meta)
        self._file.write(webp.chunk(b"EXIF", exif))
        self._file.write(webp.chunk(b"XMP ", xmp))
        length = self._file.tell() - 8
        if length >= 2**32:
            raise ValueError("WebP ends at 4 GiB; write a PNG")
        self._file.seek(4)
        self._file.write(struct.pack("<I", length))
        return moved_note("WebP counts milliseconds", self._moved)


def _blocks(meta: Picture) -> tuple[bytes | None, bytes | None, bytes | None]:
    exif = meta.exif
    if exif is None and meta.resolution:
        exif = exif_block.minimal(meta.resolution)
    return exif, meta.icc, meta.xmp


def _inner(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and all bytes of each chunk of a still WebP."""
    at = 12
    while at + 8 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        end = at + 8 + size + size % 2
        yield data[at : at + 4], data[at:end]
        at = end


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")
