"""What an unfinished batch has done, in a small file beside its results: `.reslift-journal`.

A line is written before a result appears and one after it, so that after a kill at any moment it is
known whose a file is. A result is done when input, settings and the file itself are the ones that
the journal names. The file goes when all is done.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from reslift.batch.plan import Job
from reslift.errors import OutputError, one_line
from reslift.files import atomic_write

NAME = ".reslift-journal"
CHUNK = 2**20
Stat = tuple[int, int]


@dataclass(frozen=True)
class Entry:
    """One result.

    Attributes:
        made_of: digest of its input, of what that is read with, and of all settings.
        before: size and time of what was under its name before; None for nothing.
        after: of the result; None while it is not known to be there.
        own: what was there before is a result of an unfinished run too, of other input or settings.
    """

    made_of: str
    before: Stat | None
    after: Stat | None = None
    own: bool = False

    def is_there(self, now: Stat | None) -> bool:
        """Whether the file of this size and time is the result."""
        return now is not None and (now == self.after if self.after else now != self.before)


class Journal:
    """The journals of all folders that a batch writes to.

    Args:
        settings: a digest of all that decides the bytes of a result, but its input and what that
            is read with; "" where only `is_ours` is asked.
    """

    def __init__(self, settings: str = "") -> None:
        self._settings = settings
        self._folders: dict[Path, dict[str, Entry]] = {}
        self._lock = threading.Lock()

    def is_ours(self, job: Job) -> bool:
        """Whether the file under the name of the result is one that an unfinished run put there."""
        entry, now = self._entry(job), _stat(job.target)
        if entry is None or now is None:
            return False
        return entry.is_there(now) or (entry.own and now == entry.before)

    def is_done(self, job: Job) -> bool:
        """Whether it is, and of this very input, with these settings, and all beside it too."""
        entry = self._entry(job)
        if entry is None or not entry.is_there(_stat(job.target)):
            return False
        # What stands beside a result follows it: without a second line it may be lacking.
        whole = not job.beside or entry.after is not None
        return whole and entry.made_of == self._made_of(job)

    def begin(self, job: Job) -> None:
        """To be called before the result can appear; OutputError where it cannot be noted."""
        own = self.is_ours(job)
        self._note(job, Entry(self._made_of(job), _stat(job.target), own=own))

    def finish(self, job: Job) -> None:
        """To be called once the result is there."""
        entry = self._entry(job)
        if entry is not None:
            self._note(job, replace(entry, after=_stat(job.target)))

    def close(self, jobs: Sequence[Job], all_done: bool) -> bool:
        """Forget what is finished; returns whether something stays, for the next run.

        Journals without a finished result go in any case.
        """
        stays = False
        for folder in {job.target.parent for job in jobs}:
            ours = {job.target.name for job in jobs if job.target.parent == folder}
            # What is not known was begun by a run beside this one.
            known = {*self._entries(folder), *ours}
            gone = ours if all_done else set[str]()
            with contextlib.suppress(OSError, OutputError):
                stays = bool(ours & _rewrite(folder / NAME, gone, known)) or stays
        return stays

    def _made_of(self, job: Job) -> str:
        digest = hashlib.sha256(self._settings.encode())
        for path in (job.source, *job.known):
            if path != job.source:
                digest.update(f"\0{path.name}\0".encode(errors="surrogateescape"))
            with contextlib.suppress(OSError), path.open("rb") as file:
                while piece := file.read(CHUNK):
                    digest.update(piece)
        return digest.hexdigest()

    def _entry(self, job: Job) -> Entry | None:
        return self._entries(job.target.parent).get(job.target.name)

    def _entries(self, folder: Path) -> dict[str, Entry]:
        with self._lock:
            if folder not in self._folders:
                self._folders[folder] = dict(_lines(folder / NAME))
            return self._folders[folder]

    def _note(self, job: Job, entry: Entry) -> None:
        self._entries(job.target.parent)[job.target.name] = entry
        line = json.dumps({"name": job.target.name, **asdict(entry)}).encode() + b"\n"
        path = job.target.parent / NAME
        try:
            with self._lock, _locked(path, "ab") as file:
                # What a kill left of a line is closed, so that it spoils no other.
                file.write(line if _ends_a_line(path) else b"\n" + line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            why = error.strerror or repr(error)
            raise OutputError(f"cannot write {one_line(path)}: {why}") from error


def _stat(path: Path) -> Stat | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def _lines(path: Path) -> Iterator[tuple[str, Entry]]:
    """Name and entry of each whole line; the last of a name is the one that counts."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            found: dict[str, Any] = json.loads(line)
            name, before, after = found.pop("name"), found["before"], found["after"]
            times = {"before": before and tuple(before), "after": after and tuple(after)}
            yield name, Entry(**{**found, **times})


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _rewrite(path: Path, gone: set[str], known: set[str]) -> set[str]:
    """Leave what is not gone, of what is known only results; gives the names that stay."""
    if not path.exists():
        return set()
    # Windows neither has such locks nor replaces a file that is open.
    with contextlib.nullcontext() if os.name == "nt" else _locked(path, "rb"):
        entries = {
            name: entry
            for name, entry in dict(_lines(path)).items()
            if name not in gone and (entry.after or entry.own or name not in known)
        }
        if not entries:
            path.unlink()
            return set()
        with atomic_write(path, overwrite=True) as temporary:
            lines = [json.dumps({"name": name, **asdict(one)}) for name, one in entries.items()]
            temporary.write_text("\n".join(lines) + "\n", encoding="ascii")
        return set(entries)


@contextlib.contextmanager
def _locked(path: Path, mode: str) -> Iterator[IO[Any]]:
    """The open file, while no other process reads or writes it, where the system can tell."""
    while True:
        with path.open(mode) as file:
            if _is_alone(file, path):
                yield file
                return


def _is_alone(file: IO[Any], path: Path) -> bool:
    """Waits for others; whether the file still is the one of that name, and not replaced by one."""
    try:
        import fcntl
    except ImportError:
        return True
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX)
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
