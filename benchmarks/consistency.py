"""What agreement with the input costs and gains: PSNR-Y, consistency error, time.

    python benchmarks/consistency.py DATA/bench [IMAGES] [--jpeg]
    python benchmarks/consistency.py PICTURES [IMAGES] --real

DATA/bench holds SET/HR and SET/LRx2 … LRx4 for Set5, Set14 and BSD100; IMAGES is how many of a set
are judged. With --jpeg LR is saved as JPEG first, and what agreeing with that changes is told
instead. With --real the pictures of a folder, which no known kernel made, are enlarged as they are,
those over `LARGEST` pixels a side cut; a row a picture. Time is from array to array, of the
processors and by the clock, with and without turn about, the least of `ROUNDS`, in a process that
keeps its memory as the command line's does.
"""

from __future__ import annotations

import argparse
import io
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reslift.datasets.pairs import find_test_set, read_pair
from reslift.degradations import Bicubic
from reslift.machine import keep_memory
from reslift.metrics import METRICS
from reslift.pixels.shrink import shrink
from reslift.upscale import Upscaler, load


def psnr(sr: NDArray[np.uint8], hr: object, scale: int) -> float:
    """PSNR-Y as docs/protocol.md has it."""
    import torch

    picture = torch.from_numpy(np.ascontiguousarray(sr.transpose(2, 0, 1)))[None].double() / 255
    return float(METRICS["psnr_y"].function(picture, hr, scale))


ROUNDS = 5
LARGEST = 256
QUALITIES = (60, 80, 95, 0)


@dataclass
class Run:
    """A result, the largest and the mean error in levels, seconds: processors', by the clock."""

    sr: NDArray[np.uint8]
    error: float
    mean: float
    busy: float
    clock: float


def turn_about(upscalers: list[Upscaler], lr: NDArray[np.uint8]) -> list[Run]:
    """One for each upscaler. Errors are measured after all rounds: that, too, takes two cores."""
    times: list[list[tuple[float, float]]] = [[] for _ in upscalers]
    results = [lr] * len(upscalers)
    for _ in range(ROUNDS):
        for place, upscaler in enumerate(upscalers):
            busy, clock = time.process_time(), time.perf_counter()
            results[place] = upscaler(lr)
            clock, busy = time.perf_counter() - clock, time.process_time() - busy
            times[place].append((busy, clock))
    runs = []
    for sr, spent in zip(results, times, strict=True):
        errors = np.abs(shrink(sr, *lr.shape[:2], "bicubic", 255) - lr)
        busy, clock = (min(values) for values in zip(*spent, strict=True))
        runs.append(Run(sr, float(errors.max()), float(errors.mean()), busy, clock))
    return runs


def main(root: Path, most: int) -> None:
    """Print a table: a row a set and scale."""
    keep_memory()
    print("set    scale  PSNR-Y    gain   least    error before   after   over 1    busy   clock")
    for scale in (2, 3, 4):
        pair_of = [load("lift-base", scale, consistent=wanted) for wanted in (False, True)]
        for name in ("Set5", "Set14", "BSD100"):
            rows = []
            for files in find_test_set(root / name, scale).files[:most]:
                pair = read_pair(files, Bicubic(scale))
                lr = np.ascontiguousarray(pair.lr[0].numpy().transpose(1, 2, 0))
                hr = pair.hr.double() / 255
                loose, held = turn_about(pair_of, lr)
                first = psnr(loose.sr, hr, scale)
                gain = psnr(held.sr, hr, scale) - first
                times = loose.busy, held.busy, loose.clock, held.clock
                rows.append((first, gain, loose.error, held.error, *times))
            values = np.array(rows)
            means, spent = values.mean(0), values.sum(0)
            print(
                f"{name:<7}x{scale}    {means[0]:7.3f} {means[1]:+7.4f} {values[:, 1].min():+7.4f}"
                f"    {values[:, 2].max():8.0f}   {values[:, 3].max():8.0f} "
                f"{int((values[:, 3] > 1).sum()):>8}   {spent[5] / spent[4]:6.3f}  "
                f"{spent[7] / spent[6]:6.3f}",
                flush=True,
            )


def of_jpegs(root: Path, most: int) -> None:
    """Print PSNR-Y without the step and what the step changes, LR saved as JPEG first."""
    print("set    scale  " + "".join(f"{q:>18}" for q in QUALITIES) + "  (quality)")
    for name, scale in (("Set5", 4), ("Set14", 4), ("Set5", 2)):
        loose, held = (load("lift-base", scale, consistent=wanted) for wanted in (False, True))
        cells, worst = [], 0.0
        for quality in QUALITIES:
            changes = []
            for files in find_test_set(root / name, scale).files[:most]:
                pair = read_pair(files, Bicubic(scale))
                lr = np.ascontiguousarray(pair.lr[0].numpy().transpose(1, 2, 0))
                lr = saved_as_jpeg(lr, quality)
                first, second = (psnr(f(lr), pair.hr.double() / 255, scale) for f in (loose, held))
                changes.append((first, second - first))
            before, change = np.mean(changes, 0)
            worst = min(worst, *(c for _, c in changes))
            cells.append(f"{before:10.2f} {change:+7.2f}")
        print(f"{name:<7}x{scale}    {''.join(cells)}  least {worst:+.2f}", flush=True)


def of_real(root: Path, most: int) -> None:
    """Print a row a picture and scale: errors before and after, and what the step costs."""
    keep_memory()
    print("picture                 scale  before: most, mean   after: most, mean    busy   clock")
    totals: dict[int, list[tuple[float, float]]] = {2: [], 4: []}
    for scale, ratios in totals.items():
        loose, held = (load("lift-base", scale, consistent=wanted) for wanted in (False, True))
        for file in sorted(root.iterdir())[:most]:
            with Image.open(file) as image:
                lr = np.ascontiguousarray(np.asarray(image.convert("RGB"))[:LARGEST, :LARGEST])
            before, after = turn_about([loose, held], lr)
            ratios.append((after.busy / before.busy, after.clock / before.clock))
            errors = "   ".join(f"{run.error:10.0f} {run.mean:6.2f}" for run in (before, after))
            print(f"{file.name:24}x{scale}  {errors}   {ratios[-1][0]:6.2f}  {ratios[-1][1]:6.2f}")
    for scale, ratios in totals.items():
        rows = np.array(ratios)
        print(f"x{scale}: medians {np.median(rows, 0).round(2)}, most {rows.max(0).round(2)}")


def saved_as_jpeg(lr: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """What is read again; quality 0 leaves it as it is."""
    if not quality:
        return lr
    file = io.BytesIO()
    Image.fromarray(lr.squeeze()).save(file, "JPEG", quality=quality)
    read = np.asarray(Image.open(file))
    return read if read.ndim == 3 else read[..., None]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("images", type=int, nargs="?", default=10**6)
    kinds = parser.add_mutually_exclusive_group()
    for kind, work in (("--jpeg", of_jpegs), ("--real", of_real)):
        kinds.add_argument(kind, dest="work", action="store_const", const=work, default=main)
    given = parser.parse_args()
    given.work(given.data, given.images)
