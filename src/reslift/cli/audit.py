"""`reslift audit`: what of a result the input determines, what was added, and where to doubt it."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reslift.cli import tell
from reslift.cli.options import LargestIn, LargestOut, limits_of
from reslift.errors import UsageError, escaped
from reslift.files import check_target
from reslift.words import counted

if TYPE_CHECKING:
    from reslift.audit import Audit
    from reslift.limits import Limits


def command(
    source: Annotated[Path, typer.Argument(metavar="IN", help="What was enlarged.")],
    result: Annotated[
        Path | None, typer.Argument(metavar="[OUT]", help="The result; or give --model.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Enlarge IN with this model and audit that.")
    ] = None,
    scale: Annotated[int, typer.Option(help="With --model.")] = 4,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Page .html, or .png: doubt drawn over the result."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    max_input_pixels: LargestIn = None,
    max_output_pixels: LargestOut = None,
) -> int:
    """Split OUT into what IN determines and what was added; needs no truth.

    Regions in which added detail has no support in IN, or OUT contradicts IN in any colour, are
    listed; a gray IN is compared as gray in red, green and blue. What was added is of luma. That a
    region is called text-like is a guess from the statistics of its strokes; nothing is read. It is
    called face-like where a detector, if scikit-image is installed, sees a face in OUT.
    """
    from reslift.audit import audit_files, check_still

    limits = limits_of(input_pixels=max_input_pixels, output_pixels=max_output_pixels)
    if (result is None) == (model is None):
        raise UsageError("give either OUT or --model")
    if out is not None:
        if out.suffix.lower() not in (".html", ".png"):
            raise UsageError(f"{escaped(out)}: the audit is written as .html or .png")
        check_target(out, overwrite=overwrite)
        for path in (source, result):
            if path is not None and out.exists() and path.exists() and out.samefile(path):
                raise UsageError(f"{escaped(out)}: it is what is audited; name another output")
    check_still(source)
    with tempfile.TemporaryDirectory(prefix="reslift-") as folder:
        if result is None:
            from reslift.upscale import load

            result = Path(folder) / "result.png"
            load(model or "", scale, limits=limits).upscale_file(source, result)
        found = audit_files(source, result, limits)
        if out is not None:
            _write(out, source, result, found, overwrite, limits)
    _print(found, as_json)
    if out is not None:
        print(f"wrote {escaped(out)}", file=sys.stderr)
    return 0


def _write(
    out: Path, source: Path, result: Path, found: Audit, overwrite: bool, limits: Limits
) -> None:
    from reslift.audit_page import overlay, render
    from reslift.files import atomic_write

    with atomic_write(out, overwrite=overwrite) as temporary:
        if out.suffix.lower() == ".png":
            from PIL import Image

            Image.fromarray(overlay(result, found, limits)).save(temporary, "png")
        else:
            temporary.write_text(render(source, result, found, limits), encoding="utf-8")


def _print(found: Audit, as_json: bool) -> None:
    from dataclasses import asdict

    facts = {
        "scale": found.scale,
        "added_share": found.share,
        "doubtful_share": found.doubtful,
        "contradiction": found.contradiction,
        "regions": [asdict(region) for region in found.regions],
        "faces": None if found.faces is None else [asdict(face) for face in found.faces],
    }
    if as_json:
        tell(json.dumps(facts, indent=2))
        return
    tell(f"added: {found.share:.2%} of the energy; determined by the input: {1 - found.share:.2%}")
    tell(f"contradiction: up to {found.contradiction:.1f} levels of 255 in any colour (bicubic)")
    tell(f"doubtful: {found.doubtful:.2%} of the pixels in {counted(len(found.regions), 'region')}")
    tell(f"faces: {found.seen}")
    for one in found.regions[:10]:
        place = f"{one.width}x{one.height} at {one.left},{one.top}"
        tell(f"  {one.label:<24}{place:<24}{one.score:.2f}")
    if len(found.regions) > 10:
        tell(f"  and {len(found.regions) - 10} more; --json lists them")
