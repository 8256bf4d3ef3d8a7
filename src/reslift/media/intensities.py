"""Measured values (Hounsfield units, counts) through a network that wants [0, 1], and back.

::

    stored ─┬─ the window ──── [0, 1] ── network ──┬── mixed ── within the input's range ── stored
            └─ the whole range [0, 1] ── network ──┘

The window is the whole range of the values, and then the network runs once. Only where a few
outliers (metal, a mark) would squeeze all else into a sliver is it narrower, or where the user
names one; then the network runs twice, and the window's answer is taken where all values around lie
in the window. So nothing is ever clipped, and no edge is seen cut off.
Padding takes no part: it is filled from its neighbours before, and put back block by block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from reslift.errors import InputError
from reslift.media.base import Enlarger
from reslift.pixels import alpha
from reslift.pixels.planes import Planes
from reslift.pixels.regrid import Regrid

Values = NDArray[Any]
Mask = NDArray[np.bool_]
Bounds = tuple[float, float]

TAIL = 0.001
SQUEEZED = 4.0
SAMPLE = 2**20
FEW, MANY = 32, 10_000
RINGS = 32
REACH = 2
LEVEL = 0.9


@dataclass(frozen=True)
class Window:
    """What of the values the network sees as [0, 1], and what no result may leave.

    Attributes:
        low, high: seen as 0 and 1; low > high shows the values inverted, as MONOCHROME1 is.
        least, most: of the values in the input, padding apart.
    """

    low: float
    high: float
    least: float
    most: float

    @property
    def is_whole(self) -> bool:
        """Whether no value lies beyond the window."""
        low, high = sorted((self.low, self.high))
        return low <= self.least and self.most <= high

    @property
    def brightest(self) -> float:
        """The value of the input that is shown lightest."""
        return self.most if self.low <= self.high else self.least

    @property
    def darkest(self) -> float:
        """The value of the input that is shown darkest."""
        return self.least if self.low <= self.high else self.most

    def whole(self) -> Window:
        """The whole range, shown the same way round."""
        if self.low <= self.high:
            return Window(self.least, self.most, self.least, self.most)
        return Window(self.most, self.least, self.least, self.most)

    def inverted(self) -> Window:
        """The same with 0 and 1 changed about."""
        return Window(self.high, self.low, self.least, self.most)


@dataclass
class Census:
    """Range and tails of many frames, met one after another.

    Args:
        expected: values in all frames; decides how densely they are sampled.
    """

    expected: int
    least: float = np.inf
    most: float = -np.inf

    def __post_init__(self) -> None:
        self._sample: list[Values] = []

    def add(self, values: Values, padding: Mask | None = None) -> None:
        """Take in one frame (h, w) or (h, w, C); values under `padding` do not count."""
        kept = values[~padding] if padding is not None else values.reshape(-1)
        if kept.size == 0:
            return
        self.least = min(self.least, float(kept.min()))
        self.most = max(self.most, float(kept.max()))
        self._sample.append(kept[:: max(1, -(-self.expected // SAMPLE))].astype(np.float64))

    @property
    def is_stepped(self) -> bool:
        """Whether 2 to 32 different values make up all of many, as with labels."""
        sample = np.concatenate(self._sample) if self._sample else np.empty(0)
        return sample.size >= MANY and 2 <= np.unique(sample).size <= FEW

    def window(self, wanted: Bounds | None = None) -> Window:
        """The window that was asked for, else one that outliers do not squeeze.

        It is the whole range, unless that is over 4 times the range between the 0.1st and the
        99.9th percentile: then it is that inner range, widened by half of itself on both sides.

        Raises:
            InputError: the range is near the largest number that a float of 64 bits holds.
        """
        if self.most < self.least:
            return Window(0.0, 1.0, 0.0, 0.0)
        if not math.isfinite(4 * self.most - 4 * self.least):
            raise InputError(
                f"values from {self.least:.4g} to {self.most:.4g} are further apart than 64-bit "
                "floats can count"
            )
        if wanted is not None:
            return Window(*wanted, self.least, self.most)
        low, high = self.least, self.most
        first, last = np.quantile(np.concatenate(self._sample), (TAIL, 1 - TAIL))
        inner = float(last - first)
        if 0 < inner * SQUEEZED < high - low:
            low, high = max(low, first - inner / 2), min(high, last + inner / 2)
        return Window(float(low), float(high), self.least, self.most)


def enlarge(
    enlarger: Enlarger,
    values: Values,
    window: Window,
    padding: Mask | None = None,
    *,
    avoid: Bounds | None = None,
    exact: bool = True,
) -> Values:
    """One frame of measured values, enlarged.

    Args:
        values: (h, w), or (h, w, 3) where they are colours; whole numbers or floats.
        window: of the frame, or of the series that it belongs to.
        padding: (h, w), where values mean "nothing was measured"; every such pixel becomes a block
            of its own value, and no other pixel does.
        avoid: whole numbers, the first and the last of those that mean padding.
        exact: the values were not changed when they were saved, and the result is to agree.

    Returns:
        (h', w') or (h', w', 3), as large as `enlarger.size` says, of the same dtype, within
        `window.least` and `window.most` but for padding.
    """
    grid = _grid(enlarger, values)
    planes = values.astype(np.float64).reshape(*values.shape[:2], -1)
    if padding is not None and padding.any():
        planes = filled(planes, padding)
    result = _through(enlarger, planes, window, grid, exact)
    if not window.is_whole:
        weight = share(planes, window, grid)
        whole = _through(enlarger, planes, window.whole(), grid, exact)
        result = weight * result + (1 - weight) * whole
    result = result.clip(window.least, window.most)
    if values.dtype.kind in "iu":
        np.rint(result, out=result)
    if avoid is not None:
        result = _clear_of(result, avoid, window)
    enlarged: Values = result.astype(values.dtype).reshape(*result.shape[:2], *values.shape[2:])
    if padding is not None and padding.any():
        hidden = grid.nearest(padding)
        enlarged[hidden] = grid.nearest(values)[hidden]
    return enlarged


def _clear_of(values: Values, avoid: Bounds, window: Window) -> Values:
    """Measured values that hit those of padding, moved to the nearest that is none and in range."""
    low, high = avoid
    hit, down, up = (values >= low) & (values <= high), low - 1, high + 1
    below, above = down >= window.least, up <= window.most
    if not hit.any() or not (below or above):
        return values
    nearer_down = values - down < up - values if below and above else below
    return np.where(hit, np.where(nearer_down, down, up), values)


def half_widths(
    enlarger: Enlarger,
    values: Values,
    result: Values,
    window: Window,
    padding: Mask | None = None,
) -> NDArray[np.float32]:
    """Half the width of the 90 % interval of each pixel, in the units of the values.

    Args:
        values, window, padding: as they were given to `enlarge`. result: what it made of them.

    Returns:
        (h', w'); colours share one. 0 in padding and where there is one value only.
    """
    grid = _grid(enlarger, values)
    planes = values.astype(np.float64).reshape(*values.shape[:2], -1)
    answer = result.astype(np.float64).reshape(*result.shape[:2], -1)
    if padding is not None and padding.any():
        planes, answer = filled(planes, padding), filled(answer, grid.nearest(padding))
    half = _half(enlarger, planes, answer, window)
    if not window.is_whole:
        weight = share(planes, window, grid)[..., 0]
        half = weight * half + (1 - weight) * _half(enlarger, planes, answer, window.whole())
    if padding is not None and padding.any():
        half[grid.nearest(padding)] = 0
    return half.astype(np.float32)


def _half(enlarger: Enlarger, planes: Values, answer: Values, window: Window) -> Values:
    """The same within one window."""
    from reslift.uncertainty import half_widths as widths
    from reslift.uncertainty import log_scales

    span = window.high - window.low
    half = np.zeros(answer.shape[:2], np.float32)
    if not (window.least < window.most and span):
        return half
    lr, sr = (
        np.ascontiguousarray(((v - window.low) / span).clip(0, 1), np.float32)
        for v in (planes, answer)
    )
    log_scales(
        enlarger.judge.head, Planes(lr, "rgb" if lr.shape[2] == 3 else "gray", False), sr, half
    )
    return widths(half, enlarger.judge.calibration, LEVEL) * abs(span)


def _grid(enlarger: Enlarger, values: Values) -> Regrid:
    height, width = values.shape[:2]
    return Regrid(width, height, *enlarger.size.of(width, height))


LARGE = 1e36
"""Values of 32 bits that can still be added up around a pixel."""


def share(planes: Values, window: Window, grid: Regrid) -> Values:
    """(h', w', 1): 1 where all 5×5 neighbours of (h, w, C) lie in the window, 0 where some do not.

    Between the two it rises over one input pixel.
    """
    low, high = sorted((window.low, window.high))
    beyond = ((planes < low) | (planes > high)).any(2)
    reached = sliding_window_view(np.pad(beyond, REACH, "edge"), (2 * REACH + 1,) * 2).any((2, 3))
    size = grid.wide, grid.high
    soft = Image.fromarray((~reached).astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(soft, np.float64)[..., None]


def filled(planes: Values, padding: Mask) -> Values:
    """(h, w, C) with padding replaced by the values beside it, and far from them by their mean."""
    if padding.all():
        return np.zeros_like(planes)
    mean = planes[~padding].mean(0)
    centred = np.where(padding[..., None], 0.0, planes - mean)
    unit = max(1.0, float(np.abs(centred).max()) / LARGE)
    shown = (centred / unit).astype(np.float32)
    opaque = (~padding).astype(np.float32)[None, None]
    spread = alpha.bleed(shown.transpose(2, 0, 1)[None], opaque, RINGS)[0].transpose(1, 2, 0)
    return np.where(padding[..., None], spread.astype(np.float64) * unit + mean, planes)


def _through(
    enlarger: Enlarger, planes: Values, window: Window, grid: Regrid, exact: bool
) -> Values:
    """(h, w, C) → (h', w', C), what is beyond the window clipped to it."""
    low, high = sorted((window.low, window.high))
    seen, span = planes.clip(low, high), window.high - window.low
    if not (window.least < window.most and span):
        return grid.nearest(seen)
    bands = planes.shape[2]
    shown = ((seen - window.low) / span).astype(np.float32)
    out = np.empty((grid.high, grid.wide, bands), np.float32)
    enlarger.run(Planes(shown, "rgb" if bands == 3 else "gray", False), out, exact=exact)
    return out.astype(np.float64) * span + window.low
