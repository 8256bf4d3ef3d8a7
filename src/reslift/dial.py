"""One image between bicubic and the model, without running the model for every strength."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np

from reslift import arrays
from reslift.finish import Finish
from reslift.kinds import check_kinds
from reslift.pixels.planes import Floats, Pixels, Planes
from reslift.pixels.tiles import Box
from reslift.stitch import Progress

if TYPE_CHECKING:
    import torch
    from PIL import Image

AnyImage = TypeVar(
    "AnyImage", "np.ndarray[tuple[int, ...], np.dtype[np.generic]]", "Image.Image", "torch.Tensor"
)


class Host(Protocol):
    """What is needed of an `Upscaler`."""

    consistent: bool | None

    def shape(self, pixels: Pixels, what: object) -> tuple[int, int, int]:
        """(H', W', C) of the result."""
        ...

    def finish(self, *, lossless: bool) -> Finish:
        """How its answers are finished."""
        ...

    def fill(
        self,
        image: Planes,
        out: Pixels,
        folder: Path | None = None,
        progress: Progress | None = None,
        finish: Finish | None = None,
    ) -> None:
        """Compute the result into out."""
        ...


class Dial(Generic[AnyImage]):
    """An image between bicubic and the model: ``upscaler.dial(image).at(0.4)``.

    The model runs once, at the first strength above 0; its answers are kept as floats.
    """

    def __init__(self, upscaler: Host, image: AnyImage) -> None:
        self._upscaler = upscaler
        self._pictures, self._pack = arrays.unpack(image)
        self._answers: list[dict[tuple[int, Box], Floats]] = [{} for _ in self._pictures]

    def at(self, strength: float) -> AnyImage:
        """What an `Upscaler` of this strength gives; UsageError where that is not in [0, 1]."""
        check_kinds(strength=strength)
        finish = self._upscaler.finish(lossless=True)
        kernel = finish.kernel if strength == 1 or self._upscaler.consistent else None
        results = []
        for picture, answers in zip(self._pictures, self._answers, strict=True):
            shape = self._upscaler.shape(picture.pixels, "the image")
            out = np.empty(shape, picture.pixels.dtype)
            wanted = Finish(strength, kernel, answers=answers)
            self._upscaler.fill(picture, out, finish=wanted)
            results.append(out)
        answer: AnyImage = self._pack(results)
        return answer
