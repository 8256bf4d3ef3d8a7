"""How HR becomes LR. To add one, write ``degradations/NAME.py`` and name it in ``DEGRADATIONS``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reslift.degradations.base import Degradation
from reslift.degradations.downscale import Bicubic
from reslift.degradations.same_grid import Pixelate, ResizeBack
from reslift.errors import RecipeError, look_up, one_line

DEGRADATIONS: dict[str, Callable[..., Degradation]] = {
    "bicubic": Bicubic,
    "resize_back": ResizeBack,
    "pixelate": Pixelate,
}


def make_degradation(name: str, scale: int, arguments: dict[str, Any]) -> Degradation:
    """The named degradation; RecipeError if its arguments do not fit."""
    kind = look_up(name, DEGRADATIONS, "degradation")
    try:
        return kind(scale=scale, **arguments)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"degradation {name}: {one_line(error)}") from error


__all__ = ["DEGRADATIONS", "Bicubic", "Degradation", "Pixelate", "ResizeBack", "make_degradation"]
