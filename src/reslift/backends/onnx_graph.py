"""A model as one ONNX file for images and batches of any size.

::

    lr ── Pad to multiple_of ── the model's layers ── Slice to s·H × s·W ── sr

The layers are followed by ``torch.fx`` and written one by one by the tables below.
``torch.onnx.export`` does the same for any program; it takes fifteen seconds for what takes a
fraction of one here, which is too much for the first picture on a machine, and it keeps the padding
of the size that it was shown.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, fx, nn

from reslift.backends.core import Core
from reslift.backends.eight_bits import Steps, rounded_weights
from reslift.errors import CannotExport, one_line
from reslift.models import SRModel
from reslift.models.blocks import Interpolation

OPSET, IR_VERSION = 17, 8
DETAIL, SKIP = "detail", "skip"
SPATIAL = (2, 3)
WIDE = 8


def to_onnx(
    model: SRModel, facts: dict[str, str], steps: Mapping[str, Steps] | None = None
) -> bytes:
    """The file: input ``lr`` (B, C, H, W) fp32 in [0, 1], output ``sr`` (B, C, sH, sW), unclipped.

    Args:
        model: in fp32 on the CPU.
        facts: metadata to write into it.
        steps: convolutions to be done in 8-bit whole numbers, by their names, and of which steps.

    Raises:
        CannotExport: a layer has no counterpart in ONNX or is not known here; it is named. With
            `steps`, the model adds no detail to a picture: that picture would lose too much.
    """
    writer = _Writer(model, steps or {})
    with torch.inference_mode():
        writer.follow(_trace(model))
    if steps is not None and not writer.adds_detail:
        raise CannotExport(
            f"this {type(model).__name__} adds no detail to a picture, which 8 bits would damage"
        )
    sides: list[str | int] = [model.size] * 2 if model.size else ["height", "width"]
    ends = [n * model.scale if isinstance(n, int) else f"{model.scale}*{n}" for n in sides]
    float32, channels = TensorProto.FLOAT, model.channels
    graph = helper.make_graph(
        writer.nodes,
        "reslift",
        [helper.make_tensor_value_info("lr", float32, ["batch", channels, *sides])],
        [helper.make_tensor_value_info("sr", float32, ["batch", channels, *ends])],
        writer.constants,
    )
    opset = helper.make_opsetid("", OPSET)
    proto = helper.make_model(
        graph, producer_name="reslift", opset_imports=[opset], ir_version=IR_VERSION
    )
    helper.set_model_props(proto, facts)
    onnx.checker.check_model(proto)
    content: bytes = proto.SerializeToString()
    return content


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in LAYERS


def _trace(model: SRModel) -> fx.GraphModule:
    core = Core(model)
    try:
        traced = fx.GraphModule(core, _Tracer().trace(core))
    except (fx.proxy.TraceError, TypeError, ValueError, RuntimeError) as error:
        raise CannotExport(
            f"this {type(model).__name__} cannot be exported: {one_line(error)}"
        ) from None
    traced.graph.eliminate_dead_code()
    return traced


class _Writer:
    """Collects the nodes and constants of one graph; every method gives the name of a tensor."""

    def __init__(self, model: SRModel, steps: Mapping[str, Steps]) -> None:
        self.model, self.steps = model, steps
        self.adds_detail = False
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._known: dict[fx.Node, Any] = {}
        self._details: set[str] = set()
        self._sums: list[tuple[str, str]] = []

    def follow(self, traced: fx.GraphModule) -> None:
        """Write all of `traced`, and what stands before and after it."""
        for node in traced.graph.nodes:
            if node.op == "placeholder":
                self._known[node] = self._padded()
            elif node.op == "output":
                self._cropped(self.value(node.args[0]))
            else:
                self._known[node] = self._write(traced, node)
        self._name_parts()

    def node(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        """One node; its name is that of its tensor."""
        name = to or f"{kind.lower()}_{len(self.nodes)}"
        if any(name in node.output for node in self.nodes):
            name += f"_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def constant(self, values: NDArray[Any] | Sequence[int], name: str = "") -> str:
        """A constant tensor; lists are whole numbers. A known name is the same one again."""
        array = np.asarray(values) if isinstance(values, np.ndarray) else np.array(values, np.int64)
        name = name or f"constant_{len(self.constants)}"
        if any(name == known.name for known in self.constants):
            return name
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def tensor(self, values: Tensor, name: str = "") -> str:
        """A constant from a tensor, floats in fp32."""
        return self.constant(values.detach().float().cpu().numpy(), name)

    def value(self, argument: Any) -> Any:
        """What was written for an argument of a traced call; numbers and texts are themselves."""
        if isinstance(argument, fx.Node):
            return self._known[argument]
        if isinstance(argument, (list, tuple)):
            return [self.value(one) for one in argument]
        return argument

    def operand(self, argument: Any) -> str:
        """A tensor, or a number as a constant tensor."""
        return (
            argument
            if isinstance(argument, str)
            else self.constant(np.array([argument], np.float32))
        )

    def total(self, first: Any, second: Any) -> str:
        """A sum; where the first is a detail in fp32, the second is a picture that stays exact."""
        if first in self._details:
            self._sums.append((first, second))
        return self.node("Add", self.operand(first), self.operand(second))

    def exact(self, x: str) -> str:
        """`x` in fp32: the same tensor, which is remembered as what a model may compute in bf16."""
        self._details.add(x)
        return x

    def whole(self, x: str, steps: Steps) -> str:
        """`x` through whole numbers of 8 bits and back."""
        step = self.constant(np.array(steps.step, np.float32), f"{x}.step")
        zero = self.constant(steps.zero, f"{x}.zero")
        return self.node("DequantizeLinear", self.node("QuantizeLinear", x, step, zero), step, zero)

    def whole_weight(self, weight: Tensor, name: str) -> str:
        """A weight as whole numbers of 8 bits, of the name that it has as floats."""
        numbers, step = rounded_weights(weight)
        self.constants = [known for known in self.constants if known.name != name]
        parts = (numbers, "numbers"), (step, "step"), (np.zeros(len(step), np.int8), "zero")
        given = [self.constant(values, f"{name}.{kind}") for values, kind in parts]
        return self.node("DequantizeLinear", *given, axis=0)

    def _name_parts(self) -> None:
        """A detail and the picture under it get the names DETAIL and SKIP, if they are the only."""
        if len(self._sums) != 1 or "lr" in self._sums[0]:
            return
        self.adds_detail = True
        names = dict(zip(self._sums[0], (DETAIL, SKIP), strict=True))
        for node in self.nodes:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]

    def _write(self, traced: fx.GraphModule, node: fx.Node) -> Any:
        if node.op == "get_attr":
            return self.tensor(operator.attrgetter(str(node.target))(traced), str(node.target))
        arguments, named = self.value(node.args), {k: self.value(v) for k, v in node.kwargs.items()}
        if node.op == "call_module":
            layer = traced.get_submodule(str(node.target))
            place = str(node.target).removeprefix("model.")
            return LAYERS[type(layer)](self, layer, place, *arguments)
        key = getattr(node.target, "__name__", node.target)
        write = CALLS.get(str(key))
        if write is None:
            raise CannotExport(
                f"this {type(self.model).__name__} cannot be exported: "
                f"its operation {one_line(key)} has no counterpart"
            )
        return write(self, *arguments, **named)

    def _padded(self) -> str:
        multiple = self.model.multiple_of
        if multiple == 1 or self.model.size:
            return "lr"
        sides = self.node("Shape", "lr", start=2)
        lacking = self.node("Mod", self.node("Neg", sides), self.constant([multiple]))
        pads = self.node("Concat", self.constant([0] * 6), lacking, axis=0)
        return self.node("Pad", "lr", pads, mode="edge")

    def _cropped(self, sr: str) -> None:
        if self.model.multiple_of == 1 or self.model.size:
            self.node("Identity", sr, to="sr")
            return
        ends = self.node(
            "Mul", self.node("Shape", "lr", start=2), self.constant([self.model.scale])
        )
        self.node("Slice", sr, self.constant([0, 0]), ends, self.constant(SPATIAL), to="sr")


Write = Callable[..., Any]


def _conv(w: _Writer, layer: nn.Conv2d, place: str, x: str) -> str:
    weights = _weights(w, layer, place)
    if steps := w.steps.get(place):
        x = w.whole(x, steps)
        weights[0] = w.whole_weight(layer.weight, weights[0])
    return w.node("Conv", x, *weights, to=place, **_geometry(layer))


def _transposed(w: _Writer, layer: nn.ConvTranspose2d, place: str, x: str) -> str:
    more = {"output_padding": list(layer.output_padding), **_geometry(layer)}
    return w.node("ConvTranspose", x, *_weights(w, layer, place), to=place, **more)


def _geometry(layer: nn.Conv2d | nn.ConvTranspose2d) -> dict[str, Any]:
    assert not isinstance(layer.padding, str)
    return {
        "kernel_shape": list(layer.kernel_size),
        "strides": list(layer.stride),
        "pads": [*layer.padding, *layer.padding],
        "dilations": list(layer.dilation),
        "group": layer.groups,
    }


def _weights(w: _Writer, layer: nn.Module, place: str) -> list[str]:
    found = ((name, getattr(layer, name, None)) for name in ("weight", "bias"))
    return [w.tensor(t, f"{place}.{name}") for name, t in found if isinstance(t, Tensor)]


def _linear(w: _Writer, layer: nn.Linear, place: str, x: str) -> str:
    return w.node("Gemm", x, *_weights(w, layer, place), to=place, transB=1)


def _prelu(w: _Writer, layer: nn.PReLU, place: str, x: str) -> str:
    return w.node("PRelu", x, w.tensor(layer.weight.view(-1, 1, 1), f"{place}.weight"))


def _interpolation(w: _Writer, layer: Interpolation, place: str, x: str) -> str:
    padded = _pad(w, x, (2, 2, 2, 2), mode="replicate")
    phases = w.node("Conv", padded, w.tensor(layer.kernel, f"{place}.kernel"), kernel_shape=[5, 5])
    return _shuffle(w, phases, layer.scale)


def _shuffle(w: _Writer, x: str, factor: int) -> str:
    return w.node("DepthToSpace", x, blocksize=factor, mode="CRD") if factor > 1 else x


def _pad(w: _Writer, x: str, pads: Sequence[int], mode: str, value: None = None) -> str:
    left, right, top, bottom = pads
    steps = [[0, 0, top, left, 0, 0, bottom, right]]
    if max(pads) > WIDE:
        # OpenVINO 2026.4 writes beyond its memory where it widens one gray pixel to 32x32 at once.
        steps = [[0, 0, top, 0, 0, 0, bottom, 0], [0, 0, 0, left, 0, 0, 0, right]]
    for amounts in steps:
        x = w.node(
            "Pad", x, w.constant(amounts), mode={"replicate": "edge", "reflect": "reflect"}[mode]
        )
    return x


def _pair(size: int | Sequence[int]) -> list[int]:
    return [size, size] if isinstance(size, int) else list(size)


def _pool(kind: str) -> Write:
    def write(
        w: _Writer, x: str, kernel: Any, stride: Any = None, padding: Any = 0, **given: Any
    ) -> str:
        shape, pads = _pair(kernel), _pair(padding)
        more: dict[str, Any] = {"kernel_shape": shape, "pads": pads + pads}
        more["strides"] = _pair(stride or shape)
        if kind == "AveragePool":
            more["count_include_pad"] = int(given.get("count_include_pad", True))
        return w.node(kind, x, to="", **more)

    return write


def _nearest(w: _Writer, x: str, size: Any = None, scale_factor: int = 1, **given: Any) -> str:
    if size is not None or given.get("mode", "nearest") != "nearest":
        raise CannotExport("only interpolation to the nearest by a factor can be exported")
    scales = w.constant(np.array([1, 1, scale_factor, scale_factor], np.float32))
    modes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return w.node("Resize", x, "", scales, mode="nearest", **modes)


def _reduce(kind: str) -> Write:
    def write(w: _Writer, x: str, dim: int | list[int], keepdim: bool = False) -> str:
        axes = [dim] if isinstance(dim, int) else dim
        return w.node(kind, x, axes=axes, keepdims=int(keepdim))

    return write


def _view(w: _Writer, x: str, *shape: Any) -> str:
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], list) else shape
    return w.node("Reshape", x, w.constant(list(sizes)))


def _chunk(w: _Writer, x: str, chunks: int, dim: int = 0) -> list[str]:
    names = [f"chunk_{len(w.nodes)}_{part}" for part in range(chunks)]
    w.nodes.append(helper.make_node("Split", [x], names, names[0], axis=dim))
    return names


def _two(kind: str) -> Write:
    return lambda w, a, b: w.node(kind, w.operand(a), w.operand(b))


def _one(kind: str) -> Write:
    return lambda w, x, **_: w.node(kind, x)


LAYERS: dict[type[nn.Module], Write] = {
    nn.Conv2d: _conv,
    nn.ConvTranspose2d: _transposed,
    nn.Linear: _linear,
    nn.PReLU: _prelu,
    nn.ReLU: lambda w, layer, place, x: w.node("Relu", x),
    nn.LeakyReLU: lambda w, layer, place, x: w.node("LeakyRelu", x, alpha=layer.negative_slope),
    nn.PixelShuffle: lambda w, layer, place, x: _shuffle(w, x, layer.upscale_factor),
    Interpolation: _interpolation,
}
"""How each layer is written: (writer, layer, its place in the model, input) → tensor."""

CALLS: dict[str, Write] = {
    "add": lambda w, a, b: w.total(a, b),
    "add_": lambda w, a, b: w.total(a, b),
    "sub": _two("Sub"),
    "mul": _two("Mul"),
    "truediv": _two("Div"),
    "relu": _one("Relu"),
    "relu_": _one("Relu"),
    "sigmoid": _one("Sigmoid"),
    "exp": _one("Exp"),
    "tanh": _one("Tanh"),
    "float": lambda w, x: w.exact(x),
    "chunk": _chunk,
    "cat": lambda w, parts, dim=0: w.node("Concat", *parts, axis=dim),
    "flatten": lambda w, x, start_dim=0: w.node("Flatten", x, axis=start_dim),
    "view": _view,
    "pad": _pad,
    "pixel_shuffle": _shuffle,
    "max_pool2d": _pool("MaxPool"),
    "boolean_dispatch": _pool("MaxPool"),
    "avg_pool2d": _pool("AveragePool"),
    "interpolate": _nearest,
    "mean": _reduce("ReduceMean"),
    "amax": _reduce("ReduceMax"),
    "getitem": lambda w, parts, place: parts[place],
}
"""How each function or method is written, by its name: (writer, what it was given) → tensor."""
