"""The discriminator: for each patch of an image a logit, high for HR and low for SR."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2
LEAST = 8


class Discriminator(nn.Module):
    """Strided convolutions, judged patch by patch (PatchGAN, Isola et al., CVPR 2017).

    ::

        image (B, C, H, W) ─ conv 3 ─ [conv 4, stride 2 ─ conv 3] ×3 ─ conv 3 ─ (B, 1, H/8, W/8)

    Spectral normalisation of every layer (Miyato et al., ICLR 2018) bounds how steeply the logits
    change with the image, so that no weight clipping or gradient penalty is needed; there is no
    batch normalisation, whose statistics of SR and HR would mix.

    Args:
        channels: of the image.
        width: features of the first layer; they double with each stride.
    """

    def __init__(self, channels: int = 3, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1)]
        for inside in (width, 2 * width, 4 * width):
            layers.append(nn.Conv2d(inside, 2 * inside, 4, stride=2, padding=1))
            layers.append(nn.Conv2d(2 * inside, 2 * inside, 3, padding=1))
        layers.append(nn.Conv2d(8 * width, 1, 3, padding=1))
        self.layers = nn.ModuleList(spectral_norm(layer) for layer in layers)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 1, H/8, W/8) of (B, C, H, W) in [0, 1], sides at least 8."""
        x = (2 * image - 1).contiguous(memory_format=torch.channels_last)
        *inner, last = self.layers
        for layer in inner:
            x = F.leaky_relu(layer(x), SLOPE)
        logits: Tensor = last(x)
        return logits
