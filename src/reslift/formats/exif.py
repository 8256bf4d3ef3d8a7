"""EXIF blocks: what must change in them when a picture is turned and enlarged, and nothing else.

A block is a TIFF structure, here without the prefix that JPEG puts before it. It is patched in
place, so that maker notes and unknown tags stay byte for byte.
"""

from __future__ import annotations

import struct
from io import BytesIO

from reslift.errors import InputError
from reslift.formats import ome, subject
from reslift.formats.base import Picture, Resolution, Unit
from reslift.formats.ifd import Entry, Structure, Tag, directory_bytes, rational, records

PREFIX = b"Exif\0\0"
DESCRIPTION = 270
ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 274, 282, 283, 296
EXIF_DIRECTORY, GPS_DIRECTORY, INTEROP_DIRECTORY = 34665, 34853, 40965
POINTERS = (EXIF_DIRECTORY, GPS_DIRECTORY, INTEROP_DIRECTORY)
THUMBNAIL = ((513, 514), (273, 279))
"""Tags of where its bytes lie and how many they are: a JPEG, or strips."""
WIDTHS = {256, 40962}
HEIGHTS = {257, 40963}
UNITS: dict[int, Unit] = {1: "none", 2: "inch", 3: "cm"}
UNIT_CODES: dict[str, int] = {unit: code for code, unit in UNITS.items()}
DESCRIPTIVE = (
    269,
    270,
    271,
    272,
    285,
    305,
    306,
    315,
    316,
    33432,
    18246,
    18249,
    *range(40091, 40096),
)
MOST = 16 * 2**20


def bare(block: bytes) -> bytes:
    """The block without prefixes; some writers put one where it does not belong."""
    while block.startswith(PREFIX):
        block = block[len(PREFIX) :]
    return block


def orientation(block: bytes | None) -> int:
    """1 to 8; 1 where the tag is absent, out of range, or the block damaged."""
    directory, structure = _main(block)
    values = structure.integers(directory.get(ORIENTATION)) if structure else ()
    return values[0] if values and 1 <= values[0] <= 8 else 1


def resolution(block: bytes | None) -> Resolution | None:
    """The resolution tags of the main directory, or None."""
    directory, structure = _main(block)
    return resolution_of(structure, directory) if structure else None


def resolution_of(structure: Structure, directory: dict[int, Entry]) -> Resolution | None:
    """The resolution tags of a directory; without a unit they are in inches, as TIFF says."""
    across = structure.numbers(directory.get(X_RESOLUTION))
    down = structure.numbers(directory.get(Y_RESOLUTION))
    unit = structure.integers(directory.get(RESOLUTION_UNIT)) or (2,)
    if not across or not down or min(across[0], down[0]) <= 0 or unit[0] not in UNITS:
        return None
    return across[0], down[0], UNITS[unit[0]]


def readable(block: bytes) -> bool:
    """Whether the block is a TIFF structure with a main directory."""
    return _main(block)[1] is not None


def upright(block: bytes) -> bytes:
    """The block of a picture that has been turned: orientation 1, the old thumbnail unlinked.

    Where the sides changed places, so do the resolutions across and down; the subject moves.
    """
    directory, structure = _main(block)
    turned = orientation(block)
    if structure is None or turned == 1:
        return block
    patched = bytearray(block)
    subject.put(patched, structure, directory[ORIENTATION], 1)
    if turned >= 5:
        subject.exchange(patched, directory.get(X_RESOLUTION), directory.get(Y_RESOLUTION))
    subject.turn(patched, structure, _below(structure, directory, EXIF_DIRECTORY), turned)
    _unlink(patched, structure)
    return bytes(patched)


def _without_thumbnail(block: bytes) -> bytes:
    _, structure = _main(block)
    if structure is None:
        return block
    patched = bytearray(block)
    try:
        _, second = structure.directory(structure.first)
        directory, _ = structure.directory(second) if second else ({}, 0)
        for start, length in THUMBNAIL:
            places = structure.integers(directory.get(start))
            lengths = structure.integers(directory.get(length))
            for place, size in zip(places, lengths, strict=False):
                end = min(place + size, len(block))
                patched[place:end] = bytes(max(0, end - place))
    except (InputError, ValueError, OSError, struct.error, OverflowError):
        pass
    _unlink(patched, structure)
    return bytes(patched)


def _unlink(block: bytearray, structure: Structure) -> None:
    """No directory follows the main one: none tells of a thumbnail."""
    count = struct.unpack_from(structure.order + "H", block, structure.first)[0]
    link = structure.first + 2 + 12 * count
    block[link : link + 4] = b"\0\0\0\0"[: max(0, len(block) - link)]


def sized(block: bytes, width: int, height: int) -> bytes:
    """The block with the sizes that it has, in tags or in OME-XML, saying `width` × `height`."""
    main, structure = _main(block)
    if structure is None:
        return block
    patched = bytearray(block)
    below = _below(structure, main, EXIF_DIRECTORY)
    subject.scale(patched, structure, below, width, height)
    for directory in (main, below):
        for tag, entry in directory.items():
            if tag in WIDTHS | HEIGHTS:
                subject.put(patched, structure, entry, width if tag in WIDTHS else height)
    return _described(bytes(patched), width, height, enlarged=True)


def cut(block: bytes, part: tuple[int, int, int, int]) -> bytes:
    """The block of a part of the picture (left, top, width, height), its thumbnail overwritten."""
    main, structure = _main(block)
    if structure is not None:
        patched = bytearray(block)
        subject.cut(patched, structure, _below(structure, main, EXIF_DIRECTORY), part)
        block = bytes(patched)
    return _described(_without_thumbnail(block), *part[2:], enlarged=False)


