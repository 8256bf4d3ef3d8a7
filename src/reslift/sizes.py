"""How large a result is to be, and through which scales of a model it gets there.

input ──×4──► ──×2──► ──shrink──► exactly the size asked for
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from numbers import Integral, Real

from reslift.errors import InputError, UsageError, one_line
from reslift.pixels.tiles import Box

LARGEST_SCALE = 64
LONGEST = 10**12
"""Pixels a side, and megapixels: what is above is no size that floats can compute with."""
USUAL = 4
STRETCHED = 0.01
_SIDES = re.compile(r"(\d*)[xX×](\d*)")


@dataclass(frozen=True)
class Size:
    """What was asked for: one of the first four, and perhaps a part of the picture only.

    Attributes:
        scale: sides of the result ÷ those of the input, above 0.
        sides: (width, height) of the result in pixels; where one is None it follows the other.
        long_side: of the result, in pixels.
        megapixels: millions of pixels of the result, about: its shape is kept.
        crop: (left, top, width, height) in input pixels; only that part is enlarged, as it looks in
            the result of the whole.
    """

    scale: float | None = None
    sides: tuple[int | None, int | None] | None = None
    long_side: int | None = None
    megapixels: float | None = None
    crop: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        wishes = (self.scale, self.sides, self.long_side, self.megapixels)
        _check_kinds(self)
        if sum(wish is not None for wish in wishes) > 1:
            raise UsageError("give one of scale, size, long side and megapixels, not several")
        if self.scale is not None and not 0 < self.scale <= LARGEST_SCALE:
            raise UsageError(f"scale {self.scale:g}: a scale is above 0 and up to {LARGEST_SCALE}")
        if self.sides is not None and (
            self.sides == (None, None)
            or any(s is not None and not 1 <= s <= LONGEST for s in self.sides)
        ):
            raise UsageError(f"size: a side is a number of pixels from 1 up to {LONGEST:,}")
        if self.long_side is not None and not 1 <= self.long_side <= LONGEST:
            given = one_line(self.long_side)[:20]
            raise UsageError(f"long side {given}: a number of pixels from 1 up to {LONGEST:,}")
        if self.megapixels is not None and not 0 < self.megapixels <= LONGEST:
            raise UsageError(f"megapixels {self.megapixels:g}: above 0 and up to {LONGEST:,}")
        if self.crop is not None and (min(self.crop) < 0 or min(self.crop[2:]) < 1):
            raise UsageError("crop: X and Y from 0 up, width and height from 1 up")

    def of(self, width: int, height: int, step: tuple[int, int] = (1, 1)) -> tuple[int, int]:
        """Width and height of the result for an input of this size.

        step: what they are multiples of, save sides that were named and those at a whole scale.

        Raises InputError where the crop lies outside.
        """
        whole = self._whole(width, height, step)
        if self.crop is None:
            return whole
        box = self.box(width, height)
        return (
            _rounded(box.width * whole[0] / width),
            _rounded(box.height * whole[1] / height),
        )

    def box(self, width: int, height: int) -> Box:
        """The part that is enlarged, as far as it lies in a picture of this size."""
        if self.crop is None:
            return Box(0, height, 0, width)
        left, top, wide, high = self.crop
        if left >= width or top >= height:
            raise InputError(f"--crop begins at {left},{top}, outside its {width}x{height} pixels")
        return Box(top, min(height, top + high), left, min(width, left + wide))

    def _whole(self, width: int, height: int, step: tuple[int, int] = (1, 1)) -> tuple[int, int]:
        if self.sides is not None:
            wide, high = self.sides
            if wide is None:
                return _rounded(width * (high or 1) / height, step[0]), high or 1
            return wide, _rounded(height * wide / width, step[1]) if high is None else high
        ratio = self.scale or 1.0
        if self.long_side is not None:
            ratio = self.long_side / max(width, height)
            step = (1 if width >= height else step[0], 1 if height >= width else step[1])
        if self.megapixels is not None:
            ratio = math.sqrt(self.megapixels * 1e6 / (width * height))
        step = (1, 1) if self.whole else step
        return _rounded(width * ratio, step[0]), _rounded(height * ratio, step[1])

    def stretches(self, width: int, height: int) -> bool:
        """Whether the result has another shape than the input, by more than rounding."""
        return is_stretched((width, height), self._whole(width, height))

    @property
    def whole(self) -> int | None:
        """The scale, where that is a whole number for every input."""
        is_whole = self.scale is not None and self.scale == int(self.scale) and self.crop is None
        return int(self.scale or 0) if is_whole else None

    @property
    def label(self) -> str:
        """How results are called after it: ``-x4``, ``-x1.7``, ``-3840x2160``, ``-24mp``."""
        if self.sides is not None:
            text = "x".join("" if side is None else str(side) for side in self.sides)
        elif self.long_side is not None:
            text = f"{self.long_side}px"
        elif self.megapixels is not None:
            text = f"{self.megapixels:g}mp"
        else:
            text = f"x{self.scale:g}"
        return f"-{text}" + ("-crop" if self.crop else "")


def _check_kinds(size: Size) -> None:
    """UsageError where a field is of a type that it cannot have; True is no number.

    What stays are Python's own numbers, and tuples of them.
    """
    for name, count in (("sides", 2), ("crop", 4)):
        value = getattr(size, name)
        if value is None:
            continue
        whole = isinstance(value, (tuple, list)) and all(
            _is(part, Integral) or (part is None and name == "sides") for part in value
        )
        if not whole or len(value) != count:
            raise UsageError(f"{name} {one_line(repr(value))}: give {count} whole numbers")
        _make_plain(size, name, tuple(part if part is None else int(part) for part in value))
    numbers = {"scale": Real, "megapixels": Real, "long_side": Integral}
    for name, kind in numbers.items():
        value = getattr(size, name)
        if value is not None and not _is(value, kind):
            what = "a whole number" if kind is Integral else "a number"
            raise UsageError(f"{name} {one_line(repr(value))}: give {what}")
        if value is not None:
            _make_plain(size, name, int(value) if isinstance(value, Integral) else float(value))


def _make_plain(size: Size, name: str, value: object) -> None:
    """Numbers of NumPy as those of Python, which records can be written with."""
    object.__setattr__(size, name, value)


def _is(value: object, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def parse_sides(text: str) -> tuple[int | None, int | None]:
    """``3840x2160``, ``3840x`` or ``x2160`` → (width, height); UsageError for anything else."""
    match = _SIDES.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise UsageError(
            f"--size {text!r}: write it like 3840x2160, or 3840x or x2160 for one side"
        )
    width, height = (int(side) if side else None for side in match.groups())
    return width, height


def parse_crop(text: str) -> tuple[int, int, int, int]:
    """``X,Y,W,H`` → four numbers; UsageError for anything else."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4 or not all(part.isdecimal() for part in parts):
        raise UsageError(f"--crop {text!r}: write it like 100,50,320,240 (X,Y,width,height)")
    left, top, width, height = map(int, parts)
    return left, top, width, height


