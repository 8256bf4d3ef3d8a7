"""What every super-resolution autoencoder promises to the code around it."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reslift.needs import Needs


class Planes(NamedTuple):
    """What a convolution takes or gives, as far as turning the picture concerns it.

    Attributes:
        turning: the channels stand for positions, and change places when the picture turns.
        factor: of the PixelShuffle behind, which makes places of channels.
    """

    turning: bool
    factor: int = 1


class SRModel(nn.Module, ABC):
    """An autoencoder from LR to SR: ``sr = decode(encode(lr))``.

    ::

        lr (B, C, H, W) ──encode──▶ [features …, latent] ──decode──▶ sr (B, C, sH, sW)

    A model says what it needs, so that callers guess nothing:

    Attributes:
        scale: integer factor s between LR and SR; 1 restores on the same grid.
        channels: C, the number of image channels in and out.
        multiple_of: ``encode`` takes only sizes that are multiples of this, and a tile may start
            only on such positions.
        halo: LR pixels on each side of an output pixel that can influence it, a multiple of
            ``multiple_of``.
        is_global: a layer looks at the whole image, so tiles would change the answer.
        size: side in LR pixels of the square images that it takes, and it takes no others; None
            takes any size. Such a model is global.
        is_variational: its latent is a distribution, so that it has samples to give; see
            :class:`reslift.models.variational.Variational`.
        arguments: what the constructor was given; with the class's name this rebuilds the model.
        scales: the scales that its constructor takes.
        forms: values of its ``form`` argument, where it has one. Of a published system they are
            ``published``, as the article has it, and ``repaired`` with its defects repaired.
    """

    scales: ClassVar[range] = range(1, 9)
    forms: ClassVar[tuple[str, ...]] = ()
    is_global: bool = False
    is_variational: bool = False
    size: int | None = None
    scale: int
    channels: int
    multiple_of: int
    halo: int
    arguments: dict[str, Any]

    def declare(self, scale: int, channels: int, **arguments: Any) -> None:
        """Record the constructor's arguments; called first in it, after ``super().__init__()``.

        Raises:
            ValueError: an unknown form, a scale that the model does not have, a number below 0, or
                a scale, channel count or width of 0.
        """
        given = {"scale": scale, "channels": channels, **arguments}
        if scale not in self.scales:
            known = ", ".join(map(str, self.scales))
            raise ValueError(f"scale {scale} is not one of {known}")
        if self.forms and given.get("form") not in self.forms:
            raise ValueError(f"form {given.get('form')!r} is not one of {', '.join(self.forms)}")
        least = {"blocks": 0, "inner_blocks": 0}
        for name, value in given.items():
            if isinstance(value, int) and value < least.get(name, 1):
                raise ValueError(f"{name} starts at {least.get(name, 1)}, not {value}")
        self.scale, self.channels, self.arguments = scale, channels, given

    @abstractmethod
    def encode(self, lr: Tensor) -> list[Tensor]:
        """Features of lr (B, C, H, W), sides multiples of ``multiple_of``; the latent is last."""

    @abstractmethod
    def decode(self, features: list[Tensor]) -> Tensor:
        """The image (B, C, sH, sW), unclipped, that the features stand for."""

    def forward(self, lr: Tensor) -> Tensor:
        """Super-resolve images of any size.

        Args:
            lr: (B, C, H, W) float in [0, 1], H and W at least 1.

        Returns:
            (B, C, sH, sW) float, not clipped to [0, 1].

        Raises:
            ValueError: lr does not have this model's channels.
            InputError: the model takes one fixed size, and this is another.
        """
        if lr.ndim != 4 or lr.shape[1] != self.channels:
            raise ValueError(f"this model wants (B, {self.channels}, H, W), not {tuple(lr.shape)}")
        height, width = lr.shape[2:]
        self.check_size(height, width)
        sr = self.decode(self.encode(pad_to_multiple(lr, self.multiple_of)))
        return sr[..., : height * self.scale, : width * self.scale]

    def check_size(self, height: int, width: int) -> None:
        """Nothing, where the model takes images of this size.

        Raises:
            InputError: it takes one fixed size, and this is another.
        """
        Needs.of(self).check_size(height, width)

    def planes(self) -> dict[str, tuple[Planes, Planes]]:
        """What each convolution, by its name, gives and takes; {} where nobody has said it.

        All layers but these must treat all channels and positions alike (`reslift.symmetry`).
        """
        return {}

    def parameter_count(self) -> int:
        """Number of learned values."""
        return sum(p.numel() for p in self.parameters())

    def macs(self, height: int, width: int) -> int:
        """Multiply-adds of all convolutions and linear layers for one LR image of this size."""
        total = 0

        def count(layer: nn.Module, _: Any, output: Tensor) -> None:
            nonlocal total
            weight = layer.weight
            assert isinstance(weight, Tensor)
            if isinstance(layer, nn.Linear):
                total += output.numel() * weight.shape[1]
            elif isinstance(layer, nn.ConvTranspose2d):
                positions = output[0, 0].numel() / (layer.stride[0] * layer.stride[1])
                total += round(positions * weight.numel())
            else:
                total += output[0, 0].numel() * weight.numel()

        shadow = copy.deepcopy(self).to("meta").eval()
        for layer in shadow.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                layer.register_forward_hook(count)
        with torch.no_grad():
            shadow(torch.empty(1, self.channels, height, width, device="meta"))
        return total


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Repeat the right and bottom edges of (B, C, H, W) until both sides are multiples."""
    bottom, right = -x.shape[2] % multiple, -x.shape[3] % multiple
    return F.pad(x, (0, right, 0, bottom), mode="replicate") if bottom or right else x
