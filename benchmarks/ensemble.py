"""The network alone, and what its self-ensemble gains and costs: PSNR-Y and seconds.

    python benchmarks/ensemble.py FOLDER… [--models lift-base …] [--scale 4] [--backend auto]
        [--halved PATTERN]

FOLDER is a test set, as docs/evaluate.md has them, or of HR alone. With --halved it holds large
photographs: those whose names fit are halved and cut to their middle first, which makes pictures of
what no training saw out of those that a recipe excludes. The agreement step is left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

import reslift
from reslift.datasets.folder import read_rgb
from reslift.datasets.pairs import find_test_set, read_pair
from reslift.datasets.stock import shrunk
from reslift.degradations import Bicubic
from reslift.metrics import psnr_y

MIDDLE = 360
"""HR pixels a side, which the scales divide."""


def pairs(folder: Path, scale: int, halved: str | None) -> Iterator[tuple[Tensor, Tensor]]:
    """LR and HR of each picture, (1, C, H, W) uint8."""
    if halved is None:
        for files in find_test_set(folder, scale).files:
            pair = read_pair(files, Bicubic(scale))
            yield pair.lr, pair.hr
        return
    for path in sorted(folder.glob(halved)):
        hr = shrunk(read_rgb(path)[None], 0.5)
        top, left = (max(0, side - MIDDLE) // 2 for side in hr.shape[2:])
        hr = hr[..., top : top + MIDDLE, left : left + MIDDLE]
        high, wide = (side // scale * scale for side in hr.shape[2:])
        yield Bicubic(scale)(hr[..., :high, :wide]), hr[..., :high, :wide]


def measured(upscaler: reslift.Upscaler, lr: Tensor, hr: Tensor) -> tuple[float, float]:
    """PSNR-Y, and the seconds of the second of two times."""
    upscaler(lr)
    started = time.perf_counter()
    sr = upscaler(lr)
    seconds = time.perf_counter() - started
    return float(psnr_y(sr.float() / 255, hr.float() / 255, upscaler.scale)), seconds


def main() -> None:
    """Measure and print; the two take turns on each picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--models", nargs="+", default=["lift-base"])
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--halved", metavar="PATTERN")
    given = parser.parse_args()
    print("PSNR-Y in dB and seconds a picture, alone and with the ensemble")
    for model in given.models:
        start = partial(reslift.load, model, given.scale, device="cpu", backend=given.backend)
        plain, ensemble = (start(ensemble=wanted, consistent=False) for wanted in (False, True))
        for folder in given.folders:
            rows = [
                (*measured(plain, lr, hr), *measured(ensemble, lr, hr))
                for lr, hr in pairs(folder, given.scale, given.halved)
            ]
            before, once, after, eight = torch.tensor(rows).mean(0).tolist()
            print(
                f"{model} x{given.scale} {folder.name:8} {plain.engine}: {before:.3f}, "
                f"{after:.3f} ({after - before:+.3f}); {once:.3f} s, {eight:.3f} s "
                f"({eight / once:.1f} times)",
                flush=True,
            )


if __name__ == "__main__":
    main()
