"""Cutting an image into cells that can be computed alone without changing the answer.

::

    image border                         A cell is computed from its core and, where the image has
    ┌──────────────┬───────────┬───      them, `halo` real pixels around it; then the halo is cut
    │ cell │ halo  │           │         off. At the image border the network's own border stays.
    │──────┘       │           │
    │ halo         │           │         halo ≥ receptive radius  ⇒  tiled = whole

The grid depends on the size of the image and on what the model declares, on nothing else. How many
cells are held at once is another question (`--tile`), so it cannot change a single bit.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

CELL = 512


@dataclass(frozen=True)
class Box:
    """Rows top ≤ y < bottom and columns left ≤ x < right."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def pixels(self) -> int:
        return self.height * self.width

    def slices(self, origin: Box | None = None, scale: int = 1) -> tuple[slice, slice]:
        """Row and column slices, counted from the corner of `origin`, in pixels of the result."""
        top, left = (origin.top, origin.left) if origin else (0, 0)
        rows = slice((self.top - top) * scale, (self.bottom - top) * scale)
        return rows, slice((self.left - left) * scale, (self.right - left) * scale)

    def grown(self, margin: int, height: int, width: int) -> Box:
        """`margin` pixels more on each side, as far as an image of this size has them."""
        return Box(
            max(0, self.top - margin),
            min(height, self.bottom + margin),
            max(0, self.left - margin),
            min(width, self.right + margin),
        )


def grid(height: int, width: int, multiple_of: int = 1, cell: int = CELL) -> list[Box]:
    """The cells of an image, row by row: a partition of it.

    Args:
        height, width: size of the image in LR pixels, at least 1.
        multiple_of: cells start on multiples of this.
        cell: longest side of a cell; sides are nearly even. At least one multiple is taken.
    """
    rows = _cut(height, multiple_of, cell)
    columns = _cut(width, multiple_of, cell)
    return [Box(top, bottom, left, right) for top, bottom in rows for left, right in columns]


def _cut(length: int, multiple_of: int, cell: int) -> list[tuple[int, int]]:
    units = -(-length // multiple_of)
    pieces = -(-units // max(1, cell // multiple_of))
    edges = [units * i // pieces * multiple_of for i in range(pieces)] + [length]
    return list(itertools.pairwise(edges))


def round_up(margin: int, multiple_of: int) -> int:
    """The smallest multiple that is at least `margin`: a halo must keep to the model's grid."""
    return -(-margin // multiple_of) * multiple_of
