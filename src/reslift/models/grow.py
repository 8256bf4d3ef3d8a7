"""A larger model that starts with the answers of a smaller one (Net2Net, Chen et al. 2016).

Each weight of the small model becomes the leading corner of the large model's. New channels read
the old ones through fresh weights, and nothing reads them yet: what leads from a new channel into
an old one is 0, and so is the last layer of what is new altogether (a block, the branch). The
answers stay the same, and every new weight has a gradient after the first step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reslift.models.base import SRModel
from reslift.models.blocks import PlainBlock, ResidualBlock, add_identity, silent

TOLERANCE = 1e-4


def grow(source: SRModel, target: SRModel) -> None:
    """Give ``target`` the weights of ``source``, widened and deepened; works in place.

    Args:
        source: any width and depth up to those of ``target``.
        target: freshly made, of the same kind, scale and channels.

    Raises:
        ValueError: the two differ in more than width and depth, the target is smaller somewhere, or
            this kind of model does not keep its answers when it grows (a normalisation sees all
            channels).
    """
    if type(source) is not type(target) or source.scale != target.scale:
        raise ValueError("growing keeps the kind of model and the scale")
    old, new = source.state_dict(), target.state_dict()
    for name, value in old.items():
        if name not in new or not _fits(value, new[name]):
            raise ValueError(f"{name} has no room in the larger model")
    _silence_what_is_new(target, old)
    with torch.no_grad():
        for name, value in old.items():
            _put(value, new[name])
    _check(source, target)


def _fits(value: Tensor, room: Tensor) -> bool:
    return value.ndim == room.ndim and all(
        a <= b for a, b in zip(value.shape, room.shape, strict=True)
    )


def _silence_what_is_new(target: SRModel, old: dict[str, Tensor]) -> None:
    for name, module in target.named_modules():
        if isinstance(module, ResidualBlock) and f"{name}.project.weight" not in old:
            silent(module.project)
        if isinstance(module, PlainBlock) and f"{name}.first.weight" not in old:
            for layer in (module.first, module.second):
                add_identity(silent(layer))
    rise = getattr(target, "rise", None)
    if rise is not None and "rise.0.weight" not in old:
        silent(rise[0])


def _put(value: Tensor, room: Tensor) -> None:
    if value.ndim > 1:
        room[: value.shape[0], value.shape[1] :] = 0
    room[tuple(slice(size) for size in value.shape)] = value


def _check(source: SRModel, target: SRModel) -> None:
    side = 2 * max(source.multiple_of, target.multiple_of, 8)
    lr = torch.rand((1, source.channels, side, side), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        worst = (source(lr) - target(lr)).abs().max().item()
    if not worst < TOLERANCE:
        raise ValueError(
            f"this kind of model does not keep its answers when it grows (off by {worst:.2g})"
        )
