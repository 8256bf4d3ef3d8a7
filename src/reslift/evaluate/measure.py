"""Running models over test sets.

::

    HR, LR files ── read_pair ── lr ──┬── bicubic ──┐
                                      └── models ───┴── metrics against hr ── a row an image
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from reslift import __version__
from reslift.checkpoint import read_card, resolve, zoo
from reslift.datasets.pairs import Pair, PairFiles, TestSet, read_pair, round8
from reslift.degradations import Bicubic, Degradation, make_degradation
from reslift.errors import ResliftError, UnknownName, UsageError, one_line
from reslift.evaluate import trust as trusted
from reslift.evaluate.results import (
    BASELINE,
    Contender,
    Evaluation,
    Failure,
    ImageRow,
    SetInfo,
)
from reslift.features.st_lpips import STLPIPS
from reslift.limits import DEFAULT, Limits
from reslift.machine import usable_cores
from reslift.metrics import METRICS
from reslift.pixels.resize import bicubic_upscale
from reslift.recipe import parse
from reslift.upscale import Upscaler, load

if TYPE_CHECKING:
    from reslift.uncertainty import Judge

OUTPUT_720P = (720, 1280)
WARM_UP_SIDE = 256
MEGA = 1e6
PERCEPTUAL_PROTOCOL = (
    "ST-LPIPS: shift-tolerant LPIPS over AlexNet (Ghildyal and Liu 2022) of whole pictures, "
    "nothing shaved; 0 is alike, lower is better."
)


@dataclass(frozen=True)
class Runner:
    """A contender and how it answers: (1, C, H, W) uint8 → (1, C, sH, sW) uint8.

    judge: its intervals, where it is calibrated.
    """

    contender: Contender
    run: Callable[[Tensor], Tensor]
    judge: Judge | None = None


Watcher = Callable[[ImageRow | Failure, Pair | None, dict[str, Tensor]], None]
"""Called after each image with its row, the pair and the SR pictures by contender."""


def evaluate(
    upscalers: Sequence[tuple[str, Upscaler]],
    sets: Sequence[TestSet],
    *,
    scale: int,
    degradation: Degradation | None = None,
    allow_shift: bool = False,
    side: int = 0,
    limits: Limits = DEFAULT,
    features: STLPIPS | None = None,
    trust: bool = False,
    watcher: Watcher | None = None,
) -> Evaluation:
    """Judge models on test sets, bicubic always first.

    Args:
        upscalers: name and Upscaler of each model; none judges bicubic alone.
        sets: pictures, from :func:`reslift.datasets.pairs.find_test_set`.
        scale: of all models and sets.
        degradation: makes LR where none is shipped; MATLAB bicubic when None.
        allow_shift: judge pairs whose LR is shifted, with a warning.
        side: bring HR pictures to this side first, as ``data.resize`` of a recipe does.
        limits: how large pictures may be.
        features: measure the perceptual distance too; None leaves it out.
        trust: measure agreement with LR, intervals and what was added too, above scale 1.
        watcher: called after each image.

    Returns:
        A row an image, and the pictures that could not be judged, a line each.

    Raises:
        UsageError: a model has another scale, or two share a name.
    """
    kernel = degradation or Bicubic(scale)
    runners = make_runners(upscalers, scale)
    shave = scale if scale > 1 else 0
    result = Evaluation(
        scale, shave, protocol(shave, features is not None), [r.contender for r in runners]
    )
    result.environment = environment(runners)
    warm = False
    for test_set in sets:
        origin = f"made from HR: {kernel.describe()}" if test_set.made else "shipped files"
        if test_set.made and side:
            origin += f"; HR brought to {side}x{side}, antialiased bilinear"
        result.sets.append(SetInfo(test_set.name, origin, len(test_set.files)))
        for files in test_set.files:
            try:
                pair = read_pair(files, kernel, allow_shift=allow_shift, limits=limits, side=side)
                if not warm:
                    _warm_up(runners, pair)
                    warm = True
                row, answers = judge(test_set.name, files, pair, runners, shave, features)
                if trust and scale > 1:
                    row = replace(row, trust=_trust(pair, runners, answers, shave))
            except (ResliftError, MemoryError) as error:
                failure = Failure(test_set.name, files.name, _reason(files, error))
                result.failures.append(failure)
                if watcher is not None:
                    watcher(failure, None, {})
                continue
            result.rows.append(row)
            if watcher is not None:
                watcher(row, pair, answers)
    result.warnings = _warnings(result)
    return result


def make_runners(upscalers: Sequence[tuple[str, Upscaler]], scale: int) -> list[Runner]:
    """Bicubic and the models.

    Raises:
        UsageError: a model has another scale, or two share a name.
    """
    runners = [Runner(Contender(BASELINE), lambda lr: _bicubic(lr, scale))]
    for name, upscaler in upscalers:
        if upscaler.scale != scale:
            raise UsageError(
                f"model {one_line(name)} has scale {upscaler.scale}, this evaluation has {scale}: "
                f"give --scale {upscaler.scale} or another model"
            )
        if any(name == other.contender.name for other in runners):
            raise UsageError(f"model {one_line(name)} is given twice; name each model once")
        height, width = (max(1, round(side / scale)) for side in OUTPUT_720P)
        contender = Contender(
            name,
            upscaler.model.parameter_count(),
            None if upscaler.model.size else upscaler.model.macs(height, width),
            upscaler.engine,
        )
        runners.append(Runner(contender, upscaler, trusted.judge_of(upscaler)))
    return runners


def preparation(
    upscalers: Sequence[tuple[str, Upscaler]], scale: int
) -> tuple[Degradation | None, int]:
    """The damage that models at scale 1 were trained to repair, and ``data.resize``.

    Above scale 1 the task is the same for all, MATLAB's bicubic of whole pictures: (None, 0).

    Raises:
        UsageError: scale 1 without a model, or with models that repair different damage.
    """
    if scale > 1:
        return None, 0
    tasks = {}
    for name, upscaler in upscalers:
        if not upscaler.card.recipe:
            raise UsageError(f"{one_line(name)}: its card has no recipe, so its task is unknown")
        chosen = parse(upscaler.card.recipe, f"the card of {one_line(name)}")
        damage = chosen.degradation
        tasks[name] = (damage.name, damage.arguments, chosen.data.resize)
    first = next(iter(tasks.values()), None)
    if first is None or any(task != first for task in tasks.values()):
        raise UsageError(
            "at scale 1 the pictures are damaged as the models' recipes say: name models, all "
            "trained on the same damage"
        )
    return make_degradation(first[0], 1, first[1]), first[2]


def load_models(
    names: Sequence[str | Path],
    scale: int | None,
    device: str,
    limits: Limits = DEFAULT,
    backend: str = "torch",
) -> tuple[list[tuple[str, Upscaler]], int]:
    """Models by zoo name, file or run folder, and the scale that all of them share.

    Raises:
        UsageError: no scale given and none to be told from the models, or they differ.
        UnknownName, CheckpointError: no such model, or a damaged one.
    """
    found = scale or _scale_of(names)
    models: list[tuple[str, Upscaler]] = []
    for name in names:
        upscaler = load(name, found, device, limits=limits, backend=backend)
        taken = {BASELINE, *(label for label, _ in models)}
        labels = (upscaler.card.name, Path(name).stem, str(name))
        models.append((next((one for one in labels if one not in taken), str(name)), upscaler))
    return models, found


def judge(
    dataset: str,
    files: PairFiles,
    pair: Pair,
    runners: Sequence[Runner],
    shave: int,
    features: STLPIPS | None = None,
) -> tuple[ImageRow, dict[str, Tensor]]:
    """One picture through every contender and every metric.

    Raises:
        InputError: the picture is too small to be judged.
    """
    height, width = pair.hr.shape[2:]
    if min(height, width) <= 2 * shave:
        raise ResliftError(
            f"{one_line(files.hr)}: {width}x{height} leaves nothing when {shave} pixels are shaved"
        )
    scores: dict[str, dict[str, float]] = {}
    times: dict[str, float] = {}
    answers: dict[str, Tensor] = {}
    hr = pair.hr.double() / 255
    for runner in runners:
        name, begun = runner.contender.name, time.perf_counter()
        given = pair.baseline if name == BASELINE else None
        sr = runner.run(pair.lr) if given is None else given
        times[name] = (time.perf_counter() - begun) * 1e3 / (height * width / MEGA)
        answers[name] = sr
        scores[name] = {
            key: metric.function(sr.double() / 255, hr, shave).item()
            for key, metric in METRICS.items()
        }
    if features is not None:
        distances = features.measure([sr / 255 for sr in answers.values()], pair.hr / 255)
        for name, distance in zip(answers, distances, strict=True):
            scores[name]["st_lpips"] = distance
    row = ImageRow(dataset, files.name, width, height, scores, times, pair.notes)
    return row, answers


def _trust(
    pair: Pair, runners: Sequence[Runner], answers: Mapping[str, Tensor], shave: int
) -> dict[str, dict[str, float]]:
    lr, hr = (picture[0].permute(1, 2, 0).cpu().numpy() for picture in (pair.lr, pair.hr))
    found = {}
    for runner in runners:
        sr = answers[runner.contender.name][0].permute(1, 2, 0).cpu().numpy()
        found[runner.contender.name] = trusted.measure(lr, sr, hr, shave, runner.judge)
    return found


def protocol(shave: int, perceptual: bool = False) -> str:
    """How the numbers are measured, in one paragraph; it goes wherever they go."""
    start = "" if shave else " of the small picture that LR was made from, or of LR where it ships"
    return (
        "PSNR-Y and SSIM-Y per image, then the mean over images. BT.601 luma in [16, 235] "
        "(MATLAB rgb2ycbcr), kept as float; a gray HR file on its gray values. SR rounded to "
        f"8 bits; {shave} pixels shaved from each border. SSIM: 11×11 Gaussian, σ 1.5, valid "
        f"window, data range 255. Baseline: MATLAB bicubic in float, rounded once{start}. "
        + (PERCEPTUAL_PROTOCOL if perceptual else "ST-LPIPS was not measured.")
    )


def environment(runners: Sequence[Runner] = ()) -> dict[str, str | int | None]:
    """Versions and machine."""
    devices = sorted({r.contender.device for r in runners[1:]} or {"cpu"})
    return {
        "reslift": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": ", ".join(devices),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
    }


def _scale_of(names: Sequence[str | Path]) -> int:
    scales: dict[str, int] = {}
    for name in names:
        try:
            scales[str(name)] = read_card(resolve(name)).scale
        except UnknownName:
            raise
        except UsageError:
            sizes = sorted(stem for stem in zoo() if stem.startswith(f"{name}-x"))
            raise UsageError(
                f"{one_line(name)} comes as {', '.join(sizes)}: give --scale"
            ) from None
    if not scales:
        raise UsageError("without a model the scale cannot be told: give --scale")
    if len(set(scales.values())) > 1:
        listed = ", ".join(f"{one_line(name)} x{scale}" for name, scale in scales.items())
        raise UsageError(f"the models have different scales ({listed}): evaluate them apart")
    return next(iter(scales.values()))


def _bicubic(lr: Tensor, scale: int) -> Tensor:
    return round8(bicubic_upscale(lr.double() / 255, scale))


def _reason(files: PairFiles, error: Exception) -> str:
    text = "not enough memory" if isinstance(error, MemoryError) else one_line(error)
    named = any(one_line(path.name) in text for path in (files.hr, files.lr) if path)
    return text if named else f"{one_line(files.hr)}: {text}"


def _warm_up(runners: Sequence[Runner], pair: Pair) -> None:
    small = pair.lr[..., :WARM_UP_SIDE, :WARM_UP_SIDE]
    for runner in runners:
        runner.run(small)


def _warnings(result: Evaluation) -> list[str]:
    lines = [f"{r.dataset}/{r.image}: {note}" for r in result.rows for note in r.notes]
    for row in result.rows:
        values = [v for s in row.scores.values() for v in s.values()]
        if any(math.isinf(v) for v in values):
            lines.append(f"{row.dataset}/{row.image}: reproduced exactly; left out of mean PSNR")
        if any(math.isnan(s["ssim_y"]) for s in row.scores.values()):
            lines.append(f"{row.dataset}/{row.image}: smaller than the window of SSIM")
        if any(math.isnan(s.get("st_lpips", 0.0)) for s in row.scores.values()):
            lines.append(f"{row.dataset}/{row.image}: too small for ST-LPIPS")
    return [one_line(line) for line in lines]
