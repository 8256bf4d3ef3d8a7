"""Which tags of one file another lacks: what a container had no place for, or what went wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from reslift.errors import one_line
from reslift.media.video import languages

EMPTY = {("language", "und"), ("creation_time", "1970-01-01T00:00:00.000000Z")}
"""What MP4 holds where nothing was said."""
UNTOLD = {"handler_name", "vendor_id", "duration", "mimetype", "filename"}
DEFAULT_TRACK = 1
LANGUAGE = "language"
MARKS = {
    "SPHERICAL": "pictures that look all around (360°)",
    "STEREO3D": "a picture for each eye",
}
STEREO_TAG = "stereo_mode"
"""Matroska's own way of telling, which is kept or told of as any tag is."""


def lacking(was: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The keys of `was` whose values `now` has not, in alphabetical order."""
    values = {key.lower(): languages.same(value) for key, value in now.items()}
    return sorted(
        key
        for key, value in was.items()
        if key.lower() not in UNTOLD
        and (key.lower(), value) not in EMPTY
        and values.get(key.lower()) != languages.same(value)
    )


@dataclass(frozen=True)
class Said:
    """What a file says of a stream or of itself: its tags, and the uses it is marked for."""

    tags: Mapping[str, str]
    uses: int = 0


def unplaced(name: str, was: Said, now: Said, muxer: str) -> Iterator[str]:
    """Sentences on what was to be said of `name` and is not; languages have their own."""
    lost = [one_line(key) for key in lacking(was.tags, now.tags) if key.lower() != LANGUAGE]
    if lost:
        yield f"tags of {name} that {muxer} has no place for are not kept: {', '.join(lost)}"
    if uses := was.uses & ~now.uses & ~DEFAULT_TRACK:
        from av.stream import Disposition

        words = ", ".join(use.name or "" for use in Disposition(uses)).replace("_", " ")
        yield f"{name} is no longer marked as {words}: {muxer} has no place for it"


def unmarked(kinds: Collection[str], tags: Mapping[str, str]) -> Iterator[str]:
    """Sentences on what a clip's pictures are marked as, which PyAV has no means to write.

    kinds: side data of its first frame. tags: of its picture stream.
    """
    for kind, words in MARKS.items():
        if kind in kinds and not (kind == "STEREO3D" and STEREO_TAG in tags):
            yield f"the mark of {words} cannot be kept; players show the result as a flat picture"
