"""Laws of every degradation, and the kernels against outside references."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from skimage import data

from reslift.degradations import DEGRADATIONS, Degradation, Pixelate, ResizeBack, make_degradation
from reslift.errors import RecipeError, UnknownName
from reslift.pixels.resample import resample
from reslift.pixels.resize import bicubic_upscale, imresize


def first_scale(name: str) -> int:
    try:
        return make_degradation(name, 2, {}).scale
    except RecipeError:
        return 1


SCALES = {name: first_scale(name) for name in DEGRADATIONS}


def photo(height: int = 80, width: int = 64) -> torch.Tensor:
    return torch.from_numpy(data.astronaut()[:height, 180 : 180 + width].copy()).permute(2, 0, 1)[
        None
    ]


def made(name: str) -> Degradation:
    return make_degradation(name, SCALES[name], {})


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_lr_is_8_bit_of_the_right_size_and_the_same_every_time(name: str) -> None:
    degradation, hr = made(name), photo()
    before = hr.clone()
    lr = degradation(hr)
    assert lr.dtype == torch.uint8
    assert lr.shape == (1, 3, 80 // degradation.scale, 64 // degradation.scale)
    assert torch.equal(lr, degradation(hr))
    assert torch.equal(hr, before)
    assert degradation.describe()


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_images_of_a_batch_do_not_mix(name: str) -> None:
    degradation = made(name)
    pair = torch.cat([photo(), photo().flip(3)])
    assert torch.equal(degradation(pair)[1:], degradation(pair[1:]))


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_a_flat_picture_stays_as_it_is(name: str) -> None:
    degradation = made(name)
    flat = torch.full((1, 3, 20, 12), 77, dtype=torch.uint8)
    assert (degradation(flat) == 77).all()
    torch.testing.assert_close(degradation.baseline(flat), flat.double() / 255)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_the_baseline_is_bicubic_of_the_small_picture(name: str) -> None:
    degradation, hr = made(name), photo()
    small = degradation.intermediate(hr)
    assert small.dtype == torch.uint8
    assert small.shape[2] < hr.shape[2]
    base = degradation.baseline(hr)
    torch.testing.assert_close(base, imresize(small.double() / 255, 80, 64))
    if degradation.scale > 1:
        expected = bicubic_upscale(degradation(hr).double() / 255, degradation.scale)
        torch.testing.assert_close(base, expected)


@pytest.mark.parametrize("name", [name for name, scale in SCALES.items() if scale == 1])
def test_at_scale_1_the_baseline_is_better_than_lr_as_it_is(name: str) -> None:
    degradation, hr = made(name), photo()
    truth = hr.double() / 255
    error = (degradation.baseline(hr) - truth).square().mean()
    assert error < 0.9 * (degradation(hr).double() / 255 - truth).square().mean()


@pytest.mark.parametrize(
    ("name", "scale", "arguments"),
    [
        ("resize_back", 2, {}),
        ("resize_back", 1, {"factor": 0.5}),
        ("resize_back", 1, {"kernel": "lanczos"}),
        ("pixelate", 1, {"percent": 0}),
        ("pixelate", 1, {"percent": 101}),
        ("pixelate", 4, {}),
        ("bicubic", 2, {"percent": 3}),
    ],
)
def test_what_does_not_fit_is_a_recipe_error(
    name: str, scale: int, arguments: dict[str, object]
) -> None:
    with pytest.raises(RecipeError, match=f"degradation {name}: "):
        make_degradation(name, scale, arguments)
    with pytest.raises(UnknownName):
        make_degradation("pixelat", 1, {})


def test_resize_back_is_the_notebooks_interpolate() -> None:
    """System S0: ``F.interpolate(bilinear)`` to 16 and back to 32, with 8-bit rounding."""
    hr = photo(32, 32)
    small = F.interpolate(hr.double(), (16, 16), mode="bilinear").add(0.5).floor()
    assert torch.equal(small, F.avg_pool2d(hr.double(), 2).add(0.5).floor())
    back = F.interpolate(small, (32, 32), mode="bilinear").add(0.5).floor()
    degradation = ResizeBack()
    assert torch.equal(degradation.intermediate(hr), small.to(torch.uint8))
    assert torch.equal(degradation(hr), back.to(torch.uint8))


def test_pixelate_makes_32_of_80_and_blocks_of_it() -> None:
    hr = photo(80, 80)
    degradation = Pixelate(percent=40)
    small, lr = degradation.intermediate(hr), degradation(hr)
    assert small.shape[2:] == (32, 32)
    assert torch.equal(lr[..., ::5, ::5], small[..., ::2, ::2])
    mixed = small[0, :, 0, :2].double().mean(1).add(0.5).floor().to(torch.uint8)
    assert torch.equal(lr[0, :, 0, 2], mixed)


@pytest.mark.parametrize("percent", [0.5, 1, 13, 99, 100])
def test_pixelate_takes_any_percentage(percent: float) -> None:
    hr = photo(37, 51)
    degradation = Pixelate(percent=percent)
    assert degradation(hr).shape == hr.shape
    assert degradation.intermediate(hr).shape[2] == max(1, round(37 * percent / 100))
    if percent == 100:
        assert torch.equal(degradation(hr), hr)


@pytest.mark.parametrize("size", [(32, 32), (17, 80), (80, 64), (200, 131)])
def test_area_by_hand(size: tuple[int, int]) -> None:
    """Enlarge to the common multiple by repeating, then take the mean: fractions of pixels."""
    x = photo().double() / 255
    fine = x.repeat_interleave(size[0], 2)
    rows = fine.view(1, 3, size[0], 80, 64).mean(3)
    fine = rows.repeat_interleave(size[1], 3)
    expected = fine.view(1, 3, size[0], size[1], 64).mean(4)
    torch.testing.assert_close(resample(x, *size, "area"), expected)


def test_area_of_a_whole_factor_is_pillows_box() -> None:
    picture = Image.fromarray(photo()[0].permute(1, 2, 0).numpy())
    box = np.asarray(picture.resize((16, 20), Image.Resampling.BOX), np.float64)
    ours = resample(photo().double(), 20, 16, "area")[0].permute(1, 2, 0).numpy()
    assert abs(ours - box).max() <= 1.0


def test_antialiased_bilinear_is_pillows() -> None:
    picture = Image.fromarray(photo()[0].permute(1, 2, 0).numpy())
    reference = np.asarray(picture.resize((25, 31), Image.Resampling.BILINEAR), np.float64)
    ours = resample(photo().double(), 31, 25, "bilinear")[0].permute(1, 2, 0).numpy()
    assert abs(ours - reference).max() <= 1.0
