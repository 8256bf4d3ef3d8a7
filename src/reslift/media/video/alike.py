"""Whether two clips show the same pictures in the same order, told by thumbnails of their frames.

A thumbnail holds means of large areas, which enlarging and encoding hardly change. A frame is wrong
where that of another place is much nearer to it, or none is near at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reslift.media.video.color import UNSPECIFIED

if TYPE_CHECKING:
    from av import VideoFrame

SIDE = 16
SURE, NEARER, OTHER = 1.0, 0.5, 40.0
"""Levels of 255 that are more than encoding changes; nearer by so much; another picture."""
REACH = 8

Thumbnail = NDArray[np.uint8]


def thumbnail(frame: VideoFrame) -> Thumbnail:
    """(16, 16): the luma of a frame."""
    if not (frame.format.is_rgb or frame.format.has_palette):
        # FFmpeg refuses some matrices, and luma is luma in all of them.
        frame.colorspace = UNSPECIFIED
    small = frame.reformat(width=SIDE, height=SIDE, format="gray", interpolation="AREA")
    return small.to_ndarray().astype(np.uint8)


def moved(before: Sequence[Thumbnail], after: Sequence[Thumbnail]) -> Iterator[str]:
    """One sentence where frames of a result show what those of the source do not; as many each."""
    if not before:
        return
    was, now = (np.stack(clip).astype(np.float32) for clip in (before, after))
    wrong = [place for place in range(len(was)) if _is_wrong(was, now[place], place)]
    if wrong:
        yield (
            f"pictures: {len(wrong)} of {len(was)} frames show something else than in the source, "
            f"first frame {wrong[0]}"
        )


def _is_wrong(was: NDArray[np.float32], now: NDArray[np.float32], place: int) -> bool:
    start = max(0, place - REACH)
    gaps = np.abs(was[start : place + REACH + 1] - now).mean((1, 2))
    own = gaps[place - start]
    return bool(own > OTHER or (own > SURE and gaps.min() < NEARER * own))
