"""A page of a TIFF alone, with nothing but the tags that say how its samples lie.

libtiff complains of any tag that is odd (one that stands there twice, as tifffile writes every
description; a text without its end; tags out of order), and libvips cannot tell that from damaged
pixels. In a copy without those tags, what it still complains of are the pixels.

::

    header of the file ─► its first directory …        header ─► the short directory
    pixels, where they are                      ──►    pixels, where they were
                                                       at the end: the page's layout tags, in order
"""

from __future__ import annotations

import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from reslift.formats import vips
from reslift.formats.base import damaged
from reslift.formats.ifd import Entry, Structure

LAYOUT = {
    *(256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324),
    *(325, 332, 338, 339, 347, *range(512, 522), 529, 530, 531, 532, 50674),
}
"""Sides, depth, compression and its tables, kind of colour, strips, tiles, planes, extra bands."""
PHOTOMETRIC, SAMPLES, EXTRA_SAMPLES = 262, 277, 338
COLOURS = {2: 3, 5: 4, 6: 3}
SHORT = 3


@contextmanager
def page_alone(file: BinaryIO, number: int) -> Iterator[BinaryIO]:
    """A temporary copy of an open TIFF whose only directory is that of the page with this number.

    Raises InputError where the directories are damaged.
    """
    structure = Structure(file)
    tags, _ = structure.directory(_directories(structure)[number])
    records = {}
    for tag in LAYOUT & tags.keys():
        file.seek(tags[tag].record)
        records[tag] = file.read(20 if structure.big else 12)
    if EXTRA_SAMPLES not in tags and _has_one_more(structure, tags):
        # Without a word on it libtiff complains, as of odd tags.
        form = structure.order + ("HHQHxxxxxx" if structure.big else "HHIHxx")
        records[EXTRA_SAMPLES] = struct.pack(form, EXTRA_SAMPLES, SHORT, 1, 0)
    wide, link, place = ("Q", "Q", 8) if structure.big else ("H", "I", 4)
    with tempfile.TemporaryFile() as opened:
        copy = cast(BinaryIO, opened)
        file.seek(0)
        shutil.copyfileobj(file, copy)
        copy.write(bytes(copy.tell() % 2))
        at = copy.tell()
        copy.write(struct.pack(structure.order + wide, len(records)))
        copy.write(b"".join(record for _, record in sorted(records.items())))
        copy.write(struct.pack(structure.order + link, 0))
        copy.seek(place)
        copy.write(struct.pack(structure.order + link, at))
        copy.flush()
        yield copy


def _has_one_more(structure: Structure, tags: dict[int, Entry]) -> bool:
    """Whether there is one sample more than colours."""
    kind, samples = (
        (structure.integers(tags.get(tag)) or (1,))[0] for tag in (PHOTOMETRIC, SAMPLES)
    )
    return samples == COLOURS.get(kind, 1) + 1


def _directories(structure: Structure) -> list[int]:
    """Where all of them are; InputError where one cannot be read or they end in a circle."""
    found = dict[int, None]()
    offset = structure.first
    while offset:
        if offset in found:
            raise damaged("pages of the TIFF that follow each other in a circle")
        found[offset] = None
        offset, _ = structure.following(offset)
    return list(found)


@contextmanager
def readable(file: BinaryIO) -> Iterator[BinaryIO]:
    """The open TIFF itself, or its first page alone where libvips stops at tags."""
    try:
        image = vips.aside(lambda: vips.opened_tiff(file, "sequential"))
        vips.aside(lambda: image.crop(0, 0, 1, 1).write_to_memory())
    except vips.library().Error:
        with page_alone(file, 0) as copy:
            yield copy
        return
    yield file
