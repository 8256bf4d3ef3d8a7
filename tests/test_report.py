"""Reports: nothing in a name becomes markup, nothing asks the network, charts hold any number."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import math
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from reslift import report
from reslift.report.charts import round_ticks
from reslift.report.html import VOID

NASTY = "<script>alert(1)</script>\"' onerror=x &amp; \u202e\x1b[31m\udcff"


class Outline(HTMLParser):
    """Collects tags, attributes and text, and checks that tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def outline(markup: str) -> Outline:
    parser = Outline()
    parser.feed(markup)
    parser.close()
    assert not parser.open
    return parser


@given(st.text())
def test_text_stays_text(text):
    seen = outline(report.tag("p", text, title=text))
    assert [name for name, _ in seen.tags] == ["p"]
    if all(c.isprintable() for c in text):
        assert seen.text == text and seen.tags[0][1]["title"] == text


def test_nasty_names_stay_names_everywhere():
    picture = report.Picture(NASTY, report.encode(np.zeros((2, 3, 3), np.uint8)), 3, 2, NASTY)
    blocks = [
        report.picture_row(NASTY, [picture], second=[picture]),
        report.table([report.Column(NASTY, hint=NASTY)], [[NASTY], [report.Cell(NASTY, 1.0)]]),
        report.facts({NASTY: NASTY}),
        report.scatter_chart(
            [report.Series(NASTY, [1], [2], [NASTY])],
            x_label=NASTY,
            y_label=NASTY,
            references={NASTY: 1.0},
            description=NASTY,
        ),
        report.colour_scale(NASTY),
    ]
    text = report.page(NASTY, report.section(NASTY, *blocks, note=NASTY))
    text.encode("utf-8")
    seen = outline(text)
    scripts = [name for name, _ in seen.tags if name == "script"]
    assert len(scripts) == 1, "only the page's own script"
    assert not any(key.startswith("on") for _, attributes in seen.tags for key in attributes)
    assert "\x1b" not in text and "\u202e" not in text


def test_page_asks_no_network():
    text = report.page("t", report.tag("p", "x"))
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text.replace("//[", ""))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None and "default-src 'none'" in policy[1]
    script = text.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy[1]


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3)])
def test_encoding_is_lossless(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    source = report.encode(image)
    head, body = source.split(",")
    assert head == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(body))) as opened:
        seen = np.asarray(opened.convert("RGB"))
    assert np.array_equal(seen, np.broadcast_to(image.reshape(5, 7, -1), (5, 7, 3)))


def test_lossy_is_smaller_and_long_sides_become_png():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert len(report.encode(image, 50)) < len(report.encode(image)) / 2
    assert report.encode(np.zeros((1, 16384), np.uint8)).startswith("data:image/png")


def test_error_colours_rise_and_saturate():
    colours = report.error_colours(np.array([[0, 12, 24, 36, 48, 300]]), 48).astype(int)
    light = colours @ [0.299, 0.587, 0.114]
    assert (np.diff(light[0, :5]) > 20).all()
    assert np.array_equal(colours[0, 4], colours[0, 5])
    assert colours.shape == (1, 6, 3)


def test_thumbnail_keeps_small_pictures():
    assert report.thumbnail(np.zeros((10, 20, 3), np.uint8), 40).shape == (10, 20, 3)
    assert report.thumbnail(np.zeros((100, 50, 3), np.uint8), 40).shape == (40, 20, 3)


@given(st.lists(st.floats(-1e12, 1e12), max_size=20), st.integers(2, 9))
def test_ticks_hold_the_values(values, wanted):
    ticks = round_ticks(values, wanted)
    assert 2 <= len(ticks) <= 2 * wanted + 3
    assert all(a < b for a, b in itertools.pairwise(ticks))
    if values:
        slack = 1e-6 * (ticks[-1] - ticks[0])
        assert ticks[0] - slack <= min(values) and max(values) <= ticks[-1] + slack


numbers = st.lists(st.floats(width=32), min_size=0, max_size=30)


