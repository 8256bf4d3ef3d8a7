"""DICOM in, DICOM out: stored values, geometry, history.

::

    file ── opened ──► frames ── window ── network ──► canvas (frames, sh, sw[, 3])
              │                                          │ digest, extremes
              └──► elements ── geometry ── identity ─────┴──► header, then pixels ──► file

The result is not compressed. A series keeps its frame of reference, order and spacing, and gets one
new SeriesInstanceUID; see `identity`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from reslift.errors import OutputError, one_line
from reslift.limits import Limits
from reslift.media.base import PLAIN, Enlarger, Extent, Medium, Progress, Wishes
from reslift.media.dicom.sniff import looks_like_dicom
from reslift.pixels.agreement import Layer
from reslift.provenance import Record

LONGEST_SIDE = 2**16 - 1
MOST_BYTES = 2**32 - 2
UNLIMITED = Limits(input_pixels=MOST_BYTES, file_bytes=2 * MOST_BYTES, frames=MOST_BYTES)

if TYPE_CHECKING:
    from reslift.media.dicom.source import Image


class Dicom(Medium):
    """Images of CT, MR, X-ray, ultrasound and the like, single or with many frames."""

    name = "dicom"
    label = "a DICOM file"
    suffixes = (".dcm", ".dicom", ".ima")
    nameless = True
    extra = "medical"
    keeps_shape = True
    heeds = frozenset({"window", "not_for_diagnosis", "strip_metadata"})

    def recognises(self, path: Path, head: bytes) -> bool:
        return looks_like_dicom(head)

    def peek(self, path: Path, limits: Limits, wishes: Wishes = PLAIN) -> Extent:
        image = self._opened(path, limits)
        return Extent(image.columns, image.rows, image.count)

    def _opened(self, path: Path, limits: Limits) -> Image:
        from reslift.media.dicom.source import opened

        return opened(path, limits)

    def check_target(self, target: Path, extent: Extent, wanted: tuple[int, int]) -> None:
        super().check_target(target, extent, wanted)
        if max(wanted) > LONGEST_SIDE:
            raise OutputError(
                f"{one_line(target)}: {wanted[0]}x{wanted[1]} is more than DICOM's {LONGEST_SIDE} "
                "a side"
            )

    def maps(self, target: Path) -> tuple[Path, ...]:
        from reslift.media.dicom import halves

        return (halves.beside(target),)

    def upscale(
        self,
        enlarger: Enlarger,
        source: Path,
        target: Path,
        wishes: Wishes,
        progress: Progress | None = None,
    ) -> tuple[str, ...]:
        from reslift.media.dicom.enlarge import enlarge_image

        image = self._opened(source, enlarger.limits)
        return enlarge_image(enlarger, image, target, wishes, progress)

    def keeps_samples(self, source: Path, target: Path) -> bool:
        return not self._opened(source, UNLIMITED).is_lossy

    def record(self, result: Path) -> Record | None:
        from reslift.media.dicom.identity import record_in

        return record_in(self._opened(result, UNLIMITED).elements)

    def verify(self, source: Path, target: Path) -> tuple[str, ...]:
        from reslift.media.dicom.check import differences
        from reslift.media.dicom.source import damage_named

        with damage_named(target, "its header"):
            images = self._opened(source, UNLIMITED), self._opened(target, UNLIMITED)
            return tuple(differences(*images))

    def layers(self, source: Path, target: Path) -> Iterator[Layer]:
        from reslift.media.dicom.check import layers

        return layers(self._opened(source, UNLIMITED), self._opened(target, UNLIMITED))
