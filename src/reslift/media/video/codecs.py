"""What compresses the pictures of a video, and what of that a container or a codec cannot say."""

from __future__ import annotations

import io
from dataclasses import dataclass
from operator import gt
from pathlib import Path

from reslift.errors import UsageError, one_line
from reslift.media.video.color import BT601, BT709, BT2020, FULL, LIMITED, UNSPECIFIED, Layout
from reslift.media.video.probe import Colors

FORMATS = {
    ".mkv": "matroska",
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".webm": "webm",
}
"""FFmpeg's muxer for each suffix that is written."""

LEAST_OF_X265 = 64
IDENTITY = 0
"""The matrix of RGB, which gray pictures may have too."""
VP9, AV1, FFV1 = "libvpx-vp9", "libsvtav1", "ffv1"
NOT_IN_MOV = (VP9, AV1)
"""FFmpeg lists them for MOV, and then refuses their packets."""
MATRICES_OF_VP9 = {IDENTITY, BT709, UNSPECIFIED, 5, BT601, 7, BT2020}


@dataclass(frozen=True)
class Codec:
    """One way to compress: FFmpeg's encoder, its range of crf and the default, fixed options.

    crf None: lossless, without a choice. least, most: of width and height, what it takes.
    """

    library: str
    crf: int | None
    worst: int
    options: tuple[tuple[str, str], ...] = ()
    least: int = 1
    most: tuple[int, int] = (2**30, 2**30)


CODECS: dict[str, Codec] = {
    "h264": Codec("libx264", 17, 51, (("preset", "medium"),), most=(16384, 16384)),
    "h265": Codec("libx265", 18, 51, (("preset", "fast"),)),
    "vp9": Codec(
        VP9,
        22,
        63,
        (("b", "0"), ("deadline", "good"), ("cpu-used", "4"), ("row-mt", "1")),
        most=(65536, 65536),
    ),
    "av1": Codec(AV1, 22, 63, (("preset", "8"),), least=4, most=(16384, 8704)),
    "ffv1": Codec(FFV1, None, 0, (("level", "3"), ("slices", "4"), ("g", "1"))),
}


def check(name: str, target: Path, crf: int | None) -> None:
    """Raise UsageError where a codec cannot go into `target`, or crf is out of its range."""
    import av

    codec, container = CODECS[name], FORMATS[target.suffix.lower()]
    with av.open(io.BytesIO(), "w", format=container) as empty:
        known = codec.library in empty.supported_codecs
    if not known or (container == "mov" and codec.library in NOT_IN_MOV):
        raise UsageError(
            f"{one_line(target)}: {target.suffix} cannot hold --codec {name}; "
            "use another suffix, such as .mkv, or another codec"
        )
    if crf is not None and codec.crf is None:
        raise UsageError(f"--crf {crf}: {name} is lossless; leave --crf out")
    if crf is not None and not 0 <= crf <= codec.worst:
        raise UsageError(f"--crf {crf}: {name} takes 0 (best) to {codec.worst}")


def check_sides(name: str, size: tuple[int, int]) -> None:
    """Raise UsageError where a codec does not take pictures of this width and height."""
    codec = CODECS[name]
    if codec.library == "libx265" and min(size) < LEAST_OF_X265:
        raise UsageError(
            f"--codec {name}: x265 damages memory below {LEAST_OF_X265} pixels a side, and the "
            f"result has {size[0]}x{size[1]}; use h264"
        )
    if min(size) < codec.least or any(map(gt, size, codec.most)):
        other = "ffv1 into .mkv" if name == "vp9" else "vp9"
        raise UsageError(
            f"--codec {name} takes sides from {codec.least} to {codec.most[0]}x{codec.most[1]}, "
            f"and the result has {size[0]}x{size[1]}; use --codec {other}"
        )


def check_colors(name: str, target: Path, layout: Layout, tags: Colors) -> None:
    """Raise UsageError where the result could not say its colours, and so would show others.

    VP9 numbers few matrices. FFV1 says nothing of colours, and MP4 only where all is known.
    """
    if layout.kind == "rgb":
        return
    library, container = CODECS[name].library, FORMATS[target.suffix.lower()]
    if library == VP9 and tags.matrix not in MATRICES_OF_VP9:
        raise UsageError(
            f"--codec {name} has no word for the input's colour matrix, number {tags.matrix} of "
            "H.273; use --codec av1"
        )
    told = [tag != UNSPECIFIED for tag in (tags.primaries, tags.transfer, tags.matrix)]
    unusual = tags.range == (LIMITED if layout.kind == "gray" else FULL)
    if library == FFV1 and container == "mp4" and not all(told) and (unusual or any(told)):
        raise UsageError(
            f"{one_line(target)}: {target.suffix} does not say the colours of {name} where only "
            "some of range, primaries, transfer and matrix are known; use .mkv"
        )
