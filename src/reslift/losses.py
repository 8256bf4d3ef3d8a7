"""Losses on (B, C, H, W) images in [0, 1]: pure functions of ``sr`` and ``hr`` to one number."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from reslift.pixels.color import LUMA
from reslift.pixels.resize import imresize

Loss = Callable[[Tensor, Tensor], Tensor]


def l1(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute error, ``mean |sr - hr|``."""
    return F.l1_loss(sr, hr)


def mse(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean squared error, ``mean (sr - hr)²``."""
    return F.mse_loss(sr, hr)


def charbonnier(sr: Tensor, hr: Tensor) -> Tensor:
    """Smooth L1 of Lai et al. 2017, ``mean sqrt((sr - hr)² + 1e-6)``."""
    return ((sr - hr).square() + 1e-6).sqrt().mean()


def fft(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute error of the 2-D spectra (Cho et al. 2021), orthonormal, real and imaginary."""
    difference = torch.fft.rfft2(sr - hr, norm="ortho")
    return torch.view_as_real(difference).abs().mean()


def luma(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute error of BT.601 luma, what PSNR-Y is measured on; of gray images plain L1.

    It weighs what red, green and blue do together: a small model spends itself on structure. Alone
    it leaves the colours free; give ``l1`` a share beside it.
    """
    return _luma(sr - hr).abs().mean()


def decibel(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean over the images of ``log10(1 + 255² mse)`` of luma: a tenth of what PSNR-Y lacks.

    Other losses are made of the patches that no model gets right, leaves and gravel; here a tenth
    less of a small error counts as much as of a large one, as it does in a mean of PSNR (Chen et
    al. 2022 train so). Below a level it fades. ``l1`` beside it holds the colours.
    """
    mse = _luma(sr - hr).square().flatten(1).mean(1)
    return (1 + 255**2 * mse).log10().mean()


def agreement(sr: Tensor, hr: Tensor, scale: int) -> Tensor:
    """Mean over the images of ``log10(1 + 255² mse)`` of both shrunk to LR, sr clipped before.

    A projection mends what is lacking here, for the less time the less it is: the detail alone is
    left to the other losses. Its gradient counts most where little is lacking.

    Args:
        sr, hr: (B, C, H, W) with sides that ``scale`` divides.
        scale: at least 2.
    """
    vertical, horizontal = (_shrinking(side, scale, hr.device) for side in hr.shape[2:])
    mse = (vertical @ (sr.clamp(0, 1) - hr) @ horizontal.mT).square().flatten(1).mean(1)
    return (1 + 255**2 * mse).log10().mean()


@functools.lru_cache(maxsize=16)
def _shrinking(side: int, scale: int, device: torch.device) -> Tensor:
    """Bicubic shrinking of one axis, (side / scale, side); kept: a CUDA graph cannot make it."""
    unit = torch.eye(side, dtype=torch.float64)[None, None]
    return imresize(unit, side // scale, side)[0, 0].to(device, torch.float32)


def _luma(difference: Tensor) -> Tensor:
    """(B, 3, H, W) → (B, H, W), of gray images themselves."""
    if difference.shape[1] != 3:
        return difference
    weights = difference.new_tensor(LUMA).view(1, 3, 1, 1) / sum(LUMA)
    return (difference * weights).sum(1)


LOSSES: dict[str, Loss] = {
    "l1": l1,
    "mse": mse,
    "charbonnier": charbonnier,
    "fft": fft,
    "luma": luma,
    "decibel": decibel,
}
