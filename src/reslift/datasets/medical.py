"""Slices of one's own medical images as training pictures: DICOM files and NIfTI volumes.

::

    folder ── files, by content ── slices ── window ── 8 bits ── pictures, a label a patient

A slice is shown as `upscale` shows it to the network, in the window of its file, rounded to 8 bits.
Labels are numbers in the order of the files, never names: ``data.split_by = "label"`` keeps all
slices of a patient on one side of the split, which is what a fair validation needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reslift import media
from reslift.datasets.base import ImageSet, Splits, divide, divide_beside
from reslift.errors import InputError, one_line
from reslift.limits import DEFAULT
from reslift.media.intensities import Window
from reslift.recipe import DataPart

MEDIA = ("dicom", "nifti")
LEVELS = 255
MOST_OPEN = 4


@dataclass(frozen=True)
class Slices:
    """What of one file can be trained on. patient: tells patients apart, and is never shown."""

    path: Path
    count: int
    patient: str
    read: Callable[[], list[NDArray[np.uint8]]]


def load_medical(part: DataPart, root: Path, seed: int) -> Splits:
    """Training, validation and test slices of a recipe; labels are patients, by number.

    Args:
        part: ``train`` and ``validation`` name folders of DICOM and NIfTI files; relative ones
            start at ``root``.
        root: ``--data``, or the current folder.
        seed: of the drawing.

    Raises:
        InputError: a folder is absent, or holds no such file that can be read.
        RecipeError: holding out would leave nothing to train on.
    """
    train = _slices(part.train, root)
    if not part.validation:
        return divide(train, part, seed)
    return divide_beside(train, _slices(part.validation, root), part, seed, files=True)


def _slices(folders: Iterable[str], root: Path) -> ImageSet:
    files = [slices for name in folders for slices in _files(root / name)]
    patients = {
        patient: str(n) for n, patient in enumerate(dict.fromkeys(f.patient for f in files))
    }
    places = [(file, number) for file in files for number in range(file.count)]
    held: dict[Path, list[NDArray[np.uint8]]] = {}

    def load(number: int) -> Tensor:
        file, place = places[number]
        if file.path not in held:
            while len(held) >= MOST_OPEN:
                del held[next(iter(held))]
            held[file.path] = file.read()
        return torch.from_numpy(np.ascontiguousarray(held[file.path][place].transpose(2, 0, 1)))

    names = tuple(f"{f.path}#{n}" if f.count > 1 else str(f.path) for f, n in places)
    labels = tuple(f"patient {patients[file.patient]}" for file, _ in places)
    return ImageSet(names, load, labels, personal=len(patients) > 1)


def _files(folder: Path) -> list[Slices]:
    """Every file of the folder that can be enlarged; those that hold no image are left out."""
    if not folder.is_dir():
        raise InputError(f"{one_line(folder)}: there is no such folder of medical images")
    found, problem = [], ""
    for path in sorted(folder.rglob("*")):
        medium = None if path.name.startswith(".") else media.of(path)
        if medium is None or medium.name not in MEDIA:
            continue
        try:
            found.append(_of_dicom(path) if medium.name == "dicom" else _of_nifti(path))
        except InputError as error:
            problem = problem or one_line(error)
    if not found:
        nothing = f"{one_line(folder)}: no DICOM or NIfTI image in this folder"
        raise InputError(problem or nothing)
    return found


def _of_dicom(path: Path) -> Slices:
    from reslift.media.dicom.enlarge import survey
    from reslift.media.dicom.source import opened

    image = opened(path, DEFAULT)

    def read() -> list[NDArray[np.uint8]]:
        window = survey(image)[0]
        return [shown(frame, window) for frame in image.frames()]

    owner = image.elements.get("PatientID") or image.elements.get("StudyInstanceUID")
    return Slices(path, image.count, str(owner or path.parent), read)


def _of_nifti(path: Path) -> Slices:
    from reslift.media.nifti.volume import opened
    from reslift.media.nifti.write import survey

    volume = opened(path, DEFAULT)

    def read() -> list[NDArray[np.uint8]]:
        with volume.voxels(Path(gettempdir())) as stored:
            window = survey(volume, stored, None)
            return [shown(plane, window) for plane in volume.planes(stored)]

    return Slices(path, volume.extent().frames, str(path), read)


def shown(values: NDArray[Any], window: Window) -> NDArray[np.uint8]:
    """(h, w) or (h, w, 3) stored values → (h, w, 3) uint8 as the network sees them."""
    span = (window.high - window.low) or 1.0
    finite = np.nan_to_num(values.astype(np.float64), nan=window.low)
    levels = np.rint(((finite - window.low) / span).clip(0, 1) * LEVELS).astype(np.uint8)
    return levels if levels.ndim == 3 else np.repeat(levels[..., None], 3, 2)
