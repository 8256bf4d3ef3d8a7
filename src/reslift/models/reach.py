"""How far a chain of layers looks: receptive radii by intervals.

An output pixel y depends on an interval [low, high] of the pixels before it. Each layer widens the
interval; walking from the last layer to the first gives the LR pixels that y depends on. A layer
here is a function of an interval, so a model lists its layers once more, with their names, and the
widest interval over one period of the output grid is its halo.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Layer = Callable[[int, int], tuple[int, int]]


def conv(kernel: int = 3, stride: int = 1, padding: int | None = None) -> Layer:
    """A convolution or a pooling; ``padding`` is half the kernel when left out."""
    before = kernel // 2 if padding is None else padding

    def look(low: int, high: int) -> tuple[int, int]:
        return low * stride - before, high * stride - before + kernel - 1

    return look


def transposed(kernel: int, stride: int, padding: int) -> Layer:
    """A transposed convolution: input i spreads over outputs i · stride - padding + [0, kernel)."""

    def look(low: int, high: int) -> tuple[int, int]:
        return -((kernel - 1 - padding - low) // stride), (high + padding) // stride

    return look


def enlarge(factor: int) -> Layer:
    """PixelShuffle or nearest upsampling: y comes from y // factor."""
    return lambda low, high: (low // factor, high // factor)


def halo(layers: Sequence[Layer], scale: int, multiple_of: int = 1) -> int:
    """LR pixels on each side of an output pixel that can reach it through ``layers``.

    Args:
        layers: from input to output, the path of the widest view.
        scale: HR pixels for an LR pixel.
        multiple_of: period of the grid; the result is rounded up to it.
    """
    farthest = 0
    for y in range(multiple_of * scale):
        low = high = y
        for layer in reversed(layers):
            low, high = layer(low, high)
        own = y // scale
        farthest = max(farthest, own - low, high - own)
    return math.ceil(farthest / multiple_of) * multiple_of