@given(numbers)
def test_charts_take_any_number(values):
    series = [report.Series("a", list(range(len(values))), values)]
    for chart in (
        report.line_chart(series, x_label="x", y_label="y", references={"bicubic": 1.0}),
        report.scatter_chart(series, x_label="x", y_label="y"),
        report.histogram(values, x_label="x"),
    ):
        seen = outline(chart)
        places = [a[k] for _, a in seen.tags for k in ("cx", "cy", "x", "y", "points") if k in a]
        assert not any("nan" in str(p) or "inf" in str(p) for p in places)


def test_gaps_and_spikes_survive_thinning():
    y = [0.5 + 0.001 * math.sin(i) for i in range(20_000)]
    y[7_777] = 9.0
    y[500] = math.nan
    chart = report.line_chart(
        [report.Series("loss", range(20_000), y)], x_label="step", y_label="loss"
    )
    runs = re.findall(r'points="([^"]*)"', chart)
    heights = [float(p.split(",")[1]) for run in runs for p in run.split()]
    assert len(runs) == 2, "the gap is kept"
    assert min(heights) < 40, "the spike is kept"
    assert len(heights) < 2_000


def test_histogram_counts_every_value():
    chart = report.histogram([-1.0, 0.0, 0.1, 2.0], x_label="gain", bins=10)
    counts = [int(t) for t in re.findall(r"<title>[^<]*: (\d+)</title>", chart)]
    assert sum(counts) == 4


def test_the_best_choices_are_those_that_nothing_cheaper_beats():
    choices = [
        report.Choice("cheap", 1, 28.0),
        report.Choice("beaten", 5, 27.0),
        report.Choice("ours", 10, 31.0, ours=True),
        report.Choice("same cost, worse", 10, 30.0),
        report.Choice("dear", 1000, 32.0),
    ]
    assert [c.label for c in report.best_choices(choices)] == ["cheap", "ours", "dear"]


def test_a_pareto_chart_names_every_choice_and_joins_the_best():
    names = ["<a>", "b", "a long name of a slow thing"]
    choices = [report.Choice(n, 10.0**i, 28.0 + i, n == "b") for i, n in enumerate(names)]
    chart = report.pareto_chart(choices, x_label="ms", y_label="dB")
    svg = ElementTree.fromstring(re.search("<svg.*</svg>", chart, re.DOTALL)[0])
    texts = [element.text for element in svg.iter("text")]
    assert set(names) <= set(texts) and {"1", "10", "100"} <= set(texts)
    assert len(list(svg.iter("circle"))) == 3
    labels = [e for e in svg.iter("text") if e.text in names]
    spots = [(float(e.get("x")), float(e.get("y")), 6.2 * len(e.text)) for e in labels]
    for n, (x, y, width) in enumerate(spots):
        assert x >= 0 and x + width <= 640, "a label leaves the chart"
        for other_x, other_y, other_width in spots[n + 1 :]:
            apart = x + width < other_x or other_x + other_width < x
            assert apart or abs(y - other_y) >= 13, "labels cover one another"


def test_a_chart_file_brings_its_own_rules_and_no_others():
    chart = report.line_chart([report.Series("a", [0, 1], [1, 2])], x_label="x", y_label="y")
    text = report.as_file(chart)
    ElementTree.fromstring(text)
    assert len(text) < len(chart) + 1500
    assert "var(" not in text and "dialog" not in text and "@media" not in text
    assert ".s0 { stroke: #0b6bcb; fill: #0b6bcb; }" in text and ".chart text {" in text


def test_an_order_of_infinity_is_one_that_javascript_reads():
    cells = [report.Cell("∞", math.inf), report.Cell("–", -math.inf), report.Cell("1.5", 1.5)]
    made = report.table([report.Column("a", True)], [[cell] for cell in cells], sortable=True)
    orders = re.findall('data-order="([^"]*)"', made)
    assert orders == ["Infinity", "-Infinity", "1.5"]
