"""One vector a picture, whatever the latent is."""

from __future__ import annotations

import torch
from torch import Tensor


def pooled(latent: Tensor) -> Tensor:
    """Vectors that pictures can be compared by.

    A vector latent (B, D) is taken as it is. A latent map (B, C, h, w) is pooled to the mean and
    the standard deviation of each channel over all positions, (B, 2C): what is in the picture and
    how unevenly, but not where. Sizes of maps may differ between pictures.
    """
    if latent.ndim == 2:
        return latent
    return torch.cat([latent.mean((2, 3)), latent.std((2, 3), correction=0)], 1)


def pooling_words(latent: Tensor) -> str:
    """The same in a sentence, for pages."""
    if latent.ndim == 2:
        return f"The latent is a vector of {latent.shape[1]} numbers, taken as it is."
    channels, height, width = latent.shape[1:]
    return (
        f"The latent is a map of {channels} channels ({width}×{height} positions for the first "
        f"picture), pooled to the mean and the standard deviation of each channel: a vector of "
        f"{2 * channels} numbers, which knows what is in a picture and not where."
    )
