"""The boxes of a HEIF file (ISO/IEC 23008-12): what the primary picture is, and its metadata.

    ftyp ─ meta [pitm iinf iloc iref iprp [ipco ipma]] ─ mdat

AVIF and HEIC differ in the codec only. Reading needs no codec; metadata is put into a file that a
codec wrote without.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from reslift.errors import InputError
from reslift.formats.base import damaged, exactly, size_of

ALPHAS = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
GAIN = b":aux:hdrgainmap"
MOST_META, MOST_ITEM, MOST_ITEMS = 16 * 2**20, 64 * 2**20, 65_536
XMP_TYPE = b"application/rdf+xml"
Box = tuple[bytes, bytes]


@dataclass
class Heif:
    """The primary picture. width, height: as shown, turned; turned: it is stored another way.

    coding: primaries and transfer as ITU-T H.273 numbers them, 2 where unsaid. beside: what further
    pictures belong to it. film: of a motion photo.
    """

    width: int = 0
    height: int = 0
    bits: int = 8
    channels: int = 3
    alpha: bool = False
    premultiplied: bool = False
    turned: bool = False
    pictures: int = 1
    moving: bool = False
    film: bool = False
    beside: set[str] = field(default_factory=set)
    icc: bytes | None = None
    coding: tuple[int, int] = (2, 2)
    exif: bytes | None = None
    xmp: bytes | None = None


@dataclass
class Meta:
    """The boxes in `meta`, taken apart. extents: (construction, offset, length) of each item."""

    primary: int = 0
    types: dict[int, bytes] = field(default_factory=dict)
    mimes: dict[int, bytes] = field(default_factory=dict)
    extents: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    references: list[tuple[bytes, int, list[int]]] = field(default_factory=list)
    properties: list[Box] = field(default_factory=list)
    held: dict[int, list[int]] = field(default_factory=dict)
    idat: bytes = b""


def inspect(file: BinaryIO) -> Heif:
    """All that the boxes say of the primary picture. Raises InputError where they are damaged."""
    place, length = _find(file, b"meta")
    if length > MOST_META:
        raise damaged(f"HEIF boxes of {length:,} bytes")
    file.seek(place)
    meta = _meta(exactly(file, length, "the HEIF boxes"))
    _check_data(file, meta)
    found = Heif(moving=_has(file, b"moov"), film=_has(file, b"mpvd"))
    _describe(meta, found)
    for kind, source, targets in meta.references:
        if meta.primary not in targets:
            continue
        if kind == b"cdsc" and meta.types.get(source) == b"Exif":
            block = _item(file, meta, source)
            start = 4 + int.from_bytes(block[:4], "big")
            found.exif = block[start:] or None
        elif kind == b"cdsc" and meta.mimes.get(source) == XMP_TYPE:
            found.xmp = _item(file, meta, source) or None
        elif kind == b"auxl" and _is_alpha(meta, source):
            found.alpha = True
        elif kind == b"auxl":
            gain = any(GAIN in data for _, data in _of(meta, source))
            found.beside.add("gain map" if gain else "other")
    if b"tmap" in meta.types.values():
        found.beside.add("gain map")
    found.premultiplied = any(
        kind == b"prem" and source == meta.primary for kind, source, _ in meta.references
    )
    return found


def with_metadata(
    data: bytes, colour: bytes | None, exif: bytes | None, xmp: bytes | None
) -> bytes:
    """A file of libheif, which has none, with these: the content of a colour box, a TIFF structure,
    a packet."""
    if not (colour or exif or xmp):
        return data
    tops = list(_boxes(data))
    body = next(content for name, content in tops if name == b"meta")
    meta = _meta(body)
    added: dict[int, tuple[bytes, bytes, bytes]] = {}
    free = max(meta.types) + 1
    if exif:
        added[free] = (b"Exif", b"", b"\0\0\0\0" + exif)
    if xmp:
        added[free + len(added)] = (b"mime", XMP_TYPE + b"\0", xmp)
    # The offsets have a fixed width, so that the second build is as long as the first.
    moved = len(_built(body, meta, added, colour, 0, 0)) - len(body)
    end = len(data) + moved + 8
    fresh = _built(body, meta, added, colour, moved, end)
    items = b"".join(content for _, _, content in added.values())
    parts = [_box(name, fresh if name == b"meta" else content) for name, content in tops]
    return b"".join(parts) + (_box(b"mdat", items) if items else b"")


def _find(file: BinaryIO, wanted: bytes) -> tuple[int, int]:
    """Where the content of a box at the top lies, and how long it is."""
    at, size = 0, size_of(file)
    for _ in range(1000):
        if at + 8 > size:
            break
        file.seek(at)
        length, name = struct.unpack(">I4s", exactly(file, 8, "a HEIF box"))
        head = 8
        if length == 1:
            (length,) = struct.unpack(">Q", exactly(file, 8, "a HEIF box"))
            head = 16
        length = size - at if length == 0 else length
        if length < head:
            break
        if at + length > size:
            raise damaged("truncated: the file ends inside a HEIF box")
        if name == wanted:
            return at + head, length - head
        at += length
    raise damaged("no HEIF picture in the file")


def _has(file: BinaryIO, wanted: bytes) -> bool:
    try:
        return bool(_find(file, wanted))
    except InputError:
        return False


def _boxes(data: bytes) -> Iterator[Box]:
    """Name and content of the boxes beside each other."""
    at = 0
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1 and at + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        length = len(data) - at if length == 0 else length
        if length < head or at + length > len(data):
            raise damaged("HEIF boxes that do not fit into each other")
        yield name, data[at + head : at + length]
        at += length


def _meta(body: bytes) -> Meta:
    meta = Meta()
    found = dict(_boxes(body[4:]))
    try:
        short = found[b"pitm"][0] == 0
        meta.primary = int.from_bytes(found[b"pitm"][4 : 6 if short else 8], "big")
        _read_types(found[b"iinf"], meta)
        _read_extents(found[b"iloc"], meta)
        _read_references(found.get(b"iref", b""), meta)
        properties = dict(_boxes(found[b"iprp"]))
        meta.properties = list(_boxes(properties[b"ipco"]))
        _read_held(properties[b"ipma"], meta)
    except (KeyError, IndexError, struct.error) as error:
        raise damaged("HEIF boxes that are missing or cut off") from error
    meta.idat = found.get(b"idat", b"")
    return meta


def _read_types(data: bytes, meta: Meta) -> None:
    for name, entry in _boxes(data[6 if data[0] == 0 else 8 :]):
        if name == b"infe" and entry[0] in (2, 3):
            wide = 2 if entry[0] == 2 else 4
            number = int.from_bytes(entry[4 : 4 + wide], "big")
            rest = entry[6 + wide :]
            meta.types[number] = rest[:4]
            if rest[:4] == b"mime":
                meta.mimes[number] = rest[4:].split(b"\0")[1]


def _read_extents(data: bytes, meta: Meta) -> None:
    version = data[0]
    sizes = [data[4] >> 4, data[4] & 15, data[5] >> 4, data[5] & 15 if version else 0]
    at = 6

    def number(width: int) -> int:
        nonlocal at
        if at + width > len(data):
            raise IndexError
        at += width
        return int.from_bytes(data[at - width : at], "big")

    for _ in range(number(2 if version < 2 else 4)):
        item = number(2 if version < 2 else 4)
        construction = number(2) & 15 if version else 0
        number(2)
        base = number(sizes[2])
        meta.extents[item] = []
        for _ in range(number(2)):
            number(sizes[3])
            offset = base + number(sizes[0])
            meta.extents[item].append((construction, offset, number(sizes[1])))


def _read_references(data: bytes, meta: Meta) -> None:
    wide = 2 if data[:1] == b"\0" else 4
    for kind, entry in _boxes(data[4:]):
        numbers = [
            int.from_bytes(entry[at : at + wide], "big")
            for at in (0, *range(wide + 2, len(entry), wide))
        ]
        meta.references.append((kind, numbers[0], numbers[1:]))


def _read_held(data: bytes, meta: Meta) -> None:
    """Which properties each item has, counted from 1."""
    wide_item, wide = (2 if data[0] == 0 else 4), (2 if data[3] & 1 else 1)
    at = 8
    for _ in range(min(int.from_bytes(data[4:8], "big"), MOST_ITEMS)):
        item = int.from_bytes(data[at : at + wide_item], "big")
        count = data[at + wide_item]
        at += wide_item + 1
        raw = [data[at + i * wide : at + (i + 1) * wide] for i in range(count)]
        at += count * wide
        mask = 0x7FFF if wide == 2 else 0x7F
        meta.held[item] = [int.from_bytes(one, "big") & mask for one in raw]


def _of(meta: Meta, item: int) -> list[Box]:
    known = range(1, len(meta.properties) + 1)
    return [meta.properties[n - 1] for n in meta.held.get(item, []) if n in known]


def _is_alpha(meta: Meta, item: int) -> bool:
    return any(name == b"auxC" and data[4:].startswith(ALPHAS) for name, data in _of(meta, item))


def _describe(meta: Meta, found: Heif) -> None:
    codecs = [box for box in meta.properties if box[0] in (b"av1C", b"hvcC")]
    own = _of(meta, meta.primary)
    for name, data in (*codecs[:1], *own):
        if name == b"av1C" and len(data) > 2:
            found.bits = 12 if data[2] & 0x20 else (10 if data[2] & 0x40 else 8)
        elif name == b"hvcC" and len(data) > 17:
            found.bits = 8 + (data[17] & 7)
        elif name == b"ispe" and len(data) >= 12:
            found.width, found.height = struct.unpack(">II", data[4:12])
        elif name == b"pixi" and len(data) > 5:
            found.channels, found.bits = data[4], max(data[5:])
        elif name == b"clap" and len(data) >= 16:
            wide, per_wide, high, per_high = struct.unpack(">IIII", data[:16])
            found.width, found.height = wide // max(per_wide, 1), high // max(per_high, 1)
        elif name == b"colr" and data[:4] in (b"prof", b"rICC"):
            found.icc = data[4:] or None
        elif name == b"colr" and data[:4] == b"nclx" and len(data) >= 8:
            found.coding = struct.unpack(">HH", data[4:8])
        elif name == b"irot" and data and data[0] & 3:
            found.turned = True
            if data[0] & 1:
                found.width, found.height = found.height, found.width
        elif name == b"imir":
            found.turned = True
    hidden = {source for kind, source, _ in meta.references if kind in (b"auxl", b"thmb")}
    hidden |= {one for kind, _, targets in meta.references if kind == b"dimg" for one in targets}
    shown = [n for n, kind in meta.types.items() if kind in (b"av01", b"hvc1", b"grid")]
    found.pictures = len([n for n in shown if n not in hidden])


def _check_data(file: BinaryIO, meta: Meta) -> None:
    size = size_of(file)
    for extents in meta.extents.values():
        for construction, offset, length in extents:
            if offset + length > (size if construction == 0 else len(meta.idat)):
                raise damaged("truncated: the file ends inside the HEIF data")


def _item(file: BinaryIO, meta: Meta, item: int) -> bytes:
    parts: list[bytes] = []
    for construction, offset, length in meta.extents.get(item, []):
        if length > MOST_ITEM or len(parts) > 1000:
            raise damaged(f"HEIF metadata of {length:,} bytes")
        if construction == 0:
            file.seek(offset)
            parts.append(exactly(file, length, "HEIF metadata"))
        else:
            parts.append(meta.idat[offset : offset + length])
    return b"".join(parts)


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, name) + content


def _built(
    body: bytes,
    meta: Meta,
    added: dict[int, tuple[bytes, bytes, bytes]],
    colour: bytes | None,
    moved: int,
    end: int,
) -> bytes:
    """The content of `meta` with more items. moved: by how much the old data lies further on;
    end: where the new data will begin."""
    extents = {
        item: [(c, offset + (moved if c == 0 else 0), length) for c, offset, length in found]
        for item, found in meta.extents.items()
    }
    for item, (_, _, content) in added.items():
        extents[item] = [(0, end, len(content))]
        end += len(content)
    references = [*meta.references, *((b"cdsc", item, [meta.primary]) for item in added)]
    new = {
        b"iloc": _extents_box(extents),
        b"iref": _references_box(references),
    }
    content = body[:4]
    for name, data in _boxes(body[4:]):
        if name == b"iinf":
            data = _types_box(data, added)
        elif name == b"iprp" and colour:
            data = _properties_box(data, meta, colour)
        elif name == b"iref":
            continue
        content += _box(name, new.get(name, data))
    return content + _box(b"iref", new[b"iref"])


def _extents_box(extents: dict[int, list[tuple[int, int, int]]]) -> bytes:
    """Version 1, with offsets of 8 bytes and lengths of 4."""
    data = struct.pack(">BBHBBH", 1, 0, 0, 0x84, 0, len(extents))
    for item, found in extents.items():
        data += struct.pack(">HHHH", item, found[0][0] if found else 0, 0, len(found))
        data += b"".join(struct.pack(">QI", offset, length) for _, offset, length in found)
    return data


def _references_box(references: list[tuple[bytes, int, list[int]]]) -> bytes:
    return bytes(4) + b"".join(
        _box(kind, struct.pack(f">HH{len(targets)}H", source, len(targets), *targets))
        for kind, source, targets in references
    )


def _types_box(data: bytes, added: dict[int, tuple[bytes, bytes, bytes]]) -> bytes:
    short = data[0] == 0
    wide = 2 if short else 4
    count = int.from_bytes(data[4 : 4 + wide], "big") + len(added)
    entries = b"".join(
        _box(b"infe", struct.pack(">BBHHH4s", 2, 0, 0, item, 0, kind) + b"\0" + more)
        for item, (kind, more, _) in added.items()
    )
    return data[:4] + count.to_bytes(wide, "big") + data[4 + wide :] + entries


def _properties_box(data: bytes, meta: Meta, colour: bytes) -> bytes:
    """With one more property, the colour box, which the primary picture has."""
    held = {item: list(found) for item, found in meta.held.items()}
    inner = dict(_boxes(data))
    essential = _essential(inner[b"ipma"])
    held[meta.primary] = [*held.get(meta.primary, []), len(meta.properties) + 1]
    table = struct.pack(">BBHI", 0, 0, 1, len(held))
    for item, numbers in held.items():
        marked = [n | (0x8000 if (item, n) in essential else 0) for n in numbers]
        table += struct.pack(f">HB{len(marked)}H", item, len(marked), *marked)
    properties = inner[b"ipco"] + _box(b"colr", colour)
    return _box(b"ipco", properties) + _box(b"ipma", table)


def _essential(data: bytes) -> set[tuple[int, int]]:
    wide_item, wide = (2 if data[0] == 0 else 4), (2 if data[3] & 1 else 1)
    at, found, top = 8, set(), 1 << (8 * wide - 1)
    for _ in range(int.from_bytes(data[4:8], "big")):
        item = int.from_bytes(data[at : at + wide_item], "big")
        count = data[at + wide_item]
        at += wide_item + 1
        for _ in range(count):
            number = int.from_bytes(data[at : at + wide], "big")
            at += wide
            if number & top:
                found.add((item, number & ~top))
    return found
