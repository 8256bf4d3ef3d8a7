"""What an animation is between reading and writing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from numpy.typing import NDArray

from reslift.formats.base import Facts, Picture, damaged
from reslift.limits import Limits
from reslift.media.boundary import reading

Frame = NDArray[Any]


@dataclass(frozen=True)
class Clip:
    """All that a file says before its frames are decoded.

    Attributes:
        facts: size, colours and metadata, which are those of a still picture of the format.
        durations: of each frame, in seconds.
        plays: how often it is shown in all; 0 is for ever.
        notes: what was changed on the way in, a sentence each.
        private: what the format needs to find its frames again.
    """

    facts: Facts
    durations: tuple[Fraction, ...]
    plays: int
    notes: tuple[str, ...] = ()
    private: dict[str, Any] = field(default_factory=dict)


class Source(ABC):
    """A format that holds animations. `still` is the name of its pictures in `formats.FORMATS`."""

    label: ClassVar[str]
    still: ClassVar[str]

    @abstractmethod
    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins with `head` may be of this format."""

    @abstractmethod
    def is_animated(self, file: BinaryIO) -> bool:
        """Whether there is more than one frame; looks no further than needed, raises nothing."""

    @abstractmethod
    def inspect(self, file: BinaryIO) -> Clip:
        """Read everything but the pixels. Any exception stands for a damaged file."""

    @abstractmethod
    def frames(self, file: BinaryIO, clip: Clip, limits: Limits) -> Iterator[Frame]:
        """What is seen in each frame, as stored: (height, width, bands), straight alpha.

        Every frame is whole: those before it show through where it leaves them. The arrays are
        valid until the next is asked for.
        """


class Writer(ABC):
    """Frames into an open file, one after the other.

    Args:
        file: empty, open to read and write.
        meta: any frame, for its size, kind and metadata.
        clip: how long frames stay, how often all are shown.
        quality: 1 to 100, where the format is not lossless.
    """

    def __init__(self, file: BinaryIO, meta: Picture, clip: Clip, quality: int) -> None:
        self._file, self._meta, self._clip, self._quality = file, meta, clip, quality
        self._number = 0

    @abstractmethod
    def encoded(self, picture: Picture) -> bytes:
        """The pixels of a frame, as `add` takes them."""

    @abstractmethod
    def add(self, pixels: bytes) -> int:
        """Write the next frame; returns where its pixels begin in the file."""

    @abstractmethod
    def finish(self) -> list[str]:
        """Write what follows the frames; returns what could not be kept."""

    def pixels_at(self, place: int, length: int) -> bytes:
        """The pixels of a frame that was written."""
        here = self._file.tell()
        self._file.seek(place)
        pixels = self._file.read(length)
        self._file.seek(here)
        return pixels


def ticks(durations: tuple[Fraction, ...], tick: Fraction, most: int) -> tuple[list[int], Fraction]:
    """Durations in whole ticks, so that no rounding adds up, and by how much a frame moves.

    most: ticks that one frame may stay.
    """
    delays, at, shown, moved = [], Fraction(0), 0, Fraction(0)
    for duration in durations:
        at += duration
        delay = min(max(round(at / tick) - shown, 0), most)
        shown += delay
        delays.append(delay)
        moved = max(moved, abs(at - shown * tick))
    return delays, moved


def moved_note(why: str, moved: Fraction) -> list[str]:
    """What is said where frames do not begin at their exact times."""
    if not moved:
        return []
    return [f"{why}: frames begin up to {float(moved) * 1000:.3g} ms earlier or later"]


def checked(clip: Clip, limits: Limits) -> Clip:
    """The clip, if its size is within `limits`; LimitError or InputError else."""
    facts = clip.facts
    if facts.width < 1 or facts.height < 1:
        raise damaged(f"the header says {facts.width}×{facts.height} pixels")
    limits.check("input_pixels", facts.width * facts.height, f"{facts.width}×{facts.height}")
    limits.check("frames", len(clip.durations), "the animation")
    return clip


@contextmanager
def opened(path: Path, limits: Limits) -> Iterator[BinaryIO]:
    """The file; all errors of reading it become an InputError of one line that names it."""
    with reading(path), path.open("rb") as file:
        limits.check("file_bytes", file.seek(0, 2), "the file")
        yield file
