"""`reslift calibrate`: intervals that hold, for a model and a kind of picture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from reslift.cli import tell
from reslift.errors import escaped, one_line
from reslift.words import counted

WARNED = 20
LARGEST_SEED = 2**32 - 1


def command(
    model: Annotated[str, typer.Argument(help="Bundled model, file or run folder.")],
    data: Annotated[Path, typer.Option(help="Folder of sharp pictures the model has not seen.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Checkpoint [default: NAME-calibrated.safetensors]."),
    ] = None,
    scale: Annotated[
        int | None, typer.Option(min=2, help="Of a bundled model with several [default: 4].")
    ] = None,
    new_head: Annotated[
        bool, typer.Option("--new-head", help="Learn anew where errors are, not only how large.")
    ] = False,
    hold_out: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="Share kept from the head, to calibrate on.")
    ] = 0.4,
    crop: Annotated[int, typer.Option(min=96, help="HR pixels a side used of a picture.")] = 1024,
    steps: Annotated[int, typer.Option(min=1, help="Of the head's training.")] = 1000,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Names or paths below --data to leave out: debian__*.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=LARGEST_SEED, help="Of the split and of the head.")
    ] = 0,
    overwrite: Annotated[bool, typer.Option(help="Replace an output that exists.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the path.")] = False,
) -> int:
    """Measure a model's errors, so that it can say how far to trust it.

    The pictures need to be sharp: they are shrunk, enlarged again and compared. Writes
    the model again with its calibration; `reslift upscale --uncertainty` then works with it.
    """
    from reslift import checkpoint
    from reslift.calibrate import calibrate, describe, own_pictures
    from reslift.cli.progress import progress
    from reslift.files import check_not_input, check_target
    from reslift.uncertainty import FitPart, attach

    source = checkpoint.resolve(model, scale or 4)
    card = checkpoint.card_for(source, scale)
    target = out or Path(f"{checkpoint.file_stem(card)}-calibrated{checkpoint.SUFFIX}")
    check_target(target, overwrite=overwrite)
    fits = new_head or not card.uncertainty
    pictures, _ = own_pictures(data, tuple(exclude or ()))
    check_not_input(target, *pictures)
    with progress("calibrate", len(pictures) + steps * fits, quiet=quiet) as advance:
        done = calibrate(
            source,
            data,
            scale=card.scale,
            new_head=new_head,
            hold_out=hold_out,
            crop=crop,
            fit=FitPart(steps=steps, seed=seed),
            exclude=tuple(exclude or ()),
            seed=seed,
            progress=advance,
        )
    attach(source, done.judge, target, overwrite=overwrite)
    if not quiet:
        for note in done.notes[:WARNED]:
            print(f"note: left out: {one_line(note)}", file=sys.stderr)
        print(f"note: {describe(done.judge.calibration)}", file=sys.stderr)
        if (few := done.judge.calibration.pictures) < WARNED:
            print(
                f"warning: {counted(few, 'picture')} say{'s' * (few == 1)} little about the next "
                f"one; {WARNED} or more are wanted",
                file=sys.stderr,
            )
    tell(escaped(target))
    return 0
