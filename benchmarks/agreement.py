"""Do two ways of not being sure agree: the scale head, and the spread of a variational model?

    reslift train s2-vae -o vae
    python benchmarks/agreement.py DATA/bench vae [--model lift-base-x4] [--images 25] [--samples 8]

For pictures of BSD100 spread evenly over the set: Spearman's rank correlation, over pixels and over
4 x 4 blocks, of the standard deviation of the variational model's samples with the scale that the
head beside another model tells, and of each of them with the true error of that model.
"""

from __future__ import annotations

import argparse
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reslift import checkpoint, sample
from reslift.calibrate import EDGE, errors_and_scales
from reslift.datasets.pairs import find_test_set
from reslift.uncertainty import load_judge
from reslift.upscale import load

sys.path.insert(0, str(Path(__file__).parent))  # under `python -m` too
from uncertainty import judged

Map = NDArray[np.float32]
BLOCK = 4


def spread(sampler: sample.Sampler, lr: NDArray[np.uint8], count: int) -> Map:
    """Standard deviation of samples, mean of the colours (sH, sW), in levels."""
    given = lr.astype(np.float32) / np.float32(255)
    samples = np.stack(sampler.sample(given, count))
    return 255 * samples.std(0, ddof=1).mean(2)


def blocks(values: Map) -> Map:
    """Means of 4 x 4 pixels."""
    height, width = (side // BLOCK * BLOCK for side in values.shape)
    cut = values[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    return cut.mean((1, 3))


def main() -> None:
    """Measure and print."""
    from scipy.stats import spearmanr

    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("variational", help="checkpoint or run of a variational model")
    parser.add_argument("--model", default="lift-base-x4")
    parser.add_argument("--images", type=int, default=25)
    parser.add_argument("--samples", type=int, default=8)
    given = parser.parse_args()
    sampler, upscaler = sample.load(given.variational), load(given.model)
    judge = load_judge(checkpoint.resolve(given.model))
    if judge is None or sampler.scale != upscaler.scale:
        raise SystemExit(f"{given.model} is not calibrated, or has another scale")
    files = find_test_set(given.data / "BSD100", upscaler.scale).files
    rows: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for number in np.linspace(0, len(files) - 1, min(given.images, len(files))).astype(int):
        picture = judged(upscaler, files[number])
        log_scale, error = errors_and_scales(judge.head, picture)
        drawn = spread(sampler, picture.lr, given.samples)[EDGE:-EDGE, EDGE:-EDGE]
        maps = {"spread": drawn, "head": np.exp(log_scale), "true error": error.mean(2)}
        for one, other in combinations(maps, 2):
            pairs = (maps[one], maps[other]), (blocks(maps[one]), blocks(maps[other]))
            found = tuple(float(spearmanr(*(m.ravel() for m in pair))[0]) for pair in pairs)
            rows.setdefault((one, other), []).append((found[0], found[1]))
    print(f"{sampler.card.name}, {given.samples} samples, beside the head of {given.model}")
    for (one, other), values in rows.items():
        pixels, means = np.array(values).T
        print(
            f"{one} with {other}: pixels {pixels.mean():.2f} (least {pixels.min():.2f}), "
            f"4x4 blocks {means.mean():.2f} (least {means.min():.2f})"
        )


if __name__ == "__main__":
    main()
