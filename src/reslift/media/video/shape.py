"""How large the pictures of a result are, and how wide its pixels are shown.

A tag turns the stored picture for display, and another says how wide a pixel is. What is asked for
is the size of the turned picture; where its shape changes, the pixels' shape makes up for it, so
that players show what they showed before.
"""

from __future__ import annotations

from fractions import Fraction

from reslift.media.base import Extent
from reslift.media.video.probe import Clip, shown_layout
from reslift.sizes import STRETCHED, Size, is_stretched

FINEST = 1000
EVEN = 2


def extent_of(clip: Clip) -> Extent:
    """Of the picture as it is shown; its sides are best even where colours are stored for pairs."""
    layout = shown_layout(clip)
    yuv = layout is not None and layout.kind == "yuv"
    step = (min(EVEN, layout.across), min(EVEN, layout.down)) if layout and yuv else (1, 1)
    if is_turned(clip):
        return Extent(clip.height, clip.width, clip.frames, step=(step[1], step[0]))
    return Extent(clip.width, clip.height, clip.frames, step=step)


def shown(clip: Clip, start: float | None, end: float | None) -> int:
    """About how many frames lie between two times, at least 1."""
    first = max(0.0, start or 0.0) * float(clip.rate)
    last = clip.frames if end is None else min(float(clip.frames), end * float(clip.rate))
    return max(1, round(last - first)) if start or end is not None else clip.frames


def sides_of(clip: Clip, size: Size) -> tuple[int, int]:
    """Width and height of a result's stored pictures."""
    extent = extent_of(clip)
    wide, high = size.of(extent.width, extent.height, extent.step)
    return (high, wide) if is_turned(clip) else (wide, high)


def aspect_of(clip: Clip, sides: tuple[int, int]) -> Fraction | None:
    """Width ÷ height of a result's pixels, sides being those of its stored pictures.

    What is within a hundredth of square is square: an anamorphic film at 1920x1080 has 1.
    """
    if not is_reshaped(clip, sides):
        return clip.aspect
    shape = Fraction(clip.width * sides[1], clip.height * sides[0]) * (clip.aspect or 1)
    return Fraction(1) if abs(shape - 1) <= STRETCHED else shape.limit_denominator(FINEST)


def is_reshaped(clip: Clip, sides: tuple[int, int]) -> bool:
    """Whether a stored picture gets another shape, by more than rounding to even sides."""
    return is_stretched((clip.width, clip.height), sides, EVEN)


def is_turned(clip: Clip) -> bool:
    """Whether it is shown on its side."""
    matrix = clip.matrix
    return matrix is not None and abs(matrix[0]) < abs(matrix[1])
