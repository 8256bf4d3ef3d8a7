"""Resizing by named kernels, for degradations and data sets; bicubic is :mod:`pixels.resize`.

- ``area``: the mean over the part of the picture that an output pixel covers, fractions of pixels
  weighed by their share. The same both ways; enlarging gives blocks with mixed borders. OpenCV's
  ``INTER_AREA`` is this.
- ``bilinear``: the tent of PyTorch, pixel centres kept (``align_corners=False``), with or without
  widening it when shrinking (antialiasing).
- ``bicubic``: MATLAB's.
"""

from __future__ import annotations

import functools
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from reslift.pixels.resize import imresize

Kernel = Literal["area", "bilinear", "bicubic"]


@functools.lru_cache(maxsize=64)
def _shares(size_in: int, size_out: int) -> Tensor:
    """(size_out, size_in): which share of an output pixel each input pixel covers."""
    edge = torch.arange(size_out + 1, dtype=torch.float64, device="cpu") * size_in / size_out
    place = torch.arange(size_in, dtype=torch.float64, device="cpu")
    upper = torch.minimum(edge[1:, None], place + 1)
    lower = torch.maximum(edge[:-1, None], place)
    return (upper - lower).clamp_(min=0) * size_out / size_in


def resample(
    x: Tensor, height: int, width: int, kernel: Kernel, *, antialias: bool = True
) -> Tensor:
    """Resize to any size.

    Args:
        x: (B, C, H, W) float.
        height, width: size of the result, at least 1.
        kernel: ``area``, ``bilinear`` or ``bicubic``.
        antialias: widen bilinear and bicubic when shrinking; area needs it not.

    Returns:
        (B, C, height, width), same dtype; only bicubic leaves the range of x.
    """
    if kernel == "bicubic":
        return imresize(x, height, width, antialias=antialias)
    if kernel == "bilinear":
        return F.interpolate(x, (height, width), mode="bilinear", antialias=antialias)
    rows = _shares(x.shape[2], height).to(x.device, x.dtype)
    columns = _shares(x.shape[3], width).to(x.device, x.dtype)
    return rows @ x @ columns.mT


def resample8(x: Tensor, height: int, width: int, kernel: Kernel, *, antialias: bool) -> Tensor:
    """The same on (B, C, H, W) uint8, in float64, rounded once, halves up."""
    y = resample(x.double(), height, width, kernel, antialias=antialias)
    return y.add_(0.5).floor_().clamp_(0, 255).to(torch.uint8)
