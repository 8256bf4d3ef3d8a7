"""Held-out pictures, measured during training: PSNR-Y of the averaged weights beside bicubic."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reslift.datasets.base import ImageSet
from reslift.datasets.patches import crop_to_multiple
from reslift.degradations import Degradation
from reslift.errors import InputError, ResliftError, one_line
from reslift.metrics import psnr_y
from reslift.models import SRModel
from reslift.pixels.resize import bicubic_upscale


@dataclass(frozen=True)
class Pair:
    """One picture: lr (1, 3, H, W) and hr (1, 3, sH, sW), uint8 on the device."""

    name: str
    lr: Tensor
    hr: Tensor


class Validator:
    """Measures a model on held-out pictures.

    Args:
        images: the validation split.
        degradation: the same kernel that training uses.
        device: where the model is.
        crop: side of the centre crop, HR pixels; 0 takes whole pictures.

    Attributes:
        baseline: mean PSNR-Y of bicubic upscaling, dB.

    Raises:
        InputError: no validation picture could be read.
    """

    def __init__(
        self, images: ImageSet, degradation: Degradation, device: torch.device, crop: int
    ) -> None:
        self.scale = degradation.scale
        self.pairs: list[Pair] = []
        problem = ""
        for number, name in enumerate(images.names):
            try:
                hr = crop_to_multiple(images.load(number)[None].to(device), self.scale)
            except ResliftError as error:
                problem = one_line(error)
                continue
            lr, hr = centre(degradation(hr), hr, self.scale, crop)
            self.pairs.append(Pair(name, lr, hr))
        if not self.pairs:
            raise InputError(f"no validation picture could be read: {problem}")
        shave = self.scale if self.scale > 1 else 0
        self._shave = shave
        self.baseline = sum(map(self._bicubic, self.pairs)) / len(self.pairs)

    def _bicubic(self, pair: Pair) -> float:
        return self._psnr(bicubic_upscale(pair.lr.double() / 255, self.scale), pair)

    def _psnr(self, sr: Tensor, pair: Pair) -> float:
        return psnr_y(sr.float(), pair.hr.float() / 255, self._shave).item()

    @torch.no_grad()
    def score(self, model: SRModel) -> float:
        """Mean PSNR-Y of a model in evaluation mode, fp32, dB."""
        scores = []
        for pair in self.pairs:
            lr = (pair.lr.float() / 255).contiguous(memory_format=torch.channels_last)
            scores.append(self._psnr(model(lr), pair))
        return sum(scores) / len(scores)


def centre(lr: Tensor, hr: Tensor, scale: int, crop: int) -> tuple[Tensor, Tensor]:
    """The middle of a pair, ``crop`` HR pixels a side or less; 0 gives the whole pair."""
    if crop:
        side = max(1, crop // scale)
        height, width = min(side, lr.shape[2]), min(side, lr.shape[3])
        top, left = (lr.shape[2] - height) // 2, (lr.shape[3] - width) // 2
        lr = lr[..., top : top + height, left : left + width]
        hr = hr[..., top * scale : (top + height) * scale, left * scale : (left + width) * scale]
    return lr, hr
