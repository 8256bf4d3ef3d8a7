"""Shrinking: the degradation of the super-resolution benchmarks."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from reslift.degradations.base import Degradation
from reslift.pixels.kernel import Border
from reslift.pixels.resize import downscale8


class Bicubic(Degradation):
    """MATLAB's antialiased bicubic of the whole image, rounded to 8 bits after each axis.

    Args:
        scale: integer factor.
        border: ``symmetric`` as in Set5 and MATLAB, ``replicate`` as in Set14 and BSD100.
    """

    def __init__(self, scale: int, border: Literal["symmetric", "replicate"] = "symmetric") -> None:
        self.scale = scale
        self.border: Border = border

    def __call__(self, hr: Tensor) -> Tensor:
        return downscale8(hr, self.scale, border=self.border)

    def describe(self) -> str:
        return f"MATLAB bicubic ÷{self.scale}, antialiased, 8 bit, {self.border} border"
