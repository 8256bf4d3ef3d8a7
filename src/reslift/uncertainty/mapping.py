"""From an image and its result to the half-width of the interval at each pixel, cell by cell."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from reslift.errors import UsageError
from reslift.pixels import tiles
from reslift.pixels.planes import Floats, Pixels, Planes, to_float
from reslift.uncertainty.conformal import Calibration
from reslift.uncertainty.head import ScaleHead

Progress = Callable[[int], None]
CELL = 256


def log_scales(
    head: ScaleHead, image: Planes, result: Pixels, out: Floats, progress: Progress | None = None
) -> None:
    """Fill out (sH, sW) with log b.

    Cells of 256 LR pixels and a halo are computed one at a time, so it takes little memory.

    Args:
        image: (H, W, C), gray or RGB; alpha is left aside.
        result: (sH, sW, C), what the model made of it.

    Raises:
        UsageError: a colour space that the head does not know, or sizes that do not fit.
    """
    height, width = image.pixels.shape[:2]
    scale = head.scale
    if result.shape[:2] != (height * scale, width * scale):
        raise UsageError(
            f"the result is {result.shape[1]}x{result.shape[0]}; intervals are known for "
            f"{scale} times {width}x{height} only"
        )
    if image.space == "cmyk":
        raise UsageError("intervals are known for gray and RGB pictures, not for CMYK")
    with torch.inference_mode():
        for core in tiles.grid(height, width, 1, CELL):
            outer = core.grown(head.halo, height, width)
            lr = _colours(image.pixels[outer.slices()], image.space, image.alpha)
            sr = _colours(result[outer.slices(scale=scale)], image.space, image.alpha)
            answer = head(torch.from_numpy(lr), torch.from_numpy(sr)).numpy()
            out[core.slices(scale=scale)] = answer[(0, 0, *core.slices(outer, scale))]
            if progress is not None:
                progress(core.pixels * scale**2)


def half_widths(log_scale: Floats, calibration: Calibration, level: float) -> Floats:
    """(H, W) log b → half the interval, in [0, 1], row by row in place."""
    for row in range(0, log_scale.shape[0], CELL):
        part = log_scale[row : row + CELL]
        part[...] = calibration.half_width(part, level)
    return log_scale


def _colours(pixels: Pixels, space: str, alpha: bool) -> Floats:
    """(h, w, C) → (1, 3, h, w) in [0, 1]: gray three times, alpha and bands beyond RGB dropped."""
    values = to_float(pixels)
    colours = values[:, : values.shape[1] - alpha]
    chosen = colours[:, :3] if space == "rgb" else np.repeat(colours[:, :1], 3, 1)
    return np.ascontiguousarray(chosen)
