"""Whether LR is what HR becomes when made smaller: size, content, place, scale and colours."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from reslift import formats
from reslift.datacheck.finding import Finding
from reslift.datasets.pairs import WRONG_SHIFT, wrong_colours
from reslift.errors import ResliftError, one_line
from reslift.likeness import colours, luma
from reslift.likeness.align import STRUCTURE, Place, agreement, register
from reslift.likeness.planes import Bytes, Plane, blurs
from reslift.limits import DEFAULT, Limits
from reslift.pixels.planes import Pixels
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
        of_lr = formats.read(lr, limits)
    except ResliftError as error:
        return [Finding("unreadable", (names[1],), one_line(error))]
    try:
        of_hr = formats.read(hr, limits)
    except ResliftError:
        return []
    small, large = of_lr.pixels, of_hr.pixels
    height, width = small.shape[:2]
    rest = (large.shape[0] - height * scale, large.shape[1] - width * scale)
    if min(rest) < 0 or max(rest) >= max(scale, 2):
        ratios = (large.shape[1] / width, large.shape[0] / height)
        text = (
            f"LR of {width}x{height} and HR of {large.shape[1]}x{large.shape[0]}: "
            f"{ratios[0]:.3g} across, {ratios[1]:.3g} down, where the layout says {scale}"
        )
        return [Finding("wrong-scale", names, text, round(ratios[0], 4), scale)]
    if "cmyk" in (of_lr.space, of_hr.space):  # ink is compared with no light
        text = "CMYK, which evaluation refuses: convert it to RGB"
        return [Finding("cmyk", names[1:], text)] if of_lr.space == "cmyk" else []
    small, large = _middles(small, large, scale)
    one, other = _alike(luma(small)[..., None], luma(large)[..., None], scale)
    found = _compared(one[0, 0].float().numpy(), other[0, 0].float().numpy(), names)
    if found:
        return found
    text = wrong_colours(*_alike(colours(small), colours(large), scale))
    return [Finding("wrong-colours", names, text)] if text else []


def _middles(small: Pixels, large: Pixels, scale: int) -> tuple[Pixels, Pixels]:
    """The middle of LR and of HR, (H, W, C)."""
    starts = [max(0, (size - SIDE) // 2) for size in small.shape[:2]]
    parts = [
        tuple(
            slice(at * s, min(at + SIDE, n) * s)
            for at, n in zip(starts, small.shape[:2], strict=False)
        )
        for s in (1, scale)
    ]
    return small[parts[0]], large[parts[1]]


def _alike(small: Bytes, large: Bytes, scale: int) -> tuple[Tensor, Tensor]:
    """LR, and HR at its size: (H, W, C) → (1, C, h, w)."""
    one, other = (torch.from_numpy(x.copy()).permute(2, 0, 1)[None] for x in (small, large))
    return one, downscale8(other, scale)


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
