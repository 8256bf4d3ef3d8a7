"""Charts as inline SVG, drawn here: they follow the page's colours, light and dark."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reslift.report.html import Html, tag

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 12, 40
SERIES_COLOURS = 6
MOST_POINTS = 1200
RULES = re.compile(r"^\.(?:chart (?!svg|figcaption)|s\d ).*$", re.MULTILINE)
"""Of the page's style sheet, what styles the drawing; each rule is a line."""


@dataclass(frozen=True)
class Series:
    """A named run of points; what is not finite leaves a gap. ``titles`` show on hovering."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    titles: Sequence[str] = ()


@dataclass(frozen=True)
class Frame:
    """The drawing area and its two axes: data coordinates to SVG ones."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    x_label: str
    y_label: str
    x_ticks: Sequence[float] = field(default=())
    y_ticks: Sequence[float] = field(default=())

    def x(self, value: float) -> float:
        low, high = self.x_range
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def draw(self) -> list[Html]:
        """Grid, tick labels and axis labels."""
        floor, wall = HEIGHT - BOTTOM, WIDTH - RIGHT
        marks = []
        for value in self.x_ticks:
            at = self.x(value)
            marks.append(tag("line", x1=at, x2=at, y1=TOP, y2=floor, class_="grid"))
            marks.append(tag("text", tick(value), x=at, y=floor + 15, text_anchor="middle"))
        for value in self.y_ticks:
            at = self.y(value)
            marks.append(tag("line", x1=LEFT, x2=wall, y1=at, y2=at, class_="grid"))
            marks.append(tag("text", tick(value), x=LEFT - 6, y=at + 3.5, text_anchor="end"))
        middle = (TOP + floor) / 2
        turn = f"rotate(-90 12 {middle:.6g})"
        marks.append(
            tag("text", self.x_label, x=(LEFT + wall) / 2, y=HEIGHT - 6, text_anchor="middle")
        )
        marks.append(
            tag("text", self.y_label, x=12, y=middle, transform=turn, text_anchor="middle")
        )
        return marks


def frame(xs: Sequence[float], ys: Sequence[float], x_label: str, y_label: str) -> Frame:
    """Axes that hold all finite values, on round numbers."""
    x_ticks, y_ticks = round_ticks(xs, 7), round_ticks(ys, 5)
    return Frame(
        (x_ticks[0], x_ticks[-1]), (y_ticks[0], y_ticks[-1]), x_label, y_label, x_ticks, y_ticks
    )


def round_ticks(values: Sequence[float], wanted: int) -> list[float]:
    """About ``wanted`` ticks, 1, 2 or 5 times a power of ten apart, around all finite values."""
    finite = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-300):
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, max(last, first + 1) + 1)]


