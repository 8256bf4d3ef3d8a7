"""What drawn leaves are filled with: how much of a leaf's second colour each pixel has.

Every paint lies on a plane of its own that is turned, often recedes, and often is bent like cloth.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PAINTS = {
    "flat": 0.17,
    "gradient": 0.2,
    "stripes": 0.1,
    "checks": 0.05,
    "windows": 0.1,
    "dots": 0.05,
    "noise": 0.15,
    "strands": 0.1,
    "weave": 0.04,
    "knit": 0.04,
}
RECEDING, STEEPEST = 0.4, 0.5
"""Share of the patterns that are seen at a slant, and how far their distance changes."""
BENT = 0.4
"""Share of the patterns that are bent."""

Floats = NDArray[np.float32]
Rng = np.random.Generator


def blend(rng: Rng, height: int, width: int) -> Floats:
    """(height, width) shares of a leaf's second colour, 0 to 1."""
    kind = one_of(rng, PAINTS)
    if kind == "flat":
        return np.zeros((height, width), np.float32)
    if kind == "noise":
        return _noise(rng, height, width)
    along, across = _plane(rng, height, width)
    if kind == "gradient":
        along -= along.min()
        return np.asarray(along / max(float(along.max()), 1.0), np.float32)
    period = math.exp(rng.uniform(math.log(5), math.log(50)))
    if kind == "checks":
        return np.asarray((along // period + across // period) % 2, np.float32)
    if kind in ("windows", "dots"):
        return _lattice(rng, along / period, across / period, period, round_=kind == "dots")
    if kind == "strands":
        return _strands(rng, along, across)
    if kind in ("weave", "knit"):
        yarn = _woven if kind == "weave" else _knitted
        return _hairy(rng, yarn(rng, along / period, across / period), along, across)
    wave = np.sin(2 * math.pi / period * along + rng.uniform(0, 2 * math.pi))
    wave = 0.5 + 0.5 * wave * rng.choice([1, 1, 8])
    return np.asarray(np.clip(wave, 0, 1), np.float32)


def _plane(rng: Rng, height: int, width: int) -> tuple[Floats, Floats]:
    """Coordinates of the pixels along and across a turned plane, which may recede or be bent."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    if rng.random() < RECEDING:
        to = rng.uniform(0, 2 * math.pi)
        far = (x - width / 2) * math.cos(to) + (y - height / 2) * math.sin(to)
        distance = 1 + far * (rng.uniform(0, STEEPEST) / max(float(np.abs(far).max()), 1.0))
        along, across = along / distance, across / distance
    if rng.random() < BENT:
        along, across = (place + _folds(rng, height, width) for place in (along, across))
    return np.asarray(along, np.float32), np.asarray(across, np.float32)


def _folds(rng: Rng, height: int, width: int) -> Floats:
    """(height, width) smooth displacements that are never as steep as a fold over itself."""
    fold = max(height, width) / rng.uniform(1.5, 6)
    nodes = [math.ceil(side / fold) + 1 for side in (height, width)]
    most = 0.3 * min(height / nodes[0], width / nodes[1])
    coarse = rng.uniform(-most, most, nodes)
    image = Image.fromarray(coarse.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), np.float32)


def _strands(rng: Rng, along: Floats, across: Floats) -> Floats:
    """Hair, fur or grass: noise that is long one way and short the other, tuft over tuft."""
    thin = math.exp(rng.uniform(math.log(2), math.log(12)))
    long = thin * math.exp(rng.uniform(math.log(6), math.log(60)))
    texture = np.asarray(rng.random((256, 256)), np.float32)
    fine = _sampled(texture, along / long, across / thin)
    tufts = _sampled(texture.T, along / (3 * long), across / (rng.uniform(3, 8) * thin))
    share = rng.uniform(0.2, 0.8)
    mixed = 0.5 + rng.uniform(1, 3) * (share * fine + (1 - share) * tufts - 0.5)
    return np.asarray(np.clip(mixed, 0, 1), np.float32)


def _woven(rng: Rng, along: Floats, across: Floats) -> Floats:
    """Cloth: threads over and under each other, plain or as twill, at coordinates in threads."""
    repeat = int(rng.integers(2, 5))
    over = (np.floor(along) + np.floor(across)) % repeat < 1
    a, b = (np.sin(math.pi * (place - np.floor(place))) for place in (along, across))
    relief = rng.uniform(0.1, 0.6)
    warp, weft = a * (1 - relief + relief * b), b * (1 - relief + relief * a)
    return np.asarray(np.where(over, warp, weft * rng.uniform(0.3, 1)), np.float32)


def _knitted(rng: Rng, along: Floats, across: Floats) -> Floats:
    """Stockinette: columns of stitches like the letter V, at coordinates in stitches."""
    aside = np.abs(across - np.floor(across) - 0.5)
    row = along / rng.uniform(0.5, 0.9) + aside * rng.uniform(0.8, 2.0)
    leg = np.sin(math.pi * (row - np.floor(row)))
    return np.asarray(leg * np.sqrt(np.abs(np.sin(2 * math.pi * aside))), np.float32)


def _hairy(rng: Rng, share: Floats, along: Floats, across: Floats) -> Floats:
    """Yarn that is not smooth: some of it taken away by strands that run along."""
    fuzz = _strands(rng, along, across)
    return np.asarray(share * (1 - rng.uniform(0, 0.5) * fuzz), np.float32)


def _sampled(texture: Floats, down: Floats, right: Floats) -> Floats:
    """Between the values of a square texture that repeats, linearly."""
    side = len(texture)
    y, x = np.floor(down).astype(np.int64), np.floor(right).astype(np.int64)
    fy, fx = down - y, right - x
    y, x, below, beside = y % side, x % side, (y + 1) % side, (x + 1) % side
    upper = texture[y, x] * (1 - fx) + texture[y, beside] * fx
    lower = texture[below, x] * (1 - fx) + texture[below, beside] * fx
    return np.asarray(upper * (1 - fy) + lower * fy, np.float32)


def _lattice(rng: Rng, along: Floats, across: Floats, period: float, *, round_: bool) -> Floats:
    """Windows, bricks or printed dots, at coordinates in periods of so many pixels."""
    slim = math.exp(rng.uniform(-0.7, 0.7))
    across = across / np.float32(1.0 if round_ else slim)
    if rng.random() < 0.4:
        along = np.asarray(along + (np.floor(across) % 2) * 0.5, np.float32)
    a, b = (np.abs(place - np.floor(place) - 0.5) for place in (along, across))
    if round_:
        inside = rng.uniform(0.2, 0.5) - np.hypot(a, b)
    else:
        inside = np.minimum(rng.uniform(0.15, 0.48) - a, slim * (rng.uniform(0.15, 0.48) - b))
    share = np.clip(0.5 + inside * period, 0, 1)
    if rng.random() < 0.5:
        lights = rng.uniform(0.2, 1, (64, 64))
        share = share * lights[np.floor(along).astype(int) % 64, np.floor(across).astype(int) % 64]
    return np.asarray(share, np.float32)


def _noise(rng: Rng, height: int, width: int) -> Floats:
    """Noise whose amplitude falls as a power of the frequency, as that of natural textures does."""
    side = min(1 << max(height, width, 4).bit_length(), 1024)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1
    spectrum = rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)
    noise = np.fft.irfft2(spectrum / frequency ** rng.uniform(0.8, 2.0), (side, side))
    noise = np.tile(noise, (-(-height // side), -(-width // side)))[:height, :width]
    noise = (noise - noise.mean()) / (noise.std() + 1e-9)
    return np.asarray(np.clip(0.5 + 0.25 * noise, 0, 1), np.float32)


def one_of(rng: Rng, shares: dict[str, float]) -> str:
    """One of the names, each as often as its share says."""
    return list(shares)[int(rng.choice(len(shares), p=list(shares.values())))]
