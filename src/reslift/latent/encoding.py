"""Running a model over a set: a latent vector, the numbers and the small pictures of each picture.

::

    hr ─ degradation ─ lr ─ encode ─┬─ latent ─ pool ─ vector
     │                              └─ decode ─ sr ─ against hr ─ PSNR-Y, error map
     └─ sharpness
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from reslift.datasets.stock import crop_to_multiple
from reslift.errors import ResliftError, one_line
from reslift.evaluate.gallery import worst_crop
from reslift.latent.pool import pooled, pooling_words
from reslift.latent.source import Source
from reslift.latent.walk import decoded, features_of
from reslift.metrics import luma_error, psnr_y, round8
from reslift.pixels.color import rgb_to_y
from reslift.report import error_colours, thumbnail
from reslift.validation import centre

Bytes = npt.NDArray[np.uint8]
KINDS = ("lr", "bicubic", "sr", "hr", "error")
PAGE_PIXELS = 48e6
SMALLEST_CELL, LARGEST_CELL, THUMBNAIL = 32, 256, 64
BATCH, BATCH_PIXELS = 64, 1 << 16


@dataclass(frozen=True)
class Item:
    """Picture ``number`` of a set: lr (1, 3, H, W), hr and bicubic (1, 3, sH, sW) uint8."""

    number: int
    name: str
    label: str
    lr: Tensor
    hr: Tensor
    bicubic: Tensor


@dataclass
class Encoded:
    """A set as a model sees it; every list has an entry a picture, in the order of the set.

    Attributes:
        numbers: in the set, which has failures too.
        vectors: pooled latents, (D,) float32 each.
        sharpness: mean absolute gradient of HR's luma, levels a pixel.
        psnr, bicubic_psnr: PSNR-Y in dB, infinite where nothing differs.
        error: root mean square of SR - HR on luma, levels of 255.
        pictures: by ``KINDS``, (H, W, 3) uint8: whole, or where the error is largest.
        thumbnails: whole pictures, small; empty where ``pictures`` show the whole.
        pooling: how a latent became a vector, in words.
        failures: a line for each picture that could not be used.
    """

    numbers: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    vectors: list[Tensor] = field(default_factory=list)
    sharpness: list[float] = field(default_factory=list)
    psnr: list[float] = field(default_factory=list)
    bicubic_psnr: list[float] = field(default_factory=list)
    error: list[float] = field(default_factory=list)
    pictures: dict[str, list[Bytes]] = field(default_factory=lambda: {k: [] for k in KINDS})
    thumbnails: list[Bytes] = field(default_factory=list)
    pooling: str = ""
    failures: list[str] = field(default_factory=list)

    @property
    def gain(self) -> list[float]:
        """PSNR-Y above bicubic's, dB."""
        pairs = zip(self.psnr, self.bicubic_psnr, strict=True)
        return [0.0 if ours == base else ours - base for ours, base in pairs]


def encode(
    source: Source, crop: int = 0, advance: Callable[[int], None] = lambda done: None
) -> Encoded:
    """Encode all pictures of a source; those that cannot be read are listed and left out.

    Args:
        crop: only the middle square of so many HR pixels; 0 takes whole pictures.
        advance: called with the number of pictures that were just done.
    """
    result = Encoded()
    cell = cell_side(len(source.images), source.model.scale)
    whole = True
    for group in _groups(source, crop, result.failures, advance):
        whole &= max(group[0].hr.shape[2:]) <= cell
        _take(result, source, group, cell)
        advance(len(group))
    if whole:
        result.thumbnails = []
    return result


def cell_side(count: int, scale: int) -> int:
    """Side of the pictures that a page of ``count`` points can show."""
    side = int((PAGE_PIXELS / (max(count, 1) * (4 + 1 / scale**2))) ** 0.5)
    return min(max(side, SMALLEST_CELL), LARGEST_CELL)


def short_names(names: tuple[str, ...]) -> list[str]:
    """Names without the folders that all of them share."""
    folders = [os.path.dirname(name) for name in names]  # noqa: PTH120  (not all are paths)
    shared = os.path.commonpath(folders) if all(folders) and len(set(folders)) > 1 else folders[0]
    return [Path(os.path.relpath(n, shared)).as_posix() if shared else n for n in names]


