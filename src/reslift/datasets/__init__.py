"""Where pictures come from. To add one, write ``datasets/NAME.py``; name it in ``DATASETS``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reslift.datasets.base import ImageSet, Splits
from reslift.datasets.cifar10 import load_cifar10
from reslift.datasets.div2k import load_div2k
from reslift.datasets.folder import load_folders
from reslift.datasets.lfw import load_lfw
from reslift.datasets.medical import load_medical
from reslift.recipe import DataPart

DATASETS: dict[str, Callable[[DataPart, Path, int], Splits]] = {
    "folder": load_folders,
    "cifar10": load_cifar10,
    "lfw": load_lfw,
    "div2k": load_div2k,
    "medical": load_medical,
}

__all__ = ["DATASETS", "ImageSet", "Splits"]
