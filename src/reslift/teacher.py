"""Training on the answers of a better model beside the truth (Hinton, Vinyals and Dean 2015).

    LR ─ turned ─ teacher ─ turned back ─┐
    HR ──────────────────────────────────┴─ mixed by `Phase.taught` ── what SR is compared with

What nobody can guess from LR the teacher leaves out, so that a small model does not spend itself on
it. Each patch is asked in one of the positions that `data.augment` allows: over many patches that
teaches the mean of all eight, the self-ensemble (Timofte, Rothe and Van Gool 2016), at the price of
one answer. A model learns from itself that way.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reslift import checkpoint
from reslift.datasets.patches import TURNS
from reslift.errors import RecipeError, one_line
from reslift.models import SRModel
from reslift.recipe import Phase, Recipe

PLACES = 2**20
"""How far the seeds of a step lie from those of the next: more than a batch has patches."""


class Teachers:
    """The models that the phases of a recipe name, frozen.

    Args:
        recipe: its phases and scale.
        channels: of the model that is trained.
        device: where the teachers live.

    Raises:
        UnknownName, CheckpointError: a teacher cannot be read.
        UsageError: a teacher has another scale.
        RecipeError: a teacher has other channels, or is a variational model.
    """

    def __init__(self, recipe: Recipe, channels: int, device: torch.device) -> None:
        self.models: dict[str, SRModel] = {}
        self.turns = TURNS[recipe.data.augment]
        for name in dict.fromkeys(phase.teacher for phase in recipe.phases if phase.teacher):
            model, card = checkpoint.load(name, recipe.scale)
            if model.channels != channels or model.is_variational:
                kind = "is variational" if model.is_variational else f"has {model.channels} planes"
                raise RecipeError(
                    f"phases.teacher {one_line(name)} ({card.model}) {kind}: a teacher answers for "
                    f"the same {channels} planes, with one picture"
                )
            model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.models[name] = model.eval().requires_grad_(False)

    def mixed(self, phase: Phase, lr: Tensor, hr: Tensor, seeds: Tensor) -> Tensor:
        """HR (B, C, sP, sP), and the teacher's answer to LR (B, C, P, P) by its share.

        Args:
            seeds: (B,) of `stepper.noise_seeds`: each place of a batch goes through all positions.
        """
        if not phase.teacher:
            return hr
        codes = (seeds + seeds // PLACES) % self.turns
        asked = turned(lr, codes).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            answer = self.models[phase.teacher](asked)
        return hr.lerp(turned_back(answer.float().clamp(0, 1), codes), phase.taught)


def turned(patches: Tensor, codes: Tensor) -> Tensor:
    """Patches (B, C, P, P), each in a position: mirrored by bits 0 and 1, transposed by 2."""
    return _transposed(_mirrored(patches, codes), codes)


def turned_back(patches: Tensor, codes: Tensor) -> Tensor:
    """What `turned` turned, as it was."""
    return _mirrored(_transposed(patches, codes), codes)


def _mirrored(patches: Tensor, codes: Tensor) -> Tensor:
    codes = codes.view(-1, 1, 1, 1)
    patches = torch.where(codes & 1 > 0, patches.flip(3), patches)
    return torch.where(codes & 2 > 0, patches.flip(2), patches)


def _transposed(patches: Tensor, codes: Tensor) -> Tensor:
    return torch.where(codes.view(-1, 1, 1, 1) & 4 > 0, patches.transpose(2, 3), patches)
