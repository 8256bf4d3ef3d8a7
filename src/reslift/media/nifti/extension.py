"""Extensions between a NIfTI header and its voxels: size, code, text; each of n · 16 bytes."""

from __future__ import annotations

import struct

from reslift.media.recorded import is_record
from reslift.provenance import Record

MARK = 4
HEAD = 8
UNIT = 16
COMMENT = 6
OF_A_GRID = {2: "DICOM", 4: "AFNI", 8: "XCEDE", 10: "Jim", 14: "FreeSurfer", 28: "VoxBo"}
"""Codes of those that say themselves where voxels lie, and who writes them."""
OF_DCMSTACK = b'"dcmmeta_shape"'


def with_comment(prefix: bytes, record: Record | None, order: str) -> bytes:
    """The record as a comment (code 6) behind all others, in place of an earlier record.

    Extensions that say where the voxels before lay are left out.

    Args:
        prefix: what lies between header and voxels: 4 bytes that say whether there are extensions,
            and those.
        order: "<" or ">", the byte order of the header.

    Returns:
        As long as it must be for voxels to begin at a multiple of 16; `prefix` itself where there
        is nothing to change, or where what lies there are no extensions.
    """
    found = _extensions(prefix, order)
    if found is None:
        return prefix
    kept = [part for part in found if not (_is_ours(part, order) or _grid_of(part, order))]
    if record is not None:
        kept.append(_comment(record.as_json().encode(), order))
    elif len(kept) == len(found):
        return prefix
    return bytes((bool(kept), 0, 0, 0)) + b"".join(kept)


def comment_in(prefix: bytes, order: str) -> Record | None:
    """The record among the extensions of `prefix`, which are as in `with_comment`."""
    ours = [part for part in _extensions(prefix, order) or () if _is_ours(part, order)]
    return Record.parse(_text(ours[-1])) if ours else None


def texts(prefix: bytes, order: str) -> list[tuple[int, str, str]]:
    """Of each extension of `prefix` but ours: code, text, whose it is if it is of a grid."""
    found = [part for part in _extensions(prefix, order) or () if not _is_ours(part, order)]
    return [(_code(part, order), _text(part), _grid_of(part, order)) for part in found]


def _grid_of(extension: bytes, order: str) -> str:
    code = _code(extension, order)
    if code == 0 and OF_DCMSTACK in extension:
        return "dcmstack"
    return OF_A_GRID.get(code, "")


def _extensions(prefix: bytes, order: str) -> list[bytes] | None:
    """Each with its head; None where other bytes stand among them."""
    found, at = [], MARK
    while prefix[:1] not in (b"", b"\0") and len(prefix) - at >= HEAD:
        (size,) = struct.unpack_from(f"{order}i", prefix, at)
        if size < HEAD or size % UNIT or at + size > len(prefix):
            break
        found.append(prefix[at : at + size])
        at += size
    return None if any(prefix[at:]) else found


def _comment(text: bytes, order: str) -> bytes:
    size = -(-(HEAD + len(text)) // UNIT) * UNIT
    return struct.pack(f"{order}ii", size, COMMENT) + text.ljust(size - HEAD, b"\0")


def _is_ours(extension: bytes, order: str) -> bool:
    return _code(extension, order) == COMMENT and is_record(_text(extension))


def _code(extension: bytes, order: str) -> int:
    return int(struct.unpack_from(f"{order}i", extension, MARK)[0])


def _text(extension: bytes) -> str:
    return extension[HEAD:].rstrip(b"\0").decode("latin-1")
