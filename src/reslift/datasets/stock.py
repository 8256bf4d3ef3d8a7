"""The pictures of a training as they are drawn from: HR, smaller copies and LR, all in 8 bits.

All HR pictures lie one behind the other in one uint8 tensor (pixels, 3), all LR ones in another.
Making them takes minutes for a hundred megapixels, so that a run keeps them beside its state until
it is done (`kept_stock`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reslift.datasets.base import ImageSet
from reslift.degradations import Degradation
from reslift.errors import InputError, OutputError, ResliftError, one_line
from reslift.files import atomic_write
from reslift.machine import usable_cores
from reslift.pixels.resize import imresize

ROOM, GROWTH = 2**20, 1.2
SLOW, SPARE = 30.0, 3
"""Seconds of work that are worth a file; how many such the disk should have room for."""
KEY, FACTS = "key", "facts"
MOST_AHEAD = 8
"""Threads that are started unasked: a collage in the making takes over 100 MB."""


@dataclass(frozen=True)
class Shelf:
    """Where an image starts in the LR tensor and in the HR tensor, its LR size and HR row length.

    One image has a shelf for each of its sampling grids, which share the HR pixels.
    """

    lr_start: int
    hr_start: int
    height: int
    width: int
    hr_width: int


@dataclass
class Stock:
    """What there is to draw from.

    Attributes:
        scale: of LR.
        grids: sampling grids a picture.
        lr, hr: (pixels, 3) uint8.
        shelves: where each picture lies, grid by grid.
        groups: numbers of the first shelves of pictures, and of copies of each size.
        numbers: of the pictures that could be read. unreadable: a line for each other one.
        names: of those that could be read.
        pixels: of HR, without copies.
    """

    scale: int
    grids: int
    lr: Tensor
    hr: Tensor
    shelves: list[Shelf]
    groups: list[list[int]]
    numbers: list[int]
    names: list[str]
    unreadable: list[str]
    pixels: int

    def to(self, device: torch.device) -> Stock:
        """The pixels on a device, in place."""
        self.lr, self.hr = self.lr.to(device), self.hr.to(device)
        return self

    def save(self, path: Path, key: str) -> None:
        """Keep all of it in a file; `key` says what it was made of.

        Raises:
            OutputError: it cannot be written.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        tensors = {"lr": self.lr.cpu(), "hr": self.hr.cpu()}
        tensors["shelves"] = torch.tensor([astuple(shelf) for shelf in self.shelves])
        left = {*tensors, "names"}
        facts = {name: value for name, value in vars(self).items() if name not in left}
        try:
            with atomic_write(path, overwrite=True) as temporary:
                save_file(tensors, temporary, {KEY: key, FACTS: json.dumps(facts)})
        except (OSError, SafetensorError) as error:
            raise OutputError(f"cannot write {one_line(path)}: {one_line(error)}") from error


