"""System S1: a U-Net (Ronneberger et al. 2015), the article's DIV2K network.

::

    x ─ conv ─┬──────────────────────────────────── concat ─ conv ─ x'      one level;
              └ max-pool ─ (the next level, …) ─ transposed ┘               ``depth`` of them

    published   lr ─ bicubic ×s ─ U-Net on the HR grid ─ conv ─ sr
    repaired    lr ─ U-Net on the LR grid ─ conv, PixelShuffle ×s ─ + ─ sr
                └──────────────── bicubic ×s ──────────────────────┘

Convolutions are 3×3 with leaky ReLU, ``blocks`` of them at each stop. The article does not say how
LR meets the HR grid; a U-Net keeps the size of what it is given, so here LR is enlarged first, as
in SRCNN (Dong et al. 2014) and VDSR, the common way of its kind.

Two things hold the published form back. It has to reproduce the whole picture, of which LR already
has nearly all; and all of its work is done on the HR grid, where a convolution costs s² times as
much and looks s times less far into LR. The repaired form adds the bicubic picture at the end, so
that only the detail is learned (Kim et al. 2016), and works on the LR grid with one PixelShuffle
(Shi et al. 2016); there the pooled levels serve what they are good at, a wide view.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reslift.models import reach
from reslift.models.base import SRModel
from reslift.models.blocks import Interpolation, conv, expand, silent, wake

SLOPE = 0.2


class LeakyConvs(nn.Sequential):
    """3×3 convolution and leaky ReLU, ``count`` times; (B, I, H, W) → (B, O, H, W)."""

    def __init__(self, inputs: int, outputs: int, count: int) -> None:
        layers: list[nn.Module] = []
        for number in range(count):
            layers += [conv(outputs if number else inputs, outputs), nn.LeakyReLU(SLOPE)]
        super().__init__(*layers)


class UNet(SRModel):
    """U-Net with leaky ReLU, max-pooling, transposed convolutions and concatenated skips.

    Args:
        scale: (B, C, H, W) → (B, C, sH, sW).
        channels: image channels.
        width: features of the first level; each level has twice as many.
        depth: how often the size is halved.
        blocks: convolutions at each stop, at least 1.
        form: ``repaired`` or ``published``.

    ``encode`` gives [lr, level 0 (B, width, …), …, latent (B, width·2^depth, …)]; each level is
    half the one before it, the first on the LR grid (repaired) or the HR grid (published).
    """

    forms = ("published", "repaired")

    def __init__(
        self,
        scale: int = 4,
        channels: int = 3,
        width: int = 32,
        depth: int = 3,
        blocks: int = 1,
        form: Literal["published", "repaired"] = "repaired",
    ) -> None:
        super().__init__()
        self.declare(scale, channels, width=width, depth=depth, blocks=blocks, form=form)
        if blocks < 1:
            raise ValueError("blocks starts at 1 in a U-Net")
        self._outside = form == "published"
        widths = [width * 2**level for level in range(depth + 1)]
        self.skip = Interpolation(scale, channels)
        self.down = nn.ModuleList(
            LeakyConvs(i, o, blocks) for i, o in zip([channels, *widths[:-1]], widths, strict=True)
        )
        self.up = nn.ModuleList(expand(w, w // 2, 2) for w in widths[:0:-1])
        self.join = nn.ModuleList(LeakyConvs(w, w // 2, blocks) for w in widths[:0:-1])
        self.tail = conv(width, channels if self._outside else channels * scale**2)
        if not self._outside:
            wake(self.down, self.up, self.join)
            silent(self.tail)
        grid = 2**depth
        self.multiple_of = grid
        if self._outside:
            self.multiple_of = next(m for m in range(1, grid + 1) if m * scale % grid == 0)
        self.halo = self._reach(depth, blocks)

    def _reach(self, depth: int, blocks: int) -> int:
        stop = [reach.conv()] * blocks
        layers = [*stop, *([reach.conv(2, 2, 0), *stop] * depth)]
        layers += [*([reach.enlarge(2), *stop] * depth), reach.conv()]
        rise = reach.enlarge(self.scale)
        layers = [reach.conv(5), rise, *layers] if self._outside else [*layers, rise]
        return reach.halo(layers, self.scale, self.multiple_of)

    def encode(self, lr: Tensor) -> list[Tensor]:
        x = self.skip(lr) if self._outside else lr
        features = [lr]
        for level, convs in enumerate(self.down):
            x = convs(F.max_pool2d(x, 2) if level else x)
            features.append(x)
        return features

    def decode(self, features: list[Tensor]) -> Tensor:
        lr, *levels = features
        x = levels.pop()
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([levels.pop(), up(x)], 1))
        if self._outside:
            sr: Tensor = self.tail(x)
        else:
            sr = F.pixel_shuffle(self.tail(x), self.scale).float() + self.skip(lr)
        return sr
