"""Laws of every architecture in ``MODELS``, and what is special about ``lift``."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reslift.errors import InputError
from reslift.models import MODELS, Lift, SRModel, reach
from reslift.models.blocks import Interpolation, expand
from reslift.models.isrnet import DENSE, ISRNet
from reslift.models.variational import Learner
from reslift.pixels.resize import bicubic_upscale
from small_models import VARIANTS, small

SIZES = st.integers(1, 21)
LOCAL = [variant for variant in VARIANTS if small(*variant).size is None]
FIXED = [variant for variant in VARIANTS if variant not in LOCAL]
REPAIRED = [(name, form) for name, form in VARIANTS if form == "repaired"]


def build(name: str, form: str = "", scale: int = 2) -> SRModel:
    model = small(name, form, scale)
    torch.manual_seed(3)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    return model


def an_lr(model: SRModel, count: int = 1) -> torch.Tensor:
    side = model.size or 8
    return torch.rand(count, model.channels, side, side)


@pytest.mark.parametrize(("name", "form"), LOCAL)
def test_any_size_gives_exactly_scale_times_it(name: str, form: str) -> None:
    for scale in (2, 3):
        model = build(name, form, scale)

        @settings(max_examples=4, deadline=None)
        @given(SIZES, SIZES)
        def check(height: int, width: int) -> None:
            with torch.no_grad():
                sr = model(torch.rand(1, model.channels, height, width))  # noqa: B023
            assert sr.shape == (1, model.channels, height * model.scale, width * model.scale)  # noqa: B023

        check()


@pytest.mark.parametrize(("name", "form"), FIXED)
def test_one_size_is_taken_and_others_are_refused(name: str, form: str) -> None:
    model = build(name, form)
    assert model.is_global
    assert model.size
    with torch.no_grad():
        assert model(an_lr(model, 2)).shape[2:] == (model.size * model.scale,) * 2
    for height, width in ((model.size, model.size + 8), (8, 8), (model.size + 1, model.size + 1)):
        with pytest.raises(InputError, match=f"takes {model.size}x{model.size} pixels only"):
            model(torch.rand(1, model.channels, height, width))
    with pytest.raises(ValueError, match="multiple of 8"):
        small(name, form, size=20)


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize(("name", "form"), LOCAL)
def test_the_halo_is_as_far_as_an_output_looks(name: str, form: str, scale: int) -> None:
    """No pixel beyond the halo has a gradient; the farthest that has one is within a grid cell.

    Weights and pixels are positive, so that no ReLU closes and all that is linked counts.
    """
    model = small(name, form, scale)
    with torch.no_grad():
        for weight in model.parameters():
            weight.uniform_(0.01, 0.06)
    grid = model.multiple_of
    middle = (model.halo // grid + 1) * grid
    side = 2 * middle + grid
    seen = 0
    for _ in range(2):
        lr = torch.rand(1, model.channels, side, side, requires_grad=True)
        sr = model(lr)
        for pixel in range(grid * model.scale):
            place = middle * model.scale + pixel
            (slope,) = torch.autograd.grad(sr[0, 0, place, place], lr, retain_graph=True)
            reached = slope[0].abs().sum(0).nonzero() - place // model.scale
            seen = max(seen, int(reached.abs().max()))
    assert seen <= model.halo
    assert seen > model.halo - grid - 1


@pytest.mark.parametrize(("name", "form"), VARIANTS)
def test_rebuilt_from_its_arguments_it_has_the_same_shapes(name: str, form: str) -> None:
    model = build(name, form)
    twin = MODELS[name](**model.arguments)
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    assert shapes == {key: value.shape for key, value in twin.state_dict().items()}
    assert twin.arguments == model.arguments


@pytest.mark.parametrize(("name", "form"), VARIANTS)
def test_forward_is_decode_of_encode(name: str, form: str) -> None:
    model = build(name, form)
    lr = an_lr(model, 2)
    with torch.no_grad():
        assert torch.equal(model(lr), model.decode(model.encode(lr)))


@pytest.mark.parametrize(("name", "form"), VARIANTS)
def test_every_weight_learns(name: str, form: str) -> None:
    model = build(name, form).train()
    with torch.no_grad():
        for weight in list(model.parameters())[-2:]:
            weight.abs_()  # the published S4 can close its last ReLU for good
    lr, kl = an_lr(model, 4), 0.0
    if model.is_variational:
        hr = torch.rand(4, 3, *(side * model.scale for side in lr.shape[2:]))
        sr, kl = Learner(model)(lr, hr, torch.arange(4))
    else:
        sr = model(lr)
    ((sr - 0.3).square().mean() + kl).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_what_does_not_fit_is_refused(name: str) -> None:
    for wrong in ({"scale": 0}, {"scale": 9}, {"channels": 0}, {"width": 0}):
        with pytest.raises(ValueError, match=r"starts at|not one of"):
            MODELS[name](**wrong)
    if MODELS[name].forms:
        with pytest.raises(ValueError, match=", ".join(MODELS[name].forms)):
            MODELS[name](form="fixed")


@pytest.mark.parametrize(("name", "form"), REPAIRED)
def test_untrained_repaired_forms_are_the_interpolated_picture(name: str, form: str) -> None:
    model = small(name, form, 4)
    lr = an_lr(model)
    with torch.no_grad():
        sr, base = model(lr), Interpolation(model.scale, 3)(lr)
    torch.testing.assert_close(sr, base, atol=1e-6, rtol=0)


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


def test_parameter_counts_of_the_papers_and_articles() -> None:
    """EDSR-baseline: 1,518K and 1,370K as published; FSRCNN: 25d + sd + 9ms² + ds + 81d weights."""
    edsr = MODELS["edsr"]
    assert [edsr(scale=s).parameter_count() for s in (4, 2)] == [1_517_571, 1_369_859]
    fsrcnn = MODELS["fsrcnn"](channels=1)
    weights = sum(w.numel() for w in fsrcnn.parameters() if w.ndim > 1)
    assert weights == 25 * 56 + 12 * 56 + 4 * 9 * 12**2 + 56 * 12 + 81 * 56
    bottleneck = MODELS["bottleneck"](form="published")
    assert bottleneck.encode(torch.rand(1, 3, 32, 32))[-1].shape == (1, 128)
    assert bottleneck.pack.in_features == bottleneck.unpack.out_features == 2048
    faces = MODELS["residual"](form="published").encode(torch.rand(1, 3, 80, 80))
    assert [tuple(f.shape[1:]) for f in faces[1:]] == [(64, 80, 80), (128, 40, 40), (256, 20, 20)]


def test_the_published_isrnet_makes_481_of_16() -> None:
    model = ISRNet(form="published")
    with torch.no_grad():
        dense = model.decoder(model.encode(torch.rand(1, 3, 16, 16))[-1])
    assert dense.shape == (1, 3, 481, 481)


def test_the_published_isrnet_keeps_its_pixels_in_place() -> None:
    """Bilinear weights in every layer: a ramp stays the same ramp."""
    model = ISRNet(channels=1, form="published").double()
    tent = torch.tensor([0.5, 1.0, 0.5], dtype=torch.float64)
    with torch.no_grad():
        for layer in model.decoder[::2]:
            layer.weight.copy_((tent[:, None] * tent).expand_as(layer.weight))
            layer.weight.div_(layer.weight.shape[0])
            layer.bias.zero_()
        ramp = torch.arange(12.0, dtype=torch.float64).expand(1, 1, 12, 12) / 12
        sr = model.decode([ramp])[0, 0, 20, 8:-8]
    expected = ((torch.arange(48.0, dtype=torch.float64) + 0.5) / 4 - 0.5)[8:-8] / 12
    torch.testing.assert_close(sr, expected, atol=0.6 / DENSE / 12, rtol=0)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_interpolation_is_what_torch_and_matlab_give(scale: int) -> None:
    lr = torch.rand(1, 3, 9, 7)
    inside = (..., slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))
    bilinear = torch.nn.functional.interpolate(lr, scale_factor=scale, mode="bilinear")
    torch.testing.assert_close(Interpolation(scale, 3, "bilinear")(lr), bilinear)
    ours = Interpolation(scale, 3)(lr)
    torch.testing.assert_close(ours[inside], bicubic_upscale(lr, scale)[inside])


@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_transposed_convolutions_double_exactly_and_look_as_far_as_they_say(kernel: int) -> None:
    layer = expand(1, 1, kernel)
    torch.nn.init.ones_(layer.weight)
    x = torch.zeros(1, 1, 9, 9, requires_grad=True)
    assert layer(x).shape[2:] == (18, 18)
    look = reach.transposed(kernel, 2, (kernel - 1) // 2)
    for y in range(4, 12):
        (slope,) = torch.autograd.grad(layer(x)[0, 0, y, y], x)
        rows = slope[0, 0].nonzero()[:, 0]
        assert look(y, y) == (int(rows.min()), int(rows.max()))


def test_reach_by_hand() -> None:
    assert reach.halo([reach.conv()] * 3, 1) == 3
    assert reach.halo([reach.conv(2, 2, 0), reach.enlarge(2)], 1, 2) == 2
    assert reach.halo([reach.conv(5), reach.enlarge(4)], 4) == 2
    assert reach.halo([], 1) == 0


@pytest.mark.parametrize(("name", "form"), [v for v in REPAIRED if v in LOCAL])
def test_repaired_forms_begin_with_signals_of_ordinary_size(name: str, form: str) -> None:
    """Behind a silent tail a chain that shrinks its signals takes a thousand steps to wake up."""
    torch.manual_seed(0)
    model = MODELS[name](form=form)
    with torch.no_grad():
        features = model.encode(torch.rand(1, 3, 32, 32))
    assert all(0.1 < feature.std() < 10 for feature in features)
