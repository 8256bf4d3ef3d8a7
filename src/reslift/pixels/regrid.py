"""Two grids of pixels over the same area, one finer (or coarser) than the other by any ratio.

::

    source │   0   │   1   │   2   │       r = pixels of the result ÷ pixels of the source
    result │ 0 │ 1 │ 2 │ 3 │ 4 │           centre i of the result: (i + ½) / r − ½ in the source
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reslift.pixels.tiles import Box

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Regrid:
    """From `width` × `height` pixels to `wide` × `high` of them, corners upon corners."""

    width: int
    height: int
    wide: int
    high: int

    @property
    def across(self) -> float:
        """Pixels of a row of the result ÷ those of a row of the source."""
        return self.wide / self.width

    @property
    def down(self) -> float:
        """Rows of the result ÷ rows of the source."""
        return self.high / self.height

    @property
    def ratio(self) -> float:
        """The larger of the two: it says which models are needed."""
        return max(self.across, self.down)

    @property
    def whole(self) -> int | None:
        """The scale, where it is one and a whole number."""
        scale = self.wide // self.width
        is_whole = (scale * self.width, scale * self.height) == (self.wide, self.high)
        return scale if is_whole and scale else None

    @property
    def label(self) -> str:
        """``2x``, or where the scale is not whole the new sides, ``1920x1080``."""
        return f"{self.whole}x" if self.whole else f"{self.wide}x{self.high}"

    def under(self, box: Box) -> Box:
        """The pixels of the source in which the centres of a box of the result lie."""
        rows, columns = self._places(box)
        return Box(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)

    def nearest(
        self, samples: NDArray[Any], box: Box | None = None, origin: Box | None = None
    ) -> NDArray[Any]:
        """Each pixel of the result is that of the source in which its centre lies.

        Args:
            samples: (height, width, …), or where `origin` is given, that part of them, (h, w, …).
            box: the part of the result that is wanted; None is all of it.

        Returns:
            (high, wide, …) or that part of it; at a whole scale each sample is a square.
        """
        whole = Box(0, self.high, 0, self.wide)
        rows, columns = self._places(box or whole)
        top, left = (origin.top, origin.left) if origin else (0, 0)
        found: NDArray[Any] = samples[rows - top][:, columns - left]
        return found

    def _places(self, box: Box) -> tuple[Places, Places]:
        """Rows and columns of the source, in whole numbers, so that nothing is rounded."""
        rows = (2 * np.arange(box.top, box.bottom) + 1) * self.height // (2 * self.high)
        columns = (2 * np.arange(box.left, box.right) + 1) * self.width // (2 * self.wide)
        return rows, columns
