"""`reslift evaluate`: models on test sets, bicubic first, as a table and as files."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reslift.errors import InputError, UsageError, one_line
from reslift.limits import DEFAULT, Limits, parse_amount
from reslift.words import signed

if TYPE_CHECKING:
    from reslift.datasets.pairs import TestSet
    from reslift.evaluate import Evaluation, ImageRow
    from reslift.features.st_lpips import STLPIPS
    from reslift.outcome import Findings
    from reslift.upscale import Upscaler

SOME_FAILED = 3
NO_PICTURES = (
    "no pictures: name a folder with --data DIR, or one run folder and no option of the pictures "
    "to judge it on those that it held out"
)


def command(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Bundled models, checkpoint files or run folders; none: bicubic alone."
        ),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of HR pictures, or of HR and LR pairs; may be given again."),
    ] = None,
    lr: Annotated[
        Path | None, typer.Option(help="Folder of the LR pictures, where it is not recognised.")
    ] = None,
    scale: Annotated[
        int | None, typer.Option(min=1, help="Factor [default: that of the models].")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for results.json, results.csv, report.html."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first N pictures of each folder.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    backend: Annotated[
        str, typer.Option(help="torch, openvino, onnxruntime, …-int8, or auto for the fastest.")
    ] = "torch",
    make_lr: Annotated[
        bool, typer.Option("--make-lr", help="Make LR from HR even where LR files are shipped.")
    ] = False,
    allow_shift: Annotated[
        bool, typer.Option("--allow-shift", help="Judge pairs whose LR is shifted, with a remark.")
    ] = False,
    no_perceptual: Annotated[
        bool, typer.Option("--no-perceptual", help="Leave out ST-LPIPS; on a CPU it takes longest.")
    ] = False,
    no_trust: Annotated[
        bool, typer.Option("--no-trust", help="Leave out agreement, intervals, what was added.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace earlier results.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the means.")] = False,
    max_input_pixels: Annotated[
        str | None, typer.Option(help="Largest picture [default: 100M].")
    ] = None,
    max_output_pixels: Annotated[
        str | None, typer.Option(help="Largest result [default: 1G].")
    ] = None,
    max_file_bytes: Annotated[
        str | None, typer.Option(help="Largest file [default: 1GiB].")
    ] = None,
    max_decode_seconds: Annotated[
        str | None, typer.Option(help="Longest decoding [default: 60].")
    ] = None,
) -> int:
    """Measure models on pictures, bicubic beside them.

    A row an image, means, gain over bicubic with a 95 % interval. LR files are used where they lie
    in a layout that is known, and made by MATLAB's bicubic otherwise. A run folder without --data
    is judged on its own held-out pictures, and its report is written anew.
    """
    if not data:
        if lr or scale or limit or make_lr or len(models or []) != 1:
            raise UsageError(NO_PICTURES)
        return _evaluate_run(Path((models or [""])[0]), device, out, overwrite, not no_perceptual)
    if lr is not None and (len(data) > 1 or make_lr):
        raise UsageError("--lr goes with one --data and without --make-lr")
    limits = _limits(
        input_pixels=max_input_pixels,
        output_pixels=max_output_pixels,
        file_bytes=max_file_bytes,
        decode_seconds=max_decode_seconds,
    )
    from reslift import evaluate as verb

    if out is not None:
        verb.prepare(out, overwrite=overwrite)
    upscalers, factor = verb.load_models(models or [], scale, device, limits, backend)
    degradation, side = verb.preparation(upscalers, factor)
    sets = _test_sets(data, factor, lr, make_lr, limit)
    total = sum(len(test_set.files) for test_set in sets)
    features = None if no_perceptual else _features(upscalers)
    gallery = verb.Gallery(total, len(upscalers), factor) if out is not None else None
    with _progress(total) as advance:

        def watch(row: Any, pair: Any, answers: Any) -> None:
            if gallery is not None and pair is not None:
                gallery.add(row, pair, answers)
            advance()

        result = verb.evaluate(
            upscalers,
            sets,
            scale=factor,
            degradation=degradation,
            side=side,
            allow_shift=allow_shift,
            limits=limits,
            features=features,
            trust=not no_trust,
            watcher=watch,
        )
    _report(result, per_image=not quiet)
    if out is not None and gallery is not None and result.rows:
        words = shlex.join(["reslift", *sys.argv[1:]])
        for path in verb.save(out, result, gallery.subjects, one_line(words), overwrite=overwrite):
            print(one_line(path))
    return _finish(result)


def _evaluate_run(
    folder: Path, device: str, out: Path | None, overwrite: bool, perceptual: bool
) -> int:
    """A run on the validation and test pictures of its own recipe."""
    if not (folder / "recipe.toml").is_file():
        raise UsageError(NO_PICTURES)
    from reslift import evaluate as verb
    from reslift.outcome import judge_run, sentence

    if out is not None:
        verb.prepare(out, overwrite=overwrite)
    features = _features([]) if perceptual else None

    def tell(findings: Findings) -> None:
        _report(findings.result, per_image=False)
        for summary in findings.result.summaries():
            if summary.interval is not None:
                print(f"{summary.dataset}: {sentence(summary, findings.result)}")

    findings, warnings = judge_run(folder, device, features, tell)
    for advice in warnings:
        print(f"warning: {advice}", file=sys.stderr)
    result = findings.result
    print(one_line(folder / "report.html"))
    if out is not None:
        words = one_line(shlex.join(["reslift", *sys.argv[1:]]))
        for path in verb.save(out, result, findings.worst, words, overwrite=overwrite):
            print(one_line(path))
    return _finish(result)


def _features(upscalers: list[tuple[str, Upscaler]]) -> STLPIPS | None:
    """ST-LPIPS, where the first model runs; None and a line on standard error without its extra."""
    from reslift.features.st_lpips import STLPIPS

    try:
        features = STLPIPS().frozen()
    except UsageError as error:
        print(f"note: no ST-LPIPS in this evaluation: {error}", file=sys.stderr)
        return None
    return features.to(upscalers[0][1].device if upscalers else "cpu")


def _limits(**texts: str | None) -> Limits:
    amounts = {name: None if text is None else parse_amount(text) for name, text in texts.items()}
    return DEFAULT.changed(**amounts)


def _test_sets(
    data: list[Path], scale: int, lr: Path | None, made: bool, limit: int | None
) -> list[TestSet]:
    from reslift.datasets.pairs import TestSet, find_test_set

    places = [folder.resolve() for folder in data]
    sets: list[TestSet] = []
    for number, folder in enumerate(data):
        if places[number] in places[:number]:
            raise UsageError(f"--data {one_line(folder)} is given twice; name each folder once")
        found = find_test_set(folder, scale, lr, made=made)
        taken = any(found.name == other.name for other in sets)
        name = str(folder) if taken else found.name
        sets.append(TestSet(name, found.files[:limit], found.made))
    return sets


def _report(result: Evaluation, *, per_image: bool) -> None:
    for failure in result.failures:
        print(f"failed: {one_line(failure.reason)}", file=sys.stderr)
    for warning in result.warnings:
        print(f"note: {warning}", file=sys.stderr)
    if not result.rows:
        return
    if per_image:
        _print_table(*_image_table(result))
        print()
    _print_table(*_summary_table(result))
    trusted = any(row.trust for row in result.rows)
    if trusted:
        print()
        _print_table(*_trust_table(result))
    print(f"\n{result.protocol}")
    for test_set in result.sets:
        print(f"LR of {one_line(test_set.name)}: {test_set.lr}.")
    print(
        "Gain: mean of PSNR-Y minus bicubic's, 95 % interval of a paired bootstrap over images. "
        "MACs: multiply-adds for an output of 1280×720. ms/MP: median an output megapixel."
    )
    if trusted:
        from reslift.evaluate.trust import NOTE

        print(NOTE)


def _image_table(result: Evaluation) -> tuple[list[str], list[list[str]]]:
    from reslift.evaluate.page import number
    from reslift.metrics import shown

    names = [c.name for c in result.contenders]
    others = shown({"ssim_y", "st_lpips"} & set(result.metrics))
    head = ["set", "image", "PSNR-Y bicubic"]
    head += [f"{what} {name}" for name in names[1:] for what in ("PSNR-Y", "gain")]
    head += [f"{m.label} {name}" for m in others.values() for name in names]

    def line(row: ImageRow) -> list[str]:
        cells = [row.dataset, row.image, number(row.scores[names[0]]["psnr_y"], 2)]
        for name in names[1:]:
            cells += [number(row.scores[name]["psnr_y"], 2), signed(row.gain(name))]
        return cells + [
            number(row.scores[name][key], m.decimals) for key, m in others.items() for name in names
        ]

    return head, [line(row) for row in result.rows]


def _summary_table(result: Evaluation) -> tuple[list[str], list[list[str]]]:
    from reslift.evaluate.page import count, number
    from reslift.metrics import shown

    metrics = shown(result.metrics)
    head = ["set", "model", "images", *(m.label for m in metrics.values())]
    head += ["gain", "95 % interval", "parameters", "MACs", "ms/MP"]
    rows = []
    for s in result.summaries():
        low, high = s.interval or (math.nan, math.nan)
        base = s.contender is result.contenders[0]
        rows.append(
            [
                s.dataset,
                s.contender.name,
                str(s.images),
                *(number(s.means[key], m.decimals) for key, m in metrics.items()),
                "" if base else signed(s.gain),
                f"{signed(low)} to {signed(high)}" if s.interval else "",
                count(s.contender.parameters),
                count(s.contender.macs),
                number(s.ms_per_megapixel, 0),
            ]
        )
    return head, rows


def _trust_table(result: Evaluation) -> tuple[list[str], list[list[str]]]:
    from reslift.evaluate.page import number
    from reslift.evaluate.trust import TRUST

    rows = [
        [s.dataset, s.contender.name]
        + [number(s.trust[key], quantity.decimals) for key, quantity in TRUST.items()]
        for s in result.summaries()
    ]
    return ["set", "model", *(f"{q.label}, {q.unit}" for q in TRUST.values())], rows


def _print_table(head: list[str], rows: list[list[str]]) -> None:
    """Aligned columns: with rich on a terminal, plain elsewhere and never cut."""
    rows = [[one_line(cell) if cell else "" for cell in row] for row in rows]
    words = {"set", "image", "model"}
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in head:
            table.add_column(name, justify="left" if name in words else "right", overflow="fold")
        for row in rows:
            style = "dim" if "bicubic" in row else None
            table.add_row(*(Text(cell) for cell in row), style=style)
        Console().print(table)
        return
    widths = [max(len(line[i]) for line in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = [
            cell.ljust(width) if name in words else cell.rjust(width)
            for cell, width, name in zip(row, widths, head, strict=True)
        ]
        print("  ".join(cells).rstrip())


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """A bar on standard error when it is a terminal; yields what to call after each image."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("images", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=total)
        yield lambda: bars.advance(task)


def _finish(result: Evaluation) -> int:
    done, failed = len(result.rows), len(result.failures)
    if failed:
        print(f"{done} done, {failed} failed", file=sys.stderr)
    if not done:
        raise InputError("no picture could be judged; the lines above say why")
    return SOME_FAILED if failed else 0
