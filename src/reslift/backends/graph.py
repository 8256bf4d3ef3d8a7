"""Ready graphs: what ONNX Runtime and OpenVINO run, without PyTorch.

A graph is made once from a model, with PyTorch's answer to a probe beside it, and kept in the
user's cache. Its name there holds the weights and the code that it was made from, so that it can be
stale in no way; a file that is damaged is made again.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reslift import __version__
from reslift.backends.probe import probe_image
from reslift.errors import OutputError
from reslift.files import atomic_write, cache_folder
from reslift.needs import Needs
from reslift.pixels.planes import Floats

if TYPE_CHECKING:
    from reslift.models import SRModel

PACKAGE = Path(__file__).parents[1]
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Graph:
    """A model as an ONNX file, and what else is needed to run it.

    Attributes:
        onnx: the file.
        needs: what the model asks of its callers.
        pixel_bytes: memory that its layers need, bytes an LR pixel.
        asked: a small picture (1, C, h, w) in [0, 1]; probe: PyTorch's answer in fp32 to it.
    """

    onnx: bytes
    needs: Needs
    pixel_bytes: float
    asked: Floats
    probe: Floats


def make(model: SRModel, *, eight_bits: bool = False) -> Graph:
    """The graph of a model, its inner convolutions in 8-bit whole numbers if so wanted.

    Raises:
        CannotExport: the model cannot be a graph. ModuleNotFoundError: there is no package onnx.
    """
    from reslift.backends.onnx_graph import to_onnx
    from reslift.backends.torch import TorchBackend

    exact, needs = TorchBackend(model, "cpu", "fp32"), Needs.of(model)
    facts = {key: json.dumps(value) for key, value in asdict(needs).items()}
    steps, asked = None, probe_image(needs)
    if eight_bits:
        from reslift.backends.eight_bits import probe_picture, steps_of

        steps, asked = steps_of(model), probe_picture(needs.channels, needs.size)
    content = to_onnx(model, {**facts, "range": "[0, 1]"}, steps)
    return Graph(content, needs, exact.pixel_bytes, asked, exact.run(asked))


def of_checkpoint(path: Path, *, eight_bits: bool = False) -> Graph:
    """The graph of a checkpoint, from the cache or made and kept there.

    Raises:
        CheckpointError: the checkpoint is damaged. CannotExport, ModuleNotFoundError: as `make`.
    """
    kind = "-int8" if eight_bits else ""
    place = cache_folder() / "graphs" / f"{_key(path)}{kind}{SUFFIX}"
    ready = _load(place)
    if ready is None:
        from reslift import checkpoint

        ready = make(checkpoint.load(path)[0], eight_bits=eight_bits)
        _store(place, ready)
    return ready


def _key(path: Path) -> str:
    digest = hashlib.sha256(_code())
    digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


@functools.cache
def _code() -> bytes:
    """A digest of everything that turns weights into a graph."""
    digest = hashlib.sha256(__version__.encode())
    for folder in ("models", "backends", "pixels", "datasets"):
        for file in sorted((PACKAGE / folder).glob("*.py")):
            digest.update(file.read_bytes())
    return digest.digest()


def _load(place: Path) -> Graph | None:
    """What the cache holds; None where that is nothing, or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(place, "numpy") as file:
            facts = json.loads(file.metadata()["facts"])
            content = file.get_tensor("onnx").tobytes()
            asked, probe = file.get_tensor("asked"), file.get_tensor("probe")
        graph = Graph(content, Needs(**facts["needs"]), facts["pixel_bytes"], asked, probe)
        return graph if _digest(graph) == facts["sha256"] else None
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None


def _digest(graph: Graph) -> str:
    content = graph.onnx + graph.asked.tobytes() + graph.probe.tobytes()
    return hashlib.sha256(content).hexdigest()


def _store(place: Path, graph: Graph) -> None:
    """Keep a graph; where that cannot be, it is made again next time."""
    from safetensors.numpy import save

    facts = {
        "needs": asdict(graph.needs),
        "pixel_bytes": graph.pixel_bytes,
        "sha256": _digest(graph),
    }
    tensors: dict[str, NDArray[Any]] = {
        "onnx": np.frombuffer(graph.onnx, np.uint8),
        "asked": np.ascontiguousarray(graph.asked),
        "probe": np.ascontiguousarray(graph.probe),
    }
    with contextlib.suppress(OSError, OutputError):
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(place, overwrite=True) as temporary:
            temporary.write_bytes(save(tensors, {"facts": json.dumps(facts)}))
