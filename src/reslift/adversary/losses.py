"""Adversarial losses of logits: what the discriminator minimises, and what the model does.

``relativistic``: HR shall look more real than SR does on average, and the other way round
(Jolicoeur-Martineau, "The relativistic discriminator", ICLR 2019), with means over the batch:

    discriminator  ½ [ζ(−(r − f̄)) + ζ(f − r̄)]      model  ½ [ζ(r − f̄) + ζ(−(f − r̄))]

``hinge``: logits within ±1 count, those beyond are left alone (Lim and Ye, "Geometric GAN", 2017;
Miyato et al., ICLR 2018):

    discriminator  max(0, 1 − r) + max(0, 1 + f)     model  −f

r and f are the logits of HR and SR, ζ is softplus. Under data-parallel training r̄ and f̄ are means
over the batch of all processes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor


class AdversarialLoss(ABC):
    """A pair of losses; ``real`` and ``fake`` are logits of HR and SR, (B, 1, h, w) each."""

    @staticmethod
    @abstractmethod
    def defence(real: Tensor, fake: Tensor) -> Tensor:
        """What the discriminator minimises."""

    @staticmethod
    @abstractmethod
    def attack(real: Tensor, fake: Tensor) -> Tensor:
        """What the model minimises; ``real`` carries no gradient."""


class Relativistic(AdversarialLoss):
    """The relativistic average loss."""

    @staticmethod
    def defence(real: Tensor, fake: Tensor) -> Tensor:
        above, below = real - mean_of_all(fake), fake - mean_of_all(real)
        return (F.softplus(-above).mean() + F.softplus(below).mean()) / 2

    @staticmethod
    def attack(real: Tensor, fake: Tensor) -> Tensor:
        return Relativistic.defence(fake, real)


class Hinge(AdversarialLoss):
    """The hinge loss."""

    @staticmethod
    def defence(real: Tensor, fake: Tensor) -> Tensor:
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()

    @staticmethod
    def attack(real: Tensor, fake: Tensor) -> Tensor:
        return -fake.mean()


class _MeanOfProcesses(torch.autograd.Function):
    """The mean of a number over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return average(value.clone())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return average(gradient.clone())


def mean_of_all(x: Tensor) -> Tensor:
    """The mean of a tensor, over the processes of a data-parallel training too."""
    mean = x.mean()
    if not together():
        return mean
    shared: Tensor = _MeanOfProcesses.apply(mean)  # type: ignore[no-untyped-call]
    return shared


def average(x: Tensor) -> Tensor:
    """``x``, made the mean of what the processes hold, in place."""
    dist.all_reduce(x)
    return x.div_(dist.get_world_size())


def together() -> bool:
    """Whether this process is one of several."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


ADVERSARIAL_LOSSES: dict[str, type[AdversarialLoss]] = {
    "relativistic": Relativistic,
    "hinge": Hinge,
}
