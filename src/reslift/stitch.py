"""Computing an image cell by cell: read, fill, run, check, round, store.

::

    pixels (H,W,C) ── cell + halo ── float ── bleed under alpha ── model, group by group of planes
    out (sH,sW,C) ─── rounded ────── core, checked ──────────────────────┘

Only cells are ever float. While one is finished (`finish`) the model computes the next: NumPy alone
would use one core. Which cells there are is fixed by `tiles.grid`; how many are held before they
are stored (`tile`, `max_memory`, a retreat after running out of memory) changes no byte.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from reslift import machine
from reslift.backends import Backend
from reslift.errors import DeviceError, InputError, LimitError, ResliftError, UsageError
from reslift.finish import PLAIN, Cell, Finish, finished
from reslift.pixels import alpha as transparency
from reslift.pixels import planes as rule
from reslift.pixels import tiles
from reslift.pixels.planes import Floats, Pixels, Planes
from reslift.pixels.tiles import Box

MOST_RINGS = 32
MEBI = 2**20
FINISHING = 7
Piece = tuple[Pixels, Floats | None]
Progress = Callable[[int], None]


@dataclass
class Stitcher:
    """Runs the model of `backend` over images of any size.

    Attributes:
        tile: side in LR pixels of what is held at once, in whole cells; None is one cell.
        max_memory: bytes that the whole process should stay under; None is what the machine has.
        cell: longest side of a cell; part of what defines the answer.
        context: LR pixels around a cell that its answer may depend on, on the model's grid.
    """

    backend: Backend
    tile: int | None = None
    max_memory: int | None = None
    cell: int = tiles.CELL

    def __post_init__(self) -> None:
        if self.tile is not None and self.tile < 1:
            raise UsageError(f"tile {self.tile}: a tile is a number of pixels from 1 up")
        self.needs = needs = self.backend.needs
        if self.tile is not None and needs.size is not None and self.tile < needs.size:
            raise UsageError(
                f"tile {self.tile}: this model has fully connected layers, which see all of its "
                f"{needs.size}x{needs.size} pixels at once, and cannot be tiled: leave the tile out"
            )
        self.context = tiles.round_up(max(needs.halo, transparency.REACH), needs.multiple_of)

    def run(
        self,
        image: Planes,
        out: Pixels,
        progress: Progress | None = None,
        finish: Finish = PLAIN,
    ) -> None:
        """Fill out (sH, sW, C), of the dtype of the result, from image (H, W, C).

        `progress` is called with the number of output pixels that each finished cell adds.

        Raises:
            InputError: the model looks at the whole image and the image needs several cells, or
                the model takes one fixed size and this is another.
            LimitError: `max_memory` is too small for one cell.
            DeviceError: one cell alone runs out of memory.
            ResliftError: the model answers NaN or infinity.
        """
        height, width = image.pixels.shape[:2]
        self.needs.check_size(height, width)
        cell = max(self.cell, self.needs.size or 0)
        cells = tiles.grid(height, width, self.needs.multiple_of, cell)
        if self.needs.is_global and len(cells) > 1:
            raise InputError(
                f"this model looks at the whole image and cannot be tiled: {width}x{height} is "
                f"more than its {self.cell}x{self.cell}; use another model or a smaller image"
            )
        for core, (piece, lack) in self._pieces(image, cells, out, finish):
            out[core.slices(scale=self.needs.scale)] = piece
            if lack is not None and finish.tally is not None:
                finish.tally.add(lack)
            if progress is not None:
                progress(core.pixels * self.needs.scale**2)

    def _pieces(
        self, image: Planes, cells: list[Box], out: Pixels, finish: Finish
    ) -> Iterator[tuple[Box, Piece]]:
        size, done = self._held_cells(image, cells, out, finish), 0
        started: deque[tuple[Box, Future[Piece]]] = deque()
        quiet = nullcontext() if finish.plain else machine.one_blas_thread()
        with quiet, ThreadPoolExecutor(1) as finisher:
            while done < len(cells):
                group = cells[done : done + size]
                answers = self._try(image, group, finish)
                if answers is None:
                    self.backend.release()
                    size = max(1, len(group) // 2)
                    continue
                while started:
                    core, piece = started.popleft()
                    yield core, self._had(piece, core)
                for core, sr in zip(group, answers, strict=True):
                    piece = finisher.submit(self._finished, image, core, sr, out.dtype, finish)
                    started.append((core, piece))
                done += len(group)
            for core, piece in started:
                yield core, self._had(piece, core)

    def _try(self, image: Planes, group: list[Box], finish: Finish) -> list[Floats | None] | None:
        """The answers for a group; None where a group of several cells ran out of memory."""
        try:
            return [self._answered(image, core, finish) for core in group]
        except (RuntimeError, MemoryError) as error:
            if not self.backend.is_out_of_memory(error):
                raise
            if len(group) == 1:
                raise DeviceError(self._too_little(group[0])) from error
            return None

    def _had(self, piece: Future[Piece], core: Box) -> Piece:
        try:
            return piece.result()
        except MemoryError as error:
            raise DeviceError(self._too_little(core)) from error

    def _too_little(self, core: Box) -> str:
        need = self.backend.cell_bytes(core.height, core.width) // MEBI + 1
        return (
            f"out of memory on {self.backend.device} with one cell of {core.width}x{core.height} "
            f"pixels, which needs about {need} MiB; close other programs, or use a smaller model"
        )

    def _answered(self, image: Planes, core: Box, finish: Finish) -> Floats | None:
        """The model's answer for what is finished of a cell; None where its strength is 0."""
        if not finish.strength:
            return None
        inner = core.grown(finish.margin, *image.pixels.shape[:2])
        return finish.answer(self.needs.scale, inner, lambda: self._compute(image, inner))

    def _finished(
        self, image: Planes, core: Box, sr: Floats | None, dtype: np.dtype[Any], finish: Finish
    ) -> Piece:
        """The rounded pixels of one cell, and what they lack where that is told."""
        if finish.plain and sr is not None:
            return rule.from_float(sr, dtype), None
        size = height, width = image.pixels.shape[:2]
        inner = core.grown(finish.margin, height, width)
        outer = inner.grown(transparency.REACH, height, width)
        lr = self._lr(image, outer)
        cell = Cell(lr, outer, inner, core, size, self.needs.scale, image.alpha)
        return finished(sr, cell, dtype, finish)

    def _lr(self, image: Planes, outer: Box) -> Floats:
        """(1, C, h, w) of a part of the image, with visible colours under what is hidden."""
        rings = min(self.needs.halo + transparency.REACH, MOST_RINGS) if image.alpha else 0
        wide = outer.grown(rings, *image.pixels.shape[:2])
        lr = rule.to_float(image.pixels[wide.slices()])
        if image.alpha:
            colors = transparency.bleed(lr[:, :-1], lr[:, -1:], rings)
            lr = np.concatenate((colors, lr[:, -1:]), 1)
        return lr[(..., *outer.slices(wide))]

    def _compute(self, image: Planes, core: Box) -> Floats:
        """The unrounded answer (1, C, sh, sw) for one cell."""
        height, width, bands = image.pixels.shape
        outer = core.grown(self.context, height, width)
        lr = self._lr(image, outer)
        parts = []
        for group in rule.groups(bands, image.space, image.alpha, self.needs.channels):
            is_alpha = image.alpha and group == (bands - 1,)
            answer = self._alpha if is_alpha else self._answer
            parts.append(answer(lr[:, list(group)])[(..., *core.slices(outer, self.needs.scale))])
        return np.concatenate(parts, 1) if len(parts) > 1 else parts[0]

    def _answer(self, planes: Floats) -> Floats:
        sr = rule.through(self.backend.run, planes, self.needs.channels)
        with np.errstate(invalid="ignore", over="ignore"):
            total = float(sr.sum())
        if not math.isfinite(total):
            raise ResliftError(
                f"the model answered NaN or infinity ({self.backend.precision} on "
                f"{self.backend.device}); nothing was saved; try --device cpu or another model"
            )
        return sr

    def _alpha(self, plane: Floats) -> Floats:
        first = plane[0, 0, 0, 0]
        if bool((plane == first).all()):
            scale = self.needs.scale
            height, width = plane.shape[2] * scale, plane.shape[3] * scale
            return np.full((1, 1, height, width), first, np.float32)
        return transparency.within_neighbours(self._answer(plane), plane, self.needs.scale)

    def _held_cells(
        self, image: Planes, cells: list[Box], out: Pixels, finish: Finish = PLAIN
    ) -> int:
        wanted = 1 if self.tile is None else max(1, self.tile // self.cell) ** 2
        largest = max(cells, key=lambda box: box.pixels)
        outer = largest.grown(self.context + finish.margin, *image.pixels.shape[:2])
        need = self.backend.cell_bytes(outer.height, outer.width)
        need += 0 if isinstance(out, np.memmap) else out.nbytes
        free = self._free_memory(need)
        held: int = largest.pixels * self.needs.scale**2 * image.pixels.shape[2] * 4
        need += 0 if finish.plain else FINISHING * held
        two_groups = 2 * held
        return max(1, min(wanted, len(cells), 1 + (free - need) // two_groups))

    def _free_memory(self, need: int) -> int:
        """Bytes that may still be taken; refuses where they are fewer than one cell needs."""
        on_cpu = self.backend.device == "cpu"
        if self.max_memory is None:
            free = machine.available_memory()
            if free is None or not on_cpu:
                return sys.maxsize
            if free < need:
                raise DeviceError(
                    f"{free // MEBI} MiB of memory are free; one cell of this model and the result "
                    f"need about {need // MEBI} MiB; close other programs, or use a smaller model"
                )
            return free
        used = machine.resident_memory()
        if on_cpu and self.max_memory - used < need:
            least = math.ceil((used + need) / MEBI)
            raise LimitError(
                f"--max-memory {self.max_memory // MEBI}MiB is too little: the program, one cell "
                f"of this model and the result need about {least}MiB; raise it to that"
            )
        return max(need, self.max_memory - used)
