"""Collages for training: leaves as `drawn` lets them fall, filled with pieces of photographs.

The edges are clean and of any direction, as drawn ones are; what lies on both sides is real.

    seed ─ a few photographs ─ pieces, turned and resized ─ leaves ─ canvas, twice as fine ─ picture
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from reslift.datasets.base import ImageSet
from reslift.datasets.drawn import FINER, SIDE, colour, let_fall, on_paper
from reslift.datasets.paints import Floats, Rng, blend
from reslift.errors import ResliftError

FEW = 8
LEAST, MOST, COVER = 40.0, 0.25, 2.0
"""Radii on the canvas: the least, at least; the largest, as a share of its side; their area."""
PHOTOGRAPHED, RECOLOURED = 0.75, 0.5
RESIZED = (0.6, 1.3)
TRIES = 3

Bytes = NDArray[np.uint8]


def collage_set(photographs: ImageSet, count: int, side: int = SIDE) -> ImageSet:
    """``count`` collages, (3, side, side) uint8 each; the same ones at every call.

    Photographs that cannot be read are left out of them; with none left a collage raises what the
    last of those raised.
    """

    def load(number: int) -> torch.Tensor:
        rng = np.random.default_rng((5, number))
        made = collage(rng, _some(rng, photographs), side)
        return torch.from_numpy(np.ascontiguousarray(made.transpose(2, 0, 1)))

    return ImageSet(tuple(f"collage {number}" for number in range(count)), load)


def _some(rng: Rng, photographs: ImageSet) -> list[Bytes]:
    found: list[Bytes] = []
    trouble: ResliftError | None = None
    for number in rng.permutation(len(photographs)):
        try:
            found.append(photographs.load(int(number)).permute(1, 2, 0).numpy())
        except ResliftError as error:
            trouble = error
        if len(found) == FEW:
            break
    if not found and trouble is not None:
        raise trouble
    return found


def collage(rng: Rng, photographs: list[Bytes], side: int = SIDE) -> Bytes:
    """One picture, (side, side, 3), of photographs (H, W, 3) of any sizes."""
    canvas = np.empty((side * FINER, side * FINER, 3), np.float32)
    canvas[:] = _piece(rng, photographs, *canvas.shape[:2])

    def paint(height: int, width: int) -> Floats:
        if rng.random() >= PHOTOGRAPHED:
            share = blend(rng, height, width)[..., None]
            return colour(rng) * (1 - share) + colour(rng) * share
        piece = _piece(rng, photographs, height, width)
        if rng.random() < RECOLOURED:
            piece = np.clip(piece * rng.uniform(0.5, 1.3) + rng.uniform(-40, 40), 0, 255)
        return piece.astype(np.float32)

    for radius in _radii(rng, side * FINER):
        let_fall(rng, canvas, radius, paint)
    return on_paper(canvas)


def _radii(rng: Rng, side: int) -> list[float]:
    """Radii with a density of r^-2, larger ones than drawn leaves have: their fillings count."""
    most = side * MOST
    least = min(LEAST * math.exp(rng.uniform(0, 1)), most / 2)
    radii: list[float] = []
    area = 0.0
    while area < COVER * side * side:
        radii.append(1 / (1 / least + rng.random() * (1 / most - 1 / least)))
        area += 2 * radii[-1] ** 2
    return radii


def _piece(rng: Rng, photographs: list[Bytes], height: int, width: int) -> Floats:
    """(height, width, 3): the liveliest of a few places of a photograph, turned by any angle."""
    photo = photographs[rng.integers(len(photographs))]
    resized = rng.uniform(*RESIZED)
    need = min(math.ceil(math.hypot(height, width) / resized) + 8, *photo.shape[:2])
    places = [
        photo[top : top + need, left : left + need]
        for top, left in rng.integers(np.array(photo.shape[:2]) - need + 1, size=(TRIES, 2))
    ]
    image = Image.fromarray(np.ascontiguousarray(max(places, key=_liveliness)))
    image = image.rotate(float(rng.uniform(0, 360)), Image.Resampling.BICUBIC)
    rim = min(int(need * (1 - math.sqrt(0.5)) / 2) + 2, (need - 1) // 2)
    kept = need - 2 * rim
    sides = tuple(max(side, round(kept * resized)) for side in (width, height))
    image = image.crop((rim, rim, rim + kept, rim + kept))
    pixels = np.asarray(image.resize(sides, Image.Resampling.BICUBIC), np.float32)
    return pixels[:height, :width]


def _liveliness(piece: Bytes) -> float:
    rows = piece[::2, ::2].mean(2)
    return float(np.abs(np.diff(rows, axis=0)).mean()) if len(rows) > 1 else 0.0
