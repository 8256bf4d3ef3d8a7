"""Optimisers. Adam is torch's; Muon is ours, because torch's takes no convolution kernels.

Muon (Jordan et al. 2024) replaces the momentum M of a weight matrix by the nearest orthogonal
matrix, so that all directions of a layer learn at one speed. A quintic Newton-Schulz iteration

    X ← a X + (b X Xᵀ + c (X Xᵀ)²) X,   (a, b, c) = (3.4445, -4.7750, 2.0315)

from X = M / |M| comes near it in five rounds. A convolution kernel (O, I, k, k) is a matrix
(O, I·k·k). The update is scaled by 0.2 √max(O, I·k·k) (Liu et al. 2025), which gives it the size of
an Adam update: learning rates carry over.

A 3×3 convolution with a 1×1 beside it, as in re-parameterised blocks (Ding et al. 2021), is one
3×3 whose centre is a sum. Their gradients are that of the kernel and its centre, and both updates
add up there; so `centre` trains the kernel alone exactly as it would train the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from reslift.errors import look_up
from reslift.models import SRModel
from reslift.recipe import OptimiserPart

MUON_ROUNDS = 5
MUON_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
MUON_MOMENTUM = 0.95


def orthogonalise(matrices: Tensor) -> Tensor:
    """The nearest orthogonal matrices, roughly, of (N, rows, columns)."""
    a, b, c = MUON_COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(MUON_ROUNDS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    flat: Tensor = x.mT if tall else x
    return flat


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum for convolution and linear weights."""

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        weight_decay: float,
        centre: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "centre": centre})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update; weights of one shape are orthogonalised together."""
        for group in self.param_groups:
            shapes: dict[tuple[int, ...], list[tuple[nn.Parameter, Tensor]]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    shapes.setdefault(tuple(weight.shape), []).append((weight, self._push(weight)))
            for members in shapes.values():
                weights, pushes = zip(*members, strict=True)
                stack = torch.stack(pushes)
                turn = _turned(stack)
                if group["centre"] and stack.shape[-1] == 3:
                    turn[..., 1:2, 1:2] += _turned(stack[..., 1:2, 1:2])
                for weight, update in zip(weights, turn, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.sub_(update * group["lr"])

    def _push(self, weight: nn.Parameter) -> Tensor:
        assert weight.grad is not None
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        momentum = state["momentum"].lerp_(weight.grad, 1 - MUON_MOMENTUM)
        return weight.grad.lerp(momentum, MUON_MOMENTUM)


def _turned(pushes: Tensor) -> Tensor:
    """Updates (N, O, …) for momenta of the same shape, of the size of Adam's."""
    matrices = pushes.flatten(2)
    updates: Tensor = orthogonalise(matrices) * (0.2 * max(matrices.shape[1:]) ** 0.5)
    return updates.view(pushes.shape)


class Together:
    """Several optimisers as one: Muon for the trunk, Adam for the rest."""

    def __init__(self, *members: torch.optim.Optimizer) -> None:
        self.members = members

    def set_rate(self, rate: float | Tensor) -> None:
        for member in self.members:
            for group in member.param_groups:
                group["lr"] = rate

    def zero_grad(self) -> None:
        for member in self.members:
            member.zero_grad(set_to_none=True)

    def step(self) -> None:
        for member in self.members:
            member.step()

    def state_dict(self) -> list[dict[str, Any]]:
        return [member.state_dict() for member in self.members]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        for member, state in zip(self.members, states, strict=True):
            member.load_state_dict(state)


def adam(model: SRModel, part: OptimiserPart) -> Together:
    """Adam for everything (Kingma and Ba 2015); fused and capturable on CUDA."""
    return Together(_adam([p for p in model.parameters() if p.requires_grad], part))


def muon(model: SRModel, part: OptimiserPart) -> Together:
    """Muon for the weights between the first and the last layer, Adam for the rest."""
    weights = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in weights if p.ndim >= 2]
    edges = {id(matrices[0]), id(matrices[-1])}
    trunk = [p for p in matrices if id(p) not in edges]
    inside = {id(p) for p in trunk}
    rest = [p for p in weights if id(p) not in inside]
    return Together(_adam(rest, part), Muon(trunk, 1e-3, part.weight_decay, part.centre))


def _adam(weights: list[nn.Parameter], part: OptimiserPart) -> torch.optim.Adam:
    cuda = weights[0].device.type == "cuda"
    return torch.optim.Adam(
        weights,
        lr=torch.zeros((), device=weights[0].device) if cuda else 1e-3,
        betas=part.betas,
        weight_decay=part.weight_decay,
        capturable=cuda,
        fused=cuda,
    )


OPTIMISERS: dict[str, Callable[[SRModel, OptimiserPart], Together]] = {"adam": adam, "muon": muon}


def make_optimiser(model: SRModel, part: OptimiserPart) -> Together:
    """The optimiser that a recipe names."""
    return look_up(part.name, OPTIMISERS, "optimiser")(model, part)
