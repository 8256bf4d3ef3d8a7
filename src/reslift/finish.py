"""What is done with a model's answer before it is rounded: less of it, and agreement with LR.

model ──┐
bicubic ┴─ mixed by strength ── projected, so that it shrinks to LR again ── rounded
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reslift.errors import UsageError
from reslift.pixels import alpha as transparency
from reslift.pixels import kernel as cubic
from reslift.pixels import project
from reslift.pixels.planes import Floats, Pixels
from reslift.pixels.shrink import Kernel
from reslift.pixels.tiles import Box


@dataclass
class Tally:
    """How far a result is from shrinking to its input, in levels of the result's depth.

    largest, total: over all samples that were told of. count: how many those are.
    """

    largest: float = 0.0
    total: float = 0.0
    count: int = 0

    def add(self, lack: Floats) -> None:
        """Count the samples of a cell."""
        sizes = np.abs(lack)
        self.largest = max(self.largest, float(sizes.max()))
        self.total += float(sizes.sum(dtype=np.float64))
        self.count += sizes.size

    @property
    def mean(self) -> float:
        """0 where nothing was counted."""
        return self.total / self.count if self.count else 0.0


@dataclass
class Runs:
    """What came of runs over the frames of a file.

    total: how many there were. wanted: of those that were to agree with their input. direct: of
    those that could, since one model went straight to their size.
    """

    total: int = 0
    wanted: int = 0
    direct: int = 0

    def add(self, tally: Tally | None) -> None:
        """Count a run that was finished with this tally."""
        self.total += 1
        self.wanted += tally is not None
        self.direct += tally is not None and tally.count > 0


@dataclass(frozen=True)
class Finish:
    """How an answer is finished.

    Attributes:
        strength: 0 is bicubic, 1 the model; linear between.
        kernel: the result, shrunk by it, gives the input; None leaves that open.
        tally: is told what remains.
        answers: the model's answers by scale and cell, kept for another strength; None keeps none.

    Raises:
        UsageError: a strength that is not in [0, 1].
    """

    strength: float = 1.0
    kernel: Kernel | None = None
    tally: Tally | None = field(default=None, compare=False, repr=False)
    answers: dict[tuple[int, Box], Floats] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise UsageError(f"strength {self.strength}: 0 is bicubic, 1 the model")

    @property
    def plain(self) -> bool:
        """Whether the answer stays as it is."""
        return self.strength == 1 and self.kernel is None

    @property
    def margin(self) -> int:
        """LR pixels around a cell that have to be known for it; one number for every strength."""
        return 0 if self.plain else project.MARGIN

    def answer(self, scale: int, box: Box, compute: Callable[[], Floats]) -> Floats:
        """What `compute` gives, or gave."""
        if self.answers is None:
            return compute()
        key = (scale, box)
        if key not in self.answers:
            self.answers[key] = compute()
        return self.answers[key]


PLAIN = Finish()


@dataclass(frozen=True)
class Cell:
    """A cell of an image: lr (1, C, h, w) in [0, 1] of `outer`; `inner` is finished, `core` kept.

    size: (H, W) of the whole image.
    """

    lr: Floats
    outer: Box
    inner: Box
    core: Box
    size: tuple[int, int]
    scale: int
    alpha: bool


def finished(
    sr: Floats | None, cell: Cell, dtype: np.dtype[Any], finish: Finish
) -> tuple[Pixels, Floats | None]:
    """The pixels (sh, sw, C) of a cell's core, and what they lack (h, C, w), in levels.

    sr: the model's answer (1, C, sh, sw) for `inner`; None where the strength is 0.
    """
    whole = dtype.kind == "u"
    top = float(np.iinfo(dtype).max) if whole else 1.0
    x = _mixed(sr, cell, top, whole, finish.strength)
    low, high = _bounds(cell, top)
    if finish.kernel is None:
        saved, lack = np.clip(x, low, high), None
        saved = np.floor(saved + 0.5) if whole else saved
    else:
        lr = cell.lr[0][(slice(None), *cell.inner.slices(cell.outer))].transpose(1, 0, 2) * top
        y = np.ascontiguousarray(np.rint(lr) if whole else lr, np.float32)
        target = project.Target(y, cell.scale, top, whole, low, high)
        x = x.astype(np.float32, copy=False)
        corner = (cell.inner.top, cell.inner.left)
        if finish.kernel == "box":
            saved, lack = project.box(x, target)
        else:
            saved, lack = project.bicubic(x, target, corner)
        rows, columns = cell.core.slices(cell.inner)
        lack = lack[rows, :, columns]
    rows, columns = cell.core.slices(cell.inner, cell.scale)
    pixels: Pixels = saved[rows, :, columns].transpose(0, 2, 1).astype(dtype)
    return pixels, lack


def _mixed(sr: Floats | None, cell: Cell, top: float, whole: bool, strength: float) -> Any:
    """(sh, C, sw) in levels; bicubic in double precision, on whole numbers where there are such."""
    if strength == 1 and sr is not None:
        levels = np.empty((sr.shape[2], sr.shape[1], sr.shape[3]), np.float32)
        return np.multiply(sr[0].transpose(1, 0, 2), np.float32(top), out=levels)
    lr = cell.lr[0].astype(np.float64) * top
    plain = _bicubic(np.rint(lr) if whole else lr, cell).transpose(1, 0, 2)
    if sr is None:
        return plain
    return (1 - strength) * plain + strength * top * sr[0].transpose(1, 0, 2)


def _bicubic(lr: Any, cell: Cell) -> Any:
    """(C, h, w) of `outer` → (C, sh, sw) of `inner`, vertical first."""
    height, width = cell.size
    s, box = cell.scale, cell.inner
    rows, down = cubic.band(height, height * s, box.top * s, box.bottom * s)
    columns, across = cubic.band(width, width * s, box.left * s, box.right * s)
    used = lr[:, rows - cell.outer.top][:, :, columns - cell.outer.left]
    return down @ used @ across.T


def _bounds(cell: Cell, top: float) -> tuple[Floats | float, Floats | float]:
    """What a pixel may be: alpha keeps within its neighbours, so that opaque stays opaque."""
    if not cell.alpha:
        return 0.0, top
    where = cell.inner.slices(cell.outer)
    lows, highs = transparency.neighbour_range(cell.lr[:, -1:], 1)
    low, high = (
        bound[0, 0][where].repeat(cell.scale, 0).repeat(cell.scale, 1) * np.float32(top)
        for bound in (lows, highs)
    )
    shape = (low.shape[0], cell.lr.shape[1], low.shape[1])
    least, most = np.zeros(shape, np.float32), np.full(shape, top, np.float32)
    least[:, -1], most[:, -1] = low, high
    return least, most


def is_faithful(recipe: Mapping[str, Any]) -> bool:
    """Whether this is how a model is trained for the mean, and not for looks, on bicubic LR."""
    phases: list[dict[str, Any]] = recipe.get("phases") or []
    looks = [p for p in phases if p.get("adversary") or p.get("kl") or "perceptual" in _loss(p)]
    bicubic = recipe.get("degradation", {}).get("name") == "bicubic"
    return bool(phases) and bicubic and recipe.get("scale", 1) > 1 and not looks


def _loss(phase: Mapping[str, Any]) -> Mapping[str, float]:
    found: Mapping[str, float] = phase.get("loss") or {}
    return found
