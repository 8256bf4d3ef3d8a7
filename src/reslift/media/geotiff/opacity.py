"""Colours that are multiplied by their opacity: a tag of TIFF that GDAL neither tells nor copies.

Such samples are enlarged as they are, and the tag says of the result what it says of the source.
"""

from __future__ import annotations

import struct
from pathlib import Path

from reslift.errors import InputError
from reslift.formats.ifd import Entry, Structure

EXTRA_SAMPLES = 338
MULTIPLIED, STRAIGHT = 1, 2
MOST_DIRECTORIES = 100


def is_multiplied(path: Path) -> bool:
    """Whether the first picture of a TIFF says so."""
    try:
        with path.open("rb") as file:
            structure = Structure(file)
            tags, _ = structure.directory(structure.first)
            return MULTIPLIED in structure.integers(tags.get(EXTRA_SAMPLES))
    except (InputError, OSError):
        return False


def mark_multiplied(path: Path) -> None:
    """Let the TIFF at `path`, and its overviews, say so of the opacity that they have."""
    with path.open("r+b") as file:
        structure = Structure(file)
        at = structure.first
        for _ in range(MOST_DIRECTORIES):
            tags, following = structure.directory(at)
            if (entry := tags.get(EXTRA_SAMPLES)) is not None:
                _set(structure, entry)
            if not following:
                return
            at = following


def _set(structure: Structure, entry: Entry) -> None:
    kinds = [MULTIPLIED if kind == STRAIGHT else kind for kind in structure.integers(entry)]
    structure.file.seek(entry.where)
    structure.file.write(struct.pack(f"{structure.order}{len(kinds)}H", *kinds))
