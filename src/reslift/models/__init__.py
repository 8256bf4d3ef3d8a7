"""The architectures. To add one, write ``models/NAME.py`` and name it in ``MODELS``."""

from __future__ import annotations

from reslift.models.base import SRModel
from reslift.models.lift import Lift

MODELS: dict[str, type[SRModel]] = {
    "lift": Lift,
}

__all__ = ["MODELS", "Lift", "SRModel"]
