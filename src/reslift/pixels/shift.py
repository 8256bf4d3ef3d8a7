"""How far one image is shifted against another, by phase correlation to a fraction of a pixel.

With spectra A and B of two windowed images, the phase of ``A conj(B)`` is a plane whose slope is
the shift (Kuglin and Hines 1975). Its inverse transform peaks there; evaluated as a plain sum at
any place, it gives the peak between the pixels (Guizar-Sicairos, Thurman and Fienup 2008).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SMALLEST = 8
FLAT = 1e-3
BAND = 0.2


def measure_shift(moved: Tensor, reference: Tensor) -> tuple[float, float] | None:
    """The shift (down, right) in pixels by which ``moved`` differs from ``reference``.

    Args:
        moved, reference: (H, W) float, of one shape, any range.

    Returns:
        Shift to about 0.05 pixels on photographs, whole pixels and none exactly; or None where it
        cannot be told: a side below 8 pixels, or an image without structure.

    Raises:
        ValueError: the shapes differ.
    """
    if moved.shape != reference.shape or moved.ndim != 2:
        raise ValueError(f"two (H, W) of one shape, not {moved.shape} and {reference.shape}")
    if min(moved.shape) < SMALLEST:
        return None
    window = _hann(moved.shape[0])[:, None] * _hann(moved.shape[1])
    spectra = []
    for image in (moved, reference):
        centred = (image.cpu().double() - image.double().mean().cpu()) * window
        if centred.std() <= FLAT * (1e-12 + image.double().abs().max().cpu()):
            return None
        spectra.append(torch.fft.fft2(centred))
    cross = spectra[0] * spectra[1].conj()
    # Half way between plain correlation, whose peak is broad, and pure phase, which trusts noise;
    # high frequencies, where shrinking leaves aliases, count less.
    cross = cross / cross.abs().sqrt().clamp_min(1e-12)
    height, width = moved.shape
    square = _frequencies(height)[:, None] ** 2 + _frequencies(width) ** 2
    cross = cross * torch.exp(-square / (2 * BAND**2))
    peak = int(torch.fft.ifft2(cross).real.argmax())
    at = [float(_signed(peak // width, height)), float(_signed(peak % width, width))]
    for step in (0.1, 0.01):
        at = _refine(cross, at, step)
    return at[0], at[1]


def _refine(cross: Tensor, at: list[float], step: float) -> list[float]:
    """The highest of 21×21 values of the correlation, ``step`` apart, around ``at``."""
    offsets = torch.arange(-10, 11, dtype=torch.float64) * step
    down, right = at[0] + offsets, at[1] + offsets
    rows = torch.exp(2j * math.pi * down[:, None] * _frequencies(cross.shape[0]))
    columns = torch.exp(2j * math.pi * _frequencies(cross.shape[1])[:, None] * right)
    best = int((rows @ cross @ columns).real.argmax())
    return [float(down[best // 21]), float(right[best % 21])]


def _signed(position: int, size: int) -> int:
    return position - size if position > size // 2 else position


def _frequencies(size: int) -> Tensor:
    cycles: Tensor = torch.fft.fftfreq(size, dtype=torch.float64)
    return cycles


def _hann(size: int) -> Tensor:
    return torch.hann_window(size + 2, periodic=False, dtype=torch.float64)[1:-1]
