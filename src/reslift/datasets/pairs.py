"""Test sets as they lie on people's disks: HR alone, or HR with the LR that belongs to it.

Layouts that are recognised, for scale s:

    SET/HR/a.png  SET/LRxs/a.png          also GT, GTmod12 with LRbicxs, LR_bicubic/Xs, xs
    X_HR/0801.png  X_LR_bicubic/Xs/0801xs.png   DIV2K; SET may be X_HR or the folder above it
    SET/a_SRF_s_HR.png  SET/a_SRF_s_LR.png      both in one folder, told apart by _HR and _LR
    SET/a.png                             HR alone; where SET has only folders, all below it

A folder named with ``lr`` overrides all of them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from reslift import formats
from reslift.datasets.absent import no_folder, no_picture
from reslift.datasets.decode import to_square
from reslift.degradations import Degradation
from reslift.errors import InputError, one_line
from reslift.limits import FIXED, Limits
from reslift.pixels.color import rgb_to_y
from reslift.pixels.resize import downscale8
from reslift.pixels.shift import measure_shift

HR_FOLDERS = ("HR", "GT", "GTmod12", "hr", "gt", "original")
LR_FOLDERS = (
    "LRx{s}", "LR_x{s}", "LRX{s}", "LRbicx{s}", "LR_bicubic/X{s}", "LR_bicubic/x{s}", "LR/X{s}",
    "LR/x{s}", "X{s}", "x{s}", "lr_x{s}", "lr/x{s}",
)  # fmt: skip
LR_STEMS = ("{stem}", "{stem}x{s}", "{stem}_x{s}", "{stem}X{s}", "{stem}_LR", "{stem}LR")
SCALES = range(2, 9)
WARN_SHIFT, WRONG_SHIFT = 0.1, 0.2
COLOUR = 2.0
"""Mean of |R - B|, in levels of 255, from which on a picture has colours to tell apart."""


@dataclass(frozen=True)
class PairFiles:
    """One picture of a test set: its HR file and, where LR is shipped, its LR file."""

    name: str
    hr: Path
    lr: Path | None = None
    missing: str = ""


@dataclass(frozen=True)
class TestSet:
    """A named list of pictures; ``made`` says that LR has to be made from HR."""

    name: str
    files: tuple[PairFiles, ...]
    made: bool

    __test__ = False


@dataclass(frozen=True)
class Pair:
    """A picture ready to be judged.

    Attributes:
        lr: (1, C, H, W) uint8, C = 1 for a gray HR file, else 3.
        hr: (1, C, sH, sW) uint8.
        notes: what was changed or looked odd, a sentence each.
        baseline: (1, C, H, W) uint8, where bicubic does not start from LR: at scale 1 it enlarges
            the small picture that LR was made from.
    """

    lr: Tensor
    hr: Tensor
    notes: tuple[str, ...] = ()
    baseline: Tensor | None = None


def find_test_set(
    data: str | Path, scale: int, lr: str | Path | None = None, *, made: bool = False
) -> TestSet:
    """The pictures of a folder, matched with their LR files where there are some.

    Args:
        data: the folder of the test set.
        scale: chooses among LR folders.
        lr: the folder of LR files, where the layout is not one that is recognised.
        made: leave shipped LR files alone and make LR from HR.

    Raises:
        InputError: no such folder, or no picture in it.
    """
    data = Path(data)
    lr = None if lr is None else Path(lr)
    if not data.is_dir():
        raise no_folder(data, "; name one with pictures")
    if lr is not None and not lr.is_dir():
        raise InputError(f"{one_line(lr)}: there is no such folder of LR pictures")
    hr_folder = _hr_folder(data)
    found = _pictures(hr_folder) or _pictures(hr_folder, deep=True)
    if not found:
        raise no_picture(hr_folder)
    name = _set_name(data, hr_folder)
    split = [path for path in found if re.search(r"_HR$", path.stem)]
    if lr is None and split and len(split) < len(found):
        return TestSet(name, tuple(_siblings(split, found, made)), made)
    folder = None if made else lr or _lr_folder(hr_folder, scale)
    if folder is None:
        return TestSet(name, tuple(_alone(found, hr_folder)), True)
    return TestSet(name, tuple(_matched(found, folder, scale)), False)


def read_pair(
    files: PairFiles,
    degradation: Degradation,
    *,
    allow_shift: bool = False,
    limits: Limits = FIXED,
    side: int = 0,
) -> Pair:
    """Read, crop and check one picture; without an LR file LR is made by ``degradation``.

    ``side`` brings the middle square of HR to that side before LR is made, as ``data.resize`` of a
    recipe does; 0 leaves HR as it is.

    Raises:
        InputError: a file cannot be read, the sizes do not fit the scale, or LR is shifted against
            HR by more than a fifth of an LR pixel (unless ``allow_shift``).
    """
    scale = degradation.scale
    if files.missing:
        raise InputError(files.missing)
    hr, notes = _read(files.hr, limits)
    if files.lr is None:
        if side:
            hr = _square(hr, side)
        hr = hr[..., : hr.shape[2] // scale * scale, : hr.shape[3] // scale * scale]
        if not hr.numel():
            raise InputError(f"{one_line(files.hr)}: too small for scale {scale}")
        base = round8(degradation.baseline(hr)) if scale == 1 else None
        return Pair(degradation(hr), hr, tuple(notes), base)
    lr, more = _read(files.lr, limits)
    lr = _same_channels(lr, hr.shape[1])
    hr = _fit(hr, lr, scale, files)
    small = downscale8(hr, scale)
    shift = _check_shift(lr, small, files.lr, allow_shift)
    colours = (wrong_colours(lr, small),) if lr.shape[1] == 3 else ()
    return Pair(lr, hr, (*notes, *more, *shift, *filter(None, colours)))


def wrong_colours(lr: Tensor, small: Tensor) -> str:
    """What is wrong with the colours of LR, in words; empty where nothing is.

    Args:
        lr, small: (B, 3, H, W) uint8, LR and HR at its size.
    """
    one, other = (x[:, 0].double() - x[:, 2].double() for x in (lr, small))
    if other.abs().mean() < COLOUR:
        return ""
    if not (lr[:, :1] != lr).any():
        return "LR is gray, HR is in colour"
    exchanged = (one + other).abs().mean() < (one - other).abs().mean() / 2
    return "LR has red and blue exchanged" if exchanged else ""


def _hr_folder(data: Path) -> Path:
    for name in HR_FOLDERS:
        if (data / name).is_dir():
            return data / name
    inside = sorted(p for p in data.iterdir() if p.is_dir() and p.name.endswith("_HR"))
    return inside[0] if len(inside) == 1 and not _pictures(data) else data


def _set_name(data: Path, hr_folder: Path) -> str:
    name = data.resolve().name if hr_folder.name in HR_FOLDERS else hr_folder.resolve().name
    if name in HR_FOLDERS:
        name = data.resolve().parent.name
    return name.removesuffix("_HR")


def lr_files(paths: Iterable[Path]) -> set[Path]:
    """Which of these pictures are LR, of any scale, of others of them, in the layouts above."""
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in paths:
        folders[path.parent].append(path)
    found = set()
    for folder, own in folders.items():
        stems = {path.stem for path in own}
        found |= {p for p in own if p.stem.endswith("_LR") and f"{p.stem[:-3]}_HR" in stems}
        for scale in SCALES:
            for place in folders.keys() & set(_lr_places(folder, scale)):
                small = {pair.lr.stem for pair in _matched(own, place, scale) if pair.lr}
                found |= {path for path in folders[place] if path.stem in small}
    return found


def _lr_folder(hr_folder: Path, scale: int) -> Path | None:
    places = _lr_places(hr_folder, scale)
    return next((place for place in places if place.is_dir() and _pictures(place)), None)


def _lr_places(hr_folder: Path, scale: int) -> list[Path]:
    """Where the LR files of a folder of HR may lie."""
    places = [hr_folder.parent / name.format(s=scale) for name in LR_FOLDERS]
    if hr_folder.name.endswith("_HR"):
        stem = hr_folder.name.removesuffix("_HR")
        places = [
            hr_folder.parent / f"{stem}_{name.format(s=scale)}"
            for name in ("LR_bicubic/X{s}", "LR_bicubic/x{s}", "LR_bicubic_X{s}", "LR_x{s}")
        ]
    elif hr_folder.name not in HR_FOLDERS:
        places = [hr_folder / name.format(s=scale) for name in LR_FOLDERS]
    return places


def _pictures(folder: Path, *, deep: bool = False) -> list[Path]:
    suffixes = formats.readable_suffixes()
    try:
        paths = list(folder.rglob("*") if deep else folder.iterdir())
    except OSError as error:
        raise InputError(f"{one_line(folder)}: {one_line(error.strerror)}") from error
    return [
        path
        for path in sorted(paths, key=lambda p: _natural(str(p)))
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    ]


def _alone(found: list[Path], folder: Path) -> Iterator[PairFiles]:
    for path in found:
        yield PairFiles(path.relative_to(folder).as_posix(), path)


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts img_2 before img_10."""
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in re.split(r"(\d+)", name) if p]


