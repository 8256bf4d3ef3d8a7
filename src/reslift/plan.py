"""What an upscaling will take, before it starts: sizes, cells, memory, time.

::

    headers ──► cells ──┐
    one cell, timed ────┴──► network    one file of a kind read, a piece of it written ──► the rest
    a few frames of a clip, from end to end ──► a clip

The network's time goes by the pixels that it sees: each cell with the real pixels around it. An
engine takes further memory whenever a cell is larger than all before it, so that memory goes by the
sizes of cells in their order, over all files: at least `LATER` of what the first took (measured).
"""

from __future__ import annotations

import itertools
import tempfile
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from reslift import formats, machine, media
from reslift.batch import Job
from reslift.errors import ResliftError
from reslift.finish import Finish
from reslift.limits import Limits
from reslift.media.base import PLAIN
from reslift.pixels import tiles
from reslift.pixels.planes import Pixels, Planes
from reslift.upscale import Upscaler

WARM_UP = 64
LESS = 40
LATER, MARKED = 0.5, 0.1
LEVEL = 6
WHILE, FEWEST, MOST = 3.0, 4, 48
"""Seconds of the network for which a clip is tried, and how many frames that may be."""


@dataclass(frozen=True)
class Estimate:
    """What one job will take.

    Attributes:
        kind: what the file is, for people.
        cells: parts that the network is run on, in all frames.
        memory: bytes that the process will hold at most.
        seconds: from the first byte read to the last one written.
    """

    job: Job
    kind: str
    cells: int
    memory: int
    seconds: float


@dataclass(frozen=True)
class Cost:
    """What one pixel of a cell takes: seconds, and bytes of the first and of each larger cell."""

    seconds: float
    first: float
    more: float


@dataclass(frozen=True)
class Still:
    """Seconds for one pixel of a kind of picture: to read, to enlarge, to write one of the result.

    reach: pixels around a cell that the network sees too.
    """

    read: float
    network: Cost
    write: float
    reach: int


@dataclass
class Growth:
    """Memory that engines hold after cells of growing size.

    held: bytes. largest: pixels of the largest cell so far.
    """

    held: float = 0.0
    largest: int = 0

    def take(self, sizes: Iterable[int], cost: Cost) -> float:
        """What is held after cells of these sizes, in their order."""
        for size in sizes:
            if size > self.largest:
                self.held += size * (cost.more if self.largest else cost.first)
                self.largest = size
        return self.held


