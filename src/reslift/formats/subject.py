"""EXIF tags that count in pixels: where the subject is, and how fine the sensor was.

    turned ──► cut ──► scaled

All are patched in place. What a writer gave another type, or a value beyond it, stays as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction

from reslift.errors import InputError
from reslift.formats.ifd import Entry, Structure, rational
from reslift.formats.turn import SWAPS_SIDES, placed

Directory = dict[int, Entry]
WIDTH, HEIGHT = 40962, 40963
SUBJECT = (37396, 41492)
"""Its middle, then one diameter, or width and height: of 2, 3 or 4 numbers."""
FINENESS = (41486, 41487)
"""Pixels of the picture to a unit of the sensor, across and down."""
MOST = {3: 2**16 - 1, 4: 2**32 - 1}
Values = tuple[float, ...]


def sides_of(structure: Structure, directory: Directory) -> tuple[int, int] | None:
    """Width and height that an EXIF directory tells; None where it has none."""
    found = [_integers(structure, directory.get(tag)) for tag in (WIDTH, HEIGHT)]
    if all(len(values) == 1 and values[0] > 0 for values in found):
        return found[0][0], found[1][0]
    return None


def turn(block: bytearray, structure: Structure, directory: Directory, orientation: int) -> None:
    """As `formats.turn.upright` turns the pixels."""
    sides = sides_of(structure, directory)
    if sides is None:
        return
    swapped = orientation >= SWAPS_SIDES
    width, height = sides[::-1] if swapped else sides

    def moved(values: Values) -> Values:
        x, y = ((value + 0.5) / side for value, side in zip(values[:2], sides, strict=True))
        x, y = placed(x, y, orientation)
        return (x * width - 0.5, y * height - 0.5, *(values[2:][::-1] if swapped else values[2:]))

    _subject(block, structure, directory, moved)
    if swapped:
        _put_sides(block, structure, directory, width, height)
        exchange(block, directory.get(FINENESS[0]), directory.get(FINENESS[1]))


def cut(
    block: bytearray, structure: Structure, directory: Directory, part: tuple[int, int, int, int]
) -> None:
    """As to a part (left, top, width, height); a subject outside is put on its edge."""
    left, top, width, height = part

    def moved(values: Values) -> Values:
        x, y = values[0] - left, values[1] - top
        return (min(max(x, 0), width - 1), min(max(y, 0), height - 1), *values[2:])

    _subject(block, structure, directory, moved)
    _put_sides(block, structure, directory, width, height)


def scale(
    block: bytearray, structure: Structure, directory: Directory, width: int, height: int
) -> None:
    """As to a picture of width × height; the sizes themselves are left to `put`."""
    sides = sides_of(structure, directory)
    if sides is None:
        return
    ratios = width / sides[0], height / sides[1]

    def moved(values: Values) -> Values:
        middle = ((value + 0.5) * r - 0.5 for value, r in zip(values[:2], ratios, strict=True))
        extent = (value * r for value, r in zip(values[2:], ratios, strict=False))
        return (*middle, *extent)

    _subject(block, structure, directory, moved)
    for tag, side, was in zip(FINENESS, (width, height), sides, strict=True):
        entry = directory.get(tag)
        if entry is not None and (entry.kind, entry.count) == (5, 1) and side != was:
            _put_fineness(block, structure, entry, Fraction(side, was))


def _subject(
    block: bytearray, structure: Structure, directory: Directory, moved: Callable[[Values], Values]
) -> None:
    for tag in SUBJECT:
        entry = directory.get(tag)
        values = _integers(structure, entry)
        if entry is None or entry.kind not in MOST or not 2 <= len(values) <= 4:
            continue
        found = [round(value) for value in moved(values)]
        if all(0 <= value <= MOST[entry.kind] for value in found):
            code = f"{structure.order}{len(found)}{'H' if entry.kind == 3 else 'I'}"
            struct.pack_into(code, block, entry.where, *found)


def _put_fineness(block: bytearray, structure: Structure, entry: Entry, ratio: Fraction) -> None:
    if entry.where + entry.size > len(block):
        return
    over, under = struct.unpack_from(structure.order + "II", block, entry.where)
    if not over or not under:
        return
    exact = Fraction(over, under) * ratio
    pair = exact.numerator, exact.denominator
    if max(pair) >= 2**32:
        pair = struct.unpack("<II", rational(float(exact)))
    struct.pack_into(structure.order + "II", block, entry.where, *pair)


def _put_sides(
    block: bytearray, structure: Structure, directory: Directory, width: int, height: int
) -> None:
    for tag, value in ((WIDTH, width), (HEIGHT, height)):
        if tag in directory:
            put(block, structure, directory[tag], value)


def put(block: bytearray, structure: Structure, entry: Entry, value: int) -> None:
    """One whole number in place of another."""
    code = {3: "H", 4: "I"}.get(entry.kind)
    if code and entry.count == 1 and value < 256 ** struct.calcsize(code):
        struct.pack_into(structure.order + code, block, entry.where, value)


def exchange(block: bytearray, one: Entry | None, other: Entry | None) -> None:
    """Two values of one type change places."""
    if one is None or other is None or (one.kind, one.count) != (other.kind, other.count):
        return
    if max(one.where, other.where) + one.size > len(block):
        return
    here, there = (slice(entry.where, entry.where + entry.size) for entry in (one, other))
    block[here], block[there] = block[there], block[here]


def _integers(structure: Structure, entry: Entry | None) -> tuple[int, ...]:
    try:
        return structure.integers(entry)
    except (InputError, ValueError, OSError, struct.error, OverflowError):
        return ()
