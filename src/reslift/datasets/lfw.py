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

from reslift.datasets.base import ImageSet, Splits
from reslift.datasets.folder import image_set
from reslift.datasets.labelled import divided, find_labelled, place_of
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
    return divided(lambda names: _faces(names, root, part), part, root, seed)


def _faces(folders: tuple[str, ...], root: Path, part: DataPart) -> ImageSet:
    paths: list[Path] = []
    persons: tuple[str, ...] = ()
    for name in folders:
        place = place_of(name, root, PLACES)
        found, owners = find_labelled(place, part, "lfw", "no PERSON/*.jpg of LFW is here")
        paths, persons = paths + found, persons + owners
    return replace(image_set(paths, part, persons), personal=True)
