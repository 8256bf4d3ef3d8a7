"""How close an SR image is to its HR image, by the conventions that published tables use.

Every metric is a pure function ``metric(sr, hr, shave) -> (B,)``: one value an image, float64.
``sr`` is rounded to 8 bits first, because that is what a user receives; ``shave`` pixels are cut
from each border; a colour image is judged on its BT.601 luma in [16, 235], kept as float, and a
gray image on its gray values in [0, 255].

    PSNR = 10 log10(255² / mean((sr - hr)²))
    SSIM = mean of (2 μx μy + C1)(2 σxy + C2) / ((μx² + μy² + C1)(σx² + σy² + C2))

with moments under an 11×11 Gaussian of σ 1.5 wherever it fits whole, C1 = (0.01·255)² and
C2 = (0.03·255)² (Wang et al., "Image quality assessment", 2004).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from reslift.pixels.color import rgb_to_y

PEAK = 255.0
WINDOW = 11
SIGMA = 1.5


def psnr_y(sr: Tensor, hr: Tensor, shave: int) -> Tensor:
    """PSNR on luma (gray values for one channel), in dB.

    Args:
        sr, hr: (B, C, H, W) in [0, 1], C = 1 or 3, of the same shape.
        shave: border left out, in HR pixels; the scale for published tables.

    Returns:
        (B,) float64; infinite where the two are equal.

    Raises:
        ValueError: the shapes differ, C is not 1 or 3, or shaving leaves nothing.
    """
    return _psnr(*(_luma(x) for x in _levels(sr, hr, shave)))


def ssim_y(sr: Tensor, hr: Tensor, shave: int) -> Tensor:
    """SSIM on luma (gray values for one channel); arguments and errors as :func:`psnr_y`.

    Returns:
        (B,) float64, at most 1; NaN where the shaved image is smaller than the 11×11 window.
    """
    x, y = (_luma(x) for x in _levels(sr, hr, shave))
    if min(x.shape[2:]) < WINDOW:
        return x.new_full((x.shape[0],), torch.nan)
    return _ssim_map(x, y).flatten(1).mean(1)


def psnr_rgb(sr: Tensor, hr: Tensor, shave: int) -> Tensor:
    """PSNR over all channels at once, in dB; arguments, result and errors as :func:`psnr_y`."""
    return _psnr(*_levels(sr, hr, shave))


def mse(sr: Tensor, hr: Tensor, shave: int) -> Tensor:
    """Mean squared error over all channels, of values in [0, 1]; otherwise as :func:`psnr_y`."""
    x, y = _levels(sr, hr, shave)
    return ((x - y) / PEAK).square().flatten(1).mean(1)


def round8(x: Tensor) -> Tensor:
    """Clip (B, C, H, W) to [0, 1] and round it to the nearest of 256 levels, halves up."""
    return x.clamp(0, 1).mul(PEAK).add(0.5).floor().div(PEAK)


def luma_error(sr: Tensor, hr: Tensor) -> Tensor:
    """|SR - HR| on the axis of PSNR-Y: (B, C, H, W) in [0, 1] to (B, 1, H, W) in 8-bit levels."""
    x, y = (_luma(x) for x in _levels(sr, hr, 0))
    return (x - y).abs()


def _levels(sr: Tensor, hr: Tensor, shave: int) -> tuple[Tensor, Tensor]:
    """Both images as float64 in [0, 255], shaved, ``sr`` rounded."""
    if sr.shape != hr.shape or sr.ndim != 4 or sr.shape[1] not in (1, 3):
        raise ValueError(
            f"a metric wants two (B, 1 or 3, H, W) of one shape, not {tuple(sr.shape)} "
            f"and {tuple(hr.shape)}"
        )
    if shave < 0 or min(sr.shape[2:]) <= 2 * shave:
        raise ValueError(f"shaving {shave} pixels leaves nothing of {sr.shape[3]}x{sr.shape[2]}")
    inside = (..., slice(shave, sr.shape[2] - shave), slice(shave, sr.shape[3] - shave))
    x, y = (_double(image[inside]) for image in (sr, hr))
    return round8(x) * PEAK, y * PEAK


def _double(x: Tensor) -> Tensor:
    return x.cpu().double() if x.device.type == "mps" else x.double()


def _luma(levels: Tensor) -> Tensor:
    return levels if levels.shape[1] == 1 else rgb_to_y(levels / PEAK) * PEAK


def _psnr(x: Tensor, y: Tensor) -> Tensor:
    return 10 * torch.log10(PEAK**2 / (x - y).square().flatten(1).mean(1))


def _blur(x: Tensor) -> Tensor:
    """Gaussian moments of (B, 1, H, W) where the window fits whole."""
    t = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    kernel = torch.exp(-0.5 * (t / SIGMA) ** 2)
    kernel = kernel / kernel.sum()
    return F.conv2d(F.conv2d(x, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))


def _ssim_map(x: Tensor, y: Tensor) -> Tensor:
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    mean_x, mean_y = _blur(x), _blur(y)
    var_x = _blur(x * x) - mean_x**2
    var_y = _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return likeness / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))


@dataclass(frozen=True)
class Quantity:
    """How to show a number that tells how alike two images are."""

    label: str
    unit: str
    decimals: int
    higher_is_better: bool = True


@dataclass(frozen=True)
class Metric(Quantity):
    """A quantity that is a pure function, ``function(sr, hr, shave) -> (B,)``."""

    function: Callable[[Tensor, Tensor, int], Tensor] = field(kw_only=True)


METRICS = {
    "psnr_y": Metric("PSNR-Y", "dB", 2, function=psnr_y),
    "ssim_y": Metric("SSIM-Y", "", 4, function=ssim_y),
    "psnr_rgb": Metric("PSNR-RGB", "dB", 2, function=psnr_rgb),
    "mse": Metric("MSE", "", 6, higher_is_better=False, function=mse),
}

PERCEPTUAL = {"st_lpips": Quantity("ST-LPIPS", "", 4, higher_is_better=False)}
"""Distances over the features of a network (:mod:`reslift.features`), whole images, not shaved."""


def shown(names: Iterable[str]) -> dict[str, Quantity]:
    """How to show those quantities that are among ``names``, in the order of a table."""
    every: dict[str, Quantity] = {**METRICS, **PERCEPTUAL}
    wanted = set(names)
    return {name: quantity for name, quantity in every.items() if name in wanted}
