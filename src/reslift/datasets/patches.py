"""Patches for training, drawn on the device from whole 8-bit images.

All HR images lie one behind the other in one uint8 tensor (pixels, 3), all LR images in another;
a batch is one gather from each, with flips and quarter turns done by the index arithmetic. What a
step draws depends on (seed, step) alone, so a resumed run sees what an uninterrupted one would.

Few pictures are soon known by heart. Three things make more of them, and each is a pair that the
degradation could have made: shrunk copies; the sampling grid of LR shifted by whole HR pixels; and,
since resizing is linear, other colours (Yoo et al. 2020 compare such augmentations).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor

from reslift.datasets.base import ImageSet
from reslift.degradations import Degradation
from reslift.errors import InputError, ResliftError, one_line
from reslift.pixels.resize import imresize

TURNS = {"all": 8, "mirror": 2, "none": 1}
ORDERS = torch.tensor(list(permutations(range(3))))
FINE = 2**20
LEAST_CONTRAST = 0.5


@dataclass(frozen=True)
class Shelf:
    """Where an image starts in the LR tensor and in the HR tensor, its LR size and HR row length.

    One image has a shelf for each of its sampling grids, which share the HR pixels.
    """

    lr_start: int
    hr_start: int
    height: int
    width: int
    hr_width: int


class PatchBank:
    """Whole images on a device, from which batches of patches are gathered.

    Args:
        images: training pictures.
        degradation: makes LR from whole HR pictures, once.
        device: where the pixels live.
        reject_flat: share of the patches, the flattest, that is never drawn.
        augment: ``all``, ``mirror`` or ``none``.
        shifts: sampling grids of LR, of the scale² there are; 1 is that of whole pictures.
        copies: sizes of shrunk copies that are drawn too, as shares of the side.
        colours: share of the patches that get their colours permuted, the contrast lowered to half
            at most, and the brightness moved within what that leaves.
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
        shifts: int = 1,
        copies: Sequence[float] = (),
        colours: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.scale, self.device = degradation.scale, device
        self.reject_flat, self.turns, self.seed = reject_flat, TURNS[augment], seed
        self.grids = grids(self.scale, shifts)
        self.colours = colours
        self.shelves: list[Shelf] = []
        self.names: list[str] = []
        self.pixels = 0
        self.unreadable: list[str] = []
        self._groups: list[list[int]] = [[] for _ in range(1 + len(copies))]
        self._spots: dict[int, Tensor] = {}
        self._lr_parts: list[Tensor] = []
        self._hr_parts: list[Tensor] = []
        self._lr_size = self._hr_size = 0
        for number, name in enumerate(images.names):
            try:
                hr = crop_to_multiple(images.load(number)[None].to(device), self.scale)
            except ResliftError as error:
                self.unreadable.append(one_line(error))
                continue
            self.names.append(name)
            self.pixels += hr[0, 0].numel()
            self._shelve(hr, degradation, 0)
            for group, share in enumerate(copies, 1):
                self._shelve(shrunk(hr, share), degradation, group)
        if not self.shelves:
            raise InputError("no training picture could be read: " + "; ".join(self.unreadable[:3]))
        self.lr, self.hr = torch.cat(self._lr_parts), torch.cat(self._hr_parts)
        del self._lr_parts, self._hr_parts
        rows = [(s.height, s.width, s.lr_start, s.hr_start, s.hr_width) for s in self.shelves]
        self._table = torch.tensor(rows)

    def _shelve(self, hr: Tensor, degradation: Degradation, group: int) -> None:
        """Put an image (1, 3, H, W) and its LR on every grid away; nothing where it is too small.

        Copies that the grids do not fit stay out; images themselves always have the first.
        """
        height, width = hr.shape[2:]
        if group and min(height, width) < 2 * self.scale:
            return
        self._groups[group].append(len(self.shelves))
        for down, right in self.grids:
            moved = hr[..., min(down, height - self.scale) :, min(right, width - self.scale) :]
            lr = degradation(crop_to_multiple(moved, self.scale))
            start = self._hr_size + (height - moved.shape[2]) * width + width - moved.shape[3]
            self.shelves.append(Shelf(self._lr_size, start, lr.shape[2], lr.shape[3], width))
            self._lr_parts.append(lr[0].permute(1, 2, 0).reshape(-1, 3))
            self._lr_size += len(self._lr_parts[-1])
        self._hr_parts.append(hr[0].permute(1, 2, 0).reshape(-1, 3))
        self._hr_size += len(self._hr_parts[-1])

    def _pixels(self, shelf: Shelf) -> Tensor:
        """The HR pixels of a shelf, (3, H, W)."""
        height, width = shelf.height * self.scale, shelf.width * self.scale
        place = 3 * shelf.hr_start
        pixels = self.hr.as_strided((height, width, 3), (3 * shelf.hr_width, 3, 1), place)
        return pixels.permute(2, 0, 1)

    def sample(self, count: int, among: int) -> ImageSet:
        """``count`` of the first ``among`` pictures, evenly spaced, the same ones at each call."""
        whole = self._groups[0][:among]
        some = min(count, len(whole))
        numbers = [number * len(whole) // some for number in range(some)]

        def load(place: int) -> Tensor:
            return self._pixels(self.shelves[whole[numbers[place]]])

        return ImageSet(tuple(self.names[n] for n in numbers), load)

    def spots(self, patch: int) -> Tensor:
        """(N, 3) int64: shelf, top and left, LR pixels, of the patches that are sharp enough.

        Sharpness is the mean absolute luma gradient of the HR patch. Spots stand half a patch
        apart; drawing shifts them by up to a quarter of a patch. Copies of one size are weighed
        among themselves, since shrinking sharpens.

        Raises:
            InputError: every picture is smaller than a patch.
        """
        if patch not in self._spots:
            chosen = [self._sharp_enough(group, patch) for group in self._groups if group]
            if not any(map(len, chosen)):
                raise InputError(
                    f"every training picture is smaller than a patch of {patch} LR pixels "
                    f"({patch * self.scale} HR): lower phases.patch or use larger pictures"
                )
            self._spots[patch] = torch.cat(chosen)
        return self._spots[patch]

    def _sharp_enough(self, group: list[int], patch: int) -> Tensor:
        every = torch.cat([self._sharpness(number, patch) for number in group])
        keep = min(len(every), max(1, round(len(every) * (1 - self.reject_flat))))
        order = every[:, 3].argsort(descending=True, stable=True)[:keep]
        return every[order.sort().values, :3].long()

    def _sharpness(self, number: int, patch: int) -> Tensor:
        shelf, scale = self.shelves[number], self.scale
        if min(shelf.height, shelf.width) < patch:
            return torch.empty(0, 4, dtype=torch.float64)
        luma = self._pixels(shelf).float().mean(0)[None, None]
        slope = F.pad((luma[..., 1:] - luma[..., :-1]).abs(), (0, 1))
        slope += F.pad((luma[..., 1:, :] - luma[..., :-1, :]).abs(), (0, 0, 0, 1))
        stride = max(patch // 2, 1)
        mean = F.avg_pool2d(slope, patch * scale, stride * scale)[0, 0].cpu()
        top, left = torch.meshgrid(*map(torch.arange, mean.shape), indexing="ij")
        columns = [torch.full_like(top, number), top * stride, left * stride]
        return torch.stack([*(c.double() for c in columns), mean.double()], -1).view(-1, 4)

    def picks(self, step: int, batch: int, patch: int) -> Tensor:
        """What step ``step`` draws, (batch, 6) int64 on the CPU.

        Columns: LR start and row length, HR start and row length, turn code, colour code.
        """
        spots = self.spots(patch)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        draw = torch.randint(2**62, (batch, 4), generator=generator)
        number, top, left = spots[draw[:, 0] % len(spots)].unbind(1)
        codes = torch.zeros(batch, dtype=torch.int64)
        if len(self.grids) > 1 or self.colours:
            more = torch.randint(2**62, (batch, 3), generator=generator)
            moved = number + more[:, 0] % len(self.grids)
            fits = (self._table[moved, :2] >= patch).all(1)
            number = torch.where(fits, moved, number)
            codes = torch.where(more[:, 1] % FINE < self.colours * FINE, more[:, 2] | 1, codes)
        height, width, lr_start, hr_start, hr_width = self._table[number].unbind(1)
        jitter = max(patch // 4, 1)
        top = (top + draw[:, 1] % (2 * jitter + 1) - jitter).clamp(min=0)
        left = (left + draw[:, 2] % (2 * jitter + 1) - jitter).clamp(min=0)
        top, left = torch.minimum(top, height - patch), torch.minimum(left, width - patch)
        scale = self.scale
        return torch.stack(
            [
                lr_start + top * width + left,
                width,
                hr_start + (top * hr_width + left) * scale,
                hr_width,
                draw[:, 3] % self.turns,
                codes,
            ],
            dim=1,
        )

    def gather(self, picks: Tensor, patch: int) -> tuple[Tensor, Tensor]:
        """The drawn patches: lr (B, 3, P, P) and hr (B, 3, sP, sP), float in [0, 1]."""
        lr = _gather(self.lr, picks[:, 0], picks[:, 1], picks[:, 4], patch)
        hr = _gather(self.hr, picks[:, 2], picks[:, 3], picks[:, 4], patch * self.scale)
        if self.colours:
            lr, hr = (recolour(x, picks[:, 5]) for x in (lr, hr))
        return lr, hr


def grids(scale: int, count: int) -> list[tuple[int, int]]:
    """``count`` sampling grids, HR pixels down and right of the first, well spread.

    Raises:
        InputError: there are not so many.
    """
    if not 1 <= count <= scale * scale:
        raise InputError(f"data.shifts is {count}: at scale {scale} it is 1 to {scale * scale}")
    every = [(down, right) for down in range(scale) for right in range(scale)]
    every.sort(key=lambda at: ((at[0] - at[1]) % scale, at))
    return every[:count]


def shrunk(hr: Tensor, share: float) -> Tensor:
    """A smaller copy of 8-bit images (B, C, H, W), antialiased bicubic, rounded."""
    sides = [max(1, round(side * share)) for side in hr.shape[2:]]
    return imresize(hr.float(), *sides).round_().clamp_(0, 255).to(torch.uint8)


def recolour(images: Tensor, codes: Tensor) -> Tensor:
    """(B, 3, H, W) in [0, 1], with other colours where the code is not 0; alike for LR and HR.

    The code decides the order of the colours and y = contrast · x + brightness, within [0, 1].
    """
    order = torch.where(codes > 0, codes // 2 % len(ORDERS), 0)
    index = ORDERS.to(codes.device)[order][:, :, None, None].expand(images.shape)
    share = ((codes // 16 % FINE) / FINE).to(images.dtype)
    place = ((codes // 16 // FINE % FINE) / FINE).to(images.dtype)
    contrast = torch.where(codes > 0, 1 - (1 - LEAST_CONTRAST) * share, 1.0).view(-1, 1, 1, 1)
    return images.gather(1, index) * contrast + (1 - contrast) * place.view(-1, 1, 1, 1)


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
