"""What was found as one interactive HTML page: the map, the pictures behind it, the strips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from reslift.evaluate.page import number
from reslift.latent.explore import Exploration
from reslift.latent.strips import REACH, Strip
from reslift.report import (
    ERROR_TOP,
    Bytes,
    Column,
    Html,
    colour_scale,
    data_block,
    encode,
    facts,
    page,
    section,
    sprite_sheets,
    storage,
    table,
    tag,
)
from reslift.report.pictures import ANCHORS

PALETTE = (
    "#3f8fd9", "#e8853a", "#35a26b", "#c94f7c", "#8f6fe0", "#b59a1c", "#26a6b5", "#d1533f",
    "#7d9a3a", "#b978c9",
)  # fmt: skip
"""Ten colours that differ on white and on black."""

SEQUENTIAL = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""Five even samples of matplotlib's viridis (CC0)."""

DIVERGING = ((194, 55, 43), (226, 150, 120), (150, 155, 163), (110, 165, 225), (24, 98, 196))
KINDS = (
    ("lr", "LR"), ("bicubic", "bicubic"), ("sr", "SR"), ("hr", "HR"), ("error", "|SR − HR|"),
)  # fmt: skip
NEIGHBOURS_SHOWN = 12
LEAST_WORTH = 0.005
"""dB: the smallest number that two decimals show."""


def render(found: Exploration, command: str, made: str) -> str:
    """The whole page.

    Args:
        found: from :func:`reslift.latent.explore.explore`.
        command: what reproduces it.
        made: date and time, in words.
    """
    source, encoded = found.source, found.encoded
    title = f"Latent space of {source.name}"
    lossy = storage(_pixels(found))
    return page(
        title,
        tag("h1", title),
        tag("p", f"{len(encoded.names)} pictures: {source.words}. {made}", class_="note"),
        [tag("p", line, class_="verdict") for line in statements(found)],
        tag(
            "div",
            colour_scale("|SR − HR| of luma, in levels of 255", ERROR_TOP),
            class_="explorer",
        ),
        data_block("explorer-data", explorer_data(found, lossy)),
        _maps(found),
        _strips(found),
        _failures(found),
        _protocol(found, command, lossy),
        assets=("explorer",),
    )


def statements(found: Exploration) -> list[str]:
    """What can be said in words: what the latent carries, and what lies together in it."""
    share = found.share
    loss = share.psnr - share.without
    worth = f"{loss:.2f} dB" if loss >= LEAST_WORTH else "nothing that can be measured"
    lines = [
        f"The latent is worth {worth}: with the mean latent of the set in its place, PSNR-Y "
        f"goes from {share.psnr:.2f} to {share.without:.2f} dB ({_count(share.pictures)})."
    ]
    if found.agreement is not None:
        same, chance = found.agreement
        lines.append(
            f"{same:.1%} of the {found.neighbours.shape[1]} nearest neighbours share a picture's "
            f"label; chance gives {chance:.1%}."
        )
    return lines


def explorer_data(found: Exploration, quality: int | None) -> dict[str, Any]:
    """The JSON that ``explorer.js`` reads.

    ``maps`` hold points in the unit square, ``columns`` a value a picture, ``sheets`` the pictures.
    """
    encoded = found.encoded
    sheets = {kind: sprite_sheets(encoded.pictures[kind], quality) for kind, _ in KINDS}
    small = sprite_sheets(encoded.thumbnails, 82) if encoded.thumbnails else sheets["hr"]
    near = min(NEIGHBOURS_SHOWN, found.neighbours.shape[1])
    return {
        "names": encoded.names,
        "labels": found.ranked_labels or None,
        "maps": [
            {"label": p.label, "points": unit_square(p.points), "words": _trust(p.trust, p.k)}
            for p in found.projections
        ],
        "columns": columns(found),
        "kinds": KINDS,
        "under": {"sr": "psnr_y", "bicubic": "bicubic_psnr_y"},
        "sheets": {**sheets, "thumb": small},
        "neighbours": found.neighbours[:, :near].tolist(),
        "distances": [[f"{d:.3g}" for d in row] for row in found.distances[:, :near].tolist()],
        "palette": PALETTE,
        "invitation": "Click a point to see its pictures, its numbers and its neighbours.",
    }


