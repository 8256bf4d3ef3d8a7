"""Measured values (Hounsfield units, counts) through a network that wants [0, 1], and back.

::

    stored ── core, inside the window ── [0, 1] ── network ──┐
       │                                                     + ── within the input's range ── stored
       └───── rest, beyond the window ─────── bicubic ───────┘
                                        (kept within its neighbours)

The window is the whole range of the values, so that the rest is nothing. Only where a few outliers
(metal, a mark) would squeeze all else into a sliver is it narrower, or where the user names one;
what lies beyond then goes round the network and is added again, so that nothing is ever clipped.
Padding takes no part: it is filled from its neighbours before, and put back block by block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reslift.media.base import Enlarger
from reslift.pixels import alpha
from reslift.pixels.planes import Planes

Values = NDArray[Any]
Mask = NDArray[np.bool_]
Bounds = tuple[float, float]

TAIL = 0.001
SQUEEZED = 4.0
SAMPLE = 2**20
RINGS = 32


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

    def window(self, wanted: Bounds | None = None) -> Window:
        """The window that was asked for, else one that outliers do not squeeze.

        It is the whole range, unless that is over 4 times the range between the 0.1st and the
        99.9th percentile: then it is that inner range, widened by half of itself on both sides.
        """
        if self.most < self.least:
            return Window(0.0, 1.0, 0.0, 0.0)
        if wanted is not None:
            return Window(*wanted, self.least, self.most)
        low, high = self.least, self.most
        first, last = np.quantile(np.concatenate(self._sample), (TAIL, 1 - TAIL))
        inner = float(last - first)
        if 0 < inner * SQUEEZED < high - low:
            low, high = max(low, first - inner / 2), min(high, last + inner / 2)
        return Window(float(low), float(high), self.least, self.most)


def enlarge(
    enlarger: Enlarger, values: Values, window: Window, padding: Mask | None = None
) -> Values:
    """One frame of measured values, enlarged.

    Args:
        values: (h, w), or (h, w, 3) where they are colours; whole numbers or floats.
        window: of the frame, or of the series that it belongs to.
        padding: (h, w), where values mean "nothing was measured"; every such pixel becomes a block
            of its own value, and no other pixel does.

    Returns:
        (sh, sw) or (sh, sw, 3) of the same dtype, within `window.least` and `window.most` but for
        padding.
    """
    scale = enlarger.scale
    planes = values.astype(np.float64).reshape(*values.shape[:2], -1)
    if padding is not None and padding.any():
        planes = filled(planes, padding)
    low, high = sorted((window.low, window.high))
    seen = planes.clip(low, high)
    span = window.high - window.low
    if window.least < window.most and span:
        shown = ((seen - window.low) / span).astype(np.float32)
        result = _answer(enlarger, shown).astype(np.float64) * span + window.low
    else:
        result = _blocks(seen, scale)
    if not window.is_whole:
        result += beyond(planes - seen, scale)
    result = result.clip(window.least, window.most)
    if values.dtype.kind in "iu":
        np.rint(result, out=result)
    enlarged: Values = result.astype(values.dtype).reshape(*result.shape[:2], *values.shape[2:])
    if padding is not None and padding.any():
        hidden = _blocks(padding, scale)
        enlarged[hidden] = _blocks(values, scale)[hidden]
    return enlarged


def beyond(rest: Values, scale: int) -> Values:
    """What lies beyond the window (h, w, C), bicubic, each pixel within its 5×5 neighbours.

    Without that bound the undershoot of a piece of metal would darken the tissue around it.
    """
    if not rest.any():
        return np.zeros((rest.shape[0] * scale, rest.shape[1] * scale, rest.shape[2]))
    size = rest.shape[1] * scale, rest.shape[0] * scale
    parts = []
    for plane in np.moveaxis(rest, 2, 0).astype(np.float32):
        large = np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC))
        parts.append(alpha.within_neighbours(large[None, None], plane[None, None], scale)[0, 0])
    return np.stack(parts, 2).astype(np.float64)


def filled(planes: Values, padding: Mask) -> Values:
    """(h, w, C) with padding replaced by the values beside it, and far from them by their mean."""
    if padding.all():
        return np.zeros_like(planes)
    mean = planes[~padding].mean(0)
    centred = np.where(padding[..., None], 0.0, planes - mean).astype(np.float32)
    opaque = (~padding).astype(np.float32)[None, None]
    spread = alpha.bleed(centred.transpose(2, 0, 1)[None], opaque, RINGS)[0].transpose(1, 2, 0)
    return np.where(padding[..., None], spread + mean, planes)


def _answer(enlarger: Enlarger, shown: NDArray[np.float32]) -> Values:
    height, width, bands = shown.shape
    out = np.empty((height * enlarger.scale, width * enlarger.scale, bands), np.float32)
    enlarger.run(Planes(shown, "rgb" if bands == 3 else "gray", False), out)
    return out


def _blocks(values: Values, scale: int) -> Values:
    return values.repeat(scale, 0).repeat(scale, 1)
