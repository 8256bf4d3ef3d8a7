"""A map as a picture file: one panel for each way of colouring, drawn with Pillow alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageColor, ImageDraw, ImageFont

from reslift.errors import escaped
from reslift.latent.page import PALETTE, unit_square
from reslift.report import Bytes

Colour = tuple[int, int, int]
PANEL, MARGIN, TOP, BOTTOM = 560, 28, 64, 56
FINE = 2
INK: Colour = (29, 33, 39)
SOFT: Colour = (102, 112, 128)
RULE: Colour = (223, 226, 230)
OTHER: Colour = (170, 176, 184)


def draw_map(
    points: torch.Tensor, columns: Sequence[dict[str, Any]], labels: Sequence[str], title: str
) -> Bytes:
    """Panels side by side, (H, W, 3) uint8.

    Args:
        points: (N, 2).
        columns: those of :func:`reslift.latent.page.columns` that colour.
        labels: in the order that label columns count.
        title: stands above.
    """
    chosen = [column for column in columns if column["colour"]]
    width, height = PANEL * len(chosen) * FINE, (PANEL + TOP + BOTTOM) * FINE
    canvas = Image.new("RGB", (width, height), (255, 255, 255))
    pen = ImageDraw.Draw(canvas)
    pen.text((MARGIN * FINE, 16 * FINE), escaped(title), INK, _font(17))
    flat = np.asarray(unit_square(points)).reshape(-1, 2)
    for number, column in enumerate(chosen):
        left = number * PANEL * FINE
        _dots(pen, flat, _colours(column), left)
        pen.text((left + MARGIN * FINE, 42 * FINE), column["label"], SOFT, _font(13))
        if column["kind"] == "label":
            _names(pen, column, labels, left)
        else:
            _ramp(pen, column, left)
    small = canvas.resize((width // FINE, height // FINE), Image.Resampling.LANCZOS)
    pixels: Bytes = np.asarray(small)
    return pixels


def _colours(column: dict[str, Any]) -> list[Colour]:
    if column["kind"] == "label":
        shades = [_rgb(colour) for colour in PALETTE]
        return [shades[v] if v < len(shades) else OTHER for v in column["values"]]
    span = column["high"] - column["low"] or 1
    ends = {"∞": 1.0, "-∞": 0.0}
    shares = [ends[v] if v in ends else (v - column["low"]) / span for v in column["values"]]
    return [blend(column["stops"], share) for share in shares]


def blend(stops: Sequence[Colour], share: float) -> Colour:
    """The colour at a share from 0 to 1 between evenly spaced ones."""
    at = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    low = min(int(at), len(stops) - 2)
    red, green, blue = (
        round(a + (b - a) * (at - low)) for a, b in zip(stops[low], stops[low + 1], strict=True)
    )
    return red, green, blue


def _dots(pen: ImageDraw.ImageDraw, flat: Any, colours: Sequence[Colour], left: int) -> None:
    side = (PANEL - 2 * MARGIN) * FINE
    radius = FINE * min(6.0, max(1.5, 24 / len(flat) ** 0.5 + 1))
    frame = (left + MARGIN * FINE - 12, TOP * FINE, left + (PANEL - MARGIN) * FINE + 12)
    pen.rectangle((frame[0], frame[1], frame[2], TOP * FINE + side + 24), outline=RULE, width=2)
    for (x, y), colour in zip(flat, colours, strict=True):
        across, down = left + MARGIN * FINE + x * side, TOP * FINE + 12 + (1 - y) * side
        pen.ellipse((across - radius, down - radius, across + radius, down + radius), fill=colour)


def _names(
    pen: ImageDraw.ImageDraw, column: dict[str, Any], labels: Sequence[str], left: int
) -> None:
    """The most frequent labels with their colours, two lines of five."""
    step = (PANEL - 2 * MARGIN) * FINE // 5
    for rank, label in enumerate(labels[: len(PALETTE)]):
        across = left + MARGIN * FINE + rank % 5 * step
        down = (TOP + PANEL - 20 + rank // 5 * 20) * FINE
        pen.ellipse((across, down, across + 16, down + 16), fill=_rgb(PALETTE[rank]))
        text = escaped(label)
        pen.text(
            (across + 24, down - 5), text[:11] + "…" if len(text) > 12 else text, INK, _font(11)
        )


def _ramp(pen: ImageDraw.ImageDraw, column: dict[str, Any], left: int) -> None:
    start, down, wide = left + MARGIN * FINE, (TOP + PANEL - 18) * FINE, 260 * FINE
    for at in range(wide):
        pen.line((start + at, down, start + at, down + 18), blend(column["stops"], at / wide))
    decimals, unit = column["decimals"], column["unit"]
    for share, anchor, mark in ((0.0, "la", "or less"), (1.0, "ra", "or more")):
        value = column["low"] + share * (column["high"] - column["low"])
        text = f"{value:.{decimals}f} {unit} {mark}"
        pen.text((start + share * wide, down + 24), text, SOFT, _font(11), anchor=anchor)


def _rgb(name: str) -> Colour:
    red, green, blue = ImageColor.getrgb(name)[:3]
    return red, green, blue


def _font(size: int) -> Any:
    return ImageFont.load_default(size * FINE)
