"""Bicubic resizing that agrees with MATLAB's ``imresize``, the kernel of every published number.

An output sample at position ``u`` weighs input samples by the cubic of Keys (1981, a = -1/2)

    k(t) = 1.5|t|^3 - 2.5|t|^2 + 1         |t| <= 1
           -0.5|t|^3 + 2.5|t|^2 - 4|t| + 2   1 < |t| <= 2

stretched by 1/scale when shrinking (antialiasing), normalised to sum 1, with the border repeated
symmetrically. MATLAB treats the axes one after the other and rounds 8-bit images between them.
"""

from __future__ import annotations

import functools
import math
from typing import Literal

import torch
from torch import Tensor

Border = Literal["symmetric", "replicate"]


def _cubic(t: Tensor) -> Tensor:
    t = t.abs()
    near = (1.5 * t - 2.5) * t * t + 1.0
    far = ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
    return torch.where(t <= 1, near, torch.where(t <= 2, far, torch.zeros_like(t)))


BLOCK = 256


@functools.lru_cache(maxsize=64)
def _taps(size_in: int, size_out: int, antialias: bool) -> tuple[Tensor, Tensor]:
    """First input position (size_out,), before the border, and weights (size_out, taps)."""
    scale = size_out / size_in
    stretch = min(scale, 1.0) if antialias else 1.0
    width = 4.0 / stretch
    position = (torch.arange(size_out, dtype=torch.float64, device="cpu") + 0.5) / scale - 0.5
    first = torch.floor(position - width / 2).long() + 1
    index = first[:, None] + torch.arange(math.ceil(width) + 1, device="cpu")
    weight = _cubic((position[:, None] - index) * stretch)
    return first, weight / weight.sum(1, keepdim=True)


def _beyond(index: Tensor, size: int, border: Border) -> Tensor:
    """Where positions outside [0, size) find their sample."""
    if border == "replicate":
        return index.clamp(0, size - 1)
    index = index % (2 * size)
    return torch.where(index < size, index, 2 * size - 1 - index)


def _resize_axis(x: Tensor, axis: int, size: int, antialias: bool, border: Border) -> Tensor:
    """Resize one axis: a banded matrix, multiplied block by block so that memory stays small."""
    length = x.shape[axis]
    first, weight = _taps(length, size, antialias)
    taps, parts = weight.shape[1], []
    for start in range(0, size, BLOCK):
        begin, block = first[start : start + BLOCK], weight[start : start + BLOCK]
        low = int(begin[0])
        span = int(begin[-1]) + taps - low
        band = torch.zeros(len(begin), span, dtype=torch.float64, device="cpu")
        band.scatter_(1, (begin - low)[:, None] + torch.arange(taps, device="cpu"), block)
        samples = _beyond(torch.arange(low, low + span, device="cpu"), length, border).to(x.device)
        band = band.to(x.device, x.dtype)
        rows = x.index_select(axis, samples)
        parts.append(band @ rows if axis == x.ndim - 2 else rows @ band.mT)
    return torch.cat(parts, axis) if len(parts) > 1 else parts[0]


def _round8(x: Tensor) -> Tensor:
    """To whole numbers in [0, 255], halves up, as MATLAB's ``uint8`` does."""
    return x.add(0.5).floor_().clamp_(0, 255)


def imresize(
    x: Tensor, height: int, width: int, *, antialias: bool = True, border: Border = "symmetric"
) -> Tensor:
    """Bicubic resize to any size: one float pass an axis, vertical first.

    Args:
        x: (B, C, H, W) float, any range; float64 for parity with MATLAB.
        height, width: size of the result, at least 1.
        antialias: widen the kernel when shrinking.
        border: what stands beyond the edge; MATLAB's is ``symmetric``.

    Returns:
        (B, C, height, width), same dtype; bicubic overshoots, so it is not clipped to the range.

    Raises:
        ValueError: a size below 1, or x is not a floating (B, C, H, W).
    """
    if x.ndim != 4 or not x.is_floating_point() or min(height, width, *x.shape[2:]) < 1:
        raise ValueError(
            f"imresize wants a float (B, C, H, W) and sizes of at least 1, not "
            f"{x.dtype} {tuple(x.shape)} to {height}x{width}"
        )
    if height != x.shape[2]:
        x = _resize_axis(x, 2, height, antialias, border)
    if width != x.shape[3]:
        x = _resize_axis(x, 3, width, antialias, border)
    return x


def downscale8(hr: Tensor, scale: int, *, border: Border = "symmetric") -> Tensor:
    """The benchmark degradation: MATLAB bicubic of 8-bit images, rounded after each axis.

    Args:
        hr: (B, C, H, W) uint8, H and W multiples of ``scale``.
        scale: integer factor of at least 1.
        border: Set5's LR files have ``symmetric``, Set14's and BSD100's ``replicate``.

    Returns:
        (B, C, H / scale, W / scale) uint8.

    Raises:
        ValueError: hr is not uint8 (B, C, H, W) or not divisible by ``scale``.
    """
    if hr.dtype != torch.uint8 or hr.ndim != 4:
        raise ValueError(f"downscale8 wants uint8 (B, C, H, W), not {hr.dtype} {tuple(hr.shape)}")
    height, width = hr.shape[2:]
    if scale < 1 or height % scale or width % scale:
        raise ValueError(f"{height}x{width} is not a multiple of scale {scale}: crop it first")
    x = hr.double()
    if scale > 1:
        x = _round8(_resize_axis(x, 2, height // scale, True, border))
        x = _round8(_resize_axis(x, 3, width // scale, True, border))
    return x.to(torch.uint8)


def bicubic_upscale(lr: Tensor, scale: int) -> Tensor:
    """The baseline: bicubic, (B, C, H, W) float → (B, C, sH, sW), not clipped."""
    return imresize(lr, lr.shape[2] * scale, lr.shape[3] * scale)
