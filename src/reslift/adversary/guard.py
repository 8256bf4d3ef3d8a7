"""The spike guard: it knows the last good state, and when to go back to it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from reslift.recipe import AdversaryPart

State = dict[str, Any]
SETTLED = 20
MEMORY = 0.98


class Guard:
    """Watches the losses of each step before its updates are made.

    A step is refused when one of its losses is not finite, or when the first of them is above
    ``spike`` times its running mean, which counts from the 20th step. A state is kept only when the
    step's losses have shown it to be good.

    Args:
        part: spike, how often to keep a state, and how many rollbacks to survive.

    Attributes:
        kept: the last good state, a copy; None before the first.
        rollbacks: how many there were.
        mean: running mean of the first loss.
    """

    def __init__(self, part: AdversaryPart) -> None:
        self.part = part
        self.kept: State | None = None
        self.rollbacks, self.mean, self._seen = 0, 0.0, 0

    @property
    def exhausted(self) -> bool:
        """More rollbacks than the recipe allows."""
        return self.rollbacks > self.part.rollbacks

    def accepts(self, loss: float, *others: float) -> bool:
        """Whether the step may be made."""
        if not all(map(math.isfinite, (loss, *others))):
            return False
        if self._seen >= SETTLED and loss > self.part.spike * self.mean:
            return False
        self._seen += 1
        self.mean += (loss - self.mean) * max(1 - MEMORY, 1 / self._seen)
        return True

    def keep(self, step: int, state: Callable[[], State]) -> None:
        """Copy the state where one is due at this step of the phase."""
        if self.kept is None or step % self.part.keep_every == 0:
            self.kept = copy.deepcopy(state())

    def roll_back(self) -> State | None:
        """Count a rollback; gives a copy of the state to go back to."""
        self.rollbacks += 1
        return copy.deepcopy(self.kept)

    def state(self) -> State:
        """What :meth:`restore` takes."""
        numbers = {"rollbacks": self.rollbacks, "mean": self.mean, "seen": self._seen}
        return {**numbers, "kept": self.kept}

    def restore(self, state: State) -> None:
        """Continue from a saved state."""
        self.rollbacks, self.mean, self._seen = state["rollbacks"], state["mean"], state["seen"]
        self.kept = state["kept"]
