"""DIV2K (Agustsson and Timofte 2017): 800 photographs of 2K to train on, 100 to validate on.

    DIV2K_train_HR/0001.png …    DIV2K_valid_HR/0801.png …

LR is made from HR by the recipe's degradation. The shipped LR files of the bicubic track are
MATLAB's ``imresize`` of these HR files, which is what the degradation ``bicubic`` is.
"""

from __future__ import annotations

from pathlib import Path

from reslift.datasets.base import Splits, divide, divide_beside
from reslift.datasets.folder import find_images, image_set
from reslift.datasets.labelled import place_of
from reslift.errors import InputError, RecipeError, one_line
from reslift.recipe import DataPart

TRAIN, VALID = "DIV2K_train_HR", "DIV2K_valid_HR"


def load_div2k(part: DataPart, root: Path, seed: int) -> Splits:
    """The two HR folders; without the second, pictures of the first are held out.

    Args:
        part: the first of ``train`` names the folder that holds both; ``hold_out`` of 1 or more
            validates on so many of the 100 only, evenly spaced.
        root: ``--data``.
        seed: of the drawing.

    Raises:
        InputError: no DIV2K_train_HR there.
        RecipeError: other validation pictures are named.
    """
    if part.validation or len(part.train) > 1:
        raise RecipeError(
            "data set div2k is one folder that holds its own validation pictures: leave out "
            'data.validation and further folders of data.train, or say data.name = "folder"'
        )
    place = place_of(part.train[0], root, ("DIV2K",))
    if not (place / TRAIN).is_dir():
        raise InputError(
            f"{one_line(place)}: no folder {TRAIN} is here: name the folder that holds it with "
            f"--data, or get it with `reslift data get div2k`"
        )
    train = image_set(find_images(place / TRAIN, part.exclude), part)
    if not (place / VALID).is_dir():
        return divide(train, part, seed)
    found = find_images(place / VALID, part.exclude)
    count = min(len(found), round(part.hold_out)) if part.hold_out >= 1 else len(found)
    chosen = [found[number * len(found) // count] for number in range(count)]
    return divide_beside(train, image_set(chosen, part), part, seed)
