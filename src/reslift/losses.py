"""Losses on (B, C, H, W) images in [0, 1]: pure functions of ``sr`` and ``hr`` to one number."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

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


LOSSES: dict[str, Loss] = {"l1": l1, "mse": mse, "charbonnier": charbonnier, "fft": fft}
