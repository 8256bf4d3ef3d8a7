"""`reslift sample`: plausible enlargements of a picture, their mean and their deviation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from reslift.cli import tell
from reslift.cli.options import LargestIn, LargestOut, limits_of
from reslift.cli.progress import progress
from reslift.errors import escaped, one_line


def command(
    picture: Annotated[Path, typer.Argument(help="An image file.")],
    model: Annotated[str, typer.Option(help="Run folder or file of a variational model.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder [default: NAME-x4-samples].")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", help="How many samples, from 2 up.")] = 8,
    seed: Annotated[int, typer.Option(help="Another seed gives other samples.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    tile: Annotated[
        int | None, typer.Option(help="Input pixels a side held at once; same result.")
    ] = None,
    max_memory: Annotated[
        str | None, typer.Option(help="What the program may use, like 2G; same result.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace outputs that exist.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    max_input_pixels: LargestIn = None,
    max_output_pixels: LargestOut = None,
) -> int:
    """Draw plausible enlargements of a picture, and show where they differ.

    Prints the folder of the results: sr.png, sample-1.png …, mean.png, deviation.png.
    """
    from reslift import formats
    from reslift.sample import BRIGHTER, load

    limits = limits_of(input_pixels=max_input_pixels, output_pixels=max_output_pixels)
    header = formats.peek(picture, limits)
    sampler = load(model, device=device, tile=tile, max_memory=max_memory, limits=limits)
    folder = out or picture.with_name(f"{picture.stem}-x{sampler.scale}-samples")
    pixels = header.width * header.height * sampler.scale**2
    with progress("sample", (count + 1) * pixels, quiet=quiet) as advance:
        notes = sampler.sample_file(
            picture, folder, count, seed=seed, overwrite=overwrite, progress=advance
        )
    if not quiet:
        for note in dict.fromkeys(notes):
            print(f"note: {one_line(picture)}: {one_line(note)}", file=sys.stderr)
        print(f"note: deviation.png shows {BRIGHTER} times the deviation", file=sys.stderr)
        tell(escaped(folder))
    return 0
