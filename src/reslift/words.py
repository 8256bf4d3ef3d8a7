"""Numbers in the sentences and tables that people read."""

from __future__ import annotations

import math


def counted(number: int, noun: str) -> str:
    """``1 picture``, ``2 pictures``, ``1,200 pictures``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def signed(value: float, decimals: int = 2) -> str:
    """A gain: ``+0.12``, ``-1.30``, ``+∞``; ``0.00`` has no sign, and what is none is a dash."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "+∞" if value > 0 else "-∞"
    text = f"{value:+.{decimals}f}"
    return text if text.strip("+-0.") else text[1:]