def item_of(source: Source, number: int, crop: int, name: str = "") -> Item:
    """One picture, damaged and cut; ``name`` is shown instead of its own.

    Raises:
        InputError: it cannot be read.
    """
    images, scale = source.images, source.model.scale
    hr = crop_to_multiple(images.load(number)[None].to(source.device), scale, images.names[number])
    lr, base = source.degradation(hr), source.degradation.baseline(hr)
    lr, hr, base = centre(lr, scale, crop, hr, base)
    label = images.labels[number] if images.labels else ""
    return Item(number, name or images.names[number], label, lr, hr, to_bytes(base))


def to_bytes(image: Tensor) -> Tensor:
    """(B, C, H, W) in [0, 1] as uint8, clipped, rounded to nearest with halves up."""
    return round8(image).mul(255).round().to(torch.uint8)


def _groups(
    source: Source, crop: int, failures: list[str], advance: Callable[[int], None]
) -> Iterator[list[Item]]:
    """Runs of pictures of one size, as many as are worth one pass of the model."""
    shown = short_names(source.images.names)
    group: list[Item] = []
    for number, name in enumerate(shown):
        try:
            item = item_of(source, number, crop, name)
            source.model.check_size(*item.lr.shape[2:])
        except ResliftError as error:
            failures.append(f"{one_line(name)}: {one_line(error)}")
            advance(1)
            continue
        room = min(BATCH, BATCH_PIXELS // item.hr[0, 0].numel())
        if group and (len(group) >= room or group[0].lr.shape != item.lr.shape):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


@torch.inference_mode()
def _take(result: Encoded, source: Source, group: list[Item], cell: int) -> None:
    """Run the model on pictures of one size and keep what the page needs."""
    model = source.model
    lr, hr, base = (
        torch.cat([getattr(item, kind) for item in group]) for kind in ("lr", "hr", "bicubic")
    )
    x = lr.float() / 255
    features = features_of(model, x)
    exact = decoded(model, features, x).double()
    finite = exact.flatten(1).isfinite().all(1).tolist()
    sr, truth, base01 = exact.nan_to_num(0), hr.double() / 255, base.double() / 255
    vectors = pooled(features[-1]).float().cpu()
    result.pooling = result.pooling or pooling_words(features[-1])
    shave = model.scale if model.scale > 1 and min(hr.shape[2:]) > 2 * model.scale else 0
    ours, bicubic = (psnr_y(y, truth, shave).tolist() for y in (sr, base01))
    error = luma_error(sr, truth)
    sharp = _sharpness(truth)
    pixels = {"lr": lr, "bicubic": base, "sr": to_bytes(sr), "hr": hr}
    for place, item in enumerate(group):
        if not finite[place]:
            result.failures.append(f"{one_line(item.name)}: the model answers NaN or infinity")
            continue
        result.numbers.append(item.number)
        result.names.append(item.name)
        result.labels.append(item.label)
        result.vectors.append(vectors[place])
        result.sharpness.append(sharp[place])
        result.psnr.append(ours[place])
        result.bicubic_psnr.append(bicubic[place])
        one = error[place : place + 1]
        result.error.append(one.square().mean().sqrt().item())
        _cut(result, {kind: x[place] for kind, x in pixels.items()}, one, cell, model.scale)


def _cut(result: Encoded, pixels: dict[str, Tensor], error: Tensor, cell: int, scale: int) -> None:
    """Keep the pictures, whole or where the error is largest."""
    height, width = error.shape[2:]
    box = (0, 0, height, width)
    if max(height, width) > cell:
        box = worst_crop(error, cell, scale)
    top, left, high, wide = box
    for kind, x in pixels.items():
        s = scale if kind == "lr" else 1
        part = x[:, top // s : (top + high) // s, left // s : (left + wide) // s]
        result.pictures[kind].append(part.permute(1, 2, 0).cpu().numpy().copy())
    levels = error[0, 0, top : top + high, left : left + wide].cpu().numpy()
    result.pictures["error"].append(error_colours(levels))
    result.thumbnails.append(thumbnail(pixels["hr"].permute(1, 2, 0).cpu().numpy(), THUMBNAIL))


def _sharpness(hr: Tensor) -> list[float]:
    """Mean absolute gradient of the luma of (B, 3, H, W) in [0, 1], levels a pixel."""
    luma = rgb_to_y(hr) * 255
    across, down = (luma.diff(dim=axis).abs().flatten(1) for axis in (3, 2))
    means = [x.mean(1) if x.shape[1] else x.new_zeros(len(x)) for x in (across, down)]
    return (means[0] + means[1]).tolist()
