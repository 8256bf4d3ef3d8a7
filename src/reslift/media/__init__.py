"""Files that hold more than one still picture: clips, series, rasters larger than memory.

    file ──► recognises (content) ──► peek (size, limits) ──► upscale (part by part) ──► file

What no medium recognises is a still picture and belongs to `formats`. A new medium is one file here
and one name in `MEDIA`.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from reslift.media.animation import Animation
from reslift.media.base import HEAD, Enlarger, Extent, Medium, Wishes
from reslift.media.dicom import Dicom
from reslift.media.geotiff import GeoTiff
from reslift.media.heeded import unheeded
from reslift.media.large_tiff import LargeTiff
from reslift.media.nifti import Nifti
from reslift.media.tiff_pages import TiffPages
from reslift.media.video import Video

__all__ = [
    "MEDIA",
    "Enlarger",
    "Extent",
    "Medium",
    "Wishes",
    "is_meant",
    "of",
    "suffixes",
    "unheeded",
]

MEDIA: dict[str, Medium] = {
    "animation": Animation(),
    "dicom": Dicom(),
    "nifti": Nifti(),
    "geotiff": GeoTiff(),
    "tiff-pages": TiffPages(),
    "large-tiff": LargeTiff(),
    "video": Video(),
}

INDEXES = {"DICOMDIR"}
"""Files that lie among others only to list them."""


def of(path: Path) -> Medium | None:
    """The medium of a file, by its content; None for still pictures and for what cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb") as file:
            head = os.read(file.fileno(), HEAD)
    except (OSError, ValueError):
        return None
    return next((medium for medium in MEDIA.values() if medium.recognises(path, head)), None)


def is_meant(path: Path) -> bool:
    """Whether a folder scan should take a file whose name does not say what it is."""
    medium = None if path.name in INDEXES else of(path)
    return medium is not None and medium.nameless


def suffixes() -> frozenset[str]:
    """Suffixes, lower case with their dot, of files that a folder scan should try to read."""
    return frozenset(
        suffix for medium in MEDIA.values() for suffix in (*medium.suffixes, *medium.reads)
    )
