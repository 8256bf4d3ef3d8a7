"""Luma of a decoded picture, reduced; blurs and samples of it. NumPy and Pillow only."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Plane = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
BT601 = (0.299, 0.587, 0.114)
REACH = 4


def luma(pixels: npt.NDArray[Any]) -> Bytes:
    """(H, W, bands) uint8 or uint16 → (H, W) uint8: full-range BT.601 luma, as JPEG has it.

    One or two bands are gray and alpha, three or four RGB and alpha.
    """
    if pixels.shape[2] < 3:
        return np.ascontiguousarray(_eight_bits(pixels[..., 0]))
    return np.asarray(Image.fromarray(colours(pixels)).convert("L"))


def colours(pixels: npt.NDArray[Any]) -> Bytes:
    """As for :func:`luma`, → (H, W, 3) uint8 RGB; gray is repeated."""
    part = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1].repeat(3, 2)
    return np.ascontiguousarray(_eight_bits(part))


def _eight_bits(pixels: npt.NDArray[Any]) -> Bytes:
    return (pixels // 257).astype(np.uint8) if pixels.dtype == np.uint16 else pixels


def reduced(plane: Bytes, width: int, height: int) -> Bytes:
    """Antialiased resize of (H, W) uint8 to any size (Pillow's bilinear)."""
    if plane.shape == (height, width):
        return plane
    image = Image.fromarray(plane)
    resized = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(resized)


def within(plane: Bytes, side: int) -> Bytes:
    """``plane`` with its longer side brought down to ``side``; smaller ones are left."""
    height, width = plane.shape
    longest = max(height, width)
    if longest <= side:
        return plane
    return reduced(
        plane, max(1, round(width * side / longest)), max(1, round(height * side / longest))
    )


def blurs(plane: Plane, sigmas: tuple[float, ...]) -> Plane:
    """Gaussian blurs, (len(sigmas), H, W), with the border mirrored."""
    height, width = plane.shape
    margin = int(np.ceil(REACH * max(sigmas)))
    padded = np.pad(plane, margin, mode="symmetric")
    spectrum = np.fft.rfft2(padded)
    gains = _gains(padded.shape, sigmas)
    answer = np.fft.irfft2(spectrum * gains, padded.shape)
    inner = answer[:, margin : margin + height, margin : margin + width]
    return np.asarray(inner, np.float32)


@functools.lru_cache(maxsize=32)
def _gains(shape: tuple[int, int], sigmas: tuple[float, ...]) -> Plane:
    down = np.fft.fftfreq(shape[0])[:, None] ** 2
    square = down + np.fft.rfftfreq(shape[1]) ** 2
    widths = np.asarray(sigmas)[:, None, None]
    return np.exp(-2 * np.pi**2 * widths**2 * square).astype(np.float32)


def sample(plane: Plane, down: Plane, right: Plane) -> Plane:
    """Bilinear values at fractional places, of any shape; places outside take the border's."""
    height, width = plane.shape
    down = np.clip(down, 0, height - 1)
    right = np.clip(right, 0, width - 1)
    top = np.minimum(down.astype(np.intp), max(0, height - 2))
    left = np.minimum(right.astype(np.intp), max(0, width - 2))
    below, beside = min(1, height - 1), min(1, width - 1)
    v, h = (down - top).astype(np.float32), (right - left).astype(np.float32)
    upper = plane[top, left] * (1 - h) + plane[top, left + beside] * h
    lower = plane[top + below, left] * (1 - h) + plane[top + below, left + beside] * h
    return np.asarray(upper * (1 - v) + lower * v, np.float32)


def lattice(plane: Plane, rows: Plane, columns: Plane) -> Plane:
    """`sample` where rows and columns cross: (len(rows), len(columns))."""
    height, width = plane.shape
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    top = np.minimum(rows.astype(np.intp), max(0, height - 2))
    left = np.minimum(columns.astype(np.intp), max(0, width - 2))
    below, beside = min(1, height - 1), min(1, width - 1)
    v, h = (rows - top).astype(np.float32)[:, None], (columns - left).astype(np.float32)
    mixed = plane[top] * (1 - v) + plane[top + below] * v
    return np.asarray(mixed[:, left] * (1 - h) + mixed[:, left + beside] * h, np.float32)


@functools.lru_cache(maxsize=8)
def cosines(size: int) -> Plane:
    """The orthonormal DCT-II matrix, (frequency, place)."""
    place = np.arange(size) + 0.5
    matrix = np.cos(np.pi * np.arange(size)[:, None] * place / size) * np.sqrt(2 / size)
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix, np.float32)
