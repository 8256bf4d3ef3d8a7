"""What the self-ensemble gains and costs: PSNR-Y and seconds with and without, on a test set.

python -m benchmarks.ensemble FOLDER/bench/Set5 [--model lift-base] [--scale 4] [--backend torch]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

import reslift
from reslift.datasets.pairs import find_test_set, read_pair
from reslift.degradations import Bicubic
from reslift.metrics import psnr_y


def main() -> None:
    """Measure and print; the two take turns on each picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="lift-base")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--backend", default="auto")
    given = parser.parse_args()
    scale = given.scale
    plain, ensemble = (
        reslift.load(given.model, scale, device="cpu", backend=given.backend, ensemble=several)
        for several in (False, True)
    )
    rows = []
    for files in find_test_set(given.folder, scale).files:
        pair = read_pair(files, Bicubic(scale))
        lr, hr = (x if x.ndim == 4 else x[None] for x in (pair.lr, pair.hr))
        row = []
        for upscaler in (plain, ensemble):
            upscaler(lr)
            started = time.perf_counter()
            sr = upscaler(lr)
            seconds = time.perf_counter() - started
            row.append((float(psnr_y(sr.float() / 255, hr.float() / 255, scale)), seconds))
        rows.append(row)
    means = torch.tensor(rows).mean(0)
    (before, once), (after, eight) = means.tolist()
    print(f"{given.model} x{scale} on {given.folder.name}, {plain.engine}")
    print(f"PSNR-Y {before:.3f} dB, with the ensemble {after:.3f} dB: {after - before:+.3f} dB")
    print(f"{once:.3f} s a picture, with the ensemble {eight:.3f} s: {eight / once:.1f} times")


if __name__ == "__main__":
    main()
