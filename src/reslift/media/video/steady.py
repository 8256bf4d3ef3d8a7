"""Noise of what does not move, averaged over time before the network can sharpen it.

::

    two frames ─► blocks: changed by noise, or by motion? ─► is the clip noisy, and how much
    a frame ────► pixels: within that noise of their mean? ─► the mean of what stood still

A block's change d between two frames is motion as far as the gradient explains it, d ≈ -v·∇y
(Lucas & Kanade, 1981), or where neighbours change alike; else it is noise: of a sensor, or of a
codec. Only where noise is behind a good part of what changes is anything touched, so that clips
without noise keep every bit. What moves is left as it is, so nothing is smeared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from reslift.media.video.color import Words
from reslift.pixels.planes import Floats

Mask: TypeAlias = NDArray[np.bool_]
Array = TypeVar("Array", Floats, Mask)

BLOCK = 16
MEMORY = 16
AHEAD = 4
HISTORY = 8
REACH = 2
AREA = (2 * REACH + 1) ** 2
LEVEL = 257.0
LEAST_CHANGE = (0.05 * LEVEL) ** 2
LEAST_NOISE = (0.1 * LEVEL) ** 2
MOST_NOISE = (16 * LEVEL) ** 2
EXPLAINED, ALIKE = 0.2, 0.4
CUT = 0.8
QUIET, BIAS, RANGE = 1.9, 3.0, 4.0
CODED, QUIET_CODED, BIAS_CODED, FADE = 8.0, 5.0, 9.0, 0.1


@dataclass(frozen=True)
class Change:
    """What happened between two frames, a value a block.

    Attributes:
        power: half the mean square of the change, the noise's variance where all is noise.
        explained: the part of it that a shift of the picture explains.
        alike: correlation of the changes of neighbouring pixels.
    """

    power: Floats
    explained: Floats
    alike: Floats

    @property
    def changed(self) -> Mask:
        """Where there is any to speak of."""
        found: Mask = self.power > LEAST_CHANGE
        return found

    @property
    def noise(self) -> Mask:
        """Where it is noise."""
        found: Mask = self.changed & (self.explained < EXPLAINED) & (self.alike < ALIKE)
        return found & (self.power < MOST_NOISE)

    @property
    def motion(self) -> Mask:
        """Where it is more than the noise elsewhere, or a shift."""
        noise = self.power[self.noise]
        beyond = self.power > RANGE * (np.median(noise) if noise.size else 0)
        found: Mask = self.changed & ~self.noise & (beyond | (self.explained > EXPLAINED))
        return found


def compare(before: Floats, now: Floats) -> Change:
    """What happened from one picture (H, W) to another."""
    moved, between = now - before, (now + before) * np.float32(0.5)
    down, across = (_slope(between, axis) for axis in (0, 1))
    xx, yy, xy = (_blocks(a * b) for a, b in ((across, across), (down, down), (across, down)))
    xd, yd, dd = _blocks(across * moved), _blocks(down * moved), _blocks(moved * moved)
    tiny = np.float32(1e-3)
    shifted = (yy * xd * xd - 2 * xy * xd * yd + xx * yd * yd) / (xx * yy - xy * xy + tiny)
    beside = _blocks(moved * np.roll(moved, 1, 1)) + _blocks(moved * np.roll(moved, 1, 0))
    return Change(dd * np.float32(0.5), shifted / (dd + tiny), beside / (2 * dd + tiny))


@dataclass
class Noise:
    """How noisy the last frames were.

    `level` is the variance of the noise of each block, (h, w), None where the clip is not noisy or
    moves as a whole.
    """

    _seen: deque[Change] = field(default_factory=lambda: deque(maxlen=HISTORY))

    def level(self, latest: Change) -> Floats | None:
        """Take one more change in."""
        if latest.motion.mean() > CUT:
            self._seen.clear()
            return None
        self._seen.append(latest)
        noise, motion = (
            sum(int(kind.sum()) for kind in kinds)
            for kinds in ([past.noise for past in self._seen], [past.motion for past in self._seen])
        )
        if noise <= motion:
            return None
        typical = max(
            float(np.median(past.power[past.noise])) for past in self._seen if past.noise.any()
        )
        if typical < LEAST_NOISE:
            return None
        own = np.maximum.reduce([np.where(past.noise, past.power, 0) for past in self._seen])
        least, most = RANGE ** (2 * self.coded - 1), RANGE ** (1 + self.coded)
        level: Floats = np.clip(own, typical * least, typical * most).astype(np.float32)
        return level

    @property
    def coded(self) -> float:
        """0 for a sensor's noise to 1 for what a codec made of it: neighbours change alike."""
        found = [past.alike[past.noise] for past in self._seen]
        alike = float(np.median(np.concatenate(found))) if found else 0.0
        return min(1.0, max(0.0, CODED * alike))


