"""Animations: GIF, APNG and WebP in, any of them out; every frame, its time, how often it plays.

    file ──► whole frames ──► (seen before? take that) ──► enlarge ──► encode ──► file

APNG and WebP are written without loss, unless the source was a lossy WebP.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from reslift import formats
from reslift.canvas import canvas
from reslift.errors import OutputError, ResliftError, UsageError, one_line
from reslift.files import atomic_write
from reslift.formats import exif, fit, packet, turn
from reslift.formats.base import Picture, causes, colours_only
from reslift.limits import Limits
from reslift.media.animation import gif
from reslift.media.animation.apng import ApngClip, ApngWriter
from reslift.media.animation.clip import Clip, Frame, Source, Writer, checked, opened
from reslift.media.animation.gif import GifClip
from reslift.media.animation.webp import WebpClip, WebpWriter
from reslift.media.base import PLAIN, Enlarger, Extent, Medium, Progress, Wishes
from reslift.media.recorded import in_comment, in_xmp, is_right_size, record_in, told
from reslift.pixels.agreement import Layer, of_pictures
from reslift.pixels.planes import Planes
from reslift.pixels.regrid import Regrid
from reslift.provenance import Record

SOURCES: tuple[Source, ...] = (GifClip(), ApngClip(), WebpClip())
WRITERS: dict[str, type[Writer]] = {"png": ApngWriter, "webp": WebpWriter}
SUFFIXES = {"gif": (".gif",), "png": (".png", ".apng"), "webp": (".webp",)}
MOST_ROWS = 10_000_000


class Animation(Medium):
    """GIF, APNG or WebP of more than one frame."""

    name = "animation"
    label = "an animation"
    suffixes = (".gif", ".png", ".apng", ".webp")
    extra = ""
    heeds = frozenset({"output_format", "quality", "strip_metadata"})

    def recognises(self, path: Path, head: bytes) -> bool:
        likely = [source for source in SOURCES if source.recognises(head)]
        if not likely:
            return False
        try:
            with path.open("rb") as file:
                return likely[0].is_animated(file)
        except OSError:
            return False

    def endings(self, path: Path, output_format: str | None) -> tuple[str, ...]:
        if output_format in SUFFIXES:
            return SUFFIXES[output_format]
        if output_format is not None:
            raise UsageError(f"{one_line(path)} is an animation, which is GIF, PNG or WebP")
        source = _source(path)
        return SUFFIXES[source.still] if source else self.suffixes

    def peek(self, path: Path, limits: Limits, wishes: Wishes = PLAIN) -> Extent:
        _, clip = _inspected(path, limits)
        return Extent(*_sides(clip), len(clip.durations))

    def check_target(self, target: Path, extent: Extent, wanted: tuple[int, int]) -> None:
        super().check_target(target, extent, wanted)
        into = formats.FORMATS[formats.format_of(target)]
        kind = formats.Header(1, 1, 4, 8, into.name, "rgb", True)
        fit.check_size(into, *wanted, kind)
        if into.name == "gif" and wanted[1] * extent.frames > MOST_ROWS:
            raise OutputError(
                f"{one_line(target)}: {extent.frames} frames of {wanted[1]} rows are "
                "too many for a GIF; write .png or .webp"
            )

    def upscale(
        self,
        enlarger: Enlarger,
        source: Path,
        target: Path,
        wishes: Wishes,
        progress: Progress | None = None,
    ) -> tuple[str, ...]:
        kind, clip = _inspected(source, enlarger.limits)
        sides = _sides(clip)
        width, height = enlarger.size.of(*sides)
        self.check_target(target, Extent(*sides, len(clip.durations)), (width, height))
        enlarger.limits.check("output_pixels", width * height, f"{one_line(source)} enlarged")
        meta = _meta(clip, kind, width, height, wishes)
        into = formats.format_of(target)
        notes = [*clip.notes, *formats.check_fits(into, width, height, meta)]
        notes += fit.losses(formats.FORMATS[into], meta)
        ratio = Regrid(*sides, width, height).ratio
        exact = _is_exact(meta, into)
        record = told(enlarger, source, wishes, exact=exact, ratios=(ratio,))
        meta, lost = (in_comment(meta, record), ()) if into == "gif" else in_xmp(meta, record, into)
        notes += lost
        shown = closing(_shown(source, kind, clip, enlarger.limits))
        with shown as frames, _writing(target, wishes) as temporary:
            results = Results(enlarger, meta, progress, exact=exact)
            if into == "gif":
                notes += _write_gif(temporary, frames, results, clip, target.parent)
            else:
                with temporary.open("r+b") as file:
                    _, fitted = fit.fitted(formats.FORMATS[into], meta)
                    writer = WRITERS[into](file, fitted, clip, wishes.quality)
                    notes += _write(writer, frames, results)
        return tuple(notes)

    def record(self, result: Path) -> Record | None:
        return record_in(_inspected(result, Limits().changed(input_pixels=10**12))[1].facts)

    def verify(self, source: Path, target: Path) -> tuple[str, ...]:
        limits = Limits().changed(input_pixels=10**12)
        _, before = _inspected(source, limits)
        try:
            _, after = _inspected(target, limits)
        except UsageError:
            return ("the result is no animation",)
        found, small, large = [], _sides(before), _sides(after)
        if not is_right_size(small, large, after.facts):
            found.append(f"{small[0]}×{small[1]} pixels became {large[0]}×{large[1]}")
        if len(before.durations) != len(after.durations):
            found.append(f"{len(before.durations)} frames became {len(after.durations)}")
        elif before.durations != after.durations:
            found.append("frames stay for another time")
        if before.plays != after.plays:
            found.append(f"it plays {after.plays} times, not {before.plays} (0: for ever)")
        return tuple(found)

    def keeps_samples(self, source: Path, target: Path) -> bool:
        limits = Limits().changed(input_pixels=10**12)
        _, before = _inspected(source, limits)
        _, after = _inspected(target, limits)
        return before.facts.lossless and after.facts.lossless and _alike(before, after)

    def layers(self, source: Path, target: Path) -> Iterator[Layer]:
        limits = Limits().changed(input_pixels=10**12)
        kind, before = _inspected(source, limits)
        into, after = _inspected(target, limits)
        exact = before.facts.lossless and after.facts.lossless and _alike(before, after)
        larger = all(a <= b for a, b in zip(_sides(before), _sides(after), strict=True))
        if not exact or not larger or len(before.durations) != len(after.durations):
            return
        shown = (_shown(source, kind, before, limits), _shown(target, into, after, limits))
        for small, large in zip(*shown, strict=True):
            yield from of_pictures(small, large, before.facts.space, before.facts.alpha)


def _alike(one: Clip, other: Clip) -> bool:
    """Whether frames have the same planes and depth."""
    kinds = [(c.facts.space, c.facts.alpha, c.facts.bits) for c in (one, other)]
    return kinds[0] == kinds[1]


def _is_exact(meta: Picture, into: str) -> bool:
    """Whether neither source nor result loses samples when it is saved."""
    changes = formats.check_fits(into, meta.width, meta.height, meta)
    return meta.lossless and into in WRITERS and not changes


class Results:
    """Frames made larger; those that are equal are computed once.

    meta: a result without its pixels; exact: no sample is changed when it is saved; computed: how
    many frames were not seen before.
    """

    def __init__(
        self, enlarger: Enlarger, meta: Picture, progress: Progress | None, *, exact: bool = False
    ) -> None:
        self._enlarger, self.meta, self._progress, self._exact = enlarger, meta, progress, exact
        self.computed = 0

    def of(self, frame: Frame, out: Frame) -> None:
        """Fill out with `frame` enlarged; alpha that is opaque stays so and costs nothing."""
        self.computed += 1
        meta, top = self.meta, np.iinfo(frame.dtype).max
        if not meta.alpha or not (frame[..., -1] == top).all():
            planes = Planes(frame, meta.space, meta.alpha)
            self._enlarger.run(planes, out, self._progress, exact=self._exact)
            return
        colours = np.ascontiguousarray(frame[..., :-1])
        large = np.empty((*out.shape[:2], out.shape[2] - 1), out.dtype)
        planes = Planes(colours, meta.space, False)
        self._enlarger.run(planes, large, self._progress, exact=self._exact)
        out[..., :-1], out[..., -1] = large, top

    def picture(self, frame: Frame) -> Picture:
        """`frame` enlarged, with the metadata of the clip."""
        out = np.empty_like(self.meta.pixels)
        self.of(frame, out)
        return replace(self.meta, pixels=out)

    def skip(self) -> None:
        """A frame that is known was used again."""
        if self._progress is not None:
            self._progress(self.meta.width * self.meta.height)


def _write(writer: Writer, frames: Iterator[Frame], results: Results) -> list[str]:
    places: dict[bytes, tuple[int, int]] = {}
    for frame in frames:
        digest = _digest(frame)
        if digest in places:
            pixels = writer.pixels_at(*places[digest])
            results.skip()
        else:
            pixels = writer.encoded(results.picture(frame))
        places[digest] = (writer.add(pixels), len(pixels))
    return writer.finish()


def _write_gif(
    path: Path, frames: Iterator[Frame], results: Results, clip: Clip, folder: Path
) -> list[str]:
    meta, count = results.meta, len(clip.durations)
    high = meta.height
    first: dict[bytes, int] = {}
    shape = (count * high, meta.width, meta.pixels.shape[2])
    with canvas(shape, meta.pixels.dtype, folder) as roll:
        for number, frame in enumerate(frames):
            rows = roll[number * high : (number + 1) * high]
            known = first.setdefault(_digest(frame), number)
            if known == number:
                results.of(frame, rows)
            else:
                rows[...] = roll[known * high : (known + 1) * high]
                results.skip()
        return gif.write(path, replace(meta, pixels=roll), clip)


def _digest(frame: Frame) -> bytes:
    return hashlib.blake2b(frame.tobytes(), digest_size=16).digest()


def _source(path: Path) -> Source | None:
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError:
        return None
    return next((source for source in SOURCES if source.recognises(head)), None)


def _inspected(path: Path, limits: Limits) -> tuple[Source, Clip]:
    source = _source(path)
    with opened(path, limits) as file:
        if source is None:
            raise UsageError(f"{one_line(path)} is no animation")
        return source, checked(source.inspect(file), limits)


def _shown(path: Path, source: Source, clip: Clip, limits: Limits) -> Generator[Frame, None, None]:
    """Every frame, upright."""
    with opened(path, limits) as file:
        for frame in source.frames(file, clip, limits):
            turned = clip.facts.orientation != 1
            yield turn.upright(frame, clip.facts.orientation) if turned else frame


def _sides(clip: Clip) -> tuple[int, int]:
    width, height = clip.facts.width, clip.facts.height
    return (height, width) if clip.facts.orientation >= turn.SWAPS_SIDES else (width, height)


def _meta(clip: Clip, source: Source, width: int, height: int, wishes: Wishes) -> Picture:
    """Metadata, on pixels that are only there for their shape."""
    facts, bare = clip.facts, wishes.strip_metadata
    block, xmp = (None, None) if bare else (facts.exif, facts.xmp)
    resolution = facts.resolution
    if facts.orientation != 1:
        block = exif.upright(block) if block else None
        xmp = packet.upright(xmp, facts.orientation) if xmp else None
        if resolution and facts.orientation >= turn.SWAPS_SIDES:
            resolution = (resolution[1], resolution[0], resolution[2])
    return Picture(
        np.zeros((height, width, facts.bands), np.uint8 if facts.bits == 8 else np.uint16),
        facts.space,
        facts.alpha,
        facts.icc,
        exif.sized(block, width, height) if block else None,
        packet.sized(xmp, width, height) if xmp else None,
        resolution,
        source.still,
        lossless=facts.lossless,
        extra=colours_only(facts.extra) if bare else facts.extra,
    )


@contextmanager
def _writing(target: Path, wishes: Wishes) -> Iterator[Path]:
    """The file to write to; what a library says of it names the target."""
    with atomic_write(target, overwrite=wishes.overwrite) as temporary:
        try:
            yield temporary
        except (OSError, ResliftError, MemoryError):
            raise
        except Exception as error:
            raise OutputError(f"cannot write {one_line(target)}: {causes(error)}") from error
