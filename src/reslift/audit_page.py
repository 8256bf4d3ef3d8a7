"""The page and the picture of an audit: the result, what was added to it, and where to doubt it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reslift import formats
from reslift.audit import DOUBTFUL, Audit, Region, luma
from reslift.limits import DEFAULT, Limits
from reslift.report import (
    Bytes,
    Column,
    Html,
    Picture,
    colour_scale,
    encode,
    error_colours,
    facts,
    page,
    picture_row,
    section,
    table,
    tag,
)

LONGEST = 2048
COLOURS = {
    "contradicts": (230, 30, 60),
    "face-like": (70, 150, 255),
    "text-like": (255, 140, 0),
    "unsupported": (240, 200, 0),
}
ADDED_TOP, DOUBT_TOP = 32.0, 2.0
NOTE = (
    "Added is what bicubic shrinking cannot see: a choice among all pictures that shrink to one "
    "input. All sharpness beyond the input is of this kind, right or wrong. Doubtful is where the "
    "result contradicts the input in any colour, or where detail is stronger than the structure of "
    "the input around it supports; added and expected are of luma. Text-like is a guess from "
    "statistics and face-like one of a detector, where it is installed; nothing is read, and "
    "nobody is recognised."
)


def render(source: Path, result: Path, found: Audit, limits: Limits = DEFAULT) -> str:
    """The whole page."""
    title = f"Audit of {result.name}"
    shown = _shown(result, limits)
    height, width = shown.shape[:2]
    pictures = [
        ("result", shown, f"x{found.scale} of {source.name}"),
        ("added", error_colours(_fit(found.added), ADDED_TOP), f"{found.share:.2%} of the energy"),
        ("expected error", error_colours(_fit(found.expected_error), ADDED_TOP), "its order"),
        ("doubt", overlay(result, found, limits), f"{found.doubtful:.2%} of the pixels"),
    ]
    cells = [
        Picture(label, encode(picture, 90), width, height, note)
        for label, picture, note in pictures
    ]
    return page(
        title,
        tag("h1", title),
        tag("p", NOTE, class_="note"),
        facts(
            {
                "determined by the input": f"{1 - found.share:.2%} of the energy",
                "added": f"{found.share:.2%}",
                "contradiction": f"up to {found.contradiction:.1f} levels of 255 in any colour",
                "doubtful": f"{found.doubtful:.2%} of the pixels",
                "faces": found.seen,
            }
        ),
        section(
            "Maps",
            picture_row("Luma; doubt of colours too", cells),
            colour_scale("levels added", ADDED_TOP),
        ),
        section("Regions", _regions(found.regions), note="Largest and most doubtful first."),
    )


def _regions(regions: tuple[Region, ...]) -> Html:
    if not regions:
        return tag("p", "None: nothing stands out.")
    columns = [Column("kind"), *(Column(n, True) for n in ("left", "top", "width", "height"))]
    rows = [(r.label, r.left, r.top, r.width, r.height, f"{r.score:.2f}") for r in regions]
    return table([*columns, Column("doubt", True)], rows, sortable=True)


def overlay(result: Path, found: Audit, limits: Limits = DEFAULT) -> Bytes:
    """The result in gray with its doubtful places coloured and framed by kind."""
    plain = _shown(result, limits).astype(np.float32)
    gray = plain.mean(2, keepdims=True).repeat(3, 2) if plain.ndim == 3 else plain
    step = _step(found.doubt.shape)
    doubt = _fit(found.doubt)
    weight = np.clip((doubt - 0.7 * DOUBTFUL) / DOUBT_TOP, 0, 0.65)[..., None]
    mixed = gray * (1 - weight) + np.array(COLOURS["contradicts"], np.float32) * weight
    drawn: Bytes = np.rint(mixed).clip(0, 255).astype(np.uint8)
    for region in found.regions:
        top, left = region.top // step, region.left // step
        bottom, right = (region.top + region.height) // step, (region.left + region.width) // step
        against = region.kind == "contradicts"
        colour = COLOURS[region.kind if against or not region.looks else region.looks]
        for line in (slice(top, top + 2), slice(max(0, bottom - 2), bottom)):
            drawn[line, left:right] = colour
        for line in (slice(left, left + 2), slice(max(0, right - 2), right)):
            drawn[top:bottom, line] = colour
    return drawn


def _shown(result: Path, limits: Limits) -> Bytes:
    """(H, W, 3), at most `LONGEST` a side."""
    picture = formats.read(result, limits.for_results())
    if picture.space == "rgb" and not picture.alpha and picture.bits == 8:
        plain: Bytes = np.ascontiguousarray(_fit(picture.pixels))
        return plain
    gray = np.rint(_fit(luma(picture))).astype(np.uint8)
    shown: Bytes = gray[..., None].repeat(3, 2)
    return shown


def _step(shape: tuple[int, ...]) -> int:
    return -(-max(shape[:2]) // LONGEST)


def _fit(values: np.ndarray) -> np.ndarray:
    step = _step(values.shape)
    return values[::step, ::step]
