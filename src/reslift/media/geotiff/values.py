"""Samples of any range through a network that knows [0, 1], and back.

::

    file ── windows ──► Survey (range, some samples) ──► Spread: samples ⇄ [0, 1]

8-bit samples keep the range of their type, as in a photograph. Any other group of bands is spread
from its smallest to its largest valid sample. Where a few outliers (a hot pixel, a ship in a radar
image) would squeeze all else into a corner, the spread ends before them, and what they have in
excess of it goes around the network: nothing is clipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reslift.pixels.planes import Floats

TAIL = 0.001
LONG = 3.0
FAR = 1000.0
FEW, MANY = 32, 10_000


@dataclass
class Survey:
    """What one band holds: its valid range, and samples of it on an even grid.

    Attributes:
        low, high: smallest and largest valid sample; low > high where none is valid.
        missing: pixels that are masked, nodata, NaN or infinite.
        graded: some sample lies strictly between 0 and the largest of its type (1 for floats).
    """

    low: float = np.inf
    high: float = -np.inf
    missing: int = 0
    graded: bool = False
    _samples: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, samples: NDArray[Any], valid: NDArray[np.bool_], step: int) -> None:
        """Take in a window; each `step`th valid sample is kept for the quantiles."""
        values = samples[valid]
        self.missing += samples.size - values.size
        if values.size == 0:
            return
        low, high = float(values.min()), float(values.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        top = np.iinfo(values.dtype).max if values.dtype.kind != "f" else 1
        self.graded = self.graded or bool(((values > 0) & (values < top)).any())
        self._samples.append(values[step // 2 :: step].astype(np.float64))

    @property
    def is_empty(self) -> bool:
        """Whether no sample is valid."""
        return self.low > self.high

    @property
    def is_stepped(self) -> bool:
        """Whether 3 to 32 different values make up all of many samples, as with classes."""
        samples = self.samples()
        return samples.size >= MANY and 3 <= np.unique(samples).size <= FEW

    def samples(self) -> NDArray[np.float64]:
        """Those that were kept."""
        return np.concatenate(self._samples) if self._samples else np.empty(0)

    def lone(self, times: float = LONG) -> float | None:
        """Its smallest or largest sample where many have it and all others lie close together.

        They span less than what parts them from it, divided by `times`. Such a value may stand for
        no data without being marked so.
        """
        samples = self.samples()
        for edge in (self.low, self.high):
            others = samples[samples != edge]
            if not 0 < others.size <= (1 - TAIL) * samples.size:
                continue
            first, last = float(others.min()), float(others.max())
            if 0 < (last - first) * times < min(abs(first - edge), abs(last - edge)):
                return edge
        return None

    def without_fill(self) -> NDArray[np.float64]:
        """Those that were kept, but for a lone value so far off that it can be no measurement."""
        samples, fill = self.samples(), self.lone(FAR)
        return samples if fill is None else samples[samples != fill]


@dataclass(frozen=True)
class Spread:
    """The linear map that sends samples from `low` to `high` to [0, 1].

    Samples beyond are outliers: the network sees them at the end of the range, and what they have
    in excess of it is added to its answer again, each pixel repeated.
    """

    low: float
    high: float

    def forward(self, samples: NDArray[Any]) -> Floats:
        """Samples to [0, 1], of the same shape."""
        if self == BYTE:
            return samples.astype(np.float32) / np.float32(255)
        floats = (samples.astype(np.float64) - self.low) / (self.high - self.low)
        return np.clip(floats, 0.0, 1.0).astype(np.float32)

    def backward(self, floats: Floats) -> NDArray[Any]:
        """[0, 1] to samples, not rounded."""
        if self == BYTE:
            return floats * np.float32(255)
        return self.low + floats.astype(np.float64) * (self.high - self.low)

    def excess(self, samples: NDArray[Any]) -> NDArray[np.float64] | None:
        """How far each sample lies beyond the range; None where none does."""
        if self == BYTE:
            return None
        values = samples.astype(np.float64)
        beyond = values - np.clip(values, self.low, self.high)
        return beyond if beyond.any() else None


BYTE = Spread(0.0, 255.0)


def spread(surveys: Sequence[Survey], dtype: np.dtype[Any]) -> Spread:
    """The map for bands that go through the network together.

    It spans all valid samples, but for a tail (those beyond the 0.1 % or 99.9 % quantile) that is
    over 3 times as long as what lies between the quantiles: there it ends once that length beyond.
    A value that many samples have, over 1000 times as far away as the others are from each other,
    does not count for the quantiles.
    """
    if dtype == np.uint8:
        return BYTE
    low = min(survey.low for survey in surveys)
    high = max(survey.high for survey in surveys)
    if not low < high:
        middle = low if np.isfinite(low) else 0.0
        return Spread(middle - 1.0, middle + 1.0)
    samples = np.concatenate([survey.without_fill() for survey in surveys])
    first, last = np.quantile(samples, (TAIL, 1 - TAIL)) if samples.size else (low, high)
    core = float(last - first)
    if core > 0 and first - low > LONG * core:
        low = float(first) - core
    if core > 0 and high - last > LONG * core:
        high = float(last) + core
    return Spread(low, high)


def whole(values: NDArray[Any], dtype: np.dtype[Any], survey: Survey) -> NDArray[Any]:
    """Values as samples: never beyond the band's valid range, rounded where the type is whole."""
    if survey.is_empty:
        return np.zeros(values.shape, dtype)
    clipped: NDArray[Any] = np.clip(values, survey.low, survey.high)
    return (clipped if dtype.kind == "f" else np.rint(clipped)).astype(dtype)


def is_nodata(samples: NDArray[Any], nodata: float) -> NDArray[np.bool_]:
    """Where samples have the nodata value, as GDAL compares them; NaN is told by itself."""
    is_float = samples.dtype.kind == "f"
    hit: NDArray[np.bool_] = samples == (
        samples.dtype.type(nodata) if is_float else float(np.trunc(nodata))
    )
    return hit


def unlike(samples: NDArray[Any], nodata: float, survey: Survey) -> NDArray[Any]:
    """`samples` with those that hit the nodata value moved to the next sample of their type.

    Upwards, unless the valid range ends there.
    """
    kind = samples.dtype.type
    hit = is_nodata(samples, nodata)
    if samples.dtype.kind != "f":
        nodata = float(np.trunc(nodata))
    if not hit.any() or survey.low == survey.high:
        return samples
    if samples.dtype.kind == "f":
        up, down = (np.nextafter(kind(nodata), kind(way)) for way in (np.inf, -np.inf))
    else:
        up, down = nodata + 1, nodata - 1
    moved = samples.copy()
    moved[hit] = up if up <= survey.high else down
    return moved
