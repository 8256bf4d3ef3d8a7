"""The options of `reslift upscale`, a class a concern; `UpscaleOptions` is all of them.

To add one: a field in the class of its concern. What says how a result is written is a field of the
same name and type in `media.Wishes` too, and is handed on by that name.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reslift.cli.options import limits_of
from reslift.limits import Limits
from reslift.sizes import Size, parse_crop, parse_sides

if TYPE_CHECKING:
    from reslift.batch import Request
    from reslift.media import Wishes


@dataclass(frozen=True, kw_only=True)
class Files:
    """What is read, and where results go."""

    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Pictures, clips, folders, patterns like *.png; - is standard input.",
        ),
    ]
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="File for one input, else folder [default: NAME-x4.EXT]."),
    ] = None
    suffix: Annotated[
        str | None, typer.Option(help="What is added to names [default: -x4; none under -o].")
    ] = None
    flat: Annotated[
        bool,
        typer.Option("--flat/--mirror", help="Under -o: no subfolders, or those of the input."),
    ] = False
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = (
        False
    )
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave outputs that exist; do the others.")
    ] = False
    workers: Annotated[
        int, typer.Option(min=0, max=64, help="Threads that write; 0: one step after the other.")
    ] = 1
    summary: Annotated[
        str | None, typer.Option(metavar="FILE.json", help="Write what became of every file.")
    ] = None
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False


@dataclass(frozen=True, kw_only=True)
class Sizing:
    """How large results are."""

    scale: Annotated[
        float | None, typer.Option(help="Any, 1.7 or 8 too [default: 4, or what --model is for].")
    ] = None
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Exact sides; Wx or xH keep the shape.")
    ] = None
    long_side: Annotated[int | None, typer.Option(help="Pixels of the longer side.")] = None
    megapixels: Annotated[float | None, typer.Option(help="Millions of pixels, about.")] = None
    crop: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H", help="Only that part of the input: a preview.")
    ] = None

    def size_wish(self) -> Size:
        """What the five say together; UsageError for what cannot be."""
        return Size(
            self.scale,
            None if self.size is None else parse_sides(self.size),
            self.long_side,
            self.megapixels,
            None if self.crop is None else parse_crop(self.crop),
        )


@dataclass(frozen=True, kw_only=True)
class Model:
    """Which model, and how it runs."""

    model: Annotated[str, typer.Option(help="Name (`reslift models`) or file.")] = "lift-base"
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto"
    backend: Annotated[
        str, typer.Option(help="auto, openvino, onnxruntime, torch; or openvino-int8, faster.")
    ] = "auto"
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Mean of 8 flips and turns: better, 8 times as long.")
    ] = False
    wrap: Annotated[bool, typer.Option("--wrap", help="Keep a seamless texture seamless.")] = False
    tile: Annotated[
        int | None, typer.Option(help="Input pixels a side held at once; same result.")
    ] = None
    max_memory: Annotated[
        str | None, typer.Option(help="What the program may use, like 2G; same result.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Trust:
    """How much is invented, and what the result says about itself."""

    strength: Annotated[
        float, typer.Option(min=0, max=1, help="0: exactly bicubic; 1: the model.")
    ] = 1.0
    consistent: Annotated[
        bool | None,
        typer.Option(
            "--consistent/--no-consistent",
            help="Shrunk, the result gives the input [default: if faithful, both lossless, at 1].",
        ),
    ] = None
    kernel: Annotated[str, typer.Option(help="Shrunk how: bicubic or box.")] = "bicubic"
    provenance: Annotated[
        bool, typer.Option("--provenance/--no-provenance", help="Say in the file how it was made.")
    ] = True
    provenance_file: Annotated[
        bool, typer.Option("--provenance-file", help="Say it in RESULT.provenance.json too.")
    ] = False
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Map how far to trust each pixel, beside it.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How a result is written."""

    output_format: Annotated[
        str | None,
        typer.Option(help="png, jpeg, webp, tiff, bmp, gif, avif [default: the input's]."),
    ] = None
    strip_metadata: Annotated[
        bool,
        typer.Option("--strip-metadata", help="Leave out EXIF (with its place), XMP, comments."),
    ] = False
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG, WebP and AVIF.")] = 95


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
    classes: Annotated[
        str | None,
        typer.Option(metavar="BANDS", help="GeoTIFF: bands of classes, 1,3: repeated pixels."),
    ] = None


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
        bool,
        typer.Option("--steady/--no-steady", help="Video: average noise of what does not move."),
    ] = True
    allow_truncated: Annotated[
        bool, typer.Option("--allow-truncated", help="Video: enlarge what is there.")
    ] = False


def _window(text: str) -> tuple[float, float]:
    """ "40,400" → (40.0, 400.0); ValueError for anything else."""
    numbers = [float(part) for part in text.split(",")]
    if len(numbers) != 2 or not math.isfinite(numbers[0]) or not 0 < numbers[1] < math.inf:
        raise ValueError("not a centre and a width, like 40,400")
    return numbers[0], numbers[1]


@dataclass(frozen=True, kw_only=True)
class Medical:
    """What the network sees of medical images, and what is written into them."""

    window: Annotated[
        Any | None,
        typer.Option(
            parser=_window,
            metavar="CENTRE,WIDTH",
            help="DICOM, NIfTI: what the network sees, like 40,400 [default: the whole range].",
        ),
    ] = None
    axis: Annotated[
        int | None,
        typer.Option(min=0, max=2, help="NIfTI: enlarge slices across it [default: the coarsest]."),
    ] = None
    not_for_diagnosis: Annotated[
        bool, typer.Option("--not-for-diagnosis", help="DICOM: burn these words in.")
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
class UpscaleOptions(Files, Sizing, Model, Trust, Writing, Rasters, Clips, Medical, Guards):
    """All options of `reslift upscale`."""

    def wishes(self) -> Wishes:
        """What a writer is to know."""
        from reslift.media import Wishes

        return Wishes(**{field.name: getattr(self, field.name) for field in fields(Wishes)})

    def request(self, size: Size) -> Request:
        """What `batch.plan` is to settle."""
        from reslift.batch import Naming, Request

        naming = Naming(self.out, size.label, self.suffix, self.flat, self.output_format)
        existing = self.overwrite, self.skip_existing
        return Request(self.inputs, size, naming, *existing, self.limits(), self.wishes())