def tick(value: float) -> str:
    """A tick label: ``0.25``, ``12k``, ``3M``, ``2e-06``."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.4g}{letter}"
    return f"{value:.4g}" if abs(value) > 1e-12 else "0"


def line_chart(
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    references: Mapping[str, float] | None = None,
    description: str = "",
) -> Html:
    """Curves over a common axis; ``references`` are level lines such as the bicubic baseline."""
    lines = references or {}
    axes = frame(
        [v for s in series for v in s.x],
        [v for s in series for v in s.y] + list(lines.values()),
        x_label,
        y_label,
    )
    drawn = []
    for number, one in enumerate(series):
        for run in _runs(_thin(one)):
            points = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in run)
            drawn.append(tag("polyline", points=points, class_=_colour(number)))
    return draw_chart(axes, [*_levels(axes, lines), *drawn], series, lines, description)


def scatter_chart(
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    references: Mapping[str, float] | None = None,
    description: str = "",
) -> Html:
    """Points; hovering shows their titles."""
    lines = references or {}
    axes = frame(
        [v for s in series for v in s.x],
        [v for s in series for v in s.y] + list(lines.values()),
        x_label,
        y_label,
    )
    dots = [
        tag(
            "circle",
            tag("title", one.titles[i] if i < len(one.titles) else one.label),
            cx=axes.x(x),
            cy=axes.y(y),
            r=3.5,
            class_=_colour(number),
        )
        for number, one in enumerate(series)
        for i, (x, y) in enumerate(zip(one.x, one.y, strict=True))
        if math.isfinite(x) and math.isfinite(y)
    ]
    return draw_chart(axes, [*_levels(axes, lines), *dots], series, lines, description)


def histogram(
    values: Sequence[float], *, x_label: str, bins: int = 24, description: str = ""
) -> Html:
    """How often values fall into even bins; zero is marked where it lies inside."""
    finite = [v for v in values if math.isfinite(v)]
    ticks = round_ticks([*finite, 0.0] if finite else [], 7)
    low, step = ticks[0], (ticks[-1] - ticks[0]) / bins
    counts = [0] * bins
    for value in finite:
        counts[min(int((value - low) / step), bins - 1)] += 1
    heights = round_ticks([0, max(counts, default=1) or 1], 4)
    whole = [h for h in heights if h == int(h)]
    axes = Frame(
        (ticks[0], ticks[-1]), (0, heights[-1]), x_label, "images", x_ticks=ticks, y_ticks=whole
    )
    bars = [
        tag(
            "rect",
            tag("title", f"{tick(low + i * step)} to {tick(low + (i + 1) * step)}: {count}"),
            x=axes.x(low + i * step) + 0.5,
            width=axes.x(step) - axes.x(0) - 1,
            y=axes.y(count),
            height=axes.y(0) - axes.y(count),
            class_="s0" if low + (i + 0.5) * step >= 0 else "loss",
        )
        for i, count in enumerate(counts)
        if count
    ]
    zero = axes.x(0)
    bars.append(tag("line", x1=zero, x2=zero, y1=TOP, y2=HEIGHT - BOTTOM, class_="level"))
    return draw_chart(axes, bars, [], {}, description)


def _colour(number: int) -> str:
    return f"s{number % SERIES_COLOURS}"


def _levels(axes: Frame, lines: Mapping[str, float]) -> list[Html]:
    return [
        tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=axes.y(at), y2=axes.y(at), class_="level")
        for at in lines.values()
        if math.isfinite(at)
    ]


def draw_chart(
    axes: Frame,
    drawn: Sequence[Html],
    series: Sequence[Series],
    lines: Mapping[str, float],
    description: str,
) -> Html:
    """The figure around what was drawn on ``axes``: its legend above, its caption below."""
    keys = [
        tag("span", tag("i", class_=_colour(number)), one.label)
        for number, one in enumerate(series)
        if one.label
    ] + [
        tag("span", tag("i", class_="level"), f"{label} {tick(at)}") for label, at in lines.items()
    ]
    image = tag(
        "svg",
        axes.draw(),
        drawn,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=description or f"{axes.y_label} over {axes.x_label}",
    )
    legend = tag("div", keys, class_="legend") if keys else None
    caption = tag("figcaption", description) if description else None
    return tag("figure", legend, image, caption, class_="chart")


def as_file(chart: Html) -> str:
    """The picture of one chart as an SVG file of its own, in light colours."""
    style = _own_rules((Path(__file__).parent / "page.css").read_text(encoding="utf-8"))
    image = re.search("<svg.*</svg>", chart, re.DOTALL)
    assert image is not None
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" width="{WIDTH}" '
    paper = ".chart { background: #fff; font-family: sans-serif; }"
    rules = f"<style><![CDATA[{style}\n{paper}]]></style>"
    return image[0].replace("<svg ", head, 1).replace(">", f">{rules}", 1) + "\n"


def _own_rules(sheet: str) -> str:
    """What a chart needs of the page's style, its colours put in: not every viewer knows names."""
    colours = dict(re.findall(r"(--\w+): (#\w+)", sheet.partition("@media")[0]))
    rules = re.sub(r" --swatch: [^;]+;", "", "\n".join(RULES.findall(sheet)))
    return re.sub(r"var\((--\w+)\)", lambda name: colours[name[1]], rules)


def _runs(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Stretches of finite points."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if all(map(math.isfinite, point)):
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _thin(series: Series) -> list[tuple[float, float]]:
    """At most about MOST_POINTS points that keep each stretch's lowest and highest: spikes stay."""
    points = list(zip(series.x, series.y, strict=True))
    stretch = math.ceil(2 * len(points) / MOST_POINTS)
    if stretch <= 2:
        return points
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), stretch):
        part = sorted(points[start : start + stretch], key=lambda p: (math.isnan(p[1]), p[1]))
        kept.extend(sorted({part[0], part[-1]}))
    return kept
