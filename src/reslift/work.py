"""One file on its way from input to result, in three steps that a batch may overlap.

read ──► enlarge ──► write        enlarge alone calls the engine; close gives everything back
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from reslift import formats, provenance
from reslift.canvas import IN_MEMORY, canvas
from reslift.errors import InputError, UsageError, one_line
from reslift.files import check_not_input, check_target, make_folder, together
from reslift.finish import Finish, Runs
from reslift.formats import place as places
from reslift.formats import previews
from reslift.formats.base import colours_only
from reslift.formats.place import Place
from reslift.media import Enlarger, Extent, Medium, Wishes
from reslift.media.heeded import check_strip
from reslift.media.recorded import in_xmp, record_of
from reslift.pixels.agreement import TOLERANCES, Channel, compare, of_pictures
from reslift.pixels.planes import Pixels, Planes
from reslift.pixels.regrid import Regrid
from reslift.pixels.shrink import Kernel
from reslift.provenance import Record
from reslift.sizes import Size
from reslift.stitch import Progress

if TYPE_CHECKING:
    from reslift.formats import Picture

MOST_COMPARED = 2**25
"""Samples of a source: comparing more takes over half a minute."""
MAPS = tuple(f".uncertainty.{kind}" for kind in ("png", "tif", "dcm", "nii", "nii.gz"))
CHANGED = "the input changed while it was enlarged; make it again"


class Host(Enlarger, Protocol):
    """What work needs of an `Upscaler`."""

    max_memory: int | None
    consistent: bool | None
    kernel: Kernel
    runs: Runs

    def shape(self, pixels: Pixels, what: object) -> tuple[int, int, int]:
        """(H', W', C) of the result for pixels (H, W, C); LimitError where that is too large."""
        ...

    def fill(
        self,
        image: Planes,
        out: Pixels,
        folder: Path | None = None,
        progress: Progress | None = None,
        finish: Finish | None = None,
    ) -> None:
        """Compute the result into out (H', W', C); `folder` takes what is too large for memory."""
        ...


class Work(ABC):
    """What every kind of file goes through; each step once, in order, in whatever thread.

    Raises, in any step:
        InputError, LimitError: source cannot be used. OutputError, OutputExists: target cannot be
        written. UsageError: it is source. DeviceError, ResliftError: as for calling an `Upscaler`.
        Nothing is left behind once it is closed.

    keeps_shape: as for `Medium`. placed: the result is there; what stands beside it may be lacking.
    """

    keeps_shape, placed = False, False

    def __init__(self, upscaler: Host, source: Path, target: Path, wishes: Wishes) -> None:
        self.upscaler, self.source, self.target, self.wishes = upscaler, source, target, wishes
        self._held = ExitStack()

    @abstractmethod
    def read(self) -> None:
        """Decode, and refuse a target that cannot be."""

    @abstractmethod
    def enlarge(self, progress: Progress | None = None) -> None:
        """Compute the result; only one thread at a time may be in here, for all work."""

    @abstractmethod
    def write(self) -> tuple[str, ...]:
        """Encode under the final name; returns notes on what could not be kept."""

    def _check_target(self) -> None:
        """Refuse, before any work, a result, or a record beside it, that cannot be."""
        check_not_input(self.target, self.source)
        make_folder(self.target.parent)
        check_target(self.target, overwrite=self.wishes.overwrite)
        if self.wishes.provenance_file:
            check_target(provenance.side_file(self.target), overwrite=self.wishes.overwrite)

    def _stale(self) -> tuple[str, ...]:
        """A note on each file beside the result that tells of another one, made before."""
        endings: tuple[str, ...] = ()
        if not self.wishes.provenance_file:
            endings += (provenance.SUFFIX,)
        if not self.wishes.uncertainty:
            endings += MAPS
        beside = (self.target.with_name(self.target.name + ending) for ending in endings)
        return tuple(
            f"{path.name} beside the result is of an earlier one"
            for path in beside
            if path.is_file()
        )

    def close(self) -> None:
        """Give back what is held, whatever step it came to."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class StillWork(Work):
    """A still picture."""

    picture: Picture
    finish: Finish
    place: Place = Place()

    def read(self) -> None:
        self._seen = _state(self.source)
        self.picture = picture = formats.read(self.source, self.upscaler.limits)
        height, width = self.upscaler.shape(picture.pixels, self.source)[:2]
        formats.check_fits(self._into, width, height, picture)
        self._check_target()
        self.place = places.of(self.source, turned=picture.turned)
        self.place.check(self.target, overwrite=self.wishes.overwrite)
        if self.wishes.uncertainty:
            self._check_maps(picture)

    def _check_maps(self, picture: Picture) -> None:
        """Refuse, before any work, maps that cannot be."""
        from reslift.uncertainty import beside

        beside.check(self.upscaler.judge, Planes(picture.pixels, picture.space, picture.alpha))
        for path in beside.names(self.target):
            check_target(path, overwrite=self.wishes.overwrite)

    @property
    def _into(self) -> str:
        return self.wishes.output_format or formats.format_of(self.target)

    def enlarge(self, progress: Progress | None = None) -> None:
        picture, folder = self.picture, self.target.parent
        image = Planes(picture.pixels, picture.space, picture.alpha)
        shape = self.upscaler.shape(picture.pixels, self.source)
        limit = in_memory(self.upscaler.max_memory)
        out = self._held.enter_context(canvas(shape, picture.pixels.dtype, folder, in_memory=limit))
        lossless = picture.lossless and formats.is_lossless(self._into, picture)
        self.finish = self.upscaler.finish(lossless=lossless)
        self.upscaler.fill(image, out, folder, progress, self.finish)
        self.image, self.picture = image, replace(picture, pixels=out)
        if self.wishes.uncertainty:
            self._map_half_widths()

    def _map_half_widths(self) -> None:
        """Computed with the picture, since only one thread may use the cores."""
        from reslift.uncertainty import beside

        shape = self.picture.pixels.shape[:2]
        limit = in_memory(self.upscaler.max_memory)
        made = canvas(shape, "float32", self.target.parent, in_memory=limit)
        self.half = self._held.enter_context(made)
        beside.fill(self.half, self.upscaler.judge, self.image, self.picture.pixels)

    def write(self) -> tuple[str, ...]:
        picture, wishes = self.picture, self.wishes
        if self.upscaler.size.crop is not None:
            part = self.upscaler.size.box(*self.image.pixels.shape[1::-1])
            picture = previews.cut(picture, (part.left, part.top, part.width, part.height))
        if wishes.strip_metadata:
            picture = replace(picture, exif=None, xmp=None, extra=colours_only(picture.extra))
        record = self._record() if wishes.provenance or wishes.provenance_file else None
        notes: tuple[str, ...] = ()
        if record is not None and wishes.provenance and not wishes.strip_metadata:
            picture, notes = in_xmp(picture, record, self._into)
        elif not wishes.provenance:
            picture = replace(picture, xmp=provenance.without(picture.xmp))
        options: dict[str, Any] = {"quality": wishes.quality, "overwrite": wishes.overwrite}
        placed: list[Path] = []
        try:
            with together() as placed:
                written = formats.write(self.target, picture, format=self._into, **options)
                if record is not None and wishes.provenance_file:
                    provenance.write_beside(self.target, record, overwrite=wishes.overwrite)
                notes += self._write_place() + self._maps()
        finally:
            self.placed = self.target in placed
        return (*picture.notes, *self._disagreement(), *notes, *written, *self._stale())

    def _write_place(self) -> tuple[str, ...]:
        """The files beside the source that say where it lies on a map, for the result."""
        height, width = self.image.pixels.shape[:2]
        wanted = self.picture.width, self.picture.height
        size, overwrite = self.upscaler.size, self.wishes.overwrite
        return self.place.write(self.target, size, (width, height), wanted, overwrite=overwrite)

    def _maps(self) -> tuple[str, ...]:
        if not self.wishes.uncertainty:
            return ()
        from reslift.uncertainty import beside

        calibration, overwrite = self.upscaler.judge.calibration, self.wishes.overwrite
        return (beside.write(self.target, self.half, calibration, overwrite=overwrite),)

    def _record(self) -> Record:
        if _state(self.source) not in (self._seen, None):  # a record of what was not read is a lie
            raise InputError(f"cannot use {one_line(self.source)}: {CHANGED}")
        written: dict[str, object] = {"format": self._into}
        if not formats.is_lossless(self._into, self.picture):
            written["quality"] = self.wishes.quality
        if self.wishes.strip_metadata:
            written["strip_metadata"] = True
        return self.upscaler.record(self.source, self.finish).with_options(**written)

    def _disagreement(self) -> tuple[str, ...]:
        """A note where the input does not come back as near as it should."""
        tally, kernel = self.finish.tally, self.finish.kernel
        direct = tally is not None and tally.count > 0
        if notes := heeded(self.upscaler, kernel is not None, direct):
            return notes
        if kernel is None or tally is None or tally.largest <= TOLERANCES[kernel] + 1e-3:
            return ()
        if self.upscaler.size.crop is not None or tally.count > MOST_COMPARED:
            return (disagrees(kernel, tally.largest, tally.mean),)
        # What is lacking was told before rounding: 1.05 levels may be 1, which is a promise kept.
        both = self.image.pixels, self.picture.pixels
        layers = of_pictures(*both, self.picture.space, self.picture.alpha)
        return too_far(compare(layers, kernel, TOLERANCES[kernel])[0], kernel)

    def close(self) -> None:
        for name in ("picture", "image", "half"):
            self.__dict__.pop(name, None)
        super().close()


