"""The frames of a clip as pictures: decoded in order, timed, counted, none dropped unsaid."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from reslift.errors import InputError, one_line
from reslift.limits import Limits
from reslift.media.video.announced import Met, too_few_decoded, too_few_there
from reslift.media.video.color import Conversion, Words
from reslift.media.video.probe import (
    UNNAMED,
    Clip,
    Colors,
    as_shown,
    boundary,
    decoder,
    is_full,
    matrix_of,
    opened,
    picture_stream,
    planar,
    shown_layout,
    side_data,
    whole_packets,
)
from reslift.media.video.shots import Shot, steadied, until_the_end

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.filter import Graph
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from reslift.pixels.planes import Pixels

FAR = 20
RUN_UP = 10
CENTRED = ("mjpeg",)
REORDERED = ("h264", "hevc")
HIDES_FRAMES = ("vp8",)
LOST_DATA = {
    "DOVI_METADATA": "Dolby Vision",
    "DOVI_RPU_BUFFER": "Dolby Vision",
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
    "A53_CC": "closed captions inside the pictures",
    UNNAMED: "what goes along with the pictures and PyAV does not know (such as EXIF)",
}


@dataclass
class Tally:
    """What was met while decoding."""

    shots: int = 0
    repeated: int = 0
    damaged: int = 0
    missing: int = 0
    retimed: int = 0
    fields: int = 0
    lost: set[str] = field(default_factory=set)

    def notes(self) -> Iterator[str]:
        """A sentence for each thing a user should know."""
        if self.missing:
            yield f"{self.missing} of {self.shots + self.missing} frames could not be decoded"
        if self.damaged:
            yield f"{self.damaged} of {self.shots} frames are damaged and were enlarged as they are"
        if self.retimed:
            yield f"{self.retimed} frames had no time stamp or one out of order, and got the next"
        if self.fields:
            yield f"{self.fields} of {self.shots} frames are interlaced; --deinterlace mends them"
        for name in sorted(self.lost):
            yield f"{name} cannot be kept"


@dataclass(frozen=True)
class Selection:
    """Which frames are wanted and how: seconds from the first, None for no bound."""

    start: float | None = None
    end: float | None = None
    deinterlace: bool = False
    steady: bool = True
    allow_truncated: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is every frame."""
        return self.start is None and self.end is None


def conversion(clip: Clip) -> Conversion:
    """How the clip's own planar frames become pictures."""
    layout = shown_layout(clip)
    if layout is None:
        raise InputError(
            f"cannot use {one_line(clip.path)}: its pixel format {clip.format} is not known"
        )
    matrix = matrix_of(clip.colors, clip.width, clip.height)
    return Conversion(layout, matrix, is_full(clip.colors, layout), clip.codec in CENTRED)


