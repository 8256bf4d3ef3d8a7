"""How the pictures are compressed: which encoder, which pixel format, which tags."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reslift import machine
from reslift.errors import UsageError, look_up
from reslift.media.video import codecs
from reslift.media.video.codecs import Codec
from reslift.media.video.color import (
    BT601,
    BT709,
    FULL,
    LIMITED,
    UNSPECIFIED,
    Conversion,
    Layout,
    Words,
)
from reslift.media.video.frames import conversion, planes_of
from reslift.media.video.probe import Clip, Colors, Light, matrix_of
from reslift.media.video.shape import aspect_of, is_reshaped

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet

THREADS = 4
SAMPLINGS = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0"}
NAMES = {BT601: "601", BT709: "709"}
FASTEST = 1000
TELLS_LIGHT = ("libx264", "libx265", "libsvtav1")
ONLY_LISTED = {
    "libvpx-vp9": {"yuva422p", "yuva444p", "gbrap"},
    "libx265": {"yuva420p", "yuva420p10le"},
}
"""Pixel formats that FFmpeg lists for an encoder which then does not open with them."""
SLICES = (4, *sorted({h * v for v in range(2, 11) for h in range(v, 2 * v + 1)} - {4}), 2, 1)
"""Numbers that FFV1 may have, the best first."""
LONG_BEFORE = 10_000
STEADY_X264 = "asm=AVX2"
"""x264's macroblock tree in AVX-512 gives other bits once in some hundred runs; in AVX2 never."""


@dataclass(frozen=True)
class Encoding:
    """All that decides the bytes of the result's picture stream.

    Attributes:
        conversion: RGB to the planes that are encoded.
        format: PyAV's name of their pixel format.
        colors: tags of the stream.
    """

    library: str
    options: dict[str, str]
    format: str
    conversion: Conversion
    colors: Colors
    rate: Fraction
    aspect: Fraction | None


def choose(
    clip: Clip, target: Path, size: tuple[int, int], codec: str | None, crf: int | None
) -> tuple[Encoding, tuple[str, ...]]:
    """The encoding of a clip's result, and notes on what it cannot keep.

    Args:
        size: width and height of the result.
        codec, crf: as asked for; None for what suits the target and the bits of the clip.

    Raises:
        UsageError: no such codec, it cannot go into the target or say its colours there, or crf is
        out of its range.
    """
    source = conversion(clip)
    deep, container = source.layout.bits > 8, codecs.FORMATS[target.suffix.lower()]
    name = codec or _default(container, deep, min(size) < codecs.LEAST_OF_X265)
    chosen = look_up(name, codecs.CODECS, "codec")
    codecs.check(name, target, crf)
    codecs.check_sides(name, size)
    layout, format, notes = _format(chosen, source.layout, size)
    tags = clip.colors
    if source.layout.kind == "rgb" and layout.kind == "yuv":
        tags = replace(tags, range=LIMITED, matrix=BT709)
        kept = SAMPLINGS[layout.across, layout.down]
        notes.append(f"RGB is kept as YUV {kept} by BT.709, because this codec has no RGB")
    elif layout.kind == "yuv" and tags.matrix == codecs.IDENTITY:
        tags = replace(tags, matrix=UNSPECIFIED)
    matrix = matrix_of(tags, clip.width, clip.height)
    if layout.kind == "yuv" and tags.matrix == UNSPECIFIED and matrix != matrix_of(tags, *size):
        tags = replace(tags, matrix=matrix)
        notes.append(
            f"the input does not say its colour matrix; the result says BT.{NAMES[matrix]}, which "
            "players assume for the input's size but not for the result's"
        )
    if clip.light != Light() and chosen.library not in TELLS_LIGHT:
        notes.append(f"{name} has no room for the HDR10 numbers; h264, h265 and av1 keep them")
    aspect = aspect_of(clip, size)
    if is_reshaped(clip, size) and aspect != 1:
        notes.append(
            f"{size[0]}x{size[1]} is of another shape than {clip.width}x{clip.height}: its pixels "
            f"are marked as {aspect} as wide as high, so that players show it in the shape it had"
        )
    full = source.full and (source.layout.kind, layout.kind) != ("rgb", "yuv")
    if full and tags.range != FULL:
        tags = replace(tags, range=FULL)
    codecs.check_colors(name, target, layout, tags)
    target_conversion = Conversion(layout, matrix, full, source.centred)
    quality = chosen.crf if crf is None else crf
    options = dict(chosen.options) | ({} if quality is None else {"crf": str(quality)})
    options |= _private(chosen.library, clip.light)
    if chosen.library == "ffv1":
        options["slices"] = _slices(format, size)
    rate = clip.rate if 0 < clip.rate <= FASTEST else Fraction(25)
    encoding = Encoding(
        chosen.library,
        options,
        format,
        target_conversion,
        tags,
        rate.limit_denominator(1_001_000),
        aspect,
    )
    return encoding, tuple(notes)


