"""One picture: read whole, once, at its full size, and what is wrong with it alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reslift import formats
from reslift.datacheck.compression import Comb, file_quality, find_comb
from reslift.datacheck.finding import Finding
from reslift.datacheck.resampling import MISSING, Enlarged, find_enlargement
from reslift.errors import ResliftError, UsageError, one_line
from reslift.formats import Picture
from reslift.likeness import THUMBNAIL, Signature, luma, sign, within
from reslift.likeness.planes import Bytes
from reslift.limits import FIXED, Limits

SMALLEST_SIDE = 32
FLATTEST = 2.0
LOWEST_QUALITY = 90
BETTER = 5
CROP = 1024
PALETTE = 3


@dataclass(frozen=True)
class Look:
    """What is known of one file.

    Attributes:
        path: the file.
        digest: of its bytes; of its path where it cannot be read.
        signature: None where it cannot be read.
        findings: what is wrong with it alone.
    """

    path: Path
    digest: bytes
    signature: Signature | None
    findings: tuple[Finding, ...]


def look(path: Path, name: str, limits: Limits = FIXED) -> Look:
    """Read a file whole and measure it; raises nothing for what cannot be read.

    Args:
        path: the file.
        name: what findings call it.
        limits: sizes beyond them are unreadable.
    """
    try:
        picture = formats.read(path, limits)
        digest = _digest(path)
        quality = file_quality(path) if picture.format == "jpeg" else None
    except (ResliftError, OSError) as error:
        finding = Finding("unreadable", (name,), one_line(error))
        return Look(path, hashlib.blake2b(bytes(path)).digest(), None, (finding,))
    plane = luma(picture.pixels)
    findings = [*_modes(path, name, picture), *_extent(name, plane)]
    if not findings or all(one.kind not in ("single-colour", "too-small") for one in findings):
        known = quality is not None and quality < LOWEST_QUALITY
        comb = None if known else find_comb(_middle(plane))
        findings += _compression(name, comb, quality)
        blocks = quality is not None or comb is not None
        findings += _enlargement(name, find_enlargement(plane, blocks))
    return Look(path, digest, sign(within(plane, THUMBNAIL)), tuple(findings))


def _digest(path: Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()


def _modes(path: Path, name: str, picture: Picture) -> list[Finding]:
    """What training changes or refuses, and a suffix that says something else."""
    found = []
    if picture.space == "cmyk":
        found.append(Finding("cmyk", (name,), "CMYK, which training refuses: convert it to RGB"))
    if picture.alpha:
        opaque = int(picture.pixels[..., -1].min()) == np.iinfo(picture.pixels.dtype).max
        text = "an alpha channel that is opaque" if opaque else "an alpha channel, which is dropped"
        found.append(Finding("alpha", (name,), text))
    with open(path, "rb") as file:
        head = file.read(26)
    if picture.format == "png" and len(head) == 26 and head[25] == PALETTE:
        found.append(Finding("palette", (name,), "a palette of at most 256 colours"))
    try:
        said = formats.format_of(path)
    except UsageError:
        said = "nothing that is known"
    if said != picture.format:
        text = f"the content is {picture.format}, the suffix says {said}"
        found.append(Finding("wrong-suffix", (name,), text))
    return found


def _extent(name: str, plane: Bytes) -> list[Finding]:
    found = []
    height, width = plane.shape
    if min(height, width) < SMALLEST_SIDE:
        text = f"{width}x{height} pixels"
        found.append(Finding("too-small", (name,), text, min(height, width), SMALLEST_SIDE))
    deviation = round(float(plane.std()), 2)
    if plane.min() == plane.max():
        text = f"every pixel has the luma {int(plane[0, 0])}"
        found.append(Finding("single-colour", (name,), text, deviation, FLATTEST))
    elif deviation < FLATTEST:
        text = f"flat: luma deviates by {deviation} of 255 levels"
        found.append(Finding("flat", (name,), text, deviation, FLATTEST))
    return found


def _compression(name: str, comb: Comb | None, quality: int | None) -> list[Finding]:
    """By the tables of a JPEG file, by the pixels of any: a JPEG may have been one before."""
    found = []
    if quality is not None and quality < LOWEST_QUALITY:
        text = f"JPEG of quality {quality}, by its tables"
        found.append(Finding("jpeg", (name,), text, quality, LOWEST_QUALITY))
    before = 101 if quality is None else quality - BETTER
    if comb and comb.quality < min(LOWEST_QUALITY, before):
        down, right = comb.grid
        where = f", blocks begin at row {down}, column {right}" if down or right else ""
        text = f"was a JPEG of quality {comb.quality} before, by its pixels{where}"
        found.append(Finding("was-jpeg", (name,), text, comb.quality, LOWEST_QUALITY))
    return found


def _middle(plane: Bytes) -> Bytes:
    """At most 1024 pixels a side, cut on the grid of 8."""
    starts = [max(0, (size - CROP) // 2) // 8 * 8 for size in plane.shape]
    return plane[starts[0] : starts[0] + CROP, starts[1] : starts[1] + CROP]


def _enlargement(name: str, trace: Enlarged | None) -> list[Finding]:
    if trace is None:
        return []
    or_else = f" (or {trace.other:.2g})" if trace.other != trace.factor else ""
    factor = f"enlarged about {trace.factor:.2g}{or_else} times before"
    if not trace.period:
        return [Finding("upscaled", (name,), f"{factor}: pixels are repeated", trace.factor, 1.0)]
    text = (
        f"{factor}: {trace.missing:.0f} dB are missing above {0.5 / trace.factor:.2f} cycles a "
        f"pixel, and differences have its period ({trace.period:.0f} times the background)"
    )
    return [Finding("upscaled", (name,), text, round(trace.missing, 1), MISSING)]
