"""Leaving the set: pictures decoded from features that no picture has.

::

    features of A ─┐
                   ├─ linear or spherical, every feature ─ decode ─ strip from A's SR to B's SR
    features of B ─┘

    features of A ─ only the latent moved along a principal axis ─ decode ─ strip through A's SR

A decoder may take more than the latent: features of the skips, and LR itself, which carries most of
the picture where a model adds to bicubic. Interpolation moves all of them, so that both ends are
the reconstructions, bit for bit; ``latent only`` moves the latent and keeps the rest of A.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from reslift.latent.pool import pooled
from reslift.models import SRModel
from reslift.models.base import pad_to_multiple

Way = Literal["linear", "spherical", "latent only"]
WAYS: tuple[Way, ...] = ("linear", "spherical", "latent only")


def features_of(model: SRModel, lr: Tensor) -> list[Tensor]:
    """What the decoder takes: ``encode`` of lr (B, C, H, W) with its borders repeated to fit.

    Raises:
        InputError: the model takes one fixed size, and this is another.
    """
    model.check_size(*lr.shape[2:])
    return model.encode(pad_to_multiple(lr, model.multiple_of))


def decoded(model: SRModel, features: list[Tensor], lr: Tensor) -> Tensor:
    """SR (B, C, sH, sW) of features; lr gives the size."""
    height, width = (side * model.scale for side in lr.shape[2:])
    return model.decode(features)[..., :height, :width]


def interpolate(a: Sequence[Tensor], b: Sequence[Tensor], t: float, way: Way) -> list[Tensor]:
    """Features at t between those of A (t = 0) and of B (t = 1), which are given back exactly.

    Args:
        a, b: features of one picture each, of the same shapes; the latent is last.
        t: 0 to 1.
        way: ``linear``: (1 - t) a + t b. ``spherical``: along the arc between a and b, which keeps
            their length (Shoemake 1985; White 2016), for every learned feature as one vector, while
            a feature of 1 or 3 channels at the front, LR itself, goes linearly. ``latent only``:
            linear for the latent, and everything else stays A's.
    """
    if way == "latent only":
        return [*a[:-1], torch.lerp(a[-1], b[-1], t)]
    if way == "linear":
        return [torch.lerp(x, y, t) for x, y in zip(a, b, strict=True)]
    return [
        torch.lerp(x, y, t) if is_picture(x, place, len(a)) else slerp(x, y, t)
        for place, (x, y) in enumerate(zip(a, b, strict=True))
    ]


def is_picture(feature: Tensor, place: int, count: int) -> bool:
    """Whether a feature is LR itself, which models hand on in front."""
    return place == 0 and count > 1 and feature.ndim == 4 and feature.shape[1] in (1, 3)


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Along the arc from a to b, each taken as one vector; linear where they are parallel."""
    x, y = a.double().flatten(), b.double().flatten()
    cosine = (x @ y) / (x.norm() * y.norm()).clamp(min=1e-300)
    angle = math.acos(min(1.0, max(-1.0, cosine.item())))
    if math.sin(angle) < 1e-6 or t in (0, 1):
        return torch.lerp(a, b, t)
    mixed = (math.sin((1 - t) * angle) * x + math.sin(t * angle) * y) / math.sin(angle)
    return mixed.to(a.dtype).view_as(a)


def shifted(latent: Tensor, direction: Tensor, amount: float) -> Tensor:
    """A latent moved so that its pooled vector goes by ``amount · direction``.

    A vector latent (1, D) is moved itself. In a latent map (1, C, h, w) each channel is shifted and
    stretched to its new mean and deviation, as adaptive instance normalisation does (Huang and
    Belongie 2017); a deviation that would fall below 0 stays at 0, and a flat channel stays flat.

    Args:
        latent: of one picture.
        direction: (D,) or (2C,), in the space of :func:`reslift.latent.pool.pooled`.
        amount: 0 gives the latent back exactly.
    """
    step = (amount * direction).to(latent)
    if latent.ndim == 2:
        return latent + step
    mean, deviation = pooled(latent)[0].chunk(2)
    move, stretch = step.chunk(2)
    ratio = ((deviation + stretch).clamp(min=0) - deviation) / deviation.clamp(min=1e-12)
    ratio = torch.where(deviation > 1e-12, ratio, torch.zeros_like(ratio))
    around = latent - mean.view(1, -1, 1, 1)
    return latent + ratio.view(1, -1, 1, 1) * around + move.view(1, -1, 1, 1)


def without_latent(latent: Tensor, mean: Tensor) -> Tensor:
    """The latent replaced by what the set has on average: (B, D), or a flat map of (B, C, h, w)."""
    level = mean.to(latent)
    if latent.ndim == 2:
        return level.expand_as(latent).clone()
    return level[: latent.shape[1]].view(1, -1, 1, 1).expand_as(latent).clone()
