"""What a video file says of itself: its picture stream, colours, time, and whether it is whole."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reslift.errors import InputError, ResliftError, one_line
from reslift.media.video.boxes import demuxer, missing_bytes
from reslift.media.video.color import FULL, LIMITED, UNSPECIFIED, Layout

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.codeccontext import VideoCodecContext
    from av.video.format import VideoFormat
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

PLANAR = re.compile(r"(yuvj?|yuva)4(?:44|22|20|40|11|10)p|gray|gbra?p")
ONE_BIT = ("monow", "monob")
CHROMA = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411"}
DEPTHS = (8, 10, 12, 16)
OPAQUE = "rgb24"
"""What a palette without transparency counts as."""
UNNAMED = "UNNAMED"
COVER = 0x0400
FIELDS = 1


@dataclass(frozen=True)
class Colors:
    """Numbers of ITU-T H.273, 2 where unsaid (0 for the range)."""

    range: int
    primaries: int
    transfer: int
    matrix: int


@dataclass(frozen=True)
class Light:
    """HDR10: the display that a film was graded on, and its brightest spots.

    mastering: red, green, blue and white x, y, then the least and greatest cd/m². brightest: MaxCLL
    and MaxFALL, cd/m². None where unsaid.
    """

    mastering: tuple[Fraction, ...] | None = None
    brightest: tuple[int, int] | None = None


LOSSLESS = {"ffv1", "ffvhuff", "huffyuv", "magicyuv", "png", "rawvideo", "utvideo"}
"""Codecs after which every sample is what it was."""


@dataclass(frozen=True)
class Clip:
    """The picture stream of a file, from its header and its first frame.

    Attributes:
        frames: how many there are, as far as the header tells.
        time_base: seconds of one tick. rate: frames a second, on average.
        format: PyAV's name of the pixel format, `OPAQUE` for a palette without transparency.
        aspect: width ÷ height of a pixel. matrix: nine numbers that turn the picture for display.
        kinds: side data of the first frame, by name.
    """

    path: Path
    codec: str
    width: int
    height: int
    frames: int
    time_base: Fraction
    rate: Fraction
    format: str
    colors: Colors
    aspect: Fraction | None
    matrix: tuple[int, ...] | None
    light: Light
    interlaced: bool
    kinds: frozenset[str]


@contextmanager
def boundary(path: Path) -> Iterator[None]:
    """Whatever a decoder raises, as one InputError that names the file."""
    import av

    try:
        yield
    except ResliftError:
        raise
    except (av.FFmpegError, ValueError, ArithmeticError, EOFError, LookupError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot use {one_line(path)}: {one_line(reason)}") from error


def opened(path: Path, **options: str) -> InputContainer:
    """The file for reading; only this file, by the demuxer that its content names.

    `options` are that demuxer's.

    Raises InputError where PyAV is not installed, or the file is not a video or damaged.
    """
    try:
        import av
    except ImportError as error:
        raise InputError(
            f"cannot use {one_line(path)}: videos need the extra video: "
            "python -m pip install 'reslift[video]'"
        ) from error
    with path.open("rb") as file:
        kind = demuxer(file.read(64))
    if kind is None:
        raise InputError(f"cannot use {one_line(path)}: not MP4, MOV, MKV, WebM or AVI")
    try:
        with boundary(path):
            return av.open(
                f"file:{path}",
                "r",
                format=kind,
                container_options={"protocol_whitelist": "file", **options},
                metadata_errors="surrogateescape",
            )
    except InputError as error:
        raise truncated(path) or error from error


def truncated(path: Path, advice: str = "") -> InputError | None:
    """The error for a file that ends before its own lengths say; None for a whole one."""
    lacking = missing_bytes(path)
    if not lacking:
        return None
    return InputError(
        f"cannot use {one_line(path)}: truncated, the file ends {lacking:,} bytes too early{advice}"
    )


def picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The video stream to enlarge: the first that is no cover picture; InputError for none."""
    for stream in container.streams.video:
        if not int(stream.disposition) & COVER and stream.codec_context is not None:
            return stream
    raise InputError(f"cannot use {one_line(path)}: it holds no video stream that can be decoded")


