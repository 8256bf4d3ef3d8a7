"""Held-out pictures, measured during training: the averaged weights beside bicubic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from reslift.datasets.base import ImageSet
from reslift.datasets.pairs import round8
from reslift.datasets.stock import crop_to_multiple
from reslift.degradations import Degradation
from reslift.errors import InputError, ResliftError, one_line
from reslift.features import Features
from reslift.metrics import psnr_y
from reslift.metrics import round8 as as_8_bit
from reslift.models import SRModel
from reslift.recipe import WatchPart


@dataclass(frozen=True)
class Pair:
    """One picture, uint8 on the device.

    Attributes:
        lr, hr: (1, 3, H, W) and (1, 3, sH, sW).
        base: what bicubic makes of it, (1, 3, sH, sW), rounded.
    """

    name: str
    lr: Tensor
    hr: Tensor
    base: Tensor


@dataclass(frozen=True)
class Score:
    """Means over the held-out pictures.

    Attributes:
        psnr_y: dB, of the luma of 8-bit pictures, shaved by the scale; the mean leaves out those
            that bicubic makes exactly, as those of one colour.
        mse: mean squared error of all channels and pixels, as the model answers, unrounded.
        loss: what training minimises, on these pictures; None where it was not asked for.
        perceptual: distance in the recipe's features; None where it was not asked for.
    """

    psnr_y: float
    mse: float
    loss: float | None = None
    perceptual: float | None = None

    @property
    def not_finite(self) -> str:
        """The first number that has run away; empty where none has.

        An infinite PSNR has not: the pictures are equal.
        """
        for name, value in asdict(self).items():
            equal = (name, value) == ("psnr_y", math.inf)
            if not (value is None or equal or math.isfinite(value)):
                return name
        return ""


def diverged(what: str, step: int) -> ResliftError:
    """The end of a training whose loss or score has run away."""
    return ResliftError(
        f"the {what} is not finite at step {step}: the run keeps its last good state; "
        f"lower phases.rate"
    )


Criterion = Callable[[Tensor, Tensor], Tensor]
"""sr, hr (1, C, H, W) float in [0, 1] → a number."""


def read_pairs(
    images: ImageSet,
    degradation: Degradation,
    device: torch.device,
    crop: int,
    problems: list[str] | None = None,
) -> Iterator[tuple[Pair, Tensor]]:
    """Pictures with their LR, made from whole ones, then cropped; and bicubic before its rounding.

    Args:
        images: HR pictures.
        degradation: HR → LR and the bicubic baseline.
        device: where the tensors live.
        crop: side of the centre crop, HR pixels; 0 takes whole pictures.
        problems: is given a line for each picture that cannot be read; it is left out.
    """
    for number, name in enumerate(images.names):
        try:
            hr = crop_to_multiple(images.load(number)[None].to(device), degradation.scale, name)
        except ResliftError as error:
            if problems is not None:
                problems.append(one_line(error))
            continue
        lr, base = degradation(hr), degradation.baseline(hr)
        lr, hr, base = centre(lr, degradation.scale, crop, hr, base)
        yield Pair(name, lr, hr, round8(base)), base


class Validator:
    """Measures a model on pictures that stay the same.

    Args:
        images: the validation split, or a sample of the training split.
        degradation: the same kernel that training uses.
        device: where the model is.
        crop: side of the centre crop, HR pixels; 0 takes whole pictures.
        features: what the perceptual distance is measured in; None leaves it out.

    Attributes:
        pairs: the pictures.
        unreadable: a line for each picture that could not be read.
        baseline: score of bicubic, from LR or at scale 1 from the degradation's small picture;
            its PSNR is infinite where bicubic makes every picture exactly.

    Raises:
        InputError: no picture could be read, or one is too small for the features.
    """

    def __init__(
        self,
        images: ImageSet,
        degradation: Degradation,
        device: torch.device,
        crop: int,
        features: Features | None = None,
    ) -> None:
        self._features = features
        self._shave = degradation.scale if degradation.scale > 1 else 0
        self.pairs: list[Pair] = []
        self.unreadable: list[str] = []
        scores = []
        for pair, base in read_pairs(images, degradation, device, crop, self.unreadable):
            self.pairs.append(pair)
            scores.append(self._score(base, pair, None))
        if not self.pairs:
            raise InputError(f"no validation picture could be read: {self.unreadable[0]}")
        self._counts = [math.isfinite(score.psnr_y) for score in scores]
        self.baseline = mean(scores, self._counts)

    def check(self) -> None:
        """InputError where bicubic makes every picture exactly: then none tells who is better."""
        if math.isinf(self.baseline.psnr_y):
            raise InputError(
                "bicubic makes every held-out picture exactly (they may be of one colour), so that "
                "none can tell whether a model is better: raise data.hold_out, or name them in "
                "data.exclude"
            )

    def as_training(self, model: SRModel) -> dict[str, float]:
        """PSNR-Y of training pictures, by name in the log; none where bicubic makes all exactly."""
        base = self.baseline.psnr_y
        if math.isinf(base):
            return {}
        return {"train_psnr_y": self.score(model).psnr_y, "train_bicubic_psnr_y": base}

    @torch.no_grad()
    def score(self, model: SRModel, criterion: Criterion | None = None) -> Score:
        """A model in evaluation mode, in fp32."""
        scores = []
        for pair in self.pairs:
            lr = (pair.lr.float() / 255).contiguous(memory_format=torch.channels_last)
            scores.append(self._score(model(lr), pair, criterion))
        return mean(scores, self._counts)

    def bicubic_loss(self, criterion: Criterion) -> float:
        """What training minimises, of bicubic's rounded pictures."""
        pairs = self.pairs
        losses = [criterion(p.base.float() / 255, p.hr.float() / 255).item() for p in pairs]
        return sum(losses) / len(losses)

    def _score(self, sr: Tensor, pair: Pair, criterion: Criterion | None) -> Score:
        sr, hr = sr.float(), pair.hr.float() / 255
        return Score(
            psnr_y(sr, hr, self._shave).item(),
            (sr - hr).square().mean().item(),
            None if criterion is None else criterion(sr, hr).item(),
            None if self._features is None else self._distance(sr, hr, self._features),
        )

    def _distance(self, sr: Tensor, hr: Tensor, features: Features) -> float:
        (value,) = features.measure([as_8_bit(sr)], hr)
        if math.isnan(value):
            raise InputError(
                f"a validation picture of {hr.shape[3]}x{hr.shape[2]} is too small for "
                f"{features.label}, which needs {features.least}x{features.least}"
            )
        return value


