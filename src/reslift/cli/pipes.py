"""`-` for standard input and output: through files in a temporary folder, byte by byte."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from reslift.cli.upscale_options import UpscaleOptions
from reslift.errors import InputError, OutputError, UsageError, one_line
from reslift.files import temporary_folder
from reslift.limits import Limits

PIPE = "-"
CHUNK = 2**20


@dataclass(frozen=True)
class Piped:
    """Options with files in place of pipes, and how those are called in messages."""

    options: UpscaleOptions
    standard_in: Path | None = None
    folder: Path | None = None

    def named(self, text: str) -> str:
        """`text` with the temporary file named as what it stands for."""
        if self.standard_in is None:
            return text
        return text.replace(one_line(self.standard_in), "standard input")

    def names(self, path: Path) -> str:
        """`path`, or - where it stands for a pipe."""
        piped = path == self.standard_in or (self.folder is not None and path.parent == self.folder)
        return PIPE if piped else str(path)

    def send(self) -> None:
        """What was made, if standard output was asked for, goes there."""
        if self.folder is None:
            return
        for path in self.folder.iterdir():
            with path.open("rb") as file:
                _copy(file, sys.stdout.buffer)


@contextmanager
def piped(options: UpscaleOptions) -> Iterator[Piped]:
    """Standard input is read to its end, where it is an input; where neither is, nothing is done.

    Raises:
        UsageError: a pipe together with other files, or a terminal in place of a pipe.
        LimitError: more is sent than an input file may have.
        OutputError: there is no temporary folder with room for it.
    """
    comes, goes = PIPE in options.inputs, options.out == PIPE
    if comes and options.out is None:
        goes = True
    if not (comes or goes):
        yield Piped(options)
        return
    if len(options.inputs) > 1:
        raise UsageError("- is one file: give it alone, without other inputs")
    if goes and sys.stdout.isatty():
        raise UsageError("standard output is a terminal: redirect it, or name a file with -o")
    if goes and getattr(sys.stdout, "name", None) == os.devnull:
        raise UsageError("standard output is closed: redirect it, or name a file with -o")
    if comes and (sys.stdin is None or sys.stdin.isatty()):
        raise UsageError("standard input is a terminal: send a picture to it, or name a file")
    if goes and (options.uncertainty or options.provenance_file):
        option = "--uncertainty" if options.uncertainty else "--provenance-file"
        raise UsageError(f"{option} writes beside the result: name a file with -o")
    with temporary_folder() as place:
        source, folder = place / "input", place / "result"
        folder.mkdir()
        if comes:
            _receive(source, options.limits())
            options = replace(options, inputs=[str(source)])
        elif not Path(options.inputs[0]).is_file():
            raise UsageError(f"-o -: {one_line(options.inputs[0])} is not one file")
        if goes:
            options = replace(options, out=f"{folder}/", quiet=True)
        yield Piped(options, source if comes else None, folder if goes else None)


def _receive(path: Path, limits: Limits) -> None:
    size = 0
    with path.open("wb") as file:
        for piece in _pieces():
            size += len(piece)
            limits.check("file_bytes", size, "standard input")
            file.write(piece)
    if not size:
        raise InputError("standard input is empty")


def _pieces() -> Iterator[bytes]:
    try:
        while piece := sys.stdin.buffer.read(CHUNK):
            yield piece
    except OSError as error:
        raise InputError(f"cannot read standard input: {one_line(error.strerror)}") from error


def _copy(file: BinaryIO, sink: BinaryIO) -> None:
    try:
        shutil.copyfileobj(file, sink, CHUNK)
        sink.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {one_line(error.strerror)}") from error
