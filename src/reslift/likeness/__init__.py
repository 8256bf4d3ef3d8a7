"""Copies of pictures: resized, recompressed, brightened, flipped, turned or cropped ones.

    signatures ─► candidates (wholes, spots) ─► laid on each other, compared ─► Alike

A candidate is believed only when detail agrees where both lie; what has no detail, a plain sky or a
gradient, is never called a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reslift.likeness.align import Likeness, compare
from reslift.likeness.candidates import Candidate, by_spots, by_wholes
from reslift.likeness.planes import colours, luma, within
from reslift.likeness.signature import THUMBNAIL, Signature, sign, turn

__all__ = [
    "DETAIL",
    "THUMBNAIL",
    "Alike",
    "Likeness",
    "Signature",
    "find_alike",
    "least_detail",
    "colours",
    "luma",
    "sign",
    "within",
]

DETAIL = 0.7
OVERLAP = 0.3
MOST_A_PICTURE = 20
MOST_OF_FEW, MOST_OF_MANY = 40_000, 4
PATIENCE = 4_000
LARGE, SMALL, SURE = 64.0, 32.0, 0.9
SAME_BORDERS, SAME_SHAPE = 1 / 64, 0.03
HELD, CROPPED, STRETCHED, FRAMED, ALL = 0.014, 0.6, 0.85, 0.7, 0.99
TURNS = (
    "",
    "mirrored",
    "upside down and mirrored",
    "turned by 180°",
    "transposed",
    "turned by 90°",
    "turned by 90°",
    "transposed",
)


@dataclass(frozen=True)
class Alike:
    """Two pictures that are one.

    Attributes:
        one, other: their numbers, the lower first.
        likeness: how well they agree.
        turn: how other lies, in words; empty where upright.
    """

    one: int
    other: int
    likeness: Likeness
    turn: str = ""


def find_alike(
    signatures: Sequence[Signature], sides: Sequence[int] | None = None, *, across: bool = False
) -> list[Alike]:
    """All pairs of pictures that show the same, in the order of their numbers.

    At most 20 candidates a picture (4 of many pictures), the likeliest first, are compared in each
    of the two ways, until 4,000 in a row, some 20 seconds of work, were none.

    Args:
        signatures: one a picture.
        sides: the split of each picture.
        across: only pairs of different splits.
    """
    if len(signatures) < 2:
        return []
    splits = np.zeros(len(signatures), np.int64) if sides is None else np.asarray(sides)
    found: dict[tuple[int, int], Alike] = {}
    refused: set[tuple[int, int, int]] = set()
    most = most_candidates(len(signatures))
    for source in (by_wholes, by_spots):
        missed = 0
        for candidate in source(signatures, splits, across, most):
            if missed == PATIENCE:
                break
            pair = (candidate.one, candidate.other)
            key = (*pair, candidate.turn)
            if pair in found or (source is by_wholes and key in refused):
                continue
            alike = _judged(signatures, candidate)
            missed += 1
            if alike is None:
                refused.add(key)
            else:
                found[pair], missed = alike, 0
    return [found[pair] for pair in sorted(found)]


def _judged(signatures: Sequence[Signature], candidate: Candidate) -> Alike | None:
    one = signatures[candidate.one].thumbnail
    other = turn(signatures[candidate.other].thumbnail, candidate.turn)
    likeness = compare(one, other, candidate.place)
    if likeness is None or not is_copy(likeness):
        return None
    return Alike(candidate.one, candidate.other, likeness, TURNS[candidate.turn])


def is_copy(likeness: Likeness) -> bool:
    """Whether two pictures that agree like this are one.

    Any straight edge can be moved and stretched on any other. What lies on each other border on
    border was not moved, but has to agree beside the edges too, or all but wholly, since frames are
    alike around any pictures; else detail has to fit at one place only and to agree beside the
    edges, the more where a cut would have to be stretched as well.
    """
    if likeness.overlap < OVERLAP or likeness.detail < least_detail(likeness.side):
        return False
    if likeness.apart <= SAME_BORDERS * likeness.side:
        return likeness.everywhere >= FRAMED or likeness.detail >= ALL
    least = CROPPED if likeness.stretched <= SAME_SHAPE else STRETCHED
    return likeness.held >= HELD and likeness.everywhere >= least


def most_candidates(count: int) -> int:
    """How many pairs of `count` pictures are looked at in one way."""
    return min(MOST_A_PICTURE * count, MOST_OF_FEW + MOST_OF_MANY * count)


def least_detail(side: float) -> float:
    """What detail has to correlate by where two pictures share side × side pixels.

    0.7 from 64 pixels on; in 32 pixels, laid on each other as well as can be, chance reaches 0.8.
    """
    small = min(1.0, max(0.0, (LARGE - side) / (LARGE - SMALL)))
    return DETAIL + (SURE - DETAIL) * small
