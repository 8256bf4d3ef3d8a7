"""The page of `reslift latent` in a real browser: hovering, clicking, switching, keys, no request.

It needs playwright and a Chromium: that of playwright, or the file that CHROMIUM names, or
/usr/bin/chromium.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from latent_samples import checkpoint, pictures
from reslift import latent
from reslift.latent.page import render

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: no browser to test the page in"
)

SYSTEM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
SLOW = 60_000
INKED = """canvas => new Set(new Uint32Array(canvas.getContext("2d").getImageData(
    0, 0, canvas.width, canvas.height).data.buffer)).size"""
BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "latent_page.py"
MANY, LONGEST = 10_000, 3000
POINT = """number => { const s = JSON.parse(document.getElementById("explorer-data").textContent);
    return [s.maps[0].points[2 * number], s.maps[0].points[2 * number + 1]]; }"""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        path = str(SYSTEM) if SYSTEM.exists() else None
        try:
            chromium = started.chromium.launch(executable_path=path, args=FLAGS, timeout=SLOW)
        except playwright.Error as error:
            pytest.skip(f"no Chromium can be started: {str(error).splitlines()[0]}")
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = tmp_path_factory.mktemp("page")
    path = checkpoint(place / "m.safetensors", "lift")
    source = latent.open_source(path, pictures(place / "set"), device="cpu")
    found = latent.explore(source)
    return latent.save(place, found, "reslift latent")[0], found


@pytest.fixture
def page(browser, made):
    tab = browser.new_page(viewport={"width": 1200, "height": 900})
    tab.set_default_timeout(SLOW)
    tab.said, tab.asked = [], []
    tab.on("console", lambda message: tab.said.append(message.text))
    tab.on("pageerror", lambda error: tab.said.append(str(error)))
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.goto(made[0].as_uri())
    tab.wait_for_function("document.documentElement.dataset.ready")
    yield tab
    outside = [url for url in tab.asked if not url.startswith(("data:", "file:"))]
    files = [url for url in tab.asked if url.startswith("file:")]
    tab.close()
    assert not tab.said and not outside and files == [made[0].as_uri()]


def at(page, number):
    """Where a point is in the window, on the first map before any zoom."""
    x, y = page.evaluate(POINT, number)
    box = page.locator("canvas.front").bounding_box()
    side = min(box["width"], box["height"]) - 44
    across = box["x"] + box["width"] / 2 + (x - 0.5) * side
    return across, box["y"] + box["height"] / 2 - (y - 0.5) * side


def nearest_alone(page, found):
    """A point that no other covers, so that the mouse means it."""
    points = found.projections[0].points
    gaps = (points[:, None] - points[None]).norm(dim=2).fill_diagonal_(9e9).min(1).values
    return int(gaps.argmax())


def test_hovering_shows_the_picture_and_leaving_hides_it(page, made):
    number = nearest_alone(page, made[1])
    tip = page.locator(".tip")
    assert tip.is_hidden()
    page.mouse.move(*at(page, number))
    tip.wait_for(state="visible")
    assert made[1].encoded.names[number] in tip.inner_text()
    page.wait_for_function(f"({INKED})(document.querySelector('.tip canvas')) > 8")
    page.mouse.move(1, 1)
    tip.wait_for(state="hidden")


def test_a_click_shows_all_pictures_numbers_and_neighbours(page, made):
    number, found = nearest_alone(page, made[1]), made[1]
    page.mouse.click(*at(page, number))
    detail = page.locator(".detail")
    assert detail.get_attribute("data-point") == str(number)
    text = detail.inner_text()
    for words in (found.encoded.names[number], f"{found.encoded.psnr[number]:.2f} dB", "sharpness"):
        assert words in text
    captions = detail.locator("figcaption b").all_inner_texts()
    assert captions == ["LR", "bicubic", "SR", "HR", "|SR − HR|"]
    for canvas in detail.locator(".shots canvas").all():
        page.wait_for_function(f"canvas => ({INKED})(canvas) > 8", arg=canvas.element_handle())
    beside = [int(b.get_attribute("data-point")) for b in detail.locator(".beside button").all()]
    assert beside == found.neighbours[number].tolist()[:12]
    detail.locator(".beside button").first.click()
    assert detail.get_attribute("data-point") == str(beside[0])


def test_switches_redraw_the_map(page, made):
    back = page.locator("canvas").first
    seen = {back.evaluate("canvas => canvas.toDataURL()")}
    labels = [p.label for p in made[1].projections[1:]]
    for label in [*labels, "sharpness", "error", "gain", "pictures"]:
        page.get_by_text(label, exact=True).first.click()
        page.wait_for_timeout(400)
        seen.add(back.evaluate("canvas => canvas.toDataURL()"))
    assert len(seen) == 5 + len(labels)
    assert page.locator(".key .ramp").count() == 1


def test_the_legend_lights_one_label(page):
    back = page.locator("canvas").first
    before = back.evaluate("canvas => canvas.toDataURL()")
    button = page.locator(".key button", has_text="dark")
    button.click()
    page.wait_for_timeout(300)
    assert (
        button.get_attribute("aria-pressed") == "true"
        or page.locator('.key button[aria-pressed="true"]', has_text="dark").count()
    )
    assert back.evaluate("canvas => canvas.toDataURL()") != before


def test_keys_walk_zoom_and_let_go(page):
    page.locator("canvas.front").focus()
    detail, visited = page.locator(".detail"), set()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown"):
        page.keyboard.press(key)
        visited.add(detail.get_attribute("data-point"))
    assert len(visited) > 1
    back = page.locator("canvas").first
    whole = back.evaluate("canvas => canvas.toDataURL()")
    page.keyboard.press("+")
    page.wait_for_timeout(300)
    assert back.evaluate("canvas => canvas.toDataURL()") != whole
    page.keyboard.press("0")
    page.wait_for_timeout(300)
    assert back.evaluate("canvas => canvas.toDataURL()") == whole
    page.keyboard.press("Escape")
    assert detail.get_attribute("data-point") is None


def test_ten_thousand_points_open_in_three_seconds(browser, tmp_path):
    """Of the page's own work: what a busy machine takes away does not count."""
    spec = importlib.util.spec_from_file_location("latent_page", BENCHMARK)
    assert spec is not None and spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    path = tmp_path / "latent.html"
    path.write_text(render(benchmark.exploration(MANY, 32), "reslift latent", ""), encoding="utf-8")
    assert path.stat().st_size > 10e6, "with a picture behind each point"
    _, worked, _ = benchmark.opened(browser, path)
    assert worked < LONGEST
