"""Normal noise that is a function of (seed, position), so that a tile gets the noise of its place.

A generator's noise depends on how much was drawn before. Here each number is the hash of its own
address (seed, channel, row, column): splitmix64 (Steele et al. 2014), then Box and Muller (1958).
Counter-based noise needs no state, so resumed training, several processes, tiles and CUDA graphs
all see the same field.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

STEPS = (-0x61C8864680B583EB, 0x2545F4914F6CDD1D, 0x5851F42D4C957F2D)
FACTORS = (-0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15)
SHIFTS = (30, 27, 31)
BITS = 24


def normal_at(
    seeds: Tensor, channels: int, height: int, width: int, top: int = 0, left: int = 0
) -> Tensor:
    """A window of the noise fields that ``seeds`` stand for.

    Args:
        seeds: (B,) int64, one field each.
        channels, height, width: size of the window.
        top, left: where it starts.

    Returns:
        (B, channels, height, width) float32, independent and standard normal.
    """
    device = seeds.device
    key = _mix(seeds).view(-1, 1, 1, 1)
    for axis, (start, count) in enumerate(((0, channels), (top, height), (left, width))):
        place = torch.arange(start, start + count, device=device)
        shape = [1, 1, 1, 1]
        shape[axis + 1] = count
        key = _mix(key + place.view(shape) * STEPS[axis])
    radius = (-2 * torch.log((_bits(key, 64 - BITS) + 0.5) / 2**BITS)).sqrt()
    return radius * torch.cos(2 * math.pi / 2**BITS * _bits(key, 8))


def _mix(x: Tensor) -> Tensor:
    """The finaliser of splitmix64; int64 products wrap around."""
    for shift, factor in zip(SHIFTS, FACTORS, strict=False):
        x = (x ^ _shifted(x, shift)) * factor
    return x ^ _shifted(x, SHIFTS[-1])


def _shifted(x: Tensor, count: int) -> Tensor:
    """A shift to the right that brings in zeros: torch's copies the sign."""
    return (x >> count) & ((1 << (64 - count)) - 1)


def _bits(x: Tensor, start: int) -> Tensor:
    """``BITS`` bits from ``start`` on, as float32, which holds them exactly."""
    return (_shifted(x, start) & ((1 << BITS) - 1)).float()
