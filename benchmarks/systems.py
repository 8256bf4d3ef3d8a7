"""Train the five systems in both forms, and write their table in docs/systems.md from the runs.

    python benchmarks/systems.py train DATA RUNS [--only s0-repaired …]
    python benchmarks/systems.py table DATA RUNS

DATA is the folder that holds ``train``, ``cifar10``, ``lfw`` and ``bench``. A run that was cut is
resumed, a finished one is left alone. S1 to S3 are judged on Set5 ×4, S0 and S4 on the pictures
that their recipe sets apart.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reslift.checkpoint import read_card
from reslift.run import BEST

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


PUBLISHED = "model.arguments.form=published"
ARTICLE_RATE = ("phases.0.rate=1e-4", "phases.0.final_rate=1e-4", "phases.0.warmup=0")
HR_GRID = ("phases.0.batch=4", "phases.0.patch=32", "phases.0.steps=400")
DENSE_GRID = ("phases.0.batch=2", "phases.0.patch=24", "phases.0.steps=800")
FACES = ("model.arguments.width=64", "data.split_by=picture", "watch.min_delta=0.01")

TRIALS = (
    Trial("s0", "published", ".", (PUBLISHED,)),
    Trial("s0", "repaired", "."),
    Trial("s1", "published", "train", (PUBLISHED, *HR_GRID)),
    Trial("s1", "repaired", "train"),
    Trial("s2", "published", "train", (PUBLISHED, *ARTICLE_RATE)),
    Trial("s2", "repaired", "train"),
    Trial("s3", "published", "train", (PUBLISHED, *DENSE_GRID)),
    Trial("s3", "repaired", "train"),
    Trial("s4", "published", ".", (PUBLISHED, *FACES, "phases.0.steps=165")),
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
