"""A grown model answers as the small one did, and learns with all it has."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from reslift.models import MODELS, SRModel
from reslift.models.grow import grow

SMALL: dict[str, Any] = {"width": 8, "blocks": 2, "inner_width": 12, "inner_blocks": 0}


def lift(**arguments: Any) -> SRModel:
    return MODELS["lift"](scale=3, **{**SMALL, **arguments})


def trained(model: SRModel) -> SRModel:
    """As if it were trained: no layer is silent."""
    torch.manual_seed(3)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.05 * torch.randn_like(weight))
    return model


@pytest.mark.parametrize(
    "larger",
    [
        {"width": 13},
        {"blocks": 5},
        {"width": 16, "blocks": 3},
        {"inner_blocks": 2, "blocks": 4},
        {"width": 11, "blocks": 4, "inner_width": 20, "inner_blocks": 3},
    ],
)
@pytest.mark.parametrize("inner", [0, 1])
@pytest.mark.parametrize("form", MODELS["lift"].forms)
def test_a_grown_model_gives_the_same_answers(
    larger: dict[str, int], inner: int, form: str
) -> None:
    inside = larger.get("inner_blocks", 0)
    if inner and not inside:
        larger = {**larger, "inner_blocks": inner}
    source = trained(lift(inner_blocks=inner, blocks=2, form=form))
    target = lift(**larger, form=form)
    lr = torch.rand(2, 3, 14, 18)
    assert (source(lr) - target(lr)).abs().max() > 1e-3
    grow(source, target)
    assert torch.allclose(source(lr), target(lr), atol=1e-5)


def test_every_weight_of_a_grown_model_is_moved_after_two_steps() -> None:
    target = lift(width=12, blocks=3)
    grow(trained(lift()), target)
    weights = [p for p in target.parameters() if p.requires_grad]
    before = [weight.detach().clone() for weight in weights]
    optimiser = torch.optim.SGD(weights, lr=1.0)
    lr = torch.rand(2, 3, 12, 12)
    hr = torch.rand(2, 3, 36, 36)
    for _ in range(3):
        optimiser.zero_grad()
        (target(lr) - hr).square().mean().backward()
        optimiser.step()
    for weight, old in zip(weights, before, strict=True):
        assert (weight != old).float().mean() > 0.9


def test_what_cannot_be_kept_is_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        grow(lift(), lift(width=4))
    with pytest.raises(ValueError, match="kind of model and the scale"):
        grow(lift(), MODELS["lift"](scale=2, **SMALL))
    with pytest.raises(ValueError, match="kind of model and the scale"):
        grow(lift(), MODELS["fsrcnn"](scale=3))


def test_a_kind_that_does_not_keep_its_answers_is_refused() -> None:
    source = trained(MODELS["unet"](scale=2, width=8))
    with pytest.raises(ValueError, match="does not keep its answers"):
        grow(source, MODELS["unet"](scale=2, width=12))