class MediumWork(Work):
    """A clip, a series, a large raster: it reads and writes while it is enlarged."""

    def __init__(
        self, medium: Medium, upscaler: Host, source: Path, target: Path, wishes: Wishes
    ) -> None:
        super().__init__(upscaler, source, target, wishes)
        self.medium, self.keeps_shape = medium, medium.keeps_shape
        self.notes: tuple[str, ...] = ()

    def read(self) -> None:
        check_strip(self.medium, self.source, self.wishes)
        if self.wishes.uncertainty:
            self._check_maps()
        extent = self.medium.peek(self.source, self.upscaler.limits, self.wishes)
        self._samples = extent.pixels * extent.runs
        wanted = frame_sides(self.medium, self.upscaler.size, extent, self.source)
        self._ratio = Regrid(extent.width, extent.height, *wanted).ratio
        self.medium.check_target(self.target, extent, wanted)
        self._check_target()

    def _check_maps(self) -> None:
        maps = self.medium.maps(self.target)
        if not maps:
            raise UsageError(
                f"{one_line(self.source)}: --uncertainty maps still pictures, DICOM, NIfTI, "
                f"GeoTIFF and pages of TIFF into TIFF, not {self.medium.label}; leave it out"
            )
        _ = self.upscaler.judge  # a model that is not calibrated is refused here
        for path in maps:
            check_target(path, overwrite=self.wishes.overwrite)

    def enlarge(self, progress: Progress | None = None) -> None:
        self.upscaler.runs = self._runs = Runs()
        seen = _state(self.source)
        asked = (self.upscaler, self.source, self.target, self.wishes)
        if not self.wishes.provenance_file:
            self.notes, self.placed = self.medium.upscale(*asked, progress), True
        else:
            with provenance.room_beside(self.target, overwrite=self.wishes.overwrite) as told:
                self.notes, self.placed = self.medium.upscale(*asked, progress), True
                exact = self.medium.keeps_samples(self.source, self.target)
                facts: dict[str, Any] = {"exact": exact, "ratios": (self._ratio,)}
                told(record_of(self.upscaler, self.source, self.wishes, **facts))
        if _state(self.source) != seen:
            self.notes += (CHANGED,)

    def write(self) -> tuple[str, ...]:
        return (*self.notes, *self._disagreement(), *self._stale())

    def _disagreement(self) -> tuple[str, ...]:
        """A note where the file that was written does not agree with the source as it should.

        Its samples are compared as `reslift verify` does, since padding, windows and excess may
        change what the runs left; of very many they are not. Burned-in words agree with nothing.
        """
        kernel, runs = self.upscaler.kernel, self._runs
        if runs.total and (notes := heeded(self.upscaler, runs.wanted > 0, runs.direct > 0)):
            return notes
        if not 0 < runs.direct == runs.total or self.wishes.not_for_diagnosis:
            return ()
        if self._samples > MOST_COMPARED:
            return ()
        limit = TOLERANCES[kernel]
        try:
            channels, _ = compare(self.medium.layers(self.source, self.target), kernel, limit)
        except InputError:
            return ()  # The result is there, and whole; only nothing is known of it.
        return too_far(channels, kernel)


