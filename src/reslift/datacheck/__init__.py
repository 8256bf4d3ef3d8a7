"""What is wrong with a folder of training pictures, before anyone trains on it.

files ─► look (read whole; size, modes, JPEG, enlargement, signature) ─┐
pairs ─► size, content, place, scale of LR against HR                  ├─► Report
signatures ─► copies within and across splits, persons on both sides ──┘
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from reslift.datacheck.finding import KINDS, SEVERITIES, Finding, Report, ordered
from reslift.datacheck.layout import PairPlace, lay_out, splits_of
from reslift.datacheck.look import Look, look
from reslift.datacheck.pairs import check_pair
from reslift.datacheck.splits import Member, find_copies, find_identities
from reslift.limits import DEFAULT, Limits
from reslift.machine import usable_cores
from reslift.words import counted

__all__ = ["KINDS", "SEVERITIES", "Finding", "Report", "check_data"]

PARALLEL_FROM = 200
CHUNK = 16
T = TypeVar("T")
U = TypeVar("U")
Progress = Callable[[str, int, int], None]


def check_data(
    folder: str | Path,
    held_out: str | Path | None = None,
    *,
    workers: int = 0,
    limits: Limits = DEFAULT,
    progress: Progress = lambda what, done, total: None,
) -> Report:
    """Look at every picture of a folder, and of the split that is held out from it.

    Args:
        folder: of training pictures; with subfolders ``train`` and ``val`` or ``test`` and without
            ``held_out``, these are the splits.
        held_out: of validation or test pictures.
        workers: processes; 0 takes all cores from 200 pictures on.
        limits: sizes beyond them are unreadable.
        progress: is told what is done, how far, and of how many.

    Raises:
        InputError: a folder is absent or holds no picture.
    """
    folder = Path(folder)
    held_out = None if held_out is None else Path(held_out)
    folders = _folders(folder, held_out)
    layouts = [(split, root, lay_out(root)) for split, root in folders]
    named = [
        (path, _name(path, folder, held_out), split)
        for split, _, layout in layouts
        for path in layout.pictures
    ]
    pairs = [pair for _, _, layout in layouts for pair in layout.pairs]
    jobs = [(path, name, limits) for path, name, _ in named]
    looks = list(_done("pictures", _look, jobs, workers, progress))
    findings = [finding for one in looks for finding in one.findings]
    tasks = [
        (pair, tuple(_name(p, folder, held_out) for p in (pair.hr, pair.lr or pair.hr)), limits)
        for pair in pairs
    ]
    for found in _done("pairs", _check_pair, tasks, workers, progress):
        findings += found
    members = [Member(name, split, one) for (_, name, split), one in zip(named, looks, strict=True)]
    progress("copies", 0, 1)
    findings += find_copies(members)
    progress("copies", 1, 1)
    findings += find_identities([[p for p, _, side in named if side == s] for s in (0, 1)])
    compared = sum(pair.lr is not None for pair in pairs)
    return Report(len(named), compared, ordered(findings), _notes(looks))


def _folders(folder: Path, held_out: Path | None) -> list[tuple[int, Path]]:
    if held_out is not None:
        return [(0, folder), (1, held_out)]
    splits = splits_of(folder)
    if splits is None:
        return [(0, folder)]
    return [(0, splits[0]), *((1, one) for one in splits[1])]


def _name(path: Path, folder: Path, held_out: Path | None) -> str:
    """The path as findings give it: it starts with the name of the folder it was found in."""
    for root in (held_out, folder):
        if root is not None and path.is_relative_to(root):
            return (Path(root.resolve().name) / path.relative_to(root)).as_posix()
    return path.as_posix()


def _notes(looks: list[Look]) -> tuple[str, ...]:
    plain = sum(one.signature is not None and not one.signature.whole.any() for one in looks)
    if not plain:
        return ()
    were = "was" if plain == 1 else "were"
    text = (
        f"{counted(plain, 'picture')} without structure {were} compared with others by bytes only"
    )
    return (text,)


def _look(job: tuple[Path, str, Limits]) -> Look:
    return look(*job)


def _check_pair(job: tuple[PairPlace, tuple[str, ...], Limits]) -> list[Finding]:
    pair, names, limits = job
    if pair.lr is None or pair.missing:
        return [Finding("no-partner", names[:1], pair.missing)]
    return check_pair(pair.hr, pair.lr, pair.scale, (names[0], names[1]), limits)


def _done(
    what: str, call: Callable[[T], U], jobs: list[T], workers: int, progress: Progress
) -> Iterator[U]:
    """The answers in the order of the jobs, and progress told."""
    with _map(call, jobs, workers) as answers:
        for number, answer in enumerate(answers):
            progress(what, number + 1, len(jobs))
            yield answer


@contextmanager
def _map(call: Callable[[T], U], jobs: list[T], workers: int) -> Iterator[Iterable[U]]:
    count = workers or (usable_cores() if len(jobs) >= PARALLEL_FROM else 1)
    if count == 1 or len(jobs) < 2:
        yield map(call, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(count, len(jobs)), mp_context=context) as pool:
        yield pool.map(call, jobs, chunksize=CHUNK)
