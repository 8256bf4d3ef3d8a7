"""A NIfTI file: its header, where its voxels lie, and its slices.

Voxels lie in the file with the first index fastest; here the array is (n, z, y, x), n being all
further dimensions together.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reslift.canvas import canvas
from reslift.errors import InputError, ResliftError, one_line
from reslift.limits import Limits
from reslift.media.base import Extent
from reslift.media.nifti import pair

MISSING = 'nibabel is not installed: python -m pip install "reslift[medical]"'
DTYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}
RGB = 128
NAMES = {1: "bits", 32: "complex64", 1024: "int64", 1280: "uint64", 1536: "float128"}
NAMES |= {1792: "complex128", 2048: "complex256", 2304: "RGBA"}
NOT_INTENSITIES = {*range(1002, 1011), *range(2002, 2005), *range(2006, 2010), 2016, 2017}
NOT_INTENSITIES |= {*range(3000, 3100)}
"""Labels to quaternions, lists of nodes and colours, FSL's warps and their coefficients, CIFTI."""
TIMES = ("slice_start", "slice_end", "slice_code", "slice_duration")
NEARLY = 1.01
CHUNK = 2**20
NO_EXTENSION = b"\0\0\0\0"
MOST_TRAILING = 64
NIFTI_1 = {struct.pack(f"{order}i", 348) for order in "<>"}


@dataclass(frozen=True)
class Volume:
    """A NIfTI file that can be enlarged.

    Attributes:
        header: of nibabel, in the byte order of the file, as it is where all is one file.
        prefix: what lies between header and voxels: extensions.
        axis: voxel axis across which the slices lie, 0 to 2.
        place: the file in which the voxels lie, and where they begin in it.
        packed: that whole file is compressed.
    """

    path: Path
    header: Any
    prefix: bytes
    axis: int
    place: tuple[Path, int]
    packed: bool

    @property
    def sides(self) -> tuple[int, int, int]:
        """Voxels along x, y, z."""
        dim = [int(n) for n in self.header["dim"]]
        x, y, z = (dim[i] if i <= dim[0] else 1 for i in (1, 2, 3))
        return x, y, z

    @property
    def others(self) -> int:
        """Volumes in the file: times, directions."""
        dim = [int(n) for n in self.header["dim"]]
        return math.prod(dim[4 : dim[0] + 1])

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, z, y, x), and 3 for colours."""
        x, y, z = self.sides
        return (self.others, z, y, x, 3) if self.in_colour else (self.others, z, y, x)

    @property
    def in_colour(self) -> bool:
        return int(self.header["datatype"]) == RGB

    @property
    def dtype(self) -> np.dtype[Any]:
        code = "u1" if self.in_colour else DTYPES[int(self.header["datatype"])]
        return np.dtype(code).newbyteorder(self.header.endianness)

    @property
    def in_plane(self) -> tuple[int, int]:
        """The axes along the rows and along the columns of a slice."""
        across, down = (axis for axis in range(3) if axis != self.axis)
        return across, down

    @property
    def named(self) -> int:
        """The axis that is said to be that of the slices of the scan; -1 where none is."""
        return (int(self.header["dim_info"]) >> 4 & 3) - 1

    @property
    def loses_times(self) -> bool:
        """Whether it says when each slice was taken, and enlarged has others in their place."""
        told = any(float(self.header[field]) for field in TIMES)
        return told and self.named in self.in_plane

    def extent(self) -> Extent:
        """Of the slices in their plane."""
        across, down = (self.sides[axis] for axis in self.in_plane)
        return Extent(across, down, self.sides[self.axis] * self.others)

    def planes(self, voxels: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """Views on the slices of an array of `shape`, or of a larger one of the same order."""
        across = np.moveaxis(voxels, 3 - self.axis, 1)
        for volume in across:
            yield from volume

    @contextmanager
    def voxels(self, folder: Path) -> Iterator[NDArray[Any]]:
        """The array (n, z, y, x[, 3]) as stored; `folder` takes what is unpacked and large.

        Raises InputError where the file is cut off or its compression is damaged.
        """
        size = math.prod(self.shape) * self.dtype.itemsize
        path, start = self.place
        if not self.packed:
            if path.stat().st_size < start + size:
                raise self._cut_off()
            yield np.memmap(path, self.dtype, "r", start, self.shape)
            return
        with canvas((size,), np.uint8, folder) as stored:
            with damage_named(path), gzip.open(path, "rb") as file:
                file.seek(start)
                if not _fill(file, stored):
                    raise self._cut_off()
            yield stored.view(self.dtype).reshape(self.shape)

    def _cut_off(self) -> InputError:
        return InputError(f"{one_line(self.place[0])}: the file ends before its voxels do")


def opened(path: Path, limits: Limits, axis: int | None = None) -> Volume:
    """A NIfTI file whose voxels can be enlarged, from its header.

    Args:
        axis: across which the slices lie; None is the one with the largest spacing.

    Raises:
        InputError: damaged, or no intensities. LimitError: too large. Both name the file.
    """
    if find_spec("nibabel") is None:
        raise InputError(f"{one_line(path)}: {MISSING}")
    with damage_named(path):
        limits.check("file_bytes", path.stat().st_size, one_line(path))
        if (beside := pair.header_of(path)) and not _is_header(path):
            raise InputError(f"{one_line(path)}: its header is {one_line(beside.name)}; give that")
        with gzip.open(path, "rb") if _is_packed(path) else path.open("rb") as file:
            header, prefix, place = _header(path, file, limits)
        _settle_spacing(header)
        _refuse(path, header)
        volume = Volume(path, header, prefix, 0, place, _is_packed(place[0]))
        volume = replace(volume, axis=_coarsest(volume) if axis is None else axis)
    if min(volume.sides) < 1 or volume.others < 1:
        raise InputError(f"{one_line(path)}: its header names sides that cannot be")
    size = math.prod(volume.shape) * volume.dtype.itemsize
    limits.check("file_bytes", size, f"{one_line(path)} unpacked")
    extent = volume.extent()
    limits.check("input_pixels", extent.width * extent.height, one_line(path))
    return volume


def _settle_spacing(header: Any) -> None:
    """Spacings as the standard and other readers take those that should not be there.

    A sign of 0 in front of them is a plus; they themselves have none, and 0 or no number is 1.
    """
    steps = np.abs(header["pixdim"][1:4])
    header["pixdim"][0] = -1 if header["pixdim"][0] < 0 else 1
    header["pixdim"][1:4] = np.where(np.isfinite(steps) & (steps > 0), steps, 1)


def _is_header(path: Path) -> bool:
    with path.open("rb") as file:
        return pair.is_header(file.read(pair.HEAD))


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(pair.GZIP)) == pair.GZIP


def _header(path: Path, file: Any, limits: Limits) -> tuple[Any, bytes, tuple[Path, int]]:
    """Header and extensions as of one file, and where the voxels lie."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    first = file.read(4)
    kind: Any = Nifti1Header if first in NIFTI_1 else Nifti2Header
    length = kind.template_dtype.itemsize
    block = first + file.read(length - 4)
    header = kind(binaryblock=block, check=False)
    start = float(header["vox_offset"])
    if bytes(header["magic"].tobytes())[:2] == b"ni":
        return _of_two(path, file, header, limits)
    if not length <= start == int(start):
        start = length + 4
        header["vox_offset"] = start
    limits.check("file_bytes", start, f"{one_line(path)} header")
    prefix = file.read(int(start) - length)
    if len(prefix) < int(start) - length:
        raise InputError(f"{one_line(path)}: the file ends before its voxels do")
    return header, prefix, (path, int(start))


