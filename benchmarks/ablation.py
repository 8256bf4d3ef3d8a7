"""What each choice of a house model and of its training is worth: one thing changed at a time.

    python benchmarks/ablation.py --data TRAIN --bench BENCH [--recipe lift-small-x4]
        [--steps 1000] [--only relu,silu]

TRAIN holds the training pictures of the recipe, BENCH the folders Set5, Set14 and
BSD100 (docs/evaluate.md). Every row is trained alike, from the same random weights where its shape
is the same, on the same patches, with the rate falling to its end; scores are PSNR-Y in dB of the
network alone, and the differences to the first row. Differences under about 0.03 dB say nothing.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reslift.datasets import DATASETS
from reslift.datasets.base import Splits
from reslift.datasets.made import made_sets
from reslift.datasets.pairs import find_test_set, read_pair
from reslift.datasets.patches import PatchBank
from reslift.datasets.stock import stock_up
from reslift.degradations import Bicubic
from reslift.metrics import psnr_y
from reslift.models import Lift, SRModel
from reslift.models.blocks import Interpolation, ResidualBlock, silent
from reslift.recipe import Phase, Recipe, load_recipe
from reslift.stepper import Stepper
from reslift.symmetry import Symmetry
from reslift.train import choose_precision

SETS = ("Set5", "Set14", "BSD100")
ALIKE: dict[str, object] = {"batch": 8, "patch": 56, "loss": {"l1": 1.0}}
REJECTED = 0.7
"""What the first row has, whatever the recipe has become."""
SHAPE: dict[str, Any] = {}
"""Arguments of the recipe's model, but its form: the first row has residual blocks."""


class Activated(nn.Module):
    """A residual block with another function between its convolutions, or after them."""

    def __init__(self, block: nn.Module, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.expand, self.project = block.expand, block.project
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, H, W) → the same."""
        detail: Tensor = self.project(self.function(self.expand(x)))
        return detail + x


def activated(function: Callable[[Tensor], Tensor]) -> Callable[[], SRModel]:
    """Another activation in the blocks."""

    def build() -> SRModel:
        model = Lift(4, **SHAPE)
        for blocks in model.modules():
            if isinstance(blocks, nn.Sequential):
                for place, block in enumerate(blocks):
                    if isinstance(block, ResidualBlock):
                        blocks[place] = Activated(block, function)
        return model

    return build


def tailed(kernel: int) -> SRModel:
    """Another size of the last convolution."""
    model = Lift(4, **SHAPE)
    last = model.tail
    model.tail = silent(nn.Conv2d(last.in_channels, last.out_channels, kernel, padding=kernel // 2))
    return model


def deep_tail() -> SRModel:
    """One more convolution and ReLU before the last."""
    model = Lift(4, **SHAPE)
    width = model.tail.in_channels
    model.after.extend([nn.Conv2d(width, width, 3, padding=1), nn.ReLU()])
    return model


class Nothing(nn.Module):
    """No skip at all."""

    def forward(self, x: Tensor) -> Tensor:
        """A number that changes nothing."""
        return torch.zeros((), device=x.device)


class Repeated(nn.Module):
    """Each pixel repeated."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, 4H, 4W)."""
        return F.interpolate(x, scale_factor=4, mode="nearest")


def skipping(skip: Callable[[], nn.Module]) -> Callable[[], SRModel]:
    """Another skip from LR to SR."""

    def build() -> SRModel:
        model = Lift(4, **SHAPE)
        model.skip = skip()
        if isinstance(model.skip, Nothing):
            nn.init.normal_(model.tail.weight, std=0.02)
        return model

    return build


@dataclass(frozen=True)
class Row:
    """One choice: a model, or settings of the recipe, of its optimiser, data or phase.

    end: settings of the last quarter of the steps. first: the scale of the first half of them, the
    tail then starts anew.
    """

    name: str
    model: Callable[[], SRModel] | None = None
    data: dict[str, object] | None = None
    phase: dict[str, object] | None = None
    optimiser: dict[str, object] | None = None
    end: dict[str, object] | None = None
    first: int = 0
    symmetry: int = 1