def _default(container: str, deep: bool, tiny: bool) -> str:
    if container == "webm":
        return "av1" if deep else "vp9"
    return "h265" if deep and not tiny else "h264"


def _slices(format: str, size: tuple[int, int]) -> str:
    """The first number of slices that FFmpeg takes: none may end within a pair that shares colours.

    Raises UsageError where there is none, as for a single row.
    """
    import av

    for count in SLICES:
        trial: Any = av.CodecContext.create("ffv1", "w")
        trial.width, trial.height, trial.pix_fmt = *size, format
        trial.time_base, trial.options = Fraction(1), {"level": "3", "slices": str(count)}
        with suppress(av.FFmpegError):
            trial.open()
            return str(count)
    raise UsageError(f"--codec ffv1 does not take {size[0]}x{size[1]}; use --codec vp9")


def _format(codec: Codec, source: Layout, size: tuple[int, int]) -> tuple[Layout, str, list[str]]:
    """The layout nearest to the source's that the encoder takes."""
    import av

    known = {format.name for format in av.Codec(codec.library, "w").video_formats or ()}
    known -= ONLY_LISTED.get(codec.library, set())
    notes: list[str] = []
    odd = any(side % 2 for side in size) and codec.library in ("libx264", "libx265")
    if odd and source.kind == "yuv" and (source.across, source.down) != (1, 1):
        notes.append(
            f"{size[0]}x{size[1]} is odd, which {codec.library} has only with chroma at every "
            "pixel: the result is 4:4:4, which some players do not play; --codec vp9 and av1 differ"
        )
    for layout in _candidates(source, odd):
        name = _name(layout)
        if name not in known:
            continue
        if source.alpha and not layout.alpha:
            notes.append(
                "transparency is not kept; write .webm with --codec vp9 to keep it, or .mkv with "
                "--codec ffv1"
            )
        elif layout.alpha and (layout.across, layout.down) > (source.across, source.down):
            notes.append("colours are kept at every other pixel, as this codec has transparency")
        if layout.bits < source.bits:
            notes.append(f"{source.bits} bits a sample become {layout.bits}, all this codec has")
        return layout, name, notes
    raise UsageError(
        f"{codec.library} has no pixel format for {source.bits} bits with colours at every "
        f"{source.across} by {source.down} pixels; use --codec vp9, or ffv1 into .mkv"
    )


def _candidates(source: Layout, odd: bool) -> Iterator[Layout]:
    alphas = (True, False) if source.alpha else (False,)
    depths = sorted(
        {source.bits, 10, 12, 16, 8}, key=lambda bits: (bits < source.bits, _far(bits, source))
    )
    kinds = {"yuv": ("yuv",), "gray": ("gray", "yuv"), "rgb": ("rgb", "yuv")}[source.kind]
    for bits in depths:
        for alpha in alphas:
            for kind in kinds:
                shapes = [(1, 1)]
                if kind == "yuv" and source.kind != "rgb" and not odd:
                    across = 2 if source.across > 1 or source.kind == "gray" else 1
                    down = 2 if source.down > 1 or source.kind == "gray" else 1
                    shapes = [(across, down), (2, 1), (1, 1)] if across > 1 else [(1, down), (1, 1)]
                if alpha:
                    shapes.append((2, 2))
                if kind != "yuv":
                    yield Layout(kind, bits, alpha=alpha)
                    continue
                for across, down in shapes:
                    yield Layout(kind, bits, across, down, alpha)


def _far(bits: int, source: Layout) -> int:
    return abs(bits - source.bits)