@dataclass
class Probe:
    """Times on this machine with this model, each measured once, when it is first needed.

    Args:
        upscaler: ready to run.
        limits: for the files that are read.
        wishes: what of them is to be enlarged, and how.
    """

    upscaler: Upscaler
    limits: Limits
    wishes: media.Wishes = PLAIN
    _stills: dict[tuple[object, ...], Still] = field(default_factory=dict)
    _costs: dict[float, Cost] = field(default_factory=dict)
    _packed: float | None = None
    _growth: Growth = field(default_factory=Growth)

    def __post_init__(self) -> None:
        self._before = machine.resident_memory()

    def estimate(self, job: Job) -> Estimate:
        """What `job` will take.

        Raises:
            InputError: its file cannot be read, or the model takes one size and this is another.
        """
        self.upscaler.needs.check_size(*job.given[::-1])
        medium = media.of(job.source)
        if medium is None:
            return self._still(job)
        width, height = job.given
        runs = medium.peek(job.source, self.limits, self.wishes).runs
        cells = tiles.grid(height, width)
        seen = [cell.grown(self.upscaler.context, height, width).pixels for cell in cells]
        network = self._network(job.wanted[0] / width)
        frame = network.seconds * sum(seen) * runs
        few = max(FEWEST, min(MOST, round(WHILE / frame))) if frame else MOST
        wishes = replace(self.wishes, overwrite=True)
        pace = medium.pace(self.upscaler, job.source, job.target, wishes, few)
        if pace is None:
            seconds = frame * job.frames + self._packing() * job.pixels * runs
        else:
            seconds = pace * job.frames
        held = self._growth.take(seen, network) + job.wanted[0] * tiles.CELL * runs
        return Estimate(
            job, medium.label, len(cells) * job.frames, self._before + round(held), seconds
        )

    def _still(self, job: Job) -> Estimate:
        header = formats.peek(job.source, self.limits)
        kind = (header.format, header.bands, header.bits, job.target.suffix.lower())
        if kind not in self._stills:
            self._stills[kind] = self._try(job)
        known = self._stills[kind]
        width, height = job.given
        cells = tiles.grid(height, width)
        seen = [cell.grown(known.reach, height, width).pixels for cell in cells]
        seconds = known.read * width * height + known.write * job.pixels
        seconds += known.network.seconds * sum(seen)
        held = self._growth.take(seen, known.network)
        held += (width * height + job.pixels) * header.bands * header.bits / 8
        label = formats.FORMATS[header.format].label
        return Estimate(job, label, len(cells), self._before + round(held), seconds)

    def _try(self, job: Job) -> Still:
        """Read the picture, then enlarge and write the middle of it."""
        began = time.perf_counter()
        picture = formats.read(job.source, self.limits)
        read = time.perf_counter() - began
        top, left = (max(0, (side - tiles.CELL) // 2) for side in picture.pixels.shape[:2])
        middle = picture.pixels[top : top + tiles.CELL, left : left + tiles.CELL]
        into = formats.format_of(job.target)
        finish = self.upscaler.finish(lossless=formats.is_lossless(into, picture))
        planes = Planes(np.ascontiguousarray(middle), picture.space, picture.alpha)
        ratio = job.wanted[0] / job.given[0]
        height, width = (max(1, round(side * ratio)) for side in middle.shape[:2])
        piece = np.empty((height, width, middle.shape[2]), middle.dtype)
        network = self._timed(planes, piece, finish)
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            formats.write(
                Path(folder) / "piece", replace(picture, pixels=piece), format=into, quality=95
            )
            write = time.perf_counter() - began
        return Still(
            read / (picture.width * picture.height),
            network,
            write / (height * width),
            self.upscaler.context + finish.margin,
        )

    def _timed(self, planes: Planes, out: Pixels, finish: Finish | None = None) -> Cost:
        """What a cell takes: a little less of it, all of it, and all of it again."""
        height, width = planes.pixels.shape[:2]
        fixed = self.upscaler.needs.size
        less, warmer = (height, fixed) if fixed else (max(1, height - LESS), WARM_UP)
        small = np.empty((max(1, round(out.shape[0] * less / height)), *out.shape[1:]), out.dtype)
        warm = Planes(_texture(warmer), "rgb", False)
        self._enlarge(warm, _sheet(warmer, out.shape[1] / width), None)
        held = [machine.resident_memory()]
        self._enlarge(replace(planes, pixels=planes.pixels[:less]), small, finish)
        held.append(machine.resident_memory())
        self._enlarge(planes, out, finish)
        held.append(machine.resident_memory())
        began = time.perf_counter()
        self._enlarge(planes, out, finish)
        seconds = time.perf_counter() - began
        first, more = (max(0, after - before) for before, after in itertools.pairwise(held))
        first, more = first / (less * width), more / (height * width)
        if more > MARKED * first:
            more = max(more, LATER * first)
        return Cost(seconds / (height * width), first, more)

    def _enlarge(self, planes: Planes, out: Pixels, finish: Finish | None) -> None:
        if finish is None:
            self.upscaler.run(planes, out)
        else:
            self.upscaler.fill(planes, out, finish=finish)

    def _network(self, ratio: float) -> Cost:
        """What a cell in colour takes."""
        if ratio not in self._costs:
            side = self.upscaler.needs.size or tiles.CELL
            colors = Planes(_texture(side), "rgb", False)
            self._costs[ratio] = self._timed(colors, _sheet(side, ratio))
        return self._costs[ratio]

    def _packing(self) -> float:
        """Seconds to compress one sample of a raster."""
        if self._packed is None:
            piece = _texture(tiles.CELL)
            began = time.perf_counter()
            zlib.compress(np.diff(piece, axis=1).tobytes(), LEVEL)
            self._packed = (time.perf_counter() - began) / piece.size
        return self._packed


def estimates(probe: Probe, jobs: Iterable[Job]) -> tuple[list[Estimate], list[tuple[Path, str]]]:
    """What each job will take, and those that cannot be read, with the reason."""
    found, failed = [], []
    for job in jobs:
        try:
            found.append(probe.estimate(job))
        except ResliftError as error:
            failed.append((job.source, str(error)))
    return found, failed


def _texture(side: int) -> Pixels:
    """(side, side, 3) uint8: waves with a little noise."""
    y, x = np.mgrid[:side, :side]
    waves = np.sin(x / 5) * np.cos(y / 9) * 90 + 128
    noise = np.random.default_rng(0).normal(0, 4, (side, side, 3))
    texture: Pixels = np.clip(waves[..., None] + noise, 0, 255).astype(np.uint8)
    return texture


def _sheet(side: int, ratio: float) -> Pixels:
    wide = max(1, round(side * ratio))
    return np.empty((wide, wide, 3), np.uint8)
