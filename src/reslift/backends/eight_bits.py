"""Convolutions in 8-bit whole numbers, for engines that multiply those faster than floats.

::

    x ── ÷ step, round, clip ── uint8 ── conv, int8 weights ── × step ── fp32

Quantisation after training (Jacob et al. 2018; Krishnamoorthi 2018): one step a tensor of features,
one an output channel of weights. What features lie between is found on pictures that the program
draws, so that it takes no data and depends on the weights alone. The picture and the bicubic skip
stay in fp32, and so do sums of features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reslift.datasets.drawn import draw
from reslift.models import SRModel
from reslift.pixels.planes import Floats
from reslift.pixels.resize import imresize

PICTURES, SIDE, FINER = 4, 192, 2
PROBE = 48
"""LR pixels a side of what engines are tried on: noise is beyond what features lie between."""
FEWEST = 16
"""Input channels from which on a convolution is worth it; a picture has fewer."""


@dataclass(frozen=True)
class Steps:
    """The whole numbers that stand for features: value = step × number."""

    step: float
    signed: bool

    @property
    def zero(self) -> NDArray[Any]:
        """The number that stands for 0, in the type of the numbers."""
        return np.zeros((), np.int8 if self.signed else np.uint8)


def drawn_pictures(channels: int, size: int | None = None) -> Iterator[Tensor]:
    """LR pictures (1, C, H, W) in [0, 1], the same ones at every call; of side `size` if given."""
    side = size or SIDE
    for seed in range(PICTURES):
        hr = torch.from_numpy(draw(seed, side * FINER).copy()).permute(2, 0, 1)[None].float()
        lr = imresize(hr, side, side).round_().clamp_(0, 255) / 255
        yield lr[:, :1].expand(-1, channels, -1, -1) if channels != lr.shape[1] else lr


def probe_picture(channels: int, size: int | None = None) -> Floats:
    """(1, C, 48, 48), or the one size that a model takes, of the first drawn picture."""
    side = size or PROBE
    picture = next(drawn_pictures(channels, size))[..., :side, :side]
    return np.ascontiguousarray(picture.numpy())


def steps_of(model: SRModel) -> dict[str, Steps]:
    """For each convolution that is worth it, by its name in the model, the steps of its input."""
    layers = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d) and layer.groups == 1 and layer.in_channels >= FEWEST
    }
    seen = {name: [0.0, 0.0] for name in layers}

    def look(name: str) -> object:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            least, most = inputs[0].aminmax()
            seen[name] = [min(seen[name][0], float(least)), max(seen[name][1], float(most))]

        return hook

    hooks = [layer.register_forward_pre_hook(look(name)) for name, layer in layers.items()]  # type: ignore[arg-type]
    try:
        with torch.inference_mode():
            for picture in drawn_pictures(model.channels, model.size):
                model(picture)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: _steps(*bounds) for name, bounds in seen.items()}


def _steps(least: float, most: float) -> Steps:
    if least < 0:
        return Steps(max(most, -least, 1e-6) / 127, signed=True)
    return Steps(max(most, 1e-6) / 255, signed=False)


def rounded_weights(weight: Tensor) -> tuple[NDArray[np.int8], Floats]:
    """(O, I, k, k) as whole numbers of -127 to 127, and the step of each output channel (O,)."""
    values = weight.detach().float().cpu().numpy()
    step = np.maximum(np.abs(values).reshape(len(values), -1).max(1), 1e-12) / np.float32(127)
    numbers = np.rint(values / step.reshape(-1, 1, 1, 1))
    return numbers.astype(np.int8), step.astype(np.float32)
