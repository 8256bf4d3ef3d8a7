"""How long the page of ``reslift latent`` takes to open with many points, in real Chromium.

    python benchmarks/latent_page.py [--points 10000] [--side 32] [--chromium /usr/bin/chromium]

Makes a page of N synthetic pictures with the product's own page code, opens it several times and
prints its size, the time from navigation to the drawn map, how much of it the page's main thread
worked (the figure to trust on a busy machine), and the time to the first hovered picture. Needs
playwright.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch
from playwright.sync_api import Browser, sync_playwright

from reslift.checkpoint import Card
from reslift.datasets import ImageSet
from reslift.degradations import ResizeBack
from reslift.latent import Source
from reslift.latent.encoding import KINDS, Encoded
from reslift.latent.explore import Exploration
from reslift.latent.neighbours import nearest, neighbour_count
from reslift.latent.page import render
from reslift.latent.project import Projection, principal_axes
from reslift.latent.strips import Share
from reslift.models import MODELS
from reslift.report import error_colours

LABELS = 10
MARGIN = 44
FIRST_POINT = """JSON.parse(document.getElementById("explorer-data").textContent)
    .maps[0].points.slice(0, 2)"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--opens", type=int, default=5)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    begun = time.perf_counter()
    text = render(exploration(options.points, options.side), "benchmarks/latent_page.py", "")
    made = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "latent.html"
        path.write_text(text, encoding="utf-8")
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=options.chromium, args=flags)
        times = [opened(browser, path) for _ in range(options.opens)]
        browser.close()
        size = path.stat().st_size / 1e6
    drawn, worked, hovered = (statistics.median(each) for each in zip(*times, strict=True))
    print(f"{options.points} points of {options.side} px: {size:.1f} MB, made in {made:.1f} s")
    print(f"drawn after {drawn:.0f} ms, {worked:.0f} ms of them work of the main thread; ", end="")
    print(f"a picture under the mouse {hovered:.0f} ms later ", end="")
    print(f"(median of {options.opens}; load average {os.getloadavg()[0]:.1f})")


def opened(browser: Browser, path: Path) -> tuple[float, float, float]:
    """Milliseconds to the drawn map, of CPU until then, and from the mouse to its picture."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(300_000)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(path.as_uri())
    page.wait_for_function("document.documentElement.dataset.ready")
    drawn = float(page.evaluate("document.documentElement.dataset.ready"))
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    worked = 1e3 * next(m["value"] for m in metrics if m["name"] == "TaskDuration")
    box = page.locator("canvas.front").bounding_box()
    assert box is not None
    x, y = page.evaluate(FIRST_POINT)
    side = min(box["width"], box["height"]) - MARGIN
    begun = time.perf_counter()
    page.mouse.move(
        box["x"] + box["width"] / 2 + (x - 0.5) * side,
        box["y"] + box["height"] / 2 - (y - 0.5) * side,
    )
    page.locator(".tip").wait_for(state="visible")
    pixels = "document.querySelector('.tip canvas').getContext('2d').getImageData(9, 9, 1, 1).data"
    page.wait_for_function(f"{pixels}[3] > 0")
    hovered = (time.perf_counter() - begun) * 1e3
    page.close()
    return drawn, worked, hovered


def exploration(count: int, side: int) -> Exploration:
    """N noisy pictures around ten prototypes, as if a model had encoded them."""
    generator = torch.Generator().manual_seed(0)
    model = MODELS["bottleneck"](size=side).eval()
    groups = torch.arange(count) % LABELS
    vectors = torch.randn(LABELS, 16, generator=generator)[groups] * 3
    vectors = vectors + torch.randn(count, 16, generator=generator)
    smooth = torch.rand(count, 3, 8, 8, generator=generator)
    hr = torch.nn.functional.interpolate(smooth, (side, side), mode="bicubic").clamp(0, 1)
    shots = (hr * 235 + torch.rand(hr.shape, generator=generator) * 20).byte().permute(0, 2, 3, 1)
    encoded = Encoded(list(range(count)), [f"class/{n}.png" for n in range(count)])
    encoded.labels = [f"class {n}" for n in groups.tolist()]
    encoded.vectors = list(vectors)
    for numbers in (encoded.sharpness, encoded.psnr, encoded.bicubic_psnr, encoded.error):
        numbers.extend((25 + torch.randn(count, generator=generator)).tolist())
    for kind in KINDS:
        encoded.pictures[kind] = [shot.numpy() for shot in shots]
    encoded.pictures["error"] = [error_colours(shot[..., 0].numpy() / 8) for shot in shots]
    axes = principal_axes(vectors)
    points = axes.scores(vectors)[:, :2]
    maps = [
        Projection(k, k, points.roll(n, 1), 0.9, 12, "") for n, k in enumerate(("PCA", "t-SNE"))
    ]
    images = ImageSet(tuple(encoded.names), lambda number: shots[number])
    card = Card(name="synthetic", model="bottleneck", arguments={}, scale=1)
    source = Source("synthetic", card, model, "cpu", images, ResizeBack(1), "synthetic pictures")
    neighbours, distances = nearest(vectors, neighbour_count(count))
    return Exploration(
        source, encoded, axes, maps, neighbours, distances, (0.5, 0.1), Share(1, 30.0, 29.0),
        (0, 1), 0, [], [], [], 0, 0,
    )  # fmt: skip


if __name__ == "__main__":
    main()
