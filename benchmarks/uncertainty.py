"""Do intervals hold on pictures that the calibration never saw, and are they narrow?

    python benchmarks/uncertainty.py DATA/bench [--models lift-base-x4 …] [--sets Set5 Set14 BSD100]

For each model: share of the samples inside the 90 % intervals, over all pictures and in bins of
brightness and of edge strength (of SR); mean half-width beside that of a constant interval that
covers as much; the widths that scales which know the truth would have reached; the sparsification
curve (RMSE of what is left when the least trusted share of the pixels is taken away).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reslift import checkpoint
from reslift.calibrate import EDGE, errors_and_scales
from reslift.datasets.folder import read_rgb
from reslift.datasets.pairs import PairFiles, find_test_set
from reslift.uncertainty import Judge, Judged, half_widths, load_judge
from reslift.upscale import Upscaler, load

LEVEL = 0.9
KEPT = (1.0, 0.9, 0.75, 0.5, 0.25)
ORACLES = (3, 7, 11)
BINS = 64


@dataclass
class Pooled:
    """Pixels of many pictures, one below the other: errors (N, 3), the rest (N,); in levels.

    oracles: (N, len(ORACLES)), the true error, smoothed over so many pixels a side.
    """

    error: np.ndarray
    half: np.ndarray
    brightness: np.ndarray
    edge: np.ndarray
    oracles: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        """Share of the three colours inside, for each pixel."""
        return (self.error <= self.half[:, None]).mean(1)

    @property
    def constant(self) -> float:
        """Half-width that covers as much everywhere; between whole levels, interpolated."""
        covered = self.inside.mean()
        values, counts = np.unique(np.rint(self.error), return_counts=True)
        return float(np.interp(covered, np.cumsum(counts) / counts.sum(), values + 0.5))


def pictures_of(upscaler: Upscaler, folder: Path) -> list[Judged]:
    """A benchmark set, enlarged."""
    return [judged(upscaler, files) for files in find_test_set(folder, upscaler.card.scale).files]


def judged(upscaler: Upscaler, files: PairFiles) -> Judged:
    """A picture that has LR, HR and SR."""
    assert files.lr is not None, f"{files.name} has no LR file at this scale"
    lr, hr = (read_rgb(path).permute(1, 2, 0).contiguous().numpy() for path in (files.lr, files.hr))
    sr = upscaler(lr)
    return Judged(files.name, lr, sr, hr[: sr.shape[0], : sr.shape[1]])


def pooled(judge: Judge, pictures: list[Judged]) -> Pooled:
    """What is to be counted, of the inside of all pictures."""
    from scipy.ndimage import uniform_filter

    rows: list[tuple[np.ndarray, ...]] = []
    inside = (slice(EDGE, -EDGE), slice(EDGE, -EDGE))
    for picture in pictures:
        log_scale, error = errors_and_scales(judge.head, picture)
        half = half_widths(log_scale, judge.calibration, LEVEL)
        gray = picture.sr.astype(np.float32).mean(2)
        edge = np.hypot(*np.gradient(gray))[inside]
        smooth = [uniform_filter(255 * error.mean(2), k).ravel() for k in ORACLES]
        rows.append(
            (
                255 * error.reshape(-1, 3),
                255 * half.ravel(),
                gray[inside].ravel(),
                edge.ravel(),
                np.stack(smooth, 1),
            )
        )
    return Pooled(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def in_bins(values: np.ndarray, inside: np.ndarray, edges: np.ndarray) -> str:
    """Coverage in each bin, in per cent."""
    place = np.digitize(values, edges[1:-1])
    return " ".join(f"{100 * inside[place == n].mean():.1f}" for n in range(len(edges) - 1))


def least_width(half: np.ndarray, covered: float) -> float:
    """Mean half-width of the narrowest intervals with this coverage over all pixels together.

    For Laplace errors of scale b the narrowest are b · ln(1 / (λ b)) where that is above 0, one λ
    for all: unsure pixels are then given up, which coverage in each bin of edges forbids.
    """
    scale = half / -np.log(1 - LEVEL)
    low, high = -12.0, 12.0
    for _ in range(60):
        middle = (low + high) / 2
        widths = scale * np.maximum(-middle - np.log(scale), 0)
        share = 1 - np.exp(-widths / scale).mean()
        low, high = (middle, high) if share > covered else (low, middle)
    return float(widths.mean())


def width_of(scale: np.ndarray, error: np.ndarray, level: float) -> float:
    """Mean half-width of intervals that hold `level` in each of 64 bins of a scale, on this very
    data: what a head that tells this scale cannot fall below by more than chance."""
    order = np.argsort(scale, kind="stable")
    parts = np.array_split(order, BINS)
    return sum(float(np.quantile(error[p], level)) * len(p) for p in parts) / len(order)


def report(name: str, data: Pooled) -> None:
    """Print what was found for one model on one collection."""
    inside, width = data.inside, float(data.half.mean())
    covered = float(inside.mean())
    print(
        f"{name}: {100 * covered:.1f} % inside, mean half-width {width:.2f}, constant "
        f"{data.constant:.2f} (ratio {width / data.constant:.2f}; narrowest possible with these "
        f"scales {least_width(data.half, covered) / data.constant:.2f})"
    )
    known = [width_of(column, data.error, covered) / data.constant for column in data.oracles.T]
    told = ", ".join(f"{k}x{k} {r:.2f}" for k, r in zip(ORACLES, known, strict=True))
    own = width_of(data.half, data.error, covered) / data.constant
    print(f"  ratio with {BINS} bins fitted here: head {own:.2f}; true error smoothed over {told}")
    print(
        "  brightness, fifths of the range:",
        in_bins(data.brightness, inside, np.linspace(0, 256, 6)),
    )
    tenths = np.quantile(data.edge, np.linspace(0, 1, 11))
    print("  edge strength, tenths of the pixels:", in_bins(data.edge, inside, tenths))
    squared = (data.error**2).mean(1)
    order = np.argsort(data.half, kind="stable")
    best = np.sort(squared)
    told = []
    for kept in KEPT:
        count = round(kept * len(order))
        told.append(
            f"{kept:.0%}: {np.sqrt(squared[order[:count]].mean()):.2f} "
            f"(best {np.sqrt(best[:count].mean()):.2f})"
        )
    print("  RMSE of the most trusted share:", ", ".join(told))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", nargs="+", default=["lift-base-x4"])
    parser.add_argument("--sets", nargs="+", default=["Set5", "Set14", "BSD100"])
    given = parser.parse_args()
    for model in given.models:
        judge = load_judge(checkpoint.resolve(model))
        if judge is None:
            raise SystemExit(f"{model} is not calibrated")
        upscaler = load(model)
        found = {name: pictures_of(upscaler, given.data / name) for name in given.sets}
        print(f"{model}, calibrated on {judge.calibration.data}")
        for name, pictures in found.items():
            report(name, pooled(judge, pictures))
        report("all together", pooled(judge, [p for part in found.values() for p in part]))


if __name__ == "__main__":
    main()
