"""FSRCNN (Dong, Loy and Tang 2016), a reference: the smallest network that beats bicubic well.

::

    lr ─ 5×5, 56 ─ 1×1, 12 ─ 3×3, 12 (four times) ─ 1×1, 56 ─ 9×9 transposed ×s ─ sr

It works at LR resolution, shrinks the features before the mapping and expands them after it, with
PReLU throughout; one wide transposed convolution makes HR. The paper's network sees luma only
(``channels = 1``); here it takes RGB unless told otherwise.
"""

from __future__ import annotations

from torch import Tensor, nn

from reslift.models import reach
from reslift.models.base import SRModel
from reslift.models.blocks import conv


class FSRCNN(SRModel):
    """Shrinking, mapping, expanding, one transposed convolution.

    Args:
        scale: (B, C, H, W) → (B, C, sH, sW).
        channels: image channels.
        width: features outside, the paper's d.
        inner_width: features of the mapping, the paper's s.
        inner_blocks: 3×3 convolutions of the mapping, the paper's m.

    ``encode`` gives [latent (B, inner_width, H, W)], the mapped features.
    """

    def __init__(
        self,
        scale: int = 4,
        channels: int = 3,
        width: int = 56,
        inner_width: int = 12,
        inner_blocks: int = 4,
    ) -> None:
        super().__init__()
        self.declare(
            scale, channels, width=width, inner_width=inner_width, inner_blocks=inner_blocks
        )
        self.multiple_of = 1
        layers: list[nn.Module] = [conv(channels, width, 5), nn.PReLU(width)]
        layers += [conv(width, inner_width, 1), nn.PReLU(inner_width)]
        for _ in range(inner_blocks):
            layers += [conv(inner_width, inner_width), nn.PReLU(inner_width)]
        self.encoder = nn.Sequential(*layers)
        self.decoder = nn.Sequential(
            conv(inner_width, width, 1),
            nn.PReLU(width),
            nn.ConvTranspose2d(width, channels, 9, scale, 4, scale - 1),
        )
        seen = [reach.conv(5), *([reach.conv()] * inner_blocks), reach.transposed(9, scale, 4)]
        self.halo = reach.halo(seen, scale)

    def encode(self, lr: Tensor) -> list[Tensor]:
        return [self.encoder(lr)]

    def decode(self, features: list[Tensor]) -> Tensor:
        sr: Tensor = self.decoder(features[0])
        return sr
