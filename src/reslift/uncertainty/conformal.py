"""Split-conformal calibration: how many scales wide an interval must be to hold what it promises.

On pictures that neither the model nor the head was trained on, the errors are measured in scales,

    t = |hr − sr| / b

and the interval sr ± q(b) · b uses the quantile of t at the wanted level (Vovk et al. 2005;
normalised scores: Papadopoulos et al. 2002). q is taken in bins of b, each by itself, so that the
level holds where the head is sure as well as where it is not (Mondrian bins). The guarantee is one
for exchangeable pictures: those that the calibration saw must be like those that come.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from reslift.errors import InputError

Floats = NDArray[np.float32]

LEVELS = (0.5, 0.8, 0.9, 0.95)
BINS = 16
FINE = 512
LOG_RANGE = (-9.0, 0.0)
LEAST_IN_BIN = 2000
TOP = 64.0
STEPS = 4096


class Calibration(BaseModel):
    """What turns scales into intervals.

    Attributes:
        levels: shares of the pixels that an interval is to hold, rising.
        centres: log b of the bins, rising.
        factors: q for each level, at each centre; between them it is interpolated.
        data: what it was measured on. pictures, samples: how much that was.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    levels: tuple[float, ...]
    centres: tuple[float, ...]
    factors: tuple[tuple[float, ...], ...]
    data: str = ""
    pictures: int = 0
    samples: int = 0

    def half_width(self, log_scale: Floats, level: float = 0.9) -> Floats:
        """Half the interval, in the units of the image: q(b) · b; 0 to 1.

        Raises:
            InputError: a level that was not calibrated.
        """
        if level not in self.levels:
            known = ", ".join(f"{one:g}" for one in self.levels)
            raise InputError(f"level {level:g} was not calibrated; there are {known}")
        factors = np.interp(log_scale, self.centres, self.factors[self.levels.index(level)])
        width: Floats = np.minimum(factors * np.exp(log_scale), 1.0).astype(np.float32)
        return width


class Scores:
    """Errors in scales, counted on a fine grid of (log b, t), so that any number of them fits."""

    def __init__(self) -> None:
        self.counts = np.zeros((FINE, STEPS + 1), np.int64)
        self.pictures = 0

    def add(self, log_scale: Floats, error: Floats) -> None:
        """Count one picture.

        Args:
            log_scale: (H, W). error: (H, W, C), |hr − sr| in [0, 1].
        """
        low, high = LOG_RANGE
        row = ((log_scale - low) / (high - low) * FINE).clip(0, FINE - 1).astype(np.int64)
        ratio = error * np.exp(-log_scale)[..., None]
        column = np.ceil(ratio * (STEPS / TOP)).clip(0, STEPS).astype(np.int64)
        flat = (row[..., None] * (STEPS + 1) + column).ravel()
        self.counts += np.bincount(flat, minlength=self.counts.size).reshape(self.counts.shape)
        self.pictures += 1

    def calibrate(self, data: str = "", levels: Iterable[float] = LEVELS) -> Calibration:
        """The factors that make each level hold in each bin.

        Bins hold equal numbers of samples; each has at least 2000. The quantile taken is that of
        the raised level.

        Raises:
            InputError: too few samples for even one bin.
        """
        levels = tuple(levels)
        promised = [raised(level, self.pictures) for level in levels]
        rows = self.counts.sum(1)
        total = int(rows.sum())
        if total < LEAST_IN_BIN:
            raise InputError(f"{total} samples are too few to calibrate; {LEAST_IN_BIN} are needed")
        bins = min(BINS, total // LEAST_IN_BIN)
        place = np.minimum((np.cumsum(rows) - rows) * bins // total, bins - 1)
        middles = np.linspace(*LOG_RANGE, FINE, endpoint=False) + (LOG_RANGE[1] - LOG_RANGE[0]) / (
            2 * FINE
        )
        centres, factors = [], []
        for number in np.unique(place):
            chosen = place == number
            if not rows[chosen].sum():
                continue
            centres.append(float(np.average(middles[chosen], weights=rows[chosen])))
            factors.append([_quantile(self.counts[chosen].sum(0), level) for level in promised])
        return Calibration(
            levels=levels,
            centres=tuple(centres),
            factors=tuple(zip(*factors, strict=True)),
            data=data,
            pictures=self.pictures,
            samples=total,
        )


def raised(level: float, pictures: int) -> float:
    """The level whose quantile K pictures have to hold, so that one more holds `level`.

    It differs from them as they do from each other: level · (K + 1) / K (Lee, Barber and Willett
    2023), or half the way to 1 if that is less.
    """
    return min(level * (1 + 1 / max(pictures, 1)), (1 + level) / 2)


def _quantile(counts: NDArray[np.int64], level: float) -> float:
    """The smallest t that at least ceil((n + 1) · level) of n scores do not exceed."""
    total = int(counts.sum())
    wanted = min(total, int(np.ceil((total + 1) * level)))
    return float(np.searchsorted(np.cumsum(counts), wanted)) * TOP / STEPS
