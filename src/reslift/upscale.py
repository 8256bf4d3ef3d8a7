"""The Upscaler: read → planes → cells → model → whole numbers → write.

::

    file ── formats.read ──┐                                    ┌── formats.write ── file
    array, PIL, tensor ────┴─ planes ── stitch (cells, model) ──┴── the same kind, dtype, layout
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

from reslift import arrays, backends, checkpoint, formats, media
from reslift.canvas import IN_MEMORY, canvas
from reslift.checkpoint import DEFAULT_MODEL, Card
from reslift.errors import OutputError, UsageError, one_line
from reslift.files import check_target
from reslift.limits import DEFAULT, Limits, parse_amount
from reslift.media import Wishes
from reslift.pixels.planes import Pixels, Planes
from reslift.stitch import Progress, Stitcher

if TYPE_CHECKING:
    import torch

    from reslift.models import SRModel

AnyImage = TypeVar(
    "AnyImage", "np.ndarray[tuple[int, ...], np.dtype[np.generic]]", Image.Image, "torch.Tensor"
)
DEFAULT_SCALE = 4
PLAIN = Wishes()


class Upscaler:
    """A model made ready for whole images of any size.

    Args:
        model: moved to `device`, in fp32; or a checkpoint file, which is then read by PyTorch only
            where the engine needs that.
        card: what its weights are.
        device: "auto" (CUDA, then MPS, then the CPU), "cpu", "cuda" or "mps".
        tile: LR pixels on a side that are held at once; changes memory, never the result.
        max_memory: bytes, or a text like "2G", that the process should stay under.
        limits: how large inputs and results may be.
        backend: an engine of ``BACKENDS``, or "auto".

    Raises:
        UsageError: a value that cannot be, an engine that is not installed. DeviceError: a device
        that is not usable here.
    """

    def __init__(
        self,
        model: SRModel | Path,
        card: Card,
        *,
        device: str = "auto",
        tile: int | None = None,
        max_memory: int | str | None = None,
        limits: Limits = DEFAULT,
        backend: str = "torch",
    ) -> None:
        self._source, self.card, self.limits = model, card, limits
        memory = parse_amount(max_memory) if isinstance(max_memory, str) else max_memory
        if memory is not None and memory < 1:
            raise UsageError(f"max_memory {memory}: give a number of bytes from 1 up, or like 2G")
        engine = backends.start(model, backend, str(device))
        self._stitcher = Stitcher(engine, tile, memory)
        self.scale = engine.needs.scale

    @cached_property
    def model(self) -> SRModel:
        """The model itself, for what an engine cannot say; it may be loaded only now."""
        source = self._source
        return checkpoint.load(source)[0] if isinstance(source, Path) else source

    @property
    def backend(self) -> str:
        """The engine that runs the model."""
        return self._stitcher.backend.name

    @property
    def engine(self) -> str:
        """Where and how the model runs, where that is not PyTorch in fp32: "cpu, openvino bf16"."""
        backend = self._stitcher.backend
        plain = (backend.name, backend.precision) == ("torch", "fp32")
        return self.device if plain else f"{self.device}, {backend.name} {backend.precision}"

    @property
    def device(self) -> str:
        """Where the model runs."""
        return self._stitcher.backend.device

    def __call__(self, image: AnyImage) -> AnyImage:
        """Upscale one image, or a batch of tensors, into a new one.

        Args:
            image: one of

                - NumPy (H, W) or (H, W, C), uint8, uint16 or float32 in [0, 1]; C = 1 gray,
                  2 gray + alpha, 3 RGB, 4 RGB + alpha, more: bands, each alone;
                - a PIL image of mode L, LA, RGB, RGBA, CMYK, I;16 (kept), or 1 and P (which become
                  L, RGB or RGBA); profile, EXIF and resolution go along;
                - a tensor (C, H, W) or (B, C, H, W), uint8 or float in [0, 1], C as above.

        Returns:
            The same kind, dtype, layout and device, each side `scale` times as long; floats are
            clipped to [0, 1].

        Raises:
            InputError: not such an image. LimitError: too large for `limits` or `max_memory`.
            DeviceError: out of memory. ResliftError: the model answers NaN.
        """
        pictures, pack = arrays.unpack(image)
        results = []
        for picture in pictures:
            out = np.empty(self._shape(picture.pixels, "the image"), picture.pixels.dtype)
            self._stitcher.run(picture, out)
            results.append(out)
        answer: AnyImage = pack(results)
        return answer

    def run(self, planes: Planes, out: Pixels, progress: Progress | None = None) -> None:
        """Fill out (sH, sW, C) from planes (H, W, C); both may be windows on files.

        Only slices of `planes.pixels` are read and only slices of `out` are set, cell by cell, so
        anything with `shape`, `dtype` and two-dimensional slicing serves. Raises as for calling.
        """
        self._stitcher.run(planes, out, progress)

    def upscale_file(
        self,
        source: Path,
        target: Path,
        wishes: Wishes = PLAIN,
        *,
        progress: Progress | None = None,
    ) -> tuple[str, ...]:
        """Upscale one file into another; folders on the way to it are made.

        Args:
            source: an image file, or one of `media.MEDIA`, known by its content.
            target: its suffix sets the format, unless `wishes.output_format` does.
            wishes: how the result is written, ``Wishes(quality=90, overwrite=True)``.
            progress: called with the output pixels that were just finished.

        Returns:
            Notes: one sentence for each thing that the formats could not keep.

        Raises:
            InputError, LimitError: source cannot be used. OutputError, OutputExists: target cannot
            be written. DeviceError, ResliftError: as for calling. Nothing is left behind.
        """
        medium = media.of(source)
        if medium is not None:
            return self._upscale_medium(medium, source, target, wishes, progress)
        picture = formats.read(source, self.limits)
        planes = Planes(picture.pixels, picture.space, picture.alpha)
        shape = self._shape(planes.pixels, source)
        into = wishes.output_format or formats.format_of(target)
        formats.check_fits(into, shape[1], shape[0], picture)
        _make_folder(target.parent)
        check_target(target, overwrite=wishes.overwrite)
        memory = self._stitcher.max_memory
        in_memory = IN_MEMORY if memory is None else min(IN_MEMORY, memory // 8)
        with canvas(shape, planes.pixels.dtype, target.parent, in_memory=in_memory) as out:
            self._stitcher.run(planes, out, progress)
            written = formats.write(
                target,
                replace(picture, pixels=out),
                format=into,
                quality=wishes.quality,
                overwrite=wishes.overwrite,
            )
        return (*picture.notes, *written)

    def _upscale_medium(
        self,
        medium: media.Medium,
        source: Path,
        target: Path,
        wishes: Wishes,
        progress: Progress | None,
    ) -> tuple[str, ...]:
        medium.check_target(target, medium.peek(source, self.limits), self.scale)
        _make_folder(target.parent)
        check_target(target, overwrite=wishes.overwrite)
        return medium.upscale(self, source, target, wishes, progress)

    def _shape(self, pixels: Pixels, what: object) -> tuple[int, int, int]:
        height, width, bands = pixels.shape
        self.limits.check("input_pixels", height * width, one_line(what))
        self.limits.check(
            "output_pixels", height * width * self.scale**2, f"{one_line(what)} enlarged"
        )
        return height * self.scale, width * self.scale, bands


def load(
    name_or_file: str | Path = DEFAULT_MODEL,
    scale: int | None = None,
    device: str = "auto",
    tile: int | None = None,
    max_memory: int | str | None = None,
    limits: Limits = DEFAULT,
    backend: str = backends.AUTO,
) -> Upscaler:
    """An Upscaler from a bundled model, a checkpoint file or a run folder.

    Args:
        name_or_file: "lift-base", a name that `reslift models` lists, or a path.
        scale: 2, 3 or 4; None is 4, or what the name or file is for.
        device, tile, max_memory, limits, backend: as for `Upscaler`.

    Raises:
        UnknownName, CheckpointError, UsageError: no such model, a damaged one, another scale.
    """
    path = checkpoint.resolve(name_or_file, scale or DEFAULT_SCALE)
    return Upscaler(
        path,
        checkpoint.card_for(path, scale),
        device=device,
        tile=tile,
        max_memory=max_memory,
        limits=limits,
        backend=backend,
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make the folder {one_line(folder)}: {error.strerror or repr(error)}; "
            "choose another place with -o"
        ) from error
