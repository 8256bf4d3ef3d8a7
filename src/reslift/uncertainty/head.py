"""The scale head: how far SR may be from HR at each pixel, seen from LR and SR alone.

::

    lr (B, 3, H, W) ─────────────────────┐
    sr (B, 3, sH, sW) ── unshuffle ÷s ───┴─ head ─ blocks ─ tail ─ shuffle ×s ─ log b (B, 1, sH, sW)

The error of a pixel is taken to follow a Laplace distribution of scale b (a heteroscedastic
likelihood, Kendall and Gal 2017), and the head is trained to the least −log p(hr | sr, b):

    |hr − sr| / b + log b          (up to a constant, mean over pixels and colours)

It stands beside the model, not in it: it takes any model's answer, and cannot change it. What
brightness adds to log b (`shades`) is not trained but counted when it is calibrated.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reslift.models.blocks import residual_blocks, silent
from reslift.uncertainty.shades import KNOTS, at

LEAST = 0.25 / 255
"""Smallest scale, so that a flat region that happens to be exact does not decide the training."""
START = 4 / 255


class ScaleHead(nn.Module):
    """Laplace scale of each pixel's error.

    Args:
        scale: s, that of the model it stands beside.
        width: feature channels at LR resolution.
        blocks: residual blocks.
    """

    def __init__(self, scale: int, width: int = 32, blocks: int = 2) -> None:
        super().__init__()
        self.arguments = {"scale": scale, "width": width, "blocks": blocks}
        self.scale = scale
        self.halo = 2 + 2 * blocks
        self.head = nn.Conv2d(3 + 3 * scale**2, width, 3, padding=1)
        self.blocks = residual_blocks(width, blocks)
        self.tail = silent(nn.Conv2d(width, scale**2, 3, padding=1))
        self.shades: Tensor
        self.register_buffer("shades", torch.zeros(KNOTS))

    def forward(self, lr: Tensor, sr: Tensor) -> Tensor:
        """Log of the scale.

        Args:
            lr: (B, 3, H, W) in [0, 1].
            sr: (B, 3, sH, sW) in [0, 1], the model's answer to it.

        Returns:
            (B, 1, sH, sW), at least log(0.25 / 255) before what brightness adds.
        """
        detail = F.pixel_unshuffle(sr, self.scale) - lr.repeat_interleave(self.scale**2, 1)
        features = self.blocks(self.head(torch.cat((lr - 0.5, 8 * detail), 1)))
        log_scale = math.log(START) + F.pixel_shuffle(self.tail(features), self.scale)
        return log_scale.clamp_min(math.log(LEAST)) + at(sr.mean(1, keepdim=True), self.shades)


def negative_log_likelihood(log_scale: Tensor, error: Tensor) -> Tensor:
    """Mean of |e| / b + log b.

    Args:
        log_scale: (B, 1, H, W). error: (B, C, H, W), hr − sr.
    """
    loss: Tensor = (error.abs() * (-log_scale).exp() + log_scale).mean()
    return loss
