"""System S0: an autoencoder through one short vector, for pictures of one small size.

::

    published   lr ─ ↓32 ─ ↓64 ─ ↓128 ─ FC ─ latent vector ─ FC ─ ↑64 ─ ↑32 ─ ↑3 ─ sigmoid ─ sr

    repaired    lr ─ ↓32 ─┬─ ↓64 ─┬─ ↓128 ─ FC ─ latent ─ FC ─ ↑64 ─ + ─ ↑32 ─ + ─ ↑3 ─ + ─ sr
                │         │       └──────────────────────────────────┘         │        │
                │         └─ residual blocks ──────────────────────────────────┘        │
                └───────────────────────────────────────────────────────────────────────┘

The published form is the textbook autoencoder (Hinton and Salakhutdinov 2006) with convolutions. It
restores on the same grid: LR is a picture that was made smaller and larger again. Its code of 128
numbers has to hold all of a picture of 3 · 32 · 32 = 3,072 numbers, of which the small picture that
LR was made from already has 768. What does not fit is lost, so it loses to bicubic interpolation by
many dB, whatever the training. It shows what a bottleneck keeps, not how to enlarge pictures.

The repaired form has the same encoder, code and decoder. Skips around the code (Ronneberger et al.
2015, by addition) carry what the code cannot hold, and the picture itself is added at the end, so
that only the missing detail is learned (Kim et al. 2016); the sigmoid, whose slope dies where a
picture is black or white, goes. The latent vector is still there to be looked at.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reslift.models.base import SRModel
from reslift.models.blocks import conv, expand, residual_blocks, silent


class Bottleneck(SRModel):
    """Fully connected bottleneck between strided convolutions; takes one fixed size.

    Args:
        scale: 1, the same grid.
        channels: image channels.
        size: side of the pictures, a multiple of 8.
        width: features after the first convolution; then twice and four times as many.
        latent: length of the code.
        blocks: residual blocks on the outer skip of the repaired form.
        form: ``repaired`` or ``published``.

    ``encode`` gives [latent (B, latent)], or repaired [lr, outer (B, width, size/2, size/2), middle
    (B, 2·width, size/4, size/4), latent (B, latent)].
    """

    scales = range(1, 2)
    forms = ("published", "repaired")
    is_global = True

    def __init__(
        self,
        scale: int = 1,
        channels: int = 3,
        size: int = 32,
        width: int = 32,
        latent: int = 128,
        blocks: int = 4,
        form: Literal["published", "repaired"] = "repaired",
    ) -> None:
        super().__init__()
        self.declare(
            scale, channels, size=size, width=width, latent=latent, blocks=blocks, form=form
        )
        if size % 8:
            raise ValueError(f"size {size} is not a multiple of 8")
        self.size = self.halo = size
        self.multiple_of = 8
        self._deep = (4 * width, size // 8, size // 8)
        flat = self._deep[0] * self._deep[1] * self._deep[2]
        self.down = nn.ModuleList(
            conv(i, o, stride=2)
            for i, o in ((channels, width), (width, 2 * width), (2 * width, 4 * width))
        )
        self.pack = nn.Linear(flat, latent)
        self.unpack = nn.Linear(latent, flat)
        last = expand(width, channels)
        self.up = nn.ModuleList([expand(4 * width, 2 * width), expand(2 * width, width), last])
        self.around = residual_blocks(width, blocks) if form == "repaired" else None
        if self.around is not None:
            silent(last)

    def encode(self, lr: Tensor) -> list[Tensor]:
        outer = F.relu(self.down[0](lr))
        middle = F.relu(self.down[1](outer))
        deep = F.relu(self.down[2](middle))
        latent = F.relu(self.pack(deep.flatten(1)))
        return [latent] if self.around is None else [lr, outer, middle, latent]

    def decode(self, features: list[Tensor]) -> Tensor:
        deep = F.relu(self.unpack(features[-1])).view(-1, *self._deep)
        if self.around is None:
            x = F.relu(self.up[1](F.relu(self.up[0](deep))))
            return torch.sigmoid(self.up[2](x))
        lr, outer, middle, _ = features
        x = F.relu(self.up[0](deep) + middle)
        x = F.relu(self.up[1](x) + self.around(outer))
        sr: Tensor = self.up[2](x).float() + lr.float()
        return sr