def mean(scores: list[Score], counts: list[bool]) -> Score:
    """The mean of each number, of PSNR over those that count; None where a score lacks it."""

    def over(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else None

    count = len(scores)
    psnr = [s.psnr_y for s, counted in zip(scores, counts, strict=True) if counted]
    return Score(
        sum(psnr) / len(psnr) if psnr else math.inf,
        sum(s.mse for s in scores) / count,
        over([s.loss for s in scores]),
        over([s.perceptual for s in scores]),
    )


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
        value: of the best validation, larger is better; minus what is better when small.
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

    def sees(self, score: Score, waits: bool = True) -> bool:
        """Take in a validation; whether it is the best so far. ``waits`` counts it for patience."""
        value = self._value(score)
        self.waited += waits
        if value > self.mark + self.watch.min_delta:
            self.mark, self.waited = value, 0
        better = value > self.value
        self.value = max(self.value, value)
        return better

    def _value(self, score: Score) -> float:
        if self.watch.monitor == "psnr_y":
            return score.psnr_y
        if self.watch.monitor == "mse":
            return -score.mse
        assert score.perceptual is not None
        return -score.perceptual

    def state(self) -> dict[str, float]:
        """What :meth:`restore` takes."""
        return {"best": self.value, "mark": self.mark, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.value, self.waited = state["best"], state["waited"]
        self.mark = state.get("mark", self.value)
