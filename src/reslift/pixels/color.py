"""BT.601 luma as MATLAB's ``rgb2ycbcr`` computes it, the axis PSNR-Y and SSIM-Y are measured on."""

from __future__ import annotations

from torch import Tensor

LUMA = (65.481, 128.553, 24.966)
OFFSET = 16.0


def rgb_to_y(rgb: Tensor) -> Tensor:
    """Luma of an RGB image: ``Y = 16 + 65.481 R + 128.553 G + 24.966 B``, divided by 255.

    Args:
        rgb: (B, 3, H, W) float in [0, 1].

    Returns:
        (B, 1, H, W), same dtype, in [16/255, 235/255]; kept as float, not rounded.

    Raises:
        ValueError: the channel axis does not hold three channels.
    """
    if rgb.ndim != 4 or rgb.shape[1] != 3:
        raise ValueError(f"rgb_to_y wants (B, 3, H, W), not {tuple(rgb.shape)}")
    weights = rgb.new_tensor(LUMA).view(1, 3, 1, 1)
    return ((rgb * weights).sum(1, keepdim=True) + OFFSET) / 255.0