def decoder(stream: VideoStream) -> VideoCodecContext:
    """A decoder for the stream; VP8 and VP9 with transparency need libvpx."""
    import av

    context = stream.codec_context
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    if tags.get("alpha_mode") == "1" and context.name in ("vp8", "vp9"):
        name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}[context.name]
        context = av.CodecContext.create(name, "r")  # type: ignore[assignment]
    context.thread_type = "AUTO"
    context.flags |= int(av.codec.context.Flags.output_corrupt)
    return context


def probe(path: Path) -> Clip:
    """Look at a file: its headers and its first frame.

    Raises:
        InputError: damaged, no video in it, no frame that can be decoded, no PyAV.
    """
    with opened(path) as container, boundary(path):
        stream = picture_stream(container, path)
        context = decoder(stream)
        first = _first_frame(container, stream, context)
        if first is None:
            raise truncated(path) or InputError(
                f"cannot use {one_line(path)}: it holds no frame that can be decoded"
            )
        return _clip(path, stream, context, first)


def whole_packets(
    container: InputContainer, wanted: Sequence[Stream], path: Path
) -> Iterator[Packet[Any]]:
    """All packets of the wanted streams, up to where the file breaks off.

    Raises InputError where it cannot be read at all any more.
    """
    import av

    with boundary(path):
        packets = container.demux(*wanted)
        while True:
            try:
                yield next(packets)
            except StopIteration:
                return
            except (av.InvalidDataError, av.EOFError):
                return


def _first_frame(
    container: InputContainer, stream: VideoStream, context: VideoCodecContext
) -> VideoFrame | None:
    import av

    for packet in container.demux(stream):
        try:
            frames = context.decode(packet if packet.size else None)
        except av.FFmpegError:
            continue
        if frames:
            return frames[0]
    return None


def _clip(path: Path, stream: VideoStream, context: VideoCodecContext, first: VideoFrame) -> Clip:
    data = side_data(first)
    rate = stream.guessed_rate or stream.average_rate or Fraction(25)
    matrix = data.get("DISPLAYMATRIX")
    return Clip(
        path=path,
        codec=stream.codec_context.name,
        width=first.width,
        height=first.height,
        frames=max(1, _count(stream, rate)),
        time_base=stream.time_base or 1 / rate,
        rate=rate,
        format=OPAQUE if is_opaque(first) else first.format.name,
        colors=colors(first),
        aspect=stream.sample_aspect_ratio or None,
        matrix=struct.unpack("=9i", matrix[:36]) if matrix and len(matrix) >= 36 else None,
        light=Light(_mastering(data), _brightest(data)),
        interlaced=first.interlaced_frame or context.field_order > FIELDS,
        kinds=frozenset(data),
    )


def as_shown(frame: VideoFrame, clip: Clip) -> Clip:
    """The clip with the pixel format and the colours of one frame, which may change midway.

    What the frame does not say of its colours is as in the first.
    """
    name, told, first = frame.format.name, colors(frame), clip.colors
    matrix = first.matrix if told.matrix == UNSPECIFIED else told.matrix
    return replace(
        clip,
        format=OPAQUE if frame.format.has_palette and clip.format == OPAQUE else name,
        colors=replace(told, range=told.range or first.range, matrix=matrix),
    )


def side_data(frame: VideoFrame) -> dict[str, bytes]:
    """What goes along with a frame, by PyAV's names.

    Where one thing has none (EXIF, the view of a stereoscopic video), PyAV hands out nothing at
    all: that is `UNNAMED`, and only how the picture is turned can still be asked for.
    """
    try:
        container: Any = frame.side_data
    except ValueError:
        turn = {"DISPLAYMATRIX": _turned(frame.rotation)} if frame.rotation else {}
        return {UNNAMED: b"", **turn}
    items = [container[index] for index in range(len(container))]
    return {str(item.type.name): bytes(item) for item in items}


def _turned(degrees: int) -> bytes:
    """A display matrix that turns so far counterclockwise (ISO/IEC 14496-12, 6.2.2)."""
    cosine, sine = (round(f(math.radians(degrees)) * 2**16) for f in (math.cos, math.sin))
    return struct.pack("=9i", cosine, -sine, 0, sine, cosine, 0, 0, 0, 2**30)


