"""APNG: a PNG whose further frames lie in chunks of their own (PNG, third edition, 2025, 11.3.6).

    IHDR ─ … ─ acTL ─ fcTL IDAT ─ fcTL fdAT ─ fcTL fdAT ─ … ─ IEND

Each frame is made a PNG of its own and decoded like one, then laid over those before it: so 16 bits
stay 16 bits. Written are whole frames, losslessly, with exact times.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from io import BytesIO
from typing import BinaryIO

import numpy as np

from reslift.errors import InputError
from reslift.formats import fit, png
from reslift.formats.base import Facts, Picture, damaged, exactly
from reslift.limits import Limits
from reslift.media.animation.clip import Clip, Frame, Source, Writer, moved_note

KEEP, BACKGROUND, PREVIOUS = 0, 1, 2
OVER = 1
MOST_DELAY = 65_535
MOST_CHUNK = 2**31 - 1
MOST_PLAYS = 2**31 - 1
CONTROL = ">IIIIIHHBB"
SEQUENCE = 4
IEND = png.chunk("IEND", b"")


@dataclass
class Part:
    """A frame as stored: its place on the canvas, its time, and where its pixels lie."""

    width: int
    height: int
    left: int
    top: int
    duration: Fraction
    disposal: int
    blending: int
    data: list[tuple[int, int]] = field(default_factory=list)


class ApngClip(Source):
    """PNG of several frames, 8 or 16 bits, gray or colour, with or without alpha."""

    label = "APNG"
    still = "png"

    def recognises(self, head: bytes) -> bool:
        return head.startswith(png.SIGNATURE)

    def is_animated(self, file: BinaryIO) -> bool:
        try:
            for name, at, length in _chunks(file):
                if name == b"IDAT":
                    return False
                if name == b"acTL" and length == 8:
                    file.seek(at)
                    return int.from_bytes(file.read(4), "big") > 1
        except (InputError, OSError, struct.error):
            return False
        return False

    def inspect(self, file: BinaryIO) -> Clip:
        facts = png.Png().inspect(file)
        shared, parts, said, plays, hidden = _parts(file)
        if said != len(parts) or not all(part.data for part in parts):
            raise damaged(f"the APNG header says {said} frames, the file holds {len(parts)}")
        for part in parts:
            _check_place(part, facts)
        first = parts[0]
        bare = (first.width, first.height) != (facts.width, facts.height)
        cleared = bare or any(part.disposal == BACKGROUND for part in parts[:-1])
        notes = tuple(note for note in facts.notes if not note.startswith("animation"))
        if hidden:
            notes += ("the picture shown where animations are not supported is not kept",)
        return Clip(
            replace(facts, alpha=facts.alpha or cleared, notes=()),
            tuple(part.duration for part in parts),
            plays,
            notes,
            {"shared": shared, "parts": parts},
        )

    def frames(self, file: BinaryIO, clip: Clip, limits: Limits) -> Iterator[Frame]:
        facts = clip.facts
        dtype = np.uint8 if facts.bits == 8 else np.uint16
        canvas = np.zeros((facts.height, facts.width, facts.bands), dtype)
        for part in clip.private["parts"]:
            area = canvas[part.top : part.top + part.height, part.left : part.left + part.width]
            before = area.copy() if part.disposal == PREVIOUS else None
            _lay(area, _decoded(file, part, clip.private["shared"], limits), part.blending)
            yield canvas
            if part.disposal == BACKGROUND:
                area[...] = 0
            elif before is not None:
                area[...] = before


class ApngWriter(Writer):
    """Whole frames that replace each other."""

    def __init__(self, file: BinaryIO, meta: Picture, clip: Clip, quality: int) -> None:
        super().__init__(file, meta, clip, quality)
        self._sequence, self._moved = 0, Fraction(0)
        head = struct.pack(">IIBBBBB", meta.width, meta.height, meta.bits, _colour(meta), 0, 0, 0)
        file.write(png.SIGNATURE + png.chunk("IHDR", head) + png.metadata(meta))
        plays = min(clip.plays, MOST_PLAYS)
        file.write(png.chunk("acTL", struct.pack(">II", len(clip.durations), plays)))

    def encoded(self, picture: Picture) -> bytes:
        image, _ = fit.fitted(png.Png(), picture)
        whole = BytesIO(image.pngsave_buffer(keep="none", **png.SETTINGS))
        found = []
        for name, at, length in list(_chunks(whole)):
            if name == b"IDAT":
                whole.seek(at)
                found.append(whole.read(length))
        return b"".join(found)

    def add(self, pixels: bytes) -> int:
        if len(pixels) > MOST_CHUNK - SEQUENCE:
            raise ValueError("a frame of more than 2 GiB")
        first = self._number == 0
        duration = self._clip.durations[self._number]
        size = (self._meta.width, self._meta.height, 0, 0)
        times = _delay(duration)
        self._moved = max(self._moved, abs(Fraction(*times) - duration))
        control = struct.pack(CONTROL, self._next(), *size, *times, KEEP, 0)
        self._file.write(png.chunk("fcTL", control))
        body = b"" if first else struct.pack(">I", self._next())
        self._file.write(png.chunk("IDAT" if first else "fdAT", body + pixels))
        self._number += 1
        return self._file.tell() - 4 - len(pixels)

    def finish(self) -> list[str]:
        self._file.write(png.chunk("IEND", b""))
        return moved_note("APNG counts time in fractions of 16 bits", self._moved)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence - 1


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and length of the data of every chunk."""
    at = len(png.SIGNATURE)
    for _ in range(png.MOST_CHUNKS):
        file.seek(at)
        length, name = struct.unpack(">I4s", exactly(file, 8, "a PNG chunk"))
        yield name, at + 8, length
        at += length + 12
        if name == b"IEND":
            return
    raise damaged(f"more than {png.MOST_CHUNKS:,} PNG chunks")


