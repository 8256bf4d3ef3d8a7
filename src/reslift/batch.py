"""What a run of `upscale` will read and write, settled and refused before any work.

Looks only at names and headers, so that a bad command fails in a moment and without torch.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reslift import formats, inputs, media
from reslift.errors import OutputExists, ResliftError, UsageError, one_line
from reslift.inputs import Failure, Found, Source
from reslift.limits import Limits

Suffixes = tuple[str, ...]
Naming = Callable[[Source, Suffixes], Path]


@dataclass(frozen=True)
class Job:
    """Read `source`, write `target`, which has `pixels` pixels in all its frames."""

    source: Path
    target: Path
    pixels: int


@dataclass(frozen=True)
class Plan:
    """Jobs that can begin, and inputs that cannot be used."""

    jobs: tuple[Job, ...]
    failures: tuple[Failure, ...]


def plan(
    words: Sequence[str], out: str | None, *, scale: int, overwrite: bool, limits: Limits
) -> Plan:
    """Find the inputs, name the outputs and refuse what would lose data.

    Args:
        words: files, folders, patterns.
        out: a file for one input, or a folder; None puts results beside their inputs.

    Raises:
        UsageError: `out` cannot be used, inputs share an output, or an output is an input.
        OutputExists: an output exists and `overwrite` is False.
    """
    folder = Path(out) if out and not _names_a_file(out) else None
    found = inputs.find(words, readable_suffixes(), leave_out=folder)
    naming = _naming(out, scale, found.lone)
    jobs, failures = [], list(found.failures)
    for source in found.sources:
        try:
            jobs.append(_job(source, naming, scale, limits))
        except ResliftError as error:
            failures.append(Failure(source.path, one_line(error)))
    _refuse_shared(jobs)
    _refuse_inputs(jobs, found)
    _refuse_existing(jobs, overwrite)
    return Plan(tuple(jobs), tuple(failures))


def readable_suffixes() -> frozenset[str]:
    """Suffixes of what `upscale` looks for in folders: still pictures and all media."""
    return formats.readable_suffixes() | media.suffixes()


def _job(source: Source, naming: Naming, scale: int, limits: Limits) -> Job:
    medium = media.of(source.path)
    if medium is not None:
        return _medium_job(medium, source, naming, scale, limits)
    header = formats.peek(source.path, limits)
    pixels = header.width * header.height * scale**2
    limits.check("output_pixels", pixels, f"{one_line(source.path)} enlarged")
    target = naming(source, formats.FORMATS[header.format].suffixes)
    into = formats.format_of(target)
    formats.check_fits(into, header.width * scale, header.height * scale, header)
    return Job(source.path, target, pixels)


def _medium_job(
    medium: media.Medium, source: Source, naming: Naming, scale: int, limits: Limits
) -> Job:
    extent = medium.peek(source.path, limits)
    frame = extent.width * extent.height * scale**2
    limits.check("output_pixels", frame, f"{one_line(source.path)} enlarged")
    target = naming(source, medium.suffixes)
    medium.check_target(target, extent, scale)
    return Job(source.path, target, extent.pixels * scale**2)


def _names_a_file(out: str) -> bool:
    return (
        out[-1:] not in ("/", os.sep) and not inputs.is_folder(Path(out)) and bool(Path(out).suffix)
    )


def _naming(out: str | None, scale: int, lone: bool) -> Naming:
    """How outputs are called: beside the input, one given file, or kept names in a folder."""
    if out is None:
        return lambda source, suffixes: _beside(_suited(source.path, suffixes), scale)
    if not out:
        raise UsageError("-o with an empty name; name a file or a folder")
    path = Path(out)
    is_there = _identity(path) is not None and not inputs.is_folder(path)
    as_file = _names_a_file(out) or is_there
    if lone and as_file:
        _known_suffix(path)
        return lambda source, suffixes: path
    if is_there or (as_file and path.suffix.lower() in readable_suffixes()):
        raise UsageError(
            f"-o {one_line(out)} names a file, but the input is a folder or several files; "
            "name a folder for the results"
        )
    return lambda source, suffixes: path / _suited(source.kept, suffixes)


def _known_suffix(path: Path) -> None:
    if path.suffix.lower() in media.suffixes():
        return
    try:
        formats.format_of(path)
    except UsageError as error:
        raise UsageError(f"-o {one_line(error)}; for a folder, end the name with /") from None


def _suited(path: Path, suffixes: Suffixes) -> Path:
    """`path`, with another suffix where its own is not one of the format inside."""
    if path.suffix.lower() in suffixes:
        return path
    if path.suffix.lower() in readable_suffixes():
        return path.with_suffix(suffixes[0])
    return path.with_name(path.name + suffixes[0])


def _beside(path: Path, scale: int) -> Path:
    return path.with_name(f"{path.stem}-x{scale}{path.suffix}")


def _refuse_shared(jobs: Sequence[Job]) -> None:
    first: dict[str, Job] = {}
    for job in jobs:
        other = first.setdefault(_place(job.target), job)
        if other is not job:
            raise UsageError(
                f"{one_line(other.source)} and {one_line(job.source)} would both become "
                f"{one_line(job.target)}; give them one at a time or rename one"
            )


def _place(target: Path) -> str:
    """The same text for every way to write the same file, on a system that ignores case too."""
    parent = os.path.realpath(target.parent)
    place = os.path.join(parent, target.name)  # noqa: PTH118
    if ignores_case(Path(parent)):
        return unicodedata.normalize("NFC", place).casefold()
    return place


def ignores_case(folder: Path) -> bool:
    """Whether the file system of `folder` (or its nearest existing parent) ignores case."""
    for place in (folder, *folder.parents):
        swapped = place.with_name(place.name.swapcase()) if place.name else place
        if swapped != place and _identity(place) is not None:
            return _identity(place) == _identity(swapped)
    return os.name == "nt"


def _refuse_inputs(jobs: Sequence[Job], found: Found) -> None:
    taken = {_identity(source.path): source.path for source in found.sources}
    for job in jobs:
        identity = _identity(job.target)
        if identity is not None and identity in taken:
            raise UsageError(
                f"the result of {one_line(job.source)} would overwrite the input "
                f"{one_line(taken[identity])}; choose another place with -o"
            )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _refuse_existing(jobs: Sequence[Job], overwrite: bool) -> None:
    for job in jobs:
        if inputs.is_folder(job.target):
            raise UsageError(f"the output {one_line(job.target)} is a folder; choose another -o")
    there = [job.target for job in jobs if os.path.lexists(job.target)]
    if there and not overwrite:
        more = f" (and {len(there) - 1} more of the results)" if len(there) > 1 else ""
        raise OutputExists(
            f"{one_line(there[0])} exists{more}; nothing was done; choose another place with -o "
            "or add --overwrite"
        )
