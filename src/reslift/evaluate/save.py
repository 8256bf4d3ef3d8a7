"""An evaluation on the disk: results.json, results.csv and report.html, each whole or not there."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from reslift import report
from reslift.errors import OutputExists, one_line
from reslift.evaluate.gallery import Subject
from reslift.evaluate.page import render
from reslift.evaluate.results import BASELINE, Evaluation
from reslift.evaluate.trust import TRUST
from reslift.files import atomic_write, make_folder, try_folder
from reslift.metrics import shown

JSON, CSV, PAGE = "results.json", "results.csv", "report.html"


def prepare(folder: Path, *, overwrite: bool) -> None:
    """Refuse, before the work starts, what would be overwritten or cannot be made.

    Raises:
        OutputExists: a result is there and ``overwrite`` is False.
        OutputError: the folder cannot be made.
    """
    try_folder(folder)
    for name in (JSON, CSV, PAGE):
        if (folder / name).exists() and not overwrite:
            raise OutputExists(
                f"{one_line(folder / name)} exists; name another --out or add --overwrite"
            )


def save(
    folder: Path,
    result: Evaluation,
    subjects: Sequence[Subject],
    command: str,
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Make the folder, write the three files and return their paths.

    Raises:
        OutputExists, OutputError: a file exists or cannot be written.
    """
    make_folder(folder)
    now = datetime.now().astimezone()
    texts = {
        JSON: json.dumps(
            as_json(result, command, now.isoformat(timespec="seconds")),
            indent=1,
            ensure_ascii=False,
            allow_nan=False,
        )
        + "\n",
        CSV: as_csv(result),
        PAGE: render(result, subjects, command, f"{now:%Y-%m-%d %H:%M}"),
    }
    paths = []
    for name, text in texts.items():
        with atomic_write(folder / name, overwrite=overwrite) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
        paths.append(folder / name)
    return paths


def as_json(result: Evaluation, command: str, made: str) -> dict[str, Any]:
    """The evaluation as plain values; an infinite PSNR is ``"inf"``, what is undefined null."""
    return {
        "protocol": result.protocol,
        "scale": result.scale,
        "shave": result.shave,
        "command": command,
        "made": made,
        "environment": result.environment,
        "sets": [{"name": s.name, "lr": s.lr, "images": s.images} for s in result.sets],
        "models": [
            {
                "name": c.name,
                "parameters": c.parameters,
                "multiply_adds_1280x720": c.macs,
                "device": c.device,
            }
            for c in result.contenders
        ],
        "summary": [
            {
                "set": s.dataset,
                "model": s.contender.name,
                "images": s.images,
                **{key: _plain(value) for key, value in s.means.items()},
                "gain_psnr_y": _plain(s.gain),
                "gain_interval_95": list(s.interval) if s.interval else None,
                "verdict": None if s.contender.name == BASELINE else s.verdict,
                "ms_per_output_megapixel": _plain(s.ms_per_megapixel),
                "trust": {key: _plain(value) for key, value in s.trust.items()},
            }
            for s in result.summaries()
        ],
        "images": [
            {
                "set": row.dataset,
                "image": row.image,
                "width": row.width,
                "height": row.height,
                "scores": {n: {k: _plain(v) for k, v in s.items()} for n, s in row.scores.items()},
                "gain_psnr_y": {c.name: _plain(row.gain(c.name)) for c in result.contenders[1:]},
                "ms_per_output_megapixel": {n: _plain(v) for n, v in row.ms_per_megapixel.items()},
                "trust": {n: {k: _plain(v) for k, v in t.items()} for n, t in row.trust.items()},
                "notes": list(row.notes),
            }
            for row in result.rows
        ],
        "failures": [
            {"set": f.dataset, "image": f.image, "reason": f.reason} for f in result.failures
        ],
        "warnings": result.warnings,
    }


def as_csv(result: Evaluation) -> str:
    """A line an image and contender."""
    metrics = list(shown(result.metrics))
    head = ["set", "image", "width", "height", "model", *metrics, "gain_psnr_y"]
    trusted = list(TRUST) if any(row.trust for row in result.rows) else []
    rows: list[list[str | int | float]] = []
    for row in result.rows:
        for name, scores in row.scores.items():
            rows.append([row.dataset, row.image, row.width, row.height, name])
            rows[-1] += [scores[key] for key in metrics]
            rows[-1] += [row.gain(name), row.ms_per_megapixel[name]]
            rows[-1] += [row.trust[name][key] for key in trusted]
    return report.as_csv([*head, "ms_per_output_megapixel", *trusted], rows)


def _plain(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return round(value, 10) if math.isfinite(value) else ("inf" if value > 0 else "-inf")
