"""`reslift upscale`: plan and refuse without torch, then read, upscale and write file by file."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reslift.cli import explain, tell
from reslift.errors import ResliftError, UsageError, escaped, one_line
from reslift.limits import DEFAULT, Limits, parse_amount

if TYPE_CHECKING:
    from reslift.batch import Job, Plan
    from reslift.upscale import Upscaler

DEFAULT_SCALE = 4
SOME_FAILED = 3
Advance = Callable[[int], None]


def command(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT…", help="Image files, folders, patterns like *.png."),
    ],
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="File for one input, else folder [default: NAME-x4.EXT]."),
    ] = None,
    scale: Annotated[
        int | None, typer.Option(help="2, 3 or 4 [default: 4, or what --model is for].")
    ] = None,
    model: Annotated[str, typer.Option(help="Name (`reslift models`) or file.")] = "lift-base",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    backend: Annotated[
        str, typer.Option(help="auto, openvino, onnxruntime or torch: the same result.")
    ] = "auto",
    tile: Annotated[
        int | None, typer.Option(help="Input pixels a side held at once; same result.")
    ] = None,
    max_memory: Annotated[
        str | None, typer.Option(help="What the program may use, like 2G; same result.")
    ] = None,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG and WebP.")] = 95,
    overwrite: Annotated[bool, typer.Option(help="Replace outputs that exist.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    max_input_pixels: Annotated[
        str | None, typer.Option(help="Largest input [default: 100M].")
    ] = None,
    max_output_pixels: Annotated[
        str | None, typer.Option(help="Largest result [default: 1G].")
    ] = None,
    max_file_bytes: Annotated[
        str | None, typer.Option(help="Largest input file [default: 1GiB].")
    ] = None,
    max_frames: Annotated[
        str | None, typer.Option(help="Longest animation [default: 2000].")
    ] = None,
    max_decode_seconds: Annotated[
        str | None, typer.Option(help="Longest decoding [default: 60].")
    ] = None,
) -> int:
    """Make pictures 2, 3 or 4 times larger.

    Prints the path of each result: NAME-x4.EXT beside the input, or where -o says.
    """
    from reslift import batch, checkpoint

    limits = _limits(
        input_pixels=max_input_pixels,
        output_pixels=max_output_pixels,
        file_bytes=max_file_bytes,
        frames=max_frames,
        decode_seconds=max_decode_seconds,
    )
    card = checkpoint.read_card(checkpoint.resolve(model, scale or DEFAULT_SCALE))
    if scale not in (None, card.scale):
        raise UsageError(f"--scale {scale}: the model {one_line(model)} has scale {card.scale}")
    memory = None if max_memory is None else parse_amount(max_memory, "--max-memory")
    plan = batch.plan(inputs, out, scale=card.scale, overwrite=overwrite, limits=limits)

    def prepare() -> Upscaler:
        from reslift import machine
        from reslift.upscale import load

        if memory is None:
            machine.keep_memory()
        return load(
            model,
            scale,
            device=device,
            tile=tile,
            max_memory=memory,
            limits=limits,
            backend=backend,
        )

    return Run(plan, quality, overwrite, quiet).go(prepare)


@dataclass
class Run:
    """Works through a plan and tells about it: paths on stdout, all else on stderr."""

    plan: Plan
    quality: int
    overwrite: bool
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
            notes = upscaler.upscale_file(
                job.source,
                job.target,
                quality=self.quality,
                overwrite=self.overwrite,
                progress=progress,
            )
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


def _limits(**texts: str | None) -> Limits:
    amounts = {
        name: None if text is None else parse_amount(text, Limits.option(name))
        for name, text in texts.items()
    }
    return DEFAULT.changed(**amounts)
