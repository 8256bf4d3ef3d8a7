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
CLOSE = 0.95
CROWDED = 0.5
TOGETHER = 16
Blocks = tuple[tuple[slice, slice, Floats], ...]


@dataclass(frozen=True)
class Round:
    """Repairs in windows: squares of `side` LR pixels with a margin around, so many steps."""

    side: int
    margin: int
    steps: int


ROUNDS = (Round(8, 4, 8), Round(8, 4, 16), Round(16, 12, 40))


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

    def part(self, box: Box) -> Target:
        """The part of it under `box`, in LR pixels."""
        inside = _inside(box, self.scale)
        low, high = (
            bound[inside] if isinstance(bound, np.ndarray) else bound
            for bound in (self.low, self.high)
        )
        y = np.ascontiguousarray(self.y[_inside(box)])
        return Target(y, self.scale, self.top, self.whole, low, high)

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
        out = _across(horizontal, _down(vertical, lack))
        out += x
        return np.clip(out, self.low, self.high, out=out)

    def rounded(self, x: Floats) -> Floats:
        """What is saved of x."""
        return np.rint(x) if self.whole else x

    @property
    def close(self) -> float:
        """The error, in levels, that is good enough."""
        return CLOSE if self.whole else CLOSE * self.top / 65535


def _inside(box: Box, scale: int = 1) -> tuple[slice, slice, slice]:
    rows, columns = box.slices(scale=scale)
    return rows, slice(None), columns


def bicubic(x: Floats, target: Target, origin: tuple[int, int] = (0, 0)) -> tuple[Floats, Floats]:
    """Project x (sh, C, sw), in levels, on what shrinks to the original.

    `origin` is the place of y in the whole image, so that tiles work in the same windows.

    Returns:
        The picture, rounded where it will be, and what it lacks (h, C, w) in levels.
    """
    x = target.moved(x, target.lacking(x))
    saved = target.rounded(x)
    lack = target.lacking(saved)
    size = Box(0, target.y.shape[0], 0, target.y.shape[2])
    for round in ROUNDS:
        squares = _squares(np.abs(lack).max(1) > target.close, round.side, origin)
        if not squares:
            break
        side = round.side + 2 * round.margin
        crowded = len(squares) * round.side**2 > CROWDED * size.pixels
        if crowded or side > min(size.height, size.width):
            x = _accelerated(x, target, _sure([size], size), round.steps)
        else:
            for some in _apart(squares, -(-side // round.side)):
                _repair(
                    x, target, [_window(s, round.margin, size) for s in some], size, round.steps
                )
        saved = target.rounded(x)
        lack = target.lacking(saved)
    return saved, lack


def _squares(
    dirty: NDArray[np.bool_], side: int, origin: tuple[int, int]
) -> list[tuple[int, int, Box]]:
    """The squares of a fixed grid over the whole image that hold something dirty."""
    rows, columns = np.nonzero(dirty)
    places = {
        ((row + origin[0]) // side, (column + origin[1]) // side)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    }
    found = []
    for row, column in sorted(places):
        top, left = row * side - origin[0], column * side - origin[1]
        found.append((row, column, Box(top, top + side, left, left + side)))
    return found


def _apart(squares: list[tuple[int, int, Box]], reach: int) -> Iterator[list[Box]]:
    """Squares, some at a time, that are `reach` squares from each other: windows do not meet."""
    for down, across in itertools.product(range(reach), repeat=2):
        some = [s for row, column, s in squares if (row % reach, column % reach) == (down, across)]
        for start in range(0, len(some), TOGETHER):
            yield some[start : start + TOGETHER]


def _window(square: Box, margin: int, size: Box) -> Box:
    """`square` with a margin, moved into the picture."""
    side = square.height + 2 * margin
    top = min(max(0, square.top - margin), size.height - side)
    left = min(max(0, square.left - margin), size.width - side)
    return Box(top, top + side, left, left + side)


def _repair(x: Floats, target: Target, windows: list[Box], size: Box, most: int) -> None:
    """Steps within windows of one size, all at once, side by side where channels are."""
    places = [_inside(window, target.scale) for window in windows]
    parts = [target.part(window) for window in windows]
    low, high = (
        np.concatenate(bounds, 1) if isinstance(bounds[0], np.ndarray) else bounds[0]
        for bounds in ([part.low for part in parts], [part.high for part in parts])
    )
    y = np.concatenate([part.y for part in parts], 1)
    joint = Target(y, target.scale, target.top, target.whole, low, high)
    start = np.concatenate([x[place] for place in places], 1)
    answer = _accelerated(start, joint, _sure(windows, size, x.shape[1]), most)
    for place, window in zip(places, np.split(answer, len(windows), 1), strict=True):
        x[place] = window


def _sure(windows: list[Box], size: Box, channels: int = 1) -> Floats:
    """1 where all that A looks at lies in the window, which may end where the picture does."""
    sure = np.zeros((windows[0].height, len(windows), windows[0].width), np.float32)
    for number, box in enumerate(windows):
        top, bottom = REACH * (box.top > 0), box.height - REACH * (box.bottom < size.height)
        left, right = REACH * (box.left > 0), box.width - REACH * (box.right < size.width)
        sure[top:bottom, number, left:right] = 1
    return sure.repeat(channels, 1)


def _accelerated(x: Floats, target: Target, sure: Floats, most: int) -> Floats:
    """Steps with momentum until every rounded window is close enough wherever that is `sure`."""
    point, before, pace = x, x, 1.0
    for _ in range(most):
        lack = target.lacking(point) * sure
        after = target.moved(point, lack)
        faster = (1 + (1 + 4 * pace * pace) ** 0.5) / 2
        point = after + np.float32((pace - 1) / faster) * (after - before)
        before, pace = after, faster
        if np.abs(lack).max() <= target.close:
            left = target.lacking(target.rounded(before)) * sure
            if np.abs(left).max() <= target.close:
                break
    return before


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
