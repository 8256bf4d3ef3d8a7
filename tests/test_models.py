"""Laws of every architecture in ``MODELS``, and what is special about ``lift``."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reslift.models import MODELS, Lift, SRModel
from reslift.pixels.resize import bicubic_upscale

SIZES = st.integers(1, 21)


def build(name: str, scale: int = 2) -> SRModel:
    torch.manual_seed(3)
    model = MODELS[name](scale=scale)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    return model.eval()


@pytest.mark.parametrize("name", MODELS)
def test_any_size_gives_exactly_scale_times_it(name: str) -> None:
    model = build(name)

    @settings(max_examples=12, deadline=None)
    @given(SIZES, SIZES)
    def check(height: int, width: int) -> None:
        with torch.no_grad():
            sr = model(torch.rand(1, model.channels, height, width))
        assert sr.shape == (1, model.channels, 2 * height, 2 * width)

    check()


@pytest.mark.parametrize("name", MODELS)
def test_nothing_beyond_the_halo_counts(name: str) -> None:
    model = build(name)
    side = 2 * model.halo + 2 * model.multiple_of + 3
    lr = torch.rand(1, model.channels, side, side, requires_grad=True)
    middle = side // 2 // model.multiple_of * model.multiple_of
    row = middle * model.scale
    model(lr)[0, 0, row : row + model.scale, row : row + model.scale].sum().backward()
    assert lr.grad is not None
    reached = lr.grad[0].abs().sum(0).nonzero()
    assert len(reached) > 9
    assert (reached - middle).abs().max() <= model.halo


@pytest.mark.parametrize("name", MODELS)
def test_rebuilt_from_its_arguments_it_has_the_same_shapes(name: str) -> None:
    model = build(name)
    twin = MODELS[name](**model.arguments)
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    assert shapes == {key: value.shape for key, value in twin.state_dict().items()}


@pytest.mark.parametrize("name", MODELS)
def test_forward_is_decode_of_encode(name: str) -> None:
    model = build(name)
    lr = torch.rand(2, model.channels, 8, 8)
    with torch.no_grad():
        assert torch.equal(model(lr), model.decode(model.encode(lr)))


def test_wrong_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="wants"):
        Lift()(torch.rand(1, 1, 8, 8))


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 5])
def test_untrained_lift_is_bicubic(scale: int) -> None:
    lr = torch.rand(1, 3, 12, 17)
    with torch.no_grad():
        sr = Lift(scale=scale)(lr)
    inside = (..., slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))
    torch.testing.assert_close(sr[inside], bicubic_upscale(lr, scale)[inside], atol=1e-6, rtol=0)


def test_macs_by_hand() -> None:
    plain = Lift(scale=2, width=8, blocks=1, inner_blocks=0)
    per_pixel = 9 * 3 * 8 + 2 * 9 * 8 * 8 + 9 * 8 * 12
    assert plain.macs(10, 6) == 60 * per_pixel
    branch = Lift(scale=2, width=8, blocks=1, inner_width=4, inner_blocks=1)
    inner = 4 * 8 * 4 + 2 * 9 * 4 * 4 + 4 * 32
    assert branch.macs(10, 6) == 60 * per_pixel + 15 * inner


def test_macs_leave_the_model_as_it_was() -> None:
    model = Lift(width=8, blocks=1, inner_blocks=0)
    model.macs(8, 8)
    assert not any(layer._forward_hooks for layer in model.modules())
    assert model(torch.rand(1, 3, 8, 8)).shape == (1, 3, 32, 32)