def is_opaque(frame: VideoFrame) -> bool:
    """Whether it is a palette frame in which no colour that it uses is transparent."""
    if not frame.format.has_palette:
        return False
    memory: Any = frame.planes
    used = np.unique(np.frombuffer(memory[0], np.uint8))
    alphas = np.frombuffer(memory[1], np.uint32) >> 24
    return bool((alphas[used] == 255).all())


def colors(frame: VideoFrame) -> Colors:
    """The tags of a decoded frame."""
    kept = int(frame.color_range)
    if frame.format.name.startswith("yuvj"):
        kept = FULL
    return Colors(kept, int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace))


def _count(stream: VideoStream, rate: Fraction) -> int:
    if stream.frames:
        return stream.frames
    tagged = stream.metadata.get("NUMBER_OF_FRAMES", "")
    if tagged.isdecimal():
        return int(tagged)
    if stream.duration and stream.time_base:
        return round(stream.duration * stream.time_base * rate)
    container: Any = stream.container
    seconds = Fraction(container.duration or 0, 1_000_000)
    if container.format.name.startswith("matroska"):  # there it is the end
        seconds -= max(0, stream.start_time or 0) * (stream.time_base or 0)
    return round(seconds * rate)


def _mastering(data: dict[str, bytes]) -> tuple[Fraction, ...] | None:
    raw = data.get("MASTERING_DISPLAY_METADATA", b"")
    if len(raw) < 88:
        return None
    numbers = struct.unpack("=22i", raw[:88])
    if not (numbers[20] and numbers[21]):
        return None
    pairs = zip(numbers[0:20:2], numbers[1:20:2], strict=True)
    return tuple(Fraction(top, bottom or 1) for top, bottom in pairs)


def _brightest(data: dict[str, bytes]) -> tuple[int, int] | None:
    raw = data.get("CONTENT_LIGHT_LEVEL", b"")
    return struct.unpack("=2I", raw[:8]) if len(raw) >= 8 else None


def layout_of(format: VideoFormat) -> Layout | None:
    """How frames of a pixel format lie in planes; None where they must be rearranged first."""
    name = format.name.removesuffix("le")
    match = PLANAR.match(name)
    if match is None or format.is_big_endian or not re.fullmatch(r"\d*", name[match.end() :]):
        return None
    bits = format.components[0].bits
    kind = "gray" if name.startswith("gray") else "rgb" if name.startswith("gb") else "yuv"
    if kind != "yuv":
        return Layout(kind, bits, alpha=name.startswith("gbrap"))
    across, down = 64 // format.chroma_width(64), 64 // format.chroma_height(64)
    return Layout(kind, bits, across, down, name.startswith("yuva"))


def planar(name: str) -> str:
    """The planar pixel format that holds all that frames of another do."""
    import av

    format = av.VideoFormat(name)
    if layout_of(format) is not None:
        return name
    if name in ONE_BIT:
        return "gray"
    most = max(part.bits for part in format.components)
    bits = next((bits for bits in DEPTHS if most <= bits), DEPTHS[-1])
    deep = f"{bits}le" if bits > 8 else ""
    alpha = any(part.is_alpha for part in format.components) or format.has_palette
    if format.is_rgb or format.has_palette:
        return ("gbrap" if alpha else "gbrp") + deep
    halved = 64 // format.chroma_width(64), 64 // format.chroma_height(64)
    chroma = "444" if alpha else CHROMA.get(halved, "444")
    return f"yuv{'a' * alpha}{chroma}p{deep}"


def shown_layout(clip: Clip) -> Layout | None:
    """How its frames lie in planes, once they are in the format that `planar` gives."""
    import av

    return layout_of(av.VideoFormat(planar(clip.format)))


def is_full(tags: Colors, layout: Layout) -> bool:
    """Whether code values fill the whole range; gray and RGB that say nothing do."""
    return tags.range == FULL or (tags.range != LIMITED and layout.kind != "yuv")


def matrix_of(tags: Colors, width: int, height: int) -> int:
    """The matrix; for streams that say nothing what players assume: BT.601 for small pictures."""
    if tags.matrix != UNSPECIFIED:
        return tags.matrix
    return 1 if width >= 1280 or height > 576 else 6
