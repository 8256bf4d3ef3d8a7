"""What a model asks of the code around it, without the model: facts that a graph carries too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from reslift.errors import InputError


class Declares(Protocol):
    """Anything with these facts on it; every ``SRModel`` is."""

    scale: int
    channels: int
    multiple_of: int
    halo: int
    is_global: bool
    size: int | None


@dataclass(frozen=True)
class Needs:
    """What :class:`reslift.models.base.SRModel` declares; see there.

    Attributes:
        scale: integer factor between LR and SR.
        channels: image channels in and out.
        multiple_of: tiles start on multiples of this, in LR pixels.
        halo: LR pixels on each side that an output pixel depends on.
        is_global: tiles would change the answer.
        size: side of the square images that it takes and no others; None takes any size.
    """

    scale: int
    channels: int
    multiple_of: int
    halo: int
    is_global: bool = False
    size: int | None = None

    @classmethod
    def of(cls, model: Declares) -> Needs:
        """Those of a model."""
        return cls(
            model.scale,
            model.channels,
            model.multiple_of,
            model.halo,
            model.is_global,
            model.size,
        )

    def check_size(self, height: int, width: int) -> None:
        """Nothing, where images of this size are taken.

        Raises:
            InputError: one fixed size is taken, and this is another.
        """
        if self.size is not None and (height, width) != (self.size, self.size):
            raise InputError(
                f"this model has fully connected layers and takes {self.size}x{self.size} pixels "
                f"only, not {width}x{height}: crop or resize the picture, or use another model"
            )
