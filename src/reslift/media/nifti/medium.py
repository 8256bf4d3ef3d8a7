"""NIfTI in, NIfTI out: slices enlarged in their plane, the volume in its place.

::

    file ── header ──► slices across an axis ── window ── network ──► canvas ──► header', voxels

The slices are those across the coarsest axis, or the one that was asked for; no slice is added.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reslift.errors import OutputError, UsageError, one_line
from reslift.limits import Limits
from reslift.media.base import PLAIN, Enlarger, Extent, Medium, Progress, Wishes
from reslift.media.nifti import pair
from reslift.pixels.agreement import Layer
from reslift.provenance import Record

LONGEST_SIDE = 2**15 - 1


class Nifti(Medium):
    """Volumes of MR, CT and PET, and series of them; NIfTI-1 and NIfTI-2.

    Header and voxels lie in one file, or in two, of which that of the header is read; a result is
    one file.
    """

    name = "nifti"
    label = "a NIfTI volume"
    suffixes = (".nii", ".nii.gz")
    extra = "medical"
    keeps_shape = True
    heeds = frozenset({"window", "axis"})

    def recognises(self, path: Path, head: bytes) -> bool:
        return pair.is_header(head) or pair.header_of(path) is not None

    def peek(self, path: Path, limits: Limits, wishes: Wishes = PLAIN) -> Extent:
        from reslift.media.nifti.volume import opened

        return opened(path, limits, wishes.axis).extent()

    def known(self, source: Path) -> tuple[Path, ...]:
        from reslift.media.nifti.check import UNLIMITED
        from reslift.media.nifti.volume import opened

        voxels, _ = opened(source, UNLIMITED).place
        return () if voxels == source else (voxels,)

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
        from reslift.media.nifti.check import both, differences

        return differences(*both(source, target))

    def layers(self, source: Path, target: Path) -> Iterator[Layer]:
        from reslift.media.nifti.check import both, layers

        return layers(*both(source, target))
