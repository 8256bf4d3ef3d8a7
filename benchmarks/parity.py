"""How many pixels of the published LR files our bicubic reproduces, and the bicubic rows.

    python benchmarks/parity.py DATA/bench

DATA/bench holds SET/HR and SET/LRx2 … LRx4 for Set5, Set14 and BSD100.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from reslift.datasets.pairs import find_test_set, read_pair
from reslift.degradations import Bicubic
from reslift.evaluate import evaluate
from reslift.pixels.kernel import Border


def parity(folder: Path, scale: int, border: Border) -> tuple[int, int, int]:
    """Equal samples, all samples, and the largest difference in levels."""
    kernel = Bicubic(scale, border)
    same = count = largest = 0
    for files in find_test_set(folder, scale).files:
        pair = read_pair(files, kernel)
        difference = (kernel(pair.hr).int() - pair.lr.int()).abs()
        same += int((difference == 0).sum())
        count += difference.numel()
        largest = max(largest, int(difference.max()))
    return same, count, largest


def main(root: Path) -> None:
    """Print a table: a row a set and scale."""
    print("set     scale  border      equal samples          share   largest  PSNR-Y  SSIM-Y")
    for name in ("Set5", "Set14", "BSD100"):
        for scale in (2, 3, 4):
            (row,) = evaluate([], [find_test_set(root / name, scale)], scale=scale).summaries()
            scores = f"{row.means['psnr_y']:6.3f}  {row.means['ssim_y']:.4f}"
            for border in get_args(Border):
                same, count, largest = parity(root / name, scale, border)
                print(
                    f"{name:<8}x{scale}     {border:<11}{same:>9} of {count:<9}"
                    f"{100 * same / count:9.4f} %  {largest:>5}    {scores}",
                    flush=True,
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    main(parser.parse_args().data)
