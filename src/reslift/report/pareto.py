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
LETTER, BOLD = 6.2, 6.8
Box = tuple[float, float, float]
"""Left edge, base line and width of a line of text, or of something as high."""


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
    names: list[Box] = []
    for choice in sorted(choices, key=lambda c: (not c.ours, -c.quality)):
        dots = [_around(axes, other) for other in choices if other is not choice]
        drawn += _dot(axes, choice, names, dots)
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


def _around(axes: Frame, choice: Choice) -> Box:
    """The room of a dot."""
    return axes.x(math.log10(choice.cost)) - 5, axes.y(choice.quality) + 4, 10


def _dot(axes: Frame, choice: Choice, names: list[Box], dots: list[Box]) -> list[Html]:
    """A dot and its label: over, beside or under it, where it covers no other label, and no other
    dot if that can be.
    """
    x, y = axes.x(math.log10(choice.cost)), axes.y(choice.quality)
    width = (BOLD if choice.ours else LETTER) * len(choice.label)
    over = x - width if x + 7 + width > WIDTH - RIGHT and x - 7 - width > LEFT else x
    beside = x - 8 - width if over < x else x + 8
    places = [(over, y - 8), (beside, y + 4)]
    places += [(over, y - 8 - GAP * turn) for turn in (-2, 1, -3, 2, -4, 3, -5)]
    places = [place for place in places if TOP < place[1] < HEIGHT - BOTTOM] or places[:1]
    free = [place for place in places if _is_free(*place, width, names)] or places[:1]
    left, at = next((place for place in free if _is_free(*place, width, dots)), free[0])
    names.append((left, at, width))
    kind = {"class_": "s0" if choice.ours else "s1"}
    title = tag("title", f"{choice.label}: {choice.quality:.2f}, {choice.cost:.3g}")
    weight = {"font_weight": "bold"} if choice.ours else {}
    return [
        tag("circle", title, cx=x, cy=y, r=4.5 if choice.ours else 3.5, **kind),
        tag("text", choice.label, x=left, y=at, **weight),
    ]


def _is_free(left: float, at: float, width: float, taken: Sequence[Box]) -> bool:
    return all(
        abs(at - other_at) >= GAP or left + width < other_left or other_left + other_width < left
        for other_left, other_at, other_width in taken
    )
