"""A model on the held-out pictures of its own run, bicubic beside it.

The pictures are those that training validates on: read by its data set, damaged by its degradation,
cropped as it crops them. Pictures of one size go through the model together.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

import torch
from torch import Tensor

from reslift.datasets import pairs as judged
from reslift.datasets.pairs import round8
from reslift.evaluate.gallery import Gallery, Subject
from reslift.evaluate.measure import MEGA, OUTPUT_720P, environment, protocol
from reslift.evaluate.results import (
    BASELINE,
    Contender,
    Evaluation,
    Failure,
    ImageRow,
    SetInfo,
    Summary,
)
from reslift.features.st_lpips import STLPIPS
from reslift.metrics import METRICS
from reslift.models import SRModel
from reslift.validation import Pair

MOST_PICTURES = 1000
MOST_PIXELS = 16e6
BATCH_PIXELS = 2**18
SAMPLES, WORST = 6, 6
PAGE_BYTES = 2.2e6

READ = "Pictures are read as training reads them: gray ones have three equal channels, so luma too."

Load = Callable[[int], Pair | None]
"""Number → picture; None where it cannot be read."""


@dataclass(frozen=True)
class HeldOut:
    """A split to be measured.

    Attributes:
        name: ``validation`` or ``test``.
        count: how many pictures it has.
        load: gives one of them.
        lr: how LR is made, in words.
    """

    name: str
    count: int
    load: Load
    lr: str


@dataclass(frozen=True)
class Findings:
    """What was measured.

    Attributes:
        result: a row a picture, as ``reslift evaluate`` has them.
        summaries: the means of that, bicubic first in each split.
        shown: the split that the pictures are from, the last.
        samples: pictures over the whole range of gains, the smallest gain first; none where all
            are among the worst.
        worst: those with the lowest PSNR-Y of the model, the lowest first.
    """

    result: Evaluation
    summaries: list[Summary]
    shown: str
    samples: list[Subject] = field(default_factory=list)
    worst: list[Subject] = field(default_factory=list)


def measure(
    model: SRModel,
    name: str,
    splits: Sequence[HeldOut],
    *,
    bounded: bool = True,
    features: STLPIPS | None = None,
) -> Findings:
    """Judge a model on splits, and pick the pictures to show from the last of them.

    Args:
        model: in evaluation mode, where its pictures are.
        name: what to call it.
        splits: at least one.
        bounded: take 1,000 pictures and 16 megapixels of a split at most, drawn with a fixed seed.
        features: on the CPU; measure the perceptual distance too.
    """
    scale = model.scale
    shave = scale if scale > 1 else 0
    device = str(next(model.parameters()).device)
    sides = (max(1, round(side / scale)) for side in OUTPUT_720P)
    macs = None if model.size else model.macs(*sides)
    contenders = [Contender(BASELINE), Contender(name, model.parameter_count(), macs, device)]
    result = Evaluation(scale, shave, f"{protocol(shave, features is not None)} {READ}", contenders)
    result.environment = {**environment(), "device": device}
    samples: list[Subject] = []
    worst: list[Subject] = []
    for split in splits:
        pairs = take(split, bounded)
        lr = split.lr
        if len(pairs) < split.count:
            lr += f"; {len(pairs):,} of {split.count:,} pictures, drawn at random"
        result.sets.append(SetInfo(split.name, lr, len(pairs)))
        seen: list[tuple[ImageRow, Pair]] = []
        for group in _groups(pairs):
            if min(group[0].hr.shape[2:]) <= 2 * shave:
                why = f"nothing is left when {shave} pixels are shaved from each side"
                result.failures += [Failure(split.name, short(one.name), why) for one in group]
                continue
            rows = _judge(split.name, name, group, model, shave, features)
            seen += zip(rows, group, strict=True)
        result.rows += [row for row, _ in seen]
        if split is splits[-1] and seen:
            samples, worst = _pictures(model, name, seen)
    return Findings(result, result.summaries(), splits[-1].name, samples, worst)


def take(split: HeldOut, bounded: bool) -> list[Pair]:
    """The pictures of a split in their order, or as many of them as the bounds allow."""
    numbers = list(range(split.count))
    random.Random(0).shuffle(numbers)
    taken: dict[int, Pair] = {}
    pixels = 0
    for number in numbers:
        pair = split.load(number)
        if pair is None:
            continue
        taken[number] = pair
        pixels += pair.hr[0, 0].numel()
        if bounded and (len(taken) >= MOST_PICTURES or pixels >= MOST_PIXELS):
            break
    return [taken[number] for number in sorted(taken)]


def _groups(pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
    """Neighbours of one size, as many as a batch holds."""
    group: list[Pair] = []
    for pair in pairs:
        full = len(group) * pair.hr[0, 0].numel() >= BATCH_PIXELS
        if group and (full or pair.lr.shape != group[0].lr.shape):
            yield group
            group = []
        group.append(pair)
    if group:
        yield group


def _judge(
    dataset: str,
    name: str,
    pairs: Sequence[Pair],
    model: SRModel,
    shave: int,
    features: STLPIPS | None,
) -> list[ImageRow]:
    """A row a picture; all have one size."""
    height, width = pairs[0].hr.shape[2:]
    begun = time.perf_counter()
    sr = answer(model, [pair.lr for pair in pairs])
    seconds = time.perf_counter() - begun
    hr = torch.cat([pair.hr for pair in pairs]).cpu().double() / 255
    base = torch.cat([pair.base for pair in pairs]).cpu()
    values = {
        contender: {
            key: metric.function(picture.double() / 255, hr, shave).tolist()
            for key, metric in METRICS.items()
        }
        for contender, picture in ((BASELINE, base), (name, sr))
    }
    if features is not None:
        each = [
            features.measure([base[n : n + 1] / 255, sr[n : n + 1] / 255], hr[n : n + 1].float())
            for n in range(len(pairs))
        ]
        for contender, distances in zip(values, zip(*each, strict=True), strict=True):
            values[contender]["st_lpips"] = list(distances)
    times = {BASELINE: float("nan"), name: seconds * 1e3 / (len(pairs) * height * width / MEGA)}
    return [
        ImageRow(
            dataset,
            short(pair.name),
            width,
            height,
            {who: {key: v[number] for key, v in one.items()} for who, one in values.items()},
            times,
        )
        for number, pair in enumerate(pairs)
    ]


@torch.no_grad()
def answer(model: SRModel, lrs: Sequence[Tensor]) -> Tensor:
    """SR (B, 3, sH, sW) uint8 on the CPU of pictures (1, 3, H, W) uint8 of one size."""
    lr = torch.cat(list(lrs)).float() / 255
    return round8(model(lr.contiguous(memory_format=torch.channels_last)).float()).cpu()


def short(name: str) -> str:
    """The end of a path, as far as its folder: what a report calls a picture."""
    return "/".join(PurePath(name).parts[-2:])


def _pictures(
    model: SRModel, name: str, seen: Sequence[tuple[ImageRow, Pair]]
) -> tuple[list[Subject], list[Subject]]:
    """Samples over the range of gains, and the worst."""
    by_gain = sorted(seen, key=lambda one: one[0].gain(name))
    by_error = sorted(seen, key=lambda one: one[0].scores[name]["psnr_y"])
    few = len(seen) <= SAMPLES
    places = [(2 * n + 1) * len(seen) // (2 * SAMPLES) for n in range(SAMPLES)]
    chosen = [] if few else [by_gain[place] for place in places]
    worst = by_gain if few else by_error[:WORST]
    gallery = Gallery(len(chosen) + len(worst), 1, model.scale, PAGE_BYTES)

    def subject(row: ImageRow, pair: Pair) -> Subject:
        pictures = {BASELINE: pair.base.cpu(), name: answer(model, [pair.lr])}
        whole = judged.Pair(pair.lr.cpu(), pair.hr.cpu(), ())
        return gallery.subject(row, whole, pictures, name)

    return [subject(*one) for one in chosen], [subject(*one) for one in worst]