ROWS = [
    Row("as it is"),
    Row("silu", activated(F.silu)),
    Row("gelu", activated(F.gelu)),
    Row("leaky relu 0.1", activated(lambda x: F.leaky_relu(x, 0.1))),
    Row("centre", optimiser={"centre": True}),
    Row("plain", lambda: Lift(4, **SHAPE, form="plain")),
    Row("plain and centre", lambda: Lift(4, **SHAPE, form="plain"), optimiser={"centre": True}),
    *(
        Row(
            f"plain and centre, alike in {order} positions",
            lambda: Lift(4, **SHAPE, form="plain"),
            optimiser={"centre": True},
            symmetry=order,
        )
        for order in (2, 4, 8)
    ),
    Row("tail 1x1", lambda: tailed(1)),
    Row("tail 5x5", lambda: tailed(5)),
    Row("two convolutions in the tail", deep_tail),
    Row("skip bilinear", skipping(lambda: Interpolation(4, 3, "bilinear"))),
    Row("skip nearest", skipping(Repeated)),
    Row("no skip", skipping(Nothing)),
    Row("loss luma + 0.25 l1", phase={"loss": {"luma": 1.0, "l1": 0.25}}),
    Row("loss 0.04 decibel + 0.25 l1", phase={"loss": {"decibel": 0.04, "l1": 0.25}}),
    Row(
        "loss 0.04 decibel + 0.25 l1 + 0.01 agreement",
        phase={"loss": {"decibel": 0.04, "l1": 0.25, "agreement": 0.01}},
    ),
    Row("loss l1 + 0.05 fft", phase={"loss": {"l1": 1.0, "fft": 0.05}}),
    Row("loss mse", phase={"loss": {"mse": 1.0}}),
    Row("no EMA", optimiser={"ema": 0.0}),
    Row("mse in the last quarter", end={"loss": {"mse": 1.0}}),
    Row("patches of 96 in the last quarter", end={"patch": 96, "batch": 3}),
    Row("half of the steps at x2 first", first=2),
    Row("taught by lift-base", phase={"teacher": "lift-base"}),
    Row("a third blended", phase={"blended": 0.3}),
    Row("32 patches of 32", phase={"patch": 32, "batch": 32}),
    Row("4 patches of 96", phase={"patch": 96, "batch": 4}),
    Row("no flat patch rejected", data={"reject_flat": 0.0}),
    Row("no other colours", data={"colours": 0.0}),
    Row("one sampling grid", data={"shifts": 1}),
    Row("no shrunk copies", data={"copies": ()}),
    Row("no drawn pictures", data={"drawn": 0}),
    Row("no turned copies", data={"turned": 0}),
    Row("no collages", data={"collages": 0}),
    Row("photographs alone", data={"drawn": 0, "turned": 0, "collages": 0, "copies": ()}),
]


