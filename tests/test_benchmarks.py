"""The published bicubic rows and the published LR files, where the benchmarks are at hand.

RESLIFT_DATA names a folder with ``bench/SET/HR`` and ``bench/SET/LRx2`` … ``LRx4``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reslift.datasets.pairs import find_test_set, read_pair
from reslift.degradations import Bicubic
from reslift.evaluate import evaluate

ROOT = Path(os.environ.get("RESLIFT_DATA", "")) / "bench"
PUBLISHED = {
    ("Set5", 2): (33.66, 0.9299),
    ("Set5", 3): (30.39, 0.8682),
    ("Set5", 4): (28.42, 0.8104),
    ("Set14", 2): (30.24, 0.8688),
    ("Set14", 3): (27.55, 0.7742),
    ("Set14", 4): (26.00, 0.7027),
    ("BSD100", 2): (29.56, 0.8431),
    ("BSD100", 3): (27.21, 0.7385),
    ("BSD100", 4): (25.96, 0.6675),
}
BORDER = {"Set5": "symmetric", "Set14": "replicate", "BSD100": "replicate"}

pytestmark = pytest.mark.skipif(
    "RESLIFT_DATA" not in os.environ, reason="RESLIFT_DATA does not name the benchmark data"
)


def bench(name, scale):
    if not (ROOT / name).is_dir():
        pytest.skip(f"RESLIFT_DATA has no bench/{name}")
    return find_test_set(ROOT / name, scale)


@pytest.mark.parametrize(("name", "scale"), PUBLISHED)
def test_published_bicubic_rows(name, scale):
    result = evaluate([], [bench(name, scale)], scale=scale)
    assert not result.failures and not result.warnings
    (summary,) = result.summaries()
    psnr, ssim = PUBLISHED[name, scale]
    assert summary.means["psnr_y"] == pytest.approx(psnr, abs=0.02)
    assert summary.means["ssim_y"] == pytest.approx(ssim, abs=0.001)


@pytest.mark.parametrize(("name", "scale"), PUBLISHED)
def test_lr_files_are_reproduced(name, scale):
    kernel = Bicubic(scale, BORDER[name])
    pairs = [read_pair(files, kernel) for files in bench(name, scale).files]
    same = sum(int((kernel(pair.hr) == pair.lr).sum()) for pair in pairs)
    assert same / sum(pair.lr.numel() for pair in pairs) >= 0.999
    worst = max(int((kernel(p.hr).int() - p.lr.int()).abs().max()) for p in pairs)
    assert worst <= 1
