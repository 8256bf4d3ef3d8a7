"""Sampler: several plausible enlargements of one picture, their mean and their deviation.

::

    file ── read ── planes ──┬─ seed 1 ─ cells ─ sample-1 ─┐
                             ├─ seed 2 ─ cells ─ sample-2 ─┼─ mean, deviation
                             └─ …                          ┘

Where samples differ, LR did not say what the detail is: the deviation is a map of what was made up.
Noise is a function of the seed and the place in the picture, so cells change nothing here either.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from reslift import checkpoint, formats
from reslift.backends.torch import TorchBackend
from reslift.canvas import canvas
from reslift.dial import AnyImage
from reslift.errors import UsageError
from reslift.files import check_not_input, check_target, make_folder
from reslift.models.variational import Variational, require_variational
from reslift.pixels.planes import Floats, Pixels, Planes
from reslift.pixels.tiles import Box
from reslift.stages import Stages
from reslift.stitch import Progress, Stitcher
from reslift.upscale import DEFAULT_SCALE, Upscaler

if TYPE_CHECKING:
    from reslift.checkpoint import Card
    from reslift.models import SRModel

BRIGHTER = 8
BAND = 256
MOST_SAMPLES = 1000
LARGEST_SEED = 2**32 - 1


class Draw(threading.local):
    """What is drawn next in a thread.

    Attributes:
        seed: of the noise; None gives the usual answer.
        origin: row and column of the next cell's corner in the picture.
    """

    seed: int | None = None
    origin: tuple[int, int] = (0, 0)


class DrawingBackend(TorchBackend):
    """Eager PyTorch in fp32 that answers with a sample, or with the usual answer.

    Attributes:
        next: what is drawn next; each thread has its own.
    """

    def __init__(self, model: Variational, device: str) -> None:
        super().__init__(model, device, "fp32")
        self.next, self._drawn = Draw(), model

    def run(self, cell: Floats) -> Floats:
        seed = self.next.seed
        if seed is None:
            return super().run(cell)
        with torch.inference_mode():
            lr = torch.from_numpy(cell).to(self.device)
            seeds = torch.full((len(lr),), seed, device=self.device)
            lr = lr.contiguous(memory_format=torch.channels_last)
            sr: Floats = self._drawn.draw(lr, seeds, self.next.origin).float().cpu().numpy()
            return sr


class SampleStitcher(Stitcher):
    """Tells the backend where each cell lies; alpha is never drawn."""

    backend: DrawingBackend

    def _compute(self, image: Planes, core: Box) -> Floats:
        outer = core.grown(self.context, *image.pixels.shape[:2])
        self.backend.next.origin = (outer.top, outer.left)
        return super()._compute(image, core)

    def _alpha(self, plane: Floats) -> Floats:
        drawn = self.backend.next
        seed, drawn.seed = drawn.seed, None
        try:
            return super()._alpha(plane)
        finally:
            drawn.seed = seed


@dataclass
class Spread:
    """Running mean and sum of squared deviations (Welford 1962) of images (H, W, C) float32."""

    mean: Pixels
    squares: Pixels
    count: int = 0

    def add(self, image: Pixels) -> None:
        """Take in one more."""
        self.count += 1
        for rows in _bands(image):
            gap = image[rows] - self.mean[rows]
            self.mean[rows] += gap / self.count
            self.squares[rows] += gap * (image[rows] - self.mean[rows])

    def deviation(self, rows: slice, colors: int) -> Pixels:
        """Standard deviation (h, W, 1) of these rows, the mean of the first ``colors`` planes'."""
        each = np.sqrt(self.squares[rows, :, :colors] / (self.count - 1))
        mean: Pixels = each.mean(2, keepdims=True)
        return mean


