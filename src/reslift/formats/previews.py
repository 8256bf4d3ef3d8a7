"""Small copies of a picture in its own metadata, which a part of it must not carry along.

They show all that was cut away: the thumbnail in EXIF, those of Photoshop and of XMP. Maker notes
are left alone, as everywhere.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

from reslift.formats import behind, exif
from reslift.formats.base import Extra, Picture

PHOTOSHOP = {"APP13": b"Photoshop 3.0\0", "Photoshop": b""}
"""Extras that are lists of Photoshop's resources, and what stands before them."""
THUMBNAILS = (1033, 1036)
IN_XMP = {
    b"http://ns.adobe.com/xap/1.0/": rb"Thumbnails",
    b"http://www.metadataworkinggroup.com/schemas/regions/": rb"Regions",
    b"http://ns.microsoft.com/photo/1.2/": rb"RegionInfo",
}
"""Thumbnails, and faces at their places in the whole."""


def cut(picture: Picture, part: tuple[int, int, int, int]) -> Picture:
    """The picture, which is of a part (left, top, width, height) of its file, without them."""
    return replace(
        picture,
        exif=exif.cut(picture.exif, part) if picture.exif else None,
        xmp=behind.without(picture.xmp, IN_XMP) if picture.xmp else None,
        extra=_without(picture.extra),
    )


def _without(extra: Extra) -> Extra:
    kept = []
    for name, data in extra:
        head = PHOTOSHOP.get(name)
        if head is not None and data.startswith(head):
            pieces = _resources(data, len(head))
            data = head + b"".join(one for number, one in pieces if number not in THUMBNAILS)
        kept.append((name, data))
    return tuple(kept)


def _resources(data: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each resource; what is none at the end comes as number 0."""
    while data[at : at + 4] == b"8BIM" and at + 12 <= len(data):
        (number,) = struct.unpack_from(">H", data, at + 4)
        size_at = at + 6 + (data[at + 6] + 2) // 2 * 2
        size = int.from_bytes(data[size_at : size_at + 4], "big")
        end = size_at + 4 + size + size % 2
        if size_at + 4 + size > len(data):
            break
        yield number, data[at:end]
        at = end
    yield 0, data[at:]