def _matched(found: list[Path], folder: Path, scale: int) -> Iterator[PairFiles]:
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in _pictures(folder):
        by_stem[path.stem].append(path)
    for path in found:
        stems = [form.format(stem=path.stem, s=scale) for form in LR_STEMS]
        several = next((by_stem[stem] for stem in stems if stem in by_stem), [])
        fitting = [lr for lr in several if lr.suffix == path.suffix] or several
        missing = ""
        if not several:
            missing = f"{one_line(path)}: no LR of that name in {one_line(folder)}"
        elif len(fitting) > 1:
            names = " and ".join(one_line(lr.name) for lr in fitting)
            missing = f"{one_line(path)}: {names} in {one_line(folder)} may be its LR; keep one"
        yield PairFiles(path.name, path, fitting[0] if fitting else None, missing)


def _siblings(split: list[Path], found: list[Path], made: bool) -> Iterator[PairFiles]:
    by_stem = {path.stem: path for path in found}
    for path in split:
        partner = by_stem.get(re.sub(r"_HR$", "_LR", path.stem))
        if made:
            yield PairFiles(path.name, path)
        else:
            missing = "" if partner else f"{one_line(path)}: no _LR file beside it"
            yield PairFiles(path.name, path, partner, missing)


def _read(path: Path, limits: Limits) -> tuple[Tensor, list[str]]:
    """(1, 1 or 3, H, W) uint8 and what had to be changed for that."""
    picture, notes = formats.read(path, limits), []
    pixels = np.asarray(picture.pixels)
    if picture.space == "cmyk":
        raise InputError(f"{one_line(path)}: CMYK has no luma of BT.601; convert it to RGB")
    if picture.alpha:
        notes.append("alpha is not judged")
        pixels = pixels[..., :-1]
    if pixels.dtype == np.uint16:
        notes.append("16 bit is judged at 8 bit")
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None], notes


