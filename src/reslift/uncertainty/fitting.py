"""Training a scale head on finished pictures: the model itself runs once a picture and stays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reslift.errors import InputError
from reslift.pixels.planes import Pixels
from reslift.uncertainty.head import ScaleHead, negative_log_likelihood

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Judged:
    """A picture and its enlargement: lr (H, W, 3), sr and hr (sH, sW, 3), all uint8."""

    name: str
    lr: Pixels
    sr: Pixels
    hr: Pixels


@dataclass(frozen=True)
class FitPart:
    """How a head is trained.

    steps: optimiser steps (Adam, rate falling along half a cosine). batch: patches a step. patch:
    their side in LR pixels. rate: at the start. seed: of the drawing and the first weights.
    """

    steps: int = 1000
    batch: int = 16
    patch: int = 40
    rate: float = 2e-3
    seed: int = 0


def fit_head(
    pictures: Sequence[Judged], scale: int, part: FitPart, progress: Progress | None = None
) -> ScaleHead:
    """A head trained to tell how far sr is from hr.

    Raises:
        InputError: no picture is as large as a patch.
    """
    large = [p for p in pictures if min(p.lr.shape[:2]) >= part.patch]
    if not large:
        raise InputError(f"no picture is as large as a patch of {part.patch * scale} pixels")
    generator = np.random.default_rng(part.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(part.seed)
        head = ScaleHead(scale)
    head.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(head.parameters(), part.rate)
    areas = np.array([p.lr.shape[0] * p.lr.shape[1] for p in large], float)
    for step in range(part.steps):
        share = (1 + math.cos(math.pi * step / part.steps)) / 2
        for group in optimiser.param_groups:
            group["lr"] = part.rate * share
        chosen = generator.choice(len(large), part.batch, p=areas / areas.sum())
        lr, sr, hr = _batch([large[n] for n in chosen], scale, part.patch, generator)
        loss = negative_log_likelihood(head(lr, sr), hr - sr)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimiser.step()
        if progress is not None:
            progress(1)
    return head.eval()


def _batch(
    pictures: Sequence[Judged], scale: int, patch: int, generator: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Patches at random places, flipped and turned at random."""
    columns: tuple[list[Tensor], ...] = ([], [], [])
    for picture in pictures:
        top = int(generator.integers(picture.lr.shape[0] - patch + 1))
        left = int(generator.integers(picture.lr.shape[1] - patch + 1))
        turns, mirrored = int(generator.integers(4)), bool(generator.integers(2))
        for column, pixels, factor in zip(
            columns, (picture.lr, picture.sr, picture.hr), (1, scale, scale), strict=True
        ):
            side, y, x = patch * factor, top * factor, left * factor
            cut = np.rot90(pixels[y : y + side, x : x + side], turns)
            cut = cut[:, ::-1] if mirrored else cut
            column.append(torch.from_numpy(np.ascontiguousarray(cut.transpose(2, 0, 1))))
    lr, sr, hr = (torch.stack(column).float() / 255 for column in columns)
    return lr, sr, hr
