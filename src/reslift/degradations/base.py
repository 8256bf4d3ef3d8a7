"""What a degradation is: a function from HR to LR, with its scale and its baseline."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from reslift.pixels.resize import imresize


class Degradation(ABC):
    """HR → LR on whole 8-bit images.

    ::

        hr ── intermediate ── small ──┬── LR (scale > 1), or enlarged to LR (scale 1)
                                      └── bicubic to the size of hr = the baseline

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

    def intermediate(self, hr: Tensor) -> Tensor:
        """The smallest picture (B, C, h, w) uint8 on the way to LR: all that is left of HR."""
        return self(hr)

    def baseline(self, hr: Tensor) -> Tensor:
        """What bicubic makes of the intermediate picture: (B, C, H, W) float64, not clipped.

        At scale 1 this, and not LR as it is, is what a model has to beat.
        """
        return imresize(self.intermediate(hr).double() / 255, *hr.shape[2:])
