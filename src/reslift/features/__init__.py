"""Features that images are compared in: the perceptual loss, and the distance in an evaluation."""

from __future__ import annotations

from collections.abc import Callable

from reslift.errors import look_up
from reslift.features.base import Features
from reslift.features.encoder import Encoder
from reslift.features.lpips import LPIPS
from reslift.features.st_lpips import STLPIPS
from reslift.recipe import PerceptualPart

__all__ = ["FEATURES", "LPIPS", "STLPIPS", "Encoder", "Features", "load_features"]

FEATURES: dict[str, Callable[[PerceptualPart], Features]] = {
    "st_lpips": lambda part: STLPIPS(),
    "lpips": lambda part: LPIPS(),
    "encoder": lambda part: Encoder(part.model),
}


def load_features(part: PerceptualPart) -> Features:
    """The features that a recipe names, frozen, on the CPU.

    Raises:
        UnknownName: no such features.
        UsageError: a package that they need is missing; the line says how to get it.
    """
    return look_up(part.features, FEATURES, "features")(part).frozen()
