"""What a run of `upscale` will read and write, settled and refused before any work.

Looks only at names and headers, so that a bad command fails in a moment and without torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reslift import formats, inputs, media, provenance
from reslift.batch.naming import Naming, identity, place, readable_suffixes
from reslift.errors import OutputExists, ResliftError, UsageError, one_line
from reslift.formats import place as places
from reslift.inputs import Failure, Found, Source
from reslift.limits import DEFAULT, Limits
from reslift.media.base import PLAIN
from reslift.sizes import Size
from reslift.work import frame_sides


@dataclass(frozen=True)
class Job:
    """Read `source`, write `target`; sides are (width, height) of one frame.

    beside: files that come with the result. known: files that the source is read with.
    """

    source: Path
    target: Path
    given: tuple[int, int]
    wanted: tuple[int, int]
    frames: int = 1
    beside: tuple[Path, ...] = ()
    known: tuple[Path, ...] = ()

    @property
    def written(self) -> tuple[Path, ...]:
        """All that is written for it."""
        return self.target, *self.beside

    @property
    def pixels(self) -> int:
        """Of the result, in all its frames."""
        return self.wanted[0] * self.wanted[1] * self.frames


@dataclass(frozen=True)
class Request:
    """What was asked for.

    Attributes:
        words: files, folders, patterns.
        size: how large results are.
        naming: how they are called.
        overwrite: results that exist are replaced; skip_existing: they are left, and not an error.
        limits: how large inputs and results may be.
        wishes: how results are to be written, as far as it decides what is enlarged.
    """

    words: Sequence[str]
    size: Size
    naming: Naming
    overwrite: bool = False
    skip_existing: bool = False
    limits: Limits = DEFAULT
    wishes: media.Wishes = PLAIN


@dataclass(frozen=True)
class Plan:
    """Jobs that can begin, inputs that cannot be used, jobs whose result is there and is left."""

    jobs: tuple[Job, ...]
    failures: tuple[Failure, ...] = ()
    skipped: tuple[Job, ...] = ()


def plan(request: Request, is_ours: Callable[[Job], bool] = lambda job: False) -> Plan:
    """Find the inputs, name the outputs and refuse what would lose data.

    Args:
        is_ours: whether an existing result is one of an unfinished run, so that it may be replaced.

    Raises:
        UsageError: `out` cannot be used, inputs share an output, or an output is an input.
        OutputExists: an output exists and may be neither replaced nor left.
    """
    naming = request.naming
    naming.check()
    if request.overwrite and request.skip_existing:
        raise UsageError("--overwrite and --skip-existing exclude each other")
    found = inputs.find(
        request.words,
        readable_suffixes(),
        leave_out=naming.folder,
        ending=naming.ending,
        is_meant=media.is_meant,
    )
    one_file = naming.one_file(found.lone)
    jobs, failures = [], list(found.failures)
    for source in found.sources:
        try:
            jobs.append(_job(source, request, one_file))
        except ResliftError as error:
            if found.lone and isinstance(error, UsageError):
                raise
            failures.append(Failure(source.path, one_line(error)))
    _refuse_shared(jobs)
    _refuse_inputs(jobs, found)
    there = _existing(jobs)
    if request.skip_existing:
        left = [job for job in jobs if os.path.lexists(job.target)]
        jobs = [job for job in jobs if not os.path.lexists(job.target)]
        return Plan(tuple(jobs), tuple(failures), tuple(left))
    if not request.overwrite:
        _refuse_existing([job for job in there if not (len(jobs) > 1 and is_ours(job))])
    return Plan(tuple(jobs), tuple(failures))


def _job(source: Source, request: Request, one_file: bool) -> Job:
    medium = media.of(source.path)
    if medium is not None:
        return _medium_job(medium, source, request, one_file)
    naming, limits = request.naming, request.limits
    header = formats.peek(source.path, limits)
    given = (header.width, header.height)
    wanted = request.size.of(*given)
    limits.check("output_pixels", wanted[0] * wanted[1], f"{one_line(source.path)} enlarged")
    inside = formats.result_of(naming.output_format or header.format)
    target = naming.name(source, inside.suffixes, one_file)
    suffix, others = target.suffix.lower(), [f for f in formats.FORMATS.values() if f != inside]
    if naming.output_format and any(suffix in other.suffixes for other in others):
        raise UsageError(
            f"{one_line(target)} is named as another format than --output-format "
            f"{naming.output_format}; leave one of them out"
        )
    formats.check_fits(naming.output_format or formats.format_of(target), *wanted, header)
    placing, placed = places.files(source.path, target, turned=header.turned)
    beside = _recorded(target, request.wishes)
    if request.wishes.uncertainty:
        from reslift.uncertainty import beside as maps

        beside += maps.names(target)
    return Job(source.path, target, given, wanted, beside=beside + placed, known=placing)


def _recorded(target: Path, wishes: media.Wishes) -> tuple[Path, ...]:
    return (provenance.side_file(target),) if wishes.provenance_file else ()


def _medium_job(medium: media.Medium, source: Source, request: Request, one_file: bool) -> Job:
    extent = medium.peek(source.path, request.limits, request.wishes)
    wanted = frame_sides(medium, request.size, extent, source.path)
    frame = f"{one_line(source.path)} enlarged"
    request.limits.check("output_pixels", wanted[0] * wanted[1], frame)
    endings = medium.endings(source.path, request.naming.output_format)
    target = request.naming.name(source, endings, one_file)
    medium.check_target(target, extent, wanted)
    beside = _recorded(target, request.wishes)
    if request.wishes.uncertainty:
        beside += medium.maps(target)
    given = extent.width, extent.height
    known = medium.known(source.path)
    return Job(source.path, target, given, wanted, extent.frames, beside, known)


def _refuse_shared(jobs: Sequence[Job]) -> None:
    first: dict[str, Job] = {}
    for job in jobs:
        for path in job.written:
            other = first.setdefault(place(path), job)
            if other is not job:
                raise UsageError(
                    f"{one_line(other.source)} and {one_line(job.source)} would both "
                    f"{'become' if path == job.target else 'write'} {one_line(path)}; give them "
                    "one at a time or rename one"
                )


def _refuse_inputs(jobs: Sequence[Job], found: Found) -> None:
    read = [*(source.path for source in found.sources), *(p for job in jobs for p in job.known)]
    taken = {identity(path): path for path in read}
    for job in jobs:
        for path in job.written:
            found_at = identity(path)
            if found_at is not None and found_at in taken:
                raise UsageError(
                    f"the result of {one_line(job.source)} would overwrite the input "
                    f"{one_line(taken[found_at])}; choose another place with -o"
                )


def _existing(jobs: Sequence[Job]) -> list[Job]:
    for job in jobs:
        if inputs.is_folder(job.target):
            raise UsageError(f"the output {one_line(job.target)} is a folder; choose another -o")
    return [job for job in jobs if os.path.lexists(job.target)]


def _refuse_existing(there: Sequence[Job]) -> None:
    if there:
        more = f" (and {len(there) - 1} more of the results)" if len(there) > 1 else ""
        raise OutputExists(
            f"{one_line(there[0].target)} exists{more}; nothing was done; choose another place with"
            " -o, or add --overwrite or --skip-existing"
        )
