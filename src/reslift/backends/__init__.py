"""The inference engines. To add one, write ``backends/NAME.py`` and name it in ``BACKENDS``."""

from __future__ import annotations

import importlib
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reslift import machine
from reslift.backends import graph as graphs
from reslift.backends.base import Backend
from reslift.backends.probe import difference
from reslift.errors import (
    CannotExport,
    DeviceError,
    ResliftError,
    UsageError,
    look_up,
    one_line,
)

if TYPE_CHECKING:
    from reslift.models import SRModel

__all__ = ["AUTO", "BACKENDS", "Backend", "lacking", "look_up_backend", "start"]

BACKENDS: dict[str, str] = {
    "openvino": "reslift.backends.openvino:OpenVinoBackend",
    "onnxruntime": "reslift.backends.onnxruntime:OnnxRuntimeBackend",
    "torch": "reslift.backends.torch:TorchBackend",
    "openvino-int8": "reslift.backends.openvino:OpenVinoInt8Backend",
    "onnxruntime-int8": "reslift.backends.onnxruntime:OnnxRuntimeInt8Backend",
}
"""Fastest first: that is the order in which "auto" tries them on a CPU, up to torch. Those behind
it cost detail and are taken only by name."""

AUTO = "auto"
PACKAGES = {"openvino": ("openvino", "onnx"), "onnxruntime": ("onnxruntime", "onnx")}
PACKAGES |= {f"{name}-int8": packages for name, packages in PACKAGES.items()}
INSTEAD = "backend %s is not used: %s"
GRAPH_DEVICES = ("auto", "cpu")

_log = logging.getLogger(__name__)


def start(model: SRModel | Path, name: str = AUTO, device: str = "auto") -> Backend:
    """An engine with a model in it, ready and tried on a probe.

    An engine that cannot be started, or answers the probe in another way than PyTorch in fp32, is
    replaced by PyTorch, and one line of the log says so.

    Args:
        model: a model, or the checkpoint file, from which PyTorch reads it only if it is needed.
        name: an entry of ``BACKENDS``, or "auto": torch on a GPU, on a CPU the first that is
            installed and can run this model.
        device: "auto", "cpu", "cuda" or "mps"; all engines but torch run on the CPU.

    Raises:
        UnknownName: no such engine. UsageError: its package is not installed, or it does not run
        on this device. DeviceError: as for torch. CheckpointError: the file is damaged.
    """
    if name != AUTO:
        _check(name, device)
    if name == "torch" or device not in GRAPH_DEVICES or (name == AUTO and _on_gpu(device)):
        return _torch(model, device)
    exact = list(BACKENDS)[: list(BACKENDS).index("torch")]
    for engine in [n for n in exact if not lacking(n)] if name == AUTO else [name]:
        try:
            kind = look_up_backend(engine)
            return _tried(kind, _graph(model, eight_bits=kind.eight_bits))
        except CannotExport as error:
            # Asked for any engine, this is no news: PyTorch is the one that runs this model.
            _log.log(logging.INFO if name == AUTO else logging.WARNING, INSTEAD, engine, error)
        except DeviceError as error:
            _log.warning(INSTEAD, engine, one_line(error))
        except (ResliftError, MemoryError):
            raise
        except Exception as error:  # packages that do not fit together raise anything
            _log.warning(INSTEAD, engine, one_line(error))
    return _torch(model, device)


def _graph(model: SRModel | Path, *, eight_bits: bool) -> graphs.Graph:
    if isinstance(model, Path):
        return graphs.of_checkpoint(model, eight_bits=eight_bits)
    return graphs.make(model, eight_bits=eight_bits)


def _tried(kind: Any, graph: graphs.Graph) -> Backend:
    """An engine that answers the probe as PyTorch does; DeviceError where it does not."""
    wrong = ""
    for precision in ("auto", "fp32"):
        engine: Backend = kind(graph, "cpu", precision)
        wrong = difference(engine.run(graph.asked), graph.probe, engine.precision)
        if not wrong:
            return engine
    raise DeviceError(f"its answer to a probe {wrong}")


def look_up_backend(name: str) -> Any:
    """The class of an engine; raises UnknownName."""
    module, _, kind = look_up(name, BACKENDS, "backend").partition(":")
    return getattr(importlib.import_module(module), kind)


def lacking(name: str) -> list[str]:
    """Packages that an engine needs and that are not installed."""
    return [package for package in PACKAGES.get(name, ()) if find_spec(package) is None]


def _check(name: str, device: str) -> None:
    look_up(name, BACKENDS, "backend")
    if absent := lacking(name):
        raise UsageError(
            f"backend {name} needs {' and '.join(absent)}: python -m pip install "
            f"{' '.join(absent)}, or use --backend torch"
        )
    if name != "torch" and device not in GRAPH_DEVICES:
        raise UsageError(f"backend {name} runs on the CPU, not on {one_line(device)}")


def _on_gpu(device: str) -> bool:
    if device != AUTO or not machine.may_have_gpu():
        return False
    from reslift.backends.torch import choose_device

    return choose_device(device) != "cpu"


def _torch(model: SRModel | Path, device: str) -> Backend:
    from reslift.backends.torch import TorchBackend

    if isinstance(model, Path):
        from reslift import checkpoint

        model = checkpoint.load(model)[0]
    return TorchBackend(model, device)
