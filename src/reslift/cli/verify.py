"""`reslift verify`: does an enlarged picture shrink to its original again?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reslift.cli import tell
from reslift.cli.options import LargestIn, LargestOut, limits_of
from reslift.errors import VerificationError, escaped, one_line

if TYPE_CHECKING:
    from reslift.verify import Verification


def command(
    source: Annotated[Path, typer.Argument(metavar="IN", help="What was enlarged.")],
    result: Annotated[Path, typer.Argument(metavar="OUT", help="The result, of any tool.")],
    kernel: Annotated[
        str, typer.Option(help="bicubic (MATLAB's, antialiased) or box (area mean).")
    ] = "bicubic",
    tolerance: Annotated[
        float | None, typer.Option(help="Levels that may differ [default: 1; box: 0].")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    max_input_pixels: LargestIn = None,
    max_output_pixels: LargestOut = None,
) -> int:
    """Shrink OUT by a stated kernel and compare it with IN, channel by channel.

    OUT may be any enlargement, by whole or broken scales. Clips, pages, DICOM, NIfTI and GeoTIFF
    are compared by all that they hold: times, place, names, tags. Exit code 4 where a difference is
    over the tolerance, or where something is not what it should be.
    """
    from reslift.verify import verify

    limits = limits_of(input_pixels=max_input_pixels, output_pixels=max_output_pixels)
    found = verify(source, result, kernel=kernel, tolerance=tolerance, limits=limits)
    if as_json:
        tell(json.dumps(found.as_dict(), indent=2))
    else:
        _print(found)
    return 0 if found.holds else VerificationError.exit_code


def _print(found: Verification) -> None:
    for note in found.notes:
        print(f"note: {one_line(note)}", file=sys.stderr)
    for finding in found.findings:
        tell(f"differs: {one_line(finding)}")
    if found.channels:
        across, down = (f"{scale:.4g}" for scale in found.scale)
        scale = across if across == down else f"{across} across, {down} down"
        kind, levels = "pixels", f"in levels of {2**found.bits - 1:,}"
        if not found.bits:
            kind, levels = "samples", "in levels: steps of whole numbers, 1/65535 of a wider range"
        tell(f"x{scale}, {found.kernel}, {found.compared:,} {kind}, {levels}")
        wide = max(8, *(len(one.name) for one in found.channels))
        tell(
            f"{'channel':<{wide}}   largest       mean  unrounded"
            + "    a level" * (not found.bits)
        )
        for one in found.channels:
            level = "" if found.bits else f" {one.level:>10.4g}"
            numbers = f" {one.largest:>9.5g} {one.mean:>10.4f} {one.unrounded:>10.3f}"
            tell(f"{one.name:<{wide}}{numbers}{level}")
    tell(f"{escaped(found.result)}: {_verdict(found)}")


def _verdict(found: Verification) -> str:
    """Whether it holds, and the two numbers and the findings that decide it."""
    reasons = []
    if found.channels:
        limit = "1 level" if found.tolerance == 1 else f"{found.tolerance:g} levels"
        reasons.append(f"largest difference {found.largest:.5g}, limit {limit}")
    if found.findings:
        reasons.append("see what differs above")
    why = f": {'; '.join(reasons)}" if reasons else ""
    return f"{'holds' if found.holds else 'does not hold'}{why}"
