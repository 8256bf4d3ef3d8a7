"""What a medium is: a kind of file that holds more than one still picture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from reslift.errors import UsageError, one_line
from reslift.limits import Limits
from reslift.sizes import Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reslift.checkpoint import Card
    from reslift.finish import Finish
    from reslift.pixels.agreement import Layer
    from reslift.pixels.planes import Planes
    from reslift.provenance import Record
    from reslift.uncertainty import Judge

HEAD = 4096
Progress = Callable[[int], None]


class Enlarger(Protocol):
    """What a medium needs of an `Upscaler`; only that is ever given."""

    size: Size
    limits: Limits
    card: Card

    @property
    def identity(self) -> str:
        """A digest of all that decides the values of a result: weights, engine, size."""
        ...

    def run(
        self,
        planes: Planes,
        out: NDArray[Any],
        progress: Progress | None = None,
        *,
        exact: bool = False,
    ) -> None:
        """Fill out (H', W', C), which says by its shape how large the result is.

        Both may be windows on files that are read and set by slices; exact: every sample is kept.
        """
        ...

    @property
    def judge(self) -> Judge:
        """What knows how far to trust each pixel; UsageError where the model is not calibrated."""
        ...

    def finish(self, *, lossless: bool) -> Finish:
        """How answers are finished where every sample of the result is kept, or is not."""
        ...

    def record(
        self, source: Path, finish: Finish | None = None, ratios: Collection[float] = ()
    ) -> Record:
        """How the result for the file `source` is made; without `finish`, as by `run`.

        ratios: of the sides of its frames to theirs before, which say what models they need.
        """
        ...


@dataclass(frozen=True)
class Wishes:
    """How a result is to be written; what does not concern a medium is said (`media/heeded.py`).

    The command line hands on its options by these names (`cli/upscale_options.py`).

    Attributes:
        quality: of lossy pictures (JPEG, WebP, AVIF), 1 to 100.
        overwrite: an existing target is replaced.
        output_format: an entry of `formats.FORMATS` for still pictures; None goes by the suffix.
        strip_metadata: leave out what says where, when and by whom a picture was made.
        provenance: the result says how it was made (`reslift.provenance`).
        provenance_file: so does RESULT.provenance.json.
        uncertainty: beside a still picture, a DICOM image, a NIfTI volume, a GeoTIFF or a TIFF of
            pages stand maps of how far to trust each pixel.
        layout: of a GeoTIFF: "cog", "tiles" or "strips"; None is like the source.
        compression: of a GeoTIFF, like "deflate" or "none"; None is like the source.
        overviews: whether a GeoTIFF gets smaller copies; None is like the source.
        separate_bands: each band of a GeoTIFF goes through the network alone, colours too.
        classes: numbers of bands of a GeoTIFF, "1,3", whose values name classes and are repeated.
        codec, crf: of a video, an entry of `media.video.codecs.CODECS` and its quality, 0 the best;
            None for what suits the target and the source.
        start, end: seconds of a video from its beginning, None for all of it.
        deinterlace: the half pictures of an interlaced video are made whole first.
        steady: noise of what does not move is averaged over the frames of a video first; without
            noise nothing is touched.
        allow_truncated: a video that ends too early is enlarged as far as it goes.
        window: (centre, width) of what the network sees of a medical image, in its rescaled units
            (Hounsfield); None is the whole range.
        axis: voxel axis of a volume, 0 to 2, whose slices are enlarged; None is the coarsest.
        not_for_diagnosis: these words are burned into a DICOM image.
    """

    quality: int = 95
    overwrite: bool = False
    output_format: str | None = None
    strip_metadata: bool = False
    provenance: bool = True
    provenance_file: bool = False
    uncertainty: bool = False
    layout: str | None = None
    compression: str | None = None
    overviews: bool | None = None
    separate_bands: bool = False
    classes: str | None = None
    codec: str | None = None
    crf: int | None = None
    start: float | None = None
    end: float | None = None
    deinterlace: bool = False
    steady: bool = True
    allow_truncated: bool = False
    window: tuple[float, float] | None = None
    axis: int | None = None
    not_for_diagnosis: bool = False


PLAIN = Wishes()


@dataclass(frozen=True)
class Extent:
    """What a file holds, from its header: the sides of one frame, and how many frames there are.

    Frames are pictures of a clip, slices of a volume, pages; 1 for a single large raster. For each
    the network runs `runs` times: once for gray or colour, once for each further band. The sides of
    a result are best multiples of `step` (`Size.of`). All sides are those of the upright picture.
    """

    width: int
    height: int
    frames: int = 1
    runs: int = 1
    step: tuple[int, int] = (1, 1)

    @property
    def pixels(self) -> int:
        """In all frames."""
        return self.width * self.height * self.frames


class Medium(ABC):
    """One kind of file. `label` is for people; `suffixes`, lower case with their dot, are scanned
    for in folders and may be written, the first by default; `reads` are scanned for and never
    written; `nameless`: such files often have no suffix, so that scans look into those without;
    `extra` installs what it needs; `keeps_shape`: the file says how long and high a pixel is, so
    that what it shows has the same shape at any sides; `heeds`: wishes that concern it, besides
    those that concern all (`media/heeded.py`).
    """

    name: ClassVar[str]
    label: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    reads: ClassVar[tuple[str, ...]] = ()
    nameless: ClassVar[bool] = False
    extra: ClassVar[str]
    keeps_shape: ClassVar[bool] = False
    heeds: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether the file is of this kind, by its content; `head` is its first 4096 bytes.

        Must be quick, import no optional package and never raise for foreign content.
        """

    def endings(self, path: Path, output_format: str | None) -> tuple[str, ...]:
        """Suffixes that the result of the file at `path` may have, the first by default.

        output_format: as in `Wishes`. Raises UsageError where it cannot be written so.
        """
        return self.suffixes

    @abstractmethod
    def peek(self, path: Path, limits: Limits, wishes: Wishes = PLAIN) -> Extent:
        """What of the file is to be enlarged, without decoding it and without PyTorch.

        Raises:
            InputError: damaged, or the extra is not installed. LimitError: too large. Both name the
            file.
        """

    @abstractmethod
    def upscale(
        self,
        enlarger: Enlarger,
        source: Path,
        target: Path,
        wishes: Wishes,
        progress: Progress | None = None,
    ) -> tuple[str, ...]:
        """Enlarge the whole file into `target`, which appears only when it is whole.

        `progress` is called with the output pixels just finished. Returns notes, a sentence each,
        on what could not be kept.

        Raises:
            InputError, LimitError: source cannot be used. OutputError, OutputExists: target cannot
            be written. Nothing is left behind.
        """

    def pace(
        self, enlarger: Enlarger, source: Path, target: Path, wishes: Wishes, frames: int
    ) -> float | None:
        """Seconds that a frame takes from end to end, measured on about so many of `source`.

        Nothing is written to `target`, whose name says into what. None where the network's own time
        is nearly all of it. Raises as `upscale`.
        """
        return None

    def verify(self, source: Path, target: Path) -> tuple[str, ...]:
        """What `target` should have of `source` and has not: counts, times, streams, tags.

        A sentence for each finding; none where there is nothing to say. Raises InputError where
        either cannot be read.
        """
        return ()

    def layers(self, source: Path, target: Path) -> Iterator[Layer]:
        """The planes of both files, by which the result is compared with its source.

        None where samples cannot agree (a lossy format), or sides or kinds already do not fit,
        which `verify` tells. Raises as `verify`.
        """
        return iter(())

    def record(self, result: Path) -> Record | None:
        """How `result` says that it was made; None where it does not. Raises as `verify`."""
        return None

    def keeps_samples(self, source: Path, target: Path) -> bool:
        """Whether source and result are of kinds that keep every sample as it is set.

        Both are there, as far as what decides it is not told by their names. Raises InputError.
        """
        return False

    def maps(self, target: Path) -> tuple[Path, ...]:
        """Files of half-widths beside `target` (`Wishes.uncertainty`); () where there are none."""
        return ()

    def known(self, source: Path) -> tuple[Path, ...]:
        """Files beside `source` that decide its result with it. Raises as `peek`."""
        return ()

    def check_target(self, target: Path, extent: Extent, wanted: tuple[int, int]) -> None:
        """Refuse, before any work, a target whose suffix or size this kind cannot be written as.

        wanted: width and height of an enlarged frame.

        Raises:
            UsageError: another suffix. OutputError: too large for the format.
        """
        if not target.name.lower().endswith(self.suffixes):
            raise UsageError(
                f"{one_line(target)}: the result of {self.label} is written as one of "
                f"{', '.join(self.suffixes)}"
            )
