"""What is said of a folder that is none, or in which no picture lies."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from reslift import media
from reslift.errors import InputError, one_line

LOOKED_AT = 200
BATCHES = re.compile(r"(data_batch_\d+|test_batch)(\.bin)?")
BINARY = (
    "binary batches of CIFAR-10, which `reslift latent` and trainings with data.name = "
    '"cifar10" read'
)
PICKLED = (
    "the pickled Python version of CIFAR-10, which could run code: get the binary version, "
    "`reslift data get cifar10`"
)


def no_folder(path: Path, wanted: str) -> InputError:
    """The error of a path at which there is no folder.

    wanted: what stands after "there is no such folder".
    """
    if path.is_file():
        known = _cifar10([path])
        what = f"it holds {known}" if known else "it is a file; name the folder that holds it"
        return InputError(f"{one_line(path)}: {what}")
    return InputError(f"{one_line(path)}: there is no such folder{wanted}")


def no_picture(folder: Path) -> InputError:
    """The error of a folder without a still picture, which says what else lies in it."""
    files = [path for path in sorted(folder.rglob("*")) if not path.name.startswith(".")]
    if known := _cifar10(files):
        return InputError(f"{one_line(folder)}: no picture files in this folder, but {known}")
    kinds = [media.of(path) for path in islice(files, LOOKED_AT)]
    labels = list(dict.fromkeys(kind.label for kind in kinds if kind is not None))
    if not labels:
        return InputError(f"{one_line(folder)}: no picture in this folder")
    return InputError(
        f"{one_line(folder)}: no still picture in this folder, but {' and '.join(labels)}, which "
        "`reslift upscale` takes"
    )


def _cifar10(files: Iterable[Path]) -> str:
    """Which edition of CIFAR-10 these files are, in words; nothing where they are none."""
    found = next((match for path in files if (match := BATCHES.fullmatch(path.name))), None)
    if found is None:
        return ""
    return BINARY if found[2] else PICKLED
