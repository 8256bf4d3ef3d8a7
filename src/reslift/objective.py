"""What a phase minimises besides its adversary: a weighted sum of losses, some over features."""

from __future__ import annotations

import torch
from torch import Tensor

from reslift.errors import RecipeError, look_up
from reslift.features import load_features
from reslift.losses import LOSSES, agreement
from reslift.recipe import Phase, Recipe

PERCEPTUAL = "perceptual"
AGREEMENT = "agreement"


class Objective:
    """The losses that a recipe names.

    Args:
        recipe: its phases' losses, its features and its monitor.
        device: where the features live.

    Attributes:
        features: loaded where a loss or the monitor is perceptual, else None.

    Raises:
        UnknownName: a loss or features that do not exist.
        UsageError: a package that the features need is missing.
        RecipeError: a patch is too small for the features.
    """

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        known = dict.fromkeys([*LOSSES, AGREEMENT, PERCEPTUAL])
        for name in {name for phase in recipe.phases for name in phase.loss}:
            look_up(name, known, "loss")
        if recipe.scale < 2 and any(AGREEMENT in phase.loss for phase in recipe.phases):
            raise RecipeError(
                "the loss agreement shrinks to the input: it wants a scale of 2 or more"
            )
        self.scale = recipe.scale
        watched = recipe.watch.monitor == PERCEPTUAL
        users = [phase for phase in recipe.phases if PERCEPTUAL in phase.loss]
        self.features = load_features(recipe.perceptual).to(device) if users or watched else None
        for phase in users:
            side = phase.patch * recipe.scale
            assert self.features is not None
            if side < self.features.least:
                raise RecipeError(
                    f"{self.features.label} needs patches of {self.features.least} HR pixels, "
                    f"not {side}: raise phases.patch"
                )

    def __call__(self, phase: Phase, sr: Tensor, hr: Tensor) -> Tensor:
        """One number for (B, C, H, W) float32 in [0, 1]."""
        total = sr.new_zeros(())
        for name, weight in phase.loss.items():
            total = total + weight * self._term(name, sr, hr)
        return total

    def _term(self, name: str, sr: Tensor, hr: Tensor) -> Tensor:
        if name == AGREEMENT:
            return agreement(sr, hr, self.scale)
        if name != PERCEPTUAL:
            return LOSSES[name](sr, hr)
        assert self.features is not None
        distance: Tensor = self.features(sr, hr)
        return distance.mean()
