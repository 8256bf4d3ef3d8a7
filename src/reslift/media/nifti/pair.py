"""NIfTI volumes in two files: the header in NAME.hdr, the voxels in NAME.img beside it."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

GZIP = b"\x1f\x8b"
MAGICS = {(344, b"n+1\0"), (344, b"ni1\0"), (4, b"n+2\0"), (4, b"ni2\0")}
SIZES = {struct.pack(f"{order}i", size) for size in (348, 540) for order in "<>"}
HEAD = 4096
HEADER, VOXELS = ".hdr", ".img"


def is_header(head: bytes) -> bool:
    """Whether a file that begins so, packed or not, begins with the header of a volume."""
    if head.startswith(GZIP):
        try:
            head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, 512)
        except zlib.error:
            return False
    return head[:4] in SIZES and any(head[at : at + 4] == magic for at, magic in MAGICS)


def header_of(voxels: Path) -> Path | None:
    """The header beside a file of voxels; None where it is no such file."""
    found = _beside(voxels, VOXELS, HEADER)
    if found is None:
        return None
    try:
        with found.open("rb") as file:
            return found if is_header(file.read(HEAD)) else None
    except OSError:
        return None


def voxels_of(header: Path) -> Path | None:
    """Where the voxels of a header lie; None for a name that says nothing of it."""
    return _beside(header, HEADER, VOXELS)


def _beside(path: Path, ending: str, other: str) -> Path | None:
    name, packed = path.name, ""
    if name.lower().endswith(".gz"):
        name, packed = name[:-3], name[-3:]
    stem, own = name[: -len(ending)], name[-len(ending) :]
    if not stem or own.lower() != ending:
        return None
    return path.with_name(stem + (other.upper() if own.isupper() else other) + packed)
