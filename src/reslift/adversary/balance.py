"""How much the adversary counts: more while held-out PSNR holds its floor, else less."""

from __future__ import annotations

from typing import Any

from reslift.recipe import AdversaryPart


class Balance:
    """The weight of the adversarial loss, between 0 and the recipe's.

    It rises by a share of ``1 / ramp`` a step after the warm-up. A validation below the floor
    halves it and stops the rise until a validation at or above the floor.

    Args:
        part: weight, ramp, warm-up and floor.
        start: held-out PSNR-Y when the phase begins, dB.
        bicubic: that of bicubic, dB.

    Attributes:
        floor: dB of held-out PSNR-Y.
        level: share of the full weight, 0 to 1.
        rising: whether the last validation held the floor.
    """

    def __init__(self, part: AdversaryPart, start: float, bicubic: float) -> None:
        self.part = part
        self.floor = part.floor + (start if part.floor_from == "start" else bicubic)
        self.level, self.rising = 0.0, start >= self.floor

    @property
    def weight(self) -> float:
        """Of the adversarial loss, now."""
        return self.part.weight * self.level

    def rise(self) -> None:
        """Go one step on."""
        if self.rising:
            self.level = min(1.0, self.level + 1 / self.part.ramp)

    def judge(self, psnr: float) -> None:
        """Take in a validation, dB of PSNR-Y."""
        self.rising = psnr >= self.floor
        if not self.rising:
            self.level /= 2

    def give_way(self) -> None:
        """Halve the weight and wait for a validation, after a spike."""
        self.level, self.rising = self.level / 2, False

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` takes."""
        return {"floor": self.floor, "level": self.level, "rising": self.rising}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.floor, self.level, self.rising = state["floor"], state["level"], state["rising"]
