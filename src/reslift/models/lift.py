"""The house model: a convolutional autoencoder that works at LR resolution.

::

    lr ─ head ─ blocks ─┬────────────────────────────── + ─ blocks ─ tail ─ shuffle ─ + ─ sr
    │                   └ ÷2 ─ blocks ─┬──── + ─ blocks ─ ×2 ┘                        │
    │                                  └ deep ┘                                       │
    └───────────────────────────────── bicubic, fp32 ─────────────────────────────────┘

Every convolution runs at LR resolution or below, where a pixel costs 1/s² of one at HR; only the
last rearrangement (PixelShuffle, Shi et al. 2016) touches HR. Blocks have no normalisation:
residual ones follow EDSR (Lim et al. 2017), plain ones are a chain of 3×3 convolutions that starts
near the identity (`blocks.PlainBlock`) and learns more in as many steps. The half-resolution
branch, a U-Net (Ronneberger et al. 2015), doubles the receptive field for a quarter of the price;
the deep one (÷2, blocks, ×2 once more) doubles it again for a sixteenth. The bicubic skip means
that an untrained model *is* bicubic interpolation, and that only what bicubic lacks has to be
learned.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from reslift.models.base import SRModel
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
        deep_width, deep_blocks: a branch at quarter resolution in the middle of the inner blocks;
            0 blocks leaves it out.

    ``encode`` gives [lr, outer (B, width, H, W), latent (B, inner_width, H/2, W/2)]; without
    branches [lr, latent (B, width, H, W)], with both [lr, outer, middle (B, inner_width, H/2, W/2),
    latent (B, deep_width, H/4, W/4)].

    Raises:
        ValueError: a deep branch without an inner one; and what `SRModel.declare` refuses.
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
        deep_width: int = 64,
        deep_blocks: int = 0,
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
            deep_width=deep_width,
            deep_blocks=deep_blocks,
        )
        if deep_blocks and not inner_blocks:
            raise ValueError("deep_blocks lie among inner_blocks, of which there are 0")
        kind = PlainBlock if form == "plain" else ResidualBlock
        before = blocks if inner_blocks == 0 else blocks // 2
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.before = residual_blocks(width, before, kind)
        self.inner: nn.Sequential | None = None
        self.deep: nn.Sequential | None = None
        if inner_blocks:
            self.inner = _fall(width, inner_width, inner_blocks, kind)
            self.rise = _rise(inner_width, width)
        if deep_blocks:
            self.deep = _fall(inner_width, deep_width, deep_blocks, kind)
            self.deep_rise = _rise(deep_width, inner_width)
        self.middle = 1 + inner_blocks // 2
        self.after = residual_blocks(width, blocks - before, kind)
        self.tail = silent(nn.Conv2d(width, channels * scale * scale, 3, padding=1))
        self.skip = Interpolation(scale, channels)
        self.multiple_of = 4 if deep_blocks else 2 if inner_blocks else 1
        reach = 2 + 2 * blocks
        reach += 4 * inner_blocks + 1 if inner_blocks else 0
        reach += 8 * deep_blocks + 2 if deep_blocks else 0
        self.halo = reach + -reach % self.multiple_of

    def encode(self, lr: Tensor) -> list[Tensor]:
        outer = self.before(self.head(lr))
        if self.inner is None:
            return [lr, outer]
        if self.deep is None:
            return [lr, outer, self.inner(outer)]
        middle = _through(outer, *list(self.inner)[: self.middle])
        return [lr, outer, middle, self.deep(middle)]

    def decode(self, features: list[Tensor]) -> Tensor:
        lr, outer = features[:2]
        if self.inner is not None:
            inner = features[2]
            if self.deep is not None:
                inner = inner + self.deep_rise(features[3])
                inner = _through(inner, *list(self.inner)[self.middle :])
            outer = outer + self.rise(inner)
        detail = F.pixel_shuffle(self.tail(self.after(outer)), self.scale)
        sr: Tensor = detail.float() + self.skip(lr)
        return sr


def _fall(
    width: int, narrow: int, blocks: int, kind: type[ResidualBlock] | type[PlainBlock]
) -> nn.Sequential:
    """(B, width, H, W) → (B, narrow, H/2, W/2), and blocks there."""
    return nn.Sequential(
        nn.Conv2d(width, narrow, 2, stride=2), *residual_blocks(narrow, blocks, kind)
    )


def _rise(narrow: int, width: int) -> nn.Sequential:
    """(B, narrow, H, W) → (B, width, 2H, 2W), to be added to what went down."""
    return nn.Sequential(nn.Conv2d(narrow, 4 * width, 1), nn.PixelShuffle(2))


def _through(x: Tensor, *layers: nn.Module) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x