class Steady:
    """Averages pictures (H, W, C) uint16 in order; each comes out `AHEAD` later, or at the end.

    What a picture shows where it stands still is the mean of up to `MEMORY`, the last of them
    `AHEAD` after it. They all have one shape.
    """

    def __init__(self) -> None:
        self._noise = Noise()
        self._before: Words | None = None
        self._mean: Floats | None = None
        self._held = self._ratios = np.empty(0, np.float32)
        self._waiting: deque[Words] = deque()

    def push(self, image: Words) -> Iterator[Words]:
        """Take the next picture in; gives those that are ready."""
        before, self._before = self._before, image
        level = None if before is None else self._look(before, image)
        if before is None or level is None:
            self._mean = None
            self._waiting.append(image)
        else:
            if self._mean is None:
                self._mean = before.astype(np.float32)
                self._held = np.ones(image.shape[:2], np.float32)
            self._average(self._mean, image, level)
        if len(self._waiting) > AHEAD:
            yield self._waiting.popleft()

    def flush(self) -> Iterator[Words]:
        """Those that wait for others after them."""
        while self._waiting:
            yield self._waiting.popleft()

    def _look(self, before: Words, now: Words) -> Floats | None:
        """The noise's variance, (h, w); None where the clip is not noisy."""
        latest = compare(_luma(before), _luma(now))
        noise = _spread(latest.noise, now.shape[:2])
        if noise.any():
            moved = now[noise].astype(np.float32) - before[noise]
            self._ratios = np.sqrt((moved**2).mean(0) / (_luma(moved) ** 2).mean())
        return self._noise.level(latest)

    def _average(self, mean: Floats, image: Words, level: Floats) -> None:
        now = image.astype(np.float32)
        still = self._still(mean, now, level)
        self._held = np.where(still, np.minimum(self._held + 1, MEMORY), 1).astype(np.float32)
        moved = mean + (now - mean) / self._held[..., None]
        self._mean = np.where(still[..., None], moved, now)
        calmed = np.rint(self._mean).astype(np.uint16)
        for age in range(1, len(self._waiting) + 1):
            since = self._held[..., None] > age
            self._waiting[-age] = np.where(since, calmed, self._waiting[-age])
        self._waiting.append(calmed)

    def _still(self, mean: Floats, now: Floats, level: Floats) -> Mask:
        """Where what was averaged and the picture differ by noise alone.

        Neither the mean nor the power of the difference around a pixel is more than that, no shift
        explains it, and the whole does not fade. Opacity has no noise.
        """
        shape, off = now.shape[:2], now - mean
        expected = _spread(_smooth(level), shape) * (1 + 1 / self._held)
        coded = self._noise.coded
        quiet = _box(_luma(off) ** 2) < (QUIET + QUIET_CODED * coded) * expected
        limit = (BIAS + BIAS_CODED * coded) * np.sqrt(expected)
        for band, ratio in enumerate(self._ratios):
            quiet &= np.abs(_box(off[..., band])) * AREA**0.5 <= limit * ratio
        if abs(np.median(_blocks(_luma(off)))) > FADE * (1 + 3 * coded) * np.sqrt(np.median(level)):
            quiet[:] = False
        if off.shape[2] % 2 == 0:
            quiet &= off[..., -1] == 0
        drift = compare(_luma(mean), _luma(now))
        shifted = drift.changed & (drift.explained > EXPLAINED)
        still: Mask = quiet & ~_spread(shifted, shape)
        return still


def _luma(image: Words | Floats) -> Floats:
    """(…, C) → (…): the mean of the colours, without opacity."""
    colours = 3 if image.shape[-1] >= 3 else 1
    luma: Floats = image[..., :colours].mean(-1, dtype=np.float32)
    return luma


def _slope(values: Floats, axis: int) -> Floats:
    """Central differences; 0 at the edges."""
    moved = np.moveaxis(values, axis, 0)
    slope = np.zeros_like(moved)
    slope[1:-1] = (moved[2:] - moved[:-2]) * np.float32(0.5)
    return np.moveaxis(slope, 0, axis)


def _starts(length: int) -> NDArray[np.intp]:
    """Where blocks begin; the last one takes what is left."""
    return np.arange(max(1, length // BLOCK)) * BLOCK


def _blocks(values: Floats) -> Floats:
    """(H, W) → the mean of each block."""
    rows, columns = (_starts(side) for side in values.shape)
    sums: Floats = np.add.reduceat(np.add.reduceat(values, rows, 0), columns, 1)
    sides = [np.diff(s, append=n) for s, n in zip((rows, columns), values.shape, strict=True)]
    areas: Floats = np.outer(sides[0], sides[1]).astype(np.float32)
    return sums / areas


def _spread(blocks: Array, shape: tuple[int, ...]) -> Array:
    """A value a block → a value a pixel."""
    for axis, length in enumerate(shape):
        starts = _starts(length)
        blocks = np.repeat(blocks, np.diff(starts, append=length), axis)
    return blocks


def _smooth(blocks: Floats) -> Floats:
    """The mean over each block and those around it."""
    return _mean(blocks, 1)


def _box(values: Floats) -> Floats:
    """The mean over the neighbourhood of each pixel."""
    return _mean(values, REACH)


def _mean(values: Floats, reach: int) -> Floats:
    """The mean over (2 · reach + 1)² neighbours, edges repeated."""
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (reach, reach)
        wide = np.moveaxis(np.pad(values, pad, mode="edge"), axis, 0)
        length = values.shape[axis]
        total = wide[:length].copy()
        for step in range(1, 2 * reach + 1):
            total += wide[step : step + length]
        values = np.moveaxis(total, 0, axis) / np.float32(2 * reach + 1)
    return values
