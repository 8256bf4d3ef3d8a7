"""Distances between images in the features of a frozen network.

Pixels that differ by a shifted texture are far apart in squared error and alike to the eye. Zhang
et al. ("The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018) compare
the maps of a trained network instead:

    d(a, b) = Σ_l mean_hw Σ_c w_lc (â_lchw − b̂_lchw)²,   â = a / |a|, |·| over the channels c

with weights w ≥ 0 fitted to human judgement, or all 1 where there are none.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from reslift.errors import InputError

TINY = 1e-20


class Features(nn.Module, ABC):
    """A frozen network whose maps are compared; images are (B, 1 or 3, H, W) in [0, 1].

    Attributes:
        label: what a report calls the distance.
        least: smallest side that it takes, pixels.
    """

    label: str
    least: int = 1

    @abstractmethod
    def distance(self, sr: Tensor, hr: Tensor) -> Tensor:
        """(B,) float32, 0 for equal images and larger the less alike; ``hr`` has no gradient."""

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """The distance, with sizes checked.

        Raises:
            InputError: an image is smaller than ``least``.
        """
        if min(sr.shape[2:]) < self.least:
            raise InputError(
                f"{self.label} needs pictures of at least {self.least}x{self.least} pixels, "
                f"not {sr.shape[3]}x{sr.shape[2]}"
            )
        return self.distance(sr.float(), hr.float())

    @torch.no_grad()
    def measure(self, srs: Sequence[Tensor], hr: Tensor) -> list[float]:
        """Distances of several (1, C, H, W) from one, as numbers; NaN under the smallest size."""
        if min(hr.shape[2:]) < self.least:
            return [math.nan] * len(srs)
        return self._measure(srs, hr)

    def _measure(self, srs: Sequence[Tensor], hr: Tensor) -> list[float]:
        return [float(self.distance(sr.float(), hr.float())) for sr in srs]

    def frozen(self) -> Self:
        """Itself, in evaluation mode and without gradients of its weights."""
        self.eval().requires_grad_(False)
        return self


def unit(maps: Tensor) -> Tensor:
    """(B, C, H, W) with each position's channels brought to length 1; all-zero ones stay 0."""
    return maps / (maps.square().sum(1, keepdim=True) + TINY).sqrt()


def three_channels(image: Tensor) -> Tensor:
    """RGB as it is, gray three times."""
    return image.expand(-1, 3, -1, -1) if image.shape[1] == 1 else image


def unit_distance(ours: list[Tensor], theirs: list[Tensor], weights: list[Tensor]) -> Tensor:
    """(B,): the sum over layers of the module's formula; weights are (1, C, 1, 1) each."""
    total = torch.zeros(())
    for a, b, weight in zip(ours, theirs, weights, strict=True):
        gap = (unit(a) - unit(b)).square()
        layer = (gap * weight).sum(1).mean((1, 2))
        total = total.to(layer.device) + layer
    return total
