"""Layers that several architectures share. Every one keeps or multiplies sizes exactly.

::

    conv        (B, I, H, W) → (B, O, H/stride, W/stride)     sides divisible by the stride
    expand      (B, I, H, W) → (B, O, 2H, 2W)                 transposed convolution
    shuffle     (B, I, H, W) → (B, O, sH, sW)                 convolution and PixelShuffle
    Interpolation                                             bicubic or bilinear, fixed
"""

from __future__ import annotations

import contextlib
from typing import Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reslift.pixels.resize import bicubic_upscale

Convolution = TypeVar("Convolution", nn.Conv2d, nn.ConvTranspose2d)


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution padded by half its (odd) kernel."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)


def expand(inputs: int, outputs: int, kernel: int = 3) -> nn.ConvTranspose2d:
    """A transposed convolution of stride 2 that doubles both sides exactly; kernel 2, 3 or 4.

    A kernel of 3 needs ``output_padding``: without it n pixels become 2n - 1.
    """
    return nn.ConvTranspose2d(inputs, outputs, kernel, 2, (kernel - 1) // 2, kernel % 2)


def shuffle(inputs: int, outputs: int, factor: int) -> nn.Sequential:
    """Sub-pixel convolution (Shi et al. 2016): 3×3 convolution, then PixelShuffle."""
    return nn.Sequential(conv(inputs, outputs * factor**2), nn.PixelShuffle(factor))


def silent(layer: Convolution) -> Convolution:
    """The same convolution with all weights 0: what it adds to a skip is nothing at first."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def wake(*parts: nn.Module) -> None:
    """He's initialisation (2015) of all convolutions, biases 0: signals keep their size.

    PyTorch's own shrinks them at each layer, and behind a silent tail a chain then takes a thousand
    steps to begin to learn.
    """
    for layer in (layer for part in parts for layer in part.modules()):
        if not isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            continue
        # Random numbers on the meta device import torch._dynamo: seconds, for nothing.
        if isinstance(layer, nn.ConvTranspose2d) and not layer.weight.is_meta:
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            with torch.no_grad():
                layer.weight.mul_(layer.stride[0])
        elif not layer.weight.is_meta:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)


class ResidualBlock(nn.Module):
    """``x + conv(relu(conv(x)))`` (Lim et al. 2017), (B, F, H, W) → (B, F, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(width, width, 3, padding=1)
        self.project = nn.Conv2d(width, width, 3, padding=1)
        wake(self)
        with torch.no_grad():
            self.project.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        detail: Tensor = self.project(F.relu_(self.expand(x)))
        return detail.add_(x)


class PlainBlock(nn.Module):
    """Twice ``relu(conv(x))``, (B, F, H, W) → (B, F, H, W), which starts near the identity.

    Such a chain has twice the non-linearities of as many convolutions in residual blocks. Without
    skips it learns only from weights near the identity (Zagoruyko and Komodakis 2017), which here
    are all there is to the branches of a re-parameterised block (Ding et al. 2021).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        wake(self)
        for layer in (self.first, self.second):
            if layer.weight.is_meta:
                continue
            centre = nn.init.kaiming_normal_(torch.empty(width, width, 1, 1), nonlinearity="relu")
            with torch.no_grad():
                layer.weight.mul_(NEAR)
                layer.weight[:, :, 1:2, 1:2] += NEAR * centre
            add_identity(layer)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.second(F.relu_(self.first(x))))


NEAR = 0.1
"""How far, beside He's initialisation, a plain block starts from the identity."""


def add_identity(layer: nn.Conv2d) -> None:
    """Have a 3×3 convolution add what it is given to its answer; works in place."""
    with torch.no_grad():
        layer.weight[:, :, 1, 1] += torch.eye(layer.out_channels, device=layer.weight.device)


def residual_blocks(
    width: int, count: int, kind: type[ResidualBlock] | type[PlainBlock] = ResidualBlock
) -> nn.Sequential:
    """``count`` blocks in a row; none of them is the identity."""
    return nn.Sequential(*(kind(width) for _ in range(count)))


class Interpolation(nn.Module):
    """Bicubic or bilinear upscaling as one convolution, (B, C, H, W) → (B, C, sH, sW) in fp32.

    One 5×5 kernel for each of the s² phases, with the weights of
    :func:`reslift.pixels.resize.bicubic_upscale` or of ``F.interpolate(mode="bilinear")``, so a
    tile gives the very sums that the whole image gives. Borders repeat.
    """

    kernel: Tensor

    def __init__(
        self, scale: int, channels: int, kind: Literal["bicubic", "bilinear"] = "bicubic"
    ) -> None:
        super().__init__()
        self.scale = scale
        with torch.device("cpu"):
            impulse = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
            impulse[..., 4, 4] = 1.0
            if kind == "bicubic":
                response = bicubic_upscale(impulse, scale)[0, 0]
            else:
                response = F.interpolate(impulse, scale_factor=scale, mode="bilinear")[0, 0]
        phases = response.view(9, scale, 9, scale).permute(1, 3, 0, 2)[..., 2:7, 2:7]
        phases = phases.reshape(scale * scale, 5, 5).flip(1, 2).float()
        kernel = torch.zeros(channels, scale * scale, channels, 5, 5)
        for channel in range(channels):
            kernel[channel, :, channel] = phases
        self.register_buffer("kernel", kernel.flatten(0, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        # The meta device, which only counts, knows no autocast.
        exact = (
            contextlib.nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)
        )
        with exact:
            padded = F.pad(x.float(), (2, 2, 2, 2), mode="replicate")
            phases: Tensor = F.conv2d(padded, self.kernel)
            return F.pixel_shuffle(phases, self.scale)
