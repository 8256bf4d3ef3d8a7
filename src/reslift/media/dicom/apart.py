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
CALL = "import sys; from reslift.media.dicom.apart import decode; decode(sys.argv[1], sys.argv[2])"


def frames_apart(path: Path, seconds: int) -> Iterator[NDArray[Any]]:
    """The frames of a DICOM file, decoded by GDCM in a process of its own.

    Raises:
        InputError: they cannot be decoded. LimitError: it takes longer than `seconds`.
    """
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
