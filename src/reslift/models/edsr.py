"""EDSR-baseline (Lim et al. 2017), the reference that most papers start from.

::

    lr - mean ─ conv ─┬─ residual blocks ─ conv ─ + ─ shuffle ×2 (×2) ─ conv ─ + mean ─ sr
                      └──────────────────────────┘

It is SRResNet (Ledig et al. 2017) without batch normalisation, which made that network worse and
larger, and with ReLU for PReLU. Width 64 and 16 blocks are EDSR-baseline, SRResNet's size; 256 and
32 with ``residual_scale`` 0.1 are EDSR. At scale 1 there is no shuffle.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reslift.models import reach
from reslift.models.base import SRModel
from reslift.models.blocks import ResidualBlock, conv, shuffle

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
FACTORS = {1: (), 2: (2,), 3: (3,), 4: (2, 2), 5: (5,), 6: (2, 3), 7: (7,), 8: (2, 2, 2)}


class ScaledBlock(ResidualBlock):
    """``x + residual_scale · conv(relu(conv(x)))``, (B, F, H, W) → (B, F, H, W)."""

    def __init__(self, width: int, residual_scale: float) -> None:
        super().__init__(width)
        self.residual_scale = residual_scale

    def forward(self, x: Tensor) -> Tensor:
        detail: Tensor = self.project(torch.relu(self.expand(x)))
        return x + self.residual_scale * detail


class EDSR(SRModel):
    """Residual blocks at LR resolution, sub-pixel convolutions at the end.

    Args:
        scale: (B, C, H, W) → (B, C, sH, sW).
        channels: image channels.
        width: features.
        blocks: residual blocks.
        residual_scale: factor of each block's detail.

    ``encode`` gives [latent (B, width, H, W)].
    """

    mean: Tensor

    def __init__(
        self,
        scale: int = 4,
        channels: int = 3,
        width: int = 64,
        blocks: int = 16,
        residual_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.declare(scale, channels, width=width, blocks=blocks, residual_scale=residual_scale)
        self.multiple_of = 1
        mean = torch.tensor(DIV2K_MEAN if channels == 3 else (sum(DIV2K_MEAN) / 3,) * channels)
        self.register_buffer("mean", mean.view(1, -1, 1, 1), persistent=False)
        self.head = conv(channels, width)
        self.body = nn.Sequential(
            *(ScaledBlock(width, residual_scale) for _ in range(blocks)), conv(width, width)
        )
        rises = FACTORS[scale]
        self.tail = nn.Sequential(*(shuffle(width, width, f) for f in rises), conv(width, channels))
        layers = [reach.conv()] * (2 + 2 * blocks)
        for factor in rises:
            layers += [reach.conv(), reach.enlarge(factor)]
        self.halo = reach.halo([*layers, reach.conv()], scale)

    def encode(self, lr: Tensor) -> list[Tensor]:
        x = self.head(lr - self.mean)
        return [self.body(x) + x]

    def decode(self, features: list[Tensor]) -> Tensor:
        sr: Tensor = self.tail(features[0]) + self.mean
        return sr
