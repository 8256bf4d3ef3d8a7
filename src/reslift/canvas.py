"""An array for a result that may be larger than memory."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from reslift.errors import OutputError, one_line

IN_MEMORY = 256 * 2**20
CHUNK = 2**20


@contextmanager
def canvas(
    shape: tuple[int, ...], dtype: DTypeLike, folder: Path, *, in_memory: int = IN_MEMORY
) -> Iterator[NDArray[Any]]:
    """A writable array of this shape, on a temporary file in `folder` if over `in_memory` bytes.

    The file has its whole size from the start, so that a full disk is an error here and not a
    crash on some later write. It is gone when the block is left, however it is left.

    Raises OutputError if the file cannot be made.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size <= in_memory:
        yield np.empty(shape, dtype)
        return
    with _temporary(folder, size) as file:
        array: NDArray[Any] = np.memmap(file, dtype=dtype, mode="r+", shape=shape)
        try:
            yield array
        finally:
            _unmap(array)


@contextmanager
def _temporary(folder: Path, size: int) -> Iterator[BinaryIO]:
    try:
        handle, name = tempfile.mkstemp(".part", ".reslift-", folder)
    except OSError as error:
        raise _cannot(folder, size, error) from error
    try:
        with os.fdopen(handle, "r+b") as file:
            # Where an open file may lose its name, nothing is left even after a SIGKILL.
            with contextlib.suppress(OSError):
                Path(name).unlink()
            try:
                _allocate(file, size)
            except OSError as error:
                raise _cannot(folder, size, error) from error
            yield file
    finally:
        with contextlib.suppress(OSError):
            Path(name).unlink()


def _allocate(file: BinaryIO, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        with contextlib.suppress(NotImplementedError):
            os.posix_fallocate(file.fileno(), 0, size)
            return
    zeros = bytes(CHUNK)
    for start in range(0, size, CHUNK):
        file.write(zeros[: size - start])
    file.flush()


def _unmap(array: NDArray[Any]) -> None:
    # Windows removes only what nothing maps any more; a view that someone kept keeps the map.
    with contextlib.suppress(AttributeError, BufferError):
        array._mmap.close()  # type: ignore[attr-defined]


def _cannot(folder: Path, size: int, error: OSError) -> OutputError:
    return OutputError(
        f"cannot make a temporary file of {size / 2**20:,.0f} MiB in {one_line(folder)}: "
        f"{error.strerror or repr(error)}; free some space or choose another place"
    )
