"""What `reslift data check` finds among many small pictures, and what it takes.

    python benchmarks/datacheck.py PICTURES [--count 10000] [--copies 50]

PICTURES holds photographs, in folders of any depth. Tiles of them that have detail and do not meet
are saved as pictures of their own, `--copies` of them once more: smaller, as JPEG, mirrored,
brighter, or cut. Told are copies that were found, other pairs that were named, time and memory.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from reslift.datasets.folder import find_images

SIDES = (64, 96)
LEAST_DEVIATION = 8.0
SEED = 0


def tiles(folder: Path) -> Iterator[tuple[int, Image.Image]]:
    """Tiles with detail, and the number of their photograph."""
    for number, path in enumerate(sorted(find_images(folder))):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        side = SIDES[number % len(SIDES)]
        for top in range(0, pixels.shape[0] - side + 1, side):
            for left in range(0, pixels.shape[1] - side + 1, side):
                tile = pixels[top : top + side, left : left + side]
                if tile.mean(-1).std() >= LEAST_DEVIATION:
                    yield number, Image.fromarray(tile)


def copied(tile: Image.Image, kind: str, path: Path) -> None:
    """Save a changed copy."""
    side = tile.width
    if kind == "smaller":
        tile = tile.resize((round(side * 0.8),) * 2, Image.Resampling.BICUBIC)
    elif kind == "mirrored":
        tile = ImageOps.mirror(tile)
    elif kind == "brighter":
        tile = tile.point([min(255, round(20 + 0.9 * level)) for level in range(256)] * 3)
    elif kind == "cut":
        tile = tile.crop((side // 8, side // 8, side, side))
    tile.save(path.with_suffix(".jpg" if kind == "JPEG" else ".png"), quality=80)


KINDS = ("smaller", "JPEG", "mirrored", "brighter", "cut")


def main(folder: Path, count: int, copies: int) -> None:
    """Make the folder, check it, print what was found."""
    rng = random.Random(SEED)
    every = list(tiles(folder))
    chosen = rng.sample(every, min(count - copies, len(every)))
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory() as told:
        for number, (_, tile) in enumerate(chosen):
            tile.save(Path(made) / f"{number:05}.png")
        planted = {}
        for number in range(min(copies, len(chosen))):
            planted[f"{number:05}"] = KINDS[number % len(KINDS)]
            copied(chosen[number][1], KINDS[number % len(KINDS)], Path(made) / f"copy{number:05}")
        report = Path(told) / "report.json"
        words = [sys.executable, "-m", "reslift", "data", "check", made, "-q", "--json", report]
        begun = time.perf_counter()
        done = subprocess.run(words, stdout=subprocess.DEVNULL, check=False)
        spent = time.perf_counter() - begun
        if not report.exists():
            raise SystemExit(f"data check ended with {done.returncode}")
        findings = json.loads(report.read_text())["findings"]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    found, wrong, within = set(), 0, 0
    for finding in findings:
        if "duplicate" in finding["kind"]:
            first, second = sorted(Path(name).stem for name in finding["files"][:2])
            if second == f"copy{first}":
                found.add(first)
            else:
                wrong += 1
                one, other = (chosen[int(name.removeprefix("copy"))][0] for name in (first, second))
                within += one == other
    missed = Counter(kind for name, kind in planted.items() if name not in found)
    print(f"{len(chosen) + len(planted)} pictures, {len(found)} of {len(planted)} copies found")
    print(f"missed: {dict(missed)}; other pairs: {wrong}, {within} of one photograph")
    print("other findings:", dict(Counter(finding["kind"] for finding in findings)))
    print(
        f"{spent:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of processors, "
        f"{used.ru_maxrss / 1024:.0f} MiB the largest process"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--copies", type=int, default=50)
    given = parser.parse_args()
    main(given.pictures, given.count, given.copies)