def _parts(file: BinaryIO) -> tuple[bytes, list[Part], int, int, bool]:
    """Chunks that all frames share, frames, how many are said, plays, a picture outside them."""
    shared, parts, said, plays, hidden = b"", list[Part](), 0, 1, False
    for name, at, length in _chunks(file):
        if name in (b"IHDR", b"PLTE", b"tRNS"):
            shared += png.chunk(name.decode(), _checked(file, at, length))
        elif name == b"acTL" and not said:
            said, plays = struct.unpack(">II", _checked(file, at, length))
        elif name == b"fcTL":
            parts.append(_part(_checked(file, at, length)))
        elif name == b"IDAT" and not parts:
            hidden = True
        elif name == b"IDAT":
            parts[0].data.append((at, length))
        elif name == b"fdAT" and parts:
            parts[-1].data.append((at, length))
    return shared, parts, said, plays, hidden


def _part(data: bytes) -> Part:
    _, width, height, left, top, count, per, disposal, blending = struct.unpack(CONTROL, data)
    return Part(width, height, left, top, Fraction(count, per or 100), disposal, blending)


def _check_place(part: Part, facts: Facts) -> None:
    inside = part.left + part.width <= facts.width and part.top + part.height <= facts.height
    if not inside or not part.width or not part.height:
        raise damaged("a frame of the APNG lies outside the picture")
    if part.disposal > PREVIOUS or part.blending > OVER:
        raise damaged("a frame of the APNG is laid over the others in an unknown way")


def _checked(file: BinaryIO, at: int, length: int) -> bytes:
    """The data of a chunk whose checksum is right."""
    file.seek(at - 4)
    body = exactly(file, length + 4, "a PNG chunk")
    if zlib.crc32(body) != int.from_bytes(exactly(file, 4, "a PNG chunk"), "big"):
        raise damaged("a PNG chunk with a wrong checksum")
    return body[4:]


def _decoded(file: BinaryIO, part: Part, shared: bytes, limits: Limits) -> Frame:
    """The pixels of one frame, by the reader of still pictures."""
    size = struct.pack(">II", part.width, part.height)
    head = png.chunk("IHDR", size + shared[16:21])
    data = b"".join(_data(file, at, length) for at, length in part.data)
    alone = BytesIO(png.SIGNATURE + head + shared[25:] + png.chunk("IDAT", data) + IEND)
    reader = png.Png()
    pixels, _ = reader.decode(alone, reader.inspect(alone), limits)
    return pixels


def _data(file: BinaryIO, at: int, length: int) -> bytes:
    """The pixels in a chunk; in those of further frames a sequence number stands before them."""
    data = _checked(file, at, length)
    file.seek(at - 4)
    return data if file.read(4) == b"IDAT" else data[SEQUENCE:]


def _lay(area: Frame, pixels: Frame, blending: int) -> None:
    """Put a frame on its part of the canvas, which has alpha where the frame has."""
    bands = pixels.shape[2]
    top = np.iinfo(area.dtype).max
    if bands < area.shape[2]:
        area[..., :bands] = pixels
        area[..., -1] = top
        return
    if blending != OVER or bands in (1, 3):
        area[...] = pixels
        return
    upper = pixels[..., -1:].astype(np.float64) / top
    lower = area[..., -1:] / top * (1 - upper)
    alpha = upper + lower
    colours = pixels[..., :-1] * upper + area[..., :-1] * lower
    area[..., :-1] = np.rint(colours / np.where(alpha > 0, alpha, 1))
    area[..., -1:] = np.rint(alpha * top)


def _delay(duration: Fraction) -> tuple[int, int]:
    """Numerator and denominator, 16 bits each."""
    best = duration.limit_denominator(MOST_DELAY)
    if best.numerator > MOST_DELAY:
        most = max(1, int(MOST_DELAY / duration))
        best = duration.limit_denominator(most)
    return min(best.numerator, MOST_DELAY), best.denominator


def _colour(picture: Picture) -> int:
    return {"gray": 0, "rgb": 2}[picture.space] + (4 if picture.alpha else 0)
