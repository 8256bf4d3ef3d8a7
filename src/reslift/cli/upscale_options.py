"""The options of `reslift upscale`, a class a concern; `UpscaleOptions` is all of them.

To add one: a field in the class of its concern. What says how a result is written is a field of the
same name and type in `media.Wishes` too, and is handed on by that name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Annotated

import typer

from reslift.cli.options import limits_of
from reslift.limits import Limits
from reslift.media import Wishes


@dataclass(frozen=True, kw_only=True)
class Files:
    """What is read, and where results go."""

    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT…", help="Image files, folders, patterns like *.png."),
    ]
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="File for one input, else folder [default: NAME-x4.EXT]."),
    ] = None
    overwrite: Annotated[bool, typer.Option(help="Replace outputs that exist.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False


@dataclass(frozen=True, kw_only=True)
class Model:
    """Which model, and how it runs."""

    scale: Annotated[
        int | None, typer.Option(help="2, 3 or 4 [default: 4, or what --model is for].")
    ] = None
    model: Annotated[str, typer.Option(help="Name (`reslift models`) or file.")] = "lift-base"
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto"
    backend: Annotated[
        str, typer.Option(help="auto, openvino, onnxruntime or torch: the same result.")
    ] = "auto"
    tile: Annotated[
        int | None, typer.Option(help="Input pixels a side held at once; same result.")
    ] = None
    max_memory: Annotated[
        str | None, typer.Option(help="What the program may use, like 2G; same result.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How a result is written."""

    output_format: Annotated[
        str | None, typer.Option(help="png, jpeg, webp, tiff or bmp [default: the input's].")
    ] = None
    strip_metadata: Annotated[
        bool,
        typer.Option("--strip-metadata", help="Leave out EXIF (with its place), XMP, comments."),
    ] = False
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG and WebP.")] = 95


@dataclass(frozen=True, kw_only=True)
class Rasters:
    """How a raster on a map is enlarged and laid out in its file."""

    layout: Annotated[
        str | None, typer.Option(help="GeoTIFF: cog, tiles or strips [default: the input's].")
    ] = None
    compression: Annotated[
        str | None, typer.Option(help="GeoTIFF: like deflate or none [default: the input's].")
    ] = None
    overviews: Annotated[
        bool | None,
        typer.Option(
            "--overviews/--no-overviews", help="GeoTIFF: smaller copies [default: the input's]."
        ),
    ] = None
    separate_bands: Annotated[
        bool, typer.Option("--separate-bands", help="GeoTIFF: each band alone, colours too.")
    ] = False


def _seconds(text: str) -> float:
    """ "90", "1:30", "0:01:30.5" → seconds; ValueError, which typer reports, for anything else."""
    parts = text.split(":")
    if len(parts) > 3 or not all(re.fullmatch(r"\d+(\.\d+)?", part) for part in parts):
        raise ValueError("not a time")
    total = 0.0
    for part in parts:
        total = total * 60 + float(part)
    return total


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Which part of a video, and how it is compressed."""

    codec: Annotated[
        str | None,
        typer.Option(help="Video: h264, h265, vp9, av1 or ffv1 [default: by suffix and bits]."),
    ] = None
    crf: Annotated[
        int | None, typer.Option(min=0, help="Video: 0 is the best [default: 17 for h264].")
    ] = None
    start: Annotated[
        float | None,
        typer.Option(parser=_seconds, metavar="TIME", help="Video: from here, like 1:02:03.5."),
    ] = None
    end: Annotated[
        float | None, typer.Option(parser=_seconds, metavar="TIME", help="Video: up to here.")
    ] = None
    deinterlace: Annotated[
        bool, typer.Option("--deinterlace", help="Video: make half pictures whole first.")
    ] = False
    steady: Annotated[
        bool, typer.Option("--steady", help="Video: average the noise of what does not move.")
    ] = False
    allow_truncated: Annotated[
        bool, typer.Option("--allow-truncated", help="Video: enlarge what is there.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class Guards:
    """How large inputs and results may be."""

    max_input_pixels: Annotated[str | None, typer.Option(help="Largest input [default: 100M].")] = (
        None
    )
    max_output_pixels: Annotated[str | None, typer.Option(help="Largest result [default: 1G].")] = (
        None
    )
    max_file_bytes: Annotated[
        str | None, typer.Option(help="Largest input file [default: 1GiB].")
    ] = None
    max_frames: Annotated[str | None, typer.Option(help="Longest animation [default: 2000].")] = (
        None
    )
    max_video_frames: Annotated[str | None, typer.Option(help="Longest video [default: 2M].")] = (
        None
    )
    max_decode_seconds: Annotated[
        str | None, typer.Option(help="Longest decoding [default: 60].")
    ] = None

    def limits(self) -> Limits:
        """The limits; UsageError for what is no amount."""
        return limits_of(
            input_pixels=self.max_input_pixels,
            output_pixels=self.max_output_pixels,
            file_bytes=self.max_file_bytes,
            frames=self.max_frames,
            video_frames=self.max_video_frames,
            decode_seconds=self.max_decode_seconds,
        )


@dataclass(frozen=True, kw_only=True)
class UpscaleOptions(Files, Model, Writing, Rasters, Clips, Guards):
    """All options of `reslift upscale`."""

    def wishes(self) -> Wishes:
        """What a writer is to know."""
        return Wishes(**{field.name: getattr(self, field.name) for field in fields(Wishes)})
