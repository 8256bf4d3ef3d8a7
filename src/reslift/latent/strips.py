"""Strips of decoded pictures: interpolations between two, traversals through one, for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from reslift.errors import UsageError, one_line
from reslift.latent.encoding import Encoded, item_of, to_bytes
from reslift.latent.project import Axes
from reslift.latent.source import Source
from reslift.latent.walk import WAYS, decoded, features_of, interpolate, shifted, without_latent
from reslift.metrics import luma_error, psnr_y, round8

Bytes = npt.NDArray[np.uint8]
FRAMES, REACH, AXES = 9, 3.0, 4
SIDE = 192
TRIED = 32


@dataclass(frozen=True)
class Strip:
    """Frames (H, W, 3) uint8 in a row, with a caption each.

    Attributes:
        changes: mean |difference| of luma to the frame ``start``, levels of 255.
    """

    title: str
    captions: tuple[str, ...]
    frames: tuple[Bytes, ...]
    changes: tuple[float, ...]
    start: int


@dataclass(frozen=True)
class Share:
    """What the latent carries: mean PSNR-Y over pictures with it, and with the set's mean latent
    in its place."""

    pictures: int
    psnr: float
    without: float


def choose_pair(encoded: Encoded, axes: Axes, between: Sequence[str] = ()) -> tuple[int, int]:
    """Two pictures by name or number; else those at a tenth and nine tenths of the first axis.

    Raises:
        UsageError: not two, or no such picture.
    """
    if between:
        if len(between) != 2:
            raise UsageError(f"--between wants two pictures, A,B, not {len(between)}")
        return find_picture(encoded, between[0]), find_picture(encoded, between[1])
    order = axes.scores(torch.stack(encoded.vectors))[:, 0].argsort(stable=True).tolist()
    last = len(order) - 1
    return order[round(last * 0.1)], order[round(last * 0.9)]


def find_picture(encoded: Encoded, wanted: str) -> int:
    """A picture by its number in the CSV, its name, or the end of its name.

    Raises:
        UsageError: no such picture, or several.
    """
    text = wanted.strip()
    names = encoded.names
    if text in names:
        return names.index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    ends = [n for n, name in enumerate(names) if name.endswith(text) or _stem(name) == text]
    if text and len(ends) == 1:
        return ends[0]
    found = f"{len(ends)} pictures fit" if text and ends else "no picture of that name or number"
    raise UsageError(f"{one_line(wanted)}: {found}; latent.csv of an earlier look lists them")


def _stem(name: str) -> str:
    return name.rsplit("/", 1)[-1].rsplit(".", 1)[0]


@torch.inference_mode()
def interpolations(
    source: Source, encoded: Encoded, pair: tuple[int, int], crop: int
) -> list[Strip]:
    """A strip for each of ``WAYS`` from the first picture to the second, on what they share."""
    lrs = [_lr(source, encoded, number, crop) for number in pair]
    height, width = (min(lr.shape[axis] for lr in lrs) for axis in (2, 3))
    a, b = (_middle(lr, height, width) for lr in lrs)
    first, second = features_of(source.model, a), features_of(source.model, b)
    places = [number / (FRAMES - 1) for number in range(FRAMES)]
    strips = []
    for way in WAYS:
        frames = [
            decoded(source.model, interpolate(first, second, t, way), a).double() for t in places
        ]
        strips.append(_strip(way, [f"{t:g}" for t in places], frames, 0))
    return strips


@torch.inference_mode()
def traversals(source: Source, encoded: Encoded, axes: Axes, start: int, crop: int) -> list[Strip]:
    """A strip for each of the widest principal axes, through one picture in the middle."""
    lr = _lr(source, encoded, start, crop)
    features = features_of(source.model, lr)
    places = torch.linspace(-REACH, REACH, FRAMES).tolist()
    strips = []
    for number in range(min(AXES, len(axes.deviations))):
        width = axes.deviations[number].item()
        if not width > 0:
            continue
        direction = axes.directions[number].to(source.device)
        frames = [
            decoded(
                source.model, [*features[:-1], shifted(features[-1], direction, t * width)], lr
            ).double()
            for t in places
        ]
        title = f"axis {number + 1}, {axes.shares[number].item():.1%} of the variance"
        captions = [f"{t:+.3g} σ".replace("-", "−") if t else "0" for t in places]
        strips.append(_strip(title, captions, frames, FRAMES // 2))
    return strips


def middle_picture(encoded: Encoded, axes: Axes) -> int:
    """The picture whose vector is nearest to the mean of the set."""
    away = torch.stack(encoded.vectors).double() - axes.mean
    return int(away.square().sum(1).argmin())


@torch.inference_mode()
def latent_share(source: Source, encoded: Encoded, axes: Axes, crop: int) -> Share:
    """How much worse the model is when the latent says the same of every picture."""
    count = min(TRIED, len(encoded.numbers))
    chosen = [n * len(encoded.numbers) // count for n in range(count)]
    scores = []
    model, mean = source.model, axes.mean.to(source.device)
    for number in chosen:
        item = item_of(source, encoded.numbers[number], crop)
        lr, hr = item.lr.float() / 255, item.hr.double() / 255
        shave = model.scale if model.scale > 1 and min(hr.shape[2:]) > 2 * model.scale else 0
        features = features_of(model, lr)
        emptied = [*features[:-1], without_latent(features[-1], mean)]
        answers = (decoded(model, each, lr).double() for each in (features, emptied))
        scores.append([psnr_y(sr.nan_to_num(0), hr, shave).item() for sr in answers])
    means = torch.tensor(scores, dtype=torch.float64).clamp(max=100).mean(0).tolist()
    return Share(count, means[0], means[1])


def _lr(source: Source, encoded: Encoded, number: int, crop: int) -> Tensor:
    """LR of a picture, (1, 3, H, W) in [0, 1]; of a large one the middle."""
    item = item_of(source, encoded.numbers[number], crop)
    lr = item.lr.float() / 255
    if source.model.size is not None:
        return lr
    side = max(SIDE // source.model.scale, 1)
    return _middle(lr, min(side, lr.shape[2]), min(side, lr.shape[3]))


def _middle(x: Tensor, height: int, width: int) -> Tensor:
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return x[..., top : top + height, left : left + width].contiguous()


def _strip(title: str, captions: list[str], frames: list[Tensor], start: int) -> Strip:
    safe = [frame.nan_to_num(0) for frame in frames]
    still = round8(safe[start])
    changes = tuple(luma_error(frame, still).mean().item() for frame in safe)
    pictures = tuple(to_bytes(f)[0].permute(1, 2, 0).cpu().numpy().copy() for f in safe)
    return Strip(title, tuple(captions), pictures, changes, start)
