"""How far to trust each pixel of the pages of a TIFF: a TIFF of as many pages beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reslift.errors import UsageError, one_line
from reslift.files import atomic_write
from reslift.media.base import Enlarger, Wishes
from reslift.media.boundary import writing
from reslift.pixels.planes import Planes

ENDING = ".uncertainty.tif"
LEVEL = 0.9
TOP = 65535
BIG = 2**32 - 2**26


def beside(target: Path) -> Path:
    """The file of half-widths: ``scan-x4.tif.uncertainty.tif``."""
    return target.with_name(target.name + ENDING)


class Halves:
    """Takes half-widths page by page. `sentence` says where they are."""

    def __init__(self, enlarger: Enlarger, writer: Any) -> None:
        self._enlarger, self._writer = enlarger, writer

    def add_picture(self, image: Planes, result: NDArray[Any]) -> None:
        """A page of 8 or 16 bits: gray, 16 bits, 65535 for the whole range."""
        from reslift.uncertainty import half_widths, log_scales

        judge = self._enlarger.judge
        half = np.empty(result.shape[:2], np.float32)
        log_scales(judge.head, image, result, half)
        half_widths(half, judge.calibration, LEVEL)
        self._append(np.rint(half * TOP).astype(np.uint16))

    def add_values(self, halves: NDArray[np.float32]) -> None:
        """A page of measured values: (h, w, bands), float, in their units."""
        self._append(halves if halves.shape[2] > 1 else halves[..., 0])

    def _append(self, page: NDArray[Any]) -> None:
        self._writer.write(
            page,
            photometric="minisblack",
            planarconfig="contig" if page.ndim > 2 else None,
            compression="zlib",
            metadata=None,
            software=False,
            contiguous=False,
        )


@contextmanager
def opened(enlarger: Enlarger, target: Path, total: int, wishes: Wishes) -> Iterator[Halves | None]:
    """Where half-widths go; None where none are wished for.

    total: samples of all pages. Raises OutputExists, OutputError.
    """
    if not wishes.uncertainty:
        yield None
        return
    import tifffile

    path = beside(target)
    with (
        atomic_write(path, overwrite=wishes.overwrite) as temporary,
        writing(path),
        tifffile.TiffWriter(temporary, bigtiff=4 * total > BIG, byteorder="<") as writer,
    ):
        yield Halves(enlarger, writer)


def check_spaces(source: Path, spaces: set[str]) -> None:
    """UsageError where intervals are not known for a page."""
    if "cmyk" in spaces:
        raise UsageError(
            f"{one_line(source)}: --uncertainty knows gray and RGB pages, not CMYK; leave it out"
        )


def sentence(enlarger: Enlarger, target: Path) -> str:
    """What is said of the map."""
    data = one_line(enlarger.judge.calibration.data)
    return (
        f"{LEVEL:.0%} intervals are in {one_line(beside(target).name)}: of pictures as shares of "
        f"65535, of values in their units; they were calibrated on pictures ({data})"
    )
