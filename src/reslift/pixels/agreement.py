"""How far files of many planes, larger than memory, are from shrinking to their originals.

result ── a piece ── shrink by the stated kernel ──┐
source ── a piece ─────────────────────────────────┴── largest and mean difference of each name
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reslift.pixels import tiles
from reslift.pixels.kernel import Doubles
from reslift.pixels.shrink import Kernel, band
from reslift.pixels.tiles import Box

TOLERANCES: dict[Kernel, float] = {"bicubic": 1.0, "box": 0.0}
REACH: dict[Kernel, int] = {"bicubic": 2, "box": 0}
SIDE = 256
NAMES = {
    "gray": ("gray",),
    "rgb": ("red", "green", "blue"),
    "cmyk": ("cyan", "magenta", "yellow", "black"),
}
FILL = np.finfo(np.float32).max
STEPS = 2**16 - 1
ROUNDING = 0.01
"""Levels that 32-bit floats cannot keep apart, after all that was done with them."""
Reader = Callable[[Box], NDArray[Any]]
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Channel:
    """Differences of one channel, in levels.

    largest, mean: of whole numbers, as the kernel rounds them. unrounded: largest of the kernel's
    own values, before they are rounded. beyond: share of samples over the tolerance. level: what a
    level is in the units of the samples.
    """

    name: str
    largest: float
    mean: float
    unrounded: float
    beyond: float
    level: float = 1.0


@dataclass(frozen=True)
class Layer:
    """One plane of a source, and the same of its result. Those of one name are counted together.

    Attributes:
        sides, fine: (height, width) of the source and of the result.
        small, large: samples (h, w) in a box of the source, and of the result.
        least, most: what the samples of the source lie between, and so those of a shrunk result.
        level: see `Channel`; whole: samples are whole numbers.
        valid: (h, w) where samples of the source are data; None is everywhere.
    """

    name: str
    sides: tuple[int, int]
    fine: tuple[int, int]
    small: Reader
    large: Reader
    least: float
    most: float
    level: float
    whole: bool
    valid: Callable[[Box], NDArray[np.bool_]] | None = None


def level_of(dtype: np.dtype[Any], least: float, most: float) -> float:
    """What counts as one level: a step of whole numbers, but at least 1/65535 of their range.

    Floats have steps too, which are wide beside a narrow range far from 0.
    """
    step = (most - least) / STEPS
    if dtype.kind in "iu":
        return max(1.0, step)
    widest = dtype.type(max(abs(least), abs(most)))
    # Towards 0: there is no next number beyond the largest one.
    return max(step, float(widest - np.nextafter(widest, dtype.type(0)))) if step else 1.0


def known_of(values: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """As `values`, where they are numbers that were measured.

    The largest float, of 32 bits or of their type, with either sign stands for none, as it is what
    programs put where there is no data.
    """
    known = np.ones(values.shape, bool)
    if values.dtype.kind == "f":
        size = np.abs(values)
        known = np.isfinite(size) & (size != np.finfo(values.dtype).max) & (size != FILL)
    return known if valid is None else known & valid


def bounds_of(planes: Iterable[tuple[NDArray[Any], NDArray[np.bool_] | None]]) -> Bounds:
    """The smallest and the largest measured value of all planes (h, w) of a file; each with where
    its values are valid, None for everywhere.

    A result may use the range of the whole file in each of its planes.
    """
    least, most = np.inf, -np.inf
    for values, valid in planes:
        measured = values[known_of(values, valid)]
        if measured.size:
            least, most = min(least, float(measured.min())), max(most, float(measured.max()))
    return (least, most) if least <= most else (0.0, 0.0)


def of_values(
    name: str,
    small: NDArray[Any],
    large: NDArray[Any],
    bounds: Bounds,
    valid: NDArray[np.bool_] | None = None,
) -> Layer:
    """A layer of two arrays (h, w) of measured values; what is no number does not count.

    Args:
        bounds: of the values of the whole file (`bounds_of`).
        valid: (h, w) where values were measured; None is everywhere.
    """
    known = known_of(small, valid)
    level = level_of(small.dtype, *bounds)
    return _of_arrays(name, small, large, bounds, level, None if known.all() else known)


def of_pictures(
    small: NDArray[Any], large: NDArray[Any], space: str, alpha: bool, prefix: str = ""
) -> Iterator[Layer]:
    """Layers of two pictures (h, w, C) of 8 or 16 bits; colours count where they are seen."""
    bounds = (0.0, float(np.iinfo(small.dtype).max))
    names = (*NAMES[space], "alpha") if alpha else NAMES[space]
    seen = small[..., -1] > 0 if alpha and not small[..., -1].all() else None
    for plane, name in enumerate(names):
        valid = None if name == "alpha" else seen
        pair = small[..., plane], large[..., plane]
        yield _of_arrays(prefix + name, *pair, bounds, 1.0, valid)


def _of_arrays(
    name: str,
    small: NDArray[Any],
    large: NDArray[Any],
    bounds: tuple[float, float],
    level: float,
    valid: NDArray[np.bool_] | None,
) -> Layer:
    return Layer(
        name,
        (small.shape[0], small.shape[1]),
        (large.shape[0], large.shape[1]),
        lambda box: np.asarray(small[box.slices()]),
        lambda box: np.asarray(large[box.slices()]),
        *bounds,
        level,
        small.dtype.kind in "iu",
        None if valid is None else lambda box: np.asarray(valid[box.slices()]),
    )


@dataclass
class _Sum:
    largest: float = 0.0
    total: float = 0.0
    unrounded: float = 0.0
    beyond: int = 0
    count: int = 0
    level: float = 1.0

    def channel(self, name: str) -> Channel:
        return Channel(
            name,
            self.largest,
            self.total / self.count,
            self.unrounded,
            self.beyond / self.count,
            self.level,
        )


def compare(
    layers: Iterable[Layer], kernel: Kernel, tolerance: float
) -> tuple[tuple[Channel, ...], int]:
    """Differences by name, in the order in which names come, and how many samples count.

    Memory is that of a piece of one layer. Samples within the kernel's reach of a missing one do
    not count.
    """
    sums: dict[str, _Sum] = {}
    for layer in layers:
        known = sums.setdefault(layer.name, _Sum())
        known.level = layer.level
        for box in tiles.grid(*layer.sides, cell=SIDE):
            _add(known, layer, box, kernel, tolerance)
    channels = tuple(found.channel(name) for name, found in sums.items() if found.count)
    return channels, sum(found.count for found in sums.values())


def _add(known: _Sum, layer: Layer, box: Box, kernel: Kernel, tolerance: float) -> None:
    counts = np.ones((box.height, box.width), bool)
    if layer.valid is not None:
        wide = box.grown(REACH[kernel], *layer.sides)
        counts = whole_around(layer.valid(wide), REACH[kernel])[box.slices(wide)]
    if not counts.any():
        return
    small = layer.small(box).astype(np.float64)
    exact, rounded = _shrunk(layer, box, kernel)
    gaps = [np.abs(shrunk - small)[counts] / layer.level for shrunk in (exact, rounded)]
    if not layer.whole:
        gaps[1][gaps[1] < ROUNDING] = 0
    known.unrounded = max(known.unrounded, float(gaps[0].max()))
    known.largest = max(known.largest, float(gaps[1].max()))
    known.total += float(gaps[1].sum())
    known.beyond += int((gaps[1] > tolerance).sum())
    known.count += gaps[1].size


def _shrunk(layer: Layer, box: Box, kernel: Kernel) -> tuple[Doubles, Doubles]:
    """The kernel's own values in a box of the source, and those it rounds after each axis."""
    (height, width), (high, wide) = layer.sides, layer.fine
    rows, down = band(high, height, box.top, box.bottom, kernel)
    columns, across = band(wide, width, box.left, box.right, kernel)
    seen = Box(int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1)
    samples = layer.large(seen)[rows - seen.top][:, columns - seen.left].astype(np.float64)
    samples[~np.isfinite(samples)] = 0

    def fitted(values: Doubles, rounded: bool) -> Doubles:
        clipped: Doubles = np.clip(np.floor(values + 0.5) if rounded else values, *bounds)
        return clipped

    bounds = (layer.least, layer.most)
    half: Doubles = down @ samples
    exact = fitted((fitted(half, False) if kernel == "bicubic" else half) @ across.T, False)
    if not layer.whole:
        return exact, exact
    return exact, fitted((fitted(half, True) if kernel == "bicubic" else half) @ across.T, True)


def whole_around(valid: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Samples with nothing missing within the reach of the kernel."""
    found: Any = valid
    for axis in (0, 1):
        padded = np.pad(found, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], "edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis)
        found = windows.all(-1)
    around: NDArray[np.bool_] = found
    return around
