"""Pictures side by side in one picture, a line under each: for mail, issues, slides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from reslift.report.pictures import Bytes

GAP, LINE, FONT = 8, 20, 15
INK, PAPER = "#222222", "white"


@dataclass(frozen=True)
class Panel:
    """pixels: (H, W) or (H, W, 1 or 3) uint8. label and note stand under it, each on its line."""

    label: str
    pixels: Bytes
    note: str = ""


def draw_panels(panels: Sequence[Panel], zoom: int = 1) -> Image.Image:
    """All panels in a row, RGB, each enlarged `zoom` times by whole pixels.

    A label that is wider than its panel is cut. Panels may differ in size.
    """
    font = ImageFont.load_default(FONT)
    shown = [_enlarged(panel.pixels, zoom) for panel in panels]
    lines = 2 if any(panel.note for panel in panels) else 1
    height = max(picture.height for picture in shown)
    width = sum(picture.width for picture in shown) + GAP * (len(shown) - 1)
    sheet = Image.new("RGB", (width, height + lines * LINE + GAP), PAPER)
    pen, left = ImageDraw.Draw(sheet), 0
    for panel, picture in zip(panels, shown, strict=True):
        sheet.paste(picture, (left, 0))
        middle = left + picture.width / 2
        for number, text in enumerate((panel.label, panel.note)):
            text = _cut(text, picture.width, font)
            pen.text((middle, height + 5 + number * LINE), text, fill=INK, font=font, anchor="ma")
        left += picture.width + GAP
    return sheet


def _enlarged(pixels: Bytes, zoom: int) -> Image.Image:
    flat = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    picture = Image.fromarray(np.ascontiguousarray(flat)).convert("RGB")
    size = picture.width * zoom, picture.height * zoom
    return picture.resize(size, Image.Resampling.NEAREST)


def _cut(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…" if text else ""
