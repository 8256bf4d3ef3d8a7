"""Lift the resolution of images with convolutional autoencoders.

>>> import reslift
>>> upscaler = reslift.load("lift-base", scale=4)  # doctest: +SKIP
>>> large = upscaler(image)  # NumPy array, PIL image or tensor  # doctest: +SKIP

Public names are imported when they are first used, so that `import reslift` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reslift.errors import ResliftError
    from reslift.limits import Limits
    from reslift.media import Wishes
    from reslift.sizes import Size
    from reslift.upscale import Upscaler, load

__version__ = "0.1.0"
__all__ = ["Limits", "ResliftError", "Size", "Upscaler", "Wishes", "__version__", "load"]

_HOMES = {
    "Limits": "reslift.limits",
    "ResliftError": "reslift.errors",
    "Size": "reslift.sizes",
    "Upscaler": "reslift.upscale",
    "Wishes": "reslift.media",
    "load": "reslift.upscale",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'reslift' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
