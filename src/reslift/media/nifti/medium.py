"""NIfTI in, NIfTI out: slices enlarged in their plane, the volume in its place.

::

    file ── header ──► slices across an axis ── window ── network ──► canvas ──► header', voxels

The slices are those across the coarsest axis, or the one that was asked for; no slice is added.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from reslift.errors import OutputError, UsageError, one_line
from reslift.limits import Limits
from reslift.media.base import PLAIN, Enlarger, Extent, Medium, Progress, Wishes
from reslift.pixels.agreement import Layer
from reslift.provenance import Record

GZIP = b"\x1f\x8b"
MAGICS = {(344, b"n+1\0"), (344, b"ni1\0"), (4, b"n+2\0"), (4, b"ni2\0")}
SIZES = {struct.pack(f"{order}i", size) for size in (348, 540) for order in "<>"}
LONGEST_SIDE = 2**15 - 1


class Nifti(Medium):
    """Volumes of MR, CT and PET, and series of them; NIfTI-1 and NIfTI-2 in one file."""

    name = "nifti"
    label = "a NIfTI volume"
    suffixes = (".nii", ".nii.gz")
    extra = "medical"
    keeps_shape = True
    heeds = frozenset({"window", "axis"})

    def recognises(self, path: Path, head: bytes) -> bool:
        if head.startswith(GZIP):
            try:
                head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, 512)
            except zlib.error:
                return False
        return head[:4] in SIZES and any(head[at : at + 4] == magic for at, magic in MAGICS)

    def peek(self, path: Path, limits: Limits, wishes: Wishes = PLAIN) -> Extent:
        from reslift.media.nifti.volume import opened

        return opened(path, limits, wishes.axis).extent()

    def maps(self, target: Path) -> tuple[Path, ...]:
        from reslift.media.nifti import halves

        return (halves.beside(target),)

    def check_target(self, target: Path, extent: Extent, wanted: tuple[int, int]) -> None:
        if not target.name.lower().endswith(self.suffixes):
            raise UsageError(
                f"{one_line(target)}: the result of {self.label} is written as one of "
                f"{', '.join(self.suffixes)}"
            )
        if max(wanted) > LONGEST_SIDE:
            raise OutputError(
                f"{one_line(target)}: {wanted[0]}x{wanted[1]} is more than the {LONGEST_SIDE} a "
                "side that NIfTI-1 can hold"
            )

    def upscale(
        self,
        enlarger: Enlarger,
        source: Path,
        target: Path,
        wishes: Wishes,
        progress: Progress | None = None,
    ) -> tuple[str, ...]:
        from reslift.media.nifti.volume import opened
        from reslift.media.nifti.write import enlarge_volume

        volume = opened(source, enlarger.limits, wishes.axis)
        extent = volume.extent()
        self.check_target(target, extent, enlarger.size.of(extent.width, extent.height))
        return enlarge_volume(enlarger, volume, target, wishes, progress)

    def keeps_samples(self, source: Path, target: Path) -> bool:
        return True

    def record(self, result: Path) -> Record | None:
        from reslift.media.nifti.check import UNLIMITED
        from reslift.media.nifti.extension import comment_in
        from reslift.media.nifti.volume import opened

        volume = opened(result, UNLIMITED)
        return comment_in(volume.prefix, volume.header.endianness)

    def verify(self, source: Path, target: Path) -> tuple[str, ...]:
        from reslift.media.nifti.check import differences, pair

        return differences(*pair(source, target))

    def layers(self, source: Path, target: Path) -> Iterator[Layer]:
        from reslift.media.nifti.check import layers, pair

        return layers(*pair(source, target))
