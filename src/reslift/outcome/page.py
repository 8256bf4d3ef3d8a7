"""The report of a training as one HTML page, which looks like that of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from reslift.evaluate import Evaluation
from reslift.evaluate.page import gain_charts, subject_row, summary_table, verdict
from reslift.outcome.record import Outcome, sentence
from reslift.recipe import to_toml
from reslift.report import (
    ERROR_TOP,
    Column,
    Html,
    Series,
    colour_scale,
    facts,
    line_chart,
    page,
    section,
    table,
    tag,
)

Row = dict[str, Any]

SCALES = {1: "on the same grid"}
FACTS = {"bicubic_psnr_y": "PSNR-Y of bicubic", "data_root": "data"}
LOSS_NOTE = (
    "Loss: of training, on its random patches, with the weights of each step; of validation and of "
    "bicubic, on the held-out pictures. PSNR-Y is of the averaged weights; training pictures are a "
    "small fixed sample, with bicubic's value on the same."
)
GRID_NOTE = (
    "From the smallest gain over bicubic to the largest; LR enlarged as squares. Of large pictures "
    "the part in which the model errs most."
)
WORST_NOTE = "Exact pixels, stored without loss. Click a picture to compare two under a slider."


def render(outcome: Outcome) -> str:
    """The whole page; what is not known yet is left out."""
    recipe = outcome.recipe
    title = f"{recipe.name}, {SCALES.get(recipe.scale, f'×{recipe.scale}')}"
    seconds = outcome.rows[-1].get("seconds") if outcome.rows else None
    time = f", {seconds / 60:.1f} minutes" if seconds else ""
    head = f"{outcome.standing}{time}; {outcome.made:%Y-%m-%d %H:%M}"
    return page(
        title,
        tag("h1", title),
        tag("p", recipe.summary) if recipe.summary else None,
        tag("p", head, class_="note"),
        _verdicts(outcome),
        _warnings(outcome),
        _table(outcome),
        section(
            "Curves",
            tag("div", psnr_chart(outcome.rows), loss_chart(outcome.rows), class_="charts"),
            note=LOSS_NOTE,
        ),
        _gains(outcome),
        *_pictures(outcome),
        _data(outcome),
        section("Recipe", tag("pre", to_toml(recipe).strip())),
        _environment(outcome),
    )


def psnr_chart(rows: Sequence[Row]) -> Html:
    """PSNR-Y of held-out pictures and of a sample of the training pictures, beside bicubic."""
    held = _series("validation", rows, "psnr_y")
    known = any("train_psnr_y" in row for row in rows)
    more = [
        _series("training pictures", rows, "train_psnr_y"),
        _series("bicubic of training pictures", rows, "train_bicubic_psnr_y"),
    ]
    return line_chart(
        [held, *(more if known else [])],
        x_label="step",
        y_label="PSNR-Y, dB",
        references={"bicubic of validation": rows[-1]["bicubic_psnr_y"]} if rows else {},
    )


def loss_chart(rows: Sequence[Row]) -> Html:
    """The loss of training, of held-out pictures and of bicubic on them."""
    named = {
        "training": "loss",
        "validation": "validation_loss",
        "bicubic of validation": "bicubic_loss",
    }
    series = [
        _series(label, rows, key)
        for label, key in named.items()
        if not rows or any(key in row for row in rows)
    ]
    return line_chart(series, x_label="step", y_label="loss")


def _series(label: str, rows: Sequence[Row], key: str) -> Series:
    values = [math.nan if row.get(key) is None else row[key] for row in rows]
    return Series(label, [row["step"] for row in rows], values)


def _verdicts(outcome: Outcome) -> list[Html]:
    if outcome.findings is None:
        text = "Not judged yet: the held-out pictures are measured when training ends or pauses."
        return [tag("p", text, class_="verdict")]
    parts = []
    for summary in outcome.judged:
        parts.append(verdict(summary))
        parts.append(tag("p", sentence(summary, outcome.findings.result), class_="plain"))
    if not outcome.finished:
        parts.append(
            tag(
                "p", f"Training was {outcome.standing}: this is what it had reached.", class_="note"
            )
        )
    return parts


def _warnings(outcome: Outcome) -> Html | None:
    if not outcome.warnings:
        return None
    lines = [
        tag(
            "p",
            tag("b", advice.code),
            f": {advice.text}. What to do: {advice.remedy}.",
            class_="warning",
        )
        for advice in outcome.warnings
    ]
    return section("Warnings", lines)


def _table(outcome: Outcome) -> Html | None:
    if outcome.findings is None:
        return None
    result = outcome.findings.result
    failed = [f"{f.dataset}/{f.image}: {f.reason}" for f in result.failures]
    return section(
        "Held-out pictures",
        summary_table(outcome.findings.summaries),
        [tag("p", line, class_="warning") for line in failed],
        [tag("p", f"LR of {name}: {lr}.", class_="note") for name, lr in _origins(result)],
        tag("p", result.protocol + _missing(result), class_="note"),
        note=f"Weights: {outcome.weights}. Gain with the 95 % interval of 10,000 paired bootstrap "
        "draws of the pictures.",
    )


def _missing(result: Evaluation) -> str:
    """Where the perceptual distance is to be had; training leaves it out, for it takes long."""
    measured = any("st_lpips" in scores for row in result.rows for scores in row.scores.values())
    return "" if measured else " `reslift evaluate` with this run's folder measures it too."


def _origins(result: Evaluation) -> list[tuple[str, str]]:
    """Names of the sets that share a way to make LR, and the way."""
    ways: dict[str, list[str]] = {}
    for one in result.sets:
        ways.setdefault(one.lr, []).append(one.name)
    return [(" and ".join(names), lr) for lr, names in ways.items()]


def _gains(outcome: Outcome) -> Html | None:
    if outcome.findings is None:
        return None
    result, shown = outcome.findings.result, outcome.findings.shown
    return gain_charts(replace(result, rows=result.rows_of(shown)))


def _pictures(outcome: Outcome) -> list[Html]:
    findings = outcome.findings
    if findings is None or not findings.worst:
        return []
    scale, shown = outcome.recipe.scale, findings.shown
    grid = [subject_row(n, s, scale, errors=False) for n, s in enumerate(findings.samples, 1)]
    worst = [subject_row(n, s, scale) for n, s in enumerate(findings.worst, 1)]
    legend = colour_scale("|SR − HR| of luma, in levels of 255", ERROR_TOP)
    parts = []
    if grid:
        parts.append(section(f"{shown.capitalize()} pictures", grid, note=GRID_NOTE))
    title = "Worst errors" if grid else f"{shown.capitalize()} pictures, worst first"
    order = "Lowest PSNR-Y first. " if grid else "Smallest gain first. "
    parts.append(section(title, legend, worst, note=order + WORST_NOTE))
    return parts


def _data(outcome: Outcome) -> Html:
    part = outcome.recipe.data
    rows = [
        [name, f"{split.pictures:,}", "–" if split.labels is None else f"{split.labels:,}"]
        for name, split in outcome.splits.items()
    ]
    about = {
        "data set": f"{part.name}: {', '.join(part.train)}",
        "LR": outcome.damage,
        "drawn by": part.split_by,
        "seed": str(outcome.recipe.seed),
    }
    columns = [Column("split"), Column("pictures", True), Column("labels", True)]
    return section("Data", tag("div", table(columns, rows), facts(about), class_="charts"))


def _environment(outcome: Outcome) -> Html:
    known = dict(outcome.facts)
    command = known.pop("command", None)
    words = " ".join(map(str, command)) if isinstance(command, list) else command
    named = {FACTS.get(key, key.replace("_", " ")): _fact(value) for key, value in known.items()}
    return section("Environment", facts(named), tag("pre", words) if words else None)


def _fact(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
