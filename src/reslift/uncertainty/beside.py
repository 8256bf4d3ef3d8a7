"""The interval map of a result as two files beside it: one to look at, one to compute with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reslift import formats
from reslift.canvas import IN_MEMORY, canvas
from reslift.errors import UsageError
from reslift.formats import Picture
from reslift.pixels.planes import Floats, Pixels, Planes
from reslift.report import error_colours
from reslift.uncertainty.conformal import Calibration
from reslift.uncertainty.mapping import half_widths, log_scales
from reslift.uncertainty.store import Judge

ENDINGS = (".uncertainty.png", ".uncertainty.tif")
LEVEL = 0.9
HOT = 40.0
"""Half-width, in levels of 255, that the heat map shows as its palest colour."""
ROWS = 256


def names(result: Path) -> tuple[Path, ...]:
    """The heat map and the values: ``a-x4.png.uncertainty.png`` and ``….tif``."""
    return tuple(result.with_name(result.name + ending) for ending in ENDINGS)


def check(judge: Judge, image: Planes) -> None:
    """Nothing, where intervals are known for such a picture.

    Raises:
        UsageError: they are not.
    """
    if image.space == "cmyk":
        raise UsageError("--uncertainty knows gray and RGB pictures, not CMYK")


def fill(half: Floats, judge: Judge, image: Planes, result: Pixels) -> None:
    """Fill (sH, sW) with half the interval's width, 1 for the whole range of the picture.

    Args:
        image: (H, W, C), what was enlarged. result: (sH, sW, C), what it became.

    Raises:
        UsageError: the sizes do not fit.
    """
    log_scales(judge.head, image, result, half)
    half_widths(half, judge.calibration, LEVEL)


def write(target: Path, half: Floats, calibration: Calibration, *, overwrite: bool = False) -> str:
    """Write the map of a result as two files beside it; gives one sentence on it.

    The TIFF is gray, 16 bit: half the width of the interval that holds 90 % of the samples, 65535
    for the whole range of the picture. The PNG shows it from black (0) to pale (40 levels of 255).

    Args:
        target: the result's file; the maps are named after it. half: as `fill` gives it.

    Raises:
        OutputExists, OutputError: a map cannot be written.
    """
    height, width = half.shape
    limit = IN_MEMORY // 4
    with (
        canvas((height, width, 1), np.uint16, target.parent, in_memory=limit) as values,
        canvas((height, width, 3), np.uint8, target.parent, in_memory=limit) as colours,
    ):
        total = 0.0
        for top in range(0, height, ROWS):
            rows = slice(top, top + ROWS)
            total += float(half[rows].sum(dtype=np.float64))
            values[rows, :, 0] = np.rint(half[rows] * 65535)
            colours[rows] = error_colours(half[rows] * 255, HOT)
        heat, numbers = names(target)
        formats.write(heat, Picture(colours, "rgb", False), overwrite=overwrite)
        formats.write(numbers, Picture(values, "gray", False), overwrite=overwrite)
    return (
        f"{LEVEL:.0%} of the samples are expected within ±{255 * total / half.size:.1f} levels of "
        f"255 on average (calibrated on {calibration.data}); {heat.name} shows where"
    )
