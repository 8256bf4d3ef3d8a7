"""An adversarial phase: discriminator, its optimiser, the balance and the guard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from reslift.adversary.balance import Balance
from reslift.adversary.discriminator import LEAST, Discriminator
from reslift.adversary.guard import Guard, State
from reslift.adversary.losses import ADVERSARIAL_LOSSES, average, together
from reslift.errors import RecipeError, look_up
from reslift.recipe import AdversaryPart, Recipe

BETAS = (0.9, 0.99)


class Adversary:
    """What a model is trained against in one phase; new in each.

    Arithmetic is fp32 whatever the model's precision, and a step waits for its losses, because the
    guard decides on them.

    Args:
        part: of the phase.
        channels: of the images.
        seed: of the discriminator's first weights.
        device: where everything is.
        start, bicubic: held-out PSNR-Y of the model when the phase begins, and of bicubic, dB.
    """

    def __init__(
        self,
        part: AdversaryPart,
        channels: int,
        seed: int,
        device: torch.device,
        start: float,
        bicubic: float,
    ) -> None:
        self.part = part
        self.loss = look_up(part.loss, ADVERSARIAL_LOSSES, "adversarial loss")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.discriminator = Discriminator(channels, part.width).to(device)
        self.optimiser = torch.optim.Adam(
            self.discriminator.parameters(),
            lr=part.rate,
            betas=BETAS,
            fused=device.type == "cuda",
        )
        self._device = device
        self.balance = Balance(part, self._agreed(start), bicubic)
        self.guard = Guard(part)
        self.steps = 0
        self._sums, self._count = [0.0, 0.0], 0

    @property
    def warming(self) -> bool:
        """Whether the discriminator learns alone."""
        return self.steps < self.part.warmup

    def losses(self, sr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
        """Attack, which carries a gradient to ``sr`` only, and defence, to the discriminator only.

        While the discriminator warms up the attack is 0.
        """
        real, fake = self.discriminator(torch.cat([hr, sr.detach()])).chunk(2)
        defence = self.loss.defence(real, fake)
        if self.warming:
            return sr.new_zeros(()), defence
        self.discriminator.eval().requires_grad_(False)
        attack = self.loss.attack(real.detach(), self.discriminator(sr))
        self.discriminator.train().requires_grad_(True)
        return attack, defence

    def accepts(self, loss: Tensor, attack: Tensor, defence: Tensor) -> bool:
        """Whether this step may be made, by the guard; all processes answer alike."""
        found = torch.stack([x.detach() for x in (loss, attack, defence)])
        values = (average(found) if together() else found).tolist()
        if not self.guard.accepts(*values):
            return False
        self._sums = [total + value for total, value in zip(self._sums, values[1:], strict=True)]
        self._count += 1
        return True

    def keep(self, weights: Callable[[], State]) -> None:
        """Keep both sides' state where that is due."""
        self.guard.keep(self.steps, lambda: {"model": weights(), "discriminator": self._weights()})

    def learn(self, defence: Tensor) -> None:
        """One step of the discriminator, and of the weight."""
        self.optimiser.zero_grad(set_to_none=True)
        defence.backward()  # type: ignore[no-untyped-call]
        if together():
            for weight in self.discriminator.parameters():
                assert weight.grad is not None
                average(weight.grad)
        self.optimiser.step()
        if not self.warming:
            self.balance.rise()
        self.steps += 1

    def judge(self, psnr: float) -> None:
        """Take in a validation's PSNR-Y, dB; the weight follows it."""
        self.balance.judge(self._agreed(psnr))

    def _agreed(self, number: float) -> float:
        """The mean of what the processes measured, so that all of them decide alike."""
        if not together():
            return number
        return average(torch.tensor(number, dtype=torch.float64, device=self._device)).item()

    def roll_back(self) -> State | None:
        """Go back to the last good state; gives the model's, which its owner restores."""
        kept = self.guard.roll_back()
        self.balance.give_way()
        self.steps += 1
        if kept is None:
            return None
        self._restore_weights(kept["discriminator"])
        state: State = kept["model"]
        return state

    def report(self) -> dict[str, float]:
        """Means since the last report, the weight, and the rollbacks so far; for the log."""
        attack, defence = (total / max(1, self._count) for total in self._sums)
        self._sums, self._count = [0.0, 0.0], 0
        return {
            "adversarial_loss": attack,
            "discriminator_loss": defence,
            "adversarial_weight": self.balance.weight,
            "psnr_floor": self.balance.floor,
            "rollbacks": self.guard.rollbacks,
        }

    def state(self) -> State:
        """What :meth:`restore` takes."""
        return {
            **self._weights(),
            "balance": self.balance.state(),
            "guard": self.guard.state(),
            "steps": self.steps,
            "sums": self._sums,
            "count": self._count,
        }

    def restore(self, state: State) -> None:
        """Continue from a saved state."""
        self._restore_weights(state)
        self.balance.restore(state["balance"])
        self.guard.restore(state["guard"])
        self.steps, self._sums, self._count = state["steps"], state["sums"], state["count"]

    def _weights(self) -> State:
        return {
            "discriminator": self.discriminator.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def _restore_weights(self, state: dict[str, Any]) -> None:
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimiser.load_state_dict(state["optimiser"])


def check_adversaries(recipe: Recipe) -> None:
    """Nothing, where the recipe's adversarial phases can be trained.

    Raises:
        UnknownName: no such adversarial loss.
        RecipeError: a patch is too small for the discriminator, or a warm-up as long as its phase.
    """
    for number, phase in enumerate(recipe.phases):
        if phase.adversary is None:
            continue
        look_up(phase.adversary.loss, ADVERSARIAL_LOSSES, "adversarial loss")
        if (side := phase.patch * recipe.scale) < LEAST:
            raise RecipeError(
                f"phases.{number}.patch: the discriminator needs patches of {LEAST} HR pixels, "
                f"not {side}"
            )
        if phase.adversary.warmup >= phase.steps:
            raise RecipeError(
                f"phases.{number}.adversary.warmup: {phase.adversary.warmup} steps of "
                f"{phase.steps} leave the model none to learn in"
            )


def adversary_notes(recipe: Recipe) -> list[str]:
    """What a user should know when an adversarial phase begins, a line each."""
    lines = []
    if recipe.engine.graph:
        lines.append("against an adversary steps run eagerly: engine.graph is left out here")
    if (monitor := recipe.watch.monitor) != "perceptual":
        lines.append(
            f"best.safetensors stays what {monitor} prefers and patience rests: the result of this "
            f'phase is last.safetensors; watch.monitor = "perceptual" would choose by eye'
        )
    return lines
