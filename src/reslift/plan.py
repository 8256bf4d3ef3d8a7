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
from reslift.pixels.planes import Pixels, Planes, groups
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


@dataclass
class Probe:
    """Times on this machine with this model, each measured once, when it is first needed.

    Args:
        upscaler: ready to run.
        limits: for the files that are read.
    """

    upscaler: Upscaler
    limits: Limits
    _times: dict[tuple[object, ...], float] = field(default_factory=dict)

    def estimate(self, job: Job) -> Estimate:
        """What `job` will take. Raises InputError where its file cannot be read."""
        width, height = job.given
        ratio = job.wanted[0] / width
        cells = tiles.grid(height, width)
        seen = sum(cell.grown(self.upscaler.context, height, width).pixels for cell in cells)
        medium = media.of(job.source)
        if medium is None:
            header = formats.peek(job.source, self.limits)
            sample = header.bits // 8
            kind = formats.FORMATS[header.format].label
            runs = len(groups(header.bands, header.space, header.alpha, 3))
            reading, writing = self._still(job, header.format, ratio)
            around = reading * width * height + writing * job.pixels
            held = (width * height + min(job.pixels, IN_MEMORY)) * header.bands * sample
        else:
            kind, runs = medium.label, medium.peek(job.source, self.limits).runs
            around = self._packing() * job.pixels * runs
            held = job.wanted[0] * tiles.CELL * runs
        side = min(tiles.CELL, max(width, height))
        seconds = self._network(side, ratio) * seen * runs * job.frames + around
        peak = machine.peak_memory() + held
        return Estimate(job, kind, len(cells) * job.frames, peak, seconds)

    def _network(self, side: int, ratio: float) -> float:
        """Seconds for one input pixel, in a cell of this side."""
        if not self._times:
            self._enlarged(_texture(WARM_UP), "rgb", False, ratio)
        key = ("network", side, ratio)
        if key not in self._times:
            began = time.perf_counter()
            self._enlarged(_texture(side), "rgb", False, ratio)
            self._times[key] = (time.perf_counter() - began) / side**2
        return self._times[key]

    def _still(self, job: Job, format: str, ratio: float) -> tuple[float, float]:
        """Seconds to read one pixel and to write one, from the first picture of this kind."""
        keys = [("read", format), ("write", job.target.suffix.lower())]
        if not self._times.keys() >= set(keys):
            began = time.perf_counter()
            picture = formats.read(job.source, self.limits)
            self._times[keys[0]] = (time.perf_counter() - began) / (picture.width * picture.height)
            self._times[keys[1]] = self._write(job, picture, ratio)
        return self._times[keys[0]], self._times[keys[1]]

    def _write(self, job: Job, picture: formats.Picture, ratio: float) -> float:
        """Seconds to write one pixel: the middle of the picture is enlarged and written."""
        top, left = (max(0, (side - tiles.CELL) // 2) for side in picture.pixels.shape[:2])
        middle = picture.pixels[top : top + tiles.CELL, left : left + tiles.CELL]
        piece = self._enlarged(middle, picture.space, picture.alpha, ratio)
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / f"piece{job.target.suffix}"
            began = time.perf_counter()
            formats.write(target, replace(picture, pixels=piece))
            return (time.perf_counter() - began) / (piece.shape[0] * piece.shape[1])

    def _packing(self) -> float:
        """Seconds to compress one sample of a raster."""
        key = ("pack",)
        if key not in self._times:
            piece = _texture(tiles.CELL)
            began = time.perf_counter()
            zlib.compress(np.diff(piece, axis=1).tobytes(), LEVEL)
            self._times[key] = (time.perf_counter() - began) / piece.size
        return self._times[key]

    def _enlarged(self, pixels: Pixels, space: str, alpha: bool, ratio: float) -> Pixels:
        height, width = (max(1, round(side * ratio)) for side in pixels.shape[:2])
        out = np.empty((height, width, pixels.shape[2]), pixels.dtype)
        self.upscaler.run(Planes(pixels, space, alpha), out)
        return out


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
    return np.clip(waves[..., None] + noise, 0, 255).astype(np.uint8)