def round8(x: Tensor) -> Tensor:
    """Float in [0, 1] to uint8, halves up, clipped."""
    return x.mul(255).add(0.5).floor().clamp(0, 255).to(torch.uint8)


def _square(hr: Tensor, side: int) -> Tensor:
    pixels = hr[0].permute(1, 2, 0).expand(-1, -1, 3).numpy()
    square = torch.from_numpy(to_square(pixels, side).copy())
    return square.permute(2, 0, 1)[None, : hr.shape[1]].contiguous()


def _same_channels(lr: Tensor, channels: int) -> Tensor:
    """LR as gray or colour as HR is: replicated, or one channel of equal three, or its luma."""
    if lr.shape[1] == channels:
        return lr
    if channels == 3:
        return lr.expand(-1, 3, -1, -1).contiguous()
    if torch.equal(lr[:, 0], lr[:, 1]) and torch.equal(lr[:, 0], lr[:, 2]):
        return lr[:, :1].contiguous()
    raise InputError("LR is in colour and HR is gray: they are not a pair")


def _fit(hr: Tensor, lr: Tensor, scale: int, files: PairFiles) -> Tensor:
    """HR cropped to scale × LR, if no more than an incomplete pixel has to go."""
    height, width = lr.shape[2] * scale, lr.shape[3] * scale
    rest = (hr.shape[2] - height, hr.shape[3] - width)
    if min(rest) < 0 or max(rest) >= max(scale, 2):
        seen = (hr.shape[2] / lr.shape[2], hr.shape[3] / lr.shape[3])
        guess = round(sum(seen) / 2)
        likely = max(abs(s - guess) for s in seen) < 0.1 and guess != scale
        raise InputError(
            f"{one_line(files.lr)}: LR of {lr.shape[3]}x{lr.shape[2]} does not fit HR of "
            f"{hr.shape[3]}x{hr.shape[2]} at scale {scale}"
            + (f"; it looks like scale {guess}" if likely else "")
        )
    return hr[..., :height, :width]


def _check_shift(lr: Tensor, small: Tensor, path: Path, allow_shift: bool) -> tuple[str, ...]:
    gray = [
        (x.double() if x.shape[1] == 1 else rgb_to_y(x.double() / 255))[0, 0] for x in (lr, small)
    ]
    shift = measure_shift(*gray)
    if shift is None or max(map(abs, shift)) < WARN_SHIFT:
        return ()
    text = f"LR is shifted against HR by {shift[1]:+.2f} right, {shift[0]:+.2f} down (LR pixels)"
    if max(map(abs, shift)) >= WRONG_SHIFT and not allow_shift:
        raise InputError(f"{one_line(path)}: {text}; not a pair, or --allow-shift to judge it")
    return (text,)
