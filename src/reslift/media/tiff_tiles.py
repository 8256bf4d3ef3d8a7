"""A TIFF whose tiles may come in any order: libvips and tifffile write them in theirs only.

header ──► tiles as they come ──► their places ──► one directory, to which the header is turned
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from reslift.formats.base import Facts
from reslift.formats.ifd import Tag, directory_bytes, records
from reslift.formats.tiff import (
    BITS,
    COMPRESSION,
    EXTRA_SAMPLES,
    HEIGHT,
    ORIENTATION,
    PHOTOMETRIC,
    PLANAR,
    SAMPLE_FORMAT,
    SAMPLES,
    STRAIGHT,
    TILE_COUNTS,
    TILE_HEIGHT,
    TILE_OFFSETS,
    TILE_WIDTH,
    WIDTH,
)
from reslift.pixels.tiles import Box

SIDE = 512
PREDICTOR = 317
DEFLATE, HORIZONTAL, LEVEL = 8, 2, 6
PHOTOMETRICS = {"gray": 1, "rgb": 2, "cmyk": 5}


class TileFile:
    """Tiles of 512 × 512, compressed by deflate with horizontal differences, in a BigTIFF.

    Args:
        file: empty, open to read and write.
        width, height: of the picture.
        facts: its kind of pixels and its orientation, which is kept as it is.
    """

    def __init__(self, file: BinaryIO, width: int, height: int, facts: Facts) -> None:
        self._file, self._facts = file, facts
        self.width, self.height = width, height
        self._across = -(-width // SIDE)
        tiles = self._across * -(-height // SIDE)
        self._offsets = np.zeros(tiles, "<u8")
        self._counts = np.zeros(tiles, "<u8")
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))

    def write(self, box: Box, samples: NDArray[Any]) -> None:
        """Append one tile, (bands, h, w), which lies at `box`."""
        tile = np.zeros((SIDE, SIDE, samples.shape[0]), samples.dtype)
        tile[: box.height, : box.width] = samples.transpose(1, 2, 0)
        tile[:, 1:] -= tile[:, :-1].copy()
        stored = tile.astype(tile.dtype.newbyteorder("<"), copy=False)
        packed = zlib.compress(stored.tobytes(), LEVEL)
        number = box.top // SIDE * self._across + box.left // SIDE
        self._offsets[number], self._counts[number] = self._file.tell(), len(packed)
        self._file.write(packed)

    def finish(self) -> None:
        """Write the directory."""
        facts = self._facts
        samples = facts.bands
        tags = [
            _number(WIDTH, self.width),
            _number(HEIGHT, self.height),
            _short(BITS, *[facts.bits] * samples),
            _short(COMPRESSION, DEFLATE),
            _short(PHOTOMETRIC, PHOTOMETRICS[facts.space]),
            _short(ORIENTATION, facts.orientation),
            _short(SAMPLES, samples),
            _short(PLANAR, 1),
            _short(PREDICTOR, HORIZONTAL),
            _number(TILE_WIDTH, SIDE),
            _number(TILE_HEIGHT, SIDE),
            _short(SAMPLE_FORMAT, *[1] * samples),
            Tag(TILE_OFFSETS, 16, len(self._offsets), self._offsets.tobytes()),
            Tag(TILE_COUNTS, 16, len(self._counts), self._counts.tobytes()),
        ]
        if facts.alpha:
            tags.append(_short(EXTRA_SAMPLES, STRAIGHT))
        place = self._file.tell()
        found, values = records(tags, place, big=True)
        self._file.write(values)
        offset = self._file.tell()
        self._file.write(directory_bytes(found, big=True))
        self._file.seek(8)
        self._file.write(struct.pack("<Q", offset))


def _short(tag: int, *values: int) -> Tag:
    return Tag(tag, 3, len(values), struct.pack(f"<{len(values)}H", *values))


def _number(tag: int, *values: int) -> Tag:
    return Tag(tag, 4, len(values), struct.pack(f"<{len(values)}I", *values))
