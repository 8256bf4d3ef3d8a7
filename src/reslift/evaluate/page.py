"""The evaluation as one HTML page: verdict, summary, charts, pictures, every number, protocol."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from reslift.evaluate.gallery import Subject
from reslift.evaluate.results import BASELINE, Evaluation, ImageRow, Summary
from reslift.evaluate.trust import NOTE, TRUST
from reslift.metrics import Quantity, shown
from reslift.report import (
    ERROR_TOP,
    Cell,
    Column,
    Html,
    Picture,
    Series,
    colour_scale,
    facts,
    histogram,
    page,
    picture_row,
    scatter_chart,
    section,
    table,
    tag,
)
from reslift.report.html import Child
from reslift.words import counted, signed

FEWEST_FOR_CHARTS = 4
TINY = 160
DASH = "–"


def render(result: Evaluation, subjects: Sequence[Subject], command: str, made: str) -> str:
    """The whole page.

    Args:
        result: what was measured.
        subjects: pictures, worst first.
        command: what reproduces it.
        made: date and time, in words.
    """
    names = ", ".join(s.name for s in result.sets)
    models = ", ".join(c.name for c in result.contenders[1:]) or BASELINE
    title = f"{models} on {names}, ×{result.scale}"
    summaries = result.summaries()
    return page(
        title,
        tag("h1", title),
        tag("p", f"{counted(len(result.rows), 'image')}, {made}", class_="note"),
        [verdict(s) for s in summaries if s.contender.name != BASELINE],
        section("Summary", summary_table(summaries), note=SUMMARY_NOTE),
        _trust(summaries),
        gain_charts(result),
        _failures(result),
        _gallery(result, subjects),
        _image_table(result),
        _protocol(result, command),
    )


SUMMARY_NOTE = (
    "Gain: mean over images of PSNR-Y minus bicubic's, with the 95 % interval of 10,000 paired "
    "bootstrap draws of the images. Multiply-adds for an output of 1280×720. Time: milliseconds "
    "an output megapixel, median over images, after a warm-up, files not counted."
)


def verdict(summary: Summary) -> Html:
    """One sentence: better, worse or not distinguishable from bicubic."""
    name, kind = summary.contender.name, summary.verdict
    interval = ""
    if summary.interval is not None:
        low, high = summary.interval
        interval = f", 95 % interval {signed(low)} to {signed(high)}"
    words = {
        "better": "is better than bicubic",
        "worse": "is worse than bicubic",
        "not distinguishable": "cannot be told from bicubic",
    }[kind]
    text = f" {words} on {summary.dataset}: "
    images = counted(summary.images, "image")
    mood = {"better": " good", "worse": " bad"}.get(kind, "")
    return tag(
        "p",
        tag("b", name),
        text,
        tag("b", f"{signed(summary.gain)} dB"),
        f"{interval} ({images})",
        class_=f"verdict{mood}",
    )


def count(value: float | None) -> str:
    """``657k``, ``38.0G``; a dash for nothing."""
    if value is None:
        return DASH
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            shown = value / size
            return f"{shown:.0f}{letter}" if shown >= 100 else f"{shown:.3g}{letter}"
    return f"{value:g}"


def number(value: float, decimals: int) -> str:
    """A fixed number of decimals; ∞ and a dash where there is none."""
    if math.isnan(value):
        return DASH
    return "∞" if math.isinf(value) else f"{value:.{decimals}f}"


def _cell(value: float, decimals: int, strong: bool = False) -> Cell:
    return Cell(number(value, decimals), value if not math.isnan(value) else -math.inf, strong)


def summary_table(summaries: Sequence[Summary]) -> Html:
    """Means of every set and contender, with the gain and its interval."""
    metrics = shown(summaries[0].means if summaries else ())
    columns = [
        Column("set"),
        Column("images", True),
        Column("model"),
        *(Column(_head(m), True) for m in metrics.values()),
        Column("gain, dB", True),
        Column("parameters", True),
        Column("multiply-adds", True),
        Column("ms/MP", True),
    ]
    rows = []
    for summary in summaries:
        first = summary.contender.name == BASELINE
        rows.append(
            [
                summary.dataset if first else "",
                summary.images if first else "",
                summary.contender.name,
                *(_cell(summary.means[k], m.decimals) for k, m in metrics.items()),
                DASH if first else _gain(summary),
                count(summary.contender.parameters),
                count(summary.contender.macs),
                number(summary.ms_per_megapixel, 0),
            ]
        )
    return table(columns, rows)


def _trust(summaries: Sequence[Summary]) -> Html | None:
    """Agreement with LR, intervals and what was added; None where it was not measured."""
    if not any(summary.trust for summary in summaries):
        return None
    columns = [Column("set"), Column("model"), *(Column(_head(q), True) for q in TRUST.values())]
    rows: list[list[Child | Cell]] = [
        [
            summary.dataset if summary.contender.name == BASELINE else "",
            summary.contender.name,
            *(_cell(summary.trust[key], q.decimals) for key, q in TRUST.items()),
        ]
        for summary in summaries
    ]
    return section("Trust", table(columns, rows), note=NOTE)


def _gain(summary: Summary) -> Html:
    interval = ""
    if summary.interval is not None:
        interval = f" {signed(summary.interval[0])} to {signed(summary.interval[1])}"
    return tag("span", tag("b", signed(summary.gain)), tag("small", interval))


def _head(metric: Quantity) -> str:
    return f"{metric.label}, {metric.unit}" if metric.unit else metric.label


def gain_charts(result: Evaluation) -> Html | None:
    """Gain against difficulty and its histogram; None for fewer than four images or no model."""
    if len(result.rows) < FEWEST_FOR_CHARTS or len(result.contenders) == 1:
        return None
    series = [
        Series(
            c.name,
            [row.scores[BASELINE]["psnr_y"] for row in result.rows],
            [row.gain(c.name) for row in result.rows],
            [f"{r.dataset}/{r.image}: {signed(r.gain(c.name))} dB" for r in result.rows],
        )
        for c in result.contenders[1:]
    ]
    first = result.contenders[1].name
    gains = [row.gain(first) for row in result.rows]
    return section(
        "Gain over bicubic",
        tag(
            "div",
            scatter_chart(
                series,
                x_label="bicubic PSNR-Y, dB",
                y_label="gain, dB",
                references={"bicubic": 0.0},
                description="Each point is an image; on the left those that are hard for bicubic.",
            ),
            histogram(
                gains, x_label=f"gain of {first}, dB", description="How many images gain how much."
            ),
            class_="charts",
        ),
    )


def _failures(result: Evaluation) -> Html | None:
    if not result.failures and not result.warnings:
        return None
    lines = [f"{f.dataset}/{f.image}: {f.reason}" for f in result.failures] + result.warnings
    head = f"Not judged: {len(result.failures)}" if result.failures else "Remarks"
    return section(head, [tag("p", line, class_="warning") for line in lines])


def _gallery(result: Evaluation, subjects: Sequence[Subject]) -> Html:
    every = len(subjects) == len(result.rows)
    by = "gain" if len(result.contenders) > 1 else "PSNR-Y"
    note = (
        f"Smallest {by} first{'' if every else f', {len(subjects)} of {len(result.rows)}'}. "
        "Exact pixels, stored without loss; LR enlarged as squares. Click a picture to compare two "
        "under a slider."
    )
    ranks = range(1, len(subjects) + 1)
    return section(
        "Images, worst first" if len(subjects) > 1 else "Image",
        colour_scale("|SR − HR| of luma, in levels of 255", ERROR_TOP),
        [subject_row(r, s, result.scale) for r, s in zip(ranks, subjects, strict=True)],
        note=note,
    )


def subject_row(rank: int, subject: Subject, scale: int, *, errors: bool = True) -> Html:
    """One picture: LR, bicubic, SR, HR and, below, the error maps; pixels of small ones as squares.

    Args:
        rank: its number on the page.
        subject: the pictures.
        scale: of LR to HR.
        errors: show the line with the error maps and the numbers.
    """
    row, size = subject.row, (subject.width, subject.height)
    models = [name for name in subject.sr if name != BASELINE]
    tiny = max(size) <= TINY
    pictures = [
        Picture("LR", subject.lr, *size, f"{row.width // scale}×{row.height // scale}", True)
    ]
    for name, source in subject.sr.items():
        side = "left" if name == BASELINE else "right" if name == models[0] else None
        pictures.append(Picture(name, source, *size, _psnr(row, name), tiny, side))
    pictures.append(Picture("HR", subject.hr, *size, f"{row.width}×{row.height}", tiny))
    maps = [Picture(f"error of {n}", e, *size, coarse=tiny) for n, e in subject.errors.items()]
    title: list[Child] = [
        tag("span", f"{rank}"),
        tag("b", row.image),
        tag("span", row.dataset),
        *(tag("span", note) for note in row.notes),
    ]
    if models:
        gain = row.gain(models[0])
        mood = "bad" if signed(gain).startswith("-") else "good"
        title.append(tag("b", f"{signed(gain)} dB", class_=f"gain {mood}"))
    if not errors:
        return picture_row(title, pictures)
    if subject.overview is None:
        return picture_row(title, pictures, second=maps, before=[_scores(row)])
    return picture_row(title, pictures, second=maps, before=[_place(subject)], after=[_scores(row)])


def _psnr(row: ImageRow, name: str) -> str:
    return f"{number(row.scores[name]['psnr_y'], 2)} dB"


def _place(subject: Subject) -> Html:
    """Where the crop lies in the whole picture."""
    width, height = subject.overview_size
    left, top, wide, high = subject.place
    place = {
        "x": f"{left * 100:.3f}",
        "y": f"{top * 100:.3f}",
        "width": f"{wide * 100:.3f}",
        "height": f"{high * 100:.3f}",
    }
    return tag(
        "figure",
        tag("figcaption", tag("b", "where"), " ", tag("span", f"{subject.width}×{subject.height}")),
        tag(
            "div",
            tag("img", src=subject.overview, width=width, height=height, alt="", loading="lazy"),
            tag(
                "svg",
                tag("rect", class_="dark", **place),
                tag("rect", **place),
                viewBox="0 0 100 100",
                preserveAspectRatio="none",
                aria_hidden="true",
            ),
            class_="whole",
        ),
    )


def _scores(row: ImageRow) -> Html:
    metrics = _of_an_image(row.scores[BASELINE])
    rows = [
        [name, *(number(scores[key], m.decimals) for key, m in metrics.items())]
        for name, scores in row.scores.items()
    ]
    columns = [Column(""), *(Column(m.label, True) for m in metrics.values())]
    return tag("div", table(columns, rows), class_="scores")


def _of_an_image(names: Iterable[str]) -> dict[str, Quantity]:
    """The few numbers that stand beside each picture."""
    return shown({"psnr_y", "ssim_y", "st_lpips"} & set(names))


def _image_table(result: Evaluation) -> Html:
    names = [c.name for c in result.contenders]
    columns = [Column("set"), Column("image"), Column("size")]
    metrics = _of_an_image(result.metrics)
    columns += [Column(f"{m.label} {n}", True) for m in metrics.values() for n in names]
    columns += [Column(f"gain {name}", True) for name in names[1:]]
    known = {
        key: quantity
        for key, quantity in TRUST.items()
        if any(not math.isnan(t[key]) for row in result.rows for t in row.trust.values())
    }
    columns += [Column(f"{_head(q)} {n}", True) for q in known.values() for n in names[1:]]
    rows: list[list[Child | Cell]] = [
        [
            row.dataset,
            row.image,
            Cell(f"{row.width}×{row.height}", row.width * row.height),
            *(_cell(row.scores[n][k], m.decimals) for k, m in metrics.items() for n in names),
            *(Cell(signed(row.gain(n)), row.gain(n)) for n in names[1:]),
            *(_cell(row.trust[n][k], q.decimals) for k, q in known.items() for n in names[1:]),
        ]
        for row in result.rows
    ]
    return section(
        "Every image",
        table(columns, rows, sortable=True),
        note="Click a head to sort.",
    )


def _protocol(result: Evaluation, command: str) -> Html:
    sets = {f"LR of {s.name}": s.lr for s in result.sets}
    versions = {k: str(v) for k, v in result.environment.items() if v is not None}
    return section(
        "Protocol", tag("p", result.protocol), facts(sets | versions), tag("pre", command)
    )
