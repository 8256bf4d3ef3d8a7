"""What is said of a folder that is none, or in which no picture lies."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from reslift import media
from reslift.errors import InputError, one_line

LOOKED_AT = 200


def no_folder(path: Path, wanted: str) -> InputError:
    """The error of a path at which there is no folder.

    wanted: what stands after "there is no such folder".
    """
    if path.is_file():
        return InputError(f"{one_line(path)}: it is a file; name the folder that holds it")
    return InputError(f"{one_line(path)}: there is no such folder{wanted}")


def no_picture(folder: Path) -> InputError:
    """The error of a folder without a still picture, which says what else lies in it."""
    files = (path for path in sorted(folder.rglob("*")) if not path.name.startswith("."))
    kinds = [media.of(path) for path in islice(files, LOOKED_AT)]
    labels = list(dict.fromkeys(kind.label for kind in kinds if kind is not None))
    if not labels:
        return InputError(f"{one_line(folder)}: no picture in this folder")
    return InputError(
        f"{one_line(folder)}: no still picture in this folder, but {' and '.join(labels)}, which "
        "`reslift upscale` takes"
    )
