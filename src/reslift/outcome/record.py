"""What is known of a run, and ``report.json``: the same for programs.

::

    run        name, model, arguments, scale, step, steps, finished, parameters,
               seconds (of training)
    data       of a split: pictures, labels (classes or persons; null where there are none)
    weights    which were measured
    summary    of a set and model: images, psnr_y, ssim_y, psnr_rgb, mse, gain_psnr_y,
               gain_interval_95, verdict, ms_per_output_megapixel; bicubic first
    verdicts   of a set: verdict (better, worse, not distinguishable), sentence
    warnings   code, text, remedy
    sets, protocol, environment, failures, made

``summary`` and ``verdicts`` are empty until the end of a sitting.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reslift.advice import Advice
from reslift.evaluate.results import BASELINE, Evaluation, Summary
from reslift.evaluate.save import as_json
from reslift.outcome.measure import Findings
from reslift.recipe import Recipe

Row = dict[str, Any]
VISIBLE = 0.1


@dataclass(frozen=True)
class Split:
    """How many pictures a split has, and of how many labels; None where it has none."""

    pictures: int
    labels: int | None


@dataclass(frozen=True)
class Outcome:
    """Everything that the report of a run says.

    Attributes:
        recipe: what was trained.
        facts: of ``environment.json``.
        splits: by name.
        damage: how LR is made, in words.
        rows: of ``log.jsonl``.
        step: how far training went.
        finished: all steps done, or patience used up.
        warnings: what should be known of this training.
        weights: file and step of the weights that were measured; empty where none were.
        findings: what they came to; None before the end of a sitting.
    """

    recipe: Recipe
    facts: Mapping[str, Any]
    splits: Mapping[str, Split]
    damage: str
    rows: Sequence[Row]
    step: int
    finished: bool
    warnings: Sequence[Advice] = ()
    weights: str = ""
    findings: Findings | None = None
    made: datetime = field(default_factory=lambda: datetime.now().astimezone())

    @property
    def judged(self) -> list[Summary]:
        """The model's summary of each split."""
        every = self.findings.summaries if self.findings else []
        return [summary for summary in every if summary.contender.name != BASELINE]

    @property
    def standing(self) -> str:
        """How far it went, in words."""
        steps = self.recipe.steps
        if self.step >= steps:
            return f"all {steps:,} steps"
        if self.finished:
            return f"stopped by patience at step {self.step:,} of {steps:,}"
        return f"cut at step {self.step:,} of {steps:,}"


def sentence(summary: Summary, result: Evaluation) -> str:
    """The verdict in plain words."""
    name = summary.contender.name
    gains = [row.gain(name) for row in result.rows_of(summary.dataset)]
    better, count = sum(gain > 0 for gain in gains), len(gains)
    if count < 2:
        return "One picture cannot tell which of the two is better: hold out more of them."
    if summary.verdict == "better":
        seen = "" if summary.gain >= VISIBLE else f" A gain under {VISIBLE} dB is not to be seen."
        return (
            f"Its pictures are closer to HR than bicubic's, on {better:,} of {count:,} of them by "
            f"PSNR-Y.{seen}"
        )
    if summary.verdict == "worse":
        return (
            f"Not better: bicubic interpolation, which learns nothing, is closer to HR on "
            f"{count - better:,} of {count:,} pictures. For this task bicubic is the better choice."
        )
    return (
        f"Not better: the difference is no larger than chance makes it with {count:,} pictures; "
        f"{better:,} gain and {count - better:,} do not."
    )


def as_record(outcome: Outcome) -> Row:
    """What ``report.json`` holds; see above."""
    recipe, last = outcome.recipe, outcome.rows[-1] if outcome.rows else {}
    record: Row = {
        "run": {
            "name": recipe.name,
            "model": recipe.model.name,
            "arguments": recipe.model.arguments,
            "scale": recipe.scale,
            "step": outcome.step,
            "steps": recipe.steps,
            "finished": outcome.finished,
            "seconds": last.get("seconds"),
            "parameters": outcome.facts.get("parameters"),
        },
        "data": {name: vars(split) for name, split in outcome.splits.items()},
        "damage": outcome.damage,
        "weights": outcome.weights or None,
        "summary": [],
        "verdicts": [],
        "warnings": [advice.as_dict() for advice in outcome.warnings],
        "environment": dict(outcome.facts),
        "made": outcome.made.isoformat(timespec="seconds"),
    }
    if outcome.findings is not None:
        result = outcome.findings.result
        whole = as_json(result, "", record["made"])
        record |= {key: whole[key] for key in ("summary", "sets", "protocol", "failures")}
        record["verdicts"] = [
            {
                "set": summary.dataset,
                "verdict": summary.verdict,
                "sentence": sentence(summary, result),
            }
            for summary in outcome.judged
        ]
    return record


def as_text(outcome: Outcome) -> str:
    """``report.json``."""
    return json.dumps(as_record(outcome), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
