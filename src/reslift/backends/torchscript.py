"""A model as TorchScript for images and batches of any size."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reslift.backends.core import Core
from reslift.models import SRModel
from reslift.pixels.planes import Floats
from reslift.pixels.tiles import round_up

SIDE = 16


class _AnySize(nn.Module):
    """The padding and cropping around a traced core, in TorchScript's part of Python."""

    def __init__(self, core: nn.Module, scale: int, multiple_of: int) -> None:
        super().__init__()
        self.core, self.scale, self.multiple_of = core, scale, multiple_of

    def forward(self, lr: Tensor) -> Tensor:
        height, width = lr.shape[2], lr.shape[3]
        bottom, right = -height % self.multiple_of, -width % self.multiple_of
        if bottom > 0 or right > 0:
            lr = F.pad(lr, [0, right, 0, bottom], mode="replicate")
        sr: Tensor = self.core(lr)
        return sr[:, :, : height * self.scale, : width * self.scale]


def to_torchscript(model: SRModel) -> torch.jit.ScriptModule:
    """lr (B, C, H, W) fp32 in [0, 1] → (B, C, sH, sW), unclipped; RuntimeError if it cannot be."""
    side = model.size or round_up(SIDE, model.multiple_of)
    lr = torch.rand(2, model.channels, side, side)
    with torch.no_grad(), _quiet():
        core = torch.jit.trace(Core(model), lr, check_trace=False)  # type: ignore[no-untyped-call]
        script: torch.jit.ScriptModule = torch.jit.script(
            _AnySize(core, model.scale, model.multiple_of)
        )
    return script


def save(script: torch.jit.ScriptModule, facts: dict[str, Any], path: Path) -> None:
    """Write a script; `facts` become its extra file ``reslift.json``."""
    whole = io.BytesIO()  # written by torch itself, a full disk would end the whole program
    with _quiet():
        torch.jit.save(script, whole, _extra_files={"reslift.json": json.dumps(facts)})
    path.write_bytes(whole.getbuffer())


def read(path: Path) -> Callable[[Floats], Floats]:
    """What runs a script: lr (B, C, H, W) → sr."""
    with _quiet():
        script = torch.jit.load(path)  # type: ignore[no-untyped-call]

    def run(lr: Floats) -> Floats:
        with torch.no_grad():
            sr: Floats = script(torch.from_numpy(lr)).numpy()
        return sr

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """That TorchScript is no longer developed is known to whoever asks for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
