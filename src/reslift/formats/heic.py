"""HEIC, read only: boxes are read here, pixels by pillow-heif (extra `heif`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from reslift.formats import avif, boxes
from reslift.formats.base import Facts, ReadOnly, damaged, lacking

if TYPE_CHECKING:
    from reslift.limits import Limits

BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")


class Heic(ReadOnly):
    """HEIC, as phones take it: gray or RGB, with or without alpha, 8, 10 or 12 bits."""

    name = "heic"
    label = "HEIC"
    suffixes = (".heic", ".heif", ".hif")

    def recognises(self, head: bytes) -> bool:
        """By the brands."""
        return avif.has_brand(head, BRANDS)

    def inspect(self, file: BinaryIO) -> Facts:
        """Read the boxes, without a codec."""
        return avif.facts_of(boxes.inspect(file))

    def decode(self, file: BinaryIO, facts: Facts, limits: Limits) -> tuple[np.ndarray, list[str]]:
        """The primary picture, turned upright; 10 and 12 bits become 16."""
        heif: Any
        try:
            import pillow_heif as heif
        except ImportError as error:
            raise lacking("HEIC", "heif") from error
        file.seek(0)
        opened = heif.open_heif(file, convert_hdr_to_8bit=False)
        pixels = np.asarray(opened)
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        shape = (facts.height, facts.width, facts.bands)
        dtype = np.dtype(np.uint8 if facts.bits == 8 else np.uint16)
        pixels = avif.spread(pixels, facts)
        if pixels.shape != shape or pixels.dtype != dtype:
            raise damaged(f"the header says {shape} samples, the content {pixels.shape}")
        return pixels, []
