"""Held-out pictures, measured during training: the averaged weights beside bicubic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reslift.datasets.base import ImageSet
from reslift.datasets.patches import crop_to_multiple
from reslift.degradations import Degradation
from reslift.errors import InputError, ResliftError, one_line
from reslift.metrics import psnr_y
from reslift.models import SRModel
from reslift.recipe import WatchPart


@dataclass(frozen=True)
class Pair:
    """One picture: lr (1, 3, H, W) and hr (1, 3, sH, sW), uint8 on the device."""

    name: str
    lr: Tensor
    hr: Tensor


@dataclass(frozen=True)
class Score:
    """Means over the held-out pictures.

    Attributes:
        psnr_y: dB, of the luma of 8-bit pictures, shaved by the scale.
        mse: mean squared error of all channels and pixels, as the model answers, unrounded.
    """

    psnr_y: float
    mse: float


class Validator:
    """Measures a model on held-out pictures.

    Args:
        images: the validation split.
        degradation: the same kernel that training uses.
        device: where the model is.
        crop: side of the centre crop, HR pixels; 0 takes whole pictures.

    Attributes:
        baseline: score of bicubic, from LR or at scale 1 from the degradation's small picture.

    Raises:
        InputError: no validation picture could be read.
    """

    def __init__(
        self, images: ImageSet, degradation: Degradation, device: torch.device, crop: int
    ) -> None:
        self.scale = degradation.scale
        self.pairs: list[Pair] = []
        self._shave = self.scale if self.scale > 1 else 0
        problem, bases = "", []
        for number, name in enumerate(images.names):
            try:
                hr = crop_to_multiple(images.load(number)[None].to(device), self.scale)
            except ResliftError as error:
                problem = one_line(error)
                continue
            lr, base = degradation(hr), degradation.baseline(hr)
            lr, hr, base = centre(lr, self.scale, crop, hr, base)
            self.pairs.append(Pair(name, lr, hr))
            bases.append(self._score(base, self.pairs[-1]))
        if not self.pairs:
            raise InputError(f"no validation picture could be read: {problem}")
        self.baseline = mean(bases)

    def _score(self, sr: Tensor, pair: Pair) -> Score:
        sr, hr = sr.float(), pair.hr.float() / 255
        return Score(psnr_y(sr, hr, self._shave).item(), (sr - hr).square().mean().item())

    @torch.no_grad()
    def score(self, model: SRModel) -> Score:
        """A model in evaluation mode, in fp32."""
        scores = []
        for pair in self.pairs:
            lr = (pair.lr.float() / 255).contiguous(memory_format=torch.channels_last)
            scores.append(self._score(model(lr), pair))
        return mean(scores)


def mean(scores: list[Score]) -> Score:
    """The mean of each number."""
    count = len(scores)
    return Score(sum(s.psnr_y for s in scores) / count, sum(s.mse for s in scores) / count)


def centre(lr: Tensor, scale: int, crop: int, *hrs: Tensor) -> list[Tensor]:
    """The middle of LR and HR pictures, ``crop`` HR pixels a side or less; 0 gives all of them."""
    side = max(1, crop // scale) if crop else max(lr.shape)
    height, width = min(side, lr.shape[2]), min(side, lr.shape[3])
    top, left = (lr.shape[2] - height) // 2, (lr.shape[3] - width) // 2
    return [
        x[..., top * s : (top + height) * s, left * s : (left + width) * s]
        for x, s in ((lr, 1), *((hr, scale) for hr in hrs))
    ]


class Best:
    """The best score so far, and when to stop waiting for a better one.

    Args:
        watch: which number is watched, and by how much and how soon it has to improve.

    Attributes:
        value: of the best validation, larger is better; ``-mse`` where the MSE is watched.
        mark: what a validation has to surpass by ``min_delta`` to be worth waiting on.
        waited: validations since the mark was set.
    """

    def __init__(self, watch: WatchPart) -> None:
        self.watch = watch
        self.value, self.mark, self.waited = -math.inf, -math.inf, 0

    @property
    def over(self) -> bool:
        """Patience is used up."""
        return 0 < self.watch.patience <= self.waited

    def sees(self, score: Score) -> bool:
        """Take in a validation; whether it is the best so far."""
        value = score.psnr_y if self.watch.monitor == "psnr_y" else -score.mse
        self.waited += 1
        if value > self.mark + self.watch.min_delta:
            self.mark, self.waited = value, 0
        better = value > self.value
        self.value = max(self.value, value)
        return better

    def state(self) -> dict[str, float]:
        """What :meth:`restore` takes."""
        return {"best": self.value, "mark": self.mark, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.value, self.waited = state["best"], state["waited"]
        self.mark = state.get("mark", self.value)

    def objection(self, score: Score) -> str:
        """Why stopping early cannot work with this ``min_delta``; empty where it can."""
        watch = self.watch
        if watch.monitor != "mse" or not 0 < score.mse <= watch.min_delta:
            return ""
        return (
            f"watch.min_delta {watch.min_delta:g} is not below the validation MSE {score.mse:.5f}: "
            f"no later progress can count, and training stops {watch.patience or 'no'} validations "
            f"after the last that did; set it to a hundredth of the MSE, or 0"
        )
