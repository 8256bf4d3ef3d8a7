"""`reslift upscale`: plan and refuse without torch, then read, upscale and write file by file."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reslift.cli import INTERRUPTED, explain, failure_line, say, tell
from reslift.cli.options import command_of
from reslift.cli.pipes import Piped, piped
from reslift.cli.upscale_options import UpscaleOptions
from reslift.cli.upscale_report import Report, check_summary
from reslift.errors import ResliftError, escaped, one_line
from reslift.limits import parse_amount
from reslift.sizes import wanted_size

if TYPE_CHECKING:
    from reslift.batch import Plan
    from reslift.batch.plan import Job
    from reslift.batch.run import Batch, Outcome
    from reslift.checkpoint import Card
    from reslift.upscale import Upscaler

SOME_FAILED = 3
EVERY_WAY = 8
ALIKE = "note: --ensemble only costs time: this model answers alike in all 8 flips and turns"
Advance = Callable[[int], None]


def upscale(options: UpscaleOptions) -> int:
    """Make pictures larger, or bring them to an exact size.

    Prints the path of each result: NAME-x4.EXT beside the input, or where -o says.
    """
    with piped(options) as pipes:
        code = _upscale(pipes)
        pipes.send()
        return code


command = command_of(UpscaleOptions, upscale)


def _upscale(pipes: Piped) -> int:
    from reslift import batch, checkpoint
    from reslift.batch.claim import claimed
    from reslift.batch.journal import Journal

    options = pipes.options
    limits, model = options.limits(), options.model
    family = checkpoint.family(model)
    size = wanted_size(family, None, options.size_wish())
    memory = options.max_memory and parse_amount(options.max_memory, "--max-memory")
    plan = batch.plan(options.request(size), Journal().is_ours)
    if options.summary is not None:
        check_summary(Path(options.summary), plan)

    def prepare() -> Upscaler:
        from reslift import machine
        from reslift.upscale import load

        if memory is None:
            machine.keep_memory()
        upscaler = load(
            model,
            device=options.device,
            tile=options.tile,
            max_memory=memory,
            limits=limits,
            backend=options.backend,
            size=size,
            ensemble=options.ensemble,
            wrap=options.wrap,
            strength=options.strength,
            consistent=options.consistent,
            kernel=options.kernel,
        )
        if options.uncertainty:
            _ = upscaler.judge  # refuses a model that is not calibrated, once for all files
        return upscaler

    cards = map(checkpoint.read_card, family.values())
    if options.ensemble and not options.quiet and all(_answers_alike(card) for card in cards):
        say(ALIKE)
    with claimed(plan.jobs):
        return Run(plan, options, pipes).go(prepare)


def _answers_alike(card: Card) -> bool:
    from reslift.checkpoint import order_of

    return order_of(card.recipe) == EVERY_WAY


@dataclass
class Run:
    """Works through a plan and tells about it: paths on stdout, all else on stderr."""

    plan: Plan
    options: UpscaleOptions
    pipes: Piped
    done: int = 0
    failed: int = 0
    kept: int = 0

    def go(self, prepare: Callable[[], Upscaler]) -> int:
        """Upscale every job, one failing or not, and return the exit code."""
        report, quiet = Report(self.options, self.plan, self.pipes.names), self.options.quiet
        self.kept = len(self.plan.skipped)
        for failure in self.plan.failures:
            self._fail(failure.path, failure.reason)
        self._note_unheeded()
        upscaler = prepare() if self.plan.jobs else None
        try:
            if upscaler is not None:
                self._work(upscaler, report)
        finally:
            if self.failed or not quiet:
                there = f", {self.kept} already there" if self.kept else ""
                say(f"{self.done} done, {self.failed} failed{there}")
            report.write()
        if not self.failed:
            return 0
        return SOME_FAILED if self.done + self.kept else ResliftError.exit_code

    def _work(self, upscaler: Upscaler, report: Report) -> None:
        from reslift.batch.run import Batch

        wishes, workers = self.options.wishes(), self.options.workers
        report.engine = upscaler.engine
        with progress_bar(self.plan.jobs, self.options.quiet) as advance:
            work = Batch(upscaler, self.plan, wishes, workers, advance)
            try:
                all_done = not self.plan.failures
                for outcome in work.run():
                    report.add(outcome)
                    self._tell(outcome)
                    all_done = all_done and outcome.error is None
            except BaseException:
                if work.stuck or work.close(all_done=False):
                    say("the same command again does only what is missing")
                if work.stuck:
                    report.write()
                    _end_at_once(work)
                raise
            work.close(all_done=all_done)

    def _note_unheeded(self) -> None:
        """Options that some of the files have no use for, before any work."""
        from reslift import media

        wishes = self.options.wishes()
        if self.options.quiet or wishes == media.Wishes():
            return
        kinds = dict.fromkeys(media.of(job.source) for job in self.plan.jobs)
        for note in media.unheeded(kinds, wishes):
            say(f"note: {note}")

    def _tell(self, outcome: Outcome) -> None:
        job = outcome.job
        if outcome.error is not None:
            self._fail(job.source, explain(outcome.error))
            return
        if outcome.state == "kept":
            self.kept += 1
            return
        self.done += 1
        if not self.options.quiet:
            for note in outcome.notes:
                say(f"note: {one_line(job.source)}: {one_line(note)}")
            tell(escaped(job.target))

    def _fail(self, path: Path, reason: str) -> None:
        self.failed += 1
        say(self.pipes.named(failure_line(path, reason)))


def _end_at_once(work: Batch) -> None:
    """A thread that is deep in an engine or an encoder would hold up the end of the program."""
    work.abandon()
    say("reslift: interrupted")
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(INTERRUPTED)


@contextmanager
def progress_bar(jobs: Sequence[Job], quiet: bool) -> Iterator[Advance]:
    """A bar with the time left, on stderr, where that is a terminal; calls with pixels advance it.

    Where there are clips, it counts frames too.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda pixels: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    pixels, frames = sum(job.pixels for job in jobs), sum(job.frames for job in jobs)
    counts = (TextColumn("{task.fields[count]}"),) if frames > len(jobs) else ()
    columns = BarColumn(), TaskProgressColumn(), *counts, TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()
    ) as bars:
        task = bars.add_task("upscale", total=pixels, count="")

        def advance(more: int) -> None:
            bars.advance(task, more)
            done = round(bars.tasks[task].completed * frames / max(1, pixels))
            bars.update(task, count=f"{done} of {frames} frames")

        yield advance
