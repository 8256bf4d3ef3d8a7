"""What a degradation is: a function from HR to LR, with its scale and its baseline."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class Degradation(ABC):
    """HR → LR on whole 8-bit images.

    Attributes:
        scale: HR side ÷ LR side; 1 keeps the grid.
    """

    scale: int

    @abstractmethod
    def __call__(self, hr: Tensor) -> Tensor:
        """LR (B, C, H/s, W/s) uint8 of hr (B, C, H, W) uint8, sides multiples of the scale."""

    @abstractmethod
    def describe(self) -> str:
        """The kernel in words, for reports and cards."""
