"""AVIF: boxes are read and written here, pixels by libvips (libheif with AV1)."""

from __future__ import annotations

import struct
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from reslift.formats import boxes, packet, vips
from reslift.formats import exif as exif_block
from reslift.formats.base import CICP, GAIN_MAP_LOST, Extra, Facts, Format, Holds, Picture, damaged

if TYPE_CHECKING:
    from reslift.limits import Limits

BRANDS = (b"avif", b"avis")
NEUTRAL = (b"mif1", b"miaf", b"msf1", b"1pic")
DEPTH = 12
UNSAID, SRGB, BT601, FULL_RANGE = 2, (1, 13), 6, 0x80
"""Numbers of ITU-T H.273, and the bit of HEIF for the full range."""


class Avif(Format):
    """AVIF: RGB with or without alpha, 8, 10 or 12 bits; written with 8 or 12."""

    name = "avif"
    label = "AVIF"
    suffixes = (".avif",)
    lossless = False
    holds = Holds(("rgb",), ("rgb",), bits=(8, 16), depth=DEPTH, longest=16_384, cicp=True)

    def recognises(self, head: bytes) -> bool:
        """By the brands."""
        return has_brand(head, BRANDS)

    def inspect(self, file: BinaryIO) -> Facts:
        """Read the boxes."""
        return facts_of(boxes.inspect(file))

    def decode(self, file: BinaryIO, facts: Facts, limits: Limits) -> tuple[np.ndarray, list[str]]:
        """10 and 12 bits become 16."""
        stored = replace(facts, space="rgb")
        pixels = vips.decode("heifload_source", file, stored, limits)
        return spread(pixels, facts), []

    def encode(self, path: Path, picture: Picture, image: Any, quality: int) -> list[str]:
        """Colours at full resolution; pictures of 16 bits with 12."""
        depth = 8 if picture.bits == 8 else DEPTH
        if depth > 8:
            shift = 2 ** (16 - depth)
            image = image.linear((2**depth - 1) / 65535, 0).rint().linear(shift, 0).cast("ushort")
            image = image.copy(interpretation="rgb16")
        sink = BytesIO()
        options = {"compression": "av1", "subsample_mode": "off", "bitdepth": depth}
        vips.save(image, "heifsave_target", sink, picture, Q=quality, **options)
        exif = picture.exif
        if exif is None and picture.resolution:
            exif = exif_block.minimal(picture.resolution)
        colour = _colour(picture)
        path.write_bytes(boxes.with_metadata(sink.getvalue(), colour, exif, picture.xmp))
        return exif_block.resolution_note("AVIF", picture)


def _colour(picture: Picture) -> bytes | None:
    """The content of the box that says which colours the samples stand for: a profile or numbers.

    The matrix is that by which libheif stores them.
    """
    if picture.icc:
        return b"prof" + picture.icc
    told = next((data for name, data in picture.extra if name == CICP and len(data) == 4), None)
    return b"nclx" + struct.pack(">HHHB", *told[:2], BT601, FULL_RANGE) if told else None


def has_brand(head: bytes, brands: tuple[bytes, ...]) -> bool:
    """Whether a HEIF file is of one of these brands: its own one, or the first that tells."""
    if head[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(head[:4], "big"), len(head))
    named = [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]
    telling = [name for name in named if name not in NEUTRAL]
    return bool(telling) and telling[0] in brands


def facts_of(found: boxes.Heif) -> Facts:
    """Its size is that of the picture turned upright, as decoders hand it out."""
    exif = exif_block.bare(found.exif or b"") or None
    notes = []
    if found.bits not in (8, 10, 12, 16):
        raise damaged(f"HEIF with {found.bits} bits a sample is not supported")
    if found.bits in (10, 12):
        notes.append(f"{found.bits} bits a sample become 16")
    if found.pictures > 1:
        notes.append(f"{found.pictures} pictures: only the first is used")
    if found.moving:
        notes.append("animation: only the first picture is used")
    if "gain map" in found.beside:
        notes.append(GAIN_MAP_LOST)
    if "other" in found.beside:
        notes.append("pictures that belong to it (depth, mattes) are left out")
    if found.film:
        notes.append("the film of a motion photo is left out")
    if found.premultiplied and found.alpha:
        notes.append("premultiplied alpha is taken for straight")
    return Facts(
        found.width,
        found.height,
        "gray" if found.channels == 1 else "rgb",
        found.alpha,
        8 if found.bits == 8 else 16,
        icc=found.icc,
        exif=exif_block.upright(exif) if exif else None,
        xmp=packet.upright(found.xmp) if found.xmp else None,
        resolution=exif_block.resolution(exif),
        extra=_numbers(found),
        notes=tuple(notes),
        private={"depth": found.bits},
    )


def _numbers(found: boxes.Heif) -> Extra:
    """What says which colours the samples, decoded to RGB, stand for; sRGB needs no words."""
    if found.icc or found.coding == SRGB or not all(0 < n < 256 for n in found.coding):
        return ()
    return () if UNSAID in found.coding else ((CICP, bytes((*found.coding, 0, 1))),)


def spread(pixels: np.ndarray, facts: Facts) -> np.ndarray:
    """Samples shifted up to 16 bits by a decoder, over the whole range instead; gray out of RGB."""
    depth = facts.private["depth"]
    if facts.space == "gray" and pixels.shape[2] > facts.bands:
        pixels = pixels[..., [0, 3] if facts.alpha else [0]]
    if 8 < depth < 16:
        whole = (pixels >> (16 - depth)).astype(np.uint32)
        top = 2**depth - 1
        pixels = ((whole * 65535 + top // 2) // top).astype(np.uint16)
    return np.ascontiguousarray(pixels)
