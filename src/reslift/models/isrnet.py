"""System S3: ISRNet, convolutions in front of five transposed ones.

::

    published   lr ─ 32 ─ 32 ─ 32 ─ C ─ ↑32 ─ ↑16 ─ ↑8 ─ ↑4 ─ ↑C ─ pad, mean to ×s ─ sr
    repaired    lr ─ 32 ─ 32 ─ 32 ─ 32 ─ conv 32 ─ 3·s², shuffle ─ + ─ sr
                └─────────────────── bicubic ×s ───────────────────┘

A transposed convolution of kernel 3, stride 2 and padding 1 makes 2n - 1 pixels of n, five of them
32n - 31: the article's network maps 16 pixels to 481, not to the 64 that ×4 asks for, and its loss
against HR could not have been taken without a resize. The least change that makes it runnable is
that resize: the border of the 32n - 31 pixels is repeated to 32n, which stands each LR pixel in the
middle of its 32, and blocks are averaged to s·n. Everything is computed on a grid 64 times as dense
as ×4 needs, and the code between the two halves is a picture of C channels.

The repaired form keeps the encoder but not the narrow code, answers at exactly s·n through one
PixelShuffle (Shi et al. 2016) and adds the bicubic picture (Kim et al. 2016). FSRCNN, which the
article names, is a reference model of its own.
"""

from __future__ import annotations

import itertools
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from reslift.models import reach
from reslift.models.base import SRModel
from reslift.models.blocks import Interpolation, conv, silent, wake

DENSE = 32
ASIDE = (DENSE // 2, DENSE - 1 - DENSE // 2)


class ISRNet(SRModel):
    """Four convolutions, then five transposed ones (published) or a PixelShuffle (repaired).

    Args:
        scale: (B, C, H, W) → (B, C, sH, sW).
        channels: image channels; the article's network had 1.
        width: features of the encoder.
        form: ``repaired`` or ``published``.

    ``encode`` gives [latent (B, C, H, W)], or repaired [lr, latent (B, width, H, W)].
    """

    forms = ("published", "repaired")

    def __init__(
        self,
        scale: int = 4,
        channels: int = 3,
        width: int = 32,
        form: Literal["published", "repaired"] = "repaired",
    ) -> None:
        super().__init__()
        self.declare(scale, channels, width=width, form=form)
        self._direct = form == "published"
        code = channels if self._direct else width
        self.encoder = _chain(
            [conv(channels, width), conv(width, width), conv(width, width), conv(width, code)]
        )
        self.multiple_of = 1
        layers = [reach.conv()] * 4
        if self._direct:
            widths = (channels, 32, 16, 8, 4, channels)
            steps = itertools.pairwise(widths)
            self.decoder = _chain([nn.ConvTranspose2d(i, o, 3, 2, 1) for i, o in steps])
            layers += [reach.transposed(3, 2, 1)] * 5 + [_mean(scale)]
        else:
            last = conv(width, channels * scale**2)
            self.decoder = _chain([conv(width, width), last])
            wake(self.encoder, self.decoder)
            silent(last)
            self.skip = Interpolation(scale, channels)
            layers += [reach.conv()] * 2 + [reach.enlarge(scale)]
        self.halo = reach.halo(layers, scale)

    def encode(self, lr: Tensor) -> list[Tensor]:
        latent = self.encoder(lr)
        return [latent] if self._direct else [lr, F.relu(latent)]

    def decode(self, features: list[Tensor]) -> Tensor:
        latent = features[-1]
        answer: Tensor = self.decoder(latent)
        if not self._direct:
            sr: Tensor = F.pixel_shuffle(answer, self.scale).float() + self.skip(features[0])
            return sr
        dense = F.pad(answer, ASIDE * 2, mode="replicate")
        if DENSE % self.scale == 0:
            return F.avg_pool2d(dense, DENSE // self.scale)
        height, width = latent.shape[2:]
        return F.adaptive_avg_pool2d(dense, (height * self.scale, width * self.scale))


def _chain(layers: list[nn.Conv2d] | list[nn.ConvTranspose2d]) -> nn.Sequential:
    """The layers with ReLU between them."""
    parts: list[nn.Module] = []
    for layer in layers:
        parts += [layer, nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def _mean(scale: int) -> reach.Layer:
    """Averaging of the padded dense pixels to ×scale."""

    def look(low: int, high: int) -> tuple[int, int]:
        first = low * DENSE // scale
        last = -(-(high + 1) * DENSE // scale) - 1
        return first - ASIDE[0], last - ASIDE[0]

    return look
