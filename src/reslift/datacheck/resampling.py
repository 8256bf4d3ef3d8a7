"""Whether a picture was enlarged before: energy missing above a cut-off, and traces of resampling.

Interpolated pixels are smoother the farther they lie from a pixel of the original, so that the
mean size of a difference, column by column, has the period of the enlargement (Gallagher 2005). Of
the second difference, and of the third, since where ×2 is centred all pixels lie equally far. The
period alone may be a pattern in the scene, and missing energy alone a soft lens; a picture is
called enlarged where both agree. Repeated pixels are counted as they are.

Not to be found: enlargements by networks that invent detail, and those that were compressed hard,
shrunk or filtered since.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reslift.likeness.planes import Bytes

SIDE = 1024
SMALLEST = 96
LENGTH = 2048
LOWEST, EIGHTH = round(0.18 * LENGTH), LENGTH // 8
WIDTH, GAP, ROUND = 4, 12, 120
PERIOD, MISSING = 10.0, 4.0
MIDDLE_SHARE = 0.6
CENTRED = 0.05
BLOCK_MARGIN = 3.0
CELLS_EQUAL, CELLS_DIFFER, CLEARLY = 0.98, 0.9, 15.0
LEAST_REPEATED, LEAST_SHARE, EVEN = 8, 0.04, 1.0
LOUDEST = 32
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Enlarged:
    """Traces of an enlargement.

    Attributes:
        factor: about how many times it was enlarged.
        other: the other factor that has the same period; equal where there is none.
        period: how many times the peak of the period stands above its surroundings; 0 where pixels
            are repeated.
        missing: dB by which the energy above the cut-off falls below what 1/f² suggests.
    """

    factor: float
    other: float
    period: float
    missing: float


def find_enlargement(plane: Bytes, blocks: bool = False) -> Enlarged | None:
    """Traces in (H, W) luma at its full size; the middle 1024 pixels are looked at.

    ``blocks`` says that the picture is or was a JPEG, whose blocks have periods of their own: of
    ×4/3, ×2, ×8/3 and ×4 the traces then have to be three times as strong.
    """
    if min(plane.shape) < SMALLEST:
        return None
    cut = tuple(slice(max(0, (size - SIDE) // 2), (size + SIDE) // 2) for size in plane.shape)
    values = plane[cut].astype(np.float64)
    repeated = _repeated(values)
    if repeated:
        return Enlarged(repeated, repeated, 0.0, 0.0)
    peaks = np.maximum(*(_both_axes(values, n) for n in (2, 3)))
    at = LOWEST + int(peaks[LOWEST:].argmax())
    if abs(at - LENGTH // 2) <= WIDTH and peaks[LENGTH // 4] >= PERIOD:
        at = LENGTH // 4
    near = _lobe(min(values.shape))
    on_grid = any(abs(at - part * EIGHTH) <= near for part in (2, 3, 4))
    least = PERIOD * BLOCK_MARGIN if on_grid and blocks else PERIOD
    if peaks[at] < least or (on_grid and _is_blocks(peaks, at, near)):
        return None
    factor, missing = _factor(values, at / LENGTH)
    if missing < MISSING:
        return None
    other = factor / (factor - 1) if abs(factor - 2) > CENTRED else factor
    return Enlarged(factor, other, float(peaks[at]), missing)


def _factor(values: Numbers, frequency: float) -> tuple[float, float]:
    """Of the two factors with a period of this frequency, the likelier, and what is missing."""
    short, long = 1 / (1 - frequency), 1 / frequency
    powers = [_power(one) for one in (values, values.T)]
    if abs(long - 2) <= CENTRED:
        return 2.0, min(_missing(one, 2.0, (0.575, 0.97)) for one in powers)
    top = min(1.15 / short, 0.94)
    middle = min(_missing(one, long, (1.15 / long, 0.9 / short)) for one in powers)
    above = min(_missing(one, long, (top, 1.0)) for one in powers)
    if middle > MIDDLE_SHARE * above:
        return long, max(middle, above)
    return short, min(_missing(one, short, (top, 1.0)) for one in powers)


def _both_axes(values: Numbers, order: int) -> Numbers:
    """Heights that hold for rows and for columns."""
    return np.minimum(_heights(values, order), _heights(values.T, order))


def _heights(values: Numbers, order: int) -> Numbers:
    """Height of each frequency of the profile of differences, over the median around it."""
    sizes = np.minimum(np.abs(np.diff(values, n=order, axis=1)), LOUDEST).mean(0)
    profile = np.log(sizes + 0.05)
    smooth = np.convolve(np.pad(profile, 8, mode="reflect"), np.ones(17) / 17, "valid")
    amplitudes = np.abs(np.fft.rfft((profile - smooth) * np.hanning(len(profile)), LENGTH))
    spread = np.lib.stride_tricks.sliding_window_view(np.pad(amplitudes, WIDTH), 2 * WIDTH + 1)
    around = np.pad(amplitudes, ROUND, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(around, 2 * ROUND + 1)
    sides = np.concatenate([windows[:, : ROUND - GAP], windows[:, ROUND + GAP + 1 :]], axis=1)
    return np.asarray(spread.max(1) / (np.median(sides, axis=1) + 1e-9))


def _lobe(side: int) -> int:
    """How far from a frequency its peak may be found, in a profile of `side` pixels.

    Hann's main lobe is 2 / side wide to either side; the flank of the peak of JPEG's blocks, in a
    small picture, is not to be taken for an enlargement by a factor beside theirs.
    """
    return max(WIDTH, -(-2 * LENGTH // side))


def _is_blocks(peaks: Numbers, at: int, near: int) -> bool:
    """Whether a period of 2, 8/3 or 4 comes with one of 8, as the blocks of JPEG have them."""
    others = [peaks[part * EIGHTH] for part in (1, 3) if abs(at - part * EIGHTH) > near]
    return bool(peaks[at] < BLOCK_MARGIN * max(others))


def _missing(power: Numbers, factor: float, band: tuple[float, float]) -> float:
    """Fall of the power from below the cut-off of ``factor`` to ``band``, less that of 1/f², in dB.

    ``band`` is in parts of the highest frequency.
    """
    steps = len(power) - 1
    low = slice(max(1, round(0.35 * steps / factor)), round(0.7 * steps / factor))
    high = slice(round(band[0] * steps), max(round(band[0] * steps) + 1, round(band[1] * steps)))
    places = np.maximum(np.arange(steps + 1), 1)
    expected = 20 * (np.log10(places[high]).mean() - np.log10(places[low]).mean())
    return float(power[low].mean() - power[high].mean() - expected)


def _power(values: Numbers) -> Numbers:
    """Mean power along rows, dB, at 129 frequencies from 0 to 0.5."""
    length = min(256, values.shape[1])
    window = np.hanning(length)
    parts = []
    for start in range(0, values.shape[1] - length + 1, length // 2):
        part = values[:, start : start + length]
        part = (part - part.mean(1, keepdims=True)) * window
        parts.append((np.abs(np.fft.rfft(part, 256)) ** 2).mean(0))
    return np.asarray(10 * np.log10(np.mean(parts, axis=0) / (window**2).sum() + 1e-6))


def _repeated(values: Numbers) -> float:
    """How many times pixels are repeated in both directions; 0 where they are not."""
    across, down = (_in_runs(one) for one in (values, values.T))
    if across and down and abs(across / down - 1) <= CENTRED:
        return round(across, 2)
    for times in (4, 3, 2):
        if all(_in_cells(one, times) for one in (values, values.T)):
            return float(times)
    return 0.0


def _equal(values: Numbers) -> Numbers | None:
    """Which share of each pair of columns is equal, in rows that are not all alike."""
    changed = np.diff(values, axis=1) != 0
    busy = changed[changed.any(1)]
    return None if len(busy) < SMALLEST // 2 else np.asarray(1 - busy.mean(0))


def _in_cells(values: Numbers, times: int) -> bool:
    """Whether neighbours are equal but for every ``times``-th pair of columns."""
    equal = _equal(values)
    if equal is None:
        return False
    phases = np.array([equal[start::times].mean() for start in range(times)])
    across = int(phases.argmin())
    inside = np.delete(phases, across).min()
    return bool(inside >= CELLS_EQUAL) and _differ(float(phases[across]), float(inside))


def _differ(across: float, inside: float) -> bool:
    """Whether neighbours are equal that much less often across cells than inside of them.

    Where a picture is flat they are equal across cells too.
    """
    return across <= CELLS_DIFFER and 1 - across >= CLEARLY * (1 - inside)


def _in_runs(values: Numbers) -> float:
    """The mean length of runs of equal columns, where they change as evenly as pixels allow."""
    equal = _equal(values)
    if equal is None:
        return 0.0
    edges = np.flatnonzero(equal < CELLS_EQUAL)
    if len(edges) < LEAST_REPEATED:
        return 0.0
    # Not those at the borders: bars of one colour are no repeated pixels.
    between = int(edges[-1] - edges[0]) + 1 - len(edges)
    if between < max(LEAST_REPEATED, LEAST_SHARE * len(edges)):
        return 0.0
    number = np.arange(len(edges))
    step, start = np.polyfit(number, edges, 1)
    is_even = np.abs(edges - start - step * number).max() <= EVEN
    inside = np.delete(equal, edges)
    is_clear = _differ(float(equal[edges].mean()), float(inside.mean()) if len(inside) else 1.0)
    return float(step) if is_even and is_clear else 0.0
