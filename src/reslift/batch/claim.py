"""Keeping runs apart: no two of them make the same result at the same time.

::

    run ──► a file in each folder of results that names them, and the first of these files,
            which is locked while the run lasts: one lock, however many folders there are
                 └── what a killed process leaves names one that is not locked, and claims nothing
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from reslift.batch.naming import place
from reslift.batch.plan import Job
from reslift.errors import UsageError, one_line
from reslift.files import part_name

ENDING = ".claim"
TRIES, PAUSE = 100, 0.02
"""How often, and seconds apart: looking takes others some milliseconds."""


@contextmanager
def claimed(jobs: Sequence[Job]) -> Iterator[None]:
    """Nobody else makes the results of `jobs` meanwhile, where the system has locks to tell.

    Raises UsageError, before any work, where another run is making one of them.
    """
    folders: dict[Path, dict[str, Path]] = {}
    for job in jobs:
        names = folders.setdefault(Path(os.path.realpath(job.target.parent)), {})
        names.update({place(path): path for path in job.written})
    first: Path | None = None
    with ExitStack() as held:
        for folder, names in folders.items():
            with contextlib.suppress(OSError):  # Work itself says what is wrong with the folder.
                first = _claim(folder, names, first, held)
        yield


def _claim(
    folder: Path, names: dict[str, Path], first: Path | None, held: ExitStack
) -> Path | None:
    """Claim the names in this folder; gives the file that is locked: `first`, or its own."""
    try:
        import fcntl
    except ImportError:
        return None
    _make(folder, held)
    looking = os.open(folder, os.O_RDONLY)
    try:
        _wait_for(looking)  # Of two that begin at once, one looks first.
        for path in folder.glob(f".reslift-*.part{ENDING}"):
            _refuse(names, _taken(path), path)
        own = folder / part_name(ENDING)
        with ExitStack() as opened:
            file = opened.enter_context(own.open("x", encoding="ascii"))
            held.callback(own.unlink, missing_ok=True)
            json.dump({"locked": str(first or own), "names": list(names)}, file)
            file.flush()
            if first is None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held.push(opened.pop_all())
        return first or own
    finally:
        os.close(looking)


def _wait_for(folder: int) -> None:
    """Lock an open folder; BlockingIOError where it stays locked, as that of a training does."""
    import fcntl

    for _ in range(TRIES):
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(PAUSE)
    raise BlockingIOError


def _make(folder: Path, held: ExitStack) -> None:
    """The folder and those above it; what is still empty at the end goes again."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)

    def remove() -> None:
        with contextlib.suppress(OSError):
            for path in missing:
                path.rmdir()

    held.callback(remove)


def _taken(path: Path) -> list[str]:
    """What the claim in this file is on; nothing, and the file goes, where its run is over."""
    try:
        told = json.loads(path.read_text(encoding="ascii"))
        if not _is_over(Path(told["locked"])):
            return [str(name) for name in told["names"]]
    except OSError:
        return []
    except (ValueError, KeyError, TypeError):
        pass  # A run that was killed while it wrote; the folder is locked while others write.
    path.unlink(missing_ok=True)
    return []


def _is_over(locked: Path) -> bool:
    import fcntl

    try:
        with locked.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # Others may look at once.
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _refuse(names: dict[str, Path], taken: Sequence[str], claim: Path) -> None:
    common = [names[name] for name in taken if name in names]
    if common:
        more = f" (and {len(common) - 1} more of the results)" if len(common) > 1 else ""
        raise UsageError(
            f"another run, process {claim.name.split('-')[2]}, is making {one_line(common[0])}"
            f"{more}; nothing was done; wait for its end, or choose another place with -o"
        )
