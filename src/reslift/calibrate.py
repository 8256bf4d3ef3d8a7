"""Calibrating a model: pictures whose truth is known → scale head → intervals that hold.

::

    data ── HR ── degradation ── LR ── model ── SR          (cut to the middle, once a picture)
             │                                  │
    some of the pictures ─── fit_head ── head ──┤            skipped where the model has a head
    the others ─── Shades, Scores ─── b, q(b) ──┴── checkpoint with head and calibration
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from reslift import checkpoint
from reslift.datasets.folder import find_images, read_rgb
from reslift.datasets.pairs import lr_files
from reslift.degradations import DEGRADATIONS
from reslift.errors import InputError, ResliftError, UsageError, one_line
from reslift.pixels.planes import Floats, Planes
from reslift.uncertainty import (
    Calibration,
    FitPart,
    Judge,
    Judged,
    ScaleHead,
    Scores,
    Shades,
    fit_head,
    half_widths,
    load_judge,
    log_scales,
)
from reslift.uncertainty.beside import LEVEL
from reslift.uncertainty.conformal import raised
from reslift.upscale import Upscaler, load
from reslift.words import counted

EDGE = 16
"""HR pixels left out at the border of a cut, where the model sees less than it would."""

Progress = Callable[[int], None]


def quiet(done: int) -> None:
    """Takes the news of progress and keeps it."""


@dataclass(frozen=True)
class Coverage:
    """How well intervals held on some pictures.

    level: what was promised. covered: share of the samples inside. width: mean half-width, levels
    of 255. constant: half-width of an interval that is equally wide everywhere and covers as much.
    """

    level: float
    covered: float
    width: float
    constant: float


@dataclass(frozen=True)
class Calibrated:
    """What came of it: the judge, how its intervals held on each held-out picture, what failed."""

    judge: Judge
    held_out: tuple[str, ...]
    notes: tuple[str, ...]


def calibrate(
    model: str | Path,
    data: str | Path,
    *,
    scale: int | None = None,
    new_head: bool = False,
    hold_out: float = 0.4,
    crop: int = 1024,
    fit: FitPart | None = None,
    exclude: Sequence[str] = (),
    seed: int = 0,
    progress: Progress = quiet,
) -> Calibrated:
    """Fit a scale head where the model has none, and calibrate it, on a folder of pictures.

    Args:
        model: as for `reslift.load`.
        data: a folder of HR pictures, which the model should not have been trained on.
        scale: as for `reslift.load`.
        new_head: fit a head even where the model has one.
        hold_out: share of the pictures that the head does not see; the calibration is theirs.
            Without a head to fit, all pictures are.
        crop: of each picture the middle, this many HR pixels a side, is used.
        fit: how the head is trained.
        exclude: file names or paths below `data` that are left out, with * and ?.
        seed: of the split.
        progress: called with the steps just done, of `steps_of`.

    Raises:
        UsageError: the model is none to enlarge with. InputError: too few pictures, or too small.
    """
    data = Path(data)
    upscaler = load(model, scale)
    found = load_judge(checkpoint.resolve(model, upscaler.card.scale))
    paths, others = own_pictures(data, tuple(exclude))
    pictures, unusable = judged(upscaler, paths, crop, progress)
    notes = [*others, *unusable]
    with _told_what_is_lacking(notes):
        if found is not None and not new_head:
            head, held_out = found.head, pictures
        else:
            learning, held_out = split(pictures, hold_out, seed)
            head = fit_head(learning, upscaler.card.scale, fit or FitPart(seed=seed), progress)
        told = f"{counted(len(held_out), 'picture')} of {data.name}, {upscaler.card.name}"
        judge = judge_on(held_out, head, told)
    return Calibrated(judge, tuple(p.name for p in held_out), tuple(notes))


@contextmanager
def _told_what_is_lacking(notes: Sequence[str]) -> Iterator[None]:
    """Where too little is left, the error names what could not be used."""
    try:
        yield
    except InputError as error:
        if not notes:
            raise
        more = f" (and {len(notes) - 1} more)" if len(notes) > 1 else ""
        raise InputError(f"{error}; left out: {notes[0]}{more}") from error


def own_pictures(data: Path, exclude: tuple[str, ...] = ()) -> tuple[list[Path], list[str]]:
    """The pictures of a folder to calibrate on, and a line on what of it is none of them.

    LR files are left out that lie beside their HR, which they would be a second, smaller copy of,
    and all but the first of files of the same bytes: intervals count each picture as one more.

    Raises:
        InputError: the folder is absent or holds no picture.
    """
    found = find_images(data, exclude)
    small = lr_files(found)
    large = [path for path in found if path not in small]
    sizes = Counter(path.stat().st_size for path in large if path.is_file())
    first: dict[str, Path] = {}
    for path in large:
        alike = path.is_file() and sizes[path.stat().st_size] > 1
        first.setdefault(_digest(path) if alike else str(path), path)
    copies = len(large) - len(first)
    notes = [f"{counted(len(small), 'LR file')} beside HR"] if small else []
    notes += [f"{counted(copies, 'file')} of the same bytes as others"] if copies else []
    return list(first.values()), notes


def _digest(path: Path) -> str:
    """Of a file's content; of what cannot be read, its name."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return str(path)


