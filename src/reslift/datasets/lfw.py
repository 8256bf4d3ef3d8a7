"""Labeled Faces in the Wild (Huang et al. 2007): 13,233 faces of 5,749 persons, 250×250.

The original layout is ``lfw/PERSON/PERSON_0001.jpg``; the aligned editions lie alike. A recipe
resizes them (``data.resize = 80``: antialiased bilinear, as system S4 has it) and keeps the decoded
faces on the disk.

A random split puts pictures of one person on both sides, and a validation that knows its faces
flatters the model: ``data.split_by = "label"`` keeps each person on one side.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reslift.datasets.base import ImageSet, Splits, divide, divide_beside
from reslift.datasets.folder import image_set
from reslift.datasets.labelled import find_labelled, place_of, wanted_place
from reslift.errors import InputError, one_line
from reslift.recipe import DataPart

PLACES = ("lfw_home", "lfw", "lfw_funneled", "lfw-deepfunneled")


def load_lfw(part: DataPart, root: Path, seed: int) -> Splits:
    """The faces, divided at random or by person; labels are the persons.

    Args:
        part: ``train`` and ``validation`` name folders of persons.
        root: ``--data``.
        seed: of the drawing.

    Raises:
        InputError: no PERSON/*.jpg there.
    """
    train = _faces(part.train, root, part)
    if not part.validation:
        return divide(train, part, seed)
    for name in part.validation:
        wanted_place(name, root)
    return divide_beside(train, _faces(part.validation, root, part), part, seed)


def _faces(folders: tuple[str, ...], root: Path, part: DataPart) -> ImageSet:
    paths: list[Path] = []
    persons: tuple[str, ...] = ()
    for name in folders:
        place = place_of(name, root, PLACES)
        try:
            found, owners = find_labelled(place, part)
        except InputError as error:
            raise InputError(
                f"{one_line(place)}: no PERSON/*.jpg of LFW is here: name its folder with --data, "
                f"or get it with `reslift data get lfw`"
            ) from error
        paths, persons = paths + found, persons + owners
    return replace(image_set(paths, part, persons), personal=True)
