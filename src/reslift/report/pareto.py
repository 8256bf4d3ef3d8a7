"""Quality over cost: labelled points on a logarithmic axis and the line of the best choices."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from reslift.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Frame, draw_chart, tick
from reslift.report.charts import round_ticks as _round
from reslift.report.html import Html, tag

STEPS = (1, 2, 5)
GAP = 13.0
LETTER = 6.2


@dataclass(frozen=True)
class Choice:
    """One thing to choose: what it costs (above 0), how good it is, and whether it is ours."""

    label: str
    cost: float
    quality: float
    ours: bool = False


def best_choices(choices: Sequence[Choice]) -> list[Choice]:
    """Those that nothing at most as costly beats, by rising cost (the Pareto front)."""
    front: list[Choice] = []
    for choice in sorted(choices, key=lambda c: (c.cost, -c.quality)):
        if not front or choice.quality > front[-1].quality:
            front.append(choice)
    return front


def pareto_chart(
    choices: Sequence[Choice], *, x_label: str, y_label: str, description: str = ""
) -> Html:
    """Each choice as a labelled dot, the best ones joined by steps; cost grows to the right."""
    logs = [math.log10(choice.cost) for choice in choices]
    axes = _Logarithmic(
        (math.floor(min(logs) * 3) / 3 - 0.1, math.ceil(max(logs) * 3) / 3 + 0.5),
        _ends([choice.quality for choice in choices]),
        x_label,
        y_label,
        y_ticks=_round([choice.quality for choice in choices], 5),
    )
    front = best_choices(choices)
    corners = [(axes.x(math.log10(c.cost)), axes.y(c.quality)) for c in front]
    steps = [f"{corners[0][0]:.1f},{corners[0][1]:.1f}"]
    for (_, before), (x, y) in itertools.pairwise(corners):
        steps += [f"{x:.1f},{before:.1f}", f"{x:.1f},{y:.1f}"]
    drawn = [tag("polyline", points=" ".join(steps), class_="level")]
    taken: list[tuple[float, float, float]] = []
    for choice in sorted(choices, key=lambda c: (not c.ours, -c.quality)):
        drawn += _dot(axes, choice, taken)
    return draw_chart(axes, drawn, [], {}, description)


class _Logarithmic(Frame):
    """A frame whose x axis holds logarithms and is labelled with what they stand for."""

    def draw(self) -> list[Html]:
        low, high = (10**edge for edge in self.x_range)
        values = [
            step * 10.0**power
            for power in range(math.floor(self.x_range[0]), math.ceil(self.x_range[1]) + 1)
            for step in STEPS
            if low <= step * 10.0**power <= high
        ]
        spaced = [v for v in values if len(values) <= 12 or math.log10(v) == int(math.log10(v))]
        floor = HEIGHT - BOTTOM
        marks = super().draw()
        for value in spaced:
            at = self.x(math.log10(value))
            marks.append(tag("line", x1=at, x2=at, y1=TOP, y2=floor, class_="grid"))
            marks.append(tag("text", tick(value), x=at, y=floor + 15, text_anchor="middle"))
        return marks


def _ends(values: Sequence[float]) -> tuple[float, float]:
    ticks = _round(values, 5)
    return ticks[0], ticks[-1]


def _dot(axes: Frame, choice: Choice, taken: list[tuple[float, float, float]]) -> list[Html]:
    """A dot and its label, moved up or down until it covers no other label."""
    x, y = axes.x(math.log10(choice.cost)), axes.y(choice.quality)
    width = LETTER * len(choice.label)
    to_left = x + 7 + width > WIDTH - RIGHT and x - 7 - width > LEFT
    left = x - width if to_left else x
    places = [y - 8 - GAP * turn for turn in (0, -2, 1, -3, 2, -4)]
    free = (p for p in places if TOP < p < HEIGHT - BOTTOM and _is_free(left, p, width, taken))
    at = next(free, places[0])
    taken.append((left, at, width))
    kind = {"class_": "s0" if choice.ours else "s1"}
    title = tag("title", f"{choice.label}: {choice.quality:.2f}, {choice.cost:.3g}")
    weight = {"font_weight": "bold"} if choice.ours else {}
    return [
        tag("circle", title, cx=x, cy=y, r=4.5 if choice.ours else 3.5, **kind),
        tag("text", choice.label, x=left, y=at, **weight),
    ]


def _is_free(left: float, at: float, width: float, taken: Sequence[tuple[float, ...]]) -> bool:
    return all(
        abs(at - other_at) >= GAP or left + width < other_left or other_left + other_width < left
        for other_left, other_at, other_width in taken
    )
