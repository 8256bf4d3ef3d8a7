"""Writing a file so that its name never stands for half of it; where the own files lie."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import secrets
import socket
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from reslift.errors import InputError, OutputError, OutputExists, UsageError, one_line

CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF}
_GROUP: ContextVar[list[tuple[Path, Path, bool]] | None] = ContextVar("_GROUP", default=None)
"""Whole files that wait for others before they get their names: temporary, name, overwrite."""


@contextmanager
def atomic_write(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path to write to; on leaving, its content appears at `path`, whole.

    The temporary file lies in the folder of `path` (made where there is none, and gone again where
    nothing came of it), has a hidden name and the suffix of `path`. It is flushed to the disk
    before it is renamed. On any exception, KeyboardInterrupt included, it is removed and what was
    at `path` is untouched. Without `overwrite`, a file that appears at `path` meanwhile is kept.

    Raises OutputExists if `path` exists and `overwrite` is False; OutputError if the file cannot be
    written: no folder can be made, read-only, disk full, or `path` is a folder or a device.
    """
    path = Path(path)
    check_target(path, overwrite=overwrite)
    temporary, group = path.with_name(part_name(path.suffix)), _GROUP.get()
    waits, new = False, _absent(path.parent)
    try:
        if new:
            make_folder(path.parent)
        with _own_errors(path):
            _create(temporary, like=path)
        try:
            yield temporary
        except OSError as error:
            if error.errno in CANNOT_WRITE:
                raise _output_error(path, error) from error
            raise
        with _own_errors(path):
            _flush(temporary)
        if group is None:
            _place(temporary, path, overwrite)
        else:
            group.append((temporary, path, overwrite))
            waits = True
    finally:
        if not waits:
            with contextlib.suppress(OSError):
                temporary.unlink()
            _drop_empty(new)


@contextmanager
def together() -> Iterator[list[Path]]:
    """What `atomic_write` writes in here appears at the end only, once all of it is whole.

    In the order in which it was written; on any exception none appears that has not yet. Yields
    the paths that have appeared. Raises what `atomic_write` raises for each.
    """
    group: list[tuple[Path, Path, bool]] = []
    placed: list[Path] = []
    token = _GROUP.set(group)
    try:
        try:
            yield placed
        finally:
            _GROUP.reset(token)
        for temporary, path, overwrite in group:
            _place(temporary, path, overwrite)
            placed.append(path)
    finally:
        for temporary, _, _ in group:
            with contextlib.suppress(OSError):
                temporary.unlink()


def part_name(suffix: str) -> str:
    """A hidden name for a file in the making; `sweep` knows whose it was."""
    return f".reslift-{_machine()}-{os.getpid()}-{secrets.token_hex(8)}.part{suffix}"


def check_target(path: Path, *, overwrite: bool = False) -> None:
    """Raise, before any work, what `atomic_write` would raise for `path` as things stand now."""
    with _own_errors(path):
        if _absent(path.parent):
            try_folder(path.parent)
            return
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if not os.path.lexists(path):
            return
        mode = path.stat().st_mode if path.exists() else stat.S_IFREG
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise OutputError(f"{one_line(path)} is {kind}; name a file to write to")
    if not overwrite:
        raise _exists(path)


def make_folder(folder: Path) -> None:
    """The folder and those above it; OutputError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make the folder {one_line(folder)}: {error.strerror or repr(error)}; "
            "choose another place with -o"
        ) from error


def try_folder(folder: Path) -> None:
    """Raise, before any work, what `make_folder` would raise; nothing new is left behind."""
    new = _absent(folder)
    try:
        make_folder(folder)
    finally:
        _drop_empty(new)


def _absent(folder: Path) -> list[Path]:
    """It and those above it that do not exist, innermost first."""
    return [place for place in (folder, *folder.parents) if not os.path.lexists(place)]


def _drop_empty(folders: list[Path]) -> None:
    for place in folders:
        with contextlib.suppress(OSError):
            place.rmdir()


def check_not_input(target: Path, *inputs: Path | None) -> None:
    """Raise UsageError where `target` is one of `inputs`, under whatever name: they are kept."""
    for path in inputs:
        with contextlib.suppress(OSError, ValueError):
            if path is not None and target.samefile(path):
                raise UsageError(
                    f"{one_line(target)} would overwrite the input {one_line(path)}; "
                    "name another output"
                )


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for what is only passed on; it goes at the end, with all that is in it.

    Raises OutputError if it cannot be made, or has no room for what is written into it.
    """
    import tempfile

    place: Path | None = None
    try:
        with tempfile.TemporaryDirectory(prefix="reslift-") as name:
            place = Path(name)
            yield place
    except OSError as error:
        if place is not None and error.errno not in CANNOT_WRITE:
            raise
        what = f"write into {one_line(place)}" if place else "make a temporary folder"
        why = one_line(error.strerror or error)
        raise OutputError(f"cannot {what}: {why}; let TMPDIR name a folder with room") from error


