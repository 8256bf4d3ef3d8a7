"""Bicubic resizing that agrees with MATLAB's ``imresize``, the kernel of every published number.

Taps and weights are those of `kernel`. MATLAB treats the axes one after the other, with the border
repeated symmetrically, and rounds 8-bit images between them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from reslift.pixels import kernel
from reslift.pixels.kernel import Border

BLOCK = 64


def _resize_axis(x: Tensor, axis: int, size: int, antialias: bool, border: Border) -> Tensor:
    """Resize one axis: a banded matrix, multiplied block by block so that memory stays small."""
    length = x.shape[axis]
    first, weight = kernel.taps(length, size, antialias)
    taps, parts = weight.shape[1], []
    for start in range(0, size, BLOCK):
        begin, block = first[start : start + BLOCK], weight[start : start + BLOCK]
        low = int(begin[0])
        span = int(begin[-1]) + taps - low
        matrix = np.zeros((len(begin), span))
        np.put_along_axis(matrix, (begin - low)[:, None] + np.arange(taps), block, 1)
        places = kernel.beyond(np.arange(low, low + span), length, border)
        band = torch.from_numpy(matrix).to(x.device, x.dtype)
        rows = x.index_select(axis, torch.from_numpy(places).to(x.device))
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
