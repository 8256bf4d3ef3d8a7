"""PyTorch: the reference that the other engines are measured against."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor, nn

from reslift.backends.base import Backend
from reslift.errors import DeviceError, UsageError, one_line
from reslift.models import SRModel
from reslift.pixels.tiles import round_up

DEVICES = ("auto", "cpu", "cuda", "mps")
WORKSPACE = 128 * 2**20
PROBE = 32
MEMORY_WORDS = ("out of memory", "not enough memory", "can't allocate memory", "bad_alloc")


class TorchBackend(Backend):
    """Eager PyTorch in fp32 (no TF32), channels last, one cell at a time."""

    name = "torch"

    def __init__(self, model: SRModel, device: str = "auto") -> None:
        self.device = choose_device(device)
        model = model.to(torch.device(self.device), torch.float32).eval()
        self._model: SRModel = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, cell: Tensor) -> Tensor:
        with torch.inference_mode(), _exact_convolutions(self.device):
            lr = cell.to(self.device).contiguous(memory_format=torch.channels_last)
            sr: Tensor = self._model(lr)
            return sr.float().cpu()

    def cell_bytes(self, height: int, width: int) -> int:
        return activation_bytes(self._model, height, width)

    def is_out_of_memory(self, error: BaseException) -> bool:
        if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
            return True
        text = str(error).lower()
        return isinstance(error, RuntimeError) and any(word in text for word in MEMORY_WORDS)

    def release(self) -> None:
        if self.device == "cuda":
            torch.cuda.empty_cache()
        elif self.device == "mps":
            torch.mps.empty_cache()


def choose_device(device: str) -> str:
    """The device to use: "auto" takes CUDA, then MPS, then the CPU.

    Raises UsageError for an unknown name, DeviceError for one that is not usable here.
    """
    if device not in DEVICES:
        raise UsageError(f"device {one_line(device)!r} is not one of {', '.join(DEVICES)}")
    usable = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return next(name for name, there in usable.items() if there)
    if not usable[device]:
        raise DeviceError(
            f"device {device} is not usable here (torch {torch.__version__}); "
            "use --device cpu, and `reslift doctor` says what is missing"
        )
    return device


def activation_bytes(model: SRModel, height: int, width: int) -> int:
    """Bytes that `model` needs for one image: its hungriest layer twice, for skips live beside it.

    Found on a small probe, as all that a convolution holds grows with the area. Measured on CPU:
    459 MiB for 512×512 at width 64 against 504 said here.
    """
    largest = 0

    def measure(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal largest
        tensors = [t for t in (*inputs, output) if isinstance(t, Tensor)]
        largest = max(largest, sum(t.numel() * t.element_size() for t in tensors))

    leaves = [layer for layer in model.modules() if not any(layer.children())]
    hooks = [leaf.register_forward_hook(measure) for leaf in leaves]
    side = model.size or round_up(PROBE, model.multiple_of)
    weight = next(model.parameters())
    try:
        with torch.inference_mode():
            model(torch.zeros(1, model.channels, side, side, device=weight.device))
    finally:
        for hook in hooks:
            hook.remove()
    image = 4 * model.channels * height * width * (1 + model.scale**2)
    return 2 * largest * height * width // side**2 + 2 * image + WORKSPACE


def _exact_convolutions(device: str) -> contextlib.AbstractContextManager[Any]:
    if device != "cuda":
        return contextlib.nullcontext()
    flags: contextlib.AbstractContextManager[Any] = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    return flags
