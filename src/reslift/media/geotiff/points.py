"""Control points of pixels that are points: GDAL moves them by half a pixel each time it writes.

It adds the half that it adds again when it reads them, so that what was read comes back a whole
pixel further. The tag is set right in the file that was written.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from reslift.formats.ifd import Structure
from reslift.media.geotiff import file as files
from reslift.pixels.regrid import Regrid

TIE_POINTS = 33922
NUMBERS = 6
"""Of a point: column, row, a third that is not used, and where it lies."""


def settle(path: Path, source: Any, grid: Regrid) -> None:
    """Let the control points of the TIFF at `path` be read as those of `source`, moved to `grid`.

    Raises InputError where the file cannot be read.
    """
    points, _ = source.gcps
    if not points:
        return
    with files.opened(path) as made:
        found, _ = made.dataset.gcps
    wanted = [files.moved(point, grid) for point in points]
    if len(found) != len(wanted):
        return
    with path.open("r+b") as file:
        structure = Structure(file)
        entry = structure.directory(structure.first)[0].get(TIE_POINTS)
        stored = list(structure.numbers(entry))
        if entry is None or len(stored) != NUMBERS * len(wanted):
            return
        for at, (want, have) in enumerate(zip(wanted, found, strict=True)):
            stored[NUMBERS * at] += want.col - have.col
            stored[NUMBERS * at + 1] += want.row - have.row
        file.seek(entry.where)
        file.write(struct.pack(f"{structure.order}{len(stored)}d", *stored))
