"""What an inference engine promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from reslift.models import SRModel


class Backend(ABC):
    """Runs one model on one cell at a time: the same answer whatever engine is inside.

    Attributes:
        name: its key in ``BACKENDS``.
        precision: the arithmetic inside, "fp32" unless said otherwise. Equal bytes are promised for
            one backend, device and precision.
        device: where it runs: "cpu", "cuda", "mps".
    """

    name: ClassVar[str]
    precision: str = "fp32"
    device: str

    @abstractmethod
    def __init__(self, model: SRModel, device: str = "auto") -> None:
        """Raises DeviceError where `device` cannot be had, UsageError where it is unknown."""

    @abstractmethod
    def run(self, cell: Tensor) -> Tensor:
        """(1, C, h, w) float32 in [0, 1] on the CPU → (1, C, sh, sw) float32 on the CPU."""

    @abstractmethod
    def cell_bytes(self, height: int, width: int) -> int:
        """About what memory `run` needs for a cell of this size, input and output included."""

    @abstractmethod
    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether `error`, raised by `run`, means that memory ran out."""

    @abstractmethod
    def release(self) -> None:
        """Give back memory that is only kept for speed."""
