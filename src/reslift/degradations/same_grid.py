"""Same-grid damage: a picture is made smaller and enlarged again, so LR has the size of HR."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal, get_args

from torch import Tensor

from reslift.degradations.base import Degradation
from reslift.pixels.resample import Kernel, resample8


class SameGrid(Degradation):
    """Down to a small 8-bit picture and up again with the same kernel; rounded after each.

    Args:
        scale: 1.
        kernel: ``area``, ``bilinear`` or ``bicubic``, both ways.
        antialias: widen the kernel on the way down.

    Raises:
        ValueError: another scale or kernel.
    """

    def __init__(self, scale: int, kernel: Kernel, antialias: bool) -> None:
        if scale != 1:
            raise ValueError(f"it keeps the grid: the recipe's scale is 1, not {scale}")
        if kernel not in get_args(Kernel):
            raise ValueError(f"kernel {kernel!r} is not one of {', '.join(get_args(Kernel))}")
        self.scale, self.kernel, self.antialias = 1, kernel, antialias

    @abstractmethod
    def small_side(self, side: int) -> int:
        """Side of the small picture, at least 1."""

    def intermediate(self, hr: Tensor) -> Tensor:
        height, width = map(self.small_side, hr.shape[2:])
        return resample8(hr, height, width, self.kernel, antialias=self.antialias)

    def __call__(self, hr: Tensor) -> Tensor:
        height, width = hr.shape[2:]
        return resample8(self.intermediate(hr), height, width, self.kernel, antialias=False)

    def _kernel(self) -> str:
        if self.kernel == "area":
            return "area"
        return f"{self.kernel} {'with' if self.antialias else 'without'} antialiasing"


class ResizeBack(SameGrid):
    """System S0's damage, 32 → 16 → 32: smaller by a factor, and back.

    Args:
        scale: 1.
        factor: by how much the small picture is smaller.
        kernel: both ways. ``bilinear`` without antialiasing is ``F.interpolate``'s default, which
            at factor 2 is the mean of 2×2 pixels; at larger factors it drops pixels (aliasing).
        antialias: widen the kernel on the way down.
    """

    def __init__(
        self,
        scale: int = 1,
        factor: float = 2,
        kernel: Kernel = "bilinear",
        antialias: bool = False,
    ) -> None:
        super().__init__(scale, kernel, antialias)
        if not factor >= 1:
            raise ValueError(f"factor starts at 1, not {factor}")
        self.factor = factor

    def small_side(self, side: int) -> int:
        return max(1, round(side / self.factor))

    def describe(self) -> str:
        return f"{self._kernel()} ÷{self.factor:g} and back on the same grid, 8 bit"


class Pixelate(SameGrid):
    """System S4's damage: area resize to a percentage of the size, and area resize back.

    At 40 % a picture of 80×80 becomes 32×32; enlarged, it looks as if made of blocks of 2.5 pixels.

    Args:
        scale: 1.
        percent: side of the small picture, percent of the side of HR, above 0 and up to 100.
    """

    def __init__(self, scale: int = 1, percent: float = 40) -> None:
        kernel: Literal["area"] = "area"
        super().__init__(scale, kernel, antialias=False)
        if not 0 < percent <= 100:
            raise ValueError(f"percent is above 0 and up to 100, not {percent}")
        self.percent = percent

    def small_side(self, side: int) -> int:
        return max(1, round(side * self.percent / 100))

    def describe(self) -> str:
        return f"area to {self.percent:g} % and back on the same grid (pixelated), 8 bit"
