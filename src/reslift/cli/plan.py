"""`reslift plan`: what `reslift upscale` with the same words would take."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from reslift import machine
from reslift.cli import failure_line
from reslift.cli.options import command_of
from reslift.cli.upscale_options import (
    Clips,
    Files,
    Guards,
    Medical,
    Model,
    Rasters,
    Sizing,
    UpscaleOptions,
)
from reslift.errors import ResliftError, UsageError, escaped
from reslift.limits import parse_amount
from reslift.sizes import wanted_size

SOME_FAILED = 3
STEPS = ((3600, "h"), (60, "min"), (1, "s"))
COLUMNS = ("input", "kind", "frames", "cells", "result", "memory", "time")


@dataclass(frozen=True, kw_only=True)
class PlanOptions(Files, Sizing, Model, Rasters, Clips, Medical, Guards):
    """What decides how long an upscaling takes."""


def plan(options: PlanOptions) -> int:
    """Say what an upscaling would take: sizes, cells, memory, time.

    Takes the inputs and options of `reslift upscale`, measures this machine for a few seconds with
    the model, and writes nothing.
    """
    from reslift import batch, checkpoint
    from reslift.plan import Probe, estimates
    from reslift.upscale import load

    if options.crop is not None:
        raise UsageError("--crop is a preview; plan is for the whole")
    size = wanted_size(checkpoint.family(options.model), None, options.size_wish())
    memory = options.max_memory and parse_amount(options.max_memory, "--max-memory")
    asked = UpscaleOptions(**{**vars(options), "overwrite": True})
    jobs = batch.plan(asked.request(size))
    if memory is None:
        machine.keep_memory()
    upscaler = load(
        options.model,
        device=options.device,
        tile=options.tile,
        max_memory=memory,
        limits=options.limits(),
        backend=options.backend,
        size=size,
        ensemble=options.ensemble,
        wrap=options.wrap,
    )
    start = machine.running_seconds()
    found, failed = estimates(Probe(upscaler, options.limits(), asked.wishes()), jobs.jobs)
    failures = [*((f.path, f.reason) for f in jobs.failures), *failed]
    for path, reason in failures:
        print(failure_line(path, reason), file=sys.stderr)
    rows = [
        (
            escaped(e.job.source),
            e.kind,
            f"{e.job.frames:,}",
            f"{e.cells:,}",
            "x".join(map(str, e.job.wanted)),
            amount(e.memory),
            duration(e.seconds),
        )
        for e in found
    ]
    if rows:
        print_table([COLUMNS, *rows])
    seconds = start + sum(e.seconds for e in found)
    if found:
        print(
            f"in all {duration(seconds)} ({duration(start)} of it to start), at most "
            f"{amount(max(e.memory for e in found))} of memory, on {upscaler.engine}"
        )
    if failures:
        return SOME_FAILED if found else ResliftError.exit_code
    return 0


command = command_of(PlanOptions, plan)


def duration(seconds: float) -> str:
    """Two units at most: ``850 ms``, ``12.3 s``, ``4 min 10 s``, ``3 h 5 min``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    size, unit = STEPS[0] if seconds >= STEPS[0][0] else STEPS[1]
    smaller, small_unit = STEPS[1] if unit == "h" else STEPS[2]
    whole, rest = divmod(seconds, size)
    return f"{whole:,.0f} {unit} {rest // smaller:.0f} {small_unit}"


def amount(size: int) -> str:
    """Bytes in MB or GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Columns as wide as they need to be; the first is aligned to the left, like the second."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
