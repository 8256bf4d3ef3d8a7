"""Decoding in another process: GDCM ends the program that it runs in when pixels are damaged."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reslift.errors import InputError, LimitError, one_line
from reslift.limits import Limits

PLUGIN = "gdcm"
MOST_KEPT = 2**26
"""Bytes of the frames of one file that are kept, as starting that process takes a second."""
CALL = "import sys; from reslift.media.dicom.apart import decode; decode(sys.argv[1], sys.argv[2])"


Frames = list[NDArray[Any]]
_kept: dict[tuple[str, int, int], Frames] = {}


def frames_apart(path: Path, seconds: int) -> Iterator[NDArray[Any]]:
    """The frames of a DICOM file, decoded by GDCM in a process of its own; not to be written to.

    Those of the last file are kept where they are few, since an image is gone through several
    times.

    Raises:
        InputError: they cannot be decoded. LimitError: it takes longer than `seconds`.
    """
    state = path.stat()
    key = (str(path.absolute()), state.st_mtime_ns, state.st_size)
    if (known := _kept.get(key)) is not None:
        yield from known
        return
    frames: Frames = []
    size = 0
    for frame in _decoded(path, seconds):
        frame.flags.writeable = False
        size += frame.nbytes
        if size > MOST_KEPT:
            frames.clear()
        else:
            frames.append(frame)
        yield frame
    _kept.clear()
    if size <= MOST_KEPT:
        _kept[key] = frames


def _decoded(path: Path, seconds: int) -> Iterator[NDArray[Any]]:
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "frames"
        command = [sys.executable, "-c", CALL, str(path.absolute()), str(result)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired as error:
            raise LimitError(
                f"{one_line(path)}: decoding takes longer than the limit decode_seconds of "
                f"{seconds} seconds; raise it with {Limits.option('decode_seconds')}"
            ) from error
        if done.returncode:
            raise InputError(f"{one_line(path)}: its compressed pixel data cannot be decoded")
        with result.open("rb") as file:
            while file.read(1):
                file.seek(-1, 1)
                yield np.load(file, allow_pickle=False)


def decode(path: str, result: str) -> None:
    """Write the decoded frames one after the other; runs in the other process."""
    from pydicom.pixels.utils import iter_pixels

    with Path(result).open("wb") as file:
        for frame in iter_pixels(path, decoding_plugin=PLUGIN):
            np.save(file, frame, allow_pickle=False)
