"""Folders of pictures, HR only: LR is made from them by the recipe's degradation."""

from __future__ import annotations

import fnmatch
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from reslift import formats
from reslift.datasets.absent import no_folder, no_picture
from reslift.datasets.base import ImageSet, Splits, divide, divide_beside
from reslift.datasets.decode import decode, decoded
from reslift.datasets.pairs import lr_files
from reslift.recipe import DataPart


def find_images(folder: Path, exclude: tuple[str, ...] = ()) -> list[Path]:
    """Pictures below a folder in a fixed order, hidden files and excluded names left out.

    Raises:
        InputError: the folder is absent or holds no picture.
    """
    if not folder.is_dir():
        raise no_folder(folder, " of training pictures")
    suffixes = formats.readable_suffixes()
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in suffixes
        and not path.name.startswith(".")
        and not _excluded(path.relative_to(folder), exclude)
    ]
    if not found:
        raise no_picture(folder)
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
    return torch.from_numpy(np.ascontiguousarray(decode(path).transpose(2, 0, 1)))


def image_set(paths: list[Path], part: DataPart, labels: tuple[str, ...] | None = None) -> ImageSet:
    """Pictures read when asked for; with ``resize`` decoded now, or taken from the cache."""
    if part.resize:
        return decoded(paths, part, labels)
    return ImageSet(tuple(map(str, paths)), lambda number: read_rgb(paths[number]), labels)


def load_folders(part: DataPart, root: Path, seed: int) -> Splits:
    """Training, validation and test pictures of a recipe; a picture's label is its folder.

    Args:
        part: the recipe's folders; relative ones start at ``root``.
        root: ``--data``, or the current folder.
        seed: decides which pictures are held out when no validation folder is named.

    Raises:
        InputError: a folder is absent or empty.
        RecipeError: holding out would leave nothing to train on.
    """
    train, small = _found(part.train, root, part)
    if part.validation:
        validation, more = _found(part.validation, root, part)
        splits = divide_beside(train, validation, part, seed, files=True)
        small += more
    else:
        splits = divide(train, part, seed)
    note = f"{small} LR files are left out: LR is made from the HR files beside them"
    return replace(splits, notes=(*splits.notes, note)) if small else splits


def _found(folders: tuple[str, ...], root: Path, part: DataPart) -> tuple[ImageSet, int]:
    """The pictures of these folders, and how many LR files lie among them, which are left out."""
    for name in folders:
        if not (root / name).is_dir():
            raise no_folder(
                root / name,
                " of training pictures: name the folder that holds it with --data, or others with "
                "--set data.train",
            )
    paths: dict[Path, None] = {}
    small = 0
    for name in folders:
        found = find_images(root / name, part.exclude)
        partners = lr_files(found)
        paths |= dict.fromkeys(path for path in found if path not in partners)
        small += len(partners)
    return image_set(list(paths), part, tuple(path.parent.name for path in paths)), small