def phases_of(row: Row, steps: int) -> tuple[Phase, ...]:
    """One, with the rate falling to its end; two with the same rates where the row has an end."""
    whole = {"rate": 1.2e-3, "final_rate": 1e-6, "warmup": 50, **ALIKE, **(row.phase or {})}
    if row.end is None:
        return (Phase(**{**whole, "steps": steps}),)
    middle = 1.2e-3 * (1 + math.cos(0.75 * math.pi)) / 2
    last = {**whole, "steps": steps // 4, "rate": middle, "warmup": 0, **row.end}
    return (
        Phase(**{**whole, "steps": steps - steps // 4, "final_rate": middle}),
        Phase(**last),
    )


def bank_of(recipe: Recipe, splits: Splits) -> PatchBank:
    """As `fit` fills it."""
    part = recipe.data
    stock = stock_up(
        sum(made_sets(part, splits.train).values(), splits.train),
        Bicubic(recipe.scale),
        torch.device("cpu"),
        shifts=part.shifts,
        copies=part.copies,
    )
    return PatchBank(
        stock,
        reject_flat=part.reject_flat,
        augment=part.augment,
        colours=part.colours,
        seed=recipe.seed,
    )


def judged(model: SRModel, bench: Path) -> list[float]:
    """Mean PSNR-Y on each of `SETS`."""
    found = []
    for name in SETS:
        scores = []
        for files in find_test_set(bench / name, 4).files:
            pair = read_pair(files, Bicubic(4))
            lr = pair.lr.expand(-1, 3, -1, -1).float() / 255
            hr = pair.hr.expand(-1, 3, -1, -1).float() / 255
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                sr = model(lr.contiguous(memory_format=torch.channels_last)).float()
            scores.append(float(psnr_y((sr.clamp(0, 1) * 255).round() / 255, hr, 4)))
        found.append(sum(scores) / len(scores))
    return found


def trained(
    row: Row, recipe: Recipe, bank: PatchBank, trunk: SRModel | None = None
) -> tuple[SRModel, float]:
    """The averaged weights after all steps, and the seconds that they took."""
    torch.manual_seed(recipe.seed)
    model = row.model() if row.model else Lift(recipe.scale, **SHAPE)
    if trunk is not None:
        own = model.state_dict()
        known = {k: v for k, v in trunk.state_dict().items() if own[k].shape == v.shape}
        model.load_state_dict({**own, **known})
    if row.symmetry > 1:
        Symmetry(model, row.symmetry).begin(model)
    model.to(memory_format=torch.channels_last)
    stepper = Stepper(model, bank, recipe, choose_precision(recipe, bank.device))
    began = time.perf_counter()
    for step in range(recipe.steps):
        stepper.step(step)
    return stepper.average, time.perf_counter() - began


def main() -> None:
    """Train and print, a row at a time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--recipe", default="lift-small-x4")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--only", default="", help="names of rows, with commas between")
    given = parser.parse_args()
    torch.set_num_threads(1)
    recipe = load_recipe(given.recipe)
    SHAPE.update(recipe.model.arguments)
    SHAPE.pop("form", None)
    splits = DATASETS[recipe.data.name](recipe.data, given.data, recipe.seed)
    wanted = [row for row in ROWS if not given.only or row.name in given.only.split(",")]
    plain_bank: PatchBank | None = None
    first: list[float] = []
    for row in wanted:
        data = recipe.data.model_copy(update={"reject_flat": REJECTED, **(row.data or {})})
        optimiser = recipe.optimiser.model_copy(update={"centre": False, **(row.optimiser or {})})
        steps = given.steps // 2 if row.first else given.steps
        part = recipe.model.model_copy(update={"symmetry": row.symmetry})
        phases = phases_of(row, steps)
        update = {"model": part, "data": data, "optimiser": optimiser, "phases": phases}
        chosen = recipe.model_copy(update={**update, "init": None})
        if row.data:
            bank = bank_of(chosen, splits)
        else:
            plain_bank = bank = plain_bank or bank_of(chosen, splits)
        trunk, before = None, 0.0
        if row.first:
            fewer = data.model_copy(update={"shifts": min(data.shifts, row.first**2)})
            early = chosen.model_copy(update={"scale": row.first, "data": fewer})
            trunk, before = trained(row, early, bank_of(early, splits))
        model, seconds = trained(row, chosen, bank, trunk)
        scores = judged(model, given.bench)
        first = first or scores
        cells = [f"{now:.2f} ({now - was:+.2f})" for now, was in zip(scores, first, strict=True)]
        size = sum(p.numel() for p in model.parameters())
        print(
            f"| {row.name} | {size:,} | {' | '.join(cells)} | {before + seconds:.0f} s |",
            flush=True,
        )


if __name__ == "__main__":
    main()