class Sampler(Upscaler):
    """An Upscaler of a variational model that also draws samples.

    Args:
        model: a variational one.
        card, device, tile, max_memory, limits: as for `Upscaler`.

    Raises:
        UsageError: the model gives one answer only.
    """

    def __init__(self, model: SRModel, card: Card, **options: Any) -> None:
        variational = require_variational(model)
        super().__init__(model, card, backend="torch", **options)
        del self._made_of["backend"]
        plain = self._stitcher
        self._backend = DrawingBackend(variational, self.device)
        self._stitcher = SampleStitcher(self._backend, plain.tile, plain.max_memory)
        self._stages = Stages((self.scale,), lambda scale: self._stitcher)

    def sample(self, image: AnyImage, count: int, seed: int = 0) -> list[AnyImage]:
        """``count`` plausible enlargements of one image, each of the kind that calling gives.

        Args:
            image: as for calling.
            count: how many.
            seed: sample i is a function of image, model, seed and i alone.

        Raises:
            UsageError: ``count`` is below 1. InputError and others: as for calling.
        """
        _check(count, 1, seed)
        samples = []
        for number in range(count):
            with self._seeded(seed, number):
                samples.append(self(image))
        return samples

    def sample_file(
        self,
        source: str | Path,
        folder: str | Path,
        count: int,
        *,
        seed: int = 0,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> tuple[str, ...]:
        """Write ``sr.png``, ``sample-1.png`` …, ``mean.png`` and ``deviation.png`` into a folder.

        ``sr`` is the usual answer. ``deviation`` is gray: the standard deviation of the samples,
        averaged over the colours, times ``BRIGHTER``.

        Args:
            source: an image file.
            folder: made if absent.
            count: samples, at least 2.
            seed: as for :meth:`sample`; the same seed gives the same files.
            progress: called with the output pixels that were just finished, of count + 1 pictures.

        Returns:
            Notes: what PNG cannot keep of the picture.

        Raises:
            UsageError: a wrong ``count``. OutputExists: a file is there without ``overwrite``.
            InputError, LimitError, OutputError and others: as for `upscale_file`.
        """
        source, folder = Path(source), Path(folder)
        _check(count, 2, seed)
        picture = formats.read(source, self.limits)
        planes = Planes(picture.pixels, picture.space, picture.alpha)
        shape = self.shape(planes.pixels, source)
        notes = formats.check_fits("png", shape[1], shape[0], picture)
        names = ["sr", *(f"sample-{n + 1}" for n in range(count)), "mean", "deviation"]
        targets = {name: folder / f"{name}.png" for name in names}
        _prepare(folder, source, list(targets.values()), overwrite)
        with ExitStack() as stack:

            def sheet(dtype: Any, planes: int = shape[2]) -> Pixels:
                return stack.enter_context(canvas((*shape[:2], planes), dtype, folder))

            drawn, rounded = sheet(np.float32), sheet(planes.pixels.dtype)
            spread = Spread(sheet(np.float32), sheet(np.float32))
            spread.mean[:], spread.squares[:] = 0, 0

            def write(name: str, image: Pixels) -> tuple[str, ...]:
                _round(image, rounded)
                return formats.write(
                    targets[name], replace(picture, pixels=rounded), overwrite=overwrite
                )

            self._stitcher.run(planes, drawn, progress)
            notes = (*picture.notes, *notes, *write("sr", drawn))
            for number in range(count):
                with self._seeded(seed, number):
                    self._stitcher.run(planes, drawn, progress)
                spread.add(drawn)
                write(f"sample-{number + 1}", drawn)
            write("mean", spread.mean)
            gray = sheet(np.uint8, 1)
            for rows in _bands(gray):
                wide = spread.deviation(rows, shape[2] - picture.alpha)
                _round(BRIGHTER * wide, gray[rows])
            page = formats.Picture(gray, "gray", False)
            formats.write(targets["deviation"], page, overwrite=overwrite)
        if overwrite:
            _drop_more(folder, count)
        return notes

    @contextmanager
    def _seeded(self, seed: int, number: int) -> Iterator[None]:
        """Within, answers are the sample of this number."""
        self._backend.next.seed = seed * MOST_SAMPLES + number
        try:
            yield
        finally:
            self._backend.next.seed = None


def load(name_or_file: str | Path, scale: int | None = None, **options: Any) -> Sampler:
    """A Sampler from a checkpoint file or a run folder; arguments as for `reslift.load`.

    Raises:
        UsageError: the model gives one answer only. Others: as for `reslift.load`.
    """
    path = checkpoint.resolve(name_or_file, scale or DEFAULT_SCALE)
    model, card = checkpoint.load(path, scale)
    return Sampler(model, card, **options)


def _check(count: int, least: int, seed: int) -> None:
    if not least <= count <= MOST_SAMPLES:
        raise UsageError(f"{count} samples; from {least} to {MOST_SAMPLES} can be drawn")
    if not 0 <= seed <= LARGEST_SEED:
        raise UsageError(f"seed {seed}; a seed is a whole number from 0 to {LARGEST_SEED}")


def _prepare(folder: Path, source: Path, targets: list[Path], overwrite: bool) -> None:
    make_folder(folder)
    for target in targets:
        check_target(target, overwrite=overwrite)
        check_not_input(target, source)


def _drop_more(folder: Path, count: int) -> None:
    """Remove samples beyond ``count``, of more that were drawn before: the mean is not theirs."""
    more = (folder / f"sample-{number}.png" for number in itertools.count(count + 1))
    for path in itertools.takewhile(Path.is_file, more):
        path.unlink()


def _bands(image: Pixels) -> list[slice]:
    """Rows in bands, so that an image on the disk is never in memory as a whole."""
    return [slice(top, top + BAND) for top in range(0, len(image), BAND)]


def _round(image: Pixels, out: Pixels) -> None:
    """Floats in [0, 1] as out's whole numbers, or as they are."""
    top = np.iinfo(out.dtype).max if out.dtype.kind == "u" else None
    for rows in _bands(image):
        values = np.clip(image[rows], 0.0, 1.0)
        out[rows] = values if top is None else np.rint(values * np.float32(top))
