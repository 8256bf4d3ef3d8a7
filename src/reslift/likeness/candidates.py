"""Which of many pictures may be copies of each other, without comparing all of them in detail.

wholes   one matrix product a turn: 143 numbers a picture, 10,000 pictures in seconds
spots    sorted by 20 of their 160 bits, eight times; equal keys are neighbours (Indyk and
         Motwani 1998), and three that agree on a place make a candidate
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reslift.likeness.align import Place
from reslift.likeness.signature import Signature, turn, turned

ALIKE = 0.6
TABLES, KEY_BITS = 8, 20
MOST_BITS = 34
MOST_LAG = 48
FEWEST = 3
NEAR = 0.04
BLOCK = 2048
SCALE_STEP = 1.3
FEW_TURNS_FROM = 20_000
HELD, MOST_MATCHES = 4, 512
POPCOUNT = np.array([number.bit_count() for number in range(1 << 16)], np.uint8)
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Candidate:
    """Two pictures that may be one.

    Attributes:
        one, other: their numbers, the lower first.
        turn: how other has to be turned first, as `turn` numbers it.
        place: of one in the turned other, in pixels of their thumbnails.
    """

    one: int
    other: int
    turn: int
    place: Place


def by_wholes(
    signatures: Sequence[Signature], sides: Ints, across: bool, most: int
) -> Iterator[Candidate]:
    """Pairs whose low frequencies correlate by 0.6 and more, the most alike first.

    Beyond 20,000 pictures only upright and mirrored copies are looked for.

    Args:
        signatures: one a picture.
        sides: (N,) the split of each.
        across: only pairs of different splits.
        most: pairs that are looked at, and held in memory.
    """
    wholes = np.stack([one.whole for one in signatures])
    count, found = len(wholes), []
    for number, others in enumerate(turned(wholes)):
        if count > FEW_TURNS_FROM and number > 1:
            break
        for start in range(0, count, BLOCK):
            rest = others[start:]
            alike = wholes[start : start + BLOCK] @ rest.T
            rows, columns = np.nonzero(alike > ALIKE)
            later = columns > rows
            rows, columns = rows[later], columns[later]
            if across:
                apart = sides[rows + start] != sides[columns + start]
                rows, columns = rows[apart], columns[apart]
            turns = np.full(len(rows), number)
            found.append(
                np.stack([-alike[rows, columns], rows + start, columns + start, turns], axis=1)
            )
            if sum(map(len, found)) > HELD * most:
                found = [_first(np.concatenate(found), most)]
    for _, one, other, number in _first(np.concatenate(found), most):
        i, j, way = int(one), int(other), int(number)
        there = turn(signatures[j].thumbnail, way)
        yield Candidate(i, j, way, Place.whole(signatures[i].thumbnail, there))


def _first(listed: npt.NDArray[np.float64], most: int) -> npt.NDArray[np.float64]:
    """The first rows in the order of their columns."""
    return listed[np.lexsort(listed.T[::-1])[:most]]


def by_spots(
    signatures: Sequence[Signature], sides: Ints, across: bool, most: int
) -> Iterator[Candidate]:
    """Pairs of which three spots and more lie alike, most spots first; arguments as above."""
    owners, inner, codes, mirrored = _pool(signatures)
    if not len(owners):
        return
    matches = _matches(owners, codes, mirrored, sides if across else None)
    if not len(matches):
        return
    count = len(signatures)
    keys = (owners[matches[:, 0]] * count + owners[matches[:, 1]]) * 2 + matches[:, 2]
    order = np.argsort(keys, kind="stable")
    unique, first, amounts = np.unique(keys[order], return_index=True, return_counts=True)
    for number in np.argsort(-amounts, kind="stable")[:most]:
        if amounts[number] < FEWEST:
            break
        pair, flipped = divmod(int(unique[number]), 2)
        i, j = divmod(pair, count)
        rows = matches[order[first[number] : first[number] + min(MOST_MATCHES, amounts[number])]]
        ours = signatures[i].spots[inner[rows[:, 0]]]
        theirs = signatures[j].spots[inner[rows[:, 1]]].copy()
        if flipped:
            theirs[:, 1] = signatures[j].thumbnail.shape[1] - 1 - theirs[:, 1]
        place = _agreed(ours, theirs, max(signatures[j].thumbnail.shape) * NEAR)
        if place is not None:
            yield Candidate(i, j, flipped, place)


def _pool(signatures: Sequence[Signature]) -> tuple[Ints, Ints, Ints, Ints]:
    """All spots: whose they are, their number there, their codes and mirrored codes as words."""
    counts = [len(one.spots) for one in signatures]
    owners = np.repeat(np.arange(len(signatures)), counts)
    inner = np.concatenate([np.arange(count) for count in counts])
    codes = np.concatenate([one.codes for one in signatures])
    mirrored = np.concatenate([one.mirrored for one in signatures])
    return owners, inner, codes, mirrored


def _matches(owners: Ints, codes: Ints, mirrored: Ints, sides: Ints | None) -> Ints:
    """(M, 3) spot, spot of a later picture, whether that is seen in a mirror; each once."""
    everything = np.concatenate([codes, mirrored])
    words = np.ascontiguousarray(everything).view(np.uint16)
    count = len(codes)
    whose = np.concatenate([owners, owners])
    found = []
    for table in range(TABLES):
        keys = _keys(everything, table)
        order = np.lexsort((np.arange(2 * count), keys))
        ordered = keys[order]
        for lag in range(1, MOST_LAG + 1):
            same = np.flatnonzero(ordered[lag:] == ordered[:-lag])
            if not len(same):
                break
            a, b = order[same], order[same + lag]
            useful = ~((a >= count) & (b >= count)) & (whose[a] != whose[b])
            a, b = a[useful], b[useful]
            if sides is not None:
                apart = sides[whose[a]] != sides[whose[b]]
                a, b = a[apart], b[apart]
            near = POPCOUNT[words[a] ^ words[b]].sum(1) <= MOST_BITS
            a, b = a[near], b[near]
            flipped = (a >= count) | (b >= count)
            a, b = a % count, b % count
            swap = owners[a] > owners[b]
            a, b = np.where(swap, b, a), np.where(swap, a, b)
            found.append((a * count + b) * 2 + flipped)
    joined = np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)
    pairs, flipped = np.divmod(joined, 2)
    return np.stack([*np.divmod(pairs, count), flipped], axis=1)


def _keys(codes: Ints, table: int) -> Ints:
    """20 of the 160 bits of each code as a number."""
    first = table * KEY_BITS
    begin = first // 8
    spread = codes[:, begin : begin + 4].astype(np.int64) if table < TABLES - 1 else None
    if spread is None:
        begin = codes.shape[1] - 4
        spread = codes[:, begin:].astype(np.int64)
    word = (spread[:, 0] << 24) | (spread[:, 1] << 16) | (spread[:, 2] << 8) | spread[:, 3]
    return np.asarray((word >> (32 - KEY_BITS - (first - 8 * begin))) & ((1 << KEY_BITS) - 1))


def _agreed(
    ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32], near: float
) -> Place | None:
    """The scale and shift that most matches agree on; None where fewer than three do."""
    scales = theirs[:, 2] / ours[:, 2]
    shifts = theirs[:, :2] - scales[:, None] * ours[:, :2]
    expected = scales[:, None, None] * ours[None, :, :2] + shifts[:, None]
    off = np.abs(expected - theirs[None, :, :2]).max(2)
    ratio = scales[:, None] / scales[None]
    close = (off < near) & (ratio < SCALE_STEP) & (ratio > 1 / SCALE_STEP)
    best = close[int(close.sum(1).argmax())]
    a, b = ours[best, :2].astype(np.float64), theirs[best, :2].astype(np.float64)
    if len(np.unique(np.rint(a), axis=0)) < FEWEST or len(np.unique(np.rint(b), axis=0)) < FEWEST:
        return None
    spread = a - a.mean(0)
    square = float((spread**2).sum())
    scale = float(np.median(scales[best]))
    if square > near**2:
        scale = float((spread * (b - b.mean(0))).sum()) / square
    if not 1 / 6 < scale < 6:
        return None
    shift = b.mean(0) - scale * a.mean(0)
    return Place(scale, float(shift[0]), scale, float(shift[1]))
