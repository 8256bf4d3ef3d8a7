"""Patches for training, drawn on the device from whole 8-bit images.

All HR images lie one behind the other in one uint8 tensor (pixels, 3), all LR images in another;
a batch is one gather from each, with flips and quarter turns done by the index arithmetic. What a
step draws depends on (seed, step) alone, so a resumed run sees what an uninterrupted one would.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from reslift.datasets.base import ImageSet
from reslift.degradations import Degradation
from reslift.errors import InputError, ResliftError, one_line

TURNS = {"all": 8, "mirror": 2, "none": 1}


@dataclass(frozen=True)
class Shelf:
    """Where an image starts in the LR tensor and in the HR tensor, and its LR size."""

    lr_start: int
    hr_start: int
    height: int
    width: int


class PatchBank:
    """Whole images on a device, from which batches of patches are gathered.

    Args:
        images: training pictures.
        degradation: makes LR from whole HR pictures, once.
        device: where the pixels live.
        reject_flat: share of the patches, the flattest, that is never drawn.
        augment: ``all``, ``mirror`` or ``none``.
        seed: of the drawing.

    Raises:
        InputError: no picture could be read.
    """

    def __init__(
        self,
        images: ImageSet,
        degradation: Degradation,
        device: torch.device,
        *,
        reject_flat: float = 0.3,
        augment: str = "all",
        seed: int = 0,
    ) -> None:
        self.scale, self.device = degradation.scale, device
        self.reject_flat, self.turns, self.seed = reject_flat, TURNS[augment], seed
        self.shelves: list[Shelf] = []
        self.names: list[str] = []
        self.unreadable: list[str] = []
        self._spots: dict[int, Tensor] = {}
        lr_parts, hr_parts = [], []
        lr_size = hr_size = 0
        for number, name in enumerate(images.names):
            try:
                hr = crop_to_multiple(images.load(number)[None].to(device), self.scale)
            except ResliftError as error:
                self.unreadable.append(one_line(error))
                continue
            lr = degradation(hr)
            self.shelves.append(Shelf(lr_size, hr_size, *lr.shape[2:]))
            self.names.append(name)
            lr_parts.append(lr[0].permute(1, 2, 0).reshape(-1, 3))
            hr_parts.append(hr[0].permute(1, 2, 0).reshape(-1, 3))
            lr_size, hr_size = lr_size + len(lr_parts[-1]), hr_size + len(hr_parts[-1])
        if not self.shelves:
            raise InputError("no training picture could be read: " + "; ".join(self.unreadable[:3]))
        self.lr, self.hr = torch.cat(lr_parts), torch.cat(hr_parts)
        rows = [(s.height, s.width, s.lr_start, s.hr_start) for s in self.shelves]
        self._table = torch.tensor(rows)

    def sample(self, count: int) -> ImageSet:
        """``count`` of the pictures at most, evenly spaced; they are the same at each call."""
        some = min(count, len(self.shelves))
        numbers = [number * len(self.shelves) // some for number in range(some)]

        def load(place: int) -> Tensor:
            shelf = self.shelves[numbers[place]]
            height, width = shelf.height * self.scale, shelf.width * self.scale
            pixels = self.hr[shelf.hr_start : shelf.hr_start + height * width]
            return pixels.view(height, width, 3).permute(2, 0, 1)

        return ImageSet(tuple(self.names[n] for n in numbers), load)

    def spots(self, patch: int) -> Tensor:
        """(N, 3) int64: image, top and left, LR pixels, of the patches that are sharp enough.

        Sharpness is the mean absolute luma gradient of the HR patch. Spots stand half a patch
        apart; drawing shifts them by up to a quarter of a patch.

        Raises:
            InputError: every picture is smaller than a patch.
        """
        if patch not in self._spots:
            every = torch.cat([self._sharpness(n, patch) for n in range(len(self.shelves))])
            if not len(every):
                raise InputError(
                    f"every training picture is smaller than a patch of {patch} LR pixels "
                    f"({patch * self.scale} HR): lower phases.patch or use larger pictures"
                )
            keep = max(1, round(len(every) * (1 - self.reject_flat)))
            order = every[:, 3].argsort(descending=True, stable=True)[:keep]
            self._spots[patch] = every[order.sort().values, :3].long()
        return self._spots[patch]

    def _sharpness(self, number: int, patch: int) -> Tensor:
        shelf, scale = self.shelves[number], self.scale
        if min(shelf.height, shelf.width) < patch:
            return torch.empty(0, 4, dtype=torch.float64)
        height, width = shelf.height * scale, shelf.width * scale
        pixels = self.hr[shelf.hr_start : shelf.hr_start + height * width]
        luma = pixels.float().mean(1).view(1, 1, height, width)
        slope = F.pad((luma[..., 1:] - luma[..., :-1]).abs(), (0, 1))
        slope += F.pad((luma[..., 1:, :] - luma[..., :-1, :]).abs(), (0, 0, 0, 1))
        stride = max(patch // 2, 1)
        mean = F.avg_pool2d(slope, patch * scale, stride * scale)[0, 0].cpu()
        top, left = torch.meshgrid(*map(torch.arange, mean.shape), indexing="ij")
        columns = [torch.full_like(top, number), top * stride, left * stride]
        return torch.stack([*(c.double() for c in columns), mean.double()], -1).view(-1, 4)

    def picks(self, step: int, batch: int, patch: int) -> Tensor:
        """What step ``step`` draws, (batch, 5) int64 on the CPU.

        Columns: LR start and row length, HR start and row length, turn code.
        """
        spots = self.spots(patch)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        draw = torch.randint(2**62, (batch, 4), generator=generator)
        number, top, left = spots[draw[:, 0] % len(spots)].unbind(1)
        height, width, lr_start, hr_start = self._table[number].unbind(1)
        jitter = max(patch // 4, 1)
        top = (top + draw[:, 1] % (2 * jitter + 1) - jitter).clamp(min=0)
        left = (left + draw[:, 2] % (2 * jitter + 1) - jitter).clamp(min=0)
        top, left = torch.minimum(top, height - patch), torch.minimum(left, width - patch)
        scale = self.scale
        return torch.stack(
            [
                lr_start + top * width + left,
                width,
                hr_start + (top * width * scale + left) * scale,
                width * scale,
                draw[:, 3] % self.turns,
            ],
            dim=1,
        )

    def gather(self, picks: Tensor, patch: int) -> tuple[Tensor, Tensor]:
        """The drawn patches: lr (B, 3, P, P) and hr (B, 3, sP, sP), float in [0, 1]."""
        lr = _gather(self.lr, picks[:, 0], picks[:, 1], picks[:, 4], patch)
        hr = _gather(self.hr, picks[:, 2], picks[:, 3], picks[:, 4], patch * self.scale)
        return lr, hr


def _gather(pixels: Tensor, start: Tensor, width: Tensor, turn: Tensor, side: int) -> Tensor:
    line = torch.arange(side, device=pixels.device)
    turn, start, width = (t.view(-1, 1, 1) for t in (turn, start, width))
    row, column = line.view(1, -1, 1), line.view(1, 1, -1)
    column = torch.where(turn % 2 == 1, side - 1 - column, column)
    row = torch.where(turn // 2 % 2 == 1, side - 1 - row, row)
    down, right = torch.where(turn // 4 == 1, column, row), torch.where(turn // 4 == 1, row, column)
    return pixels[start + down * width + right].permute(0, 3, 1, 2).float() / 255


def crop_to_multiple(hr: Tensor, scale: int) -> Tensor:
    """(B, C, H, W) without the right and bottom rest that ``scale`` does not divide.

    Raises:
        InputError: nothing is left.
    """
    height, width = hr.shape[2] // scale * scale, hr.shape[3] // scale * scale
    if not height or not width:
        raise InputError(f"a picture of {hr.shape[3]}x{hr.shape[2]} is too small for scale {scale}")
    return hr[..., :height, :width]
