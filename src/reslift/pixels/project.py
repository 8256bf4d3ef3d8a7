"""Changing an enlarged picture as little as is needed for it to shrink to its original again.

With A the bicubic shrinking, y the original and U = Aᵀ(AAᵀ)⁻¹ its pseudo-inverse, one step is

    x ← clip(x + U (y - A x))                       range/null-space, Wang, Yu and Zhang (ICLR 2023)

A is separable and banded, and so, up to a tail that is cut, is U. Where x meets black or white the
clipping undoes a part of the step; there, and only there, accelerated steps follow (Beck and
Teboulle 2009) in small windows. A truth that shrinks to y lies in the set that is projected on, so
that the picture comes nearer to it.

The box kernel needs no steps: every s × s block is moved and rounded for itself, to the exact sum.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reslift.pixels import kernel as cubic
from reslift.pixels.planes import Floats
from reslift.pixels.tiles import Box

TAIL = 4
REACH = 2
MARGIN = TAIL + REACH
BLOCK = 16
BAND = 64
CLOSE = 0.95
CROWDED = 1.0
TOGETHER = 48
LEAST_FREE = 0.15
WORTH_DROPPING = 0.3
Blocks = tuple[tuple[slice, slice, Floats], ...]


@dataclass(frozen=True)
class Round:
    """Repairs in windows: squares of `side` LR pixels with a margin around, so many steps."""

    side: int
    margin: int
    steps: int


ROUNDS = (Round(8, 4, 6), Round(8, 6, 10), Round(16, 10, 24), Round(24, 16, 64))
Unit = tuple[Box, int]
"""A window in LR pixels, and the channel that is repaired in it."""


@dataclass(frozen=True)
class Axis:
    """One axis of A and of U, in dense blocks of (outputs, inputs)."""

    down: Blocks
    dual: Blocks


@functools.lru_cache(maxsize=128)
def axis(size: int, scale: int) -> Axis:
    """For `size` LR pixels and `scale` times as many."""
    places, weights = cubic.band(size * scale, size, 0, size)
    down = np.zeros((size, size * scale))
    np.add.at(down.T, places, weights.T)
    dual = np.linalg.solve(down @ down.T, down).T
    far = np.abs(np.arange(size * scale)[:, None] // scale - np.arange(size)) > TAIL
    dual[far] = 0
    return Axis(_blocks(down, BLOCK), _blocks(dual, BLOCK * scale))


def _blocks(matrix: NDArray[Any], step: int) -> Blocks:
    found = []
    for start in range(0, matrix.shape[0], step):
        rows = matrix[start : start + step]
        used = np.flatnonzero(rows.any(0))
        span = slice(int(used[0]), int(used[-1]) + 1)
        block = np.ascontiguousarray(rows[:, span], np.float32)
        found.append((slice(start, start + len(rows)), span, block))
    return tuple(found)


def _down(blocks: Blocks, x: Floats) -> Floats:
    """A matrix on the first axis of (n, C, w)."""
    flat = x.reshape(x.shape[0], -1)
    out = np.empty((blocks[-1][0].stop, flat.shape[1]), np.float32)
    for rows, span, block in blocks:
        np.matmul(block, flat[span], out=out[rows])
    return out.reshape(-1, *x.shape[1:])


def _across(blocks: Blocks, x: Floats) -> Floats:
    """A matrix on the last axis of (h, C, n)."""
    flat = x.reshape(-1, x.shape[2])
    out = np.empty((flat.shape[0], blocks[-1][0].stop), np.float32)
    for columns, span, block in blocks:
        np.matmul(flat[:, span], block.T, out=out[:, columns])
    return out.reshape(*x.shape[:2], -1)


def apply(vertical: Blocks, horizontal: Blocks, x: Floats) -> Floats:
    """One matrix an axis, on (h, w)."""
    return _across(horizontal, _down(vertical, x[:, None]))[:, 0]


@dataclass(frozen=True)
class Target:
    """What is projected on: the original y (h, C, w), and low ≤ x ≤ high (sh, C, sw).

    Values are in levels: 0 to `top`; `whole` is whether they will be rounded.
    """

    y: Floats
    scale: int
    top: float
    whole: bool
    low: Floats | float
    high: Floats | float

    def of(self, channels: NDArray[np.bool_]) -> Target:
        """Some of its channels."""
        low, high = (
            bound[:, channels] if isinstance(bound, np.ndarray) else bound
            for bound in (self.low, self.high)
        )
        return Target(self.y[:, channels], self.scale, self.top, self.whole, low, high)

    def lacking(self, x: Floats) -> Floats:
        """y - A x (h, C, w), where A clips as shrinking does; 0 where clipping makes it right."""
        vertical, horizontal = (axis(n, self.scale).down for n in self.y.shape[::2])
        half = _down(vertical, x)
        np.clip(half, 0, self.top, out=half)
        shrunk = _across(horizontal, half)
        np.clip(shrunk, 0, self.top, out=shrunk)
        return np.subtract(self.y, shrunk, out=shrunk)

    def moved(self, x: Floats, lack: Floats) -> Floats:
        """clip(x + U lack)."""
        vertical, horizontal = (axis(n, self.scale).dual for n in self.y.shape[::2])
        half, out = _down(vertical, lack), np.empty_like(x)
        for start in range(0, len(x), BAND):
            rows = slice(start, start + BAND)
            low, high = (b[rows] if isinstance(b, np.ndarray) else b for b in (self.low, self.high))
            np.add(_across(horizontal, half[rows]), x[rows], out=out[rows])
            np.clip(out[rows], low, high, out=out[rows])
        return out

    def rounded(self, x: Floats) -> Floats:
        """What is saved of x."""
        return np.rint(x) if self.whole else x

    @property
    def close(self) -> float:
        """The error, in levels, that is good enough."""
        return CLOSE if self.whole else CLOSE * self.top / 65535


def bicubic(x: Floats, target: Target, origin: tuple[int, int] = (0, 0)) -> tuple[Floats, Floats]:
    """Project x (sh, C, sw), in levels, on what shrinks to the original.

    `origin` is the place of y in the whole image, so that tiles work in the same windows.

    Returns:
        The picture, rounded where it will be, and what it lacks (h, C, w) in levels.
    """
    x = target.moved(x, target.lacking(x))
    lack = target.lacking(target.rounded(x))
    size = Box(0, target.y.shape[0], 0, target.y.shape[2])
    for round in ROUNDS:
        squares = _squares(np.abs(lack) > target.close, round.side, origin)
        if not squares:
            break
        side, outer = (round.side + 2 * m for m in (round.margin, round.margin + 2 * REACH))
        crowded = len(squares) * side**2 > CROWDED * lack.size
        if crowded or outer > min(size.height, size.width):
            x = _accelerated(x, target, _sure([size], size), round.steps)
            lack = target.lacking(target.rounded(x))
            continue
        for some in _apart(squares, -(-side // round.side)):
            _repair(x, target, [(_window(s, round.margin, size), c) for s, c in some], size, round)
        if len(squares) * outer**2 > CROWDED * lack.size:
            lack = target.lacking(target.rounded(x))
            continue
        for some in _apart(squares, 1):
            wider = [(_window(s, round.margin + 2 * REACH, size), c) for s, c in some]
            _measure(lack, x, target, wider, size)
    return target.rounded(x), lack


def _squares(
    dirty: NDArray[np.bool_], side: int, origin: tuple[int, int]
) -> list[tuple[int, int, Unit]]:
    """The squares of a fixed grid over the whole image that hold something dirty, by channel."""
    rows, channels, columns = np.nonzero(dirty)
    down, across = (rows + origin[0]) // side, (columns + origin[1]) // side
    places = set(zip(down.tolist(), across.tolist(), channels.tolist(), strict=True))
    found = []
    for row, column, channel in sorted(places):
        top, left = row * side - origin[0], column * side - origin[1]
        found.append((row, column, (Box(top, top + side, left, left + side), channel)))
    return found


def _apart(squares: list[tuple[int, int, Unit]], reach: int) -> Iterator[list[Unit]]:
    """Squares, some at a time, that are `reach` squares from each other: windows do not meet."""
    for down, across in itertools.product(range(reach), repeat=2):
        some = [u for row, column, u in squares if (row % reach, column % reach) == (down, across)]
        for start in range(0, len(some), TOGETHER):
            yield some[start : start + TOGETHER]


def _window(square: Box, margin: int, size: Box) -> Box:
    """`square` with a margin, moved into the picture."""
    side = square.height + 2 * margin
    top = min(max(0, square.top - margin), size.height - side)
    left = min(max(0, square.left - margin), size.width - side)
    return Box(top, top + side, left, left + side)


def _repair(x: Floats, target: Target, units: list[Unit], size: Box, round: Round) -> None:
    """Steps within windows of one size that do not meet, all at once."""
    windows = [window for window, _ in units]
    start = _cut(x, units, target.scale)
    answer = _accelerated(start, _joint(target, units), _sure(windows, size), round.steps)
    for number, (window, channel) in enumerate(units):
        rows, columns = window.slices(scale=target.scale)
        x[rows, channel, columns] = answer[:, number]


def _measure(lack: Floats, x: Floats, target: Target, units: list[Unit], size: Box) -> None:
    """What is lacking in windows, where all that A looks at lies in them; in place."""
    joint = _joint(target, units)
    found = joint.lacking(joint.rounded(_cut(x, units, target.scale)))
    for number, (window, channel) in enumerate(units):
        inner = _sure_part(window, size)
        rows, columns = inner.slices()
        lack[rows, channel, columns] = found[:, number][inner.slices(window)]


def _joint(target: Target, units: list[Unit]) -> Target:
    """What is projected on in windows, side by side where channels are."""
    low, high = (
        _cut(bound, units, target.scale) if isinstance(bound, np.ndarray) else bound
        for bound in (target.low, target.high)
    )
    y = _cut(target.y, units, 1)
    return Target(y, target.scale, target.top, target.whole, low, high)


def _cut(values: Floats, units: list[Unit], scale: int) -> Floats:
    """(H, C, W) → (h, units, w)."""
    parts = []
    for window, channel in units:
        rows, columns = window.slices(scale=scale)
        parts.append(values[rows, channel, columns])
    return np.stack(parts, 1)


def _sure_part(box: Box, size: Box) -> Box:
    """Where all that A looks at lies in the window, which may end where the picture does."""
    return Box(
        box.top + REACH * (box.top > 0),
        box.bottom - REACH * (box.bottom < size.height),
        box.left + REACH * (box.left > 0),
        box.right - REACH * (box.right < size.width),
    )


def _sure(windows: list[Box], size: Box) -> Floats:
    """(h, windows, w), 1 in the sure part of each."""
    sure = np.zeros((windows[0].height, len(windows), windows[0].width), np.float32)
    for number, window in enumerate(windows):
        sure[:, number][_sure_part(window, size).slices(window)] = 1
    return sure


def _accelerated(x: Floats, target: Target, sure: Floats, most: int) -> Floats:
    """Steps with momentum, in each window until, rounded, it is close enough wherever `sure`."""
    answer, left = x.copy(), np.arange(x.shape[1])
    point, before, pace = x, x, 1.0
    for _ in range(most):
        lack = target.lacking(point) * sure
        done = np.abs(lack).max((0, 2)) <= target.close
        if done.any():
            short = target.lacking(target.rounded(before)) * sure
            done = np.abs(short).max((0, 2)) <= target.close
        if done.all():
            break
        if done.mean() >= WORTH_DROPPING and len(done) == sure.shape[1]:
            answer[:, left[done]] = before[:, done]
            left, target = left[~done], target.of(~done)
            before, point, lack, sure = (v[:, ~done] for v in (before, point, lack, sure))
        after = target.moved(point, lack * _gain(point, lack, target))
        faster = (1 + (1 + 4 * pace * pace) ** 0.5) / 2
        point = after - before
        point *= np.float32((pace - 1) / faster)
        point += after
        before, pace = after, faster
    answer[:, left] = before
    return answer


def _gain(x: Floats, lack: Floats, target: Target) -> Floats:
    """1 over the share of the pixels below each sample that clipping leaves free to move."""
    s = target.scale

    def count(free: NDArray[np.bool_]) -> NDArray[np.uint8]:
        ones = free.view(np.uint8)
        rows = sum((ones[k::s] for k in range(1, s)), ones[::s])
        total: NDArray[np.uint8] = sum((rows[..., k::s] for k in range(1, s)), rows[..., ::s])
        return total

    free = np.where(lack > 0, count(x < target.high), count(x > target.low))
    return _gains(s)[free]


@functools.cache
def _gains(scale: int) -> Floats:
    free = np.arange(scale**2 + 1) / scale**2
    gains: Floats = (1 / np.maximum(free, LEAST_FREE)).astype(np.float32)
    return gains


def box(x: Floats, target: Target) -> tuple[Floats, Floats]:
    """Bring every s × s block of x (sh, C, sw), in levels, to the mean that the original has.

    Returns:
        The picture, whole numbers where it will be rounded, and what it lacks (h, C, w), which is 0
        exactly for whole numbers.
    """
    s = target.scale
    low, high = (np.broadcast_to(np.float32(bound), x.shape) for bound in (target.low, target.high))
    blocks, low, high = (_as_blocks(values, s) for values in (x, low, high))
    blocks = blocks.astype(np.float64)
    sums = target.y.astype(np.float64) * (s * s)
    _level(blocks, sums, low, high)
    if target.whole:
        blocks = _to_sum(blocks, np.rint(sums), high)
    lack = (sums - blocks.sum(-1)) / (s * s)
    height, channels, width = target.y.shape
    out = blocks.reshape(height, channels, width, s, s).transpose(0, 3, 1, 2, 4)
    return out.reshape(x.shape).astype(np.float32), lack.astype(np.float32)


def _as_blocks(x: Floats, s: int) -> Any:
    """(sh, C, sw) → (h, C, w, s²)."""
    height, channels, width = x.shape
    split = x.reshape(height // s, s, channels, width // s, s).transpose(0, 2, 3, 1, 4)
    return split.reshape(height // s, channels, width // s, s * s)


def _level(blocks: Any, sums: Any, low: Any, high: Any) -> None:
    """Add one number to each block so that, clipped, it has its sum; in place."""
    np.clip(blocks, low, high, out=blocks)
    for _ in range(blocks.shape[-1] + 1):
        lack = sums - blocks.sum(-1)
        off = np.abs(lack) > 1e-6
        if not off.any():
            return
        values, missing = blocks[off], lack[off][:, None]
        free = np.where(missing > 0, values < high[off], values > low[off])
        share = missing / np.maximum(free.sum(1, keepdims=True), 1)
        blocks[off] = np.clip(values + share * free, low[off], high[off])


def _to_sum(blocks: Any, sums: Any, high: Any) -> Any:
    """Round down, then up where most is lost, until each block has its sum."""
    below = np.floor(blocks + 1e-6)
    rest = np.where(below < high, blocks - below, -1.0)
    missing = (sums - below.sum(-1))[..., None]
    rank = np.argsort(np.argsort(-rest, -1, kind="stable"), -1, kind="stable")
    return below + (rank < missing)
