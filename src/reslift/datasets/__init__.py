"""Where pictures come from. To add one, write ``datasets/NAME.py``; name it in ``DATASETS``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reslift.datasets.base import ImageSet, Splits
from reslift.datasets.folder import load_folders
from reslift.recipe import DataPart

DATASETS: dict[str, Callable[[DataPart, Path, int], Splits]] = {
    "folder": load_folders,
}

__all__ = ["DATASETS", "ImageSet", "Splits"]
