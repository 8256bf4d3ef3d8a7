"""Who writes a run's report: at the start, after each validation, and whole at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from reslift import advice, checkpoint
from reslift.advice import Advice
from reslift.backends.torch import choose_device
from reslift.datasets.base import ImageSet, Splits
from reslift.degradations import Degradation, make_degradation
from reslift.errors import CheckpointError
from reslift.evaluate.results import BASELINE
from reslift.features.st_lpips import STLPIPS
from reslift.models import SRModel
from reslift.outcome.measure import Findings, HeldOut, measure
from reslift.outcome.page import loss_chart, psnr_chart, render
from reslift.outcome.record import Outcome, Split, as_text
from reslift.recipe import Recipe
from reslift.report import as_file
from reslift.run import REPORT, Run
from reslift.validation import Pair, Score, Validator, read_pairs

Row = dict[str, Any]
Measured = Callable[[Findings], None]


class Reporter:
    """Keeps ``report.html`` and ``report.json`` of a run up to date.

    Args:
        run: its folder.
        recipe: what is trained.
        splits: its pictures.
        degradation: how LR is made.
        validator: the validation pictures, read.
        model: of the recipe; warnings are about it.

    Attributes:
        warnings: what should be known of this training; more are found at its end.
    """

    def __init__(
        self,
        run: Run,
        recipe: Recipe,
        splits: Splits,
        degradation: Degradation,
        validator: Validator,
        model: SRModel,
    ) -> None:
        self.run, self.recipe, self.validator = run, recipe, validator
        self.degradation, self.test = degradation, splits.test
        self.splits = {
            name: Split(len(images), None if images.labels is None else len(set(images.labels)))
            for name, images in splits.sets().items()
        }
        self._damage = describe(recipe, degradation, validator.pairs)
        self.warnings = advice.before(
            recipe.watch, splits, model, degradation, validator.pairs, validator.baseline
        )

    def update(
        self, rows: Sequence[Row], step: int, finished: bool = False, score: Score | None = None
    ) -> list[Advice]:
        """Write what is known while training goes on, without pictures.

        Returns:
            Warnings that the latest validation, ``score``, gives and that were not known before.
        """
        found = advice.min_delta(self.recipe.watch, score, "reached") if score else None
        news = [found] if found and all(found.code != old.code for old in self.warnings) else []
        self.warnings = advice.merged(self.warnings, news)
        self._write(self._outcome(rows, step, finished))
        return news

    def finish(
        self,
        rows: Sequence[Row],
        step: int,
        finished: bool,
        *,
        bounded: bool = True,
        features: STLPIPS | None = None,
        measured: Measured | None = None,
    ) -> Findings | None:
        """Measure the best weights on the held-out pictures and write the whole report.

        Args:
            rows: of the log.
            step: how far training went.
            finished: whether that is its end.
            bounded: take so many pictures only as cost little.
            features: on the CPU; measure the perceptual distance too.
            measured: is told what was found before it is written, for which there may be no room.

        Returns:
            What was found; None where the run has no weights yet.
        """
        try:
            file = checkpoint.resolve(self.run.folder)
        except CheckpointError:
            self.update(rows, step, finished)
            return None
        model, card = checkpoint.load(file)
        device = self.validator.pairs[0].lr.device
        model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        name = self.recipe.name if self.recipe.name != BASELINE else "model"
        findings = measure(model, name, self._held_out(), bounded=bounded, features=features)
        if measured is not None:
            measured(findings)
        means = findings.summaries[1].means if findings.summaries else {}
        score = Score(means.get("psnr_y", 0.0), means.get("mse", 0.0))
        found = advice.after(self.recipe.watch, model, self.validator.pairs, score)
        self.warnings = advice.merged(self.warnings, found)
        weights = ", ".join([file.name, *card.notes])
        self._write(self._outcome(rows, step, finished, findings, weights))
        return findings

    def _outcome(
        self,
        rows: Sequence[Row],
        step: int,
        finished: bool,
        findings: Findings | None = None,
        weights: str = "",
    ) -> Outcome:
        return Outcome(
            self.recipe,
            self.run.facts(),
            self.splits,
            self._damage,
            rows,
            step,
            finished,
            self.warnings,
            weights,
            findings,
        )

    def _write(self, outcome: Outcome) -> None:
        if outcome.rows:
            self.run.write_text("loss.svg", as_file(loss_chart(outcome.rows)))
            self.run.write_text("psnr.svg", as_file(psnr_chart(outcome.rows)))
        self.run.write_text(REPORT, as_text(outcome))
        self.run.write_text("report.html", render(outcome))

    def _held_out(self) -> list[HeldOut]:
        pairs = self.validator.pairs
        splits = [HeldOut("validation", len(pairs), pairs.__getitem__, self._damage)]
        if self.test is not None:
            splits.append(HeldOut("test", len(self.test), self._tested(self.test), self._damage))
        return splits

    def _tested(self, images: ImageSet) -> Any:
        device, crop = self.validator.pairs[0].lr.device, self.recipe.data.validation_crop

        def load(number: int) -> Pair | None:
            one = read_pairs(images.part([number]), self.degradation, device, crop)
            return next((pair for pair, _ in one), None)

        return load


def describe(recipe: Recipe, degradation: Degradation, pairs: Sequence[Pair]) -> str:
    """How the pictures of a run are made, in words; ``pairs`` are some of them, cropped."""
    words, resize, crop = degradation.describe(), recipe.data.resize, recipe.data.validation_crop
    if resize:
        words += f"; HR brought to {resize}x{resize}, antialiased bilinear"
    side = crop // recipe.scale * recipe.scale
    if crop and any(side in pair.hr.shape[2:] for pair in pairs):
        words += f"; then the middle {side}x{side} HR pixels"
    return words


def judge_run(
    folder: Path,
    device: str = "auto",
    features: STLPIPS | None = None,
    measured: Measured | None = None,
) -> tuple[Findings, list[Advice]]:
    """Measure a run on all of its own held-out pictures, and write its report anew.

    With ``features``, on the CPU, the perceptual distance is measured too. ``measured`` is told
    what was found before the report is written.

    Raises:
        CheckpointError: it is no run folder, or has no weights yet.
        ResliftError: its pictures are gone.
    """
    run = Run.open(folder)
    recipe = run.recipe()
    place = torch.device(choose_device(device))
    checkpoint.resolve(folder)
    degradation = make_degradation(
        recipe.degradation.name, recipe.scale, recipe.degradation.arguments
    )
    root = Path(run.facts().get("data_root", "."))
    splits = run.splits(recipe, root)
    validator = Validator(splits.validation, degradation, place, recipe.data.validation_crop)
    model, _ = checkpoint.load(folder)
    model.to(place)
    rows, known = run.rows(), run.read_json(REPORT).get("run", {})
    step = known.get("step", rows[-1]["step"] if rows else 0)
    finished = known.get("finished", step >= recipe.steps)
    reporter = Reporter(run, recipe, splits, degradation, validator, model)
    findings = reporter.finish(
        rows, step, finished, bounded=False, features=features, measured=measured
    )
    assert findings is not None
    return findings, reporter.warnings
