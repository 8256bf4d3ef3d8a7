"""Whether LR is what HR becomes when it is made smaller: size, content, place and scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from reslift import formats
from reslift.datacheck.finding import Finding
from reslift.datasets.pairs import WRONG_SHIFT
from reslift.errors import ResliftError, one_line
from reslift.likeness import luma
from reslift.likeness.align import STRUCTURE, Place, agreement, register
from reslift.likeness.planes import Bytes, Plane, blurs
from reslift.limits import DEFAULT, Limits
from reslift.pixels.resize import downscale8
from reslift.pixels.shift import measure_shift

SAME = 0.3
NEAR = 3.0
CONFIRMED = 0.75
WRONG_EDGE = 0.5
SIDE = 512
BAND = (0.8, 4.0)
COARSE = (2.0, 8.0)
HERE = Place(1.0, 0.0, 1.0, 0.0)


def check_pair(
    hr: Path, lr: Path, scale: int, names: tuple[str, str], limits: Limits = DEFAULT
) -> list[Finding]:
    """Compare the middle 512 LR pixels of a pair with HR, brought down by MATLAB's bicubic.

    A shift counts where phase correlation and registration agree on it. An unreadable HR is not
    told here.

    Args:
        hr, lr: the files.
        scale: what the layout says.
        names: what findings call HR and LR.
        limits: sizes beyond them are unreadable.
    """
    try:
        small = luma(formats.read(lr, limits).pixels)
    except ResliftError as error:
        return [Finding("unreadable", (names[1],), one_line(error))]
    try:
        large = luma(formats.read(hr, limits).pixels)
    except ResliftError:
        return []
    height, width = small.shape
    rest = (large.shape[0] - height * scale, large.shape[1] - width * scale)
    if min(rest) < 0 or max(rest) >= max(scale, 2):
        ratios = (large.shape[1] / width, large.shape[0] / height)
        text = (
            f"LR of {width}x{height} and HR of {large.shape[1]}x{large.shape[0]}: "
            f"{ratios[0]:.3g} across, {ratios[1]:.3g} down, where the layout says {scale}"
        )
        return [Finding("wrong-scale", names, text, round(ratios[0], 4), scale)]
    one, other = _alike_grids(small, large, scale)
    return _compared(one, other, names)


def _alike_grids(small: Bytes, large: Bytes, scale: int) -> tuple[Plane, Plane]:
    """The middle of LR, and of HR at the size of LR, as float."""
    top, left = (max(0, (size - SIDE) // 2) for size in small.shape)
    small = small[top : top + SIDE, left : left + SIDE]
    height, width = small.shape
    rows = slice(top * scale, (top + height) * scale)
    columns = slice(left * scale, (left + width) * scale)
    cut = torch.from_numpy(large[rows, columns].copy())[None, None]
    return small.astype(np.float32), downscale8(cut, scale)[0, 0].numpy().astype(np.float32)


def _compared(one: Plane, other: Plane, names: tuple[str, str]) -> list[Finding]:
    """Different content, a shift, or content that is wider than it should be."""
    detail = [levels[0] - levels[1] for levels in (blurs(one, BAND), blurs(other, BAND))]
    if min(float(plane.std()) for plane in detail) < STRUCTURE:
        return []
    shift = measure_shift(torch.from_numpy(one), torch.from_numpy(other)) or (0.0, 0.0)
    start = Place(1.0, -shift[0], 1.0, -shift[1])
    place = register(one, other, start) or register(one, other, HERE)
    best = max(agreement(detail[0], detail[1], at) for at in (place, HERE, start) if at is not None)
    if best < SAME:
        coarse = [levels[0] - levels[1] for levels in (blurs(one, COARSE), blurs(other, COARSE))]
        # Coarse detail of any two pictures agrees somewhere far off: only what is near counts.
        near = [HERE]
        if place is not None and max(map(abs, _middle(one, place))) <= NEAR:
            near.append(place)
        if max(agreement(coarse[0], coarse[1], at) for at in near) >= SAME:
            return []
        text = f"LR shows something else: detail correlates by {best:.2f} where it fits best"
        return [Finding("different-content", names, text, round(best, 3), SAME)]
    if place is None:
        return []
    return [*_stretched(one, place, names), *_shifted(one, place, shift, names)][:1]


def _stretched(one: Plane, place: Place, names: tuple[str, str]) -> list[Finding]:
    reach = [abs(a - 1) * size / 2 for a, size in zip((place.ay, place.ax), one.shape, strict=True)]
    if max(reach) < WRONG_EDGE:
        return []
    text = (
        f"LR is {1 / place.ax:.4f} times as wide and {1 / place.ay:.4f} times as high as HR makes "
        f"it, {max(reach):.2f} LR pixels at the edge"
    )
    return [Finding("wrong-scale", names, text, round(max(reach), 3), WRONG_EDGE)]


def _shifted(
    one: Plane, place: Place, shift: tuple[float, float], names: tuple[str, str]
) -> list[Finding]:
    """``place`` at the middle, and what phase correlation says, have to agree."""
    largest = max(map(abs, shift))
    apart = max(abs(a - b) for a, b in zip(_middle(one, place), shift, strict=True))
    if largest < WRONG_SHIFT or apart > max(WRONG_SHIFT, (1 - CONFIRMED) * largest):
        return []
    text = f"LR is shifted against HR by {shift[1]:+.2f} right, {shift[0]:+.2f} down (LR pixels)"
    return [Finding("misaligned", names, text, round(largest, 3), WRONG_SHIFT)]


def _middle(one: Plane, place: Place) -> list[float]:
    """How far down and right the middle lies by a place, LR pixels."""
    return [
        -((a - 1) * (size - 1) / 2 + b)
        for a, b, size in zip((place.ay, place.ax), (place.by, place.bx), one.shape, strict=True)
    ]
