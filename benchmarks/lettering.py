"""Agreement on what is hardest for it: lettering, black on white, and noise that no kernel made.

    python benchmarks/lettering.py

Draws pages with the fonts that come with matplotlib, shrinks them by the bicubic kernel, enlarges
them with `lift-base` and prints the largest difference that `verify` finds, and the time.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from reslift.pixels.shrink import shrink
from reslift.upscale import Upscaler, load

FONTS = Path(matplotlib.__file__).parent / "mpl-data/fonts/ttf"
PAGES = [
    (f"DejaVu{face}.ttf", size, hard)
    for face in ("Sans", "Sans-Bold", "Serif-Bold", "SansMono-BoldOblique", "Serif-Italic")
    for size, hard in ((22, True), (32, True), (32, False), (44, True))
]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789&%@#?!"
SIZE = (384, 576)


def page(font: str, size: int, hard: bool, seed: int) -> NDArray[np.uint8]:
    """(H, W, 3), random letters; `hard` has no level between black and white."""
    draw = np.random.default_rng(seed)
    picture = Image.new("L", SIZE[::-1], 255)
    pen, face = ImageDraw.Draw(picture), ImageFont.truetype(str(FONTS / font), size)
    pen.fontmode = "1" if hard else "L"
    for top in range(2, SIZE[0], size + 4):
        line = "".join(draw.choice(list(LETTERS), 60))
        pen.text((int(draw.integers(-20, 4)), top), line, font=face, fill=0)
    return np.asarray(picture)[..., None].repeat(3, 2)


def judged(upscaler: Upscaler, lr: NDArray[np.uint8]) -> tuple[float, int, float]:
    """The largest difference, how many samples are over 1 level, CPU time."""
    begun = time.process_time()
    sr = upscaler(lr)
    spent = time.process_time() - begun
    error = np.abs(shrink(sr, *lr.shape[:2], "bicubic", 255) - lr)
    return float(error.max()), int((error > 1).sum()), spent


def main() -> None:
    """A line a scale: the worst page, pages over 1, time of the step beside the network's."""
    noise = np.random.default_rng(0).integers(0, 256, (270, 480, 3), dtype=np.uint8)
    for scale in (2, 3, 4):
        loose, held = (load("lift-base", scale, consistent=wanted) for wanted in (False, True))
        rows = []
        for seed, (font, size, hard) in enumerate(PAGES):
            hr = page(font, size, hard, seed)
            lr = shrink(hr, SIZE[0] // scale, SIZE[1] // scale, "bicubic", 255).astype(np.uint8)
            rows.append((*judged(held, lr), judged(loose, lr)[2]))
        most, over, spent, alone = np.array(rows).T
        print(
            f"x{scale} lettering: {len(rows)} pages, largest {most.max():.0f}, pages over 1: "
            f"{(most > 1).sum()}, samples {over.sum():.0f}, time {spent.sum() / alone.sum():.3f}",
            flush=True,
        )
        largest, _, took = judged(held, noise)
        extra = took - judged(loose, noise)[2]
        print(f"x{scale} noise: largest {largest:.0f}, {extra:.1f} s more than without", flush=True)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    main()
