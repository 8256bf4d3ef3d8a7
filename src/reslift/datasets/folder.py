"""Folders of pictures, HR only: LR is made from them by the recipe's degradation."""

from __future__ import annotations

import fnmatch
import random
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from reslift import formats
from reslift.datasets.base import ImageSet, Splits
from reslift.errors import InputError, RecipeError, one_line
from reslift.recipe import DataPart


def find_images(folder: Path, exclude: tuple[str, ...] = ()) -> list[Path]:
    """Pictures below a folder in a fixed order, hidden files and excluded names left out.

    Raises:
        InputError: the folder is absent or holds no picture.
    """
    if not folder.is_dir():
        raise InputError(f"{one_line(folder)}: there is no such folder of training pictures")
    suffixes = formats.readable_suffixes()
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in suffixes
        and not path.name.startswith(".")
        and not _excluded(path.relative_to(folder), exclude)
    ]
    if not found:
        raise InputError(f"{one_line(folder)}: no picture in this folder")
    return found


def _excluded(path: Path, patterns: tuple[str, ...]) -> bool:
    """Whether a pattern fits the file's name or its path below the folder."""
    names = (path.name, path.as_posix())
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns for name in names)


def read_rgb(path: Path) -> Tensor:
    """A picture file as (3, H, W) uint8 RGB: alpha dropped, 16 bit rounded to 8, gray repeated.

    Raises:
        InputError: the file cannot be read, or is CMYK, which has no exact RGB.
    """
    picture = formats.read(path)
    pixels = np.asarray(picture.pixels)
    if picture.space == "cmyk":
        raise InputError(f"{one_line(path)}: CMYK pictures cannot be trained on; convert to RGB")
    if picture.alpha:
        pixels = pixels[..., :-1]
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def _image_set(paths: list[Path]) -> ImageSet:
    return ImageSet(tuple(map(str, paths)), lambda number: read_rgb(paths[number]))


def load_folders(part: DataPart, root: Path, seed: int) -> Splits:
    """Training and validation pictures of a recipe.

    Args:
        part: the recipe's folders; relative ones start at ``root``.
        root: ``--data``, or the current folder.
        seed: decides which pictures are held out when no validation folder is named.

    Raises:
        InputError: a folder is absent or empty.
        RecipeError: holding out would leave nothing to train on.
    """
    train = [p for name in part.train for p in find_images(root / name, part.exclude)]
    if part.validation:
        validation = [p for name in part.validation for p in find_images(root / name, part.exclude)]
        return Splits(_image_set(train), _image_set(validation))
    count = round(part.hold_out if part.hold_out >= 1 else part.hold_out * len(train))
    count = max(1, count)
    if count >= len(train):
        raise RecipeError(
            f"data.hold_out keeps {count} of {len(train)} pictures for validation, which leaves "
            f"none to train on: add pictures, or name data.validation"
        )
    held = set(random.Random(seed).sample(range(len(train)), count))
    kept = [path for number, path in enumerate(train) if number not in held]
    return Splits(_image_set(kept), _image_set([train[number] for number in sorted(held)]))
