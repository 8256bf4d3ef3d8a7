"""Pictures in a folder a class: ``CLASS/name.png``, as CIFAR-10 is often unpacked and LFW lies."""

from __future__ import annotations

from pathlib import Path

from reslift.datasets.absent import no_folder
from reslift.datasets.folder import find_images
from reslift.errors import InputError, one_line
from reslift.recipe import DataPart

DEEPEST = 3


def find_labelled(folder: Path, part: DataPart) -> tuple[list[Path], tuple[str, ...]]:
    """The pictures of all class folders in a fixed order, and the class of each.

    Raises:
        InputError: the folder is absent, or holds no picture in a folder of its own.
    """
    paths = [p for p in find_images(folder, part.exclude) if p.parent.parent == folder]
    if not paths:
        raise InputError(f"{one_line(folder)}: no pictures in folders named by class, CLASS/a.png")
    return paths, tuple(path.parent.name for path in paths)


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


def wanted_place(name: str, root: Path) -> None:
    """Nothing, where a folder or file of validation pictures exists.

    Raises:
        InputError: it does not, and ``place_of`` would take the training pictures in its place.
    """
    if not (root / name).exists():
        raise no_folder(root / name, " of validation pictures, which data.validation names")