def judge_on(pictures: Sequence[Judged], head: ScaleHead, data: str = "") -> Judge:
    """A head with its calibration on some pictures; what brightness adds to it is counted anew.

    Raises:
        InputError: too few samples.
    """
    head.shades.zero_()
    first, shades = _scores(head, pictures).calibrate(data), Shades()
    for picture in pictures:
        log_scale, error = errors_and_scales(head, picture)
        half = half_widths(log_scale, first, LEVEL)
        shades.add(picture.sr[EDGE:-EDGE, EDGE:-EDGE], half, error)
    head.shades.copy_(shades.logarithms(raised(LEVEL, len(pictures))).half())  # as it is stored
    return Judge(head, _scores(head, pictures).calibrate(data))


def _scores(head: ScaleHead, pictures: Sequence[Judged]) -> Scores:
    scores = Scores()
    for picture in pictures:
        scores.add(*errors_and_scales(head, picture))
    return scores


def judged(
    upscaler: Upscaler, paths: Sequence[Path], crop: int, progress: Progress = quiet
) -> tuple[list[Judged], list[str]]:
    """The pictures, degraded and enlarged again, and a line on each that could not be used."""
    scale = upscaler.card.scale
    if scale < 2 or upscaler.scale != scale:
        raise UsageError(f"model {upscaler.card.name} does not enlarge; there is nothing to invent")
    facts = upscaler.card.recipe.get("degradation") or {"name": "bicubic", "arguments": {}}
    degradation = DEGRADATIONS[facts["name"]](scale, **facts.get("arguments", {}))
    pictures, notes = [], []
    for path in paths:
        try:
            hr = read_rgb(path)[None]
            hr = _middle(hr, crop, scale, path)
            lr = degradation(hr)
            pixels = lr[0].permute(1, 2, 0).contiguous().numpy()
            sr = upscaler(pixels)
            pictures.append(Judged(str(path), pixels, sr, hr[0].permute(1, 2, 0).numpy()))
        except ResliftError as error:
            notes.append(one_line(error))
        progress(1)
    return pictures, notes


def _middle(hr: torch.Tensor, crop: int, scale: int, path: Path) -> torch.Tensor:
    """The middle of (1, 3, H, W), at most `crop` a side, whole LR pixels."""
    height, width = (min(side, crop) // scale * scale for side in hr.shape[2:])
    if min(height, width) < 4 * EDGE:
        raise InputError(
            f"{one_line(path)}: {width}x{height} pixels are too few to calibrate with; "
            f"{4 * EDGE} a side are needed"
        )
    top, left = (hr.shape[2] - height) // 2, (hr.shape[3] - width) // 2
    return hr[..., top : top + height, left : left + width]


def split(
    pictures: Sequence[Judged], hold_out: float, seed: int
) -> tuple[list[Judged], list[Judged]]:
    """Pictures to learn from and pictures to calibrate on.

    Raises:
        InputError: one of the two would be empty.
    """
    kept = round(hold_out * len(pictures))
    if not 0 < kept < len(pictures):
        leave = "leaves" if len(pictures) == 1 else "leave"
        raise InputError(
            f"{counted(len(pictures), 'picture')} with hold_out {hold_out:g} {leave} none to "
            f"{'calibrate on' if not kept else 'learn from'}"
        )
    held = set(random.Random(seed).sample(range(len(pictures)), kept))
    parts = ([p for n, p in enumerate(pictures) if (n in held) == side] for side in (False, True))
    learning, held_out = parts
    return learning, held_out


def errors_and_scales(head: ScaleHead, picture: Judged) -> tuple[Floats, Floats]:
    """log b (H, W) and |hr − sr| (H, W, 3) of the inside of a picture."""
    out = np.empty(picture.sr.shape[:2], np.float32)
    log_scales(head, Planes(picture.lr, "rgb", False), picture.sr, out)
    error: Floats = np.abs(picture.hr.astype(np.float32) - picture.sr.astype(np.float32))
    inside = (slice(EDGE, -EDGE), slice(EDGE, -EDGE))
    return out[inside], error[inside] / np.float32(255)


def coverage(judge: Judge, pictures: Sequence[Judged], level: float = 0.9) -> Coverage:
    """How the intervals of a level hold on pictures whose truth is known."""
    inside = total = 0
    width = 0.0
    histogram = np.zeros(256, np.int64)
    for picture in pictures:
        log_scale, error = errors_and_scales(judge.head, picture)
        half = half_widths(log_scale, judge.calibration, level)[..., None]
        inside += int((error <= half).sum())
        total += error.size
        width += float(half.sum(dtype=np.float64)) * error.shape[2]
        histogram += np.bincount(np.rint(error * 255).astype(np.int64).ravel(), minlength=256)
    covered = inside / total
    constant = float(np.searchsorted(np.cumsum(histogram), covered * total))
    return Coverage(level, covered, 255 * width / total, constant)


def describe(calibration: Calibration) -> str:
    """One line for people."""
    first, last = calibration.centres[0], calibration.centres[-1]
    return (
        f"calibrated on {counted(calibration.pictures, 'picture')}, "
        f"{calibration.samples / 1e6:.1f} million samples, "
        f"scales from {255 * np.exp(first):.2g} to {255 * np.exp(last):.3g} levels of 255"
    )
