"""Transparency without fringes.

Colours under alpha 0 are arbitrary (often black or white) and a convolution would smear them into
the visible edge. So visible colours first bleed outwards, and the enlarged alpha never leaves the
range of its neighbours: what is opaque all around stays exactly opaque.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 2


def bleed(color: Tensor, alpha: Tensor, rings: int) -> Tensor:
    """Replace hidden colours by the visible ones nearby, ring after ring outwards.

    A hidden pixel takes the mean of the known pixels among its eight neighbours; visible pixels
    weigh as much as they are opaque. Pixels more than `rings` away from any visible one become 0.

    Args:
        color: (1, C, h, w) float; alpha: (1, 1, h, w) float, 0 is hidden.
        rings: how far colours travel, in pixels.

    Returns:
        (1, C, h, w); pixels with alpha > 0 are unchanged.
    """
    hidden = alpha <= 0
    if not bool(hidden.any()):
        return color
    colors = F.pad(color.masked_fill(hidden, 0.0), (1, 1, 1, 1))[0].flatten(1)
    weights = F.pad(alpha, (1, 1, 1, 1)).flatten()
    row = alpha.shape[3] + 2
    around = torch.tensor([y * row + x for y in (-1, 0, 1) for x in (-1, 0, 1) if x or y])
    unknown = F.pad(hidden, (1, 1, 1, 1)).flatten()
    beside = F.max_pool2d(hidden.float(), 3, stride=1, padding=1) > 0
    newest = F.pad(beside & ~hidden, (1, 1, 1, 1)).flatten().nonzero()[:, 0]
    for _ in range(rings):
        ring = torch.unique((newest[:, None] + around).flatten())
        ring = ring[unknown[ring]]
        if ring.numel() == 0:
            break
        neighbours = ring[:, None] + around
        weight = weights[neighbours]
        colors[:, ring] = (colors[:, neighbours] * weight).sum(2) / weight.sum(1)
        weights[ring] = 1.0
        unknown[ring] = False
        newest = ring
    padded = colors.view(1, color.shape[1], -1, row)
    return padded[..., 1:-1, 1:-1]


def within_neighbours(sr: Tensor, lr: Tensor, scale: int) -> Tensor:
    """Clip sr (1, 1, sh, sw) to the range of the 5×5 neighbours in lr (1, 1, h, w)."""
    side = 2 * REACH + 1
    high = F.max_pool2d(lr, side, stride=1, padding=REACH)
    low = -F.max_pool2d(-lr, side, stride=1, padding=REACH)
    return sr.clamp(_nearest(low, scale), _nearest(high, scale))


def _nearest(x: Tensor, scale: int) -> Tensor:
    return x.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
