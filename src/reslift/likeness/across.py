"""Copies between the training and the held-out pictures of a data set, in bounded time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reslift.datasets.base import ImageSet
from reslift.errors import InputError
from reslift.likeness import THUMBNAIL, Alike, find_alike, luma, sign, within
from reslift.likeness.signature import Signature

MOST = 2000
SECONDS = 20.0


@dataclass(frozen=True)
class Copies:
    """What was found, and how much was looked at.

    Attributes:
        pairs: (name of the held-out picture, name of the training picture, how alike).
        looked: pictures that were compared.
        of: pictures there are.
    """

    pairs: tuple[tuple[str, str, Alike], ...]
    looked: int
    of: int


def copies_across(
    train: ImageSet, held: Sequence[ImageSet], most: int = MOST, seconds: float = SECONDS
) -> Copies:
    """Held-out pictures that are also in training, resized, recompressed, flipped or cropped.

    Args:
        train: its pictures.
        held: sets that training must not see.
        most: pictures of each side that are looked at, evenly spaced.
        seconds: for reading each side; what is not read by then is left out.
    """
    mine = [(name, signature) for one in held for name, signature in _signed(one, most, seconds)]
    theirs = list(_signed(train, most, seconds))
    sides = [0] * len(mine) + [1] * len(theirs)
    everyone = mine + theirs
    found = find_alike([signature for _, signature in everyone], sides, across=True)
    pairs = tuple((everyone[pair.one][0], everyone[pair.other][0], pair) for pair in found)
    return Copies(pairs, len(everyone), len(train) + sum(map(len, held)))


def _signed(images: ImageSet, most: int, seconds: float) -> list[tuple[str, Signature]]:
    """Names and signatures; what cannot be read is told elsewhere."""
    deadline = time.monotonic() + seconds
    step = max(1, -(-len(images) // most))
    found = []
    for number in range(0, len(images), step):
        if time.monotonic() > deadline:
            break
        try:
            pixels = np.ascontiguousarray(images.load(number).permute(1, 2, 0).numpy())
        except InputError:
            continue
        found.append((images.names[number], sign(within(luma(pixels), THUMBNAIL))))
    return found
