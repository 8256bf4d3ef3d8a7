"""CIFAR-10 (Krizhevsky 2009): 32×32 colour pictures of ten classes, 50,000 to train on.

Two layouts are read, and found below the folder that a recipe names:

    cifar-10-batches-bin/data_batch_1.bin …   the original binary version: records of one label byte
                                              and 3 · 1024 bytes, plane by plane
    train/CLASS/a.png                         unpacked pictures; also CLASS/a.png

The Python version, ``cifar-10-batches-py``, is pickled: reading it would run whatever code the file
holds, so it is refused.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from reslift.datasets.base import ImageSet, Splits
from reslift.datasets.decode import decoded
from reslift.datasets.labelled import divided, find_labelled, place_of
from reslift.errors import InputError, one_line
from reslift.recipe import DataPart

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
SIDE = 32
PIXELS = 3 * SIDE * SIDE


def load_cifar10(part: DataPart, root: Path, seed: int) -> Splits:
    """The training pictures of CIFAR-10, divided by the recipe; labels are the classes.

    Args:
        part: ``train`` names the folder; ``validation`` may name class folders or a batch file of
            its own, such as the original test set.
        root: ``--data``.
        seed: of the drawing.

    Raises:
        InputError: neither layout is there, or a batch is damaged.
    """
    return divided(
        lambda names: join([_read(name, root, part) for name in names]), part, root, seed
    )


def _read(name: str, root: Path, part: DataPart) -> ImageSet:
    if (root / name).is_file():
        return read_batches([root / name])
    place = place_of(name, root, ("cifar-10-batches-bin", "cifar10", "train"))
    batches = sorted(place.glob("data_batch_*.bin"))
    if batches:
        return read_batches(batches)
    if (place / "data_batch_1").is_file() or (place / "cifar-10-batches-py").is_dir():
        raise InputError(
            f"{one_line(place)}: this is the pickled Python version of CIFAR-10, which could run "
            f"code: get the binary version, `reslift data get cifar10`"
        )
    missing = "neither data_batch_*.bin nor CLASS/*.png of CIFAR-10 here"
    paths, labels = find_labelled(place, part, "cifar10", missing)
    return decoded(paths, part, labels, SIDE)


def read_batches(files: list[Path]) -> ImageSet:
    """Binary batch files as one set; names are ``data_batch_1.bin:17``.

    Raises:
        InputError: a file cannot be read, is no whole number of records, or has other labels.
    """
    names: list[str] = []
    parts = []
    for path in files:
        try:
            raw = np.fromfile(path, np.uint8)
        except OSError as error:
            raise InputError(f"{one_line(path)}: {one_line(error.strerror)}") from error
        if raw.size == 0 or raw.size % (PIXELS + 1):
            raise InputError(
                f"{one_line(path)}: {raw.size} bytes are no whole number of records of "
                f"{PIXELS + 1}: damaged, or not CIFAR-10's binary version"
            )
        parts.append(raw.reshape(-1, PIXELS + 1))
        names += [f"{path.name}:{number}" for number in range(len(parts[-1]))]
    records = np.concatenate(parts)
    if records[:, 0].max() >= len(CLASSES):
        raise InputError(f"{one_line(files[0])}: a label over 9: not CIFAR-10's binary version")
    planes = torch.from_numpy(records[:, 1:].reshape(-1, 3, SIDE, SIDE).copy())
    return ImageSet(tuple(names), planes.__getitem__, tuple(CLASSES[n] for n in records[:, 0]))


def join(sets: list[ImageSet]) -> ImageSet:
    """Several sets one behind the other."""
    if len(sets) == 1:
        return sets[0]
    owner = [(one, number) for one in sets for number in range(len(one))]
    labels = tuple(label for one in sets for label in one.labels or ())
    names = tuple(name for one in sets for name in one.names)
    return ImageSet(
        names,
        lambda n: owner[n][0].load(owner[n][1]),
        labels if len(labels) == len(names) else None,
    )