def heeded(upscaler: Host, wanted: bool, direct: bool) -> tuple[str, ...]:
    """A note on an option about agreement that has no effect.

    wanted: the result was to agree. direct: one model went straight to its size.
    """
    if upscaler.consistent and wanted and not direct:
        return ("--consistent has no effect: no model goes straight to this size",)
    if not wanted and upscaler.kernel != "bicubic":
        return (f"--kernel {upscaler.kernel} has no effect here without --consistent",)
    return ()


def too_far(channels: Sequence[Channel], kernel: Kernel) -> tuple[str, ...]:
    """A note where a channel differs by more than `reslift verify` lets hold."""
    worst = max(channels, key=lambda channel: channel.largest, default=None)
    if worst is None or worst.largest <= TOLERANCES[kernel] + 1e-3:
        return ()
    return (disagrees(kernel, worst.largest, worst.mean, worst.level),)


def disagrees(kernel: Kernel, largest: float, mean: float, level: float = 1.0) -> str:
    """Says how far a result is from its input, in levels, and what that tells of the input."""
    size = "" if level == 1 else f" of {level:.3g}"
    return (
        f"shrunk by {kernel}, the result differs from the input by up to {largest:.3g} "
        f"levels{size} (mean {mean:.2g}): the input is sharper than that kernel makes pictures"
    )


def frame_sides(medium: Medium, size: Size, extent: Extent, source: Path) -> tuple[int, int]:
    """Width and height of an enlarged frame of a medium; UsageError where a part is asked for."""
    if size.crop is not None:
        raise UsageError(
            f"{one_line(source)}: --crop shows a part of a still picture; {medium.label} is "
            "enlarged whole, leave it out"
        )
    return size.of(extent.width, extent.height, extent.step)


def in_memory(max_memory: int | None) -> int:
    """How many bytes a result may have to be held in memory."""
    return IN_MEMORY if max_memory is None else min(IN_MEMORY, max_memory // 8)


def _state(path: Path) -> tuple[int, int, int] | None:
    """What changes with a file's content; None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
