"""OpenVINO on the CPU: the fastest where there is bf16 arithmetic."""

from __future__ import annotations

import os
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from reslift import machine
from reslift.backends.base import Backend, Precision
from reslift.backends.graph import Graph, make
from reslift.errors import DeviceError
from reslift.pixels.planes import Floats

if TYPE_CHECKING:
    from reslift.models import SRModel

HINTS = {"fp32": "f32", "bf16": "bf16"}
PRECISION = "INFERENCE_PRECISION_HINT"
PARTS = ("detail", "skip")
KEPT, SHAPES_KEPT = "CPU_RUNTIME_CACHE_CAPACITY", 128
"""What OpenVINO prepares anew for every size of a cell, and how much of that it keeps.

Left alone it keeps 5000, which over pictures of a thousand sizes came to half a gigabyte; with 128
memory stays within 60 MiB, and cells of a few sizes in turn cost no more time.
"""


class OpenVinoBackend(Backend):
    """A compiled graph, its precision set on purpose: left alone, OpenVINO takes bf16 for all.

    In bf16 the detail is computed apart from the picture that it is added to: that picture in bf16
    would be off by one level of 256.

    Args:
        model: a model, or its ready graph.
        device: there is only the CPU.
        precision: "auto" is bf16 where the processor has it and the model adds a detail to a
            picture, else fp32. Where OpenVINO cannot do bf16 at all, as with AVX2 alone, it
            computes in fp32, and says so.
    """

    name = "openvino"

    def __init__(
        self, model: SRModel | Graph, device: str = "cpu", precision: Precision = "auto"
    ) -> None:
        import openvino

        self._lock = Lock()
        graph = model if isinstance(model, Graph) else make(model, eight_bits=self.eight_bits)
        self.needs, self.pixel_bytes = graph.needs, graph.pixel_bytes
        core = the_core()
        whole = core.read_model(graph.onnx)
        parts = _parts(whole)
        native = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if parts and (precision == "bf16" or (precision == "auto" and native)):
            detail, skip = (openvino.Model([part], whole.get_parameters()) for part in parts)
            self._runs = [_compiled(core, detail, "bf16"), _compiled(core, skip, "fp32")]
            hint = self._runs[0].get_compiled_model().get_property(PRECISION)
            self.precision = "bf16" if hint.to_string() == HINTS["bf16"] else "fp32"
        else:
            self._runs = [_compiled(core, whole, "fp32")]
        if self.eight_bits:
            self.precision = "int8"

    def run(self, cell: Floats) -> Floats:
        cell = np.ascontiguousarray(cell)
        # A request holds one input and one answer: two threads would get each other's.
        with self._lock:
            sr: Floats = self._runs[0].infer([cell], share_inputs=True)[0]
            if len(self._runs) == 2:
                sr += self._runs[1].infer([cell], share_inputs=True, share_outputs=True)[0]
        if len(self._runs) == 2:
            height, width = (side * self.needs.scale for side in cell.shape[2:])
            sr = sr[..., :height, :width]
        return sr

    def release(self) -> None:
        for request in self._runs:
            request.get_compiled_model().release_memory()


class OpenVinoInt8Backend(OpenVinoBackend):
    """The same with inner convolutions in 8-bit whole numbers, which costs detail; the rest in
    the precision that the other has.
    """

    name = "openvino-int8"
    eight_bits = True


def the_core() -> Any:
    """The one engine of this process.

    Each engine puts an alternate signal stack of its own in place and the earlier one back at its
    end. Two that overlap leave a freed one behind, and then Ctrl-C ends Python by SIGSEGV (2026.4).

    Raises DeviceError in a process that was forked off later: there it would wait for its threads,
    which did not go along, for ever. What was compiled before runs there.
    """
    core, process = _core_and_process()
    if process != os.getpid():
        raise DeviceError("it was started before this process was forked; start processes by spawn")
    return core


@cache
def _core_and_process() -> tuple[Any, int]:
    import openvino

    return openvino.Core(), os.getpid()


def _parts(whole: Any) -> list[Any]:
    """The tensors that the graph names as the detail and the picture under it."""
    named = {
        name: output
        for node in whole.get_ops()
        for output in node.outputs()
        for name in output.get_names()
    }
    return [named[part] for part in PARTS if part in named]


def _compiled(core: Any, model: Any, precision: str) -> Any:
    hints = {
        "PERFORMANCE_HINT": "LATENCY",
        PRECISION: HINTS[precision],
        "INFERENCE_NUM_THREADS": machine.threads(),
    }
    try:
        compiled = core.compile_model(model, "CPU", {**hints, KEPT: SHAPES_KEPT})
    except RuntimeError:  # the name is OpenVINO's own and may go
        compiled = core.compile_model(model, "CPU", hints)
    return compiled.create_infer_request()
