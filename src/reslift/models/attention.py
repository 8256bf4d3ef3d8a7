"""Channel and spatial attention (CBAM, Woo et al. 2018) that keeps tiling exact.

::

    x ─┬─ window mean ─┐                  ┌─ mean ─┐
       │               ├─ 1×1, ReLU, 1×1 ─ σ ─ × ──┤        ├─ 7×7 ─ σ ─ × ─
       ├─ window max ──┘                  │        └─ max ──┘             │
       └──────────────────────────────────┘   (over channels)

CBAM pools each channel over the whole image. One bright corner then changes every pixel, the answer
depends on how the picture is cropped, and a tile cannot be computed alone. Here each position pools
over a window around itself, so it has channel weights of its own; the window is a part of the
model's halo, and tiled equals whole. On training patches a global pool sees little more than that.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reslift.models import reach
from reslift.models.blocks import ResidualBlock, conv

WINDOW = 9
SPATIAL = 7
REDUCTION = 4
FEWEST = 4


class LocalAttention(nn.Module):
    """Weights in (0, 1) for the channels of each position, then for each position.

    (B, F, H, W) → (B, F, H, W).

    Args:
        width: F.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        squeezed = max(FEWEST, width // REDUCTION)
        self.channels = nn.Sequential(conv(width, squeezed, 1), nn.ReLU(), conv(squeezed, width, 1))
        self.places = conv(2, 1, SPATIAL)

    def forward(self, x: Tensor) -> Tensor:
        x = x * torch.sigmoid(self.channels(window_mean(x)) + self.channels(window_max(x)))
        seen = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.places(seen))


class AttentiveBlock(ResidualBlock):
    """``x + attention(conv(relu(conv(x))))``, (B, F, H, W) → (B, F, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.attention = LocalAttention(width)

    def forward(self, x: Tensor) -> Tensor:
        detail: Tensor = self.attention(self.project(F.relu(self.expand(x))))
        return x + detail


def block_reach() -> list[reach.Layer]:
    """What an :class:`AttentiveBlock` looks at: two convolutions, the window, the 7×7."""
    return [reach.conv(), reach.conv(), reach.conv(WINDOW), reach.conv(SPATIAL)]


def window_mean(x: Tensor) -> Tensor:
    """Mean over ``WINDOW``² pixels around each, (B, F, H, W); past the border nothing counts."""
    for kernel in ((1, WINDOW), (WINDOW, 1)):
        padding = (kernel[0] // 2, kernel[1] // 2)
        x = F.avg_pool2d(x, kernel, 1, padding, count_include_pad=False)
    return x


def window_max(x: Tensor) -> Tensor:
    """Maximum over ``WINDOW``² pixels around each, (B, F, H, W)."""
    for kernel in ((1, WINDOW), (WINDOW, 1)):
        x = F.max_pool2d(x, kernel, 1, (kernel[0] // 2, kernel[1] // 2))
    return x
