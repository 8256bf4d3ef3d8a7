"""How results are called: beside the input, one given file, or under a folder."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from reslift import formats, inputs, media
from reslift.errors import UsageError, look_up, one_line
from reslift.inputs import Source

Suffixes = tuple[str, ...]


@dataclass(frozen=True)
class Naming:
    """The rule for the name of a result.

    Attributes:
        out: a file for one input, or a folder; None puts results beside their inputs.
        label: what is added to the name beside an input, like ``-x4``.
        suffix: in place of `label`, and then under a folder too.
        flat: no subfolders under `out`.
        output_format: an entry of ``FORMATS`` for still pictures; None keeps the input's.
    """

    out: str | None = None
    label: str = "-x4"
    suffix: str | None = None
    flat: bool = False
    output_format: str | None = None

    def check(self) -> None:
        """Raises UsageError for what can be no name, whatever the inputs are."""
        if self.out == "":
            raise UsageError("-o with an empty name; name a file or a folder")
        if self.output_format is not None:
            look_up(self.output_format, formats.FORMATS, "format")
        if self.suffix and ({"/", os.sep} & set(self.suffix) or "\0" in self.suffix):
            raise UsageError(f"--suffix {one_line(self.suffix)!r}: a part of a name, not a path")

    @property
    def folder(self) -> Path | None:
        """Where results go, if that is surely a folder."""
        return Path(self.out) if self.out and not _names_a_file(self.out) else None

    @property
    def ending(self) -> str:
        """What the names of results beside their inputs end with, before the last dot."""
        return self.label if self.suffix is None else self.suffix

    def one_file(self, lone: bool) -> bool:
        """Whether `out` is the result itself. lone: one file was named as the input.

        Raises UsageError where it is a file, but there may be several results.
        """
        if self.out is None:
            return False
        path = Path(self.out)
        is_there = identity(path) is not None and not inputs.is_folder(path)
        if is_there and self.out[-1:] in ("/", os.sep):
            raise UsageError(f"-o {one_line(self.out)}: {one_line(path)} is a file, not a folder")
        as_file = _names_a_file(self.out) or is_there
        if lone and as_file:
            if self.output_format is None:
                _known_suffix(path)
            return True
        if is_there or (as_file and inputs.suffix_of(path) in readable_suffixes()):
            raise UsageError(
                f"-o {one_line(self.out)} names a file, but the input is a folder or several files;"
                " name a folder for the results"
            )
        return False

    def name(self, source: Source, suffixes: Suffixes, one_file: bool) -> Path:
        """The result of `source`, whose content is of a kind with these suffixes."""
        if one_file and self.out is not None:
            return Path(self.out)
        if self.out is None:
            return _ended(_suited(source.path, suffixes), self.ending)
        kept = Path(source.kept.name) if self.flat else source.kept
        return Path(self.out) / _ended(_suited(kept, suffixes), self.suffix or "")


def readable_suffixes() -> frozenset[str]:
    """Suffixes of what `upscale` looks for in folders: still pictures and all media."""
    return formats.readable_suffixes() | media.suffixes()


def place(target: Path) -> str:
    """The same text for every way to write the same file, on a system that ignores case too."""
    parent = os.path.realpath(target.parent)
    whole = os.path.join(parent, target.name)  # noqa: PTH118
    if ignores_case(Path(parent)):
        return unicodedata.normalize("NFC", whole).casefold()
    return whole


def ignores_case(folder: Path) -> bool:
    """Whether the file system of `folder` (or its nearest existing parent) ignores case."""
    for there in (folder, *folder.parents):
        swapped = there.with_name(there.name.swapcase()) if there.name else there
        if swapped != there and identity(there) is not None:
            return identity(there) == identity(swapped)
    return os.name == "nt"


def identity(path: Path) -> tuple[int, int] | None:
    """Device and inode; None for what is not there."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _names_a_file(out: str) -> bool:
    return (
        out[-1:] not in ("/", os.sep) and not inputs.is_folder(Path(out)) and bool(Path(out).suffix)
    )


def _known_suffix(path: Path) -> None:
    if inputs.suffix_of(path) in media.suffixes():
        return
    try:
        formats.format_of(path)
    except UsageError as error:
        raise UsageError(f"-o {one_line(error)}; for a folder, end the name with /") from None


def _suited(path: Path, suffixes: Suffixes) -> Path:
    """`path`, with another suffix where its own is not one of the format inside."""
    if inputs.suffix_of(path) in suffixes:
        return path
    if inputs.suffix_of(path) in readable_suffixes():
        return path.with_name(inputs.stem_of(path) + suffixes[0])
    return path.with_name(path.name + suffixes[0])


def _ended(path: Path, ending: str) -> Path:
    stem = inputs.stem_of(path)
    return path.with_name(f"{stem}{ending}{path.name[len(stem) :]}") if ending else path
