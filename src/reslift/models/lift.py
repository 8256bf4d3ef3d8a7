"""The house model: a convolutional autoencoder that works at LR resolution.

::

    lr ─ head ─ blocks ─┬─────────────── + ─ blocks ─ tail ─ shuffle ─ + ─ sr
    │                   └ ÷2 ─ blocks ─ ×2 ┘                           │
    └────────────────────────── bicubic, fp32 ─────────────────────────┘
                              latent

Every convolution runs at LR or half LR resolution, where a pixel costs 1/s² of one at HR; only the
last rearrangement (PixelShuffle, Shi et al. 2016) touches HR. Blocks have no normalisation:
residual ones follow EDSR (Lim et al. 2017), plain ones are a chain of 3×3 convolutions that starts
near the identity (`blocks.PlainBlock`) and learns more in as many steps. The half-resolution
branch, a one-level U-Net (Ronneberger et al. 2015), doubles the receptive field for a quarter of
the price. The bicubic skip means that an untrained model *is* bicubic interpolation, and that only
what bicubic lacks has to be learned.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from reslift.models.base import Planes, SRModel
from reslift.models.blocks import (
    Interpolation,
    PlainBlock,
    ResidualBlock,
    residual_blocks,
    silent,
)


class Lift(SRModel):
    """Autoencoder at LR resolution with a half-resolution branch.

    Args:
        scale: 1 to 4 and beyond; (B, C, H, W) → (B, C, sH, sW).
        channels: image channels.
        width: feature channels at LR resolution.
        blocks: blocks at LR resolution, half before and half after the branch.
        inner_width, inner_blocks: the half-resolution branch; 0 blocks leaves it out.
        form: of the blocks, "residual" or "plain" (two convolutions each, either way).

    ``encode`` gives [lr, outer (B, width, H, W), latent (B, inner_width, H/2, W/2)], or without the
    branch [lr, latent (B, width, H, W)].
    """

    forms = ("residual", "plain")

    def __init__(
        self,
        scale: int = 4,
        channels: int = 3,
        width: int = 64,
        blocks: int = 4,
        inner_width: int = 64,
        inner_blocks: int = 4,
        form: str = "residual",
    ) -> None:
        super().__init__()
        self.declare(
            scale,
            channels,
            width=width,
            blocks=blocks,
            inner_width=inner_width,
            inner_blocks=inner_blocks,
            form=form,
        )
        kind = PlainBlock if form == "plain" else ResidualBlock
        before = blocks if inner_blocks == 0 else blocks // 2
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.before = residual_blocks(width, before, kind)
        self.inner: nn.Sequential | None = None
        if inner_blocks:
            self.inner = nn.Sequential(
                nn.Conv2d(width, inner_width, 2, stride=2),
                *residual_blocks(inner_width, inner_blocks, kind),
            )
            self.rise = nn.Sequential(nn.Conv2d(inner_width, 4 * width, 1), nn.PixelShuffle(2))
        self.after = residual_blocks(width, blocks - before, kind)
        self.tail = silent(nn.Conv2d(width, channels * scale * scale, 3, padding=1))
        self.skip = Interpolation(scale, channels)
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

    def planes(self) -> dict[str, tuple[Planes, Planes]]:
        picture, inside = Planes(turning=False), Planes(turning=True)
        layers = {
            name: (inside, inside)
            for name, layer in self.named_modules()
            if isinstance(layer, nn.Conv2d)
        }
        layers["head"] = inside, picture
        layers["tail"] = Planes(turning=False, factor=self.scale), inside
        if self.inner is not None:
            layers["rise.0"] = Planes(turning=True, factor=2), inside
        return layers
