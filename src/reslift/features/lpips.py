"""LPIPS itself (Zhang et al. 2018), from the packages ``lpips`` and ``torchvision``.

torchvision fetches AlexNet's weights when they are not in its cache: this one may need a network.
"""

from __future__ import annotations

import warnings

from torch import Tensor

from reslift.errors import ResliftError, UsageError, one_line
from reslift.features.base import Features, three_channels

MISSING = (
    "features lpips need packages that are not installed: python -m pip install lpips torchvision; "
    "st_lpips need neither"
)


class LPIPS(Features):
    """LPIPS 0.1 over AlexNet.

    Raises:
        UsageError: a package is missing.
        ResliftError: AlexNet's weights are not at hand and cannot be fetched.
    """

    label = "LPIPS"
    least = 31

    def __init__(self) -> None:
        super().__init__()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import lpips
                import torchvision  # noqa: F401

                self.net = lpips.LPIPS(net="alex", verbose=False)
        except ImportError:
            raise UsageError(MISSING) from None
        except Exception as error:
            raise ResliftError(f"LPIPS cannot load its weights: {one_line(error)}") from error

    def distance(self, sr: Tensor, hr: Tensor) -> Tensor:
        answer: Tensor = self.net(three_channels(sr), three_channels(hr), normalize=True)
        return answer.flatten()
