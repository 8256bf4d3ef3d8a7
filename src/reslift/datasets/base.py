"""What a data set is: named pictures, split into training and validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ImageSet:
    """Pictures by number, decoded when asked for.

    Attributes:
        names: one a picture, unique, for reports.
        load: number → (C, H, W) uint8 RGB.
        labels: a class a picture, where the data set has classes.
    """

    names: tuple[str, ...]
    load: Callable[[int], Tensor]
    labels: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Splits:
    """The two sets that training looks at; they share no picture."""

    train: ImageSet
    validation: ImageSet
