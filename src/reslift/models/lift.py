"""The house model: a convolutional autoencoder that works at LR resolution.

::

    lr ─ head ─ blocks ─┬─────────────── + ─ blocks ─ tail ─ shuffle ─ + ─ sr
    │                   └ ÷2 ─ blocks ─ ×2 ┘                           │
    └────────────────────────── bicubic, fp32 ─────────────────────────┘
                              latent

Every convolution runs at LR or half LR resolution, where a pixel costs 1/s² of one at HR; only the
last rearrangement (PixelShuffle, Shi et al. 2016) touches HR. Residual blocks without normalisation
follow EDSR (Lim et al. 2017). The half-resolution branch, a one-level U-Net (Ronneberger et al.
2015), doubles the receptive field for a quarter of the price. The bicubic skip means that an
untrained model *is* bicubic interpolation, and that only what bicubic lacks has to be learned.
"""

from __future__ import annotations

import contextlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reslift.models.base import SRModel
from reslift.pixels.resize import bicubic_upscale


class ResidualBlock(nn.Module):
    """``x + conv(relu(conv(x)))``, (B, F, H, W) → (B, F, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(width, width, 3, padding=1)
        self.project = nn.Conv2d(width, width, 3, padding=1)
        for conv in (self.expand, self.project):
            # Random numbers on the meta device import torch._dynamo: seconds, for nothing.
            if not conv.weight.is_meta:
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)
        with torch.no_grad():
            self.project.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        detail: Tensor = self.project(F.relu_(self.expand(x)))
        return detail.add_(x)


class BicubicSkip(nn.Module):
    """Bicubic upscaling as one convolution, (B, C, H, W) → (B, C, sH, sW) in fp32.

    The weights are those of :func:`reslift.pixels.resize.bicubic_upscale`, one 5×5 kernel for each
    of the s² phases, so a tile gives the very sums that the whole image gives. Borders repeat.
    """

    kernel: Tensor

    def __init__(self, scale: int, channels: int) -> None:
        super().__init__()
        self.scale = scale
        with torch.device("cpu"):
            impulse = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
            impulse[..., 4, 4] = 1.0
            response = bicubic_upscale(impulse, scale)[0, 0]
        phases = response.view(9, scale, 9, scale).permute(1, 3, 0, 2)[..., 2:7, 2:7]
        phases = phases.reshape(scale * scale, 5, 5).flip(1, 2).float()
        kernel = torch.zeros(channels, scale * scale, channels, 5, 5)
        for channel in range(channels):
            kernel[channel, :, channel] = phases
        self.register_buffer("kernel", kernel.flatten(0, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        # The meta device, which only counts, knows no autocast.
        exact = (
            contextlib.nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)
        )
        with exact:
            padded = F.pad(x.float(), (2, 2, 2, 2), mode="replicate")
            phases: Tensor = F.conv2d(padded, self.kernel)
            return F.pixel_shuffle(phases, self.scale)


class Lift(SRModel):
    """Residual autoencoder at LR resolution with a half-resolution branch.

    Args:
        scale: 1 to 4 and beyond; (B, C, H, W) → (B, C, sH, sW).
        channels: image channels.
        width: feature channels at LR resolution.
        blocks: residual blocks at LR resolution, half before and half after the branch.
        inner_width, inner_blocks: the half-resolution branch; 0 blocks leaves it out.

    ``encode`` gives [lr, outer (B, width, H, W), latent (B, inner_width, H/2, W/2)], or without the
    branch [lr, latent (B, width, H, W)].
    """

    def __init__(
        self,
        scale: int = 4,
        channels: int = 3,
        width: int = 64,
        blocks: int = 4,
        inner_width: int = 64,
        inner_blocks: int = 4,
    ) -> None:
        super().__init__()
        if min(scale, channels, width) < 1 or min(blocks, inner_blocks) < 0:
            raise ValueError("scale, channels and width start at 1, block counts at 0")
        self.scale, self.channels = scale, channels
        self.arguments = {
            "scale": scale,
            "channels": channels,
            "width": width,
            "blocks": blocks,
            "inner_width": inner_width,
            "inner_blocks": inner_blocks,
        }
        before = blocks if inner_blocks == 0 else blocks // 2
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.before = nn.Sequential(*(ResidualBlock(width) for _ in range(before)))
        self.inner: nn.Sequential | None = None
        if inner_blocks:
            self.inner = nn.Sequential(
                nn.Conv2d(width, inner_width, 2, stride=2),
                *(ResidualBlock(inner_width) for _ in range(inner_blocks)),
            )
            self.rise = nn.Sequential(nn.Conv2d(inner_width, 4 * width, 1), nn.PixelShuffle(2))
        self.after = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks - before)))
        self.tail = nn.Conv2d(width, channels * scale * scale, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        assert self.tail.bias is not None
        nn.init.zeros_(self.tail.bias)
        self.skip = BicubicSkip(scale, channels)
        self.multiple_of = 2 if inner_blocks else 1
        reach = 2 + 2 * blocks + (4 * inner_blocks + 1 if inner_blocks else 0)
        self.halo = reach + reach % self.multiple_of

    def encode(self, lr: Tensor) -> list[Tensor]:
        outer = self.before(self.head(lr))
        return [lr, outer] if self.inner is None else [lr, outer, self.inner(outer)]

    def decode(self, features: list[Tensor]) -> Tensor:
        lr, outer = features[:2]
        if self.inner is not None:
            outer = outer + self.rise(features[2])
        detail = F.pixel_shuffle(self.tail(self.after(outer)), self.scale)
        sr: Tensor = detail.float() + self.skip(lr)
        return sr
