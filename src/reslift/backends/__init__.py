"""The inference engines. To add one, write ``backends/NAME.py`` and name it in ``BACKENDS``."""

from __future__ import annotations

from reslift.backends.base import Backend
from reslift.backends.torch import TorchBackend

BACKENDS: dict[str, type[Backend]] = {
    "torch": TorchBackend,
}

__all__ = ["BACKENDS", "Backend", "TorchBackend"]