def _described(block: bytes, width: int, height: int, *, enlarged: bool) -> bytes:
    """The block with the sizes in a description of OME, which may be of another length then."""
    main, structure = _main(block)
    if structure is None or DESCRIPTION not in main:
        return block
    tags, below = tags_of(structure, main)
    described = [tag for tag in tags if tag.tag == DESCRIPTION and ome.is_ome(tag.data)]
    for tag in described:
        text = ome.sized(tag.data, width, height, enlarged=enlarged)
        tags[tags.index(tag)] = Tag(tag.tag, tag.kind, len(text), text)
    return block_of(tags, below) if described else block


def _main(block: bytes | None) -> tuple[dict[int, Entry], Structure | None]:
    if not block:
        return {}, None
    try:
        structure = Structure(BytesIO(block))
        directory, _ = structure.directory(structure.first)
        for tag in (ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT):
            structure.numbers(directory.get(tag))
    except (InputError, ValueError, OSError, struct.error, OverflowError):
        return {}, None
    return ({}, None) if structure.big else (directory, structure)


def _below(structure: Structure, directory: dict[int, Entry], pointer: int) -> dict[int, Entry]:
    """The directory that the tag `pointer` leads to; empty where there is none or it is damaged."""
    try:
        offset = structure.integers(directory.get(pointer))
        return structure.directory(offset[0])[0] if offset and offset[0] else {}
    except (InputError, ValueError, OSError, struct.error, OverflowError):
        return {}


def tags_of(
    structure: Structure, directory: dict[int, Entry]
) -> tuple[list[Tag], dict[int, list[Tag]]]:
    """The descriptive tags of a directory, and those of the EXIF and GPS directories below it.

    The interoperability directory lies below EXIF and comes under its own pointer.
    """
    budget = [MOST]
    exif = _below(structure, directory, EXIF_DIRECTORY)
    below = {
        EXIF_DIRECTORY: exif,
        GPS_DIRECTORY: _below(structure, directory, GPS_DIRECTORY),
        INTEROP_DIRECTORY: _below(structure, exif, INTEROP_DIRECTORY),
    }
    main = {tag: entry for tag, entry in directory.items() if tag in DESCRIPTIVE}
    found = {pointer: _values(structure, found, budget) for pointer, found in below.items()}
    return _values(structure, main, budget), {p: tags for p, tags in found.items() if tags}


def _values(structure: Structure, directory: dict[int, Entry], budget: list[int]) -> list[Tag]:
    found = []
    for tag, entry in sorted(directory.items()):
        if tag in POINTERS or entry.kind == 0 or entry.size > budget[0]:
            continue
        try:
            found.append(structure.tag(entry))
        except (InputError, ValueError, OSError, OverflowError):
            continue
        budget[0] -= entry.size
    return found


def block_of(main: list[Tag], below: dict[int, list[Tag]]) -> bytes:
    """A little-endian block of these tags."""
    body = BytesIO()
    body.write(b"II*\0\0\0\0\0")
    offset = graft(body, main, below)
    body.seek(4)
    body.write(struct.pack("<I", offset))
    return body.getvalue()


def graft(
    file: BytesIO,
    main: list[Tag],
    below: dict[int, list[Tag]],
    kept: dict[int, bytes] | None = None,
    big: bool = False,
) -> int:
    """Append directories at the end of a TIFF structure; the offset of the main one.

    kept: records of the main directory that stay as they are.
    """
    pointers = dict(below)
    exif = list(pointers.pop(EXIF_DIRECTORY, []))
    interop = pointers.pop(INTEROP_DIRECTORY, None)
    if interop:
        exif.append(_pointer(INTEROP_DIRECTORY, _append(file, interop, {}, big)))
    main = list(main)
    if exif:
        main.append(_pointer(EXIF_DIRECTORY, _append(file, exif, {}, big)))
    for pointer, tags in pointers.items():
        main.append(_pointer(pointer, _append(file, tags, {}, big)))
    return _append(file, main, kept or {}, big)


def _pointer(tag: int, offset: int) -> Tag:
    return (
        Tag(tag, 4, 1, struct.pack("<I", offset))
        if offset < 2**32
        else Tag(tag, 18, 1, struct.pack("<Q", offset))
    )


def _append(file: BytesIO, tags: list[Tag], kept: dict[int, bytes], big: bool) -> int:
    end = file.seek(0, 2)
    file.write(b"\0" * (end % 2))
    found, values = records(tags, end + end % 2, big)
    file.write(values)
    file.write(directory_bytes(kept | found, big=big))
    return end + end % 2 + len(values)


def minimal(resolution: Resolution) -> bytes | None:
    """A block that holds nothing but the resolution."""
    tags = resolution_tags(resolution)
    return block_of(tags, {}) if tags else None


def resolution_note(label: str, picture: Picture) -> list[str]:
    """For a format whose resolution stands in EXIF: a block without it is left as it is."""
    if picture.exif and picture.resolution and not resolution(picture.exif):
        return [f"{label} keeps the resolution in EXIF, which has no tag for it here: not kept"]
    return []


def resolution_tags(resolution: Resolution) -> list[Tag]:
    """The three resolution tags of TIFF; metres become centimetres."""
    across, down, unit = resolution
    if unit == "m":
        across, down, unit = across / 100, down / 100, "cm"
    return [
        Tag(X_RESOLUTION, 5, 1, rational(across)),
        Tag(Y_RESOLUTION, 5, 1, rational(down)),
        Tag(RESOLUTION_UNIT, 3, 1, struct.pack("<H", UNIT_CODES[unit])),
    ]
