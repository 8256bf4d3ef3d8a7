"""What an upscaling will take, before it starts: sizes, cells, memory, time.

::

    headers ──► cells ──┐
    one cell, timed ────┴──► network    one file of a kind read, a piece of it written ──► the rest

The network's time goes by the pixels that it sees: each cell with the real pixels around it.
"""

from __future__ import annotations

import tempfile
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from reslift import formats, machine, media
from reslift.batch import Job
from reslift.canvas import IN_MEMORY
from reslift.errors import ResliftError
from reslift.limits import Limits
from reslift.pixels import tiles
from reslift.pixels.planes import Pixels, Planes
from reslift.upscale import Upscaler

WARM_UP = 64
LEVEL = 6


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
class Still:
    """Seconds for one pixel of a kind of picture: to read, to enlarge, to write one of the result.

    reach: pixels around a cell that the network sees too.
    """

    read: float
    network: float
    write: float
    reach: int


@dataclass
class Probe:
    """Times on this machine with this model, each measured once, when it is first needed.

    Args:
        upscaler: ready to run.
        limits: for the files that are read.
    """

    upscaler: Upscaler
    limits: Limits
    _stills: dict[tuple[object, ...], Still] = field(default_factory=dict)
    _times: dict[tuple[object, ...], float] = field(default_factory=dict)

    def estimate(self, job: Job) -> Estimate:
        """What `job` will take. Raises InputError where its file cannot be read."""
        medium = media.of(job.source)
        if medium is None:
            return self._still(job)
        width, height = job.given
        runs = medium.peek(job.source, self.limits).runs
        cells = tiles.grid(height, width)
        seen = sum(cell.grown(self.upscaler.context, height, width).pixels for cell in cells)
        network = self._network(job.wanted[0] / width) * seen * runs * job.frames
        seconds = network + self._packing() * job.pixels * runs
        peak = machine.peak_memory() + job.wanted[0] * tiles.CELL * runs
        return Estimate(job, medium.label, len(cells) * job.frames, peak, seconds)

    def _still(self, job: Job) -> Estimate:
        header = formats.peek(job.source, self.limits)
        kind = (header.format, header.bands, header.bits, job.target.suffix.lower())
        if kind not in self._stills:
            self._stills[kind] = self._try(job)
        known = self._stills[kind]
        width, height = job.given
        cells = tiles.grid(height, width)
        seen = sum(cell.grown(known.reach, height, width).pixels for cell in cells)
        seconds = known.read * width * height + known.network * seen + known.write * job.pixels
        held = (width * height + min(job.pixels, IN_MEMORY)) * header.bands * header.bits // 8
        label = formats.FORMATS[header.format].label
        return Estimate(job, label, len(cells), machine.peak_memory() + held, seconds)

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
        self.upscaler.run(Planes(_texture(WARM_UP), "rgb", False), _sheet(WARM_UP, ratio))
        height, width = (max(1, round(side * ratio)) for side in middle.shape[:2])
        piece = np.empty((height, width, middle.shape[2]), middle.dtype)
        began = time.perf_counter()
        self.upscaler.fill(planes, piece, finish=finish)
        network = time.perf_counter() - began
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            formats.write(
                Path(folder) / "piece", replace(picture, pixels=piece), format=into, quality=95
            )
            write = time.perf_counter() - began
        return Still(
            read / (picture.width * picture.height),
            network / (middle.shape[0] * middle.shape[1]),
            write / (height * width),
            self.upscaler.context + finish.margin,
        )

    def _network(self, ratio: float) -> float:
        """Seconds for one input pixel of a cell in colour."""
        key = ("network", ratio)
        if key not in self._times:
            colors = Planes(_texture(tiles.CELL), "rgb", False)
            self.upscaler.run(Planes(_texture(WARM_UP), "rgb", False), _sheet(WARM_UP, ratio))
            began = time.perf_counter()
            self.upscaler.run(colors, _sheet(tiles.CELL, ratio))
            self._times[key] = (time.perf_counter() - began) / tiles.CELL**2
        return self._times[key]

    def _packing(self) -> float:
        """Seconds to compress one sample of a raster."""
        key = ("pack",)
        if key not in self._times:
            piece = _texture(tiles.CELL)
            began = time.perf_counter()
            zlib.compress(np.diff(piece, axis=1).tobytes(), LEVEL)
            self._times[key] = (time.perf_counter() - began) / piece.size
        return self._times[key]


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
