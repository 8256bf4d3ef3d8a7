"""TIFF directories: the tagged lists that TIFF files and EXIF blocks are made of.

    header ──► directory 0: [tag, kind, count, value or where it lies] … ──► directory 1 ──► …

Both byte orders, classic (4-byte offsets) and BigTIFF (8-byte offsets).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import BinaryIO

from reslift.formats.base import damaged, exactly

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
SIZES |= {16: 8, 17: 8, 18: 8}
CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I"}
CODES |= {16: "Q", 17: "q", 18: "Q"}
MOST_ENTRIES = 4096
MOST_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Entry:
    """One tag: `count` values of `kind` lie at `where` in the file; `record` is where it stands."""

    tag: int
    kind: int
    count: int
    where: int
    record: int

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return SIZES.get(self.kind, 1) * self.count


@dataclass(frozen=True)
class Tag:
    """One tag to be written: `data` holds its values in little-endian order."""

    tag: int
    kind: int
    count: int
    data: bytes


class Structure:
    """A TIFF structure in a file. Raises InputError where it is damaged."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        file.seek(0)
        head = exactly(file, 8, "the TIFF header")
        if head[:2] not in (b"II", b"MM"):
            raise damaged("no TIFF header")
        self.order = "<" if head[:2] == b"II" else ">"
        version = self._unpack("H", head[2:4])
        self.big = version == 43
        if version not in (42, 43):
            raise damaged(f"TIFF version {version}, not 42 or 43")
        self.first = self._unpack("I", head[4:])
        if self.big:
            self.first = self._unpack("Q", exactly(file, 8, "the BigTIFF header"))

    def directory(self, offset: int) -> tuple[dict[int, Entry], int]:
        """The tags of the directory at `offset` and the offset of the next one (0: none)."""
        self.file.seek(offset)
        wide, length = ("Q", 8) if self.big else ("H", 2)
        count = self._unpack(wide, exactly(self.file, length, "a TIFF directory"))
        if not 0 < count <= MOST_ENTRIES:
            raise damaged(f"a TIFF directory of {count} entries")
        record = 20 if self.big else 12
        raw = exactly(self.file, count * record, "a TIFF directory")
        start = offset + length
        entries = [self._entry(raw, start, i * record) for i in range(count)]
        last = self.file.read(8 if self.big else 4)
        complete = len(last) == (8 if self.big else 4)
        following = self._unpack("Q" if self.big else "I", last) if complete else 0
        return {entry.tag: entry for entry in reversed(entries)}, following

    def following(self, offset: int) -> tuple[int, bytes]:
        """The offset of the directory after this one, and the record of the first tag of this."""
        self.file.seek(offset)
        length, record = (8, 20) if self.big else (2, 12)
        wide = "Q" if self.big else "H"
        count = self._unpack(wide, exactly(self.file, length, "a TIFF directory"))
        first = self.file.read(record)
        self.file.seek(offset + length + count * record)
        size = 8 if self.big else 4
        last = exactly(self.file, size, "a TIFF directory")
        return self._unpack("Q" if self.big else "I", last), first

    def _entry(self, raw: bytes, start: int, at: int) -> Entry:
        wide, inline = ("Q", 8) if self.big else ("I", 4)
        tag, kind = struct.unpack_from(self.order + "HH", raw, at)
        (count,) = struct.unpack_from(self.order + wide, raw, at + 4)
        value = at + 4 + inline
        entry = Entry(tag, kind, count, start + value, start + at)
        if entry.size <= inline:
            return entry
        (where,) = struct.unpack_from(self.order + wide, raw, value)
        return Entry(tag, kind, count, where, start + at)

    def data(self, entry: Entry) -> bytes:
        """The value as it stands in the file."""
        if entry.size > MOST_BYTES:
            raise damaged(f"TIFF tag {entry.tag} claims {entry.size:,} bytes")
        self.file.seek(entry.where)
        return exactly(self.file, entry.size, f"TIFF tag {entry.tag}")

    def numbers(self, entry: Entry | None) -> tuple[float, ...]:
        """The values as numbers; rationals as quotients; empty for an absent tag or a text."""
        if entry is None:
            return ()
        data = self.data(entry)
        if entry.kind in (5, 10):
            code = "I" if entry.kind == 5 else "i"
            pairs = struct.unpack(f"{self.order}{2 * entry.count}{code}", data)
            return tuple(a / b if b else 0.0 for a, b in zip(pairs[::2], pairs[1::2], strict=True))
        if entry.kind not in CODES:
            return ()
        return struct.unpack(f"{self.order}{entry.count}{CODES[entry.kind]}", data)

    def integers(self, entry: Entry | None) -> tuple[int, ...]:
        """`numbers` of a tag that holds whole numbers."""
        return tuple(int(value) for value in self.numbers(entry))

    def tag(self, entry: Entry) -> Tag:
        """The entry with its value, in little-endian order."""
        data = self.data(entry)
        width = SIZES.get(entry.kind, 1) // (2 if entry.kind in (5, 10) else 1)
        if self.order == ">" and width > 1:
            data = b"".join(data[i : i + width][::-1] for i in range(0, len(data), width))
        return Tag(entry.tag, entry.kind, entry.count, data)

    def _unpack(self, code: str, data: bytes) -> int:
        return int(struct.unpack(self.order + code, data)[0])


def records(tags: Iterable[Tag], at: int, big: bool = False) -> tuple[dict[int, bytes], bytes]:
    """The directory records of `tags` and the values too long for them, which will lie at `at`."""
    inline, wide = (8, "Q") if big else (4, "I")
    found: dict[int, bytes] = {}
    values = BytesIO()
    for tag in tags:
        value = tag.data.ljust(inline, b"\0")
        if len(tag.data) > inline:
            value = struct.pack("<" + wide, at + values.tell())
            values.write(tag.data + b"\0" * (len(tag.data) % 2))
        found[tag.tag] = struct.pack("<HH" + wide, tag.tag, tag.kind, tag.count) + value
    return found, values.getvalue()


def directory_bytes(found: dict[int, bytes], following: int = 0, big: bool = False) -> bytes:
    """A directory of records, in the order of their tags."""
    count, wide = ("<Q", "<Q") if big else ("<H", "<I")
    body = b"".join(found[tag] for tag in sorted(found))
    return struct.pack(count, len(found)) + body + struct.pack(wide, following)


def rational(value: float) -> bytes:
    """An unsigned rational as near to `value` as 32 bits allow."""
    best = Fraction(value).limit_denominator(1_000_000)
    if best.numerator >= 2**32:
        best = Fraction(2**32 - 1)
    return struct.pack("<II", best.numerator, best.denominator)
