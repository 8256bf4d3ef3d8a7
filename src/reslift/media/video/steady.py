"""Noise of what does not move, averaged over time before the network can sharpen it.

Each pixel is the running mean of the last frames in which it stood still, at most `MEMORY` of
them. It stands still where neither its neighbourhood's mean change nor its neighbourhood's mean
absolute change is more than noise alone explains. The noise is the lesser of two estimates, one
from the median change between frames, one from what is finer than edges within a frame (Immerkær,
1996). What moves is left as it is, so nothing is smeared.
"""

from __future__ import annotations

import numpy as np

from reslift.media.video.color import WHITE, Words
from reslift.pixels.planes import Floats

MEMORY = 16
REACH = 2
NOISE_PER_MEDIAN = 1.4826 / np.sqrt(2.0)
LEAST_NOISE = 0.25 / 255
MOST_NOISE = 10 / 255
FINE_PER_NOISE = 6.0
BIAS, SPREAD = 3.0, 1.2


class Steady:
    """Call with each frame in order, (H, W, C) uint16; gives the frame to use instead."""

    def __init__(self) -> None:
        self._mean: Floats | None = None
        self._held: Floats | None = None
        self._before: Floats | None = None

    def __call__(self, image: Words) -> Words:
        now = image.astype(np.float32) / np.float32(WHITE)
        if self._mean is None or self._held is None or self._before is None:
            self._mean, self._before = now, now
            self._held = np.ones(now.shape[:2], np.float32)
            return image
        noise = self._noise(now)
        still = self._still(now, noise)
        held = np.where(still, np.minimum(self._held + 1, MEMORY), 1).astype(np.float32)
        self._mean = self._mean + (now - self._mean) / held[..., None]
        self._held, self._before = held, now
        calmed: Words = np.rint(self._mean * np.float32(WHITE)).astype(np.uint16)
        return calmed

    def _noise(self, now: Floats) -> float:
        luma = now[..., :3].mean(2)
        change = np.abs(luma - self._before[..., :3].mean(2))  # type: ignore[index]
        over_time = float(np.median(change)) * NOISE_PER_MEDIAN
        fine = np.abs(np.diff(np.diff(luma, 2, 0), 2, 1))
        within = float(np.median(fine)) * 1.4826 / FINE_PER_NOISE if fine.size else over_time
        return float(np.clip(min(over_time, within), LEAST_NOISE, MOST_NOISE))

    def _still(self, now: Floats, noise: float) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        change = now[..., :3].mean(2) - self._mean[..., :3].mean(2)  # type: ignore[index]
        expected = noise * np.sqrt(1 + 1 / self._held)  # type: ignore[operator]
        side = 2 * REACH + 1
        unbiased = np.abs(_box(change)) < BIAS * expected / side
        quiet = _box(np.abs(change)) < SPREAD * expected
        still: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = unbiased & quiet
        return still


def _box(values: Floats) -> Floats:
    """The mean over (2·REACH + 1)² neighbours, edges repeated."""
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (REACH, REACH)
        wide, length = np.pad(values, pad, mode="edge"), values.shape[axis]
        values = sum(  # type: ignore[assignment]
            np.take(wide, range(k, k + length), axis) for k in range(2 * REACH + 1)
        ) / np.float32(2 * REACH + 1)
    return values
