"""`reslift data check`: what is wrong with a folder of pictures, as a table and as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from reslift.cli import tell
from reslift.errors import escaped, one_line

if TYPE_CHECKING:
    from reslift.datacheck import Finding, Report

MOST_FILES, MOST_LINES = 4, 20
TITLES = {"fault": "FAULTS", "warning": "WARNINGS", "note": "NOTES"}


def check(
    folder: Path, held_out: Path | None, as_json: Path | None, overwrite: bool, quiet: bool
) -> int:
    """Check, print, write; 4 where there is a fault, else 0.

    Raises:
        ResliftError: a folder holds no picture, or the JSON file cannot be written.
    """
    from reslift.datacheck import check_data
    from reslift.files import atomic_write, check_target

    if as_json is not None:
        check_target(as_json, overwrite=overwrite)
    with _bars(quiet) as progress:
        report = check_data(folder, held_out, progress=progress)
    if as_json is not None:
        with atomic_write(as_json, overwrite=overwrite) as temporary:
            text = json.dumps(report.as_dict(), indent=2)
            temporary.write_text(text.encode("utf-8", "backslashreplace").decode() + "\n", "utf-8")
    _print(report, quiet)
    return report.exit_code


def _print(report: Report, quiet: bool) -> None:
    """What was found; unless `quiet`, also how much was looked at."""
    from reslift.datacheck import SEVERITIES

    for severity in SEVERITIES:
        found = [one for one in report.findings if one.severity == severity]
        if found:
            tell(f"{TITLES[severity]} ({len(found)})")
            for line in _lines(found):
                tell(line)
    if quiet:
        return
    for note in report.notes:
        print(f"note: {one_line(note)}", file=sys.stderr)
    counts = ", ".join(f"{amount} {kind}" for kind, amount in report.counts().items())
    pairs = f", {report.pairs} pairs" if report.pairs else ""
    tell(f"{report.pictures} pictures{pairs}: {counts or 'nothing found'}")


def _lines(found: list[Finding]) -> Iterator[str]:
    """A line a finding, at most 20 of a kind."""
    for kind in dict.fromkeys(one.kind for one in found):
        same = [one for one in found if one.kind == kind]
        yield from map(_line, same[:MOST_LINES])
        if len(same) > MOST_LINES:
            yield f"  {kind:<20}and {len(same) - MOST_LINES} more; --json FILE has all"


def _line(finding: Finding) -> str:
    files = [escaped(name) for name in finding.files[:MOST_FILES]]
    if len(finding.files) > MOST_FILES:
        files.append(f"and {len(finding.files) - MOST_FILES} more")
    limit = "" if finding.threshold is None else f" [threshold {finding.threshold:g}]"
    return f"  {finding.kind:<20}{', '.join(files)}: {one_line(finding.text)}{limit}"


@contextmanager
def _bars(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar a stage, on a terminal."""
    from reslift.cli.progress import progress

    if quiet:
        yield lambda what, done, total: None
        return
    with ExitStack() as stages:
        current: dict[str, Callable[[int], None]] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in current:
                stages.close()
                current[what] = stages.enter_context(progress(what, total))
            if done:
                current[what](1)

        yield show
