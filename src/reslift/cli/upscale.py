"""`reslift upscale`: plan and refuse without torch, then read, upscale and write file by file."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reslift.cli import explain, tell
from reslift.cli.options import command_of
from reslift.cli.upscale_options import UpscaleOptions
from reslift.errors import ResliftError, escaped, one_line
from reslift.limits import parse_amount
from reslift.sizes import wanted_size

if TYPE_CHECKING:
    from reslift.batch import Job, Plan
    from reslift.media import Wishes
    from reslift.upscale import Upscaler

SOME_FAILED = 3
Advance = Callable[[int], None]


def upscale(options: UpscaleOptions) -> int:
    """Make pictures 2, 3 or 4 times larger.

    Prints the path of each result: NAME-x4.EXT beside the input, or where -o says.
    """
    from reslift import batch, checkpoint

    limits, model = options.limits(), options.model
    size = wanted_size(checkpoint.family(model), None, options.size_wish())
    memory = options.max_memory and parse_amount(options.max_memory, "--max-memory")
    plan = batch.plan(options.request(size))

    def prepare() -> Upscaler:
        from reslift import machine
        from reslift.upscale import load

        if memory is None:
            machine.keep_memory()
        return load(
            model,
            device=options.device,
            tile=options.tile,
            max_memory=memory,
            limits=limits,
            backend=options.backend,
            size=size,
            ensemble=options.ensemble,
            wrap=options.wrap,
        )

    return Run(plan, options.wishes(), options.quiet).go(prepare)


command = command_of(UpscaleOptions, upscale)


@dataclass
class Run:
    """Works through a plan and tells about it: paths on stdout, all else on stderr."""

    plan: Plan
    wishes: Wishes
    quiet: bool
    done: int = 0
    failed: int = 0

    def go(self, prepare: Callable[[], Upscaler]) -> int:
        """Upscale every job, one failing or not, and return the exit code."""
        for failure in self.plan.failures:
            self._fail(failure.path, failure.reason)
        upscaler = prepare() if self.plan.jobs else None
        try:
            if upscaler is not None:
                with progress_bar(sum(job.pixels for job in self.plan.jobs), self.quiet) as advance:
                    for job in self.plan.jobs:
                        self._one(upscaler, job, advance)
        finally:
            if self.failed or not self.quiet:
                print(f"{self.done} done, {self.failed} failed", file=sys.stderr)
        if not self.failed:
            return 0
        return SOME_FAILED if self.done else ResliftError.exit_code

    def _one(self, upscaler: Upscaler, job: Job, advance: Advance) -> None:
        finished = 0

        def progress(pixels: int) -> None:
            nonlocal finished
            finished += pixels
            advance(pixels)

        try:
            notes = upscaler.upscale_file(job.source, job.target, self.wishes, progress=progress)
        except Exception as error:
            advance(job.pixels - finished)
            self._fail(job.source, explain(error))
            return
        self.done += 1
        if not self.quiet:
            for note in notes:
                print(f"note: {one_line(job.source)}: {one_line(note)}", file=sys.stderr)
            tell(escaped(job.target))

    def _fail(self, path: Path, reason: str) -> None:
        self.failed += 1
        name = one_line(path)
        text = one_line(reason)
        named = re.match(f"(cannot use )?{re.escape(name)}( enlarged)?: ", text)
        print(f"failed: {text if named else f'{name}: {text}'}", file=sys.stderr)


@contextmanager
def progress_bar(pixels: int, quiet: bool) -> Iterator[Advance]:
    """A bar with the time left, on stderr, where that is a terminal; calls advance it."""
    if quiet or not sys.stderr.isatty():
        yield lambda pixels: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    columns = BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()
    ) as bars:
        task = bars.add_task("upscale", total=pixels)
        yield lambda pixels: bars.advance(task, pixels)
