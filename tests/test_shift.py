"""The shift between two images, against shifts that are known and against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import data
from skimage.registration import phase_cross_correlation

from reslift.pixels.resize import downscale8
from reslift.pixels.shift import measure_shift

PICTURES = {"camera": data.camera()[100:260, 150:330], "coffee": data.coffee()[100:260, 200:330, 1]}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (0.5, 0.25), (-1.3, 0.7)])
def test_known_shifts(name, shift):
    reference = PICTURES[name].astype(float)
    moved = ndimage.shift(reference, shift, order=3, mode="reflect")
    found = measure_shift(torch.from_numpy(moved), torch.from_numpy(reference))
    assert found == pytest.approx(shift, abs=0.04)
    window = np.outer(np.hanning(moved.shape[0]), np.hanning(moved.shape[1]))
    outside, *_ = phase_cross_correlation(
        (reference - reference.mean()) * window,
        (moved - moved.mean()) * window,
        upsample_factor=50,
        normalization=None,
    )
    assert found == pytest.approx(tuple(-outside), abs=0.25), "plain correlation is blunter"


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_one_hr_pixel_is_seen_in_lr(scale):
    hr = torch.from_numpy(data.astronaut()[:240, :240].copy()).permute(2, 0, 1)[None]
    lr = downscale8(hr, scale)[0, 1].double()
    moved = downscale8(torch.roll(hr, (1, -1), (2, 3)), scale)[0, 1].double()
    assert measure_shift(lr, lr) == (0, 0)
    assert measure_shift(moved, lr) == pytest.approx((1 / scale, -1 / scale), abs=0.05)


def test_noise_and_brightness_do_not_look_like_a_shift():
    reference = torch.from_numpy(PICTURES["camera"].astype(float))
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(reference.shape, generator=generator, dtype=torch.float64)
    assert measure_shift(reference * 0.6 + 30 + 20 * noise, reference) == pytest.approx(
        (0, 0), abs=0.05
    )


def test_what_cannot_be_told_is_none():
    flat = torch.full((20, 20), 0.5)
    assert measure_shift(flat, flat) is None
    assert measure_shift(torch.rand(7, 40), torch.rand(7, 40)) is None
    with pytest.raises(ValueError, match="one shape"):
        measure_shift(torch.rand(9, 9), torch.rand(9, 10))
