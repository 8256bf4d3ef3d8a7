"""Changing an enlarged picture as little as is needed for it to shrink to its original again.

With A the bicubic shrinking, y the original and U = Aᵀ(AAᵀ)⁻¹ its pseudo-inverse, one step is

    x ← clip(x + U g (y - A x))                     range/null-space, Wang, Yu and Zhang (ICLR 2023)

where g, 1 where nothing is clipped, makes up for the pixels that clipping holds. Where x still
lacks something, there and only there, accelerated steps follow (Beck and Teboulle 2009) in small
windows: first these again, then the projected gradient of |y - Ax|², which knows that A clips
between its axes too. U does not, and in hard lettering, where every tenth sample is beyond the
range there, its steps end in no solution though the truth is one. Where no picture shrinks to y
(noise in the dark, JPEG) they end in speckles hardly nearer to it: a cell that many steps have not
helped gets no more, and where much is left what the first step gave is taken again. A truth that
shrinks to y lies in the set that is projected on, so that the picture comes nearer to it.

The box kernel needs no steps: every s × s block is moved and rounded for itself, to the exact sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from reslift.pixels.planes import Floats
from reslift.pixels.repair import CHEAP, ROUNDS, Work, measure, repair, squares_of, steps
from reslift.pixels.target import CLOSE, REACH, TAIL, Target, apply, axis

__all__ = ["MARGIN", "Target", "apply", "axis", "bicubic", "box"]

MARGIN = TAIL + REACH
CROWDED, SCATTERED = 1.0, 0.5
FAR, WORTH, AROUND, RETURNS = 4.0, 0.25, 6, 4
"""Levels, and the share of an error, that steps may leave; LR pixels around a sample that are
undone with it; how often the edges of what is undone are looked at."""


def bicubic(
    x: Floats, target: Target, origin: tuple[int, int] = (0, 0)
) -> tuple[NDArray[Any], Floats]:
    """Project x (sh, C, sw), in levels, on what shrinks to the original; overwrites x.

    `origin` is the place of y in the whole image, so that tiles work in the same windows.

    Returns:
        The picture, whole numbers where it will be rounded, and what it lacks (h, C, w) in levels.
    """
    out = np.empty(x.shape, target.dtype)
    lack = target.save(x, target.step(x)[1], out)
    dirty = np.abs(lack) > target.close
    if not dirty.any():
        return out, lack
    first = out.copy(), lack.copy()
    shortest = min(lack.shape[0], lack.shape[2])
    begun, work = _beyond(lack, target), Work()
    for round in ROUNDS:
        squares = squares_of(dirty, round.side, origin)
        side, outer = (round.side + 2 * (round.margin + m) for m in (0, 2 * REACH))
        if len(squares) * side**2 > CROWDED * lack.size or outer > shortest:
            x = steps(x, target, round, work)
            lack = target.save(x, None, out)
        else:
            repair(x, target, squares, round, work)
            if len(squares) * outer**2 < SCATTERED * lack.size:
                measure(x, out, lack, target, squares, round)
            else:
                lack = target.save(x, None, out)
        dirty = np.abs(lack) > target.close
        costly = work.moved > CHEAP * x.size
        if not dirty.any() or (costly and _beyond(lack, target) > round.hope * begun):
            break
    return out, _undone(out, lack, *first, target)


def _beyond(lack: Floats, target: Target) -> float:
    """The sum of squares of what is lacking beyond what is close enough."""
    return float(np.square(np.maximum(np.abs(lack) - target.close, 0)).sum())


def _undone(
    out: NDArray[Any], lack: Floats, first: NDArray[Any], lacked: Floats, target: Target
) -> Floats:
    """Where the steps left much of what was `lacked`, have `out` as it was first; what it lacks.

    All channels go together: a colour that agrees alone is a speckle.
    """
    least = FAR * target.close / CLOSE
    if np.abs(lack).max() <= least:
        return lack
    limit = np.maximum(least, WORTH * _most(np.abs(lacked).max(1)))
    gone = np.zeros(limit.shape, bool)
    for _ in range(RETURNS):
        missed = (np.abs(lack).max(1) > limit) & ~gone
        if not missed.any():
            break
        gone |= _most(missed)
        where = gone.repeat(target.scale, 0).repeat(target.scale, 1)[:, None]
        np.copyto(out, first, where=where)
        lack = target.lacking(out.astype(np.float32, copy=False))
    return lack


def _most(values: NDArray[Any]) -> NDArray[Any]:
    """The largest within `AROUND` of each of (h, w)."""
    for side in (0, 1):
        wide = [(AROUND, AROUND) if other == side else (0, 0) for other in (0, 1)]
        values = sliding_window_view(np.pad(values, wide), 2 * AROUND + 1, side).max(-1)
    return values


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
