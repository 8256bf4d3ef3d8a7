"""System S2: an hourglass of strided and transposed convolutions.

::

    published   lr ─ 64 ─ ↓32 ─ ↓16 ─ ↑32 ─ ↑64 ─ 3 ─ sigmoid ─ bilinear ×s ─ sr

    repaired    lr ─ 64 ─┬─ ↓32 ─┬─ ↓16 ─ ↑32 ─ + ─ ↑64 ─ + ─ blocks ─ 3·s², shuffle ─ + ─ sr
                │        │       └──────────────┘         │                            │
                │        └────────────────────────────────┘                            │
                └───────────────────────── bicubic ×s ─────────────────────────────────┘

In the published form everything learned keeps the LR size; all of the enlargement is a bilinear
resize after the sigmoid, so the best it can do is a picture whose bilinear enlargement is good, a
sharpened LR. Sizes that 4 does not divide come out shorter; here LR is padded and the answer
cropped, in both forms.

The repaired form keeps encoder and decoder. Additive skips between them (Mao et al. 2016) bring
back what the strides lost, residual blocks and a PixelShuffle (Shi et al. 2016) make the detail at
HR, and the bicubic picture is added at the end, without a sigmoid.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reslift.models import reach
from reslift.models.base import SRModel
from reslift.models.blocks import Interpolation, conv, expand, residual_blocks, silent, wake


class Hourglass(SRModel):
    """Strided encoder to a quarter of the size, transposed decoder back.

    Args:
        scale: (B, C, H, W) → (B, C, sH, sW).
        channels: image channels.
        width: features at LR size, a multiple of 4; half as many after each stride.
        blocks: residual blocks at LR size in the repaired form.
        form: ``repaired`` or ``published``.

    ``encode`` gives [latent (B, width/4, H/4, W/4)], or repaired [lr, outer (B, width, H, W),
    middle (B, width/2, H/2, W/2), latent].
    """

    forms = ("published", "repaired")

    def __init__(
        self,
        scale: int = 4,
        channels: int = 3,
        width: int = 64,
        blocks: int = 2,
        form: Literal["published", "repaired"] = "repaired",
    ) -> None:
        super().__init__()
        self.declare(scale, channels, width=width, blocks=blocks, form=form)
        if width % 4:
            raise ValueError(f"width {width} is not a multiple of 4")
        self.multiple_of = 4
        half, quarter = width // 2, width // 4
        self.down = nn.ModuleList(
            [conv(channels, width), conv(width, half, stride=2), conv(half, quarter, stride=2)]
        )
        self.up = nn.ModuleList([expand(quarter, half, 4), expand(half, width, 4)])
        self.refine: nn.Sequential | None = None
        if form == "repaired":
            wake(self.down, self.up)
            self.refine = residual_blocks(width, blocks)
            self.tail = silent(conv(width, channels * scale**2))
            self.skip = Interpolation(scale, channels)
        else:
            self.tail = conv(width, channels)
            self.skip = Interpolation(scale, channels, "bilinear")
        strided, rise = reach.conv(3, 2), reach.transposed(4, 2, 1)
        layers = [reach.conv(), strided, strided, rise, rise]
        layers += [reach.conv()] * (2 * blocks + 1) if self.refine is not None else []
        last = [reach.enlarge(scale)] if self.refine is not None else _bilinear(scale)
        self.halo = reach.halo([*layers, *last], scale, 4)

    def encode(self, lr: Tensor) -> list[Tensor]:
        outer = F.relu(self.down[0](lr))
        middle = F.relu(self.down[1](outer))
        latent = F.relu(self.down[2](middle))
        return [latent] if self.refine is None else [lr, outer, middle, latent]

    def decode(self, features: list[Tensor]) -> Tensor:
        sr: Tensor
        x = self.up[0](features[-1])
        if self.refine is None:
            x = self.tail(F.relu(self.up[1](F.relu(x))))
            sr = self.skip(torch.sigmoid(x))
            return sr
        lr, outer, middle, _ = features
        x = F.relu(self.up[1](F.relu(x + middle)) + outer)
        detail = F.pixel_shuffle(self.tail(self.refine(x)), self.scale)
        sr = detail.float() + self.skip(lr)
        return sr


def _bilinear(scale: int) -> list[reach.Layer]:
    """The last convolution, and the enlargement, which looks at one neighbour."""
    return [reach.conv(), reach.conv(), reach.enlarge(scale)]
