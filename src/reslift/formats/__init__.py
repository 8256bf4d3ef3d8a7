"""Still pictures in and out with nothing lost: read by content, written by suffix.

    file ──► Format.inspect ──► Facts ──► Format.decode ──► upright ──► Picture
    Picture ──► fit (what the format cannot hold) ──► Format.encode ──► file

A new format is one file here and one name in `FORMATS`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from reslift.errors import (
    InputError,
    LimitError,
    OutputError,
    ResliftError,
    UsageError,
    look_up,
    one_line,
)
from reslift.files import atomic_write
from reslift.formats import behind, fit, foreign, packet
from reslift.formats import exif as exif_block
from reslift.formats.avif import Avif
from reslift.formats.base import Facts, Format, Header, Kind, Picture, causes
from reslift.formats.bmp import Bmp
from reslift.formats.gif import Gif
from reslift.formats.heic import Heic
from reslift.formats.jpeg import Jpeg
from reslift.formats.jxl import Jxl
from reslift.formats.png import Png
from reslift.formats.tiff import Tiff
from reslift.formats.webp import Webp
from reslift.limits import DEFAULT, Limits

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "FORMATS",
    "READ_ONLY",
    "Format",
    "Header",
    "Picture",
    "check_fits",
    "format_of",
    "is_lossless",
    "peek",
    "read",
    "readable_suffixes",
    "result_of",
    "write",
]

FORMATS: dict[str, Format] = {
    "png": Png(),
    "jpeg": Jpeg(),
    "webp": Webp(),
    "tiff": Tiff(),
    "bmp": Bmp(),
    "gif": Gif(),
    "avif": Avif(),
}
READ_ONLY: dict[str, Format] = {"heic": Heic(), "jxl": Jxl()}
SPECIAL = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
OPEN_FLAGS = sum(
    getattr(os, flag, 0) for flag in ("O_RDONLY", "O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY")
)


def peek(path: Path | str, limits: Limits = DEFAULT) -> Header:
    """Size and kind of the picture that `read` would return, from the header alone.

    Raises InputError for what is no readable picture, LimitError (one of them) for one that is too
    large; both name the file.
    """
    with _opened(Path(path), limits) as (file, format):
        return _header(format, _facts(format, file, limits))


def read(path: Path | str, limits: Limits = DEFAULT) -> Picture:
    """The picture in a file, of whatever suffix, turned upright, with its metadata.

    Raises InputError and LimitError like `peek`; a file that is cut off is refused.
    """
    with _opened(Path(path), limits) as (file, format):
        facts = _facts(format, file, limits)
        pixels, notes = format.decode(file, facts, limits)
        facts = format.completed(file, facts)
        return _picture(format, facts, pixels, notes)


def write(
    path: Path | str,
    picture: Picture,
    *,
    format: str | None = None,
    quality: int = 95,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Write `picture` to `path` and return what the format could not hold, a sentence each.

    The format is given by the suffix unless `format` names one. quality: 1 to 100, for JPEG, AVIF
    and lossy WebP. Pixels are streamed: a memory map is never held in memory. The same picture
    gives the same bytes.

    Raises UsageError for an unknown format or quality, OutputExists without `overwrite`,
    OutputError where the picture is too large for the format or the file cannot be written.
    """
    path = Path(path)
    into = FORMATS[format_of(path)] if format is None else look_up(format, FORMATS, "format")
    if not 1 <= quality <= 100:
        raise UsageError(f"quality {quality}; wanted is 1 to 100")
    notes = check_fits(into.name, picture.width, picture.height, picture)
    notes += fit.losses(into, picture)
    if picture.exif:
        block = exif_block.sized(picture.exif, picture.width, picture.height)
        picture = replace(picture, exif=block)
    if picture.xmp:
        picture = replace(picture, xmp=packet.sized(picture.xmp, picture.width, picture.height))
    with _written(path), atomic_write(path, overwrite=overwrite) as temporary:
        image, fitted = fit.fitted(into, picture)
        return (*notes, *into.encode(temporary, fitted, image, quality))


def check_fits(format: str, width: int, height: int, kind: Kind) -> tuple[str, ...]:
    """What writing a width × height picture of this kind in `format` will change.

    kind: a Header or a Picture. To be called before any work. Raises OutputError where the format
    ends before that size, UnknownName for a format that is not in FORMATS.
    """
    into = look_up(format, FORMATS, "format")
    fit.check_size(into, width, height, kind)
    return fit.changes(into, kind)


def is_lossless(format: str, picture: Picture) -> bool:
    """Whether writing `picture` in this format keeps every sample of it.

    Raises UnknownName for a format that is not in FORMATS.
    """
    into = look_up(format, FORMATS, "format")
    kept = into.lossless or (into.name == picture.format and picture.lossless)
    return kept and not fit.changes(into, picture)


