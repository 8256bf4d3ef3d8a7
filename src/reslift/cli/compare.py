"""`reslift compare`: one picture of models and bicubic side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from reslift.cli import tell
from reslift.cli.options import LargestIn, LargestOut, limits_of
from reslift.errors import UsageError, escaped, one_line
from reslift.files import check_not_input, check_target
from reslift.sizes import parse_crop


def command(
    words: Annotated[
        list[str], typer.Argument(metavar="MODEL… IMAGE", help="Names or files; last the picture.")
    ],
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="An image file [default: NAME-compare.png].")
    ] = None,
    scale: Annotated[
        int | None, typer.Option(help="From 1 up [default: 4, or what the first is for].")
    ] = None,
    hr: Annotated[
        str | None, typer.Option(metavar="FILE", help="The truth: PSNR-Y stands under each.")
    ] = None,
    crop: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H", help="The part that is shown, input pixels.")
    ] = None,
    zoom: Annotated[
        int | None, typer.Option(help="Show result pixels so large [default: to fill a panel].")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    backend: Annotated[
        str, typer.Option(help="auto, openvino, onnxruntime, torch, …-int8.")
    ] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    max_input_pixels: LargestIn = None,
    max_output_pixels: LargestOut = None,
) -> int:
    """Show models and bicubic side by side on a part of a picture.

    Prints the path of the picture that it writes.
    """
    if len(words) < 2:
        raise UsageError("name a model or more, and last the picture")
    *names, picture = words
    source = Path(picture)
    target = Path(out) if out else source.with_name(f"{source.stem}-compare.png")
    truth = None if hr is None else Path(hr)
    part = None if crop is None else parse_crop(crop)
    limits = limits_of(input_pixels=max_input_pixels, output_pixels=max_output_pixels)
    from reslift import checkpoint, formats

    for name in names:
        checkpoint.family(name)
    formats.format_of(target)
    formats.peek(source, limits)
    check_target(target, overwrite=overwrite)
    check_not_input(target, source, truth, *map(Path, names))

    from reslift.compare import Comparison

    comparison = Comparison(names, scale, part, zoom, device, backend, limits)
    sheet, notes = comparison.draw(source, truth)
    notes += formats.write(target, sheet, overwrite=overwrite)
    if not quiet:
        for note in notes:
            print(f"note: {one_line(source)}: {one_line(note)}", file=sys.stderr)
        tell(escaped(target))
    return 0