def columns(found: Exploration) -> list[dict[str, Any]]:
    """Values that points are coloured by, and that are listed for one."""
    encoded = found.encoded
    place = {label: rank for rank, label in enumerate(found.ranked_labels)}
    labels = {
        "key": "label",
        "label": "label",
        "kind": "label",
        "colour": True,
        "values": [place.get(label, 0) for label in encoded.labels],
    }
    gains = encoded.gain
    span = max((abs(g) for g in gains if math.isfinite(g)), default=1.0)
    span = min(span, 2 * float(np.median([abs(g) for g in gains if math.isfinite(g)] or [1])) + 0.1)
    return [
        *([labels] if found.labelled else []),
        _column("sharpness", "sharpness", "levels/px", encoded.sharpness, 1, SEQUENTIAL),
        _column("error", "error", "levels", encoded.error, 2, ANCHORS[2:10]),
        _column("gain_psnr_y", "gain", "dB", gains, 2, DIVERGING, (-span, span)),
        _column("psnr_y", "PSNR-Y", "dB", encoded.psnr, 2),
        _column("bicubic_psnr_y", "bicubic PSNR-Y", "dB", encoded.bicubic_psnr, 2),
    ]


def _column(
    key: str,
    label: str,
    unit: str,
    values: Sequence[float],
    decimals: int,
    stops: Sequence[tuple[int, int, int]] = (),
    ends: tuple[float, float] | None = None,
) -> dict[str, Any]:
    finite = [v for v in values if math.isfinite(v)] or [0.0]
    low, high = ends or (float(np.percentile(finite, 2)), float(np.percentile(finite, 98)))
    return {
        "key": key,
        "label": label,
        "unit": unit,
        "kind": "number",
        "colour": bool(stops),
        "stops": stops,
        "decimals": decimals,
        "low": round(low, 6),
        "high": round(high, 6),
        "values": [_value(v) for v in values],
    }


def _value(value: float) -> float | str:
    """What JSON can hold of it."""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return round(value, 4)


def unit_square(points: torch.Tensor) -> list[float]:
    """(N, 2) as a flat list between 0 and 1, both axes on one scale, the middle at 0.5."""
    low, high = points.min(0).values, points.max(0).values
    span = (high - low).max().clamp(min=1e-12)
    flat = (points - (low + high) / 2) / span + 0.5
    return [round(value, 4) for value in flat.flatten().tolist()]


def _trust(trust: float, k: int) -> str:
    if math.isnan(trust):
        return "Too few pictures for a trustworthiness."
    return (
        f"Trustworthiness {trust:.3f}: how far the {k} nearest in this map are near in the latent "
        f"space as well (1: all of them; 0.5: chance)."
    )


def _maps(found: Exploration) -> Html:
    rows = [[p.label, number(p.trust, 3), p.words] for p in found.projections]
    first = found.projections[0]
    return section(
        "Maps",
        table([Column("map"), Column(f"trustworthiness, {first.k} neighbours", True),
               Column("made by")], rows),
        [tag("p", note, class_="note") for note in found.notes],
        note=found.encoded.pooling + " Distances in the page are between these vectors.",
    )  # fmt: skip


def _strips(found: Exploration) -> list[Html]:
    names = found.encoded.names
    a, b = (names[number] for number in found.pair)
    between = (
        f"From {a} (left end) to {b} (right end). In the linear and the spherical strip everything "
        "that the decoder takes goes from one to the other: the latent, the features of the skips "
        "and, where the model hands it on, LR itself, which goes linearly in both. So the ends are "
        "the reconstructions, bit for bit. In the third strip only the latent goes and all the "
        "rest stays the first picture's: what changes there is what the latent alone decides."
    )
    through = (
        f"Through {names[found.start]} (the frame at 0), ±{REACH:g} standard deviations of the set "
        "along the principal axes of the pooled latents; skips and LR stay as they are. A vector "
        "is moved itself; of a map each channel is shifted and stretched to the mean and deviation "
        "that the axis asks for. Features may go where no picture's are."
    )
    under = "Below each frame: mean change of luma, levels of 255."
    return [
        section("Between two pictures", [_strip(s) for s in found.interpolations],
                note=f"{between} {under}"),
        section("Along the principal axes", [_strip(s) for s in found.traversals],
                note=f"{through} {under}"),
    ]  # fmt: skip


