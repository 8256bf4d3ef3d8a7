"""The parts of a result while it is made: which are done, and for which input, model and options.

::

    .clip-x4.mp4.reslift-parts/
        key.json            what decides the result; another key empties the folder
        00000.mkv           one segment, encoded by itself
        00000.json          the time stamps of its frames; it is there once the segment is whole

Where a segment begins depends on the input alone, so that a result joined of segments is the same
whether or not the work was interrupted.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from reslift.errors import OutputError, one_line
from reslift.files import atomic_write
from reslift.media.video.color import Words
from reslift.media.video.encode import Encoder, Encoding
from reslift.media.video.shots import Shot

PIXELS = 250_000_000
FEWEST, MOST = 24, 250
KEY = "key.json"
LONGEST_NAME = 255
"""Bytes, on nearly every file system."""

Times = list[tuple[int, int]]


@dataclass(frozen=True)
class Part:
    """A finished segment: its file, and time stamp and duration, in ticks, of every frame."""

    path: Path
    times: Times


def segment_length(width: int, height: int) -> int:
    """Frames in a segment, for a result of this size: some seconds of video, minutes of work."""
    return max(FEWEST, min(MOST, PIXELS // (width * height)))


def folder_name(name: str) -> str:
    """Of the folder of parts of a result; a name that would be too long is told by its digest."""
    own, encoded = f".{name}.reslift-parts", name.encode("utf-8", "surrogateescape")
    if len(encoded) + len(own) - len(name) <= LONGEST_NAME:
        return own
    return f".{hashlib.sha256(encoded).hexdigest()}.reslift-parts"


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Parts:
    """The folder of parts beside `target`, emptied if it was made for another `key`.

    Raises:
        OutputError: it cannot be made.
    """

    def __init__(self, target: Path, key: Mapping[str, object], length: int) -> None:
        self.folder = target.with_name(folder_name(target.name))
        self.length = length
        text = json.dumps({**key, "segment": length}, sort_keys=True, default=str)
        try:
            if self._read_key() != text:
                shutil.rmtree(self.folder, ignore_errors=True)
                self.folder.mkdir()
                with atomic_write(self.folder / KEY) as temporary:
                    temporary.write_text(text, encoding="utf-8")
            for stray in self.folder.glob(".reslift-*"):
                stray.unlink()
        except OutputError:
            self.remove()
            raise
        except OSError as error:
            raise OutputError(
                f"cannot make the folder {one_line(self.folder)}: "
                f"{error.strerror or repr(error)}; choose another place with -o"
            ) from error
        self._done = self._finished()

    def is_done(self, frame: int) -> bool:
        """Whether the segment of a frame is there already."""
        return frame // self.length in self._done

    def all(self) -> list[Part]:
        """The parts in order, of a result that is complete."""
        self._done = self._finished()
        return [self._done[number] for number in sorted(self._done)]

    def write(self, results: Iterator[tuple[Shot, Words | None]], encoding: Encoding) -> None:
        """Encode shots with their results segment by segment; each appears once it is whole.

        Those of a finished segment are passed over.
        """
        for number, group in groupby(results, key=lambda pair: pair[0].index // self.length):
            if number in self._done:
                deque(group, maxlen=0)
            else:
                self._segment(number, group, encoding)

    def _segment(
        self, number: int, group: Iterator[tuple[Shot, Words | None]], encoding: Encoding
    ) -> None:
        times: Times = []
        with atomic_write(self.folder / f"{number:05d}.mkv", overwrite=True) as path:
            encoder = None
            for shot, image in group:
                assert image is not None
                if encoder is None:
                    encoder = Encoder(path, encoding, (image.shape[1], image.shape[0]))
                encoder.add(image)
                times.append((shot.pts, shot.duration))
            assert encoder is not None
            encoder.close()
        with atomic_write(self.folder / f"{number:05d}.json", overwrite=True) as path:
            path.write_text(json.dumps(times), encoding="utf-8")

    def remove(self) -> None:
        """Remove all parts."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def remove_if_empty(self) -> None:
        """Remove the folder where no segment was finished."""
        if not self._finished():
            self.remove()

    def _read_key(self) -> str | None:
        with contextlib.suppress(OSError, ValueError):
            return (self.folder / KEY).read_text(encoding="utf-8")
        return None

    def _finished(self) -> dict[int, Part]:
        done = {}
        for file in self.folder.glob("*.json"):
            if file.stem.isdecimal() and (video := file.with_suffix(".mkv")).exists():
                with contextlib.suppress(OSError, ValueError):
                    times = [
                        (int(pts), int(length)) for pts, length in json.loads(file.read_text())
                    ]
                    done[int(file.stem)] = Part(video, times)
        return done
