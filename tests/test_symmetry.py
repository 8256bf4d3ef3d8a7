"""Weights that answer alike in every position: what they are, how they stay so, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from skimage import data
from torch import Tensor

from reslift import checkpoint
from reslift.checkpoint import Card
from reslift.errors import RecipeError
from reslift.models import MODELS, Lift, SRModel
from reslift.recipe import Recipe, parse
from reslift.run import Run
from reslift.start import complete, start_model
from reslift.symmetry import Symmetry
from reslift.train import fit
from small_models import small

SMALL = {"width": 8, "blocks": 2, "inner_width": 8, "inner_blocks": 1}
HALF_TURN = [lambda x: x, lambda x: torch.rot90(x, 2, (2, 3))]
MIRRORED = [*HALF_TURN, lambda x: x.flip(3), lambda x: x.flip(2)]
EVERY = [
    lambda x, mirror=mirror, turns=turns: torch.rot90(x.flip(3) if mirror else x, turns, (2, 3))
    for mirror in (False, True)
    for turns in range(4)
]
POSITIONS = {2: HALF_TURN, 4: MIRRORED, 8: EVERY}


def recipe(**model: object) -> Recipe:
    tree = {
        "name": "symmetric",
        "scale": 2,
        "model": {"arguments": SMALL, **model},
        "data": {"hold_out": 1, "validation_crop": 48},
        "optimiser": {"name": "muon", "centre": True},
        "watch": {"validate_every": 6, "save_minutes": 1000, "tensorboard": False},
        "engine": {"precision": "fp32", "threads": 1},
        "phases": [{"steps": 6, "batch": 2, "patch": 12, "rate": 0.01}],
    }
    return parse(tree, "test")


def awake(model: Lift) -> Lift:
    """With a tail that says something."""
    torch.nn.init.normal_(model.tail.weight, std=0.05)
    return model


def apart(model: SRModel, order: int) -> float:
    """The largest difference that a position of the picture makes to the answer."""
    lr = torch.rand(1, 3, 12, 16)
    with torch.no_grad():
        answer = model(lr)
        assert (answer - model.get_submodule("skip")(lr)).abs().max() > 1e-3  # more than bicubic
        return max(float((model(t(lr)) - t(answer)).abs().max()) for t in POSITIONS[order])


@pytest.mark.parametrize("form", Lift.forms)
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("order", POSITIONS)
def test_weights_of_an_orbit_answer_alike(order: int, scale: int, form: str) -> None:
    model = awake(Lift(scale, form=form, **SMALL))
    assert apart(model, order) > 1e-4
    symmetry = Symmetry(model, order)
    assert symmetry.strays(model)
    symmetry.begin(model)
    assert not any(Symmetry(model, lower).strays(model) for lower in POSITIONS if lower <= order)
    assert apart(model, order) < 2e-5


def test_without_a_branch_too() -> None:
    model = awake(Lift(3, width=8, blocks=1, inner_blocks=0))
    Symmetry(model, 8).begin(model)
    assert apart(model, 8) < 2e-5


def test_shared_gradients_are_those_of_all_positions() -> None:
    model = awake(Lift(2, form="plain", **SMALL))
    symmetry = Symmetry(model, 8)
    symmetry.begin(model)
    lr, hr = torch.rand(2, 3, 12, 12), torch.rand(2, 3, 24, 24)

    def gradients(pairs: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
        model.zero_grad()
        sum((model(lr) - hr).abs().mean() / len(pairs) for lr, hr in pairs).backward()
        return [p.grad.clone() for p in model.parameters()]

    every = gradients([(turn(lr), turn(hr)) for turn in EVERY])
    alone = gradients([(lr, hr)])
    pairs = list(zip(alone, every, strict=True))
    assert any((one - mean).norm() > 0.1 * mean.norm() for one, mean in pairs)
    symmetry.share_gradients(model)
    for weight, wanted in zip(model.parameters(), every, strict=True):
        torch.testing.assert_close(weight.grad, wanted, atol=1e-6, rtol=1e-4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of six steps of Muon and Adam."""
    pictures, out = tmp_path_factory.mktemp("pictures"), tmp_path_factory.mktemp("runs") / "run"
    for number, photo in enumerate((data.astronaut(), data.coffee(), data.chelsea())):
        Image.fromarray(photo[60:156, 60:156]).save(pictures / f"{number}.png")
    chosen = recipe(symmetry=8)
    fit(chosen, Run.create(out, chosen, {}), data=pictures)
    return out


def test_training_keeps_it_and_moves_the_weights(trained: Path) -> None:
    model, card = checkpoint.load(trained / "last.safetensors")
    fresh = start_model(recipe(symmetry=8))
    assert card.recipe["model"]["symmetry"] == 8
    assert apart(model, 8) < 2e-5
    assert not torch.equal(model.state_dict()["head.weight"], fresh.state_dict()["head.weight"])


def test_what_continues_from_it_is_symmetric_too(trained: Path) -> None:
    tree = recipe().model_dump(exclude_unset=True)
    del tree["model"]
    chosen = complete(parse({**tree, "init": str(trained / "last.safetensors")}, "test"))
    assert chosen.model.symmetry == 8
    assert apart(start_model(chosen), 8) < 2e-5


@pytest.mark.parametrize("part", [None, [], {}, {"symmetry": 3}, {"symmetry": "8"}])
def test_cards_that_say_nothing_of_it_stand_for_none(part: object) -> None:
    assert checkpoint.order_of({"model": part}) == 1
    assert checkpoint.order_of({"model": {"symmetry": 8}}) == 8


def test_without_symmetry_nothing_is_alike() -> None:
    assert apart(awake(start_model(recipe())), 8) > 1e-4


def test_weights_that_are_not_alike_are_no_start(tmp_path: Path) -> None:
    path = tmp_path / "plain.safetensors"
    arguments = {"scale": 2, **SMALL}
    card = Card(name="t", model="lift", arguments=arguments, scale=2, summary="")
    checkpoint.save(path, Lift(2, **SMALL), card)
    chosen = recipe(symmetry=8).model_copy(update={"init": str(path)})
    with pytest.raises(RecipeError, match=r"init .*plain.*not trained with model\.symmetry = 8"):
        start_model(chosen)


def test_models_and_widths_that_cannot_are_refused() -> None:
    with pytest.raises(RecipeError, match="multiples of 8"):
        start_model(recipe(symmetry=8, arguments={**SMALL, "width": 12}))
    with pytest.raises(RecipeError, match="Hourglass knows nothing of positions"):
        start_model(recipe(symmetry=2, name="hourglass", arguments={}))
    with pytest.raises(RecipeError, match=r"model\.symmetry"):
        recipe(symmetry=3)


@pytest.mark.parametrize("name", MODELS)
def test_named_planes_are_all_the_convolutions(name: str) -> None:
    model = small(name)
    if planes := model.planes():
        layers = model.named_modules()
        assert set(planes) == {n for n, layer in layers if isinstance(layer, torch.nn.Conv2d)}
