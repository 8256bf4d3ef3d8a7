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

from reslift.datasets.base import Splits, divide
from reslift.datasets.folder import image_set
from reslift.datasets.labelled import find_labelled, place_of
from reslift.errors import InputError, one_line
from reslift.recipe import DataPart

EDITIONS = ("lfw", "lfw_funneled", "lfw-deepfunneled")


def load_lfw(part: DataPart, root: Path, seed: int) -> Splits:
    """The faces, divided at random or by person; labels are the persons.

    Args:
        part: the first of ``train`` names the folder.
        root: ``--data``.
        seed: of the drawing.

    Raises:
        InputError: no PERSON/*.jpg there.
    """
    place = place_of(part.train[0], root, EDITIONS)
    try:
        paths, persons = find_labelled(place, part)
    except InputError as error:
        raise InputError(
            f"{one_line(place)}: no PERSON/*.jpg of LFW is here: name its folder with --data, or "
            f"get it with `reslift data get lfw`"
        ) from error
    faces = replace(image_set(paths, part, persons), personal=True)
    return divide(faces, part, seed)
