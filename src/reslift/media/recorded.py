"""How a result of a medium was made, for the place that its format has for it.

wishes ──┐
source ──┴─ Enlarger.record ── told ──► XMP, tag, header extension, comment of a writer
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reslift import formats, provenance
from reslift.formats.gif import RECORD
from reslift.media.base import Enlarger, Wishes
from reslift.provenance import Record
from reslift.sizes import is_stretched

if TYPE_CHECKING:
    from reslift.formats import Picture
    from reslift.formats.base import Facts

ABOUT_THE_FILES = {"overwrite", "output_format", "provenance", "provenance_file", "uncertainty"}
"""Wishes that change no sample of a result."""


def record_of(
    enlarger: Enlarger,
    source: Path,
    wishes: Wishes,
    *,
    exact: bool = False,
    ratios: Collection[float] = (),
) -> Record:
    """How the result for `source` is made, whether or not it is to say so.

    Args:
        exact: as its frames are computed (`Enlarger.run`).
        ratios: of the sides of its frames (`Enlarger.record`).

    Raises:
        InputError: the file cannot be read.
    """
    finish = enlarger.finish(lossless=True) if exact else None
    changed = {
        entry.name: list(value) if isinstance(value, tuple) else value
        for entry in fields(Wishes)
        if entry.name not in ABOUT_THE_FILES
        and (value := getattr(wishes, entry.name)) != entry.default
    }
    return enlarger.record(source, finish, ratios).with_options(**changed)


def told(
    enlarger: Enlarger,
    source: Path,
    wishes: Wishes,
    *,
    exact: bool = False,
    ratios: Collection[float] = (),
) -> Record | None:
    """The record that goes into the result; None where none is wished for. As `record_of`."""
    if not wishes.provenance or wishes.strip_metadata:
        return None
    return record_of(enlarger, source, wishes, exact=exact, ratios=ratios)


def in_xmp(picture: Picture, record: Record | None, format: str) -> tuple[Picture, tuple[str, ...]]:
    """The picture with the record in its XMP in place of an earlier one, and notes.

    Without a record, or where it cannot be added, an earlier one goes: it tells of another picture.
    A format that has no XMP gets none.
    """
    bare = replace(picture, xmp=provenance.without(picture.xmp))
    if record is None:
        return bare, ()
    if not formats.FORMATS[format].holds.xmp:
        return picture, ()
    xmp = provenance.into_xmp(picture.xmp, record)
    if xmp is None:
        return bare, ("the XMP cannot be added to: how the result was made is not in it",)
    return replace(picture, xmp=xmp), ()


def in_comment(picture: Picture, record: Record | None) -> Picture:
    """The picture, for a GIF, with the record as a comment in place of an earlier one."""
    kept = tuple(
        (name, data) for name, data in picture.extra if not is_record(data.decode("latin-1"))
    )
    added = ((RECORD, record.as_json().encode()),) if record is not None else ()
    return replace(picture, extra=kept + added)


def is_record(text: str) -> bool:
    """Whether a comment is a record that an earlier result was given."""
    try:
        Record.parse(text)
    except ValueError:
        return False
    return True


def last_record(texts: Iterable[str]) -> Record | None:
    """The last of comments that is a record: results of results have several."""
    found = [text for text in texts if is_record(text)]
    return Record.parse(found[-1]) if found else None


def record_in(facts: Facts) -> Record | None:
    """The record in the XMP or the comments of a picture."""
    comments = (data.decode("latin-1") for _, data in facts.extra if isinstance(data, bytes))
    return provenance.from_xmp(facts.xmp) or last_record(comments)


def is_right_size(given: tuple[int, int], found: tuple[int, int], facts: Facts) -> bool:
    """Whether a result has the sides (width, height) that its record asks for of those given.

    facts: of the result. Without a record: whether it is no smaller and of the input's shape.
    """
    record = record_in(facts)
    if record is None or record.size is None or record.size.crop:
        return found[0] >= given[0] and not is_stretched(given, found)
    return found == record.size.of(*given)
