"""`reslift replay`: make a result again from what it says about itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reslift.cli import tell
from reslift.cli.options import LargestIn, LargestOut, limits_of
from reslift.errors import VerificationError, escaped


def command(
    result: Annotated[Path, typer.Argument(metavar="OUT", help="A result of `reslift upscale`.")],
    source: Annotated[Path, typer.Option("--input", metavar="IN", help="What it was made from.")],
    model: Annotated[
        str | None, typer.Option(help="Checkpoint file, if the model is not bundled.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Keep the repetition here.")
    ] = None,
    max_input_pixels: LargestIn = None,
    max_output_pixels: LargestOut = None,
) -> int:
    """Make OUT again from IN, as OUT says it was made, and compare the two.

    Exit code 4 where the bytes differ; what is not as it was is listed.
    """
    from reslift.replay import replay

    limits = limits_of(input_pixels=max_input_pixels, output_pixels=max_output_pixels)
    done = replay(result, source, model=model, out=out, limits=limits)
    for reason in done.reasons:
        tell(f"changed: {reason}")
    if done.same_bytes:
        tell(f"{escaped(result)}: the same bytes again")
        return 0
    if done.largest is None:
        what = "other bytes; `reslift verify` tells how far it is from the input"
    elif not done.largest:
        what = "the pixels are the same, other bytes"
    else:
        what = f"{done.share:.2%} of the samples differ, by up to {done.largest} levels"
    tell(f"{escaped(result)}: {what}")
    return VerificationError.exit_code
