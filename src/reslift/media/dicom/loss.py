"""Whether samples of an image were changed when they were saved, and how the image says so."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset

METHODS = {
    "1.2.840.10008.1.2.4.50": "ISO_10918_1",
    "1.2.840.10008.1.2.4.51": "ISO_10918_1",
    "1.2.840.10008.1.2.4.81": "ISO_14495_1",
}
"""Of transfer syntaxes that lose something."""
WAVELETS = {"1.2.840.10008.1.2.4.91": "ISO_15444_1", "1.2.840.10008.1.2.4.203": "ISO_15444_15"}
"""Of those that may: their coded frames say whether."""
CODESTREAM, CODING, DATA = b"\xff\x4f\xff\x51", 0xFF52, 0xFF90
TRANSFORM = 13
IRREVERSIBLE = 0
LONGEST_HEAD = 2**20


def is_lossy(elements: Dataset, syntax: str, path: Path, begin: int) -> bool:
    """Whether samples were changed when they were saved, now or before.

    begin: where the value of the pixel data begins in the file.
    """
    if syntax in METHODS or elements.get("LossyImageCompression") == "01":
        return True
    return syntax in WAVELETS and _is_irreversible(path, begin)


def _is_irreversible(path: Path, begin: int) -> bool:
    """Whether the first frame was coded by a transform of JPEG 2000 that rounds."""
    with path.open("rb") as file:
        file.seek(begin)
        head = file.read(LONGEST_HEAD)
    at = head.find(CODESTREAM) + 2
    while 2 <= at <= len(head) - TRANSFORM - 1:
        marker, length = struct.unpack_from(">HH", head, at)
        if marker == CODING:
            return head[at + TRANSFORM] == IRREVERSIBLE
        if marker == DATA:
            break
        at += 2 + length
    return False


def keep(elements: Dataset, syntax: str) -> None:
    """Let pixels that were once compressed with loss say so, although they are raw now."""
    elements.LossyImageCompression = "01"
    method = METHODS.get(syntax) or WAVELETS.get(syntax)
    if method and "LossyImageCompressionMethod" not in elements:
        elements.LossyImageCompressionMethod = method
