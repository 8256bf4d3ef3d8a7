"""What an inference engine promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from reslift.needs import Needs
from reslift.pixels.planes import Floats

Precision = Literal["auto", "fp32", "bf16"]
WORKSPACE = 128 * 2**20
MEMORY_WORDS = ("out of memory", "not enough memory", "allocate memory", "bad_alloc", "bad alloc")


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error of an engine means that memory ran out, which each says in its own words."""
    text = str(error).lower()
    told = isinstance(error, RuntimeError) and any(words in text for words in MEMORY_WORDS)
    return told or isinstance(error, MemoryError)


class Backend(ABC):
    """Runs one model on one cell at a time: the same answer whatever engine is inside.

    Attributes:
        name: its key in ``BACKENDS``.
        needs: what the model asks of its callers.
        precision: the arithmetic inside, "fp32", "bf16" or "int8"; an image that is added at the
            end is added in fp32 in any case. Equal bytes are promised for one backend, device and
            precision.
        device: where it runs: "cpu", "cuda", "mps".
        pixel_bytes: memory that the layers need, bytes an LR pixel.
        eight_bits: whether it wants a graph whose inner convolutions are in 8-bit whole numbers.
    """

    name: ClassVar[str]
    eight_bits: ClassVar[bool] = False
    needs: Needs
    precision: str = "fp32"
    device: str = "cpu"
    pixel_bytes: float

    @abstractmethod
    def run(self, cell: Floats) -> Floats:
        """(1, C, h, w) in [0, 1] → (1, C, sh, sw), an array of the caller's own."""

    def cell_bytes(self, height: int, width: int) -> int:
        """About what memory `run` needs for a cell of this size, input and output included."""
        image = 4 * self.needs.channels * height * width * (1 + self.needs.scale**2)
        return round(self.pixel_bytes * height * width) + 2 * image + WORKSPACE

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether `error`, raised by `run`, means that memory ran out."""
        return ran_out_of_memory(error)

    def release(self) -> None:  # noqa: B027  (most engines keep nothing)
        """Give back memory that is only kept for speed."""
