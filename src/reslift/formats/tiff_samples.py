"""The samples of a TIFF page: by libvips, or by tifffile where libvips has no way to read them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from reslift.errors import InputError
from reslift.formats import vips
from reslift.formats.bare import page_alone
from reslift.formats.base import Facts, damaged
from reslift.limits import Limits

ASSOCIATED = 1
WHITE_IS_ZERO, SIGNED, FLOAT = 0, 2, 3
OTHERS = {
    34712: "JPEG 2000",
    34887: "LERC",
    34925: "LZMA",
    34933: "PNG",
    50000: "ZSTD",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
"""Compressions that tifffile reads, most of them where imagecodecs is installed."""


def samples(file: BinaryIO, facts: Facts, limits: Limits) -> np.ndarray:
    """The samples of a page: whole numbers or floats of 32 bits and more, alpha straight.

    They are as they are stored; where white is zero, unsigned ones of up to 32 bits are inverted.
    """
    layout = facts.private
    limits.check("input_pixels", layout["tile"], "a tile of the TIFF")
    if layout["foreign"]:
        return _decode_otherwise(file, facts)
    try:
        return vips.decode_tiff(file, facts, limits, layout["index"])
    except vips.library().Error as error:
        odd = error
    try:
        with page_alone(file, layout["index"]) as copy:
            return vips.decode_tiff(copy, facts, limits)
    except (InputError, vips.library().Error):
        raise odd from None


def is_foreign(
    separate: bool, tiled: bool, samples: int, bits: int, compression: int, sample: int
) -> bool:
    """Whether libvips 8.18 refuses the layout, or misreads it.

    It misreads separate planes of two samples, and those of 16-bit floats.
    """
    misread = samples == 2 or is_half(sample, bits)
    return bits == 64 or compression in OTHERS or (separate and (tiled or misread))


def is_half(sample: int, bits: int) -> bool:
    """Whether samples are 16-bit floats, which are handed out as 32-bit ones."""
    return (sample, bits) == (FLOAT, 16)


def is_white_zero(layout: dict[str, Any]) -> bool:
    """Whether white is the least of the samples that are handed out.

    Floats and signed numbers have no black to count back from, and 64 bits counted back from it are
    too large for the floats they go through: both are kept as they are.
    """
    kept = layout["sample"] in (SIGNED, FLOAT) or layout["bits"] == 64
    return layout["photometric"] == WHITE_IS_ZERO and kept


def _decode_otherwise(file: BinaryIO, facts: Facts) -> np.ndarray:
    """By tifffile, which hands out samples as they are stored; inverted as libvips does it."""
    import logging

    import tifffile

    layout = facts.private
    if layout["photometric"] not in (WHITE_IS_ZERO, 1, 2, 5) or layout["bits"] < 8:
        raise damaged("separate planes in tiles are read as gray, RGB or CMYK only")
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    file.seek(0)
    with tifffile.TiffFile(file, name="picture.tif") as opened, _explained(layout["compression"]):
        stored = opened.pages[layout["index"]].asarray()
    if stored.shape == (facts.bands, facts.height, facts.width) and layout["separate"]:
        stored = np.moveaxis(stored, 0, -1)
    if stored.size != facts.height * facts.width * facts.bands:
        raise damaged(f"samples of the shape {stored.shape}")
    pixels = np.ascontiguousarray(stored).reshape(facts.height, facts.width, facts.bands)
    kind = np.float32 if pixels.dtype.itemsize == 2 and pixels.dtype.kind == "f" else pixels.dtype
    pixels = pixels.astype(np.dtype(kind).newbyteorder("="), copy=False)
    if layout["photometric"] == WHITE_IS_ZERO and not is_white_zero(layout):
        pixels = pixels.copy()
        pixels[..., 0] = np.iinfo(pixels.dtype).max - pixels[..., 0]
    return _straight(pixels) if layout["extra"] == ASSOCIATED else pixels


def to_16_bits(
    pixels: np.ndarray, alpha: bool, white_is_zero: bool = False
) -> tuple[np.ndarray, str]:
    """Floats in 0…1 go to 0…65535; anything else is stretched from its smallest to its largest.

    The other way round where white is zero: the largest becomes 0.
    Alpha, the last band, is not stretched with the colours: it ends at 1, or where its type ends.
    """
    count = pixels.shape[2] - alpha
    colours = pixels[..., :count]
    finite = np.isfinite(colours)
    if not finite.any():
        raise damaged("no finite sample in the picture")
    low, high = float(colours[finite].min()), float(colours[finite].max())
    name = pixels.dtype.name
    if pixels.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    if white_is_zero:
        low, high = high, low
    mapped = np.empty(pixels.shape, np.uint16)
    _map(colours, mapped[..., :count], low, high)
    if alpha:
        _map(pixels[..., count:], mapped[..., count:], 0.0, _opaque(pixels[..., count:]))
    missing = int(colours.size - np.count_nonzero(finite))
    note = f"{name} samples become 16 bits: {low:g}…{high:g} is mapped to 0…65535"
    note += ", as white is zero" if white_is_zero else ""
    return mapped, note + (f", {missing} samples that are no number to 0" if missing else "")


def _map(samples: np.ndarray, mapped: np.ndarray, low: float, high: float) -> None:
    """low > high maps them the other way round."""
    scale = 65535.0 / (high - low) if high != low else 0.0
    least, most = sorted((low, high))
    for row, out in zip(samples, mapped, strict=True):
        values = np.where(np.isfinite(row), row, low).astype(np.float64)
        out[...] = np.rint((values.clip(least, most) - low) * scale)


def _opaque(alpha: np.ndarray) -> float:
    if alpha.dtype.kind != "f":
        return float(np.iinfo(alpha.dtype).max)
    return max(1.0, float(alpha.max(where=np.isfinite(alpha), initial=0.0)))


def _straight(pixels: np.ndarray) -> np.ndarray:
    """Colours that were multiplied with alpha, the last band, divided by it; 0 where it is 0."""
    whole = pixels.dtype.kind != "f"
    top = float(np.iinfo(pixels.dtype).max) if whole else 1.0
    divided = pixels.copy()
    for row, out in zip(pixels, divided, strict=True):
        alpha = row[:, -1:].astype(np.float64)
        seen = np.divide(top, alpha, out=np.zeros_like(alpha), where=alpha > 0)
        colour = row[:, :-1] * seen
        out[:, :-1] = np.rint(np.minimum(colour, top)) if whole else colour
    return divided


@contextmanager
def _explained(compression: int) -> Iterator[None]:
    """What lacks where tifffile cannot decompress, LZW of 16-bit floats for one."""
    try:
        yield
    except ValueError as error:
        if "imagecodecs" in str(error):
            what = f"compressed by {OTHERS[compression]}" if compression in OTHERS else "like this"
            raise damaged(
                f"TIFF {what} needs imagecodecs: python -m pip install imagecodecs; "
                "or save it with deflate"
            ) from error
        raise
