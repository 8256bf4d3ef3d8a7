"""Transparency without fringes."""

import numpy as np
import pytest

from reslift.pixels import alpha as transparency
from small_models import bicubic_lift, made, small_lift


@pytest.fixture(scope="module")
def upscaler():
    return made(small_lift(2))


@pytest.fixture(scope="module")
def bicubic():
    return made(bicubic_lift(4))


@pytest.mark.parametrize("value", [0, 1, 127, 254, 255])
def test_constant_alpha_stays_constant(upscaler, value):
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 4), np.uint8)
    image[..., 3] = value
    assert (upscaler(image)[..., 3] == value).all()


def test_what_is_opaque_all_around_stays_opaque(upscaler):
    image = np.random.default_rng(0).integers(0, 256, (24, 24, 4), np.uint8)
    image[..., 3] = 255
    image[:4, :4, 3] = 0
    sr = upscaler(image)[..., 3]
    assert (sr[14:] == 255).all() and (sr[:, 14:] == 255).all() and (sr[:4, :4] == 0).all()


def disc(hidden, color=(200, 40, 90)):
    """A disc with a soft edge; `hidden` is the colour under alpha 0."""
    y, x = np.mgrid[:32, :40]
    alpha = np.clip(11 - np.hypot(x - 20, y - 16), 0, 1)
    image = np.empty((32, 40, 4), np.uint8)
    image[..., :3] = np.where(alpha[..., None] > 0, color, hidden)
    image[..., 3] = np.rint(alpha * 255)
    return image


@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255), (0, 255, 0)])
@pytest.mark.parametrize("paper", [(255, 255, 255), (0, 0, 0), (0, 255, 0)])
def test_no_fringe_on_any_paper(bicubic, hidden, paper):
    sr = bicubic(disc(hidden)).astype(float)
    alpha = sr[..., 3:] / 255
    seen = sr[..., :3] * alpha + np.array(paper) * (1 - alpha)
    ideal = np.array((200, 40, 90)) * alpha + np.array(paper) * (1 - alpha)
    assert np.abs(seen - ideal).max() <= 1


def test_hidden_colours_do_not_matter(upscaler):
    black, white = upscaler(disc((0, 0, 0))), upscaler(disc((255, 255, 255)))
    np.testing.assert_array_equal(black, white)


def test_bleeding_keeps_visible_pixels_and_goes_as_far_as_told():
    color = np.random.default_rng(0).random((1, 3, 5, 30), np.float32)
    alpha = np.zeros((1, 1, 5, 30), np.float32)
    alpha[..., :3] = 0.5
    filled = transparency.bleed(color, alpha, rings=4)
    np.testing.assert_array_equal(filled[..., :3], color[..., :3])
    assert (filled[..., 3:7] > 0).all() and (filled[..., 7:] == 0).all()
    assert transparency.bleed(color, np.ones_like(alpha), 4) is color
    assert (transparency.bleed(color, np.zeros_like(alpha), 4) == 0).all()