def format_of(path: Path | str) -> str:
    """The name of the format that the suffix of `path` stands for; UsageError if none."""
    suffix = Path(path).suffix.lower()
    for format in FORMATS.values():
        if suffix in format.suffixes:
            return format.name
    for format in READ_ONLY.values():
        if suffix in format.suffixes:
            raise UsageError(f"{one_line(path)}: {format.label} is read, not written; write .png")
    raise UsageError(
        f"{one_line(path)}: the suffix {one_line(suffix)!r} names no format; "
        f"use one of {', '.join(format.suffixes[0] for format in FORMATS.values())}"
    )


def readable_suffixes() -> frozenset[str]:
    """Suffixes, lower case with their dot, of files that a folder scan should try to read."""
    readable = (*FORMATS.values(), *READ_ONLY.values())
    return frozenset(suffix for format in readable for suffix in format.suffixes)


def result_of(name: str) -> Format:
    """The format in which a picture that was read as `name` is written: its own, or PNG."""
    return FORMATS.get(name, FORMATS["png"])


@contextmanager
def _opened(path: Path, limits: Limits) -> Iterator[tuple[BinaryIO, Format]]:
    """The open file and its format. The one boundary: all decode errors become InputError here."""
    name = one_line(path)
    try:
        _check_regular(path.stat())
        with open(os.open(path, OPEN_FLAGS), "rb") as file:
            found = os.fstat(file.fileno())
            _check_regular(found)
            limits.check("file_bytes", found.st_size, "the file")
            yield file, _recognised(file)
    except LimitError as error:
        raise LimitError(f"{name}: {one_line(error)}") from error
    except InputError as error:
        raise InputError(f"cannot use {name}: {one_line(error)}") from error
    except ResliftError:
        raise
    except MemoryError as error:
        raise InputError(f"cannot use {name}: not enough memory to decode it") from error
    except Exception as error:
        raise InputError(f"cannot use {name}: {_cause(error)}") from error


def _check_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = SPECIAL.get(stat.S_IFMT(found.st_mode), "not a regular file")
        raise InputError(f"it is {kind}, not a picture")


def _recognised(file: BinaryIO) -> Format:
    head = file.read(64)
    if not head:
        raise InputError("the file is empty")
    readable = (*FORMATS.values(), *READ_ONLY.values())
    for format in readable:
        if format.recognises(head):
            return format
    kind = foreign.kind_of(head + file.read(foreign.HEAD - len(head)))
    labels = ", ".join(format.label for format in readable)
    raise InputError(f"{f'it is {kind}' if kind else 'unknown content'}; readable are {labels}")


def _facts(format: Format, file: BinaryIO, limits: Limits) -> Facts:
    facts = format.inspect(file)
    if facts.width < 1 or facts.height < 1:
        raise InputError(f"the header says {facts.width}×{facts.height} pixels")
    limits.check("input_pixels", facts.width * facts.height, f"{facts.width}×{facts.height}")
    return facts


def _header(format: Format, facts: Facts) -> Header:
    sides = (facts.width, facts.height)
    width, height = sides[::-1] if _sideways(facts) else sides
    return Header(
        width,
        height,
        facts.bands,
        facts.bits,
        format.name,
        facts.space,
        facts.alpha,
        turned=facts.orientation != 1,
    )


def _sideways(facts: Facts) -> bool:
    from reslift.formats.turn import SWAPS_SIDES

    return facts.orientation >= SWAPS_SIDES


def _picture(format: Format, facts: Facts, pixels: np.ndarray, notes: list[str]) -> Picture:
    from reslift.formats import turn

    resolution, exif, xmp = facts.resolution, facts.exif, facts.xmp
    xmp = behind.unclaimed(xmp) if xmp else None
    if facts.orientation != 1:
        pixels = turn.upright(pixels, facts.orientation)
        exif = exif_block.upright(exif) if exif else None
        xmp = packet.upright(xmp, facts.orientation) if xmp else None
    if resolution and _sideways(facts):
        resolution = (resolution[1], resolution[0], resolution[2])
    return Picture(
        pixels,
        facts.space,
        facts.alpha,
        facts.icc,
        exif,
        xmp,
        resolution,
        format.name,
        (*facts.notes, *notes, *fit.profile_notes(facts.icc, facts.space)),
        facts.lossless,
        facts.extra,
        turned=facts.orientation != 1,
    )


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except ResliftError:
        raise
    except Exception as error:
        raise OutputError(f"cannot write {one_line(path)}: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    """One line from an error of the system or of a decoder."""
    if isinstance(error, OSError) and error.errno is not None:
        return one_line(error.strerror or errno.errorcode.get(error.errno, error))
    return f"damaged or not supported ({causes(error)})"
