"""MATLAB's bicubic: against an independent dense implementation, Pillow, and its own laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from reslift.pixels.color import rgb_to_y
from reslift.pixels.resize import bicubic_upscale, downscale8, imresize


def dense(size_in: int, size_out: int) -> np.ndarray:
    """MATLAB's weights, one output sample at a time, written from its documentation."""
    scale = size_out / size_in
    stretch = min(scale, 1.0)
    matrix = np.zeros((size_out, size_in))
    for out in range(size_out):
        centre = (out + 0.5) / scale - 0.5
        reach = int(np.ceil(2 / stretch)) + 1
        for at in range(int(np.floor(centre)) - reach, int(np.floor(centre)) + reach + 1):
            t = abs(centre - at) * stretch
            if t <= 1:
                weight = 1.5 * t**3 - 2.5 * t**2 + 1
            elif t <= 2:
                weight = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
            else:
                continue
            mirrored = at % (2 * size_in)
            matrix[out, min(mirrored, 2 * size_in - 1 - mirrored)] += weight
    return matrix / matrix.sum(1, keepdims=True)


@settings(max_examples=30, deadline=None)
@given(*(st.integers(1, 40) for _ in range(4)))
def test_equals_the_dense_matrices(h: int, w: int, new_h: int, new_w: int) -> None:
    x = np.random.default_rng(h * 41 + w).random((h, w))
    want = dense(h, new_h) @ x @ dense(w, new_w).T
    got = imresize(torch.from_numpy(x)[None, None], new_h, new_w)[0, 0].numpy()
    np.testing.assert_allclose(got, want, atol=1e-12)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_pillow_agrees_within_a_level_nearly_everywhere(scale: int) -> None:
    photo = data.astronaut()[:504, :504]
    ours = downscale8(torch.from_numpy(photo).permute(2, 0, 1)[None].contiguous(), scale)
    side = 504 // scale
    theirs = np.asarray(Image.fromarray(photo).resize((side, side), Image.Resampling.BICUBIC))
    gap = np.abs(ours[0].permute(1, 2, 0).numpy().astype(int) - theirs.astype(int))
    inside = gap[4:-4, 4:-4]
    # Pillow resizes horizontally first, so that overshoot is clipped elsewhere.
    assert (inside <= 1).mean() > 0.998
    assert inside.mean() < 0.2


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_constant_stays_constant(scale: int) -> None:
    gray = torch.full((1, 1, 12 * scale, 24 * scale), 77, dtype=torch.uint8)
    assert downscale8(gray, scale).unique().tolist() == [77]
    flat = torch.full((1, 3, 5, 7), 0.3, dtype=torch.float64)
    torch.testing.assert_close(bicubic_upscale(flat, scale).std(), torch.zeros(()).double())


def test_no_half_pixel_shift() -> None:
    ramp = torch.linspace(0, 1, 64, dtype=torch.float64).expand(1, 1, 64, 64)
    small = imresize(ramp, 16, 16)[0, 0, 8]
    want = ramp[0, 0, 0].view(16, 4).mean(1)
    torch.testing.assert_close(small[2:-2], want[2:-2])


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple"):
        downscale8(torch.zeros(1, 1, 10, 9, dtype=torch.uint8), 2)
    with pytest.raises(ValueError, match="uint8"):
        downscale8(torch.zeros(1, 1, 8, 8), 2)
    with pytest.raises(ValueError, match="sizes"):
        imresize(torch.zeros(1, 1, 8, 8), 0, 8)


def test_luma_of_known_colours() -> None:
    colours = torch.tensor([[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]).double()
    y = rgb_to_y(colours.view(5, 3, 1, 1)).flatten() * 255
    want = torch.tensor([16, 235, 81.481, 144.553, 40.966]).double()
    torch.testing.assert_close(y, want)
