"""Where a picture shows faces, as far as a detector that is installed can tell.

The detector is the cascade of local binary patterns for frontal faces (Ahonen, Hadid & Pietikäinen
2004; Viola & Jones 2001) that comes with scikit-image (extra `faces`). It says where something
looks like a face, not whose it is, and misses faces in profile, tilted or small ones.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from PIL import Image

from reslift.pixels.planes import Floats
from reslift.pixels.tiles import Box

LONGEST, LEAST = 512, 30
"""Pixels a side that are looked at, at most; of the smallest face in them."""
STEP, AGREEING = 1.15, 6
"""From one size of faces to the next; how many sizes and places have to find the same one."""
MOST = 0.5
"""Share of a box that lies in a larger one: the same face."""


def find_faces(luma: Floats) -> tuple[Box, ...] | None:
    """Boxes around the faces of (H, W) in levels of 255; None where no detector is installed."""
    detector = _detector()
    if detector is None:
        return None
    image = Image.fromarray(np.rint(luma).clip(0, 255).astype(np.uint8))
    longest = max(image.size)
    if longest > LONGEST:
        wide, high = (max(1, round(side * LONGEST / longest)) for side in image.size)
        image = image.resize((wide, high), Image.Resampling.BICUBIC)
    shortest = min(image.size)
    if shortest < LEAST:
        return ()
    found = detector.detect_multi_scale(
        img=np.asarray(image),
        scale_factor=STEP,
        step_ratio=1,
        min_size=(LEAST, LEAST),
        max_size=(shortest, shortest),
        min_neighbor_number=AGREEING,
    )
    ratio = max(1.0, longest / LONGEST)
    boxes = (
        Box(*(round(edge * ratio) for edge in (top, top + height, left, left + width)))
        for top, left, height, width in (
            (face["r"], face["c"], face["height"], face["width"]) for face in found
        )
    )
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda box: -box.pixels):
        if not any(_shared(box, other) > MOST * box.pixels for other in kept):
            kept.append(box)
    return tuple(sorted(kept, key=lambda box: (box.top, box.left)))


def _shared(one: Box, other: Box) -> int:
    """Pixels of both."""
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    width = min(one.right, other.right) - max(one.left, other.left)
    return max(0, height) * max(0, width)


@functools.cache
def _detector() -> Any:
    try:
        from skimage import data
        from skimage.feature import Cascade
    except ImportError:
        return None
    return Cascade(data.lbp_frontal_face_cascade_filename())  # type: ignore[no-untyped-call]
