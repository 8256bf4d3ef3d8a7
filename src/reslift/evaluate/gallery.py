"""The pictures of an evaluation page: exact pixels, as many as a page of about 10 MB can hold.

Few small pictures are shown whole. Otherwise each is shown as the crop, at full resolution, in
which the squared error of the first model is largest, with a small view of the whole. Only the
worst images keep their pictures. Everything but that small view is stored without loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from torch import Tensor

from reslift.datasets.pairs import Pair
from reslift.evaluate.results import BASELINE, ImageRow
from reslift.metrics import luma_error
from reslift.report import encode, error_colours, thumbnail

MOST_SUBJECTS = 100
PAGE_BYTES = 9e6
SMALLEST_CROP, LARGEST_CROP = 64, 640
OVERVIEW_SIDE, OVERVIEW_QUALITY, OVERVIEW_BYTES = 240, 72, 8e3
BYTES = {"hr": 1.6, "sr": 1.0, "error": 0.9, "lr": 2.0}


@dataclass(frozen=True)
class Subject:
    """One picture of the page; sources are data URIs.

    Attributes:
        width, height: of the crop, HR pixels.
        sr, errors: by contender, bicubic first.
        overview: the whole HR picture, small, where only a crop is shown.
        place: left, top, width, height of the crop as shares of the whole.
    """

    row: ImageRow
    width: int
    height: int
    lr: str
    hr: str
    sr: dict[str, str]
    errors: dict[str, str]
    overview: str | None
    overview_size: tuple[int, int]
    place: tuple[float, float, float, float]


class Gallery:
    """Collects subjects while an evaluation runs and keeps the worst.

    Args:
        images: how many pictures are expected; fewer pictures are shown larger.
        models: how many models besides bicubic.
        scale: crops start on LR pixels.
        page_bytes: what the pictures of the page may take in all.
    """

    def __init__(
        self, images: int, models: int, scale: int, page_bytes: float = PAGE_BYTES
    ) -> None:
        self.scale = scale
        self._most = min(images, MOST_SUBJECTS)
        self._kept: list[tuple[float, Subject]] = []
        pixel = BYTES["hr"] + (models + 1) * (BYTES["sr"] + BYTES["error"])
        share = page_bytes * 3 / 4 / max(self._most, 1) - OVERVIEW_BYTES
        self.area = max(share / (pixel + BYTES["lr"] / scale**2), SMALLEST_CROP**2)

    def add(self, row: ImageRow, pair: Pair, answers: dict[str, Tensor]) -> None:
        """Consider one judged picture."""
        models = [name for name in answers if name != BASELINE]
        badness = row.gain(models[0]) if models else row.scores[BASELINE]["psnr_y"]
        if len(self._kept) >= self._most and badness >= self._kept[-1][0]:
            return
        self._kept.append((badness, self.subject(row, pair, answers, (models or [BASELINE])[0])))
        self._kept.sort(key=lambda item: item[0])
        del self._kept[self._most :]

    @property
    def subjects(self) -> list[Subject]:
        """Worst first."""
        return [subject for _, subject in self._kept]

    def subject(
        self, row: ImageRow, pair: Pair, answers: dict[str, Tensor], judged: str
    ) -> Subject:
        """One judged picture, whole or the crop in which the contender ``judged`` errs most."""
        hr = pair.hr.double() / 255
        errors = {name: luma_error(sr.double() / 255, hr) for name, sr in answers.items()}
        top, left, height, width = self._crop(errors[judged])
        s = self.scale
        small = (slice(top // s, (top + height) // s), slice(left // s, (left + width) // s))
        large = (slice(top, top + height), slice(left, left + width))
        whole = height == row.height and width == row.width
        view = thumbnail(_bytes(pair.hr), OVERVIEW_SIDE)
        return Subject(
            row,
            width,
            height,
            encode(_bytes(pair.lr)[small]),
            encode(_bytes(pair.hr)[large]),
            {name: encode(_bytes(sr)[large]) for name, sr in answers.items()},
            {
                name: encode(error_colours(error[0, 0].round().cpu().numpy()[large]))
                for name, error in errors.items()
            },
            None if whole else encode(view, OVERVIEW_QUALITY),
            (view.shape[1], view.shape[0]),
            (left / row.width, top / row.height, width / row.width, height / row.height),
        )

    def _crop(self, error: Tensor) -> tuple[int, int, int, int]:
        """Top, left, height, width in HR pixels, multiples of the scale."""
        full_height, full_width = error.shape[2:]
        if full_height * full_width <= self.area:
            return 0, 0, full_height, full_width
        return worst_crop(error, int(min(math.sqrt(self.area), LARGEST_CROP)), self.scale)


def worst_crop(error: Tensor, side: int, step: int) -> tuple[int, int, int, int]:
    """Where the squared error is largest: top, left, height, width in HR pixels.

    Args:
        error: (1, 1, H, W), sides multiples of ``step``.
        side: of the crop at most; it is rounded down to a multiple of ``step``, but not to 0.
        step: the crop starts and ends on multiples of this, the scale.
    """
    size = max(side // step, 1) * step
    height, width = min(size, error.shape[2]), min(size, error.shape[3])
    mean = F.avg_pool2d(error.square(), (height, width), step)[0, 0]
    best = int(mean.argmax())
    return (best // mean.shape[1]) * step, (best % mean.shape[1]) * step, height, width


def _bytes(image: Tensor) -> npt.NDArray[np.uint8]:
    """(1, C, H, W) uint8 to (H, W, C)."""
    pixels: npt.NDArray[np.uint8] = image[0].permute(1, 2, 0).cpu().numpy()
    return pixels
