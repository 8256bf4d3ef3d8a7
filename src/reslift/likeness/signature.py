"""What is kept of a picture so that its copies can be found: a thumbnail, a whole, spots.

    luma ─► thumbnail ─┬─► whole: 143 low frequencies, whitened      resized, recompressed,
                       │                                             flipped, turned copies
                       └─► spots: blobs, 160 bits a patch            crops

The whole is what perceptual hashes round to bits (Zauner 2010). Spots are extrema of differences
of Gaussians (Lowe 2004), upright; a patch of 8×8 samples, its size that of the blob, is rounded to
bits by random planes (Charikar 2002). Both forget brightness and contrast.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reslift.likeness.planes import Bytes, Plane, blurs, cosines, reduced, sample

THUMBNAIL = 160
LOW = 12
GRID = 32
BITS = 160
MOST_SPOTS = 64
SMALLEST_SPOTTED = 64
SIGMAS = tuple(1.2 * 2 ** (step / 3) for step in range(11))
CONTRAST = 1.0
EDGE = 12.0
SUPPORT = 6.0
PATCH = 8
HIGHEST = 6.0
Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Signature:
    """What a picture is recognised by.

    Attributes:
        thumbnail: (H, W) uint8 luma, longer side at most 160.
        whole: (143,) float32 of length 1; zeros where the picture is flat.
        spots: (N, 3) float32: down, right, size, in pixels of the thumbnail.
        codes: (N, 20) uint8, 160 bits a spot.
        mirrored: the codes of the same spots seen in a mirror.
    """

    thumbnail: Bytes
    whole: Plane
    spots: Plane
    codes: Codes
    mirrored: Codes


def sign(thumbnail: Bytes) -> Signature:
    """The signature of a picture, given as luma whose longer side is at most 160 pixels."""
    spots, codes, mirrored = _spots(thumbnail.astype(np.float32))
    return Signature(thumbnail, _whole(thumbnail), spots, codes, mirrored)


def turned(whole: Plane) -> Plane:
    """(N, 143) wholes of flipped and turned pictures: (8, N, 143), the first as they are.

    In the order of `turn`.
    """
    grid = np.zeros((len(whole), LOW * LOW), np.float32)
    grid[:, 1:] = whole
    square: Plane = grid.reshape(-1, LOW, LOW)
    odd = np.where(np.arange(LOW) % 2, -1, 1).astype(np.float32)
    answers = []
    for turn_number in range(8):
        one: Plane = square.transpose(0, 2, 1) if turn_number & 4 else square
        one = one * odd[:, None] if turn_number & 2 else one
        one = one * odd if turn_number & 1 else one
        answers.append(one.reshape(len(whole), -1)[:, 1:])
    return np.stack(answers)


def turn(plane: Bytes, number: int) -> Bytes:
    """One of eight: +4 transposed, then +2 top to bottom, then +1 left to right."""
    plane = plane.T if number & 4 else plane
    plane = plane[::-1] if number & 2 else plane
    return np.ascontiguousarray(plane[:, ::-1] if number & 1 else plane)


def _whole(thumbnail: Bytes) -> Plane:
    square = reduced(thumbnail, GRID, GRID).astype(np.float32)
    matrix = cosines(GRID)[:LOW]
    low = matrix @ square @ matrix.T
    frequency = np.hypot(np.arange(LOW)[:, None], np.arange(LOW))
    values = (low * frequency).ravel()[1:]
    length = float(np.linalg.norm(values))
    return np.asarray(values / length if length > GRID else 0 * values, np.float32)


def _spots(plane: Plane) -> tuple[Plane, Codes, Codes]:
    """The strongest blobs, and their patches as bits."""
    none = np.zeros((0, BITS // 8), np.uint8)
    if min(plane.shape) < SMALLEST_SPOTTED:
        return np.zeros((0, 3), np.float32), none, none
    levels = blurs(plane, SIGMAS)
    found = _extrema(levels)
    reach = found[:, 2] * SUPPORT
    inside = (found[:, 0] > reach * 0.6) & (found[:, 0] < plane.shape[0] - reach * 0.6)
    inside &= (found[:, 1] > reach * 0.6) & (found[:, 1] < plane.shape[1] - reach * 0.6)
    found = found[inside][:MOST_SPOTS]
    if not len(found):
        return found, none, none
    patches = _patches(levels, found)
    return found, _bits(patches), _bits(patches[:, :, ::-1])


def _extrema(levels: Plane) -> Plane:
    """(N, 3) down, right, size of extrema over space and scale, strongest first."""
    bands = np.diff(levels, axis=0)
    strength = np.abs(bands)
    middle = strength[1:-1, 1:-1, 1:-1]
    peak = middle > CONTRAST
    for i in range(3):
        for j in range(3):
            for k in range(3):
                if (i, j, k) != (1, 1, 1):
                    other = strength[
                        i : i + middle.shape[0],
                        j : j + middle.shape[1],
                        k : k + middle.shape[2],
                    ]
                    peak &= middle >= other
    at = np.argwhere(peak) + 1
    at = at[np.argsort(-strength[tuple(at.T)], kind="stable")][: 6 * MOST_SPOTS]
    level, row, column = at.T
    value = bands[level, row, column]
    up, down = bands[level, row - 1, column], bands[level, row + 1, column]
    left, right = bands[level, row, column - 1], bands[level, row, column + 1]
    vertical, horizontal = up + down - 2 * value, left + right - 2 * value
    corners = bands[level, row + 1, column + 1] + bands[level, row - 1, column - 1]
    corners -= bands[level, row + 1, column - 1] + bands[level, row - 1, column + 1]
    determinant = vertical * horizontal - corners**2 / 16
    round_enough = determinant * (EDGE + 1) ** 2 > (vertical + horizontal) ** 2 * EDGE
    finer, coarser = bands[level - 1, row, column], bands[level + 1, row, column]
    scale = level + _vertex(finer, value, coarser)
    size = SIGMAS[0] * 2 ** (scale / 3)
    places = np.stack(
        [row + _vertex(up, value, down), column + _vertex(left, value, right), size], axis=1
    )
    return np.asarray(places[round_enough & (determinant > 0)], np.float32)


def _vertex(before: Plane, value: Plane, after: Plane) -> Plane:
    """Where the parabola through three values has its vertex, within half a step."""
    bend = before + after - 2 * value
    shift = np.where(np.abs(bend) > 1e-6, (before - after) / (2 * np.where(bend, bend, 1)), 0)
    return np.clip(shift, -0.5, 0.5).astype(np.float32)


def _patches(levels: Plane, spots: Plane) -> Plane:
    """(N, 8, 8) samples around each spot, from the level blurred as its size wants."""
    steps = (np.arange(PATCH) + 0.5) / PATCH * 2 - 1
    reach = spots[:, 2, None] * SUPPORT
    down = (spots[:, 0, None] + steps * reach)[:, :, None].repeat(PATCH, 2)
    right = (spots[:, 1, None] + steps * reach)[:, None, :].repeat(PATCH, 1)
    wanted = np.clip(np.rint(3 * np.log2(spots[:, 2] / SIGMAS[0])), 0, len(SIGMAS) - 1)
    answer = np.zeros((len(spots), PATCH, PATCH), np.float32)
    for blurred in np.unique(wanted):
        of_level = wanted == blurred
        answer[of_level] = sample(levels[int(blurred)], down[of_level], right[of_level])
    return answer


def _bits(patches: Plane) -> Codes:
    """Signs of random sums of the patch's frequencies, of which the lowest count less.

    A blob is always bright or dark in its middle; what tells it from others is the rest.
    """
    matrix = cosines(PATCH)
    spectrum = matrix @ patches @ matrix.T
    frequency = np.hypot(np.arange(PATCH)[:, None], np.arange(PATCH))
    weighted = spectrum * np.where(frequency <= HIGHEST, frequency, 0)
    return np.packbits(weighted.reshape(len(patches), -1) @ _planes() > 0, axis=1)


@functools.cache
def _planes() -> Plane:
    draw = np.random.default_rng(20260101)
    return draw.standard_normal((PATCH * PATCH, BITS)).astype(np.float32)
