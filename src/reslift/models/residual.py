"""System S4: a residual autoencoder for pixelated faces, on the same grid.

::

    lr ─ 64 ─ 64 ─┬─ pool ─ 128 ─ 128 ─┬─ pool ─ 256 = latent
    │             │                    │           │
    │             │                    │           ↑2 ─ 128 ─ 128 ─ + ─ ↑2 ─ 64 ─ 64 ─ + ─ 3 ─ sr
    │             │                    └────────────────────────────┘                  │   │
    │             └────────────────────────────────────────────────────────────────────┘   +
    └──────────────────────────── repaired: the picture itself ────────────────────────────┘

3×3 convolutions with ReLU, max-pooling and nearest upsampling, skips by addition: a conv–deconv
network in the manner of RED-Net (Mao et al. 2016). In the published form the last convolution has a
ReLU too: it never answers below black, where its slope is 0, and is not bounded above, and the
whole picture has to be drawn anew. The repaired form adds LR to what the last convolution says,
without an activation, so that only the missing detail is learned; all else is the same.

The article's L1 penalty on the weights is ``optimiser.l1_penalty`` of a recipe.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from reslift.models import reach
from reslift.models.base import SRModel
from reslift.models.blocks import conv, silent, wake


class Residual(SRModel):
    """Two pooled levels with additive skips.

    Args:
        scale: 1, the same grid.
        channels: image channels.
        width: features of the first level; twice and four times as many below.
        form: ``repaired`` or ``published``.

    ``encode`` gives [lr, level 0 (B, width, H, W), level 1 (B, 2·width, H/2, W/2), latent
    (B, 4·width, H/4, W/4)].
    """

    scales = range(1, 2)
    forms = ("published", "repaired")

    def __init__(
        self,
        scale: int = 1,
        channels: int = 3,
        width: int = 64,
        form: Literal["published", "repaired"] = "repaired",
    ) -> None:
        super().__init__()
        self.declare(scale, channels, width=width, form=form)
        self.multiple_of = 4
        self.down = nn.ModuleList(
            [_pair(channels, width), _pair(width, 2 * width), conv(2 * width, 4 * width)]
        )
        self.up = nn.ModuleList([_pair(4 * width, 2 * width), _pair(2 * width, width)])
        self._redraws = form == "published"
        self.tail = conv(width, channels)
        if not self._redraws:
            wake(self.down, self.up)
            silent(self.tail)
        two, pool, rise = [reach.conv()] * 2, reach.conv(2, 2, 0), reach.enlarge(2)
        layers = [*two, pool, *two, pool, reach.conv(), rise, *two, rise, *two, reach.conv()]
        self.halo = reach.halo(layers, 1, 4)

    def encode(self, lr: Tensor) -> list[Tensor]:
        outer = self.down[0](lr)
        middle = self.down[1](F.max_pool2d(outer, 2))
        return [lr, outer, middle, F.relu(self.down[2](F.max_pool2d(middle, 2)))]

    def decode(self, features: list[Tensor]) -> Tensor:
        lr, outer, middle, latent = features
        x = self.up[0](F.interpolate(latent, scale_factor=2)) + middle
        x = self.up[1](F.interpolate(x, scale_factor=2)) + outer
        answer: Tensor = self.tail(x)
        return F.relu(answer) if self._redraws else answer.float() + lr.float()


def _pair(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(conv(inputs, outputs), nn.ReLU(), conv(outputs, outputs), nn.ReLU())
