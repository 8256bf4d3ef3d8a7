"""Shift-tolerant LPIPS: AlexNet that blurs before it skips pixels.

Ghildyal and Liu, "Shift-tolerant Perceptual Similarity Metric", ECCV 2022. ::

    x ─ conv 11 ─ blur/2 ─┬─ max 3 ─ blur/2 ─ conv 5 ─┬─ max 3 ─ blur/2 ─ conv 3 ─┬─ conv 3 ─ …
                        map 1                       map 2                       map 3

The weights are the file inside the wheel ``stlpips-pytorch`` (BSD-2-Clause), read without importing
that package. Maps 4 and 5 are further 3×3 convolutions. Blurring is a 3×3 binomial filter under
reflected borders (Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019); every
convolution is followed by ReLU, the first after its blur.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from reslift.errors import CheckpointError, UsageError, one_line
from reslift.features.base import Features, three_channels, unit, unit_distance

PACKAGE, VERSION = "stlpips-pytorch", "0.0.2"
WEIGHTS = "stlpips_pytorch/weights/vST0.0/alex_shift_tolerant.pth"
MISSING = (
    "the weights of ST-LPIPS are in a package that is not installed: "
    f'python -m pip install "{PACKAGE}=={VERSION}"'
)
LAYERS = ("slice1.0", "slice2.5", "slice3.9", "slice4.11", "slice5.13")
STRIDES = (2, 4, 8, 8, 8)
HALO = 56
STRIP_PIXELS = 2**20


class STLPIPS(Features):
    """The distance of the paper's AlexNet variant; 0 to about 1.

    Args:
        path: the weights; those of the installed package when None.

    Raises:
        UsageError: the package is not installed.
        CheckpointError: the file does not hold these weights.
    """

    label = "ST-LPIPS"
    least = 21

    def __init__(self, path: Path | None = None) -> None:
        super().__init__()
        file = path or weights_file()
        try:
            saved = torch.load(file, map_location="cpu", weights_only=True)
            self.kernels = _frozen([saved[f"net.{layer}.weight"] for layer in LAYERS])
            self.biases = _frozen([saved[f"net.{layer}.bias"] for layer in LAYERS])
            self.weights = _frozen([saved[f"lin{n}.model.1.weight"] for n in range(len(LAYERS))])
            # The scale and shift are for images in [-1, 1].
            self.shift = _frozen([(saved["scaling_layer.shift"] + 1) / 2])
            self.scale = _frozen([saved["scaling_layer.scale"] / 2])
        except Exception as error:
            raise CheckpointError(
                f"{one_line(file)}: not the weights of ST-LPIPS: {one_line(error)}"
            ) from error

    def maps(self, image: Tensor) -> list[Tensor]:
        """Five maps of (B, 1 or 3, H, W), at 1/2, 1/4 and three times 1/8 of its size."""
        x = (three_channels(image) - self.shift[0]) / self.scale[0]
        x = x.contiguous(memory_format=torch.channels_last)
        maps = [_halve(F.conv2d(x, self.kernels[0], self.biases[0], padding=2)).relu()]
        for kernel, bias, halved in zip(
            self.kernels[1:], self.biases[1:], (True, True, False, False), strict=True
        ):
            x = _halve(F.max_pool2d(maps[-1], 3, 1)) if halved else maps[-1]
            maps.append(F.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2).relu())
        return maps

    def distance(self, sr: Tensor, hr: Tensor) -> Tensor:
        with torch.no_grad():
            truth = self.maps(hr)
        return unit_distance(self.maps(sr), truth, list(self.weights))

    def _measure(self, srs: Sequence[Tensor], hr: Tensor) -> list[float]:
        """Distances of several (1, C, H, W) from one, in strips, so that large pictures fit.

        The network looks 56 pixels beyond a strip, which is all that its maps depend on: the result
        is that of whole pictures, but for rounding.
        """
        height, width = hr.shape[2:]
        rows = max(64, STRIP_PIXELS // width // 8 * 8)
        sums = torch.zeros(len(srs), len(LAYERS), dtype=torch.float64)
        counts = torch.zeros(len(LAYERS), dtype=torch.float64)
        for start in range(0, max(1, height - rows // 2), rows):
            stop = height if start + rows + rows // 2 >= height else start + rows
            top, bottom = max(0, start - HALO), min(height, stop + HALO)
            cut = [
                slice((start - top) // s, None if stop == height else (stop - top) // s)
                for s in STRIDES
            ]
            truth = [m[:, :, c] for m, c in zip(self._strip(hr, top, bottom), cut, strict=True)]
            counts += torch.tensor([m[0, 0].numel() for m in truth])
            for number, sr in enumerate(srs):
                ours = [m[:, :, c] for m, c in zip(self._strip(sr, top, bottom), cut, strict=True)]
                for layer, (a, b) in enumerate(zip(ours, truth, strict=True)):
                    gap = (unit(a) - unit(b)).square() * self.weights[layer]
                    sums[number, layer] += gap.sum(dtype=torch.float64).cpu()
        return [float(value) for value in (sums / counts).sum(1)]

    def _strip(self, image: Tensor, top: int, bottom: int) -> list[Tensor]:
        return self.maps(image[:, :, top:bottom].to(self.shift[0].device).float())


def weights_file() -> Path:
    """Where the installed package keeps the weights.

    Raises:
        UsageError: it is not installed.
    """
    try:
        file = Path(str(metadata.distribution(PACKAGE).locate_file(WEIGHTS)))
    except metadata.PackageNotFoundError:
        raise UsageError(MISSING) from None
    if not file.is_file():
        raise UsageError(MISSING)
    return file


def _halve(x: Tensor) -> Tensor:
    """Blur with [1 2 1]/4 each way and keep every second pixel."""
    line = x.new_tensor([0.25, 0.5, 0.25])
    kernel = (line[:, None] * line).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=x.shape[1])


def _frozen(values: list[Tensor]) -> torch.nn.ParameterList:
    return torch.nn.ParameterList(torch.nn.Parameter(v.float(), False) for v in values)