def steps(ratio: float, scales: Iterable[int]) -> tuple[int, ...]:
    """Scales to go through, one after the other, to come to `ratio` or as little above as can be.

    The fewest steps among those; the largest first. () for a ratio up to 1, which needs none, and
    (1,) where there is only a model that restores on the same grid.

    Raises InputError where no product of `scales` reaches the ratio.
    """
    usable = sorted({scale for scale in scales if scale > 1}, reverse=True)
    if not usable:
        if ratio > 1:
            raise InputError("this model restores on the same grid and enlarges nothing")
        return (1,)
    if ratio <= 1:
        return ()
    longest = math.ceil(math.log(ratio, usable[-1]) - 1e-9)
    chains = [
        chain
        for length in range(1, max(1, longest) + 1)
        for chain in itertools.combinations_with_replacement(usable, length)
        if math.prod(chain) >= ratio - 1e-9
    ]
    return min(chains, key=lambda chain: (math.prod(chain), len(chain)))


def wanted_size(
    scales: Collection[int], scale: float | None = None, size: Size | None = None
) -> Size:
    """`size`, or one of `scale`, or what a model of these scales makes by itself: ×4, or its own.

    Raises UsageError where both are given.
    """
    if size is None:
        return Size(scale=usual_scale(scales) if scale is None else scale)
    if scale is not None:
        raise UsageError("give a scale or a size, not both")
    no_wish = size == Size(crop=size.crop)
    return replace(size, scale=usual_scale(scales)) if no_wish else size


def usual_scale(scales: Collection[int]) -> int:
    """4 where there are several, else the only one."""
    return next(iter(scales)) if len(scales) == 1 else min(scales, key=lambda s: abs(s - USUAL))


def first_scale(scales: Collection[int], size: Size) -> int:
    """The scale of the model that is surely needed, or, where that hangs on the input, the usual.

    Raises UsageError where no model enlarges and that is asked for.
    """
    try:
        chain = () if size.scale is None else steps(size.scale, scales)
    except InputError as error:
        raise UsageError(f"scale {size.scale:g}: {error}") from None
    return chain[0] if chain else usual_scale(scales)


def is_stretched(given: tuple[int, int], wanted: tuple[int, int], step: int = 1) -> bool:
    """Whether (width, height) changes its shape by more than rounding to multiples of `step`."""
    (width, height), (wide, high) = given, wanted
    slack = max(STRETCHED, step / wide, step / high)
    return abs(wide * height / (high * width) - 1) > slack


def _rounded(side: float, step: int = 1) -> int:
    return max(step, step * math.floor(side / step + 0.5))
