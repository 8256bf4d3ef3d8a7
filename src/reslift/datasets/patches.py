"""Patches for training, drawn on the device from a `Stock` of whole 8-bit images.

A batch is one gather from LR and one from HR, with flips and quarter turns done by the index
arithmetic. What a step draws depends on (seed, step) alone, so a resumed run sees what an
uninterrupted one would.

Few pictures are soon known by heart. Four things make more of them, and each is a pair that the
degradation could have made: shrunk copies; the sampling grid of LR shifted by whole HR pixels; and,
since resizing is linear but where it clips, other colours and patches laid over each other (Yoo et
al. 2020 compare such augmentations).
"""

from __future__ import annotations

from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor

from reslift.datasets.base import ImageSet
from reslift.datasets.stock import Shelf, Stock
from reslift.errors import InputError

TURNS = {"all": 8, "mirror": 2, "none": 1}
ORDERS = torch.tensor(list(permutations(range(3))))
FINE = 2**20
LEAST_CONTRAST = 0.5
MOST_BLENDED = 0.5
BLENDED = 13


class PatchBank:
    """Whole images on a device, from which batches of patches are gathered.

    Args:
        stock: the pixels, on the device.
        reject_flat: share of the patches, the flattest, that is never drawn.
        augment: ``all``, ``mirror`` or ``none``.
        colours: share of the patches that get their colours permuted, the contrast lowered to half
            at most, and the brightness moved within what that leaves.
        seed: of the drawing.
    """

    def __init__(
        self,
        stock: Stock,
        *,
        reject_flat: float = 0.3,
        augment: str = "all",
        colours: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.stock, self.scale = stock, stock.scale
        self.reject_flat, self.turns, self.seed = reject_flat, TURNS[augment], seed
        self.colours = colours
        self._spots: dict[int, Tensor] = {}
        rows = [(s.height, s.width, s.lr_start, s.hr_start, s.hr_width) for s in stock.shelves]
        self._table = torch.tensor(rows)

    @property
    def device(self) -> torch.device:
        """Where the patches are drawn."""
        return self.stock.hr.device

    def _pixels(self, shelf: Shelf) -> Tensor:
        """The HR pixels of a shelf, (3, H, W)."""
        height, width = shelf.height * self.scale, shelf.width * self.scale
        hr = self.stock.hr
        place = hr.storage_offset() + 3 * shelf.hr_start
        pixels = hr.as_strided((height, width, 3), (3 * shelf.hr_width, 3, 1), place)
        return pixels.permute(2, 0, 1)

    def sample(self, count: int, among: int) -> ImageSet:
        """``count`` of the first ``among`` pictures, evenly spaced, the same ones at each call."""
        whole = self.stock.groups[0][:among]
        some = min(count, len(whole))
        numbers = [number * len(whole) // some for number in range(some)]

        def load(place: int) -> Tensor:
            return self._pixels(self.stock.shelves[whole[numbers[place]]])

        return ImageSet(tuple(self.stock.names[n] for n in numbers), load)

    def spots(self, patch: int) -> Tensor:
        """(N, 3) int64: shelf, top and left, LR pixels, of the patches that are sharp enough.

        Sharpness is the mean absolute luma gradient of the HR patch. Spots stand half a patch
        apart; drawing shifts them by up to a quarter of a patch. Copies of one size are weighed
        among themselves, since shrinking sharpens.

        Raises:
            InputError: every picture is smaller than a patch.
        """
        if patch not in self._spots:
            chosen = [self._sharp_enough(group, patch) for group in self.stock.groups if group]
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
        shelf, scale = self.stock.shelves[number], self.scale
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

    def picks(self, step: int, batch: int, patch: int, blended: float = 0.0) -> Tensor:
        """What step ``step`` draws, (batch, 6 or 13) int64 on the CPU.

        Columns: LR start and row length, HR start and row length, turn code, colour code. Where
        some are ``blended`` these six again, of another patch, and by how much of it, in 1/FINE.
        """
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        own = self._picks(generator, batch, patch)
        if not blended:
            return own
        other = self._picks(generator, batch, patch)
        draw = torch.randint(2**62, (batch, 2), generator=generator)
        most = round(MOST_BLENDED * FINE)
        shares = torch.where(draw[:, 0] % FINE < blended * FINE, 1 + draw[:, 1] % most, 0)
        return torch.column_stack([own, other, shares])

    def _picks(self, generator: torch.Generator, batch: int, patch: int) -> Tensor:
        spots = self.spots(patch)
        draw = torch.randint(2**62, (batch, 4), generator=generator)
        number, top, left = spots[draw[:, 0] % len(spots)].unbind(1)
        codes = torch.zeros(batch, dtype=torch.int64)
        if self.stock.grids > 1 or self.colours:
            more = torch.randint(2**62, (batch, 3), generator=generator)
            moved = number + more[:, 0] % self.stock.grids
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
        lr, hr = self._gather(picks, patch)
        if picks.shape[1] >= BLENDED:
            share = (picks[:, 12] / FINE).to(lr.dtype).view(-1, 1, 1, 1)
            other = self._gather(picks[:, 6:12], patch)
            lr, hr = (mine.lerp(more, share) for mine, more in zip((lr, hr), other, strict=True))
        return lr, hr

    def _gather(self, picks: Tensor, patch: int) -> tuple[Tensor, Tensor]:
        lr = _gather(self.stock.lr, picks[:, 0], picks[:, 1], picks[:, 4], patch)
        hr = _gather(self.stock.hr, picks[:, 2], picks[:, 3], picks[:, 4], patch * self.scale)
        if self.colours:
            lr, hr = (recolour(x, picks[:, 5]) for x in (lr, hr))
        return lr, hr


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
