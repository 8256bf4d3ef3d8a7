"""ONNX Runtime on the CPU: the quickest to start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from reslift import machine
from reslift.backends.base import Backend, Precision
from reslift.backends.graph import Graph, make
from reslift.pixels.planes import Floats

if TYPE_CHECKING:
    from reslift.models import SRModel

QUIET = 3


class OnnxRuntimeBackend(Backend):
    """A session in fp32, which is the only precision that its CPU kernels have.

    Args:
        model: a model, or its ready graph.
        device, precision: there is only the CPU and fp32.
    """

    name = "onnxruntime"

    def __init__(
        self, model: SRModel | Graph, device: str = "cpu", precision: Precision = "auto"
    ) -> None:
        import onnxruntime

        graph = model if isinstance(model, Graph) else make(model, eight_bits=self.eight_bits)
        self.needs, self.pixel_bytes = graph.needs, graph.pixel_bytes
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = machine.threads()
        options.log_severity_level = QUIET
        with _own_errors():
            self._session = onnxruntime.InferenceSession(
                graph.onnx, options, providers=["CPUExecutionProvider"]
            )

    def run(self, cell: Floats) -> Floats:
        with _own_errors():
            sr: Floats = self._session.run(["sr"], {"lr": np.ascontiguousarray(cell)})[0]
        return sr


class OnnxRuntimeInt8Backend(OnnxRuntimeBackend):
    """The same with inner convolutions in 8-bit whole numbers, which costs detail."""

    name = "onnxruntime-int8"
    eight_bits, precision = True, "int8"


@contextmanager
def _own_errors() -> Iterator[None]:
    """Its errors share no class but Exception."""
    try:
        yield
    except Exception as error:
        raise RuntimeError(str(error)) from error
