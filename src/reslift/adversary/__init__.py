"""Training against an adversary (Goodfellow et al. 2014), as a phase of any recipe.

::

    lr ─ model ─ sr ──┬── losses of the phase ────────────┐
                      ├── discriminator ── attack × weight ┴─▶ model's optimiser
    hr ───────────────┴── discriminator ── defence ─────────▶ discriminator's optimiser

A squared or absolute error asks for the mean of all plausible HR images, which is blurred; an
adversary asks for one of them (SRGAN, Ledig et al. 2017). What it adds is plausible, not measured:
PSNR falls, so the weight follows held-out PSNR (:class:`Balance`), and both sides go back together
when the loss runs away (:class:`Guard`).
"""

from __future__ import annotations

from reslift.adversary.balance import Balance
from reslift.adversary.discriminator import Discriminator
from reslift.adversary.duel import Adversary, adversary_notes, check_adversaries
from reslift.adversary.guard import Guard
from reslift.adversary.losses import ADVERSARIAL_LOSSES, AdversarialLoss

__all__ = [
    "ADVERSARIAL_LOSSES",
    "AdversarialLoss",
    "Adversary",
    "Balance",
    "Discriminator",
    "Guard",
    "adversary_notes",
    "check_adversaries",
]