def _strip(strip: Strip) -> Html:
    sheet = joined(strip)
    items = [
        tag("li", caption, tag("span", f"{change:.2f}"))
        for caption, change in zip(strip.captions, strip.changes, strict=True)
    ]
    height, width = sheet.shape[:2]
    return tag(
        "div",
        tag("h3", strip.title),
        tag(
            "div",
            tag("img", src=encode(sheet), width=width, height=height, alt=strip.title,
                class_="coarse" if strip.frames[0].shape[1] < 100 else None),
            tag("ol", items, style=f"--columns: {len(items)}"),
            _difference(strip),
        ),
        class_="strip",
    )  # fmt: skip


def _difference(strip: Strip) -> list[Html]:
    """What is too little to be seen in the frames, enlarged in value."""
    times = amplification(strip)
    if times < 2:
        return []
    start = strip.frames[strip.start].astype(np.int16)
    apart = [frame.astype(np.int16) - start for frame in strip.frames]
    sheet = (128 + times * np.concatenate(apart, 1)).clip(0, 255).astype(np.uint8)
    words = f"difference to the frame at {strip.captions[strip.start]}, ×{times}, gray is none"
    height, width = sheet.shape[:2]
    return [
        tag("p", words, class_="more"),
        tag("img", src=encode(sheet, 90), width=width, height=height, alt=words,
            class_="coarse" if strip.frames[0].shape[1] < 100 else None),
    ]  # fmt: skip


def amplification(strip: Strip) -> int:
    """A power of two up to 32 that makes all but the largest differences fill the range; 1 where
    they can be seen as they are, or where there are none."""
    start = strip.frames[strip.start].astype(np.int16)
    apart = np.abs(np.concatenate([f.astype(np.int16) - start for f in strip.frames], 1))
    top = float(np.percentile(apart, 99.5))
    return 1 if top == 0 or top > 48 else int(min(32, 2 ** math.floor(math.log2(127 / top))))


def joined(strip: Strip) -> Bytes:
    """The frames side by side, (H, W, 3) uint8."""
    return np.concatenate(strip.frames, 1)


def _failures(found: Exploration) -> Html | None:
    lines = found.encoded.failures
    if not lines:
        return None
    return section(f"Left out: {len(lines)}", [tag("p", x, class_="warning") for x in lines[:100]])


def _protocol(found: Exploration, command: str, lossy: int | None) -> Html:
    source = found.source
    kept = "without loss" if lossy is None else f"as lossy WebP (quality {lossy}), for viewing"
    crops = " Large ones as the crop at full resolution in which the error is largest."
    whole = f"the middle {found.crop}×{found.crop} of HR, of smaller pictures the whole"
    return section(
        "How it was made",
        facts(
            {
                "model": f"{source.card.model}, ×{source.model.scale}",
                "LR": source.degradation.describe(),
                "encoded": whole if found.crop else "whole pictures",
                "sharpness": "mean absolute gradient of HR's luma, levels of 255 a pixel",
                "error": "root mean square of SR − HR on luma, levels of 255",
                "gain": "PSNR-Y of SR minus that of bicubic, dB; gray files are taken as RGB",
                "pictures here": f"kept {kept}; every number is of the exact pixels."
                + (crops if found.encoded.thumbnails else ""),
                "seed": found.seed,
            }
        ),
        tag("pre", command),
    )


def _pixels(found: Exploration) -> int:
    return sum(p.shape[0] * p.shape[1] for k in found.encoded.pictures.values() for p in k)


def _count(pictures: int) -> str:
    return f"{pictures} picture{'s' if pictures != 1 else ''}"
