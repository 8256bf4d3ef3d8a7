"""Writing a model as a file that runs without reslift; a file that differs is not written.

::

    checkpoint ── graph ── temporary file ── read back, run ── the target
                   └─────── PyTorch, fp32 ───── compared ──┘
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reslift import __version__, checkpoint
from reslift.checkpoint import Card
from reslift.errors import (
    CannotExport,
    OutputError,
    UsageError,
    VerificationError,
    look_up,
    one_line,
)
from reslift.files import atomic_write, check_not_input, check_target, temporary_folder
from reslift.needs import Needs
from reslift.pixels.planes import Floats

if TYPE_CHECKING:
    from reslift.models import SRModel

Runs = Callable[[Floats], Floats]
SIZES = ((1, 1), (7, 5), (16, 24), (33, 18), (40, 61))
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Exported:
    """What was written and how near it is to PyTorch.

    Attributes:
        files: the files; OpenVINO's are two.
        shapes: of the LR batches (B, C, H, W) that were compared.
        difference: the largest, relative to the values where these exceed 1.
    """

    files: tuple[Path, ...]
    shapes: tuple[tuple[int, ...], ...]
    difference: float


@dataclass(frozen=True)
class Kind:
    """A format: its packages, its suffixes, the main one first, and how it is written and run."""

    packages: tuple[str, ...]
    suffixes: tuple[str, ...]
    write: Callable[[SRModel, dict[str, Any], Path], None]
    read: Callable[[Path], Runs]


def export(
    source: str | Path,
    to: str,
    target: str | Path | None = None,
    *,
    scale: int | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write a model as ONNX, OpenVINO or TorchScript.

    The file takes ``lr`` (B, C, H, W) float32 in [0, 1] of any size and batch and gives ``sr``
    (B, C, sH, sW), not clipped; models with fully connected layers take their one size. Before it
    gets its name it is read back and compared with PyTorch on five shapes.

    Args:
        source: a bundled name, a checkpoint file or a run folder.
        to: an entry of ``KINDS``.
        target: the file; None is the model's name in the current folder.
        scale: which of a bundled model's scales.
        overwrite: replace what is there.

    Raises:
        UnknownName, CheckpointError: no such model or format, or a damaged model.
        UsageError: packages are missing, or the target's suffix is another format's.
        CannotExport: the model has a layer that the format lacks.
        VerificationError: the file answers in another way than PyTorch; nothing was written.
        OutputExists, OutputError: the target is there or cannot be written.
    """
    kind = look_up(to, KINDS, "format")
    path = checkpoint.resolve(source, scale or 4)
    card = checkpoint.card_for(path, scale)
    target = Path(target or checkpoint.file_stem(card) + kind.suffixes[0])
    if target.suffix.lower() != kind.suffixes[0]:
        raise UsageError(f"{one_line(target)}: a file for {to} ends in {kind.suffixes[0]}")
    files = (target, *(target.with_suffix(suffix) for suffix in kind.suffixes[1:]))
    for file in files:
        check_not_input(file, path)
        check_target(file, overwrite=overwrite)
    _require(to, kind)
    model = checkpoint.load(path)[0]
    with temporary_folder() as folder:
        made = (folder / "model").with_suffix(kind.suffixes[0])
        kind.write(model, facts_of(model, card), made)
        difference, shapes = compare(kind.read(made), model)
        with ExitStack() as all_or_none:  # of OpenVINO's two files one alone is of no use
            for file, suffix in zip(files, kind.suffixes, strict=True):
                temporary = all_or_none.enter_context(atomic_write(file, overwrite=overwrite))
                temporary.write_bytes(made.with_suffix(suffix).read_bytes())
    return Exported(files, shapes, difference)


def facts_of(model: SRModel, card: Card) -> dict[str, Any]:
    """What the file says of itself, by name: how to feed it, and where the weights come from."""
    return {
        **asdict(Needs.of(model)),
        "range": [0, 1],
        "name": card.name,
        "licence": card.licence,
        "reslift": __version__,
    }


def compare(run: Runs, model: SRModel) -> tuple[float, tuple[tuple[int, ...], ...]]:
    """The largest relative difference between `run` and the model over five shapes, and these.

    Raises VerificationError where it exceeds 1e-5 or a shape is wrong.
    """
    import torch

    rng, worst, shapes = np.random.default_rng(1), 0.0, []
    for number, size in enumerate(SIZES):
        sides = (model.size, model.size) if model.size else size
        lr = rng.random((1 + number % 3, model.channels, *sides), np.float32)
        with torch.inference_mode():
            expected = model(torch.from_numpy(lr)).numpy()
        sr = run(lr)
        unit = max(1.0, float(np.abs(expected).max()))
        same_shape = sr.shape == expected.shape
        apart = float(np.abs(sr - expected).max()) / unit if same_shape else np.inf
        if not apart <= TOLERANCE:
            raise VerificationError(
                f"the exported model differs from PyTorch by {apart:.2g} for lr {lr.shape}; "
                "nothing was written"
            )
        worst = max(worst, apart)
        shapes.append(lr.shape)
    return worst, tuple(shapes)


def _require(to: str, kind: Kind) -> None:
    if absent := [package for package in kind.packages if find_spec(package) is None]:
        raise UsageError(
            f"export to {to} needs {' and '.join(absent)}: python -m pip install {' '.join(absent)}"
        )


def _texts(facts: dict[str, Any]) -> dict[str, str]:
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in facts.items()}


def _write_onnx(model: SRModel, facts: dict[str, Any], path: Path) -> None:
    from reslift.backends.onnx_graph import to_onnx

    path.write_bytes(to_onnx(model, _texts(facts)))


def _read_onnx(path: Path) -> Runs:
    onnxruntime = importlib.import_module("onnxruntime")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda lr: session.run(["sr"], {"lr": lr})[0]


def _write_openvino(model: SRModel, facts: dict[str, Any], path: Path) -> None:
    from reslift.backends.onnx_graph import to_onnx
    from reslift.backends.openvino import the_core

    openvino = importlib.import_module("openvino")
    graph = the_core().read_model(to_onnx(model, {}))
    for key, text in _texts(facts).items():
        graph.set_rt_info(text, ["reslift", key])
    try:
        openvino.save_model(graph, path, compress_to_fp16=False)
    except RuntimeError as error:  # all that it says of a full disk is "iostream error"
        raise OutputError(
            f"cannot write {one_line(path)}: {one_line(error)}; let TMPDIR name a folder with room"
        ) from error


def _read_openvino(path: Path) -> Runs:
    from reslift.backends.openvino import the_core

    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = the_core().compile_model(path, "CPU", hints)
    return lambda lr: compiled([lr])["sr"]


def _write_torchscript(model: SRModel, facts: dict[str, Any], path: Path) -> None:
    from reslift.backends import torchscript

    try:
        script = torchscript.to_torchscript(model)
    except RuntimeError as error:
        raise CannotExport(f"this model cannot be exported: {one_line(error)}") from error
    torchscript.save(script, facts, path)


def _read_torchscript(path: Path) -> Runs:
    from reslift.backends import torchscript

    return torchscript.read(path)


KINDS: dict[str, Kind] = {
    "onnx": Kind(("onnx", "onnxruntime"), (".onnx",), _write_onnx, _read_onnx),
    "openvino": Kind(("onnx", "openvino"), (".xml", ".bin"), _write_openvino, _read_openvino),
    "torchscript": Kind((), (".pt",), _write_torchscript, _read_torchscript),
}
