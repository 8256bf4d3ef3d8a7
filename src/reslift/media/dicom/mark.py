"""The words "not for diagnosis", burned into pixels for those who want them there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

TEXT = "NOT FOR DIAGNOSIS"
SHARE = 0.4
SMALLEST = 8


def burn_in(frame: NDArray[Any], bright: float, dark: float) -> None:
    """Write the words at the lower left, in place, `bright` with a rim of `dark`.

    Args:
        frame: (h, w) or (h, w, 3).
        bright, dark: stored values of the letters and of their rim.
    """
    height, width = frame.shape[:2]
    letters, rim = _masks(max(SMALLEST, round(width * SHARE / len(TEXT) * 1.6)))
    letters, rim = letters[:height, :width], rim[:height, :width]
    edge = min(width // 64, max(0, width - letters.shape[1]))
    bottom = max(0, height - letters.shape[0] - edge)
    place = frame[bottom : bottom + letters.shape[0], edge : edge + letters.shape[1]]
    place[rim[:, : place.shape[1]]] = dark
    place[letters[:, : place.shape[1]]] = bright


def _masks(size: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The letters and the letters with their rim."""
    font = ImageFont.load_default(size)
    stroke = max(1, size // 10)
    box = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox((0, 0), TEXT, font, stroke_width=stroke)
    area = (int(np.ceil(box[2])) + stroke, int(np.ceil(box[3])) + stroke)
    masks = []
    for width in (0, stroke):
        image = Image.new("L", area)
        ImageDraw.Draw(image).text((stroke, stroke), TEXT, 255, font, stroke_width=width)
        masks.append(np.asarray(image) > 127)
    return masks[0], masks[1]
