"""Warnings about a training that would go wrong quietly. Each has a code that does not change.

    min-delta         early stopping cannot see the progress that is still possible
    shared-person     a person is on both sides of a split
    shared-picture    so is a picture, file for file
    near-picture      so is a picture that was resized, recompressed, flipped or cropped
    narrow-code       the code holds fewer numbers than LR does
    bounded-output    whatever the code says, the output stays within a bound: an activation clips
    constant-output   SR is the same everywhere, or for every picture

They look at what the model does and at what the pictures are; at names only where a folder lies as
Labeled Faces in the Wild. An accuracy, which a regression does not have, is refused by the recipe.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from reslift.datasets.base import ImageSet, Splits
from reslift.datasets.persons import shared_labels
from reslift.degradations import Degradation
from reslift.errors import InputError, one_line
from reslift.likeness.across import copies_across
from reslift.models import SRModel
from reslift.models.base import pad_to_multiple
from reslift.recipe import WatchPart
from reslift.validation import Pair, Score

LARGE_STEP = 1.0
"""dB: trainings beat bicubic by a few of them in all."""
PUSH = 1e4
SLACK = 0.02
FLAT = 0.05
MOST_PICTURES = 16
LEVEL = 1 / 255


@dataclass(frozen=True)
class Advice:
    """One warning.

    Attributes:
        code: a stable short name.
        text: what is the matter, with numbers.
        remedy: what to do.
    """

    code: str
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"[{self.code}] {self.text}: {self.remedy}"

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


def before(
    watch: WatchPart,
    splits: Splits,
    model: SRModel,
    degradation: Degradation,
    pairs: Sequence[Pair],
    bicubic: Score,
) -> list[Advice]:
    """What can be said before the first step.

    Args:
        watch: how the training is to be stopped.
        splits: its pictures.
        model: untrained or not, on the device of the pairs.
        degradation: how LR is made.
        pairs: validation pictures.
        bicubic: its score on them.
    """
    found = [
        min_delta(watch, bicubic, "of bicubic"),
        shared_persons(splits),
        shared_pictures(splits),
        near_pictures(splits),
        narrow_code(model, pairs[0], degradation),
        bounded_output(model, pairs),
    ]
    return [advice for advice in found if advice]


def after(watch: WatchPart, model: SRModel, pairs: Sequence[Pair], score: Score) -> list[Advice]:
    """What trained weights show; ``score`` is theirs on the pairs, the rest is as for before."""
    found = [
        min_delta(watch, score, "reached"),
        constant_output(model, pairs),
        bounded_output(model, pairs),
    ]
    return [advice for advice in found if advice]


def merged(*lists: Iterable[Advice]) -> list[Advice]:
    """One advice a code, the last that was given, in the order in which the codes came."""
    return list({advice.code: advice for one in lists for advice in one}.values())


def min_delta(watch: WatchPart, score: Score, whose: str) -> Advice | None:
    """Where no improvement that is left can count.

    An error, MSE or a perceptual distance, cannot improve by more than its own value. Of PSNR,
    steps of a decibel and more are warned of.
    """
    error = {"mse": score.mse, "perceptual": score.perceptual}.get(watch.monitor)
    if error is None and watch.monitor == "psnr_y" and watch.min_delta >= LARGE_STEP:
        reason = "is in dB, and a good training gains a few dB over bicubic in all"
        remedy = "set it to 0.01, or to 0"
    elif error is not None and 0 < error <= watch.min_delta:
        reason = f"is not below the {watch.monitor} {error:.5f} {whose}"
        remedy = f"set it to a hundredth of that, {error / 100:.0e}, or to 0"
    else:
        return None
    return Advice(
        "min-delta",
        f"watch.min_delta {watch.min_delta:g} {reason}, so what is still to come does not count, "
        f"and training stops {watch.patience or 'no'} validations after the last step that did",
        remedy,
    )


def shared_persons(splits: Splits) -> Advice | None:
    """Persons on both sides of a split, where labels are persons."""
    known = set(splits.train.labels or ())
    told = []
    for name, held in _held_out(splits):
        if not (held.personal and held.labels):
            continue
        seen = [label for label in held.labels if label in known]
        if seen:
            told.append(
                f"{len(seen)} of {len(held)} {name} pictures show persons who are also in training "
                f"(persons: {len(set(seen))})"
            )
    if not told:
        return _shared_by_layout(splits)
    return Advice(
        "shared-person",
        f"{'; '.join(told)}, which flatters a model that knows their faces",
        'set data.split_by = "label", which keeps each person on one side',
    )


def _shared_by_layout(splits: Splits) -> Advice | None:
    """The same for any folder that lies as LFW does, ``NAME/NAME_0001.jpg``."""
    held = [Path(name) for _, one in _held_out(splits) for name in one.names]
    shared, personal = shared_labels(map(Path, splits.train.names), held)
    if not personal:
        return None
    return Advice(
        "shared-person",
        f"{len(shared)} persons, by the names of folders and files ({shared[0]}), are in training "
        f"and held out, which flatters a model that knows their faces",
        'set data.split_by = "label", which keeps each person on one side',
    )


def shared_pictures(splits: Splits) -> Advice | None:
    """Pictures that are on both sides, byte for byte; only files of equal length are read."""
    twins: list[str] = []
    held_count = 0
    for _, held in _held_out(splits):
        pairs = _twins(splits.train, held)
        held_count += len(pairs)
        twins += [f"{_short(ours)} is {_short(theirs)}" for ours, theirs in pairs[:1]]
    if not twins:
        return None
    return Advice(
        "shared-picture",
        f"{held_count} held-out picture{'s are' if held_count > 1 else ' is'} in training too "
        f"({'; '.join(twins)})",
        "remove the copies, or name them in data.exclude",
    )


def near_pictures(splits: Splits) -> Advice | None:
    """Pictures on both sides that are one without being the same file; at most 2,000 a side."""
    sets = [one for _, one in _held_out(splits)]
    copies = copies_across(splits.train, sets)
    same = {pair for one in sets for pair in _twins(splits.train, one)}
    near = [(mine, other) for mine, other, _ in copies.pairs if (mine, other) not in same]
    if not near:
        return None
    looked = f" among the {copies.looked:,} of {copies.of:,} that were compared"
    count = len({mine for mine, _ in near})
    return Advice(
        "near-picture",
        f"{count} held-out picture{'s are' if count > 1 else ' is'} in training too, resized, "
        f"recompressed, flipped or cropped ({_short(near[0][0])} is {_short(near[0][1])})"
        f"{looked if copies.looked < copies.of else ''}",
        "remove the copies, or name them in data.exclude; `reslift data check` lists all",
    )


def narrow_code(model: SRModel, pair: Pair, degradation: Degradation) -> Advice | None:
    """An encoder whose features, all that the decoder sees, hold fewer numbers than LR has.

    LR counts as the smallest picture on the way to it, which on the same grid is smaller than LR.
    A decoder can draw detail that no number says; what is lost of LR itself it cannot.
    """
    with torch.no_grad():
        features = model.encode(pad_to_multiple(_float(pair.lr), model.multiple_of))
    held = sum(feature.numel() for feature in features)
    given, wanted = degradation.intermediate(pair.hr).numel(), pair.hr.numel()
    if held >= given:
        return None
    return Advice(
        "narrow-code",
        f"the code holds {held:,} numbers for a picture of {wanted:,}, of which LR gives {given:,} "
        f"and {wanted - given:,} are the detail: not even LR fits through it, so expect less "
        f"than bicubic",
        "add a path around it (skips, the sum with LR) or a wider code",
    )


@torch.no_grad()
def bounded_output(model: SRModel, pairs: Sequence[Pair]) -> Advice | None:
    """An output that stays within a bound when the features are pushed far to every side.

    A ReLU at the end never goes below 0, where it does not learn; a sigmoid stays in (0, 1) and
    hardly learns near either.
    """
    lr = _float(pairs[0].lr)
    features = model.encode(pad_to_multiple(lr, model.multiple_of))
    draw = torch.Generator().manual_seed(0)
    noise = [torch.randn(f.shape, generator=draw).to(f.device) for f in features]
    pushed = [[PUSH * f for f in features], [-PUSH * f for f in features]]
    pushed.append([PUSH * n for n in noise])
    pushed.append([-PUSH * n for n in noise])
    answers = [model.decode(one).float() for one in pushed]
    low = min(answer.min().item() for answer in answers)
    high = max(answer.max().item() for answer in answers)
    floor, ceiling = low >= -SLACK, high <= 1 + SLACK
    if not (floor or ceiling) or not math.isfinite(low + high):
        return None
    where = "between 0 and 1" if floor and ceiling else "at 0 or above" if floor else "at 1 or less"
    share = _stuck(model, pairs, floor, ceiling)
    told = f"; {share:.1%} of the validation values stand there and should not" if share else ""
    return Advice(
        "bounded-output",
        f"whatever the code says, the output stays {where}, and at the bound it does not "
        f"learn{told}",
        "leave the activation after the last layer out; SR is clipped when it is saved",
    )


@torch.no_grad()
def constant_output(model: SRModel, pairs: Sequence[Pair]) -> Advice | None:
    """SR without contrast, or nearly the same for every picture, where HR is not."""
    some = pairs[:MOST_PICTURES]
    answers = [(model(_float(pair.lr)).float(), _float(pair.hr)) for pair in some]
    inner = [(_deviation(sr), _deviation(hr)) for sr, hr in answers]
    ours, theirs = (sum(column) / len(some) for column in zip(*inner, strict=True))
    remedy = "train longer; else lower phases.rate, take another seed, look for a dead activation"
    if ours < FLAT * theirs:
        return Advice(
            "constant-output",
            f"SR is flat: its deviation within a picture is {ours / LEVEL:.1f} levels of 255, that "
            f"of HR {theirs / LEVEL:.1f}",
            remedy,
        )
    alike = [(sr, hr) for sr, hr in answers if sr.shape == answers[0][0].shape]
    if len(alike) < 2:
        return None
    ours, theirs = (_spread(images) for images in zip(*alike, strict=True))
    if ours >= FLAT * theirs:
        return None
    return Advice(
        "constant-output",
        f"SR is nearly one picture for all: from picture to picture it deviates by "
        f"{ours / LEVEL:.1f} levels of 255, HR by {theirs / LEVEL:.1f}",
        remedy,
    )


def _stuck(model: SRModel, pairs: Sequence[Pair], floor: bool, ceiling: bool) -> float:
    """Share of values at a bound, to a level, whose HR is more than a level off it."""
    stuck = total = 0
    for pair in pairs[:MOST_PICTURES]:
        sr, hr = model(_float(pair.lr)).float(), _float(pair.hr)
        at = torch.zeros_like(sr, dtype=torch.bool)
        if floor:
            at |= (sr <= LEVEL / 2) & (hr > 1.5 * LEVEL)
        if ceiling:
            at |= (sr >= 1 - LEVEL / 2) & (hr < 1 - 1.5 * LEVEL)
        stuck, total = stuck + int(at.sum()), total + at.numel()
    return stuck / total


def _deviation(image: Tensor) -> float:
    """Mean over channels of the deviation over pixels."""
    return image.flatten(2).std(2).mean().item()


def _spread(images: Sequence[Tensor]) -> float:
    """Mean over pixels of the deviation from picture to picture."""
    return torch.cat(list(images)).std(0).mean().item()


def _float(image: Tensor) -> Tensor:
    return image.float() / 255


def _held_out(splits: Splits) -> list[tuple[str, ImageSet]]:
    named = [("validation", splits.validation), ("test", splits.test)]
    return [(name, one) for name, one in named if one is not None]


def _twins(train: ImageSet, held: ImageSet) -> list[tuple[str, str]]:
    """Names of equal pictures, held-out one first."""
    ours, theirs = _by_size(held), _by_size(train)
    found = []
    for size in ours.keys() & theirs.keys():
        prints = {_print(train, number): number for number in theirs[size]}
        for number in ours[size]:
            twin = prints.get(_print(held, number))
            if twin is not None:
                found.append((number, held.names[number], train.names[twin]))
    return [(mine, other) for _, mine, other in sorted(found)]


def _by_size(images: ImageSet) -> dict[int, list[int]]:
    """Pictures by the length of their file; 0 where a picture is no file of its own."""
    groups: dict[int, list[int]] = defaultdict(list)
    for number, name in enumerate(images.names):
        try:
            groups[Path(name).stat().st_size].append(number)
        except (OSError, ValueError):
            groups[0].append(number)
    return groups


def _print(images: ImageSet, number: int) -> bytes:
    """A hash of the file, or of the pixels of a picture that is no file; random if unreadable."""
    try:
        path = Path(images.names[number])
        content = path.read_bytes() if path.is_file() else images.load(number).numpy().tobytes()
    except (OSError, ValueError, InputError):
        content = f"{id(images)} {number}".encode()
    return hashlib.blake2b(content, digest_size=16).digest()


def _short(name: str) -> str:
    path = Path(one_line(name))
    return "/".join(path.parts[-2:])
