"""What is projected on: a picture that the bicubic kernel shrinks to an original; how near one is.

With A the shrinking and U = Aᵀ(AAᵀ)⁻¹ its pseudo-inverse: both are separable and banded, U up to a
tail that is cut, and applied as dense blocks along each axis.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from reslift.pixels import kernel as cubic
from reslift.pixels.kernel import Doubles
from reslift.pixels.planes import Floats

TAIL = 4
REACH = 2
BLOCK, WINDOW, LONG = 8, 24, 72
CLOSE = 0.95
LEAST_FREE = 0.15
Block = tuple[slice, slice, Floats]
Blocks = tuple[Block, ...]
Band = tuple[slice, Floats, Block]
"""Rows, their values, and how A shrinks them."""


@dataclass(frozen=True)
class Axis:
    """One axis of A, of U and of s Aᵀ, in dense blocks of (outputs, inputs).

    down, dual, back: of some outputs each, with all inputs that these have. spread: A again, of the
    outputs of each block of `dual` as inputs, with all outputs that these reach. The norm of √s A
    is 1, so that s Aᵀ is the longest step that never overshoots.
    """

    down: Blocks
    dual: Blocks
    back: Blocks
    spread: Blocks


@dataclass(frozen=True)
class Move:
    """What to change a picture by: wide (h, C, sw), to be taken through `vertical` yet."""

    wide: Floats
    vertical: Blocks

    def of(self, channels: NDArray[np.bool_]) -> Move:
        """Some of its channels."""
        return Move(self.wide[:, channels], self.vertical)


@functools.lru_cache(maxsize=128)
def axis(size: int, scale: int, tail: int = TAIL) -> Axis:
    """For `size` LR pixels and `scale` times as many; U is cut `tail` LR pixels away.

    A long one is a shorter one whose middle is repeated: what is at an edge fades with every pixel.
    """
    if size > LONG:
        short = LONG - BLOCK + size % BLOCK
        known, times = axis(short, scale, tail), (size - short) // BLOCK
        fine = BLOCK * scale
        return Axis(
            _longer(known.down, times, BLOCK, fine),
            _longer(known.dual, times, fine, BLOCK),
            _longer(known.back, times, fine, BLOCK),
            _longer(known.spread, times, BLOCK, fine),
        )
    down, dual = matrices(size, scale, tail)
    step = size if size <= WINDOW else BLOCK
    spread = tuple((rows, span, block.T) for span, rows, block in _blocks(down.T, step * scale))
    dual_blocks, back = (_blocks(rows, step * scale) for rows in (dual, scale * down.T))
    return Axis(_blocks(down, step), dual_blocks, back, spread)


def matrices(size: int, scale: int, tail: int = TAIL) -> tuple[Doubles, Doubles]:
    """One axis of A (size, scale size) and of U (scale size, size)."""
    places, weights = cubic.band(size * scale, size, 0, size)
    down: Doubles = np.zeros((size, size * scale))
    np.add.at(down.T, places, weights.T)
    dual: Doubles = np.linalg.solve(down @ down.T, down).T.astype(np.float64)
    far = np.abs(np.arange(size * scale)[:, None] // scale - np.arange(size)) > tail
    dual[far] = 0
    return down, dual


def _blocks(matrix: Doubles, step: int) -> Blocks:
    found = []
    for start in range(0, matrix.shape[0], step):
        rows = matrix[start : start + step]
        used = np.flatnonzero(rows.any(0))
        span = slice(int(used[0]), int(used[-1]) + 1)
        block = np.ascontiguousarray(rows[:, span], np.float32)
        found.append((slice(start, start + len(rows)), span, block))
    return tuple(found)


def _longer(blocks: Blocks, times: int, rows: int, columns: int) -> Blocks:
    """With the block in the middle so many times more, each so much farther on."""
    middle = len(blocks) // 2

    def moved(block: Block, by: int) -> Block:
        return _moved(block[0], by * rows), _moved(block[1], by * columns), block[2]

    repeated = (moved(blocks[middle], by) for by in range(times))
    return (*blocks[:middle], *repeated, *(moved(block, times) for block in blocks[middle:]))


def _moved(span: slice, by: int) -> slice:
    return slice(span.start + by, span.stop + by)


def apply(vertical: Blocks, horizontal: Blocks, x: Floats) -> Floats:
    """One matrix an axis, on (h, C, w)."""
    return _across(horizontal, _down(vertical, x))


def _down(blocks: Blocks, x: Floats) -> Floats:
    """A matrix on the first axis of (n, C, w)."""
    out = np.empty((blocks[-1][0].stop, *x.shape[1:]), np.float32)
    for rows, span, block in blocks:
        _times(block, x[span], out[rows])
    return out


def _times(block: Floats, x: Floats, out: Floats) -> Floats:
    """block (m, n) on the first axis of x (n, C, w), into out (m, C, w)."""
    np.matmul(block, x.reshape(len(x), -1), out=out.reshape(len(out), -1))
    return out


def _across(blocks: Blocks, x: Floats) -> Floats:
    """A matrix on the last axis of (h, C, n)."""
    flat = x.reshape(-1, x.shape[2])
    out = np.empty((flat.shape[0], blocks[-1][0].stop), np.float32)
    for columns, span, block in blocks:
        np.matmul(flat[:, span], block.T, out=out[:, columns])
    return out.reshape(*x.shape[:2], -1)


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

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest that holds what is saved."""
        if not self.whole:
            return np.dtype(np.float32)
        return np.dtype(np.uint8 if self.top <= 255 else np.uint16)

    @property
    def close(self) -> float:
        """The error, in levels, that is good enough."""
        return CLOSE if self.whole else CLOSE * self.top / 65535

    def of(self, channels: NDArray[np.bool_]) -> Target:
        """Some of its channels."""
        low, high = (
            bound[:, channels] if isinstance(bound, np.ndarray) else bound
            for bound in (self.low, self.high)
        )
        return Target(self.y[:, channels], self.scale, self.top, self.whole, low, high)

    def lacking(self, x: Floats) -> Floats:
        """y - A x (h, C, w), where A clips as shrinking does; 0 where clipping makes it right."""
        return self._lack(_down(axis(self.y.shape[0], self.scale).down, x))

    def _lack(self, half: Floats) -> Floats:
        """What is lacking, from A x that is not yet shrunk across; overwrites it."""
        np.clip(half, 0, self.top, out=half)
        shrunk = _across(axis(self.y.shape[2], self.scale).down, half)
        np.clip(shrunk, 0, self.top, out=shrunk)
        return np.subtract(self.y, shrunk, out=shrunk)

    def step(self, x: Floats, sure: Floats | None = None) -> tuple[Floats, Move]:
        """What x lacks (h, C, w), and that with a gain, through U: far at once where few clip.

        The gain follows from the share of the pixels below a sample that are free to move that way.
        Only what is `sure` counts.
        """
        s, half = self.scale, np.zeros((*self.y.shape[:2], x.shape[2]), np.float32)
        down, up = (np.zeros(self.y.shape, np.uint8) for _ in range(2))
        for rows, part, spread in self._bands(x):
            low, high = self._bounds(rows)
            if isinstance(low, np.ndarray) or part.min() <= low or part.max() >= high:
                where = slice(rows.start // s, rows.stop // s)
                _count(part <= low, s, down[where])
                _count(part >= high, s, up[where])
                part = np.clip(part, low, high)
            _shrink(spread, part, half)
        lack = self._lack(half)
        if sure is not None:
            lack *= sure
        vertical, horizontal = (axis(n, s) for n in self.y.shape[::2])
        return lack, Move(_across(horizontal.dual, _gained(lack, down, up, s)), vertical.dual)

    def slope(self, x: Floats, sure: Floats | None = None) -> tuple[Floats, Move]:
        """As `step`, through s Aᵀ and what A clips between its axes: a descent of |lack|² always.

        There a sample beyond the range may not be called farther out: it would change nothing.
        """
        vertical, horizontal = (axis(n, self.scale) for n in self.y.shape[::2])
        half = _down(vertical.down, x)
        above, below = half >= self.top, half <= 0
        lack = self._lack(half)
        if sure is not None:
            lack *= sure
        wide = _across(horizontal.back, lack)
        wide[(above & (wide > 0)) | (below & (wide < 0))] = 0
        return lack, Move(wide, vertical.back)

    def hurry(self, x: Floats, before: Floats, move: Move, push: float) -> None:
        """Clip x + move, and go on by `push` times the way from `before`, which takes its place."""
        for rows, part, _ in self._bands(x, move):
            low, high = self._bounds(rows)
            np.clip(part, low, high, out=part)
            np.subtract(part, before[rows], out=x[rows])
            x[rows] *= np.float32(push)
            x[rows] += part
            np.clip(x[rows], low, high, out=x[rows])
            before[rows] = part

    def save(self, x: Floats, move: Move | None, out: NDArray[Any]) -> Floats:
        """Move and clip x in place; fill `out` (sh, C, sw) with what is saved; what that lacks."""
        half = np.zeros((*self.y.shape[:2], x.shape[2]), np.float32)
        for rows, part, spread in self._bands(x, move):
            if move is not None:
                np.clip(part, *self._bounds(rows), out=x[rows])
            part = np.rint(x[rows]) if self.whole else x[rows]
            out[rows] = part
            _shrink(spread, part, half)
        return self._lack(half)

    def _bands(self, x: Floats, move: Move | None = None) -> Iterator[Band]:
        """x, moved, band by band; each is overwritten by the next, or is x itself."""
        spreads = axis(self.y.shape[0], self.scale).spread
        if move is None:
            yield from ((a[1], x[a[1]], a) for a in spreads)
            return
        room = np.empty((len(move.vertical[0][2]), *x.shape[1:]), np.float32)
        for (rows, span, block), spread in zip(move.vertical, spreads, strict=True):
            part = _times(block, move.wide[span], room[: len(block)])
            part += x[rows]
            yield rows, part, spread

    def _bounds(self, rows: slice) -> tuple[Floats | float, Floats | float]:
        low, high = (b[rows] if isinstance(b, np.ndarray) else b for b in (self.low, self.high))
        return low, high


def _shrink(spread: Block, part: Floats, half: Floats) -> None:
    """Add to half (h, C, w) what A makes of a band along the first axis."""
    rows, _, block = spread
    half[rows] += _times(block, part, np.empty((len(block), *part.shape[1:]), np.float32))


def _count(true: NDArray[np.bool_], s: int, out: NDArray[np.uint8]) -> None:
    """(sh, C, sw) → (h, C, w): how many of each s × s; `out` is 0 before."""
    if not true.any():
        return
    ones = true.view(np.uint8)
    rows = sum((ones[k::s] for k in range(1, s)), ones[::s])
    for k in range(s):
        out += rows[..., k::s]


def _gained(lack: Floats, down: NDArray[np.uint8], up: NDArray[np.uint8], scale: int) -> Floats:
    """What is lacking, times the gain where samples are held."""
    held = np.flatnonzero(down | up)
    if not held.size:
        return lack
    change = lack.copy()
    missing = lack.reshape(-1)[held]
    counts = np.where(missing > 0, up.reshape(-1)[held], down.reshape(-1)[held])
    change.reshape(-1)[held] = missing * _gains(scale)[counts]
    return change


@functools.cache
def _gains(scale: int) -> Floats:
    """By how many of the scale² pixels below a sample are not free."""
    free = 1 - np.arange(scale**2 + 1) / scale**2
    return cast(Floats, (1 / np.maximum(free, LEAST_FREE)).astype(np.float32))