def load_stock(path: Path, key: str, names: Sequence[str]) -> Stock | None:
    """What `save` kept under this key, on the CPU; None where that is nothing, or damaged.

    The pixels stay on the disk until they are drawn, and the system lets processes share them.
    `names` are those of the pictures it was made of, which may have moved since.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            if about.get(KEY) != key:
                return None
            facts = json.loads(about[FACTS])
            shelves = [Shelf(*row) for row in file.get_tensor("shelves").tolist()]
            pixels = {side: file.get_tensor(side) for side in ("lr", "hr")}
            if os.name == "nt":  # where a file in use cannot be removed
                pixels = {side: values.clone() for side, values in pixels.items()}
            read = [names[number] for number in facts["numbers"]]
            return Stock(**pixels, shelves=shelves, names=read, **facts)
    except (OSError, SafetensorError, ValueError, LookupError, TypeError):
        return None


def kept_stock(
    path: Path,
    about: str,
    images: ImageSet,
    degradation: Degradation,
    device: torch.device,
    *,
    shifts: int = 1,
    copies: Sequence[float] = (),
    workers: int = 0,
    note: Callable[[str], None] | None = None,
) -> Stock:
    """What `path` keeps, or else `stock_up`, kept there where that took long and there is room.

    Args:
        path: the file.
        about: what decides what is made, the pictures among it.
        workers: threads that read and draw pictures ahead; 0 chooses.
        note: is told of the file; None makes none.

    Raises:
        InputError: as `stock_up`.
    """
    key = hashlib.sha256(about.encode()).hexdigest()
    kept = load_stock(path, key, images.names)
    if kept is not None:
        return kept.to(device)
    begun = time.monotonic()
    stock = stock_up(images, degradation, device, shifts=shifts, copies=copies, workers=workers)
    if note is None or time.monotonic() - begun <= SLOW:
        return stock
    size = stock.lr.numel() + stock.hr.numel()
    with contextlib.suppress(OSError, OutputError):
        if shutil.disk_usage(path.parent).free < SPARE * size:
            return stock
        stock.save(path, key)
        note(
            f"the pictures, made ready, are kept for --resume until the training is done: "
            f"{one_line(path)}, {size / 2**20:,.0f} MiB"
        )
    return stock


def stock_up(
    images: ImageSet,
    degradation: Degradation,
    device: torch.device,
    *,
    shifts: int = 1,
    copies: Sequence[float] = (),
    workers: int = 0,
) -> Stock:
    """Decode pictures, shrink copies of them, and make LR of all.

    Args:
        images: training pictures.
        degradation: makes LR from whole HR pictures, once.
        device: where it does so, and where the pixels are at the end.
        shifts: sampling grids of LR, of the scale² there are; 1 is that of whole pictures.
        copies: sizes of shrunk copies, as shares of the side.
        workers: threads that read and draw pictures ahead, which changes no pixel; 0 chooses.

    Raises:
        InputError: no picture could be read, or there are not so many grids.
    """
    scale = degradation.scale
    places = grids(scale, shifts)
    lows, highs, shelves = _Pile(), _Pile(), list[Shelf]()
    groups: list[list[int]] = [[] for _ in range(1 + len(copies))]
    numbers, unreadable, pixels = list[int](), list[str](), 0

    def shelve(hr: Tensor, group: int) -> None:
        """Copies that the grids do not fit stay out; pictures themselves have the first always."""
        height, width = hr.shape[2:]
        if group and min(height, width) < 2 * scale:
            return
        groups[group].append(len(shelves))
        start = highs.add(hr[0])
        for down, right in places:
            moved = hr[..., min(down, height - scale) :, min(right, width - scale) :]
            lr = degradation(crop_to_multiple(moved, scale))
            corner = start + (height - moved.shape[2]) * width + width - moved.shape[3]
            shelves.append(Shelf(lows.add(lr[0]), corner, lr.shape[2], lr.shape[3], width))

    for number, picture in enumerate(_ahead(images, workers)):
        try:
            if isinstance(picture, ResliftError):
                raise picture
            hr = crop_to_multiple(picture[None].to(device), scale, images.names[number])
        except ResliftError as error:
            unreadable.append(one_line(error))
            continue
        numbers.append(number)
        pixels += hr[0, 0].numel()
        shelve(hr, 0)
        for group, share in enumerate(copies, 1):
            shelve(shrunk(hr, share), group)
    if not shelves:
        raise InputError("no training picture could be read: " + "; ".join(unreadable[:3]))
    low, high = lows.tensor(), highs.tensor()
    names = [images.names[number] for number in numbers]
    stock = Stock(
        scale, len(places), low, high, shelves, groups, numbers, names, unreadable, pixels
    )
    return stock.to(device)


def _ahead(images: ImageSet, workers: int) -> Iterator[Tensor | ResliftError]:
    """The pictures in their order, or why one cannot be read; as many as `workers` wait at most."""

    def load(number: int) -> Tensor | ResliftError:
        try:
            return images.load(number)
        except ResliftError as error:
            return error

    workers = workers or min(MOST_AHEAD, usable_cores())
    if workers == 1:
        yield from map(load, range(len(images)))
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting = deque(pool.submit(load, number) for number in range(min(workers, len(images))))
        try:
            for number in range(len(images)):
                picture = waiting.popleft().result()
                if number + workers < len(images):
                    waiting.append(pool.submit(load, number + workers))
                yield picture
        finally:
            pool.shutdown(cancel_futures=True)


class _Pile:
    """Pixels one behind the other, in memory that grows without a second copy of them."""

    def __init__(self) -> None:
        self._room: NDArray[np.uint8] = np.empty((ROOM, 3), np.uint8)
        self._size = 0

    def add(self, picture: Tensor) -> int:
        """Put (3, H, W) uint8 at the end; where it starts."""
        start, rows = self._size, picture.cpu().permute(1, 2, 0).reshape(-1, 3).numpy()
        self._size += len(rows)
        if self._size > len(self._room):
            self._fit(max(self._size, int(len(self._room) * GROWTH)))
        self._room[start : self._size] = rows
        return start

    def tensor(self) -> Tensor:
        """All of them, (pixels, 3); nothing can be added after."""
        self._fit(self._size)
        return torch.from_numpy(self._room)

    def _fit(self, length: int) -> None:
        self._room.resize((length, 3), refcheck=False)


def grids(scale: int, count: int) -> list[tuple[int, int]]:
    """``count`` sampling grids, HR pixels down and right of the first, well spread.

    Raises:
        InputError: there are not so many.
    """
    if not 1 <= count <= scale * scale:
        raise InputError(f"data.shifts is {count}: at scale {scale} it is 1 to {scale * scale}")
    every = [(down, right) for down in range(scale) for right in range(scale)]
    every.sort(key=lambda at: ((at[0] - at[1]) % scale, at))
    return every[:count]


def shrunk(hr: Tensor, share: float) -> Tensor:
    """A smaller copy of 8-bit images (B, C, H, W), antialiased bicubic, rounded."""
    sides = [max(1, round(side * share)) for side in hr.shape[2:]]
    return imresize(hr.float(), *sides).round_().clamp_(0, 255).to(torch.uint8)


def crop_to_multiple(hr: Tensor, scale: int, name: str = "a picture") -> Tensor:
    """(B, C, H, W) without the right and bottom rest that ``scale`` does not divide.

    Raises:
        InputError: nothing is left.
    """
    height, width = hr.shape[2] // scale * scale, hr.shape[3] // scale * scale
    if not height or not width:
        size = f"{hr.shape[3]}x{hr.shape[2]}"
        raise InputError(f"{one_line(name)}: {size} is too small for scale {scale}")
    return hr[..., :height, :width]
