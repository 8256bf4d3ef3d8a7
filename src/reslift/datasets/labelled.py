"""Pictures in a folder a class: ``CLASS/name.png``, as CIFAR-10 is often unpacked and LFW lies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reslift.datasets.absent import no_folder
from reslift.datasets.base import ImageSet, Splits, divide, divide_beside
from reslift.datasets.folder import find_images
from reslift.errors import InputError, one_line
from reslift.recipe import DataPart

DEEPEST = 3


def find_labelled(
    folder: Path, part: DataPart, kind: str, missing: str
) -> tuple[list[Path], tuple[str, ...]]:
    """The pictures of all class folders in a fixed order, and the class of each.

    Args:
        kind, missing: the data set, and what to say of a folder that is not one.

    Raises:
        InputError: the folder is absent, or holds no picture in a folder of its own.
    """
    try:
        paths = [p for p in find_images(folder, part.exclude) if p.parent.parent == folder]
    except InputError:
        paths = []
    if not paths:
        raise InputError(
            f"{one_line(folder)}: {missing}: name its folder with --data, or get it with "
            f"`reslift data get {kind}`"
        )
    return paths, tuple(path.parent.name for path in paths)


def divided(
    read: Callable[[tuple[str, ...]], ImageSet], part: DataPart, root: Path, seed: int
) -> Splits:
    """The splits of pictures that `read` finds in folders, by name.

    Raises:
        InputError: a folder of validation pictures is absent; `place_of` would take the training
            pictures in its place.
    """
    train = read(part.train)
    if not part.validation:
        return divide(train, part, seed)
    for name in part.validation:
        if not (root / name).exists():
            raise no_folder(root / name, " of validation pictures, which data.validation names")
    return divide_beside(train, read(part.validation), part, seed)


def place_of(name: str, root: Path, marks: tuple[str, ...]) -> Path:
    """The folder that a recipe's ``name`` stands for.

    It is ``root/name``; where that is absent, ``root`` itself, so that ``--data`` may also name the
    data set's own folder. Below it the first of ``marks`` that exists is entered, and so on, as
    archives often lie in a folder of their own name.
    """
    place = root / name if (root / name).is_dir() else root
    for _ in range(DEEPEST):
        place = next((place / mark for mark in marks if (place / mark).is_dir()), place)
    return place
