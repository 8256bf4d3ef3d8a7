"""TIFF: tags are read and written here, pixels read in `tiff_samples` and written by libvips.

libvips writes the pixels; then one more directory goes to the end of the file, which holds its tags
and those for EXIF, GPS, XMP, ICC and resolution, and the header is turned to it.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from reslift.formats import exif as exif_block
from reslift.formats import tiff_samples, vips
from reslift.formats.base import (
    COLOURS,
    Facts,
    Format,
    Holds,
    Picture,
    Space,
    damaged,
    size_of,
)
from reslift.formats.ifd import Entry, Structure, Tag

if TYPE_CHECKING:
    from reslift.limits import Limits

SUBFILE, WIDTH, HEIGHT, BITS, PHOTOMETRIC, ORIENTATION = 254, 256, 257, 258, 262, 274
SAMPLES, PLANAR, EXTRA_SAMPLES, SAMPLE_FORMAT, INK_SET = 277, 284, 338, 339, 332
OFFSETS, COUNTS, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 273, 279, 322, 323, 324, 325
XMP, IPTC, PHOTOSHOP, ICC, DNG, GEO_KEYS = 700, 33723, 34377, 34675, 50706, 34735
COMPRESSION, JPEG_COMPRESSIONS = 259, (6, 7)
LOSSY = {*JPEG_COMPRESSIONS, 33003, 33005, 34712, 50001, 50002}
"""JPEG, JPEG 2000, WebP, JPEG XL: samples were changed, as far as can be told."""
PALETTE, YCBCR = 3, 6
SPACES: dict[int, Space] = {0: "gray", 1: "gray", 2: "rgb", 3: "rgb", 5: "cmyk", 6: "rgb"}
EXTRAS = {"IPTC": IPTC, "Photoshop": PHOTOSHOP}
STRAIGHT = 2
REDUCED, MASK, SUBIFDS = 1, 4, 330
COMPLEX = {5, 6}
DEPTHS = {1, 2, 4, 8, 16, 32, 64, 128}
ASCII, COPYRIGHT = 2, 33432
RESOLUTIONS = (exif_block.X_RESOLUTION, exif_block.Y_RESOLUTION, exif_block.RESOLUTION_UNIT)
MOST_PAGES = 100_000
MOST_STRIPS = 4_000_000
CLASSIC_BYTES = 2**32 - 2**26
Page = tuple[int, int]
"""Number of a directory in the file, and where it lies."""
IMAGEJ = b"ImageJ="
SETTINGS = {"compression": "deflate", "predictor": "horizontal"}


class Tiff(Format):
    """TIFF: gray, RGB or CMYK, with or without alpha, 8 or 16 bit; classic and BigTIFF."""

    name = "tiff"
    label = "TIFF"
    suffixes = (".tif", ".tiff", ".btf", ".tf8")
    holds = Holds(spaces=("gray", "rgb", "cmyk"), alpha=("gray", "rgb", "cmyk"), bits=(8, 16))

    def recognises(self, head: bytes) -> bool:
        """By the byte order mark and the version."""
        return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") and head[8:10] != b"CR"

    def inspect(self, file: BinaryIO) -> Facts:
        """Read the first directory; every strip or tile it names must lie within the file."""
        structure = Structure(file)
        facts = self.inspect_page(structure, (0, structure.first))
        count = len(pages(structure))
        notes = (f"{count} pages: only the first is used",) if count > 1 else ()
        return replace(facts, notes=(*facts.notes, *notes, *left_out(structure)))

    def inspect_page(self, structure: Structure, page: Page) -> Facts:
        """Read the directory of one of `pages`."""
        tags, _ = structure.directory(page[1])
        layout = _layout(structure, tags) | {"index": page[0]}
        _check_extent(structure, tags, layout)
        icc, xmp = (_blob(structure, tags.get(tag)) for tag in (ICC, XMP))
        orientation = structure.integers(tags.get(ORIENTATION))
        return Facts(
            layout["width"],
            layout["height"],
            layout["space"],
            layout["alpha"],
            8 if layout["bits"] <= 8 and layout["sample"] == 1 else 16,
            orientation=orientation[0] if orientation and 1 <= orientation[0] <= 8 else 1,
            icc=icc,
            exif=_exif(structure, tags),
            xmp=xmp,
            resolution=exif_block.resolution_of(structure, tags),
            lossless=layout["compression"] not in LOSSY,
            extra=tuple(
                (name, blob)
                for name, tag in EXTRAS.items()
                if (blob := _blob(structure, tags.get(tag)))
            ),
            notes=(
                *_changes(layout, GEO_KEYS in tags, SUBIFDS in tags),
                *_undescribed(structure, tags),
            ),
            private=layout,
        )

    def decode(self, file: BinaryIO, facts: Facts, limits: Limits) -> tuple[np.ndarray, list[str]]:
        """Integers of 8 and 16 bits as they are, everything else mapped to 16 bits."""
        pixels = tiff_samples.samples(file, facts, limits)
        notes: list[str] = []
        if pixels.dtype.name not in ("uint8", "uint16"):
            pixels, note = tiff_samples.to_16_bits(
                pixels, facts.alpha, tiff_samples.is_white_zero(facts.private)
            )
            notes.append(note)
        return pixels, notes

    def encode(self, path: Path, picture: Picture, image: Any, quality: int) -> list[str]:
        """Compressed without loss; BigTIFF where 4 GiB might not be enough."""
        big = picture.pixels.nbytes > CLASSIC_BYTES
        with open(path, "w+b") as file:
            vips.save(image, "tiffsave_target", file, picture, bigtiff=big, **SETTINGS)
            graft(file, picture)
        return []


def _layout(structure: Structure, tags: dict[int, Entry]) -> dict[str, Any]:
    def one(tag: int, default: int) -> int:
        return (structure.integers(tags.get(tag)) or (default,))[0]

    if DNG in tags or one(SUBFILE, 0) & REDUCED:
        raise damaged("a camera raw file, or a thumbnail first; develop it to TIFF or PNG before")
    bits = set(structure.integers(tags.get(BITS)) or (1,))
    kinds = set(structure.integers(tags.get(SAMPLE_FORMAT)) or (1,))
    photometric, samples = one(PHOTOMETRIC, 1), one(SAMPLES, 1)
    if photometric not in SPACES or (photometric == 5 and one(INK_SET, 1) != 1):
        raise damaged(
            f"TIFF of photometric kind {photometric} is not supported; save it as gray, RGB or CMYK"
        )
    if photometric == YCBCR and one(COMPRESSION, 1) not in JPEG_COMPRESSIONS:
        raise damaged("TIFF with YCbCr samples is supported with JPEG compression only; save RGB")
    space = SPACES[photometric]
    extra = samples - (1 if photometric == PALETTE else COLOURS[space])
    if len(bits) != 1 or len(kinds) != 1 or extra not in (0, 1):
        raise damaged(
            f"TIFF with {samples} samples of {sorted(bits)} bits as {space} is not supported; "
            "save it as gray, RGB or CMYK, with one alpha channel at most, all of one depth"
        )
    if not bits <= DEPTHS or (samples > 1 and min(bits) < 8):
        several = f"{samples} samples of " if samples > 1 else ""
        raise damaged(
            f"TIFF of {several}{min(bits)} bits a sample is not supported; save it with 8 or 16"
        )
    if kinds & COMPLEX:
        raise damaged("TIFF of complex numbers is not supported; save their parts as pages")
    separate = one(PLANAR, 1) == 2
    extra_kind = (structure.integers(tags.get(EXTRA_SAMPLES)) or (0,))[0] if extra else 0
    return {
        "width": one(WIDTH, 0),
        "height": one(HEIGHT, 0),
        "space": space,
        "alpha": bool(extra),
        "extra": extra_kind,
        "bits": min(bits),
        "sample": min(kinds),
        "photometric": photometric,
        "palette": photometric == PALETTE,
        "compression": one(COMPRESSION, 1),
        "separate": separate,
        "foreign": tiff_samples.is_foreign(
            separate, TILE_WIDTH in tags, samples, min(bits), one(COMPRESSION, 1), min(kinds)
        ),
        "tile": one(TILE_WIDTH, 0) * one(TILE_HEIGHT, 0),
    }


def _check_extent(structure: Structure, tags: dict[int, Entry], layout: dict[str, Any]) -> None:
    """libvips shows black where an uncompressed file is cut off, so the file is measured."""
    offsets, counts = tags.get(TILE_OFFSETS), tags.get(TILE_COUNTS)
    if offsets is None:
        offsets, counts = tags.get(OFFSETS), tags.get(COUNTS)
    if offsets is None or layout["width"] < 1 or layout["height"] < 1:
        raise damaged("a TIFF directory without a picture")
    if offsets.count > MOST_STRIPS or (counts is not None and counts.count != offsets.count):
        raise damaged("TIFF strips that do not add up")
    starts = structure.integers(offsets)
    lengths = structure.integers(counts) or (1,) * len(starts)
    size = size_of(structure.file)
    if any(start + length > size for start, length in zip(starts, lengths, strict=True)):
        raise damaged("truncated: the file ends inside the pixels")


def _blob(structure: Structure, entry: Entry | None) -> bytes | None:
    return structure.data(entry) or None if entry else None


def _exif(structure: Structure, tags: dict[int, Entry]) -> bytes | None:
    """A block of the descriptive tags and the EXIF and GPS directories; None where all are absent.

    Shape notes of tifffile and ImageJ describe the stored array and would be wrong afterwards.
    """
    main, below = exif_block.tags_of(structure, tags)
    stale = (b'{"shape":', IMAGEJ)
    described = exif_block.DESCRIPTION
    main = [tag for tag in main if tag.tag != described or not tag.data.startswith(stale)]
    if not main and not below:
        return None
    turned = [structure.tag(tags[ORIENTATION])] if ORIENTATION in tags else []
    return exif_block.block_of([*main, *turned], below)


def _undescribed(structure: Structure, tags: dict[int, Entry]) -> list[str]:
    text = _blob(structure, tags.get(exif_block.DESCRIPTION)) or b""
    note = "what ImageJ says of axes and distances is not kept: set them again"
    return [note] if text.startswith(IMAGEJ) else []


def pages(structure: Structure, *, strict: bool = False) -> list[Page]:
    """Pages in the file, up to a damaged or a repeated one; overviews and masks are none.

    Raises InputError, where `strict`, if there is such a one.
    """
    found = _directories(structure, strict)
    return [page for place, (page, kind) in enumerate(found) if not (place and kind)] or [
        (0, structure.first)
    ]


def left_out(structure: Structure) -> tuple[str, ...]:
    """A sentence for masks and one for smaller copies, which are no pages of their own."""
    kinds = [kind for _, kind in _directories(structure)[1:]]
    masks, copies = sum(bool(kind & MASK) for kind in kinds), sum(kind == REDUCED for kind in kinds)
    notes = [f"masks ({masks}) are not kept"] * bool(masks)
    return (*notes, *[f"smaller copies of the picture ({copies}) are not kept"] * bool(copies))


def _directories(structure: Structure, strict: bool = False) -> list[tuple[Page, int]]:
    """Each with what makes it no page: bits of `REDUCED` and `MASK`."""
    offset, seen, found = structure.first, set[int](), list[tuple[Page, int]]()
    while offset and offset not in seen and len(seen) < MOST_PAGES:
        seen.add(offset)
        try:
            following, first = structure.following(offset)
            (tag,) = struct.unpack_from(structure.order + "H", first)
            (kind,) = struct.unpack_from(structure.order + "I", first, 12 if structure.big else 8)
        except Exception as error:
            if strict:
                raise damaged(f"truncated: page {len(found) + 1} cannot be read") from error
            break
        kind = kind & (REDUCED | MASK) if tag == SUBFILE else 0
        found.append(((len(seen) - 1, offset), kind))
        offset = following
    if strict and offset in seen:
        raise damaged("pages of the TIFF that follow each other in a circle")
    return found


def _changes(layout: dict[str, Any], geo: bool, below: bool) -> tuple[str, ...]:
    notes = []
    if layout["photometric"] == PALETTE:
        depth, colours = 8 if layout["bits"] <= 8 else 16, "RGBA" if layout["alpha"] else "RGB"
        notes.append(f"palette image becomes {depth}-bit {colours}")
    elif layout["bits"] < 8:
        notes.append(f"{layout['bits']}-bit image becomes 8-bit {layout['space']}")
    if layout["alpha"] and layout["extra"] == tiff_samples.ASSOCIATED:
        notes.append("premultiplied alpha becomes straight alpha")
    elif layout["alpha"] and layout["extra"] != STRAIGHT:
        notes.append("the unnamed extra channel is taken for alpha")
    if geo:
        notes.append("the georeference (GeoTIFF tags) is not kept")
    if below:
        notes.append("pictures below the page (SubIFDs), mostly smaller copies, are not kept")
    return tuple(notes)


def graft(file: Any, *pages: Picture) -> None:
    """Append directories that also name the metadata of each page, and link them in place of those
    that are there.

    file: a whole little-endian TIFF, open to read and write; pages: their pixels are not looked at.
    """
    structure = Structure(file)
    link, offset = (8 if structure.big else 4), structure.first
    for picture in pages:
        tags, offset_after = structure.directory(offset)
        kept = {}
        for tag, entry in tags.items():
            if tag in RESOLUTIONS:
                continue
            file.seek(entry.record)
            kept[tag] = file.read(20 if structure.big else 12)
        main, below = _metadata(picture)
        placed = exif_block.graft(file, main, below, kept, structure.big)
        file.seek(link)
        file.write(struct.pack("<Q" if structure.big else "<I", placed))
        link, offset = _end(file, placed, structure.big), offset_after


def _end(file: Any, offset: int, big: bool) -> int:
    """Where the directory at `offset` says which one follows."""
    file.seek(offset)
    (count,) = struct.unpack("<Q" if big else "<H", file.read(8 if big else 2))
    return int(offset + (8 + 20 * count if big else 2 + 12 * count))


def _metadata(picture: Picture) -> tuple[list[Tag], dict[int, list[Tag]]]:
    from io import BytesIO

    main: list[Tag] = []
    below: dict[int, list[Tag]] = {}
    if picture.exif and exif_block.readable(picture.exif):
        structure = Structure(BytesIO(picture.exif))
        main, below = exif_block.tags_of(structure, structure.directory(structure.first)[0])
        main = [_ended(tag) for tag in main]
    if picture.resolution:
        main += exif_block.resolution_tags(picture.resolution)
    blobs = [(XMP, 1, picture.xmp), (ICC, 7, picture.icc)]
    if picture.format == "tiff":
        blobs += [(EXTRAS[name], 1, data) for name, data in picture.extra]
    main += [Tag(tag, kind, len(data), data) for tag, kind, data in blobs if data]
    return main, below


def _ended(tag: Tag) -> Tag:
    """A text that ends at its first zero: libtiff complains of others, and its readers refuse."""
    if tag.kind != ASCII or tag.tag == COPYRIGHT:
        return tag
    text = tag.data.split(b"\0")[0] + b"\0"
    return Tag(tag.tag, tag.kind, len(text), text)
