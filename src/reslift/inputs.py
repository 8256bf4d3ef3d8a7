"""From the words on the command line to the files they stand for: files, folders, patterns."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

RESULT = r"-x[1-9]\d*(\.\d+)?(-crop)?"
MAP = ".uncertainty"


@dataclass(frozen=True)
class Source:
    """A file to read, and the name it keeps under an output folder (with its subfolders)."""

    path: Path
    kept: Path


@dataclass(frozen=True)
class Failure:
    """An input that cannot be used, and why."""

    path: Path
    reason: str


@dataclass
class Found:
    """What the words stand for. `lone`: they name a single file, which may be missing."""

    sources: list[Source] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    lone: bool = False


@dataclass(frozen=True)
class Scan:
    """What a scan looks for: `suffixes`, lower case with dot; not in `leave_out`; no results.

    ending: what names of results end with, beside ``-x4``, ``-x1.7`` and ``-x2-crop``.
    is_meant: looks into a file whose name has no suffix, or a number for one.
    """

    suffixes: frozenset[str]
    leave_out: Path | None = None
    ending: str = ""
    is_meant: Callable[[Path], bool] = lambda path: False

    def wants(self, path: Path) -> bool:
        """Whether a scan takes this file."""
        if _says_nothing(path):
            return self.is_meant(path)
        return suffix_of(path) in self.suffixes

    def is_result(self, path: Path, stems: Iterable[str]) -> bool:
        """Whether `path` is named as the result of a file with one of these stems, or a map."""
        if stem_of(path).endswith(MAP):
            return True
        own = f"|{re.escape(self.ending)}" if self.ending else ""
        match = re.fullmatch(f"(?P<source>.+)({RESULT}{own})", stem_of(path), re.DOTALL)
        return match is not None and match["source"] in stems


def find(
    words: Sequence[str],
    suffixes: frozenset[str],
    leave_out: Path | None = None,
    ending: str = "",
    is_meant: Callable[[Path], bool] = lambda path: False,
) -> Found:
    """The files that `words` stand for, each once, in the order given and sorted within a folder.

    A word that exists is taken as it is, else as a pattern. Folders are scanned with their
    subfolders for the given suffixes (lower case, with dot); hidden entries, `leave_out`, links to
    folders and earlier results (``NAME-x4.png`` beside ``NAME.png``) are passed over. Files whose
    name says nothing of their kind are taken where `is_meant`.
    """
    found, seen, scan = Found(), set(), Scan(suffixes, leave_out, ending, is_meant)
    for word in words:
        part = _one(word, scan)
        found.lone = part.lone and len(words) == 1
        found.failures += part.failures
        for source in part.sources:
            place = os.path.abspath(source.path)  # noqa: PTH100  (resolve would follow links)
            if place not in seen:
                seen.add(place)
                found.sources.append(source)
    return found


def _one(word: str, scan: Scan) -> Found:
    path = Path(word)
    if not word:
        return Found(failures=[Failure(path, "an empty name; give a file, a folder or a pattern")])
    if is_folder(path):
        return _scan(path, scan, named_as_folder=word[-1] in ("/", os.sep))
    try:
        path.lstat()
    except OSError as error:
        if glob.has_magic(word):
            return _expand(word, scan)
        missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
        why = "there is no such file or folder" if missing else error.strerror or repr(error)
        return Found(failures=[Failure(path, why)], lone=True)
    return Found([Source(path, Path(path.name))], lone=True)


def suffix_of(path: Path) -> str:
    """Lower case with its dot; that of a packed file is double, ``.nii.gz``."""
    packed = path.suffix.lower() == ".gz"
    return "".join(path.suffixes[-2:] if packed else path.suffixes[-1:]).lower()


def stem_of(path: Path) -> str:
    """The name without `suffix_of`; all of a name whose last part is a number."""
    return path.name if _says_nothing(path) else path.name[: len(path.name) - len(suffix_of(path))]


def _says_nothing(path: Path) -> bool:
    """No suffix, or the last part of a UID that looks like one."""
    return not path.suffix or path.suffix[1:].isdecimal()


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder, or a link to one, that can be seen; raises nothing."""
    return os.path.isdir(path)  # noqa: PTH112  (Path.is_dir raises where a parent is locked)


def _expand(pattern: str, scan: Scan) -> Found:
    matches = [Path(m) for m in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
    files = [match for match in matches if not is_folder(match)]
    stems: dict[Path, set[str]] = {}
    for file in files:
        stems.setdefault(file.parent, set()).add(stem_of(file))
    found, root = Found(), _fixed_part(pattern)
    if "**" in pattern:
        matches = [m for m in matches if not any(_same(p, scan.leave_out) for p in _below(root, m))]
    for match in matches:
        if is_folder(match):
            part = _scan(match, scan) if "**" not in pattern else Found()
            found.sources += part.sources
            found.failures += part.failures
        elif not scan.is_result(match, stems[match.parent]):
            found.sources.append(Source(match, match.relative_to(root)))
    if not found.sources and not found.failures:
        found.failures.append(Failure(Path(pattern), "no file fits this pattern"))
    found.lone = len(matches) == 1 and len(files) == 1
    return found


def _fixed_part(pattern: str) -> Path:
    """The folder before the first wildcard; below it, results mirror the subfolders."""
    parts = Path(pattern).parts
    free = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:free])


def _below(root: Path, path: Path) -> list[Path]:
    """The folders between `root` and `path`."""
    return [parent for parent in path.parents if root in parent.parents]


def _scan(root: Path, scan: Scan, named_as_folder: bool = False) -> Found:
    found, likely_meant, suffixes = Found(), [], scan.suffixes
    if root.suffix.lower() in suffixes and not named_as_folder:
        likely_meant.append(root)
    for place, folders, files in os.walk(root, onerror=lambda e: _unreadable(found, e)):
        folder = Path(place)
        inner = (n for n in folders if n[0] != "." and not _same(folder / n, scan.leave_out))
        folders[:] = sorted(inner)
        likely_meant += [folder / n for n in folders if Path(n).suffix.lower() in suffixes]
        names = [Path(n) for n in sorted(files) if n[0] != "."]
        names = [name for name in names if scan.wants(folder / name)]
        stems = {stem_of(name) for name in names}
        found.sources += [
            Source(folder / name, (folder / name).relative_to(root))
            for name in names
            if not scan.is_result(name, stems)
        ]
    for folder in likely_meant:
        if not any(folder in source.path.parents for source in found.sources):
            found.failures.append(Failure(folder, "this is a folder, not an image"))
    if not found.sources and not found.failures:
        found.failures.append(Failure(root, "this folder holds no image that can be read"))
    return found


def _unreadable(found: Found, error: OSError) -> None:
    reason = f"this folder cannot be read: {error.strerror or type(error).__name__}"
    found.failures.append(Failure(Path(error.filename or "?"), reason))


def _same(folder: Path, other: Path | None) -> bool:
    try:
        return other is not None and folder.samefile(other)
    except OSError:
        return False