def _name(layout: Layout) -> str:
    deep = f"{layout.bits}le" if layout.bits > 8 else ""
    if layout.kind == "gray":
        return f"gray{deep}"
    alpha = "a" if layout.alpha else ""
    if layout.kind == "rgb":
        return f"gbr{alpha}p{deep}"
    kind = SAMPLINGS[layout.across, layout.down].replace(":", "")
    return f"yuv{alpha}{kind}p{deep}"


def _private(library: str, light: Light) -> dict[str, str]:
    """Options of the library itself: the HDR10 numbers, silence, and a fixed number of threads."""
    mastering, brightest = _light(library, light)
    if library == "libx264":
        words = [f"mastering-display={mastering}"] * bool(mastering)
        words += [f"cll={brightest}"] * bool(brightest)
        words += [STEADY_X264] * machine.has_avx512()
        return {"x264-params": ":".join(words)} if words else {}
    if library == "libx265":
        words = ["log-level=none", "frame-threads=2"]
        words += [f"master-display={mastering}"] * bool(mastering)
        words += [f"max-cll={brightest}"] * bool(brightest)
        return {"x265-params": ":".join(words)}
    if library == "libsvtav1":
        words = [f"lp={THREADS}"]
        words += [f"mastering-display={mastering}"] * bool(mastering)
        words += [f"content-light={brightest}"] * bool(brightest)
        return {"svtav1-params": ":".join(words)}
    return {}


def _light(library: str, light: Light) -> tuple[str, str]:
    mastering = ""
    if light.mastering is not None:
        exact = library == "libsvtav1"
        places = [
            f"{float(n):.5f}" if exact else str(round(n * 50_000)) for n in light.mastering[:8]
        ]
        low, high = (
            f"{float(n):.4f}" if exact else str(round(n * 10_000)) for n in light.mastering[8:]
        )
        red, green, blue, white = (f"({places[i]},{places[i + 1]})" for i in (0, 2, 4, 6))
        mastering = f"G{green}B{blue}R{red}WP{white}L({high},{low})"
    return mastering, ",".join(map(str, light.brightest or ()))


class Encoder:
    """Compresses one segment into a Matroska file; frame i has the time stamp i milliseconds."""

    def __init__(self, path: Path, encoding: Encoding, size: tuple[int, int]) -> None:
        import av

        os.environ.setdefault("SVT_LOG", "1")
        self._encoding, self._size, self._count, self._written = encoding, size, 0, 0
        self.container: OutputContainer = av.open(f"file:{path}", "w", format="matroska")
        self.stream: Any = self.container.add_stream(
            encoding.library, rate=encoding.rate, options=dict(encoding.options)
        )
        context: Any = self.stream.codec_context
        context.width, context.height = size
        context.pix_fmt = encoding.format
        context.time_base = 1 / encoding.rate
        context.thread_count = THREADS
        context.color_range = encoding.colors.range
        context.color_primaries = encoding.colors.primaries
        context.color_trc = encoding.colors.transfer
        context.colorspace = encoding.colors.matrix
        if encoding.aspect:
            context.sample_aspect_ratio = encoding.aspect
        if encoding.conversion.layout.alpha:
            self.stream.metadata["alpha_mode"] = "1"

    def add(self, image: Words) -> None:
        """Encode (H, W, C) uint16 as the next frame."""
        import av

        encoding = self._encoding
        frame = av.VideoFrame(*self._size, encoding.format)
        dtype = encoding.conversion.layout.dtype
        encoding.conversion.to_planes(image, planes_of(frame, dtype))
        frame.pts, frame.time_base = self._count, 1 / encoding.rate
        frame.color_range, frame.colorspace = encoding.colors.range, encoding.colors.matrix
        frame.color_primaries = encoding.colors.primaries
        frame.color_trc = encoding.colors.transfer
        self._count += 1
        self._write(self.stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder still holds, and the end of the file."""
        self._write(self.stream.encode(None))
        self.container.close()

    def _write(self, packets: list[Packet[Any]]) -> None:
        for packet in packets:
            packet.time_base = Fraction(1, 1000)
            packet.duration = 1
            # To fewer frames than it looks ahead x265 gives any number, also one after pts, which
            # muxers refuse; joining sets it anew.
            packet.dts = self._written - LONG_BEFORE
            self._written += 1
            self.container.mux(packet)
