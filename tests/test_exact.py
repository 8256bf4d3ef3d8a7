"""The resize without PyTorch: MATLAB's kernel, no shift, no fringe, the same bytes in any piece."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from reslift.pixels import exact
from reslift.pixels.resize import imresize
from reslift.pixels.shift import measure_shift


def resized(image, height, width, dtype=None, **options):
    out = np.empty((height, width, image.shape[2]), dtype or image.dtype)
    exact.resize_into(image, out, **options)
    return out


def noise(height, width, bands=3, seed=0):
    return np.random.default_rng(seed).random((height, width, bands), dtype=np.float32)


@settings(max_examples=30, deadline=None)
@given(*[st.integers(1, 40)] * 2, *[st.integers(1, 60)] * 2)
def test_it_is_imresize(height, width, high, wide):
    image = noise(height, width)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].double()
    wanted = imresize(tensor, high, wide)[0].permute(1, 2, 0).clamp(0, 1)
    np.testing.assert_allclose(resized(image, high, wide), wanted, atol=2e-6)


def test_blocks_do_not_show(monkeypatch):
    image = noise(90, 70)
    whole = resized(image, 61, 47)
    monkeypatch.setattr(exact, "BLOCK", 16)
    np.testing.assert_allclose(resized(image, 61, 47), whole, atol=1e-6)


@pytest.mark.parametrize("shape", [(301, 287), (333, 512), (511, 509)])
def test_nothing_is_shifted(shape):
    """Against an analytic picture: a band-limited function, sampled at the pixel centres."""

    def sampled(height, width):
        y = (np.arange(height) + 0.5)[:, None] / height
        x = (np.arange(width) + 0.5) / width
        rng = np.random.default_rng(1)
        value = np.zeros((height, width))
        for _ in range(80):
            down, across, phase = rng.uniform(-40, 40), rng.uniform(-40, 40), rng.uniform(0, 7)
            value += np.cos(2 * np.pi * (down * y + across * x) + phase)
        return (value / 40 + 0.5).clip(0, 1)[..., None].astype(np.float32)

    moved = resized(sampled(600, 600), *shape)[..., 0]
    shift = measure_shift(torch.from_numpy(moved), torch.from_numpy(sampled(*shape)[..., 0]))
    assert shift is not None and max(map(abs, shift)) < 0.02


def test_flat_stays_flat_to_the_bit():
    for value in (0, 1, 200, 255):
        image = np.full((50, 40, 3), value, np.uint8)
        assert (resized(image, 33, 27) == value).all()
        assert (resized(image, 70, 90) == value).all()


def test_hidden_colours_do_not_show_and_opaque_stays_opaque():
    image = np.zeros((64, 64, 4), np.uint8)
    image[:, :32] = (255, 0, 0, 255)
    image[:, 32:] = (0, 255, 0, 0)
    small = resized(image, 40, 40, alpha=True)
    visible = small[..., 3] > 4
    assert (small[visible][:, 1] == 0).all() and (small[visible][:, 0] > 250).all()
    assert (small[:, :17, 3] == 255).all() and (small[:, 23:, 3] == 0).all()


def test_wrapping_takes_the_other_side():
    image = noise(24, 24)
    plain = resized(image, 16, 16, border="wrap")
    rolled = resized(np.roll(image, (3, 6), (0, 1)), 16, 16, border="wrap")
    np.testing.assert_allclose(rolled, np.roll(plain, (2, 4), (0, 1)), atol=1e-6)
    assert np.abs(plain - resized(image, 16, 16)).max() > 0.01


def test_16_bits_and_progress():
    image = (data.camera()[..., None].astype(np.uint16) * 257)[:100, :90]
    told = []
    small = resized(image, 77, 31, progress=told.append)
    assert small.dtype == np.uint16 and sum(told) == 77 * 31
    eight = resized(data.camera()[:100, :90, None], 77, 31)
    assert np.abs(small / 257 - eight).max() <= 0.51
