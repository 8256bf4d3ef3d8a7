"""Whether an enlarged picture, made by any tool, shrinks to its original again.

    OUT ── shrink by the stated kernel ──┐
    IN ──────────────────────────────────┴── largest and mean difference of each channel

Consistency is necessary and not sufficient: bicubic enlargement has it nearly, and so has a result
that adds wrong detail between the samples. What it excludes is that the input itself was changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reslift import formats, media
from reslift.errors import InputError, UsageError, one_line
from reslift.formats import Picture, fit
from reslift.limits import DEFAULT, Limits
from reslift.pixels.agreement import NAMES, REACH, TOLERANCES, Channel, Layer, whole_around
from reslift.pixels.agreement import compare as compare_layers
from reslift.pixels.planes import Pixels
from reslift.pixels.shrink import Kernel, check_kernel, shrink


@dataclass(frozen=True)
class Verification:
    """What was compared, and how it came out.

    scale: sides of the result ÷ sides of the source, across and down. bits: of the samples of a
    still picture; 0 for other kinds, whose channels say what a level is. compared: samples of the
    source that count; of a still picture, pixels. findings: what a medium's own check found wrong,
    a sentence each.
    """

    source: str
    result: str
    kernel: str
    tolerance: float
    scale: tuple[float, float] = (0.0, 0.0)
    bits: int = 0
    compared: int = 0
    channels: tuple[Channel, ...] = ()
    findings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def largest(self) -> float:
        """Of all channels."""
        return max((channel.largest for channel in self.channels), default=0.0)

    @property
    def holds(self) -> bool:
        """Whether no difference is over the tolerance and nothing else was found."""
        return self.largest <= self.tolerance and not self.findings

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "largest": self.largest, "holds": self.holds}


def verify(
    source: str | Path,
    result: str | Path,
    *,
    kernel: str = "bicubic",
    tolerance: float | None = None,
    limits: Limits = DEFAULT,
) -> Verification:
    """Compare an enlarged file with what it was made from.

    Args:
        source, result: still pictures of any readable format, or one of `media.MEDIA`.
        kernel: "bicubic" (MATLAB's, antialiased, rounded after each axis) or "box" (area mean).
        tolerance: levels of the coarser of the two depths; None is 1 for bicubic and 0 for box.

    Raises:
        InputError: a file cannot be read, or the two are no enlargement of one another. UsageError:
        no such kernel, a tolerance below 0.
    """
    source, result = Path(source), Path(result)
    chosen = check_kernel(kernel)
    limit = TOLERANCES[chosen] if tolerance is None else tolerance
    if not 0 <= limit < float("inf"):
        raise UsageError(f"tolerance {limit}: a number of levels from 0 up")
    asked = Verification(str(source), str(result), chosen, limit)
    medium, other = media.of(source), media.of(result)
    several = (media.MEDIA["animation"], media.MEDIA["tiff-pages"])
    if medium is None and other in several:
        raise _unlike(source, result)
    try:
        if medium is not None:
            return _of_medium(asked, medium, chosen)
        return _of_stills(asked, limits)
    except InputError as error:
        if other is medium or other is media.MEDIA["large-tiff"]:
            raise
        raise _unlike(source, result) from error


def _unlike(source: Path, result: Path) -> InputError:
    """Says of what kinds the two are; raises its own error for a result that is no picture."""
    if media.of(result) is None:
        formats.peek(result)
    one, other = (
        "a still picture" if kind is None else kind.label
        for kind in map(media.of, (source, result))
    )
    return InputError(
        f"{one_line(result)} beside {one_line(source)}: {other} cannot be compared with {one}"
    )


def _of_stills(asked: Verification, limits: Limits) -> Verification:
    source, result = Path(asked.source), Path(asked.result)
    small = formats.read(source, limits)
    large = formats.read(result, limits.for_results())
    scale = _scale(small, large, f"{one_line(result)} beside {one_line(source)}")
    pair = _alike(small, large, f"{one_line(result)} beside {one_line(source)}")
    channels, count = _measure(pair, check_kernel(asked.kernel), asked.tolerance)
    # No difference was seen where nothing was looked at: that is no agreement.
    nothing = () if channels else ("no pixel counts: none of the source's is opaque all around",)
    findings = (*nothing, *_seen_otherwise(small, large))
    return replace(
        asked,
        scale=scale,
        bits=pair.bits,
        compared=count,
        channels=channels,
        findings=findings,
        notes=pair.notes,
    )


def _seen_otherwise(small: Picture, large: Picture) -> Iterator[str]:
    """What makes the same samples look otherwise: a profile, and alpha that the source has not."""
    if small.space == large.space and not fit.same_colours(small, large):
        yield "the profile is not that of the source: the same samples stand for other colours"
    if large.alpha and not small.alpha:
        opacity = large.pixels[..., -1]
        hidden = float((opacity < np.iinfo(opacity.dtype).max).mean())
        if hidden:
            yield f"{hidden:.2%} of the result is transparent; the source has no alpha"


def _of_medium(asked: Verification, medium: media.Medium, kernel: Kernel) -> Verification:
    """What a medium finds, and how far the planes of both files are apart."""
    source, result = Path(asked.source), Path(asked.result)
    findings = medium.verify(source, result)
    sides: set[tuple[float, float]] = set()
    channels, count = compare_layers(
        _seen(medium.layers(source, result), sides), kernel, asked.tolerance
    )
    note = f"compared as {medium.label}" + ("" if channels else "; its samples are not compared")
    scale = max(sides, default=(0.0, 0.0))
    return replace(
        asked, scale=scale, compared=count, channels=channels, findings=findings, notes=(note,)
    )


def _seen(layers: Iterator[Layer], sides: set[tuple[float, float]]) -> Iterator[Layer]:
    """The layers, while `sides` takes in how many times longer they became, across and down."""
    for layer in layers:
        sides.add((layer.fine[1] / layer.sides[1], layer.fine[0] / layer.sides[0]))
        yield layer


@dataclass(frozen=True)
class _Pair:
    """Two pictures of the same planes and depth; `counts` (h, w) is where colours are compared."""

    small: Pixels
    large: Pixels
    names: tuple[str, ...]
    bits: int
    opacity: Pixels | None
    notes: tuple[str, ...]


def _scale(small: Picture, large: Picture, what: str) -> tuple[float, float]:
    across, down = large.width / small.width, large.height / small.height
    sizes = f"{small.width}x{small.height} to {large.width}x{large.height}"
    if min(across, down) < 1:
        raise InputError(f"{what}: {sizes} is no enlargement; give the small picture first")
    return across, down


def _alike(small: Picture, large: Picture, what: str) -> _Pair:
    """Planes that both have, in the coarser depth of the two."""
    notes = []
    across, down = large.width / small.width, large.height / small.height
    if max(abs(across - down) * side for side in (small.width, small.height)) > max(across, down):
        notes.append("the result has another shape: it is stretched, or cropped or turned")
    opacity = small.pixels[..., -1] if small.alpha else None
    spaces = {small.space, large.space}
    if len(spaces) == 2 and "cmyk" in spaces:
        raise InputError(f"{what}: CMYK and {min(spaces - {'cmyk'})} cannot be compared")
    names = [*NAMES[large.space]]
    enlarged = large.pixels[..., : len(names)]
    colours = small.pixels[..., : len(NAMES[small.space])]
    if small.space != large.space:
        notes.append(f"{small.space} is compared with {large.space}")
        names = [*NAMES["rgb"]]
        colours, enlarged = (np.repeat(p, 3 // p.shape[2], 2) for p in (colours, enlarged))
    if small.alpha and large.alpha:
        names.append("alpha")
        colours = np.concatenate((colours, small.pixels[..., -1:]), 2)
        enlarged = np.concatenate((enlarged, large.pixels[..., -1:]), 2)
    elif opacity is not None:
        notes.append("the result has no alpha: colours are compared where the source is opaque")
        opacity = np.where(opacity == np.iinfo(small.pixels.dtype).max, opacity, 0)
    if small.bits != large.bits:
        notes.append(f"{small.bits} bits are compared with {large.bits}, in levels of 8")
        colours, enlarged = _as_8_bits(colours), _as_8_bits(enlarged)
    return _Pair(
        colours, enlarged, tuple(names), min(small.bits, large.bits), opacity, tuple(notes)
    )


def _as_8_bits(pixels: Pixels) -> Pixels:
    """Levels of 255, not rounded: 65535 = 257 · 255."""
    return pixels / np.float32(257) if pixels.dtype.itemsize == 2 else pixels.astype(np.float32)


def _measure(pair: _Pair, kernel: Kernel, tolerance: float) -> tuple[tuple[Channel, ...], int]:
    height, width = pair.small.shape[:2]
    top = 2**pair.bits - 1
    exact, whole = (
        np.abs(shrink(pair.large, height, width, kernel, top, rounded=rounded) - small)
        for rounded, small in ((False, pair.small), (True, np.floor(pair.small + 0.5)))
    )
    visible = np.ones((height, width), bool)
    if pair.opacity is not None:
        visible = whole_around(pair.opacity > 0, REACH[kernel])
    channels = []
    for number, name in enumerate(pair.names):
        counts = np.ones_like(visible) if name == "alpha" else visible
        one, plain = whole[..., number][counts], exact[..., number][counts]
        if not one.size:
            continue
        facts = (one.max(), one.mean(), plain.max(), (one > tolerance).mean())
        channels.append(Channel(name, *map(float, facts)))
    return tuple(channels), int(visible.sum())
