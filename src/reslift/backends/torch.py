"""PyTorch: the reference that the other engines are measured against."""

from __future__ import annotations

import contextlib
import copy
import os
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from reslift.backends.base import Backend, Precision
from reslift.backends.probe import difference, probe_image
from reslift.errors import DeviceError, UsageError, one_line
from reslift.machine import has_bf16
from reslift.models import SRModel
from reslift.needs import Needs
from reslift.pixels.planes import Floats
from reslift.pixels.tiles import round_up

DEVICES = ("auto", "cpu", "cuda", "mps")
SIDE = 32


class TorchBackend(Backend):
    """Eager PyTorch, channels last, one cell at a time.

    Args:
        model: moved to `device` and to fp32.
        device: "auto" (CUDA, then MPS, then the CPU), "cpu", "cuda" or "mps".
        precision: "auto" is bf16 on a CPU that has bf16 arithmetic, where a probe stays near fp32;
            fp32 is without TF32.

    Raises:
        DeviceError: `device` cannot be had here. UsageError: there is no such device.
    """

    name = "torch"

    def __init__(self, model: SRModel, device: str = "auto", precision: Precision = "auto") -> None:
        _one_thread_in_forks()
        self.device, self.needs = choose_device(device), Needs.of(model)
        model = model.to(torch.device(self.device), torch.float32).eval()
        self._model: SRModel = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.pixel_bytes = pixel_bytes(self._model)
        fits = precision == "auto" and self.device == "cpu" and has_bf16()
        if fits or precision == "bf16":
            self._reduce(try_first=precision == "auto")

    def _reduce(self, *, try_first: bool) -> None:
        exact, probe = self._model, probe_image(self.needs)
        expected = self.run(probe) if try_first else None
        self._model, self.precision = in_bf16(exact), "bf16"
        if expected is not None and difference(self.run(probe), expected, "bf16"):
            self._model, self.precision = exact, "fp32"

    def run(self, cell: Floats) -> Floats:
        with torch.inference_mode(), _exact_convolutions(self.device):
            lr = torch.from_numpy(cell).to(self.device)
            sr: Tensor = self._model(lr.contiguous(memory_format=torch.channels_last))
            answer: Floats = sr.float().cpu().numpy()
            return answer

    def release(self) -> None:
        if self.device == "cuda":
            torch.cuda.empty_cache()
        elif self.device == "mps":
            torch.mps.empty_cache()


@cache
def _one_thread_in_forks() -> None:
    """What is forked off from now on computes in one thread.

    The threads of OpenMP do not go along, and a forked process would wait for them for ever.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))


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


def in_bf16(model: SRModel) -> SRModel:
    """A copy with its weights and all between them in bf16.

    Buffers stay in fp32, and with them the interpolation that models add their detail to.
    """
    reduced = copy.deepcopy(model)
    for weight in reduced.parameters():
        weight.data = weight.data.to(torch.bfloat16)
    for layer in reduced.modules():
        if any(True for _ in layer.parameters(recurse=False)):
            layer.register_forward_pre_hook(_take_bf16)
    return reduced


def _take_bf16(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(x.to(torch.bfloat16) for x in inputs)


def pixel_bytes(model: SRModel) -> float:
    """Bytes an LR pixel that `model` holds at a time: its hungriest layer twice, for the skips.

    Found on a small picture, as all that a convolution holds grows with the area. Measured on CPU:
    459 MiB for 512×512 at width 64 against 504 said by :meth:`Backend.cell_bytes`.
    """
    largest = 0

    def measure(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal largest
        tensors = [t for t in (*inputs, output) if isinstance(t, Tensor)]
        largest = max(largest, sum(t.numel() * t.element_size() for t in tensors))

    leaves = [layer for layer in model.modules() if not any(layer.children())]
    hooks = [leaf.register_forward_hook(measure) for leaf in leaves]
    side = model.size or round_up(SIDE, model.multiple_of)
    weight = next(model.parameters())
    try:
        with torch.inference_mode():
            model(torch.zeros(1, model.channels, side, side, device=weight.device))
    finally:
        for hook in hooks:
            hook.remove()
    return 2 * largest / side**2


def _exact_convolutions(device: str) -> contextlib.AbstractContextManager[Any]:
    if device != "cuda":
        return contextlib.nullcontext()
    flags: contextlib.AbstractContextManager[Any] = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    return flags
