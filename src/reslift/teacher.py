"""Training on the answers of a better model beside the truth (Hinton, Vinyals and Dean 2015).

    LR ─ teacher ─ its answer ─┐
    HR ────────────────────────┴─ mixed by `Phase.taught` ── what the loss compares SR with

What nobody can guess from LR the teacher leaves out, so that a small model does not spend itself on
it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reslift import checkpoint
from reslift.errors import RecipeError, one_line
from reslift.models import SRModel
from reslift.recipe import Phase, Recipe


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

    def mixed(self, phase: Phase, lr: Tensor, hr: Tensor) -> Tensor:
        """HR (B, C, sH, sW), and the teacher's answer to LR (B, C, H, W) by its share."""
        if not phase.teacher:
            return hr
        with torch.no_grad():
            answer = self.models[phase.teacher](lr.contiguous(memory_format=torch.channels_last))
        return hr.lerp(answer.float().clamp(0, 1), phase.taught)
