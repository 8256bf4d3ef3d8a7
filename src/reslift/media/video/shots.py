"""The frames of a clip on their way to the network: made steady, and each with its length."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reslift.media.video.announced import Met
from reslift.media.video.color import Words
from reslift.media.video.steady import AHEAD, Steady

if TYPE_CHECKING:
    from av.video.stream import VideoStream


@dataclass(frozen=True)
class Shot:
    """One frame: its place in the result, its time and length in ticks, its picture.

    image: (H, W, C) uint16, None where its result is there already. same: that of the one before
    it, bit for bit.
    """

    index: int
    pts: int
    duration: int
    image: Words | None
    same: bool


def steadied(shots: Iterable[Shot]) -> Iterator[Shot]:
    """The same shots with steady pictures, some of them later; what repeats takes no part."""
    steady, waiting, repeats = Steady(), deque[Shot](), 0
    shown: Words | None = None

    def release(pictures: Iterable[Words]) -> Iterator[Shot]:
        nonlocal shown
        for shown in pictures:
            yield replace(waiting.popleft(), image=shown)
            while waiting and waiting[0].same:
                yield replace(waiting.popleft(), image=shown)

    for shot in shots:
        assert shot.image is not None
        waiting.append(shot)
        repeats = repeats + 1 if shot.same else 0
        if not shot.same:
            yield from release(steady.push(shot.image))
        elif repeats > AHEAD:
            yield from release(steady.flush())
            while waiting:
                yield replace(waiting.popleft(), image=shown)
    yield from release(steady.flush())


def until_the_end(shots: Iterable[Shot], stream: VideoStream, met: Met) -> Iterator[Shot]:
    """The same shots, the last of which stays as long as the file says.

    MP4 counts lengths in the order of decoding, so that with B-frames the length of the last
    picture is at another one.
    """
    last: Shot | None = None
    for shot in shots:
        if last is not None:
            yield last
        last = shot
    if last is None:
        return
    if stream.duration:
        end = min(met.end, (stream.start_time or 0) + stream.duration)
        last = replace(last, duration=max(last.duration, end - last.pts))
    yield last