class Frames:
    """Iterates over the shots of a clip; `tally` fills while it does.

    Args:
        skip: whether the shot at an index needs no picture.

    Raises:
        InputError: damaged beyond use, the picture size changes. LimitError: too many frames.
    """

    def __init__(
        self, clip: Clip, selection: Selection, skip: Callable[[int], bool], limits: Limits
    ) -> None:
        self._clip, self._selection, self._skip, self._limits = clip, selection, skip, limits
        self._bands = conversion(clip).layout.bands
        self._conversions: dict[tuple[str, Colors], Conversion] = {}
        self._before: Words | None = None
        self._last: tuple[int, int] | None = None
        self._graph: Graph | None = None
        self._met = Met()
        self.tally = Tally()

    def __iter__(self) -> Iterator[Shot]:
        with opened(self._clip.path) as container, boundary(self._clip.path):
            stream = picture_stream(container, self._clip.path)
            shots = (self._shot(frame) for frame in self._timed(container, stream))
            wanted = self._wanted(steadied(shots) if self._selection.steady else shots)
            cut = self._selection.end is not None
            yield from wanted if cut else until_the_end(wanted, stream, self._met)
            if self._selection.whole and not self._selection.allow_truncated:
                error = too_few_there(self._clip, container, stream, self._met)
                if error is not None:
                    raise error
        if not self.tally.shots:
            raise InputError(
                f"cannot use {one_line(self._clip.path)}: no frame lies between --start and --end"
            )

    def _timed(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        tick, origin = self._clip.time_base, stream.start_time or 0
        start, end = (
            None if bound is None else origin + Fraction(bound).limit_denominator(10**6) / tick
            for bound in (self._selection.start, self._selection.end)
        )
        if start is not None and (start - origin) * tick > FAR:
            container.seek(int(start - RUN_UP / tick), stream=stream)
        for frame in self._deinterlaced(self._decoded(container, stream)):
            pts = frame.pts
            if start is not None and pts is not None and pts < start:
                continue
            if end is not None and pts is not None and pts >= end:
                return
            yield frame

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        import av

        context, tally, met = decoder(stream), self.tally, self._met
        kept, stamps = 0, Stamps(container.format.name, self._clip.codec)
        for packet in whole_packets(container, [stream], self._clip.path):
            met.take(packet)
            kept += bool(packet.size) and not packet.is_discard
            stamps.push(packet)
            try:
                decoded = context.decode(packet if packet.size else None)
            except av.FFmpegError:
                tally.missing += 1
                stamps.drop(packet)
                continue
            for frame in decoded:
                met.frames += 1
                frame.pts = stamps.of(frame)
                yield frame
        if self._clip.codec not in HIDES_FRAMES and not self._clip.interlaced:
            tally.missing = max(0, kept - met.frames)
        if not self._selection.allow_truncated:
            error = too_few_decoded(self._clip, tally.missing, met)
            if error is not None:
                raise error

    def _deinterlaced(self, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        if not self._selection.deinterlace:
            yield from frames
            return
        kind: tuple[object, ...] = ()
        for frame in frames:
            before, kind = kind, (frame.format.name, frame.width, frame.height, *_matrix(frame))
            if kind != before:
                yield from self._flushed()
                self._graph = _fields_filter(frame, self._clip.time_base)
            assert self._graph is not None
            self._graph.push(frame)
            yield from self._pulled()
        yield from self._flushed()

    def _flushed(self) -> Iterator[VideoFrame]:
        """What the filter still holds."""
        if self._graph is not None:
            self._graph.push(None)
            yield from self._pulled()

    def _pulled(self) -> Iterator[VideoFrame]:
        import av

        while self._graph is not None:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            unit = (frame.time_base or self._clip.time_base) / self._clip.time_base
            frame.pts = None if frame.pts is None else round(frame.pts * unit)
            frame.duration = round((frame.duration or 0) * unit)
            yield frame  # type: ignore[misc]

    def _shot(self, frame: VideoFrame) -> Shot:
        tally, clip = self.tally, self._clip
        if (frame.width, frame.height) != (clip.width, clip.height):
            raise InputError(
                f"cannot use {one_line(clip.path)}: frame {tally.shots} is {frame.width}x"
                f"{frame.height}, the first is {clip.width}x{clip.height}; split it there"
            )
        index, pts = tally.shots, self._time(frame)
        tally.shots += 1
        self._limits.check("video_frames", tally.shots, one_line(clip.path))
        tally.damaged += frame.is_corrupt
        tally.fields += frame.interlaced_frame and not self._selection.deinterlace
        tally.lost |= {LOST_DATA[kind] for kind in side_data(frame) if kind in LOST_DATA}
        duration = frame.duration or round(1 / clip.rate / clip.time_base)
        if self._skip(index) and not self._selection.steady:
            self._before = None
            return Shot(index, pts, duration, None, False)
        image = self.picture(frame)
        same = self._before is not None and np.array_equal(image, self._before)
        tally.repeated += same
        if not same:
            self._before = image
        return Shot(index, pts, duration, self._before, same)

    def _wanted(self, shots: Iterable[Shot]) -> Iterator[Shot]:
        """Shots without the pictures whose results are there."""
        skipped = True
        for shot in shots:
            before, skipped = skipped, self._skip(shot.index)
            yield replace(
                shot, image=None if skipped else shot.image, same=shot.same and not before
            )

    def _time(self, frame: VideoFrame) -> int:
        """The time stamp, which must rise; one that is absent or does not is set to the next."""
        step = frame.duration or round(1 / self._clip.rate / self._clip.time_base) or 1
        pts = frame.pts
        if self._last is not None and (pts is None or pts <= self._last[0]):
            self.tally.retimed += 1
            pts = self._last[0] + (self._last[1] if pts is None else 1)
        self._last = (pts or 0, step)
        self._met.at(self._last[0])
        return self._last[0]

    def picture(self, frame: VideoFrame) -> Words:
        """(H, W, C) uint16."""
        own = as_shown(frame, self._clip)
        told, wanted = self._conversion(own), planar(own.format)
        if frame.format.name != wanted:
            frame = frame.reformat(format=wanted)
        return told.to_rgb(planes_of(frame, told.layout.dtype))

    def _conversion(self, own: Clip) -> Conversion:
        """How a frame becomes a picture: as its own format and colours say, not the first one's."""
        key = own.format, own.colors
        if key not in self._conversions:
            found = conversion(own)
            if found.layout.bands != self._bands:
                raise InputError(
                    f"cannot use {one_line(own.path)}: frame {self.tally.shots - 1} has other "
                    f"channels ({own.format}) than the first ({self._clip.format}); split it there"
                )
            self._conversions[key] = found
        return self._conversions[key]


class Stamps:
    """The time stamps of frames, also where a file counts pictures in the order of decoding.

    AVI says nothing of when a picture is shown, and H.264 and H.265 in it guess wrong: there the
    next picture takes the earliest stamp that is left.
    """

    def __init__(self, container: str, codec: str) -> None:
        self._guessed = container == "avi" and codec in REORDERED
        self._left: list[int] = []

    def push(self, packet: Packet[Any]) -> None:
        """Note the stamp of a packet before it is decoded."""
        stamp = _stamp(packet)
        if self._guessed and packet.size and stamp is not None:
            heapq.heappush(self._left, stamp)

    def drop(self, packet: Packet[Any]) -> None:
        """The packet gives no picture."""
        stamp = _stamp(packet)
        if stamp in self._left:
            self._left.remove(stamp)
            heapq.heapify(self._left)

    def of(self, frame: VideoFrame) -> int | None:
        """The time stamp of the next frame."""
        return heapq.heappop(self._left) if self._left else frame.pts


def _stamp(packet: Packet[Any]) -> int | None:
    return packet.pts if packet.pts is not None else packet.dts


def planes_of(frame: VideoFrame, dtype: np.dtype[np.generic]) -> list[Pixels]:
    """The planes of a frame, (h, w) each: windows on its memory, which may be written to."""
    planes = []
    for plane in frame.planes:
        memory: Any = plane
        rows: Pixels = np.frombuffer(memory, dtype).reshape(-1, plane.line_size // dtype.itemsize)
        planes.append(rows[: plane.height, : plane.width])
    return planes


def _matrix(frame: VideoFrame) -> tuple[int, int]:
    """Matrix and range, of which a filter graph takes one each."""
    return int(frame.colorspace), int(frame.color_range)


def _fields_filter(frame: VideoFrame, tick: Fraction) -> Graph:
    from av.filter import Graph

    graph, (matrix, range_) = Graph(), _matrix(frame)
    source = graph.add(
        "buffer",
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:"
        f"time_base={tick}:pixel_aspect=1/1:colorspace={matrix}:range={range_}",
    )
    weave = graph.add("bwdif", "mode=send_frame:deint=all")
    sink = graph.add("buffersink")
    source.link_to(weave)
    weave.link_to(sink)
    graph.configure()
    return graph
