"""Weights that answer a mirrored or turned picture with the mirrored or turned answer.

Eight positions of a square picture exist, and a model that learned from few pictures answers each
a little differently: by chance. Group convolutions (Cohen and Welling 2016) leave it no choice.
Their channels stand in groups of eight, one for each position, which change places when the
picture turns, and their kernels repeat accordingly. Such kernels are plain weights of the plain
network with equal values in many places, so that nothing but the training has to know::

    weights ─ one value for all of an orbit ─ gradients ─ mean over each orbit ─ optimiser

An orbit is what the turns make of one weight. That mean is also the gradient of all eight positions
of every patch, for the price of one. Muon and Adam treat equal gradients equally, so that the
weights stay as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reslift.errors import RecipeError
from reslift.models import SRModel
from reslift.models.base import Planes

POSITIONS = {2: (0, 3), 4: (0, 3, 1, 2), 8: (0, 3, 1, 2, 4, 7, 6, 5)}
"""Those of each order: mirrored sideways by bit 0, upside down by bit 1, then transposed by 2.

In this sequence weights of one order are of each lower one too, so that training can let go.
"""
TOLERANCE = 2e-3
"""Relative difference of weights within an orbit that 16-bit storage and rounding account for."""


class Symmetry:
    """What a model's convolutions repeat, so that it answers alike in ``order`` positions.

    Args:
        model: one whose `SRModel.planes` say what its convolutions take and give.
        order: 2 (half a turn), 4 (mirrored too) or 8 (quarter turns too).

    Raises:
        RecipeError: this kind of model has no such weights, or its widths are no multiples.
    """

    def __init__(self, model: SRModel, order: int) -> None:
        self.order = order
        self._orbits: dict[str, Tensor] = {}
        planes = model.planes()
        if not planes:
            raise RecipeError(
                f"model.symmetry is {order}: {type(model).__name__} knows nothing of positions, "
                f"leave it out"
            )
        for name, (given, taken) in planes.items():
            layer = model.get_submodule(name)
            assert isinstance(layer, nn.Conv2d) and layer.bias is not None
            for side, kind in ((0, given), (1, taken)):
                width = layer.weight.shape[side] // kind.factor**2
                if kind.turning and width % order:
                    raise RecipeError(
                        f"model.symmetry is {order}, and a layer has {width} channels: widths "
                        f"have to be multiples of {order}"
                    )
            self._orbits[f"{name}.weight"] = self._orbit(layer.weight, given, taken)
            self._orbits[f"{name}.bias"] = self._orbit(layer.bias, given, taken)

    def begin(self, model: SRModel) -> None:
        """Give all weights of an orbit the value of its first; works in place."""
        with torch.no_grad():
            for name, orbit in self._orbits.items():
                weight = model.get_parameter(name)
                first = orbit.amin(0).to(weight.device)
                weight.copy_(weight.contiguous().view(-1)[first].view(weight.shape))

    def strays(self, model: SRModel) -> bool:
        """Whether weights within an orbit differ by more than rounding."""
        for name, orbit in self._orbits.items():
            weight = model.get_parameter(name).detach()
            mean = _means(weight, orbit.to(weight.device))
            if (weight - mean).norm() > TOLERANCE * weight.norm():
                return True
        return False

    def share_gradients(self, model: SRModel) -> None:
        """The mean of each orbit's gradients for all its weights; works in place."""
        for name, orbit in self._orbits.items():
            gradient = model.get_parameter(name).grad
            if gradient is None:
                continue
            if orbit.device != gradient.device:
                orbit = self._orbits[name] = orbit.to(gradient.device)
            gradient.copy_(_means(gradient, orbit))

    def _orbit(self, weight: Tensor, given: Planes, taken: Planes) -> Tensor:
        """(order, N) int64: for each of a layer's N weights where every position finds it."""
        places = torch.arange(weight.numel()).view(weight.shape)
        rows = []
        for number, code in enumerate(POSITIONS[self.order]):
            moved = _turned(places, code) if places.ndim > 2 else places
            moved = self._exchanged(moved, 0, given, number)
            if places.ndim > 1:
                moved = self._exchanged(moved, 1, taken, number)
            rows.append(moved.reshape(-1))
        return torch.stack(rows)

    def _exchanged(self, places: Tensor, side: int, kind: Planes, number: int) -> Tensor:
        """The channels of one side of a layer where that position of the picture has them."""
        code = POSITIONS[self.order][number]
        channels = places.movedim(side, -1)
        split = channels.reshape(*channels.shape[:-1], -1, kind.factor, kind.factor)
        split = _turned(split, code).movedim(-3, 0)
        if kind.turning:
            split = split[self._places(len(split), number)]
        return split.movedim(0, -3).flatten(-3).movedim(-1, side)

    def _places(self, channels: int, number: int) -> Tensor:
        """Which channel each one becomes; within a group, position h from code⁻¹·h."""
        codes = POSITIONS[self.order]
        goes = torch.tensor([codes.index(_after(codes[number], code)) for code in codes])
        comes = goes.argsort()
        every = torch.arange(channels)
        return every // self.order * self.order + comes[every % self.order]


def _means(values: Tensor, orbit: Tensor) -> Tensor:
    """For each value the mean over its orbit, in the shape of the values."""
    return values.contiguous().view(-1)[orbit].mean(0).view(values.shape)


def _turned(squares: Tensor, code: int) -> Tensor:
    """(…, k, k) in a position."""
    squares = squares.flip(-1) if code & 1 else squares
    squares = squares.flip(-2) if code & 2 else squares
    return squares.mT if code & 4 else squares


def _after(code: int, first: int) -> int:
    """The position that one makes of another."""
    probe = torch.arange(9).view(3, 3)
    wanted = _turned(_turned(probe, first), code)
    return next(one for one in range(8) if _turned(probe, one).equal(wanted))
