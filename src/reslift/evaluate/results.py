"""What an evaluation found, and what can be said from it: means, gains, intervals. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

BASELINE = "bicubic"
RESAMPLES = 10_000
CONFIDENCE = 0.95
NAN = math.nan


@dataclass(frozen=True)
class Contender:
    """A row of the summary: bicubic or a model.

    Attributes:
        name: unique in an evaluation; the first is always ``bicubic``.
        parameters, macs: learned values, and multiply-adds for a 1280×720 output; None for bicubic
            and, the latter, for a model that takes one fixed size.
        device: where it ran.
    """

    name: str
    parameters: int | None = None
    macs: int | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class ImageRow:
    """One picture: ``scores[contender][metric]``, and milliseconds an output megapixel.

    trust: by contender the quantities of ``evaluate.trust``; empty where they were not measured.
    """

    dataset: str
    image: str
    width: int
    height: int
    scores: Mapping[str, Mapping[str, float]]
    ms_per_megapixel: Mapping[str, float]
    notes: tuple[str, ...] = ()
    trust: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def gain(self, name: str, metric: str = "psnr_y") -> float:
        """By how much a contender is above bicubic; 0 where both are exact (infinite)."""
        ours, base = self.scores[name][metric], self.scores[BASELINE][metric]
        return 0.0 if ours == base else ours - base


@dataclass(frozen=True)
class Failure:
    """A picture that could not be judged, and why, in one line."""

    dataset: str
    image: str
    reason: str


@dataclass(frozen=True)
class SetInfo:
    """A test set and where its LR pictures came from, in words."""

    name: str
    lr: str
    images: int


@dataclass(frozen=True)
class Summary:
    """One contender on one set: means over its images and the paired gain over bicubic.

    Attributes:
        means: a mean for each metric; NaN where no image has a finite value.
        gain: mean over images of PSNR-Y minus that of bicubic, dB.
        interval: 95 % bootstrap interval of ``gain``; None for bicubic or fewer than two images.
        images: how many the means are over.
        ms_per_megapixel: median over the images.
        trust: quantities of ``evaluate.trust`` over the images; empty where not measured.
    """

    dataset: str
    contender: Contender
    means: Mapping[str, float]
    gain: float
    interval: tuple[float, float] | None
    images: int
    ms_per_megapixel: float
    trust: Mapping[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``not distinguishable``, by the interval."""
        if self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return "not distinguishable"
        return "better" if self.interval[0] > 0 else "worse"


@dataclass
class Evaluation:
    """Everything that ``evaluate`` measured."""

    scale: int
    shave: int
    protocol: str
    contenders: list[Contender]
    sets: list[SetInfo] = field(default_factory=list)
    rows: list[ImageRow] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    environment: dict[str, str | int | None] = field(default_factory=dict)

    @property
    def metrics(self) -> list[str]:
        """Names of the numbers that each row holds for each contender."""
        return list(self.rows[0].scores[BASELINE]) if self.rows else []

    def rows_of(self, dataset: str) -> list[ImageRow]:
        """The rows of one set."""
        return [row for row in self.rows if row.dataset == dataset]

    def summaries(self) -> list[Summary]:
        """A summary for each set and contender, bicubic first in each set."""
        return [
            summarise(s.name, contender, self.rows_of(s.name))
            for s in self.sets
            if self.rows_of(s.name)
            for contender in self.contenders
        ]


def summarise(dataset: str, contender: Contender, rows: Sequence[ImageRow]) -> Summary:
    """Means of a contender; an image where any contender's value is not finite is left out of the
    mean of that metric, and of the gain in PSNR-Y."""
    name = contender.name
    means = {}
    for metric in rows[0].scores[name]:
        values = [row.scores[name][metric] for row in usable_rows(rows, metric)]
        means[metric] = float(np.mean(values)) if values else NAN
    gains = [row.gain(name) for row in usable_rows(rows, "psnr_y")]
    times = [t for t in (row.ms_per_megapixel[name] for row in rows) if math.isfinite(t)]
    return Summary(
        dataset,
        contender,
        means,
        float(np.mean(gains)) if gains else NAN,
        None if name == BASELINE else bootstrap(gains),
        len(gains),
        float(np.median(times)) if times else NAN,
        pooled([row.trust[name] for row in rows if name in row.trust]),
    )


def usable_rows(rows: Sequence[ImageRow], metric: str) -> list[ImageRow]:
    """Those where the metric of every contender is finite."""
    return [r for r in rows if all(math.isfinite(s[metric]) for s in r.scores.values())]


def pooled(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of a set: the largest consistency error, the means of the rest over images that have it."""
    found: dict[str, float] = {}
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows if not math.isnan(row[name])]
        pool = np.max if name == "consistency_max" else np.mean
        found[name] = float(pool(values)) if values else math.nan
    return found


def bootstrap(values: Sequence[float], seed: int = 0) -> tuple[float, float] | None:
    """The 95 % percentile interval of a mean, images drawn with replacement 10,000 times.

    The same values give the same interval. None for fewer than two values.
    """
    if len(values) < 2:
        return None
    rng, data = np.random.default_rng(seed), np.asarray(values, np.float64)
    means = [
        data[rng.integers(len(data), size=(100, len(data)))].mean(1)
        for _ in range(RESAMPLES // 100)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)
