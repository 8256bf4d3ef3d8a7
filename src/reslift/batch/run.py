"""Working through a plan: jobs read, enlarged and written, noted in a journal, told in order."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from reslift import __version__, files
from reslift.batch.journal import Journal
from reslift.batch.overlap import Overlap, Stages
from reslift.batch.plan import Job, Plan
from reslift.errors import OutputError, OutputExists
from reslift.media import Wishes

if TYPE_CHECKING:
    from reslift.upscale import Upscaler
    from reslift.work import Work

State = Literal["done", "kept", "failed"]


@dataclass
class Outcome:
    """What became of a job.

    state: "kept" is a result that was there already, whole and of this very input and settings.
    seconds: that it took, waiting for other jobs not counted.
    """

    job: Job
    state: State = "failed"
    notes: tuple[str, ...] = ()
    error: Exception | None = None
    seconds: float = 0.0
    work: Work | None = field(default=None, repr=False)
    told: int = 0


@dataclass
class Batch:
    """Runs the jobs of a plan; several have a journal, which says what an earlier run has done.

    Attributes:
        upscaler: whose engine is used by one thread at a time.
        plan: from `batch.plan`.
        wishes: how results are written.
        workers: threads that write; 0 overlaps nothing.
        advance: called with output pixels that are finished, from several threads.
    """

    upscaler: Upscaler
    plan: Plan
    wishes: Wishes
    workers: int = 1
    advance: Callable[[int], None] = lambda pixels: None

    def __post_init__(self) -> None:
        self._resumable = len(self.plan.jobs) + len(self.plan.failures) > 1
        wishes = replace(self.wishes, overwrite=False)
        self._journal = Journal(repr((__version__, self.upscaler.identity, wishes)))
        stages = Stages(self._read, self._enlarge, self._write, self._close)
        self._overlap = Overlap(stages, self.workers)
        for folder in {job.target.parent for job in self.plan.jobs}:
            files.sweep(folder)

    @property
    def stuck(self) -> bool:
        """After an interrupt: a thread is still in the engine or in an encoder."""
        return self._overlap.stuck

    def run(self) -> Iterator[Outcome]:
        """What became of each job, in the order of the plan; one that fails stops no other."""
        for outcome, error in self._overlap.run([Outcome(job) for job in self.plan.jobs]):
            outcome.error = error
            if error is not None:
                outcome.state = "failed"
            self.advance(outcome.job.pixels - outcome.told)
            yield outcome

    def close(self, all_done: bool) -> bool:
        """Forget the journal of a batch that is through; returns whether one stays."""
        return self._resumable and self._journal.close(self.plan.jobs, all_done)

    def abandon(self) -> None:
        """Remove what threads that are stuck were writing; to be followed by the process's end."""
        for folder in {job.target.parent for job in self.plan.jobs}:
            files.sweep(folder, os.getpid())

    def _read(self, outcome: Outcome) -> None:
        started, job = time.perf_counter(), outcome.job
        wishes = self.wishes
        if self._resumable:
            if self._journal.is_done(job):
                outcome.state = "kept"
                return
            if self._journal.is_ours(job):
                wishes = replace(wishes, overwrite=True)
            files.make_folder(job.target.parent)
            self._journal.begin(job)
        outcome.work = self.upscaler.work(job.source, job.target, wishes)
        outcome.work.read()
        outcome.seconds += time.perf_counter() - started

    def _enlarge(self, outcome: Outcome) -> None:
        if outcome.work is None:
            return
        started = time.perf_counter()

        def progress(pixels: int) -> None:
            self._overlap.stop.check()
            outcome.told += pixels
            self.advance(pixels)

        with _others_kept(outcome.work):
            outcome.work.enlarge(progress)
        outcome.seconds += time.perf_counter() - started

    def _write(self, outcome: Outcome) -> None:
        if outcome.work is None:
            return
        started = time.perf_counter()
        stretched = () if outcome.work.keeps_shape else self._size_notes(outcome.job)
        with _others_kept(outcome.work):
            outcome.notes = (*outcome.work.write(), *stretched)
        if self._resumable:
            self._journal.finish(outcome.job)
        outcome.state = "done"
        outcome.seconds += time.perf_counter() - started

    def _size_notes(self, job: Job) -> tuple[str, ...]:
        size, notes = self.upscaler.size, []
        before, after = (f"{width}x{height}" for width, height in (job.given, job.wanted))
        if size.stretches(*job.given):
            notes.append(f"its shape is changed, {before} to {after}")
        if size.crop is not None:
            box = size.box(*job.given)
            if (box.width, box.height) != size.crop[2:]:
                notes.append(
                    f"--crop goes beyond its {before} pixels: cut to {box.width}x{box.height}"
                )
        return tuple(notes)

    def _close(self, outcome: Outcome) -> None:
        work, outcome.work = outcome.work, None
        if work is None:
            return
        if self._resumable and work.placed and outcome.state != "done":
            # Begun once more, the result is known as ours that lacks what stands beside it.
            with contextlib.suppress(OutputError):
                self._journal.begin(outcome.job)
        work.close()


@contextlib.contextmanager
def _others_kept(work: Work) -> Iterator[None]:
    """Who takes a name beside a result meanwhile is not to be overwritten by the next run."""
    try:
        yield
    except OutputExists:
        work.placed = False
        raise