def sweep(folder: Path, process: int | None = None) -> None:
    """Remove what killed processes of this machine left of files they wrote into `folder`.

    process: remove what this one is writing instead, dead or not. Raises nothing.
    """
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        for path in folder.glob(f".reslift-{_machine()}-*.part*"):
            match = re.fullmatch(r"\.reslift-[0-9a-f]{8}-(\d+)-[0-9a-f]{16}\.part.*", path.name)
            if match is not None and _is_over(int(match[1]), process):
                path.unlink(missing_ok=True)


@contextmanager
def alone(folder: Path, doing: str) -> Iterator[None]:
    """Make the folder, and keep other processes of this machine that ask so out of it meanwhile.

    What killed ones left of files is removed. A lock goes with its process, however that ends;
    where the system has none for folders (Windows, some network disks) nobody is kept out.

    Raises OutputError if the folder cannot be made, or another process is ``doing`` it there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _locked(folder)
    except BlockingIOError as error:
        raise OutputError(
            f"{one_line(folder)}: another process is {doing} there; wait for it, or name another "
            "folder"
        ) from error
    except OSError as error:
        why = one_line(error.strerror or error)
        raise OutputError(f"cannot make {one_line(folder)}: {why}") from error
    try:
        sweep(folder)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _locked(folder: Path) -> int | None:
    """A handle on the folder that holds its lock; None where there are no such locks."""
    try:
        import fcntl
    except ImportError:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return handle


def _is_over(owner: int, process: int | None) -> bool:
    if process is not None:
        return owner == process
    try:
        os.kill(owner, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


@functools.cache
def _machine() -> str:
    """Tells machines apart that share a folder: a process number means nothing elsewhere."""
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _create(temporary: Path, like: Path) -> None:
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    if like.exists():
        temporary.chmod(stat.S_IMODE(like.stat().st_mode) | stat.S_IWUSR)


def _place(temporary: Path, path: Path, overwrite: bool) -> None:
    with _own_errors(path):
        if overwrite:
            os.replace(temporary, path)
        else:
            _rename_exclusively(temporary, path)
        _flush_folder(path.parent)


def _flush(temporary: Path) -> None:
    with open(temporary, "rb+") as handle:
        os.fsync(handle.fileno())


def _rename_exclusively(temporary: Path, path: Path) -> None:
    try:
        if os.name == "nt":
            os.rename(temporary, path)
        else:
            os.link(temporary, path)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        if os.path.lexists(path):
            raise _exists(path) from None
        os.replace(temporary, path)


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise


@contextmanager
def _own_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _output_error(path, error) from error


def _output_error(path: Path, error: OSError) -> OutputError:
    advice = {
        errno.ENOSPC: "free some space or choose another disk",
        errno.EDQUOT: "free some space or choose another disk",
        errno.ENOTDIR: "choose a folder",
        errno.ENAMETOOLONG: "choose a shorter name",
    }.get(error.errno or 0, "choose a place that can be written to")
    return OutputError(f"cannot write {one_line(path)}: {error.strerror or repr(error)}; {advice}")


def _exists(path: Path) -> OutputExists:
    return OutputExists(f"{one_line(path)} exists; name another output or add --overwrite")


def recipes_folder() -> Path:
    """Where the recipes of this installation are: in the package, or beside `src` in a checkout."""
    here = Path(__file__).resolve().parent
    for folder in (here / "recipes", here.parents[1] / "recipes"):
        if folder.is_dir():
            return folder
    raise InputError(f"{one_line(here / 'recipes')} is missing; install reslift again")


def cache_folder() -> Path:
    """Where what can be made again is kept: it may be deleted at any time, and is not made here.

    ``$RESLIFT_CACHE``, else ``reslift`` in ``$XDG_CACHE_HOME`` or ``~/.cache``. A user without a
    home, as containers have them, gets a place that is none, so that nothing is kept.
    """
    if own := os.environ.get("RESLIFT_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "reslift"
    except RuntimeError:
        return Path(os.devnull) / "reslift"