def _of_two(
    path: Path, file: Any, header: Any, limits: Limits
) -> tuple[Any, bytes, tuple[Path, int]]:
    """The same where the voxels lie in a second file; `file` is behind the header."""
    voxels = pair.voxels_of(path)
    if voxels is None or not voxels.is_file():
        wanted = one_line(voxels.name if voxels else f"{path.name} renamed to .hdr, and .img")
        raise InputError(
            f"{one_line(path)}: the header of a volume in two files; its voxels are not beside it, "
            f"in {wanted}"
        )
    limits.check("file_bytes", voxels.stat().st_size, one_line(voxels))
    prefix = b""
    while piece := file.read(CHUNK):
        prefix += piece
        limits.check("file_bytes", len(prefix), f"{one_line(path)} header")
    prefix = prefix if len(prefix) > len(NO_EXTENSION) else NO_EXTENSION
    start = float(header["vox_offset"])
    start = start if 0 <= start == int(start) else 0
    header["magic"] = bytes(header["magic"].tobytes()).replace(b"ni", b"n+", 1)
    header["vox_offset"] = header.template_dtype.itemsize + len(prefix)
    return header, prefix, (voxels, int(start))


def _refuse(path: Path, header: Any) -> None:
    code, intent = int(header["datatype"]), int(header["intent_code"])
    if not 2 <= int(header["dim"][0]) <= 7:
        raise InputError(f"{one_line(path)}: {int(header['dim'][0])} dimensions; 2 to 7 are read")
    if code not in DTYPES and code != RGB:
        raise InputError(
            f"{one_line(path)}: its voxel type {NAMES.get(code, code)} is not enlarged; whole "
            "numbers of 8 to 32 bits, floats of 32 and 64 and RGB are"
        )
    if intent in NOT_INTENSITIES:
        raise InputError(
            f"{one_line(path)}: it holds labels, matrices, vectors or points of surfaces (intent "
            f"{intent}), not intensities"
        )


def _coarsest(volume: Volume) -> int:
    """The axis with the largest spacing; among equals the one named as slices, else the last."""
    if 1 in volume.sides:
        return max(axis for axis in range(3) if volume.sides[axis] == 1)
    spacing = [abs(float(step)) for step in volume.header["pixdim"][1:4]]
    most = max(spacing)
    equal = [axis for axis in range(3) if not spacing[axis] * NEARLY < most]
    return volume.named if volume.named in equal else max(equal, default=2)


def _fill(file: Any, stored: NDArray[Any]) -> bool:
    at = 0
    while at < stored.size:
        piece = file.read(min(CHUNK, stored.size - at))
        if not piece:
            return False
        stored[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
        at += len(piece)
    # The sum over the unpacked bytes is only looked at when the end is read.
    for _ in range(MOST_TRAILING):
        if not file.read(CHUNK):
            break
    return True


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn whatever the readers raise into one InputError that names the file."""
    try:
        yield
    except ResliftError:
        raise
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{one_line(path)}: its compression is damaged or cut off") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{one_line(path)}: cannot be read: {reason}") from error
    except Exception as error:
        raise InputError(
            f"{one_line(path)}: this NIfTI file is damaged or unusual ({type(error).__name__})"
        ) from error
