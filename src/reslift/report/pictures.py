"""Pictures inside a page: encoded once as a data URI, shown in grids, compared with a slider."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from reslift.report.html import Child, Html, tag

ERROR_TOP = 48
"""Luma levels (of 255) at which the error colours saturate; the same in every report."""

ANCHORS = (
    (0, 0, 4), (22, 11, 57), (66, 10, 104), (106, 23, 110), (147, 38, 103), (188, 55, 84),
    (221, 81, 58), (243, 120, 25), (252, 165, 10), (246, 215, 70), (252, 255, 164),
)  # fmt: skip
"""Eleven even samples of matplotlib's inferno (CC0): dark is no error, even steps to the eye."""

Bytes = npt.NDArray[np.uint8]


def encode(image: Bytes, quality: int | None = None) -> str:
    """A data URI of (H, W) or (H, W, 1 or 3) uint8: lossless WebP, or lossy at ``quality``.

    A side over 16383, the limit of WebP, gives PNG.
    """
    flat = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    picture, buffer = Image.fromarray(np.ascontiguousarray(flat)), io.BytesIO()
    kind = "png" if max(picture.size) > 16383 else "webp"
    options: dict[str, Any] = (
        {"lossless": True, "quality": 20} if quality is None else {"quality": quality}
    )
    picture.save(buffer, kind, **(options if kind == "webp" else {}))
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def thumbnail(image: Bytes, side: int) -> Bytes:
    """The picture shrunk until its longer side is at most ``side`` pixels."""
    flat = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    picture = Image.fromarray(np.ascontiguousarray(flat))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    small: Bytes = np.asarray(picture)
    return small


def error_colours(error: npt.NDArray[Any], top: float = ERROR_TOP) -> Bytes:
    """|SR - HR| in levels, (H, W), as (H, W, 3) uint8 colours from 0 (black) to ``top`` (pale)."""
    position = np.clip(np.asarray(error, np.float64) / top, 0, 1) * (len(ANCHORS) - 1)
    anchors = np.asarray(ANCHORS, np.float64)
    below = np.minimum(position.astype(np.intp), len(ANCHORS) - 2)
    part = (position - below)[..., None]
    mixed = anchors[below] * (1 - part) + anchors[below + 1] * part
    colours: Bytes = np.floor(mixed + 0.5).astype(np.uint8)
    return colours


def colour_scale(label: str, top: float = ERROR_TOP) -> Html:
    """The legend of :func:`error_colours`."""
    colours = ", ".join(f"rgb({r} {g} {b})" for r, g, b in ANCHORS)
    ticks = [f"{top * i / 4:g}" for i in range(4)] + [f"≥ {top:g}"]
    return tag(
        "div",
        tag("span", label),
        tag(
            "span",
            tag("i", style=f"background: linear-gradient(90deg, {colours})"),
            tag("span", [tag("b", tick) for tick in ticks], class_="ticks"),
            class_="ramp",
        ),
        class_="scale",
    )


@dataclass(frozen=True)
class Picture:
    """One cell of :func:`picture_row`.

    Attributes:
        label: stands above the picture and names it in the viewer.
        source: a data URI from :func:`encode`.
        width, height: size at which it is laid out, in pixels; LR is shown at the size of HR.
        note: stands beside the label, as its PSNR.
        coarse: show its pixels as squares when enlarged.
        default: ``left`` or ``right`` of the slider when the viewer opens.
    """

    label: str
    source: str
    width: int
    height: int
    note: str = ""
    coarse: bool = False
    default: str | None = None


def picture_row(
    title: Child,
    pictures: Sequence[Picture],
    *,
    second: Sequence[Picture] = (),
    before: Sequence[Html] = (),
    after: Sequence[Html] = (),
) -> Html:
    """Pictures of one subject side by side; a click opens the viewer with a slider between two.

    ``second`` makes a second line below, between the cells ``before`` and ``after`` it, which take
    no part in the viewer.
    """
    return tag(
        "article",
        tag("header", title),
        tag(
            "div",
            [_cell(p) for p in pictures],
            before,
            [_cell(p) for p in second],
            after,
            class_="pictures",
            style=f"--columns: {max(len(pictures), 2)}",
        ),
        class_="subject",
    )


def _cell(picture: Picture) -> Html:
    name = f"{picture.label} {picture.note}".strip()
    return tag(
        "figure",
        tag("figcaption", tag("b", picture.label), " ", tag("span", picture.note)),
        tag(
            "img",
            src=picture.source,
            width=picture.width,
            height=picture.height,
            alt=name,
            loading="lazy",
            decoding="async",
            class_="coarse" if picture.coarse else None,
            data_label=picture.label,
            data_note=picture.note,
            data_side=picture.default,
            tabindex=0,
        ),
    )
