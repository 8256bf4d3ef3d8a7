"""Metrics against scikit-image, against an independent NumPy computation, and by their laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data as pictures
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from reslift.metrics import METRICS, luma_error, mse, psnr_rgb, psnr_y, round8, ssim_y


def tensor(image: np.ndarray) -> torch.Tensor:
    """(H, W) or (H, W, 3) uint8 to (1, C, H, W) in [0, 1]."""
    stacked = image[..., None] if image.ndim == 2 else image
    return torch.from_numpy(stacked.astype(np.float64) / 255).permute(2, 0, 1)[None]


def luma(image: np.ndarray) -> np.ndarray:
    """Y of MATLAB's rgb2ycbcr, in levels, written out from its matrix."""
    red, green, blue = (image[..., i].astype(np.float64) / 255 for i in range(3))
    return 16 + 65.481 * red + 128.553 * green + 24.966 * blue


@st.composite
def picture_pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    height, width = draw(st.integers(19, 40)), draw(st.integers(19, 40))
    shape = (height, width, 3) if draw(st.booleans()) else (height, width)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    smooth = np.cumsum(rng.normal(0, draw(st.floats(0.5, 20)), shape), axis=0) + 128
    noise = rng.normal(0, draw(st.floats(0.5, 60)), shape)
    hr, sr = (np.clip(x, 0, 255).astype(np.uint8) for x in (smooth, smooth + noise))
    return sr, hr, draw(st.integers(0, 4))


@settings(deadline=None, max_examples=60)
@given(picture_pairs())
def test_metrics_agree_with_scikit_image(case: tuple[np.ndarray, np.ndarray, int]) -> None:
    sr, hr, shave = case
    inside = (slice(shave, sr.shape[0] - shave), slice(shave, sr.shape[1] - shave))
    x, y = ((luma(i) if i.ndim == 3 else i.astype(np.float64))[inside] for i in (sr, hr))
    if not np.array_equal(x, y):
        wanted = peak_signal_noise_ratio(y, x, data_range=255)
        assert psnr_y(tensor(sr), tensor(hr), shave).item() == pytest.approx(wanted, abs=1e-9)
    wanted = structural_similarity(
        y, x, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim_y(tensor(sr), tensor(hr), shave).item() == pytest.approx(wanted, abs=1e-9)
    if not np.array_equal(sr[inside], hr[inside]):
        wanted = peak_signal_noise_ratio(hr[inside], sr[inside], data_range=255)
        assert psnr_rgb(tensor(sr), tensor(hr), shave).item() == pytest.approx(wanted, abs=1e-9)
    wanted = np.mean((sr[inside] / 255 - hr[inside] / 255) ** 2)
    assert mse(tensor(sr), tensor(hr), shave).item() == pytest.approx(wanted, abs=1e-12)


def test_ssim_window_is_the_valid_one() -> None:
    """Averaging the full map of scikit-image over its valid part gives our number."""
    hr = pictures.camera()[100:180, 200:300]
    sr = np.roll(hr, 1, axis=1)
    _, full = structural_similarity(
        hr, sr, full=True, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim_y(tensor(sr), tensor(hr), 0).item() == pytest.approx(
        full[5:-5, 5:-5].mean(), abs=1e-9
    )


GOLDEN = {2: (31.7402, 0.94352), 3: (28.7614, 0.89013), 4: (26.9364, 0.83774)}


@pytest.mark.parametrize("scale", GOLDEN)
def test_golden_rows_of_pillow_bicubic(scale: int) -> None:
    """Pillow's resampling and a plain NumPy PSNR: values pinned here from outside our code."""
    hr = pictures.astronaut()[:480, :480]
    size = 480 // scale
    lr = Image.fromarray(hr).resize((size, size), Image.Resampling.BICUBIC)
    sr = np.asarray(lr.resize((480, 480), Image.Resampling.BICUBIC))
    difference = (luma(sr) - luma(hr))[scale:-scale, scale:-scale]
    wanted = 10 * math.log10(255**2 / np.mean(difference**2))
    psnr = psnr_y(tensor(sr), tensor(hr), scale).item()
    assert psnr == pytest.approx(wanted, abs=1e-9)
    golden_psnr, golden_ssim = GOLDEN[scale]
    assert psnr == pytest.approx(golden_psnr, abs=0.02)
    assert ssim_y(tensor(sr), tensor(hr), scale).item() == pytest.approx(golden_ssim, abs=0.001)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_gives_one_value_an_image(name: str) -> None:
    metric = METRICS[name]
    hr = torch.rand(3, 3, 24, 31, generator=torch.Generator().manual_seed(0))
    sr = (hr + 0.1 * torch.randn(hr.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    together = metric.function(sr, hr, 2)
    assert together.shape == (3,) and together.dtype == torch.float64
    alone = torch.cat([metric.function(sr[i : i + 1], hr[i : i + 1], 2) for i in range(3)])
    assert torch.allclose(together, alone, rtol=0, atol=1e-12)
    worse = metric.function((sr + 0.2).clamp(0, 1), hr, 2)
    assert ((worse < together) == metric.higher_is_better).all()


def test_sr_is_rounded_to_8_bits_before_it_is_judged() -> None:
    hr = tensor(pictures.coffee()[:60, :60])
    sr = hr + 0.3 / 255
    assert torch.isinf(psnr_y(sr, hr, 0)).all()
    assert torch.equal(
        round8(torch.tensor([-1.0, 0.4 / 255, 0.5 / 255, 2.0])) * 255,
        torch.tensor([0.0, 0.0, 1.0, 255.0]),
    )


def test_shave_leaves_the_border_out() -> None:
    hr = tensor(pictures.coffee()[:40, :40])
    sr = hr.clone()
    sr[..., :3, :] = 0
    assert not torch.isinf(psnr_y(sr, hr, 2)).any()
    assert torch.isinf(psnr_y(sr, hr, 3)).all()


def test_gray_is_judged_on_its_gray_values() -> None:
    hr = tensor(pictures.camera()[:50, :50])
    sr = (hr + 4 / 255).clamp(0, 1)
    wide = psnr_y(sr.expand(-1, 3, -1, -1), hr.expand(-1, 3, -1, -1), 0)
    assert (wide - psnr_y(sr, hr, 0)).item() == pytest.approx(20 * math.log10(255 / 219), abs=1e-9)


def test_luma_error_is_in_levels() -> None:
    hr = torch.zeros(1, 3, 4, 5)
    assert torch.allclose(luma_error(hr + 1, hr), torch.full((1, 1, 4, 5), 219.0).double())
    assert torch.allclose(luma_error(hr[:, :1] + 1, hr[:, :1]), torch.tensor(255.0).double())


def test_small_images_have_no_ssim() -> None:
    hr = torch.rand(1, 3, 12, 40)
    assert torch.isnan(ssim_y(hr, hr, 1)).all()
    assert torch.isfinite(psnr_y(hr * 0, hr, 1)).all()


@pytest.mark.parametrize(
    ("sr", "hr", "shave"),
    [
        (torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 9), 0),
        (torch.rand(1, 4, 8, 8), torch.rand(1, 4, 8, 8), 0),
        (torch.rand(3, 8, 8), torch.rand(3, 8, 8), 0),
        (torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8), 4),
        (torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8), -1),
    ],
)
def test_what_cannot_be_judged_is_refused(sr: torch.Tensor, hr: torch.Tensor, shave: int) -> None:
    for metric in METRICS.values():
        with pytest.raises(ValueError, match=r"metric wants|leaves nothing"):
            metric.function(sr, hr, shave)
