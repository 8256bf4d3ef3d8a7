"""Decoding many small pictures once: in several processes, with a cache on the disk.

::

    files ── decode, middle square, resize ── (N, S, S, 3) uint8 ── cache file ── the next training

The cache is one ``.npy`` file a set, named by what it depends on: names, lengths and times of the
files, the size, and the version of this code. It lies in ``$RESLIFT_CACHE``, else in
``$XDG_CACHE_HOME/reslift`` or ``~/.cache/reslift``, and may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from reslift import formats
from reslift.datasets.base import ImageSet
from reslift.errors import InputError, OutputError, ResliftError, one_line
from reslift.files import atomic_write, cache_folder
from reslift.limits import FIXED
from reslift.machine import usable_cores
from reslift.recipe import DataPart

Pixels = npt.NDArray[np.uint8]
VERSION = 1
PARALLEL_FROM = 3000
CHUNK = 64


def decode(path: Path, side: int = 0) -> Pixels:
    """A picture file as (H, W, 3) uint8 RGB: alpha dropped, 16 bit rounded to 8, gray repeated.

    Args:
        path: the file.
        side: bring the middle square to this side, antialiased bilinear (Pillow's); 0 keeps all.

    Raises:
        InputError: the file cannot be read, or is CMYK, which has no exact RGB.
    """
    picture = formats.read(path, FIXED)
    pixels = np.asarray(picture.pixels)
    if picture.space == "cmyk":
        raise InputError(f"{one_line(path)}: CMYK pictures cannot be trained on; convert to RGB")
    if picture.alpha:
        pixels = pixels[..., :-1]
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return to_square(pixels, side) if side else pixels


def to_square(pixels: Pixels, side: int) -> Pixels:
    """The middle square of (H, W, 3) uint8 at (side, side, 3), antialiased bilinear."""
    height, width = pixels.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    square = np.ascontiguousarray(pixels[top : top + short, left : left + short])
    if short == side:
        return square
    resized = Image.fromarray(square).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def decoded(
    paths: list[Path], part: DataPart, labels: tuple[str, ...] | None = None, side: int = 0
) -> ImageSet:
    """Pictures of one size, decoded now or taken from the cache.

    Args:
        paths: the files.
        part: ``resize`` is the side, ``cache`` and ``workers`` say how.
        labels: a class a picture.
        side: where ``resize`` is 0: the side that all pictures have.

    A file that cannot be read, or that has another size where nothing is resized, fails when it is
    asked for, as it would in a set that is read picture by picture. Such a set is not cached.
    """
    names = tuple(map(str, paths))
    place = _cache_file(paths, part.resize, side) if part.cache else None
    pixels = _load(place, len(paths), part.resize or side) if place else None
    problems: dict[int, str] = {}
    if pixels is None:
        pixels, problems = decode_all(paths, part.resize, part.resize or side, part.workers)
        if place and not problems:
            _store(place, pixels)
    planes = torch.from_numpy(pixels).permute(0, 3, 1, 2)

    def load(number: int) -> Tensor:
        if number in problems:
            raise InputError(problems[number])
        return planes[number].contiguous()

    return ImageSet(names, load, labels)


def decode_all(
    paths: list[Path], resize: int, side: int, workers: int = 0
) -> tuple[Pixels, dict[int, str]]:
    """Decode files into (N, side, side, 3), in several processes where they are many.

    Returns:
        The pixels, and by number why a picture is missing (its pixels are 0).
    """
    pixels = np.zeros((len(paths), side, side, 3), np.uint8)
    problems: dict[int, str] = {}
    jobs = [(path, resize) for path in paths]
    with _results(jobs, workers) as results:
        for number, answer in enumerate(_shown(results, len(paths))):
            if isinstance(answer, str):
                problems[number] = answer
            elif answer.shape != pixels.shape[1:]:
                size = f"{answer.shape[1]}x{answer.shape[0]}"
                problems[number] = f"{one_line(paths[number])}: {size}, wanted {side}x{side}"
            else:
                pixels[number] = answer
    return pixels, problems


def _attempt(job: tuple[Path, int]) -> Pixels | str:
    try:
        return decode(*job)
    except ResliftError as error:
        return one_line(error)


@contextlib.contextmanager
def _results(jobs: list[tuple[Path, int]], workers: int) -> Iterator[Iterable[Pixels | str]]:
    count = workers or (usable_cores() if len(jobs) >= PARALLEL_FROM else 1)
    if count == 1:
        yield map(_attempt, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(count, len(jobs)), mp_context=context) as pool:
        yield pool.map(_attempt, jobs, chunksize=CHUNK)


def _shown(results: Iterable[Any], total: int) -> Iterable[Any]:
    """The results with a progress bar beside them, on a terminal."""
    if not sys.stderr.isatty():
        return results
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(results, "reading pictures", total, console=console, transient=True)


def _cache_file(paths: list[Path], resize: int, side: int) -> Path | None:
    """The file that stands for this content; None where a file is gone."""
    try:
        facts = [(str(p.resolve()), (s := p.stat()).st_size, s.st_mtime_ns) for p in paths]
    except OSError:
        return None
    key = hashlib.sha256(json.dumps([VERSION, resize, side, facts]).encode()).hexdigest()
    return cache_folder() / f"pictures-{key[:32]}.npy"


def _load(place: Path, count: int, side: int) -> Pixels | None:
    try:
        pixels: Pixels = np.load(place, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = pixels.dtype == np.uint8 and pixels.shape == (count, side, side, 3)
    return pixels if fits else None


def _store(place: Path, pixels: Pixels) -> None:
    """Keep the pixels; a disk that is full or read-only only means decoding again next time."""
    with contextlib.suppress(OSError, OutputError):
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(place, overwrite=True) as temporary:
            np.save(temporary, pixels, allow_pickle=False)
