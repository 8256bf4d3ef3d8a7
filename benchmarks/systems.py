"""Train the five systems in both forms, and write their table in docs/systems.md from the runs.

    python benchmarks/systems.py train DATA RUNS [--only s0-repaired …]
    python benchmarks/systems.py table DATA RUNS

DATA is the folder that holds ``train/free``, ``cifar10``, ``lfw`` and ``bench``. A run that was
cut is resumed, a finished one is left alone. S1 to S3 are judged on Set5 ×4, S0 and S4 on the
pictures that their recipe sets apart.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reslift.datasets.pairs import find_test_set
from reslift.evaluate import evaluate, load_models
from reslift.outcome import judge_run

PAGE = Path(__file__).parents[1] / "docs" / "systems.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


@dataclass(frozen=True)
class Trial:
    """One training: a recipe, what it changes, and the folder of its pictures below DATA."""

    recipe: str
    label: str
    folder: str
    changes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.recipe}-{self.label}"


PHOTOS = "train/free"
PUBLISHED = "model.arguments.form=published"
ARTICLE_RATE = ("phases.0.rate=1e-4", "phases.0.final_rate=1e-4", "phases.0.warmup=0")
HR_GRID = ("phases.0.batch=4", "phases.0.patch=32", "phases.0.steps=250")
DENSE_GRID = ("phases.0.batch=2", "phases.0.patch=24", "phases.0.steps=800")
FACES = ("model.arguments.width=64", "data.split_by=picture", "watch.min_delta=0.01")

TRIALS = (
    Trial("s0", "published", ".", (PUBLISHED,)),
    Trial("s0", "repaired", "."),
    Trial("s1", "published", PHOTOS, (PUBLISHED, *HR_GRID)),
    Trial("s1", "repaired", PHOTOS),
    Trial("s2", "published", PHOTOS, (PUBLISHED, *ARTICLE_RATE)),
    Trial("s2", "repaired", PHOTOS),
    Trial("s3", "published", PHOTOS, (PUBLISHED, *DENSE_GRID)),
    Trial("s3", "repaired", PHOTOS),
    Trial("s4", "published", ".", (PUBLISHED, *FACES, "phases.0.steps=110")),
    Trial("s4", "repaired", "."),
    Trial("s4", "repaired-random-split", ".", ("data.split_by=picture",)),
)


def train(trial: Trial, data: Path, runs: Path) -> None:
    """Train one trial to its end, from where it stands."""
    run = runs / trial.name
    command = [sys.executable, "-m", "reslift", "train"]
    if (run / "state.pt").is_file():
        command += ["--resume", str(run)]
    else:
        command += [trial.recipe, "--data", str(data / trial.folder), "--out", str(run)]
        command += [word for change in trial.changes for word in ("--set", change)]
    print(trial.name, flush=True)
    subprocess.run(command, check=True)


@dataclass(frozen=True)
class Result:
    """What one run came to, beside bicubic on the same pictures."""

    trial: Trial
    images: int
    ours: Mapping[str, float]
    bicubic: Mapping[str, float]
    gain: float
    interval: tuple[float, float] | None
    parameters: int
    steps: int
    minutes: float


ARTICLES = {
    "s0": ("S0 · bottleneck, 32 → 16 → 32", "no figure; no baseline"),
    "s1": ("S1 · U-Net ×4", "27.94 / 0.80 on its own split of DIV2K; protocol untold"),
    "s2": ("S2 · hourglass ×4", "no figure"),
    "s3": ("S3 · ISRNet ×4", "losses, printed as PSNR"),
    "s4": ("S4 · residual, faces 80 × 80", "MSE 0.0021 (26.8 dB) on all of LFW"),
}
JUDGED = {
    "s0": "CIFAR-10 sample, its test split",
    "s4": "LFW sample, its held-out split",
}
WORDS = {"published": "as published", "repaired": "**repaired**"}


def measure(trial: Trial, data: Path, runs: Path) -> Result:
    """Judge a run's best weights: on Set5, or on what its own recipe sets apart."""
    run = runs / trial.name
    if trial.recipe in JUDGED:
        found = judge_run(run, "cpu")[0].result
        name = found.sets[-1].name
    else:
        sets = [find_test_set(data / "bench" / "Set5", 4)]
        found = evaluate(load_models([run], 4, "cpu")[0], sets, scale=4)
        name = sets[0].name
    bicubic, ours = (row for row in found.summaries() if row.dataset == name)
    assert ours.contender.parameters is not None
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return Result(
        trial,
        ours.images,
        ours.means,
        bicubic.means,
        ours.gain,
        ours.interval,
        ours.contender.parameters,
        int(rows[-1]["step"]),
        rows[-1]["seconds"] / 60,
    )


def table(results: list[Result]) -> str:
    """The results as Markdown, a row a training; the article's own figure in the first."""
    lines = [
        "| system | the article's figure | form here | PSNR-Y / SSIM-Y | bicubic "
        "| gain, 95 % interval | MSE, bicubic's | parameters | training |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    seen: set[str] = set()
    for one in results:
        name, figure = ARTICLES[one.trial.recipe] if one.trial.recipe not in seen else ("", "")
        seen.add(one.trial.recipe)
        low, high = one.interval or (float("nan"), float("nan"))
        cells = [
            name,
            figure,
            WORDS.get(one.trial.label, one.trial.label.replace("-", ", ", 1).replace("-", " ")),
            f"{one.ours['psnr_y']:.2f} / {one.ours['ssim_y']:.4f}",
            f"{one.bicubic['psnr_y']:.2f} / {one.bicubic['ssim_y']:.4f}",
            f"{one.gain:+.2f} ({low:+.2f} to {high:+.2f})",
            f"{one.ours['mse']:.5f}, {one.bicubic['mse']:.5f}",
            f"{one.parameters:,}",
            f"{one.steps:,} steps, {one.minutes:.0f} min",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    places = [f"{ARTICLES[key][0].split(' ·')[0]}: {words}" for key, words in JUDGED.items()]
    counts = {one.trial.recipe: one.images for one in results}
    lines += ["", f"Judged on: S1 to S3: Set5 ×4, LR as shipped; {'; '.join(places)} "]
    lines[-1] += f"({counts.get('s0', 0)} and {counts.get('s4', 0)} pictures)."
    return "\n".join(lines)


def main() -> None:
    """Parse, then train or write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", choices=("train", "table"))
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--only", nargs="+", default=[trial.name for trial in TRIALS])
    given = parser.parse_args()
    chosen = [trial for trial in TRIALS if trial.name in given.only]
    if given.job == "train":
        for trial in chosen:
            train(trial, given.data, given.runs)
        return
    done = [trial for trial in chosen if (given.runs / trial.name / "best.safetensors").is_file()]
    text = table([measure(trial, given.data, given.runs) for trial in done])
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
