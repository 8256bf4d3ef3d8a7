"""Every error that reslift raises on purpose, and the one line that each of them is.

    ResliftError                 exit code 1
    ├── UsageError               2   a bad option, an unknown name
    │   ├── RecipeError
    │   ├── UnknownName
    │   ├── CannotExport             a model that cannot be a graph
    │   └── OutputExists             an existing output without --overwrite
    ├── InputError               1   a file cannot be used
    │   ├── LimitError               names the limit, its value and its option
    │   └── CheckpointError
    ├── OutputError              1   cannot write: disk full, read-only
    ├── DeviceError              1
    └── VerificationError        4   a promise that was checked did not hold

The text of an error says what was given, what was wanted and what to do.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")

LONGEST_LINE = 1000
BREAKING = ("Cc", "Cs", "Zl", "Zp")
TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
"""Classes of characters that end a line or move the cursor, and that turn the direction of text."""


class ResliftError(Exception):
    """Base of all errors of this package; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(ResliftError):
    """The request itself is wrong: an option, a name, a value."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe has an unknown key or a value that does not fit."""


class UnknownName(UsageError):
    """A name is not in the index it was looked up in."""


class CannotExport(UsageError):
    """A model has a layer or a size that the format asked for cannot express."""


class OutputExists(UsageError):
    """The output is already there and overwriting was not asked for."""


class InputError(ResliftError):
    """A file cannot be used: unreadable, truncated, of an unknown format."""


class LimitError(InputError):
    """Something is larger than a limit in `limits.Limits` allows."""


class CheckpointError(InputError):
    """A checkpoint file is damaged or names what this version does not know."""


class OutputError(ResliftError):
    """A result cannot be written: disk full, read-only, no such folder."""


class DeviceError(ResliftError):
    """The device asked for is absent or out of memory."""


class VerificationError(ResliftError):
    """Something that was promised and then checked does not hold."""

    exit_code = 4


def look_up(name: str, table: Mapping[str, T], kind: str) -> T:
    """`table[name]`, or an UnknownName that suggests the nearest names and lists all of them."""
    try:
        return table[name]
    except KeyError:
        raise UnknownName(unknown(name, table, kind)) from None


def unknown(name: str, names: Iterable[str], kind: str) -> str:
    """The sentence for a `kind` that is not among `names`."""
    known = list(names)
    folded = {candidate.lower(): candidate for candidate in known}
    near = [folded[match] for match in difflib.get_close_matches(name.lower(), folded, n=2)]
    hint = f"; did you mean {' or '.join(near)}?" if near else "."
    return f"unknown {kind} {one_line(name)!r}{hint} Known: {', '.join(known) or 'none'}"


def one_line(text: object) -> str:
    """`text` as one line, never empty.

    Control characters and lone surrogates are escaped. An exception without a text gives the name
    of its class. What is longer than 1000 characters is cut.
    """
    line = str(text).strip()
    if not line:
        line = type(text).__name__ if isinstance(text, BaseException) else "(empty)"
    if len(line) > LONGEST_LINE:
        line = line[: LONGEST_LINE - 1] + "…"
    return escaped(line)


def escaped(text: object) -> str:
    """`text` with control characters and lone surrogates escaped, and nothing else changed.

    Narrow and joining spaces stay: they are in the names that macOS gives to screenshots, in
    Persian words and in emoji, and a path that is told is to be one that can be opened.
    """
    return "".join(
        char.encode("unicode_escape").decode("ascii") if _is_control(char) else char
        for char in str(text)
    )


def _is_control(char: str) -> bool:
    if char.isprintable():
        return False
    turning = unicodedata.bidirectional(char) in TURNING
    return turning or unicodedata.category(char) in BREAKING
