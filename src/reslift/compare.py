"""Models and bicubic on one picture, side by side in one picture.

LR ──┬── bicubic ──┐
     ├── model A ──┼── the same part of each ── panels        PSNR-Y where HR is given
     └── model B ──┘
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reslift import checkpoint, formats
from reslift.errors import InputError, UsageError, one_line
from reslift.formats.base import Picture
from reslift.limits import DEFAULT, Limits
from reslift.metrics import psnr_y
from reslift.pixels.planes import Planes, from_float, to_float
from reslift.pixels.resize import bicubic_upscale
from reslift.pixels.tiles import Box
from reslift.report.panels import Panel, draw_panels
from reslift.sizes import Size, usual_scale
from reslift.upscale import load

LONGEST_PANEL = 480
LARGEST_SHEET = 100_000_000
"""Pixels of all panels together."""
MARGIN = 8
Pixels = NDArray[Any]
Told = Callable[[str], None]


@dataclass(frozen=True)
class Comparison:
    """What is compared, and how it is shown.

    Attributes:
        names: models as `load` takes them.
        scale: whole, from 1 up; None is 4, or what the first model is for.
        crop: (left, top, width, height) in LR pixels; None is all of a small picture, the middle of
            a large one.
        zoom: result pixels are shown so many times as large; None fills about 480 pixels.
        device, backend, limits: as for `Upscaler`.
    """

    names: Sequence[str]
    scale: int | None = None
    crop: tuple[int, int, int, int] | None = None
    zoom: int | None = None
    device: str = "auto"
    backend: str = "auto"
    limits: Limits = DEFAULT

    def draw(
        self, picture: Path, hr: Path | None = None, told: Told = lambda name: None
    ) -> tuple[Picture, tuple[str, ...]]:
        """LR, bicubic, every model and, if given, HR side by side.

        At scale 1 LR is what the others are compared with: the small picture that bicubic would
        start from is not known.

        Args:
            picture: LR, gray or RGB; alpha is left out.
            hr: the truth, `scale` times as large. PSNR-Y of the whole picture, shave = scale
                (0 at scale 1), then stands under each.
            told: called with the name of each before it is computed.

        Returns:
            The sheet, and notes, a sentence each.

        Raises:
            UsageError: no such scale, crop or zoom. InputError: `picture` or `hr` cannot be used,
            or do not fit each other. UnknownName, CheckpointError, LimitError: as for `load` and
            upscaling.
        """
        scale = self.scale
        if scale is None:
            scale = usual_scale(checkpoint.family(self.names[0]))
        if scale < 1 or (self.zoom is not None and self.zoom < 1):
            raise UsageError("scale and zoom are from 1 up")
        source = _colours(formats.read(picture, self.limits), picture)
        height, width = source.pixels.shape[:2]
        what = f"{one_line(picture)} enlarged"
        self.limits.check("output_pixels", height * width * scale**2, what)
        whole = Box(0, height, 0, width)
        box = self._shown(whole, scale, picture)
        zoom = self._zoom(box, scale, len(self.names) + 2 + (hr is not None))
        truth = None if hr is None else self._truth(hr, source, scale)
        # Where there is nothing to measure, only what is shown is computed.
        computed = box if truth is None else whole
        same = scale == 1
        start = _score(source.pixels, truth, scale) if same and truth is not None else ""
        panels = [Panel(f"LR {width}x{height}", _nearest(source.pixels, box, scale), start)]
        for name in self.names if same else ("bicubic", *self.names):
            told(name)
            sr = self._enlarged(name, source, computed, scale)
            note = "" if truth is None else _score(sr, truth, scale)
            panels.append(Panel(_short(name), _eight(_part(sr, computed, box, scale)), note))
        if truth is not None:
            panels.append(Panel("HR", _eight(_part(truth, whole, box, scale))))
        sheet = draw_panels(panels, zoom)
        pixels = np.ascontiguousarray(np.asarray(sheet))
        icc = source.icc if source.space == "rgb" else None
        notes = list(source.notes)
        if self.crop is None and box != whole:
            notes.append(f"shown is the middle, {box.width}x{box.height} pixels; or give --crop")
        return Picture(pixels, "rgb", False, icc=icc), tuple(notes)

    def _shown(self, whole: Box, scale: int, picture: Path) -> Box:
        if self.crop is not None:
            try:
                return Size(scale=scale, crop=self.crop).box(whole.width, whole.height)
            except InputError as error:
                raise InputError(f"{one_line(picture)}: {error}") from None
        side = LONGEST_PANEL // scale
        high, wide = min(whole.height, side), min(whole.width, side)
        top, left = (whole.height - high) // 2, (whole.width - wide) // 2
        return Box(top, top + high, left, left + wide)

    def _zoom(self, box: Box, scale: int, panels: int) -> int:
        zoom = self.zoom or max(1, LONGEST_PANEL // (box.width * scale))
        shown = panels * box.pixels * (scale * zoom) ** 2
        if shown > LARGEST_SHEET:
            raise UsageError(
                f"{panels} panels of {box.width}x{box.height} pixels at scale {scale} and zoom "
                f"{zoom} are {shown:,} pixels, more than {LARGEST_SHEET:,}: give a smaller --zoom "
                "or a --crop"
            )
        return zoom

    def _enlarged(self, name: str, source: Picture, box: Box, scale: int) -> Pixels:
        """(scale · h, scale · w, C) of the box, in the dtype of the source."""
        height, width, bands = source.pixels.shape
        if name == "bicubic":
            outer = box.grown(MARGIN, height, width)
            lr = torch.from_numpy(to_float(source.pixels[outer.slices()])).double()
            sr = from_float(bicubic_upscale(lr, scale).float().numpy(), source.pixels.dtype)
            return _part(sr, outer, box, scale)
        crop = None
        if box != Box(0, height, 0, width):
            crop = (box.left, box.top, box.width, box.height)
        upscaler = load(
            name,
            size=Size(scale=scale, crop=crop),
            device=self.device,
            backend=self.backend,
            limits=self.limits,
        )
        out = np.empty((box.height * scale, box.width * scale, bands), source.pixels.dtype)
        upscaler.fill(Planes(source.pixels, source.space, False), out)
        return out

    def _truth(self, hr: Path, source: Picture, scale: int) -> Pixels:
        truth = _colours(formats.read(hr, self.limits.for_results()), hr)
        height, width = source.pixels.shape[:2]
        wanted = (height * scale, width * scale)
        if truth.pixels.shape[:2] != wanted or truth.space != source.space:
            raise InputError(
                f"{one_line(hr)}: {truth.width}x{truth.height} {truth.space}; the truth for this "
                f"picture at scale {scale} is {wanted[1]}x{wanted[0]} {source.space}"
            )
        return truth.pixels


def _colours(picture: Picture, path: Path) -> Picture:
    """Without alpha; InputError for what is neither gray nor RGB."""
    if picture.space == "cmyk":
        raise InputError(
            f"{one_line(path)}: CMYK cannot be compared on a screen; convert it to RGB"
        )
    if not picture.alpha:
        return picture
    pixels = np.ascontiguousarray(picture.pixels[..., :-1])
    return Picture(
        pixels, picture.space, False, picture.icc, notes=(*picture.notes, "alpha is not shown")
    )


def _part(pixels: Pixels, outer: Box, box: Box, scale: int) -> Pixels:
    return pixels[box.slices(outer, scale)]


def _nearest(pixels: Pixels, box: Box, scale: int) -> Pixels:
    return _eight(pixels[box.slices()].repeat(scale, 0).repeat(scale, 1))


def _eight(pixels: Pixels) -> NDArray[np.uint8]:
    return from_float(to_float(pixels), np.dtype(np.uint8))


def _score(sr: Pixels, hr: Pixels, scale: int) -> str:
    value = float(psnr_y(_tensor(sr), _tensor(hr), scale if scale > 1 else 0))
    return f"{value:.2f} dB PSNR-Y"


def _tensor(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(to_float(pixels)))


def _short(name: str) -> str:
    """The name of a model, the file name of a path."""
    return Path(name).name if Path(name).exists() else name
