"""How far to trust each voxel of an enlarged volume: a second volume of the same place."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from reslift.errors import one_line

if TYPE_CHECKING:
    from reslift.uncertainty import Calibration

MARK = ".uncertainty"
NO_EXTENSIONS = bytes(4)


def beside(target: Path) -> Path:
    """The file of half-widths: ``scan-x4.nii.gz.uncertainty.nii.gz``."""
    ending = ".nii.gz" if target.name.lower().endswith(".gz") else ".nii"
    return target.with_name(target.name + MARK + ending)


def header_of(result: Any) -> Any:
    """The header of the map, from that of the enlarged volume: place, sides and spacings stay."""
    header = result.copy()
    header.set_data_dtype(np.float32)
    header["vox_offset"] = len(header.binaryblock) + len(NO_EXTENSIONS)
    header["scl_slope"], header["scl_inter"] = 1, 0
    header["cal_max"] = header["cal_min"] = 0
    header["descrip"] = b"half the width of 90 % intervals"
    return header


def slope_of(header: Any) -> float:
    """What one step of the stored values is in the units of the volume."""
    slope = abs(float(header["scl_slope"]))
    return slope if slope and math.isfinite(slope) else 1.0


def write(file: BinaryIO, header: Any, halves: NDArray[np.float32], slope: float) -> None:
    """Write half-widths (n, z, y, x) of stored values, times `slope`, as float32."""
    file.write(header.binaryblock + NO_EXTENSIONS)
    order = np.dtype(np.float32).newbyteorder(header.endianness)
    for part in halves:
        file.write((part * np.float32(slope)).astype(order).data)


def sentence(path: Path, calibration: Calibration) -> str:
    """What is said of the map."""
    return (
        f"90% intervals are in {one_line(path.name)}, in units of the values; they were calibrated "
        f"on pictures ({one_line(calibration.data)}), not on such volumes"
    )
