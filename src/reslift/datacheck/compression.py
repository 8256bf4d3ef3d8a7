"""How far JPEG has hurt a picture: from the tables of a JPEG file, and from the pixels of any.

A JPEG file says by what each frequency of its 8×8 blocks was divided. Where a JPEG was saved as
PNG the tables are gone, but the frequencies still lie on multiples of them, a comb (Fan and de
Queiroz 2003), as long as the pixels were not resized. The grid of blocks may begin anywhere: a crop
moves it, and it is looked for where steps between pixels are largest.

Not to be found: pictures resized or filtered after JPEG, and quality of about 95 and more, where
steps are as small as the rounding of pixels.
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from reslift.likeness.planes import Bytes, Plane, cosines

BASE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
"""The luma table of the JPEG standard (ITU-T T.81, annex K), quality 50 of libjpeg."""

ZIGZAG = np.array(
    sorted(range(64), key=lambda n: (s := n // 8 + n % 8, n // 8 if s % 2 else n % 8))
)
FREQUENCIES = [n for n in ZIGZAG[1:] if n // 8 + n % 8 <= 3]
MOST_BLOCKS = 500
LARGEST_STEP = 24.0
AWAY = ((4, 4), (0, 4), (4, 0))
FEWEST = 24
SURE, CLEAR = 0.45, 0.18
DIVISOR = 0.85
QUALITIES = np.arange(5, 97)
Table = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Comb:
    """Traces of JPEG in pixels.

    Attributes:
        quality: of libjpeg, about.
        grid: (down, right) of the first whole block.
        strength: how well the frequencies lie on multiples, 0 to 1.
    """

    quality: int
    grid: tuple[int, int]
    strength: float


def table_of(quality: float) -> Table:
    """The (8, 8) luma table that libjpeg uses at a quality of 1 to 100."""
    factor = 5000 // quality if quality < 50 else 200 - 2 * quality
    table: Table = np.clip((BASE * int(factor) + 50) // 100, 1, 255)
    return table


def file_quality(path: Path) -> int | None:
    """The quality whose luma table is nearest to that of a JPEG file; None for other files.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(1 << 18)
    if not head.startswith(b"\xff\xd8"):
        return None
    table = _luma_table(head)
    if table is None:
        return None
    wanted = np.stack([table_of(quality) for quality in range(1, 101)])
    return int(np.argmin(np.abs(np.log(wanted / table)).mean((1, 2)))) + 1


def find_comb(plane: Bytes) -> Comb | None:
    """Traces of an earlier JPEG in (H, W) luma at its full size; None where there are none."""
    if min(plane.shape) < 8 * 3:
        return None
    grid = _grid(plane)
    likely = dict.fromkeys([(0, 0), grid])
    scored = {place: _scores(_blocks(plane, place)) for place in likely}
    known = {place: scores for place, scores in scored.items() if scores is not None}
    if not known:
        return None
    best = max(known, key=lambda place: float(known[place].max()))
    scores = known[best]
    strength = float(scores.max())
    if strength < SURE:
        return None
    for away in AWAY:
        moved = _scores(_blocks(plane, ((best[0] + away[0]) % 8, (best[1] + away[1]) % 8)))
        if moved is None or strength - float(moved.max()) < CLEAR:
            return None
    quality = int(QUALITIES[np.flatnonzero(scores >= DIVISOR * strength)[0]])
    return Comb(quality, best, strength)


def _grid(plane: Bytes) -> tuple[int, int]:
    """Where blocks most likely begin: the steps between pixels are larger there."""
    values = plane.astype(np.float32)
    first = []
    for axis in (0, 1):
        step = np.minimum(np.abs(np.diff(values, axis=axis)), LARGEST_STEP).mean(1 - axis)
        excess = step[1:-1] - (step[:-2] + step[2:]) / 2
        phases = [float(np.median(excess[start::8])) for start in range(8)]
        first.append((int(np.argmax(phases)) + 2) % 8)
    return first[0], first[1]


def _luma_table(head: bytes) -> Table | None:
    """Table 0 of a JPEG header, (8, 8)."""
    at = 2
    while at + 4 <= len(head) and head[at] == 0xFF and head[at + 1] != 0xDA:
        if head[at + 1] == 0xFF:
            at += 1
            continue
        (length,) = struct.unpack(">H", head[at + 2 : at + 4])
        body = head[at + 4 : at + 2 + length]
        if head[at + 1] == 0xDB:
            while len(body) >= 65:
                wide = body[0] >> 4
                values = np.frombuffer(body[1 : 65 + 64 * wide], ">u2" if wide else "u1")
                if body[0] & 15 == 0 and len(values) == 64:
                    table = np.ones(64, np.int64)
                    table[ZIGZAG] = np.maximum(1, values)
                    return table.reshape(8, 8)
                body = body[65 + 64 * wide :]
        at += 2 + length
    return None


def _blocks(plane: Bytes, grid: tuple[int, int]) -> Plane:
    """(N, 64) frequencies of at most 500 blocks, spread over the picture, clipped ones left out."""
    rows, columns = ((size - first) // 8 for size, first in zip(plane.shape, grid, strict=True))
    cut = plane[grid[0] : grid[0] + rows * 8, grid[1] : grid[1] + columns * 8]
    blocks = cut.reshape(rows, 8, columns, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    step = max(1, len(blocks) // MOST_BLOCKS)
    blocks = blocks[::step][:MOST_BLOCKS]
    low, high = blocks.min((1, 2)), blocks.max((1, 2))
    blocks = blocks[(low > 0) & (high < 255) & (high > low)]
    matrix = cosines(8)
    spectrum = matrix @ (blocks.astype(np.float32) - 128) @ matrix.T
    return np.asarray(spectrum.reshape(len(spectrum), 64), np.float32)


@functools.cache
def _steps() -> npt.NDArray[np.int64]:
    """(len(QUALITIES), 64) tables."""
    return np.stack([table_of(int(quality)).ravel() for quality in QUALITIES])


def _scores(spectrum: Plane) -> npt.NDArray[np.float64] | None:
    """How well frequencies lie on the multiples of each quality's table, (len(QUALITIES),).

    The mean of ``cos(2π c / q)`` over values beyond ``q / 2``: 1 on a comb, at most about 0 else,
    since what is left of 0 is not counted.
    """
    sums, counts = np.zeros(len(QUALITIES)), np.zeros(len(QUALITIES))
    for frequency in FREQUENCIES:
        values = np.abs(spectrum[:, frequency])
        steps = _steps()[:, frequency]
        different, place = np.unique(steps, return_inverse=True)
        beyond = (values > different[:, None] / 2) & (different[:, None] > 1)
        waves = np.cos(
            2 * np.pi / different[:, None] * values, where=beyond, out=np.zeros(beyond.shape)
        )
        sums += waves.sum(1)[place]
        counts += beyond.sum(1)[place]
    if counts.max() < FEWEST * len(FREQUENCIES):
        return None
    enough = counts >= FEWEST
    return np.where(enough, sums / np.maximum(counts, 1), 0.0)
